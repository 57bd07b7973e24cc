/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a guest's scaled TSC back to the host's, for the perf clock's page.
 *
 * Apart from all else, so that a program can check the arithmetic: not every
 * processor can scale.
 */
#ifndef __ARCH_X86_KVM_PERF_CLOCK_SCALE_H__
#define __ARCH_X86_KVM_PERF_CLOCK_SCALE_H__

/*
 * host cycles = guest cycles * 2^frac_bits / ratio.  As a factor of 63 bits,
 * 2^(63 + k) / ratio with 2^k <= ratio < 2^(k + 1), and what to shift by.
 */
static inline u64 kvm_perf_clock_scale(u64 ratio, unsigned int frac_bits, u8 *shift)
{
	unsigned int k = fls64(ratio) - 1;

	*shift = 63 + k - frac_bits;
	return mul_u64_u64_div_u64(BIT_ULL(63), BIT_ULL(k), ratio);
}

#endif /* __ARCH_X86_KVM_PERF_CLOCK_SCALE_H__ */
