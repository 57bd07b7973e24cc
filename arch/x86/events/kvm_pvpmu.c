// SPDX-License-Identifier: GPL-2.0
/*
 * Driver for pvpmu, the paravirtual PMU of KVM guests.
 *
 * The registers and their rules are in Documentation/virt/kvm/x86/pvpmu.rst.
 * Each access to one of them is a VM exit, so the driver saves accesses:
 *
 *  - EVTSEL is written when it changes, which a shadow tells.
 *  - COUNTER is never written.  It stands still while it is off, so the value
 *    last read is the base of whatever it counts next.  The same goes for
 *    ENABLED_NS and RUNNING_NS.
 *  - GLOBAL_CTRL is written at most twice between pmu_disable() and
 *    pmu_enable(): 0 when the first counter that runs is stopped, and the new
 *    mask at the end.  A context switch between tasks with equal events costs
 *    these two writes and the reads of the values.
 *
 * Where no other PMU came up, the driver is the "cpu" PMU as well.  Events of
 * "pvpmu" are then handed to "cpu", so that one perf context schedules all of
 * them fairly on the one set of counters, and a group may have both.
 */
#define pr_fmt(fmt) "kvm_pvpmu: " fmt

#include <linux/bitfield.h>
#include <linux/bitops.h>
#include <linux/cgroup.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>

#include <asm/hypervisor.h>
#include <asm/msr.h>

#include "perf_event.h"
#include "kvm_pvpmu.h"

struct pvpmu_counter {
	struct perf_event	*event;
	u64			evtsel;		/* shadow of the register */
	u64			value;		/* COUNTER when it was stopped */
	u64			enabled;	/* ENABLED_NS when last read */
	u64			running;	/* RUNNING_NS when last read */
	u64			since;		/* event time of that reading */
};

/* One vCPU's registers.  Used on that CPU with interrupts off. */
struct pvpmu_cpu {
	struct pvpmu_counter	counters[KVM_PVPMU_MAX_COUNTERS];
	unsigned long		used;		/* counters that have an event */
	unsigned long		wanted;		/* counters that should run */
	unsigned long		ctrl;		/* shadow of GLOBAL_CTRL */
	unsigned long		ran;		/* ran since they were read */
	unsigned int		disabled;	/* depth of pmu_disable() */
	bool			ready;		/* the shadows are right */
};

static DEFINE_PER_CPU(struct pvpmu_cpu, pvpmu_cpus);

/* The host took pvpmu away, or the system is going down: touch nothing. */
static bool pvpmu_gone __read_mostly;

static struct pmu pvpmu_pmu;
static struct pmu pvpmu_cpu_pmu;
static bool pvpmu_is_cpu_pmu __ro_after_init;

/* Registers */

static void pvpmu_lost_host(void)
{
	WRITE_ONCE(pvpmu_gone, true);
	pr_warn_once("this host has no pvpmu: its events count no more\n");
}

/*
 * A migration may lead to a host without the feature, where the registers
 * fault: count nothing from then on, rather than warn at each access.
 */
static u64 pvpmu_read(u32 msr)
{
	u64 val;

	if (READ_ONCE(pvpmu_gone))
		return 0;
	if (rdmsrl_safe(msr, &val)) {
		pvpmu_lost_host();
		return 0;
	}
	return val;
}

static void pvpmu_write(u32 msr, u64 val)
{
	if (!READ_ONCE(pvpmu_gone) && wrmsrl_safe(msr, val))
		pvpmu_lost_host();
}

static void pvpmu_set_ctrl(struct pvpmu_cpu *cpu, unsigned long ctrl)
{
	if (cpu->ctrl == ctrl)
		return;

	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, ctrl);
	cpu->ctrl = ctrl;
	cpu->ran |= ctrl;
}

static void pvpmu_apply_wanted(struct pvpmu_cpu *cpu)
{
	if (!cpu->disabled && cpu->ready)
		pvpmu_set_ctrl(cpu, cpu->wanted);
}

/* Leaves COUNTER and the times alone, so their last readings stay right. */
static void pvpmu_set_evtsel(struct pvpmu_counter *counter, int idx, u64 evtsel)
{
	if (counter->evtsel == evtsel)
		return;

	pvpmu_write(MSR_KVM_PVPMU_EVTSEL(idx), evtsel);
	counter->evtsel = evtsel;
}

/* Bring the registers to a known state, whoever used them before. */
static void pvpmu_reset_registers(struct pvpmu_cpu *cpu)
{
	struct pvpmu_counter *counter;
	int i;

	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
	cpu->ctrl = 0;
	cpu->ran = 0;

	for (i = 0; i < pvpmu_model.counters; i++) {
		counter = &cpu->counters[i];
		pvpmu_write(MSR_KVM_PVPMU_EVTSEL(i), 0);
		counter->evtsel = 0;
		counter->enabled = pvpmu_read(MSR_KVM_PVPMU_ENABLED_NS(i));
		counter->running = pvpmu_read(MSR_KVM_PVPMU_RUNNING_NS(i));
		counter->value = pvpmu_read(MSR_KVM_PVPMU_COUNTER(i));
	}
	cpu->ready = true;
}

/* Time and counts */

/*
 * The clock of the event's times as perf core will use it next: it has brought
 * the context's clock up to date before it calls del() or read().
 */
static u64 pvpmu_event_time(struct perf_event *event)
{
#ifdef CONFIG_CGROUP_PERF
	if (event->cgrp)
		return per_cpu_ptr(event->cgrp->info, event->cpu)->time;
#endif
	return event->ctx->time;
}

/*
 * Take @lost of the time since the last call out of the event's running time.
 *
 * perf core adds the whole of that time before read() (__perf_event_read())
 * but after del() (event_sched_out()), so the sum may be below zero for that
 * moment: it is modular, and right once both are done.  As @lost is measured
 * in perf core's own clock it is never more than what perf core adds.
 */
static void pvpmu_lose_time(struct pvpmu_counter *counter, u64 lost)
{
	counter->event->total_time_running -= lost;
	counter->since = pvpmu_event_time(counter->event);
}

static void pvpmu_lose_all_time(struct pvpmu_counter *counter)
{
	u64 now = pvpmu_event_time(counter->event);

	pvpmu_lose_time(counter, now - counter->since);
}

/*
 * The host multiplexes the guest's counters with its own.  The share of time
 * for which it did not count is time for which this event did not run.
 *
 * A counter in error has no time at all on the host.  It differs from one that
 * had no time yet in that it has no count either.
 */
static void pvpmu_account_host_time(struct pvpmu_counter *counter, int idx,
				    u64 count)
{
	u64 span = pvpmu_event_time(counter->event) - counter->since;
	u64 enabled, running, d_enabled, d_running, lost;

	/* Without new event time there is nothing to share out yet. */
	if (!span)
		return;

	enabled = pvpmu_read(MSR_KVM_PVPMU_ENABLED_NS(idx));
	running = pvpmu_read(MSR_KVM_PVPMU_RUNNING_NS(idx));
	d_enabled = enabled - counter->enabled;
	d_running = min(running - counter->running, d_enabled);
	counter->enabled = enabled;
	counter->running = running;

	if (d_enabled)
		lost = mul_u64_u64_div_u64(span, d_enabled - d_running, d_enabled);
	else
		lost = count ? 0 : span;

	pvpmu_lose_time(counter, lost);
}

/*
 * Program everything that should run anew: the registers were reset behind the
 * driver's back.  What was counted since the last reading is lost, and so is
 * that time.
 */
static void pvpmu_restart(struct pvpmu_cpu *cpu)
{
	struct pvpmu_counter *counter;
	int i;

	pvpmu_reset_registers(cpu);

	for_each_set_bit(i, &cpu->wanted, KVM_PVPMU_MAX_COUNTERS) {
		counter = &cpu->counters[i];
		pvpmu_lose_all_time(counter);
		local64_set(&counter->event->hw.prev_count, counter->value);
		pvpmu_set_evtsel(counter, i, counter->event->hw.config_base);
	}
	pvpmu_apply_wanted(cpu);
}

/*
 * A VMM that does not carry the registers leaves them reset after a migration.
 * Then COUNTER is 0, else it rarely is: only a 0 is worth the second look.
 */
static bool pvpmu_was_reset(struct pvpmu_counter *counter, int idx, u64 value)
{
	return !value && pvpmu_read(MSR_KVM_PVPMU_EVTSEL(idx)) != counter->evtsel;
}

static bool pvpmu_is_perf_backed(u64 evtsel)
{
	return FIELD_GET(KVM_PVPMU_EVTSEL_CLASS, evtsel) != KVM_PVPMU_CLASS_PV;
}

static u64 pvpmu_read_delta(struct perf_event *event, u64 *now)
{
	struct hw_perf_event *hwc = &event->hw;
	s64 prev = local64_read(&hwc->prev_count);

	/* An NMI may read the same event in between. */
	do {
		*now = pvpmu_read(MSR_KVM_PVPMU_COUNTER(hwc->idx));
	} while (!local64_try_cmpxchg(&hwc->prev_count, &prev, *now));

	return (*now - prev) & GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0);
}

/* Add to the event what its counter has counted since the last call. */
static void pvpmu_fold(struct pvpmu_cpu *cpu, int idx)
{
	struct pvpmu_counter *counter = &cpu->counters[idx];
	u64 now, delta;

	delta = pvpmu_read_delta(counter->event, &now);

	if (unlikely(pvpmu_was_reset(counter, idx, now))) {
		/* An NMI leaves it to the next reading, which finds 0 again. */
		if (in_nmi())
			return;
		pvpmu_lose_all_time(counter);
		pvpmu_restart(cpu);
		return;
	}

	local64_add(delta, &counter->event->count);

	/* The times are not for NMIs: the code that they interrupt uses them. */
	if (!in_nmi() && pvpmu_is_perf_backed(counter->evtsel))
		pvpmu_account_host_time(counter, idx, delta);
	if (!(cpu->ctrl & BIT(idx)))
		cpu->ran &= ~BIT(idx);
}

/* struct pmu: counting */

static void pvpmu_pmu_enable(struct pmu *pmu)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	cpu->disabled--;
	pvpmu_apply_wanted(cpu);
}

/* The counters run on until one is stopped: often none is. */
static void pvpmu_pmu_disable(struct pmu *pmu)
{
	this_cpu_inc(pvpmu_cpus.disabled);
}

static void pvpmu_event_start(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	struct pvpmu_counter *counter = &cpu->counters[event->hw.idx];
	int idx = event->hw.idx;

	lockdep_assert_irqs_disabled();

	if (WARN_ON_ONCE(!(event->hw.state & PERF_HES_STOPPED)))
		return;
	if (unlikely(!cpu->ready))
		pvpmu_restart(cpu);

	event->hw.state = 0;
	counter->since = pvpmu_event_time(event);
	local64_set(&event->hw.prev_count, counter->value);
	pvpmu_set_evtsel(counter, idx, event->hw.config_base);
	cpu->wanted |= BIT(idx);
	pvpmu_apply_wanted(cpu);
}

static void pvpmu_event_stop(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	int idx = event->hw.idx;

	lockdep_assert_irqs_disabled();

	if (event->hw.state & PERF_HES_STOPPED)
		return;

	cpu->wanted &= ~BIT(idx);
	if (cpu->ctrl & BIT(idx))
		pvpmu_set_ctrl(cpu, cpu->disabled ? 0 : cpu->wanted);
	if (cpu->ran & BIT(idx)) {
		pvpmu_fold(cpu, idx);
		cpu->counters[idx].value = local64_read(&event->hw.prev_count);
	}
	event->hw.state |= PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static void pvpmu_event_read(struct perf_event *event)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	if (!(event->hw.state & PERF_HES_STOPPED) &&
	    cpu->ran & BIT(event->hw.idx))
		pvpmu_fold(cpu, event->hw.idx);
}

/*
 * A free counter for the event, or a negative number.  Best is one that is set
 * to this very event, then one that is set to none: what other tasks left
 * behind is not overwritten while there is room.
 */
static int pvpmu_find_counter(struct pvpmu_cpu *cpu, u64 evtsel)
{
	unsigned long free = ~cpu->used & GENMASK(pvpmu_model.counters - 1, 0);
	int i, unset = -1;

	for_each_set_bit(i, &free, KVM_PVPMU_MAX_COUNTERS) {
		if (cpu->counters[i].evtsel == evtsel)
			return i;
		if (unset < 0 && !cpu->counters[i].evtsel)
			unset = i;
	}
	if (unset >= 0)
		return unset;

	return free ? __ffs(free) : -EAGAIN;
}

static int pvpmu_event_add(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	int idx = pvpmu_find_counter(cpu, event->hw.config_base);

	if (idx < 0)
		return idx;

	event->hw.idx = idx;
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	cpu->counters[idx].event = event;
	cpu->used |= BIT(idx);

	if (flags & PERF_EF_START)
		pvpmu_event_start(event, PERF_EF_RELOAD);

	perf_event_update_userpage(event);
	return 0;
}

static void pvpmu_event_del(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	int idx = event->hw.idx;

	pvpmu_event_stop(event, PERF_EF_UPDATE);
	cpu->used &= ~BIT(idx);
	cpu->counters[idx].event = NULL;
	event->hw.idx = -1;

	perf_event_update_userpage(event);
}

/* struct pmu: event_init */

/* The event's config in pvpmu's own numbers, or an error. */
static int pvpmu_event_config(struct perf_event *event)
{
	struct perf_event_attr *attr = &event->attr;

	if (attr->type == event->pmu->type)
		return attr->config & ~PVPMU_CONFIG_MASK ? -EINVAL : attr->config;
	if (event->pmu != &pvpmu_cpu_pmu)
		return -ENOENT;

	switch (attr->type) {
	case PERF_TYPE_HARDWARE:
		return pvpmu_map_hardware(attr->config);
	case PERF_TYPE_HW_CACHE:
		return pvpmu_map_cache(attr->config);
	default:
		return -ENOENT;
	}
}

/*
 * KVM's own counts are not split by privilege.  A user who must not see the
 * kernel is told so, as that is what keeps him from the event.
 *
 * Guests of this guest count along with it, so exclude_host cannot be met.
 * Nor can exclude_guest, but perf sets it by default.
 */
static int pvpmu_check_filters(struct perf_event_attr *attr, int config)
{
	if (attr->exclude_host || attr->exclude_idle)
		return -EOPNOTSUPP;
	if (pvpmu_is_perf_backed(config))
		return attr->exclude_user && attr->exclude_kernel ? -EINVAL : 0;
	if (attr->exclude_kernel)
		return perf_allow_kernel() ?: -EINVAL;

	return attr->exclude_user ? -EINVAL : 0;
}

/*
 * No sampling without overflow interrupts.  For cycles, perf has a substitute
 * that it takes when the event does not exist.
 */
static int pvpmu_check_sampling(struct perf_event *event)
{
	struct perf_event_attr *attr = &event->attr;

	if (attr->precise_ip || has_branch_stack(event))
		return -EOPNOTSUPP;
	if (!is_sampling_event(event))
		return 0;
	if (attr->type == PERF_TYPE_HARDWARE &&
	    attr->config == PERF_COUNT_HW_CPU_CYCLES)
		return -ENOENT;

	return -EOPNOTSUPP;
}

/* A group that is larger than the PMU could never be scheduled. */
static int pvpmu_check_group(struct perf_event *event)
{
	struct perf_event *sibling, *leader = event->group_leader;
	unsigned int nr = 1;

	if (leader == event)
		return 0;
	if (leader->pmu == event->pmu)
		nr++;
	for_each_sibling_event(sibling, leader) {
		if (sibling->pmu == event->pmu)
			nr++;
	}

	return nr > pvpmu_model.counters ? -EINVAL : 0;
}

static int pvpmu_event_setup(struct perf_event *event, int config)
{
	struct perf_event_attr *attr = &event->attr;
	u64 evtsel = config | KVM_PVPMU_EVTSEL_EN;

	if (!attr->exclude_user)
		evtsel |= KVM_PVPMU_EVTSEL_USR;
	if (!attr->exclude_kernel)
		evtsel |= KVM_PVPMU_EVTSEL_OS;

	event->hw.config_base = evtsel;
	event->hw.idx = -1;
	return pvpmu_check_group(event);
}

static int pvpmu_event_init(struct perf_event *event)
{
	int config = pvpmu_event_config(event);
	int ret;

	if (config < 0)
		return config;
	if (!pvpmu_config_countable(config))
		return -ENOENT;

	ret = pvpmu_check_sampling(event);
	if (ret)
		return ret;
	ret = pvpmu_check_filters(&event->attr, config);
	if (ret)
		return ret;

	return pvpmu_event_setup(event, config);
}

/* "pvpmu" beside "cpu": perf core tries again with the type that is left here. */
static int pvpmu_event_init_forward(struct perf_event *event)
{
	if (event->attr.type == event->pmu->type)
		event->attr.type = PERF_TYPE_RAW;

	return -ENOENT;
}

static struct pmu pvpmu_pmu = {
	.capabilities	= PERF_PMU_CAP_NO_INTERRUPT,
	.attr_groups	= pvpmu_attr_groups,
	.task_ctx_nr	= perf_hw_context,
	.pmu_enable	= pvpmu_pmu_enable,
	.pmu_disable	= pvpmu_pmu_disable,
	.event_init	= pvpmu_event_init,
	.add		= pvpmu_event_add,
	.del		= pvpmu_event_del,
	.start		= pvpmu_event_start,
	.stop		= pvpmu_event_stop,
	.read		= pvpmu_event_read,
};

/* CPUs that come and go */

/*
 * Called for a CPU that comes up, and for the boot CPU after a suspend.  perf
 * may have started events on the CPU before this.
 */
void kvm_pvpmu_guest_online(void)
{
	lockdep_assert_irqs_disabled();

	if (pvpmu_model.counters)
		pvpmu_restart(this_cpu_ptr(&pvpmu_cpus));
}

/*
 * Called before a CPU goes away, and on shutdown, when the next kernel must
 * find the counters at rest.
 */
void kvm_pvpmu_guest_offline(bool shutdown)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	int i;

	if (!pvpmu_model.counters)
		return;

	wrmsrl_safe(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
	cpu->ctrl = 0;
	if (shutdown) {
		WRITE_ONCE(pvpmu_gone, true);
		return;
	}

	for_each_set_bit(i, &cpu->wanted, KVM_PVPMU_MAX_COUNTERS) {
		if (cpu->ran & BIT(i))
			pvpmu_fold(cpu, i);
	}
	cpu->ready = false;
}

/* Probe */

static bool __init pvpmu_read_model(void)
{
	struct pvpmu_model *model = &pvpmu_model;

	model->cap = pvpmu_read(MSR_KVM_PVPMU_CAP);
	model->offered[KVM_PVPMU_CLASS_HW] = pvpmu_read(MSR_KVM_PVPMU_EVENTS_HW);
	model->offered[KVM_PVPMU_CLASS_CACHE] =
		pvpmu_read(MSR_KVM_PVPMU_EVENTS_CACHE);
	model->offered[KVM_PVPMU_CLASS_PV] = pvpmu_read(MSR_KVM_PVPMU_EVENTS_PV);

	if (!FIELD_GET(KVM_PVPMU_CAP_VERSION, model->cap) ||
	    FIELD_GET(KVM_PVPMU_CAP_WIDTH, model->cap) != KVM_PVPMU_COUNTER_WIDTH)
		return false;

	model->counters = min_t(unsigned int, KVM_PVPMU_MAX_COUNTERS,
				FIELD_GET(KVM_PVPMU_CAP_COUNTERS, model->cap));
	return model->counters;
}

/* Which of these events, of one class, does the host refuse to count? */
static u64 __init pvpmu_try_events(unsigned int class, const u8 *events,
				   unsigned int nr)
{
	u64 errors, refused = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		pvpmu_write(MSR_KVM_PVPMU_EVTSEL(i),
			    PVPMU_CONFIG(class, events[i]) | KVM_PVPMU_EVTSEL_EN |
			    KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS);

	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, GENMASK(nr - 1, 0));
	errors = pvpmu_read(MSR_KVM_PVPMU_GLOBAL_STATUS);
	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);

	for (i = 0; i < nr; i++) {
		if (errors & KVM_PVPMU_STATUS_ERROR(i))
			refused |= BIT_ULL(events[i]);
	}
	return refused;
}

/* An event that this host cannot count is to be "not supported", not an error. */
static void __init pvpmu_probe_class(unsigned int class)
{
	u64 offered = pvpmu_model.offered[class], left = offered, refused = 0;
	u8 events[KVM_PVPMU_MAX_COUNTERS];
	unsigned int nr;

	while (left) {
		for (nr = 0; left && nr < pvpmu_model.counters; nr++) {
			events[nr] = __ffs64(left);
			left &= left - 1;
		}
		refused |= pvpmu_try_events(class, events, nr);
	}
	pvpmu_model.countable[class] = offered & ~refused;
}

static int __init pvpmu_register(void)
{
	int ret;

	/* core.c has cleared x86_pmu where it found no hardware. */
	pvpmu_is_cpu_pmu = !x86_pmu.handle_irq;

	if (pvpmu_is_cpu_pmu) {
		pvpmu_cpu_pmu = pvpmu_pmu;
		pvpmu_cpu_pmu.attr_groups = pvpmu_cpu_attr_groups;
		ret = perf_pmu_register(&pvpmu_cpu_pmu, "cpu", PERF_TYPE_RAW);
		if (ret)
			return ret;
		pvpmu_pmu.event_init = pvpmu_event_init_forward;
	}

	ret = perf_pmu_register(&pvpmu_pmu, "pvpmu", -1);
	if (ret && pvpmu_is_cpu_pmu)
		perf_pmu_unregister(&pvpmu_cpu_pmu);
	return ret;
}

static int __init pvpmu_init(void)
{
	int ret;

	if (!hypervisor_is_type(X86_HYPER_KVM) ||
	    !kvm_para_has_feature(KVM_FEATURE_PVPMU))
		return 0;
	if (!pvpmu_read_model()) {
		pr_warn("unknown model, CAP is %#llx\n", pvpmu_model.cap);
		return -ENODEV;
	}

	pvpmu_probe_class(KVM_PVPMU_CLASS_HW);
	pvpmu_probe_class(KVM_PVPMU_CLASS_CACHE);
	pvpmu_model.countable[KVM_PVPMU_CLASS_PV] =
		pvpmu_model.offered[KVM_PVPMU_CLASS_PV];
	pvpmu_reset_registers(this_cpu_ptr(&pvpmu_cpus));

	ret = pvpmu_register();
	if (ret) {
		pvpmu_model.counters = 0;
		return ret;
	}

	pr_info("%u counters of %llu bits%s\n", pvpmu_model.counters,
		FIELD_GET(KVM_PVPMU_CAP_WIDTH, pvpmu_model.cap),
		pvpmu_is_cpu_pmu ? ", serving as the cpu PMU" : "");
	return 0;
}
early_initcall(pvpmu_init);
