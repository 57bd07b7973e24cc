// SPDX-License-Identifier: GPL-2.0
/*
 * Driver for pvpmu, the paravirtual PMU of KVM guests.
 *
 * The registers and their rules are in Documentation/virt/kvm/x86/pvpmu.rst.
 * Each access to one of them is a VM exit, so the driver saves accesses:
 *
 *  - A counter is not written when it starts to count.  It stands still while
 *    it is off, so what was last read is the base of whatever it counts next.
 *    The same goes for its times.
 *  - GLOBAL_CTRL is written at most twice between pmu_disable() and
 *    pmu_enable(): 0 when the first counter that runs is stopped, and the new
 *    mask at the end.  With the counter page these two are all that a context
 *    switch between tasks with different events costs.
 *  - What KVM counts is read from the page and needs no counter, unless it is
 *    to be sampled.
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

#include "perf_event.h"
#include "kvm_pvpmu.h"

/* hw.idx of an event that reads a total and has no counter. */
#define PVPMU_IDX_TOTAL		KVM_PVPMU_MAX_COUNTERS

static struct pmu pvpmu_pmu;
static struct pmu pvpmu_cpu_pmu;
static bool pvpmu_is_cpu_pmu __ro_after_init;

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
static void pvpmu_account_host_time(struct pvpmu_counter *counter, u64 count,
				    const struct pvpmu_reading *reading)
{
	u64 span = pvpmu_event_time(counter->event) - counter->since;
	u64 d_enabled, d_running, lost;

	d_enabled = reading->enabled - counter->enabled;
	d_running = min(reading->running - counter->running, d_enabled);
	counter->enabled = reading->enabled;
	counter->running = reading->running;

	if (d_enabled)
		lost = mul_u64_u64_div_u64(span, d_enabled - d_running, d_enabled);
	else
		lost = count ? 0 : span;

	pvpmu_lose_time(counter, lost);
}

static bool pvpmu_is_perf_backed(u64 evtsel)
{
	return FIELD_GET(KVM_PVPMU_EVTSEL_CLASS, evtsel) != KVM_PVPMU_CLASS_PV;
}

/* By registers, each of the times is an exit: only where they are of use. */
static void pvpmu_account_time(struct pvpmu_cpu *cpu, int idx, u64 count,
			       struct pvpmu_reading *reading)
{
	struct pvpmu_counter *counter = &cpu->counters[idx];

	/* Without new event time there is nothing to share out yet. */
	if (!pvpmu_is_perf_backed(counter->evtsel) ||
	    pvpmu_event_time(counter->event) == counter->since)
		return;

	if (!cpu->page) {
		reading->enabled = pvpmu_read(MSR_KVM_PVPMU_ENABLED_NS(idx));
		reading->running = pvpmu_read(MSR_KVM_PVPMU_RUNNING_NS(idx));
	}
	pvpmu_account_host_time(counter, count, reading);
}

/* The same reading for an NMI and what it interrupts counts once. */
static u64 pvpmu_advance(struct perf_event *event, u64 now, u64 mask)
{
	s64 prev = local64_read(&event->hw.prev_count);
	u64 delta;

	do {
		delta = (now - prev) & mask;
		/* A reading that is older than the other's: nothing is new. */
		if (delta > mask / 2)
			return 0;
	} while (!local64_try_cmpxchg(&event->hw.prev_count, &prev, now));

	return delta;
}

/* Events that read a total. */

static bool pvpmu_reads_total(struct perf_event *event)
{
	return event->hw.idx == PVPMU_IDX_TOTAL;
}

static unsigned int pvpmu_event_number(struct perf_event *event)
{
	return FIELD_GET(KVM_PVPMU_EVTSEL_EVENT, event->hw.config_base);
}

static void pvpmu_restart(struct pvpmu_cpu *cpu);

/*
 * Program everything anew, unless an NMI found it: then what comes next does.
 * Not on a CPU that has given up its page, and not twice.
 */
static void pvpmu_recover(struct pvpmu_cpu *cpu)
{
	if (!in_nmi() && cpu->ready && !cpu->restarting)
		pvpmu_restart(cpu);
}

static u64 pvpmu_total(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	u64 total;

	if (!pvpmu_read_total(cpu, pvpmu_event_number(event), &total)) {
		pvpmu_recover(cpu);
		pvpmu_read_total(cpu, pvpmu_event_number(event), &total);
	}
	return total;
}

static void pvpmu_fold_total(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	u64 delta;

	if (!cpu->ready)
		return;

	delta = pvpmu_advance(event, pvpmu_total(cpu, event), U64_MAX);
	local64_add(delta, &event->count);
	/* Where a time without a host that counts would begin. */
	if (!in_nmi())
		local64_set(&event->hw.period_left, pvpmu_event_time(event));
}

/*
 * Nobody kept the page up to date for @gap ns, and it goes on from where it was.
 * On a CPU that was away, all was folded before, or starts only now.
 */
static void pvpmu_restart_total(struct pvpmu_cpu *cpu, struct perf_event *event,
				bool was_away, u64 gap)
{
	u64 now = pvpmu_event_time(event);
	u64 span = now - local64_read(&event->hw.period_left);

	if (was_away) {
		local64_set(&event->hw.prev_count, pvpmu_total(cpu, event));
		gap = span;
	}
	event->total_time_running -= min(gap, span);
	local64_set(&event->hw.period_left, now);
}

/* Events that have a counter. */

static void pvpmu_restart_counter(struct pvpmu_cpu *cpu, int idx)
{
	struct perf_event *event = cpu->counters[idx].event;

	pvpmu_lose_all_time(&cpu->counters[idx]);
	local64_set(&event->hw.prev_count, cpu->counters[idx].value);
	if (!(cpu->wanted & BIT(idx)))
		return;

	pvpmu_set_evtsel(cpu, idx, event->hw.config_base);
	if (is_sampling_event(event))
		pvpmu_load_period(cpu, event);
}

/*
 * Program everything that should run anew: the registers were reset behind the
 * driver's back.  What a counter has counted since its last reading is lost,
 * also of one that is just being stopped, and so is that time.
 */
static void pvpmu_restart(struct pvpmu_cpu *cpu)
{
	unsigned long lost = (cpu->wanted | cpu->ran) & cpu->used;
	bool was_away = !cpu->ready;
	struct perf_event *event;
	u64 gap = 0;
	int i;

	cpu->restarting = true;
	if (cpu->page && !was_away)
		gap = pvpmu_page_age(cpu);
	pvpmu_reset_registers(cpu);

	for_each_set_bit(i, &lost, KVM_PVPMU_MAX_COUNTERS)
		pvpmu_restart_counter(cpu, i);
	list_for_each_entry(event, &cpu->totals, active_entry)
		pvpmu_restart_total(cpu, event, was_away, gap);

	if (!cpu->disabled && !pvpmu_set_ctrl(cpu, cpu->wanted))
		pvpmu_shut_down();
	cpu->restarting = false;
}

static void pvpmu_apply_wanted(struct pvpmu_cpu *cpu)
{
	if (!cpu->disabled && cpu->ready && !pvpmu_set_ctrl(cpu, cpu->wanted))
		pvpmu_recover(cpu);
}

/* Add to the event what its counter has counted since the last call. */
void pvpmu_fold_reading(struct pvpmu_cpu *cpu, int idx,
			struct pvpmu_reading *reading)
{
	u64 mask = cpu->page ? U64_MAX : PVPMU_COUNTER_MASK;
	struct perf_event *event = cpu->counters[idx].event;
	u64 delta = pvpmu_advance(event, reading->count, mask);

	local64_add(delta, &event->count);
	if (is_sampling_event(event))
		local64_sub(delta, &event->hw.period_left);

	/* The times are not for NMIs: the code that they interrupt uses them. */
	if (!in_nmi())
		pvpmu_account_time(cpu, idx, delta, reading);
}

static void pvpmu_fold(struct pvpmu_cpu *cpu, int idx)
{
	struct pvpmu_reading reading;

	if (!pvpmu_read_counter(cpu, idx, &reading)) {
		pvpmu_recover(cpu);
		return;
	}
	pvpmu_fold_reading(cpu, idx, &reading);
	if (!(cpu->ctrl & BIT(idx)))
		cpu->ran &= ~BIT(idx);
}

/* struct pmu: counting */

static void pvpmu_disable(struct pvpmu_cpu *cpu)
{
	cpu->disabled++;
	barrier();
}

/* An interrupt that came meanwhile left its work to this. */
static void pvpmu_enable(struct pvpmu_cpu *cpu)
{
	do {
		pvpmu_handle_waiting(cpu);
		barrier();
		cpu->disabled--;
		pvpmu_apply_wanted(cpu);
		barrier();
	} while (READ_ONCE(cpu->pmi_waits) && !cpu->disabled && ++cpu->disabled);
}

static void pvpmu_pmu_enable(struct pmu *pmu)
{
	pvpmu_enable(this_cpu_ptr(&pvpmu_cpus));
}

/* The counters run on until one is stopped: often none is. */
static void pvpmu_pmu_disable(struct pmu *pmu)
{
	pvpmu_disable(this_cpu_ptr(&pvpmu_cpus));
}

static void pvpmu_start_total(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	local64_set(&event->hw.period_left, pvpmu_event_time(event));
	if (cpu->ready)
		local64_set(&event->hw.prev_count, pvpmu_total(cpu, event));
	list_add(&event->active_entry, &cpu->totals);
}

static void pvpmu_start_counter(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	struct pvpmu_counter *counter = &cpu->counters[event->hw.idx];
	int idx = event->hw.idx;

	counter->since = pvpmu_event_time(event);
	local64_set(&event->hw.prev_count, counter->value);
	pvpmu_set_evtsel(cpu, idx, event->hw.config_base);
	if (is_sampling_event(event))
		pvpmu_load_period(cpu, event);
	cpu->wanted |= BIT(idx);
}

static void pvpmu_event_start(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	lockdep_assert_irqs_disabled();

	if (WARN_ON_ONCE(!(event->hw.state & PERF_HES_STOPPED)))
		return;

	pvpmu_disable(cpu);
	if (unlikely(!cpu->ready && !cpu->away))
		pvpmu_restart(cpu);
	event->hw.state = 0;
	if (pvpmu_reads_total(event))
		pvpmu_start_total(cpu, event);
	else
		pvpmu_start_counter(cpu, event);
	pvpmu_enable(cpu);
	pvpmu_watch(cpu);
}

static void pvpmu_stop_total(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	pvpmu_fold_total(cpu, event);
	list_del(&event->active_entry);
}

/* Also by an NMI, for an event that interrupts too often. */
static void pvpmu_stop_counter(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	int idx = event->hw.idx;

	cpu->wanted &= ~BIT(idx);
	if (cpu->ctrl & BIT(idx) &&
	    !pvpmu_set_ctrl(cpu, cpu->disabled > 1 ? 0 : cpu->wanted))
		pvpmu_recover(cpu);
	if (cpu->ran & BIT(idx)) {
		pvpmu_fold(cpu, idx);
		cpu->counters[idx].value = local64_read(&event->hw.prev_count);
	}
}

static void pvpmu_event_stop(struct perf_event *event, int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	if (event->hw.state & PERF_HES_STOPPED)
		return;

	pvpmu_disable(cpu);
	if (pvpmu_reads_total(event))
		pvpmu_stop_total(cpu, event);
	else
		pvpmu_stop_counter(cpu, event);
	event->hw.state |= PERF_HES_STOPPED | PERF_HES_UPTODATE;
	pvpmu_enable(cpu);
}

static void pvpmu_event_read(struct perf_event *event)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	if (event->hw.state & PERF_HES_STOPPED)
		return;
	if (pvpmu_reads_total(event))
		pvpmu_fold_total(cpu, event);
	else if (cpu->ran & BIT(event->hw.idx))
		pvpmu_fold(cpu, event->hw.idx);
}

/*
 * While perf reads a group, one exit brings all of its counters' entries up to
 * date.  While it schedules a group in, nothing is to run, as with any PMU.
 */
static void pvpmu_start_txn(struct pmu *pmu, unsigned int flags)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	cpu->txn_fresh = false;
	cpu->txn = flags;
	if (flags == PERF_PMU_TXN_ADD)
		perf_pmu_disable(pmu);
}

static void pvpmu_end_txn(struct pmu *pmu)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	unsigned int flags = cpu->txn;

	cpu->txn = 0;
	cpu->txn_fresh = false;
	if (flags == PERF_PMU_TXN_ADD)
		perf_pmu_enable(pmu);
}

static int pvpmu_commit_txn(struct pmu *pmu)
{
	pvpmu_end_txn(pmu);
	return 0;
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

/* Neither a counter nor an exit, for what KVM counts and nobody samples. */
static bool pvpmu_needs_counter(struct perf_event *event)
{
	return !(pvpmu_model.cap & KVM_PVPMU_CAP_PAGE) ||
	       is_sampling_event(event) ||
	       pvpmu_is_perf_backed(event->hw.config_base);
}

static int pvpmu_assign_counter(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	int idx = PVPMU_IDX_TOTAL;

	if (pvpmu_needs_counter(event)) {
		idx = pvpmu_find_counter(cpu, event->hw.config_base);
		if (idx < 0)
			return idx;
		cpu->counters[idx].event = event;
		cpu->used |= BIT(idx);
	}
	event->hw.idx = idx;
	return 0;
}

static int pvpmu_event_add(struct perf_event *event, int flags)
{
	int ret = pvpmu_assign_counter(this_cpu_ptr(&pvpmu_cpus), event);

	if (ret)
		return ret;

	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;

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
	if (idx != PVPMU_IDX_TOTAL) {
		cpu->used &= ~BIT(idx);
		cpu->counters[idx].event = NULL;
	}
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

/* What pvpmu itself causes is never sampled: it would feed on itself. */
static bool pvpmu_is_own_event(int config)
{
	return config == PVPMU_CONFIG(KVM_PVPMU_CLASS_PV,
				      KVM_PVPMU_PV_SELF_EXITS) ||
	       config == PVPMU_CONFIG(KVM_PVPMU_CLASS_PV,
				      KVM_PVPMU_PV_SELF_PMIS);
}

/*
 * Without overflow interrupts there is a substitute for cycles, which perf
 * takes when the event does not exist.
 */
static int pvpmu_check_sampling(struct perf_event *event, int config)
{
	struct perf_event_attr *attr = &event->attr;

	if (attr->precise_ip || has_branch_stack(event))
		return -EOPNOTSUPP;
	if (!is_sampling_event(event))
		return 0;
	if (pvpmu_is_own_event(config))
		return -EOPNOTSUPP;
	if (pvpmu_can_interrupt())
		return !attr->freq && attr->sample_period > PVPMU_COUNTER_MASK ?
			-EINVAL : 0;
	if (attr->type == PERF_TYPE_HARDWARE &&
	    attr->config == PERF_COUNT_HW_CPU_CYCLES)
		return -ENOENT;

	return -EOPNOTSUPP;
}

static bool pvpmu_takes_counter(struct perf_event *event, struct pmu *pmu)
{
	return event->pmu == pmu && pvpmu_needs_counter(event);
}

/* A group that is larger than the PMU could never be scheduled. */
static int pvpmu_check_group(struct perf_event *event)
{
	struct perf_event *sibling, *leader = event->group_leader;
	unsigned int nr = pvpmu_needs_counter(event);

	if (leader == event)
		return 0;
	nr += pvpmu_takes_counter(leader, event->pmu);
	for_each_sibling_event(sibling, leader)
		nr += pvpmu_takes_counter(sibling, event->pmu);

	return nr > pvpmu_model.counters ? -EINVAL : 0;
}

/*
 * A rate of time is a period, as with perf's own clocks.  The search for one
 * would begin with an interrupt after each nanosecond, and again whenever the
 * vCPU was idle.
 */
static void pvpmu_fix_period(struct perf_event *event, int config)
{
	struct perf_event_attr *attr = &event->attr;
	struct hw_perf_event *hwc = &event->hw;

	if (config != PVPMU_CONFIG(KVM_PVPMU_CLASS_PV, KVM_PVPMU_PV_GUEST_NS) ||
	    !attr->freq || !is_sampling_event(event))
		return;

	attr->sample_period = div64_u64(NSEC_PER_SEC, attr->sample_freq);
	attr->freq = 0;
	hwc->sample_period = attr->sample_period;
	hwc->last_period = attr->sample_period;
	local64_set(&hwc->period_left, attr->sample_period);
}

static int pvpmu_event_setup(struct perf_event *event, int config)
{
	struct perf_event_attr *attr = &event->attr;
	u64 evtsel = config | KVM_PVPMU_EVTSEL_EN;

	if (!attr->exclude_user)
		evtsel |= KVM_PVPMU_EVTSEL_USR;
	if (!attr->exclude_kernel)
		evtsel |= KVM_PVPMU_EVTSEL_OS;
	if (is_sampling_event(event))
		evtsel |= KVM_PVPMU_EVTSEL_INT;

	event->hw.config_base = evtsel;
	event->hw.event_base = 0;	/* the count at the last sample */
	event->hw.idx = -1;
	pvpmu_fix_period(event, config);
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

	ret = pvpmu_check_sampling(event, config);
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
	.start_txn	= pvpmu_start_txn,
	.commit_txn	= pvpmu_commit_txn,
	.cancel_txn	= pvpmu_end_txn,
};

/* Stop and start all events of this CPU. */
void pvpmu_reschedule(void)
{
	perf_pmu_resched(pvpmu_is_cpu_pmu ? &pvpmu_cpu_pmu : &pvpmu_pmu);
}

/* CPUs that come and go */

/*
 * Called for a CPU that comes up, and for the boot CPU after a suspend.  perf
 * may have started events on the CPU before this.
 */
void kvm_pvpmu_guest_online(void)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);

	lockdep_assert_irqs_disabled();

	if (!pvpmu_model.counters)
		return;

	cpu->away = false;
	pvpmu_restart(cpu);
}

/*
 * Called before a CPU goes away, and on shutdown, when the next kernel must
 * find the counters at rest and have its memory for itself.
 */
void kvm_pvpmu_guest_offline(bool shutdown)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	unsigned long running = cpu->wanted & cpu->ran;
	struct perf_event *event;
	int i;

	if (!pvpmu_model.counters)
		return;
	if (shutdown) {
		pvpmu_release_registers(cpu);
		pvpmu_shut_down();
		return;
	}

	pvpmu_disable(cpu);
	pvpmu_set_ctrl(cpu, 0);
	for_each_set_bit(i, &running, KVM_PVPMU_MAX_COUNTERS)
		pvpmu_fold(cpu, i);
	list_for_each_entry(event, &cpu->totals, active_entry)
		pvpmu_fold_total(cpu, event);
	pvpmu_release_registers(cpu);
	cpu->away = true;
	pvpmu_enable(cpu);
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
	if (!pvpmu_init_sampling())
		pvpmu_pmu.capabilities |= PERF_PMU_CAP_NO_INTERRUPT;

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

static void __init pvpmu_start_boot_cpu(void)
{
	unsigned long flags;

	local_irq_save(flags);
	pvpmu_reset_registers(this_cpu_ptr(&pvpmu_cpus));
	local_irq_restore(flags);
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
	pvpmu_alloc_pages();
	pvpmu_init_watch();
	pvpmu_start_boot_cpu();

	ret = pvpmu_register();
	if (ret) {
		pvpmu_model.counters = 0;
		return ret;
	}

	pr_info("%u counters of %llu bits%s%s\n", pvpmu_model.counters,
		FIELD_GET(KVM_PVPMU_CAP_WIDTH, pvpmu_model.cap),
		pvpmu_can_interrupt() ? ", sampling" : "",
		pvpmu_is_cpu_pmu ? ", serving as the cpu PMU" : "");
	return 0;
}
early_initcall(pvpmu_init);
