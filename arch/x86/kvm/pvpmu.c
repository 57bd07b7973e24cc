// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual PMU: the model that a VM is offered, and the registers of a vCPU.
 *
 * A write only records what was asked for and makes KVM_REQ_PVPMU; the counters
 * follow before the next VM entry, in the vCPU's own thread.  KVM_SET_MSRS can
 * thus come from any thread, in any order, and before the first KVM_RUN.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include "cpuid.h"
#include "irq.h"
#include "pvpmu.h"

#define CREATE_TRACE_POINTS
#include "pvpmu_trace.h"

DEFINE_STATIC_KEY_FALSE(kvm_pvpmu_enabled);

/* Every event that this version knows. */
#define PVPMU_ALL_HW			GENMASK_ULL(KVM_PVPMU_HW_SLOTS, 0)
#define PVPMU_HOST_LOAD			(BIT_ULL(KVM_PVPMU_PV_STEAL_NS) | \
					 BIT_ULL(KVM_PVPMU_PV_HOST_PREEMPTIONS))
#define PVPMU_ALL_PV			(GENMASK_ULL(KVM_PVPMU_PV_PCPU_MIGRATIONS, 0) | \
					 PVPMU_HOST_LOAD)

/* All operations and results of one level of cache. */
#define PVPMU_CACHE(level)		(0x3fULL << (KVM_PVPMU_CACHE_##level * 8))
#define PVPMU_ALL_CACHE			(PVPMU_DEFAULT_CACHE | PVPMU_CACHE(LL) | \
					 PVPMU_CACHE(NODE))

/* The last-level cache and the node are shared with others: a side channel. */
#define PVPMU_DEFAULT_CACHE		(PVPMU_CACHE(L1D) | PVPMU_CACHE(L1I) | \
					 PVPMU_CACHE(DTLB) | PVPMU_CACHE(ITLB) | \
					 PVPMU_CACHE(BPU))

#define PVPMU_EVTSEL_VALID		(KVM_PVPMU_EVTSEL_EVENT | \
					 KVM_PVPMU_EVTSEL_CLASS | \
					 KVM_PVPMU_EVTSEL_USR | \
					 KVM_PVPMU_EVTSEL_OS | \
					 KVM_PVPMU_EVTSEL_INT | \
					 KVM_PVPMU_EVTSEL_EN)

/* An interrupt for each of these would be the next one's cause. */
#define PVPMU_OWN_EVENTS		(BIT_ULL(KVM_PVPMU_PV_SELF_EXITS) | \
					 BIT_ULL(KVM_PVPMU_PV_SELF_PMIS))

static bool __read_mostly enable_pvpmu;
module_param_named(pvpmu, enable_pvpmu, bool, 0444);
MODULE_PARM_DESC(pvpmu, "Offer the paravirtual PMU to guests");

static unsigned int __read_mostly default_counters = 8;
module_param_named(pvpmu_counters, default_counters, uint, 0444);
MODULE_PARM_DESC(pvpmu_counters, "Counters per vCPU unless the VMM says otherwise");

static unsigned long long __read_mostly allowed_hw =
	PVPMU_ALL_HW & ~BIT_ULL(KVM_PVPMU_HW_SLOTS);
module_param_named(pvpmu_events_hw, allowed_hw, ullong, 0444);
MODULE_PARM_DESC(pvpmu_events_hw, "Mask of hardware events that a VM may have");

static unsigned long long __read_mostly allowed_cache = PVPMU_DEFAULT_CACHE;
module_param_named(pvpmu_events_cache, allowed_cache, ullong, 0444);
MODULE_PARM_DESC(pvpmu_events_cache, "Mask of cache events that a VM may have");

static unsigned long long __read_mostly allowed_pv =
	PVPMU_ALL_PV & ~PVPMU_HOST_LOAD;
module_param_named(pvpmu_events_pv, allowed_pv, ullong, 0444);
MODULE_PARM_DESC(pvpmu_events_pv, "Mask of KVM's own events that a VM may have");

static bool __read_mostly allow_host_load;
module_param_named(pvpmu_host_load, allow_host_load, bool, 0444);
MODULE_PARM_DESC(pvpmu_host_load, "Let VMs see steal time and host preemptions");

static bool __read_mostly allow_raw;
module_param_named(pvpmu_raw, allow_raw, bool, 0444);
MODULE_PARM_DESC(pvpmu_raw, "Let VMMs allow raw event codes to their VMs");

/* The module and the model. */

static void clip_mask(unsigned long long *mask, u64 known, const char *name)
{
	if (*mask & ~known)
		pr_warn("%s: unknown events 0x%llx ignored\n", name,
			*mask & ~known);
	*mask &= known;
}

static void check_parameters(void)
{
	if (!default_counters || default_counters > KVM_PVPMU_MAX_COUNTERS) {
		pr_warn("pvpmu_counters=%u is out of range, using 8\n",
			default_counters);
		default_counters = 8;
	}

	clip_mask(&allowed_hw, PVPMU_ALL_HW, "pvpmu_events_hw");
	clip_mask(&allowed_cache, PVPMU_ALL_CACHE, "pvpmu_events_cache");
	clip_mask(&allowed_pv, PVPMU_ALL_PV, "pvpmu_events_pv");

	if (allow_host_load)
		allowed_pv |= PVPMU_HOST_LOAD;
	else
		allowed_pv &= ~PVPMU_HOST_LOAD;
	if (!sched_info_on())
		allowed_pv &= ~BIT_ULL(KVM_PVPMU_PV_STEAL_NS);

	kvm_pvpmu_check_limits();
}

void __init kvm_pvpmu_init(void)
{
	int r;

	BUILD_BUG_ON(MSR_KVM_PVPMU_RAW(KVM_PVPMU_MAX_COUNTERS - 1) !=
		     MSR_KVM_PVPMU_LAST);
	BUILD_BUG_ON(PVPMU_ALL_PV >> KVM_PVPMU_PV_MAX);
	BUILD_BUG_ON(KVM_PVPMU_COUNTER_WIDTH >= 63);
	BUILD_BUG_ON(sizeof(struct kvm_pvpmu_page) != KVM_PVPMU_PAGE_SIZE);

	if (!enable_pvpmu)
		return;

	check_parameters();
	kvm_pvpmu_init_time();
	static_branch_enable(&kvm_pvpmu_enabled);

	r = kvm_pvpmu_register_host_pmu();
	if (r)
		pr_warn("no perf PMU kvm_vcpu on this host: error %d\n", r);
}

void __exit kvm_pvpmu_exit(void)
{
	if (!kvm_pvpmu_supported())
		return;

	kvm_pvpmu_unregister_host_pmu();
	static_branch_disable(&kvm_pvpmu_enabled);
}

static u64 make_cap(u64 counters, u64 features)
{
	return KVM_PVPMU_VERSION | features |
	       counters << KVM_PVPMU_CAP_COUNTERS_SHIFT |
	       KVM_PVPMU_COUNTER_WIDTH << KVM_PVPMU_CAP_WIDTH_SHIFT;
}

static u64 allowed_features(void)
{
	return KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW |
	       (allow_raw ? KVM_PVPMU_CAP_RAW : 0);
}

void kvm_pvpmu_init_vm(struct kvm *kvm)
{
	kvm->arch.pvpmu = (struct kvm_pvpmu_model) {
		.cap = make_cap(default_counters, KVM_PVPMU_CAP_PAGE |
						  KVM_PVPMU_CAP_OVERFLOW),
		.events_hw = allowed_hw,
		.events_cache = allowed_cache,
		.events_pv = allowed_pv,
	};
}

static bool is_valid_model(const struct kvm_pvpmu_model *model)
{
	u64 counters = (model->cap & KVM_PVPMU_CAP_COUNTERS) >>
		       KVM_PVPMU_CAP_COUNTERS_SHIFT;
	u64 features = model->cap & allowed_features();

	return counters && counters <= KVM_PVPMU_MAX_COUNTERS &&
	       model->cap == make_cap(counters, features) &&
	       !(model->events_hw & ~allowed_hw) &&
	       !(model->events_cache & ~allowed_cache) &&
	       !(model->events_pv & ~allowed_pv);
}

/* Without a local APIC in the kernel there is nothing that can interrupt. */
static int settle_model(struct kvm *kvm)
{
	struct kvm_pvpmu_model *model = &kvm->arch.pvpmu;

	if (irqchip_in_kernel(kvm))
		return 0;
	if (model->is_chosen)
		return model->cap & KVM_PVPMU_CAP_OVERFLOW ? -EINVAL : 0;

	model->cap &= ~KVM_PVPMU_CAP_OVERFLOW;
	return 0;
}

int kvm_pvpmu_set_model(struct kvm *kvm, const u64 *args)
{
	struct kvm_pvpmu_model model = {
		.cap = args[0],
		.events_hw = args[1],
		.events_cache = args[2],
		.events_pv = args[3],
		.is_chosen = true,
	};
	int r = -EBUSY;

	if (!kvm_pvpmu_supported() || !is_valid_model(&model))
		return -EINVAL;

	mutex_lock(&kvm->lock);
	if (!kvm->created_vcpus) {
		kvm->arch.pvpmu = model;
		r = 0;
	}
	mutex_unlock(&kvm->lock);
	return r;
}

/* All that a VMM has to save.  GLOBAL_STATUS_CLR is an action, not state. */
unsigned int kvm_pvpmu_list_msrs(u32 *msrs)
{
	unsigned int i, n = 0;

	if (!kvm_pvpmu_supported())
		return 0;

	for (i = MSR_KVM_PVPMU_CAP; i <= MSR_KVM_PVPMU_GLOBAL_STATUS; i++)
		msrs[n++] = i;
	msrs[n++] = MSR_KVM_PVPMU_PAGE;
	for (i = 0; i < KVM_PVPMU_MAX_COUNTERS; i++) {
		msrs[n++] = MSR_KVM_PVPMU_EVTSEL(i);
		msrs[n++] = MSR_KVM_PVPMU_COUNTER(i);
		msrs[n++] = MSR_KVM_PVPMU_ENABLED_NS(i);
		msrs[n++] = MSR_KVM_PVPMU_RUNNING_NS(i);
		msrs[n++] = MSR_KVM_PVPMU_RAW(i);
	}
	return n;
}

/* The registers. */

static u64 counters_mask(struct kvm_vcpu *vcpu)
{
	return BIT_ULL(kvm_pvpmu_nr_counters(vcpu->kvm)) - 1;
}

static bool has_feature(struct kvm_vcpu *vcpu, u64 feature)
{
	return vcpu->kvm->arch.pvpmu.cap & feature;
}

static u64 status_mask(struct kvm_vcpu *vcpu)
{
	u64 counters = counters_mask(vcpu);

	return counters | counters << KVM_PVPMU_STATUS_ERROR_SHIFT |
	       (has_feature(vcpu, KVM_PVPMU_CAP_OVERFLOW) ?
		KVM_PVPMU_STATUS_THROTTLED : 0);
}

/*
 * A register that this VM does not have.  User space may still read it, and
 * write the 0 it read, so that it can carry the whole index list.
 */
static int access_absent(struct msr_data *msr_info)
{
	return msr_info->host_initiated && !msr_info->data ? 0 : 1;
}

/* Likewise for a vCPU without the CPUID bit, if this host has the feature. */
static int access_hidden(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	if (!vcpu->arch.pvpmu || !msr_info->host_initiated)
		return KVM_MSR_RET_UNSUPPORTED;
	return access_absent(msr_info);
}

static bool is_offered_event(struct kvm_vcpu *vcpu, u64 evtsel)
{
	const struct kvm_pvpmu_model *model = &vcpu->kvm->arch.pvpmu;
	u64 event = evtsel & KVM_PVPMU_EVTSEL_EVENT;

	if (event >= 64)
		return false;

	switch ((evtsel & KVM_PVPMU_EVTSEL_CLASS) >>
		KVM_PVPMU_EVTSEL_CLASS_SHIFT) {
	case KVM_PVPMU_CLASS_HW:
		return model->events_hw & BIT_ULL(event);
	case KVM_PVPMU_CLASS_CACHE:
		return model->events_cache & BIT_ULL(event);
	case KVM_PVPMU_CLASS_RAW:
		return has_feature(vcpu, KVM_PVPMU_CAP_RAW) && !event;
	case KVM_PVPMU_CLASS_PV:
		return model->events_pv & BIT_ULL(event);
	default:
		return false;
	}
}

static bool may_interrupt(struct kvm_vcpu *vcpu, u64 evtsel)
{
	u64 class = (evtsel & KVM_PVPMU_EVTSEL_CLASS) >>
		    KVM_PVPMU_EVTSEL_CLASS_SHIFT;

	if (!has_feature(vcpu, KVM_PVPMU_CAP_OVERFLOW))
		return false;
	return class != KVM_PVPMU_CLASS_PV ||
	       !(PVPMU_OWN_EVENTS & BIT_ULL(evtsel & KVM_PVPMU_EVTSEL_EVENT));
}

/* KVM's own events do not know the guest's mode: USR and OS come together. */
static bool is_valid_mode(u64 evtsel)
{
	u64 mode = evtsel & (KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS);
	u64 class = (evtsel & KVM_PVPMU_EVTSEL_CLASS) >>
		    KVM_PVPMU_EVTSEL_CLASS_SHIFT;

	if (!(evtsel & KVM_PVPMU_EVTSEL_EN))
		return true;
	if (class == KVM_PVPMU_CLASS_PV)
		return mode == (KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS);
	return mode;
}

/* 0 is the reset value, whatever events the VM has. */
bool kvm_pvpmu_is_valid_evtsel(struct kvm_vcpu *vcpu, u64 evtsel)
{
	if (!evtsel)
		return true;
	if (evtsel & ~PVPMU_EVTSEL_VALID || !is_offered_event(vcpu, evtsel) ||
	    !is_valid_mode(evtsel))
		return false;
	return !(evtsel & KVM_PVPMU_EVTSEL_INT) || may_interrupt(vcpu, evtsel);
}

bool kvm_pvpmu_is_valid_raw(struct kvm_vcpu *vcpu, u64 raw)
{
	u64 valid = ARCH_PERFMON_EVENTSEL_EVENT | ARCH_PERFMON_EVENTSEL_UMASK;

	if (!has_feature(vcpu, KVM_PVPMU_CAP_RAW))
		return !raw;
	if (boot_cpu_has(X86_FEATURE_SVM))
		valid |= AMD64_EVENTSEL_EVENT;
	return !(raw & ~valid);
}

static int set_evtsel(struct kvm_vcpu *vcpu, unsigned int idx,
		      struct msr_data *msr_info)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (!kvm_pvpmu_is_valid_evtsel(vcpu, msr_info->data))
		return 1;

	pvpmu->counters[idx].evtsel = msr_info->data;
	pvpmu->retry |= BIT(idx);
	/* User space restores GLOBAL_STATUS before or after this. */
	if (!msr_info->host_initiated)
		pvpmu->status &= ~KVM_PVPMU_STATUS_ERROR(idx);
	return 0;
}

static int set_value(struct kvm_vcpu *vcpu, unsigned int idx,
		     enum pvpmu_value what, u64 data)
{
	struct pvpmu_counter *counter = &vcpu->arch.pvpmu->counters[idx];

	if (what == PVPMU_COUNT && data >> KVM_PVPMU_COUNTER_WIDTH)
		return 1;

	/* What was counted until now may have overflowed. */
	kvm_pvpmu_read_value(vcpu, idx, what);
	counter->base[what] = data;
	counter->rebase |= BIT(what);
	return 0;
}

static int set_raw(struct kvm_vcpu *vcpu, unsigned int idx,
		   struct msr_data *msr_info)
{
	if (!has_feature(vcpu, KVM_PVPMU_CAP_RAW))
		return access_absent(msr_info);
	if (!kvm_pvpmu_is_valid_raw(vcpu, msr_info->data))
		return 1;

	vcpu->arch.pvpmu->counters[idx].raw = msr_info->data;
	vcpu->arch.pvpmu->retry |= BIT(idx);
	return 0;
}

static int set_counter_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	u32 offset = msr_info->index - MSR_KVM_PVPMU_BASE;
	unsigned int nr = kvm_pvpmu_nr_counters(vcpu->kvm);
	unsigned int idx = offset & 0xf;
	u64 data = msr_info->data;

	if (idx >= nr)
		return access_absent(msr_info);
	idx = array_index_nospec(idx, nr);

	switch (MSR_KVM_PVPMU_BASE + (offset & ~0xf)) {
	case MSR_KVM_PVPMU_EVTSEL(0):
		return set_evtsel(vcpu, idx, msr_info);
	case MSR_KVM_PVPMU_COUNTER(0):
		return set_value(vcpu, idx, PVPMU_COUNT, data);
	case MSR_KVM_PVPMU_ENABLED_NS(0):
		return msr_info->host_initiated ?
		       set_value(vcpu, idx, PVPMU_ENABLED, data) : 1;
	case MSR_KVM_PVPMU_RUNNING_NS(0):
		return msr_info->host_initiated ?
		       set_value(vcpu, idx, PVPMU_RUNNING, data) : 1;
	case MSR_KVM_PVPMU_RAW(0):
		return set_raw(vcpu, idx, msr_info);
	default:
		return access_absent(msr_info);
	}
}

/* A restored model that is not this VM's means a wrong destination. */
static int set_model_msr(struct msr_data *msr_info, u64 model)
{
	return msr_info->host_initiated && msr_info->data == model ? 0 : 1;
}

static int set_ctrl(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 data = msr_info->data;

	if (data & ~counters_mask(vcpu))
		return 1;

	pvpmu->retry |= data & ~pvpmu->ctrl;
	pvpmu->ctrl = data;
	/* User space restores the register: what is dirty was so before. */
	if (pvpmu->page && !msr_info->host_initiated)
		pvpmu->doorbell = true;
	return 0;
}

/*
 * The guest is told of a page that is not in its memory.  User space may
 * restore the register before the memory; the page is mapped later.
 */
static int set_page(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	u64 data = msr_info->data;

	if (!has_feature(vcpu, KVM_PVPMU_CAP_PAGE))
		return access_absent(msr_info);
	if (data & ~PAGE_MASK & ~KVM_PVPMU_PAGE_ENABLE)
		return 1;
	if (!(data & KVM_PVPMU_PAGE_ENABLE))
		data = 0;
	else if (!msr_info->host_initiated &&
		 !kvm_is_visible_gfn(vcpu->kvm, gpa_to_gfn(data)))
		return 1;

	vcpu->arch.pvpmu->page = data;
	vcpu->arch.pvpmu->page_written = true;
	return 0;
}

static int set_status(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	if (!msr_info->host_initiated || msr_info->data & ~status_mask(vcpu))
		return 1;

	/* An overflow of before must not set its bit again. */
	kvm_pvpmu_fold_all(vcpu);
	vcpu->arch.pvpmu->status = msr_info->data;
	vcpu->arch.pvpmu->status_clear = 0;
	vcpu->arch.pvpmu->status_restored = true;
	vcpu->arch.pvpmu->stale = counters_mask(vcpu);
	return 0;
}

static int clear_status(struct kvm_vcpu *vcpu, u64 data)
{
	if (data & ~status_mask(vcpu))
		return 1;

	vcpu->arch.pvpmu->status_clear |= data;
	return 0;
}

static int set_msr_locked(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	const struct kvm_pvpmu_model *model = &vcpu->kvm->arch.pvpmu;

	switch (msr_info->index) {
	case MSR_KVM_PVPMU_CAP:
		return set_model_msr(msr_info, model->cap);
	case MSR_KVM_PVPMU_EVENTS_HW:
		return set_model_msr(msr_info, model->events_hw);
	case MSR_KVM_PVPMU_EVENTS_CACHE:
		return set_model_msr(msr_info, model->events_cache);
	case MSR_KVM_PVPMU_EVENTS_PV:
		return set_model_msr(msr_info, model->events_pv);
	case MSR_KVM_PVPMU_GLOBAL_CTRL:
		return set_ctrl(vcpu, msr_info);
	case MSR_KVM_PVPMU_GLOBAL_STATUS:
		return set_status(vcpu, msr_info);
	case MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return clear_status(vcpu, msr_info->data);
	case MSR_KVM_PVPMU_PAGE:
		return set_page(vcpu, msr_info);
	case MSR_KVM_PVPMU_EVTSEL(0) ... MSR_KVM_PVPMU_LAST:
		return set_counter_msr(vcpu, msr_info);
	default:
		return access_absent(msr_info);
	}
}

int kvm_pvpmu_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	int r;

	if (!kvm_pvpmu_offered(vcpu))
		return access_hidden(vcpu, msr_info);

	mutex_lock(&pvpmu->lock);
	r = set_msr_locked(vcpu, msr_info);
	/* No VM entry need follow, and time must not go on until one does. */
	if (!r && msr_info->host_initiated)
		kvm_pvpmu_stop_disabled(vcpu);
	mutex_unlock(&pvpmu->lock);
	if (r)
		return r;

	trace_kvm_pvpmu_write(vcpu->vcpu_id, msr_info->index, msr_info->data,
			      msr_info->host_initiated);
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
	return 0;
}

static int get_counter_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	u32 offset = msr_info->index - MSR_KVM_PVPMU_BASE;
	unsigned int nr = kvm_pvpmu_nr_counters(vcpu->kvm);
	unsigned int idx = offset & 0xf;

	if (idx >= nr)
		return access_absent(msr_info);
	idx = array_index_nospec(idx, nr);

	switch (MSR_KVM_PVPMU_BASE + (offset & ~0xf)) {
	case MSR_KVM_PVPMU_EVTSEL(0):
		msr_info->data = vcpu->arch.pvpmu->counters[idx].evtsel;
		return 0;
	case MSR_KVM_PVPMU_COUNTER(0):
		msr_info->data = kvm_pvpmu_read_value(vcpu, idx, PVPMU_COUNT);
		return 0;
	case MSR_KVM_PVPMU_ENABLED_NS(0):
		msr_info->data = kvm_pvpmu_read_value(vcpu, idx, PVPMU_ENABLED);
		return 0;
	case MSR_KVM_PVPMU_RUNNING_NS(0):
		msr_info->data = kvm_pvpmu_read_value(vcpu, idx, PVPMU_RUNNING);
		return 0;
	case MSR_KVM_PVPMU_RAW(0):
		if (!has_feature(vcpu, KVM_PVPMU_CAP_RAW))
			return access_absent(msr_info);
		msr_info->data = vcpu->arch.pvpmu->counters[idx].raw;
		return 0;
	default:
		return access_absent(msr_info);
	}
}

static int get_msr_locked(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	const struct kvm_pvpmu_model *model = &vcpu->kvm->arch.pvpmu;

	switch (msr_info->index) {
	case MSR_KVM_PVPMU_CAP:
		msr_info->data = model->cap;
		return 0;
	case MSR_KVM_PVPMU_EVENTS_HW:
		msr_info->data = model->events_hw;
		return 0;
	case MSR_KVM_PVPMU_EVENTS_CACHE:
		msr_info->data = model->events_cache;
		return 0;
	case MSR_KVM_PVPMU_EVENTS_PV:
		msr_info->data = model->events_pv;
		return 0;
	case MSR_KVM_PVPMU_GLOBAL_CTRL:
		msr_info->data = vcpu->arch.pvpmu->ctrl;
		return 0;
	case MSR_KVM_PVPMU_GLOBAL_STATUS:
		kvm_pvpmu_fold_all(vcpu);
		msr_info->data = vcpu->arch.pvpmu->status;
		return 0;
	case MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return 0;
	case MSR_KVM_PVPMU_PAGE:
		if (!has_feature(vcpu, KVM_PVPMU_CAP_PAGE))
			return access_absent(msr_info);
		msr_info->data = vcpu->arch.pvpmu->page;
		return 0;
	case MSR_KVM_PVPMU_EVTSEL(0) ... MSR_KVM_PVPMU_LAST:
		return get_counter_msr(vcpu, msr_info);
	default:
		return access_absent(msr_info);
	}
}

int kvm_pvpmu_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	int r;

	msr_info->data = 0;
	if (!kvm_pvpmu_offered(vcpu))
		return access_hidden(vcpu, msr_info);

	mutex_lock(&pvpmu->lock);
	r = get_msr_locked(vcpu, msr_info);
	/* What is read may be saved: the page must not lag behind it. */
	if (msr_info->host_initiated && is_protmode(vcpu))
		kvm_pvpmu_save_page(vcpu);
	mutex_unlock(&pvpmu->lock);

	/* The read may have found an overflow. */
	if (pvpmu->pmi)
		kvm_make_request(KVM_REQ_PVPMU, vcpu);
	return r;
}

/* The vCPU. */

/* The interrupt of an overflow that was saved may have waited there: again. */
static void repeat_pmi(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i, nr = kvm_pvpmu_nr_counters(vcpu->kvm);

	for (i = 0; i < nr; i++) {
		if (pvpmu->status & KVM_PVPMU_STATUS_OVERFLOW(i) &&
		    pvpmu->counters[i].evtsel & KVM_PVPMU_EVTSEL_INT)
			pvpmu->pmi = true;
	}
}

void __kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	mutex_lock(&pvpmu->lock);
	if (pvpmu->new_thread) {
		kvm_pvpmu_release_events(vcpu);
		pvpmu->new_thread = false;
	}
	kvm_pvpmu_leave_real_mode_alone(vcpu);
	kvm_pvpmu_map_page(vcpu);
	if (pvpmu->status_restored)
		repeat_pmi(vcpu);
	kvm_pvpmu_sync_counters(vcpu);
	pvpmu->status_restored = false;
	mutex_unlock(&pvpmu->lock);
}

/* INIT as well as RESET; what still counts is stopped before the next entry. */
void kvm_pvpmu_vcpu_reset(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;

	if (!pvpmu)
		return;

	mutex_lock(&pvpmu->lock);
	pvpmu->ctrl = 0;
	pvpmu->status = 0;
	pvpmu->status_clear = 0;
	pvpmu->page = 0;
	pvpmu->page_written = true;
	pvpmu->doorbell = false;
	pvpmu->pmi = false;
	for (i = 0; i < ARRAY_SIZE(pvpmu->counters); i++) {
		struct pvpmu_counter *counter = &pvpmu->counters[i];

		counter->evtsel = 0;
		counter->raw = 0;
		memset(counter->base, 0, sizeof(counter->base));
		counter->rebase = PVPMU_REBASE_ALL;
	}
	mutex_unlock(&pvpmu->lock);
	kvm_make_request(KVM_REQ_PVPMU, vcpu);
}

int kvm_pvpmu_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu;
	int r;

	if (!kvm_pvpmu_supported())
		return 0;
	r = settle_model(vcpu->kvm);
	if (r)
		return r;

	pvpmu = kzalloc(sizeof(*pvpmu), GFP_KERNEL_ACCOUNT);
	if (!pvpmu)
		return -ENOMEM;

	pvpmu->totals = kzalloc(sizeof(*pvpmu->totals), GFP_KERNEL_ACCOUNT);
	if (!pvpmu->totals) {
		kfree(pvpmu);
		return -ENOMEM;
	}

	kref_init(&pvpmu->totals->refs);
	mutex_init(&pvpmu->lock);
	pvpmu->last_cpu = -1;
	vcpu->arch.pvpmu = pvpmu;
	kvm_gpc_init(&pvpmu->gpc, vcpu->kvm);
	kvm_pvpmu_init_overflow(vcpu);
	return 0;
}

void kvm_pvpmu_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;

	if (!pvpmu)
		return;

	mutex_lock(&pvpmu->lock);
	kvm_pvpmu_release_events(vcpu);
	kvm_pvpmu_drop_page(vcpu);
	mutex_unlock(&pvpmu->lock);
	kvm_pvpmu_destroy_overflow(vcpu);

	kvm_pvpmu_put_totals(pvpmu->totals);
	mutex_destroy(&pvpmu->lock);
	vcpu->arch.pvpmu = NULL;
	kfree(pvpmu);
}
