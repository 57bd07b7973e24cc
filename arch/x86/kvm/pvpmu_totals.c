// SPDX-License-Identifier: GPL-2.0-only
/*
 * Totals of the events that KVM itself counts for a vCPU, and the hooks in the
 * entry, exit and scheduling paths that feed them.
 *
 * They run whether or not a counter asks for them, since the host may; they
 * are kept apart from vcpu->stat, which can be cleared through debugfs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/clocksource.h>
#include <linux/kvm_host.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <asm/svm.h>
#include <asm/vmx.h>
#include "kvm_cache_regs.h"
#include "lapic.h"
#include "mmu.h"
#include "pvpmu.h"

const char *const kvm_pvpmu_pv_names[KVM_PVPMU_PV_MAX] = {
#define KVM_PVPMU_PV_EVENT(id, name) \
	[KVM_PVPMU_PV_##id] = name,
#include <asm/kvm_pvpmu_events.h>
};

/*
 * Causes by exit code.  What is not named here is vm-exits-other, as is
 * whatever code a newer processor brings.
 */
#define CAUSE(name)	KVM_PVPMU_PV_EXITS_##name

static const u8 svm_causes[] = {
	[SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_DR7]	= CAUSE(CR_DR),
	[SVM_EXIT_EXCP_BASE ... SVM_EXIT_LAST_EXCP]	= CAUSE(EXCEPTION),
	[SVM_EXIT_INTR ... SVM_EXIT_INIT]		= CAUSE(EXTERNAL_INTR),
	[SVM_EXIT_VINTR]				= CAUSE(INTR_WINDOW),
	[SVM_EXIT_CR0_SEL_WRITE]			= CAUSE(CR_DR),
	[SVM_EXIT_CPUID]				= CAUSE(CPUID),
	[SVM_EXIT_IRET]					= CAUSE(INTR_WINDOW),
	[SVM_EXIT_PAUSE]				= CAUSE(PAUSE),
	[SVM_EXIT_HLT]					= CAUSE(HLT),
	[SVM_EXIT_INVLPG]				= CAUSE(PAGE_FAULT),
	[SVM_EXIT_IOIO]					= CAUSE(IO),
	[SVM_EXIT_MSR]					= CAUSE(MSR),
	[SVM_EXIT_VMMCALL]				= CAUSE(HYPERCALL),
	[SVM_EXIT_MONITOR ... SVM_EXIT_MWAIT_COND]	= CAUSE(PAUSE),
	[SVM_EXIT_EFER_WRITE_TRAP]			= CAUSE(MSR),
	[SVM_EXIT_CR0_WRITE_TRAP ... SVM_EXIT_CR15_WRITE_TRAP] = CAUSE(CR_DR),
	[SVM_EXIT_NPF]					= CAUSE(PAGE_FAULT),
	[SVM_EXIT_AVIC_INCOMPLETE_IPI]			= CAUSE(APIC),
	[SVM_EXIT_AVIC_UNACCELERATED_ACCESS]		= CAUSE(APIC),
};

/* The preemption timer stands in for a host timer's interrupt. */
static const u8 vmx_causes[] = {
	[EXIT_REASON_EXCEPTION_NMI]		= CAUSE(EXCEPTION),
	[EXIT_REASON_EXTERNAL_INTERRUPT]	= CAUSE(EXTERNAL_INTR),
	[EXIT_REASON_INIT_SIGNAL]		= CAUSE(EXTERNAL_INTR),
	[EXIT_REASON_INTERRUPT_WINDOW]		= CAUSE(INTR_WINDOW),
	[EXIT_REASON_NMI_WINDOW]		= CAUSE(INTR_WINDOW),
	[EXIT_REASON_CPUID]			= CAUSE(CPUID),
	[EXIT_REASON_HLT]			= CAUSE(HLT),
	[EXIT_REASON_INVLPG]			= CAUSE(PAGE_FAULT),
	[EXIT_REASON_VMCALL]			= CAUSE(HYPERCALL),
	[EXIT_REASON_CR_ACCESS]			= CAUSE(CR_DR),
	[EXIT_REASON_DR_ACCESS]			= CAUSE(CR_DR),
	[EXIT_REASON_IO_INSTRUCTION]		= CAUSE(IO),
	[EXIT_REASON_MSR_READ]			= CAUSE(MSR),
	[EXIT_REASON_MSR_WRITE]			= CAUSE(MSR),
	[EXIT_REASON_MWAIT_INSTRUCTION]		= CAUSE(PAUSE),
	[EXIT_REASON_MONITOR_INSTRUCTION]	= CAUSE(PAUSE),
	[EXIT_REASON_PAUSE_INSTRUCTION]		= CAUSE(PAUSE),
	[EXIT_REASON_TPR_BELOW_THRESHOLD]	= CAUSE(APIC),
	[EXIT_REASON_APIC_ACCESS]		= CAUSE(APIC),
	[EXIT_REASON_EOI_INDUCED]		= CAUSE(APIC),
	[EXIT_REASON_APIC_WRITE]		= CAUSE(APIC),
	[EXIT_REASON_EPT_VIOLATION]		= CAUSE(PAGE_FAULT),
	[EXIT_REASON_EPT_MISCONFIG]		= CAUSE(MMIO),
	[EXIT_REASON_PREEMPTION_TIMER]		= CAUSE(EXTERNAL_INTR),
};

static u32 tsc_mult __ro_after_init;
static u32 tsc_shift __ro_after_init;

struct pvpmu_exit {
	u32 reason;
	u32 intr_info;
	u32 error_code;
	u64 info1;
	u64 info2;
};

static u8 table_cause(const u8 *causes, size_t size, u32 reason)
{
	u8 cause = reason < size ? causes[reason] : 0;

	return cause ?: CAUSE(OTHER);
}

/*
 * KVM marks the page tables' entries of an emulated device with a reserved bit
 * when it meets the device for the first time: that first access is still
 * counted as a page fault, each later one as MMIO.
 */
static u8 fault_cause(u64 error_code)
{
	return error_code & PFERR_RSVD_MASK ? CAUSE(MMIO) : CAUSE(PAGE_FAULT);
}

static u8 svm_cause(const struct pvpmu_exit *exit)
{
	if (exit->reason == SVM_EXIT_NPF)
		return fault_cause(exit->info1);
	if (!tdp_enabled && exit->reason == SVM_EXIT_EXCP_BASE + PF_VECTOR)
		return fault_cause(exit->info1);
	return table_cause(svm_causes, ARRAY_SIZE(svm_causes), exit->reason);
}

static u8 vmx_exception_cause(const struct pvpmu_exit *exit)
{
	if ((exit->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return CAUSE(EXTERNAL_INTR);
	if (!tdp_enabled &&
	    (exit->intr_info & INTR_INFO_VECTOR_MASK) == PF_VECTOR)
		return fault_cause(exit->error_code);
	return CAUSE(EXCEPTION);
}

static u8 vmx_cause(const struct pvpmu_exit *exit)
{
	u16 basic = exit->reason;

	if (basic == EXIT_REASON_EXCEPTION_NMI)
		return vmx_exception_cause(exit);
	return table_cause(vmx_causes, ARRAY_SIZE(vmx_causes), basic);
}

/* An entry that failed, or that KVM emulated away, ran no guest code. */
static bool guest_was_entered(const struct pvpmu_exit *exit)
{
	if (boot_cpu_has(X86_FEATURE_SVM))
		return exit->reason != (u32)SVM_EXIT_ERR;
	return !(exit->reason & VMX_EXIT_REASONS_FAILED_VMENTRY);
}

static u8 exit_cause(const struct pvpmu_exit *exit)
{
	return boot_cpu_has(X86_FEATURE_SVM) ? svm_cause(exit) :
					       vmx_cause(exit);
}

/* By MSR in x2APIC mode, else by MMIO, or where the hardware traps its writes. */
static bool is_lvtpc_access(struct kvm_vcpu *vcpu,
			    const struct pvpmu_exit *exit, u8 cause)
{
	switch (cause) {
	case CAUSE(MSR):
		return kvm_rcx_read(vcpu) ==
			APIC_BASE_MSR + (APIC_LVTPC >> 4);
	case CAUSE(APIC):
		return (exit->info1 & 0xfff) == APIC_LVTPC;
	case CAUSE(MMIO):
		return vcpu->arch.apic &&
		       exit->info2 == vcpu->arch.apic->base_address + APIC_LVTPC;
	default:
		return false;
	}
}

/* Not told when the handler of an NMI has ended, KVM steps over its IRET. */
static bool is_nmi_step(struct kvm_vcpu *vcpu, const struct pvpmu_exit *exit)
{
	return boot_cpu_has(X86_FEATURE_SVM) && !vcpu->guest_debug &&
	       exit->reason == SVM_EXIT_EXCP_BASE + DB_VECTOR;
}

static bool nmi_waits(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.nmi_pending || vcpu->arch.nmi_injected ||
	       atomic_read(&vcpu->arch.nmi_queued);
}

/*
 * From an NMI of pvpmu's on until its handler has ended, KVM makes the guest exit
 * to learn of that end, and for interrupts that the NMI keeps waiting.  Where
 * an NMI waits, or is injected while something else waits, KVM interrupts itself
 * to be out of the guest right after; that looks like any interrupt of the host,
 * so all that come then count as such.
 */
static bool serves_own_nmi(struct kvm_vcpu *vcpu, const struct pvpmu_exit *exit,
			   u8 cause)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	bool waits;

	if (likely(!pvpmu->nmi))
		return false;

	waits = nmi_waits(vcpu);
	pvpmu->nmi = waits || kvm_x86_call(get_nmi_mask)(vcpu);
	return cause == CAUSE(INTR_WINDOW) || is_nmi_step(vcpu, exit) ||
	       (cause == CAUSE(EXTERNAL_INTR) && (waits || pvpmu->injects_nmi));
}

/*
 * What using pvpmu takes must not show up in what it measures: accesses to its
 * registers and to its interrupt's, and what makes the guest exit for it.
 */
static bool is_own_exit(struct kvm_vcpu *vcpu, const struct pvpmu_exit *exit,
			u8 cause)
{
	u32 msr = kvm_rcx_read(vcpu);

	if (cause == CAUSE(MSR) && msr >= MSR_KVM_PVPMU_BASE &&
	    msr <= MSR_KVM_PVPMU_LAST)
		return true;
	if (cause == CAUSE(EXTERNAL_INTR) && kvm_pvpmu_interrupted_host(vcpu))
		return true;
	return is_lvtpc_access(vcpu, exit, cause) ||
	       serves_own_nmi(vcpu, exit, cause);
}

static void count_exit(struct kvm_vcpu *vcpu, const struct pvpmu_exit *exit)
{
	u8 cause = exit_cause(exit);

	BUILD_BUG_ON(KVM_PVPMU_PV_MAX > U8_MAX);
	BUILD_BUG_ON(!CAUSE(IO));

	if (is_own_exit(vcpu, exit, cause)) {
		++vcpu->stat.pvpmu_exits;
		kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_SELF_EXITS, 1);
		return;
	}

	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_VM_EXITS, 1);
	kvm_pvpmu_add(vcpu, cause, 1);
}

/*
 * Time in guest mode is measured by the TSC, as the guest can do from the page;
 * by the scheduler's clock where the TSC cannot be relied on.
 */
static u64 guest_time_now(void)
{
	return check_tsc_unstable() ? local_clock() : rdtsc();
}

static u64 guest_time_since(u64 then)
{
	u64 passed = guest_time_now() - then;

	if (check_tsc_unstable())
		return passed;
	return mul_u64_u32_shr(passed, tsc_mult, tsc_shift);
}

void __init kvm_pvpmu_init_time(void)
{
	clocks_calc_mult_shift(&tsc_mult, &tsc_shift, tsc_khz ?: 1,
			       NSEC_PER_MSEC, 0);
}

/*
 * What vendor code does inside its vcpu_run(), such as switching state and its
 * fast path for some exits, is in guest-ns: it is short, and the hooks stay
 * out of code that must not be instrumented.
 */
void __kvm_pvpmu_leave(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 ns = guest_time_since(pvpmu->entry_time);
	struct pvpmu_exit exit;

	lockdep_assert_irqs_disabled();

	kvm_x86_call(get_exit_info)(vcpu, &exit.reason, &exit.info1,
				    &exit.info2, &exit.intr_info,
				    &exit.error_code);
	if (!guest_was_entered(&exit))
		return;

	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_GUEST_NS, ns);
	if (pvpmu->timer_ns)
		kvm_pvpmu_learn_entry_cost(vcpu, ns);
	count_exit(vcpu, &exit);

	/* A page that could not be mapped is tried again. */
	if (unlikely(pvpmu->page && !pvpmu->page_works))
		kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

/*
 * Steal and preemptions happen while the thread, and so its perf events, are
 * scheduled out.  Adding them here keeps the totals still until they are in.
 */
static void count_schedule(struct kvm_vcpu *vcpu, struct kvm_pvpmu *pvpmu)
{
	u64 run_delay = current->sched_info.run_delay;

	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_STEAL_NS,
		      run_delay - pvpmu->run_delay);
	pvpmu->run_delay = run_delay;

	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_HOST_PREEMPTIONS, pvpmu->preemptions);
	pvpmu->preemptions = 0;
}

void __kvm_pvpmu_enter(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	lockdep_assert_irqs_disabled();

	if (pvpmu->preemptions ||
	    pvpmu->run_delay != current->sched_info.run_delay)
		count_schedule(vcpu, pvpmu);

	if (pvpmu->last_cpu != vcpu->cpu) {
		if (pvpmu->last_cpu >= 0)
			kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_PCPU_MIGRATIONS, 1);
		pvpmu->last_cpu = vcpu->cpu;
	}

	pvpmu->entry_time = guest_time_now();
	pvpmu->injects_nmi = vcpu->arch.nmi_injected;

	kvm_pvpmu_leave_real_mode_alone(vcpu);
	if (!kvm_pvpmu_publish(vcpu))
		kvm_make_request(KVM_REQ_PVPMU, vcpu);
	kvm_pvpmu_arm_timer(vcpu);
}

void __kvm_pvpmu_reenter(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_srcu_read_lock(vcpu);
	__kvm_pvpmu_enter(vcpu);
	kvm_vcpu_srcu_read_unlock(vcpu);
}

/*
 * run_delay belongs to a thread, and perf events are attached to one: start
 * again from here when another thread took over the vCPU.
 */
void __kvm_pvpmu_run(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pid *pid, *old = pvpmu->totals->pid;

	lockdep_assert_held(&vcpu->mutex);

	pid = rcu_dereference_protected(vcpu->pid, true);
	if (likely(pid == old))
		return;

	WRITE_ONCE(pvpmu->totals->pid, get_pid(pid));
	put_pid(old);
	pvpmu->run_delay = current->sched_info.run_delay;
	pvpmu->preemptions = 0;
	WRITE_ONCE(pvpmu->new_thread, true);
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

static u64 polled_ns(struct kvm_vcpu *vcpu)
{
	return vcpu->stat.generic.halt_poll_success_ns +
	       vcpu->stat.generic.halt_poll_fail_ns;
}

void __kvm_pvpmu_halt(struct kvm_vcpu *vcpu)
{
	u64 before = polled_ns(vcpu), after;

	kvm_vcpu_halt(vcpu);

	/* The statistics may have been cleared meanwhile. */
	after = polled_ns(vcpu);
	kvm_pvpmu_add(vcpu, KVM_PVPMU_PV_HALT_POLL_NS,
		      after >= before ? after - before : after);
}

/* Under the runqueue's lock when the thread is scheduled out. */
void __kvm_pvpmu_put(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (vcpu->preempted)
		pvpmu->preemptions++;

	if (READ_ONCE(pvpmu->idle_events) &&
	    time_after(jiffies, READ_ONCE(pvpmu->reap_at)))
		kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

static void free_totals(struct kref *refs)
{
	struct kvm_pvpmu_totals *totals =
		container_of(refs, struct kvm_pvpmu_totals, refs);

	put_pid(totals->pid);
	kfree(totals);
}

void kvm_pvpmu_put_totals(struct kvm_pvpmu_totals *totals)
{
	kref_put(&totals->refs, free_totals);
}
