// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the paravirtual PMU's counter page: what the host writes to it, what it
 * takes from it, and that it leaves memory alone that is no page any more.
 */
#include <pthread.h>

#include "pv_real_mode.h"
#include "pvpmu_test.h"

#define PERIOD			10
#define NEW_PERIOD		25
#define NR_TIMES		2000

/* Memory of its own for the page, which can be taken away. */
#define PAGE_SLOT		1
#define PAGE_GPA		0x40000000ull

/* No memory, but an address that the guest could have. */
#define ABSENT_GPA		0x80000000ull
#define ILLEGAL_GPA		BIT_ULL(62)

#define PATTERN			0xa5

#define STATUS_OVERFLOW(i)	KVM_PVPMU_STATUS_OVERFLOW(i)
#define STATUS_ERROR(i)		KVM_PVPMU_STATUS_ERROR(i)

static struct kvm_pvpmu_entry *guest_entry(unsigned int idx)
{
	return &page->entries[idx];
}

static uint64_t guest_total(unsigned int event)
{
	return READ_ONCE(page->totals[event]);
}

static bool is_filled(const void *memory, uint8_t byte)
{
	const uint8_t *bytes = memory;
	unsigned int i;

	for (i = 0; i < KVM_PVPMU_PAGE_SIZE; i++) {
		if (bytes[i] != byte)
			return false;
	}
	return true;
}

#define ASSERT_UNTOUCHED(memory)					\
	TEST_ASSERT(is_filled(memory, PATTERN),				\
		    "the host wrote to what is not its page")

/* Enabling. */

static void guest_enable(void)
{
	unsigned int i, nr = guest_nr_counters();
	uint32_t seq;

	for (i = 0; i < nr; i++)
		wrmsr(MSR_KVM_PVPMU_COUNTER(i), 0x1000 + i);
	guest_entry(nr - 1)->evtsel = ~0ull;
	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(page->flags, 0);

	guest_enable_page();
	GUEST_ASSERT(page->flags & KVM_PVPMU_PAGE_VALID);
	GUEST_ASSERT_EQ(page->flags & ~(KVM_PVPMU_PAGE_VALID | KVM_PVPMU_PAGE_TSC), 0);
	for (i = 0; i < nr; i++)
		GUEST_ASSERT_EQ(guest_entry(i)->value, 0x1000 + i);
	seq = page->seq;
	GUEST_ASSERT(seq && !(seq & 1));
	expect_value(MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);

	for (i = 0; i < NR_LOOPS; i++) {
		seq = page->seq;
		guest_refresh();
		GUEST_ASSERT(page->seq != seq && !(page->seq & 1));
	}
	GUEST_ASSERT(guest_total(KVM_PVPMU_PV_GUEST_NS));
	/* What is the guest's stays as it is. */
	GUEST_ASSERT_EQ(guest_entry(nr - 1)->evtsel, ~0ull);
	GUEST_DONE();
}

static void check_reserved(const struct kvm_pvpmu_page *memory)
{
	static const uint64_t zeroes[KVM_PVPMU_PAGE_SIZE / 8];
	unsigned int i;

	TEST_ASSERT(!memcmp(memory->reserved0, zeroes, sizeof(memory->reserved0)) &&
		    !memcmp(memory->reserved1, zeroes, sizeof(memory->reserved1)) &&
		    !memcmp(memory->reserved2, zeroes, sizeof(memory->reserved2)) &&
		    !memcmp(memory->reserved3, zeroes, sizeof(memory->reserved3)) &&
		    !memcmp(memory->reserved4, zeroes, sizeof(memory->reserved4)),
		    "a reserved field is not 0");
	for (i = KVM_PVPMU_PV_MAX; i < KVM_PVPMU_PAGE_TOTALS; i++)
		TEST_ASSERT_EQ(memory->totals[i], 0);
}

static void test_enable(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_enable);

	run_to_end(vcpu);
	check_reserved(addr_gpa2hva(vm, page_gpa));
	kvm_vm_free(vm);
}

/* Before there was a page, nothing was counted for it. */
static void guest_continuity(void)
{
	uint64_t cpuids = 0x123456789ull;

	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	do_cpuid(NR_LOOPS);
	page->totals[KVM_PVPMU_PV_EXITS_CPUID] = cpuids;
	page->entries[0].count = 5;
	page->entries[0].overflows = 6;
	page->seq = 0xfffffffe;
	guest_enable_page();
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), cpuids);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), cpuids + 1);

	guest_refresh();
	GUEST_ASSERT(page->seq < 0x10000);
	GUEST_ASSERT_EQ(guest_entry(0)->count, 6);
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, 6);
	GUEST_ASSERT_EQ(guest_entry(0)->value, NR_LOOPS + 1);

	wrmsr(MSR_KVM_PVPMU_PAGE, 0);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), cpuids + 1);
	guest_enable_page();
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), cpuids + 2);
	guest_refresh();
	GUEST_ASSERT_EQ(guest_entry(0)->count, 7);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 2 * NR_LOOPS + 2);
	GUEST_DONE();
}

static void test_continuity(void)
{
	run_page_case(guest_continuity);
}

/* An overflow that the page did not see is not in it, nor is its reload for it. */
static void guest_overflow_before(void)
{
	guest_arm(0, EVTSEL_PV(EXITS_CPUID), PERIOD);
	guest_start(1);
	do_cpuid(2 * PERIOD);
	page->entries[0].reload = NEW_PERIOD;
	guest_enable_page();
	GUEST_ASSERT_EQ(guest_entry(0)->value, PERIOD);
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, 0);
	GUEST_ASSERT_EQ(guest_entry(0)->count, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));
	GUEST_DONE();
}

static void test_overflow_before(void)
{
	run_page_case(guest_overflow_before);
}

/* Also where the register already has the value: the guest cleared the page. */
static void guest_enable_again(void)
{
	wrmsr(MSR_KVM_PVPMU_COUNTER(1), 0x1234);
	guest_enable_page();
	do_hypercall(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_HYPERCALL), NR_LOOPS);
	memset(page, 0, sizeof(*page));
	guest_enable_page();
	GUEST_ASSERT(page->flags & KVM_PVPMU_PAGE_VALID);
	GUEST_ASSERT_EQ(guest_entry(1)->value, 0x1234);
	do_hypercall(1);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_HYPERCALL), 1);
	GUEST_DONE();
}

static void test_enable_again(void)
{
	run_page_case(guest_enable_again);
}

/* Totals. */

static void guest_totals(void)
{
	static const uint8_t events[] = {
		KVM_PVPMU_PV_EXITS_CPUID, KVM_PVPMU_PV_EXITS_MSR,
		KVM_PVPMU_PV_EXITS_IO, KVM_PVPMU_PV_EXITS_HYPERCALL,
	};
	uint64_t before[ARRAY_SIZE(events)];
	unsigned int i;

	guest_enable_page();
	for (i = 0; i < ARRAY_SIZE(events); i++)
		guest_program(i, EVTSEL_PV_NR(events[i]));
	guest_start(BIT_ULL(ARRAY_SIZE(events)) - 1);
	for (i = 0; i < ARRAY_SIZE(events); i++)
		before[i] = guest_total(events[i]) - guest_counter(i);

	do_cpuid(NR_LOOPS);
	do_rdmsr(NR_LOOPS);
	do_io(NR_USER_EXITS);
	do_hypercall(NR_LOOPS);
	for (i = 0; i < ARRAY_SIZE(events); i++)
		GUEST_ASSERT_EQ(guest_total(events[i]) - before[i],
				guest_counter(i));
	GUEST_ASSERT_EQ(guest_counter(0), NR_LOOPS);
	GUEST_ASSERT_EQ(guest_counter(2), NR_USER_EXITS);
	GUEST_DONE();
}

static void test_totals(void)
{
	run_page_case(guest_totals);
}

/* Each exit is in the totals that the guest sees when it goes on. */
static void guest_each_total(void)
{
	uint64_t cpuids, i;

	guest_enable_page();
	cpuids = guest_total(KVM_PVPMU_PV_EXITS_CPUID);
	for (i = 1; i <= NR_LOOPS; i++) {
		do_cpuid(1);
		GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), cpuids + i);
	}
	GUEST_DONE();
}

static void test_each_total(void)
{
	run_page_case(guest_each_total);
}

static void guest_absent_totals(void)
{
	unsigned int i;

	guest_enable_page();
	do_cpuid(NR_LOOPS);
	do_rdmsr(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), NR_LOOPS);
	for (i = 0; i < KVM_PVPMU_PAGE_TOTALS; i++) {
		if (i != KVM_PVPMU_PV_EXITS_CPUID)
			GUEST_ASSERT_EQ(guest_total(i), 0);
	}
	GUEST_DONE();
}

static void test_absent_totals(void)
{
	struct kvm_vm *vm = vm_create(1);
	struct kvm_vcpu *vcpu;

	TEST_ASSERT_EQ(set_model(vm, make_cap(3) | KVM_PVPMU_CAP_PAGE, 0, 0,
				 BIT_ULL(KVM_PVPMU_PV_EXITS_CPUID)), 0);
	vcpu = vm_vcpu_add(vm, 0, guest_absent_totals);
	create_page(vm);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* guest-ns. */

/* As a guest reads it, which may be interrupted between any two of these. */
static uint64_t guest_ns_now(void)
{
	uint64_t tsc, total, mult, now;
	uint32_t seq;
	uint8_t shift;

	do {
		seq = READ_ONCE(page->seq);
		total = guest_total(KVM_PVPMU_PV_GUEST_NS);
		tsc = READ_ONCE(page->tsc);
		mult = READ_ONCE(page->mult);
		shift = READ_ONCE(page->shift);
		now = rdtsc();
	} while (seq & 1 || READ_ONCE(page->seq) != seq);

	return total + (uint64_t)((__uint128_t)(now - tsc) * mult >> shift);
}

static void guest_guest_ns(void)
{
	uint64_t last, now, start, counter, exits;
	unsigned int i;

	guest_enable_page();
	if (!(page->flags & KVM_PVPMU_PAGE_TSC))
		GUEST_DONE();

	/* The host's own interrupts may come in between: then once more. */
	do {
		guest_stop();
		guest_program(0, EVTSEL_PV(GUEST_NS));
		exits = guest_total(KVM_PVPMU_PV_VM_EXITS);
		guest_start(1);
		start = guest_total(KVM_PVPMU_PV_GUEST_NS);
	} while (guest_total(KVM_PVPMU_PV_VM_EXITS) != exits);

	for (i = 0, last = start; i < NR_TIMES; i++, last = now) {
		now = guest_ns_now();
		__GUEST_ASSERT(now >= last, "guest-ns went back by %lu at %u",
			       last - now, i);
		if (!(i % 20))
			do_cpuid(1);
	}

	/* It is no more than the time that the exit then adds. */
	last = guest_ns_now();
	do_cpuid(1);
	GUEST_ASSERT(guest_total(KVM_PVPMU_PV_GUEST_NS) >= last);
	do {
		exits = guest_total(KVM_PVPMU_PV_VM_EXITS);
		counter = guest_counter(0);
		last = guest_total(KVM_PVPMU_PV_GUEST_NS);
	} while (guest_total(KVM_PVPMU_PV_VM_EXITS) != exits);
	GUEST_ASSERT_EQ(last - start, counter);
	GUEST_DONE();
}

static void test_guest_ns(void)
{
	run_page_case(guest_guest_ns);
}

/* The doorbell. */

static void guest_doorbell(void)
{
	uint64_t own;

	guest_enable_page();
	guest_program(3, EVTSEL_PV(SELF_EXITS));
	guest_start(BIT(3));
	own = guest_counter(3);

	/* One write loads and starts, one refreshes, one stops and stores. */
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 0, 0);
	guest_fill_entry(1, EVTSEL_PV(EXITS_MSR), 100, 0);
	guest_fill_entry(2, EVTSEL_PV(EXITS_IO), COUNTER_MASK, 0);
	guest_start(0xf);
	GUEST_ASSERT_EQ(page->dirty, 0);
	do_cpuid(10);
	do_rdmsr(20);
	do_io(5);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 0);
	guest_start(0xf);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 10);
	GUEST_ASSERT_EQ(guest_entry(1)->value, 120);
	GUEST_ASSERT_EQ(guest_entry(1)->count, 20);
	GUEST_ASSERT_EQ(guest_entry(2)->value, 4);
	GUEST_ASSERT_EQ(guest_entry(2)->count, 5);
	GUEST_ASSERT_EQ(guest_entry(2)->overflows, 1);
	do_cpuid(10);
	guest_start(BIT(3));
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 20);
	GUEST_ASSERT_EQ(guest_entry(0)->count, 20);
	GUEST_ASSERT(guest_entry(0)->enabled);
	GUEST_ASSERT_EQ(guest_entry(0)->enabled, guest_entry(0)->running);

	/* Those three writes and the reading itself. */
	GUEST_ASSERT_EQ(guest_counter(3) - own, 4);
	expect_value(MSR_KVM_PVPMU_EVTSEL(2), EVTSEL_PV(EXITS_IO));
	expect_value(MSR_KVM_PVPMU_ENABLED_NS(0), guest_entry(0)->enabled);
	expect_value(MSR_KVM_PVPMU_RUNNING_NS(0), guest_entry(0)->running);
	expect_value(MSR_KVM_PVPMU_COUNTER(0), 20);
	GUEST_DONE();
}

static void test_doorbell(void)
{
	run_page_case(guest_doorbell);
}

/* Only an entry whose bit is in both masks is taken, and only once. */
static void guest_dirty(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 1, 0);
	guest_fill_entry(1, EVTSEL_PV(EXITS_CPUID), 2, 0);
	guest_start(1);
	GUEST_ASSERT_EQ(page->dirty, BIT(1));
	expect_value(MSR_KVM_PVPMU_EVTSEL(1), 0);
	expect_value(MSR_KVM_PVPMU_COUNTER(1), 0);

	/* Not dirty: what the guest writes is not looked at. */
	guest_entry(0)->evtsel = ~0ull;
	guest_start(1);
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));

	guest_start(3);
	GUEST_ASSERT_EQ(page->dirty, 0);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 11);
	GUEST_ASSERT_EQ(guest_counter(1), 12);

	/* What waits to be loaded is not overwritten, not even by an overflow. */
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 100, 0);
	guest_fill_entry(1, EVTSEL_PV(EXITS_CPUID), 200, 0);
	wrmsr(MSR_KVM_PVPMU_COUNTER(1), COUNTER_MASK);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_entry(1)->overflows, 1);
	GUEST_ASSERT_EQ(guest_entry(1)->value, 200);
	guest_start(0);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 100);
	GUEST_ASSERT_EQ(guest_entry(1)->value, 200);
	guest_start(3);
	GUEST_ASSERT_EQ(guest_counter(0), 100);
	GUEST_ASSERT_EQ(guest_counter(1), 200);

	/* A bit without a counter is nobody's. */
	page->dirty = BIT_ULL(63);
	guest_start(3);
	GUEST_ASSERT_EQ(page->dirty, BIT_ULL(63));
	GUEST_DONE();
}

static void test_dirty(void)
{
	run_page_case(guest_dirty);
}

/* A counter that runs is loaded with another event, or value. */
static void guest_reload_running(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 0, 0);
	guest_start(1);
	do_cpuid(10);
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 1000, 0);
	guest_start(1);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 1010);
	guest_fill_entry(0, EVTSEL_PV(EXITS_MSR), 2000, 0);
	guest_start(1);
	do_cpuid(10);
	do_rdmsr(5);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->value, 2005);
	GUEST_ASSERT_EQ(guest_entry(0)->count, 25);
	GUEST_DONE();
}

static void test_reload_running(void)
{
	run_page_case(guest_reload_running);
}

static void guest_host_ctrl(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 0, 0);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(page->dirty, 1);
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_CTRL, 1);
	guest_refresh();
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
	GUEST_DONE();
}

/* User space restores GLOBAL_CTRL: it rings no bell. */
static void test_host_ctrl(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_host_ctrl);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL, 1);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Bad entries. */

static void guest_check_bad(uint64_t evtsel, uint64_t value, uint64_t raw)
{
	guest_stop();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 1, 0);
	guest_start(1);

	guest_fill_entry(0, evtsel, value, 0);
	page->entries[0].raw = raw;
	guest_fill_entry(1, EVTSEL_PV(EXITS_CPUID), 5, 0);
	guest_start(3);
	GUEST_ASSERT_EQ(page->dirty, 0);
	__GUEST_ASSERT(!rdmsr(MSR_KVM_PVPMU_EVTSEL(0)),
		       "loaded evtsel 0x%lx value 0x%lx raw 0x%lx",
		       evtsel, value, raw);
	GUEST_ASSERT_EQ(guest_entry(0)->flags, KVM_PVPMU_ENTRY_ERROR);
	GUEST_ASSERT_EQ(page->status, STATUS_ERROR(0));
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_ERROR(0));

	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(1), 15);
	GUEST_ASSERT_EQ(guest_entry(1)->flags, 0);

	/* The next good one ends it. */
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), 0, 0);
	guest_start(3);
	GUEST_ASSERT_EQ(guest_entry(0)->flags, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 10);
}

static void guest_bad_entries(void)
{
	uint64_t good = EVTSEL_PV(EXITS_CPUID);
	int bit;

	guest_enable_page();
	guest_check_bad(good | BIT_ULL(21), 0, 0);
	guest_check_bad(good | BIT_ULL(63), 0, 0);
	guest_check_bad(EVTSEL_PV_NR(63), 0, 0);
	guest_check_bad(EVTSEL_CLASS(15) | EVTSEL_ON, 0, 0);
	guest_check_bad(good & ~KVM_PVPMU_EVTSEL_OS, 0, 0);
	guest_check_bad(KVM_PVPMU_EVTSEL_EN, 0, 0);
	guest_check_bad(EVTSEL_PV_INT(SELF_EXITS), 0, 0);
	guest_check_bad(EVTSEL_PV_INT(SELF_PMIS), 0, 0);
	for (bit = KVM_PVPMU_COUNTER_WIDTH; bit < 64; bit++)
		guest_check_bad(good, BIT_ULL(bit), 0);
	guest_check_bad(good, 0, 1);
	guest_check_bad(good, 0, BIT_ULL(63));
	GUEST_DONE();
}

static void test_bad_entries(void)
{
	run_page_case(guest_bad_entries);
}

static void guest_uncountable(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_NOWHERE, 77, 0);
	guest_start(1);
	GUEST_ASSERT_EQ(guest_entry(0)->flags, KVM_PVPMU_ENTRY_ERROR);
	GUEST_ASSERT_EQ(page->status, STATUS_ERROR(0));
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_NOWHERE);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->value, 77);
	GUEST_ASSERT_EQ(guest_entry(0)->count, 0);
	GUEST_ASSERT_EQ(guest_entry(0)->running, 0);
	GUEST_ASSERT(guest_entry(0)->enabled);
	GUEST_DONE();
}

static void test_uncountable(void)
{
	run_page_case(guest_uncountable);
}

/* Reload. */

static void guest_reload(void)
{
	unsigned int i;

	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(1);
	for (i = 1; i <= NR_USER_EXITS / PERIOD; i++) {
		do_cpuid(PERIOD - 1);
		GUEST_ASSERT_EQ(guest_pmis(), i - 1);
		do_cpuid(1);
		GUEST_ASSERT_EQ(guest_pmis(), i);
		/* All of it is there before the guest goes on. */
		GUEST_ASSERT_EQ(guest_entry(0)->overflows, i);
		GUEST_ASSERT_EQ(guest_entry(0)->count, i * PERIOD);
		GUEST_ASSERT_EQ(guest_entry(0)->value, BEFORE_OVERFLOW(PERIOD));
		GUEST_ASSERT_EQ(page->status, STATUS_OVERFLOW(0));
	}
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, NR_USER_EXITS / PERIOD);
	GUEST_ASSERT_EQ(guest_entry(0)->count, NR_USER_EXITS);
	GUEST_ASSERT_EQ(guest_counter(0), BEFORE_OVERFLOW(PERIOD));
	GUEST_DONE();
}

static void test_reload(void)
{
	run_page_case(guest_reload);
}

static void guest_reload_changes(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(1);
	do_cpuid(PERIOD / 2);
	WRITE_ONCE(page->entries[0].reload, NEW_PERIOD);
	do_cpuid(PERIOD / 2);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_ASSERT_EQ(guest_counter(0), BEFORE_OVERFLOW(NEW_PERIOD));
	do_cpuid(NEW_PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 2);

	/* What a counter could not hold is none. */
	WRITE_ONCE(page->entries[0].reload, COUNTER_MASK + 1 + PERIOD);
	do_cpuid(NEW_PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), 3);
	do_cpuid(2 * NEW_PERIOD);
	guest_stop();
	GUEST_ASSERT_EQ(guest_pmis(), 3);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 2 * NEW_PERIOD);
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, 3);
	GUEST_DONE();
}

static void guest_reload_too_wide(void)
{
	guest_enable_page();
	guest_fill_entry(0, EVTSEL_PV(EXITS_CPUID), BEFORE_OVERFLOW(PERIOD),
			 ~0ull);
	guest_start(1);
	GUEST_ASSERT_EQ(guest_entry(0)->flags, 0);
	do_cpuid(3 * PERIOD);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, 1);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 2 * PERIOD);
	GUEST_DONE();
}

static void test_reload_too_wide(void)
{
	run_page_case(guest_reload_too_wide);
}

static void test_reload_changes(void)
{
	run_page_case(guest_reload_changes);
}

/* A reload works without INT as well, and for a counter set by registers. */
static void guest_reload_alone(void)
{
	guest_enable_page();
	guest_arm(0, EVTSEL_PV(EXITS_CPUID), PERIOD);
	WRITE_ONCE(page->entries[0].reload, PERIOD);
	guest_start(1);
	do_cpuid(NR_USER_EXITS * PERIOD + 1);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->overflows, NR_USER_EXITS);
	GUEST_ASSERT_EQ(guest_entry(0)->count, NR_USER_EXITS * PERIOD + 1);
	GUEST_ASSERT_EQ(guest_counter(0), BEFORE_OVERFLOW(PERIOD - 1));
	GUEST_DONE();
}

static void test_reload_alone(void)
{
	run_page_case(guest_reload_alone);
}

/* No page, no touch. */

static void guest_dropped(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(1);
	do_cpuid(NR_USER_EXITS);
	wrmsr(MSR_KVM_PVPMU_PAGE, 0);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	guest_stop();
	GUEST_SYNC(2);
	GUEST_DONE();
}

static void test_dropped(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_dropped);
	void *memory = addr_gpa2hva(vm, page_gpa);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	memset(memory, PATTERN, KVM_PVPMU_PAGE_SIZE);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	ASSERT_UNTOUCHED(memory);
	run_to_end(vcpu);
	ASSERT_UNTOUCHED(memory);
	kvm_vm_free(vm);
}

static uint64_t second_gpa;

static void guest_moved(void)
{
	guest_enable_page();
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	wrmsr(MSR_KVM_PVPMU_PAGE, second_gpa | KVM_PVPMU_PAGE_ENABLE);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	GUEST_DONE();
}

static void test_moved(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_moved);
	struct kvm_pvpmu_page *first = addr_gpa2hva(vm, page_gpa), *second;

	second_gpa = vm_phy_page_alloc(vm, page_gpa, 0);
	sync_global_to_guest(vm, second_gpa);
	second = addr_gpa2hva(vm, second_gpa);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	memset(first, PATTERN, sizeof(*first));
	run_to_end(vcpu);
	ASSERT_UNTOUCHED(first);
	TEST_ASSERT(second->flags & KVM_PVPMU_PAGE_VALID, "no VALID");
	TEST_ASSERT_EQ(second->entries[0].count, NR_LOOPS);
	kvm_vm_free(vm);
}

/* A read-only slot is ROM: the guest could not write to it, nor may the host for it. */
static void guest_read_only(void)
{
	wrmsr_safe(MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	GUEST_DONE();
}

static struct kvm_vm *create_with_slot(struct kvm_vcpu **vcpu, void *guest_code,
				       uint32_t flags)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, guest_code);

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, PAGE_GPA,
				    PAGE_SLOT, 1, flags);
	virt_map(vm, PAGE_GPA, PAGE_GPA, 1);
	page = (void *)PAGE_GPA;
	page_gpa = PAGE_GPA;
	sync_global_to_guest(vm, page);
	sync_global_to_guest(vm, page_gpa);
	install_pmi_handlers(vm);
	return vm;
}

static void test_read_only(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_slot(&vcpu, guest_read_only,
					     KVM_MEM_READONLY);
	void *memory = addr_gpa2hva(vm, PAGE_GPA);

	memset(memory, PATTERN, KVM_PVPMU_PAGE_SIZE);
	run_to_end(vcpu);
	ASSERT_UNTOUCHED(memory);
	kvm_vm_free(vm);
}

/* Memory comes and goes. */

static void guest_slot_deleted(void)
{
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(1);
	do_cpuid(NR_LOOPS);
	do_hypercall(NR_LOOPS);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	GUEST_SYNC(2);
	expect_value(MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), 3 * NR_LOOPS);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_HYPERCALL), NR_LOOPS);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->count, 3 * NR_LOOPS);
	GUEST_DONE();
}

static void test_slot_deleted(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_slot(&vcpu, guest_slot_deleted, 0);
	uint8_t before[KVM_PVPMU_PAGE_SIZE];
	void *memory = addr_gpa2hva(vm, PAGE_GPA);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA, 0, memory);
	memcpy(before, memory, sizeof(before));
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	TEST_ASSERT(!memcmp(before, memory, sizeof(before)),
		    "the host wrote to a page that the guest does not have");
	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA,
				  KVM_PVPMU_PAGE_SIZE, memory);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Under the guest, while it runs. */
static bool stop_toggling;

static void *toggle_slot(void *arg)
{
	struct kvm_vm *vm = arg;
	void *memory = addr_gpa2hva(vm, PAGE_GPA);

	while (!READ_ONCE(stop_toggling)) {
		vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA, 0, memory);
		usleep(1000);
		vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA,
					  KVM_PVPMU_PAGE_SIZE, memory);
		usleep(1000);
	}
	return NULL;
}

static void guest_slot_toggled(void)
{
	unsigned int i;

	guest_enable_page();
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	GUEST_SYNC(1);
	for (i = 0; i < NR_TIMES; i++) {
		do_cpuid(1);
		guest_start(1);
	}
	GUEST_SYNC(2);
	guest_stop();
	GUEST_ASSERT_EQ(guest_entry(0)->count, NR_TIMES);
	GUEST_ASSERT_EQ(guest_total(KVM_PVPMU_PV_EXITS_CPUID), NR_TIMES);
	GUEST_DONE();
}

static void test_slot_toggled(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_slot(&vcpu, guest_slot_toggled, 0);
	pthread_t thread;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, toggle_slot, vm), 0);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	WRITE_ONCE(stop_toggling, true);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_absent_memory(void)
{
	expect_gp_on_write(MSR_KVM_PVPMU_PAGE, ABSENT_GPA | KVM_PVPMU_PAGE_ENABLE);
	expect_gp_on_write(MSR_KVM_PVPMU_PAGE, ILLEGAL_GPA | KVM_PVPMU_PAGE_ENABLE);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	expect_value(MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
	GUEST_SYNC(2);
	do_cpuid(1);
	GUEST_ASSERT(page->flags & KVM_PVPMU_PAGE_VALID);
	GUEST_DONE();
}

/* User space may restore the register before it has given the memory. */
static void test_absent_memory(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_slot(&vcpu, guest_absent_memory, 0);
	void *memory = addr_gpa2hva(vm, PAGE_GPA);

	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA, 0, memory);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	host_write(vcpu, MSR_KVM_PVPMU_PAGE, PAGE_GPA | KVM_PVPMU_PAGE_ENABLE);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	TEST_ASSERT(is_filled(memory, 0), "the host wrote without a slot");
	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA,
				  KVM_PVPMU_PAGE_SIZE, memory);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_illegal_memory(void)
{
	expect_value(MSR_KVM_PVPMU_PAGE, ILLEGAL_GPA | KVM_PVPMU_PAGE_ENABLE);
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	do_cpuid(NR_LOOPS);
	guest_stop();
	GUEST_ASSERT_EQ(guest_counter(0), NR_LOOPS);
	GUEST_DONE();
}

static void test_illegal_memory(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_illegal_memory);

	host_write(vcpu, MSR_KVM_PVPMU_PAGE, ILLEGAL_GPA | KVM_PVPMU_PAGE_ENABLE);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_by_host(void)
{
	GUEST_ASSERT(page->flags & KVM_PVPMU_PAGE_VALID);
	GUEST_ASSERT_EQ(guest_entry(0)->value, 42);
	GUEST_DONE();
}

/* Restored before the vCPU has ever run. */
static void test_by_host(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_by_host);

	host_write(vcpu, MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
	host_write(vcpu, MSR_KVM_PVPMU_COUNTER(0), 42);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_for_dirty_log(void)
{
	guest_enable_page();
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	GUEST_SYNC(1);
	do_cpuid(1);
	GUEST_SYNC(2);
	GUEST_DONE();
}

static bool is_page_dirty(struct kvm_vm *vm)
{
	uint64_t bitmap = 0;

	kvm_vm_get_dirty_log(vm, PAGE_SLOT, &bitmap);
	return bitmap & 1;
}

/* What the host writes has to be copied by a migration. */
static void test_dirty_log(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_slot(&vcpu, guest_for_dirty_log,
					     KVM_MEM_LOG_DIRTY_PAGES);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	is_page_dirty(vm);
	TEST_ASSERT(!is_page_dirty(vm), "dirty without a run");
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	TEST_ASSERT(is_page_dirty(vm), "not dirty after a run");

	/* Reading for a save brings the page up to date as well. */
	vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(0));
	TEST_ASSERT(is_page_dirty(vm), "not dirty after the save");
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Another vCPU writes all over the page: only this guest may be worse off. */

static bool stop_scribbling;

static void guest_scribble(void)
{
	struct guest_random_state rng = guest_rng;
	uint64_t *words = (uint64_t *)page;

	while (!READ_ONCE(stop_scribbling)) {
		unsigned int i = guest_random_u32(&rng) % (PAGE_SIZE / 8);

		/* Good entries as well, so that some are loaded. */
		WRITE_ONCE(words[i], guest_random_bool(&rng) ?
			   guest_random_u64(&rng) : EVTSEL_PV_INT(EXITS_CPUID));
		page->dirty = ~0ull;
	}
	GUEST_DONE();
}

static void guest_scribbled(void)
{
	uint64_t counters = BIT_ULL(guest_nr_counters()) - 1;
	unsigned int i;

	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	for (i = 0; i < NR_TIMES; i++) {
		guest_start(guest_random_u32(&guest_rng) & counters);
		do_cpuid(1);
	}
	guest_stop();
	WRITE_ONCE(stop_scribbling, true);
	wrmsr(MSR_KVM_PVPMU_PAGE, 0);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_CPUID), do_cpuid, NR_LOOPS),
			NR_LOOPS);
	GUEST_DONE();
}

static void *run_in_thread(void *vcpu)
{
	run_to_end(vcpu);
	return NULL;
}

static void test_scribbled(void)
{
	struct kvm_vm *vm = vm_create(2);
	struct kvm_vcpu *vcpu = vm_vcpu_add(vm, 0, guest_scribbled);
	struct kvm_vcpu *other = vm_vcpu_add(vm, 1, guest_scribble);
	pthread_t thread;

	install_pmi_handlers(vm);
	create_page(vm);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, run_in_thread, other), 0);
	run_to_end(vcpu);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	kvm_vm_free(vm);
}

/* INIT and RESET. */

static void guest_on_second_vcpu(void)
{
	guest_enable_page();
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_start(1);
	do_cpuid(NR_LOOPS);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	guest_refresh();
	GUEST_DONE();
}

static void guest_send_init(void)
{
	x2apic_enable();
	x2apic_write_reg(APIC_ICR, APIC_DEST_PHYSICAL | APIC_INT_ASSERT |
			 APIC_DM_INIT | 1ull << 32);
	GUEST_DONE();
}

/* INIT is undone but for the page: CR0.PE must not be what saves the memory. */
static void init_and_go_on(struct kvm_vcpu *vcpu, struct kvm_vcpu *sender)
{
	struct kvm_mp_state mp_state;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_run_complete_io(vcpu);
	vcpu_sregs_get(vcpu, &sregs);
	vcpu_regs_get(vcpu, &regs);
	run_to_end(sender);
	vcpu_mp_state_get(vcpu, &mp_state);
	TEST_ASSERT_EQ(mp_state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PVPMU_PAGE), 0);

	mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_mp_state_set(vcpu, &mp_state);
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_set(vcpu, &regs);
}

static void test_init(void)
{
	struct kvm_vm *vm = vm_create(2);
	struct kvm_vcpu *sender = vm_vcpu_add(vm, 0, guest_send_init);
	struct kvm_vcpu *vcpu = vm_vcpu_add(vm, 1, guest_on_second_vcpu);
	void *memory = create_page(vm);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	init_and_go_on(vcpu, sender);
	memset(memory, PATTERN, KVM_PVPMU_PAGE_SIZE);
	run_to_end(vcpu);
	ASSERT_UNTOUCHED(memory);
	kvm_vm_free(vm);
}

static void guest_before_reset(void)
{
	guest_enable_pmi(APIC_LVT_MASKED | APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_fill_periodic(1, EVTSEL_PV_INT(EXITS_IO), 1);
	guest_start(3);
	do_cpuid(NR_LOOPS);
	GUEST_SYNC(1);
	GUEST_ASSERT(0);
}

static void test_reset(void)
{
	struct kvm_sregs reset_sregs;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_before_reset);
	void *memory = addr_gpa2hva(vm, page_gpa);

	/* A vCPU that nobody has set up is in its reset state. */
	vcpu_sregs_get(__vm_vcpu_add(vm, 1), &reset_sregs);
	TEST_ASSERT(!(reset_sregs.cr0 & X86_CR0_PE), "CR0.PE set at reset");
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	reset_to(vcpu, &reset_sregs, install_real_mode_code(vm));
	memset(memory, PATTERN, KVM_PVPMU_PAGE_SIZE);

	/* The VMM may look at the vCPU as well, before it runs. */
	vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(0));
	run_real_mode(vcpu, NR_USER_EXITS);
	ASSERT_UNTOUCHED(memory);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PVPMU_PAGE), 0);
	kvm_vm_free(vm);
}

static void guest_after_reset(void)
{
	guest_enable_pmi(APIC_LVT_MASKED | APIC_DM_NMI);
	guest_enable_page();
	GUEST_SYNC(1);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
	do_cpuid(NR_LOOPS);
	GUEST_SYNC(2);
	guest_enable_page();
	GUEST_ASSERT(page->flags & KVM_PVPMU_PAGE_VALID);
	GUEST_DONE();
}

/* Back in protected mode, the page stays off until the guest enables it. */
static void test_real_mode_and_back(void)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_after_reset);
	void *memory = addr_gpa2hva(vm, page_gpa);

	vcpu_sregs_get(__vm_vcpu_add(vm, 1), &sregs);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	vcpu_run_complete_io(vcpu);
	vcpu_regs_get(vcpu, &regs);
	reset_to(vcpu, &sregs, install_real_mode_code(vm));
	run_real_mode(vcpu, 1);
	vcpu_run_complete_io(vcpu);
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_set(vcpu, &regs);

	memset(memory, PATTERN, KVM_PVPMU_PAGE_SIZE);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	ASSERT_UNTOUCHED(memory);
	memset(memory, 0, KVM_PVPMU_PAGE_SIZE);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "enabled", test_enable },
	{ "goes on from what it holds", test_continuity },
	{ "overflow before it", test_overflow_before },
	{ "enabled again", test_enable_again },
	{ "totals are what counters count", test_totals },
	{ "totals at each entry", test_each_total },
	{ "totals of other events", test_absent_totals },
	{ "guest-ns by TSC", test_guest_ns },
	{ "doorbell", test_doorbell },
	{ "dirty entries", test_dirty },
	{ "load of a running counter", test_reload_running },
	{ "no doorbell by user space", test_host_ctrl },
	{ "bad entries", test_bad_entries },
	{ "event that no host counts", test_uncountable },
	{ "reload", test_reload },
	{ "reload changes", test_reload_changes },
	{ "reload too wide", test_reload_too_wide },
	{ "reload without interrupt", test_reload_alone },
	{ "disabled page is left alone", test_dropped },
	{ "moved page", test_moved },
	{ "read-only memory", test_read_only },
	{ "slot deleted and created", test_slot_deleted },
	{ "slot toggled while it runs", test_slot_toggled },
	{ "memory absent", test_absent_memory },
	{ "illegal address by user space", test_illegal_memory },
	{ "enabled by user space", test_by_host },
	{ "dirty log", test_dirty_log },
	{ "another vCPU writes to it", test_scribbled },
	{ "INIT", test_init },
	{ "reset by KVM_SET_SREGS", test_reset },
	{ "real mode and back", test_real_mode_and_back },
};

int main(int argc, char *argv[])
{
	require_pvpmu();
	ksft_print_header();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
