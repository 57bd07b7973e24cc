// SPDX-License-Identifier: GPL-2.0
/*
 * A "cpu" PMU without hardware, for tests of KVM and perf on machines that have
 * no PMU.  It is there only with the boot parameter synthetic_pmu.
 *
 * An event counts time: the CPU's time in guest mode (exclude_host), outside of
 * it (exclude_guest) or both, times the event's rate.  The rates are below, so
 * that a test knows what ratio two events must show.  Guest time is taken from
 * KVM's tracepoints kvm_entry and kvm_exit.
 *
 * Nothing here knows when the CPU is in user mode.  Each event gives a fixed
 * share of its count to user mode and the rest to the kernel, so that a test
 * sees whether exclude_user and exclude_kernel arrive.
 *
 * Config 0x1000 is exact: it counts the CPU's VM exits.
 */
#define pr_fmt(fmt) "synthetic_pmu: " fmt

#include <linux/hrtimer.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <linux/nospec.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/sched/clock.h>
#include <linux/tracepoint.h>

#include <asm/irq_regs.h>

#include "perf_event.h"

struct kvm_vcpu;

#define SYNTHETIC_COUNTERS	4
#define SYNTHETIC_KVM_EXITS	0x1000

/* Events per second. */
#define RATE_CYCLES		1000000000
#define RATE_INSTRUCTIONS	500000000
#define RATE_CACHE_REFERENCES	16000000
#define RATE_CACHE_MISSES	800000
#define RATE_BRANCHES		100000000
#define RATE_BRANCH_MISSES	5000000
#define RATE_BUS_CYCLES		50000000
#define RATE_STALLED_FRONTEND	250000000
#define RATE_STALLED_BACKEND	125000000
#define RATE_REF_CYCLES		800000000

/* Loads of each cache per second; a store is half as frequent. */
#define RATE_L1D		304000000
#define RATE_L1I		208000000
#define RATE_LL			RATE_CACHE_REFERENCES
#define RATE_DTLB		176000000
#define RATE_ITLB		80000000
#define RATE_BPU		RATE_BRANCHES
#define LOADS_PER_STORE		2
#define ACCESSES_PER_MISS	20

/* Of SHARE_ALL parts of a count, this many are user mode's. */
#define SHARE_ALL		4
#define SHARE_USER		3

/* The shortest time after which the overflow timer looks again, in ns. */
#define MIN_TIMER_NS		20000

struct synthetic_counter {
	struct hrtimer		timer;
	struct perf_event	*event;
};

struct synthetic_cpu {
	struct synthetic_counter counters[SYNTHETIC_COUNTERS];
	u64			guest_ns;	/* up to the last VM exit */
	u64			entered;	/* when the guest was entered */
	u64			exits;
	u64			frozen;		/* the time, while disabled; else 0 */
	bool			in_guest;
};

static DEFINE_PER_CPU(struct synthetic_cpu, synthetic_cpus);

static const u32 synthetic_rates[PERF_COUNT_HW_MAX] = {
	[PERF_COUNT_HW_CPU_CYCLES]		= RATE_CYCLES,
	[PERF_COUNT_HW_INSTRUCTIONS]		= RATE_INSTRUCTIONS,
	[PERF_COUNT_HW_CACHE_REFERENCES]	= RATE_CACHE_REFERENCES,
	[PERF_COUNT_HW_CACHE_MISSES]		= RATE_CACHE_MISSES,
	[PERF_COUNT_HW_BRANCH_INSTRUCTIONS]	= RATE_BRANCHES,
	[PERF_COUNT_HW_BRANCH_MISSES]		= RATE_BRANCH_MISSES,
	[PERF_COUNT_HW_BUS_CYCLES]		= RATE_BUS_CYCLES,
	[PERF_COUNT_HW_STALLED_CYCLES_FRONTEND]	= RATE_STALLED_FRONTEND,
	[PERF_COUNT_HW_STALLED_CYCLES_BACKEND]	= RATE_STALLED_BACKEND,
	[PERF_COUNT_HW_REF_CPU_CYCLES]		= RATE_REF_CYCLES,
};

/* No NODE, and no prefetches: callers must cope with a PMU that lacks events. */
static const u32 synthetic_cache_rates[PERF_COUNT_HW_CACHE_MAX] = {
	[PERF_COUNT_HW_CACHE_L1D]	= RATE_L1D,
	[PERF_COUNT_HW_CACHE_L1I]	= RATE_L1I,
	[PERF_COUNT_HW_CACHE_LL]	= RATE_LL,
	[PERF_COUNT_HW_CACHE_DTLB]	= RATE_DTLB,
	[PERF_COUNT_HW_CACHE_ITLB]	= RATE_ITLB,
	[PERF_COUNT_HW_CACHE_BPU]	= RATE_BPU,
};

/* Guest time */

static void synthetic_kvm_entry(void *data, struct kvm_vcpu *vcpu,
				bool force_immediate_exit)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);

	cpu->entered = local_clock();
	cpu->in_guest = true;
}

static void synthetic_kvm_exit(void *data, struct kvm_vcpu *vcpu, u32 isa)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);

	if (cpu->in_guest)
		cpu->guest_ns += local_clock() - cpu->entered;
	cpu->in_guest = false;
	cpu->exits++;
}

static const struct {
	const char	*name;
	void		*probe;
} synthetic_probes[] = {
	{ "kvm_entry",	synthetic_kvm_entry },
	{ "kvm_exit",	synthetic_kvm_exit },
};

static void synthetic_probe_tracepoint(struct tracepoint *tp, bool attach)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(synthetic_probes); i++) {
		if (strcmp(tp->name, synthetic_probes[i].name))
			continue;
		if (attach)
			ret = tracepoint_probe_register(tp, synthetic_probes[i].probe,
							NULL);
		else
			ret = tracepoint_probe_unregister(tp, synthetic_probes[i].probe,
							  NULL);
		if (ret)
			pr_warn("tracepoint %s: error %d\n", tp->name, ret);
	}
}

static void __init synthetic_probe_builtin(struct tracepoint *tp, void *unused)
{
	synthetic_probe_tracepoint(tp, true);
}

#ifdef CONFIG_MODULES
static void synthetic_probe_module(struct tracepoint *tp, struct module *mod,
				   void *attach)
{
	synthetic_probe_tracepoint(tp, attach);
}

static int synthetic_module_notify(struct notifier_block *nb,
				   unsigned long action, void *data)
{
	struct tp_module *tp_mod = data;

	if (action == MODULE_STATE_COMING || action == MODULE_STATE_GOING)
		for_each_tracepoint_in_module(tp_mod->mod, synthetic_probe_module,
					      action == MODULE_STATE_COMING ? tp_mod : NULL);
	return NOTIFY_OK;
}

static struct notifier_block synthetic_module_nb = {
	.notifier_call = synthetic_module_notify,
};

static int __init synthetic_watch_modules(void)
{
	return register_tracepoint_module_notifier(&synthetic_module_nb);
}
#else
static inline int synthetic_watch_modules(void)
{
	return 0;
}
#endif

/* Counts */

/* The time of this CPU, so far, that the event may see. */
static u64 synthetic_time(struct perf_event *event)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);
	u64 now = cpu->frozen ?: local_clock();
	u64 guest = cpu->guest_ns;
	u64 time = 0;

	if (cpu->in_guest)
		guest += now - cpu->entered;
	if (!event->attr.exclude_host)
		time += now - guest;
	if (!event->attr.exclude_guest)
		time += guest;
	return time;
}

static u64 synthetic_count(struct perf_event *event)
{
	if (event->hw.config == SYNTHETIC_KVM_EXITS)
		return this_cpu_read(synthetic_cpus.exits);

	/* event_base is the rate. */
	return mul_u64_u64_div_u64(synthetic_time(event), event->hw.event_base,
				   NSEC_PER_SEC);
}

static void synthetic_event_read(struct perf_event *event)
{
	u64 now = synthetic_count(event);
	s64 delta = now - local64_xchg(&event->hw.prev_count, now);

	local64_add(delta, &event->count);
	local64_sub(delta, &event->hw.period_left);
}

/* Overflow */

/* When the event overflows at the earliest; later if it sees only some time. */
static u64 synthetic_ns_left(struct perf_event *event)
{
	s64 left = local64_read(&event->hw.period_left);

	if (left <= 0 || !event->hw.event_base)
		return MIN_TIMER_NS;

	return max_t(u64, MIN_TIMER_NS,
		     mul_u64_u64_div_u64(left, NSEC_PER_SEC, event->hw.event_base));
}

/* The timer may find a CPU on the other side than the one that the event sees. */
static bool synthetic_may_sample(struct perf_event *event)
{
	return perf_guest_state() ? !event->attr.exclude_guest :
				    !event->attr.exclude_host;
}

/* Returns true if the event was stopped. */
static bool synthetic_overflow(struct perf_event *event)
{
	struct hw_perf_event *hwc = &event->hw;
	struct pt_regs *regs = get_irq_regs();
	struct perf_sample_data data;

	if (!regs || !synthetic_may_sample(event))
		return false;

	perf_sample_data_init(&data, 0, hwc->last_period);
	hwc->last_period = hwc->sample_period;
	local64_add(hwc->sample_period, &hwc->period_left);
	if (local64_read(&hwc->period_left) <= 0)
		local64_set(&hwc->period_left, hwc->sample_period);

	if (perf_event_overflow(event, &data, regs))
		hwc->state |= PERF_HES_STOPPED | PERF_HES_UPTODATE;
	return hwc->state & PERF_HES_STOPPED;
}

static enum hrtimer_restart synthetic_timer(struct hrtimer *timer)
{
	struct synthetic_counter *counter =
		container_of(timer, struct synthetic_counter, timer);
	struct perf_event *event = counter->event;

	if (!event || event->hw.state & PERF_HES_STOPPED)
		return HRTIMER_NORESTART;

	synthetic_event_read(event);
	if (local64_read(&event->hw.period_left) <= 0 && synthetic_overflow(event))
		return HRTIMER_NORESTART;

	/* perf core may have stopped and started the event, and so the timer. */
	if (!hrtimer_is_queued(timer))
		hrtimer_forward_now(timer, ns_to_ktime(synthetic_ns_left(event)));
	return HRTIMER_RESTART;
}

/* struct pmu */

/*
 * All events that start or stop between these two do so at one time, so that
 * the counts of a group keep to the ratio of its rates.
 */
static void synthetic_pmu_disable(struct pmu *pmu)
{
	this_cpu_write(synthetic_cpus.frozen, local_clock());
}

static void synthetic_pmu_enable(struct pmu *pmu)
{
	this_cpu_write(synthetic_cpus.frozen, 0);
}

static void synthetic_event_start(struct perf_event *event, int flags)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);
	struct hw_perf_event *hwc = &event->hw;

	hwc->state = 0;
	local64_set(&hwc->prev_count, synthetic_count(event));
	if (!is_sampling_event(event))
		return;

	if (local64_read(&hwc->period_left) <= 0) {
		local64_set(&hwc->period_left, hwc->sample_period);
		hwc->last_period = hwc->sample_period;
	}
	hrtimer_start(&cpu->counters[hwc->idx].timer,
		      ns_to_ktime(synthetic_ns_left(event)),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

static void synthetic_event_stop(struct perf_event *event, int flags)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);

	if (event->hw.state & PERF_HES_STOPPED)
		return;

	/* Not hrtimer_cancel(): perf core calls this from the timer, too. */
	if (is_sampling_event(event))
		hrtimer_try_to_cancel(&cpu->counters[event->hw.idx].timer);
	synthetic_event_read(event);
	event->hw.state |= PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static int synthetic_event_add(struct perf_event *event, int flags)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);
	int idx;

	for (idx = 0; idx < SYNTHETIC_COUNTERS; idx++) {
		if (!cpu->counters[idx].event)
			break;
	}
	if (idx == SYNTHETIC_COUNTERS)
		return -EAGAIN;

	cpu->counters[idx].event = event;
	event->hw.idx = idx;
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		synthetic_event_start(event, PERF_EF_RELOAD);

	perf_event_update_userpage(event);
	return 0;
}

static void synthetic_event_del(struct perf_event *event, int flags)
{
	struct synthetic_cpu *cpu = this_cpu_ptr(&synthetic_cpus);

	synthetic_event_stop(event, PERF_EF_UPDATE);
	cpu->counters[event->hw.idx].event = NULL;
	event->hw.idx = -1;
	perf_event_update_userpage(event);
}

/* Loads and stores, and their misses; 0 for what the PMU does not have. */
static u32 synthetic_cache_rate(u64 config)
{
	u64 level = config & 0xff;
	u64 op = config >> 8 & 0xff;
	u64 result = config >> 16;
	u32 rate;

	if (level >= PERF_COUNT_HW_CACHE_MAX ||
	    op > PERF_COUNT_HW_CACHE_OP_WRITE ||
	    result >= PERF_COUNT_HW_CACHE_RESULT_MAX)
		return 0;

	rate = synthetic_cache_rates[array_index_nospec(level, PERF_COUNT_HW_CACHE_MAX)];
	if (op == PERF_COUNT_HW_CACHE_OP_WRITE)
		rate /= LOADS_PER_STORE;
	if (result == PERF_COUNT_HW_CACHE_RESULT_MISS)
		rate /= ACCESSES_PER_MISS;
	return rate;
}

/* Events per second over both modes; 0 for what the PMU does not have. */
static u32 synthetic_rate(struct perf_event_attr *attr)
{
	u64 config = attr->config;

	if (attr->type == PERF_TYPE_HW_CACHE)
		return synthetic_cache_rate(config);
	if (config >= PERF_COUNT_HW_MAX)
		return 0;

	return synthetic_rates[array_index_nospec(config, PERF_COUNT_HW_MAX)];
}

static u32 synthetic_mode_share(struct perf_event_attr *attr)
{
	u32 share = SHARE_ALL;

	if (attr->exclude_user)
		share -= SHARE_USER;
	if (attr->exclude_kernel)
		share -= SHARE_ALL - SHARE_USER;
	return share;
}

static int synthetic_check_group(struct perf_event *event)
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

	return nr > SYNTHETIC_COUNTERS ? -EINVAL : 0;
}

static int synthetic_event_init(struct perf_event *event)
{
	struct perf_event_attr *attr = &event->attr;
	bool kvm_exits;
	u32 rate;

	if (attr->type != PERF_TYPE_RAW && attr->type != PERF_TYPE_HARDWARE &&
	    attr->type != PERF_TYPE_HW_CACHE)
		return -ENOENT;

	kvm_exits = attr->type == PERF_TYPE_RAW &&
		    attr->config == SYNTHETIC_KVM_EXITS;
	rate = synthetic_rate(attr);
	if (!rate && !kvm_exits)
		return attr->type == PERF_TYPE_RAW ? -EINVAL : -ENOENT;

	/* No timer says when an exit is due. */
	if (attr->precise_ip || has_branch_stack(event) || attr->exclude_idle ||
	    (kvm_exits && is_sampling_event(event)))
		return -EOPNOTSUPP;

	event->hw.config = kvm_exits ? SYNTHETIC_KVM_EXITS : 0;
	event->hw.event_base = rate / SHARE_ALL * synthetic_mode_share(attr);
	event->hw.idx = -1;
	return synthetic_check_group(event);
}

/* sysfs */

#define SYNTHETIC_ATTR(_name, _str)					\
	(&((struct perf_pmu_events_attr[]) { {				\
		.attr = {						\
			.attr = { .name = _name, .mode = 0444 },	\
			.show = perf_event_sysfs_show,			\
		},							\
		.event_str = _str,					\
	} })[0].attr.attr)

static struct attribute *synthetic_events_attrs[] = {
	SYNTHETIC_ATTR("cpu-cycles", "event=0x00"),
	SYNTHETIC_ATTR("instructions", "event=0x01"),
	SYNTHETIC_ATTR("cache-references", "event=0x02"),
	SYNTHETIC_ATTR("cache-misses", "event=0x03"),
	SYNTHETIC_ATTR("branch-instructions", "event=0x04"),
	SYNTHETIC_ATTR("branch-misses", "event=0x05"),
	SYNTHETIC_ATTR("bus-cycles", "event=0x06"),
	SYNTHETIC_ATTR("stalled-cycles-frontend", "event=0x07"),
	SYNTHETIC_ATTR("stalled-cycles-backend", "event=0x08"),
	SYNTHETIC_ATTR("ref-cycles", "event=0x09"),
	SYNTHETIC_ATTR("kvm-exits", "event=0x1000"),
	NULL
};

static const struct attribute_group synthetic_events_group = {
	.name	= "events",
	.attrs	= synthetic_events_attrs,
};

PMU_FORMAT_ATTR(event, "config:0-15");

static struct attribute *synthetic_format_attrs[] = {
	&format_attr_event.attr,
	NULL
};

static const struct attribute_group synthetic_format_group = {
	.name	= "format",
	.attrs	= synthetic_format_attrs,
};

static const struct attribute_group *synthetic_attr_groups[] = {
	&synthetic_events_group,
	&synthetic_format_group,
	NULL
};

static struct pmu synthetic_pmu = {
	.capabilities	= PERF_PMU_CAP_NO_NMI,
	.attr_groups	= synthetic_attr_groups,
	.task_ctx_nr	= perf_hw_context,
	.pmu_enable	= synthetic_pmu_enable,
	.pmu_disable	= synthetic_pmu_disable,
	.event_init	= synthetic_event_init,
	.add		= synthetic_event_add,
	.del		= synthetic_event_del,
	.start		= synthetic_event_start,
	.stop		= synthetic_event_stop,
	.read		= synthetic_event_read,
};

/* Start */

static bool synthetic_requested __initdata;

static int __init synthetic_parse_param(char *unused)
{
	synthetic_requested = true;
	return 0;
}
early_param("synthetic_pmu", synthetic_parse_param);

/* The name "cpu" and PERF_TYPE_RAW can have but one owner. */
static bool __init synthetic_is_alone(void)
{
	if (x86_pmu.handle_irq) {
		pr_err("refused: there is a hardware PMU\n");
		return false;
	}
	if (IS_ENABLED(CONFIG_KVM_GUEST_PVPMU) &&
	    kvm_para_has_feature(KVM_FEATURE_PVPMU)) {
		pr_err("refused: there is a pvpmu\n");
		return false;
	}
	return true;
}

static int __init synthetic_init(void)
{
	struct hrtimer *timer;
	int cpu, i;

	if (!synthetic_requested)
		return 0;
	if (!synthetic_is_alone())
		return -EBUSY;

	for_each_possible_cpu(cpu) {
		for (i = 0; i < SYNTHETIC_COUNTERS; i++) {
			timer = &per_cpu(synthetic_cpus, cpu).counters[i].timer;
			hrtimer_init(timer, CLOCK_MONOTONIC,
				     HRTIMER_MODE_REL_PINNED_HARD);
			timer->function = synthetic_timer;
		}
	}

	pr_warn("counts here are made up from time; for tests only\n");
	return perf_pmu_register(&synthetic_pmu, "cpu", PERF_TYPE_RAW);
}
early_initcall(synthetic_init);

/* Tracepoints cannot be used as early as PMUs register. */
static int __init synthetic_probe_init(void)
{
	if (synthetic_pmu.type != PERF_TYPE_RAW)
		return 0;

	for_each_kernel_tracepoint(synthetic_probe_builtin, NULL);
	return synthetic_watch_modules();
}
late_initcall(synthetic_probe_init);
