/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a guest of KVM reads its perf clock from the page.
 *
 * Apart from all else, so that a program can be built around the very same
 * lines: to measure what they cost, and to check their arithmetic.
 */
#ifndef _ASM_X86_KVM_PERF_CLOCK_READ_H
#define _ASM_X86_KVM_PERF_CLOCK_READ_H

#include <uapi/asm/kvm_perf_clock.h>

/*
 * Flags other than VALID alone.  A page that went invalid still has what the
 * clock was computed from: that goes on until all CPUs change over.
 */
void kvm_perf_clock_distrust(void);

static __always_inline u64
kvm_perf_clock_special(const struct kvm_perf_clock_page *page, u8 flags, u64 cycles)
{
	if (!(flags & KVM_PERF_CLOCK_VALID))
		kvm_perf_clock_distrust();
	if (flags & KVM_PERF_CLOCK_SCALED)
		cycles = mul_u64_u64_shr(cycles, page->tsc_scale,
					 page->tsc_scale_shift);
	return cycles;
}

static __always_inline u64
kvm_perf_clock_convert(const struct kvm_perf_clock_page *page, u64 tsc)
{
	u64 cycles = tsc - page->tsc_timestamp;
	s8 shift = page->tsc_shift;
	u8 flags = page->flags;

	if (unlikely(flags != KVM_PERF_CLOCK_VALID))
		cycles = kvm_perf_clock_special(page, flags, cycles);

	cycles = shift < 0 ? cycles >> -shift : cycles << shift;
	return page->system_time +
	       mul_u64_u32_shr(cycles, page->tsc_to_system_mul, 32);
}

/*
 * The host writes a vCPU's page only while that vCPU is not in guest mode: it
 * takes an exit between two of these lines to see a change.  No barrier but the
 * compiler's is needed, and a wait for an even version ends.
 */
static __always_inline u64
kvm_perf_clock_read_page(const struct kvm_perf_clock_page *page)
{
	u32 version;
	u64 ns;

	do {
		version = READ_ONCE(page->version);
		barrier();
		ns = kvm_perf_clock_convert(page, rdtsc());
		barrier();
	} while (unlikely(version & 1 || version != READ_ONCE(page->version)));
	return ns;
}

#endif /* _ASM_X86_KVM_PERF_CLOCK_READ_H */
