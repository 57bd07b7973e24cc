/* SPDX-License-Identifier: GPL-2.0 */
/* Checks in a merged file that guests' samples lie where the host saw the guest run. */
#ifndef __PERF_KVM_VERIFY_H
#define __PERF_KVM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

/* Samples that wait for the end of the gap that they are in; more are counted only. */
#define KVM_VERIFY_MAX_PENDING	64

enum kvm_verify_state {
	KVM_VERIFY_UNKNOWN,
	KVM_VERIFY_GUEST,
	KVM_VERIFY_HOST,
};

struct kvm_verify_counts {
	u64	inside;
	u64	outside;
	u64	unknown;
	u64	worst;		/* ns; of those outside, how far */
	bool	is_limit;	/* the worst is no worse than that */
};

struct kvm_verify_vcpu {
	u32			pid;
	u32			vcpu;
	enum kvm_verify_state	state;
	u64			since;
	u64			nr_open;	/* samples in an interval that has not ended */
	u64			pending[KVM_VERIFY_MAX_PENDING];	/* times */
	u64			nr_pending;
	u64			last_pending;
	struct kvm_verify_counts counts;
};

struct kvm_verify {
	struct kvm_verify_vcpu	**vcpus;	/* sorted by process and number */
	size_t			nr;
	size_t			alloc;
	struct kvm_verify_vcpu	*last;
	u64			no_vcpu;	/* guests' samples of which it is not known */
	u64			lost;		/* the host's records */
	u64			lost_samples;
	bool			has_entry;	/* the events, in the file */
	bool			has_exit;
	struct kvm_verify_counts total;
};

void kvm_verify__init(struct kvm_verify *verify);
void kvm_verify__exit(struct kvm_verify *verify);

/* What happened, in the order of time */
int kvm_verify__enter(struct kvm_verify *verify, u32 pid, u32 vcpu, u64 time);
int kvm_verify__leave(struct kvm_verify *verify, u32 pid, u32 vcpu, u64 time);
int kvm_verify__sample(struct kvm_verify *verify, u32 pid, u32 vcpu, u64 time);
void kvm_verify__lose(struct kvm_verify *verify);
void kvm_verify__end(struct kvm_verify *verify);

/* Of a whole file */
int kvm_verify__file(struct kvm_verify *verify, const char *path);
const char *kvm_verify__why_not(const struct kvm_verify *verify);
double kvm_verify__percent(const struct kvm_verify_counts *counts);
void kvm_verify__fprintf(const struct kvm_verify *verify, FILE *fp);
void kvm_verify__fprintf_json(const struct kvm_verify *verify, FILE *fp);

#endif /* __PERF_KVM_VERIFY_H */
