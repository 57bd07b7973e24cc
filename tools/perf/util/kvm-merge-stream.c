// SPDX-License-Identifier: GPL-2.0
/*
 * Reads a perf.data file's records in large blocks and gives them in the order
 * of their times. What perf record wrote between two of its FINISHED_ROUND marks
 * is in no order, and only that is held in memory:
 *
 *   file:   [ ... | block | block | block ... ]
 *                    ^  ^      ^ ^
 *   order:          entries point to the records; a block lives as long as one
 *                   of its records waits
 *
 * A file may have no such marks, or lie: what is held has a limit, and beyond it the
 * earliest record is given though an earlier one may follow.
 */
#include "kvm-merge-stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "kvm-merge-file.h"

/* At least two records of any size. Who fuzzes this takes the least. */
#ifndef KVM_MERGE_BLOCK_SIZE
#define KVM_MERGE_BLOCK_SIZE	(1024 * 1024)
#endif

/* Of what one compressed record can hold: a file must not have us take any size. */
#define MAX_PLAIN_SIZE	(64U * 1024 * 1024)

struct kvm_merge_block {
	struct kvm_merge_pool	*pool;
	unsigned int		refs;
	size_t			size;
	size_t			len;
	u64			data[];		/* so that records are aligned */
};

static struct kvm_merge_block *block__new(struct kvm_merge_pool *pool, size_t size)
{
	struct kvm_merge_block *block = pool->spare;

	if (block && block->size == size)
		pool->spare = NULL;
	else
		block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	*block = (struct kvm_merge_block){ .pool = pool, .refs = 1, .size = size };
	pool->held += size;
	return block;
}

/* New memory costs the kernel more than to fill it, so one block is kept. */
static void block__put(struct kvm_merge_block *block)
{
	struct kvm_merge_pool *pool;

	if (!block || --block->refs)
		return;
	pool = block->pool;
	pool->held -= block->size;
	if (pool->spare) {
		free(block);
		return;
	}
	pool->spare = block;
}

static size_t window__left(const struct kvm_merge_window *window)
{
	return window->block ? window->block->len - window->pos : 0;
}

static void *window__data(const struct kvm_merge_window *window)
{
	return (char *)window->block->data + window->pos;
}

/* The header of the next record, which need not be aligned. */
static bool window__header(const struct kvm_merge_window *window, struct perf_event_header *header)
{
	if (window__left(window) < sizeof(*header))
		return false;
	memcpy(header, window__data(window), sizeof(*header));
	return true;
}

static bool window__has_record(const struct kvm_merge_window *window)
{
	struct perf_event_header header;

	return window__header(window, &header) && window__left(window) >= header.size;
}

/* The rest of a record that began in the last block goes in front of the new one. */
static void window__move_to(struct kvm_merge_window *window, struct kvm_merge_block *block)
{
	size_t tail = window__left(window);

	if (tail)
		memcpy(block->data, window__data(window), tail);
	block->len += tail;
	block__put(window->block);
	window->block = block;
	window->pos = 0;
}

/* NULL: there is none that could be. The window has it whole. */
static union perf_event *window__take(struct kvm_merge_window *window)
{
	struct perf_event_header header;
	size_t pos = window->pos;

	if (!window__header(window, &header) || header.size < sizeof(header) ||
	    (header.type < PERF_RECORD_USER_TYPE_START && header.size % sizeof(u64)))
		return NULL;
	window->pos += header.size;
	/*
	 * Only perf's own records have odd sizes. They do not wait to be sorted, so
	 * what follows can go where they were.
	 */
	if (pos % sizeof(u64)) {
		void *data = window->block->data;
		size_t aligned = pos - pos % sizeof(u64);

		memmove(data + aligned, data + pos, header.size);
		pos = aligned;
	}
	return (void *)window->block->data + pos;
}

/* Version, type, level and ratio, then the size. */
static u32 read_plain_size(const struct kvm_merge_file *file)
{
	u32 *feature = NULL, plain_size = 0;
	size_t size;

	if (kvm_merge_file__feature(file, HEADER_COMPRESSED, (void **)&feature, &size))
		return 0;
	if (size >= 5 * sizeof(u32))
		plain_size = feature[4];
	free(feature);
	return min(plain_size, MAX_PLAIN_SIZE);
}

int kvm_merge_stream__init(struct kvm_merge_stream *stream, const struct kvm_merge_file *file)
{
	memset(stream, 0, sizeof(*stream));
	stream->file = file;
	stream->offset = file->data_offset;
	stream->end = file->data_offset + file->data_size;
	stream->plain_size = read_plain_size(file);
	stream->max_held = KVM_MERGE_MAX_HELD;
	zstd_init(&stream->zstd, 0);
	return kvm_merge_order__init(&stream->order);
}

void kvm_merge_stream__exit(struct kvm_merge_stream *stream)
{
	struct kvm_merge_entry entry;

	while (!kvm_merge_order__pop(&stream->order, &entry))
		block__put(entry.block);
	kvm_merge_order__exit(&stream->order);
	block__put(stream->raw.block);
	block__put(stream->plain.block);
	stream->raw.block = NULL;
	stream->plain.block = NULL;
	zfree(&stream->pool.spare);
	zstd_fini(&stream->zstd);
}

static int read_block(struct kvm_merge_stream *stream)
{
	size_t tail = window__left(&stream->raw);
	size_t size = min((u64)(KVM_MERGE_BLOCK_SIZE - tail), stream->end - stream->offset);
	struct kvm_merge_block *block = block__new(&stream->pool, KVM_MERGE_BLOCK_SIZE);
	int err;

	if (!block)
		return -ENOMEM;
	err = kvm_merge_file__read_at(stream->file, (char *)block->data + tail, size,
				      stream->offset);
	if (err) {
		pr_err("%s: cannot be read: %s\n", stream->file->path, strerror(-err));
		block__put(block);
		return err;
	}
	block->len = size;
	window__move_to(&stream->raw, block);
	stream->offset += size;
	return 0;
}

/* Where in the file the next record begins. */
u64 kvm_merge_stream__tell(const struct kvm_merge_stream *stream)
{
	return stream->offset - window__left(&stream->raw);
}

/* Whether the file just ends before its last record does. */
static bool is_cut_off(const struct kvm_merge_stream *stream)
{
	struct perf_event_header header;

	if (stream->file->cut)
		return true;
	return stream->offset == stream->end && !window__left(&stream->plain) &&
	       (!window__header(&stream->raw, &header) ||
		(header.size >= sizeof(header) && header.size > window__left(&stream->raw)));
}

/* Nothing tells where a record begins but the size of the one before. */
static void stop_at_damage(struct kvm_merge_stream *stream)
{
	if (!stream->is_preview)
		pr_warning("%s: is %s at byte %" PRIu64 ": what follows is left out.\n",
			   stream->file->path, is_cut_off(stream) ? "cut off" : "damaged",
			   kvm_merge_stream__tell(stream));
	kvm_merge_stream__stop(stream);
}

/* Leaves out what follows; the caller says why. */
void kvm_merge_stream__stop(struct kvm_merge_stream *stream)
{
	stream->damaged = true;
	stream->offset = stream->end;
	if (stream->raw.block)
		stream->raw.pos = stream->raw.block->len;
	if (stream->plain.block)
		stream->plain.pos = stream->plain.block->len;
}

/* 0 if nothing comes of it: it is damaged, or this perf cannot do it. */
static size_t decompress(struct kvm_merge_stream *stream, union perf_event *event,
			 void *data, size_t size)
{
	struct perf_record_compressed *pack = &event->pack;

	return pack->header.size > sizeof(*pack) ?
	       zstd_decompress_stream(&stream->zstd, (void *)pack + sizeof(*pack),
				      pack->header.size - sizeof(*pack), data, size) : 0;
}

/* Its content goes on where that of the compressed record before ended. */
static int unpack(struct kvm_merge_stream *stream, union perf_event *event)
{
	size_t tail = window__left(&stream->plain);
	struct kvm_merge_block *block;

	if (!stream->plain_size) {
		pr_warning("%s: is compressed, and its header does not tell how: what is compressed is left\n"
			   "out. Record it without -z.\n", stream->file->path);
		kvm_merge_stream__stop(stream);
		return 0;
	}
	block = block__new(&stream->pool, tail + stream->plain_size);
	if (!block)
		return -ENOMEM;
	block->len = decompress(stream, event, (char *)block->data + tail, stream->plain_size);
	if (!block->len) {
		block__put(block);
		stop_at_damage(stream);
		return 0;
	}
	window__move_to(&stream->plain, block);
	return 0;
}

/* The data of tracepoints' formats comes behind its record. */
static void skip_behind(struct kvm_merge_stream *stream, const union perf_event *event)
{
	u64 size, there;

	stream->behind.size = 0;
	if (event->header.type != PERF_RECORD_HEADER_TRACING_DATA)
		return;
	if (event->header.size < offsetof(struct perf_record_header_tracing_data, pad)) {
		stop_at_damage(stream);
		return;
	}
	size = event->tracing_data.size;
	there = min_t(u64, size, window__left(&stream->raw));
	stream->behind.offset = kvm_merge_stream__tell(stream);
	stream->raw.pos += there;
	if (size - there > stream->end - stream->offset) {
		stop_at_damage(stream);
		return;
	}
	stream->offset += size - there;
	stream->behind.size = size;
}

/* The next record of the file itself, or NULL: there is none. */
static int next_raw(struct kvm_merge_stream *stream, union perf_event **event)
{
	int err;

	*event = NULL;
	if (!window__has_record(&stream->raw) && stream->offset < stream->end) {
		err = read_block(stream);
		if (err)
			return err;
	}
	if (window__has_record(&stream->raw))
		*event = window__take(&stream->raw);
	if (*event)
		skip_behind(stream, *event);
	if (!*event && (window__left(&stream->raw) || window__left(&stream->plain)))
		stop_at_damage(stream);
	return 0;
}

/* The next record in the order of the file, or NULL at the end. */
int kvm_merge_stream__next(struct kvm_merge_stream *stream, union perf_event **event)
{
	int err;

	for (;;) {
		if (window__has_record(&stream->plain)) {
			*event = window__take(&stream->plain);
			stream->current = stream->plain.block;
			if (*event)
				return 0;
			stop_at_damage(stream);
		}
		err = next_raw(stream, event);
		if (err || !*event || (*event)->header.type != PERF_RECORD_COMPRESSED ||
		    stream->is_preview) {
			stream->current = stream->raw.block;
			return err;
		}
		err = unpack(stream, *event);
		if (err)
			return err;
	}
}

static int queue(struct kvm_merge_stream *stream, struct kvm_merge_entry *entry)
{
	int err;

	entry->seq = stream->seq++;
	entry->block = stream->current;
	err = kvm_merge_order__push(&stream->order, entry);
	if (err)
		return err;
	stream->current->refs++;
	stream->max_time = max(stream->max_time, entry->time);
	if (entry->time < max(stream->flush, stream->popped))
		stream->late++;
	return 0;
}

static void end_round(struct kvm_merge_stream *stream)
{
	stream->flush = stream->next_flush;
	stream->next_flush = stream->max_time;
}

/* Whether it is certain which record comes next, or no more may wait to find out. */
static bool is_certain(const struct kvm_merge_stream *stream)
{
	const struct kvm_merge_entry *first = kvm_merge_order__first(&stream->order);

	if (stream->eof || !first)
		return stream->eof;
	return first->time <= stream->flush ||
	       stream->pool.held + stream->order.nr * sizeof(*first) > stream->max_held;
}

static int take_record(struct kvm_merge_stream *stream)
{
	struct kvm_merge_entry entry;
	int err = kvm_merge_stream__next(stream, &entry.event);

	if (err)
		return err;
	if (!entry.event) {
		stream->eof = true;
		return 0;
	}
	err = stream->look(stream, &entry);
	if (err == KVM_MERGE_QUEUE)
		return queue(stream, &entry);
	if (err == KVM_MERGE_ROUND)
		end_round(stream);
	return min(err, 0);
}

int kvm_merge_stream__fill(struct kvm_merge_stream *stream)
{
	int err = 0;

	while (!err && !is_certain(stream))
		err = take_record(stream);
	return err;
}

/* Takes the first record; the caller puts it when it is done with it. */
int kvm_merge_stream__pop(struct kvm_merge_stream *stream, struct kvm_merge_entry *entry)
{
	int err = kvm_merge_order__pop(&stream->order, entry);

	if (!err)
		stream->popped = max(stream->popped, entry->time);
	return err;
}

void kvm_merge_stream__put(struct kvm_merge_entry *entry)
{
	block__put(entry->block);
	entry->block = NULL;
}
