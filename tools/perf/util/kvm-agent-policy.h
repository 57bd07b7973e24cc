/* SPDX-License-Identifier: GPL-2.0 */
/* What the agent's administrator allows its host to do. */
#ifndef __PERF_KVM_AGENT_POLICY_H
#define __PERF_KVM_AGENT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#define KVM_AGENT_MAX_GLOBS	128

struct kvm_agent_error;

struct kvm_agent_policy {
	char	*globs[KVM_AGENT_MAX_GLOBS];	/* of allowed events */
	size_t	 nr_globs;
	u64	 max_rate;			/* samples per second, of --freq */
	u64	 min_period;			/* of --count */
	u64	 ring_memory;			/* bytes, of all CPUs together */
	u64	 bandwidth;			/* bytes per second; 0: no limit */
	u64	 max_file;			/* bytes */
	u64	 sessions;
	u64	 stall_timeout;			/* s */
	u64	 idle_timeout;			/* s */
	bool	 workload;
	bool	 symbols;
};

int kvm_agent_policy__init(struct kvm_agent_policy *policy);
int kvm_agent_policy__parse(struct kvm_agent_policy *policy, const char *text,
			    struct kvm_agent_error *error);
int kvm_agent_policy__read(struct kvm_agent_policy *policy, const char *path,
			   struct kvm_agent_error *error);
void kvm_agent_policy__exit(struct kvm_agent_policy *policy);

bool kvm_agent_policy__allows(const struct kvm_agent_policy *policy, const char *event);
int kvm_agent_policy__print(const struct kvm_agent_policy *policy, const char *prefix, FILE *fp);

#endif /* __PERF_KVM_AGENT_POLICY_H */
