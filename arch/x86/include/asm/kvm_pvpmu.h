/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a KVM guest's CPU tells the pvpmu driver when it comes and goes.
 */
#ifndef _ASM_X86_KVM_PVPMU_H
#define _ASM_X86_KVM_PVPMU_H

#include <uapi/asm/kvm_pvpmu.h>

#ifdef CONFIG_KVM_GUEST_PVPMU
void kvm_pvpmu_guest_online(void);
void kvm_pvpmu_guest_offline(bool shutdown);
#else
static inline void kvm_pvpmu_guest_online(void) { }
static inline void kvm_pvpmu_guest_offline(bool shutdown) { }
#endif

#endif /* _ASM_X86_KVM_PVPMU_H */
