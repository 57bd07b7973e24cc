/* SPDX-License-Identifier: GPL-2.0 */
/* Merges recordings of a host and of its guests into one perf.data file. */
#ifndef __PERF_KVM_MERGE_H
#define __PERF_KVM_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include "build-id.h"
#include "kvm-merge-clock.h"
#include "kvm-merge-file.h"
#include "kvm-merge-ids.h"
#include "kvm-merge-join.h"
#include "kvm-merge-output.h"
#include "kvm-merge-stream.h"

struct kvm_machines;
struct kvm_merge;
struct kvm_merge_formats;
struct kvm_merge_tracing;

/* Where bytes of a guest's recording were lost on their way to its file. */
enum kvm_merge_loss {
	KVM_MERGE_LOSS_CHANNEL,
	KVM_MERGE_LOSS_BROKEN,	/* the channel broke: it is not known how much */
};

/* Of what the guest's samples hit, where its recording does not tell it. */
struct kvm_merge_build_id {
	struct build_id	 bid;
	bool		 is_kernel;	/* or a module */
	char		*name;		/* as in the mappings */
};

struct kvm_merge_guest_opts {
	const char			*path;
	const char			*name;	/* NULL: none */
	u32				pid;	/* of the VM's process */
	bool				may_fail; /* if it cannot be merged, merge the others */
	struct kvm_merge_clock_opts	clock;
	const s32			*tids;	/* of the vCPUs' threads, -1: unknown */
	u32				nr_tids;
	u64				lost_channel;	/* bytes */
	bool				is_broken;
	const struct kvm_merge_build_id	*build_ids;
	size_t				nr_build_ids;
	const struct kvm_merge_joins	*joins;	/* NULL: of the same event only */
};

/* What went into the output, and what did not. */
struct kvm_merge_stats {
	u64	records;
	u64	samples;
	u64	lost;		/* records, as the kernel counted them */
	u64	lost_samples;
	u64	damaged;	/* records that contradict themselves or their file */
	u64	unaligned;	/* of times of which nothing is known */
	u64	nested;		/* records of guests of this guest */
	u64	unknown;	/* records of a type that this perf does not know */
	u64	too_large;	/* no room for an identifier */
	u64	unreadable;	/* what no reader can do for a guest */
	u64	no_format;	/* samples of tracepoints that cannot be described */
	u64	stepped_back;	/* not left out, but earlier than a segment before */
	u64	guest_mode;	/* samples of the host: its event excludes guests */
};

/* Which thread of the host runs a vCPU, and where, as far as the host's recording tells. */
struct kvm_merge_vcpu {
	s32	tid;		/* -1: unknown */
	s32	cpu;		/* -1: unknown */
};

struct kvm_merge_guest {
	struct kvm_merge		*merge;
	struct kvm_merge_guest_opts	opts;
	struct kvm_merge_file		file;
	struct kvm_merge_stream		stream;
	struct kvm_merge_ids		ids;
	struct kvm_merge_clock		clock;
	struct kvm_merge_formats	*formats;	/* of tracepoints; NULL: it has none */
	struct kvm_merge_vcpu		*vcpus;
	u32				nr_vcpus;
	bool				one_vcpu;
	bool				knows_vcpus;	/* how many there are */
	bool				failed;		/* nothing of it is merged */
	struct kvm_merge_stats		stats;
	u64				host_cpu;	/* records that have the host's CPU */
};

struct kvm_merge_host {
	struct kvm_merge		*merge;
	struct kvm_merge_file		file;
	struct kvm_merge_stream		stream;
	struct kvm_merge_ids		ids;
	struct kvm_merge_stats		stats;
};

struct kvm_merge {
	struct kvm_merge_output		output;
	struct kvm_merge_tracing	*tracing;
	struct kvm_merge_host		host;
	struct kvm_merge_guest		*guests;
	size_t				nr_guests;
	u64				last_id;	/* of those given out */
	u64				first_sample;	/* time */
	u64				last_sample;
	const int			*signals;	/* how many came; NULL: nothing ends it */
	int				nr_signals;	/* before it began */
};

/* signals: when it changes, the merge ends with -EINTR and without an output. */
int kvm_merge__run_until(struct kvm_merge *merge, const char *host, const char *output,
			 const struct kvm_merge_guest_opts *guests, size_t nr_guests,
			 const int *signals);
int kvm_merge__run(struct kvm_merge *merge, const char *host, const char *output,
		   const struct kvm_merge_guest_opts *guests, size_t nr_guests);
void kvm_merge__exit(struct kvm_merge *merge);
bool kvm_merge__is_complete(const struct kvm_merge *merge);
void kvm_merge__print_left_out(const struct kvm_merge_stats *stats,
			       const struct kvm_merge_stream *stream, const char *indent, FILE *fp);
void kvm_merge__count(struct kvm_merge *merge, struct kvm_merge_stats *stats,
		      const union perf_event *event, u64 time);
u64 kvm_merge__new_id(struct kvm_merge *merge);

/* What was merged, and what was lost */
int kvm_merge__get_machines(const struct kvm_merge *merge, struct kvm_machines *machines);
void kvm_merge_guest_opts__add_loss(struct kvm_merge_guest_opts *opts, enum kvm_merge_loss where,
				    u64 bytes);

/* Hosts */
int kvm_merge_host__init(struct kvm_merge_host *host, struct kvm_merge *merge, const char *path);
void kvm_merge_host__exit(struct kvm_merge_host *host);
int kvm_merge_host__emit(struct kvm_merge_host *host, const struct kvm_merge_entry *entry);

/* Guests */
int kvm_merge_guest__init(struct kvm_merge_guest *guest, struct kvm_merge *merge,
			  const struct kvm_merge_guest_opts *opts);
void kvm_merge_guest__exit(struct kvm_merge_guest *guest);
int kvm_merge_guest__emit(struct kvm_merge_guest *guest, const struct kvm_merge_entry *entry);
void kvm_merge_guest__see_comm(struct kvm_merge_guest *guest, const union perf_event *event);
void kvm_merge_guest__see_switch(struct kvm_merge_guest *guest, s32 tid, s32 cpu, bool out);

/* The part of the output that is no records */
int kvm_merge__write_header(struct kvm_merge *merge);

#endif /* __PERF_KVM_MERGE_H */
