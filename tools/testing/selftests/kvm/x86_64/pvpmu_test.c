// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the paravirtual PMU (kvm.pvpmu=1): discovery, each register's bits, exact
 * counts of KVM's own events, save and restore, the VM's model, and the host's
 * perf PMU "kvm_vcpu" beside the guest's own counts.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include "pvpmu_test.h"

/* The timer that ends each HLT; its input is 1 GHz, divided by 1. */
#define TIMER_VECTOR		0xf2
#define TIMER_NS		2000000
#define TIMER_DIVIDE_BY_1	0xb

/* Guest side. */

static uint64_t timer_interrupts;
static bool interrupts_need_kvm;

static void guest_timer_handler(struct ex_regs *regs)
{
	timer_interrupts++;
	x2apic_write_reg(APIC_EOI, 0);
}

/* A periodic timer, so that an early interrupt leaves no HLT without its own. */
static void guest_start_timer(void)
{
	x2apic_enable();
	x2apic_write_reg(APIC_TDCR, TIMER_DIVIDE_BY_1);
	x2apic_write_reg(APIC_LVTT, APIC_LVT_TIMER_PERIODIC | TIMER_VECTOR);
	x2apic_write_reg(APIC_TMICT, TIMER_NS);
}

static void do_hlt(unsigned int n)
{
	while (n--)
		asm volatile("sti; hlt; cli" : : : "memory");
}

/* Host side. */

/* No features: none of what they add may be there. */
static struct kvm_vm *create_with_counters(unsigned int counters,
					   struct kvm_vcpu **vcpu,
					   void *guest_code)
{
	return create_with_cap(make_cap(counters), vcpu, guest_code);
}

static bool is_listed(uint32_t msr)
{
	const struct kvm_msr_list *list = kvm_get_msr_index_list();
	uint32_t i;

	for (i = 0; i < list->nmsrs; i++) {
		if (list->indices[i] == msr)
			return true;
	}
	return false;
}

/* Discovery. */

static void test_offered(bool on)
{
	uint32_t msr;

	TEST_ASSERT_EQ(kvm_check_cap(KVM_CAP_X86_PVPMU), on);
	TEST_ASSERT_EQ(kvm_cpu_has(X86_FEATURE_KVM_PVPMU), on);
	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++)
		TEST_ASSERT(is_clock_register(msr) ||
			    is_listed(msr) == (on && is_state(msr)),
			    "MSR 0x%x in the index list: %d", msr,
			    is_listed(msr));
}

static void guest_without_feature(void)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_clock_register(msr))
			continue;
		expect_gp_on_read(msr);
		expect_gp_on_write(msr, 0);
		expect_gp_on_write(msr, 1);
	}
	GUEST_DONE();
}

static void check_no_host_writes(struct kvm_vcpu *vcpu)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++)
		TEST_ASSERT(is_clock_register(msr) || !_vcpu_set_msr(vcpu, msr, 1),
			    "KVM_SET_MSRS wrote 1 to the absent MSR 0x%x", msr);
}

/* As VMMs do that restore what they saved, all zeroes then. */
static void check_host_zeroes(struct kvm_vcpu *vcpu)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_clock_register(msr))
			continue;
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, msr), 0);
		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, 0), 1);
	}
}

static void check_hidden(bool without_leaf)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_without_feature);

	if (without_leaf)
		vcpu_clear_cpuid_entry(vcpu, 0x40000001);
	else
		vcpu_clear_cpuid_feature(vcpu, X86_FEATURE_KVM_PVPMU);
	check_no_host_writes(vcpu);
	check_host_zeroes(vcpu);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void test_hidden(void)
{
	check_hidden(false);
	check_hidden(true);
}

/* Registers. */

static void guest_reset_values(void)
{
	unsigned int i, nr = guest_nr_counters();
	uint64_t cap = rdmsr(MSR_KVM_PVPMU_CAP);

	GUEST_ASSERT_EQ(cap & KVM_PVPMU_CAP_VERSION, KVM_PVPMU_VERSION);
	GUEST_ASSERT_EQ((cap & KVM_PVPMU_CAP_WIDTH) >> KVM_PVPMU_CAP_WIDTH_SHIFT,
			KVM_PVPMU_COUNTER_WIDTH);
	GUEST_ASSERT(nr >= 1 && nr <= KVM_PVPMU_MAX_COUNTERS);
	GUEST_ASSERT_EQ(cap >> 24 << 24,
			KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW);
	GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_EVENTS_PV) & 1);

	expect_value(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, 0);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
	for (i = 0; i < nr; i++) {
		expect_value(MSR_KVM_PVPMU_EVTSEL(i), 0);
		expect_value(MSR_KVM_PVPMU_COUNTER(i), 0);
		expect_value(MSR_KVM_PVPMU_ENABLED_NS(i), 0);
		expect_value(MSR_KVM_PVPMU_RUNNING_NS(i), 0);
	}
	GUEST_DONE();
}

static void test_reset_values(void)
{
	run_case(guest_reset_values);
}

static void expect_gp_outside(uint32_t msr, uint64_t valid, uint64_t base)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		if (!(valid & BIT_ULL(bit)))
			expect_gp_on_write(msr, base | BIT_ULL(bit));
	}
}

static void guest_check_counter_bits(unsigned int i)
{
	uint64_t evtsel = EVTSEL_PV(EXITS_CPUID);
	uint64_t valid = KVM_PVPMU_EVTSEL_EVENT | KVM_PVPMU_EVTSEL_CLASS |
			 KVM_PVPMU_EVTSEL_INT | EVTSEL_ON;

	expect_write(MSR_KVM_PVPMU_EVTSEL(i), evtsel);
	expect_write(MSR_KVM_PVPMU_COUNTER(i), 0x1234 + i);

	expect_gp_outside(MSR_KVM_PVPMU_EVTSEL(i), valid, evtsel);
	expect_gp_outside(MSR_KVM_PVPMU_COUNTER(i), COUNTER_MASK, 0);
	expect_gp_on_write(MSR_KVM_PVPMU_ENABLED_NS(i), 0);
	expect_gp_on_write(MSR_KVM_PVPMU_RUNNING_NS(i), 0);

	/* A refused write changes nothing. */
	expect_value(MSR_KVM_PVPMU_EVTSEL(i), evtsel);
	expect_value(MSR_KVM_PVPMU_COUNTER(i), 0x1234 + i);
}

static void guest_check_read_only(void)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_CAP; msr <= MSR_KVM_PVPMU_EVENTS_PV; msr++) {
		uint64_t value = rdmsr(msr);

		expect_gp_on_write(msr, 0);
		expect_gp_on_write(msr, value);
		expect_value(msr, value);
	}
	expect_gp_on_write(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	expect_gp_on_write(MSR_KVM_PVPMU_GLOBAL_STATUS, 1);
}

static void guest_check_page_bits(void)
{
	uint64_t enabled = page_gpa | KVM_PVPMU_PAGE_ENABLE;
	int bit;

	expect_write(MSR_KVM_PVPMU_PAGE, enabled);
	for (bit = 1; bit < PAGE_SHIFT; bit++) {
		expect_gp_on_write(MSR_KVM_PVPMU_PAGE, BIT_ULL(bit));
		expect_gp_on_write(MSR_KVM_PVPMU_PAGE, enabled | BIT_ULL(bit));
	}
	expect_value(MSR_KVM_PVPMU_PAGE, enabled);

	/* Without the enable bit the address is nobody's. */
	expect_write(MSR_KVM_PVPMU_PAGE, page_gpa);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
	expect_write(MSR_KVM_PVPMU_PAGE, ~0ull << PAGE_SHIFT);
	expect_value(MSR_KVM_PVPMU_PAGE, 0);
}

static void guest_reserved_bits(void)
{
	unsigned int i, nr = guest_nr_counters();
	uint64_t counters = BIT_ULL(nr) - 1;

	guest_check_read_only();
	for (i = 0; i < nr; i++)
		guest_check_counter_bits(i);

	expect_write(MSR_KVM_PVPMU_GLOBAL_CTRL, counters);
	expect_gp_outside(MSR_KVM_PVPMU_GLOBAL_CTRL, counters, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_CTRL, counters);

	expect_gp_outside(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR,
			  counters | counters << KVM_PVPMU_STATUS_ERROR_SHIFT |
			  KVM_PVPMU_STATUS_THROTTLED, 0);
	guest_check_page_bits();
	GUEST_DONE();
}

static void test_reserved_bits(void)
{
	run_page_case(guest_reserved_bits);
}

static void guest_check_absent(uint32_t msr)
{
	expect_gp_on_read(msr);
	expect_gp_on_write(msr, 0);
}

static void guest_check_no_raw(void)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_RAW(0); msr <= MSR_KVM_PVPMU_LAST; msr++)
		guest_check_absent(msr);
}

/* What CAP does not have is not there. */
static void guest_absent_registers(void)
{
	unsigned int i, nr = guest_nr_counters();

	for (i = nr; i < 16; i++) {
		guest_check_absent(MSR_KVM_PVPMU_EVTSEL(i));
		guest_check_absent(MSR_KVM_PVPMU_COUNTER(i));
		guest_check_absent(MSR_KVM_PVPMU_ENABLED_NS(i));
		guest_check_absent(MSR_KVM_PVPMU_RUNNING_NS(i));
	}

	guest_check_no_raw();
	if (!(rdmsr(MSR_KVM_PVPMU_CAP) & KVM_PVPMU_CAP_PAGE))
		guest_check_absent(MSR_KVM_PVPMU_PAGE);
	if (!(rdmsr(MSR_KVM_PVPMU_CAP) & KVM_PVPMU_CAP_OVERFLOW)) {
		expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0),
				   EVTSEL_PV_INT(EXITS_CPUID));
		expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0),
				   EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT);
		expect_gp_on_write(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR,
				   KVM_PVPMU_STATUS_THROTTLED);
	}
	GUEST_DONE();
}

static void check_absent_on_host(struct kvm_vcpu *vcpu, uint32_t msr)
{
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, msr), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, 0), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, 1), 0);
}

static void test_absent_registers(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_counters(3, &vcpu, guest_absent_registers);
	int i;

	for (i = 3; i < KVM_PVPMU_MAX_COUNTERS; i++) {
		check_absent_on_host(vcpu, MSR_KVM_PVPMU_EVTSEL(i));
		check_absent_on_host(vcpu, MSR_KVM_PVPMU_COUNTER(i));
		check_absent_on_host(vcpu, MSR_KVM_PVPMU_ENABLED_NS(i));
		check_absent_on_host(vcpu, MSR_KVM_PVPMU_RUNNING_NS(i));
	}
	check_absent_on_host(vcpu, MSR_KVM_PVPMU_PAGE);
	check_absent_on_host(vcpu, MSR_KVM_PVPMU_RAW(0));
	TEST_ASSERT(!_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS,
				   KVM_PVPMU_STATUS_THROTTLED),
		    "THROTTLED accepted without CAP.OVERFLOW");
	run_to_end(vcpu);
	kvm_vm_free(vm);

	run_case(guest_absent_registers);
}

static bool guest_is_offered(unsigned int class, unsigned int event)
{
	static const uint32_t msrs[] = {
		[KVM_PVPMU_CLASS_HW]	= MSR_KVM_PVPMU_EVENTS_HW,
		[KVM_PVPMU_CLASS_CACHE]	= MSR_KVM_PVPMU_EVENTS_CACHE,
		[KVM_PVPMU_CLASS_PV]	= MSR_KVM_PVPMU_EVENTS_PV,
	};

	if (class >= ARRAY_SIZE(msrs) || !msrs[class] || event >= 64)
		return false;
	return rdmsr(msrs[class]) & BIT_ULL(event);
}

static void guest_check_event(unsigned int class, unsigned int event)
{
	uint64_t evtsel = EVTSEL_CLASS(class) | event | EVTSEL_ON;

	if (guest_is_offered(class, event)) {
		expect_write(MSR_KVM_PVPMU_EVTSEL(0), evtsel);
		return;
	}

	expect_write(MSR_KVM_PVPMU_EVTSEL(0), 0);
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), evtsel);
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), 0);
	evtsel &= ~EVTSEL_ON;
	if (evtsel)
		expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), evtsel);
}

static void guest_events(void)
{
	unsigned int class, event;

	for (class = 0; class < 16; class++) {
		for (event = 0; event < 256; event++)
			guest_check_event(class, event);
	}
	GUEST_DONE();
}

static void test_events(void)
{
	run_case(guest_events);
}

/* An interrupt that counts interrupts would not end. */
static void guest_own_events(void)
{
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(SELF_EXITS));
	expect_write(MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV(SELF_PMIS));
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV_INT(SELF_EXITS));
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV_INT(SELF_PMIS));
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0),
			   EVTSEL_PV_INT(SELF_EXITS) & ~KVM_PVPMU_EVTSEL_EN);
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(SELF_EXITS));
	expect_value(MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV(SELF_PMIS));

	/* The same number in another class is another event. */
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), KVM_PVPMU_EVTSEL_INT | EVTSEL_ON |
		     EVTSEL_CLASS(KVM_PVPMU_CLASS_HW) | KVM_PVPMU_HW_CYCLES);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), KVM_PVPMU_EVTSEL_INT | EVTSEL_ON |
		     EVTSEL_CLASS(KVM_PVPMU_CLASS_CACHE) |
		     KVM_PVPMU_CACHE_EVENT(KVM_PVPMU_CACHE_L1D,
					   KVM_PVPMU_CACHE_READ,
					   KVM_PVPMU_CACHE_ACCESS));
	GUEST_DONE();
}

static void test_own_events(void)
{
	run_case(guest_own_events);
}

static void guest_modes(void)
{
	uint64_t pv = EVTSEL_PV(VM_EXITS) & ~EVTSEL_ON;
	uint64_t hw = KVM_PVPMU_HW_INSTRUCTIONS;
	uint64_t en = KVM_PVPMU_EVTSEL_EN;

	/* KVM's own events count in both modes, or not at all. */
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), pv | en);
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), pv | en | KVM_PVPMU_EVTSEL_USR);
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), pv | en | KVM_PVPMU_EVTSEL_OS);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), pv | en | EVTSEL_BOTH);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), pv);

	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), hw | en);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), hw | en | KVM_PVPMU_EVTSEL_USR);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), hw | en | KVM_PVPMU_EVTSEL_OS);
	expect_write(MSR_KVM_PVPMU_EVTSEL(0), hw);
	GUEST_DONE();
}

static void test_modes(void)
{
	run_case(guest_modes);
}

/* Counts. */

static void guest_exact_counts(void)
{
	uint64_t mmio, faults;

	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_CPUID), do_cpuid, NR_LOOPS),
			NR_LOOPS);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_MSR), do_rdmsr, NR_LOOPS),
			NR_LOOPS);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_HYPERCALL), do_hypercall,
				      NR_LOOPS), NR_LOOPS);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_IO), do_io, NR_USER_EXITS),
			NR_USER_EXITS);

	/* KVM learns from the first access that there is a device. */
	faults = guest_measure(EVTSEL_PV(EXITS_PAGE_FAULT), do_mmio, 1);
	mmio = guest_measure(EVTSEL_PV(EXITS_MMIO), do_mmio, NR_USER_EXITS);
	GUEST_ASSERT(faults >= 1);
	GUEST_ASSERT_EQ(mmio, NR_USER_EXITS);

	/* Nothing else is counted with them. */
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_CPUID), do_rdmsr, NR_LOOPS),
			0);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_MSR), do_cpuid, NR_LOOPS),
			0);
	GUEST_DONE();
}

static void guest_halts(void)
{
	uint64_t injections, interrupts;

	guest_start_timer();
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_HLT), do_hlt, NR_USER_EXITS),
			NR_USER_EXITS);

	interrupts = timer_interrupts;
	injections = guest_measure(EVTSEL_PV(IRQ_INJECTIONS), do_hlt,
				   NR_USER_EXITS);
	interrupts = timer_interrupts - interrupts;
	GUEST_ASSERT(interrupts >= NR_USER_EXITS);
	if (interrupts_need_kvm)
		GUEST_ASSERT_EQ(injections, interrupts);
	else
		GUEST_ASSERT(injections <= interrupts);
	GUEST_DONE();
}

/* Hardware that delivers interrupts by itself leaves KVM nothing to count. */
static bool host_delivers_interrupts(void)
{
	return host_cpu_is_intel ? get_kvm_intel_param_bool("enable_apicv") :
				   get_kvm_amd_param_bool("avic");
}

static void test_halts(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_halts);

	interrupts_need_kvm = !host_delivers_interrupts();
	sync_global_to_guest(vm, interrupts_need_kvm);
	vm_install_exception_handler(vm, TIMER_VECTOR, guest_timer_handler);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void test_exact_counts(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_exact_counts);

	virt_map(vm, MMIO_GPA, MMIO_GPA, 1);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Counter 0: all exits; the others: one cause each. */
static void guest_sum_of_causes(void)
{
	unsigned int cause, nr = 1;
	uint64_t sum = 0, total;

	guest_program(0, EVTSEL_PV(VM_EXITS));
	for (cause = KVM_PVPMU_PV_EXITS_IO; cause <= KVM_PVPMU_PV_EXITS_OTHER;
	     cause++)
		guest_program(nr++, EVTSEL_PV_NR(cause));

	guest_start(BIT_ULL(nr) - 1);
	do_cpuid(NR_LOOPS);
	do_rdmsr(NR_LOOPS);
	do_hypercall(NR_LOOPS);
	do_io(NR_USER_EXITS);
	do_mmio(NR_USER_EXITS);
	guest_stop();

	total = guest_counter(0);
	while (--nr)
		sum += guest_counter(nr);
	GUEST_ASSERT_EQ(sum, total);
	GUEST_ASSERT(total >= 3 * NR_LOOPS + 2 * NR_USER_EXITS);
	GUEST_DONE();
}

static void test_sum_of_causes(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_counters(16, &vcpu, guest_sum_of_causes);

	virt_map(vm, MMIO_GPA, MMIO_GPA, 1);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_own_exits(void)
{
	unsigned int i;

	guest_program(0, EVTSEL_PV(SELF_EXITS));
	guest_program(1, EVTSEL_PV(EXITS_MSR));
	guest_start(3);
	for (i = 0; i < NR_LOOPS; i++)
		rdmsr(MSR_KVM_PVPMU_GLOBAL_CTRL);
	guest_stop();

	/* The write that stops is an exit too. */
	GUEST_ASSERT_EQ(guest_counter(0), NR_LOOPS + 1);
	GUEST_ASSERT_EQ(guest_counter(1), 0);
	GUEST_DONE();
}

static void test_own_exits(void)
{
	run_case(guest_own_exits);
}

/* So is what the interrupt's setup takes. */
static void guest_own_lvtpc(void)
{
	unsigned int i;

	x2apic_enable();
	guest_program(0, EVTSEL_PV(SELF_EXITS));
	guest_program(1, EVTSEL_PV(EXITS_MSR));
	guest_start(3);
	for (i = 0; i < NR_LOOPS; i++) {
		x2apic_write_reg(APIC_LVTPC, APIC_LVT_MASKED | APIC_DM_NMI);
		x2apic_read_reg(APIC_LVTPC);
	}
	guest_stop();
	GUEST_ASSERT_EQ(guest_counter(0), 2 * NR_LOOPS + 1);
	GUEST_ASSERT_EQ(guest_counter(1), 0);
	GUEST_DONE();
}

static void test_own_lvtpc(void)
{
	run_case(guest_own_lvtpc);
}

static void guest_stop_and_start(void)
{
	uint64_t enabled;

	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_program(1, EVTSEL_PV(EXITS_CPUID));
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 0);
	expect_value(MSR_KVM_PVPMU_ENABLED_NS(0), 0);

	guest_start(1);
	do_cpuid(100);
	GUEST_ASSERT_EQ(guest_counter(0), 100);
	GUEST_ASSERT_EQ(guest_counter(1), 0);

	guest_stop();
	enabled = rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0));
	GUEST_ASSERT(enabled);
	expect_value(MSR_KVM_PVPMU_RUNNING_NS(0), enabled);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 100);
	expect_value(MSR_KVM_PVPMU_ENABLED_NS(0), enabled);

	guest_start(3);
	do_cpuid(100);
	wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID) & ~KVM_PVPMU_EVTSEL_EN);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 200);
	GUEST_ASSERT_EQ(guest_counter(1), 110);
	GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0)) > enabled);

	/* A new event goes on from the old one's count, as in hardware. */
	wrmsr(MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV(EXITS_MSR));
	do_cpuid(10);
	do_rdmsr(10);
	GUEST_ASSERT_EQ(guest_counter(1), 120);

	/* Writing a running counter drops what it counted before. */
	wrmsr(MSR_KVM_PVPMU_COUNTER(1), 5);
	do_rdmsr(10);
	GUEST_ASSERT_EQ(guest_counter(1), 15);
	GUEST_DONE();
}

static void test_stop_and_start(void)
{
	run_case(guest_stop_and_start);
}

static void guest_overflow(void)
{
	uint64_t both = KVM_PVPMU_STATUS_OVERFLOW(0) | KVM_PVPMU_STATUS_OVERFLOW(1);

	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_program(1, EVTSEL_PV(EXITS_CPUID));
	wrmsr(MSR_KVM_PVPMU_COUNTER(0), COUNTER_MASK - 9);
	wrmsr(MSR_KVM_PVPMU_COUNTER(1), COUNTER_MASK - 19);
	guest_start(3);

	do_cpuid(9);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	GUEST_ASSERT_EQ(guest_counter(0), COUNTER_MASK);
	do_cpuid(6);
	GUEST_ASSERT_EQ(guest_counter(0), 5);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_OVERFLOW(0));
	do_cpuid(10);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, both);

	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, both);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, KVM_PVPMU_STATUS_OVERFLOW(1));
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_OVERFLOW(0));

	/* What overflowed before the clear does not come back after it. */
	wrmsr(MSR_KVM_PVPMU_COUNTER(1), COUNTER_MASK);
	do_cpuid(1);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, both);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	GUEST_ASSERT_EQ(guest_counter(1), 0);
	guest_stop();
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	GUEST_DONE();
}

static void test_overflow(void)
{
	run_case(guest_overflow);
}

/* guest-ns is time in guest mode: some, and less than has passed. */
static void guest_guest_ns(void)
{
	guest_program(0, EVTSEL_PV(GUEST_NS));
	guest_start(1);
	do_spin(100000);
	do_cpuid(NR_LOOPS);
	guest_stop();
	GUEST_ASSERT(guest_counter(0));
	GUEST_ASSERT(guest_counter(0) < rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0)));
	GUEST_DONE();
}

static void test_guest_ns(void)
{
	run_case(guest_guest_ns);
}

/*
 * The host may have no PMU, or a busy one.  Then the guest is told so; what
 * must not be is a zero that looks like a count.
 */
static void guest_perf_backed(void)
{
	uint64_t status;

	guest_program(0, KVM_PVPMU_HW_CYCLES | EVTSEL_ON);
	guest_start(1);
	do_spin(1000000);
	guest_stop();

	status = rdmsr(MSR_KVM_PVPMU_GLOBAL_STATUS);
	if (status & KVM_PVPMU_STATUS_ERROR(0)) {
		GUEST_ASSERT_EQ(guest_counter(0), 0);
		expect_value(MSR_KVM_PVPMU_RUNNING_NS(0), 0);
		GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0)));

		/* Another event is another try. */
		wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
		expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
		GUEST_SYNC(1);
	} else {
		GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_RUNNING_NS(0)));
		GUEST_ASSERT(guest_counter(0));
		GUEST_SYNC(2);
	}
	GUEST_DONE();
}

static void test_perf_backed(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_perf_backed);

	ksft_print_msg("cycles: %s\n", run_to_sync(vcpu) == 1 ?
		       "ERROR, this host cannot count them" : "counted");
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void guest_error(void)
{
	uint64_t error = KVM_PVPMU_STATUS_ERROR(0);

	guest_program(0, EVTSEL_NOWHERE);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	guest_start(1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, error);
	GUEST_ASSERT_EQ(guest_counter(0), 0);
	expect_value(MSR_KVM_PVPMU_RUNNING_NS(0), 0);
	GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_ENABLED_NS(0)));

	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, error);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);

	/* Tried again by each of these, and failed again. */
	wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_NOWHERE);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, error);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, error);
	guest_stop();
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	guest_start(1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, error);

	wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	do_cpuid(10);
	GUEST_ASSERT_EQ(guest_counter(0), 10);
	GUEST_DONE();
}

static void test_error(void)
{
	run_case(guest_error);
}

/* Save and restore. */

static uint64_t saved_counter(unsigned int idx)
{
	return 0x1000 * (idx + 1);
}

static void guest_to_be_saved(void)
{
	unsigned int i, nr = guest_nr_counters();

	for (i = 0; i < nr; i++) {
		wrmsr(MSR_KVM_PVPMU_EVTSEL(i), EVTSEL_PV(EXITS_CPUID));
		wrmsr(MSR_KVM_PVPMU_COUNTER(i), saved_counter(i));
	}
	guest_start(BIT_ULL(nr) - 1);
	do_cpuid(NR_LOOPS);
	GUEST_SYNC(1);
	GUEST_DONE();
}

static void guest_restored(void)
{
	unsigned int i, nr = guest_nr_counters();

	do_cpuid(NR_LOOPS);
	for (i = 0; i < nr; i++)
		GUEST_ASSERT_EQ(guest_counter(i), saved_counter(i) + 2 * NR_LOOPS);
	GUEST_DONE();
}

static unsigned int list_state(uint32_t *msrs)
{
	unsigned int n = 0;
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_state(msr))
			msrs[n++] = msr;
	}
	TEST_ASSERT_EQ(n, NR_SAVED);
	return n;
}

static void shuffle(uint32_t *msrs, unsigned int n)
{
	struct guest_random_state rng = new_guest_random_state(guest_random_seed);

	ksft_print_msg("order by seed 0x%x\n", guest_random_seed);
	while (n > 1) {
		unsigned int i = guest_random_u32(&rng) % n--;
		uint32_t msr = msrs[i];

		msrs[i] = msrs[n];
		msrs[n] = msr;
	}
}

static void test_save_restore(void)
{
	uint64_t sticky = KVM_PVPMU_STATUS_OVERFLOW(0) | KVM_PVPMU_STATUS_THROTTLED;
	uint64_t status = sticky | KVM_PVPMU_STATUS_ERROR(1);
	uint64_t values[MSR_KVM_PVPMU_LAST - MSR_KVM_PVPMU_BASE + 1];
	struct kvm_vcpu *from, *to;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&from, guest_to_be_saved);
	struct kvm_vm *vm2 = vm_create_with_one_vcpu(&to, guest_restored);
	uint32_t msrs[NR_SAVED];
	unsigned int i, n = list_state(msrs);

	TEST_ASSERT_EQ(run_to_sync(from), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(from, MSR_KVM_PVPMU_GLOBAL_CTRL, 0), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(from, MSR_KVM_PVPMU_GLOBAL_STATUS, status), 1);
	for (i = 0; i < n; i++)
		values[msrs[i] - MSR_KVM_PVPMU_BASE] = vcpu_get_msr(from, msrs[i]);
	values[MSR_KVM_PVPMU_GLOBAL_CTRL - MSR_KVM_PVPMU_BASE] =
		BIT_ULL(cap_counters(from)) - 1;

	shuffle(msrs, n);
	for (i = 0; i < n; i++)
		TEST_ASSERT(_vcpu_set_msr(to, msrs[i],
					  values[msrs[i] - MSR_KVM_PVPMU_BASE]) == 1,
			    "KVM_SET_MSRS of 0x%x", msrs[i]);
	for (i = 0; i < n; i++)
		TEST_ASSERT(vcpu_get_msr(to, msrs[i]) ==
			    values[msrs[i] - MSR_KVM_PVPMU_BASE],
			    "MSR 0x%x: 0x%lx restored as 0x%lx", msrs[i],
			    values[msrs[i] - MSR_KVM_PVPMU_BASE],
			    vcpu_get_msr(to, msrs[i]));

	run_to_end(to);
	TEST_ASSERT_EQ(vcpu_get_msr(to, MSR_KVM_PVPMU_GLOBAL_STATUS), sticky);
	kvm_vm_free(vm);
	kvm_vm_free(vm2);
}

/* User space reads the live count, and writes only what a vCPU can hold. */
static void test_host_access(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_to_be_saved);
	uint64_t nr = cap_counters(vcpu);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(0)),
		       saved_counter(0) + NR_LOOPS);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_COUNTER(0),
				     COUNTER_MASK + 1), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL,
				     BIT_ULL(nr)), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS,
				     BIT_ULL(nr)), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS,
				     KVM_PVPMU_STATUS_THROTTLED << 1), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_EVTSEL(0),
				     KVM_PVPMU_EVTSEL_INT << 1), 0);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_PAGE,
				     KVM_PVPMU_PAGE_ENABLE << 1), 0);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(0)),
		       saved_counter(0) + NR_LOOPS);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* The model. */

static uint64_t allowed_features(void)
{
	return KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW |
	       (get_kvm_param_bool("pvpmu_raw") ? KVM_PVPMU_CAP_RAW : 0);
}

static void check_bad_models(struct kvm_vm *vm, const uint64_t *events)
{
	uint64_t cap = make_cap(8);
	int bit;

	TEST_ASSERT_EQ(set_model(vm, 0, 0, 0, 0), EINVAL);
	TEST_ASSERT_EQ(set_model(vm, make_cap(0), 0, 0, 0), EINVAL);
	TEST_ASSERT_EQ(set_model(vm, make_cap(17), 0, 0, 0), EINVAL);
	TEST_ASSERT_EQ(set_model(vm, make_cap(255), 0, 0, 0), EINVAL);
	TEST_ASSERT_EQ(set_model(vm, cap + 1, 0, 0, 0), EINVAL);
	TEST_ASSERT_EQ(set_model(vm, cap + (1 << KVM_PVPMU_CAP_WIDTH_SHIFT), 0, 0, 0),
		       EINVAL);
	for (bit = 24; bit < 64; bit++)
		TEST_ASSERT_EQ(set_model(vm, cap | BIT_ULL(bit), 0, 0, 0),
			       allowed_features() & BIT_ULL(bit) ? 0 : EINVAL);

	for (bit = 9; bit < 64; bit++)
		TEST_ASSERT_EQ(set_model(vm, cap, BIT_ULL(bit), 0, 0), EINVAL);
	for (bit = 56; bit < 64; bit++)
		TEST_ASSERT_EQ(set_model(vm, cap, 0, BIT_ULL(bit), 0), EINVAL);
	for (bit = 0; bit < 64; bit++)
		TEST_ASSERT_EQ(set_model(vm, cap, 0, 0, BIT_ULL(bit)),
			       events[2] & BIT_ULL(bit) ? 0 : EINVAL);
}

static void test_bad_models(void)
{
	struct kvm_enable_cap enable = {
		.cap = KVM_CAP_X86_PVPMU,
		.flags = 1,
		.args = { make_cap(8) },
	};
	struct kvm_vm *vm;
	uint64_t events[3];

	default_events(events);
	vm = vm_create(1);
	check_bad_models(vm, events);
	TEST_ASSERT(__vm_ioctl(vm, KVM_ENABLE_CAP, &enable) && errno == EINVAL,
		    "flags accepted");

	TEST_ASSERT_EQ(set_model(vm, make_cap(8), 0, 0, events[2]), 0);
	vm_vcpu_add(vm, 0, NULL);
	TEST_ASSERT_EQ(set_model(vm, make_cap(8), 0, 0, events[2]), EBUSY);
	TEST_ASSERT_EQ(set_model(vm, make_cap(0), 0, 0, events[2]), EINVAL);
	kvm_vm_free(vm);
}

static void guest_small_model(void)
{
	expect_value(MSR_KVM_PVPMU_CAP, KVM_PVPMU_VERSION |
		     3 << KVM_PVPMU_CAP_COUNTERS_SHIFT |
		     KVM_PVPMU_COUNTER_WIDTH << KVM_PVPMU_CAP_WIDTH_SHIFT);
	expect_value(MSR_KVM_PVPMU_EVENTS_HW, 0);
	expect_value(MSR_KVM_PVPMU_EVENTS_CACHE, 0);
	expect_value(MSR_KVM_PVPMU_EVENTS_PV, BIT_ULL(KVM_PVPMU_PV_EXITS_CPUID));

	expect_write(MSR_KVM_PVPMU_GLOBAL_CTRL, 7);
	expect_gp_on_write(MSR_KVM_PVPMU_GLOBAL_CTRL, 8);
	guest_stop();
	expect_write(MSR_KVM_PVPMU_EVTSEL(2), EVTSEL_PV(EXITS_CPUID));
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(2), EVTSEL_PV(EXITS_MSR));
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(2), KVM_PVPMU_HW_CYCLES | EVTSEL_ON);
	expect_write(MSR_KVM_PVPMU_EVTSEL(2), 0);
	GUEST_ASSERT_EQ(guest_measure(EVTSEL_PV(EXITS_CPUID), do_cpuid, NR_LOOPS),
			NR_LOOPS);
	GUEST_DONE();
}

static void check_model_writes(struct kvm_vcpu *vcpu)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_CAP; msr <= MSR_KVM_PVPMU_EVENTS_PV; msr++) {
		uint64_t value = vcpu_get_msr(vcpu, msr);

		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, value), 1);
		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, value ^ 0x100), 0);
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, msr), value);
	}
}

static void test_small_model(void)
{
	struct kvm_vm *vm = vm_create(1);
	struct kvm_vcpu *vcpu;

	TEST_ASSERT_EQ(set_model(vm, make_cap(3), 0, 0,
				 BIT_ULL(KVM_PVPMU_PV_EXITS_CPUID)), 0);
	vcpu = vm_vcpu_add(vm, 0, guest_small_model);
	check_model_writes(vcpu);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* An interrupt needs a local APIC in the kernel. */

static int create_vcpu(struct kvm_vm *vm)
{
	int fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)0ul);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void test_no_irqchip_chosen(void)
{
	uint64_t pv = BIT_ULL(KVM_PVPMU_PV_EXITS_CPUID);
	struct kvm_vm *vm = vm_create_barebones();

	TEST_ASSERT_EQ(set_model(vm, make_cap(3) | KVM_PVPMU_CAP_OVERFLOW, 0, 0,
				 pv), 0);
	TEST_ASSERT_EQ(create_vcpu(vm), EINVAL);

	/* It was the model, and it can still be changed. */
	TEST_ASSERT_EQ(set_model(vm, make_cap(3) | KVM_PVPMU_CAP_PAGE, 0, 0, pv), 0);
	TEST_ASSERT_EQ(create_vcpu(vm), 0);
	kvm_vm_free(vm);

	/* So can the VM. */
	vm = vm_create_barebones();
	TEST_ASSERT_EQ(set_model(vm, make_cap(3) | KVM_PVPMU_CAP_OVERFLOW, 0, 0,
				 pv), 0);
	TEST_ASSERT_EQ(create_vcpu(vm), EINVAL);
	vm_create_irqchip(vm);
	TEST_ASSERT_EQ(create_vcpu(vm), 0);
	kvm_vm_free(vm);
}

static uint64_t features_of_new_vcpu(struct kvm_vm *vm)
{
	struct kvm_vcpu *vcpu = __vm_vcpu_add(vm, 0);
	uint64_t cap;

	vcpu_init_cpuid(vcpu, kvm_get_supported_cpuid());
	cap = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_CAP);
	TEST_ASSERT_EQ(cap & KVM_PVPMU_CAP_VERSION, KVM_PVPMU_VERSION);
	return cap >> 24 << 24;
}

static void test_no_irqchip_default(void)
{
	struct kvm_vm *vm = vm_create_barebones();

	TEST_ASSERT_EQ(features_of_new_vcpu(vm), KVM_PVPMU_CAP_PAGE);
	kvm_vm_free(vm);

	vm = vm_create_barebones();
	vm_create_irqchip(vm);
	TEST_ASSERT_EQ(features_of_new_vcpu(vm),
		       KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW);
	kvm_vm_free(vm);

	/* The local APIC is what counts. */
	vm = vm_create_barebones();
	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, 24);
	TEST_ASSERT_EQ(features_of_new_vcpu(vm),
		       KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW);
	kvm_vm_free(vm);
}

/* Raw events. */

#define EVTSEL_RAW		(EVTSEL_CLASS(KVM_PVPMU_CLASS_RAW) | EVTSEL_ON)
/* Event select and unit mask; AMD's event select has four bits more. */
#define RAW_BITS		GENMASK_ULL(15, 0)
#define RAW_BITS_AMD		(RAW_BITS | GENMASK_ULL(35, 32))
/* Any code would do, nothing is counted. */
#define RAW_CODE		0xc4
#define DENIED_RAW_CODE		0xc5

static void guest_raw(void)
{
	uint64_t valid = host_cpu_is_amd ? RAW_BITS_AMD : RAW_BITS;

	expect_write(MSR_KVM_PVPMU_RAW(1), valid);
	expect_value(MSR_KVM_PVPMU_RAW(1), valid);
	expect_gp_outside(MSR_KVM_PVPMU_RAW(1), valid, 0);
	expect_value(MSR_KVM_PVPMU_RAW(1), valid);

	expect_write(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_RAW);
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_RAW | 1);
	expect_gp_on_write(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_RAW & ~EVTSEL_BOTH);
	expect_value(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_RAW);

	/* The code may be written while the counter is on: another try. */
	expect_write(MSR_KVM_PVPMU_RAW(0), DENIED_RAW_CODE);
	guest_start(1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, KVM_PVPMU_STATUS_ERROR(0));
	expect_value(MSR_KVM_PVPMU_RAW(0), DENIED_RAW_CODE);
	guest_stop();
	GUEST_DONE();
}

static void deny_raw_code(struct kvm_vm *vm)
{
	struct {
		struct kvm_pmu_event_filter filter;
		uint64_t event;
	} deny = {
		.filter.nevents = 1,
		.filter.action = KVM_PMU_EVENT_DENY,
		.event = DENIED_RAW_CODE,
	};

	vm_ioctl(vm, KVM_SET_PMU_EVENT_FILTER, &deny.filter);
}

static void test_raw(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	if (!get_kvm_param_bool("pvpmu_raw")) {
		skip_reason = "kvm.pvpmu_raw=1";
		return;
	}
	vm = create_with_cap(make_cap(4) | KVM_PVPMU_CAP_RAW, &vcpu, guest_raw);
	deny_raw_code(vm);

	host_write(vcpu, MSR_KVM_PVPMU_RAW(3), RAW_CODE);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PVPMU_RAW(3)), RAW_CODE);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, MSR_KVM_PVPMU_RAW(3), BIT_ULL(63)), 0);
	check_absent_on_host(vcpu, MSR_KVM_PVPMU_RAW(4));
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* INIT. */

static void guest_send_init(void)
{
	x2apic_enable();
	x2apic_write_reg(APIC_ICR, APIC_DEST_PHYSICAL | APIC_INT_ASSERT |
			 APIC_DM_INIT | 1ull << 32);
	GUEST_DONE();
}

static void test_init(void)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm = vm_create_with_vcpus(2, guest_send_init, vcpus);
	struct kvm_mp_state mp_state;
	uint32_t msr;

	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_EVTSEL(0),
				     EVTSEL_PV(VM_EXITS)), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_COUNTER(0), 1), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_ENABLED_NS(0), 1), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_RUNNING_NS(0), 1), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_GLOBAL_STATUS,
				     KVM_PVPMU_STATUS_THROTTLED | 1), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_PAGE,
				     PAGE_SIZE | KVM_PVPMU_PAGE_ENABLE), 1);
	TEST_ASSERT_EQ(_vcpu_set_msr(vcpus[1], MSR_KVM_PVPMU_GLOBAL_CTRL, 1), 1);

	/* KVM_GET_MP_STATE takes the pending INIT. */
	run_to_end(vcpus[0]);
	vcpu_mp_state_get(vcpus[1], &mp_state);
	TEST_ASSERT_EQ(mp_state.mp_state, KVM_MP_STATE_INIT_RECEIVED);

	TEST_ASSERT(vcpu_get_msr(vcpus[1], MSR_KVM_PVPMU_CAP), "INIT cleared CAP");
	for (msr = MSR_KVM_PVPMU_GLOBAL_CTRL; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_state(msr))
			TEST_ASSERT_EQ(vcpu_get_msr(vcpus[1], msr), 0);
	}
	kvm_vm_free(vm);
}

/* The host's perf PMU. */

static void guest_for_host_pmu(void)
{
	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_program(1, EVTSEL_PV(VM_EXITS));
	guest_program(2, EVTSEL_PV(GUEST_NS));
	guest_start(7);
	GUEST_SYNC(1);
	do_cpuid(NR_LOOPS);
	GUEST_SYNC(2);
	GUEST_DONE();
}

static void check_host_event_errors(pid_t tid)
{
	TEST_ASSERT(open_host_event(KVM_PVPMU_PV_MAX, tid, -1, 0) < 0 &&
		    errno == EINVAL, "unknown event opened");
	TEST_ASSERT(open_host_event(KVM_PVPMU_PV_VM_EXITS, -1, 0, 0) < 0 &&
		    errno == EINVAL, "event on a CPU opened");
	TEST_ASSERT(open_host_event(KVM_PVPMU_PV_VM_EXITS, tid, -1, 100) < 0 &&
		    errno == EOPNOTSUPP, "sampling event opened");
	TEST_ASSERT(open_host_event(KVM_PVPMU_PV_VM_EXITS, 1, -1, 0) < 0 &&
		    errno == ENOENT, "event on a thread without vCPU opened");
}

static void test_host_pmu(void)
{
	static const uint64_t events[] = {
		KVM_PVPMU_PV_EXITS_CPUID, KVM_PVPMU_PV_VM_EXITS,
		KVM_PVPMU_PV_GUEST_NS,
	};
	uint64_t before[ARRAY_SIZE(events)], after;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_for_host_pmu);
	pid_t tid = syscall(__NR_gettid);
	int fds[ARRAY_SIZE(events)];
	unsigned int i;

	TEST_ASSERT(open_host_event(0, tid, -1, 0) < 0 && errno == ENOENT,
		    "event opened before the first KVM_RUN");
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	check_host_event_errors(tid);

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		before[i] = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(i));
		fds[i] = open_host_event(events[i], tid, -1, 0);
		TEST_ASSERT(fds[i] >= 0, "perf_event_open: %s", strerror(errno));
	}

	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	TEST_ASSERT_EQ(read_event(fds[0]), NR_LOOPS);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		after = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_COUNTER(i));
		TEST_ASSERT_EQ(read_event(fds[i]), after - before[i]);
	}

	/* The events outlive the VM, and keep what they counted. */
	kvm_vm_free(vm);
	TEST_ASSERT_EQ(read_event(fds[0]), NR_LOOPS);
	for (i = 0; i < ARRAY_SIZE(events); i++)
		close(fds[i]);
}

/*
 * Where a thread has inherited the events of another, perf may swap their
 * contexts instead of scheduling events: the count must stay the vCPU's.
 */
static bool stop_yielding;

static void *yield_until_stopped(void *unused)
{
	while (!READ_ONCE(stop_yielding))
		sched_yield();
	return NULL;
}

static void guest_to_be_interrupted(void)
{
	unsigned int i;

	for (i = 0; i <= NR_USER_EXITS; i++) {
		GUEST_SYNC(1);
		do_cpuid(NR_LOOPS / NR_USER_EXITS);
	}
	GUEST_DONE();
}

static void test_inherited_event(void)
{
	struct perf_event_attr attr = {
		.config = KVM_PVPMU_PV_EXITS_CPUID,
		.inherit = 1,
	};
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_to_be_interrupted);
	pthread_t thread;
	int i, fd;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	fd = open_attr(&attr, 0, -1);
	TEST_ASSERT(fd >= 0, "perf_event_open: %s", strerror(errno));
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, yield_until_stopped, NULL), 0);

	for (i = 0; i < NR_USER_EXITS; i++) {
		TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
		sched_yield();
	}
	TEST_ASSERT_EQ(read_event(fd), NR_LOOPS);

	WRITE_ONCE(stop_yielding, true);
	pthread_join(thread, NULL);
	TEST_ASSERT_EQ(read_event(fd), NR_LOOPS);
	kvm_vm_free(vm);
	close(fd);
}

/* The vCPU's thread changes. */

static void *run_in_thread(void *vcpu)
{
	run_to_sync(vcpu);
	return NULL;
}

static void guest_two_threads(void)
{
	uint64_t running;

	guest_program(0, EVTSEL_PV(EXITS_CPUID));
	guest_program(1, KVM_PVPMU_HW_INSTRUCTIONS | EVTSEL_ON);
	guest_start(3);
	do_cpuid(NR_LOOPS);
	running = rdmsr(MSR_KVM_PVPMU_RUNNING_NS(1));
	GUEST_SYNC(1);

	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_counter(0), 2 * NR_LOOPS);
	if (running) {
		GUEST_ASSERT(guest_counter(1));
		GUEST_ASSERT(rdmsr(MSR_KVM_PVPMU_RUNNING_NS(1)) > running);
	}
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(guest_counter(0), 2 * NR_LOOPS);
	GUEST_DONE();
}

static void test_two_threads(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_two_threads);
	pthread_t thread;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, run_in_thread, vcpu), 0);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "hidden without its CPUID bit", test_hidden },
	{ "reset values", test_reset_values },
	{ "reserved bits", test_reserved_bits },
	{ "absent registers", test_absent_registers },
	{ "announced and other events", test_events },
	{ "interrupts of own events", test_own_events },
	{ "USR and OS", test_modes },
	{ "exact counts", test_exact_counts },
	{ "halts and interrupts", test_halts },
	{ "vm-exits is the sum of its causes", test_sum_of_causes },
	{ "own exits counted apart", test_own_exits },
	{ "accesses to LVTPC counted apart", test_own_lvtpc },
	{ "stop and start", test_stop_and_start },
	{ "wrap and overflow bits", test_overflow },
	{ "guest-ns", test_guest_ns },
	{ "perf-backed event", test_perf_backed },
	{ "ERROR", test_error },
	{ "save and restore in any order", test_save_restore },
	{ "access by user space", test_host_access },
	{ "bad models", test_bad_models },
	{ "small model", test_small_model },
	{ "chosen model without irqchip", test_no_irqchip_chosen },
	{ "default model without irqchip", test_no_irqchip_default },
	{ "raw events", test_raw },
	{ "INIT", test_init },
	{ "perf PMU kvm_vcpu", test_host_pmu },
	{ "inherited event", test_inherited_event },
	{ "two threads", test_two_threads },
};

int main(int argc, char *argv[])
{
	bool on;

	TEST_REQUIRE(!access("/sys/module/kvm/parameters/pvpmu", R_OK));
	on = get_kvm_param_bool("pvpmu");

	ksft_print_header();
	test_offered(on);
	if (!on)
		ksft_exit_skip("kvm.pvpmu=0: nothing offered, as it should be\n");

	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
