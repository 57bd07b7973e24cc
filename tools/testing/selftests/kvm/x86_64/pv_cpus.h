/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vCPU threads that move between two of the host's CPUs.
 */
#ifndef SELFTEST_KVM_PV_CPUS_H
#define SELFTEST_KVM_PV_CPUS_H

#include <pthread.h>
#include <sched.h>

#include "pv_test.h"

/* Two of the CPUs that this process may use. */
static int host_cpus[2];

static inline void move_to(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT_EQ(pthread_setaffinity_np(thread, sizeof(set), &set), 0);
}

static inline bool find_host_cpus(void)
{
	int cpu, nr = 0;
	cpu_set_t set;

	TEST_ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	for (cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++) {
		if (CPU_ISSET(cpu, &set))
			host_cpus[nr++] = cpu;
	}
	return nr == 2;
}

#endif /* SELFTEST_KVM_PV_CPUS_H */
