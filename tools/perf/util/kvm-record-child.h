/* SPDX-License-Identifier: GPL-2.0 */
/* What perf kvm record runs on the host: perf record, and the user's command. */
#ifndef __PERF_KVM_RECORD_CHILD_H
#define __PERF_KVM_RECORD_CHILD_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

struct kvm_record_argv;

struct kvm_record_child {
	pid_t	pid;		/* 0: it does not run */
	int	status;		/* exit status of one that ended, 128 + n by signal n */
	int	ctl;		/* perf record's --control; -1: none */
	int	ack;
};

void kvm_record_child__init(struct kvm_record_child *child);

int kvm_record_child__start_perf(struct kvm_record_child *child, struct kvm_record_argv *argv,
				 const char *log);
void kvm_record_child__send(struct kvm_record_child *child, const char *command);
int kvm_record_child__is_acked(struct kvm_record_child *child, unsigned int timeout_ms);

int kvm_record_child__start_command(struct kvm_record_child *child, const char **argv);

bool kvm_record_child__has_ended(struct kvm_record_child *child);
void kvm_record_child__end(struct kvm_record_child *child, int sig, unsigned int timeout_ms);

#endif /* __PERF_KVM_RECORD_CHILD_H */
