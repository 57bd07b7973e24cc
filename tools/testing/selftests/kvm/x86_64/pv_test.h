/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of KVM's paravirtual PMU and perf clock share: access to MSRs,
 * work that makes the guest exit, runs, and a program made of cases.
 */
#ifndef SELFTEST_KVM_PV_TEST_H
#define SELFTEST_KVM_PV_TEST_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

/* Not backed by memory: the guest's accesses leave to user space. */
#define MMIO_GPA		0xc0000000ul

/* A case that takes longer waits for something that does not come. */
#define CASE_TIMEOUT		120

/* Guest side: registers. */

static inline void expect_gp_on_write(uint32_t msr, uint64_t value)
{
	uint8_t vector = wrmsr_safe(msr, value);

	__GUEST_ASSERT(vector == GP_VECTOR,
		       "wrmsr 0x%x, 0x%lx: vector %u, expected #GP",
		       msr, value, vector);
}

static inline void expect_write(uint32_t msr, uint64_t value)
{
	uint8_t vector = wrmsr_safe(msr, value);

	__GUEST_ASSERT(!vector, "wrmsr 0x%x, 0x%lx: vector %u, expected none",
		       msr, value, vector);
}

static inline void expect_gp_on_read(uint32_t msr)
{
	uint64_t value;
	uint8_t vector = rdmsr_safe(msr, &value);

	__GUEST_ASSERT(vector == GP_VECTOR,
		       "rdmsr 0x%x: vector %u, expected #GP", msr, vector);
}

static inline void expect_value(uint32_t msr, uint64_t expected)
{
	uint64_t value = rdmsr(msr);

	__GUEST_ASSERT(value == expected, "rdmsr 0x%x: 0x%lx, expected 0x%lx",
		       msr, value, expected);
}

/* Guest side: work. */

static inline void do_cpuid(unsigned int n)
{
	uint32_t eax, ebx, ecx, edx;

	while (n--)
		cpuid(0, &eax, &ebx, &ecx, &edx);
}

static inline void do_rdmsr(unsigned int n)
{
	while (n--)
		rdmsr(MSR_IA32_APICBASE);
}

static inline void do_hypercall(unsigned int n)
{
	while (n--)
		kvm_hypercall(~0ul, 0, 0, 0, 0);
}

static inline void do_io(unsigned int n)
{
	while (n--)
		asm volatile("outb %%al, $0x80" : : "a"(0));
}

static inline void do_mmio(unsigned int n)
{
	while (n--)
		READ_ONCE(*(uint32_t *)MMIO_GPA);
}

static inline void do_spin(unsigned int n)
{
	while (n--)
		barrier();
}

/* Host side: runs. */

static inline void answer_mmio(struct kvm_vcpu *vcpu)
{
	TEST_ASSERT_EQ(vcpu->run->mmio.phys_addr, MMIO_GPA);
	memset(vcpu->run->mmio.data, 0, sizeof(vcpu->run->mmio.data));
}

/* Runs to the next GUEST_SYNC, whose stage is returned, or to the end: 0. */
static inline uint64_t run_to_sync(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	for (;;) {
		vcpu_run(vcpu);
		if (vcpu->run->exit_reason == KVM_EXIT_MMIO) {
			answer_mmio(vcpu);
			continue;
		}
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);

		switch (get_ucall(vcpu, &uc)) {
		case UCALL_NONE:
			continue;
		case UCALL_SYNC:
			return uc.args[1];
		case UCALL_DONE:
			return 0;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT(uc);
			break;
		default:
			TEST_FAIL("Unknown ucall %lu", uc.cmd);
		}
	}
}

static inline void run_to_end(struct kvm_vcpu *vcpu)
{
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
}

static inline void run_case(void *guest_code)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_code);

	run_to_end(vcpu);
	kvm_vm_free(vm);
}

/* Host side: registers, and what the host says. */

static inline void host_write(struct kvm_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	TEST_ASSERT(_vcpu_set_msr(vcpu, msr, value) == 1,
		    "KVM_SET_MSRS of 0x%lx to MSR 0x%x", value, msr);
}

static inline uint64_t vcpu_stat(struct kvm_vcpu *vcpu, const char *name)
{
	int fd = vcpu_get_stats_fd(vcpu);
	struct kvm_stats_header header;
	struct kvm_stats_desc *all, *one = NULL;
	uint64_t value;
	bool found = false;
	uint32_t i;

	read_stats_header(fd, &header);
	all = read_stats_descriptors(fd, &header);
	for (i = 0; i < header.num_desc && !found; i++) {
		one = get_stats_descriptor(all, i, &header);
		found = !strcmp(one->name, name);
	}
	TEST_ASSERT(found, "no statistic %s", name);
	read_stat_data(fd, &header, one, &value, 1);
	free(all);
	close(fd);
	return value;
}

static inline long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%li", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

/* The program. */

struct pv_case {
	const char *name;
	void (*test)(void);
};

/* Why the case that runs cannot be tested here; it must return then. */
static const char *skip_reason;

/* With a @word, only the cases that have it in their name. */
static inline void run_cases(const struct pv_case *cases, unsigned int nr,
			     const char *word)
{
	unsigned int i, chosen = 0;

	for (i = 0; i < nr; i++)
		chosen += !word || strstr(cases[i].name, word);

	ksft_set_plan(chosen);
	for (i = 0; i < nr; i++) {
		if (word && !strstr(cases[i].name, word))
			continue;
		ksft_print_msg("%s\n", cases[i].name);
		alarm(CASE_TIMEOUT);
		skip_reason = NULL;
		cases[i].test();
		alarm(0);
		if (skip_reason) {
			ksft_test_result_skip("%s: needs %s\n", cases[i].name,
					      skip_reason);
			continue;
		}
		ksft_test_result_pass("%s\n", cases[i].name);
	}
	if (chosen && ksft_cnt.ksft_xskip == chosen)
		ksft_exit_skip("nothing could be tested\n");
	ksft_finished();
}

#endif /* SELFTEST_KVM_PV_TEST_H */
