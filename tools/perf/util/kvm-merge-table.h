/* SPDX-License-Identifier: GPL-2.0 */
/* What is known of a guest's clock, as a text file. */
#ifndef __PERF_KVM_MERGE_TABLE_H
#define __PERF_KVM_MERGE_TABLE_H

#include <stdio.h>
#include "kvm-merge-clock.h"

struct kvm_merge_table {
	struct kvm_merge_segment	*pv;
	size_t				nr_pv;
	struct kvm_merge_segment	*tsc;
	size_t				nr_tsc;
	struct kvm_merge_reading	*readings;
	size_t				nr_readings;
};

int kvm_merge_table__read(struct kvm_merge_table *table, const char *path);
void kvm_merge_table__exit(struct kvm_merge_table *table);
void kvm_merge_table__set(const struct kvm_merge_table *table, struct kvm_merge_clock_opts *opts);
int kvm_merge_clock_opts__write(const struct kvm_merge_clock_opts *opts, FILE *fp);

#endif /* __PERF_KVM_MERGE_TABLE_H */
