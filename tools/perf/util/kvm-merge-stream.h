/* SPDX-License-Identifier: GPL-2.0 */
/* The records of one perf.data file in the order of their times. */
#ifndef __PERF_KVM_MERGE_STREAM_H
#define __PERF_KVM_MERGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "compress.h"
#include "header.h"
#include "kvm-merge-order.h"

/*
 * Bytes of a file that wait to be sorted, unless the owner allows less. perf record has
 * no more between two of its marks than all rings together. Who fuzzes this takes less.
 */
#ifndef KVM_MERGE_MAX_HELD
#define KVM_MERGE_MAX_HELD	(1024UL * 1024 * 1024)
#endif

struct kvm_merge_file;
struct kvm_merge_block;
union perf_event;

/* What is to become of a record that was read. */
enum kvm_merge_verdict {
	KVM_MERGE_QUEUE,	/* it has a time, by which it is sorted */
	KVM_MERGE_DONE,		/* it was handled */
	KVM_MERGE_ROUND,	/* nothing older than the round before can follow */
};

/* A piece of the records, and where in it the next one begins. */
struct kvm_merge_window {
	struct kvm_merge_block	*block;
	size_t			pos;
};

/* What the blocks of a stream take. */
struct kvm_merge_pool {
	size_t			held;	/* bytes */
	struct kvm_merge_block	*spare;	/* to be used again */
};

struct kvm_merge_stream {
	const struct kvm_merge_file *file;
	/* Looks at a record before it is sorted, sets its time and id: a verdict, or an error */
	int			(*look)(struct kvm_merge_stream *stream,
					struct kvm_merge_entry *entry);
	void			*data;		/* the owner's */
	struct kvm_merge_window	raw;		/* of the file */
	struct kvm_merge_window	plain;		/* of what was compressed there */
	struct kvm_merge_block	*current;	/* that the last record is in */
	struct zstd_data	zstd;
	u32			plain_size;	/* of a compressed record at most */
	u64			offset;		/* in the file, of what comes after the window */
	u64			end;
	struct kvm_merge_pool	pool;
	struct kvm_merge_order	order;
	struct perf_file_section behind;	/* the last record, and not in its size */
	size_t			max_held;	/* bytes that wait */
	u64			seq;
	u64			max_time;
	u64			next_flush;
	u64			flush;		/* up to here the order is final */
	u64			popped;		/* time of what was given last */
	u64			late;		/* records that came after their round */
	bool			is_preview;	/* does not decompress, and warns of nothing */
	bool			damaged;	/* it ends before the file does */
	bool			eof;
};

int kvm_merge_stream__init(struct kvm_merge_stream *stream, const struct kvm_merge_file *file);
void kvm_merge_stream__exit(struct kvm_merge_stream *stream);
int kvm_merge_stream__fill(struct kvm_merge_stream *stream);
int kvm_merge_stream__next(struct kvm_merge_stream *stream, union perf_event **event);
int kvm_merge_stream__pop(struct kvm_merge_stream *stream, struct kvm_merge_entry *entry);
void kvm_merge_stream__stop(struct kvm_merge_stream *stream);
u64 kvm_merge_stream__tell(const struct kvm_merge_stream *stream);
void kvm_merge_stream__put(struct kvm_merge_entry *entry);

/* After a fill, what comes next; false at the end. */
static inline bool kvm_merge_stream__peek(const struct kvm_merge_stream *stream, u64 *time)
{
	const struct kvm_merge_entry *first = kvm_merge_order__first(&stream->order);

	if (first)
		*time = first->time;
	return first;
}

/* How much of the file has been read. */
static inline u64 kvm_merge_stream__left(const struct kvm_merge_stream *stream)
{
	return stream->end - stream->offset;
}

#endif /* __PERF_KVM_MERGE_STREAM_H */
