// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that the paravirtual PMU's counters, their overflows and the counter page
 * survive a migration: the vCPU's state is saved and loaded into a new VM that
 * has the old one's memory, again and again, with counters about to overflow.
 */
#include "pvpmu_test.h"

/*
 * A new VM takes long where the host is emulated: only every fifth round is a
 * real one, 200 in all.  The others load the state into the vCPU that it came
 * from, after all registers were set to 0 there.
 */
#define NR_ROUNDS		1000
#define ROUNDS_PER_VM		5

/* How much the guest does in a round at most, and how often that overflows. */
#define MAX_WORK		40
#define LONG_PERIOD		29
#define SHORT_PERIOD		11
#define EXITS_PERIOD		3

/* The counters. */
#define WITH_INT		0	/* CPUID, LONG_PERIOD */
#define WITHOUT_INT		1	/* CPUID, SHORT_PERIOD */
#define WITHOUT_RELOAD		2	/* RDMSR, from near its end */
#define OF_EXITS		3	/* I/O, by which the guest leaves: EXITS_PERIOD */
#define NR_USED			4
#define RDMSRS_TO_OVERFLOW	(NR_ROUNDS * MAX_WORK / 4)

/* The rounds in which the page is brought up to date before the migration. */
#define BELL_BEFORE(round)	((round) & 1)
/* The rounds in which the registers are read after it. */
#define READ_AFTER(round)	((round) & 2)

static uint64_t cpuids, rdmsrs, syncs;

static void guest_start_counters(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(WITH_INT, EVTSEL_PV_INT(EXITS_CPUID), LONG_PERIOD);
	guest_fill_periodic(WITHOUT_INT, EVTSEL_PV(EXITS_CPUID), SHORT_PERIOD);
	guest_fill_entry(WITHOUT_RELOAD, EVTSEL_PV(EXITS_MSR),
			 BEFORE_OVERFLOW(RDMSRS_TO_OVERFLOW), 0);
	guest_fill_periodic(OF_EXITS, EVTSEL_PV_INT(EXITS_IO), EXITS_PERIOD);
	guest_start(BIT(NR_USED) - 1);
}

static void guest_check_entry(unsigned int idx, uint64_t count, uint64_t overflows)
{
	struct kvm_pvpmu_entry *entry = &page->entries[idx];

	__GUEST_ASSERT(entry->count == count, "count of %u is %lu, expected %lu",
		       idx, (uint64_t)entry->count, count);
	__GUEST_ASSERT(entry->overflows == overflows,
		       "%u overflows of %u, expected %lu", entry->overflows,
		       idx, overflows);
}

static uint64_t periodic_value(uint64_t period, uint64_t count)
{
	return BEFORE_OVERFLOW(period) + count % period;
}

static uint64_t wrapped_value(void)
{
	return (BEFORE_OVERFLOW(RDMSRS_TO_OVERFLOW) + rdmsrs) & COUNTER_MASK;
}

static void guest_check_registers(void)
{
	GUEST_ASSERT_EQ(guest_counter(WITH_INT),
			periodic_value(LONG_PERIOD, cpuids));
	GUEST_ASSERT_EQ(guest_counter(WITHOUT_INT),
			periodic_value(SHORT_PERIOD, cpuids));
	GUEST_ASSERT_EQ(guest_counter(WITHOUT_RELOAD), wrapped_value());
	GUEST_ASSERT_EQ(guest_counter(OF_EXITS),
			periodic_value(EXITS_PERIOD, syncs));
	expect_value(MSR_KVM_PVPMU_GLOBAL_CTRL, BIT(NR_USED) - 1);
}

static void guest_check_page(void)
{
	guest_start(BIT(NR_USED) - 1);
	guest_check_entry(WITH_INT, cpuids, cpuids / LONG_PERIOD);
	guest_check_entry(WITHOUT_INT, cpuids, cpuids / SHORT_PERIOD);
	guest_check_entry(WITHOUT_RELOAD, rdmsrs, rdmsrs >= RDMSRS_TO_OVERFLOW);
	guest_check_entry(OF_EXITS, syncs, syncs / EXITS_PERIOD);
	GUEST_ASSERT_EQ(page->totals[KVM_PVPMU_PV_EXITS_CPUID], cpuids);
	GUEST_ASSERT_EQ(page->totals[KVM_PVPMU_PV_EXITS_MSR], rdmsrs);
	GUEST_ASSERT_EQ(page->totals[KVM_PVPMU_PV_EXITS_IO], syncs);
	GUEST_ASSERT(!(page->seq & 1));
}

static void guest_work(void)
{
	unsigned int n = guest_random_u32(&guest_rng) % MAX_WORK;

	do_cpuid(n);
	cpuids += n;
	n = guest_random_u32(&guest_rng) % MAX_WORK;
	do_rdmsr(n);
	rdmsrs += n;
}

/* What is not cleared would interrupt again after each restore. */
static void guest_clearing_handler(struct ex_regs *regs)
{
	guest_nmi_handler(regs);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR,
	      KVM_PVPMU_STATUS_OVERFLOW(WITH_INT) |
	      KVM_PVPMU_STATUS_OVERFLOW(OF_EXITS));
}

/*
 * One for each overflow.  Those of OF_EXITS happen as the vCPU is saved: such an
 * interrupt must not be lost, and may come twice.
 */
static void guest_check_pmis(void)
{
	uint64_t saved = syncs / EXITS_PERIOD;
	uint64_t overflows = cpuids / LONG_PERIOD + saved;

	__GUEST_ASSERT(guest_pmis() >= overflows &&
		       guest_pmis() <= overflows + saved,
		       "%lu interrupts for %lu overflows", guest_pmis(), overflows);
}

static void guest_migrated(void)
{
	unsigned int round;

	guest_start_counters();
	for (round = 0; round < NR_ROUNDS; round++) {
		guest_work();
		if (BELL_BEFORE(round))
			guest_check_page();
		GUEST_SYNC(++syncs);
		if (READ_AFTER(round))
			guest_check_registers();
	}
	guest_check_page();
	guest_check_registers();

	guest_check_pmis();
	GUEST_DONE();
}

/*
 * What a VMM carries.  The selftests' library leaves out the local APIC, whose
 * LVTPC the interrupts need.
 */
struct saved_vcpu {
	struct kvm_x86_state *state;
	struct kvm_lapic_state lapic;
};

static void save(struct kvm_vcpu *vcpu, struct saved_vcpu *saved)
{
	saved->state = vcpu_save_state(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_LAPIC, &saved->lapic);
}

static void load(struct kvm_vcpu *vcpu, struct saved_vcpu *saved)
{
	vcpu_load_state(vcpu, saved->state);
	vcpu_ioctl(vcpu, KVM_SET_LAPIC, &saved->lapic);
	kvm_x86_state_cleanup(saved->state);
}

static void swap_entries(struct kvm_msr_entry *a, struct kvm_msr_entry *b)
{
	struct kvm_msr_entry entry = *a;

	*a = *b;
	*b = entry;
}

/* The order of our registers only: some others depend on theirs. */
static void shuffle_state(struct kvm_msrs *msrs, struct guest_random_state *rng)
{
	unsigned int ours[NR_SAVED], i, n = 0;

	for (i = 0; i < msrs->nmsrs; i++) {
		if (is_state(msrs->entries[i].index))
			ours[n++] = i;
	}
	TEST_ASSERT_EQ(n, NR_SAVED);
	for (; n > 1; n--)
		swap_entries(&msrs->entries[ours[guest_random_u32(rng) % n]],
			     &msrs->entries[ours[n - 1]]);
}

/* The VM goes, its memory stays; what is loaded is all that the new one knows. */
static struct kvm_vcpu *migrate(struct kvm_vm *vm, struct kvm_vcpu *vcpu,
				struct guest_random_state *rng)
{
	struct saved_vcpu saved;

	save(vcpu, &saved);
	shuffle_state(&saved.state->msrs, rng);
	kvm_vm_release(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	load(vcpu, &saved);
	return vcpu;
}

/* All but the model, which takes no other value. */
static void clear_registers(struct kvm_vcpu *vcpu, const struct kvm_msrs *msrs)
{
	unsigned int i;

	for (i = 0; i < msrs->nmsrs; i++) {
		uint32_t msr = msrs->entries[i].index;

		if (is_state(msr) && msr >= MSR_KVM_PVPMU_GLOBAL_CTRL)
			host_write(vcpu, msr, 0);
	}
}

static void restore_in_place(struct kvm_vcpu *vcpu, struct guest_random_state *rng)
{
	struct saved_vcpu saved;

	save(vcpu, &saved);
	shuffle_state(&saved.state->msrs, rng);
	clear_registers(vcpu, &saved.state->msrs);
	load(vcpu, &saved);
}

static void test_rounds(void)
{
	struct guest_random_state rng = new_guest_random_state(guest_random_seed);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_migrated);
	unsigned int round;

	vm_install_exception_handler(vm, NMI_PMI_VECTOR, guest_clearing_handler);
	ksft_print_msg("%u rounds, %u new VMs, by seed 0x%x\n", NR_ROUNDS,
		       NR_ROUNDS / ROUNDS_PER_VM, guest_random_seed);
	for (round = 1; round <= NR_ROUNDS; round++) {
		TEST_ASSERT_EQ(run_to_sync(vcpu), round);
		if (round % ROUNDS_PER_VM)
			restore_in_place(vcpu, &rng);
		else
			vcpu = migrate(vm, vcpu, &rng);
	}
	run_to_end(vcpu);
	sync_global_from_guest(vm, cpuids);
	sync_global_from_guest(vm, pmis);
	ksft_print_msg("%lu interrupts for %lu overflows\n", pmis,
		       cpuids / LONG_PERIOD + NR_ROUNDS / EXITS_PERIOD);
	kvm_vm_free(vm);
}

/* Perf-backed: not exact, but never back, and no overflow lost. */
static void guest_migrated_cycles(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];
	const uint64_t period = 1000000;
	uint64_t last = 0;
	unsigned int i;

	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT, period);
	guest_start(1);
	for (i = 0; i < NR_USER_EXITS / 4; i++) {
		do_spin(period);
		GUEST_SYNC(1);
		guest_refresh();
		GUEST_ASSERT(entry->flags || entry->count > last);
		GUEST_ASSERT_EQ(entry->count, guest_periodic_count(0, period));
		last = entry->count;
	}
	GUEST_DONE();
}

static void test_cycles(void)
{
	struct guest_random_state rng = new_guest_random_state(guest_random_seed);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_migrated_cycles);

	while (run_to_sync(vcpu))
		vcpu = migrate(vm, vcpu, &rng);
	kvm_vm_free(vm);
}

/* What the guest prepared but has not started yet is its memory's. */
static void guest_migrated_dirty(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 5, 0);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(page->dirty, 1);
	GUEST_ASSERT_EQ(page->entries[0].value, 5);
	guest_start(1);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 15);
	GUEST_DONE();
}

static void test_dirty(void)
{
	struct guest_random_state rng = new_guest_random_state(guest_random_seed);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_migrated_dirty);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	vcpu = migrate(vm, vcpu, &rng);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* An interrupt that the source was about to give must not be lost. */

static void guest_waits(void)
{
	uint64_t seen = guest_storm_until_throttled();

	GUEST_SYNC(1);
	while (guest_pmis() == seen)
		barrier();
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_THROTTLED |
		     KVM_PVPMU_STATUS_OVERFLOW(0));
	GUEST_DONE();
}

static void test_waits(void)
{
	struct guest_random_state rng = new_guest_random_state(guest_random_seed);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	if (get_kvm_param_integer("pvpmu_max_rate") > NR_LOOPS) {
		skip_reason = "a lower kvm.pvpmu_max_rate";
		return;
	}
	vm = create_with_page(&vcpu, guest_waits);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	vcpu = migrate(vm, vcpu, &rng);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* A destination that counts something else. */

static void guest_nothing(void)
{
	GUEST_DONE();
}

static void check_refused(uint64_t cap, const uint64_t *events, uint32_t msr)
{
	struct kvm_vcpu *from, *to;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&from, guest_nothing);
	struct kvm_vm *vm2 = vm_create(1);

	TEST_ASSERT_EQ(set_model(vm2, cap, events[0], events[1], events[2]), 0);
	to = vm_vcpu_add(vm2, 0, guest_nothing);
	TEST_ASSERT(!_vcpu_set_msr(to, msr, vcpu_get_msr(from, msr)),
		    "MSR 0x%x of another model accepted", msr);
	kvm_vm_free(vm);
	kvm_vm_free(vm2);
}

static void test_other_model(void)
{
	uint64_t features = KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW;
	uint64_t events[3], fewer[3], cap = make_cap(8) | features;
	unsigned int i;

	default_events(events);
	check_refused(make_cap(7) | features, events, MSR_KVM_PVPMU_CAP);
	check_refused(cap & ~KVM_PVPMU_CAP_PAGE, events, MSR_KVM_PVPMU_CAP);
	check_refused(cap & ~KVM_PVPMU_CAP_OVERFLOW, events, MSR_KVM_PVPMU_CAP);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		memcpy(fewer, events, sizeof(fewer));
		fewer[i] &= fewer[i] - 1;
		check_refused(cap, fewer, MSR_KVM_PVPMU_EVENTS_HW + i);
	}
}

/* An event that this host cannot count, as if restored from one that can. */
static void guest_uncountable(void)
{
	do_cpuid(NR_LOOPS);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_ERROR(0));
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_NOWHERE);
	expect_value(MSR_KVM_PVPMU_COUNTER(0), 0x1234);
	expect_value(MSR_KVM_PVPMU_RUNNING_NS(0), 50);
	GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0)) > 100);
	GUEST_ASSERT_EQ(guest_counter(1), NR_LOOPS);

	guest_refresh();
	GUEST_ASSERT_EQ(page->entries[0].flags, KVM_PVPMU_ENTRY_ERROR);
	GUEST_ASSERT_EQ(page->entries[0].value, 0x1234);
	GUEST_DONE();
}

static void test_uncountable(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_uncountable);

	host_write(vcpu, MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL, 3);
	host_write(vcpu, MSR_KVM_PVPMU_COUNTER(0), 0x1234);
	host_write(vcpu, MSR_KVM_PVPMU_ENABLED_NS(0), 100);
	host_write(vcpu, MSR_KVM_PVPMU_RUNNING_NS(0), 50);
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_NOWHERE);
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV(EXITS_CPUID));
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* ERROR of the host that was left says nothing about this one. */
static void guest_countable(void)
{
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_counter(0), NR_LOOPS);
	GUEST_DONE();
}

static void test_countable(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_countable);

	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL, 1);
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_ERROR(0));
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "rounds of migrations", test_rounds },
	{ "migrations with cycles", test_cycles },
	{ "migration before the load", test_dirty },
	{ "interrupt that is limited", test_waits },
	{ "another model", test_other_model },
	{ "event that the destination lacks", test_uncountable },
	{ "event that the destination has", test_countable },
};

int main(int argc, char *argv[])
{
	require_pvpmu();
	ksft_print_header();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
