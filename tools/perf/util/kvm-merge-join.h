/* SPDX-License-Identifier: GPL-2.0 */
/* Which events of guests are put under one of the host's, so that readers show one list. */
#ifndef __PERF_KVM_MERGE_JOIN_H
#define __PERF_KVM_MERGE_JOIN_H

#include <stdbool.h>
#include <stddef.h>

struct kvm_merge_guest;

/* Two events, by their names, that are to be shown as one. */
struct kvm_merge_pair {
	char	*host;
	char	*guest;
};

struct kvm_merge_joins {
	bool			 separate;	/* nothing but the pairs is joined */
	struct kvm_merge_pair	*pairs;
	size_t			 nr_pairs;
};

int kvm_merge_joins__add(struct kvm_merge_joins *joins, const char *text);
void kvm_merge_joins__exit(struct kvm_merge_joins *joins);
void kvm_merge_guest__join_events(struct kvm_merge_guest *guest);

#endif /* __PERF_KVM_MERGE_JOIN_H */
