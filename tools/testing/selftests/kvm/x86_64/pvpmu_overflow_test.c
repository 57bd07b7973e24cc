// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the interrupt that the paravirtual PMU raises when a counter overflows:
 * when it comes, how often, where it interrupts, and what limits it.
 */
#include <pthread.h>

#include "pvpmu_test.h"
#include "svm_util.h"

#define PERIOD			7

/* The guest's time is the lab's, which is slow: long enough to be seen. */
#define SPIN_NS			200000000ull
#define GUEST_NS_PERIOD		2000000ull
#define CYCLES_PERIOD		1000000ull
#define SHORT_NS_PERIOD		1000ull
#define SHORT_EVENTS_PERIOD	100ull

/* More than a burst at the default rate. */
#define NR_STORM		3000
#define NR_ROUNDS		1000
#define NR_TRIES		10
#define LATE_PERIODS		10

/* An emulated machine needs as long to enter the guest at all. */
#define ENOUGH_NS		500000

/* What a vCPU may save up, as a part of a second. */
#define BURSTS_PER_S		10

/* In the guest's address space, not touched before the guest does. */
#define FRESH_SLOT		1
#define FRESH_GPA		0x40000000ull
#define NR_FRESH_PAGES		1

#define STATUS_OVERFLOW(i)	KVM_PVPMU_STATUS_OVERFLOW(i)

/* By user space, before the guest runs. */
static uint32_t lvtpc;
static bool is_intel;
static uint64_t max_rate;

static void guest_start_counter(uint64_t evtsel, uint64_t period)
{
	guest_enable_pmi(lvtpc);
	guest_arm(0, evtsel, period);
	guest_start(1);
}

static void guest_spin_ns(uint64_t ns)
{
	uint64_t cycles = ns * guest_tsc_khz / 1000000, start = rdtsc();

	while (rdtsc() - start < cycles)
		barrier();
}

static void run_pmi_case_with(void *guest_code, uint32_t lvtpc_value)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_code);

	lvtpc = lvtpc_value;
	sync_global_to_guest(vm, lvtpc);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void run_pmi_case(void *guest_code)
{
	run_pmi_case_with(guest_code, APIC_DM_NMI);
}

/* One overflow, one interrupt, and its exact moment. */

static void guest_one_overflow(void)
{
	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	do_cpuid(PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	GUEST_ASSERT_EQ(guest_counter(0), COUNTER_MASK);

	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));
	GUEST_ASSERT_EQ(guest_counter(0), 0);

	do_cpuid(NR_LOOPS);
	GUEST_ASSERT_EQ(guest_counter(0), NR_LOOPS);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, STATUS_OVERFLOW(0));
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	do_cpuid(NR_LOOPS);
	guest_stop();
	GUEST_ASSERT_EQ(guest_counter(0), 2 * NR_LOOPS);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, 0);
	GUEST_DONE();
}

static void test_one_overflow(void)
{
	run_pmi_case(guest_one_overflow);
}

/* The interrupt is the overflow's, not that of the bit in GLOBAL_STATUS. */
static void guest_each_overflow(void)
{
	unsigned int i;

	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	for (i = 1; i <= NR_USER_EXITS; i++) {
		do_cpuid(PERIOD);
		GUEST_ASSERT_EQ(guest_pmis(), i);
		GUEST_ASSERT_EQ(guest_counter(0), 0);
		wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	}
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));
	GUEST_DONE();
}

static void test_each_overflow(void)
{
	run_pmi_case(guest_each_overflow);
}

static void guest_without_int(void)
{
	guest_start_counter(EVTSEL_PV(EXITS_CPUID), PERIOD);
	do_cpuid(2 * PERIOD);
	guest_stop();
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));
	GUEST_ASSERT_EQ(guest_counter(0), PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	GUEST_DONE();
}

static void test_without_int(void)
{
	run_pmi_case(guest_without_int);
}

/* INT may be set and cleared while the counter counts. */
static void guest_int_changes(void)
{
	guest_start_counter(EVTSEL_PV(EXITS_CPUID), PERIOD);
	do_cpuid(PERIOD - 1);
	wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV_INT(EXITS_CPUID));
	GUEST_ASSERT_EQ(guest_counter(0), COUNTER_MASK);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);

	wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	do_cpuid(PERIOD - 1);
	wrmsr(MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_counter(0), 0);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_DONE();
}

static void test_int_changes(void)
{
	run_pmi_case(guest_int_changes);
}

/* What is masked when the counter overflows does not come later, either. */
static void guest_masked(void)
{
	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	do_cpuid(2 * PERIOD);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));
	x2apic_write_reg(APIC_LVTPC, APIC_DM_NMI);
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	GUEST_ASSERT_EQ(guest_counter(0), 2 * PERIOD);
	GUEST_DONE();
}

static void test_masked(void)
{
	run_pmi_case_with(guest_masked, APIC_LVT_MASKED | APIC_DM_NMI);
}

static void guest_fixed_vector(void)
{
	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	asm volatile("sti; nop; cli" : : : "memory");
	GUEST_ASSERT_EQ(guest_pmis(), 1);

	wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	asm volatile("sti");
	do_cpuid(PERIOD);
	asm volatile("cli");
	GUEST_ASSERT_EQ(guest_pmis(), 2);
	GUEST_DONE();
}

static void test_fixed_vector(void)
{
	run_pmi_case_with(guest_fixed_vector, FIXED_PMI_VECTOR);
}

static void guest_two_counters(void)
{
	guest_enable_pmi(lvtpc);
	guest_arm(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_arm(1, EVTSEL_PV_INT(VM_EXITS), PERIOD);
	guest_program(2, EVTSEL_PV(SELF_PMIS));
	guest_start(7);
	do_cpuid(PERIOD);
	guest_stop();

	/* Another exit of the host's may have been the second counter's. */
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
		     STATUS_OVERFLOW(0) | STATUS_OVERFLOW(1));
	GUEST_ASSERT(guest_pmis() == 1 || guest_counter(1));
	GUEST_ASSERT(guest_pmis() <= 2);
	GUEST_ASSERT_EQ(guest_counter(2), guest_pmis());
	GUEST_DONE();
}

static void test_two_counters(void)
{
	run_pmi_case(guest_two_counters);
}

/* The same event in two counters: the nearer end is noticed, then the other. */
static void guest_same_event(void)
{
	guest_enable_pmi(lvtpc);
	guest_arm(0, EVTSEL_PV_INT(EXITS_CPUID), 2 * PERIOD);
	guest_arm(1, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(3);
	do_cpuid(PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(1));
	do_cpuid(PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 2);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
		     STATUS_OVERFLOW(0) | STATUS_OVERFLOW(1));
	GUEST_DONE();
}

static void test_same_event(void)
{
	run_pmi_case(guest_same_event);
}

/* Where it interrupts. */

static uint64_t cpuid_once(void)
{
	uint64_t next;
	uint32_t eax = 0, ecx = 0;

	asm volatile("lea 1f(%%rip), %0\n\t"
		     "cpuid\n"
		     "1:"
		     : "=S"(next), "+a"(eax), "+c"(ecx)
		     : : "rbx", "rdx", "memory");
	return next;
}

static uint64_t io_once(void)
{
	uint64_t next;

	asm volatile("lea 1f(%%rip), %0\n\t"
		     "outb %%al, $0x80\n"
		     "1:"
		     : "=S"(next) : "a"(0) : "memory");
	return next;
}

static uint64_t rdmsr_once(void)
{
	uint64_t next;

	asm volatile("lea 1f(%%rip), %0\n\t"
		     "rdmsr\n"
		     "1:"
		     : "=S"(next) : "c"(MSR_IA32_APICBASE)
		     : "rax", "rdx", "memory");
	return next;
}

static uint64_t mmio_once(void)
{
	uint64_t next;

	asm volatile("lea 1f(%%rip), %0\n\t"
		     "movl (%1), %%eax\n"
		     "1:"
		     : "=&S"(next) : "r"(MMIO_GPA) : "rax", "memory");
	return next;
}

static uint64_t hlt_once(void)
{
	uint64_t next;

	asm volatile("lea 1f(%%rip), %0\n\t"
		     "hlt\n"
		     "1:"
		     : "=S"(next) : : "memory");
	return next;
}

static void guest_check_rip(uint64_t evtsel, uint64_t (*once)(void))
{
	uint64_t before = guest_pmis(), next;

	guest_arm(0, evtsel, 2);
	guest_start(1);
	once();
	GUEST_ASSERT_EQ(guest_pmis(), before);
	next = once();
	guest_stop();
	GUEST_ASSERT_EQ(guest_pmis(), before + 1);
	GUEST_ASSERT_EQ(READ_ONCE(pmi_rip), next);
	GUEST_ASSERT_EQ(guest_counter(0), 0);
}

static void guest_rip(void)
{
	guest_enable_pmi(lvtpc);
	guest_check_rip(EVTSEL_PV_INT(EXITS_CPUID), cpuid_once);
	guest_check_rip(EVTSEL_PV_INT(EXITS_IO), io_once);
	guest_check_rip(EVTSEL_PV_INT(EXITS_MSR), rdmsr_once);

	/* KVM learns from the first access that there is a device. */
	mmio_once();
	guest_check_rip(EVTSEL_PV_INT(EXITS_MMIO), mmio_once);
	GUEST_DONE();
}

static void test_rip(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_rip);

	virt_map(vm, MMIO_GPA, MMIO_GPA, 1);
	lvtpc = APIC_DM_NMI;
	sync_global_to_guest(vm, lvtpc);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* What is executed again after its exit is interrupted before that. */
static void guest_fault_rip(void)
{
	uint64_t here;

	guest_start_counter(EVTSEL_PV_INT(EXITS_PAGE_FAULT), 1);
	asm volatile("lea 1f(%%rip), %0\n"
		     "1:	movb $1, (%1)"
		     : "=&S"(here) : "r"(FRESH_GPA) : "memory");
	guest_stop();
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_ASSERT_EQ(READ_ONCE(pmi_rip), here);
	GUEST_DONE();
}

static void test_fault_rip(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_fault_rip);

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, FRESH_GPA,
				    FRESH_SLOT, NR_FRESH_PAGES, 0);
	virt_map(vm, FRESH_GPA, FRESH_GPA, NR_FRESH_PAGES);
	lvtpc = APIC_DM_NMI;
	sync_global_to_guest(vm, lvtpc);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Nothing else would end these halts: the guest's interrupts are off. */
static void guest_woken(void)
{
	unsigned int i;

	guest_enable_pmi(lvtpc);
	guest_arm(0, EVTSEL_PV_INT(EXITS_HLT), 1);
	guest_start(1);
	for (i = 1; i <= NR_USER_EXITS; i++) {
		uint64_t next = hlt_once();

		GUEST_ASSERT_EQ(guest_pmis(), i);
		GUEST_ASSERT_EQ(READ_ONCE(pmi_rip), next);
		wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(1));
	}
	GUEST_DONE();
}

static void test_woken(void)
{
	run_pmi_case(guest_woken);
}

static void guest_woken_by_vector(void)
{
	guest_start_counter(EVTSEL_PV_INT(EXITS_HLT), 1);
	asm volatile("sti; hlt; cli" : : : "memory");
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_DONE();
}

static void test_woken_by_vector(void)
{
	run_pmi_case_with(guest_woken_by_vector, FIXED_PMI_VECTOR);
}

/* pvpmu's own count of them. */

static void guest_own_pmis(void)
{
	unsigned int i;

	guest_enable_pmi(lvtpc);
	guest_program(1, EVTSEL_PV(SELF_PMIS));
	guest_arm(0, EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	guest_start(3);
	for (i = 0; i < NR_USER_EXITS; i++) {
		do_cpuid(PERIOD);
		wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	}
	GUEST_ASSERT_EQ(guest_pmis(), NR_USER_EXITS);
	GUEST_ASSERT_EQ(guest_counter(1), NR_USER_EXITS);

	/* One that LVTPC masks is not delivered. */
	x2apic_write_reg(APIC_LVTPC, APIC_LVT_MASKED | APIC_DM_NMI);
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_counter(1), NR_USER_EXITS);
	GUEST_DONE();
}

static void test_own_pmis(void)
{
	run_pmi_case(guest_own_pmis);
}

/* The exits that handling an interrupt takes do not overflow again. */

static void guest_no_feeding(void)
{
	guest_enable_pmi(lvtpc);
	guest_enable_page();
	guest_program(1, EVTSEL_PV(EXITS_INTR_WINDOW));
	guest_program(2, EVTSEL_PV(EXITS_EXCEPTION));
	guest_program(3, EVTSEL_PV(VM_EXITS));
	guest_fill_periodic(0, EVTSEL_PV_INT(VM_EXITS), 1);
	guest_start(0xf);
	do_cpuid(NR_USER_EXITS);
	guest_stop();

	GUEST_ASSERT_EQ(guest_counter(1), 0);
	GUEST_ASSERT_EQ(guest_counter(2), 0);
	GUEST_ASSERT_EQ(page->entries[0].overflows, guest_counter(3));
	GUEST_ASSERT(guest_pmis() >= NR_USER_EXITS);
	/* Interrupts of the host and faults are exits too, but not that many. */
	GUEST_ASSERT(guest_counter(3) < 2 * NR_USER_EXITS);
	GUEST_DONE();
}

static void test_no_feeding(void)
{
	run_pmi_case(guest_no_feeding);
}

/* Does the delivery mask LVTPC, as Intel's processors do? */

static void guest_no_unmask_handler(struct ex_regs *regs)
{
	WRITE_ONCE(pmis, pmis + 1);
}

static void guest_mask_bit(void)
{
	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_ASSERT_EQ(x2apic_read_reg(APIC_LVTPC),
			APIC_DM_NMI | (is_intel ? APIC_LVT_MASKED : 0));

	wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), is_intel ? 1 : 2);

	x2apic_write_reg(APIC_LVTPC, APIC_DM_NMI);
	wrmsr(MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	do_cpuid(PERIOD);
	GUEST_ASSERT_EQ(guest_pmis(), is_intel ? 2 : 3);
	GUEST_DONE();
}

static void set_vendor(struct kvm_vcpu *vcpu, const char *vendor)
{
	struct kvm_cpuid_entry2 *leaf = vcpu_get_cpuid_entry(vcpu, 0);

	memcpy(&leaf->ebx, vendor, 4);
	memcpy(&leaf->edx, vendor + 4, 4);
	memcpy(&leaf->ecx, vendor + 8, 4);
	vcpu_set_cpuid(vcpu);
}

static void check_mask_bit(const char *vendor, bool intel)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_mask_bit);

	set_vendor(vcpu, vendor);
	vm_install_exception_handler(vm, NMI_PMI_VECTOR, guest_no_unmask_handler);
	is_intel = intel;
	lvtpc = APIC_DM_NMI;
	sync_global_to_guest(vm, is_intel);
	sync_global_to_guest(vm, lvtpc);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void test_mask_bit(void)
{
	check_mask_bit("GenuineIntel", true);
	check_mask_bit("AuthenticAMD", false);
}

/* An interrupt that waited where the vCPU was saved comes at its destination. */

static void guest_restored_status(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
		     STATUS_OVERFLOW(0) | STATUS_OVERFLOW(1));
	GUEST_DONE();
}

static void test_restored_status(void)
{
	uint64_t without_int = STATUS_OVERFLOW(1);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_restored_status);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);

	/* EVTSEL comes last: it is what they say together that counts. */
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS,
		   STATUS_OVERFLOW(0) | without_int);
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(1), EVTSEL_PV(EXITS_CPUID));
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV_INT(EXITS_CPUID));
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV(EXITS_CPUID));
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_STATUS,
		   STATUS_OVERFLOW(0) | without_int);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* A guest of the guest: its exits are the vCPU's, and so is the interrupt. */

#define L2_STACK_SIZE		64

static uint64_t l2_cpuids;

static void l2_guest_code(void)
{
	while (l2_cpuids < 2 * PERIOD) {
		do_cpuid(1);
		WRITE_ONCE(l2_cpuids, l2_cpuids + 1);
	}
	vmmcall();
}

static void guest_nested(struct svm_test_data *svm)
{
	unsigned long stack[L2_STACK_SIZE];
	struct vmcb *vmcb = svm->vmcb;

	guest_start_counter(EVTSEL_PV_INT(EXITS_CPUID), PERIOD);
	generic_svm_setup(svm, l2_guest_code, &stack[L2_STACK_SIZE]);
	vmcb->control.intercept |= BIT_ULL(INTERCEPT_NMI);
	run_guest(vmcb, svm->vmcb_gpa);
	GUEST_ASSERT_EQ(vmcb->control.exit_code, SVM_EXIT_NMI);
	GUEST_ASSERT_EQ(READ_ONCE(l2_cpuids), PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	asm volatile("stgi; nop" : : : "memory");
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_ASSERT_EQ(guest_counter(0), 0);

	run_guest(vmcb, svm->vmcb_gpa);
	asm volatile("stgi; nop" : : : "memory");
	GUEST_ASSERT_EQ(vmcb->control.exit_code, SVM_EXIT_VMMCALL);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_ASSERT_EQ(guest_counter(0), PERIOD);
	GUEST_DONE();
}

static void test_nested(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	vm_vaddr_t svm;

	if (!kvm_cpu_has(X86_FEATURE_SVM)) {
		skip_reason = "nested SVM";
		return;
	}
	vm = create_with_page(&vcpu, guest_nested);
	vcpu_alloc_svm(vm, &svm);
	vcpu_args_set(vcpu, 1, svm);
	lvtpc = APIC_DM_NMI;
	sync_global_to_guest(vm, lvtpc);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* The vCPU's thread changes: its timer and perf events must follow. */

static void guest_two_threads(void)
{
	struct kvm_pvpmu_entry *entries = page->entries;
	uint64_t first;

	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(GUEST_NS), GUEST_NS_PERIOD);
	guest_fill_periodic(1, EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT,
			    CYCLES_PERIOD);
	guest_start(3);
	guest_spin_ns(SPIN_NS / 4);
	GUEST_SYNC(1);
	first = entries[1].overflows;
	guest_spin_ns(SPIN_NS / 4);
	guest_stop();

	GUEST_ASSERT_EQ(entries[0].count,
			guest_periodic_count(0, GUEST_NS_PERIOD));
	GUEST_ASSERT_EQ(entries[1].count, guest_periodic_count(1, CYCLES_PERIOD));
	GUEST_ASSERT(entries[0].overflows > 1);
	GUEST_ASSERT(entries[1].flags || entries[1].overflows > first + 1);
	GUEST_DONE();
}

static void *run_in_thread(void *vcpu)
{
	run_to_end(vcpu);
	return NULL;
}

static void test_two_threads(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_two_threads);
	pthread_t thread;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(pthread_create(&thread, NULL, run_in_thread, vcpu), 0);
	TEST_ASSERT_EQ(pthread_join(thread, NULL), 0);
	kvm_vm_free(vm);
}

/* User space writes the registers of a counter that counts. */

static void guest_armed_by_host(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	GUEST_SYNC(1);
	do_cpuid(PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 0);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	GUEST_SYNC(2);
	do_cpuid(2 * PERIOD - 1);
	GUEST_ASSERT_EQ(guest_pmis(), 1);
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), 2);
	GUEST_DONE();
}

static void test_armed_by_host(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_armed_by_host);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	host_write(vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL, 1);
	host_write(vcpu, MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(PERIOD));
	host_write(vcpu, MSR_KVM_PVPMU_EVTSEL(0), EVTSEL_PV_INT(EXITS_CPUID));
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	host_write(vcpu, MSR_KVM_PVPMU_COUNTER(0), BEFORE_OVERFLOW(2 * PERIOD));
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Events that overflow late. */

static void guest_spin_with(uint64_t evtsel, uint64_t period)
{
	guest_enable_pmi(lvtpc);
	wrmsr(MSR_KVM_PVPMU_PAGE, 0);
	memset(page, 0, sizeof(*page));
	WRITE_ONCE(pmis, 0);
	guest_enable_page();
	guest_fill_periodic(0, evtsel, period);
	guest_fill_entry(1, EVTSEL_PV(GUEST_NS), 0, 0);
	guest_start(3);
	guest_spin_ns(SPIN_NS);
	guest_stop();
}

/* Nothing is lost between the interrupt and the fold that reloads. */
static void guest_check_periodic(uint64_t period)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];

	__GUEST_ASSERT(entry->count == guest_periodic_count(0, period),
		       "count %lu, but %u overflows and value 0x%lx",
		       (uint64_t)entry->count, entry->overflows,
		       (uint64_t)entry->value);
	__GUEST_ASSERT(guest_pmis() <= entry->overflows,
		       "%lu interrupts for %u overflows", guest_pmis(),
		       entry->overflows);
}

/*
 * An emulated machine that shares its processors notices timers late, many
 * periods at times; what is counted is right all the same, and one try has to
 * show that it is not one period in many that interrupts.
 */
static void guest_spin_until_good(uint64_t evtsel, uint64_t period)
{
	unsigned int tries = NR_TRIES;

	do {
		guest_spin_with(evtsel, period);
		guest_check_periodic(period);
		if (guest_pmis() >= page->entries[0].overflows / LATE_PERIODS)
			return;
	} while (--tries);

	GUEST_FAIL("%lu interrupts for %u overflows", guest_pmis(),
		   page->entries[0].overflows);
}

static void guest_guest_ns(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];

	guest_spin_until_good(EVTSEL_PV_INT(GUEST_NS), GUEST_NS_PERIOD);
	GUEST_ASSERT_EQ(entry->count, page->entries[1].value);
	GUEST_ASSERT_EQ(entry->overflows, entry->count / GUEST_NS_PERIOD);
	GUEST_ASSERT(entry->count > SPIN_NS / 4);
	GUEST_DONE();
}

static void test_guest_ns(void)
{
	run_pmi_case(guest_guest_ns);
}

/* As of one VM entry: what guest-ns was then, and how often it overflowed. */
static uint64_t guest_ns_and_overflows(uint32_t *overflows)
{
	uint64_t total;
	uint32_t seq;

	do {
		seq = READ_ONCE(page->seq);
		total = READ_ONCE(page->totals[KVM_PVPMU_PV_GUEST_NS]);
		*overflows = READ_ONCE(page->entries[0].overflows);
	} while (seq & 1 || READ_ONCE(page->seq) != seq);
	return total;
}

/*
 * guest-ns when the counter was started.  A doorbell brings count up to date with
 * the total; an exit between the two readings can only make the result larger.
 */
static uint64_t guest_ns_at_start(void)
{
	uint64_t start, first = ~0ull;
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++) {
		guest_refresh();
		start = READ_ONCE(page->totals[KVM_PVPMU_PV_GUEST_NS]) -
			READ_ONCE(page->entries[0].count);
		first = min(first, start);
	}
	return first;
}

/* An exit that comes anyway finds the overflow; it does not wait for the timer. */
static void guest_guest_ns_exits(void)
{
	uint64_t first, ns = 0;
	uint32_t overflows;

	guest_enable_pmi(lvtpc);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(GUEST_NS), GUEST_NS_PERIOD);
	guest_start(1);
	first = guest_ns_at_start();
	while (ns < SPIN_NS / 2) {
		do_cpuid(1);
		ns = guest_ns_and_overflows(&overflows) - first;
		GUEST_ASSERT_EQ(overflows, ns / GUEST_NS_PERIOD);
	}
	guest_stop();

	guest_check_periodic(GUEST_NS_PERIOD);
	GUEST_ASSERT(guest_pmis());
	GUEST_DONE();
}

static void test_guest_ns_exits(void)
{
	run_pmi_case(guest_guest_ns_exits);
}

/* A period below the host's minimum: fewer interrupts, the same counts. */
static void guest_short_ns(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];

	guest_spin_with(EVTSEL_PV_INT(GUEST_NS), SHORT_NS_PERIOD);
	guest_check_periodic(SHORT_NS_PERIOD);
	GUEST_ASSERT_EQ(entry->count, page->entries[1].value);
	GUEST_ASSERT(guest_pmis());
	GUEST_ASSERT(guest_pmis() < entry->overflows / 2);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
		     STATUS_OVERFLOW(0) | KVM_PVPMU_STATUS_THROTTLED);
	GUEST_DONE();
}

static void test_short_ns(void)
{
	if (get_kvm_param_integer("pvpmu_min_period_ns") < ENOUGH_NS) {
		skip_reason = "a higher kvm.pvpmu_min_period_ns";
		return;
	}
	run_pmi_case(guest_short_ns);
}

/* Perf-backed events.  The lab's host counts a cycle each ns of guest time. */

static bool guest_has_cycles(void)
{
	guest_program(0, EVTSEL_HW(CYCLES));
	guest_start(1);
	guest_stop();
	return !(rdmsr(MSR_KVM_PVPMU_GLOBAL_STATUS) & KVM_PVPMU_STATUS_ERROR(0));
}

static void guest_cycles(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];
	uint64_t expected;

	if (!guest_has_cycles())
		GUEST_DONE();

	guest_spin_until_good(EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT,
			      CYCLES_PERIOD);
	expected = page->entries[1].value / CYCLES_PERIOD;
	__GUEST_ASSERT(entry->overflows >= expected / 2 &&
		       entry->overflows <= expected + expected / 2,
		       "%u overflows, about %lu expected", entry->overflows,
		       expected);
	GUEST_DONE();
}

static void test_cycles(void)
{
	run_pmi_case(guest_cycles);
}

static void guest_short_cycles(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];

	if (!guest_has_cycles())
		GUEST_DONE();

	guest_spin_with(EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT,
			SHORT_EVENTS_PERIOD);
	guest_check_periodic(SHORT_EVENTS_PERIOD);
	GUEST_ASSERT(guest_pmis());
	GUEST_ASSERT(guest_pmis() < entry->overflows / 2);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
		     STATUS_OVERFLOW(0) | KVM_PVPMU_STATUS_THROTTLED);
	GUEST_DONE();
}

static void test_short_cycles(void)
{
	if (get_kvm_param_integer("pvpmu_min_period") <= 2 * SHORT_EVENTS_PERIOD) {
		skip_reason = "a higher kvm.pvpmu_min_period";
		return;
	}
	run_pmi_case(guest_short_cycles);
}

/* A perf event that was stopped is used again, whatever is loaded anew. */
static void guest_reuse(void)
{
	unsigned int i;

	guest_enable_pmi(lvtpc);
	guest_enable_page();
	for (i = 0; i < 2 * NR_ROUNDS; i++) {
		guest_fill_periodic(0, EVTSEL_HW(CYCLES) | KVM_PVPMU_EVTSEL_INT,
				    CYCLES_PERIOD + i);
		guest_fill_entry(1, EVTSEL_HW(INSTRUCTIONS), i, 0);
		guest_start(3);
		do_cpuid(1);
		guest_stop();
		if (!i || i == NR_ROUNDS)
			GUEST_SYNC(1);
	}
	GUEST_DONE();
}

static void test_reuse(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_reuse);
	uint64_t creates;

	lvtpc = APIC_DM_NMI;
	sync_global_to_guest(vm, lvtpc);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	creates = vcpu_stat(vcpu, "pvpmu_event_creates");
	TEST_ASSERT(creates >= 2, "%lu perf events created", creates);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(vcpu_stat(vcpu, "pvpmu_event_creates"), creates);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* The rate cap. */

static uint64_t storm_ns, calm_ns;

static void guest_storm(void)
{
	struct kvm_pvpmu_entry *entry = &page->entries[0];
	uint64_t throttled = KVM_PVPMU_STATUS_THROTTLED, most, start;

	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	start = rdtsc();
	do_cpuid(NR_STORM);
	calm_ns = (rdtsc() - start) * 1000000 / guest_tsc_khz;
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), 1);
	guest_start(1);
	start = rdtsc();
	do_cpuid(NR_STORM);
	storm_ns = (rdtsc() - start) * 1000000 / guest_tsc_khz;
	guest_stop();

	/* The counts do not depend on what was delivered. */
	GUEST_ASSERT_EQ(entry->count, NR_STORM);
	GUEST_ASSERT_EQ(entry->overflows, NR_STORM);
	GUEST_ASSERT_EQ(guest_counter(0), BEFORE_OVERFLOW(1));

	most = max_rate / BURSTS_PER_S + storm_ns * max_rate / 1000000000 + 1;
	__GUEST_ASSERT(guest_pmis() <= most && guest_pmis() <= NR_STORM,
		       "%lu interrupts in %lu ns", guest_pmis(), storm_ns);
	if (!(rdmsr(MSR_KVM_PVPMU_GLOBAL_STATUS) & throttled))
		GUEST_ASSERT_EQ(guest_pmis(), NR_STORM);
	if (guest_pmis() < NR_STORM)
		expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS,
			     STATUS_OVERFLOW(0) | throttled);

	/* All of the share, not just some of it. */
	most = min_t(uint64_t, most, NR_STORM);
	__GUEST_ASSERT(guest_pmis() >= most / 2,
		       "%lu interrupts in %lu ns", guest_pmis(), storm_ns);
	GUEST_DONE();
}

static void test_storm(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_storm);

	max_rate = get_kvm_param_integer("pvpmu_max_rate");
	sync_global_to_guest(vm, max_rate);
	run_to_end(vcpu);
	sync_global_from_guest(vm, storm_ns);
	sync_global_from_guest(vm, calm_ns);
	sync_global_from_guest(vm, pmis);
	ksft_print_msg("%lu interrupts for %u overflows in %lu ms, without in %lu ms\n",
		       pmis, NR_STORM, storm_ns / 1000000, calm_ns / 1000000);
	kvm_vm_free(vm);
}

/* The interrupt that waits comes by itself, without another exit's help. */
static void guest_waits(void)
{
	uint64_t seen = guest_storm_until_throttled();

	GUEST_ASSERT(seen <= page->entries[0].overflows);
	while (guest_pmis() == seen)
		barrier();
	seen = guest_pmis();
	guest_spin_ns(SPIN_NS);
	GUEST_ASSERT_EQ(guest_pmis(), seen);
	wrmsr(MSR_KVM_PVPMU_GLOBAL_STATUS_CLR, KVM_PVPMU_STATUS_THROTTLED);
	expect_value(MSR_KVM_PVPMU_GLOBAL_STATUS, STATUS_OVERFLOW(0));

	/* What was saved up meanwhile is there again. */
	do_cpuid(1);
	GUEST_ASSERT_EQ(guest_pmis(), seen + 1);
	GUEST_DONE();
}

static void test_waits(void)
{
	if (get_kvm_param_integer("pvpmu_max_rate") > NR_LOOPS) {
		skip_reason = "a lower kvm.pvpmu_max_rate";
		return;
	}
	run_page_case(guest_waits);
}

static const struct pv_case cases[] = {
	{ "one overflow, one interrupt", test_one_overflow },
	{ "each overflow interrupts", test_each_overflow },
	{ "no interrupt without INT", test_without_int },
	{ "INT changes while it counts", test_int_changes },
	{ "LVTPC masked", test_masked },
	{ "LVTPC with a vector", test_fixed_vector },
	{ "two counters, one exit", test_two_counters },
	{ "two counters, one event", test_same_event },
	{ "interrupted instruction", test_rip },
	{ "interrupted page fault", test_fault_rip },
	{ "NMI ends a halt", test_woken },
	{ "vector ends a halt", test_woken_by_vector },
	{ "pvpmu-pmis", test_own_pmis },
	{ "does not feed on itself", test_no_feeding },
	{ "mask bit by vendor", test_mask_bit },
	{ "restored status interrupts", test_restored_status },
	{ "armed by user space", test_armed_by_host },
	{ "interrupts while a nested guest runs", test_nested },
	{ "guest-ns", test_guest_ns },
	{ "guest-ns between exits", test_guest_ns_exits },
	{ "guest-ns, short period", test_short_ns },
	{ "cycles", test_cycles },
	{ "cycles, short period", test_short_cycles },
	{ "perf events are reused", test_reuse },
	{ "two threads", test_two_threads },
	{ "interrupts are limited", test_storm },
	{ "limited interrupt comes later", test_waits },
};

int main(int argc, char *argv[])
{
	require_pvpmu();
	ksft_print_header();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
