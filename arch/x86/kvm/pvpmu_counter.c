// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of the paravirtual PMU: what stands behind each enabled counter,
 * and the one place where that becomes the value which the guest sees.
 *
 * Nothing here is called in atomic context: perf takes mutexes and cross-calls.
 * Events are created and enabled only from the request's handler, that is by
 * the thread that runs the vCPU; they may be read and stopped from any.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/nospec.h>
#include <linux/perf_event.h>
#include <linux/sched/clock.h>
#include "x86.h"
#include "pmu.h"
#include "pvpmu.h"
#include "pvpmu_trace.h"

/* How long a perf event is kept after the guest stopped its counter. */
#define PVPMU_IDLE_JIFFIES	HZ

/* Two counters with the same configuration can use the same perf event. */
#define PVPMU_CONFIG		(KVM_PVPMU_EVTSEL_EVENT | \
				 KVM_PVPMU_EVTSEL_CLASS | \
				 KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS | \
				 KVM_PVPMU_EVTSEL_INT)

static unsigned int config_class(u64 config)
{
	return (config & KVM_PVPMU_EVTSEL_CLASS) >>
		KVM_PVPMU_EVTSEL_CLASS_SHIFT;
}

/* The perf events that the guest's numbers stand for. */

static const u64 hw_events[] = {
	[KVM_PVPMU_HW_CYCLES]		= PERF_COUNT_HW_CPU_CYCLES,
	[KVM_PVPMU_HW_INSTRUCTIONS]	= PERF_COUNT_HW_INSTRUCTIONS,
	[KVM_PVPMU_HW_REF_CYCLES]	= PERF_COUNT_HW_REF_CPU_CYCLES,
	[KVM_PVPMU_HW_BRANCHES]		= PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
	[KVM_PVPMU_HW_BRANCH_MISSES]	= PERF_COUNT_HW_BRANCH_MISSES,
	[KVM_PVPMU_HW_BUS_CYCLES]	= PERF_COUNT_HW_BUS_CYCLES,
	[KVM_PVPMU_HW_STALLED_FRONTEND]	= PERF_COUNT_HW_STALLED_CYCLES_FRONTEND,
	[KVM_PVPMU_HW_STALLED_BACKEND]	= PERF_COUNT_HW_STALLED_CYCLES_BACKEND,
};

static const u8 cache_levels[KVM_PVPMU_CACHE_LEVELS] = {
	[KVM_PVPMU_CACHE_L1D]	= PERF_COUNT_HW_CACHE_L1D,
	[KVM_PVPMU_CACHE_L1I]	= PERF_COUNT_HW_CACHE_L1I,
	[KVM_PVPMU_CACHE_LL]	= PERF_COUNT_HW_CACHE_LL,
	[KVM_PVPMU_CACHE_DTLB]	= PERF_COUNT_HW_CACHE_DTLB,
	[KVM_PVPMU_CACHE_ITLB]	= PERF_COUNT_HW_CACHE_ITLB,
	[KVM_PVPMU_CACHE_BPU]	= PERF_COUNT_HW_CACHE_BPU,
	[KVM_PVPMU_CACHE_NODE]	= PERF_COUNT_HW_CACHE_NODE,
};

static const u8 cache_ops[KVM_PVPMU_CACHE_OPS] = {
	[KVM_PVPMU_CACHE_READ]		= PERF_COUNT_HW_CACHE_OP_READ,
	[KVM_PVPMU_CACHE_WRITE]		= PERF_COUNT_HW_CACHE_OP_WRITE,
	[KVM_PVPMU_CACHE_PREFETCH]	= PERF_COUNT_HW_CACHE_OP_PREFETCH,
};

static const u8 cache_results[] = {
	[KVM_PVPMU_CACHE_ACCESS]	= PERF_COUNT_HW_CACHE_RESULT_ACCESS,
	[KVM_PVPMU_CACHE_MISS]		= PERF_COUNT_HW_CACHE_RESULT_MISS,
};

static int set_hw_attr(struct perf_event_attr *attr, u32 event)
{
	/* perf has no generic event for slots: this host cannot count it. */
	if (event >= ARRAY_SIZE(hw_events))
		return -EOPNOTSUPP;

	event = array_index_nospec(event, ARRAY_SIZE(hw_events));
	attr->type = PERF_TYPE_HARDWARE;
	attr->config = hw_events[event];
	return 0;
}

static int set_cache_attr(struct perf_event_attr *attr, u32 event)
{
	u32 level = event >> 3, op = (event >> 1) & 3, result = event & 1;

	if (level >= KVM_PVPMU_CACHE_LEVELS || op >= KVM_PVPMU_CACHE_OPS)
		return -EOPNOTSUPP;

	level = array_index_nospec(level, KVM_PVPMU_CACHE_LEVELS);
	op = array_index_nospec(op, KVM_PVPMU_CACHE_OPS);
	attr->type = PERF_TYPE_HW_CACHE;
	attr->config = cache_levels[level] | cache_ops[op] << 8 |
		       cache_results[result] << 16;
	return 0;
}

/* The VMM's filter for the emulated PMU's events holds here as well. */
static int set_raw_attr(struct kvm_vcpu *vcpu, struct perf_event_attr *attr,
			u64 raw)
{
	if (!kvm_pmu_raw_event_allowed(vcpu->kvm, raw))
		return -EPERM;

	attr->type = PERF_TYPE_RAW;
	attr->config = raw;
	return 0;
}

static int set_attr(struct kvm_vcpu *vcpu, struct perf_event_attr *attr,
		    u64 config, u64 raw)
{
	u32 event = config & KVM_PVPMU_EVTSEL_EVENT;

	switch (config_class(config)) {
	case KVM_PVPMU_CLASS_HW:
		return set_hw_attr(attr, event);
	case KVM_PVPMU_CLASS_CACHE:
		return set_cache_attr(attr, event);
	case KVM_PVPMU_CLASS_RAW:
		return set_raw_attr(vcpu, attr, raw);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * Not pinned, so that the host's own events get their share; exclude_host, so
 * that nothing of the host is counted, nor taken for the guest's by an NMI.
 */
static struct perf_event *create_event(struct kvm_vcpu *vcpu,
				       struct pvpmu_counter *counter, u64 period,
				       struct pvpmu_event *backing)
{
	u64 config = counter->config;
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.exclude_host = 1,
		.exclude_hv = 1,
		.exclude_user = !(config & KVM_PVPMU_EVTSEL_USR),
		.exclude_kernel = !(config & KVM_PVPMU_EVTSEL_OS),
		.sample_period = period,
	};
	int r = set_attr(vcpu, &attr, config, counter->raw_config);

	if (r)
		return ERR_PTR(r);

	++vcpu->stat.pvpmu_event_creates;
	return perf_event_create_kernel_counter(&attr, -1, current,
			period ? kvm_pvpmu_overflow_handler : NULL, backing);
}

/*
 * The vCPU's perf events.  There are as many as counters, and no more: that is
 * all that a guest can make the host hold.
 */

static void release_event(struct pvpmu_event *event)
{
	if (event->event)
		perf_event_release_kernel(event->event);
	event->event = NULL;
	event->busy = false;
}

static struct pvpmu_event *find_idle_event(struct kvm_vcpu *vcpu,
					   struct pvpmu_counter *counter)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		struct pvpmu_event *event = &pvpmu->events[i];

		if (event->event && !event->busy &&
		    event->config == counter->config &&
		    event->raw_config == counter->raw_config)
			return event;
	}
	return NULL;
}

static struct pvpmu_event *find_free_slot(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);
	struct pvpmu_event *oldest = NULL;

	for (i = 0; i < nr; i++) {
		struct pvpmu_event *event = &pvpmu->events[i];

		if (!event->event)
			return event;
		if (event->busy)
			continue;
		if (!oldest || time_before(event->idle_since, oldest->idle_since))
			oldest = event;
	}
	if (oldest)
		release_event(oldest);
	return oldest;
}

static void set_period(struct pvpmu_event *event, u64 period)
{
	if (event->period == period)
		return;

	perf_event_period(event->event, period);
	event->period = period;
}

/* The same period again still has to begin anew. */
static void restart_period(struct pvpmu_event *event, u64 period)
{
	event->period = 0;
	set_period(event, period);
}

/* 0 for a counter that does not interrupt: its event must not, either. */
static u64 first_period(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter)
{
	if (!(counter->config & KVM_PVPMU_EVTSEL_INT))
		return 0;
	return kvm_pvpmu_perf_period(vcpu, kvm_pvpmu_distance(counter));
}

static struct pvpmu_event *get_event(struct kvm_vcpu *vcpu,
				     struct pvpmu_counter *counter)
{
	struct pvpmu_event *event = find_idle_event(vcpu, counter);
	u64 period = first_period(vcpu, counter);
	struct perf_event *created;

	if (event) {
		if (period)
			restart_period(event, period);
		perf_event_enable(event->event);
		event->busy = true;
		return event;
	}

	/* Each counter holds one event at most, so one slot is not busy. */
	event = find_free_slot(vcpu);
	if (WARN_ON_ONCE(!event))
		return ERR_PTR(-ENOSPC);

	created = create_event(vcpu, counter, period, event);
	if (IS_ERR(created))
		return ERR_CAST(created);

	event->event = created;
	event->config = counter->config;
	event->raw_config = counter->raw_config;
	event->period = period;
	event->busy = true;
	return event;
}

static void put_event(struct kvm_pvpmu *pvpmu, struct pvpmu_event *event)
{
	event->busy = false;
	event->idle_since = jiffies;
	if (pvpmu->idle_events)
		return;
	WRITE_ONCE(pvpmu->reap_at, jiffies + PVPMU_IDLE_JIFFIES);
	WRITE_ONCE(pvpmu->idle_events, true);
}

/* A disabled event still costs the host at each switch of the thread. */
static void reap_idle_events(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);
	bool left = false;

	if (!pvpmu->idle_events || !time_after(jiffies, pvpmu->reap_at))
		return;

	for (i = 0; i < nr; i++) {
		struct pvpmu_event *event = &pvpmu->events[i];

		if (!event->event || event->busy)
			continue;
		if (time_after(jiffies, event->idle_since + PVPMU_IDLE_JIFFIES))
			release_event(event);
		else
			left = true;
	}
	WRITE_ONCE(pvpmu->reap_at, jiffies + PVPMU_IDLE_JIFFIES);
	WRITE_ONCE(pvpmu->idle_events, left);
}

/* The fold. */

static u64 pv_total(struct kvm_pvpmu *pvpmu, struct pvpmu_counter *counter)
{
	u64 event = counter->config & KVM_PVPMU_EVTSEL_EVENT;

	event = array_index_nospec(event, KVM_PVPMU_PV_MAX);
	return local64_read(&pvpmu->totals->total[event]);
}

static void read_backend(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter,
			 u64 *now)
{
	now[PVPMU_COUNT] = 0;
	now[PVPMU_ENABLED] = local_clock();
	now[PVPMU_RUNNING] = 0;

	switch (counter->backend) {
	case PVPMU_PERF:
		now[PVPMU_COUNT] =
			perf_event_read_value(counter->event->event,
					      &now[PVPMU_ENABLED],
					      &now[PVPMU_RUNNING]);
		break;
	case PVPMU_PV:
		now[PVPMU_COUNT] = pv_total(vcpu->arch.pvpmu, counter);
		now[PVPMU_RUNNING] = now[PVPMU_ENABLED];
		break;
	default:
		/* Enabled without running: the guest sees that it missed. */
		break;
	}
}

static void grow(struct pvpmu_counter *counter, const u64 *now)
{
	unsigned int i;

	for (i = 0; i < PVPMU_NR_VALUES; i++) {
		/* Clocks of two CPUs may differ a little: never go back. */
		if ((s64)(now[i] - counter->prev[i]) <= 0)
			continue;
		if (i == PVPMU_COUNT)
			counter->grown += now[i] - counter->prev[i];
		if (!(counter->rebase & BIT(i)))
			counter->base[i] += now[i] - counter->prev[i];
		counter->prev[i] = now[i];
	}
}

/*
 * visible = base + live: the one place where a backend's growth goes into what
 * the guest sees.
 */
static void fold(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	u64 now[PVPMU_NR_VALUES];

	lockdep_assert_held(&pvpmu->lock);

	if (counter->backend == PVPMU_STOPPED) {
		counter->rebase = 0;
		return;
	}

	read_backend(vcpu, counter, now);
	grow(counter, now);
	if (counter->rebase & BIT(PVPMU_COUNT))
		counter->must_arm = counter->moved = true;
	counter->rebase = 0;

	if (counter->base[PVPMU_COUNT] & ~KVM_PVPMU_COUNTER_MASK)
		kvm_pvpmu_note_overflow(vcpu, idx);
}

/*
 * An overflow that happened before the guest cleared its bit must not set the
 * bit again afterwards, so the clearing waits for the fold.
 */
void kvm_pvpmu_fold_all(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++)
		fold(vcpu, i);

	pvpmu->status &= ~pvpmu->status_clear;
	pvpmu->status_clear = 0;
}

u64 kvm_pvpmu_read_value(struct kvm_vcpu *vcpu, unsigned int idx,
			 enum pvpmu_value what)
{
	fold(vcpu, idx);
	return vcpu->arch.pvpmu->counters[idx].base[what];
}

/* The same for a thread that must not change anything: no overflow happens. */
u64 kvm_pvpmu_peek_value(struct kvm_vcpu *vcpu, unsigned int idx,
			 enum pvpmu_value what)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	u64 now[PVPMU_NR_VALUES], value = counter->base[what];

	lockdep_assert_held(&pvpmu->lock);

	if (counter->backend != PVPMU_STOPPED &&
	    !(counter->rebase & BIT(what))) {
		read_backend(vcpu, counter, now);
		if ((s64)(now[what] - counter->prev[what]) > 0)
			value += now[what] - counter->prev[what];
	}
	return what == PVPMU_COUNT ? value & KVM_PVPMU_COUNTER_MASK : value;
}

/* Starting and stopping, by the vCPU's thread. */

static int start_backend(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter)
{
	if (config_class(counter->config) == KVM_PVPMU_CLASS_PV) {
		counter->backend = PVPMU_PV;
		return 0;
	}

	counter->event = get_event(vcpu, counter);
	if (!IS_ERR(counter->event)) {
		counter->backend = PVPMU_PERF;
		return 0;
	}

	counter->backend = PVPMU_FAILED;
	return PTR_ERR(counter->event);
}

static void set_error(struct kvm_pvpmu *pvpmu, unsigned int idx, bool error)
{
	u64 bit = KVM_PVPMU_STATUS_ERROR(idx);

	if (error == !!(pvpmu->status & bit))
		return;

	pvpmu->status ^= bit;
	pvpmu->stale |= BIT(idx);
}

static void start(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	int r;

	counter->config = counter->evtsel & PVPMU_CONFIG;
	counter->raw_config = counter->raw;
	r = start_backend(vcpu, counter);
	set_error(pvpmu, idx, r);

	counter->rebase = 0;
	counter->must_arm = false;
	counter->moved = false;
	read_backend(vcpu, counter, counter->prev);
	trace_kvm_pvpmu_counter(vcpu->vcpu_id, idx, counter->evtsel, r);
}

static void stop(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];

	if (counter->backend == PVPMU_PERF)
		perf_event_disable(counter->event->event);
	fold(vcpu, idx);
	if (counter->backend == PVPMU_PERF)
		put_event(pvpmu, counter->event);

	counter->event = NULL;
	counter->backend = PVPMU_STOPPED;
}

static bool is_enabled(struct kvm_pvpmu *pvpmu, unsigned int idx)
{
	return pvpmu->ctrl & BIT_ULL(idx) &&
	       pvpmu->counters[idx].evtsel & KVM_PVPMU_EVTSEL_EN;
}

static bool must_stop(struct kvm_pvpmu *pvpmu, unsigned int idx)
{
	struct pvpmu_counter *counter = &pvpmu->counters[idx];

	if (counter->backend == PVPMU_STOPPED)
		return false;
	if (counter->backend == PVPMU_FAILED && pvpmu->retry & BIT(idx))
		return true;
	return !is_enabled(pvpmu, idx) ||
	       counter->config != (counter->evtsel & PVPMU_CONFIG) ||
	       (config_class(counter->config) == KVM_PVPMU_CLASS_RAW &&
		counter->raw_config != counter->raw);
}

static void stop_all(struct kvm_vcpu *vcpu)
{
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		if (vcpu->arch.pvpmu->counters[i].backend != PVPMU_STOPPED)
			stop(vcpu, i);
	}
}

/*
 * The period of a perf event that goes on after an overflow.  It has begun the
 * next one by itself, so where the reload is what it already has, there is
 * nothing to do; else it begins anew.
 */
static void arm(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter)
{
	u64 distance = kvm_pvpmu_distance(counter);
	u64 period, reload = counter->reload;

	counter->must_arm = false;
	if (counter->backend != PVPMU_PERF || !counter->event->period)
		return;

	/* What it was late by is in the distance; it may stay that late. */
	if (distance < reload && reload - distance <= reload / 8)
		distance = reload;
	period = kvm_pvpmu_perf_period(vcpu, distance);
	if (period != counter->event->period || counter->moved)
		restart_period(counter->event, period);
	counter->moved = false;
}

static bool overflowed(struct kvm_pvpmu *pvpmu, unsigned int idx,
		       unsigned long events)
{
	struct pvpmu_counter *counter = &pvpmu->counters[idx];

	if (counter->backend == PVPMU_PERF)
		return test_bit(counter->event - pvpmu->events, &events);
	return counter->backend == PVPMU_PV &&
	       counter->prev[PVPMU_COUNT] + kvm_pvpmu_distance(counter) <=
	       pv_total(pvpmu, counter);
}

/* Bring the registers up to date; returns what counted until now. */
static u32 stop_and_fold(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);
	unsigned long events = xchg(&pvpmu->overflowed, 0);
	bool all = pvpmu->doorbell || pvpmu->pmi_waits;
	u32 counted = 0;

	for (i = 0; i < nr; i++) {
		struct pvpmu_counter *counter = &pvpmu->counters[i];

		if (counter->backend != PVPMU_STOPPED)
			counted |= BIT(i);
		if (must_stop(pvpmu, i))
			stop(vcpu, i);
		else if (all || counter->rebase || overflowed(pvpmu, i, events))
			fold(vcpu, i);
	}

	if (pvpmu->status_clear)
		kvm_pvpmu_fold_all(vcpu);
	return counted;
}

/* An entry that the guest filled with what it could not write to a register. */
static bool is_valid_entry(struct kvm_vcpu *vcpu,
			   const struct kvm_pvpmu_entry *entry)
{
	return kvm_pvpmu_is_valid_evtsel(vcpu, entry->evtsel) &&
	       kvm_pvpmu_is_valid_raw(vcpu, entry->raw) &&
	       !(entry->value & ~KVM_PVPMU_COUNTER_MASK);
}

static void load_entry(struct kvm_vcpu *vcpu, unsigned int idx,
		       const struct kvm_pvpmu_entry *entry)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];

	if (!is_valid_entry(vcpu, entry)) {
		counter->evtsel = 0;
		set_error(pvpmu, idx, true);
		return;
	}

	counter->evtsel = entry->evtsel;
	counter->raw = entry->raw;
	counter->base[PVPMU_COUNT] = entry->value;
	counter->rebase |= BIT(PVPMU_COUNT);
	pvpmu->retry |= BIT(idx);
	set_error(pvpmu, idx, false);
}

/* The guest wrote GLOBAL_CTRL with the page on. */
static void answer_doorbell(struct kvm_vcpu *vcpu, u32 counted)
{
	struct kvm_pvpmu_entry entries[KVM_PVPMU_MAX_COUNTERS];
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned long loaded;
	unsigned int i;

	BUILD_BUG_ON(sizeof(entries) > 1024);

	pvpmu->doorbell = false;
	loaded = kvm_pvpmu_exchange_entries(vcpu, counted | pvpmu->stale,
					    pvpmu->ctrl, entries);
	for_each_set_bit(i, &loaded, KVM_PVPMU_MAX_COUNTERS) {
		load_entry(vcpu, i, &entries[i]);
		if (must_stop(pvpmu, i))
			stop(vcpu, i);
		else
			fold(vcpu, i);
	}
}

static void start_and_arm(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		struct pvpmu_counter *counter = &pvpmu->counters[i];

		if (is_enabled(pvpmu, i) && counter->backend == PVPMU_STOPPED)
			start(vcpu, i);
		else if (counter->must_arm)
			arm(vcpu, counter);
	}
	pvpmu->retry = 0;
}

/* A restored status has the errors of the host that it was saved on. */
static void find_errors(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		if (pvpmu->counters[i].backend != PVPMU_STOPPED)
			set_error(pvpmu, i,
				  pvpmu->counters[i].backend == PVPMU_FAILED);
	}
}

/* Make what counts agree with what the registers say. */
void kvm_pvpmu_sync_counters(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u32 counted;

	lockdep_assert_held(&pvpmu->lock);

	WRITE_ONCE(pvpmu->wake, false);

	/* Stop before starting, so that a stopped one's event can be reused. */
	counted = stop_and_fold(vcpu);
	if (pvpmu->doorbell)
		answer_doorbell(vcpu, counted);
	kvm_pvpmu_deliver_pmi(vcpu);
	start_and_arm(vcpu);
	kvm_pvpmu_set_limits(vcpu);
	if (pvpmu->status_restored)
		find_errors(vcpu);
	if (pvpmu->stale)
		kvm_pvpmu_exchange_entries(vcpu, pvpmu->stale, 0, NULL);

	reap_idle_events(vcpu);
}

/* After a write by user space; what is to be started waits for the vCPU. */
void kvm_pvpmu_stop_disabled(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		if (pvpmu->counters[i].backend != PVPMU_STOPPED &&
		    !is_enabled(pvpmu, i))
			stop(vcpu, i);
	}
}

/* When the vCPU ends, or comes with another thread. */
void kvm_pvpmu_release_events(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;

	lockdep_assert_held(&pvpmu->lock);

	stop_all(vcpu);
	for (i = 0; i < ARRAY_SIZE(pvpmu->events); i++)
		release_event(&pvpmu->events[i]);
	WRITE_ONCE(pvpmu->idle_events, false);
}
