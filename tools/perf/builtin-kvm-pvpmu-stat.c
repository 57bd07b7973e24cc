// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm pvpmu stat command: chooses what to count and on which side. In
 * a guest perf stat does the rest, on a host util/kvm-vm-stat.c does.
 */
#include "builtin.h"
#include "builtin-kvm-pvpmu.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <subcmd/parse-options.h>
#include "util/debug.h"
#include "util/kvm-pvpmu.h"
#include "util/kvm-vm-stat.h"
#include "util/pmu.h"
#include "util/pmus.h"
#include "util/strbuf.h"

#define MIN_MSECS	10

struct stat_opts {
	const char	*events;
	const char	*pids;
	const char	*vm;
	const char	*csv_sep;
	const char	*output;
	int		 detailed;
	unsigned int	 interval;
	unsigned int	 timeout;
	bool		 all;
	bool		 per_vcpu;
	bool		 json;
};

static const unsigned int default_events[] = {
	KVM_PVPMU_PV_GUEST_NS,
	KVM_PVPMU_PV_VM_EXITS,
	KVM_PVPMU_PV_STEAL_NS,
};

/* What counting itself cost is always shown. */
static const unsigned int self_events[] = {
	KVM_PVPMU_PV_SELF_EXITS,
	KVM_PVPMU_PV_SELF_PMIS,
};

/* The list of events, for perf's own parser */

static bool contains(const unsigned int *events, size_t nr_events, unsigned int nr)
{
	for (size_t i = 0; i < nr_events; i++) {
		if (events[i] == nr)
			return true;
	}
	return false;
}

static int add_event(struct strbuf *list, const char *event)
{
	return strbuf_addf(list, "%s%s", list->len ? "," : "", event);
}

/* An event that the PMU does not have is left out. */
static int add_pv_event(struct strbuf *list, struct perf_pmu *pmu, unsigned int nr)
{
	const char *name = kvm_pvpmu__pv_event_name(nr);

	if (!name || !perf_pmu__have_event(pmu, name))
		return 0;
	return strbuf_addf(list, "%s%s/%s/", list->len ? "," : "", pmu->name, name);
}

static int add_pv_events(struct strbuf *list, struct perf_pmu *pmu,
			 const unsigned int *events, size_t nr_events)
{
	for (size_t i = 0; i < nr_events; i++) {
		int err = add_pv_event(list, pmu, events[i]);

		if (err)
			return err;
	}
	return 0;
}

static int add_other_events(struct strbuf *list, struct perf_pmu *pmu)
{
	for (unsigned int nr = 0; nr < KVM_PVPMU_PV_MAX; nr++) {
		int err;

		if (contains(default_events, ARRAY_SIZE(default_events), nr) ||
		    contains(self_events, ARRAY_SIZE(self_events), nr))
			continue;
		err = add_pv_event(list, pmu, nr);
		if (err)
			return err;
	}
	return 0;
}

/* Cycles and instructions come from a real PMU, or from pvpmu if the host can count them. */
static int add_guest_events(struct strbuf *list, struct perf_pmu *pmu)
{
	struct perf_pmu *core = perf_pmus__find_core_pmu();
	int err = add_event(list, "duration_time");

	if (!core)
		return err;
	if (!err && (perf_pmu__have_event(pmu, "cycles") ||
		     perf_pmu__have_event(core, "cpu-cycles")))
		err = add_event(list, "cycles");
	if (!err && (perf_pmu__have_event(pmu, "instructions") ||
		     perf_pmu__have_event(core, "instructions")))
		err = add_event(list, "instructions");
	return err;
}

static int add_default_events(struct strbuf *list, struct perf_pmu *pmu, int detailed)
{
	int err = add_pv_events(list, pmu, default_events, ARRAY_SIZE(default_events));

	if (!err && !strcmp(pmu->name, KVM_PVPMU_GUEST_PMU))
		err = add_guest_events(list, pmu);
	if (!err && detailed)
		err = add_other_events(list, pmu);
	return err;
}

/*
 * Puts the PMU around the bare names of pv events. A name is bare where it
 * stands between separators, outside of a PMU's slashes.
 */
static int add_user_events(struct strbuf *list, struct perf_pmu *pmu, const char *events)
{
	bool in_pmu = false;
	int err = 0;

	while (!err && *events) {
		size_t len = strcspn(events, ",{}/");

		if (!in_pmu && events[len] != '/' && kvm_pvpmu__pv_event_nr(events, len) >= 0)
			err = strbuf_addf(list, "%s/%.*s/", pmu->name, (int)len, events);
		else
			err = strbuf_add(list, events, len);
		events += len;
		if (*events == '/')
			in_pmu = !in_pmu;
		if (!err && *events)
			err = strbuf_addch(list, *events++);
	}
	return err;
}

static int add_self_events(struct strbuf *list, struct perf_pmu *pmu)
{
	for (size_t i = 0; i < ARRAY_SIZE(self_events); i++) {
		int err;

		if (strstr(list->buf, kvm_pvpmu__pv_event_name(self_events[i])))
			continue;
		err = add_pv_event(list, pmu, self_events[i]);
		if (err)
			return err;
	}
	return 0;
}

static char *make_events(struct perf_pmu *pmu, const struct stat_opts *opts)
{
	struct strbuf list = STRBUF_INIT;
	int err;

	if (opts->events)
		err = add_user_events(&list, pmu, opts->events);
	else
		err = add_default_events(&list, pmu, opts->detailed);
	if (!err)
		err = add_self_events(&list, pmu);
	if (err) {
		strbuf_release(&list);
		return NULL;
	}
	return strbuf_detach(&list, NULL);
}

/* Guest */

struct stat_args {
	const char	**argv;
	int		  argc;
};

static void add_arg(struct stat_args *args, const char *option, const char *value)
{
	args->argv[args->argc++] = option;
	if (value)
		args->argv[args->argc++] = value;
}

/* What perf stat is to be called with; each option is one of ours. */
static int make_args(struct stat_args *args, const struct stat_opts *opts, const char *events,
		     char msecs[2][16], int argc, const char **argv)
{
	enum { MAX_OPTIONS = 20 };

	args->argc = 0;
	args->argv = calloc(MAX_OPTIONS + argc + 1, sizeof(*args->argv));
	if (!args->argv)
		return -ENOMEM;

	add_arg(args, "stat", NULL);
	add_arg(args, "-e", events);
	if (opts->all || opts->per_vcpu)
		add_arg(args, "-a", NULL);
	if (opts->per_vcpu)
		add_arg(args, "-A", NULL);
	if (opts->json)
		add_arg(args, "-j", NULL);
	if (opts->pids)
		add_arg(args, "-p", opts->pids);
	if (opts->csv_sep)
		add_arg(args, "-x", opts->csv_sep);
	if (opts->output)
		add_arg(args, "-o", opts->output);
	snprintf(msecs[0], sizeof(msecs[0]), "%u", opts->interval);
	if (opts->interval)
		add_arg(args, "-I", msecs[0]);
	snprintf(msecs[1], sizeof(msecs[1]), "%u", opts->timeout);
	if (opts->timeout)
		add_arg(args, "--timeout", msecs[1]);
	add_arg(args, "--", NULL);
	for (int i = 0; i < argc; i++)
		add_arg(args, argv[i], NULL);
	return 0;
}

static int stat_guest(const struct stat_opts *opts, const char *events,
		      int argc, const char **argv)
{
	struct stat_args args;
	char msecs[2][16];
	int err = make_args(&args, opts, events, msecs, argc, argv);

	if (!err)
		err = cmd_stat(args.argc, args.argv);
	free(args.argv);
	return err;
}

/* Host */

static FILE *open_output(const char *name)
{
	FILE *output;

	if (!name)
		return stderr;
	output = fopen(name, "w");
	if (!output)
		pr_err("Cannot write '%s': %s\n", name, strerror(errno));
	return output;
}

static int close_output(FILE *output, const char *name)
{
	bool failed = ferror(output);

	if (output != stderr)
		failed |= fclose(output) != 0;
	if (failed)
		pr_err("Not all counts could be written to '%s'.\n", name ?: "stderr");
	return failed ? -EIO : 0;
}

static int stat_host(const struct stat_opts *opts, const char *events,
		     int argc, const char **argv)
{
	struct kvm_vm_stat_opts host_opts = {
		.events		= events,
		.csv_sep	= opts->csv_sep,
		.interval_ms	= opts->interval,
		.timeout_ms	= opts->timeout,
		.per_vcpu	= opts->per_vcpu,
		.json		= opts->json,
	};
	struct kvm_vms vms;
	int err, close_err;

	err = kvm_pvpmu__find_vms(&vms, opts->pids, opts->vm);
	if (err)
		return err;
	host_opts.output = open_output(opts->output);
	if (host_opts.output) {
		err = kvm_vms__stat(&vms, &host_opts, argc, argv);
		close_err = close_output(host_opts.output, opts->output);
		if (close_err)
			err = close_err;
	} else {
		err = -EIO;
	}
	kvm_vms__exit(&vms);
	return err;
}

/* Both */

static const char *find_bad_use(const struct stat_opts *opts)
{
	if (opts->json && opts->csv_sep)
		return "-j and -x exclude each other\n";
	if (opts->csv_sep && !*opts->csv_sep)
		return "-x needs a separator\n";
	if (opts->events && opts->detailed)
		return "-d adds to the default events, and -e replaces them\n";
	if ((opts->interval && opts->interval < MIN_MSECS) ||
	    (opts->timeout && opts->timeout < MIN_MSECS))
		return "-I and --timeout take at least 10 ms\n";
	if (opts->all && (opts->pids || opts->vm))
		return "-a means all, which -p and --vm exclude\n";
	return NULL;
}

static int __cmd_kvm_pvpmu_stat(const struct kvm_pvpmu_sides *sides,
				const struct stat_opts *opts, int argc, const char **argv)
{
	bool on_host = sides->host &&
		       (!sides->guest || opts->pids || opts->vm || opts->per_vcpu);
	char *events = make_events(on_host ? sides->host : sides->guest, opts);
	int err;

	if (!events)
		return 1;
	if (on_host)
		err = stat_host(opts, events, argc, argv);
	else
		err = stat_guest(opts, events, argc, argv);
	free(events);
	return err < 0 ? 1 : err;
}

int cmd_kvm_pvpmu_stat(bool host_only, int argc, const char **argv)
{
	struct stat_opts opts = {};
	struct kvm_pvpmu_sides sides;
	const struct option options[] = {
	OPT_STRING('e', "event", &opts.events, "list", "count these events"),
	OPT_INCR('d', "detailed", &opts.detailed, "count all pv events"),
	OPT_BOOLEAN('a', "all-cpus", &opts.all, "all CPUs of a guest, all VMs of a host"),
	OPT_STRING('p', "pid", &opts.pids, "pid", "only these processes, or their VMs"),
	OPT_STRING(0, "vm", &opts.vm, "name", "only the VM of this name (host)"),
	OPT_BOOLEAN(0, "per-vcpu", &opts.per_vcpu, "one line per vCPU"),
	OPT_UINTEGER('I', "interval-print", &opts.interval, "print each interval of this many ms"),
	OPT_UINTEGER(0, "timeout", &opts.timeout, "stop after this many ms"),
	OPT_BOOLEAN('j', "json", &opts.json, "print JSON"),
	OPT_STRING('x', "field-separator", &opts.csv_sep, "sep", "print fields with a separator"),
	OPT_STRING('o', "output", &opts.output, "file", "print into a file"),
	OPT_INCR('v', "verbose", &verbose, "be more verbose"),
	OPT_END()
	};
	const char * const usage[] = {
		"perf kvm [--host] pvpmu stat [<options>] [-- <command>]",
		NULL
	};
	const char *bad_use;

	setlocale(LC_ALL, "");
	argc = parse_options(argc, argv, options, usage, PARSE_OPT_STOP_AT_NON_OPTION);
	bad_use = find_bad_use(&opts);
	if (bad_use)
		usage_with_options_msg(usage, options, "%s", bad_use);

	if (kvm_pvpmu__find_sides(&sides, host_only || opts.vm))
		return 1;
	return __cmd_kvm_pvpmu_stat(&sides, &opts, argc, argv);
}
