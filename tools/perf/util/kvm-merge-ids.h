/* SPDX-License-Identifier: GPL-2.0 */
/* The ids of a file's events, and what becomes of them in the output. */
#ifndef __PERF_KVM_MERGE_IDS_H
#define __PERF_KVM_MERGE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct kvm_merge_file;
union perf_event;

/* An event that is not bound to a CPU has one id, and gets one in the output for each vCPU. */
struct kvm_merge_out_id {
	s32	vcpu;		/* -1: unknown */
	u64	id;
};

struct kvm_merge_id {
	u64			id;
	u32			attr;
	u32			nr_out;
	struct kvm_merge_out_id	*out;
};

struct kvm_merge_ids {
	struct kvm_merge_id	*entries;	/* sorted by id */
	struct kvm_merge_id	*deflt;		/* of records without one */
	struct kvm_merge_id	*last;
	size_t			nr;
	u32			nr_out;
	s16			sample_pos;	/* -1: records have none */
	s16			trailer_pos;	/* from the end of the record */
};

int kvm_merge_ids__init(struct kvm_merge_ids *ids, const struct kvm_merge_file *file);
void kvm_merge_ids__exit(struct kvm_merge_ids *ids);
struct kvm_merge_id *kvm_merge_ids__find(struct kvm_merge_ids *ids, u64 id);
struct kvm_merge_id *kvm_merge_ids__of_event(struct kvm_merge_ids *ids,
					     const union perf_event *event);
u64 kvm_merge_id__lookup(const struct kvm_merge_id *id, s32 vcpu);
bool kvm_merge_ids__has_room(const struct kvm_merge_ids *ids);
int kvm_merge_ids__add_out(struct kvm_merge_ids *ids, struct kvm_merge_id *id, s32 vcpu, u64 out);

#endif /* __PERF_KVM_MERGE_IDS_H */
