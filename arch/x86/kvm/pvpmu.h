/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The paravirtual PMU as the rest of KVM sees it, and what its files share.
 *
 * The hooks cost one patched-out branch unless kvm.pvpmu=1, and nothing with
 * CONFIG_KVM_PVPMU=n.  Documentation/virt/kvm/x86/pvpmu.rst has the interface.
 */
#ifndef __ARCH_X86_KVM_PVPMU_H__
#define __ARCH_X86_KVM_PVPMU_H__

#include <linux/kvm_host.h>
#include <asm/kvm_pvpmu.h>
#include "x86.h"

struct dentry;

#ifdef CONFIG_KVM_PVPMU
#include <linux/jump_label.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <asm/local64.h>

struct perf_event;

/* CAP, EVENTS_*, GLOBAL_CTRL and GLOBAL_STATUS, and four registers a counter. */
#define KVM_PVPMU_NR_SAVED_MSRS	(6 + 4 * KVM_PVPMU_MAX_COUNTERS)

/*
 * Free-running totals of one vCPU.  Only the vCPU's own thread changes them,
 * and only while perf has that thread's events scheduled in; anybody may read.
 * Host perf events hold references, so the totals can outlive their VM.
 */
struct kvm_pvpmu_totals {
	struct kref refs;
	struct pid *pid;	/* the thread, for comparison only */
	local64_t total[KVM_PVPMU_PV_MAX];
};

enum pvpmu_backend {
	PVPMU_STOPPED,
	PVPMU_PV,		/* a total of this vCPU */
	PVPMU_PERF,		/* a perf event on the vCPU's thread */
	PVPMU_FAILED,		/* enabled, but nothing counts: ERROR */
};

enum pvpmu_value {
	PVPMU_COUNT,
	PVPMU_ENABLED,
	PVPMU_RUNNING,
	PVPMU_NR_VALUES,
};

#define PVPMU_REBASE_ALL	(BIT(PVPMU_NR_VALUES) - 1)

/*
 * What the guest sees of a value is base + (backend's reading - prev); see
 * pvpmu_fold().  A value written since the last fold has its bit in rebase:
 * what the backend counted before the write is then dropped.
 */
struct pvpmu_counter {
	u64 evtsel;
	u64 base[PVPMU_NR_VALUES];
	u64 prev[PVPMU_NR_VALUES];
	u8 rebase;
	enum pvpmu_backend backend;
	u32 config;
	struct pvpmu_event *event;
};

/* One perf event; idle ones are kept for a while, to be reused as they are. */
struct pvpmu_event {
	struct perf_event *event;
	u32 config;
	bool busy;
	unsigned long idle_since;
};

/*
 * @lock guards the registers, the counters and their perf events.  It nests
 * inside vcpu->mutex and kvm->srcu and is there for debugfs, which reads while
 * the vCPU runs.  The members after @totals belong to the vCPU's thread.
 */
struct kvm_pvpmu {
	struct mutex lock;	/* see above */
	u64 ctrl;
	u64 status;
	u64 status_clear;
	u32 retry;
	bool new_thread;
	bool idle_events;
	unsigned long reap_at;
	struct pvpmu_counter counters[KVM_PVPMU_MAX_COUNTERS];
	struct pvpmu_event events[KVM_PVPMU_MAX_COUNTERS];

	struct kvm_pvpmu_totals *totals;
	u64 entry_ns;
	u64 run_delay;
	u64 preemptions;
	int last_cpu;
};

DECLARE_STATIC_KEY_FALSE(kvm_pvpmu_enabled);

extern const char *const kvm_pvpmu_pv_names[KVM_PVPMU_PV_MAX];

void kvm_pvpmu_init(void);
void kvm_pvpmu_exit(void);
unsigned int kvm_pvpmu_list_msrs(u32 *msrs);
void kvm_pvpmu_init_vm(struct kvm *kvm);
int kvm_pvpmu_set_model(struct kvm *kvm, const u64 *args);
int kvm_pvpmu_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_pvpmu_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_pvpmu_vcpu_reset(struct kvm_vcpu *vcpu);
int kvm_pvpmu_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
int kvm_pvpmu_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
void kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu);
void kvm_pvpmu_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *dir);

/* pvpmu_counter.c, for the registers and for debugfs. */
void kvm_pvpmu_fold_all(struct kvm_vcpu *vcpu);
u64 kvm_pvpmu_read_value(struct kvm_vcpu *vcpu, unsigned int idx,
			 enum pvpmu_value what);
void kvm_pvpmu_sync_counters(struct kvm_vcpu *vcpu);
void kvm_pvpmu_release_events(struct kvm_vcpu *vcpu);

/* pvpmu_totals.c */
void __kvm_pvpmu_run(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_enter(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_leave(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_halt(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_put(struct kvm_vcpu *vcpu);
void kvm_pvpmu_put_totals(struct kvm_pvpmu_totals *totals);

/* pvpmu_host_pmu.c */
int kvm_pvpmu_register_host_pmu(void);
void kvm_pvpmu_unregister_host_pmu(void);

static inline bool kvm_pvpmu_supported(void)
{
	return static_branch_unlikely(&kvm_pvpmu_enabled);
}

/*
 * guest_pv_has() says yes to everything unless user space enforces its CPUID;
 * here the vCPU's own bit always decides.
 */
static inline bool kvm_pvpmu_offered(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.pvpmu &&
	       (vcpu->arch.pv_cpuid.features & BIT(KVM_FEATURE_PVPMU));
}

static inline unsigned int kvm_pvpmu_nr_counters(struct kvm *kvm)
{
	return (kvm->arch.pvpmu.cap & KVM_PVPMU_CAP_COUNTERS) >>
		KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

static inline void kvm_pvpmu_add(struct kvm_vcpu *vcpu,
				 enum kvm_pvpmu_pv_event event, u64 n)
{
	local64_add(n, &vcpu->arch.pvpmu->totals->total[event]);
}

static inline void kvm_pvpmu_count(struct kvm_vcpu *vcpu,
				   enum kvm_pvpmu_pv_event event)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		kvm_pvpmu_add(vcpu, event, 1);
}

/* At the start of KVM_RUN: did the vCPU come with another thread? */
static inline void kvm_pvpmu_run(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_run(vcpu);
}

/* Right before the guest is entered, interrupts off. */
static inline void kvm_pvpmu_enter(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_enter(vcpu);
}

/* Right after each exit, those of the fast path too, interrupts still off. */
static inline void kvm_pvpmu_leave(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_leave(vcpu);
}

static inline void kvm_pvpmu_halt(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_halt(vcpu);
	else
		kvm_vcpu_halt(vcpu);
}

/* In vcpu_put(), thus also when the vCPU's thread is scheduled out. */
static inline void kvm_pvpmu_put(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_put(vcpu);
}

#else

#define KVM_PVPMU_NR_SAVED_MSRS	0

static inline void kvm_pvpmu_init(void)
{
}

static inline void kvm_pvpmu_exit(void)
{
}

static inline bool kvm_pvpmu_supported(void)
{
	return false;
}

static inline unsigned int kvm_pvpmu_list_msrs(u32 *msrs)
{
	return 0;
}

static inline void kvm_pvpmu_init_vm(struct kvm *kvm)
{
}

static inline int kvm_pvpmu_set_model(struct kvm *kvm, const u64 *args)
{
	return -EINVAL;
}

static inline int kvm_pvpmu_vcpu_create(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline void kvm_pvpmu_vcpu_destroy(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_vcpu_reset(struct kvm_vcpu *vcpu)
{
}

static inline int kvm_pvpmu_get_msr(struct kvm_vcpu *vcpu,
				    struct msr_data *msr_info)
{
	return KVM_MSR_RET_UNSUPPORTED;
}

static inline int kvm_pvpmu_set_msr(struct kvm_vcpu *vcpu,
				    struct msr_data *msr_info)
{
	return KVM_MSR_RET_UNSUPPORTED;
}

static inline void kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_create_debugfs(struct kvm_vcpu *vcpu,
					    struct dentry *dir)
{
}

static inline void kvm_pvpmu_count(struct kvm_vcpu *vcpu,
				   enum kvm_pvpmu_pv_event event)
{
}

static inline void kvm_pvpmu_run(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_enter(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_leave(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_halt(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_halt(vcpu);
}

static inline void kvm_pvpmu_put(struct kvm_vcpu *vcpu)
{
}

#endif /* CONFIG_KVM_PVPMU */

#endif /* __ARCH_X86_KVM_PVPMU_H__ */
