// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's way to read its perf clock beside the host's native one, in a
 * program made of the kernel's own lines.
 *
 * usage: clock-read check [SEED]	they agree, for any TSC and scaling
 *        clock-read cost		what one reading takes, in turn
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel.h"
#include "native-clock.h"
#include <asm/kvm_perf_clock_read.h>
#include "../../arch/x86/kvm/perf_clock_scale.h"

#define NSEC_PER_SEC	1000000000ull

/* A host with a TSC of 2.1 GHz, as the base computes its conversion. */
#define HOST_KHZ	2100000
#define CYC2NS_SHIFT	31
#define CYC2NS_MUL	((u32)((1000000ull << CYC2NS_SHIFT) / HOST_KHZ))

#define NR_CHECKS	10000000
#define NR_BATCHES	201
#define NR_READS	20000

/* As kvm_perf_clock.c has it. */
struct slot {
	const struct kvm_perf_clock_page *page;
	u64 delta;
};

static struct kvm_perf_clock_page page;
static struct slot only_slot = { .page = &page };
static __thread __attribute__((tls_model("local-exec"))) const struct slot *slot;

void kvm_perf_clock_distrust(void)
{
	errx(1, "the page has become invalid");
}

static u64 read_native(void)
{
	return __cycles_2_ns(rdtsc());
}

static u64 read_page(void)
{
	const struct slot *mine = __this_cpu_read(slot);

	if (likely(mine->page))
		return kvm_perf_clock_read_page(mine->page) + mine->delta;
	return 0;
}

/* Both of the same host, the guest's TSC being off by @tsc_offset. */
static void set_up(u64 ns_offset, u64 tsc_offset)
{
	struct cyc2ns_data data = {
		.cyc2ns_mul = CYC2NS_MUL,
		.cyc2ns_shift = CYC2NS_SHIFT,
		.cyc2ns_offset = ns_offset,
	};

	cyc2ns.data[0] = cyc2ns.data[1] = data;
	page.tsc_timestamp = tsc_offset;
	page.system_time = ns_offset;
	page.tsc_to_system_mul = CYC2NS_MUL;
	page.tsc_shift = 32 - CYC2NS_SHIFT;
	page.flags = KVM_PERF_CLOCK_VALID;
	slot = &only_slot;
}

/* Check */

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static u64 distance(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

static void check_unscaled(u64 *rng)
{
	/* A TSC runs for years: 2^58 cycles are four of them. */
	u64 tsc = next_random(rng) >> 6;
	u64 offset = next_random(rng);

	set_up(next_random(rng) >> 2, offset);
	if (kvm_perf_clock_convert(&page, tsc + offset) != __cycles_2_ns(tsc))
		errx(1, "TSC %#llx, offset %#llx: %llu ns, the host has %llu",
		     tsc, offset, kvm_perf_clock_convert(&page, tsc + offset), __cycles_2_ns(tsc));
}

/* Ratios from an eighth to eight, with the bits behind the point that VMX and SVM have. */
static void check_scaled(u64 *rng)
{
	unsigned int frac_bits = next_random(rng) & 1 ? 48 : 32;
	u64 tsc = next_random(rng) >> 8;
	u64 offset = next_random(rng);
	u64 ratio = (1ull << (frac_bits - 3)) + next_random(rng) % (63ull << (frac_bits - 3));
	u64 guest = mul_u64_u64_shr(tsc, ratio, frac_bits) + offset;
	double slower = ratio < 1ull << frac_bits ? (double)(1ull << frac_bits) / ratio : 1;
	/* A tick of the slower TSC, and 1 ns. */
	u64 bound = (u64)(slower * 1000000.0 / HOST_KHZ) + 1 + 1;

	set_up(next_random(rng) >> 2, offset);
	page.flags |= KVM_PERF_CLOCK_SCALED;
	page.tsc_scale = kvm_perf_clock_scale(ratio, frac_bits, &page.tsc_scale_shift);
	if (distance(kvm_perf_clock_convert(&page, guest), __cycles_2_ns(tsc)) > bound)
		errx(1, "TSC %#llx, ratio %#llx/2^%u: %llu ns, the host has %llu",
		     tsc, ratio, frac_bits, kvm_perf_clock_convert(&page, guest), __cycles_2_ns(tsc));
}

static void check(u64 seed)
{
	u64 rng = seed * 0x9e3779b97f4a7c15ull | 1;

	printf("seed %llu\n", seed);
	for (int i = 0; i < NR_CHECKS; i++) {
		check_unscaled(&rng);
		check_scaled(&rng);
	}
	printf("%d conversions, and as many of a scaled TSC\n", NR_CHECKS);
}

/* Cost */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static double time_batch(u64 (*read)(void))
{
	double start = seconds();
	u64 sum = 0;

	for (int i = 0; i < NR_READS; i++)
		sum += read();
	asm volatile("" : : "r"(sum));
	return (seconds() - start) / NR_READS * NSEC_PER_SEC;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, NR_BATCHES, sizeof(*values), compare);
	return values[NR_BATCHES / 2];
}

static void cost(void)
{
	static double native[NR_BATCHES], ours[NR_BATCHES], ratio[NR_BATCHES];

	set_up(0, -rdtsc());
	for (int i = 0; i < NR_BATCHES; i++) {
		native[i] = time_batch(read_native);
		ours[i] = time_batch(read_page);
		ratio[i] = ours[i] / native[i];
	}
	printf("bench: perf_clock_read_native_ns %.2f ns\n", median(native));
	printf("bench: perf_clock_read_ns %.2f ns\n", median(ours));
	printf("bench: perf_clock_read_ratio %.3f ratio\n", median(ratio));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "check"))
		check(argc > 2 ? strtoull(argv[2], NULL, 0) : (u64)time(NULL));
	else if (argc == 2 && !strcmp(argv[1], "cost"))
		cost();
	else
		errx(2, "usage: clock-read check [SEED] | cost");
	return 0;
}
