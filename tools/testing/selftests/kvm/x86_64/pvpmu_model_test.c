// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run random operations on a paravirtual PMU (kvm.pvpmu=1) and on its model in
 * pvpmu_model.c, compare all results, and shrink what fails to what is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <asm/kvm_pvpmu.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

/* With it, the test is one object to the Makefile, as the others are. */
#include "pvpmu_model.c"

/* A new VM with another model, so that each failure is found from a new VM. */
#define OPS_PER_ROUND		10000
#define MAX_BATCH		256

#define MAX_SHRINK_RUNS		400
#define MAX_SHRINK_SECONDS	120

#define BATCH_GPA		0x20000000ul
#define BATCH_PAGES		DIV_ROUND_UP(sizeof(struct batch), 4096)
#define FRAMES_SLOT		10
#define BATCH_SLOT		11

/* Not backed by memory: leaves to user space without counting as I/O by port. */
#define SYNC_GPA		0xc0000000ul

/* The mask of the second PIC, which KVM emulates; and a port of nobody. */
#define KVM_PORT		0xa1
#define USER_PORT		0x80

#define NR_REGISTERS		(MSR_KVM_PVPMU_LAST - MSR_KVM_PVPMU_BASE + 1)

struct batch {
	uint32_t nr;
	struct pvpmu_op ops[MAX_BATCH];
	struct pvpmu_result results[MAX_BATCH];
};

/* Guest side. */

static uint64_t guest_access_page(const struct pvpmu_op *op)
{
	uint64_t *word = (uint64_t *)(PVPMU_FRAMES_GPA + op->arg);

	if (op->type == OP_PAGE_READ)
		return READ_ONCE(*word);
	WRITE_ONCE(*word, op->value);
	return 0;
}

/* What a doorbell will find: some values may be the host's or the guest's. */
static uint64_t guest_wide_values(void)
{
	const struct kvm_pvpmu_page *pages = (void *)PVPMU_FRAMES_GPA;
	uint64_t wide = 0;
	unsigned int i;

	for (i = 0; i < PVPMU_FRAMES * KVM_PVPMU_MAX_COUNTERS; i++) {
		const struct kvm_pvpmu_entry *entry =
			&pages[i / KVM_PVPMU_MAX_COUNTERS].entries[i % KVM_PVPMU_MAX_COUNTERS];

		if (READ_ONCE(entry->value) > COUNTER_MASK)
			wide |= BIT_ULL(i);
	}
	return wide;
}

static void guest_exit(const struct pvpmu_op *op)
{
	uint32_t eax, ebx, ecx, edx;

	switch (op->type) {
	case OP_CPUID:
		cpuid(0, &eax, &ebx, &ecx, &edx);
		break;
	case OP_OUT:
		asm volatile("outb %%al, %1" : : "a"(0xff), "i"(KVM_PORT));
		break;
	case OP_OUT_USER:
		asm volatile("outb %%al, %1" : : "a"(0), "i"(USER_PORT));
		break;
	default:
		rdmsr(MSR_IA32_APICBASE);
		break;
	}
}

static void guest_do(const struct pvpmu_op *op, struct pvpmu_result *result)
{
	uint32_t n = op->arg;

	memset(result, 0, sizeof(*result));
	switch (op->type) {
	case OP_RDMSR:
		result->failed = rdmsr_safe(op->arg, &result->value);
		break;
	case OP_WRMSR:
		if (op->arg == MSR_KVM_PVPMU_GLOBAL_CTRL)
			result->value = guest_wide_values();
		result->failed = wrmsr_safe(op->arg, op->value);
		break;
	case OP_PAGE_READ:
	case OP_PAGE_WRITE:
		result->value = guest_access_page(op);
		break;
	default:
		while (n--)
			guest_exit(op);
		break;
	}
}

static void guest_code(void)
{
	struct batch *batch = (struct batch *)BATCH_GPA;
	uint32_t i;

	for (;;) {
		for (i = 0; i < READ_ONCE(batch->nr); i++)
			guest_do(&batch->ops[i], &batch->results[i]);
		WRITE_ONCE(*(uint32_t *)SYNC_GPA, 0);
	}
}

/* The VM. */

struct machine {
	struct pvpmu_shape shape;
	struct pvpmu_model model;
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct batch *batch;
	char where[64];
};

static void set_shape(struct kvm_vm *vm, const struct pvpmu_shape *shape)
{
	struct kvm_enable_cap enable = {
		.cap = KVM_CAP_X86_PVPMU,
		.args = {
			shape->cap, shape->events_hw, shape->events_cache,
			shape->events_pv,
		},
	};

	vm_ioctl(vm, KVM_ENABLE_CAP, &enable);
}

/* Guest virtual addresses are physical ones here. */
static void add_memory(struct kvm_vm *vm, uint64_t gpa, unsigned int slot,
		       unsigned int pages)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, gpa, slot, pages, 0);
	virt_map(vm, gpa, gpa, pages);
}

static void create_vm(struct machine *machine)
{
	struct kvm_vm *vm = vm_create(1);

	set_shape(vm, &machine->shape);
	machine->vm = vm;
	machine->vcpu = vm_vcpu_add(vm, 0, guest_code);
	add_memory(vm, PVPMU_FRAMES_GPA, FRAMES_SLOT, PVPMU_FRAMES);
	add_memory(vm, BATCH_GPA, BATCH_SLOT, BATCH_PAGES);
	virt_map(vm, SYNC_GPA, SYNC_GPA, 1);
	machine->batch = addr_gpa2hva(vm, BATCH_GPA);
}

static uint64_t *frame_words(struct kvm_vm *vm, unsigned int frame)
{
	return addr_gpa2hva(vm, PVPMU_FRAMES_GPA + frame * KVM_PVPMU_PAGE_SIZE);
}

static void run_vcpu(struct kvm_vcpu *vcpu)
{
	do {
		vcpu_run(vcpu);
	} while (vcpu->run->exit_reason == KVM_EXIT_IO &&
		 vcpu->run->io.port == USER_PORT);

	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(vcpu->run->mmio.phys_addr, SYNC_GPA);
}

/* 1 if it worked, as from KVM_SET_MSRS. */
static int get_msr(struct kvm_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = {
		.header.nmsrs = 1,
		.entry.index = msr,
	};
	int r = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &msrs.header);

	*value = msrs.entry.data;
	return r;
}

/* Operations of the VMM. */

static void note_where(struct machine *machine, const char *what, unsigned int nr)
{
	snprintf(machine->where, sizeof(machine->where), what, nr);
}

static bool check_frames(struct machine *machine)
{
	unsigned int frame;

	for (frame = 0; frame < PVPMU_FRAMES; frame++) {
		if (!pvpmu_model_check_frame(&machine->model, frame,
					     frame_words(machine->vm, frame)))
			return false;
	}
	return true;
}

static bool do_get(struct machine *machine, uint32_t msr, uint64_t *value)
{
	struct pvpmu_result result = {
		.failed = get_msr(machine->vcpu, msr, value) != 1,
	};

	result.value = *value;
	return pvpmu_model_get(&machine->model, msr, &result);
}

static bool do_set(struct machine *machine, uint32_t msr, uint64_t value)
{
	struct pvpmu_result result = {
		.failed = _vcpu_set_msr(machine->vcpu, msr, value) != 1,
	};

	return pvpmu_model_set(&machine->model, msr, value, &result);
}

static bool check_all(struct machine *machine)
{
	uint64_t value;
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_clock_register(msr))
			continue;
		note_where(machine, "register 0x%x, seen by the VMM", msr);
		if (!do_get(machine, msr, &value))
			return false;
	}
	return check_frames(machine);
}

static bool do_fill(struct machine *machine, const struct pvpmu_op *op)
{
	struct guest_random_state rng = new_guest_random_state(op->value);
	uint64_t *words = frame_words(machine->vm, op->arg);
	struct kvm_pvpmu_page *page = (void *)words;
	unsigned int i;

	if (!pvpmu_model_may_fill(&machine->model, op->arg))
		return true;

	page->seq = guest_random_u32(&rng);
	for (i = 0; i < KVM_PVPMU_MAX_COUNTERS; i++) {
		page->entries[i].count = guest_random_u64(&rng);
		page->entries[i].overflows = guest_random_u32(&rng);
	}
	for (i = 0; i < KVM_PVPMU_PAGE_TOTALS; i++)
		page->totals[i] = guest_random_u32(&rng);
	pvpmu_model_fill(&machine->model, op->arg, words);
	return true;
}

static unsigned int list_registers(uint32_t *msrs)
{
	const struct kvm_msr_list *list = kvm_get_msr_index_list();
	unsigned int i, n = 0;

	for (i = 0; i < list->nmsrs; i++) {
		if (list->indices[i] >= MSR_KVM_PVPMU_BASE &&
		    list->indices[i] <= MSR_KVM_PVPMU_LAST &&
		    !is_clock_register(list->indices[i]))
			msrs[n++] = list->indices[i];
	}
	return n;
}

static void shuffle(uint32_t *msrs, unsigned int n, uint32_t seed)
{
	struct guest_random_state rng = new_guest_random_state(seed);

	while (n > 1) {
		unsigned int i = guest_random_u32(&rng) % n--;
		uint32_t msr = msrs[i];

		msrs[i] = msrs[n];
		msrs[n] = msr;
	}
}

static void move_memory(struct kvm_vm *from, struct kvm_vm *to)
{
	unsigned int frame;

	for (frame = 0; frame < PVPMU_FRAMES; frame++)
		memcpy(frame_words(to, frame), frame_words(from, frame),
		       KVM_PVPMU_PAGE_SIZE);
}

static bool load_registers(struct machine *machine, const uint32_t *msrs,
			   unsigned int n, const uint64_t *values)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		note_where(machine, "register 0x%x, restored", msrs[i]);
		if (_vcpu_set_msr(machine->vcpu, msrs[i],
				  values[msrs[i] - MSR_KVM_PVPMU_BASE]) != 1)
			return false;
	}
	return true;
}

static bool do_migrate(struct machine *machine, const struct pvpmu_op *op)
{
	uint64_t values[NR_REGISTERS];
	uint32_t msrs[NR_REGISTERS];
	unsigned int i, n = list_registers(msrs);
	struct kvm_vm *old = machine->vm;
	bool works;

	shuffle(msrs, n, op->value);
	for (i = 0; i < n; i++) {
		note_where(machine, "register 0x%x, saved", msrs[i]);
		if (!do_get(machine, msrs[i], &values[msrs[i] - MSR_KVM_PVPMU_BASE]))
			return false;
	}
	if (!check_frames(machine))
		return false;

	shuffle(msrs, n, op->value >> 32);
	create_vm(machine);
	move_memory(old, machine->vm);
	works = load_registers(machine, msrs, n, values);
	kvm_vm_free(old);
	pvpmu_model_migrate(&machine->model);
	return works && check_all(machine);
}

static bool do_vmm_op(struct machine *machine, const struct pvpmu_op *op)
{
	uint64_t value;

	switch (op->type) {
	case OP_GET:
		return do_get(machine, op->arg, &value);
	case OP_SET:
		return do_set(machine, op->arg, op->value);
	case OP_FILL:
		return do_fill(machine, op);
	case OP_MIGRATE:
		return do_migrate(machine, op);
	default:
		return check_all(machine);
	}
}

/* Sequences.  Each function returns how many operations agreed with the model. */

static bool is_guest_op(const struct pvpmu_op *op)
{
	return op->type < OP_GET;
}

static unsigned int batch_size(const struct pvpmu_op *ops, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && i < MAX_BATCH && is_guest_op(&ops[i]); i++)
		;
	return i;
}

static unsigned int run_batch(struct machine *machine, const struct pvpmu_op *ops,
			      unsigned int n)
{
	struct batch *batch = machine->batch;
	unsigned int i;

	batch->nr = n;
	memcpy(batch->ops, ops, n * sizeof(*ops));
	run_vcpu(machine->vcpu);

	pvpmu_model_enter(&machine->model);
	for (i = 0; i < n; i++) {
		if (!pvpmu_model_guest_op(&machine->model, &ops[i],
					  &batch->results[i]))
			return i;
	}
	pvpmu_model_leave(&machine->model);
	return check_frames(machine) ? n : n - 1;
}

static unsigned int run_some(struct machine *machine, const struct pvpmu_op *ops,
			     unsigned int n)
{
	unsigned int size = batch_size(ops, n);

	note_where(machine, "its result", 0);
	if (size)
		return run_batch(machine, ops, size);
	return do_vmm_op(machine, ops);
}

static unsigned int run_until_wrong(struct machine *machine,
				    const struct pvpmu_op *ops, unsigned int n)
{
	unsigned int done = 0, wanted;

	while (done < n) {
		unsigned int agreed;

		wanted = batch_size(ops + done, n - done) ?: 1;
		agreed = run_some(machine, ops + done, n - done);
		done += agreed;
		if (agreed != wanted)
			return done;
	}
	return check_all(machine) ? n : n - 1;
}

/* In a VM of their own. */
static unsigned int run_ops(struct machine *machine, const struct pvpmu_op *ops,
			    unsigned int n)
{
	unsigned int agreed;

	pvpmu_model_init(&machine->model, &machine->shape);
	create_vm(machine);
	agreed = run_until_wrong(machine, ops, n);
	kvm_vm_free(machine->vm);
	return agreed;
}

/* Random operations. */

static struct guest_random_state rng;

static unsigned int below(unsigned int n)
{
	return guest_random_u32(&rng) % n;
}

static bool chance(unsigned int percent)
{
	return __guest_random_bool(&rng, percent);
}

static unsigned int shape_counters(const struct pvpmu_shape *shape)
{
	return (shape->cap & KVM_PVPMU_CAP_COUNTERS) >> KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

static unsigned int any_index(const struct pvpmu_shape *shape)
{
	return below(chance(97) ? shape_counters(shape) : KVM_PVPMU_MAX_COUNTERS);
}

static uint64_t any_pv_event(void)
{
	static const uint8_t exact[] = {
		KVM_PVPMU_PV_EXITS_CPUID, KVM_PVPMU_PV_EXITS_CPUID,
		KVM_PVPMU_PV_EXITS_IO, KVM_PVPMU_PV_EXITS_MSR,
		KVM_PVPMU_PV_SELF_EXITS, KVM_PVPMU_PV_SELF_EXITS,
	};

	return chance(94) ? exact[below(ARRAY_SIZE(exact))] : below(64);
}

static bool is_time(uint64_t event)
{
	return event == KVM_PVPMU_PV_GUEST_NS || event == KVM_PVPMU_PV_STEAL_NS ||
	       event == KVM_PVPMU_PV_HALT_POLL_NS;
}

/*
 * Where INT is on events in ns, the host's timer makes exits that are
 * pvpmu-exits: those would not be exact any more.
 */
static uint64_t any_pv_evtsel(void)
{
	uint64_t event = any_pv_event();
	uint64_t evtsel = KVM_PVPMU_CLASS_PV << KVM_PVPMU_EVTSEL_CLASS_SHIFT | event;

	if (chance(90))
		evtsel |= KVM_PVPMU_EVTSEL_EN;
	if (chance(95))
		evtsel |= EVTSEL_BOTH;
	if (chance(30) && !is_time(event))
		evtsel |= KVM_PVPMU_EVTSEL_INT;
	return evtsel;
}

/* Whether the host can count these is not known: see any_tame_evtsel(). */
static uint64_t any_hw_evtsel(void)
{
	return below(64) | below(3) << KVM_PVPMU_EVTSEL_CLASS_SHIFT |
	       (chance(50) ? EVTSEL_BOTH : 0) |
	       (chance(20) ? KVM_PVPMU_EVTSEL_EN : 0) |
	       (chance(20) ? KVM_PVPMU_EVTSEL_INT : 0);
}

static uint64_t any_evtsel(void)
{
	switch (below(20)) {
	case 0:
		return 0;
	case 1:
		return any_hw_evtsel();
	case 2:
		return any_pv_evtsel() | BIT_ULL(below(chance(70) ? 24 : 64));
	default:
		return any_pv_evtsel();
	}
}

/* A random bit may have made it another class.  What could count is disabled. */
static uint64_t any_tame_evtsel(void)
{
	uint64_t evtsel = any_evtsel();
	uint64_t class = (evtsel & KVM_PVPMU_EVTSEL_CLASS) >>
			 KVM_PVPMU_EVTSEL_CLASS_SHIFT;

	if (class != KVM_PVPMU_CLASS_PV && evtsel & EVTSEL_BOTH)
		evtsel &= ~KVM_PVPMU_EVTSEL_EN;
	else if (is_time(evtsel & KVM_PVPMU_EVTSEL_EVENT))
		evtsel &= ~KVM_PVPMU_EVTSEL_INT;
	return evtsel;
}

static uint64_t any_count(void)
{
	switch (below(8)) {
	case 0:
		return below(8);
	case 1:
		return guest_random_u64(&rng) & COUNTER_MASK;
	case 2:
		return chance(20) ? COUNTER_MASK + 1 : COUNTER_MASK;
	case 3:
		return chance(20) ? guest_random_u64(&rng) : COUNTER_MASK;
	default:
		return COUNTER_MASK - below(6);
	}
}

static uint64_t any_reload(void)
{
	switch (below(8)) {
	case 0:
		return COUNTER_MASK - below(2);
	case 1:
		return chance(50) ? COUNTER_MASK + 1 : guest_random_u64(&rng);
	case 2:
	case 3:
		return 0;
	default:
		return 1 + below(6);
	}
}

static uint64_t any_counters(const struct pvpmu_shape *shape)
{
	uint64_t mask = guest_random_u32(&rng) & (BIT_ULL(shape_counters(shape)) - 1);

	if (chance(50))
		mask |= guest_random_u32(&rng) & (BIT_ULL(shape_counters(shape)) - 1);
	return chance(3) ? mask | BIT_ULL(below(64)) : mask;
}

static uint64_t any_status(const struct pvpmu_shape *shape)
{
	uint64_t status = any_counters(shape);

	if (chance(50))
		status |= any_counters(shape) << KVM_PVPMU_STATUS_ERROR_SHIFT;
	if (chance(30))
		status |= KVM_PVPMU_STATUS_THROTTLED;
	return status;
}

static uint64_t any_page(void)
{
	uint64_t page = PVPMU_FRAMES_GPA + below(PVPMU_FRAMES) * KVM_PVPMU_PAGE_SIZE;

	switch (below(12)) {
	case 0:
		return 0;
	case 1:
		return page;
	case 2:
		return page | BIT_ULL(below(12)) | KVM_PVPMU_PAGE_ENABLE;
	case 3:
		/* Outside of memory. */
		return page | BIT_ULL(36 + below(28)) | KVM_PVPMU_PAGE_ENABLE;
	default:
		return page | KVM_PVPMU_PAGE_ENABLE;
	}
}

static uint64_t any_time(void)
{
	return guest_random_u64(&rng) >> below(64);
}

static uint64_t any_model_value(const struct pvpmu_shape *shape, uint32_t msr)
{
	const uint64_t values[] = {
		shape->cap, shape->events_hw, shape->events_cache, shape->events_pv,
	};
	uint64_t value = values[msr - MSR_KVM_PVPMU_CAP];

	return chance(50) ? value : value ^ BIT_ULL(below(64));
}

static uint64_t any_value(const struct pvpmu_shape *shape, uint32_t msr)
{
	switch (msr) {
	case MSR_KVM_PVPMU_CAP ... MSR_KVM_PVPMU_EVENTS_PV:
		return any_model_value(shape, msr);
	case MSR_KVM_PVPMU_GLOBAL_CTRL:
		return any_counters(shape);
	case MSR_KVM_PVPMU_GLOBAL_STATUS:
	case MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return any_status(shape);
	case MSR_KVM_PVPMU_PAGE:
		return any_page();
	case MSR_KVM_PVPMU_EVTSEL(0) ... MSR_KVM_PVPMU_COUNTER(0) - 1:
		return any_tame_evtsel();
	case MSR_KVM_PVPMU_COUNTER(0) ... MSR_KVM_PVPMU_ENABLED_NS(0) - 1:
		return any_count();
	case MSR_KVM_PVPMU_ENABLED_NS(0) ... MSR_KVM_PVPMU_RAW(0) - 1:
		return any_time();
	default:
		return chance(50) ? 0 : guest_random_u64(&rng) >> below(64);
	}
}

/* Those next to the window are nobody's, and some within it not the PMU's. */
static uint32_t any_of_window(void)
{
	uint32_t msr;

	do {
		msr = MSR_KVM_PVPMU_BASE - 1 + below(NR_REGISTERS + 2);
	} while (is_clock_register(msr));
	return msr;
}

static uint32_t any_register(const struct pvpmu_shape *shape)
{
	unsigned int idx = any_index(shape);

	switch (below(16)) {
	case 0 ... 3:
		return MSR_KVM_PVPMU_GLOBAL_CTRL;
	case 4 ... 6:
		return MSR_KVM_PVPMU_EVTSEL(idx);
	case 7 ... 9:
		return MSR_KVM_PVPMU_COUNTER(idx);
	case 10:
		return MSR_KVM_PVPMU_GLOBAL_STATUS;
	case 11:
		return MSR_KVM_PVPMU_GLOBAL_STATUS_CLR;
	case 12:
		return MSR_KVM_PVPMU_PAGE;
	case 13:
		return chance(50) ? MSR_KVM_PVPMU_ENABLED_NS(idx) :
				    MSR_KVM_PVPMU_RUNNING_NS(idx);
	default:
		return any_of_window();
	}
}

static uint32_t entry_offset(unsigned int idx, unsigned int word)
{
	return offsetof(struct kvm_pvpmu_page, entries) +
	       idx * sizeof(struct kvm_pvpmu_entry) + word * sizeof(uint64_t);
}

static uint32_t any_offset(const struct pvpmu_shape *shape)
{
	switch (below(8)) {
	case 0:
		return below(9) * sizeof(uint64_t);
	case 1:
	case 2:
		return offsetof(struct kvm_pvpmu_page, totals) +
		       below(KVM_PVPMU_PAGE_TOTALS) * sizeof(uint64_t);
	case 3:
		return below(PVPMU_FRAME_WORDS) * sizeof(uint64_t);
	default:
		return entry_offset(any_index(shape), below(8));
	}
}

static void make_page_write(const struct pvpmu_shape *shape, struct pvpmu_op *op)
{
	unsigned int idx = any_index(shape);

	switch (below(8)) {
	case 0 ... 2:
		op->arg = offsetof(struct kvm_pvpmu_page, dirty);
		op->value = any_counters(shape);
		break;
	case 3:
	case 4:
		op->arg = entry_offset(idx, 0);
		op->value = any_tame_evtsel();
		break;
	case 5:
		op->arg = entry_offset(idx, 1);
		op->value = any_count();
		break;
	case 6:
		op->arg = entry_offset(idx, 2);
		op->value = any_reload();
		break;
	default:
		op->arg = entry_offset(idx, 3);
		op->value = chance(95) ? 0 : guest_random_u64(&rng) >> below(64);
		break;
	}
}

static void make_page_op(const struct pvpmu_shape *shape, struct pvpmu_op *op)
{
	if (op->type == OP_PAGE_WRITE)
		make_page_write(shape, op);
	else
		op->arg = any_offset(shape);
	op->arg += below(PVPMU_FRAMES) * KVM_PVPMU_PAGE_SIZE;
}

static void make_guest_op(const struct pvpmu_shape *shape, struct pvpmu_op *op)
{
	static const uint8_t types[] = {
		OP_RDMSR, OP_RDMSR, OP_RDMSR, OP_RDMSR,
		OP_WRMSR, OP_WRMSR, OP_WRMSR, OP_WRMSR, OP_WRMSR, OP_WRMSR,
		OP_CPUID, OP_CPUID, OP_OUT, OP_OTHER_MSR,
		OP_PAGE_READ, OP_PAGE_READ, OP_PAGE_WRITE, OP_PAGE_WRITE,
		OP_PAGE_WRITE,
	};

	op->type = chance(99) ? types[below(ARRAY_SIZE(types))] : OP_OUT_USER;
	switch (op->type) {
	case OP_RDMSR:
	case OP_WRMSR:
		op->arg = any_register(shape);
		op->value = any_value(shape, op->arg);
		break;
	case OP_PAGE_READ:
	case OP_PAGE_WRITE:
		make_page_op(shape, op);
		break;
	default:
		op->arg = 1 + below(4);
		break;
	}
}

static void make_vmm_op(const struct pvpmu_shape *shape, struct pvpmu_op *op)
{
	static const uint8_t types[] = {
		OP_GET, OP_GET, OP_GET, OP_GET, OP_SET, OP_SET, OP_SET, OP_SET,
		OP_FILL, OP_CHECK,
	};

	op->type = chance(97) ? types[below(ARRAY_SIZE(types))] : OP_MIGRATE;
	switch (op->type) {
	case OP_GET:
	case OP_SET:
		op->arg = any_register(shape);
		op->value = any_value(shape, op->arg);
		break;
	case OP_FILL:
		op->arg = below(PVPMU_FRAMES);
		op->value = guest_random_u32(&rng);
		break;
	default:
		op->value = guest_random_u64(&rng);
		break;
	}
}

static void make_ops(const struct pvpmu_shape *shape, struct pvpmu_op *ops,
		     unsigned int n)
{
	unsigned int guest_ops = 0, vmm_ops = 0, i;

	memset(ops, 0, n * sizeof(*ops));
	for (i = 0; i < n; i++) {
		if (!guest_ops && !vmm_ops) {
			guest_ops = 1 + below(MAX_BATCH);
			vmm_ops = 1 + below(6);
		}
		if (guest_ops) {
			guest_ops--;
			make_guest_op(shape, &ops[i]);
		} else {
			vmm_ops--;
			make_vmm_op(shape, &ops[i]);
		}
	}
}

/* What this host's administrator allows. */
static struct pvpmu_shape allowed;

static void find_allowed(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_code);

	allowed.cap = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_CAP);
	allowed.events_hw = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_HW);
	allowed.events_cache = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_CACHE);
	allowed.events_pv = vcpu_get_msr(vcpu, MSR_KVM_PVPMU_EVENTS_PV);
	allowed.raw_bits = host_cpu_is_amd ? 0xf0000ffffull : 0xffffull;
	if (get_kvm_param_bool("pvpmu_raw"))
		allowed.cap |= KVM_PVPMU_CAP_RAW;
	kvm_vm_free(vm);
}

static void make_shape(struct pvpmu_shape *shape)
{
	uint64_t nr = chance(50) ? 1 + below(4) : 1 + below(KVM_PVPMU_MAX_COUNTERS);

	*shape = allowed;
	shape->cap &= ~KVM_PVPMU_CAP_COUNTERS;
	shape->cap |= nr << KVM_PVPMU_CAP_COUNTERS_SHIFT;
	if (chance(10))
		shape->cap &= ~KVM_PVPMU_CAP_PAGE;
	if (chance(20))
		shape->cap &= ~KVM_PVPMU_CAP_OVERFLOW;
	if (chance(50))
		shape->cap &= ~KVM_PVPMU_CAP_RAW;
	if (chance(20))
		shape->events_pv &= guest_random_u64(&rng);
}

/* Shrinking: leave out what the failure does not need. */

struct shrinking {
	struct machine *machine;
	struct pvpmu_op *ops;
	struct pvpmu_op *trial;
	unsigned int n;
	unsigned int runs;
	time_t deadline;
};

static bool may_go_on(const struct shrinking *shrinking)
{
	return shrinking->runs < MAX_SHRINK_RUNS && time(NULL) < shrinking->deadline;
}

/* The trial of @n operations becomes what is kept, up to where it fails. */
static bool still_fails(struct shrinking *shrinking, unsigned int n)
{
	unsigned int agreed;

	shrinking->runs++;
	agreed = run_ops(shrinking->machine, shrinking->trial, n);
	if (agreed == n)
		return false;
	memcpy(shrinking->ops, shrinking->trial, (agreed + 1) * sizeof(*shrinking->ops));
	shrinking->n = agreed + 1;
	return true;
}

static bool try_without(struct shrinking *shrinking, unsigned int start,
			unsigned int size)
{
	unsigned int end = start + size;

	memcpy(shrinking->trial, shrinking->ops, start * sizeof(*shrinking->ops));
	memcpy(shrinking->trial + start, shrinking->ops + end,
	       (shrinking->n - end) * sizeof(*shrinking->ops));
	return still_fails(shrinking, shrinking->n - size);
}

/* Most failures need only what came shortly before. */
static void keep_end(struct shrinking *shrinking)
{
	unsigned int size;

	for (size = 16; size < shrinking->n && may_go_on(shrinking); size *= 4) {
		if (try_without(shrinking, 0, shrinking->n - size))
			return;
	}
}

/* From the end on, so that what is left to try does not move. */
static bool leave_out(struct shrinking *shrinking, unsigned int size)
{
	unsigned int start = shrinking->n;
	bool some = false;

	while (start && may_go_on(shrinking)) {
		unsigned int part = size < start ? size : start;

		start -= part;
		if (start + part > shrinking->n)
			part = shrinking->n - start;
		if (part < shrinking->n && try_without(shrinking, start, part))
			some = true;
		if (start > shrinking->n)
			start = shrinking->n;
	}
	return some;
}

static void shrink(struct shrinking *shrinking)
{
	unsigned int size;

	keep_end(shrinking);
	for (size = shrinking->n / 2; size > 1; size /= 2)
		leave_out(shrinking, size);
	while (leave_out(shrinking, 1) && may_go_on(shrinking))
		;
}

/* Printing. */

static const char *register_name(uint32_t msr, char *buf, size_t size)
{
	static const char *const names[] = {
		"CAP", "EVENTS_HW", "EVENTS_CACHE", "EVENTS_PV", "GLOBAL_CTRL",
		"GLOBAL_STATUS", "GLOBAL_STATUS_CLR", "PAGE",
	};
	static const char *const counter_names[] = {
		"EVTSEL", "COUNTER", "ENABLED_NS", "RUNNING_NS", "RAW",
	};
	uint32_t offset = msr - MSR_KVM_PVPMU_BASE;

	if (offset < ARRAY_SIZE(names))
		snprintf(buf, size, "%s", names[offset]);
	else if (offset >= 0x10 && offset < NR_REGISTERS)
		snprintf(buf, size, "%s(%u)", counter_names[offset / 16 - 1],
			 offset % 16);
	else
		snprintf(buf, size, "MSR 0x%x", msr);
	return buf;
}

static const char *evtsel_name(uint64_t evtsel, char *buf, size_t size)
{
	static const char *const classes[] = { "hw", "cache", "raw", "pv" };
	unsigned int class = (evtsel & KVM_PVPMU_EVTSEL_CLASS) >>
			     KVM_PVPMU_EVTSEL_CLASS_SHIFT;

	if (class >= ARRAY_SIZE(classes))
		snprintf(buf, size, "0x%lx", evtsel);
	else
		snprintf(buf, size, "0x%lx (%s %llu%s%s%s%s)", evtsel, classes[class],
			 evtsel & KVM_PVPMU_EVTSEL_EVENT,
			 evtsel & KVM_PVPMU_EVTSEL_USR ? " USR" : "",
			 evtsel & KVM_PVPMU_EVTSEL_OS ? " OS" : "",
			 evtsel & KVM_PVPMU_EVTSEL_INT ? " INT" : "",
			 evtsel & KVM_PVPMU_EVTSEL_EN ? " EN" : "");
	return buf;
}

static bool is_evtsel(uint32_t msr)
{
	return msr >= MSR_KVM_PVPMU_EVTSEL(0) && msr < MSR_KVM_PVPMU_COUNTER(0);
}

static const char *value_name(bool is_event, uint64_t value, char *buf, size_t size)
{
	if (is_event)
		return evtsel_name(value, buf, size);
	if (value <= COUNTER_MASK && value > COUNTER_MASK - 16)
		snprintf(buf, size, "2^48 - %llu", COUNTER_MASK + 1 - value);
	else
		snprintf(buf, size, "0x%lx", value);
	return buf;
}

static const char *field_name(uint32_t offset, char *buf, size_t size)
{
	static const char *const fields[] = {
		"evtsel", "value", "reload", "raw", "enabled", "running", "count",
		"overflows and flags",
	};
	unsigned int frame = offset / KVM_PVPMU_PAGE_SIZE;
	unsigned int in_page = offset % KVM_PVPMU_PAGE_SIZE;

	if (in_page >= 0x100 && in_page < 0x500)
		snprintf(buf, size, "page %u entries[%u].%s", frame,
			 (in_page - 0x100) / 64, fields[in_page / 8 % 8]);
	else if (in_page >= 0x800 && in_page < 0xa00)
		snprintf(buf, size, "page %u totals[%u]", frame,
			 (in_page - 0x800) / 8);
	else if (in_page == offsetof(struct kvm_pvpmu_page, dirty))
		snprintf(buf, size, "page %u dirty", frame);
	else
		snprintf(buf, size, "page %u at 0x%x", frame, in_page);
	return buf;
}

static void print_page_op(const struct pvpmu_op *op)
{
	bool is_event = op->arg % KVM_PVPMU_PAGE_SIZE >= 0x100 && !(op->arg % 64);
	char field[64], value[64];

	field_name(op->arg, field, sizeof(field));
	if (op->type == OP_PAGE_READ)
		ksft_print_msg("  guest: read %s\n", field);
	else
		ksft_print_msg("  guest: %s = %s\n", field,
			       value_name(is_event, op->value, value, sizeof(value)));
}

static void print_register_op(const struct pvpmu_op *op, const char *what)
{
	bool is_read = op->type == OP_RDMSR || op->type == OP_GET;
	char name[64], value[64];

	register_name(op->arg, name, sizeof(name));
	if (is_read)
		ksft_print_msg("  %s %s\n", what, name);
	else
		ksft_print_msg("  %s %s = %s\n", what, name,
			       value_name(is_evtsel(op->arg), op->value, value,
					  sizeof(value)));
}

static void print_op(const struct pvpmu_op *op)
{
	static const char *const names[] = {
		[OP_RDMSR]	= "guest: rdmsr",
		[OP_WRMSR]	= "guest: wrmsr",
		[OP_CPUID]	= "guest: cpuid",
		[OP_OUT]	= "guest: out to KVM",
		[OP_OUT_USER]	= "guest: out to user space",
		[OP_OTHER_MSR]	= "guest: rdmsr of another MSR",
		[OP_GET]	= "VMM: get",
		[OP_SET]	= "VMM: set",
		[OP_FILL]	= "VMM: fill page",
		[OP_MIGRATE]	= "VMM: migrate",
		[OP_CHECK]	= "VMM: check all",
	};

	switch (op->type) {
	case OP_RDMSR:
	case OP_WRMSR:
	case OP_GET:
	case OP_SET:
		print_register_op(op, names[op->type]);
		break;
	case OP_PAGE_READ:
	case OP_PAGE_WRITE:
		print_page_op(op);
		break;
	case OP_FILL:
		ksft_print_msg("  %s %u\n", names[op->type], op->arg);
		break;
	case OP_MIGRATE:
	case OP_CHECK:
		ksft_print_msg("  %s\n", names[op->type]);
		break;
	default:
		ksft_print_msg("  %s, %u times\n", names[op->type], op->arg);
		break;
	}
}

static void print_failure(const struct machine *machine, const struct pvpmu_op *ops,
			  unsigned int at)
{
	const struct pvpmu_model *model = &machine->model;
	char field[64];

	ksft_print_msg("operation %u, %s: %s: expected 0x%lx, got 0x%lx\n", at,
		       model->in_page ? field_name(model->offset, field, sizeof(field)) :
		       machine->where, model->what ?: "refused",
		       model->expected, model->actual);
	print_op(&ops[at]);
}

static void print_shape(const struct pvpmu_shape *shape)
{
	ksft_print_msg("model: %u counters%s%s%s, pv events 0x%lx\n",
		       shape_counters(shape),
		       shape->cap & KVM_PVPMU_CAP_PAGE ? ", PAGE" : "",
		       shape->cap & KVM_PVPMU_CAP_OVERFLOW ? ", OVERFLOW" : "",
		       shape->cap & KVM_PVPMU_CAP_RAW ? ", RAW" : "",
		       shape->events_pv);
}

static void report(struct machine *machine, struct pvpmu_op *ops, unsigned int at)
{
	struct shrinking shrinking = {
		.machine = machine,
		.ops = ops,
		.trial = calloc(at + 1, sizeof(*ops)),
		.n = at + 1,
		.deadline = time(NULL) + MAX_SHRINK_SECONDS,
	};
	unsigned int i;

	print_shape(&machine->shape);
	print_failure(machine, ops, at);

	shrink(&shrinking);
	memcpy(shrinking.trial, ops, shrinking.n * sizeof(*ops));
	if (!still_fails(&shrinking, shrinking.n))
		ksft_print_msg("it does not fail each time\n");
	ksft_print_msg("needs these %u operations (%u runs to find out):\n",
		       shrinking.n, shrinking.runs);
	for (i = 0; i < shrinking.n; i++)
		print_op(&ops[i]);
	print_failure(machine, ops, shrinking.n - 1);
	free(shrinking.trial);
}

static bool run_round(struct pvpmu_op *ops, unsigned int n, uint32_t seed)
{
	struct machine machine = {};
	unsigned int agreed;

	rng = new_guest_random_state(seed);
	make_shape(&machine.shape);
	make_ops(&machine.shape, ops, n);
	agreed = run_ops(&machine, ops, n);
	if (agreed == n)
		return true;
	report(&machine, ops, agreed);
	return false;
}

static void help(const char *name)
{
	printf("usage: %s [-n OPERATIONS] [-s SEED]\n", name);
	exit(KSFT_FAIL);
}

int main(int argc, char *argv[])
{
	unsigned int n = 100000, done, round;
	uint32_t seed = time(NULL);
	struct pvpmu_op *ops;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:")) != -1) {
		switch (opt) {
		case 'n':
			n = atoi_positive("operations", optarg);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		default:
			help(argv[0]);
		}
	}

	TEST_REQUIRE(kvm_check_cap(KVM_CAP_X86_PVPMU));
	TEST_REQUIRE(!get_kvm_param_bool("ignore_msrs"));
	ksft_print_header();
	ksft_set_plan(1);
	find_allowed();
	ops = calloc(OPS_PER_ROUND, sizeof(*ops));

	for (done = 0, round = 0; done < n; round++) {
		unsigned int size = min_t(unsigned int, n - done, OPS_PER_ROUND);

		if (!run_round(ops, size, seed + round)) {
			ksft_print_msg("again: %s -n %u -s %u\n", argv[0], size,
				       seed + round);
			ksft_test_result_fail("%u operations\n", n);
			ksft_finished();
		}
		done += size;
	}
	free(ops);
	ksft_test_result_pass("%u operations, seed %u\n", n, seed);
	ksft_finished();
}
