/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of one vCPU's paravirtual PMU, written from its specification alone:
 * what each operation must give, and what registers and counter pages hold.
 */
#ifndef SELFTEST_KVM_PVPMU_MODEL_H
#define SELFTEST_KVM_PVPMU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/bits.h>
#include <asm/kvm_pvpmu.h>

#define COUNTER_MASK		GENMASK_ULL(KVM_PVPMU_COUNTER_WIDTH - 1, 0)
#define EVTSEL_BOTH		(KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS)

/* The pages that the guest may give to PAGE; it gives no others of its memory. */
#define PVPMU_FRAMES		3
#define PVPMU_FRAMES_GPA	0x10000000ull
#define PVPMU_FRAME_WORDS	(KVM_PVPMU_PAGE_SIZE / sizeof(uint64_t))

/* The perf clock's, which VMs have or not whatever their PMU. */
static inline bool is_clock_register(uint32_t msr)
{
	return msr > MSR_KVM_PVPMU_PAGE && msr < MSR_KVM_PVPMU_EVTSEL(0);
}

enum pvpmu_op_type {
	/* Done by the guest. */
	OP_RDMSR,		/* arg: MSR */
	OP_WRMSR,		/* arg: MSR, value */
	OP_CPUID,		/* arg: how often */
	OP_OUT,			/* arg: how often; handled by KVM */
	OP_OUT_USER,		/* arg: how often; handled by user space */
	OP_OTHER_MSR,		/* arg: how often */
	OP_PAGE_READ,		/* arg: offset in the frames */
	OP_PAGE_WRITE,		/* arg: offset in the frames, value */

	/* Done by the VMM. */
	OP_GET,			/* arg: MSR */
	OP_SET,			/* arg: MSR, value */
	OP_FILL,		/* arg: frame, value: seed */
	OP_MIGRATE,		/* value: seed of the order */
	OP_CHECK,
};

struct pvpmu_op {
	uint32_t type;
	uint32_t arg;
	uint64_t value;
};

/*
 * @value:	What was read.  Of a write of GLOBAL_CTRL: which entries' values
 *		had more than W bits before it, 16 bits for each frame
 */
struct pvpmu_result {
	uint64_t value;
	uint64_t failed;
};

/* The VM's model. */
struct pvpmu_shape {
	uint64_t cap;
	uint64_t events_hw;
	uint64_t events_cache;
	uint64_t events_pv;
	uint64_t raw_bits;	/* that RAW may have */
};

/*
 * What is known of a number: its value or, of what grows with time, the least
 * that it can be.
 */
struct model_number {
	uint64_t value;
	bool is_exact;
};

/* Eight bytes of a page: those in @mask, or something that is not less. */
struct model_word {
	uint64_t value;
	uint64_t mask;
	bool grows;
};

struct model_counter {
	uint64_t evtsel;
	uint64_t raw;
	struct model_number count;
	struct model_number enabled;
	struct model_number running;
	bool times_differ;	/* by what the VMM wrote */

	/* What the page's fields of these names become when they are stored. */
	struct model_number grown;
	struct model_number overflows;
};

struct pvpmu_model {
	struct pvpmu_shape shape;
	uint64_t ctrl;
	uint64_t status;
	uint64_t status_unknown;
	bool interrupted;	/* a counter with INT overflowed */
	uint64_t page;
	int mapped;		/* a frame, or -1 */
	bool must_map;		/* when the vCPU runs */
	uint64_t flags_unknown;	/* by counter: its entry's flags */
	uint64_t wide_values;
	uint64_t overflowed;	/* since the last VM entry */
	uint64_t unpublished[KVM_PVPMU_PAGE_TOTALS];
	struct model_counter counters[KVM_PVPMU_MAX_COUNTERS];
	struct model_number excess;	/* of totals: vm-exits beyond their causes */
	struct model_word frames[PVPMU_FRAMES][PVPMU_FRAME_WORDS];

	/* Why something did not agree. */
	const char *what;
	bool in_page;
	uint32_t offset;
	uint64_t expected;
	uint64_t actual;
};

void pvpmu_model_init(struct pvpmu_model *model, const struct pvpmu_shape *shape);

/* The vCPU runs from here, to there. */
void pvpmu_model_enter(struct pvpmu_model *model);
void pvpmu_model_leave(struct pvpmu_model *model);

/* All return whether the result agrees with the model. */
bool pvpmu_model_guest_op(struct pvpmu_model *model, const struct pvpmu_op *op,
			  const struct pvpmu_result *result);
bool pvpmu_model_get(struct pvpmu_model *model, uint32_t msr,
		     const struct pvpmu_result *result);
bool pvpmu_model_set(struct pvpmu_model *model, uint32_t msr, uint64_t value,
		     const struct pvpmu_result *result);
bool pvpmu_model_check_frame(struct pvpmu_model *model, unsigned int frame,
			     const uint64_t *words);

/* A page that the host does not use may hold anything. */
bool pvpmu_model_may_fill(const struct pvpmu_model *model, unsigned int frame);
void pvpmu_model_fill(struct pvpmu_model *model, unsigned int frame,
		      const uint64_t *words);

/* The registers were read, and written to a new vCPU. */
void pvpmu_model_migrate(struct pvpmu_model *model);

#endif /* SELFTEST_KVM_PVPMU_MODEL_H */
