/* SPDX-License-Identifier: GPL-2.0 */
/*
 * This machine's perf_clock(), for KVM to hand on to guests.
 */
#ifndef _ASM_X86_HOST_PERF_CLOCK_H
#define _ASM_X86_HOST_PERF_CLOCK_H

#include <linux/types.h>

/**
 * struct host_perf_clock - perf_clock() as a function of the TSC
 * @offset:	ns = @offset + (tsc * @mul >> @shift)
 * @mul:	see @offset
 * @shift:	see @offset; less than 32
 * @is_linear:	there is such a function now; else the rest is 0
 */
struct host_perf_clock {
	u64 offset;
	u32 mul;
	u32 shift;
	bool is_linear;
};

void host_perf_clock_get(struct host_perf_clock *clock);
u64 host_perf_clock_read(void);
u64 host_perf_clock_epoch(void);

#endif /* _ASM_X86_HOST_PERF_CLOCK_H */
