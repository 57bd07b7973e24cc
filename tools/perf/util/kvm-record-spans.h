/* SPDX-License-Identifier: GPL-2.0 */
/* What was known of a guest's clock over times of the guest's, in the order of these. */
#ifndef __PERF_KVM_RECORD_SPANS_H
#define __PERF_KVM_RECORD_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct kvm_merge_reading;
struct kvm_merge_segment;

struct kvm_record_span {
	u64	from;		/* guest's time, at which this was seen first */
	u64	until;		/* last */
	u64	epoch;		/* of the host's clock; 0 where that does not matter */
	s64	offset;
	bool	unknown;	/* there is no offset */
};

struct kvm_record_spans {
	struct kvm_record_span	*list;
	size_t			 nr;
	bool			 broken;	/* they contradict themselves, or are too many */
	bool			 whole;		/* up to the end of the recording */
};

int kvm_record_spans__see(struct kvm_record_spans *spans, const struct kvm_record_span *span);
const struct kvm_record_span *kvm_record_spans__at(const struct kvm_record_spans *spans, u64 from,
						   u64 until);
int kvm_record_spans__to_segments(const struct kvm_record_spans *spans, u64 epoch,
				  struct kvm_merge_segment **segments, size_t *nr);
void kvm_record_spans__exit(struct kvm_record_spans *spans);

#endif /* __PERF_KVM_RECORD_SPANS_H */
