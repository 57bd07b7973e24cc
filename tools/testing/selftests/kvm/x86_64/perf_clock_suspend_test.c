// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that the paravirtual perf clock (kvm.perf_clock=1) is the host's after
 * the host was suspended, as it was before: perf's clock stands still meanwhile,
 * while the TSC runs on or starts anew.
 */
#include <pthread.h>

#include "perf_clock_host.h"
#include "perf_clock_test.h"
#include "pv_suspend.h"

#define NR_PAIRS	500
#define NR_SUSPENDS	3

static struct pair pairs[NR_PAIRS];

/* The guest works until the host sets it. */
static bool suspended;

/* Guest side. */

static void guest_syncs_pairs(void)
{
	unsigned int i;

	guest_enable(0);
	for (;;) {
		for (i = 0; i < NR_PAIRS; i++)
			guest_read_pair(guest_page(0), &pairs[i]);
		GUEST_SYNC(1);
	}
}

static void guest_reads_on(void)
{
	uint64_t last = 0, now;

	guest_enable(0);
	do {
		now = guest_clock(0);
		__GUEST_ASSERT(now >= last, "from %lu back to %lu", last, now);
		last = now;
	} while (!READ_ONCE(suspended));
	GUEST_SYNC(guest_clock(0));
	GUEST_DONE();
}

/* Host side. */

static void check_pairs(struct kvm_vm *vm, struct kvm_vcpu *vcpu, uint64_t *last)
{
	struct host_clock clock;
	uint64_t max_error = 0;
	unsigned int i;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT(get_host_clock(&clock), "the host's TSC is not stable any more");
	sync_global_from_guest(vm, pairs);
	for (i = 0; i < NR_PAIRS; i++) {
		max_error = max(max_error, pair_error(&clock, tsc_offset(vcpu), &pairs[i]));
		TEST_ASSERT(pairs[i].ns >= *last, "from %lu back to %lu", *last,
			    pairs[i].ns);
		*last = pairs[i].ns;
	}
	TEST_ASSERT(max_error <= MAX_ERROR_NS, "guest and host are %lu ns apart",
		    max_error);
}

static void test_between_runs(void)
{
	struct host_clock before, after;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_syncs_pairs);
	uint64_t last = 0;
	unsigned int i;

	map_pages(vm);
	check_pairs(vm, vcpu, &last);
	for (i = 0; i < NR_SUSPENDS; i++) {
		get_host_clock(&before);
		suspend_host();
		get_host_clock(&after);
		TEST_ASSERT(!can_wake || before.zero != after.zero,
			    "the host's conversion is the same after the suspend: nothing was tested");
		check_pairs(vm, vcpu, &last);
	}
	kvm_vm_free(vm);
}

static void *run_vcpu(void *vcpu)
{
	uint64_t last = run_to_sync(vcpu);

	run_to_end(vcpu);
	return (void *)last;
}

static void test_while_it_runs(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_reads_on);
	uint64_t before;
	pthread_t thread;
	void *last;

	map_pages(vm);
	WRITE_ONCE(suspended, false);
	sync_global_to_guest(vm, suspended);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, run_vcpu, vcpu), 0);
	usleep(200000);
	suspend_host();
	before = host_now();
	WRITE_ONCE(suspended, true);
	sync_global_to_guest(vm, suspended);
	TEST_ASSERT_EQ(pthread_join(thread, &last), 0);
	TEST_ASSERT((uint64_t)last >= before && (uint64_t)last <= host_now(),
		    "the guest read %lu, the host %lu and %lu", (uint64_t)last,
		    before, host_now());
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "suspend between two runs", test_between_runs },
	{ "suspend while the vCPU runs", test_while_it_runs },
};

int main(int argc, char *argv[])
{
	require_perf_clock();
	ksft_print_header();
	require_suspend();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
