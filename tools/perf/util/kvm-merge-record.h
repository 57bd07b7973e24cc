/* SPDX-License-Identifier: GPL-2.0 */
/* Finds, checks and changes the fields of records that one attr describes. */
#ifndef __PERF_KVM_MERGE_RECORD_H
#define __PERF_KVM_MERGE_RECORD_H

#include <stdbool.h>
#include <linux/types.h>
#include "event.h"
#include "kvm-merge-file.h"

/* Gives an id of the file its number in the output: an error if there is no such id. */
typedef int (*kvm_merge_map_id_t)(void *data, u64 *id);

void kvm_merge_layout__init(struct kvm_merge_layout *layout, u64 sample_type);
int kvm_merge_record__walk_sample(const struct perf_event_attr *attr, union perf_event *event,
				  kvm_merge_map_id_t map_id, void *data);
int kvm_merge_record__walk_sideband(const struct kvm_merge_attr *attr, union perf_event *event,
				    kvm_merge_map_id_t map_id, void *data);
void *kvm_merge_record__raw(const struct kvm_merge_attr *attr, union perf_event *event, u32 *size);
u64 *kvm_merge_record__body_time(union perf_event *event);

/* A change of the words that are the same in all records of an event. */
struct kvm_merge_reformat {
	u64	from;		/* sample types */
	u64	to;
	u64	id;		/* for words that the record does not have */
	u64	period;		/* likewise */
};

size_t kvm_merge_reformat__size(const struct kvm_merge_reformat *format,
				const union perf_event *event);
void kvm_merge_reformat__copy(const struct kvm_merge_reformat *format,
			      const union perf_event *event, void *to);

/* For each record several times: hence here. */

static inline u64 *kvm_merge_record__end(union perf_event *event)
{
	return (u64 *)((void *)event + event->header.size);
}

/* Whether the record is long enough to have the fields at all. */
static inline bool kvm_merge_layout__fits(const struct kvm_merge_layout *layout,
					  const union perf_event *event)
{
	size_t words = event->header.type == PERF_RECORD_SAMPLE ? layout->sample_words :
								   layout->trailer_words;

	return event->header.size >= sizeof(event->header) + words * sizeof(u64);
}

/* Of a record that fits; NULL if its event does not have the field. */
static inline u64 *kvm_merge_layout__field(const struct kvm_merge_layout *layout,
					   union perf_event *event, enum kvm_merge_field field)
{
	bool is_sample = event->header.type == PERF_RECORD_SAMPLE;
	s8 word = is_sample ? layout->sample[field] : layout->trailer[field];

	if (word < 0)
		return NULL;
	if (is_sample)
		return (u64 *)event->sample.array + word;
	return kvm_merge_record__end(event) - layout->trailer_words + word;
}

#endif /* __PERF_KVM_MERGE_RECORD_H */
