/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the paravirtual PMU (kvm.pvpmu=1) share: its registers as
 * the guest uses them, its page and interrupt, and VMs.
 */
#ifndef SELFTEST_KVM_PVPMU_TEST_H
#define SELFTEST_KVM_PVPMU_TEST_H

#include <asm/kvm_pvpmu.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "apic.h"
#include "pv_test.h"

#define X86_FEATURE_KVM_PVPMU	KVM_X86_CPU_FEATURE(0x40000001, 0, EAX, 22)

/* How often the guest does what it measures. */
#define NR_LOOPS		1000
#define NR_USER_EXITS		100

#define EVTSEL_BOTH		(KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS)
#define EVTSEL_ON		(EVTSEL_BOTH | KVM_PVPMU_EVTSEL_EN)
#define EVTSEL_CLASS(class)	((uint64_t)(class) << KVM_PVPMU_EVTSEL_CLASS_SHIFT)
#define EVTSEL_PV_NR(event)	(EVTSEL_CLASS(KVM_PVPMU_CLASS_PV) | EVTSEL_ON | \
				 (event))
#define EVTSEL_PV(event)	EVTSEL_PV_NR(KVM_PVPMU_PV_##event)
#define EVTSEL_PV_INT(event)	(EVTSEL_PV(event) | KVM_PVPMU_EVTSEL_INT)
#define EVTSEL_HW(event)	(KVM_PVPMU_HW_##event | EVTSEL_ON)

/* No branch predictor can be asked to prefetch: nothing backs this anywhere. */
#define EVTSEL_NOWHERE		(EVTSEL_CLASS(KVM_PVPMU_CLASS_CACHE) | EVTSEL_ON | \
				 KVM_PVPMU_CACHE_EVENT(KVM_PVPMU_CACHE_BPU, \
						       KVM_PVPMU_CACHE_PREFETCH, \
						       KVM_PVPMU_CACHE_ACCESS))

#define COUNTER_MASK		GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0)

/* The value from which a counter overflows after @n more. */
#define BEFORE_OVERFLOW(n)	(COUNTER_MASK + 1 - (n))

/* How many registers VMMs save: without index, and for each counter. */
#define NR_SAVED		(7 + 5 * KVM_PVPMU_MAX_COUNTERS)

#ifndef APIC_LVTPC
#define APIC_LVTPC		0x340
#endif
#define NMI_PMI_VECTOR		2
#define FIXED_PMI_VECTOR	0xf3

/* Guest side: registers. */

static inline unsigned int guest_nr_counters(void)
{
	return (rdmsr(MSR_KVM_PVPMU_CAP) & KVM_PVPMU_CAP_COUNTERS) >>
		KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

static inline void guest_program(unsigned int idx, uint64_t evtsel)
{
	wrmsr(MSR_KVM_PVPMU_EVTSEL(idx), evtsel);
	wrmsr(MSR_KVM_PVPMU_COUNTER(idx), 0);
}

/* To overflow after @period. */
static inline void guest_arm(unsigned int idx, uint64_t evtsel, uint64_t period)
{
	wrmsr(MSR_KVM_PVPMU_EVTSEL(idx), evtsel);
	wrmsr(MSR_KVM_PVPMU_COUNTER(idx), BEFORE_OVERFLOW(period));
}

static inline uint64_t guest_counter(unsigned int idx)
{
	return rdmsr(MSR_KVM_PVPMU_COUNTER(idx));
}

static inline void guest_start(uint64_t mask)
{
	wrmsr(MSR_KVM_PVPMU_GLOBAL_CTRL, mask);
}

static inline void guest_stop(void)
{
	wrmsr(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
}

/* Guest side: work. */

static inline uint64_t guest_measure(uint64_t evtsel, void (*work)(unsigned int),
				     unsigned int n)
{
	guest_program(0, evtsel);
	guest_start(1);
	work(n);
	guest_stop();
	return guest_counter(0);
}

/* Guest side: the interrupt of a counter that overflowed (PMI). */

static uint64_t pmis;
static uint64_t pmi_rip;

static inline uint64_t guest_pmis(void)
{
	return READ_ONCE(pmis);
}

static inline void guest_enable_pmi(uint32_t lvtpc)
{
	x2apic_enable();
	x2apic_write_reg(APIC_LVTPC, lvtpc);
}

/* On some vCPUs the delivery has masked it. */
static inline void guest_unmask_pmi(void)
{
	uint32_t lvtpc = x2apic_read_reg(APIC_LVTPC);

	if (lvtpc & APIC_LVT_MASKED)
		x2apic_write_reg(APIC_LVTPC, lvtpc & ~APIC_LVT_MASKED);
}

static inline void guest_nmi_handler(struct ex_regs *regs)
{
	WRITE_ONCE(pmis, pmis + 1);
	WRITE_ONCE(pmi_rip, regs->rip);
	guest_unmask_pmi();
}

static inline void guest_fixed_handler(struct ex_regs *regs)
{
	guest_nmi_handler(regs);
	x2apic_write_reg(APIC_EOI, 0);
}

/* Guest side: the counter page, of vCPU 0. */

static struct kvm_pvpmu_page *page;
static uint64_t page_gpa;

static inline void guest_enable_page(void)
{
	wrmsr(MSR_KVM_PVPMU_PAGE, page_gpa | KVM_PVPMU_PAGE_ENABLE);
}

/* What the guest writes to have counter @idx loaded by the next doorbell. */
static inline void guest_fill_entry(unsigned int idx, uint64_t evtsel,
				    uint64_t value, uint64_t reload)
{
	struct kvm_pvpmu_entry *entry = &page->entries[idx];

	WRITE_ONCE(entry->evtsel, evtsel);
	WRITE_ONCE(entry->value, value);
	WRITE_ONCE(entry->reload, reload);
	WRITE_ONCE(entry->raw, 0);
	WRITE_ONCE(page->dirty, page->dirty | BIT_ULL(idx));
}

static inline void guest_fill_periodic(unsigned int idx, uint64_t evtsel,
				       uint64_t period)
{
	guest_fill_entry(idx, evtsel, BEFORE_OVERFLOW(period), period);
}

/* A doorbell that changes nothing. */
static inline void guest_refresh(void)
{
	guest_start(rdmsr(MSR_KVM_PVPMU_GLOBAL_CTRL));
}

/*
 * What entry @idx has counted since it was loaded to overflow after @period,
 * and after each @period again, by its overflows and its value.
 */
static inline uint64_t guest_periodic_count(unsigned int idx, uint64_t period)
{
	struct kvm_pvpmu_entry *entry = &page->entries[idx];

	return READ_ONCE(entry->overflows) * period +
	       READ_ONCE(entry->value) - BEFORE_OVERFLOW(period);
}

/* Host side: models. */

static inline int set_model(struct kvm_vm *vm, uint64_t cap, uint64_t hw,
			    uint64_t cache, uint64_t pv)
{
	struct kvm_enable_cap enable = {
		.cap = KVM_CAP_X86_PVPMU,
		.args = { cap, hw, cache, pv },
	};

	return __vm_ioctl(vm, KVM_ENABLE_CAP, &enable) ? errno : 0;
}

static inline uint64_t make_cap(unsigned int counters)
{
	return KVM_PVPMU_VERSION | counters << KVM_PVPMU_CAP_COUNTERS_SHIFT |
	       KVM_PVPMU_COUNTER_WIDTH << KVM_PVPMU_CAP_WIDTH_SHIFT;
}

static inline uint64_t cap_counters(struct kvm_vcpu *vcpu)
{
	return (vcpu_get_msr(vcpu, MSR_KVM_PVPMU_CAP) & KVM_PVPMU_CAP_COUNTERS) >>
		KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

/* The events of the default model, to be restricted. */
static inline void default_events(uint64_t *events)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, NULL);

	events[0] = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_HW);
	events[1] = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_CACHE);
	events[2] = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_PV);
	kvm_vm_free(vm);
}

static inline struct kvm_vm *create_with_cap(uint64_t cap, struct kvm_vcpu **vcpu,
					     void *guest_code)
{
	struct kvm_vm *vm;
	uint64_t events[3];

	default_events(events);
	vm = vm_create(1);
	TEST_ASSERT_EQ(set_model(vm, cap, events[0], events[1], events[2]), 0);
	*vcpu = vm_vcpu_add(vm, 0, guest_code);
	return vm;
}

/* Host side: registers. */

/* The perf clock's, which VMs have or not whatever their PMU. */
static inline bool is_clock_register(uint32_t msr)
{
	return msr > MSR_KVM_PVPMU_PAGE && msr < MSR_KVM_PVPMU_EVTSEL(0);
}

static inline bool is_state(uint32_t msr)
{
	return (msr >= MSR_KVM_PVPMU_CAP && msr <= MSR_KVM_PVPMU_GLOBAL_STATUS) ||
	       msr == MSR_KVM_PVPMU_PAGE ||
	       (msr >= MSR_KVM_PVPMU_EVTSEL(0) && msr <= MSR_KVM_PVPMU_LAST);
}

/* Host side: interrupts and the page. */

static inline void install_pmi_handlers(struct kvm_vm *vm)
{
	vm_install_exception_handler(vm, NMI_PMI_VECTOR, guest_nmi_handler);
	vm_install_exception_handler(vm, FIXED_PMI_VECTOR, guest_fixed_handler);
}

static inline struct kvm_pvpmu_page *create_page(struct kvm_vm *vm)
{
	vm_vaddr_t gva = vm_vaddr_alloc_page(vm);

	page = (void *)gva;
	page_gpa = addr_gva2gpa(vm, gva);
	sync_global_to_guest(vm, page);
	sync_global_to_guest(vm, page_gpa);
	return addr_gva2hva(vm, gva);
}

/* By an interrupt for each CPUID, until one has to wait; returns those before. */
static inline uint64_t guest_storm_until_throttled(void)
{
	guest_enable_pmi(APIC_DM_NMI);
	guest_enable_page();
	guest_fill_periodic(0, EVTSEL_PV_INT(EXITS_CPUID), 1);
	guest_start(1);
	while (!(READ_ONCE(page->status) & KVM_PVPMU_STATUS_THROTTLED))
		do_cpuid(1);
	return guest_pmis();
}

/* A guest with handlers for its interrupt, and a page. */
static inline struct kvm_vm *create_with_page(struct kvm_vcpu **vcpu,
					      void *guest_code)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, guest_code);

	install_pmi_handlers(vm);
	create_page(vm);
	return vm;
}

static inline void run_page_case(void *guest_code)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_with_page(&vcpu, guest_code);

	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Host side: the host's perf PMU. */

static inline int open_attr(struct perf_event_attr *attr, pid_t tid, int cpu)
{
	attr->type = read_number("/sys/bus/event_source/devices/kvm_vcpu/type");
	attr->size = sizeof(*attr);
	return syscall(__NR_perf_event_open, attr, tid, cpu, -1, 0);
}

static inline int open_host_event(uint64_t config, pid_t tid, int cpu,
				  uint64_t period)
{
	struct perf_event_attr attr = {
		.config = config,
		.sample_period = period,
	};

	return open_attr(&attr, tid, cpu);
}

static inline uint64_t read_event(int fd)
{
	uint64_t value;

	TEST_ASSERT_EQ(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

/* The program. */

static inline void require_pvpmu(void)
{
	TEST_REQUIRE(!access("/sys/module/kvm/parameters/pvpmu", R_OK));
	TEST_REQUIRE(get_kvm_param_bool("pvpmu"));
}

#endif /* SELFTEST_KVM_PVPMU_TEST_H */
