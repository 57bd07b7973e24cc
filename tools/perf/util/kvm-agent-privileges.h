/* SPDX-License-Identifier: GPL-2.0 */
/* What an agent may do in its guest, and what reads a guest's data: no more than it needs. */
#ifndef __PERF_KVM_AGENT_PRIVILEGES_H
#define __PERF_KVM_AGENT_PRIVILEGES_H

#include <linux/capability.h>

struct kvm_agent_error;
struct kvm_agent_policy;

int kvm_agent_privileges__drop(const struct kvm_agent_policy *policy,
			       struct kvm_agent_error *error);
int kvm_agent_privileges__drop_all(void);

/* Every libc has these two, but only libcap declares them. */
int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);

#endif /* __PERF_KVM_AGENT_PRIVILEGES_H */
