// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm pvpmu clock command: shows what a guest's perf clock is and what
 * it costs, and which clocks a host gives to the vCPUs of its VMs, as text or
 * as JSON.
 */
#include "builtin.h"
#include "builtin-kvm-pvpmu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <api/fs/fs.h>
#include "util/debug.h"
#include "util/pv-clock.h"
#include "util/pv-clock-check.h"
#include "util/pv-clock-vcpu.h"

/* The sides of the virtual machine boundary that this machine is on. */
struct clock_sides {
	bool		guest;
	bool		host;
	struct pv_clock	clock;	/* the guest's */
};

/* A VM and the clocks of its vCPUs, in the order of the VM's. */
struct vm_clocks {
	const struct kvm_vm	*vm;
	struct pv_clock_vcpu	*vcpus;
	bool			 ended;
	struct pv_clock_check	 check;
};

static const char no_clock[] =
"This machine has no paravirtual perf clock: it is neither a guest with the sysctl\n"
"kernel.perf_pv_clock nor a host with the parameter kvm.perf_clock=1.\n"
"On a host, use a kernel with CONFIG_KVM_PV_PERF_CLOCK, with the parameter kvm.perf_clock=1.\n"
"In a guest, use a kernel with CONFIG_PERF_PV_CLOCK on such a host, and give its vCPUs the\n"
"CPUID bit: QEMU passes it on with -cpu host,migratable=off.\n";

static const char no_host[] =
"This machine is not a host with the paravirtual perf clock.\n"
"Use a kernel with CONFIG_KVM_PV_PERF_CLOCK, with the parameter kvm.perf_clock=1.\n";

/* Values */

static void print_u64(const char *before, const struct pv_clock_u64 *value, const char *after)
{
	if (value->known)
		printf("%s%" PRIu64 "%s", before, value->val, after);
	else
		printf("%sunknown", before);
}

static void print_hex(const char *before, const struct pv_clock_u64 *value)
{
	if (value->known)
		printf("%s0x%016" PRIx64, before, value->val);
	else
		printf("%sunknown", before);
}

static void json_u64(const char *key, const struct pv_clock_u64 *value)
{
	if (value->known)
		printf(", \"%s\": %" PRIu64, key, value->val);
	else
		printf(", \"%s\": null", key);
}

static void json_s64(const char *key, const struct pv_clock_s64 *value)
{
	if (value->known)
		printf(", \"%s\": %" PRId64, key, value->val);
	else
		printf(", \"%s\": null", key);
}

/* As text, because not every reader of JSON takes integers of 64 bits. */
static void json_hex(const char *key, const struct pv_clock_u64 *value)
{
	if (value->known)
		printf(", \"%s\": \"0x%016" PRIx64 "\"", key, value->val);
	else
		printf(", \"%s\": null", key);
}

static void json_bool(const char *key, const struct pv_clock_u64 *value)
{
	if (value->known)
		printf(", \"%s\": %s", key, value->val ? "true" : "false");
	else
		printf(", \"%s\": null", key);
}

/* Guest */

/* Only what is read without an exit can be read in user space, and so be measured there. */
static bool measure_read(const struct pv_clock *clock, double *ns)
{
	return pv_clock__exits_per_read(clock) == 0 && !pv_clock__measure_read(ns);
}

static void print_relation(const struct pv_clock *clock)
{
	const struct pv_clock_relation *relation = &clock->relation;

	if (!clock->related) {
		const char *none = pv_clock__is_off(clock) ? "-" : "unknown";

		printf("  host epoch   %s\n", none);
		printf("  generation   %s\n", none);
		printf("  offset       %s\n", none);
		return;
	}
	printf("  host epoch   0x%016" PRIx64 "\n", relation->host_epoch);
	printf("  generation   %" PRIu64 "\n", relation->generation);
	printf("  offset       %" PRId64 " ns: host's clock = guest's clock + offset\n",
	       relation->offset);
}

static void print_guest(const struct pv_clock *clock)
{
	int exits = pv_clock__exits_per_read(clock);
	double ns;

	printf("perf clock of this guest: %s\n", clock->source);
	printf("  reason       %s\n", clock->reason);
	print_relation(clock);
	if (measure_read(clock, &ns))
		printf("  one read     %.1f ns", ns);
	else
		printf("  one read     -");
	if (exits >= 0)
		printf(", %d exit%s", exits, exits == 1 ? "" : "s");
	printf("\n");
}

static void json_guest(const struct pv_clock *clock)
{
	const struct pv_clock_relation *relation = &clock->relation;
	int exits = pv_clock__exits_per_read(clock);
	double ns;

	printf("\"guest\": {\"source\": \"%s\", \"reason\": ", clock->source);
	kvm_pvpmu__json_string(clock->reason);
	json_hex("host_epoch", &(struct pv_clock_u64){ clock->related, relation->host_epoch });
	json_u64("generation", &(struct pv_clock_u64){ clock->related, relation->generation });
	json_s64("offset", &(struct pv_clock_s64){ clock->related, relation->offset });
	if (measure_read(clock, &ns))
		printf(", \"read_ns\": %.1f", ns);
	else
		printf(", \"read_ns\": null");
	json_u64("read_exits", &(struct pv_clock_u64){ exits >= 0, exits });
	printf("}");
}

static void show_guest(const struct pv_clock *clock, const struct kvm_pvpmu_show_opts *opts)
{
	if (opts->json)
		json_guest(clock);
	else
		print_guest(clock);
}

/* Host */

static void read_vcpu(const struct kvm_vm *vm, int id, struct pv_clock_vcpu *vcpu)
{
	char *text = kvm_vm__read_vcpu_file(vm, id, "perf-clock");

	if (!text || pv_clock_vcpu__parse(vcpu, text))
		memset(vcpu, 0, sizeof(*vcpu));
	free(text);
}

/* The vCPUs of a VM that ends meanwhile can no longer be read, and then its directory is gone. */
static int vm_clocks__read(struct vm_clocks *clocks, const struct kvm_vm *vm)
{
	clocks->vm = vm;
	clocks->vcpus = calloc(vm->nr_vcpus ?: 1, sizeof(*clocks->vcpus));
	if (!clocks->vcpus)
		return -ENOMEM;
	for (int i = 0; i < vm->nr_vcpus; i++)
		read_vcpu(vm, vm->vcpus[i].id, &clocks->vcpus[i]);
	clocks->ended = access(vm->dir, F_OK) && errno == ENOENT;
	return 0;
}

/* All vCPUs of a VM have the epoch of its host: any that tells it will do. */
static struct pv_clock_u64 vm_clocks__epoch(const struct vm_clocks *clocks)
{
	for (int i = 0; i < clocks->vm->nr_vcpus; i++) {
		if (clocks->vcpus[i].host_epoch.known)
			return clocks->vcpus[i].host_epoch;
	}
	return (struct pv_clock_u64){};
}

static void print_signed(const struct pv_clock_s64 *value)
{
	if (value->known)
		printf(" %20" PRId64, value->val);
	else
		printf(" %20s", "unknown");
}

static void print_unsigned(const struct pv_clock_u64 *value)
{
	if (value->known)
		printf(" %10" PRIu64, value->val);
	else
		printf(" %10s", "unknown");
}

static void print_vcpu_details(const struct pv_clock_vcpu *vcpu)
{
	print_hex("                 register ", &vcpu->reg);
	print_u64(", host's clock ", &vcpu->host_ns, " ns");
	print_u64(", guest's clock ", &vcpu->guest_ns, " ns");
	printf("\n");
}

static void print_thread(const struct kvm_vcpu_thread *thread)
{
	if (thread->tid)
		printf("%6d %8d", thread->id, thread->tid);
	else
		printf("%6d %8s", thread->id, "-");
}

static void print_vcpu(const struct kvm_vcpu_thread *thread, const struct pv_clock_vcpu *vcpu)
{
	print_thread(thread);
	if (!vcpu->offered.known) {
		printf("  unknown\n");
		return;
	}
	if (!vcpu->offered.val) {
		printf("  not offered\n");
		return;
	}
	printf("  %-7s", *vcpu->source ? vcpu->source : "unknown");
	printf(" %-7s", !vcpu->valid.known ? "unknown" : vcpu->valid.val ? "yes" : "no");
	print_unsigned(&vcpu->generation);
	print_signed(&vcpu->offset);
	print_signed(&vcpu->tsc_offset);
	printf("\n");
	if (verbose > 0)
		print_vcpu_details(vcpu);
}

/* The guest's clock is the host's only where it asked for that. */
static const struct pv_clock_vcpu *find_used(const struct vm_clocks *clocks)
{
	for (int i = 0; i < clocks->vm->nr_vcpus; i++) {
		const struct pv_clock_vcpu *vcpu = &clocks->vcpus[i];

		if (vcpu->offset.known &&
		    (!strcmp(vcpu->source, "page") || !strcmp(vcpu->source, "msr")))
			return vcpu;
	}
	return NULL;
}

static void check_guest(struct vm_clocks *clocks)
{
	const struct pv_clock_vcpu *vcpu = find_used(clocks);

	memset(&clocks->check, 0, sizeof(clocks->check));
	if (vcpu)
		pv_clock_check__measure(&clocks->check, clocks->vm->pid, vcpu->offset.val);
}

static void print_check(const struct pv_clock_check *check)
{
	if (check->known)
		printf("       measured: %s, %lld ns apart in a round trip that proves %llu ns\n",
		       pv_clock_check__agrees(check) ? "the guest's clock is the host's" :
						       "NOT THE SAME CLOCK",
		       (long long)check->apart, (unsigned long long)check->bound);
	else if (*check->reason && verbose > 0)
		printf("       not measured: %s\n", check->reason);
}

static void json_check(const struct pv_clock_check *check)
{
	if (check->known)
		printf(", \"measured\": {\"agrees\": %s, \"apart_ns\": %lld, \"bound_ns\": %llu}",
		       pv_clock_check__agrees(check) ? "true" : "false",
		       (long long)check->apart, (unsigned long long)check->bound);
	else
		printf(", \"measured\": null");
}

static void print_vm(const struct vm_clocks *clocks)
{
	const struct kvm_vm *vm = clocks->vm;
	struct pv_clock_u64 epoch = vm_clocks__epoch(clocks);

	printf("VM '%s' (pid %d): ", vm->name, vm->pid);
	if (clocks->ended) {
		printf("ended while it was read\n");
		return;
	}
	printf("%d vCPU%s, ", vm->nr_vcpus, vm->nr_vcpus == 1 ? "" : "s");
	print_hex("host epoch ", &epoch);
	printf("\n%6s %8s  %-7s %-7s %10s %20s %20s\n", "VCPU", "THREAD", "SOURCE", "VALID",
	       "GENERATION", "OFFSET", "TSC_OFFSET");
	for (int i = 0; i < vm->nr_vcpus; i++)
		print_vcpu(&vm->vcpus[i], &clocks->vcpus[i]);
	print_check(&clocks->check);
}

static void json_source(const struct pv_clock_vcpu *vcpu)
{
	if (*vcpu->source)
		printf(", \"source\": \"%s\"", vcpu->source);
	else
		printf(", \"source\": null");
}

static void json_vcpu(const struct kvm_vcpu_thread *thread, const struct pv_clock_vcpu *vcpu)
{
	printf("{\"id\": %d", thread->id);
	json_u64("tid", &(struct pv_clock_u64){ thread->tid, thread->tid });
	json_bool("offered", &vcpu->offered);
	if (vcpu->offered.known) {
		json_source(vcpu);
		json_bool("valid", &vcpu->valid);
		json_u64("generation", &vcpu->generation);
		json_s64("offset", &vcpu->offset);
		json_s64("tsc_offset", &vcpu->tsc_offset);
		json_hex("register", &vcpu->reg);
		json_u64("host_ns", &vcpu->host_ns);
		json_u64("guest_ns", &vcpu->guest_ns);
	}
	printf("}");
}

static void json_vm(const struct vm_clocks *clocks)
{
	const struct kvm_vm *vm = clocks->vm;
	struct pv_clock_u64 epoch = vm_clocks__epoch(clocks);

	printf("{\"name\": ");
	kvm_pvpmu__json_string(vm->name);
	printf(", \"pid\": %d, \"ended\": %s", vm->pid, clocks->ended ? "true" : "false");
	json_hex("host_epoch", &epoch);
	json_check(&clocks->check);
	printf(", \"vcpus\": [");
	for (int i = 0; i < vm->nr_vcpus; i++) {
		printf("%s", i ? ", " : "");
		json_vcpu(&vm->vcpus[i], &clocks->vcpus[i]);
	}
	printf("]}");
}

static int show_vm(const struct kvm_vm *vm, bool json)
{
	struct vm_clocks clocks;
	int err = vm_clocks__read(&clocks, vm);

	if (err) {
		pr_err("There is not enough memory for the VM '%s'.\n", vm->name);
		return err;
	}
	check_guest(&clocks);
	if (json)
		json_vm(&clocks);
	else
		print_vm(&clocks);
	free(clocks.vcpus);
	return 0;
}

/* A kernel may have the sysctl and not be a guest's: then its clock is its own, and no news. */
static int find_guest(struct clock_sides *sides)
{
	int err = pv_clock__read(&sides->clock);

	if (err == -ENOENT)
		return 0;
	if (err) {
		pr_err("The sysctl kernel.perf_pv_clock is not understood: %s\n",
		       err == -EINVAL ? "use the perf of this kernel" : strerror(-err));
		return err;
	}
	sides->guest = !pv_clock__is_off(&sides->clock) || pv_clock__is_kvm_guest();
	return 0;
}

/* Finds the sides that this machine is on, or says what is missing. */
static int find_sides(struct clock_sides *sides, bool host_only)
{
	int err;

	memset(sides, 0, sizeof(*sides));
	if (sysfs__read_bool("module/kvm/parameters/perf_clock", &sides->host))
		sides->host = false;
	err = host_only ? 0 : find_guest(sides);
	if (err || sides->guest || sides->host)
		return err;
	pr_err("%s", host_only ? no_host : no_clock);
	return -ENODEV;
}

static int __cmd_kvm_pvpmu_clock(const struct clock_sides *sides,
				 const struct kvm_pvpmu_show_opts *opts)
{
	int err = 0;

	if (opts->json)
		printf("{");
	if (sides->guest)
		show_guest(&sides->clock, opts);
	if (sides->host)
		err = kvm_pvpmu__show_vms(opts, sides->guest, show_vm);
	if (opts->json)
		printf("}\n");
	return err ? 1 : 0;
}

int cmd_kvm_pvpmu_clock(bool host_only, int argc, const char **argv)
{
	struct kvm_pvpmu_show_opts opts = {};
	struct clock_sides sides;
	const char * const usage[] = {
		"perf kvm [--host] pvpmu clock [<options>]",
		NULL
	};

	kvm_pvpmu__parse_show_opts(&opts, usage, "show registers and the clocks (host)", argc,
				   argv);
	if (find_sides(&sides, host_only || opts.pids || opts.vm))
		return 1;
	return __cmd_kvm_pvpmu_clock(&sides, &opts);
}
