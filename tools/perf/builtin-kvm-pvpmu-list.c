// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm pvpmu list command: shows a guest's pvpmu and its events, and a
 * host's VMs and what their vCPUs count, as text or as JSON.
 */
#include "builtin.h"
#include "builtin-kvm-pvpmu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/bits.h>
#include <linux/kernel.h>
#include "util/debug.h"
#include "util/kvm-pvpmu.h"
#include "util/pmu.h"

static const struct {
	u64		 bit;
	const char	*name;
} features[] = {
	{ KVM_PVPMU_CAP_PAGE,		"page" },
	{ KVM_PVPMU_CAP_OVERFLOW,	"overflow" },
	{ KVM_PVPMU_CAP_RAW,		"raw" },
};

/* Values */

static void print_value(const char *before, const struct kvm_pvpmu_value *value)
{
	if (value->known)
		printf("%s%" PRIu64, before, value->val);
	else
		printf("%sunknown", before);
}

static void print_mask(const char *name, const struct kvm_pvpmu_value *value)
{
	if (value->known)
		printf("  %-14s 0x%" PRIx64 "\n", name, value->val);
	else
		printf("  %-14s unknown\n", name);
}

static void json_value(const char *key, const struct kvm_pvpmu_value *value)
{
	if (value->known)
		printf("\"%s\": %" PRIu64 ", ", key, value->val);
	else
		printf("\"%s\": null, ", key);
}

static void json_mask(const char *key, const struct kvm_pvpmu_value *value)
{
	if (value->known)
		printf("\"%s\": \"0x%" PRIx64 "\", ", key, value->val);
	else
		printf("\"%s\": null, ", key);
}

static const char *json_bool(bool val)
{
	return val ? "true" : "false";
}

/* Guest */

static const char *event_state(const struct kvm_pvpmu_guest *guest, unsigned int class,
			       unsigned int nr)
{
	if (guest->available[class] & BIT_ULL(nr))
		return "available";
	if (!guest->offered[class].known)
		return "unknown";
	if (guest->offered[class].val & BIT_ULL(nr))
		return "offered, but this host cannot count it";
	return "not offered";
}

static int print_event(unsigned int class, unsigned int nr, const char *name, void *data)
{
	printf("  %-28s %-6s", name, kvm_pvpmu__class_name(class));
	if (verbose > 0)
		printf(" %3u ", nr);
	printf(" %s\n", event_state(data, class, nr));
	return 0;
}

static void print_features(const struct kvm_pvpmu_value *value, const char *quote)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (!(value->val & features[i].bit))
			continue;
		printf("%s%s%s%s", any ? ", " : "", quote, features[i].name, quote);
		any = true;
	}
}

static void print_guest(struct kvm_pvpmu_guest *guest)
{
	print_value("pvpmu of this guest: version ", &guest->version);
	print_value(", ", &guest->counters);
	print_value(" counters of ", &guest->width);
	printf(" bits, features: ");
	if (!guest->features.known)
		printf("unknown");
	else if (!guest->features.val)
		printf("none");
	print_features(&guest->features, "");
	printf("\n");

	if (verbose > 0) {
		print_mask("features", &guest->features);
		print_mask("events_hw", &guest->offered[KVM_PVPMU_CLASS_HW]);
		print_mask("events_cache", &guest->offered[KVM_PVPMU_CLASS_CACHE]);
		print_mask("events_pv", &guest->offered[KVM_PVPMU_CLASS_PV]);
	}

	printf("\n  %-28s %-6s%s %s\n", "EVENT", "CLASS", verbose > 0 ? "  NR " : "", "STATE");
	kvm_pvpmu__visit_events(print_event, guest);
}

struct json_events {
	const struct kvm_pvpmu_guest	*guest;
	bool				 any;
};

static int json_event(unsigned int class, unsigned int nr, const char *name, void *data)
{
	struct json_events *events = data;

	printf("%s{\"event\": \"%s\", \"class\": \"%s\", \"number\": %u, \"state\": \"%s\"}",
	       events->any ? ", " : "", name, kvm_pvpmu__class_name(class), nr,
	       event_state(events->guest, class, nr));
	events->any = true;
	return 0;
}

static void json_guest(struct kvm_pvpmu_guest *guest)
{
	struct json_events events = { .guest = guest };

	printf("\"guest\": {");
	json_value("version", &guest->version);
	json_value("counters", &guest->counters);
	json_value("width", &guest->width);
	if (guest->features.known) {
		printf("\"features\": [");
		print_features(&guest->features, "\"");
		printf("], ");
	} else {
		printf("\"features\": null, ");
	}
	json_mask("events_hw", &guest->offered[KVM_PVPMU_CLASS_HW]);
	json_mask("events_cache", &guest->offered[KVM_PVPMU_CLASS_CACHE]);
	json_mask("events_pv", &guest->offered[KVM_PVPMU_CLASS_PV]);
	printf("\"events\": [");
	kvm_pvpmu__visit_events(json_event, &events);
	printf("]}");
}

static int list_guest(struct perf_pmu *pmu, const struct kvm_pvpmu_show_opts *opts)
{
	struct kvm_pvpmu_guest guest;
	int err = kvm_pvpmu_guest__read(&guest, pmu);

	if (err) {
		pr_err("The PMU 'pvpmu' cannot be read from sysfs: %s\n", strerror(-err));
		return err;
	}
	if (opts->json)
		json_guest(&guest);
	else
		print_guest(&guest);
	return 0;
}

/* Host */

static unsigned int counter_class(const struct kvm_pvpmu_counter *counter)
{
	return (counter->evtsel & KVM_PVPMU_EVTSEL_CLASS) >> KVM_PVPMU_EVTSEL_CLASS_SHIFT;
}

static void counter_name(const struct kvm_pvpmu_counter *counter, char *bf, size_t size)
{
	kvm_pvpmu__event_name(counter_class(counter), counter->evtsel & KVM_PVPMU_EVTSEL_EVENT,
			      bf, size);
}

/* As perf's event modifiers: nothing means both, as for an event on the command line. */
static const char *counter_modifier(const struct kvm_pvpmu_counter *counter)
{
	u64 modes = counter->evtsel & (KVM_PVPMU_EVTSEL_USR | KVM_PVPMU_EVTSEL_OS);

	if (modes == KVM_PVPMU_EVTSEL_USR)
		return ":u";
	if (modes == KVM_PVPMU_EVTSEL_OS)
		return ":k";
	return "";
}

static const char *counter_state(const struct kvm_pvpmu_vcpu *vcpu,
				 const struct kvm_pvpmu_counter *counter)
{
	if (kvm_pvpmu_vcpu__counter_error(vcpu, counter))
		return " (error: the host cannot count it)";
	if (!kvm_pvpmu_vcpu__counter_enabled(vcpu, counter))
		return " (stopped)";
	return "";
}

static void print_counters(const struct kvm_pvpmu_vcpu *vcpu)
{
	for (unsigned int i = 0; i < vcpu->nr_used; i++) {
		const struct kvm_pvpmu_counter *counter = &vcpu->used[i];
		char name[64];

		counter_name(counter, name, sizeof(name));
		printf("%s%s%s%s", i ? ", " : "", name, counter_modifier(counter),
		       counter_state(vcpu, counter));
	}
	printf("%s\n", vcpu->nr_used ? "" : "-");
}

static void print_vcpu_details(const struct kvm_pvpmu_vcpu *vcpu)
{
	for (unsigned int i = 0; i < vcpu->nr_used; i++) {
		const struct kvm_pvpmu_counter *counter = &vcpu->used[i];
		char name[64];

		counter_name(counter, name, sizeof(name));
		printf("%10s counter %-2u %-28s %20" PRIu64 "  enabled %" PRIu64
		       " ns, running %" PRIu64 " ns\n", "", counter->idx, name,
		       counter->value, counter->enabled, counter->running);
	}
	for (unsigned int nr = 0; nr < KVM_PVPMU_PV_MAX; nr++) {
		if (vcpu->totals[nr].known)
			printf("%10s total      %-28s %20" PRIu64 "\n", "",
			       kvm_pvpmu__pv_event_name(nr), vcpu->totals[nr].val);
	}
}

static void print_thread(const struct kvm_vcpu_thread *thread)
{
	if (thread->tid)
		printf("%6d %8d", thread->id, thread->tid);
	else
		printf("%6d %8s", thread->id, "-");
}

static void print_vcpu(const struct kvm_vcpu_thread *thread, const struct kvm_pvpmu_vcpu *vcpu)
{
	char used[32];

	print_thread(thread);
	if (!vcpu) {
		printf("  unknown\n");
		return;
	}
	if (!vcpu->offered.val) {
		printf("  not offered\n");
	} else {
		if (vcpu->counters.known)
			snprintf(used, sizeof(used), "%u of %" PRIu64, vcpu->nr_used,
				 vcpu->counters.val);
		else
			snprintf(used, sizeof(used), "%u", vcpu->nr_used);
		printf("  %-12s %-9s ", "offered", used);
		print_counters(vcpu);
	}
	if (verbose > 0)
		print_vcpu_details(vcpu);
}

static void json_counters(const struct kvm_pvpmu_vcpu *vcpu)
{
	printf("\"in_use\": [");
	for (unsigned int i = 0; i < vcpu->nr_used; i++) {
		const struct kvm_pvpmu_counter *counter = &vcpu->used[i];
		const char *class = kvm_pvpmu__class_name(counter_class(counter));
		char name[64];

		counter_name(counter, name, sizeof(name));
		printf("%s{\"counter\": %u, \"event\": \"%s\", \"class\": \"%s\", ",
		       i ? ", " : "", counter->idx, name, class ?: "unknown");
		printf("\"user\": %s, \"kernel\": %s, ",
		       json_bool(counter->evtsel & KVM_PVPMU_EVTSEL_USR),
		       json_bool(counter->evtsel & KVM_PVPMU_EVTSEL_OS));
		printf("\"enabled\": %s, \"error\": %s, \"value\": %" PRIu64
		       ", \"time_enabled\": %" PRIu64 ", \"time_running\": %" PRIu64 "}",
		       json_bool(kvm_pvpmu_vcpu__counter_enabled(vcpu, counter)),
		       json_bool(kvm_pvpmu_vcpu__counter_error(vcpu, counter)),
		       counter->value, counter->enabled, counter->running);
	}
	printf("], ");
}

static void json_totals(const struct kvm_pvpmu_vcpu *vcpu)
{
	bool any = false;

	printf("\"totals\": {");
	for (unsigned int nr = 0; nr < KVM_PVPMU_PV_MAX; nr++) {
		if (!vcpu->totals[nr].known)
			continue;
		printf("%s\"%s\": %" PRIu64, any ? ", " : "", kvm_pvpmu__pv_event_name(nr),
		       vcpu->totals[nr].val);
		any = true;
	}
	printf("}}");
}

static void json_vcpu(const struct kvm_vcpu_thread *thread, const struct kvm_pvpmu_vcpu *vcpu)
{
	const struct kvm_pvpmu_value tid = { .known = thread->tid, .val = thread->tid };

	printf("{\"id\": %d, ", thread->id);
	json_value("tid", &tid);
	if (!vcpu) {
		printf("\"offered\": null}");
		return;
	}
	printf("\"offered\": %s, ", json_bool(vcpu->offered.val));
	json_value("version", &vcpu->version);
	json_value("counters", &vcpu->counters);
	json_value("width", &vcpu->width);
	json_mask("events_hw", &vcpu->events_hw);
	json_mask("events_cache", &vcpu->events_cache);
	json_mask("events_pv", &vcpu->events_pv);
	json_mask("ctrl", &vcpu->ctrl);
	json_mask("status", &vcpu->status);
	json_counters(vcpu);
	json_totals(vcpu);
}

static void list_vcpu(const struct kvm_vm *vm, const struct kvm_vcpu_thread *thread, bool json)
{
	char *text = kvm_vm__read_vcpu_file(vm, thread->id, "pvpmu");
	struct kvm_pvpmu_vcpu vcpu;
	bool known = text && !kvm_pvpmu_vcpu__parse(&vcpu, text);

	if (json)
		json_vcpu(thread, known ? &vcpu : NULL);
	else
		print_vcpu(thread, known ? &vcpu : NULL);
	free(text);
}

static void print_vm(const struct kvm_vm *vm)
{
	printf("VM '%s' (pid %d): %d vCPU%s\n", vm->name, vm->pid, vm->nr_vcpus,
	       vm->nr_vcpus == 1 ? "" : "s");
	printf("%6s %8s  %-12s %-9s %s\n", "VCPU", "THREAD", "PVPMU", "COUNTERS", "IN USE");
	for (int i = 0; i < vm->nr_vcpus; i++)
		list_vcpu(vm, &vm->vcpus[i], /*json=*/false);
}

static void json_vm(const struct kvm_vm *vm)
{
	printf("{\"name\": ");
	kvm_pvpmu__json_string(vm->name);
	printf(", \"pid\": %d, \"vcpus\": [", vm->pid);
	for (int i = 0; i < vm->nr_vcpus; i++) {
		printf("%s", i ? ", " : "");
		list_vcpu(vm, &vm->vcpus[i], /*json=*/true);
	}
	printf("]}");
}

static int show_vm(const struct kvm_vm *vm, bool json)
{
	if (json)
		json_vm(vm);
	else
		print_vm(vm);
	return 0;
}

static int __cmd_kvm_pvpmu_list(const struct kvm_pvpmu_sides *sides,
				const struct kvm_pvpmu_show_opts *opts)
{
	int err = 0;

	if (opts->json)
		printf("{");
	if (sides->guest)
		err = list_guest(sides->guest, opts);
	if (!err && sides->host)
		err = kvm_pvpmu__show_vms(opts, sides->guest, show_vm);
	if (opts->json)
		printf("}\n");
	return err ? 1 : 0;
}

int cmd_kvm_pvpmu_list(bool host_only, int argc, const char **argv)
{
	struct kvm_pvpmu_show_opts opts = {};
	struct kvm_pvpmu_sides sides;
	const char * const usage[] = {
		"perf kvm [--host] pvpmu list [<options>]",
		NULL
	};

	kvm_pvpmu__parse_show_opts(&opts, usage, "show numbers, masks and values", argc, argv);
	if (kvm_pvpmu__find_sides(&sides, host_only || opts.pids || opts.vm))
		return 1;
	return __cmd_kvm_pvpmu_list(&sides, &opts);
}
