// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overflow of the paravirtual PMU's counters, and the interrupt (PMI) that it
 * raises in the guest.
 *
 * A perf-backed counter learns of it from its perf event, by NMI: that sets a
 * bit and makes a request.  A PV event has a limit for its total, which is
 * compared whenever the total grows; for guest-ns a timer makes the guest exit
 * when the limit is near.  The vCPU's thread does the rest in the request's
 * handler, before it enters the guest again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/perf_event.h>
#include "lapic.h"
#include "pvpmu.h"

/* Interrupts that a vCPU was not given may be saved up for this long. */
#define PVPMU_BURST_NS		(NSEC_PER_SEC / 10)

/*
 * perf stops an event that overflows too often within a tick, and then counts
 * are lost: stay at half of what perf allows by default.
 */
#define PVPMU_PERF_PER_TICK	max(1, 50000 / HZ)

/* A period that does not end: perf rejects those with bit 63. */
#define PVPMU_NO_PERIOD		BIT_ULL(KVM_PVPMU_COUNTER_WIDTH)

/* A timer that is closer than this costs more than it is worth. */
#define PVPMU_TIMER_MIN_NS	1000UL

/*
 * The timer must leave the guest time to run, also where entering it takes
 * long, as in a nested VM: so many times that, which is estimated.
 */
#define PVPMU_ENTRY_COSTS	4
#define PVPMU_ENTRY_COST_MAX	(NSEC_PER_MSEC / 4)

static unsigned int __read_mostly min_period = 10000;
module_param_named(pvpmu_min_period, min_period, uint, 0444);
MODULE_PARM_DESC(pvpmu_min_period, "Shortest period of a hardware event that interrupts");

static unsigned int __read_mostly min_period_ns = 10000;
module_param_named(pvpmu_min_period_ns, min_period_ns, uint, 0444);
MODULE_PARM_DESC(pvpmu_min_period_ns, "Shortest period of an event in ns that interrupts");

static unsigned int __read_mostly max_rate = 20000;
module_param_named(pvpmu_max_rate, max_rate, uint, 0444);
MODULE_PARM_DESC(pvpmu_max_rate, "Interrupts per second that a vCPU gets at most");

void kvm_pvpmu_check_limits(void)
{
	if (!max_rate || max_rate > NSEC_PER_SEC) {
		pr_warn("pvpmu_max_rate=%u is out of range, using 20000\n",
			max_rate);
		max_rate = 20000;
	}
	min_period = max(min_period, 1U);
	min_period_ns = max(min_period_ns, 1U);
}

/* How much a counter counts until it overflows. */
u64 kvm_pvpmu_distance(const struct pvpmu_counter *counter)
{
	return KVM_PVPMU_COUNTER_MASK + 1 - counter->base[PVPMU_COUNT];
}

/* By the fold: the counter has passed its end, and goes on from its reload. */
void kvm_pvpmu_note_overflow(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	u64 beyond = counter->base[PVPMU_COUNT] - KVM_PVPMU_COUNTER_MASK - 1;
	u64 reload = kvm_pvpmu_read_reload(vcpu, idx);

	lockdep_assert_held(&pvpmu->lock);

	counter->overflows++;
	if (reload) {
		counter->overflows += div64_u64_rem(beyond, reload, &beyond);
		beyond += KVM_PVPMU_COUNTER_MASK + 1 - reload;
	}
	counter->base[PVPMU_COUNT] = beyond & KVM_PVPMU_COUNTER_MASK;
	counter->reload = reload;
	counter->must_arm = true;

	pvpmu->stale |= BIT(idx);
	pvpmu->status |= KVM_PVPMU_STATUS_OVERFLOW(idx);
	if (counter->evtsel & KVM_PVPMU_EVTSEL_INT)
		pvpmu->pmi = true;
}

/* Any context, also NMI: no lock, no kick.  The NMI itself made the guest exit. */
void kvm_pvpmu_overflow_handler(struct perf_event *event,
				struct perf_sample_data *data,
				struct pt_regs *regs)
{
	struct pvpmu_event *backing = event->overflow_handler_context;
	struct kvm_vcpu *vcpu = backing->vcpu;
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	set_bit(backing - pvpmu->events, &pvpmu->overflowed);
	WRITE_ONCE(pvpmu->wake, true);
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

static void note_throttled(struct kvm_pvpmu *pvpmu)
{
	pvpmu->status |= KVM_PVPMU_STATUS_THROTTLED;
}

/* No interrupt, neither of the vCPU nor for it, before then. */
static void wait_until(struct kvm_pvpmu *pvpmu, u64 time)
{
	note_throttled(pvpmu);
	if (pvpmu->pmi_waits)
		return;

	WRITE_ONCE(pvpmu->pmi_waits, true);
	pvpmu->wait_end = time;
	WRITE_ONCE(pvpmu->timer_armed, false);
}

static bool too_many_in_tick(struct kvm_pvpmu *pvpmu)
{
	if (time_after(jiffies, pvpmu->tick)) {
		pvpmu->tick = jiffies;
		pvpmu->tick_overflows = 0;
	}
	return ++pvpmu->tick_overflows > PVPMU_PERF_PER_TICK;
}

/*
 * The period for the perf event of a counter that overflows after @distance.
 * While the vCPU may not be interrupted, nor is the host.
 */
u64 kvm_pvpmu_perf_period(struct kvm_vcpu *vcpu, u64 distance)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (pvpmu->pmi_waits || too_many_in_tick(pvpmu)) {
		wait_until(pvpmu, ktime_get_ns() + TICK_NSEC);
		return PVPMU_NO_PERIOD;
	}
	if (distance >= min_period)
		return distance;

	note_throttled(pvpmu);
	return min_period;
}

static bool is_in_ns(u32 event)
{
	return event == KVM_PVPMU_PV_GUEST_NS ||
	       event == KVM_PVPMU_PV_HALT_POLL_NS ||
	       event == KVM_PVPMU_PV_STEAL_NS;
}

/* Without an interrupt, an overflow only has to show before the next entry. */
static void set_limit(struct kvm_pvpmu *pvpmu, struct pvpmu_counter *counter)
{
	bool interrupts = counter->config & KVM_PVPMU_EVTSEL_INT;
	u64 event = counter->config & KVM_PVPMU_EVTSEL_EVENT;
	u64 distance = kvm_pvpmu_distance(counter);
	u64 limit;

	if (interrupts && is_in_ns(event) && distance < min_period_ns) {
		note_throttled(pvpmu);
		distance = min_period_ns;
	}
	limit = counter->prev[PVPMU_COUNT] + distance;
	if (interrupts && event == KVM_PVPMU_PV_GUEST_NS)
		pvpmu->ns_limit = min(pvpmu->ns_limit, limit);

	event = array_index_nospec(event, KVM_PVPMU_PV_MAX);
	pvpmu->limit[event] = min(pvpmu->limit[event], limit);
	pvpmu->has_limits = true;
}

/* The totals at which the first of the counters that use them overflows. */
void kvm_pvpmu_set_limits(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	lockdep_assert_held(&pvpmu->lock);

	if (pvpmu->has_limits) {
		memset(pvpmu->limit, 0xff, sizeof(pvpmu->limit));
		pvpmu->ns_limit = U64_MAX;
		pvpmu->has_limits = false;
	}
	/* What overflows while the interrupt waits is found when it ends. */
	for (i = 0; i < nr && !pvpmu->pmi_waits; i++) {
		struct pvpmu_counter *counter = &pvpmu->counters[i];

		if (counter->backend == PVPMU_PV)
			set_limit(pvpmu, counter);
	}
	if (pvpmu->ns_limit < pvpmu->timer_limit)
		WRITE_ONCE(pvpmu->timer_armed, false);
}

/* By the vCPU's thread, maybe with interrupts off. */
void kvm_pvpmu_limit_reached(struct kvm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->arch.pvpmu->wake, true);
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

/*
 * The vCPU's share of interrupts: each one moves pmi_time on by its part of a
 * second, and pmi_time may not be ahead of the clock.
 */
static bool take_share(struct kvm_pvpmu *pvpmu)
{
	u64 now = ktime_get_ns();

	if (pvpmu->pmi_time + PVPMU_BURST_NS < now)
		pvpmu->pmi_time = now - PVPMU_BURST_NS;
	if (pvpmu->pmi_time > now)
		return false;

	pvpmu->pmi_time += NSEC_PER_SEC / max_rate;
	return true;
}

/* What waited is armed again: its perf events had no period meanwhile. */
static void end_wait(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	WRITE_ONCE(pvpmu->pmi_waits, false);
	for (i = 0; i < nr; i++)
		pvpmu->counters[i].must_arm = true;
}

/* Nothing is lost where LVTPC is masked: GLOBAL_STATUS tells. */
void kvm_pvpmu_deliver_pmi(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u32 lvtpc;

	lockdep_assert_held(&pvpmu->lock);

	if (pvpmu->pmi_waits) {
		if (ktime_get_ns() < pvpmu->wait_end)
			return;
		end_wait(vcpu);
	}
	if (!pvpmu->pmi)
		return;
	if (!take_share(pvpmu)) {
		wait_until(pvpmu, pvpmu->pmi_time);
		return;
	}

	pvpmu->pmi = false;
	if (!lapic_in_kernel(vcpu) ||
	    !kvm_apic_local_deliver(vcpu->arch.apic, APIC_LVTPC))
		return;

	lvtpc = kvm_lapic_get_reg(vcpu->arch.apic, APIC_LVTPC);
	if (GET_APIC_DELIVERY_MODE(lvtpc) == APIC_MODE_NMI)
		pvpmu->nmi = true;
	++vcpu->stat.pvpmu_pmis;
	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_SELF_PMIS, 1);
}

/* The timer. */

static u64 ns_until_limit(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 limit = pvpmu->ns_limit;
	u64 total = local64_read(&pvpmu->totals->total[KVM_PVPMU_PV_GUEST_NS]);

	if (limit == U64_MAX)
		return U64_MAX;
	return limit > total ? limit - total : 0;
}

static u64 ns_until_pmi(struct kvm_pvpmu *pvpmu)
{
	u64 now = ktime_get_ns();

	if (!pvpmu->pmi_waits)
		return U64_MAX;
	return pvpmu->wait_end > now ? pvpmu->wait_end - now : 0;
}

/*
 * Before each VM entry, interrupts off.  The timer is not moved at each of
 * them: it fires, and is then set for what the guest still has to run.
 */
void kvm_pvpmu_arm_timer(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 ns;

	lockdep_assert_irqs_disabled();

	if ((!pvpmu->has_limits && !pvpmu->pmi_waits) ||
	    READ_ONCE(pvpmu->timer_armed))
		return;

	ns = min(ns_until_limit(vcpu), ns_until_pmi(pvpmu));
	if (ns == U64_MAX)
		return;

	ns = max3(ns, pvpmu->entry_cost * PVPMU_ENTRY_COSTS, PVPMU_TIMER_MIN_NS);
	pvpmu->timer_ns = ns;
	pvpmu->timer_limit = pvpmu->ns_limit;
	WRITE_ONCE(pvpmu->timer_armed, true);
	hrtimer_start(&pvpmu->timer, ns_to_ktime(ns),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * After an exit by the timer that was set at the entry before it: what the
 * guest was there for longer is what entering and leaving it takes.
 */
void kvm_pvpmu_learn_entry_cost(struct kvm_vcpu *vcpu, u64 ns)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 cost = ns > pvpmu->timer_ns ? ns - pvpmu->timer_ns : 0;

	pvpmu->timer_ns = 0;
	if (!kvm_pvpmu_interrupted_host(vcpu))
		return;

	cost = min_t(u64, cost, PVPMU_ENTRY_COST_MAX);
	pvpmu->entry_cost = (3 * pvpmu->entry_cost + cost) / 4;
}

/*
 * If the vCPU runs here, the timer's interrupt has made it exit: the totals
 * are right by now, and the next VM entry sees to the rest.
 */
static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct kvm_pvpmu *pvpmu = container_of(timer, struct kvm_pvpmu, timer);
	struct kvm_vcpu *vcpu = pvpmu->events[0].vcpu;

	WRITE_ONCE(pvpmu->timer_armed, false);
	if (READ_ONCE(pvpmu->pmi_waits)) {
		/* Nobody waits for it to end if nothing has happened. */
		if (READ_ONCE(pvpmu->pmi))
			WRITE_ONCE(pvpmu->wake, true);
		kvm_make_request(KVM_REQ_PVPMU, vcpu);
		kvm_vcpu_kick(vcpu);
	} else if (READ_ONCE(vcpu->mode) == IN_GUEST_MODE) {
		kvm_vcpu_kick(vcpu);
	}
	return HRTIMER_NORESTART;
}

/* Was it pvpmu's own timer or perf event that interrupted the guest? */
bool kvm_pvpmu_interrupted_host(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (READ_ONCE(pvpmu->overflowed))
		return true;
	return READ_ONCE(pvpmu->timer_armed) &&
	       hrtimer_get_expires_ns(&pvpmu->timer) <= ktime_get_ns();
}

void kvm_pvpmu_init_overflow(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;

	memset(pvpmu->limit, 0xff, sizeof(pvpmu->limit));
	pvpmu->ns_limit = U64_MAX;
	for (i = 0; i < ARRAY_SIZE(pvpmu->events); i++)
		pvpmu->events[i].vcpu = vcpu;

	hrtimer_init(&pvpmu->timer, CLOCK_MONOTONIC,
		     HRTIMER_MODE_REL_PINNED_HARD);
	pvpmu->timer.function = timer_fired;
}

void kvm_pvpmu_destroy_overflow(struct kvm_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->arch.pvpmu->timer);
}
