/* SPDX-License-Identifier: GPL-2.0 */
/* Turns the times of a guest's recording into those of its host's. */
#ifndef __PERF_KVM_MERGE_CLOCK_H
#define __PERF_KVM_MERGE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "tsc.h"

struct kvm_merge_file;

enum kvm_merge_method {
	KVM_MERGE_CLOCK_AUTO,
	KVM_MERGE_CLOCK_PV,
	KVM_MERGE_CLOCK_TSC,
	KVM_MERGE_CLOCK_PROBE,
};

/* From a time of the guest's on, until the next one. */
struct kvm_merge_segment {
	u64	from;
	s64	offset;
	bool	unknown;	/* there is no offset: what is of this time is left out */
};

/* The guest's clock was the host's + offset at this time of the host's, or up to bound off. */
struct kvm_merge_reading {
	u64	at;
	s64	offset;
	u64	bound;
};

/* What is known of the clocks; tables are the caller's, until the merge is done. */
struct kvm_merge_clock_opts {
	enum kvm_merge_method			method;
	bool					has_pv_offset;
	bool					has_tsc_offset;
	s64					pv_offset;	/* host's perf clock - guest's */
	s64					tsc_offset;	/* guest's TSC - host's */
	/* In place of the two above, where they changed: in the order of time. */
	const struct kvm_merge_segment		*pv;
	size_t					nr_pv;
	const struct kvm_merge_segment		*tsc;
	size_t					nr_tsc;
	/* Of both sides' perf clock, in any order */
	const struct kvm_merge_reading		*readings;
	size_t					nr_readings;
	/* Why what the guest itself says of its perf clock is not to be believed; or NULL */
	const char				*no_pv;
	/* Why the TSC cannot tell the guest's times; or NULL */
	const char				*no_tsc;
};

/* A reading, and what is true up to the next one. */
struct kvm_merge_point {
	u64	guest;
	s64	offset;		/* guest's - host's */
	u64	bound;		/* of the reading */
	u64	bound_after;	/* between it and the next */
};

struct kvm_merge_clock {
	enum kvm_merge_method		method;
	struct kvm_merge_segment	*segments;	/* of pv and tsc */
	u64				*reached;	/* by those before, in the host's time */
	size_t				nr_segments;
	struct kvm_merge_point		*points;	/* of probe */
	size_t				nr_points;
	size_t				last;		/* segment or point that was used */
	struct perf_tsc_conversion	guest;
	struct perf_tsc_conversion	host;
	u64				bound;		/* in ns, of all times up to now */
};

int kvm_merge_clock__init(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *host, const struct kvm_merge_file *guest);
void kvm_merge_clock__exit(struct kvm_merge_clock *clock);
int kvm_merge_clock__to_host(struct kvm_merge_clock *clock, u64 *time);
bool kvm_merge_clock__is_step_back(const struct kvm_merge_clock *clock, u64 host_time);
const char *kvm_merge_clock__name(enum kvm_merge_method method);

/* Readings */
const char *kvm_merge_probe__init(struct kvm_merge_clock *clock,
				  const struct kvm_merge_reading *readings, size_t nr);
int kvm_merge_probe__to_host(struct kvm_merge_clock *clock, u64 time, s64 *host);

#endif /* __PERF_KVM_MERGE_CLOCK_H */
