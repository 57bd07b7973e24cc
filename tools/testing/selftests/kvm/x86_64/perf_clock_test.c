// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the paravirtual perf clock (kvm.perf_clock=1): its registers, that what
 * a guest reads from the page is the host's perf clock to the nanosecond, and
 * that it never steps back over save and restore.
 *
 * usage: perf_clock_test [WORD]	only the cases that have WORD in their name
 */
#include "perf_clock_host.h"
#include "perf_clock_test.h"
#include "pv_real_mode.h"

/* Pairs of TSC and clock in all, between save and restore. */
#define NR_ROUNDS		1000
#define NR_PAIRS		500

#define PATTERN			0xa5

static struct pair pairs[NR_VCPUS][NR_PAIRS];

/* Guest side. */

static void guest_registers(void)
{
	unsigned int bit;
	uint32_t msr;

	for (msr = MSR_KVM_PERF_CLOCK; msr <= MSR_KVM_PERF_CLOCK_GENERATION; msr++)
		expect_value(msr, 0);
	for (msr = MSR_KVM_PERF_CLOCK_NS; msr <= MSR_KVM_PERF_CLOCK_GENERATION; msr++)
		expect_gp_on_write(msr, 0);
	for (bit = 2; bit < PAGE_SHIFT; bit++)
		expect_gp_on_write(MSR_KVM_PERF_CLOCK, BIT_ULL(bit));
	expect_gp_on_write(MSR_KVM_PERF_CLOCK, PAGE_GPA);
	expect_gp_on_write(MSR_KVM_PERF_CLOCK, PAGE_GPA | KVM_PERF_CLOCK_NS);
	expect_gp_on_write(MSR_KVM_PERF_CLOCK, MMIO_GPA | KVM_PERF_CLOCK_PAGE);
	expect_gp_on_write(MSR_KVM_PERF_CLOCK, BIT_ULL(62) | KVM_PERF_CLOCK_PAGE);
	expect_value(MSR_KVM_PERF_CLOCK, 0);

	expect_write(MSR_KVM_PERF_CLOCK, KVM_PERF_CLOCK_NS);
	expect_value(MSR_KVM_PERF_CLOCK, KVM_PERF_CLOCK_NS);
	GUEST_ASSERT(rdmsr(MSR_KVM_PERF_CLOCK_NS));
	GUEST_ASSERT(rdmsr(MSR_KVM_PERF_CLOCK_EPOCH));
	GUEST_ASSERT(rdmsr(MSR_KVM_PERF_CLOCK_GENERATION));
	expect_value(MSR_KVM_PERF_CLOCK_OFFSET, 0);

	expect_write(MSR_KVM_PERF_CLOCK, 0);
	expect_value(MSR_KVM_PERF_CLOCK_NS, 0);
	expect_value(MSR_KVM_PERF_CLOCK_EPOCH, 0);
	for (msr = MSR_KVM_PERF_CLOCK_GENERATION + 1; msr <= 0x4b564d4f; msr++) {
		expect_gp_on_read(msr);
		expect_gp_on_write(msr, 0);
	}
	GUEST_DONE();
}

static void guest_without_feature(void)
{
	uint32_t msr;

	for (msr = MSR_KVM_PERF_CLOCK; msr <= MSR_KVM_PERF_CLOCK_GENERATION; msr++) {
		expect_gp_on_read(msr);
		expect_gp_on_write(msr, 0);
		expect_gp_on_write(msr, 1);
	}
	GUEST_DONE();
}

/* What the page says lies between two readings by exit, and the other way. */
static void guest_page_and_exit(void)
{
	uint64_t before, between, after;
	unsigned int i;

	guest_enable(0);
	GUEST_ASSERT_EQ(guest_page(0)->host_epoch, rdmsr(MSR_KVM_PERF_CLOCK_EPOCH));
	GUEST_ASSERT_EQ(guest_page(0)->generation,
			rdmsr(MSR_KVM_PERF_CLOCK_GENERATION));
	GUEST_ASSERT_EQ((uint64_t)guest_page(0)->offset,
			rdmsr(MSR_KVM_PERF_CLOCK_OFFSET));
	for (i = 0; i < NR_ROUNDS; i++) {
		before = guest_clock(0);
		between = rdmsr(MSR_KVM_PERF_CLOCK_NS);
		after = guest_clock(0);
		__GUEST_ASSERT(before <= between && between <= after,
			       "page %lu, by exit %lu, page %lu",
			       before, between, after);
	}
	GUEST_DONE();
}

static void guest_take_pairs(unsigned int idx)
{
	unsigned int i;

	guest_enable(idx);
	for (;;) {
		for (i = 0; i < NR_PAIRS; i++)
			guest_read_pair(guest_page(idx), &pairs[idx][i]);
		GUEST_SYNC(1);
	}
}

static void guest_take_pairs_0(void)
{
	guest_take_pairs(0);
}

static void guest_take_pairs_1(void)
{
	guest_take_pairs(1);
}

static void guest_read_many(void)
{
	unsigned int i;

	guest_enable(0);
	GUEST_SYNC(1);
	for (i = 0; i < NR_ROUNDS; i++)
		guest_clock(0);
	GUEST_SYNC(2);
	GUEST_DONE();
}

/* The page follows with the very next instruction. */
static void guest_writes_tsc(void)
{
	uint64_t before;
	unsigned int i;

	guest_enable(0);
	for (i = 1; i <= NR_ROUNDS; i++) {
		before = guest_clock(0);
		wrmsr(i & 1 ? MSR_IA32_TSC : MSR_IA32_TSC_ADJUST, (uint64_t)i << 40);
		GUEST_ASSERT(guest_clock(0) >= before);
		GUEST_ASSERT(guest_clock(0) - before < NSEC_PER_SEC);
	}
	GUEST_DONE();
}

/* Each stage says what it read, and the host what it did meanwhile. */
static void guest_syncs_clock(void)
{
	guest_enable(0);
	for (;;)
		GUEST_SYNC(guest_clock(0));
}

static void guest_enables_once(void)
{
	guest_enable(0);
	GUEST_SYNC(1);
	expect_write(MSR_KVM_PERF_CLOCK, KVM_PERF_CLOCK_NS);
	GUEST_SYNC(2);
	GUEST_ASSERT(rdmsr(MSR_KVM_PERF_CLOCK_NS));
	GUEST_SYNC(3);
	GUEST_DONE();
}

static void guest_without_slot(void)
{
	uint64_t before;

	guest_enable(0);
	before = guest_clock(0);
	GUEST_SYNC(1);
	GUEST_ASSERT(rdmsr(MSR_KVM_PERF_CLOCK_NS) >= before);
	GUEST_SYNC(2);
	GUEST_ASSERT(READ_ONCE(guest_page(0)->flags) & KVM_PERF_CLOCK_VALID);
	GUEST_ASSERT(guest_clock(0) >= before);
	GUEST_DONE();
}

/* Host side: VMs. */

static struct kvm_vm *create(struct kvm_vcpu **vcpu, void *guest_code)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, guest_code);

	map_pages(vm);
	return vm;
}

static void run_clock_case(void *guest_code)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_code);

	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* As after a migration: another VM, with the memory of the first. */
static void move(struct kvm_vm *vm, struct kvm_vcpu **vcpus, unsigned int nr)
{
	struct kvm_x86_state *states[NR_VCPUS];
	unsigned int i;

	for (i = 0; i < nr; i++)
		states[i] = vcpu_save_state(vcpus[i]);
	kvm_vm_release(vm);
	kvm_vm_restart(vm);
	for (i = 0; i < nr; i++) {
		vcpus[i] = vm_vcpu_recreate(vm, i);
		vcpu_load_state(vcpus[i], states[i]);
		kvm_x86_state_cleanup(states[i]);
	}
}

/* Discovery and registers. */

static void test_offered(void)
{
	const struct kvm_msr_list *list = kvm_get_msr_index_list();
	unsigned int i, listed = 0;

	TEST_ASSERT(kvm_cpu_has(X86_FEATURE_KVM_PV_PERF_CLOCK), "not offered");
	for (i = 0; i < list->nmsrs; i++)
		listed += list->indices[i] >= MSR_KVM_PERF_CLOCK &&
			  list->indices[i] <= MSR_KVM_PERF_CLOCK_GENERATION;
	TEST_ASSERT_EQ(listed, 5);
}

static void test_registers(void)
{
	run_clock_case(guest_registers);
}

static void test_hidden(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_without_feature);
	uint32_t msr;

	vcpu_clear_cpuid_feature(vcpu, X86_FEATURE_KVM_PV_PERF_CLOCK);
	for (msr = MSR_KVM_PERF_CLOCK; msr <= MSR_KVM_PERF_CLOCK_GENERATION; msr++) {
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, msr), 0);
		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, 0), 1);
		TEST_ASSERT_EQ(_vcpu_set_msr(vcpu, msr, 1), 0);
	}
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* What is refused leaves the clock as it was. */
static void test_bad_restore(void)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} bad[] = {
		{ MSR_KVM_PERF_CLOCK, BIT_ULL(2) },
		{ MSR_KVM_PERF_CLOCK, PAGE_GPA },
		{ MSR_KVM_PERF_CLOCK_NS, KVM_PERF_CLOCK_LIMIT },
		{ MSR_KVM_PERF_CLOCK_NS, ~0ull },
		{ MSR_KVM_PERF_CLOCK_OFFSET, KVM_PERF_CLOCK_LIMIT },
		{ MSR_KVM_PERF_CLOCK_OFFSET, -KVM_PERF_CLOCK_LIMIT },
		{ MSR_KVM_PERF_CLOCK_OFFSET, BIT_ULL(63) },
		{ MSR_KVM_PERF_CLOCK_GENERATION, KVM_PERF_CLOCK_LIMIT },
		{ MSR_KVM_PERF_CLOCK_GENERATION, ~0ull },
	};
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_syncs_clock);
	uint64_t generation = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		TEST_ASSERT(!_vcpu_set_msr(vcpu, bad[i].msr, bad[i].value),
			    "0x%lx accepted for MSR 0x%x", bad[i].value, bad[i].msr);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK), 0);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET), 0);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION), generation);
	kvm_vm_free(vm);
}

static void test_page_and_exit(void)
{
	run_clock_case(guest_page_and_exit);
}

/* The same nanosecond on both sides. */

static uint64_t max_error;

static void check_pair(const struct host_clock *clock, uint64_t offset,
		       const struct pair *pair)
{
	uint64_t error = pair_error(clock, offset, pair);

	max_error = max(max_error, error);
	TEST_ASSERT(error <= MAX_ERROR_NS, "TSC 0x%lx: guest %lu ns, host %lu ns",
		    pair->tsc, pair->ns, host_ns(clock, pair->tsc - offset));
}

static void check_pairs(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	struct host_clock clock;
	uint64_t offset = tsc_offset(vcpu);
	unsigned int i;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	get_host_clock(&clock);
	sync_global_from_guest(vm, pairs[vcpu->id]);
	for (i = 0; i < NR_PAIRS; i++)
		check_pair(&clock, offset, &pairs[vcpu->id][i]);
}

static void rewrite_tsc_offset(struct kvm_vcpu *vcpu, unsigned int round)
{
	uint64_t offset = tsc_offset(vcpu) + ((uint64_t)round << 32) + round;

	vcpu_device_attr_set(vcpu, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &offset);
}

/*
 * A clock that the VM takes along: that the host is the same boot shows by
 * EPOCH, so it stays the host's own.
 */
static void test_pairs(void)
{
	struct kvm_vcpu *vcpus[NR_VCPUS];
	struct host_clock clock;
	struct kvm_vm *vm;
	unsigned int i, v;

	if (!get_host_clock(&clock)) {
		skip_reason = "a stable TSC of the host";
		return;
	}

	vm = vm_create(NR_VCPUS);
	vcpus[0] = vm_vcpu_add(vm, 0, guest_take_pairs_0);
	vcpus[1] = vm_vcpu_add(vm, 1, guest_take_pairs_1);
	map_pages(vm);
	max_error = 0;
	for (i = 0; i < NR_ROUNDS; i++) {
		for (v = 0; v < NR_VCPUS; v++)
			check_pairs(vm, vcpus[v]);
		move(vm, vcpus, NR_VCPUS);
		rewrite_tsc_offset(vcpus[i % NR_VCPUS], i);
	}
	ksft_print_msg("%u pairs, %u save/restores\n", NR_ROUNDS * NR_VCPUS * NR_PAIRS,
		       NR_ROUNDS);
	ksft_print_msg("bench: perf_clock_max_error_ns %lu ns\n", max_error);
	kvm_vm_free(vm);
}

/* One host cycle, or one of the guest's if those are longer, and 1 ns. */
static void test_scaled(void)
{
	struct host_clock clock;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i, khz;

	if (!kvm_has_cap(KVM_CAP_TSC_CONTROL) || !get_host_clock(&clock)) {
		skip_reason = "TSC scaling and a stable TSC of the host";
		return;
	}

	for (i = 1; i <= 8; i++) {
		vm = create(&vcpu, guest_page_and_exit);
		khz = __vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL);
		vcpu_ioctl(vcpu, KVM_SET_TSC_KHZ, (void *)(long)(khz * (i + 4l) / 8));
		run_to_end(vcpu);
		kvm_vm_free(vm);
	}
}

static void test_exits(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_read_many);
	uint64_t exits;

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	exits = vcpu_stat(vcpu, "exits");
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	exits = vcpu_stat(vcpu, "exits") - exits;
	/* Those of GUEST_SYNC and the host's interrupts: none of the readings. */
	TEST_ASSERT(exits < NR_ROUNDS / 20, "%lu exits in %u readings", exits,
		    NR_ROUNDS);
	ksft_print_msg("bench: perf_clock_exits_per_read %lu exits\n",
		       exits / NR_ROUNDS);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static void test_guest_writes_tsc(void)
{
	run_clock_case(guest_writes_tsc);
}

/* Save and restore. */

struct carried {
	uint64_t ns;
	uint64_t epoch;
	uint64_t offset;
	uint64_t generation;
};

static void save_clock(struct kvm_vcpu *vcpu, struct carried *carried)
{
	carried->ns = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_NS);
	carried->epoch = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_EPOCH);
	carried->offset = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET);
	carried->generation = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION);
}

/* In one of the orders that there are, by number. */
static void restore_clock(struct kvm_vcpu *vcpu, const struct carried *carried,
			  unsigned int order)
{
	struct {
		uint32_t msr;
		uint64_t value;
	} writes[] = {
		{ MSR_KVM_PERF_CLOCK_NS, carried->ns },
		{ MSR_KVM_PERF_CLOCK_EPOCH, carried->epoch },
		{ MSR_KVM_PERF_CLOCK_OFFSET, carried->offset },
		{ MSR_KVM_PERF_CLOCK_GENERATION, carried->generation },
	};
	unsigned int left, i;

	for (left = ARRAY_SIZE(writes); left; left--) {
		i = order % left;
		order /= left;
		host_write(vcpu, writes[i].msr, writes[i].value);
		writes[i] = writes[left - 1];
	}
}

#define NR_ORDERS	24

static void check_page_agrees(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	struct kvm_perf_clock_page *page = host_page(vm, 0);

	TEST_ASSERT_EQ(page->host_epoch, vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_EPOCH));
	TEST_ASSERT_EQ(page->generation,
		       vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION));
	TEST_ASSERT_EQ((uint64_t)page->offset,
		       vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET));
}

/*
 * The state of another host: its clock is far ahead of this one's, or behind.
 * The guest's goes on from where it was, and the page tells the way to ours.
 */
static void check_foreign(int64_t ahead, unsigned int order)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_syncs_clock);
	struct carried carried;
	uint64_t written, now;
	int64_t offset;

	save_clock(vcpu, &carried);
	carried.ns += ahead;
	carried.epoch ^= 1;
	carried.offset = 12345;
	carried.generation = 77;
	written = host_now();
	restore_clock(vcpu, &carried, order);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION), 78);

	now = run_to_sync(vcpu);
	TEST_ASSERT(now >= carried.ns, "back from %lu to %lu", carried.ns, now);
	TEST_ASSERT(now - carried.ns <= host_now() - written,
		    "%lu ns in no more than %lu ns", now - carried.ns,
		    host_now() - written);
	offset = vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET);
	TEST_ASSERT(now + offset >= written && now + offset <= host_now(),
		    "offset %ld leads to %lu", offset, now + offset);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION), 78);
	check_page_agrees(vm, vcpu);
	kvm_vm_free(vm);
}

static void test_foreign(void)
{
	unsigned int order;

	for (order = 0; order < NR_ORDERS; order++) {
		check_foreign(1000ll * NSEC_PER_SEC, order);
		check_foreign(-(int64_t)host_now() / 2, order);
	}
}

/* Back on the host that it came from, in another VM: the old offset holds. */
static void test_same_host(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	struct carried carried;
	uint64_t before, now;
	unsigned int order;

	for (order = 0; order < NR_ORDERS; order++) {
		vm = create(&vcpu, guest_syncs_clock);
		save_clock(vcpu, &carried);
		carried.offset = -1000ll * NSEC_PER_SEC;
		carried.ns = 1;
		before = host_now();
		restore_clock(vcpu, &carried, order);
		now = run_to_sync(vcpu) + carried.offset;
		TEST_ASSERT(now >= before && now <= host_now(), "%lu is not in %lu..%lu",
			    now, before, host_now());
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET),
			       carried.offset);
		check_page_agrees(vm, vcpu);
		kvm_vm_free(vm);
	}
}

/* A VMM that writes back what it read, while the guest has used its clock. */
static void test_never_back(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_syncs_clock);
	struct carried carried;
	uint64_t last, now;
	unsigned int i;

	last = run_to_sync(vcpu);
	for (i = 0; i < NR_ORDERS; i++) {
		save_clock(vcpu, &carried);
		carried.ns -= NSEC_PER_SEC;
		carried.epoch ^= i & 1;
		carried.offset += i & 2 ? NSEC_PER_SEC : 0;
		restore_clock(vcpu, &carried, i);
		now = run_to_sync(vcpu);
		TEST_ASSERT(now >= last, "from %lu back to %lu", last, now);
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET), 0);
		TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_GENERATION),
			       carried.generation + 1);
		check_page_agrees(vm, vcpu);
		last = now;
	}
	kvm_vm_free(vm);
}

/* An offset from which the clock would be negative is none. */
static void test_before_beginning(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_syncs_clock);
	struct carried carried;

	save_clock(vcpu, &carried);
	carried.offset = KVM_PERF_CLOCK_LIMIT - 1;
	restore_clock(vcpu, &carried, 0);
	TEST_ASSERT(run_to_sync(vcpu) < KVM_PERF_CLOCK_LIMIT, "before the beginning");
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK_OFFSET), 0);
	kvm_vm_free(vm);
}

/* All zeroes are no state to restore. */
static void test_zeroes(void)
{
	static const struct carried zeroes;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_syncs_clock);
	uint64_t before = host_now();
	uint64_t now;

	restore_clock(vcpu, &zeroes, 0);
	now = run_to_sync(vcpu);
	TEST_ASSERT(now >= before && now <= host_now(), "%lu is not the host's", now);
	kvm_vm_free(vm);
}

/* The page. */

static void check_untouched(struct kvm_vm *vm)
{
	const uint8_t *memory = (void *)host_page(vm, 0);
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i++)
		TEST_ASSERT(memory[i] == PATTERN, "the host wrote at 0x%x", i);
}

static void test_dropped(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_enables_once);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	memset(host_page(vm, 0), PATTERN, PAGE_SIZE);
	rewrite_tsc_offset(vcpu, 1);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 3);
	check_untouched(vm);
	kvm_vm_free(vm);
}

/* By a VMM that does not know the register, or by INIT for that matter. */
static void test_reset(void)
{
	struct kvm_sregs reset_sregs;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_enables_once);

	vcpu_sregs_get(__vm_vcpu_add(vm, 1), &reset_sregs);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	reset_to(vcpu, &reset_sregs, install_real_mode_code(vm));
	memset(host_page(vm, 0), PATTERN, PAGE_SIZE);
	rewrite_tsc_offset(vcpu, 1);
	run_real_mode(vcpu, 10);
	check_untouched(vm);
	TEST_ASSERT_EQ(vcpu_get_msr(vcpu, MSR_KVM_PERF_CLOCK), 0);
	kvm_vm_free(vm);
}

static void test_slot_deleted(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create(&vcpu, guest_without_slot);
	void *memory = host_page(vm, 0);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA, 0, memory);
	memset(memory, PATTERN, PAGE_SIZE);
	rewrite_tsc_offset(vcpu, 1);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	check_untouched(vm);
	vm_set_user_memory_region(vm, PAGE_SLOT, 0, PAGE_GPA, NR_VCPUS * PAGE_SIZE,
				  memory);
	run_to_end(vcpu);
	kvm_vm_free(vm);
}

static const struct pv_case cases[] = {
	{ "offered", test_offered },
	{ "registers", test_registers },
	{ "hidden", test_hidden },
	{ "bad values by user space", test_bad_restore },
	{ "page and exit agree", test_page_and_exit },
	{ "pairs", test_pairs },
	{ "scaled TSC", test_scaled },
	{ "exits", test_exits },
	{ "guest writes its TSC", test_guest_writes_tsc },
	{ "from another host", test_foreign },
	{ "from the same host", test_same_host },
	{ "never back", test_never_back },
	{ "before the beginning", test_before_beginning },
	{ "zeroes", test_zeroes },
	{ "disabled page is left alone", test_dropped },
	{ "reset by KVM_SET_SREGS", test_reset },
	{ "slot deleted and created", test_slot_deleted },
};

int main(int argc, char *argv[])
{
	require_perf_clock();
	ksft_print_header();
	run_cases(cases, ARRAY_SIZE(cases), argv[1]);
}
