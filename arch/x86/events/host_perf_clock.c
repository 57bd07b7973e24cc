// SPDX-License-Identifier: GPL-2.0
/*
 * perf_clock() of this machine as a function of its TSC.
 *
 * Built in, also where KVM is a module: it outlives KVM, and so does the number
 * by which a guest knows the clock again.
 */
#include <linux/cache.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/perf_pv_clock.h>
#include <linux/random.h>
#include <linux/sched/clock.h>

#include <asm/host_perf_clock.h>
#include <asm/timer.h>

static u64 epoch __ro_after_init;

/* The CPU's own conversion; all CPUs have the same but while it changes. */
void host_perf_clock_get(struct host_perf_clock *clock)
{
	struct cyc2ns_data data;

	*clock = (struct host_perf_clock){ };
	if (perf_pv_clock_active() || !using_native_sched_clock() ||
	    !sched_clock_stable())
		return;

	cyc2ns_read_begin(&data);
	clock->offset = data.cyc2ns_offset + __sched_clock_offset;
	clock->mul = data.cyc2ns_mul;
	clock->shift = data.cyc2ns_shift;
	clock->is_linear = true;
	cyc2ns_read_end();
}
EXPORT_SYMBOL_GPL(host_perf_clock_get);

u64 host_perf_clock_read(void)
{
	return perf_pv_clock_read();
}
EXPORT_SYMBOL_GPL(host_perf_clock_read);

u64 host_perf_clock_epoch(void)
{
	return epoch;
}
EXPORT_SYMBOL_GPL(host_perf_clock_epoch);

static int __init draw_epoch(void)
{
	do {
		epoch = get_random_u64();
	} while (!epoch);
	return 0;
}
early_initcall(draw_epoch);
