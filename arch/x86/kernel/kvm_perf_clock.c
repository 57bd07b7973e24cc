// SPDX-License-Identifier: GPL-2.0
/*
 * A KVM guest reads its host's perf clock: from a page per CPU, or by exit.
 *
 * Each CPU has two slots.  It reads by the one, and registers again by the
 * other, so that an NMI at any moment finds a whole clock: the old, whose page
 * the host no longer touches and which is still a function of the TSC, or the
 * new.
 */
#include <linux/cc_platform.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/perf_pv_clock.h>

#include <asm/kvm_perf_clock.h>
#include <asm/kvm_perf_clock_read.h>
#include <asm/msr.h>
#include <asm/pgtable.h>
#include <asm/tsc.h>

/* What a page and PERF_CLOCK_NS may differ by: a tick of a slow, scaled TSC. */
#define TOLERANCE_NS	1000

/*
 * perf_clock() = @page or, without one, PERF_CLOCK_NS or local_clock(), + @delta
 *
 * Where PERF_CLOCK_NS does not answer, or is about to answer with another clock,
 * local_clock() stands in for it: @local_delta leads from one to the other, as
 * of @local_time.
 */
struct perf_clock_slot {
	const struct kvm_perf_clock_page *page;
	u64 delta;
	bool is_local;
	bool is_left;		/* the register belongs to the other slot now */
	u64 local_delta;
	u64 local_time;
};

struct perf_clock_cpu {
	struct perf_clock_slot *slot;		/* what this CPU reads */
	struct perf_clock_slot slots[2];
};

static DEFINE_PER_CPU(struct perf_clock_cpu, perf_clock_cpu);
static DEFINE_PER_CPU_PAGE_ALIGNED(struct kvm_perf_clock_page[2], perf_clock_pages);

void notrace kvm_perf_clock_distrust(void)
{
	perf_pv_clock_distrust();
}

/* Reading */

static notrace u64 read_page_clock(void)
{
	const struct perf_clock_slot *slot;
	u64 ns;

	preempt_disable_notrace();
	slot = __this_cpu_read(perf_clock_cpu.slot);
	if (likely(slot->page))
		ns = kvm_perf_clock_read_page(slot->page);
	else
		ns = local_clock();
	ns += slot->delta;
	preempt_enable_notrace();
	return ns;
}

#define ON_RDMSR_FAULT(err)	_ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_RDMSR_SAFE, err)

/*
 * false: the host has forgotten that this CPU wants it.  Not by rdmsrl_safe(),
 * whose tracepoint would ask for the time.
 */
static notrace bool read_ns_register(u64 *ns)
{
	u32 low, high;
	int err = 0;

	asm volatile("1: rdmsr\n2:\n"
		     ON_RDMSR_FAULT(%[err])
		     : [err] "+r" (err), "=a" (low), "=d" (high)
		     : "c" (MSR_KVM_PERF_CLOCK_NS));
	*ns = (u64)high << 32 | low;
	return !err && *ns;
}

/* A thousandth more, so that time does not step back however the two drift. */
static notrace u64 guess_ns_register(const struct perf_clock_slot *slot)
{
	u64 now = local_clock();

	return now + slot->local_delta + ((now - slot->local_time) >> 10);
}

static notrace u64 read_msr_slot(const struct perf_clock_slot *slot)
{
	u64 ns;

	if (!READ_ONCE(slot->is_left)) {
		if (read_ns_register(&ns))
			return ns;
		perf_pv_clock_distrust();
	}
	return guess_ns_register(slot);
}

static notrace u64 read_msr_clock(void)
{
	const struct perf_clock_slot *slot;
	u64 ns;

	preempt_disable_notrace();
	slot = __this_cpu_read(perf_clock_cpu.slot);
	if (unlikely(slot->is_local))
		ns = local_clock();
	else
		ns = read_msr_slot(slot);
	ns += slot->delta;
	preempt_enable_notrace();
	return ns;
}

/* An NMI between the two lines guesses by a little more or less: see there. */
static void note_local_delta(struct perf_clock_slot *slot, u64 ns)
{
	u64 now = local_clock();

	WRITE_ONCE(slot->local_delta, ns - now);
	WRITE_ONCE(slot->local_time, now);
}

/* Registering */

/* Until a CPU registers it reads by a slot of another one, the boot CPU's. */
static struct perf_clock_slot *own_slot(struct perf_clock_cpu *cpu)
{
	bool is_own = cpu->slot == &cpu->slots[0] || cpu->slot == &cpu->slots[1];

	return is_own ? cpu->slot : NULL;
}

static struct perf_clock_slot *spare_slot(struct perf_clock_cpu *cpu)
{
	return cpu->slot == &cpu->slots[0] ? &cpu->slots[1] : &cpu->slots[0];
}

static int register_page(struct perf_clock_slot *slot, struct kvm_perf_clock_page *page)
{
	u64 pa = slow_virt_to_phys(page);

	/* Another host's; this one goes on from an even version. */
	memset(page, 0, sizeof(*page));
	if (wrmsrl_safe(MSR_KVM_PERF_CLOCK, pa | KVM_PERF_CLOCK_PAGE))
		return -ENODEV;
	if (!(READ_ONCE(page->flags) & KVM_PERF_CLOCK_VALID)) {
		wrmsrl_safe(MSR_KVM_PERF_CLOCK, 0);
		return -ENODATA;
	}
	slot->page = page;
	return 0;
}

/* From the write on, the register may give another clock than it did. */
static int register_msr(struct perf_clock_slot *slot, struct perf_clock_slot *old)
{
	u64 ns;

	slot->page = NULL;
	slot->is_left = false;
	if (old)
		WRITE_ONCE(old->is_left, true);
	barrier();
	if (wrmsrl_safe(MSR_KVM_PERF_CLOCK, KVM_PERF_CLOCK_NS) ||
	    !read_ns_register(&ns))
		return -ENODEV;
	note_local_delta(slot, ns);
	return 0;
}

static int kvm_perf_clock_renew(enum perf_pv_clock_source source)
{
	struct perf_clock_cpu *cpu = this_cpu_ptr(&perf_clock_cpu);
	struct perf_clock_slot *slot = spare_slot(cpu);

	if (!kvm_para_has_feature(KVM_FEATURE_PV_PERF_CLOCK))
		return -ENODEV;
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return -EOPNOTSUPP;

	slot->is_local = false;
	if (source == PERF_PV_CLOCK_MSR)
		return register_msr(slot, own_slot(cpu));
	return register_page(slot, *this_cpu_ptr(&perf_clock_pages) + (slot - cpu->slots));
}

static u64 kvm_perf_clock_read_new(void)
{
	const struct perf_clock_slot *slot = spare_slot(this_cpu_ptr(&perf_clock_cpu));
	u64 ns;

	if (slot->page)
		return kvm_perf_clock_read_page(slot->page);
	return read_ns_register(&ns) ? ns : 0;
}

/* Who reads by the slot that is left follows, before it is used for another. */
static void move_borrowers(struct perf_clock_slot *old, struct perf_clock_slot *slot)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (per_cpu(perf_clock_cpu.slot, cpu) == old)
			WRITE_ONCE(per_cpu(perf_clock_cpu.slot, cpu), slot);
	}
}

static void use_spare(u64 delta)
{
	struct perf_clock_cpu *cpu = this_cpu_ptr(&perf_clock_cpu);
	struct perf_clock_slot *slot = spare_slot(cpu), *old = own_slot(cpu);

	slot->delta = delta;
	/* An NMI that finds the slot finds all of it. */
	barrier();
	if (old || !cpu->slot)
		move_borrowers(old, slot);
	WRITE_ONCE(cpu->slot, slot);
}

static void kvm_perf_clock_use_local(u64 delta)
{
	struct perf_clock_slot *slot = spare_slot(this_cpu_ptr(&perf_clock_cpu));

	wrmsrl_safe(MSR_KVM_PERF_CLOCK, 0);
	slot->page = NULL;
	slot->is_local = true;
	use_spare(delta);
}

static void kvm_perf_clock_stop(void)
{
	wrmsrl_safe(MSR_KVM_PERF_CLOCK, 0);
}

/* Checking */

static bool kvm_perf_clock_agrees(void)
{
	struct perf_clock_cpu *cpu = this_cpu_ptr(&perf_clock_cpu);
	const struct kvm_perf_clock_page *page = cpu->slot->page;
	u64 before, ns;

	if (cpu->slot->is_local)
		return true;
	if (!page) {
		if (!read_ns_register(&ns))
			return false;
		note_local_delta(cpu->slot, ns);
		return true;
	}

	if (!(READ_ONCE(page->flags) & KVM_PERF_CLOCK_VALID))
		return false;
	before = kvm_perf_clock_read_page(page);
	return read_ns_register(&ns) && before <= ns + TOLERANCE_NS &&
	       ns <= kvm_perf_clock_read_page(page) + TOLERANCE_NS;
}

static void describe_page(const struct kvm_perf_clock_page *page,
			  struct perf_pv_clock_host *host)
{
	u32 version;

	do {
		version = READ_ONCE(page->version);
		barrier();
		host->epoch = page->host_epoch;
		host->generation = page->generation;
		host->offset = page->offset;
		barrier();
	} while (version & 1 || version != READ_ONCE(page->version));
}

static bool describe_registers(struct perf_pv_clock_host *host)
{
	u64 offset;

	if (rdmsrl_safe(MSR_KVM_PERF_CLOCK_EPOCH, &host->epoch) || !host->epoch ||
	    rdmsrl_safe(MSR_KVM_PERF_CLOCK_GENERATION, &host->generation) ||
	    rdmsrl_safe(MSR_KVM_PERF_CLOCK_OFFSET, &offset))
		return false;
	host->offset = offset;
	return true;
}

static bool kvm_perf_clock_describe(struct perf_pv_clock_host *host)
{
	const struct perf_clock_slot *slot = this_cpu_read(perf_clock_cpu.slot);

	if (slot->is_local)
		return false;
	if (slot->page)
		describe_page(slot->page, host);
	else if (!describe_registers(host))
		return false;
	/* perf_clock() is ahead of what the host calls the guest's by delta. */
	host->offset -= slot->delta;
	return true;
}

static const struct perf_pv_clock_ops kvm_perf_clock_ops = {
	.read_page	= read_page_clock,
	.read_msr	= read_msr_clock,
	.renew		= kvm_perf_clock_renew,
	.stop		= kvm_perf_clock_stop,
	.agrees		= kvm_perf_clock_agrees,
	.read_new	= kvm_perf_clock_read_new,
	.use_new	= use_spare,
	.use_local	= kvm_perf_clock_use_local,
	.describe	= kvm_perf_clock_describe,
};

void __init kvm_perf_clock_boot_cpu(void)
{
	BUILD_BUG_ON(sizeof(struct kvm_perf_clock_page) != KVM_PERF_CLOCK_PAGE_SIZE);

	if (kvm_para_available())
		perf_pv_clock_boot_cpu(&kvm_perf_clock_ops);
}

/* perf's mapped events */

/* The same line through the origin of the TSC; false where there is none. */
static bool get_line(const struct kvm_perf_clock_page *page, u64 *zero, u32 *mult,
		     u16 *shift)
{
	s64 from;
	u32 version;
	u8 flags;

	do {
		version = READ_ONCE(page->version);
		barrier();
		flags = page->flags;
		from = page->tsc_timestamp;
		*zero = page->system_time;
		*mult = page->tsc_to_system_mul;
		*shift = 32 - page->tsc_shift;
		barrier();
	} while (version & 1 || version != READ_ONCE(page->version));

	if (flags != KVM_PERF_CLOCK_VALID || *shift > 31)
		return false;
	if (from < 0)
		*zero += mul_u64_u32_shr(-from, *mult, *shift);
	else
		*zero -= mul_u64_u32_shr(from, *mult, *shift);
	return true;
}

/* As perf's own for the native clock.  The event's lock is held. */
void kvm_perf_clock_update_userpage(struct perf_event *event,
				    struct perf_event_mmap_page *userpg, u64 now)
{
	const struct perf_clock_slot *slot;
	u16 shift;
	u64 zero;
	u32 mult;

	guard(preempt_notrace)();
	slot = __this_cpu_read(perf_clock_cpu.slot);
	if (!slot->page || !get_line(slot->page, &zero, &mult, &shift))
		return;

	zero += slot->delta;
	userpg->cap_user_time = 1;
	userpg->time_mult = mult;
	userpg->time_shift = shift;
	userpg->time_offset = zero - now;
	if (!event->attr.use_clockid) {
		userpg->cap_user_time_zero = 1;
		userpg->time_zero = zero;
	}
}
