/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the pvpmu guest driver share.
 */
#ifndef _ARCH_X86_EVENTS_KVM_PVPMU_H
#define _ARCH_X86_EVENTS_KVM_PVPMU_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include <asm/kvm_pvpmu.h>

struct attribute_group;
struct perf_event;

#define PVPMU_CLASSES	(KVM_PVPMU_CLASS_PV + 1)

/* perf_event_attr::config of an event: the low bits of EVTSEL. */
#define PVPMU_CONFIG(class, event) \
	((u64)(class) << KVM_PVPMU_EVTSEL_CLASS_SHIFT | (event))
#define PVPMU_CONFIG_MASK	(KVM_PVPMU_EVTSEL_CLASS | KVM_PVPMU_EVTSEL_EVENT)

#define PVPMU_COUNTER_MASK	GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0)

/*
 * The PMU as the host offers it.  A countable event is one that is offered and
 * that this host did not refuse when the driver tried it.
 */
struct pvpmu_model {
	u64		cap;
	unsigned int	counters;
	u64		offered[PVPMU_CLASSES];
	u64		countable[PVPMU_CLASSES];
};

extern struct pvpmu_model pvpmu_model;

struct pvpmu_counter {
	struct perf_event	*event;
	u64			evtsel;		/* shadow of the register */
	u64			value;		/* count when it was stopped */
	u64			enabled;	/* ENABLED_NS when last read */
	u64			running;	/* RUNNING_NS when last read */
	u64			since;		/* event time of that reading */
	u32			overflows;	/* those that were handled */
};

/* One vCPU's registers.  Used on that CPU with interrupts off. */
struct pvpmu_cpu {
	struct pvpmu_counter	counters[KVM_PVPMU_MAX_COUNTERS];
	unsigned long		used;		/* counters that have an event */
	unsigned long		wanted;		/* counters that should run */
	unsigned long		ctrl;		/* shadow of GLOBAL_CTRL */
	unsigned long		ran;		/* ran since they were read */
	unsigned long		dirty;		/* entries to load */
	unsigned int		disabled;	/* depth of pmu_disable() */
	unsigned int		txn;
	bool			txn_fresh;	/* entries are up to date */
	bool			ready;		/* the shadows are right */
	bool			away;		/* the CPU is going, or gone */
	bool			restarting;
	bool			pmi_waits;	/* came while disabled */
	u32			pmis;		/* those that were claimed */
	struct kvm_pvpmu_page	*page;		/* NULL: by registers only */
	struct list_head	totals;		/* events that read totals */
	struct hrtimer		watch;
};

DECLARE_PER_CPU(struct pvpmu_cpu, pvpmu_cpus);

/* The counter of @idx as the last reading gave it. */
struct pvpmu_reading {
	u64 count;
	u64 enabled;
	u64 running;
};

bool pvpmu_config_countable(u64 config);
int pvpmu_map_hardware(u64 config);
int pvpmu_map_cache(u64 config);

/* kvm_pvpmu_regs.c */
void pvpmu_shut_down(void);
u64 pvpmu_read(u32 msr);
void pvpmu_write(u32 msr, u64 val);
bool pvpmu_set_ctrl(struct pvpmu_cpu *cpu, unsigned long ctrl);
void pvpmu_mark_dirty(struct pvpmu_cpu *cpu, int idx);
void pvpmu_set_evtsel(struct pvpmu_cpu *cpu, int idx, u64 evtsel);
void pvpmu_reset_registers(struct pvpmu_cpu *cpu);
void pvpmu_copy_entry(struct kvm_pvpmu_page *page, int idx,
		      struct pvpmu_reading *reading);
bool pvpmu_read_counter(struct pvpmu_cpu *cpu, int idx,
			struct pvpmu_reading *reading);
bool pvpmu_read_total(struct pvpmu_cpu *cpu, unsigned int event, u64 *total);
u64 pvpmu_page_age(struct pvpmu_cpu *cpu);
bool pvpmu_is_programmed(struct pvpmu_cpu *cpu);
void pvpmu_release_registers(struct pvpmu_cpu *cpu);
void pvpmu_alloc_pages(void);

/* kvm_pvpmu.c, for the timer and the interrupt */
void pvpmu_reschedule(void);
void pvpmu_fold_reading(struct pvpmu_cpu *cpu, int idx,
			struct pvpmu_reading *reading);

/* kvm_pvpmu_sample.c */
void pvpmu_load_period(struct pvpmu_cpu *cpu, struct perf_event *event);
void pvpmu_handle_waiting(struct pvpmu_cpu *cpu);
bool pvpmu_init_sampling(void);

/* kvm_pvpmu_watch.c */
void pvpmu_watch(struct pvpmu_cpu *cpu);
void pvpmu_init_watch(void);

static inline bool pvpmu_can_interrupt(void)
{
	u64 needed = KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW;

	return (pvpmu_model.cap & needed) == needed;
}

extern const struct attribute_group *pvpmu_attr_groups[];
extern const struct attribute_group *pvpmu_cpu_attr_groups[];

#endif /* _ARCH_X86_EVENTS_KVM_PVPMU_H */
