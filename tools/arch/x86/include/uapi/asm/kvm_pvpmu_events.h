/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The names that users type for the events of pvpmu.
 *
 * Define KVM_PVPMU_HW_EVENT(id, name), KVM_PVPMU_PV_EVENT(id, name) or both
 * before including this; an event's number is KVM_PVPMU_HW_id or
 * KVM_PVPMU_PV_id of kvm_pvpmu.h. It may be included more than once, hence no
 * guard, and undefines both.
 */
#ifndef KVM_PVPMU_HW_EVENT
#define KVM_PVPMU_HW_EVENT(id, name)
#endif
#ifndef KVM_PVPMU_PV_EVENT
#define KVM_PVPMU_PV_EVENT(id, name)
#endif

KVM_PVPMU_HW_EVENT(CYCLES, "cycles")
KVM_PVPMU_HW_EVENT(INSTRUCTIONS, "instructions")
KVM_PVPMU_HW_EVENT(REF_CYCLES, "ref-cycles")
KVM_PVPMU_HW_EVENT(BRANCHES, "branches")
KVM_PVPMU_HW_EVENT(BRANCH_MISSES, "branch-misses")
KVM_PVPMU_HW_EVENT(BUS_CYCLES, "bus-cycles")
KVM_PVPMU_HW_EVENT(STALLED_FRONTEND, "stalled-cycles-frontend")
KVM_PVPMU_HW_EVENT(STALLED_BACKEND, "stalled-cycles-backend")
KVM_PVPMU_HW_EVENT(SLOTS, "slots")

KVM_PVPMU_PV_EVENT(GUEST_NS, "guest-ns")
KVM_PVPMU_PV_EVENT(VM_EXITS, "vm-exits")
KVM_PVPMU_PV_EVENT(EXITS_IO, "vm-exits-io")
KVM_PVPMU_PV_EVENT(EXITS_MMIO, "vm-exits-mmio")
KVM_PVPMU_PV_EVENT(EXITS_MSR, "vm-exits-msr")
KVM_PVPMU_PV_EVENT(EXITS_CPUID, "vm-exits-cpuid")
KVM_PVPMU_PV_EVENT(EXITS_HLT, "vm-exits-hlt")
KVM_PVPMU_PV_EVENT(EXITS_PAGE_FAULT, "vm-exits-page-fault")
KVM_PVPMU_PV_EVENT(EXITS_INTR_WINDOW, "vm-exits-interrupt-window")
KVM_PVPMU_PV_EVENT(EXITS_EXTERNAL_INTR, "vm-exits-external-interrupt")
KVM_PVPMU_PV_EVENT(EXITS_EXCEPTION, "vm-exits-exception")
KVM_PVPMU_PV_EVENT(EXITS_PAUSE, "vm-exits-pause")
KVM_PVPMU_PV_EVENT(EXITS_HYPERCALL, "vm-exits-hypercall")
KVM_PVPMU_PV_EVENT(EXITS_CR_DR, "vm-exits-cr-dr")
KVM_PVPMU_PV_EVENT(EXITS_APIC, "vm-exits-apic")
KVM_PVPMU_PV_EVENT(EXITS_OTHER, "vm-exits-other")
KVM_PVPMU_PV_EVENT(SELF_EXITS, "pvpmu-exits")
KVM_PVPMU_PV_EVENT(SELF_PMIS, "pvpmu-pmis")
KVM_PVPMU_PV_EVENT(PAGE_FAULTS, "page-faults")
KVM_PVPMU_PV_EVENT(IRQ_INJECTIONS, "irq-injections")
KVM_PVPMU_PV_EVENT(HALT_POLL_NS, "halt-poll-ns")
KVM_PVPMU_PV_EVENT(TLB_FLUSHES, "tlb-flushes")
KVM_PVPMU_PV_EVENT(PCPU_MIGRATIONS, "pcpu-migrations")
KVM_PVPMU_PV_EVENT(STEAL_NS, "steal-ns")
KVM_PVPMU_PV_EVENT(HOST_PREEMPTIONS, "host-preemptions")

#undef KVM_PVPMU_HW_EVENT
#undef KVM_PVPMU_PV_EVENT
