// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that the paravirtual PMU (kvm.pvpmu=1) counts on after the host was
 * suspended, between two runs of the vCPU and in the middle of one.
 */
#include <pthread.h>

#include "pv_suspend.h"
#include "pvpmu_test.h"

/* What the guest's counters count; the last one interrupts. */
enum {
	IDX_CPUID,
	IDX_GUEST_NS,
	IDX_CYCLES,
	IDX_PMI,
	NR_USED,
};

#define PMI_PERIOD	10
#define NR_ROUNDS	20

/* The guest works until the host sets it. */
static bool suspended;

/* Guest side. */

static void guest_count_all(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_program(IDX_CPUID, EVTSEL_PV(EXITS_CPUID));
	guest_program(IDX_GUEST_NS, EVTSEL_PV(GUEST_NS));
	guest_program(IDX_CYCLES, EVTSEL_HW(CYCLES));
	guest_fill_periodic(IDX_PMI, EVTSEL_PV_INT(EXITS_CPUID), PMI_PERIOD);
	guest_start(BIT(NR_USED) - 1);
}

/* @n more CPUIDs, all of which count, whatever happened before them. */
static void guest_check_round(uint64_t *total, unsigned int n)
{
	uint64_t guest_ns = guest_counter(IDX_GUEST_NS);
	uint64_t interrupts = guest_pmis();

	do_cpuid(n);
	*total += n;
	GUEST_ASSERT_EQ(guest_counter(IDX_CPUID), *total);
	guest_refresh();
	GUEST_ASSERT_EQ(guest_periodic_count(IDX_PMI, PMI_PERIOD), *total);
	GUEST_ASSERT(guest_counter(IDX_GUEST_NS) > guest_ns);
	GUEST_ASSERT(guest_pmis() > interrupts);
}

static void guest_check_cycles(void)
{
	uint64_t running;

	guest_stop();
	if (rdmsr(MSR_KVM_PVPMU_GLOBAL_STATUS) &
	    KVM_PVPMU_STATUS_ERROR(IDX_CYCLES))
		return;

	running = rdmsr(MSR_KVM_PVPMU_RUNNING_NS(IDX_CYCLES));
	GUEST_ASSERT(guest_counter(IDX_CYCLES));
	GUEST_ASSERT(running);
	expect_value(MSR_KVM_PVPMU_ENABLED_NS(IDX_CYCLES), running);
}

static void guest_syncs(void)
{
	uint64_t total = 0;
	unsigned int i;

	guest_count_all();
	for (i = 1; i <= NR_ROUNDS; i++) {
		guest_check_round(&total, NR_LOOPS);
		GUEST_SYNC(total);
	}
	guest_check_cycles();
	GUEST_DONE();
}

static void guest_runs_on(void)
{
	uint64_t total = 0;

	guest_count_all();
	while (!READ_ONCE(suspended))
		guest_check_round(&total, NR_LOOPS);
	guest_check_round(&total, NR_LOOPS);
	guest_check_cycles();
	GUEST_SYNC(total);
	GUEST_DONE();
}

/* Host side. */

static void test_between_runs(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_syncs);
	uint64_t total = run_to_sync(vcpu), last;
	int fd = open_host_event(KVM_PVPMU_PV_EXITS_CPUID, 0, -1, 0);

	TEST_ASSERT(fd >= 0, "perf_event_open: %s", strerror(errno));
	TEST_ASSERT_EQ(total, NR_LOOPS);
	suspend_host();
	while ((last = run_to_sync(vcpu)))
		total = last;
	TEST_ASSERT_EQ(total, NR_ROUNDS * NR_LOOPS);
	TEST_ASSERT_EQ(read_event(fd), total - NR_LOOPS);
	close(fd);
	kvm_vm_free(vm);
}

static void *run_vcpu(void *vcpu)
{
	uint64_t total = run_to_sync(vcpu);

	run_to_end(vcpu);
	return (void *)total;
}

static void test_while_it_runs(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_runs_on);
	pthread_t thread;
	void *total;

	WRITE_ONCE(suspended, false);
	sync_global_to_guest(vm, suspended);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, run_vcpu, vcpu), 0);
	usleep(200000);
	suspend_host();
	usleep(200000);
	WRITE_ONCE(suspended, true);
	sync_global_to_guest(vm, suspended);
	TEST_ASSERT_EQ(pthread_join(thread, &total), 0);
	ksft_print_msg("%lu CPUIDs around the suspend\n", (uint64_t)total);
	TEST_ASSERT((uint64_t)total > NR_LOOPS, "the vCPU had not begun");
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "suspend between two runs", test_between_runs },
	{ "suspend while the vCPU runs", test_while_it_runs },
};

int main(int argc, char *argv[])
{
	require_pvpmu();
	ksft_print_header();
	require_suspend();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
