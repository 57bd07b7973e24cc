// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page that a vCPU shares with its paravirtual PMU's driver.
 *
 * It is written by the vCPU's thread only, outside of guest mode.  The guest
 * can change it at any time through another vCPU: each field of an entry is
 * read once, and what the host reads back of its own fields decides nothing
 * but what the guest sees of them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/clocksource.h>
#include <linux/kvm_host.h>
#include "pvpmu.h"

static gpa_t page_gpa(u64 page)
{
	return page & PAGE_MASK;
}

/*
 * NULL if the page is not mapped now; the lock is held all the same.  It spins,
 * interrupts are off where it is taken before VM entry: hence no PREEMPT_RT.
 */
static struct kvm_pvpmu_page *lock_page_irq_off(struct kvm_pvpmu *pvpmu)
	__acquires(&pvpmu->gpc.lock)
{
	lockdep_assert_irqs_disabled();

	read_lock(&pvpmu->gpc.lock);
	if (!kvm_gpc_check(&pvpmu->gpc, sizeof(struct kvm_pvpmu_page)))
		return NULL;
	return pvpmu->gpc.khva;
}

static void unlock_page_irq_off(struct kvm_pvpmu *pvpmu)
	__releases(&pvpmu->gpc.lock)
{
	read_unlock(&pvpmu->gpc.lock);
}

static u32 begin_write(struct kvm_pvpmu_page *page)
{
	u32 seq = (READ_ONCE(page->seq) + 1) | 1;

	WRITE_ONCE(page->seq, seq);
	/* The vCPU that reads is not running; a compiler must keep the order. */
	smp_wmb();
	return seq;
}

static void end_write(struct kvm_pvpmu *pvpmu, struct kvm_pvpmu_page *page,
		      u32 seq)
{
	/* What was written comes before the number that says so. */
	smp_wmb();
	WRITE_ONCE(page->seq, seq + 1);
	kvm_gpc_mark_dirty_in_slot(&pvpmu->gpc);
}

/* Totals. */

static bool has_event(struct kvm_vcpu *vcpu, unsigned int event)
{
	return vcpu->kvm->arch.pvpmu.events_pv & BIT_ULL(event);
}

/* The page's totals go on from what it holds: a migration carries that along. */
static void adopt_totals(struct kvm_vcpu *vcpu, struct kvm_pvpmu_page *page)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;

	for (i = 0; i < KVM_PVPMU_PV_MAX; i++) {
		pvpmu->page_offset[i] = READ_ONCE(page->totals[i]) -
			local64_read(&pvpmu->totals->total[i]);
		__set_bit(i, &pvpmu->changed);
	}
	for (; i < KVM_PVPMU_PAGE_TOTALS; i++)
		WRITE_ONCE(page->totals[i], 0);
}

static void write_totals(struct kvm_vcpu *vcpu, struct kvm_pvpmu_page *page)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;
	u64 total;

	BUILD_BUG_ON(KVM_PVPMU_PV_MAX > BITS_PER_LONG);
	BUILD_BUG_ON(KVM_PVPMU_PV_MAX > KVM_PVPMU_PAGE_TOTALS);

	for_each_set_bit(i, &pvpmu->changed, KVM_PVPMU_PV_MAX) {
		total = local64_read(&pvpmu->totals->total[i]) +
			pvpmu->page_offset[i];
		WRITE_ONCE(page->totals[i], has_event(vcpu, i) ? total : 0);
	}
	pvpmu->changed = 0;
}

/* Where the host's TSC cannot be relied on, nor can the guest's. */
static void write_time(struct kvm_vcpu *vcpu, struct kvm_pvpmu_page *page)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u32 khz = vcpu->arch.virtual_tsc_khz;

	if (check_tsc_unstable() || !khz) {
		page->flags = KVM_PVPMU_PAGE_VALID;
		return;
	}
	if (khz != pvpmu->guest_khz) {
		clocks_calc_mult_shift(&pvpmu->guest_mult, &pvpmu->guest_shift,
				       khz, NSEC_PER_MSEC, 0);
		pvpmu->guest_khz = khz;
	}
	page->tsc = kvm_read_l1_tsc(vcpu, pvpmu->entry_time);
	page->mult = pvpmu->guest_mult;
	page->shift = pvpmu->guest_shift;
	page->flags = KVM_PVPMU_PAGE_VALID | KVM_PVPMU_PAGE_TSC;
}

/* Entries. */

/* A start value that the guest has put there for a later load stays. */
static void store_entry(struct kvm_vcpu *vcpu, struct kvm_pvpmu_page *page,
			unsigned int idx, bool is_dirty)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct pvpmu_counter *counter = &pvpmu->counters[idx];
	struct kvm_pvpmu_entry *entry = &page->entries[idx];
	bool error = pvpmu->status & KVM_PVPMU_STATUS_ERROR(idx);

	if (!is_dirty)
		entry->value = counter->base[PVPMU_COUNT];
	entry->enabled = counter->base[PVPMU_ENABLED];
	entry->running = counter->base[PVPMU_RUNNING];
	entry->count = READ_ONCE(entry->count) + counter->grown;
	entry->overflows = READ_ONCE(entry->overflows) + counter->overflows;
	entry->flags = error ? KVM_PVPMU_ENTRY_ERROR : 0;

	counter->grown = 0;
	counter->overflows = 0;
}

static void copy_entry(struct kvm_pvpmu_page *page, unsigned int idx,
		       struct kvm_pvpmu_entry *copy)
{
	struct kvm_pvpmu_entry *entry = &page->entries[idx];

	copy->evtsel = READ_ONCE(entry->evtsel);
	copy->value = READ_ONCE(entry->value);
	copy->reload = READ_ONCE(entry->reload);
	copy->raw = READ_ONCE(entry->raw);
}

static u32 exchange(struct kvm_vcpu *vcpu, struct kvm_pvpmu_page *page,
		    u32 store, u32 load, struct kvm_pvpmu_entry *loaded)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 dirty = READ_ONCE(page->dirty);
	unsigned long mask;
	unsigned int i;

	load &= dirty;
	mask = load;
	for_each_set_bit(i, &mask, KVM_PVPMU_MAX_COUNTERS)
		copy_entry(page, i, &loaded[i]);
	if (load)
		WRITE_ONCE(page->dirty, dirty & ~(u64)load);

	mask = store;
	for_each_set_bit(i, &mask, KVM_PVPMU_MAX_COUNTERS)
		store_entry(vcpu, page, i, dirty & BIT(i));
	pvpmu->stale &= ~store;
	return load;
}

/*
 * Bring entries up to date and, if @load is not 0, take the dirty ones among
 * it.  Returns those that were taken.
 */
u32 kvm_pvpmu_exchange_entries(struct kvm_vcpu *vcpu, u32 store, u32 load,
			       struct kvm_pvpmu_entry *loaded)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct kvm_pvpmu_page *page;
	unsigned long flags;
	u32 seq;

	lockdep_assert_held(&pvpmu->lock);

	if (!pvpmu->page_works)
		return 0;

	local_irq_save(flags);
	page = lock_page_irq_off(pvpmu);
	if (page) {
		seq = begin_write(page);
		load = exchange(vcpu, page, store, load, loaded);
		end_write(pvpmu, page, seq);
	}
	unlock_page_irq_off(pvpmu);
	local_irq_restore(flags);
	return page ? load : 0;
}

u64 kvm_pvpmu_read_reload(struct kvm_vcpu *vcpu, unsigned int idx)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct kvm_pvpmu_page *page;
	unsigned long flags;
	u64 reload = 0;

	lockdep_assert_held(&pvpmu->lock);

	if (!pvpmu->page_works)
		return 0;

	local_irq_save(flags);
	page = lock_page_irq_off(pvpmu);
	if (page)
		reload = READ_ONCE(page->entries[idx].reload);
	unlock_page_irq_off(pvpmu);
	local_irq_restore(flags);
	return reload > KVM_PVPMU_COUNTER_MASK ? 0 : reload;
}

/* Before each VM entry. */

/*
 * false: the page has to be mapped again before the guest is entered.  A page
 * that cannot be mapped does not keep the guest from running.
 */
bool kvm_pvpmu_publish(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct kvm_pvpmu_page *page;
	u32 seq;

	/* Between a reset and its request's handler, the page is off already. */
	if (!pvpmu->page_works || pvpmu->page_written)
		return true;

	page = lock_page_irq_off(pvpmu);
	if (page) {
		seq = begin_write(page);
		write_totals(vcpu, page);
		write_time(vcpu, page);
		page->status = READ_ONCE(pvpmu->status);
		end_write(pvpmu, page, seq);
	}
	unlock_page_irq_off(pvpmu);
	return page;
}

/* Mapping. */

static void adopt_page(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct kvm_pvpmu_page *page;
	unsigned long flags;
	unsigned int i;
	u32 seq;

	/* What was counted before the page was there is not the page's. */
	kvm_pvpmu_fold_all(vcpu);
	for (i = 0; i < ARRAY_SIZE(pvpmu->counters); i++) {
		pvpmu->counters[i].grown = 0;
		pvpmu->counters[i].overflows = 0;
	}
	pvpmu->stale = BIT(kvm_pvpmu_nr_counters(vcpu->kvm)) - 1;

	local_irq_save(flags);
	page = lock_page_irq_off(pvpmu);
	if (page) {
		seq = begin_write(page);
		adopt_totals(vcpu, page);
		end_write(pvpmu, page, seq);
	}
	unlock_page_irq_off(pvpmu);
	local_irq_restore(flags);
	pvpmu->page_written = !page;
}

void kvm_pvpmu_drop_page(struct kvm_vcpu *vcpu)
{
	vcpu->arch.pvpmu->page_works = false;
	kvm_gpc_deactivate(&vcpu->arch.pvpmu->gpc);
}

/*
 * What runs in real mode may be a machine that was reset: its memory is its
 * own.  Software that comes back from there enables the page again.
 */
void kvm_pvpmu_leave_real_mode_alone(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (likely(!pvpmu->page || is_protmode(vcpu)))
		return;

	pvpmu->page = 0;
	pvpmu->page_written = true;
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

/* Make what is mapped agree with PAGE.  Sleeps; needs kvm->srcu. */
void kvm_pvpmu_map_page(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	int r;

	lockdep_assert_held(&pvpmu->lock);

	if (pvpmu->page_written)
		kvm_pvpmu_drop_page(vcpu);
	if (!pvpmu->page) {
		pvpmu->page_written = false;
		return;
	}

	if (pvpmu->page_written)
		r = kvm_gpc_activate(&pvpmu->gpc, page_gpa(pvpmu->page),
				     sizeof(struct kvm_pvpmu_page));
	else
		r = kvm_gpc_refresh(&pvpmu->gpc, sizeof(struct kvm_pvpmu_page));

	pvpmu->page_works = !r;
	if (pvpmu->page_works && pvpmu->page_written)
		adopt_page(vcpu);
}

/* User space reads the registers: what it reads of the page is to agree. */
void kvm_pvpmu_save_page(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	struct kvm_pvpmu_page *page;
	unsigned long flags;
	u32 seq;

	lockdep_assert_held(&pvpmu->lock);

	if (!pvpmu->page_works || !pvpmu->page || pvpmu->page_written)
		return;

	kvm_pvpmu_fold_all(vcpu);
	local_irq_save(flags);
	page = lock_page_irq_off(pvpmu);
	if (page) {
		seq = begin_write(page);
		exchange(vcpu, page, BIT(kvm_pvpmu_nr_counters(vcpu->kvm)) - 1,
			 0, NULL);
		write_totals(vcpu, page);
		end_write(pvpmu, page, seq);
	}
	unlock_page_irq_off(pvpmu);
	local_irq_restore(flags);
}
