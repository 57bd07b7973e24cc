/* SPDX-License-Identifier: GPL-2.0 */
/*
 * perf_clock() of a guest that shares its host's.
 *
 * kernel/events/pv_clock.c chooses the source and watches it; an architecture
 * reads it.  Documentation/virt/kvm/x86/perf-clock.rst has the interface.
 */
#ifndef _LINUX_PERF_PV_CLOCK_H
#define _LINUX_PERF_PV_CLOCK_H

#include <linux/sched/clock.h>
#include <linux/static_call.h>
#include <linux/types.h>

enum perf_pv_clock_source {
	PERF_PV_CLOCK_OFF,	/* local_clock() */
	PERF_PV_CLOCK_PAGE,	/* memory that the host keeps up to date */
	PERF_PV_CLOCK_MSR,	/* an exit for each reading */
};

/* host's clock = perf_clock() + @offset, on the host that drew @epoch. */
struct perf_pv_clock_host {
	u64 epoch;
	u64 generation;
	s64 offset;
};

/**
 * struct perf_pv_clock_ops - an architecture's access to the host's clock
 * @read_page:	perf_clock() by page; any context with NMI, no instrumentation
 * @read_msr:	the same by exit
 * @renew:	register this CPU, without using it yet; what it reads now stays as
 *		it is.  -ENODEV: there is nothing to register with, -ENODATA: the
 *		clock is there but not by this source, -EOPNOTSUPP: not in this guest
 * @stop:	this CPU goes away, or the kernel does: the host lets go
 * @agrees:	does what this CPU reads agree with what the host says by exit?
 * @read_new:	the clock of @renew
 * @use_new:	read the clock of @renew from now on, plus a constant
 * @use_local:	read local_clock() from now on, plus a constant
 * @describe:	tell what this CPU reads; false if it reads local_clock()
 *
 * All but @read_page and @read_msr are called with interrupts off.
 */
struct perf_pv_clock_ops {
	u64 (*read_page)(void);
	u64 (*read_msr)(void);
	int (*renew)(enum perf_pv_clock_source source);
	void (*stop)(void);
	bool (*agrees)(void);
	u64 (*read_new)(void);
	void (*use_new)(u64 delta);
	void (*use_local)(u64 delta);
	bool (*describe)(struct perf_pv_clock_host *host);
};

#ifdef CONFIG_PERF_PV_CLOCK

DECLARE_STATIC_CALL(perf_pv_clock, local_clock);

extern enum perf_pv_clock_source perf_pv_clock_source;

u64 perf_pv_event_clock(void);
void perf_pv_clock_boot_cpu(const struct perf_pv_clock_ops *ops);
void perf_pv_clock_cpu_online(void);
void perf_pv_clock_cpu_offline(bool shutdown);
void perf_pv_clock_distrust(void);

static __always_inline u64 perf_pv_clock_read(void)
{
	return static_call(perf_pv_clock)();
}

/* Is perf_clock() another clock than local_clock()? */
static inline bool perf_pv_clock_active(void)
{
	return perf_pv_clock_source != PERF_PV_CLOCK_OFF;
}

#else

#define perf_pv_event_clock	local_clock

static __always_inline u64 perf_pv_clock_read(void)
{
	return local_clock();
}

static inline bool perf_pv_clock_active(void)
{
	return false;
}

#endif /* CONFIG_PERF_PV_CLOCK */

#endif /* _LINUX_PERF_PV_CLOCK_H */
