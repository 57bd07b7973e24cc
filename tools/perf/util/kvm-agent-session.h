/* SPDX-License-Identifier: GPL-2.0 */
/* One session of the agent with its host. */
#ifndef __PERF_KVM_AGENT_SESSION_H
#define __PERF_KVM_AGENT_SESSION_H

struct kvm_agent_policy;

/* done is set by a signal: the session then ends. */
int kvm_agent_session__run(int fd, const struct kvm_agent_policy *policy, const char *peer,
			   const int *done);

#endif /* __PERF_KVM_AGENT_SESSION_H */
