// SPDX-License-Identifier: GPL-2.0
/*
 * Walks the layout of records, as the attr of their event has it. The layout is
 * that of include/uapi/linux/perf_event.h; here it also has to fit the size of the
 * record to the byte, since a reader of the merged file will trust it.
 */
#include "kvm-merge-record.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "event.h"

struct cursor {
	u64	*pos;
	u64	*end;
};

/* NULL if the record does not have as much. */
static u64 *take(struct cursor *cur, u64 words)
{
	u64 *pos = cur->pos;

	if (words > (u64)(cur->end - cur->pos))
		return NULL;
	cur->pos += words;
	return pos;
}

static int skip(struct cursor *cur, u64 words)
{
	return take(cur, words) ? 0 : -EBADMSG;
}

/* A number, then as many elements of so many words. */
static int skip_array(struct cursor *cur, u64 element)
{
	u64 *nr = take(cur, 1);

	if (!nr || *nr > (u64)(cur->end - cur->pos))
		return -EBADMSG;
	return skip(cur, *nr * element);
}

static int skip_bytes(struct cursor *cur)
{
	u64 *size = take(cur, 1);

	if (!size || *size % sizeof(u64))
		return -EBADMSG;
	return skip(cur, *size / sizeof(u64));
}

static s8 next_word(u64 sample_type, u64 bit, u8 *words)
{
	return sample_type & bit ? (s8)(*words)++ : -1;
}

void kvm_merge_layout__init(struct kvm_merge_layout *layout, u64 sample_type)
{
	s8 *sample = layout->sample, *trailer = layout->trailer;
	u8 *words = &layout->sample_words;

	memset(layout, 0, sizeof(*layout));
	sample[KVM_MERGE_IDENT]		= next_word(sample_type, PERF_SAMPLE_IDENTIFIER, words);
	next_word(sample_type, PERF_SAMPLE_IP, words);
	sample[KVM_MERGE_TID]		= next_word(sample_type, PERF_SAMPLE_TID, words);
	sample[KVM_MERGE_TIME]		= next_word(sample_type, PERF_SAMPLE_TIME, words);
	next_word(sample_type, PERF_SAMPLE_ADDR, words);
	sample[KVM_MERGE_ID]		= next_word(sample_type, PERF_SAMPLE_ID, words);
	sample[KVM_MERGE_STREAM_ID]	= next_word(sample_type, PERF_SAMPLE_STREAM_ID, words);
	sample[KVM_MERGE_CPU]		= next_word(sample_type, PERF_SAMPLE_CPU, words);
	next_word(sample_type, PERF_SAMPLE_PERIOD, words);

	words = &layout->trailer_words;
	trailer[KVM_MERGE_TID]		= next_word(sample_type, PERF_SAMPLE_TID, words);
	trailer[KVM_MERGE_TIME]		= next_word(sample_type, PERF_SAMPLE_TIME, words);
	trailer[KVM_MERGE_ID]		= next_word(sample_type, PERF_SAMPLE_ID, words);
	trailer[KVM_MERGE_STREAM_ID]	= next_word(sample_type, PERF_SAMPLE_STREAM_ID, words);
	trailer[KVM_MERGE_CPU]		= next_word(sample_type, PERF_SAMPLE_CPU, words);
	trailer[KVM_MERGE_IDENT]	= next_word(sample_type, PERF_SAMPLE_IDENTIFIER, words);
}

static int walk_group(struct cursor *cur, u64 nr, u64 format, kvm_merge_map_id_t map_id, void *data)
{
	u64 words = 1 + !!(format & PERF_FORMAT_ID) + !!(format & PERF_FORMAT_LOST);

	if (nr > (u64)(cur->end - cur->pos))
		return -EBADMSG;
	while (nr--) {
		u64 *value = take(cur, words);

		if (!value || ((format & PERF_FORMAT_ID) && map_id(data, &value[1])))
			return -EBADMSG;
	}
	return 0;
}

/* What read() of an event gives, in samples and in PERF_RECORD_READ. */
static int walk_read(struct cursor *cur, u64 format, kvm_merge_map_id_t map_id, void *data)
{
	u64 *first = take(cur, 1), *id;
	int err = skip(cur, !!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) +
			    !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING));

	if (!first || err)
		return -EBADMSG;
	if (format & PERF_FORMAT_GROUP)
		return walk_group(cur, *first, format, map_id, data);
	if (format & PERF_FORMAT_ID) {
		id = take(cur, 1);
		if (!id || map_id(data, id))
			return -EBADMSG;
	}
	return skip(cur, !!(format & PERF_FORMAT_LOST));
}

/* Its size does not count itself, and both together are padded. */
static int walk_raw(struct cursor *cur)
{
	u32 size;

	if (cur->pos == cur->end)
		return -EBADMSG;
	memcpy(&size, cur->pos, sizeof(size));
	if ((size + (u64)sizeof(size)) % sizeof(u64))
		return -EBADMSG;
	return skip(cur, (size + (u64)sizeof(size)) / sizeof(u64));
}

static int walk_branches(struct cursor *cur, u64 type)
{
	u64 *nr = take(cur, 1);
	u64 words = sizeof(struct perf_branch_entry) / sizeof(u64);

	if (!nr || *nr > (u64)(cur->end - cur->pos))
		return -EBADMSG;
	if (type & PERF_SAMPLE_BRANCH_COUNTERS)
		words++;
	return skip(cur, !!(type & PERF_SAMPLE_BRANCH_HW_INDEX) + *nr * words);
}

static int walk_regs(struct cursor *cur, u64 mask)
{
	u64 *abi = take(cur, 1);

	if (!abi)
		return -EBADMSG;
	return *abi ? skip(cur, hweight64(mask)) : 0;
}

static int walk_stack(struct cursor *cur)
{
	u64 *size = cur->pos, *dyn_size;

	if (skip_bytes(cur))
		return -EBADMSG;
	if (!*size)
		return 0;
	dyn_size = take(cur, 1);
	return dyn_size && *dyn_size <= *size ? 0 : -EBADMSG;
}

/* The parts of variable size up to the user's stack. */
static int walk_middle(const struct perf_event_attr *attr, struct cursor *cur,
		       kvm_merge_map_id_t map_id, void *data)
{
	u64 type = attr->sample_type;
	int err = 0;

	if (type & PERF_SAMPLE_READ)
		err = walk_read(cur, attr->read_format, map_id, data);
	if (!err && (type & PERF_SAMPLE_CALLCHAIN))
		err = skip_array(cur, 1);
	if (!err && (type & PERF_SAMPLE_RAW))
		err = walk_raw(cur);
	if (!err && (type & PERF_SAMPLE_BRANCH_STACK))
		err = walk_branches(cur, attr->branch_sample_type);
	if (!err && (type & PERF_SAMPLE_REGS_USER))
		err = walk_regs(cur, attr->sample_regs_user);
	if (!err && (type & PERF_SAMPLE_STACK_USER))
		err = walk_stack(cur);
	return err;
}

/* A reader has the names of its own machine's cgroups, and crashes on others. */
static int clear_cgroup(struct cursor *cur)
{
	u64 *cgroup = take(cur, 1);

	if (!cgroup)
		return -EBADMSG;
	*cgroup = 0;
	return 0;
}

static int walk_last(const struct perf_event_attr *attr, struct cursor *cur)
{
	u64 type = attr->sample_type;
	int err = skip(cur, !!(type & PERF_SAMPLE_WEIGHT_TYPE) +
			    !!(type & PERF_SAMPLE_DATA_SRC) + !!(type & PERF_SAMPLE_TRANSACTION));

	if (!err && (type & PERF_SAMPLE_REGS_INTR))
		err = walk_regs(cur, attr->sample_regs_intr);
	if (!err)
		err = skip(cur, !!(type & PERF_SAMPLE_PHYS_ADDR));
	if (!err && (type & PERF_SAMPLE_CGROUP))
		err = clear_cgroup(cur);
	if (!err)
		err = skip(cur, !!(type & PERF_SAMPLE_DATA_PAGE_SIZE) +
				!!(type & PERF_SAMPLE_CODE_PAGE_SIZE));
	if (!err && (type & PERF_SAMPLE_AUX))
		err = skip_bytes(cur);
	return err;
}

/* Checks all of a sample that fits its layout, and maps the ids of what it read. */
int kvm_merge_record__walk_sample(const struct perf_event_attr *attr, union perf_event *event,
				  kvm_merge_map_id_t map_id, void *data)
{
	struct kvm_merge_layout layout;
	struct cursor cur = { .end = kvm_merge_record__end(event) };
	int err;

	kvm_merge_layout__init(&layout, attr->sample_type);
	cur.pos = (u64 *)event->sample.array + layout.sample_words;
	err = walk_middle(attr, &cur, map_id, data);
	if (!err)
		err = walk_last(attr, &cur);
	return err ?: cur.pos == cur.end ? 0 : -EBADMSG;
}

static int leave_id(void *data __maybe_unused, u64 *id __maybe_unused)
{
	return 0;
}

/* The raw data of a sample that was walked; NULL: it has none. */
void *kvm_merge_record__raw(const struct kvm_merge_attr *attr, union perf_event *event, u32 *size)
{
	struct cursor cur = {
		.pos	= (u64 *)event->sample.array + attr->layout.sample_words,
		.end	= kvm_merge_record__end(event),
	};
	u64 type = attr->attr.sample_type;

	if (((type & PERF_SAMPLE_READ) &&
	     walk_read(&cur, attr->attr.read_format, leave_id, NULL)) ||
	    ((type & PERF_SAMPLE_CALLCHAIN) && skip_array(&cur, 1)) ||
	    !(type & PERF_SAMPLE_RAW) || cur.pos == cur.end)
		return NULL;
	memcpy(size, cur.pos, sizeof(*size));
	return (void *)cur.pos + sizeof(*size);
}

/* A string that ends within the record, and is no longer than a path. */
static int check_string(const struct cursor *cur, const void *string)
{
	const void *end = cur->end;

	if (string >= end)
		return -EBADMSG;
	return strnlen(string, end - string) < min((size_t)(end - string), (size_t)PATH_MAX) ?
	       0 : -EBADMSG;
}

static int check_mmap2(const union perf_event *event, const struct cursor *cur)
{
	/* The name comes last: where it is, all else is. */
	if (check_string(cur, event->mmap2.filename))
		return -EBADMSG;
	if ((event->header.misc & PERF_RECORD_MISC_MMAP_BUILD_ID) &&
	    event->mmap2.build_id_size > sizeof(event->mmap2.build_id))
		return -EBADMSG;
	return 0;
}

static int check_sized(const union perf_event *event, const struct cursor *cur)
{
	const void *end = cur->end;
	u64 words = cur->end - (u64 *)event->sample.array;

	switch (event->header.type) {
	case PERF_RECORD_NAMESPACES:
		return words >= 2 && event->namespaces.nr_namespaces <= (words - 2) / 2 ?
		       0 : -EBADMSG;
	case PERF_RECORD_TEXT_POKE:
		return words >= 2 && event->text_poke.old_len + (size_t)event->text_poke.new_len <=
				     (size_t)(end - (const void *)event->text_poke.bytes) ?
		       0 : -EBADMSG;
	default:
		return 0;
	}
}

static int check_body(const union perf_event *event, const struct cursor *cur)
{
	switch (event->header.type) {
	case PERF_RECORD_MMAP:
		return check_string(cur, event->mmap.filename);
	case PERF_RECORD_MMAP2:
		return check_mmap2(event, cur);
	case PERF_RECORD_COMM:
		return check_string(cur, event->comm.comm);
	case PERF_RECORD_KSYMBOL:
		return check_string(cur, event->ksymbol.name);
	case PERF_RECORD_CGROUP:
		return check_string(cur, event->cgroup.path);
	default:
		return check_sized(event, cur);
	}
}

/* Bytes that a record of the type has at least, without header and trailer. */
static size_t least_body(u32 type)
{
	switch (type) {
	case PERF_RECORD_LOST:
	case PERF_RECORD_READ:
		return 16;
	case PERF_RECORD_EXIT:
	case PERF_RECORD_FORK:
	case PERF_RECORD_THROTTLE:
	case PERF_RECORD_UNTHROTTLE:
	case PERF_RECORD_AUX:
		return 24;
	case PERF_RECORD_BPF_EVENT:
		return 16;
	case PERF_RECORD_SWITCH:
		return 0;
	default:
		return 8;
	}
}

static int walk_body(const struct kvm_merge_attr *attr, union perf_event *event, struct cursor *cur,
		     kvm_merge_map_id_t map_id, void *data)
{
	int err;

	switch (event->header.type) {
	case PERF_RECORD_LOST:
		return map_id(data, take(cur, 1));
	case PERF_RECORD_THROTTLE:
	case PERF_RECORD_UNTHROTTLE:
		/* The id of an inherited event's stream is in no list: it gets the event's. */
		err = map_id(data, &cur->pos[1]);
		cur->pos[2] = cur->pos[1];
		return err;
	case PERF_RECORD_READ:
		cur->pos++;
		return walk_read(cur, attr->attr.read_format, map_id, data);
	default:
		return check_body(event, cur);
	}
}

/* Checks the body of another record that fits its layout, and maps the ids in it. */
int kvm_merge_record__walk_sideband(const struct kvm_merge_attr *attr, union perf_event *event,
				    kvm_merge_map_id_t map_id, void *data)
{
	struct cursor cur = {
		.pos	= (u64 *)event->sample.array,
		.end	= kvm_merge_record__end(event) - attr->layout.trailer_words,
	};

	if ((void *)cur.end - (void *)cur.pos < (ptrdiff_t)least_body(event->header.type))
		return -EBADMSG;
	return walk_body(attr, event, &cur, map_id, data);
}

/* The time that the body of some records has besides that of the trailer. */
u64 *kvm_merge_record__body_time(union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return (u64 *)event->sample.array + 2;
	case PERF_RECORD_THROTTLE:
	case PERF_RECORD_UNTHROTTLE:
		return (u64 *)event->sample.array;
	default:
		return NULL;
	}
}

/* The words of fixed size that a sample begins with, and a trailer is, in their order */
static const u64 sample_words[] = {
	PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_IP, PERF_SAMPLE_TID, PERF_SAMPLE_TIME,
	PERF_SAMPLE_ADDR, PERF_SAMPLE_ID, PERF_SAMPLE_STREAM_ID, PERF_SAMPLE_CPU,
	PERF_SAMPLE_PERIOD,
};

static const u64 trailer_words[] = {
	PERF_SAMPLE_TID, PERF_SAMPLE_TIME, PERF_SAMPLE_ID, PERF_SAMPLE_STREAM_ID,
	PERF_SAMPLE_CPU, PERF_SAMPLE_IDENTIFIER,
};

static size_t count_bytes(u64 sample_type, bool is_sample)
{
	const u64 *words = is_sample ? sample_words : trailer_words;
	size_t nr = is_sample ? ARRAY_SIZE(sample_words) : ARRAY_SIZE(trailer_words), bytes = 0;

	for (size_t i = 0; i < nr; i++)
		bytes += sample_type & words[i] ? sizeof(u64) : 0;
	return bytes;
}

/* May be more than a record can have. */
size_t kvm_merge_reformat__size(const struct kvm_merge_reformat *format,
				const union perf_event *event)
{
	bool is_sample = event->header.type == PERF_RECORD_SAMPLE;

	return event->header.size + count_bytes(format->to, is_sample) -
	       count_bytes(format->from, is_sample);
}

static void copy_words(const struct kvm_merge_reformat *format, const u64 *words, size_t nr,
		       const void *from, void *to)
{
	for (size_t i = 0; i < nr; i++) {
		const u64 *word = words[i] == PERF_SAMPLE_PERIOD ? &format->period : &format->id;

		if (format->from & words[i]) {
			word = from;
			from += sizeof(u64);
		}
		if (format->to & words[i]) {
			memcpy(to, word, sizeof(u64));
			to += sizeof(u64);
		}
	}
}

/* Of a record that fits its layout, to where there is room for as much as it will have. */
void kvm_merge_reformat__copy(const struct kvm_merge_reformat *format,
			      const union perf_event *event, void *to)
{
	const bool is_sample = event->header.type == PERF_RECORD_SAMPLE;
	const size_t old = count_bytes(format->from, is_sample);
	const size_t new = count_bytes(format->to, is_sample);
	const size_t rest = event->header.size - sizeof(event->header) - old;
	struct perf_event_header header = event->header;
	const void *from = event->sample.array;

	header.size += new - old;
	memcpy(to, &header, sizeof(header));
	to += sizeof(header);
	memcpy(to + (is_sample ? new : 0), from + (is_sample ? old : 0), rest);
	if (is_sample)
		copy_words(format, sample_words, ARRAY_SIZE(sample_words), from, to);
	else
		copy_words(format, trailer_words, ARRAY_SIZE(trailer_words), from + rest,
			   to + rest);
}
