/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The perf clock of a VM and of a vCPU, as struct kvm_arch and kvm_vcpu_arch
 * have them.
 */
#ifndef _ASM_X86_KVM_PERF_CLOCK_HOST_H
#define _ASM_X86_KVM_PERF_CLOCK_HOST_H

#include <linux/kvm_types.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <asm/host_perf_clock.h>

/*
 * What user space wrote of another VM's clock, until it is decided on; 0 where
 * it wrote nothing.  @ns_offset is the offset by which the clock goes on from
 * the time that was written.
 */
struct kvm_carried_perf_clock {
	u64 epoch;
	u64 generation;
	s64 offset;
	s64 ns_offset;
	bool has_offset;
	bool has_ns;
};

/*
 * @lock guards all of it, with interrupts off as it is taken before VM entry.
 * @version changes with what the vCPUs' pages take from here; they look at it
 * and at @is_carried without the lock.
 */
struct kvm_vm_perf_clock {
	raw_spinlock_t lock;
	s64 offset;		/* host's clock = guest's clock + offset */
	u64 generation;
	struct host_perf_clock host;
	struct kvm_carried_perf_clock carried;
	bool is_carried;
	bool used;		/* a guest may have seen it */
	unsigned int version;
};

/* All that a vCPU's page depends on: it is written again when this changed. */
struct kvm_perf_clock_basis {
	struct host_perf_clock host;
	u64 tsc_offset;
	u64 tsc_ratio;
	unsigned int version;
	bool tsc_follows;	/* the vCPU's TSC is a function of the host's */
};

/* It belongs to whoever holds vcpu->mutex, but for debugfs, which reads @msr. */
struct kvm_vcpu_perf_clock {
	u64 msr;
	bool msr_written;	/* since the page was last mapped */
	bool page_works;
	bool is_written;	/* the page, from @written */
	u64 failed_generation;	/* of the memslots, when mapping it failed */
	struct gfn_to_pfn_cache gpc;
	struct kvm_perf_clock_basis written;
};

#endif /* _ASM_X86_KVM_PERF_CLOCK_HOST_H */
