/* SPDX-License-Identifier: GPL-2.0 */
/* Reads what the kernel says about pvpmu: its events, a guest's PMU, a vCPU's state. */
#ifndef __PERF_KVM_PVPMU_H
#define __PERF_KVM_PVPMU_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "../../arch/x86/include/uapi/asm/kvm_pvpmu.h"

struct perf_pmu;

#define KVM_PVPMU_GUEST_PMU	"pvpmu"
#define KVM_PVPMU_HOST_PMU	"kvm_vcpu"

/* One number of the kernel's, or the knowledge that it did not give any. */
struct kvm_pvpmu_value {
	bool	known;
	u64	val;
};

struct kvm_pvpmu_counter {
	unsigned int	idx;
	u64		evtsel;
	u64		value;
	u64		enabled;
	u64		running;
};

/* A vCPU's pvpmu, as debugfs on the host has it. */
struct kvm_pvpmu_vcpu {
	struct kvm_pvpmu_value	 offered;
	struct kvm_pvpmu_value	 version;
	struct kvm_pvpmu_value	 counters;
	struct kvm_pvpmu_value	 width;
	struct kvm_pvpmu_value	 events_hw;
	struct kvm_pvpmu_value	 events_cache;
	struct kvm_pvpmu_value	 events_pv;
	struct kvm_pvpmu_value	 ctrl;
	struct kvm_pvpmu_value	 status;
	struct kvm_pvpmu_value	 totals[KVM_PVPMU_PV_MAX];
	unsigned int		 nr_used;
	struct kvm_pvpmu_counter used[KVM_PVPMU_MAX_COUNTERS];
};

/* The guest's PMU, as its sysfs directory has it; masks are by class. */
struct kvm_pvpmu_guest {
	struct perf_pmu		*pmu;
	struct kvm_pvpmu_value	 version;
	struct kvm_pvpmu_value	 counters;
	struct kvm_pvpmu_value	 width;
	struct kvm_pvpmu_value	 features;
	struct kvm_pvpmu_value	 offered[KVM_PVPMU_CLASS_PV + 1];
	u64			 available[KVM_PVPMU_CLASS_PV + 1];
};

typedef int (*kvm_pvpmu_event_cb)(unsigned int class, unsigned int nr, const char *name,
				  void *data);

const char *kvm_pvpmu__class_name(unsigned int class);
int kvm_pvpmu__visit_events(kvm_pvpmu_event_cb cb, void *data);
int kvm_pvpmu__event_name(unsigned int class, unsigned int nr, char *bf, size_t size);
const char *kvm_pvpmu__pv_event_name(unsigned int nr);
int kvm_pvpmu__pv_event_nr(const char *name, size_t len);

int kvm_pvpmu_vcpu__parse(struct kvm_pvpmu_vcpu *vcpu, char *text);
bool kvm_pvpmu_vcpu__counter_enabled(const struct kvm_pvpmu_vcpu *vcpu,
				     const struct kvm_pvpmu_counter *counter);
bool kvm_pvpmu_vcpu__counter_error(const struct kvm_pvpmu_vcpu *vcpu,
				   const struct kvm_pvpmu_counter *counter);

int kvm_pvpmu_guest__parse_event(const char *text, unsigned int *class, unsigned int *nr);
int kvm_pvpmu_guest__read(struct kvm_pvpmu_guest *guest, struct perf_pmu *pmu);

const char *kvm_pvpmu__default_event(bool can_profile_kernel);

#endif /* __PERF_KVM_PVPMU_H */
