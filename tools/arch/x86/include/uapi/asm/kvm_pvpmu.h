/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * pvpmu: register file and event numbers of the paravirtual PMU for KVM guests.
 *
 * The behaviour behind these numbers is in Documentation/virt/kvm/x86/pvpmu.rst.
 * They are stable: a number is never given a second meaning, and none is copied
 * from perf's ABI.
 */
#ifndef _UAPI_ASM_X86_KVM_PVPMU_H
#define _UAPI_ASM_X86_KVM_PVPMU_H

#include <linux/types.h>

/* The window of MSRs, by offset from MSR_KVM_PVPMU_BASE. */
#define MSR_KVM_PVPMU_BASE		0x4b564d40
#define MSR_KVM_PVPMU_CAP		(MSR_KVM_PVPMU_BASE + 0x00)
#define MSR_KVM_PVPMU_EVENTS_HW		(MSR_KVM_PVPMU_BASE + 0x01)
#define MSR_KVM_PVPMU_EVENTS_CACHE	(MSR_KVM_PVPMU_BASE + 0x02)
#define MSR_KVM_PVPMU_EVENTS_PV		(MSR_KVM_PVPMU_BASE + 0x03)
#define MSR_KVM_PVPMU_GLOBAL_CTRL	(MSR_KVM_PVPMU_BASE + 0x04)
#define MSR_KVM_PVPMU_GLOBAL_STATUS	(MSR_KVM_PVPMU_BASE + 0x05)
#define MSR_KVM_PVPMU_GLOBAL_STATUS_CLR	(MSR_KVM_PVPMU_BASE + 0x06)
#define MSR_KVM_PVPMU_PAGE		(MSR_KVM_PVPMU_BASE + 0x07)
#define MSR_KVM_PERF_CLOCK		(MSR_KVM_PVPMU_BASE + 0x08)
#define MSR_KVM_PERF_CLOCK_NS		(MSR_KVM_PVPMU_BASE + 0x09)
#define MSR_KVM_PVPMU_EVTSEL(i)		(MSR_KVM_PVPMU_BASE + 0x10 + (i))
#define MSR_KVM_PVPMU_COUNTER(i)	(MSR_KVM_PVPMU_BASE + 0x20 + (i))
#define MSR_KVM_PVPMU_ENABLED_NS(i)	(MSR_KVM_PVPMU_BASE + 0x30 + (i))
#define MSR_KVM_PVPMU_RUNNING_NS(i)	(MSR_KVM_PVPMU_BASE + 0x40 + (i))
#define MSR_KVM_PVPMU_RAW(i)		(MSR_KVM_PVPMU_BASE + 0x50 + (i))
#define MSR_KVM_PVPMU_LAST		(MSR_KVM_PVPMU_BASE + 0x5f)

#define KVM_PVPMU_VERSION		1
#define KVM_PVPMU_MAX_COUNTERS		16
#define KVM_PVPMU_COUNTER_WIDTH		48

/* CAP */
#define KVM_PVPMU_CAP_VERSION		0x00000000000000ffULL
#define KVM_PVPMU_CAP_COUNTERS		0x000000000000ff00ULL
#define KVM_PVPMU_CAP_COUNTERS_SHIFT	8
#define KVM_PVPMU_CAP_WIDTH		0x0000000000ff0000ULL
#define KVM_PVPMU_CAP_WIDTH_SHIFT	16
#define KVM_PVPMU_CAP_PAGE		(1ULL << 32)
#define KVM_PVPMU_CAP_OVERFLOW		(1ULL << 33)
#define KVM_PVPMU_CAP_RAW		(1ULL << 34)

/* EVTSEL */
#define KVM_PVPMU_EVTSEL_EVENT		0x00000000000000ffULL
#define KVM_PVPMU_EVTSEL_CLASS		0x0000000000000f00ULL
#define KVM_PVPMU_EVTSEL_CLASS_SHIFT	8
#define KVM_PVPMU_EVTSEL_USR		(1ULL << 16)
#define KVM_PVPMU_EVTSEL_OS		(1ULL << 17)
#define KVM_PVPMU_EVTSEL_INT		(1ULL << 20)
#define KVM_PVPMU_EVTSEL_EN		(1ULL << 22)

/* GLOBAL_STATUS */
#define KVM_PVPMU_STATUS_OVERFLOW(i)	(1ULL << (i))
#define KVM_PVPMU_STATUS_ERROR_SHIFT	32
#define KVM_PVPMU_STATUS_ERROR(i)	(1ULL << (KVM_PVPMU_STATUS_ERROR_SHIFT + (i)))
#define KVM_PVPMU_STATUS_THROTTLED	(1ULL << 48)

/* EVTSEL.CLASS */
#define KVM_PVPMU_CLASS_HW		0
#define KVM_PVPMU_CLASS_CACHE		1
#define KVM_PVPMU_CLASS_RAW		2
#define KVM_PVPMU_CLASS_PV		3

/*
 * EVTSEL.EVENT for class hw: X(identifier, number, name).  The number is also
 * the event's bit in EVENTS_HW; the name is the one that users type.
 */
#define KVM_PVPMU_HW_EVENTS(X)					\
	X(CYCLES,		0, "cycles")			\
	X(INSTRUCTIONS,		1, "instructions")		\
	X(REF_CYCLES,		2, "ref-cycles")		\
	X(BRANCHES,		3, "branches")			\
	X(BRANCH_MISSES,	4, "branch-misses")		\
	X(BUS_CYCLES,		5, "bus-cycles")		\
	X(STALLED_FRONTEND,	6, "stalled-cycles-frontend")	\
	X(STALLED_BACKEND,	7, "stalled-cycles-backend")	\
	X(SLOTS,		8, "slots")

/* EVTSEL.EVENT for class pv, as above; the bits are those of EVENTS_PV. */
#define KVM_PVPMU_PV_EVENTS(X)						\
	X(GUEST_NS,		0, "guest-ns")				\
	X(VM_EXITS,		1, "vm-exits")				\
	X(EXITS_IO,		2, "vm-exits-io")			\
	X(EXITS_MMIO,		3, "vm-exits-mmio")			\
	X(EXITS_MSR,		4, "vm-exits-msr")			\
	X(EXITS_CPUID,		5, "vm-exits-cpuid")			\
	X(EXITS_HLT,		6, "vm-exits-hlt")			\
	X(EXITS_PAGE_FAULT,	7, "vm-exits-page-fault")		\
	X(EXITS_INTR_WINDOW,	8, "vm-exits-interrupt-window")		\
	X(EXITS_EXTERNAL_INTR,	9, "vm-exits-external-interrupt")	\
	X(EXITS_EXCEPTION,	10, "vm-exits-exception")		\
	X(EXITS_PAUSE,		11, "vm-exits-pause")			\
	X(EXITS_HYPERCALL,	12, "vm-exits-hypercall")		\
	X(EXITS_CR_DR,		13, "vm-exits-cr-dr")			\
	X(EXITS_APIC,		14, "vm-exits-apic")			\
	X(EXITS_OTHER,		15, "vm-exits-other")			\
	X(SELF_EXITS,		16, "pvpmu-exits")			\
	X(SELF_PMIS,		17, "pvpmu-pmis")			\
	X(PAGE_FAULTS,		18, "page-faults")			\
	X(IRQ_INJECTIONS,	19, "irq-injections")			\
	X(HALT_POLL_NS,		20, "halt-poll-ns")			\
	X(TLB_FLUSHES,		21, "tlb-flushes")			\
	X(PCPU_MIGRATIONS,	22, "pcpu-migrations")			\
	X(STEAL_NS,		32, "steal-ns")				\
	X(HOST_PREEMPTIONS,	33, "host-preemptions")

/* PV events from this number on show the load of co-tenants. */
#define KVM_PVPMU_PV_HOST_LOAD_FIRST	32
#define KVM_PVPMU_PV_MAX		34

#define KVM_PVPMU_EVENT_ENUM(id, nr, name)	KVM_PVPMU_HW_##id = nr,
enum kvm_pvpmu_hw_event {
	KVM_PVPMU_HW_EVENTS(KVM_PVPMU_EVENT_ENUM)
};
#undef KVM_PVPMU_EVENT_ENUM

#define KVM_PVPMU_EVENT_ENUM(id, nr, name)	KVM_PVPMU_PV_##id = nr,
enum kvm_pvpmu_pv_event {
	KVM_PVPMU_PV_EVENTS(KVM_PVPMU_EVENT_ENUM)
};
#undef KVM_PVPMU_EVENT_ENUM

/* EVTSEL.EVENT for class cache; also the event's bit in EVENTS_CACHE. */
#define KVM_PVPMU_CACHE_EVENT(level, op, result) \
	((level) << 3 | (op) << 1 | (result))

#define KVM_PVPMU_CACHE_L1D		0
#define KVM_PVPMU_CACHE_L1I		1
#define KVM_PVPMU_CACHE_LL		2
#define KVM_PVPMU_CACHE_DTLB		3
#define KVM_PVPMU_CACHE_ITLB		4
#define KVM_PVPMU_CACHE_BPU		5
#define KVM_PVPMU_CACHE_NODE		6
#define KVM_PVPMU_CACHE_LEVELS		7

#define KVM_PVPMU_CACHE_READ		0
#define KVM_PVPMU_CACHE_WRITE		1
#define KVM_PVPMU_CACHE_PREFETCH	2
#define KVM_PVPMU_CACHE_OPS		3

#define KVM_PVPMU_CACHE_ACCESS		0
#define KVM_PVPMU_CACHE_MISS		1

#endif /* _UAPI_ASM_X86_KVM_PVPMU_H */
