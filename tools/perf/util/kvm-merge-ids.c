// SPDX-License-Identifier: GPL-2.0
/*
 * Tells by the id in a record of which event of its file it is, and keeps the ids
 * that the merged file has instead.
 */
#include "kvm-merge-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "kvm-merge-file.h"

/* A file from a guest must not make the host's memory fill up. */
#define MAX_OUT_IDS	1048576

static s16 sample_pos(const struct kvm_merge_layout *layout)
{
	return layout->sample[KVM_MERGE_IDENT] >= 0 ? layout->sample[KVM_MERGE_IDENT] :
						      layout->sample[KVM_MERGE_ID];
}

static s16 trailer_pos(const struct kvm_merge_layout *layout)
{
	s8 word = layout->trailer[KVM_MERGE_IDENT];

	if (word < 0)
		word = layout->trailer[KVM_MERGE_ID];
	return word < 0 ? -1 : layout->trailer_words - word;
}

static int check_attr(const struct kvm_merge_file *file, const struct perf_event_attr *attr)
{
	if (!attr->sample_id_all) {
		pr_err("%s: its records do not tell their times (no sample_id_all): record it with a\n"
		       "newer perf and kernel.\n", file->path);
		return -EINVAL;
	}
	if (!(attr->sample_type & PERF_SAMPLE_TIME)) {
		pr_err("%s: an event was recorded without times: record it with 'perf record -T'.\n",
		       file->path);
		return -EINVAL;
	}
	if ((attr->sample_type & PERF_SAMPLE_READ) && !(attr->read_format & PERF_FORMAT_ID)) {
		pr_err("%s: an event's samples have counts without ids, which perf cannot read.\n",
		       file->path);
		return -EINVAL;
	}
	return 0;
}

/* As for perf itself, the id has to be found before it is known what the record is. */
static int find_positions(struct kvm_merge_ids *ids, const struct kvm_merge_file *file)
{
	const struct kvm_merge_layout *first = &file->attrs[0].layout;

	ids->sample_pos = sample_pos(first);
	ids->trailer_pos = trailer_pos(first);
	for (u32 i = 0; i < file->nr_attrs; i++) {
		const struct kvm_merge_layout *layout = &file->attrs[i].layout;
		int err = check_attr(file, &file->attrs[i].attr);

		if (err)
			return err;
		if (sample_pos(layout) == ids->sample_pos &&
		    trailer_pos(layout) == ids->trailer_pos &&
		    (ids->sample_pos >= 0 || file->nr_attrs == 1))
			continue;
		pr_err("%s: its records cannot be told apart by event, as they have no ids in one place:\n"
		       "record it with 'perf record --sample-identifier'.\n", file->path);
		return -EINVAL;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct kvm_merge_id *l = a, *r = b;

	return l->id < r->id ? -1 : l->id > r->id;
}

static int fill(struct kvm_merge_ids *ids, const struct kvm_merge_file *file, u64 first)
{
	struct kvm_merge_id *entry = ids->entries;

	for (u32 i = 0; i < file->nr_attrs; i++) {
		for (u32 j = 0; j < file->attrs[i].nr_ids; j++, entry++) {
			entry->id = file->attrs[i].ids[j];
			entry->attr = i;
		}
	}
	qsort(ids->entries, ids->nr, sizeof(*ids->entries), compare);
	for (size_t i = 0; i < ids->nr; i++) {
		if (ids->nr > 1 && (!ids->entries[i].id ||
				    (i && ids->entries[i].id == ids->entries[i - 1].id))) {
			pr_err("%s: two of its events have the id %" PRIu64
			       ": it is damaged, record it again.\n",
			       file->path, ids->entries[i].id);
			return -EINVAL;
		}
		if (ids->entries[i].id == first)
			ids->deflt = &ids->entries[i];
	}
	return 0;
}

static u64 first_id(const struct kvm_merge_file *file)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		if (file->attrs[i].nr_ids)
			return file->attrs[i].ids[0];
	}
	return 0;
}

/* A file of one event may have no ids at all; then there is one entry, of id 0. */
int kvm_merge_ids__init(struct kvm_merge_ids *ids, const struct kvm_merge_file *file)
{
	int err;

	memset(ids, 0, sizeof(*ids));
	err = find_positions(ids, file);
	if (err)
		return err;
	for (u32 i = 0; i < file->nr_attrs; i++)
		ids->nr += file->attrs[i].nr_ids;
	if (!ids->nr && ids->sample_pos >= 0) {
		pr_err("%s: has no list of the ids of its events: record it again.\n", file->path);
		return -EINVAL;
	}
	if (!ids->nr)
		ids->nr = 1;
	ids->entries = calloc(ids->nr, sizeof(*ids->entries));
	if (!ids->entries)
		return -ENOMEM;
	return fill(ids, file, first_id(file));
}

void kvm_merge_ids__exit(struct kvm_merge_ids *ids)
{
	for (size_t i = 0; ids->entries && i < ids->nr; i++)
		free(ids->entries[i].out);
	zfree(&ids->entries);
}

/* perf synthesizes records with an id of 0: they are those of the first event. */
struct kvm_merge_id *kvm_merge_ids__find(struct kvm_merge_ids *ids, u64 id)
{
	struct kvm_merge_id key = { .id = id }, *entry;

	if (!id)
		return ids->deflt;
	if (ids->last && ids->last->id == id)
		return ids->last;
	entry = bsearch(&key, ids->entries, ids->nr, sizeof(key), compare);
	if (entry)
		ids->last = entry;
	return entry;
}

/* NULL: it is of no event of its file. */
struct kvm_merge_id *kvm_merge_ids__of_event(struct kvm_merge_ids *ids,
					     const union perf_event *event)
{
	size_t words = (event->header.size - sizeof(event->header)) / sizeof(u64);
	const __u64 *array = event->sample.array;
	s16 pos = ids->trailer_pos;

	if (ids->sample_pos < 0)
		return ids->deflt;
	if (event->header.type == PERF_RECORD_SAMPLE)
		return (size_t)ids->sample_pos < words ?
		       kvm_merge_ids__find(ids, array[ids->sample_pos]) : NULL;
	return (size_t)pos <= words ? kvm_merge_ids__find(ids, array[words - pos]) : NULL;
}

/* 0: it has none yet. */
u64 kvm_merge_id__lookup(const struct kvm_merge_id *id, s32 vcpu)
{
	for (u32 i = 0; i < id->nr_out; i++) {
		if (id->out[i].vcpu == vcpu)
			return id->out[i].id;
	}
	return 0;
}

bool kvm_merge_ids__has_room(const struct kvm_merge_ids *ids)
{
	return ids->nr_out < MAX_OUT_IDS;
}

int kvm_merge_ids__add_out(struct kvm_merge_ids *ids, struct kvm_merge_id *id, s32 vcpu, u64 out)
{
	struct kvm_merge_out_id *list;

	if (!kvm_merge_ids__has_room(ids))
		return -E2BIG;
	list = reallocarray(id->out, id->nr_out + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	id->out = list;
	list[id->nr_out++] = (struct kvm_merge_out_id){ .vcpu = vcpu, .id = out };
	ids->nr_out++;
	return 0;
}
