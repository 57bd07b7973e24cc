/* SPDX-License-Identifier: GPL-2.0 */
/* The perf clock that a host gives to a vCPU, as its debugfs has it. */
#ifndef __PERF_PV_CLOCK_VCPU_H
#define __PERF_PV_CLOCK_VCPU_H

#include <stdbool.h>
#include <linux/types.h>
#include "pv-clock.h"

/* One number of the kernel's, or the knowledge that it did not give any. */
struct pv_clock_u64 {
	bool	known;
	u64	val;
};

struct pv_clock_s64 {
	bool	known;
	s64	val;
};

struct pv_clock_vcpu {
	char			source[PV_CLOCK_SOURCE_LEN];	/* "": unknown */
	struct pv_clock_u64	offered;
	struct pv_clock_u64	reg;
	struct pv_clock_u64	valid;
	struct pv_clock_u64	host_epoch;
	struct pv_clock_u64	generation;
	struct pv_clock_s64	offset;
	struct pv_clock_u64	host_ns;
	struct pv_clock_u64	guest_ns;
	struct pv_clock_s64	tsc_offset;
};

int pv_clock_vcpu__parse(struct pv_clock_vcpu *vcpu, char *text);

#endif /* __PERF_PV_CLOCK_VCPU_H */
