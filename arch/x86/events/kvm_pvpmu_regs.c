// SPDX-License-Identifier: GPL-2.0
/*
 * Access to the registers of pvpmu and to its page.
 *
 * Each access to a register is a VM exit, so what the driver wrote is shadowed.
 * With the page, one write of GLOBAL_CTRL loads what the page holds, and stores
 * the counts there; totals of what KVM counts stand there all the time.
 *
 * A VMM that does not carry the registers over a migration leaves them reset.
 * The functions that return bool say false where they find that: everything
 * has to be programmed anew.
 */
#define pr_fmt(fmt) "kvm_pvpmu: " fmt

#include <linux/bitops.h>
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/set_memory.h>
#include <linux/time64.h>

#include <asm/apic.h>
#include <asm/msr.h>

#include "kvm_pvpmu.h"

/* A page that is older than this may be one that nobody keeps up to date. */
#define PVPMU_STALE_NS		(20 * NSEC_PER_MSEC)

DEFINE_PER_CPU(struct pvpmu_cpu, pvpmu_cpus);

/* The host took pvpmu away, or the system is going down: touch nothing. */
static bool pvpmu_gone __read_mostly;

void pvpmu_shut_down(void)
{
	WRITE_ONCE(pvpmu_gone, true);
}

static void pvpmu_lost_host(void)
{
	pvpmu_shut_down();
	pr_warn_once("this host has no pvpmu: its events count no more\n");
}

/*
 * A migration may lead to a host without the feature, where the registers
 * fault: count nothing from then on, rather than warn at each access.
 */
u64 pvpmu_read(u32 msr)
{
	u64 val;

	if (READ_ONCE(pvpmu_gone))
		return 0;
	if (rdmsrl_safe(msr, &val)) {
		pvpmu_lost_host();
		return 0;
	}
	return val;
}

void pvpmu_write(u32 msr, u64 val)
{
	if (!READ_ONCE(pvpmu_gone) && wrmsrl_safe(msr, val))
		pvpmu_lost_host();
}

/* GLOBAL_CTRL, and with the page what it loads and stores. */

/* Any write of GLOBAL_CTRL makes the host touch a page that it knows. */
static bool pvpmu_ring(struct pvpmu_cpu *cpu, unsigned long ctrl)
{
	u32 seq = READ_ONCE(cpu->page->seq);

	WRITE_ONCE(cpu->page->dirty, cpu->dirty);
	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, ctrl);
	cpu->dirty &= ~ctrl;
	return READ_ONCE(cpu->page->seq) != seq;
}

bool pvpmu_set_ctrl(struct pvpmu_cpu *cpu, unsigned long ctrl)
{
	bool ok = true;

	if (cpu->ctrl == ctrl && !(cpu->dirty & ctrl))
		return true;

	if (cpu->page)
		ok = pvpmu_ring(cpu, ctrl);
	else
		pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, ctrl);
	cpu->ctrl = ctrl;
	cpu->ran |= ctrl;
	return ok;
}

/* Before the entry is written: the host then leaves its value to us. */
void pvpmu_mark_dirty(struct pvpmu_cpu *cpu, int idx)
{
	cpu->dirty |= BIT(idx);
	WRITE_ONCE(cpu->page->dirty, cpu->dirty);
	barrier();
}

/* Leaves the count and the times alone, so their last readings stay right. */
void pvpmu_set_evtsel(struct pvpmu_cpu *cpu, int idx, u64 evtsel)
{
	struct pvpmu_counter *counter = &cpu->counters[idx];

	if (counter->evtsel == evtsel)
		return;

	counter->evtsel = evtsel;
	if (!cpu->page) {
		pvpmu_write(MSR_KVM_PVPMU_EVTSEL(idx), evtsel);
		return;
	}
	pvpmu_mark_dirty(cpu, idx);
	WRITE_ONCE(cpu->page->entries[idx].evtsel, evtsel);
}

/* Reading */

/*
 * Consistent, as only a VM exit can come in between: a changed seq tells of it.
 * An NMI that reads the same page changes nothing there but by such an exit.
 */
void pvpmu_copy_entry(struct kvm_pvpmu_page *page, int idx,
		      struct pvpmu_reading *reading)
{
	struct kvm_pvpmu_entry *entry = &page->entries[idx];
	u32 seq;

	do {
		seq = READ_ONCE(page->seq);
		barrier();
		reading->count = READ_ONCE(entry->count);
		reading->enabled = READ_ONCE(entry->enabled);
		reading->running = READ_ONCE(entry->running);
		barrier();
	} while (READ_ONCE(page->seq) != seq);
}

/*
 * What a counter has counted since the driver knows it, modulo 2^64, or 2^48
 * by registers; there the times are left for whoever needs them.
 */
bool pvpmu_read_counter(struct pvpmu_cpu *cpu, int idx,
			struct pvpmu_reading *reading)
{
	bool ok = true;

	if (!cpu->page) {
		reading->count = pvpmu_read(MSR_KVM_PVPMU_COUNTER(idx));
		/* Reset behind our back, it is 0, and else it rarely is. */
		return reading->count ||
		       pvpmu_read(MSR_KVM_PVPMU_EVTSEL(idx)) ==
		       cpu->counters[idx].evtsel;
	}

	if (cpu->ctrl & BIT(idx) && !cpu->txn_fresh) {
		ok = pvpmu_ring(cpu, cpu->ctrl);
		cpu->txn_fresh = cpu->txn == PERF_PMU_TXN_READ;
	}
	pvpmu_copy_entry(cpu->page, idx, reading);
	return ok;
}

static bool pvpmu_page_is_known(struct pvpmu_cpu *cpu)
{
	return pvpmu_read(MSR_KVM_PVPMU_PAGE) ==
	       (__pa(cpu->page) | KVM_PVPMU_PAGE_ENABLE);
}

/* Returns the age of the page in ns, or that it cannot be told. */
static u64 pvpmu_copy_total(struct kvm_pvpmu_page *page, unsigned int event,
			    u64 *total)
{
	u64 cycles, age;
	u32 seq, flags;

	do {
		seq = READ_ONCE(page->seq);
		barrier();
		flags = READ_ONCE(page->flags);
		cycles = rdtsc_ordered() - READ_ONCE(page->tsc);
		age = mul_u64_u32_shr(cycles, READ_ONCE(page->mult),
				      READ_ONCE(page->shift) & 63);
		*total = READ_ONCE(page->totals[event]);
		barrier();
	} while (READ_ONCE(page->seq) != seq);

	if (!(flags & KVM_PVPMU_PAGE_TSC))
		return U64_MAX;
	if (event == KVM_PVPMU_PV_GUEST_NS && (s64)cycles > 0)
		*total += age;
	return (s64)cycles < 0 ? U64_MAX : age;
}

static bool pvpmu_counters_are_known(struct pvpmu_cpu *cpu)
{
	int i = __ffs(cpu->ctrl);

	return pvpmu_read(MSR_KVM_PVPMU_EVTSEL(i)) == cpu->counters[i].evtsel;
}

/* Since the host wrote the page, in ns; U64_MAX where that cannot be told. */
u64 pvpmu_page_age(struct pvpmu_cpu *cpu)
{
	u64 total;

	return pvpmu_copy_total(cpu->page, KVM_PVPMU_PV_GUEST_NS, &total);
}

/* Without an exit, if the page is there and new. */
bool pvpmu_is_programmed(struct pvpmu_cpu *cpu)
{
	if (!cpu->page)
		return !cpu->ctrl || pvpmu_counters_are_known(cpu);

	return pvpmu_page_age(cpu) < PVPMU_STALE_NS || pvpmu_page_is_known(cpu);
}

/* Without an exit, unless the page's age is in doubt. */
bool pvpmu_read_total(struct pvpmu_cpu *cpu, unsigned int event, u64 *total)
{
	if (pvpmu_copy_total(cpu->page, event, total) < PVPMU_STALE_NS)
		return true;
	if (!pvpmu_page_is_known(cpu))
		return false;

	/* That was an exit, so the page is new. */
	pvpmu_copy_total(cpu->page, event, total);
	return true;
}

/* CPUs that come and go */

static void pvpmu_enable_page(struct pvpmu_cpu *cpu)
{
	WRITE_ONCE(cpu->page->dirty, 0);
	cpu->dirty = 0;
	pvpmu_write(MSR_KVM_PVPMU_PAGE, __pa(cpu->page) | KVM_PVPMU_PAGE_ENABLE);
	/* An NMI for what was before is none of ours. */
	cpu->pmis = READ_ONCE(cpu->page->totals[KVM_PVPMU_PV_SELF_PMIS]);
}

static void pvpmu_reset_counter(struct pvpmu_cpu *cpu, int idx)
{
	struct pvpmu_counter *counter = &cpu->counters[idx];
	struct pvpmu_reading reading;

	pvpmu_write(MSR_KVM_PVPMU_EVTSEL(idx), 0);
	counter->evtsel = 0;

	if (cpu->page) {
		pvpmu_copy_entry(cpu->page, idx, &reading);
		counter->overflows = READ_ONCE(cpu->page->entries[idx].overflows);
	} else {
		reading.count = pvpmu_read(MSR_KVM_PVPMU_COUNTER(idx));
		reading.enabled = pvpmu_read(MSR_KVM_PVPMU_ENABLED_NS(idx));
		reading.running = pvpmu_read(MSR_KVM_PVPMU_RUNNING_NS(idx));
	}
	counter->value = reading.count;
	counter->enabled = reading.enabled;
	counter->running = reading.running;
}

/* Bring the registers to a known state, whoever used them before. */
void pvpmu_reset_registers(struct pvpmu_cpu *cpu)
{
	int i;

	if (!cpu->totals.next)
		INIT_LIST_HEAD(&cpu->totals);

	pvpmu_write(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
	cpu->ctrl = 0;
	cpu->ran = 0;
	if (cpu->page)
		pvpmu_enable_page(cpu);

	for (i = 0; i < pvpmu_model.counters; i++)
		pvpmu_reset_counter(cpu, i);

	if (pvpmu_can_interrupt())
		apic_write(APIC_LVTPC, APIC_DM_NMI);
	cpu->ready = true;
}

/* The host must not write to the page any more, nor interrupt. */
void pvpmu_release_registers(struct pvpmu_cpu *cpu)
{
	wrmsrl_safe(MSR_KVM_PVPMU_GLOBAL_CTRL, 0);
	cpu->ctrl = 0;
	if (cpu->page)
		wrmsrl_safe(MSR_KVM_PVPMU_PAGE, 0);
	cpu->ready = false;
}

/* Pages */

static struct kvm_pvpmu_page * __init pvpmu_alloc_page(int cpu)
{
	struct page *page = alloc_pages_node(cpu_to_node(cpu),
					     GFP_KERNEL | __GFP_ZERO, 0);

	if (!page)
		return NULL;
	/* The host reads and writes it: it cannot be encrypted. */
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) &&
	    set_memory_decrypted((unsigned long)page_address(page), 1))
		return NULL;	/* and its state is unknown: it leaks */

	return page_address(page);
}

/* One for each CPU that may come, or none at all: then by registers only. */
void __init pvpmu_alloc_pages(void)
{
	int cpu;

	if (!(pvpmu_model.cap & KVM_PVPMU_CAP_PAGE))
		return;

	for_each_possible_cpu(cpu) {
		per_cpu(pvpmu_cpus, cpu).page = pvpmu_alloc_page(cpu);
		if (!per_cpu(pvpmu_cpus, cpu).page)
			break;
	}
	if (cpu >= nr_cpu_ids)
		return;

	pr_warn("no memory for the pages of all CPUs: no sampling\n");
	pvpmu_model.cap &= ~KVM_PVPMU_CAP_PAGE;
	for_each_possible_cpu(cpu) {
		if (!cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
			free_page((unsigned long)per_cpu(pvpmu_cpus, cpu).page);
		per_cpu(pvpmu_cpus, cpu).page = NULL;
	}
}
