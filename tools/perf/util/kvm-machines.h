/* SPDX-License-Identifier: GPL-2.0 */
/* The feature KVM_MACHINES of a perf.data header: whose records a merged file has. */
#ifndef __PERF_KVM_MACHINES_H
#define __PERF_KVM_MACHINES_H

#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

struct evlist;
struct feat_fd;
struct perf_env;
struct strbuf;

/* Of a machine, in the order that they have in the file: new ones come last. */
enum kvm_machine_value {
	KVM_MACHINE_PID,		/* of the VM's process; 0: the host */
	KVM_MACHINE_FLAGS,
	KVM_MACHINE_METHOD,		/* enum kvm_merge_method */
	KVM_MACHINE_BOUND,		/* of the alignment, in ns */
	KVM_MACHINE_NR_READINGS,
	KVM_MACHINE_RECORDS,		/* in the file */
	KVM_MACHINE_SAMPLES,
	KVM_MACHINE_LOST_RECORDS,	/* in the machine's rings, as PERF_RECORD_LOST tell */
	KVM_MACHINE_LOST_SAMPLES,	/* likewise, as PERF_RECORD_LOST_SAMPLES tell */
	KVM_MACHINE_RESERVED,		/* 0: an agent loses nothing without ending the session */
	KVM_MACHINE_LOST_CHANNEL,	/* bytes */
	KVM_MACHINE_DAMAGED,		/* records that were left out, as those below */
	KVM_MACHINE_UNALIGNED,
	KVM_MACHINE_NESTED,
	KVM_MACHINE_UNKNOWN,
	KVM_MACHINE_UNREADABLE,
	KVM_MACHINE_NO_FORMAT,
	KVM_MACHINE_TOO_LARGE,
	KVM_MACHINE_LATE,		/* records that are in the file, out of order */
	KVM_MACHINE_STEPPED_BACK,	/* likewise, as the clock was set back */
	KVM_MACHINE_GUEST_MODE,		/* of the host, left out: the guests' own are there */
	KVM_MACHINE_NR_VALUES,
};

#define KVM_MACHINE_FLAG_CUT		1	/* its recording was cut off or damaged */
#define KVM_MACHINE_FLAG_LEFT_OUT	2	/* nothing of it is in the file */
#define KVM_MACHINE_FLAG_BROKEN		4	/* the channel: what was lost is unknown */

#define KVM_MACHINE_NAME_LEN		72

struct kvm_machine_vcpu {
	u32	vcpu;
	s32	tid;		/* on the host; -1: unknown */
};

struct kvm_machine_segment {
	u64	from;		/* the guest's time */
	s64	offset;
	u64	unknown;	/* 1: there is no offset */
};

/* An event of the guest's whose records are under one of the host's */
struct kvm_machine_event {
	char	host[KVM_MACHINE_NAME_LEN];
	char	guest[KVM_MACHINE_NAME_LEN];
};

struct kvm_machine {
	u64				value[KVM_MACHINE_NR_VALUES];
	char				name[KVM_MACHINE_NAME_LEN];	/* "": none */
	struct kvm_machine_vcpu		*vcpus;
	u32				nr_vcpus;
	struct kvm_machine_segment	*segments;
	u32				nr_segments;
	struct kvm_machine_event	*events;
	u32				nr_events;
};

struct kvm_machines {
	struct kvm_machine	*machines;
	u32			nr;
};

void kvm_machines__exit(struct kvm_machines *machines);
int kvm_machines__write(const struct kvm_machines *machines, struct strbuf *sb);
int kvm_machines__read(struct kvm_machines *machines, const void *data, size_t size,
		       bool needs_swap);
const char *kvm_machines__name(const struct kvm_machines *machines, u64 pid);
void kvm_machines__show_names(void);
int kvm_machines__fprintf_vm(const struct perf_env *env, u32 pid, FILE *fp);
void kvm_machines__fprintf(const struct kvm_machines *machines, FILE *fp);

/* By these names FEAT_OPN() in header.c finds them. */
int write_kvm_machines(struct feat_fd *ff, struct evlist *evlist);
int process_kvm_machines(struct feat_fd *ff, void *data);
void print_kvm_machines(struct feat_fd *ff, FILE *fp);

#endif /* __PERF_KVM_MACHINES_H */
