// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual perf clock: the registers of a vCPU, and the page from which its
 * guest reads the host's perf clock.
 *
 * The page holds the host's own conversion, as a function of the vCPU's TSC.
 * It is right until a part of that changes, so before each VM entry the parts
 * are compared with those that were written, and mostly that is all.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>
#include "cpuid.h"
#include "perf_clock.h"
#include "perf_clock_scale.h"

DEFINE_STATIC_KEY_FALSE(kvm_perf_clock_enabled);

static bool __read_mostly enable_perf_clock;
module_param_named(perf_clock, enable_perf_clock, bool, 0444);
MODULE_PARM_DESC(perf_clock, "Offer the host's perf clock to guests");

#define PERF_CLOCK_VALID_BITS	(PAGE_MASK | KVM_PERF_CLOCK_PAGE | KVM_PERF_CLOCK_NS)

void __init kvm_perf_clock_init(void)
{
	if (enable_perf_clock)
		static_branch_enable(&kvm_perf_clock_enabled);
}

void __exit kvm_perf_clock_exit(void)
{
	if (kvm_perf_clock_supported())
		static_branch_disable(&kvm_perf_clock_enabled);
}

unsigned int kvm_perf_clock_list_msrs(u32 *msrs)
{
	unsigned int i;

	if (!kvm_perf_clock_supported())
		return 0;
	for (i = 0; i < KVM_PERF_CLOCK_NR_MSRS; i++)
		msrs[i] = MSR_KVM_PERF_CLOCK + i;
	return KVM_PERF_CLOCK_NR_MSRS;
}

/* The page. */

static bool wants_page(const struct kvm_vcpu_perf_clock *clock)
{
	return clock->msr & KVM_PERF_CLOCK_PAGE;
}

static void find_basis(struct kvm_vcpu *vcpu, struct kvm_perf_clock_basis *basis)
{
	*basis = (struct kvm_perf_clock_basis){
		.tsc_offset = vcpu->arch.l1_tsc_offset,
		.tsc_ratio = vcpu->arch.l1_tsc_scaling_ratio,
		.tsc_follows = !vcpu->arch.tsc_catchup &&
			       !vcpu->arch.tsc_always_catchup,
		.version = READ_ONCE(vcpu->kvm->arch.perf_clock.version),
	};
	host_perf_clock_get(&basis->host);
}

static bool is_same_basis(const struct kvm_perf_clock_basis *a,
			  const struct kvm_perf_clock_basis *b)
{
	return a->host.offset == b->host.offset && a->host.mul == b->host.mul &&
	       a->host.shift == b->host.shift &&
	       a->host.is_linear == b->host.is_linear &&
	       a->tsc_offset == b->tsc_offset && a->tsc_ratio == b->tsc_ratio &&
	       a->version == b->version && a->tsc_follows == b->tsc_follows;
}

static bool is_valid(const struct kvm_perf_clock_basis *basis)
{
	return basis->host.is_linear && basis->tsc_follows;
}

static void write_conversion(struct kvm_vcpu *vcpu, struct kvm_perf_clock_page *page,
			     const struct kvm_perf_clock_basis *basis)
{
	bool is_scaled = basis->tsc_ratio != kvm_caps.default_tsc_scaling_ratio;

	page->tsc_timestamp = basis->tsc_offset;
	page->system_time = basis->host.offset - vcpu->kvm->arch.perf_clock.offset;
	page->tsc_to_system_mul = basis->host.mul;
	page->tsc_shift = 32 - basis->host.shift;
	if (is_scaled)
		page->tsc_scale =
			kvm_perf_clock_scale(basis->tsc_ratio,
					     kvm_caps.tsc_scaling_ratio_frac_bits,
					     &page->tsc_scale_shift);
	page->flags = KVM_PERF_CLOCK_VALID |
		      (is_scaled ? KVM_PERF_CLOCK_SCALED : 0);
}

static void write_page(struct kvm_vcpu *vcpu, struct kvm_perf_clock_page *page,
		       const struct kvm_perf_clock_basis *basis)
{
	struct kvm_vm_perf_clock *vm = &vcpu->kvm->arch.perf_clock;
	u32 version = (READ_ONCE(page->version) + 1) | 1;

	WRITE_ONCE(page->version, version);
	/* The vCPU that reads is not running; a compiler must keep the order. */
	smp_wmb();
	raw_spin_lock(&vm->lock);
	if (is_valid(basis))
		write_conversion(vcpu, page, basis);
	else
		page->flags &= ~KVM_PERF_CLOCK_VALID;
	page->host_epoch = host_perf_clock_epoch();
	page->generation = vm->generation;
	page->offset = vm->offset;
	raw_spin_unlock(&vm->lock);
	/* What was written comes before the number that says so. */
	smp_wmb();
	WRITE_ONCE(page->version, version + 1);
}

/* false: the page has to be mapped again. */
static bool update_page(struct kvm_vcpu *vcpu, const struct kvm_perf_clock_basis *basis)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;
	bool is_mapped;

	read_lock(&clock->gpc.lock);
	is_mapped = kvm_gpc_check(&clock->gpc, sizeof(struct kvm_perf_clock_page));
	if (is_mapped && !(clock->is_written && is_same_basis(basis, &clock->written))) {
		write_page(vcpu, clock->gpc.khva, basis);
		kvm_gpc_mark_dirty_in_slot(&clock->gpc);
		clock->written = *basis;
		clock->is_written = true;
	}
	read_unlock(&clock->gpc.lock);
	return is_mapped;
}

/* What failed with these memslots may work with others. */
static bool may_be_mapped(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;

	return clock->page_works || clock->msr_written ||
	       clock->failed_generation != kvm_memslots(vcpu->kvm)->generation;
}

static void drop_page(struct kvm_vcpu_perf_clock *clock)
{
	clock->page_works = false;
	clock->is_written = false;
	kvm_gpc_deactivate(&clock->gpc);
}

void __kvm_perf_clock_enter(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;
	struct kvm_perf_clock_basis basis;

	lockdep_assert_irqs_disabled();

	if (!clock->msr)
		return;

	/* What runs in real mode may be a machine that was reset. */
	if (unlikely(!is_protmode(vcpu))) {
		clock->msr = 0;
		clock->msr_written = true;
		kvm_make_request(KVM_REQ_PERF_CLOCK, vcpu);
		return;
	}

	kvm_perf_clock_use(vcpu->kvm);
	if (!wants_page(clock) || !may_be_mapped(vcpu))
		return;

	find_basis(vcpu, &basis);
	if (unlikely(!clock->is_written ||
		     !is_same_basis(&basis, &clock->written))) {
		kvm_perf_clock_note_host(vcpu->kvm, &basis.host);
		basis.version = READ_ONCE(vcpu->kvm->arch.perf_clock.version);
	}
	if (!clock->page_works || !update_page(vcpu, &basis))
		kvm_make_request(KVM_REQ_PERF_CLOCK, vcpu);
}

/* Make what is mapped agree with the register.  Sleeps; needs kvm->srcu. */
void __kvm_perf_clock_handle_request(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;
	size_t size = sizeof(struct kvm_perf_clock_page);
	int r;

	if (clock->msr_written)
		drop_page(clock);
	if (!wants_page(clock)) {
		clock->msr_written = false;
		return;
	}

	clock->failed_generation = kvm_memslots(vcpu->kvm)->generation;
	if (clock->gpc.active)
		r = kvm_gpc_refresh(&clock->gpc, size);
	else
		r = kvm_gpc_activate(&clock->gpc, clock->msr & PAGE_MASK, size);
	clock->page_works = !r;
	clock->is_written = false;
	clock->msr_written = false;
}

/* The registers. */

/*
 * User space may read a register that this vCPU does not have, and write the 0
 * it read, so that it can carry the whole index list.
 */
static int access_hidden(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	if (!kvm_perf_clock_supported() || !msr_info->host_initiated)
		return KVM_MSR_RET_UNSUPPORTED;
	return msr_info->data ? 1 : 0;
}

/*
 * The guest is told of a page that is not in its memory.  User space may
 * restore the register before the memory; the page is mapped later.
 */
static int set_register(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;
	u64 data = msr_info->data;

	if (data & ~PERF_CLOCK_VALID_BITS)
		return 1;
	if (data & PAGE_MASK && !(data & KVM_PERF_CLOCK_PAGE))
		return 1;
	if (data & KVM_PERF_CLOCK_PAGE && !msr_info->host_initiated &&
	    !kvm_is_visible_gfn(vcpu->kvm, gpa_to_gfn(data)))
		return 1;

	WRITE_ONCE(clock->msr, data);
	clock->msr_written = true;
	kvm_make_request(KVM_REQ_PERF_CLOCK, vcpu);
	return 0;
}

static bool is_restorable(u32 msr, u64 data)
{
	switch (msr) {
	case MSR_KVM_PERF_CLOCK_NS:
	case MSR_KVM_PERF_CLOCK_GENERATION:
		return data < KVM_PERF_CLOCK_LIMIT;
	case MSR_KVM_PERF_CLOCK_OFFSET:
		return (s64)data < KVM_PERF_CLOCK_LIMIT &&
		       (s64)data > -KVM_PERF_CLOCK_LIMIT;
	default:
		return true;
	}
}

int kvm_perf_clock_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	if (!kvm_perf_clock_offered(vcpu))
		return access_hidden(vcpu, msr_info);
	if (msr_info->index == MSR_KVM_PERF_CLOCK)
		return set_register(vcpu, msr_info);
	if (!msr_info->host_initiated ||
	    !is_restorable(msr_info->index, msr_info->data))
		return 1;

	kvm_perf_clock_carry(vcpu->kvm, msr_info->index, msr_info->data);
	return 0;
}

int kvm_perf_clock_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;

	msr_info->data = 0;
	if (!kvm_perf_clock_offered(vcpu))
		return access_hidden(vcpu, msr_info);

	if (msr_info->index == MSR_KVM_PERF_CLOCK)
		msr_info->data = clock->msr;
	else if (msr_info->host_initiated || clock->msr)
		msr_info->data = kvm_perf_clock_vm_value(vcpu->kvm,
							 msr_info->index);
	return 0;
}

/* For the host's tools. */

static const char *source_name(u64 msr)
{
	if (msr & KVM_PERF_CLOCK_PAGE)
		return "page";
	return msr & KVM_PERF_CLOCK_NS ? "msr" : "none";
}

static int perf_clock_show(struct seq_file *m, void *unused)
{
	struct kvm_vcpu *vcpu = m->private;
	u64 msr = READ_ONCE(vcpu->arch.perf_clock.msr);
	struct kvm_perf_clock_basis basis;
	struct kvm *kvm = vcpu->kvm;
	u64 offset, guest_ns;

	find_basis(vcpu, &basis);
	offset = kvm_perf_clock_vm_value(kvm, MSR_KVM_PERF_CLOCK_OFFSET);
	guest_ns = kvm_perf_clock_vm_value(kvm, MSR_KVM_PERF_CLOCK_NS);

	seq_printf(m, "offered %d\n", kvm_perf_clock_offered(vcpu));
	seq_printf(m, "register 0x%llx\n", msr);
	seq_printf(m, "source %s\n", source_name(msr));
	seq_printf(m, "valid %d\n", is_valid(&basis));
	seq_printf(m, "host_epoch 0x%016llx\n", host_perf_clock_epoch());
	seq_printf(m, "generation %llu\n",
		   kvm_perf_clock_vm_value(kvm, MSR_KVM_PERF_CLOCK_GENERATION));
	seq_printf(m, "offset %lld\n", (s64)offset);
	seq_printf(m, "host_ns %llu\n", guest_ns + offset);
	seq_printf(m, "guest_ns %llu\n", guest_ns);
	seq_printf(m, "tsc_offset %lld\n", (s64)basis.tsc_offset);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(perf_clock);

void kvm_perf_clock_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *dir)
{
	if (kvm_perf_clock_supported())
		debugfs_create_file("perf-clock", 0444, dir, vcpu, &perf_clock_fops);
}

/* The vCPU. */

/* INIT as well as RESET; the page goes before the next VM entry. */
void kvm_perf_clock_vcpu_reset(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_perf_clock *clock = &vcpu->arch.perf_clock;

	if (!kvm_perf_clock_supported())
		return;

	WRITE_ONCE(clock->msr, 0);
	clock->msr_written = true;
	kvm_make_request(KVM_REQ_PERF_CLOCK, vcpu);
}

void kvm_perf_clock_vcpu_create(struct kvm_vcpu *vcpu)
{
	kvm_gpc_init(&vcpu->arch.perf_clock.gpc, vcpu->kvm);
}

void kvm_perf_clock_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_gpc_deactivate(&vcpu->arch.perf_clock.gpc);
}
