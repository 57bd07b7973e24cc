// SPDX-License-Identifier: GPL-2.0
/* Asks the hypervisor, if there is one, whether it is KVM. */
#include <stdbool.h>
#include <string.h>
#include <linux/bits.h>
#include "../../../util/pv-clock.h"
#include "cpuid.h"

#define CPUID_HYPERVISOR	BIT(31)	/* ECX of leaf 1 */
#define CPUID_HYPERVISOR_BASE	0x40000000
#define CPUID_HYPERVISOR_STEP	0x100

static bool is_kvm(unsigned int leaf)
{
	unsigned int eax, signature[3];

	cpuid(leaf, 0, &eax, &signature[0], &signature[1], &signature[2]);
	return !memcmp(signature, "KVMKVMKVM\0\0", sizeof(signature));
}

/* KVM's leaves come second when it also shows itself as Hyper-V. */
bool pv_clock__is_kvm_guest(void)
{
	unsigned int eax, ebx, ecx, edx;

	cpuid(1, 0, &eax, &ebx, &ecx, &edx);
	return (ecx & CPUID_HYPERVISOR) &&
	       (is_kvm(CPUID_HYPERVISOR_BASE) ||
		is_kvm(CPUID_HYPERVISOR_BASE + CPUID_HYPERVISOR_STEP));
}
