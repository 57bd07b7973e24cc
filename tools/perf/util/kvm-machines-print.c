// SPDX-License-Identifier: GPL-2.0
/*
 * Prints of which machines a merged file is: a line for each, in 80 columns, and below
 * what not every machine has.
 */
#include "kvm-machines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "env.h"
#include "kvm-merge-clock.h"

#define COLUMNS		80
#define INDENT		11
#define MAX_SHOWN	64	/* vCPUs and segments, each */

/* Items with commas between, in as many lines as it takes. */
struct paragraph {
	FILE	*fp;
	int	column;
	bool	started;
};

static void __printf(2, 3) add(struct paragraph *par, const char *format, ...)
{
	char item[COLUMNS];
	va_list args;
	int len;

	va_start(args, format);
	len = vscnprintf(item, sizeof(item), format, args);
	va_end(args);
	if (!par->started)
		par->column = fprintf(par->fp, "#%*s", INDENT - 1, "");
	else if (par->column + len + 3 > COLUMNS)
		par->column = fprintf(par->fp, ",\n#%*s", INDENT + 1, "") - 2;
	else
		par->column += fprintf(par->fp, ", ");
	par->column += fprintf(par->fp, "%s", item);
	par->started = true;
}

static void end(struct paragraph *par)
{
	if (par->started)
		fprintf(par->fp, "\n");
	par->started = false;
}

/* Up to seven characters */
static const char *count(char *buf, size_t size, u64 nr)
{
	static const char units[] = "kMGTPE";
	double val = nr;
	int unit = -1;

	if (nr < 10000000) {
		scnprintf(buf, size, "%" PRIu64, nr);
		return buf;
	}
	do {
		val /= 1000;
		unit++;
	} while (val >= 100000);
	scnprintf(buf, size, "%.0f%c", val, units[unit]);
	return buf;
}

static const char *bound(char *buf, size_t size, u64 ns)
{
	if (ns < 1000000)
		scnprintf(buf, size, "%" PRIu64 " ns", ns);
	else if (ns < 1000000000)
		scnprintf(buf, size, "%.1f ms", ns / 1e6);
	else
		scnprintf(buf, size, "%.1f s", min(ns / 1e9, 99999.));
	return buf;
}

static void print_row(const struct kvm_machine *machine, FILE *fp)
{
	const u64 *val = machine->value;
	char pid[16] = "host", vcpus[16] = "-", limit[16] = "-", nr[3][16];
	const char *method = "-";

	if (val[KVM_MACHINE_PID]) {
		scnprintf(pid, sizeof(pid), "%" PRIu64, val[KVM_MACHINE_PID]);
		scnprintf(vcpus, sizeof(vcpus), machine->nr_vcpus ? "%u" : "?",
			  machine->nr_vcpus);
	}
	if (val[KVM_MACHINE_PID] && !(val[KVM_MACHINE_FLAGS] & KVM_MACHINE_FLAG_LEFT_OUT)) {
		method = kvm_merge_clock__name(val[KVM_MACHINE_METHOD]);
		bound(limit, sizeof(limit), val[KVM_MACHINE_BOUND]);
	}
	fprintf(fp, "# %8s %-18.18s %5s %-5s %10s %8s %8s %7s\n", pid, machine->name, vcpus,
		method, limit, count(nr[0], sizeof(nr[0]), val[KVM_MACHINE_RECORDS]),
		count(nr[1], sizeof(nr[1]), val[KVM_MACHINE_SAMPLES]),
		count(nr[2], sizeof(nr[2]),
		      max(val[KVM_MACHINE_LOST_RECORDS], val[KVM_MACHINE_LOST_SAMPLES])));
}

static void print_values(const struct kvm_machine *machine, FILE *fp, const char *title,
			 const char * const *texts, int first, int last)
{
	struct paragraph par = { .fp = fp };

	for (int i = first; i <= last; i++) {
		if (!machine->value[i] || !texts[i])
			continue;
		add(&par, "%s%" PRIu64 " %s", par.started ? "" : title, machine->value[i],
		    texts[i]);
	}
	end(&par);
}

static void print_flags(u64 flags, FILE *fp)
{
	struct paragraph par = { .fp = fp };

	if (flags & KVM_MACHINE_FLAG_LEFT_OUT)
		add(&par, "left out: all of it, as it could not be merged");
	if (flags & KVM_MACHINE_FLAG_CUT)
		add(&par, "its recording was cut off or damaged");
	if (flags & KVM_MACHINE_FLAG_BROKEN)
		add(&par, "the channel broke, and what was lost there is not known");
	end(&par);
}

static void print_vcpus(const struct kvm_machine *machine, FILE *fp)
{
	struct paragraph par = { .fp = fp };
	u32 shown = 0;

	for (u32 i = 0; i < machine->nr_vcpus && shown < MAX_SHOWN; i++) {
		const struct kvm_machine_vcpu *vcpu = &machine->vcpus[i];

		if (vcpu->tid < 0)
			continue;
		add(&par, "%s%u is %d", shown++ ? "" : "threads of vCPUs: ", vcpu->vcpu,
		    vcpu->tid);
	}
	end(&par);
}

static void print_segments(const struct kvm_machine *machine, FILE *fp)
{
	struct paragraph par = { .fp = fp };
	const struct kvm_machine_segment *pos = machine->segments;

	for (u32 i = 0; machine->nr_segments > 1 && i < machine->nr_segments; i++, pos++) {
		const char *title = i ? "" : "clock's offset: ";

		if (i == MAX_SHOWN) {
			add(&par, "and %u more", machine->nr_segments - i);
			break;
		}
		if (pos->unknown)
			add(&par, "%sunknown from %" PRIu64, title, pos->from);
		else
			add(&par, "%s%" PRId64 " from %" PRIu64, title, pos->offset, pos->from);
	}
	end(&par);
}

/* What the guest calls it, if that is not what the host does */
static void print_events(const struct kvm_machine *machine, FILE *fp)
{
	struct paragraph par = { .fp = fp };

	for (u32 i = 0; i < machine->nr_events && i < MAX_SHOWN; i++) {
		const struct kvm_machine_event *event = &machine->events[i];
		const char *title = i ? "" : "under the host's events: ";

		if (!strcmp(event->host, event->guest))
			add(&par, "%s%.40s", title, event->host);
		else
			add(&par, "%s%.20s under %.20s", title, event->guest, event->host);
	}
	end(&par);
}

static void print_details(const struct kvm_machine *machine, FILE *fp)
{
	static const char * const texts[KVM_MACHINE_NR_VALUES] = {
		[KVM_MACHINE_LOST_RECORDS]	= "records in its rings",
		[KVM_MACHINE_LOST_SAMPLES]	= "samples in its rings",
		[KVM_MACHINE_LOST_CHANNEL]	= "bytes in the channel",
		[KVM_MACHINE_DAMAGED]		= "damaged records",
		[KVM_MACHINE_UNALIGNED]		= "records of unknown times",
		[KVM_MACHINE_NESTED]		= "records of its own guests",
		[KVM_MACHINE_UNKNOWN]		= "records of unknown types",
		[KVM_MACHINE_UNREADABLE]	= "records of cgroups and BPF programs",
		[KVM_MACHINE_NO_FORMAT]		= "samples without usable formats",
		[KVM_MACHINE_TOO_LARGE]		= "records too large",
		[KVM_MACHINE_LATE]		= "records",
		[KVM_MACHINE_STEPPED_BACK]	= "records",
		[KVM_MACHINE_GUEST_MODE]	= "samples in guest mode",
	};

	print_flags(machine->value[KVM_MACHINE_FLAGS], fp);
	print_events(machine, fp);
	print_vcpus(machine, fp);
	print_segments(machine, fp);
	print_values(machine, fp, "lost: ", texts, KVM_MACHINE_LOST_RECORDS,
		     KVM_MACHINE_LOST_CHANNEL);
	print_values(machine, fp, "left out: ", texts, KVM_MACHINE_DAMAGED,
		     KVM_MACHINE_TOO_LARGE);
	print_values(machine, fp, "left to the guests: ", texts, KVM_MACHINE_GUEST_MODE,
		     KVM_MACHINE_GUEST_MODE);
	print_values(machine, fp, "out of order: ", texts, KVM_MACHINE_LATE, KVM_MACHINE_LATE);
	print_values(machine, fp, "stepped back with the clock: ", texts,
		     KVM_MACHINE_STEPPED_BACK, KVM_MACHINE_STEPPED_BACK);
}

/* perf script prints no names, as scripts may read what it prints. */
static bool shows_names;

void kvm_machines__show_names(void)
{
	shows_names = true;
}

/* In front of a sample; with the name if that is wanted, and the file tells it. */
int kvm_machines__fprintf_vm(const struct perf_env *env, u32 pid, FILE *fp)
{
	const char *name = shows_names ? kvm_machines__name(&env->kvm_machines, pid) : NULL;

	return fprintf(fp, "VM:%5u %s%s", pid, name ?: "", name ? " " : "");
}

void kvm_machines__fprintf(const struct kvm_machines *machines, FILE *fp)
{
	if (!machines->nr)
		return;
	fprintf(fp, "# machines that this file was merged of, on the host's clock:\n"
		"# %8s %-18s %5s %-5s %10s %8s %8s %7s\n", "pid", "name", "vCPUs", "clock",
		"bound", "records", "samples", "lost");
	for (u32 i = 0; i < machines->nr; i++) {
		print_row(&machines->machines[i], fp);
		print_details(&machines->machines[i], fp);
	}
}
