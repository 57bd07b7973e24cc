/* SPDX-License-Identifier: GPL-2.0 */
/* Turns the times of a guest's recording into those of its host's. */
#ifndef __PERF_KVM_MERGE_CLOCK_H
#define __PERF_KVM_MERGE_CLOCK_H

#include <stdbool.h>
#include <linux/types.h>
#include "tsc.h"

struct kvm_merge_file;

enum kvm_merge_method {
	KVM_MERGE_CLOCK_AUTO,
	KVM_MERGE_CLOCK_PV,
	KVM_MERGE_CLOCK_TSC,
};

/* What the user told. */
struct kvm_merge_clock_opts {
	enum kvm_merge_method	method;
	bool			has_pv_offset;
	bool			has_tsc_offset;
	s64			pv_offset;	/* host's perf clock - guest's */
	s64			tsc_offset;	/* guest's TSC - host's */
};

struct kvm_merge_clock {
	enum kvm_merge_method	method;
	s64			offset;		/* of the method */
	struct perf_tsc_conversion guest;
	struct perf_tsc_conversion host;
	unsigned int		bound;		/* in ns */
};

int kvm_merge_clock__init(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *host, const struct kvm_merge_file *guest);
int kvm_merge_clock__to_host(struct kvm_merge_clock *clock, u64 *time);
const char *kvm_merge_clock__name(const struct kvm_merge_clock *clock);

#endif /* __PERF_KVM_MERGE_CLOCK_H */
