// SPDX-License-Identifier: GPL-2.0
/*
 * Does the host still know what the driver programmed?
 *
 * A VMM that does not carry the registers leaves them reset after a migration.
 * Whatever starts, stops or reads an event finds that.  But a counter that only
 * interrupts stands still then, and nobody comes to see it: so while any event
 * is there, a timer does.  It costs no exit but its own.
 */
#define pr_fmt(fmt) "kvm_pvpmu: " fmt

#include <linux/hrtimer.h>
#include <linux/percpu.h>
#include <linux/time64.h>

#include "kvm_pvpmu.h"

#define PVPMU_WATCH_NS		(250 * NSEC_PER_MSEC)

static bool pvpmu_is_busy(struct pvpmu_cpu *cpu)
{
	return cpu->ready && (cpu->wanted || !list_empty(&cpu->totals));
}

/* The timer of a CPU that goes away fires on another one: it ends there. */
static enum hrtimer_restart pvpmu_watch_fire(struct hrtimer *timer)
{
	struct pvpmu_cpu *cpu = container_of(timer, struct pvpmu_cpu, watch);

	if (cpu != this_cpu_ptr(&pvpmu_cpus) || !pvpmu_is_busy(cpu))
		return HRTIMER_NORESTART;

	/* Events that stop and start, with their times up to date, mend it. */
	if (!pvpmu_is_programmed(cpu))
		pvpmu_reschedule();
	hrtimer_forward_now(timer, ns_to_ktime(PVPMU_WATCH_NS));
	return HRTIMER_RESTART;
}

/* An event has started.  Once running, the timer stays until it finds none. */
void pvpmu_watch(struct pvpmu_cpu *cpu)
{
	lockdep_assert_irqs_disabled();

	if (cpu->ready && !hrtimer_active(&cpu->watch))
		hrtimer_start(&cpu->watch, ns_to_ktime(PVPMU_WATCH_NS),
			      HRTIMER_MODE_REL_PINNED_HARD);
}

void __init pvpmu_init_watch(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct hrtimer *timer = &per_cpu(pvpmu_cpus, cpu).watch;

		hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
		timer->function = pvpmu_watch_fire;
	}
}
