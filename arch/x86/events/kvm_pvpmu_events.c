// SPDX-License-Identifier: GPL-2.0
/*
 * The events of pvpmu: which exist here, their numbers for perf's generic
 * events, and how they show in sysfs.
 */
#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/nospec.h>
#include <linux/perf_event.h>
#include <linux/sysfs.h>

#include "kvm_pvpmu.h"

struct pvpmu_model pvpmu_model __ro_after_init;

/* Mapping of perf's numbers */

bool pvpmu_config_countable(u64 config)
{
	u64 class = FIELD_GET(KVM_PVPMU_EVTSEL_CLASS, config);
	u64 event = FIELD_GET(KVM_PVPMU_EVTSEL_EVENT, config);

	if (config & ~PVPMU_CONFIG_MASK)
		return false;
	if (class >= PVPMU_CLASSES || event >= BITS_PER_TYPE(u64))
		return false;

	class = array_index_nospec(class, PVPMU_CLASSES);
	return pvpmu_model.countable[class] & BIT_ULL(event);
}

#define HW(id)	PVPMU_CONFIG(KVM_PVPMU_CLASS_HW, KVM_PVPMU_HW_##id)
#define CACHE(level, op, result)					\
	PVPMU_CONFIG(KVM_PVPMU_CLASS_CACHE,				\
		     KVM_PVPMU_CACHE_EVENT(KVM_PVPMU_CACHE_##level,	\
					   KVM_PVPMU_CACHE_##op,	\
					   KVM_PVPMU_CACHE_##result))

static const u16 pvpmu_hardware_map[PERF_COUNT_HW_MAX] = {
	[PERF_COUNT_HW_CPU_CYCLES]		= HW(CYCLES),
	[PERF_COUNT_HW_INSTRUCTIONS]		= HW(INSTRUCTIONS),
	[PERF_COUNT_HW_CACHE_REFERENCES]	= CACHE(LL, READ, ACCESS),
	[PERF_COUNT_HW_CACHE_MISSES]		= CACHE(LL, READ, MISS),
	[PERF_COUNT_HW_BRANCH_INSTRUCTIONS]	= HW(BRANCHES),
	[PERF_COUNT_HW_BRANCH_MISSES]		= HW(BRANCH_MISSES),
	[PERF_COUNT_HW_BUS_CYCLES]		= HW(BUS_CYCLES),
	[PERF_COUNT_HW_STALLED_CYCLES_FRONTEND]	= HW(STALLED_FRONTEND),
	[PERF_COUNT_HW_STALLED_CYCLES_BACKEND]	= HW(STALLED_BACKEND),
	[PERF_COUNT_HW_REF_CPU_CYCLES]		= HW(REF_CYCLES),
};

/* The config of a PERF_TYPE_HARDWARE event, or an error. */
int pvpmu_map_hardware(u64 config)
{
	if (config >= PERF_COUNT_HW_MAX)
		return -EINVAL;

	config = array_index_nospec(config, PERF_COUNT_HW_MAX);
	return pvpmu_hardware_map[config];
}

static const u8 pvpmu_cache_levels[PERF_COUNT_HW_CACHE_MAX] = {
	[PERF_COUNT_HW_CACHE_L1D]	= KVM_PVPMU_CACHE_L1D,
	[PERF_COUNT_HW_CACHE_L1I]	= KVM_PVPMU_CACHE_L1I,
	[PERF_COUNT_HW_CACHE_LL]	= KVM_PVPMU_CACHE_LL,
	[PERF_COUNT_HW_CACHE_DTLB]	= KVM_PVPMU_CACHE_DTLB,
	[PERF_COUNT_HW_CACHE_ITLB]	= KVM_PVPMU_CACHE_ITLB,
	[PERF_COUNT_HW_CACHE_BPU]	= KVM_PVPMU_CACHE_BPU,
	[PERF_COUNT_HW_CACHE_NODE]	= KVM_PVPMU_CACHE_NODE,
};

static const u8 pvpmu_cache_ops[PERF_COUNT_HW_CACHE_OP_MAX] = {
	[PERF_COUNT_HW_CACHE_OP_READ]		= KVM_PVPMU_CACHE_READ,
	[PERF_COUNT_HW_CACHE_OP_WRITE]		= KVM_PVPMU_CACHE_WRITE,
	[PERF_COUNT_HW_CACHE_OP_PREFETCH]	= KVM_PVPMU_CACHE_PREFETCH,
};

static const u8 pvpmu_cache_results[PERF_COUNT_HW_CACHE_RESULT_MAX] = {
	[PERF_COUNT_HW_CACHE_RESULT_ACCESS]	= KVM_PVPMU_CACHE_ACCESS,
	[PERF_COUNT_HW_CACHE_RESULT_MISS]	= KVM_PVPMU_CACHE_MISS,
};

/* The config of a PERF_TYPE_HW_CACHE event, or an error. */
int pvpmu_map_cache(u64 config)
{
	u64 level = config & 0xff;
	u64 op = config >> 8 & 0xff;
	u64 result = config >> 16;

	if (level >= PERF_COUNT_HW_CACHE_MAX ||
	    op >= PERF_COUNT_HW_CACHE_OP_MAX ||
	    result >= PERF_COUNT_HW_CACHE_RESULT_MAX)
		return -EINVAL;

	level = array_index_nospec(level, PERF_COUNT_HW_CACHE_MAX);
	op = array_index_nospec(op, PERF_COUNT_HW_CACHE_OP_MAX);
	result = array_index_nospec(result, PERF_COUNT_HW_CACHE_RESULT_MAX);
	return PVPMU_CONFIG(KVM_PVPMU_CLASS_CACHE,
			    KVM_PVPMU_CACHE_EVENT(pvpmu_cache_levels[level],
						  pvpmu_cache_ops[op],
						  pvpmu_cache_results[result]));
}

/* sysfs: events */

static ssize_t pvpmu_event_show(struct device *dev,
				struct device_attribute *attr, char *page)
{
	struct perf_pmu_events_attr *event =
		container_of(attr, struct perf_pmu_events_attr, attr);

	if (event->event_str)
		return sysfs_emit(page, "%s\n", event->event_str);

	return sysfs_emit(page, "event=0x%02llx,class=0x%llx\n",
			  FIELD_GET(KVM_PVPMU_EVTSEL_EVENT, event->id),
			  FIELD_GET(KVM_PVPMU_EVTSEL_CLASS, event->id));
}

static umode_t pvpmu_event_is_visible(struct kobject *kobj,
				      struct attribute *attr, int unused)
{
	struct perf_pmu_events_attr *event =
		container_of(attr, struct perf_pmu_events_attr, attr.attr);

	return pvpmu_config_countable(event->id) ? attr->mode : 0;
}

#define EVENT_ATTR_STR(_name, _config, _str)				\
	(&((struct perf_pmu_events_attr[]) { {				\
		.attr = {						\
			.attr = { .name = _name, .mode = 0444 },	\
			.show = pvpmu_event_show,			\
		},							\
		.id = _config,						\
		.event_str = _str,					\
	} })[0].attr.attr)

#define EVENT_ATTR(_name, _config)	EVENT_ATTR_STR(_name, _config, NULL)

#define PV_UNIT(id, name, unit) \
	EVENT_ATTR_STR(name ".unit", PVPMU_CONFIG(KVM_PVPMU_CLASS_PV, \
						  KVM_PVPMU_PV_##id), unit)

static struct attribute *pvpmu_event_attrs[] = {
#define KVM_PVPMU_HW_EVENT(id, name) \
	EVENT_ATTR(name, PVPMU_CONFIG(KVM_PVPMU_CLASS_HW, KVM_PVPMU_HW_##id)),
#define KVM_PVPMU_PV_EVENT(id, name) \
	EVENT_ATTR(name, PVPMU_CONFIG(KVM_PVPMU_CLASS_PV, KVM_PVPMU_PV_##id)),
#include <asm/kvm_pvpmu_events.h>
	PV_UNIT(GUEST_NS, "guest-ns", "ns"),
	PV_UNIT(HALT_POLL_NS, "halt-poll-ns", "ns"),
	PV_UNIT(STEAL_NS, "steal-ns", "ns"),
	/*
	 * Not perf's names, as L1-dcache-loads: perf opens an event on each
	 * PMU that has it in sysfs, and on "cpu" anyway.
	 */
	EVENT_ATTR("cache-l1d-read", CACHE(L1D, READ, ACCESS)),
	EVENT_ATTR("cache-l1d-read-miss", CACHE(L1D, READ, MISS)),
	EVENT_ATTR("cache-l1d-write", CACHE(L1D, WRITE, ACCESS)),
	EVENT_ATTR("cache-l1d-write-miss", CACHE(L1D, WRITE, MISS)),
	EVENT_ATTR("cache-l1d-prefetch", CACHE(L1D, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-l1d-prefetch-miss", CACHE(L1D, PREFETCH, MISS)),
	EVENT_ATTR("cache-l1i-read", CACHE(L1I, READ, ACCESS)),
	EVENT_ATTR("cache-l1i-read-miss", CACHE(L1I, READ, MISS)),
	EVENT_ATTR("cache-l1i-write", CACHE(L1I, WRITE, ACCESS)),
	EVENT_ATTR("cache-l1i-write-miss", CACHE(L1I, WRITE, MISS)),
	EVENT_ATTR("cache-l1i-prefetch", CACHE(L1I, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-l1i-prefetch-miss", CACHE(L1I, PREFETCH, MISS)),
	EVENT_ATTR("cache-ll-read", CACHE(LL, READ, ACCESS)),
	EVENT_ATTR("cache-ll-read-miss", CACHE(LL, READ, MISS)),
	EVENT_ATTR("cache-ll-write", CACHE(LL, WRITE, ACCESS)),
	EVENT_ATTR("cache-ll-write-miss", CACHE(LL, WRITE, MISS)),
	EVENT_ATTR("cache-ll-prefetch", CACHE(LL, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-ll-prefetch-miss", CACHE(LL, PREFETCH, MISS)),
	EVENT_ATTR("cache-dtlb-read", CACHE(DTLB, READ, ACCESS)),
	EVENT_ATTR("cache-dtlb-read-miss", CACHE(DTLB, READ, MISS)),
	EVENT_ATTR("cache-dtlb-write", CACHE(DTLB, WRITE, ACCESS)),
	EVENT_ATTR("cache-dtlb-write-miss", CACHE(DTLB, WRITE, MISS)),
	EVENT_ATTR("cache-dtlb-prefetch", CACHE(DTLB, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-dtlb-prefetch-miss", CACHE(DTLB, PREFETCH, MISS)),
	EVENT_ATTR("cache-itlb-read", CACHE(ITLB, READ, ACCESS)),
	EVENT_ATTR("cache-itlb-read-miss", CACHE(ITLB, READ, MISS)),
	EVENT_ATTR("cache-itlb-write", CACHE(ITLB, WRITE, ACCESS)),
	EVENT_ATTR("cache-itlb-write-miss", CACHE(ITLB, WRITE, MISS)),
	EVENT_ATTR("cache-itlb-prefetch", CACHE(ITLB, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-itlb-prefetch-miss", CACHE(ITLB, PREFETCH, MISS)),
	EVENT_ATTR("cache-bpu-read", CACHE(BPU, READ, ACCESS)),
	EVENT_ATTR("cache-bpu-read-miss", CACHE(BPU, READ, MISS)),
	EVENT_ATTR("cache-bpu-write", CACHE(BPU, WRITE, ACCESS)),
	EVENT_ATTR("cache-bpu-write-miss", CACHE(BPU, WRITE, MISS)),
	EVENT_ATTR("cache-bpu-prefetch", CACHE(BPU, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-bpu-prefetch-miss", CACHE(BPU, PREFETCH, MISS)),
	EVENT_ATTR("cache-node-read", CACHE(NODE, READ, ACCESS)),
	EVENT_ATTR("cache-node-read-miss", CACHE(NODE, READ, MISS)),
	EVENT_ATTR("cache-node-write", CACHE(NODE, WRITE, ACCESS)),
	EVENT_ATTR("cache-node-write-miss", CACHE(NODE, WRITE, MISS)),
	EVENT_ATTR("cache-node-prefetch", CACHE(NODE, PREFETCH, ACCESS)),
	EVENT_ATTR("cache-node-prefetch-miss", CACHE(NODE, PREFETCH, MISS)),
	NULL
};

static const struct attribute_group pvpmu_events_group = {
	.name		= "events",
	.attrs		= pvpmu_event_attrs,
	.is_visible	= pvpmu_event_is_visible,
};

/* The names that x86's PMUs have for the generic events. */
static struct attribute *pvpmu_cpu_event_attrs[] = {
	EVENT_ATTR("cpu-cycles", HW(CYCLES)),
	EVENT_ATTR("instructions", HW(INSTRUCTIONS)),
	EVENT_ATTR("ref-cycles", HW(REF_CYCLES)),
	EVENT_ATTR("branch-instructions", HW(BRANCHES)),
	EVENT_ATTR("branch-misses", HW(BRANCH_MISSES)),
	EVENT_ATTR("bus-cycles", HW(BUS_CYCLES)),
	EVENT_ATTR("stalled-cycles-frontend", HW(STALLED_FRONTEND)),
	EVENT_ATTR("stalled-cycles-backend", HW(STALLED_BACKEND)),
	EVENT_ATTR("cache-references", CACHE(LL, READ, ACCESS)),
	EVENT_ATTR("cache-misses", CACHE(LL, READ, MISS)),
	NULL
};

static const struct attribute_group pvpmu_cpu_events_group = {
	.name		= "events",
	.attrs		= pvpmu_cpu_event_attrs,
	.is_visible	= pvpmu_event_is_visible,
};

/* sysfs: format */

PMU_FORMAT_ATTR(event, "config:0-7");
PMU_FORMAT_ATTR(class, "config:8-11");

static struct attribute *pvpmu_format_attrs[] = {
	&format_attr_event.attr,
	&format_attr_class.attr,
	NULL
};

static const struct attribute_group pvpmu_format_group = {
	.name	= "format",
	.attrs	= pvpmu_format_attrs,
};

/* sysfs: caps */

#define PVPMU_CAP_ATTR(_name, _format, _value)				\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *page)	\
{									\
	return sysfs_emit(page, _format "\n", _value);			\
}									\
static DEVICE_ATTR_RO(_name)

/* As the bits stand in CAP, without the fields that have their own file. */
#define PVPMU_FEATURES	(pvpmu_model.cap & (KVM_PVPMU_CAP_PAGE |	\
					    KVM_PVPMU_CAP_OVERFLOW |	\
					    KVM_PVPMU_CAP_RAW))

PVPMU_CAP_ATTR(version, "%llu",
	       FIELD_GET(KVM_PVPMU_CAP_VERSION, pvpmu_model.cap));
PVPMU_CAP_ATTR(counters, "%u", pvpmu_model.counters);
PVPMU_CAP_ATTR(width, "%llu",
	       FIELD_GET(KVM_PVPMU_CAP_WIDTH, pvpmu_model.cap));
PVPMU_CAP_ATTR(features, "0x%llx", PVPMU_FEATURES);
PVPMU_CAP_ATTR(events_hw, "0x%llx", pvpmu_model.offered[KVM_PVPMU_CLASS_HW]);
PVPMU_CAP_ATTR(events_cache, "0x%llx",
	       pvpmu_model.offered[KVM_PVPMU_CLASS_CACHE]);
PVPMU_CAP_ATTR(events_pv, "0x%llx", pvpmu_model.offered[KVM_PVPMU_CLASS_PV]);

static struct attribute *pvpmu_caps_attrs[] = {
	&dev_attr_version.attr,
	&dev_attr_counters.attr,
	&dev_attr_width.attr,
	&dev_attr_features.attr,
	&dev_attr_events_hw.attr,
	&dev_attr_events_cache.attr,
	&dev_attr_events_pv.attr,
	NULL
};

static const struct attribute_group pvpmu_caps_group = {
	.name	= "caps",
	.attrs	= pvpmu_caps_attrs,
};

/* As x86's PMUs have it: spares perf its trials of precise_ip. */
PVPMU_CAP_ATTR(max_precise, "%d", 0);

static struct attribute *pvpmu_cpu_caps_attrs[] = {
	&dev_attr_max_precise.attr,
	NULL
};

static const struct attribute_group pvpmu_cpu_caps_group = {
	.name	= "caps",
	.attrs	= pvpmu_cpu_caps_attrs,
};

const struct attribute_group *pvpmu_attr_groups[] = {
	&pvpmu_events_group,
	&pvpmu_format_group,
	&pvpmu_caps_group,
	NULL
};

const struct attribute_group *pvpmu_cpu_attr_groups[] = {
	&pvpmu_cpu_events_group,
	&pvpmu_format_group,
	&pvpmu_cpu_caps_group,
	NULL
};
