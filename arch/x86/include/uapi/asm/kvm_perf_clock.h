/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The paravirtual perf clock of KVM guests: its registers and its page.
 *
 * The behaviour behind these numbers is in
 * Documentation/virt/kvm/x86/perf-clock.rst.
 */
#ifndef _UAPI_ASM_X86_KVM_PERF_CLOCK_H
#define _UAPI_ASM_X86_KVM_PERF_CLOCK_H

#include <linux/types.h>

#define MSR_KVM_PERF_CLOCK		0x4b564d48
#define MSR_KVM_PERF_CLOCK_NS		0x4b564d49
#define MSR_KVM_PERF_CLOCK_EPOCH	0x4b564d4a
#define MSR_KVM_PERF_CLOCK_OFFSET	0x4b564d4b
#define MSR_KVM_PERF_CLOCK_GENERATION	0x4b564d4c

/* MSR_KVM_PERF_CLOCK: what the guest wants; the page's address is in the rest. */
#define KVM_PERF_CLOCK_PAGE		(1ULL << 0)
#define KVM_PERF_CLOCK_NS		(1ULL << 1)

#define KVM_PERF_CLOCK_PAGE_SIZE	4096

/* Restored values have to be less than this, in ns or as a number. */
#define KVM_PERF_CLOCK_LIMIT		(1LL << 62)

/* kvm_perf_clock_page.flags */
#define KVM_PERF_CLOCK_VALID		(1U << 0)
#define KVM_PERF_CLOCK_SCALED		(1U << 1)

/**
 * struct kvm_perf_clock_page - how a vCPU's TSC becomes the guest's perf clock
 * @version:		odd while the host writes
 * @reserved0:		0
 * @tsc_timestamp:	TSC at which cycles are counted from
 * @system_time:	the guest's clock there, in ns
 * @tsc_to_system_mul:	ns = (cycles << @tsc_shift) * this >> 32
 * @tsc_shift:		see @tsc_to_system_mul; shifts right where negative
 * @flags:		KVM_PERF_CLOCK_VALID, KVM_PERF_CLOCK_SCALED
 * @reserved1:		0
 * @host_epoch:		drawn anew with each boot of the host
 * @generation:		grows when the clock's relation to the host's TSC changed
 * @offset:		host's perf clock = guest's perf clock + this, in ns
 * @tsc_scale:		with SCALED: cycles of the host's TSC are cycles of the
 *			guest's * this >> @tsc_scale_shift
 * @tsc_scale_shift:	see @tsc_scale
 * @reserved2:		0
 *
 * The host writes all of it, while the vCPU is not in guest mode.  The first 32
 * bytes are laid out as pvclock's.
 */
struct kvm_perf_clock_page {
	__u32 version;
	__u32 reserved0;
	__u64 tsc_timestamp;
	__u64 system_time;
	__u32 tsc_to_system_mul;
	__s8  tsc_shift;
	__u8  flags;
	__u8  reserved1[2];
	__u64 host_epoch;
	__u64 generation;
	__s64 offset;
	__u64 tsc_scale;
	__u8  tsc_scale_shift;
	__u8  reserved2[4031];
};

#endif /* _UAPI_ASM_X86_KVM_PERF_CLOCK_H */
