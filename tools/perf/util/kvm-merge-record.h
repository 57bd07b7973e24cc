/* SPDX-License-Identifier: GPL-2.0 */
/* Finds, checks and changes the fields of records that one attr describes. */
#ifndef __PERF_KVM_MERGE_RECORD_H
#define __PERF_KVM_MERGE_RECORD_H

#include <stdbool.h>
#include <linux/types.h>
#include "kvm-merge-file.h"

union perf_event;

/* Gives an id of the file its number in the output: an error if there is no such id. */
typedef int (*kvm_merge_map_id_t)(void *data, u64 *id);

void kvm_merge_layout__init(struct kvm_merge_layout *layout, u64 sample_type);
bool kvm_merge_layout__fits(const struct kvm_merge_layout *layout, const union perf_event *event);
u64 *kvm_merge_layout__field(const struct kvm_merge_layout *layout, union perf_event *event,
			     enum kvm_merge_field field);
int kvm_merge_record__walk_sample(const struct perf_event_attr *attr, union perf_event *event,
				  kvm_merge_map_id_t map_id, void *data);
int kvm_merge_record__walk_sideband(const struct kvm_merge_attr *attr, union perf_event *event,
				    kvm_merge_map_id_t map_id, void *data);
void *kvm_merge_record__raw(const struct kvm_merge_attr *attr, union perf_event *event, u32 *size);
u64 *kvm_merge_record__body_time(union perf_event *event);

#endif /* __PERF_KVM_MERGE_RECORD_H */
