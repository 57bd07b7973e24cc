// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest: random writes and reads of the registers and of the pages of
 * the paravirtual PMU, from several vCPUs at once, while user space saves and
 * restores them, writes what was never saved, and resets vCPUs.
 *
 * usage: pvpmu_hostile_test [OPERATIONS [SEED]]
 *
 * Passes if the host survives and each access either works or is refused.
 * What it leaves behind is for whoever runs it to see: leaks, splats.
 */
#include <pthread.h>
#include <time.h>

#include "perf_clock_test.h"
#include "pvpmu_test.h"

#define NR_OPERATIONS	30000
#define NR_WORKERS	3
#define NR_VMS		4
#define NR_PAGES	4

/* How many operations of the guest lie between two of user space. */
#define BURST		64

/* No memory is there. */
#define ABSENT_GPA	0xd0000000ul

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Guest side. */

static struct kvm_pvpmu_page *pages[NR_PAGES];
static uint64_t page_gpas[NR_PAGES];
static uint64_t bursts;

static uint64_t random_evtsel(uint64_t *rng)
{
	uint64_t r = next_random(rng);
	uint64_t evtsel = r & (KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS |
			       KVM_PVPMU_EVTSEL_INT);

	evtsel |= EVTSEL_CLASS(r % 4) | (r >> 32) % KVM_PVPMU_PV_MAX;
	return evtsel | (r & BIT_ULL(40) ? 0 : KVM_PVPMU_EVTSEL_EN);
}

/* Short periods, values about to overflow, masks, addresses, and anything. */
static uint64_t random_value(uint64_t *rng)
{
	uint64_t r = next_random(rng);

	switch (r >> 60) {
	case 0 ... 5:
		return random_evtsel(rng);
	case 6 ... 7:
		return BEFORE_OVERFLOW(r % 1000);
	case 8 ... 9:
		return r % 1000;
	case 10 ... 12:
		return r & GENMASK_ULL(KVM_PVPMU_MAX_COUNTERS - 1, 0);
	case 13:
		return page_gpas[r % NR_PAGES] | (r >> 20 & 1);
	case 14:
		return ABSENT_GPA | (r & 0xfff);
	default:
		return r;
	}
}

static uint32_t random_msr(uint64_t *rng)
{
	return MSR_KVM_PVPMU_BASE +
		next_random(rng) % (MSR_KVM_PVPMU_LAST - MSR_KVM_PVPMU_BASE + 4);
}

/* These would take any memory of the guest, that of this program too. */
static bool takes_address(uint32_t msr)
{
	return msr == MSR_KVM_PVPMU_PAGE || msr == MSR_KVM_PERF_CLOCK;
}

static void write_random_msr(uint64_t *rng)
{
	uint64_t value = random_value(rng);
	uint32_t msr = random_msr(rng);

	if (takes_address(msr))
		value = page_gpas[value % NR_PAGES] | (value >> 8 & 7);
	wrmsr_safe(msr, value);
}

static void scribble(uint64_t *rng)
{
	uint64_t r = next_random(rng);
	uint64_t *words = (void *)pages[r % NR_PAGES];

	WRITE_ONCE(words[(r >> 8) % (PAGE_SIZE / sizeof(*words))],
		   random_value(rng));
}

static void fill_and_ring(uint64_t *rng)
{
	uint64_t r = next_random(rng);
	struct kvm_pvpmu_page *victim = pages[r % NR_PAGES];
	struct kvm_pvpmu_entry *entry;

	entry = &victim->entries[(r >> 8) % KVM_PVPMU_MAX_COUNTERS];
	WRITE_ONCE(entry->evtsel, random_evtsel(rng));
	WRITE_ONCE(entry->value, BEFORE_OVERFLOW(r % 50));
	WRITE_ONCE(entry->reload, r >> 16 & 63);
	WRITE_ONCE(victim->dirty, next_random(rng));
	wrmsr_safe(MSR_KVM_PVPMU_GLOBAL_CTRL, next_random(rng) & 0xffff);
}

static void change_lvtpc(uint64_t *rng)
{
	static const uint32_t values[] = {
		APIC_DM_NMI, APIC_DM_NMI, APIC_DM_NMI | APIC_LVT_MASKED,
		FIXED_PMI_VECTOR,
	};

	x2apic_write_reg(APIC_LVTPC,
			 values[next_random(rng) % ARRAY_SIZE(values)]);
}

static void do_anything(uint64_t *rng)
{
	uint64_t value;

	switch (next_random(rng) % 16) {
	case 0 ... 5:
		write_random_msr(rng);
		break;
	case 6 ... 7:
		rdmsr_safe(random_msr(rng), &value);
		break;
	case 8 ... 10:
		scribble(rng);
		break;
	case 11 ... 12:
		fill_and_ring(rng);
		break;
	case 13:
		change_lvtpc(rng);
		break;
	case 14:
		do_cpuid(3);
		break;
	default:
		do_io(3);
	}
}

static void guest_code(uint64_t seed)
{
	uint64_t i, rng = seed;
	unsigned int j;

	x2apic_enable();
	asm volatile("sti");
	for (i = 0; i < bursts; i++) {
		for (j = 0; j < BURST; j++)
			do_anything(&rng);
		GUEST_SYNC(1);
	}
	/* Counters and interrupts stay on: the VM dies with them. */
	GUEST_DONE();
}

/* Host side. */

struct worker {
	struct kvm_vcpu *vcpu;
	uint64_t rng;
	uint64_t saved[MSR_KVM_PVPMU_LAST - MSR_KVM_PVPMU_BASE + 1];
	bool has_saved;
};

/* The PMU's, and the clock's where there is one. */
static bool is_saved(uint32_t msr)
{
	return is_state(msr) ||
	       (msr >= MSR_KVM_PERF_CLOCK && msr <= MSR_KVM_PERF_CLOCK_GENERATION &&
		kvm_cpu_has(X86_FEATURE_KVM_PV_PERF_CLOCK));
}

static void save(struct worker *worker)
{
	uint32_t msr;

	for (msr = MSR_KVM_PVPMU_BASE; msr <= MSR_KVM_PVPMU_LAST; msr++) {
		if (is_saved(msr))
			worker->saved[msr - MSR_KVM_PVPMU_BASE] =
				vcpu_get_msr(worker->vcpu, msr);
	}
	worker->has_saved = true;
}

/* All that was saved is taken, in any order. */
static void restore(struct worker *worker)
{
	uint32_t nr = MSR_KVM_PVPMU_LAST - MSR_KVM_PVPMU_BASE + 1;
	uint32_t start = next_random(&worker->rng) % nr;
	uint32_t i, msr;

	for (i = 0; i < nr; i++) {
		msr = MSR_KVM_PVPMU_BASE + (start + i * 7) % nr;
		if (is_saved(msr))
			host_write(worker->vcpu, msr,
				   worker->saved[msr - MSR_KVM_PVPMU_BASE]);
	}
}

/* A VMM that makes things up, with addresses as in write_random_msr(). */
static void make_up(struct worker *worker)
{
	uint64_t value = next_random(&worker->rng);
	uint32_t msr = random_msr(&worker->rng);

	if (takes_address(msr))
		value = page_gpas[value % NR_PAGES] | (value >> 8 & 1);
	else if (value & 1)
		value = random_evtsel(&worker->rng);
	_vcpu_set_msr(worker->vcpu, msr, value);
}

/* INIT, as if another vCPU had sent it; then the vCPU is what it was before. */
static void reset(struct worker *worker)
{
	struct kvm_x86_state *state = vcpu_save_state(worker->vcpu);
	struct kvm_vcpu_events events = state->events;
	struct kvm_mp_state mp_state;

	events.flags |= KVM_VCPUEVENT_VALID_SMM;
	events.smi.latched_init = 1;
	vcpu_events_set(worker->vcpu, &events);
	/* Takes the pending INIT. */
	vcpu_mp_state_get(worker->vcpu, &mp_state);
	TEST_ASSERT_EQ(vcpu_get_msr(worker->vcpu, MSR_KVM_PVPMU_PAGE), 0);
	TEST_ASSERT_EQ(vcpu_get_msr(worker->vcpu, MSR_KVM_PVPMU_GLOBAL_CTRL), 0);

	vcpu_load_state(worker->vcpu, state);
	kvm_x86_state_cleanup(state);
}

static void between_bursts(struct worker *worker)
{
	switch (next_random(&worker->rng) % 8) {
	case 0:
		save(worker);
		break;
	case 1:
		if (worker->has_saved)
			restore(worker);
		break;
	case 2 ... 4:
		make_up(worker);
		break;
	case 5:
		reset(worker);
		break;
	}
}

static void *run_worker(void *arg)
{
	struct worker *worker = arg;

	while (run_to_sync(worker->vcpu))
		between_bursts(worker);
	return NULL;
}

static void share_pages(struct kvm_vm *vm)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++) {
		vm_vaddr_t gva = vm_vaddr_alloc_page(vm);

		pages[i] = (void *)gva;
		page_gpas[i] = addr_gva2gpa(vm, gva);
	}
	sync_global_to_guest(vm, pages);
	sync_global_to_guest(vm, page_gpas);
	sync_global_to_guest(vm, bursts);
}

static void run_vm(uint64_t *rng)
{
	struct worker workers[NR_WORKERS] = {};
	struct kvm_vcpu *vcpus[NR_WORKERS];
	pthread_t threads[NR_WORKERS];
	struct kvm_vm *vm;
	unsigned int i;

	vm = vm_create_with_vcpus(NR_WORKERS, guest_code, vcpus);
	install_pmi_handlers(vm);
	share_pages(vm);

	for (i = 0; i < NR_WORKERS; i++) {
		workers[i].vcpu = vcpus[i];
		workers[i].rng = next_random(rng);
		vcpu_args_set(vcpus[i], 1, next_random(rng));
		TEST_ASSERT_EQ(pthread_create(&threads[i], NULL, run_worker,
					      &workers[i]), 0);
	}
	for (i = 0; i < NR_WORKERS; i++)
		TEST_ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	uint64_t operations = NR_OPERATIONS, seed = time(NULL), rng;
	unsigned int i;

	require_pvpmu();
	if (argc > 1)
		operations = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	bursts = operations / (NR_VMS * NR_WORKERS * BURST) + 1;

	ksft_print_header();
	ksft_set_plan(1);
	ksft_print_msg("seed %lu, %lu operations on %u vCPUs of %u VMs\n", seed,
		       bursts * NR_VMS * NR_WORKERS * BURST, NR_WORKERS, NR_VMS);
	for (i = 0; i < NR_VMS; i++) {
		run_vm(&rng);
		ksft_print_msg("%u of %u VMs done\n", i + 1, NR_VMS);
	}
	ksft_test_result_pass("the host survived\n");
	ksft_finished();
}
