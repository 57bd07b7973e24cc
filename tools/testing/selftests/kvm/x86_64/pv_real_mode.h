/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine that is reset by a VMM which knows only some of its registers, and
 * what such a machine runs then.
 */
#ifndef SELFTEST_KVM_PV_REAL_MODE_H
#define SELFTEST_KVM_PV_REAL_MODE_H

#include "pv_test.h"

/* Code for real mode must be below 1 MiB, for the SIPI's vector to name it. */
#define REAL_MODE_GPA		0x8000ull
#define REAL_MODE_END		0x100000ull
#define REAL_MODE_PORT		0x80

/* CPUID and OUT, for ever. */
static const uint8_t real_mode_code[] = {
	0x66, 0x31, 0xc0,		/* xor %eax, %eax */
	0x0f, 0xa2,			/* cpuid */
	0xe6, REAL_MODE_PORT,		/* out %al, $0x80 */
	0xeb, 0xf7,			/* jmp to the start */
};

static inline vm_paddr_t install_real_mode_code(struct kvm_vm *vm)
{
	vm_paddr_t gpa = vm_phy_page_alloc(vm, REAL_MODE_GPA, 0);

	TEST_ASSERT(gpa < REAL_MODE_END, "no page for real mode");
	memcpy(addr_gpa2hva(vm, gpa), real_mode_code, sizeof(real_mode_code));
	return gpa;
}

/* A VMM that does not know a feature sets what it knows to its reset state. */
static inline void reset_to(struct kvm_vcpu *vcpu,
			    struct kvm_sregs *reset_sregs, vm_paddr_t gpa)
{
	struct kvm_sregs sregs = *reset_sregs;
	struct kvm_regs regs = { .rflags = 2 };

	vcpu_run_complete_io(vcpu);
	vcpu_sregs_get(vcpu, reset_sregs);
	sregs.apic_base = reset_sregs->apic_base;
	sregs.cs.base = gpa;
	sregs.cs.selector = gpa >> 4;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_set(vcpu, &regs);
}

static inline void run_real_mode(struct kvm_vcpu *vcpu, unsigned int n)
{
	while (n--) {
		vcpu_run(vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
		TEST_ASSERT_EQ(vcpu->run->io.port, REAL_MODE_PORT);
	}
}

#endif /* SELFTEST_KVM_PV_REAL_MODE_H */
