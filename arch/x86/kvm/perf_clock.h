/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The paravirtual perf clock as the rest of KVM sees it.
 *
 * The hooks cost one patched-out branch unless kvm.perf_clock=1, and nothing
 * with CONFIG_KVM_PV_PERF_CLOCK=n.  Documentation/virt/kvm/x86/perf-clock.rst
 * has the interface.
 */
#ifndef __ARCH_X86_KVM_PERF_CLOCK_H__
#define __ARCH_X86_KVM_PERF_CLOCK_H__

#include <linux/kvm_host.h>
#include <uapi/asm/kvm_perf_clock.h>
#include "x86.h"

struct dentry;

#ifdef CONFIG_KVM_PV_PERF_CLOCK
#include <linux/jump_label.h>

#define KVM_PERF_CLOCK_NR_MSRS	5

DECLARE_STATIC_KEY_FALSE(kvm_perf_clock_enabled);

void kvm_perf_clock_init(void);
void kvm_perf_clock_exit(void);
unsigned int kvm_perf_clock_list_msrs(u32 *msrs);
void kvm_perf_clock_init_vm(struct kvm *kvm);
void kvm_perf_clock_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_perf_clock_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_perf_clock_vcpu_reset(struct kvm_vcpu *vcpu);
int kvm_perf_clock_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
int kvm_perf_clock_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
void kvm_perf_clock_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *dir);
void __kvm_perf_clock_handle_request(struct kvm_vcpu *vcpu);
void __kvm_perf_clock_enter(struct kvm_vcpu *vcpu);

/* perf_clock_vm.c */
void kvm_perf_clock_carry(struct kvm *kvm, u32 msr, u64 data);
void kvm_perf_clock_use(struct kvm *kvm);
void kvm_perf_clock_note_host(struct kvm *kvm, const struct host_perf_clock *host);
u64 kvm_perf_clock_vm_value(struct kvm *kvm, u32 msr);

static inline bool kvm_perf_clock_supported(void)
{
	return static_branch_unlikely(&kvm_perf_clock_enabled);
}

/* As for the paravirtual PMU, the vCPU's own bit decides. */
static inline bool kvm_perf_clock_offered(struct kvm_vcpu *vcpu)
{
	return kvm_perf_clock_supported() &&
	       (vcpu->arch.pv_cpuid.features & BIT(KVM_FEATURE_PV_PERF_CLOCK));
}

static inline void kvm_perf_clock_handle_request(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_perf_clock_enabled) &&
	    kvm_check_request(KVM_REQ_PERF_CLOCK, vcpu))
		__kvm_perf_clock_handle_request(vcpu);
}

/*
 * Before the guest is entered, interrupts off and kvm->srcu held.  It can make
 * KVM_REQ_PERF_CLOCK, so the last check for requests must come after it.
 */
static inline void kvm_perf_clock_enter(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_perf_clock_enabled))
		__kvm_perf_clock_enter(vcpu);
}

#else

#define KVM_PERF_CLOCK_NR_MSRS	0

static inline void kvm_perf_clock_init(void)
{
}

static inline void kvm_perf_clock_exit(void)
{
}

static inline bool kvm_perf_clock_supported(void)
{
	return false;
}

static inline unsigned int kvm_perf_clock_list_msrs(u32 *msrs)
{
	return 0;
}

static inline void kvm_perf_clock_init_vm(struct kvm *kvm)
{
}

static inline void kvm_perf_clock_vcpu_create(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_perf_clock_vcpu_destroy(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_perf_clock_vcpu_reset(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_perf_clock_create_debugfs(struct kvm_vcpu *vcpu,
						 struct dentry *dir)
{
}

static inline void kvm_perf_clock_handle_request(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_perf_clock_enter(struct kvm_vcpu *vcpu)
{
}

#endif /* CONFIG_KVM_PV_PERF_CLOCK */

#endif /* __ARCH_X86_KVM_PERF_CLOCK_H__ */
