/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the pvpmu guest driver share.
 */
#ifndef _ARCH_X86_EVENTS_KVM_PVPMU_H
#define _ARCH_X86_EVENTS_KVM_PVPMU_H

#include <linux/types.h>

#include <asm/kvm_pvpmu.h>

struct attribute_group;

#define PVPMU_CLASSES	(KVM_PVPMU_CLASS_PV + 1)

/* perf_event_attr::config of an event: the low bits of EVTSEL. */
#define PVPMU_CONFIG(class, event) \
	((u64)(class) << KVM_PVPMU_EVTSEL_CLASS_SHIFT | (event))
#define PVPMU_CONFIG_MASK	(KVM_PVPMU_EVTSEL_CLASS | KVM_PVPMU_EVTSEL_EVENT)

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

bool pvpmu_config_countable(u64 config);
int pvpmu_map_hardware(u64 config);
int pvpmu_map_cache(u64 config);

extern const struct attribute_group *pvpmu_attr_groups[];
extern const struct attribute_group *pvpmu_cpu_attr_groups[];

#endif /* _ARCH_X86_EVENTS_KVM_PVPMU_H */
