/* SPDX-License-Identifier: GPL-2.0 */
/* The perf record, or the function, that an agent's session runs in a process. */
#ifndef __PERF_KVM_AGENT_CHILD_H
#define __PERF_KVM_AGENT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>

/* An option of perf record that is started: where it takes commands. */
#define KVM_AGENT_CHILD_CTL	3
#define KVM_AGENT_CHILD_CONTROL	"--control=fd:3"

/* The session's own guard: perf record ends by itself, or is killed. */
#define KVM_AGENT_KILL_AFTER	2	/* s */

struct kvm_agent_child {
	pid_t	pid;		/* 0: there is none */
	int	out;		/* what it writes; -1 behind its end */
	int	err;		/* its messages; -1 behind their end */
	int	ctl;		/* for perf record's --control; -1: there is none */
	bool	killed;
	size_t	len;
	char	messages[2048];	/* the last ones */
};

void kvm_agent_child__init(struct kvm_agent_child *child);
int kvm_agent_child__run(struct kvm_agent_child *child, int (*run)(void *arg), void *arg);
int kvm_agent_child__start(struct kvm_agent_child *child, const char **argv);
void kvm_agent_child__flush(struct kvm_agent_child *child);
void kvm_agent_child__interrupt(struct kvm_agent_child *child);
void kvm_agent_child__kill(struct kvm_agent_child *child);
void kvm_agent_child__close_out(struct kvm_agent_child *child);
void kvm_agent_child__read_messages(struct kvm_agent_child *child);
bool kvm_agent_child__reap(struct kvm_agent_child *child, int *status);
void kvm_agent_child__destroy(struct kvm_agent_child *child);

#endif /* __PERF_KVM_AGENT_CHILD_H */
