/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The paravirtual PMU as the rest of KVM sees it, and what its files share.
 *
 * The hooks cost one patched-out branch unless kvm.pvpmu=1, and nothing with
 * CONFIG_KVM_PVPMU=n.  Documentation/virt/kvm/x86/pvpmu.rst has the interface.
 */
#ifndef __ARCH_X86_KVM_PVPMU_H__
#define __ARCH_X86_KVM_PVPMU_H__

#include <linux/kvm_host.h>
#include <asm/kvm_pvpmu.h>
#include "x86.h"

struct dentry;

#ifdef CONFIG_KVM_PVPMU
#include <linux/hrtimer.h>
#include <linux/jump_label.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <asm/local64.h>

struct perf_event;

/* CAP, EVENTS_*, GLOBAL_CTRL, GLOBAL_STATUS, PAGE; five registers a counter. */
#define KVM_PVPMU_NR_SAVED_MSRS	(7 + 5 * KVM_PVPMU_MAX_COUNTERS)

#define KVM_PVPMU_COUNTER_MASK	GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0)

/*
 * Free-running totals of one vCPU.  Only the vCPU's own thread changes them,
 * and only while perf has that thread's events scheduled in; anybody may read.
 * Host perf events hold references, so the totals can outlive their VM.
 */
struct kvm_pvpmu_totals {
	struct kref refs;
	struct pid *pid;	/* the thread, for comparison only */
	local64_t total[KVM_PVPMU_PV_MAX];
};

enum pvpmu_backend {
	PVPMU_STOPPED,
	PVPMU_PV,		/* a total of this vCPU */
	PVPMU_PERF,		/* a perf event on the vCPU's thread */
	PVPMU_FAILED,		/* enabled, but nothing counts: ERROR */
};

enum pvpmu_value {
	PVPMU_COUNT,
	PVPMU_ENABLED,
	PVPMU_RUNNING,
	PVPMU_NR_VALUES,
};

#define PVPMU_REBASE_ALL	(BIT(PVPMU_NR_VALUES) - 1)

/*
 * What the guest sees of a value is base + (backend's reading - prev); see
 * fold().  A value written since the last fold has its bit in rebase: what the
 * backend counted before the write is then dropped.
 *
 * @grown and @overflows wait to be added to the counter's entry in the page.
 */
struct pvpmu_counter {
	u64 evtsel;
	u64 raw;
	u64 base[PVPMU_NR_VALUES];
	u64 prev[PVPMU_NR_VALUES];
	u64 grown;
	u32 overflows;
	u64 reload;		/* as of the last overflow */
	u8 rebase;
	bool must_arm;		/* its perf event may need another period */
	bool moved;		/* its value was written */
	enum pvpmu_backend backend;
	u64 config;
	u64 raw_config;
	struct pvpmu_event *event;
};

/* One perf event; idle ones are kept for a while, to be reused as they are. */
struct pvpmu_event {
	struct perf_event *event;
	struct kvm_vcpu *vcpu;
	u64 config;
	u64 raw_config;
	u64 period;		/* 0: it does not sample */
	bool busy;
	unsigned long idle_since;
};

/*
 * @lock guards the registers, the counters and their perf events.  It nests
 * inside vcpu->mutex and kvm->srcu and is there for debugfs, which reads while
 * the vCPU runs.  The members after @totals belong to the vCPU's thread, but
 * for those that say otherwise.
 */
struct kvm_pvpmu {
	struct mutex lock;	/* see above */
	u64 ctrl;
	u64 status;
	u64 status_clear;
	u64 page;
	u32 retry;
	bool doorbell;		/* the guest wrote GLOBAL_CTRL */
	bool status_restored;	/* user space wrote GLOBAL_STATUS */
	bool new_thread;
	bool idle_events;
	unsigned long reap_at;
	struct pvpmu_counter counters[KVM_PVPMU_MAX_COUNTERS];
	struct pvpmu_event events[KVM_PVPMU_MAX_COUNTERS];

	struct kvm_pvpmu_totals *totals;
	u64 entry_time;		/* TSC, or local_clock() if that is unstable */
	u64 run_delay;
	u64 preemptions;
	int last_cpu;

	/* pvpmu_page.c */
	struct gfn_to_pfn_cache gpc;
	bool page_written;	/* PAGE, since it was last mapped */
	bool page_works;
	u32 stale;		/* entries that the page has not as they are */
	unsigned long changed;	/* totals that the page has not as they are */
	u64 page_offset[KVM_PVPMU_PV_MAX];
	u32 guest_khz;
	u32 guest_mult;
	u32 guest_shift;

	/* pvpmu_overflow.c */
	u64 limit[KVM_PVPMU_PV_MAX];
	u64 ns_limit;		/* for guest-ns, of counters that interrupt */
	bool has_limits;
	bool pmi;		/* an interrupt is due, now or at pmi_time */
	bool pmi_waits;		/* also read by the timer */
	bool nmi;		/* one that it raised may not have been handled */
	bool injects_nmi;	/* the last VM entry did */
	u64 pmi_time;		/* up to which the vCPU used up its share */
	u64 wait_end;
	unsigned long tick;
	unsigned int tick_overflows;
	bool timer_armed;	/* also cleared by the timer */
	u64 timer_limit;
	u64 timer_ns;		/* as armed at this VM entry, else 0 */
	u64 entry_cost;		/* estimate, in ns */
	struct hrtimer timer;
	unsigned long overflowed;	/* perf events, set in NMI */
	bool wake;		/* set in any context */
};

DECLARE_STATIC_KEY_FALSE(kvm_pvpmu_enabled);

extern const char *const kvm_pvpmu_pv_names[KVM_PVPMU_PV_MAX];

void kvm_pvpmu_init(void);
void kvm_pvpmu_exit(void);
unsigned int kvm_pvpmu_list_msrs(u32 *msrs);
void kvm_pvpmu_init_vm(struct kvm *kvm);
int kvm_pvpmu_set_model(struct kvm *kvm, const u64 *args);
int kvm_pvpmu_vcpu_create(struct kvm_vcpu *vcpu);
void kvm_pvpmu_vcpu_destroy(struct kvm_vcpu *vcpu);
void kvm_pvpmu_vcpu_reset(struct kvm_vcpu *vcpu);
int kvm_pvpmu_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
int kvm_pvpmu_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
void __kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu);
void kvm_pvpmu_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *dir);

/* pvpmu_counter.c, for the registers and for debugfs. */
void kvm_pvpmu_fold_all(struct kvm_vcpu *vcpu);
u64 kvm_pvpmu_read_value(struct kvm_vcpu *vcpu, unsigned int idx,
			 enum pvpmu_value what);
u64 kvm_pvpmu_peek_value(struct kvm_vcpu *vcpu, unsigned int idx,
			 enum pvpmu_value what);
void kvm_pvpmu_stop_disabled(struct kvm_vcpu *vcpu);
void kvm_pvpmu_sync_counters(struct kvm_vcpu *vcpu);
void kvm_pvpmu_release_events(struct kvm_vcpu *vcpu);

/* pvpmu.c, for the page */
bool kvm_pvpmu_is_valid_evtsel(struct kvm_vcpu *vcpu, u64 evtsel);
bool kvm_pvpmu_is_valid_raw(struct kvm_vcpu *vcpu, u64 raw);

/* pvpmu_page.c */
void kvm_pvpmu_map_page(struct kvm_vcpu *vcpu);
void kvm_pvpmu_drop_page(struct kvm_vcpu *vcpu);
void kvm_pvpmu_save_page(struct kvm_vcpu *vcpu);
void kvm_pvpmu_leave_real_mode_alone(struct kvm_vcpu *vcpu);
u64 kvm_pvpmu_read_reload(struct kvm_vcpu *vcpu, unsigned int idx);
u32 kvm_pvpmu_exchange_entries(struct kvm_vcpu *vcpu, u32 store, u32 load,
			       struct kvm_pvpmu_entry *loaded);
bool kvm_pvpmu_publish(struct kvm_vcpu *vcpu);

/* pvpmu_overflow.c */
void kvm_pvpmu_init_overflow(struct kvm_vcpu *vcpu);
void kvm_pvpmu_destroy_overflow(struct kvm_vcpu *vcpu);
void kvm_pvpmu_check_limits(void);
u64 kvm_pvpmu_distance(const struct pvpmu_counter *counter);
void kvm_pvpmu_note_overflow(struct kvm_vcpu *vcpu, unsigned int idx);
void kvm_pvpmu_overflow_handler(struct perf_event *event,
				struct perf_sample_data *data,
				struct pt_regs *regs);
u64 kvm_pvpmu_perf_period(struct kvm_vcpu *vcpu, u64 distance);
void kvm_pvpmu_set_limits(struct kvm_vcpu *vcpu);
void kvm_pvpmu_limit_reached(struct kvm_vcpu *vcpu);
void kvm_pvpmu_deliver_pmi(struct kvm_vcpu *vcpu);
void kvm_pvpmu_arm_timer(struct kvm_vcpu *vcpu);
bool kvm_pvpmu_interrupted_host(struct kvm_vcpu *vcpu);
void kvm_pvpmu_learn_entry_cost(struct kvm_vcpu *vcpu, u64 ns);

/* pvpmu_totals.c */
void kvm_pvpmu_init_time(void);
void __kvm_pvpmu_run(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_enter(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_reenter(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_leave(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_halt(struct kvm_vcpu *vcpu);
void __kvm_pvpmu_put(struct kvm_vcpu *vcpu);
void kvm_pvpmu_put_totals(struct kvm_pvpmu_totals *totals);

/* pvpmu_host_pmu.c */
int kvm_pvpmu_register_host_pmu(void);
void kvm_pvpmu_unregister_host_pmu(void);

static inline bool kvm_pvpmu_supported(void)
{
	return static_branch_unlikely(&kvm_pvpmu_enabled);
}

/*
 * guest_pv_has() says yes to everything unless user space enforces its CPUID;
 * here the vCPU's own bit always decides.
 */
static inline bool kvm_pvpmu_offered(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.pvpmu &&
	       (vcpu->arch.pv_cpuid.features & BIT(KVM_FEATURE_PVPMU));
}

static inline unsigned int kvm_pvpmu_nr_counters(struct kvm *kvm)
{
	return (kvm->arch.pvpmu.cap & KVM_PVPMU_CAP_COUNTERS) >>
		KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

static inline void kvm_pvpmu_add(struct kvm_vcpu *vcpu,
				 enum kvm_pvpmu_pv_event event, u64 n)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	u64 total = local64_add_return(n, &pvpmu->totals->total[event]);

	__set_bit(event, &pvpmu->changed);
	if (unlikely(total >= pvpmu->limit[event]))
		kvm_pvpmu_limit_reached(vcpu);
}

static inline void kvm_pvpmu_count(struct kvm_vcpu *vcpu,
				   enum kvm_pvpmu_pv_event event)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		kvm_pvpmu_add(vcpu, event, 1);
}

static inline void kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled) &&
	    kvm_check_request(KVM_REQ_PVPMU, vcpu))
		__kvm_pvpmu_handle_request(vcpu);
}

/* At the start of KVM_RUN: did the vCPU come with another thread? */
static inline void kvm_pvpmu_run(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_run(vcpu);
}

/*
 * Before the guest is entered, interrupts off and kvm->srcu held.  It can make
 * KVM_REQ_PVPMU, so the last check for requests must come after it.
 */
static inline void kvm_pvpmu_enter(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_enter(vcpu);
}

/* The same without kvm->srcu, when the fast path goes back to the guest. */
static inline void kvm_pvpmu_reenter(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_reenter(vcpu);
}

/* Right after each exit, those of the fast path too, interrupts still off. */
static inline void kvm_pvpmu_leave(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_leave(vcpu);
}

/* An overflow must be handled, also if the vCPU is halted. */
static inline bool kvm_pvpmu_has_events(struct kvm_vcpu *vcpu)
{
	return static_branch_unlikely(&kvm_pvpmu_enabled) &&
	       READ_ONCE(vcpu->arch.pvpmu->wake);
}

static inline void kvm_pvpmu_halt(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_halt(vcpu);
	else
		kvm_vcpu_halt(vcpu);
}

/* In vcpu_put(), thus also when the vCPU's thread is scheduled out. */
static inline void kvm_pvpmu_put(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_pvpmu_enabled))
		__kvm_pvpmu_put(vcpu);
}

#else

#define KVM_PVPMU_NR_SAVED_MSRS	0

static inline void kvm_pvpmu_init(void)
{
}

static inline void kvm_pvpmu_exit(void)
{
}

static inline bool kvm_pvpmu_supported(void)
{
	return false;
}

static inline unsigned int kvm_pvpmu_list_msrs(u32 *msrs)
{
	return 0;
}

static inline void kvm_pvpmu_init_vm(struct kvm *kvm)
{
}

static inline int kvm_pvpmu_vcpu_create(struct kvm_vcpu *vcpu)
{
	return 0;
}

static inline void kvm_pvpmu_vcpu_destroy(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_vcpu_reset(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_handle_request(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_create_debugfs(struct kvm_vcpu *vcpu,
					    struct dentry *dir)
{
}

static inline void kvm_pvpmu_count(struct kvm_vcpu *vcpu,
				   enum kvm_pvpmu_pv_event event)
{
}

static inline void kvm_pvpmu_run(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_enter(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_reenter(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_pvpmu_leave(struct kvm_vcpu *vcpu)
{
}

static inline bool kvm_pvpmu_has_events(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline void kvm_pvpmu_halt(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_halt(vcpu);
}

static inline void kvm_pvpmu_put(struct kvm_vcpu *vcpu)
{
}

#endif /* CONFIG_KVM_PVPMU */

#endif /* __ARCH_X86_KVM_PVPMU_H__ */
