/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the clocks that a guest and its host can compare, perf's own among them. */
#ifndef __PERF_KVM_AGENT_CLOCK_H
#define __PERF_KVM_AGENT_CLOCK_H

#include <linux/types.h>

/* The event by which perf's clock is read; opened when it is first needed. */
struct kvm_agent_clocks {
	int	fd;
	void	*ring;
};

void kvm_agent_clocks__init(struct kvm_agent_clocks *clocks);
void kvm_agent_clocks__exit(struct kvm_agent_clocks *clocks);
int kvm_agent_clocks__read(struct kvm_agent_clocks *clocks, u32 clock, u64 *ns);
const char *kvm_agent_clocks__name(u32 clock);

#endif /* __PERF_KVM_AGENT_CLOCK_H */
