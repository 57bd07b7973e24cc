/* SPDX-License-Identifier: GPL-2.0 */
/* Which of the ways to align a guest's clock with the host's can be had for a guest. */
#ifndef __PERF_KVM_RECORD_CLOCK_H
#define __PERF_KVM_RECORD_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include "kvm-merge-clock.h"
#include "kvm-record-spans.h"
#include "kvm-record-who.h"
#include "pv-clock.h"

struct kvm_agent_caps;
struct kvm_agent_clock_state;

/* Of perf's clock in the guest and on the host */
struct kvm_record_readings {
	struct kvm_merge_reading	*list;
	size_t				 nr;
};

int kvm_record_readings__add(struct kvm_record_readings *readings,
			     const struct kvm_merge_reading *reading);
const struct kvm_merge_reading *
kvm_record_readings__best(const struct kvm_record_readings *readings);
void kvm_record_readings__exit(struct kvm_record_readings *readings);

/* What KVM tells of a VM in debugfs, as far as that can be read. */
struct kvm_record_vm_clock {
	bool	has_epoch;
	bool	has_tsc_offset;
	bool	scaled;		/* the TSC of some vCPU */
	bool	differs;	/* from vCPU to vCPU */
	bool	changed;	/* the offset, while it was recorded */
	u64	epoch;
	s64	tsc_offset;
};

void kvm_record_vm_clock__read(struct kvm_record_vm_clock *clock, pid_t pid);
void kvm_record_vm_clock__read_again(struct kvm_record_vm_clock *clock, pid_t pid);

struct kvm_record_clock_facts {
	struct kvm_record_clock_opts	 opts;
	struct kvm_record_vm_clock	 vm;
	struct pv_clock			 before;	/* by the guest, at the start */
	struct pv_clock			 after;
	struct kvm_record_readings	 readings;
	struct kvm_record_spans		 pv;		/* by the guest, while it was recorded */
	struct kvm_record_spans		 tsc;		/* by KVM, at the times of the readings */
};

void kvm_record_clock_facts__exit(struct kvm_record_clock_facts *facts);
int kvm_record_clock__see_pv(struct kvm_record_clock_facts *facts,
			     const struct kvm_agent_clock_state *clock);
void kvm_record_clock__see_tsc(struct kvm_record_clock_facts *facts, pid_t pid,
			       const struct kvm_merge_reading *reading);
void kvm_record_clock__add_tsc(struct kvm_record_clock_facts *facts,
			       const struct kvm_record_vm_clock *vm,
			       const struct kvm_merge_reading *reading);

void kvm_record_clock__take_caps(struct pv_clock *clock, const struct kvm_agent_caps *caps);

/* Each method with what it needs, or the reason why it cannot be had. */
struct kvm_record_clock {
	const char	*no_pv;		/* NULL: it can be had */
	const char	*no_tsc;
	const char	*no_probe;
	s64		 pv_offset;	/* host's perf clock - guest's */
	s64		 tsc_offset;	/* guest's TSC - host's */
	/* In place of the two, where they changed */
	struct kvm_merge_segment	*pv;
	size_t				 nr_pv;
	struct kvm_merge_segment	*tsc;
	size_t				 nr_tsc;
};

int kvm_record_clock__init(struct kvm_record_clock *clock,
			   const struct kvm_record_clock_facts *facts);
void kvm_record_clock__exit(struct kvm_record_clock *clock);

#endif /* __PERF_KVM_RECORD_CLOCK_H */
