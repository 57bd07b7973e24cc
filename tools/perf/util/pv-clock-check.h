/* SPDX-License-Identifier: GPL-2.0 */
/* Compares the clock of a VM's guest with the host's, by the agent in the guest. */
#ifndef __PERF_PV_CLOCK_CHECK_H
#define __PERF_PV_CLOCK_CHECK_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

struct pv_clock_check {
	bool	known;		/* the agent answered; else there is a reason */
	s64	apart;		/* guest's clock + its offset - host's, ns */
	u64	bound;		/* of what the round trips prove, ns */
	char	address[300];	/* of the agent; "": none is known */
	char	reason[512];
};

void pv_clock_check__measure(struct pv_clock_check *check, pid_t pid, s64 offset);
bool pv_clock_check__agrees(const struct pv_clock_check *check);

#endif /* __PERF_PV_CLOCK_CHECK_H */
