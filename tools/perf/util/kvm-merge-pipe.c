// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what a recording in perf's pipe format says of itself. There, what a file
 * has in its header comes as records: most of it before the first sample, but it
 * may come at any place. None of it is used before it was checked.
 */
#include "kvm-merge-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include "debug.h"
#include "event.h"
#include "kvm-merge-record.h"
#include "kvm-merge-stream.h"

/* Each is looked for among all events: endless ones must not take endless time. */
#define MAX_NAMES	(4 * KVM_MERGE_MAX_ATTRS)

/* Names and build ids are strings that end within their record. */
static bool has_string(const union perf_event *event, const char *string)
{
	const char *end = (const char *)event + event->header.size;

	return string < end && memchr(string, '\0', end - string);
}

static struct kvm_merge_attr *new_attr(struct kvm_merge_file *file)
{
	struct kvm_merge_attr *attrs;

	attrs = reallocarray(file->attrs, file->nr_attrs + 1, sizeof(*attrs));
	if (!attrs)
		return NULL;
	file->attrs = attrs;
	attrs += file->nr_attrs;
	memset(attrs, 0, sizeof(*attrs));
	return attrs;
}

/* The attr has as many bytes as it says itself; the rest are ids. */
static bool attr_is_sound(const struct kvm_merge_file *file, const union perf_event *event,
			  u32 *size, u32 *nr_ids)
{
	size_t left = event->header.size - sizeof(event->header);

	if (left < PERF_ATTR_SIZE_VER0 || file->nr_attrs == KVM_MERGE_MAX_ATTRS)
		return false;
	*size = event->attr.attr.size;
	if (*size < PERF_ATTR_SIZE_VER0 || *size > left || *size % sizeof(u64) ||
	    left % sizeof(u64))
		return false;
	*nr_ids = (left - *size) / sizeof(u64);
	return *nr_ids <= KVM_MERGE_MAX_IDS - file->nr_ids;
}

static int take_attr(struct kvm_merge_file *file, const union perf_event *event)
{
	const void *raw = &event->attr.attr;
	struct kvm_merge_attr *attr;
	u32 size, nr_ids;
	int err;

	if (!attr_is_sound(file, event, &size, &nr_ids)) {
		pr_err("%s: its list of events cannot be read.\n", file->path);
		return -EINVAL;
	}
	attr = new_attr(file);
	if (!attr)
		return -ENOMEM;
	err = kvm_merge_file__copy_attr(file, &attr->attr, raw, size);
	if (err)
		return err;
	attr->ids = malloc(nr_ids * sizeof(u64) ?: 1);
	if (!attr->ids)
		return -ENOMEM;
	memcpy(attr->ids, raw + size, nr_ids * sizeof(u64));
	attr->nr_ids = nr_ids;
	kvm_merge_layout__init(&attr->layout, attr->attr.sample_type);
	file->nr_attrs++;
	file->nr_ids += nr_ids;
	return 0;
}

/* perf gives names by the first id of an event. */
static struct kvm_merge_attr *find_attr(struct kvm_merge_file *file, u64 id)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		if (file->attrs[i].nr_ids && file->attrs[i].ids[0] == id)
			return &file->attrs[i];
	}
	return NULL;
}

/* Only the name is used of it. */
static int take_event_update(struct kvm_merge_file *file, const union perf_event *event)
{
	const struct perf_record_event_update *update = &event->event_update;
	struct kvm_merge_attr *attr;

	if (event->header.size < offsetof(struct perf_record_event_update, name))
		return -EBADMSG;
	if (update->type != PERF_EVENT_UPDATE__NAME)
		return 0;
	if (file->nr_names++ >= MAX_NAMES)
		return -EBADMSG;
	attr = find_attr(file, update->id);
	if (!attr || !has_string(event, update->name))
		return -EBADMSG;
	kvm_merge_file__set_name(attr, update->name);
	return 0;
}

/* Adds to what there is of a feature. */
static int add_body(struct kvm_merge_file *file, int feat, const void *data, size_t size)
{
	struct kvm_merge_body *body = &file->bodies[feat];
	void *grown;

	if (size > KVM_MERGE_MAX_FEATURE - body->size)
		return -EBADMSG;
	grown = realloc(body->data, body->size + size);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + body->size, data, size);
	body->data = grown;
	body->size += size;
	__set_bit(feat, file->features);
	return 0;
}

/* An empty one is a mark, and one that this perf does not know is of a newer perf. */
static int take_feature(struct kvm_merge_file *file, const union perf_event *event)
{
	const struct perf_record_header_feature *feature = &event->feat;
	size_t size;
	int err;

	if (event->header.size < sizeof(*feature))
		return -EBADMSG;
	size = event->header.size - sizeof(*feature);
	if (!size || feature->feat_id < HEADER_FIRST_FEATURE ||
	    feature->feat_id >= HEADER_LAST_FEATURE)
		return 0;
	file->bodies[feature->feat_id].size = 0;
	err = add_body(file, feature->feat_id, feature->data, size);
	if (!err && feature->feat_id == HEADER_EVENT_DESC)
		kvm_merge_file__parse_names(file, feature->data, feature->data + size);
	return err;
}

/* In a file they are one after the other, as these records are. */
static int take_build_id(struct kvm_merge_file *file, const union perf_event *event)
{
	if (event->header.size <= sizeof(event->build_id) ||
	    event->header.size % sizeof(u32) || !has_string(event, event->build_id.filename))
		return -EBADMSG;
	return add_body(file, HEADER_BUILD_ID, event, event->header.size);
}

/* What follows the record is in the file, and stays there. */
static int take_tracing_data(struct kvm_merge_file *file, const struct kvm_merge_stream *stream)
{
	if (!stream->behind.size || stream->behind.size > KVM_MERGE_MAX_FEATURE)
		return -EBADMSG;
	file->sections[HEADER_TRACING_DATA] = stream->behind;
	__set_bit(HEADER_TRACING_DATA, file->features);
	return 0;
}

/*
 * Takes a record that belongs into a header. -ENOENT: it is another one; -EBADMSG:
 * it contradicts itself, and is left out. Attrs have to come before all samples.
 */
int kvm_merge_pipe__take(struct kvm_merge_file *file, const struct kvm_merge_stream *stream,
			 const union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_HEADER_ATTR:
		return kvm_merge_stream__tell(stream) <= file->head_end ? 0 : -EBADMSG;
	case PERF_RECORD_EVENT_UPDATE:
		return take_event_update(file, event);
	case PERF_RECORD_HEADER_FEATURE:
		return take_feature(file, event);
	case PERF_RECORD_HEADER_BUILD_ID:
		return take_build_id(file, event);
	case PERF_RECORD_HEADER_TRACING_DATA:
		return take_tracing_data(file, stream);
	default:
		return -ENOENT;
	}
}

/* The main pass sees all but the attrs again, and counts what is damaged. */
static int take_early(struct kvm_merge_file *file, const struct kvm_merge_stream *stream,
		      const union perf_event *event)
{
	int err;

	switch (event->header.type) {
	case PERF_RECORD_HEADER_ATTR:
		return take_attr(file, event);
	case PERF_RECORD_HEADER_BUILD_ID:
		return 0;
	case PERF_RECORD_AUXTRACE_INFO:
		__set_bit(HEADER_AUXTRACE, file->features);
		return 0;
	default:
		err = kvm_merge_pipe__take(file, stream, event);
		return err == -ENOMEM ? err : 0;
	}
}

static bool is_start(const union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_SAMPLE:
	case PERF_RECORD_FINISHED_INIT:
	case PERF_RECORD_FINISHED_ROUND:
	case PERF_RECORD_COMPRESSED:
	case PERF_RECORD_AUXTRACE:
		return true;
	default:
		return false;
	}
}

/* Reads up to the first sample, or what comes instead. */
int kvm_merge_pipe__read_head(struct kvm_merge_file *file)
{
	struct kvm_merge_stream stream;
	union perf_event *event;
	int err;

	file->data_offset = sizeof(struct perf_pipe_file_header);
	file->data_size = file->size - file->data_offset;
	err = kvm_merge_stream__init(&stream, file);
	stream.is_preview = true;
	while (!err) {
		err = kvm_merge_stream__next(&stream, &event);
		if (err || !event)
			break;
		err = take_early(file, &stream, event);
		if (is_start(event))
			break;
	}
	file->head_end = kvm_merge_stream__tell(&stream);
	kvm_merge_stream__exit(&stream);
	if (!err && !file->nr_attrs) {
		pr_err("%s: does not describe its events before the first sample: it is cut off, or was\n"
		       "recorded with --overwrite or --tail-synthesize: record it without.\n",
		       file->path);
		err = -EINVAL;
	}
	return err;
}
