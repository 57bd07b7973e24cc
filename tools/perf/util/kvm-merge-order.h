/* SPDX-License-Identifier: GPL-2.0 */
/* Sorts records that come nearly in the order of their times. */
#ifndef __PERF_KVM_MERGE_ORDER_H
#define __PERF_KVM_MERGE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct kvm_merge_block;
struct kvm_merge_id;
union perf_event;

struct kvm_merge_entry {
	u64			time;
	u64			seq;	/* of records of one time, the lower one is first */
	union perf_event	*event;
	struct kvm_merge_id	*id;	/* of its event */
	struct kvm_merge_block	*block;
};

/* Entries in their order; the first of them is among the heads. */
struct kvm_merge_run {
	struct kvm_merge_entry	*entries;
	size_t			first;
	size_t			end;
	size_t			alloc;
	u64			last;	/* time */
	bool			busy;	/* has a head */
};

/* The first entry of a run, or one that is in no run. */
struct kvm_merge_head {
	struct kvm_merge_entry	entry;
	struct kvm_merge_run	*run;	/* NULL: none */
};

struct kvm_merge_order {
	struct kvm_merge_head	*heads;	/* a heap */
	size_t			nr_heads;
	size_t			alloc_heads;
	struct kvm_merge_run	*runs;
	size_t			nr_runs;
	struct kvm_merge_run	*current;	/* that got the last entry */
	size_t			nr;		/* entries of all */
};

int kvm_merge_order__init(struct kvm_merge_order *order);
void kvm_merge_order__exit(struct kvm_merge_order *order);
int kvm_merge_order__push(struct kvm_merge_order *order, const struct kvm_merge_entry *entry);
int kvm_merge_order__pop(struct kvm_merge_order *order, struct kvm_merge_entry *entry);

/* NULL: there is none. */
static inline const struct kvm_merge_entry *
kvm_merge_order__first(const struct kvm_merge_order *order)
{
	return order->nr_heads ? &order->heads[0].entry : NULL;
}

#endif /* __PERF_KVM_MERGE_ORDER_H */
