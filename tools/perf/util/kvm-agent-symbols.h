/* SPDX-License-Identifier: GPL-2.0 */
/* The agent's side of GET_FILE: what gives names to a guest's addresses. */
#ifndef __PERF_KVM_AGENT_SYMBOLS_H
#define __PERF_KVM_AGENT_SYMBOLS_H

#include "kvm-agent-proto.h"

struct kvm_agent_child;
struct kvm_agent_error;
struct kvm_agent_policy;
struct kvm_frame;

/* s, in which a file is found and checked, or it is given up. */
#define KVM_AGENT_FIND_TIMEOUT	20

int kvm_agent_symbols__start(struct kvm_agent_child *child, const struct kvm_agent_policy *policy,
			     const struct kvm_frame *frame, struct kvm_agent_error *error);
int kvm_agent_symbols__read_head(const struct kvm_agent_child *child, struct kvm_frame_file *head);
void kvm_agent_symbols__error(const struct kvm_agent_child *child, int status,
			      struct kvm_agent_error *error);

#endif /* __PERF_KVM_AGENT_SYMBOLS_H */
