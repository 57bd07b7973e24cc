/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a KVM guest's CPU tells the paravirtual perf clock when it comes and
 * goes, and what x86's perf asks of it.
 */
#ifndef _ASM_X86_KVM_PERF_CLOCK_H
#define _ASM_X86_KVM_PERF_CLOCK_H

#include <linux/perf_event.h>
#include <linux/perf_pv_clock.h>

#ifdef CONFIG_PERF_PV_CLOCK

void kvm_perf_clock_boot_cpu(void);
void kvm_perf_clock_update_userpage(struct perf_event *event,
				    struct perf_event_mmap_page *userpg, u64 now);

static inline void kvm_perf_clock_guest_online(void)
{
	perf_pv_clock_cpu_online();
}

static inline void kvm_perf_clock_guest_offline(bool shutdown)
{
	perf_pv_clock_cpu_offline(shutdown);
}

#else

static inline void kvm_perf_clock_boot_cpu(void) { }
static inline void kvm_perf_clock_guest_online(void) { }
static inline void kvm_perf_clock_guest_offline(bool shutdown) { }
static inline void
kvm_perf_clock_update_userpage(struct perf_event *event,
			       struct perf_event_mmap_page *userpg, u64 now) { }

#endif /* CONFIG_PERF_PV_CLOCK */

#endif /* _ASM_X86_KVM_PERF_CLOCK_H */
