/* SPDX-License-Identifier: GPL-2.0 */
/* A perf.data file that is to be merged: its header, checked, and its features. */
#ifndef __PERF_KVM_MERGE_FILE_H
#define __PERF_KVM_MERGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bitmap.h>
#include <linux/perf_event.h>
#include <linux/types.h>
#include "header.h"

#define KVM_MERGE_MAX_ATTRS	4096
#define KVM_MERGE_MAX_IDS	1048576U

/* Of one feature. What the host's kernel tells of its tracepoints is a few MB. */
#define KVM_MERGE_MAX_FEATURE	(64U * 1024 * 1024)

/* Where records have the fields that a merge looks at, in u64s; -1 is nowhere. */
enum kvm_merge_field {
	KVM_MERGE_IDENT,
	KVM_MERGE_TID,
	KVM_MERGE_TIME,
	KVM_MERGE_ID,
	KVM_MERGE_STREAM_ID,
	KVM_MERGE_CPU,
	KVM_MERGE_NR_FIELDS,
};

struct kvm_merge_layout {
	s8	sample[KVM_MERGE_NR_FIELDS];	/* from the end of the header */
	s8	trailer[KVM_MERGE_NR_FIELDS];	/* from the start of the trailer */
	u8	sample_words;			/* up to PERF_SAMPLE_PERIOD */
	u8	trailer_words;
};

struct kvm_merge_attr {
	struct perf_event_attr	attr;
	struct kvm_merge_layout	layout;
	u64			*ids;
	u32			nr_ids;
	char			*name;		/* NULL: the file has none */
	const struct kvm_merge_attr *under;	/* the host's that has its records, or NULL */
};

/* A feature that came as a record. */
struct kvm_merge_body {
	void			*data;
	size_t			size;
};

struct kvm_merge_stream;
union perf_event;

struct kvm_merge_file {
	const char		*path;
	int			fd;
	u64			size;
	u64			data_offset;
	u64			data_size;	/* of what is there */
	bool			cut;		/* more was announced than is there */
	bool			pipe;		/* it has the format of pipes */
	u64			head_end;	/* of a pipe's, where attrs have to be before */
	struct kvm_merge_attr	*attrs;
	u32			nr_attrs;
	u32			nr_ids;		/* of all attrs */
	u32			nr_names;	/* that came as records */
	struct perf_file_section sections[HEADER_FEAT_BITS];
	struct kvm_merge_body	bodies[HEADER_LAST_FEATURE];	/* in place of sections */
	DECLARE_BITMAP(features, HEADER_FEAT_BITS);
};

int kvm_merge_file__open(struct kvm_merge_file *file, const char *path);
void kvm_merge_file__close(struct kvm_merge_file *file);
int kvm_merge_file__read_at(const struct kvm_merge_file *file, void *buf, size_t size, u64 offset);
int kvm_merge_file__copy_attr(const struct kvm_merge_file *file, struct perf_event_attr *attr,
			      const void *raw, size_t size);
void kvm_merge_file__parse_names(struct kvm_merge_file *file, const char *pos, const char *end);
void kvm_merge_file__set_name(struct kvm_merge_attr *attr, const char *name);
int kvm_merge_file__feature(const struct kvm_merge_file *file, int feat, void **buf, size_t *size);

/* The format of pipes */
int kvm_merge_pipe__read_head(struct kvm_merge_file *file);
int kvm_merge_pipe__take(struct kvm_merge_file *file, const struct kvm_merge_stream *stream,
			 const union perf_event *event);

#endif /* __PERF_KVM_MERGE_FILE_H */
