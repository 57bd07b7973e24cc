/* SPDX-License-Identifier: GPL-2.0 */
/* Watches how the guest's perf clock relates to its host's while something is recorded. */
#ifndef __PERF_KVM_AGENT_WATCH_H
#define __PERF_KVM_AGENT_WATCH_H

#include <stdbool.h>
#include <linux/types.h>
#include "kvm-agent-proto.h"
#include "pv-clock.h"

struct kvm_agent_clocks;

struct kvm_agent_watch {
	bool		on;
	bool		begun;
	u64		looked;		/* ns, monotonic */
	u64		until;		/* guest's time when the state below was seen last */
	struct pv_clock	state;
};

void kvm_agent_watch__start(struct kvm_agent_watch *watch);
bool kvm_agent_watch__is_due(const struct kvm_agent_watch *watch);
bool kvm_agent_watch__look(struct kvm_agent_watch *watch, struct kvm_agent_clocks *clocks,
			   bool last, struct kvm_frame_clock *frame);

#endif /* __PERF_KVM_AGENT_WATCH_H */
