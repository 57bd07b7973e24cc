/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's perf clock, as perf gives it to any program.
 */
#ifndef SELFTEST_KVM_PERF_CLOCK_HOST_H
#define SELFTEST_KVM_PERF_CLOCK_HOST_H

#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "perf_clock_test.h"

/* By how much guest and host may differ, from the specification. */
#define MAX_ERROR_NS		2

struct host_clock {
	uint64_t zero;
	uint32_t mult;
	uint16_t shift;
};

static inline bool get_host_clock(struct host_clock *clock)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.size = sizeof(attr),
	};
	struct perf_event_mmap_page *page;
	bool has_zero;
	int fd;

	fd = syscall(__NR_perf_event_open, &attr, 0, -1, -1, 0);
	TEST_ASSERT(fd >= 0, "perf_event_open(): %s", strerror(errno));
	page = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
	TEST_ASSERT(page != MAP_FAILED, "mmap() of a perf event: %s", strerror(errno));
	has_zero = page->cap_user_time_zero;
	clock->zero = page->time_zero;
	clock->mult = page->time_mult;
	clock->shift = page->time_shift;
	munmap(page, getpagesize());
	close(fd);
	return has_zero;
}

static inline uint64_t host_ns(const struct host_clock *clock, uint64_t tsc)
{
	return clock->zero +
	       (uint64_t)((__uint128_t)tsc * clock->mult >> clock->shift);
}

/* The clock now, no earlier than what a guest has read before this. */
static inline uint64_t host_now(void)
{
	struct host_clock clock;

	get_host_clock(&clock);
	return host_ns(&clock, rdtsc());
}

static inline uint64_t tsc_offset(struct kvm_vcpu *vcpu)
{
	uint64_t offset;

	vcpu_device_attr_get(vcpu, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &offset);
	return offset;
}

static inline uint64_t pair_error(const struct host_clock *clock, uint64_t offset,
				  const struct pair *pair)
{
	uint64_t ns = host_ns(clock, pair->tsc - offset);

	return ns > pair->ns ? ns - pair->ns : pair->ns - ns;
}

#endif /* SELFTEST_KVM_PERF_CLOCK_HOST_H */
