/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's lines need that read a clock, in a program.  A per-CPU
 * variable is one of the thread: a register and an offset, as in the kernel.
 */
#ifndef LAB_CLOCK_KERNEL_H
#define LAB_CLOCK_KERNEL_H

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef signed char s8;

#undef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define likely(x)		__builtin_expect(!!(x), 1)
#define barrier()		asm volatile("" : : : "memory")
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define BIT_ULL(n)		(1ull << (n))
#define this_cpu_read(x)	READ_ONCE(x)
#define __this_cpu_read(x)	(x)
#define DEFINE_PER_CPU_ALIGNED(type, name) \
	__thread __attribute__((aligned(64), tls_model("local-exec"))) type name

typedef struct {
	struct {
		unsigned int sequence;
	} seqcount;
} seqcount_latch_t;

static __always_inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static __always_inline u64 mul_u64_u32_shr(u64 a, u32 mul, unsigned int shift)
{
	return (u64)(((__uint128_t)a * mul) >> shift);
}

static __always_inline u64 mul_u64_u64_shr(u64 a, u64 mul, unsigned int shift)
{
	return (u64)(((__uint128_t)a * mul) >> shift);
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c)
{
	return (u64)((__uint128_t)a * b / c);
}

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

#endif /* LAB_CLOCK_KERNEL_H */
