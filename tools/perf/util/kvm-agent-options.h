/* SPDX-License-Identifier: GPL-2.0 */
/* The options of perf record that a host may ask for. */
#ifndef __PERF_KVM_AGENT_OPTIONS_H
#define __PERF_KVM_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "kvm-agent-proto.h"

struct kvm_agent_error;
struct kvm_agent_policy;

/* "perf record -o - --control=" before; --event, --freq, --mmap-pages, NULL behind the host's. */
#define KVM_AGENT_MAX_ARGV	(KVM_AGENT_MAX_OPTIONS + 8)

/* A command line for execv(), which points into the other members. */
struct kvm_agent_options {
	char		*text;
	char		 event[40];
	char		 freq[40];
	char		 pages[40];
	const char	*argv[KVM_AGENT_MAX_ARGV];
	int		 argc;
	u64		 seen;		/* bits of options, for what may be there once */
	bool		 target;
};

int kvm_agent_options__check_events(const struct kvm_agent_policy *policy, const char *list,
				    struct kvm_agent_error *error);
int kvm_agent_options__init(struct kvm_agent_options *opts, const struct kvm_agent_policy *policy,
			    unsigned int nr_cpus, const void *text, size_t len,
			    struct kvm_agent_error *error);
void kvm_agent_options__exit(struct kvm_agent_options *opts);

#endif /* __PERF_KVM_AGENT_OPTIONS_H */
