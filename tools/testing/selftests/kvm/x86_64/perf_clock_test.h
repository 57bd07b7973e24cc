/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the paravirtual perf clock (kvm.perf_clock=1) share: its
 * pages, and how a guest reads the clock from them.
 */
#ifndef SELFTEST_KVM_PERF_CLOCK_TEST_H
#define SELFTEST_KVM_PERF_CLOCK_TEST_H

#include <asm/kvm_perf_clock.h>

#include "pv_test.h"

#define X86_FEATURE_KVM_PV_PERF_CLOCK	KVM_X86_CPU_FEATURE(0x40000001, 0, EAX, 23)

#define NR_VCPUS		2

/* The clock page, in a slot of its own so that it can be taken away. */
#define PAGE_SLOT		10
#define PAGE_GPA		0x10000000ul
#define PAGES_OF(idx)		(PAGE_GPA + (idx) * PAGE_SIZE)

struct pair {
	uint64_t tsc;
	uint64_t ns;
};

/* Guest side. */

static inline struct kvm_perf_clock_page *guest_page(unsigned int idx)
{
	return (void *)PAGES_OF(idx);
}

static inline void guest_enable(unsigned int idx)
{
	expect_write(MSR_KVM_PERF_CLOCK, PAGES_OF(idx) | KVM_PERF_CLOCK_PAGE);
	GUEST_ASSERT(READ_ONCE(guest_page(idx)->flags) & KVM_PERF_CLOCK_VALID);
}

/* From the specification's words, not from the kernel's lines. */
static inline uint64_t page_to_ns(const struct kvm_perf_clock_page *page, uint64_t tsc)
{
	uint64_t cycles = tsc - page->tsc_timestamp;

	if (page->flags & KVM_PERF_CLOCK_SCALED)
		cycles = (__uint128_t)cycles * page->tsc_scale >>
			 page->tsc_scale_shift;
	if (page->tsc_shift < 0)
		cycles >>= -page->tsc_shift;
	else
		cycles <<= page->tsc_shift;
	return page->system_time +
	       (uint64_t)((__uint128_t)cycles * page->tsc_to_system_mul >> 32);
}

static inline void guest_read_pair(const struct kvm_perf_clock_page *page, struct pair *pair)
{
	uint32_t version;

	do {
		version = READ_ONCE(page->version);
		barrier();
		pair->tsc = rdtsc();
		pair->ns = page_to_ns(page, pair->tsc);
		barrier();
	} while (version & 1 || version != READ_ONCE(page->version));
}

static inline uint64_t guest_clock(unsigned int idx)
{
	struct pair pair;

	guest_read_pair(guest_page(idx), &pair);
	return pair.ns;
}

/* Host side. */

static inline void map_pages(struct kvm_vm *vm)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, PAGE_GPA, PAGE_SLOT,
				    NR_VCPUS, 0);
	virt_map(vm, PAGE_GPA, PAGE_GPA, NR_VCPUS);
}

static inline struct kvm_perf_clock_page *host_page(struct kvm_vm *vm, unsigned int idx)
{
	return addr_gpa2hva(vm, PAGES_OF(idx));
}

static inline void require_perf_clock(void)
{
	TEST_REQUIRE(!access("/sys/module/kvm/parameters/perf_clock", R_OK));
	TEST_REQUIRE(get_kvm_param_bool("perf_clock"));
}

#endif /* SELFTEST_KVM_PERF_CLOCK_TEST_H */
