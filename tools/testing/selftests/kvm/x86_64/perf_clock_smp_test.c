// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that the paravirtual perf clock (kvm.perf_clock=1) never steps back, on a
 * vCPU and from one to the other, while all at once NMIs read it, its page is
 * written again, the TSC is set, and the vCPUs' threads move between CPUs.
 *
 * usage: perf_clock_smp_test [SECONDS]
 */
#include "perf_clock_test.h"
#include "pv_cpus.h"
#include "pvpmu_test.h"

#define DEFAULT_SECONDS	20
#define MOVE_US		500

/* A sample for each so much time in guest mode. */
#define NMI_PERIOD_NS	1000000

/* How many readings lie between two changes of what the page holds. */
#define NR_READINGS	64

/*
 * @last is what the code read that NMIs interrupt, @last_in_nmi what they read:
 * of a reading that an NMI interrupted nobody can tell which was the first.
 */
struct reader {
	uint64_t last;
	uint64_t last_in_nmi;
	uint64_t readings;
	uint64_t nmis;
	uint64_t changes;
};

static struct reader readers[NR_VCPUS];
static uint64_t last_of_all;
static int lock;
static bool stop;

/* Guest side. */

static void expect_order(const char *what, uint64_t before, uint64_t after)
{
	__GUEST_ASSERT(after >= before, "%s: from %lu back to %lu", what, before,
		       after);
}

static void guest_nmi(struct ex_regs *regs)
{
	unsigned int idx = x2apic_read_reg(APIC_ID);
	struct reader *reader = &readers[idx];
	uint64_t last = READ_ONCE(reader->last);
	uint64_t now = guest_clock(idx);

	expect_order("interrupted code and NMI", last, now);
	expect_order("two NMIs", reader->last_in_nmi, now);
	WRITE_ONCE(reader->last_in_nmi, now);
	reader->nmis++;
	guest_arm(0, EVTSEL_PV_INT(GUEST_NS), NMI_PERIOD_NS);
	guest_unmask_pmi();
}

static void guest_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		asm volatile("pause");
}

static void guest_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

/* Who has the lock reads after all who had it. */
static void guest_read(unsigned int idx)
{
	struct reader *reader = &readers[idx];
	uint64_t nmi, now;

	guest_lock();
	nmi = READ_ONCE(reader->last_in_nmi);
	now = guest_clock(idx);
	expect_order("NMI and later code", nmi, now);
	expect_order("all vCPUs", last_of_all, now);
	last_of_all = now;
	guest_unlock();

	WRITE_ONCE(reader->last, now);
	reader->readings++;
}

/* The host writes the page before the guest goes on. */
static void guest_change(unsigned int idx)
{
	uint64_t n = readers[idx].changes++;

	if (n & 1)
		wrmsr(MSR_IA32_TSC, rdtsc() + (n << 20));
	else
		guest_enable(idx);
}

static void guest_check_order(unsigned int idx)
{
	guest_enable(idx);
	guest_enable_pmi(APIC_DM_NMI);
	guest_arm(0, EVTSEL_PV_INT(GUEST_NS), NMI_PERIOD_NS);
	guest_start(1);
	while (!READ_ONCE(stop)) {
		if (readers[idx].readings % NR_READINGS == 0)
			guest_change(idx);
		guest_read(idx);
	}
	guest_stop();
	GUEST_DONE();
}

/* Host side. */

static void *run_vcpu(void *vcpu)
{
	run_to_end(vcpu);
	return NULL;
}

/* Where there is a second CPU to move to. */
static unsigned int move_for(unsigned int seconds, pthread_t *threads, bool can_move)
{
	time_t end = time(NULL) + seconds;
	unsigned int moves = 0, i;

	while (time(NULL) < end) {
		for (i = 0; can_move && i < NR_VCPUS; i++)
			move_to(threads[i], host_cpus[(moves + i) % 2]);
		moves += can_move;
		usleep(MOVE_US);
	}
	return moves;
}

static void check_reader(unsigned int idx)
{
	const struct reader *reader = &readers[idx];

	ksft_print_msg("vCPU %u: %lu readings, %lu more by NMI, %lu changes\n", idx,
		       reader->readings, reader->nmis, reader->changes);
	TEST_ASSERT(reader->readings && reader->nmis && reader->changes,
		    "vCPU %u did not do all of it", idx);
}

static void test_order(unsigned int seconds)
{
	bool can_move = find_host_cpus();
	struct kvm_vcpu *vcpus[NR_VCPUS];
	pthread_t threads[NR_VCPUS];
	unsigned int i, moves;
	struct kvm_vm *vm;

	vm = vm_create_with_vcpus(NR_VCPUS, guest_check_order, vcpus);
	map_pages(vm);
	vm_install_exception_handler(vm, NMI_PMI_VECTOR, guest_nmi);
	for (i = 0; i < NR_VCPUS; i++) {
		vcpu_args_set(vcpus[i], 1, i);
		TEST_ASSERT_EQ(pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]), 0);
	}

	moves = move_for(seconds, threads, can_move);
	stop = true;
	sync_global_to_guest(vm, stop);
	for (i = 0; i < NR_VCPUS; i++)
		TEST_ASSERT_EQ(pthread_join(threads[i], NULL), 0);

	sync_global_from_guest(vm, readers);
	ksft_print_msg("%u s, %u moves\n", seconds, moves);
	for (i = 0; i < NR_VCPUS; i++)
		check_reader(i);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	unsigned int seconds = argc > 1 ? atoi_positive("seconds", argv[1]) :
					  DEFAULT_SECONDS;

	require_perf_clock();
	require_pvpmu();
	ksft_print_header();
	ksft_set_plan(1);
	alarm(seconds + CASE_TIMEOUT);
	test_order(seconds);
	ksft_test_result_pass("the clock never steps back\n");
	ksft_finished();
}
