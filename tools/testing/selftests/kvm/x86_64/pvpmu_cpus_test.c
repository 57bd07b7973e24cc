// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the paravirtual PMU (kvm.pvpmu=1) on vCPUs whose threads move between the
 * host's CPUs: between two runs, in the middle of a run, and two that change
 * places.  No count may be lost, nor be charged to the other vCPU.
 */
#include "pv_cpus.h"
#include "pvpmu_test.h"

#define NR_MOVES	50
#define NR_VCPUS	2
#define MOVE_US		500

/* What the guest's counters count. */
enum {
	IDX_CPUID,
	IDX_GUEST_NS,
	IDX_CYCLES,
	NR_USED,
};

/* Guest side. */

static void guest_count_all(void)
{
	guest_program(IDX_CPUID, EVTSEL_PV(EXITS_CPUID));
	guest_program(IDX_GUEST_NS, EVTSEL_PV(GUEST_NS));
	guest_program(IDX_CYCLES, EVTSEL_HW(CYCLES));
	guest_start(BIT(NR_USED) - 1);
}

/* Every reading of the counters is higher than the one before it. */
static void guest_check_progress(uint64_t *before, bool has_cycles)
{
	unsigned int i;

	for (i = IDX_GUEST_NS; i < (has_cycles ? NR_USED : IDX_CYCLES); i++) {
		uint64_t now = guest_counter(i);

		__GUEST_ASSERT(now > before[i], "counter %u: 0x%lx after 0x%lx",
			       i, now, before[i]);
		before[i] = now;
	}
}

static bool guest_has_cycles(void)
{
	return !(rdmsr(MSR_KVM_PVPMU_GLOBAL_STATUS) &
		 KVM_PVPMU_STATUS_ERROR(IDX_CYCLES));
}

/* Cycles have counted for as long as they were enabled, on whatever CPU. */
static void guest_check_times(void)
{
	uint64_t running = rdmsr(MSR_KVM_PVPMU_RUNNING_NS(IDX_CYCLES));

	__GUEST_ASSERT(running, "cycles did not run");
	expect_value(MSR_KVM_PVPMU_ENABLED_NS(IDX_CYCLES), running);
}

/* @rounds of CPUIDs, with an exit to user space after each if @sync. */
static void guest_work(unsigned int rounds, bool sync)
{
	uint64_t before[NR_USED] = {};
	bool has_cycles;
	unsigned int i;

	guest_count_all();
	has_cycles = guest_has_cycles();
	for (i = 1; i <= rounds; i++) {
		do_cpuid(NR_LOOPS);
		GUEST_ASSERT_EQ(guest_counter(IDX_CPUID), i * NR_LOOPS);
		guest_check_progress(before, has_cycles);
		if (sync)
			GUEST_SYNC(i);
	}
	guest_stop();
	if (has_cycles)
		guest_check_times();
	GUEST_DONE();
}

static void guest_syncs(void)
{
	guest_work(NR_MOVES, true);
}

static void guest_runs_on(void)
{
	guest_work(NR_MOVES, false);
}

/* Each vCPU executes another number of CPUIDs. */
static void guest_of_two(uint64_t index)
{
	guest_work(NR_MOVES + 10 * index, false);
}

static void guest_count_migrations(void)
{
	unsigned int i;

	guest_program(0, EVTSEL_PV(PCPU_MIGRATIONS));
	guest_start(1);
	for (i = 0; i < NR_MOVES; i++)
		GUEST_SYNC(i + 1);
	GUEST_ASSERT_EQ(guest_counter(0), NR_MOVES);
	GUEST_DONE();
}

/* Host side. */

static void run_and_move(void *guest_code)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	unsigned int moves = 0;

	move_to(pthread_self(), host_cpus[0]);
	while (run_to_sync(vcpu))
		move_to(pthread_self(), host_cpus[++moves % 2]);
	TEST_ASSERT_EQ(moves, NR_MOVES);
	kvm_vm_free(vm);
}

static void test_between_runs(void)
{
	run_and_move(guest_syncs);
}

static void test_migrations(void)
{
	uint64_t events[3];

	default_events(events);
	if (!(events[2] & BIT_ULL(KVM_PVPMU_PV_PCPU_MIGRATIONS))) {
		skip_reason = "kvm.pvpmu_host_load=1";
		return;
	}
	run_and_move(guest_count_migrations);
}

static void *run_vcpu(void *vcpu)
{
	run_to_end(vcpu);
	return NULL;
}

/* Moves the threads to and fro until the first one has ended; returns how often. */
static unsigned int move_while_they_run(pthread_t *threads, unsigned int nr)
{
	unsigned int moves = 0, i;

	while (pthread_tryjoin_np(threads[0], NULL)) {
		for (i = 0; i < nr; i++)
			move_to(threads[i], host_cpus[(moves + i) % 2]);
		moves++;
		usleep(MOVE_US);
	}
	for (i = 1; i < nr; i++)
		TEST_ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	return moves;
}

static void run_vcpus_and_move(unsigned int nr, void *guest_code)
{
	struct kvm_vcpu *vcpus[NR_VCPUS];
	pthread_t threads[NR_VCPUS];
	unsigned int i, moves;
	struct kvm_vm *vm;

	vm = vm_create_with_vcpus(nr, guest_code, vcpus);
	for (i = 0; i < nr; i++) {
		vcpu_args_set(vcpus[i], 1, i);
		TEST_ASSERT_EQ(pthread_create(&threads[i], NULL, run_vcpu,
					      vcpus[i]), 0);
	}
	moves = move_while_they_run(threads, nr);
	ksft_print_msg("moved %u times\n", moves);
	TEST_ASSERT(moves > 1, "the vCPU ended before it could be moved");
	kvm_vm_free(vm);
}

static void test_while_it_runs(void)
{
	run_vcpus_and_move(1, guest_runs_on);
}

static void test_two_change_places(void)
{
	run_vcpus_and_move(NR_VCPUS, guest_of_two);
}

static const struct pv_case cases[] = {
	{ "moved between two runs", test_between_runs },
	{ "moved while it runs", test_while_it_runs },
	{ "two vCPUs change places", test_two_change_places },
	{ "moves are counted", test_migrations },
};

int main(int argc, char *argv[])
{
	require_pvpmu();
	if (!find_host_cpus())
		ksft_exit_skip("two CPUs are needed to move between\n");

	ksft_print_header();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
