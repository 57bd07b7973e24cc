// SPDX-License-Identifier: GPL-2.0
/*
 * Sampling with pvpmu: periods, and the interrupt that a counter raises.
 *
 * The host re-arms a counter from its entry's reload, so that an interrupt
 * needs no access to a register.  Which counters overflowed, the entries tell.
 */
#define pr_fmt(fmt) "kvm_pvpmu: " fmt

#include <linux/bitops.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>

#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/processor.h>

#include "kvm_pvpmu.h"

/* What the event still has to count in its period, as perf's PMUs keep it. */
static u64 pvpmu_period_left(struct perf_event *event)
{
	struct hw_perf_event *hwc = &event->hw;
	s64 left = local64_read(&hwc->period_left);
	s64 period = hwc->sample_period;

	if (left <= -period)
		left = period;
	else if (left <= 0)
		left += period;
	if (left > period)
		left = period;

	local64_set(&hwc->period_left, left);
	return min_t(u64, left, PVPMU_COUNTER_MASK);
}

static void pvpmu_set_reload(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	WRITE_ONCE(cpu->page->entries[event->hw.idx].reload,
		   min_t(u64, event->hw.sample_period, PVPMU_COUNTER_MASK));
}

/* The counter begins where it overflows after what is left of the period. */
void pvpmu_load_period(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	struct kvm_pvpmu_entry *entry = &cpu->page->entries[event->hw.idx];

	pvpmu_mark_dirty(cpu, event->hw.idx);
	WRITE_ONCE(entry->value,
		   -pvpmu_period_left(event) & PVPMU_COUNTER_MASK);
	pvpmu_set_reload(cpu, event);
}

/*
 * After an overflow the host has gone on with the reload that it found, and
 * takes a new one with the next overflow.  Where that is too long to wait, as
 * while a frequency settles, load the counter anew.
 */
static void pvpmu_follow_period(struct pvpmu_cpu *cpu, struct perf_event *event)
{
	struct kvm_pvpmu_entry *entry = &cpu->page->entries[event->hw.idx];
	u64 left = -READ_ONCE(entry->value) & PVPMU_COUNTER_MASK;
	u64 period = event->hw.sample_period;

	local64_set(&event->hw.period_left, left);
	pvpmu_set_reload(cpu, event);
	if (period <= 2 * left && left <= 2 * period)
		return;

	local64_set(&event->hw.period_left, period);
	pvpmu_load_period(cpu, event);
}

/* An event of user space, found late, must not show where the kernel is. */
static struct pt_regs *pvpmu_sample_regs(struct perf_event *event,
					 struct pt_regs *regs)
{
	if (!event->attr.exclude_kernel || user_mode(regs))
		return regs;

	return task_pt_regs(current);
}

static void pvpmu_sample(struct pvpmu_cpu *cpu, int idx, struct pt_regs *regs)
{
	struct perf_event *event = cpu->counters[idx].event;
	struct perf_sample_data data;
	struct pvpmu_reading reading;
	u64 count;

	/* The overflow has brought the entry up to date. */
	pvpmu_copy_entry(cpu->page, idx, &reading);
	pvpmu_fold_reading(cpu, idx, &reading);

	/* What the sample stands for, also if the host was late or merged some. */
	count = local64_read(&event->count);
	if (count < event->hw.event_base)
		event->hw.event_base = 0;	/* PERF_EVENT_IOC_RESET */
	event->hw.last_period = count - event->hw.event_base;
	event->hw.event_base = count;

	perf_sample_data_init(&data, 0, event->hw.last_period);
	if (perf_event_overflow(event, &data, pvpmu_sample_regs(event, regs)))
		event->pmu->stop(event, 0);
	else
		pvpmu_follow_period(cpu, event);
}

static bool pvpmu_has_overflowed(struct pvpmu_cpu *cpu, int idx)
{
	struct pvpmu_counter *counter = &cpu->counters[idx];
	u32 overflows = READ_ONCE(cpu->page->entries[idx].overflows);

	if (overflows == counter->overflows)
		return false;

	counter->overflows = overflows;
	return true;
}

/* Returns how many counters had overflowed.  Disabled, so that none starts. */
static int pvpmu_handle_overflows(struct pvpmu_cpu *cpu, struct pt_regs *regs)
{
	unsigned long wanted = cpu->wanted;
	int i, handled = 0;

	for_each_set_bit(i, &wanted, KVM_PVPMU_MAX_COUNTERS) {
		if (!pvpmu_has_overflowed(cpu, i) ||
		    !is_sampling_event(cpu->counters[i].event))
			continue;
		pvpmu_sample(cpu, i, regs);
		handled++;
	}
	return handled;
}

/*
 * An interrupt that came while the driver had disabled the PMU.  What is
 * sampled is then where that was: in perf itself.
 */
void pvpmu_handle_waiting(struct pvpmu_cpu *cpu)
{
	struct pt_regs regs;

	if (!cpu->pmi_waits || cpu->disabled > 1 || in_nmi())
		return;

	WRITE_ONCE(cpu->pmi_waits, false);
	perf_fetch_caller_regs(&regs);
	pvpmu_handle_overflows(cpu, &regs);
}

/*
 * Is this NMI from pvpmu?  The host counts those that it raised.  One more may
 * be latched while one is handled, but not two.
 */
static bool pvpmu_claim_nmi(struct pvpmu_cpu *cpu)
{
	u32 pmis = READ_ONCE(cpu->page->totals[KVM_PVPMU_PV_SELF_PMIS]);

	if (pmis == cpu->pmis)
		return false;

	if (pmis - cpu->pmis > 2)
		cpu->pmis = pmis - 2;
	cpu->pmis++;
	return true;
}

/* Intel's local APIC masks the interrupt when it delivers it. */
static void pvpmu_unmask(void)
{
	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON)
		apic_write(APIC_LVTPC, APIC_DM_NMI);
}

static int pvpmu_handle_nmi(unsigned int cmd, struct pt_regs *regs)
{
	struct pvpmu_cpu *cpu = this_cpu_ptr(&pvpmu_cpus);
	int handled = 0;
	bool is_ours;

	if (!cpu->ready)
		return NMI_DONE;

	is_ours = pvpmu_claim_nmi(cpu);
	if (is_ours)
		pvpmu_unmask();

	if (cpu->disabled) {
		WRITE_ONCE(cpu->pmi_waits, true);
		return is_ours;
	}

	cpu->disabled++;
	handled = pvpmu_handle_overflows(cpu, regs);
	cpu->disabled--;
	if (cpu->dirty & cpu->wanted || cpu->ctrl != cpu->wanted)
		pvpmu_set_ctrl(cpu, cpu->wanted);
	return max_t(int, handled, is_ours);
}

/* Whether it can sample. */
bool __init pvpmu_init_sampling(void)
{
	return pvpmu_can_interrupt() && boot_cpu_has(X86_FEATURE_APIC) &&
	       !register_nmi_handler(NMI_LOCAL, pvpmu_handle_nmi, 0, "pvpmu");
}
