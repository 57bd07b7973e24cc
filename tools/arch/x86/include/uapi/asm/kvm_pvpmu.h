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

/* EVTSEL.EVENT for class hw; the number is also the event's bit in EVENTS_HW. */
enum kvm_pvpmu_hw_event {
	KVM_PVPMU_HW_CYCLES		= 0,
	KVM_PVPMU_HW_INSTRUCTIONS	= 1,
	KVM_PVPMU_HW_REF_CYCLES		= 2,
	KVM_PVPMU_HW_BRANCHES		= 3,
	KVM_PVPMU_HW_BRANCH_MISSES	= 4,
	KVM_PVPMU_HW_BUS_CYCLES		= 5,
	KVM_PVPMU_HW_STALLED_FRONTEND	= 6,
	KVM_PVPMU_HW_STALLED_BACKEND	= 7,
	KVM_PVPMU_HW_SLOTS		= 8,
};

/* EVTSEL.EVENT for class pv; the number is also the event's bit in EVENTS_PV. */
enum kvm_pvpmu_pv_event {
	KVM_PVPMU_PV_GUEST_NS			= 0,
	KVM_PVPMU_PV_VM_EXITS			= 1,
	KVM_PVPMU_PV_EXITS_IO			= 2,
	KVM_PVPMU_PV_EXITS_MMIO			= 3,
	KVM_PVPMU_PV_EXITS_MSR			= 4,
	KVM_PVPMU_PV_EXITS_CPUID		= 5,
	KVM_PVPMU_PV_EXITS_HLT			= 6,
	KVM_PVPMU_PV_EXITS_PAGE_FAULT		= 7,
	KVM_PVPMU_PV_EXITS_INTR_WINDOW		= 8,
	KVM_PVPMU_PV_EXITS_EXTERNAL_INTR	= 9,
	KVM_PVPMU_PV_EXITS_EXCEPTION		= 10,
	KVM_PVPMU_PV_EXITS_PAUSE		= 11,
	KVM_PVPMU_PV_EXITS_HYPERCALL		= 12,
	KVM_PVPMU_PV_EXITS_CR_DR		= 13,
	KVM_PVPMU_PV_EXITS_APIC			= 14,
	KVM_PVPMU_PV_EXITS_OTHER		= 15,
	KVM_PVPMU_PV_SELF_EXITS			= 16,
	KVM_PVPMU_PV_SELF_PMIS			= 17,
	KVM_PVPMU_PV_PAGE_FAULTS		= 18,
	KVM_PVPMU_PV_IRQ_INJECTIONS		= 19,
	KVM_PVPMU_PV_HALT_POLL_NS		= 20,
	KVM_PVPMU_PV_TLB_FLUSHES		= 21,
	KVM_PVPMU_PV_PCPU_MIGRATIONS		= 22,
	KVM_PVPMU_PV_STEAL_NS			= 32,
	KVM_PVPMU_PV_HOST_PREEMPTIONS		= 33,
};

/* PV events from this number on show the load of co-tenants. */
#define KVM_PVPMU_PV_HOST_LOAD_FIRST	32
#define KVM_PVPMU_PV_MAX		34

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

/* PAGE: the address of the page, and whether it is in use. */
#define KVM_PVPMU_PAGE_ENABLE		(1ULL << 0)

#define KVM_PVPMU_PAGE_SIZE		4096
#define KVM_PVPMU_PAGE_TOTALS		64

/* kvm_pvpmu_page.flags */
#define KVM_PVPMU_PAGE_VALID		(1U << 0)
#define KVM_PVPMU_PAGE_TSC		(1U << 1)

/* kvm_pvpmu_entry.flags */
#define KVM_PVPMU_ENTRY_ERROR		(1U << 0)

/**
 * struct kvm_pvpmu_entry - one counter in the counter page
 * @evtsel:	guest: as EVTSEL(i), for the next load
 * @value:	COUNTER(i); written by the guest for the next load
 * @reload:	guest: the counter goes on from 2^W - reload when it overflows
 * @raw:	guest: as RAW(i), for the next load
 * @enabled:	host: ENABLED_NS(i), in ns
 * @running:	host: RUNNING_NS(i), in ns
 * @count:	host: grows by all that the counter counts
 * @overflows:	host: grows by one with each overflow
 * @flags:	host: KVM_PVPMU_ENTRY_*
 */
struct kvm_pvpmu_entry {
	__u64 evtsel;
	__u64 value;
	__u64 reload;
	__u64 raw;
	__u64 enabled;
	__u64 running;
	__u64 count;
	__u32 overflows;
	__u32 flags;
};

/**
 * struct kvm_pvpmu_page - the counter page of one vCPU
 * @seq:	host: odd while the host writes the page
 * @flags:	host: KVM_PVPMU_PAGE_*
 * @tsc:	host: the vCPU's TSC at the last VM entry
 * @mult:	host: ns = cycles * mult >> shift
 * @shift:	host: see @mult
 * @reserved0:	0
 * @status:	host: GLOBAL_STATUS at the last VM entry
 * @reserved1:	0
 * @dirty:	guest: entries to load with the next write of GLOBAL_CTRL
 * @reserved2:	0
 * @entries:	one for each counter
 * @reserved3:	0
 * @totals:	host: PV totals by event number, at the last VM entry
 * @reserved4:	0
 */
struct kvm_pvpmu_page {
	__u32 seq;
	__u32 flags;
	__u64 tsc;
	__u32 mult;
	__u8  shift;
	__u8  reserved0[3];
	__u64 status;
	__u64 reserved1[4];
	__u64 dirty;
	__u64 reserved2[23];
	struct kvm_pvpmu_entry entries[KVM_PVPMU_MAX_COUNTERS];
	__u64 reserved3[96];
	__u64 totals[KVM_PVPMU_PAGE_TOTALS];
	__u64 reserved4[192];
};

#endif /* _UAPI_ASM_X86_KVM_PVPMU_H */
