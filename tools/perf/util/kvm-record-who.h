/* SPDX-License-Identifier: GPL-2.0 */
/* What --guest= of perf kvm record says, and which guests that means. */
#ifndef __PERF_KVM_RECORD_WHO_H
#define __PERF_KVM_RECORD_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include "kvm-merge-clock.h"

struct kvm_record_vms;

/* What the user told of the clock. */
struct kvm_record_clock_opts {
	enum kvm_merge_method	method;
	bool			has_method;
	bool			has_pv_offset;
	bool			has_tsc_offset;
	s64			pv_offset;	/* host's perf clock - guest's */
	s64			tsc_offset;	/* guest's TSC - host's */
};

#define KVM_RECORD_NAME_MAX	64

/* One --guest=, taken apart. */
struct kvm_record_who {
	char				*text;		/* which the others point into */
	const char			*who;
	const char			*name;		/* NULL: not given */
	pid_t				 pid;		/* 0: not given */
	u32				 port;		/* 0: not given */
	struct kvm_record_clock_opts	 clock;
};

/* One guest. */
struct kvm_record_target {
	char				address[300];
	char				name[KVM_RECORD_NAME_MAX + 1];
	pid_t				pid;		/* 0: the socket will tell */
	bool				by_all;		/* the user did not name it */
	struct kvm_record_clock_opts	clock;
};

struct kvm_record_targets {
	struct kvm_record_target	*targets;
	size_t				 nr;
};

int kvm_record_method__parse(const char *text, enum kvm_merge_method *method);

int kvm_record_who__parse(struct kvm_record_who *who, const char *text);
void kvm_record_who__exit(struct kvm_record_who *who);

int kvm_record_targets__add(struct kvm_record_targets *targets, const struct kvm_record_who *who,
			    const struct kvm_record_vms *vms);
void kvm_record_targets__exit(struct kvm_record_targets *targets);
void kvm_record_target__set_name(struct kvm_record_target *target, const char *name);

#endif /* __PERF_KVM_RECORD_WHO_H */
