// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of the paravirtual PMU: what stands behind each enabled counter,
 * and the one place where that becomes the value which the guest sees.
 *
 * Nothing here is called in atomic context: perf takes mutexes and cross-calls.
 * Events are created, enabled and disabled only from the request's handler,
 * that is by the thread that runs the vCPU; registers may be read from any.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/nospec.h>
#include <linux/perf_event.h>
#include <linux/sched/clock.h>
#include "pvpmu.h"
#include "pvpmu_trace.h"

/* How long a perf event is kept after the guest stopped its counter. */
#define PVPMU_IDLE_JIFFIES	HZ

/* Two counters with the same configuration can use the same perf event. */
#define PVPMU_CONFIG		(KVM_PVPMU_EVTSEL_EVENT | \
				 KVM_PVPMU_EVTSEL_CLASS | \
				 KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS)

#define PVPMU_COUNTER_MASK	GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0)

static unsigned int config_class(u32 config)
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

static int set_attr(struct perf_event_attr *attr, u32 config)
{
	u32 event = config & KVM_PVPMU_EVTSEL_EVENT;

	switch (config_class(config)) {
	case KVM_PVPMU_CLASS_HW:
		return set_hw_attr(attr, event);
	case KVM_PVPMU_CLASS_CACHE:
		return set_cache_attr(attr, event);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * Not pinned, so that the host's own events get their share; exclude_host, so
 * that nothing of the host is counted, nor taken for the guest's by an NMI.
 */
static struct perf_event *create_event(struct kvm_vcpu *vcpu, u32 config)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.exclude_host = 1,
		.exclude_hv = 1,
		.exclude_user = !(config & KVM_PVPMU_EVTSEL_USR),
		.exclude_kernel = !(config & KVM_PVPMU_EVTSEL_OS),
	};
	int r = set_attr(&attr, config);

	if (r)
		return ERR_PTR(r);

	++vcpu->stat.pvpmu_event_creates;
	return perf_event_create_kernel_counter(&attr, -1, current, NULL, NULL);
}

/*
 * The vCPU's perf events.  There are as many as counters, and no more: that is
 * all that a guest can make the host hold.
 */

static void release_event(struct pvpmu_event *event)
{
	if (event->event)
		perf_event_release_kernel(event->event);
	memset(event, 0, sizeof(*event));
}

static struct pvpmu_event *find_idle_event(struct kvm_vcpu *vcpu, u32 config)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		struct pvpmu_event *event = &pvpmu->events[i];

		if (event->event && !event->busy && event->config == config)
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

static struct pvpmu_event *get_event(struct kvm_vcpu *vcpu, u32 config)
{
	struct pvpmu_event *event = find_idle_event(vcpu, config);
	struct perf_event *created;

	if (event) {
		perf_event_enable(event->event);
		event->busy = true;
		return event;
	}

	/* Each counter holds one event at most, so one slot is not busy. */
	event = find_free_slot(vcpu);
	if (WARN_ON_ONCE(!event))
		return ERR_PTR(-ENOSPC);

	created = create_event(vcpu, config);
	if (IS_ERR(created))
		return ERR_CAST(created);

	event->event = created;
	event->config = config;
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

static void read_backend(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter,
			 u64 *now)
{
	u32 event = counter->config & KVM_PVPMU_EVTSEL_EVENT;

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
		event = array_index_nospec(event, KVM_PVPMU_PV_MAX);
		now[PVPMU_COUNT] =
			local64_read(&vcpu->arch.pvpmu->totals->total[event]);
		now[PVPMU_RUNNING] = now[PVPMU_ENABLED];
		break;
	default:
		/* Enabled without running: the guest sees that it missed. */
		break;
	}
}

/*
 * visible = base + live: the one place where a backend's growth goes into what
 * the guest sees.  Clocks of two CPUs may differ a little: never go back.
 */
static void fold(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	u64 now[PVPMU_NR_VALUES];
	unsigned int i;

	lockdep_assert_held(&pvpmu->lock);

	if (counter->backend == PVPMU_STOPPED) {
		counter->rebase = 0;
		return;
	}

	read_backend(vcpu, counter, now);
	for (i = 0; i < PVPMU_NR_VALUES; i++) {
		if (counter->rebase & BIT(i))
			counter->prev[i] = now[i];
		if ((s64)(now[i] - counter->prev[i]) <= 0)
			continue;
		counter->base[i] += now[i] - counter->prev[i];
		counter->prev[i] = now[i];
	}
	counter->rebase = 0;

	if (counter->base[PVPMU_COUNT] & ~PVPMU_COUNTER_MASK)
		pvpmu->status |= KVM_PVPMU_STATUS_OVERFLOW(idx);
	counter->base[PVPMU_COUNT] &= PVPMU_COUNTER_MASK;
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

/* Starting and stopping, by the vCPU's thread. */

static int start_backend(struct kvm_vcpu *vcpu, struct pvpmu_counter *counter)
{
	if (config_class(counter->config) == KVM_PVPMU_CLASS_PV) {
		counter->backend = PVPMU_PV;
		return 0;
	}

	counter->event = get_event(vcpu, counter->config);
	if (!IS_ERR(counter->event)) {
		counter->backend = PVPMU_PERF;
		return 0;
	}

	counter->backend = PVPMU_FAILED;
	return PTR_ERR(counter->event);
}

static void start(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	int r;

	counter->config = counter->evtsel & PVPMU_CONFIG;
	r = start_backend(vcpu, counter);
	if (r)
		pvpmu->status |= KVM_PVPMU_STATUS_ERROR(idx);
	else
		pvpmu->status &= ~KVM_PVPMU_STATUS_ERROR(idx);

	counter->rebase = 0;
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
	       counter->config != (counter->evtsel & PVPMU_CONFIG);
}

static void stop_all(struct kvm_vcpu *vcpu)
{
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		if (vcpu->arch.pvpmu->counters[i].backend != PVPMU_STOPPED)
			stop(vcpu, i);
	}
}

/* Make what counts agree with what the registers say. */
void kvm_pvpmu_sync_counters(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	lockdep_assert_held(&pvpmu->lock);

	/* Stop before starting, so that a stopped one's event can be reused. */
	for (i = 0; i < nr; i++) {
		if (must_stop(pvpmu, i))
			stop(vcpu, i);
		else if (pvpmu->counters[i].rebase)
			fold(vcpu, i);
	}

	if (pvpmu->status_clear)
		kvm_pvpmu_fold_all(vcpu);

	for (i = 0; i < nr; i++) {
		if (is_enabled(pvpmu, i) &&
		    pvpmu->counters[i].backend == PVPMU_STOPPED)
			start(vcpu, i);
	}
	pvpmu->retry = 0;

	reap_idle_events(vcpu);
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
