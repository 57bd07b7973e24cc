// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm merge command: reads what is to be merged from the command line, and
 * tells what was merged, how it was aligned, and what was left out.
 */
#include "builtin.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include <subcmd/parse-options.h>
#include "util/debug.h"
#include "util/kvm-merge.h"
#include "util/kvm-merge-table.h"
#include "util/kvm-verify.h"
#include "util/pv-clock.h"

#define EXIT_INCOMPLETE	3

/* What a guest's options point into */
struct guest_arg {
	char			*text;
	s32			*tids;
	struct kvm_merge_table	table;
};

struct merge_args {
	struct kvm_merge_guest_opts	*guests;
	struct guest_arg		*args;
	size_t				nr_guests;
	struct kvm_merge_joins		joins;
	const char			*output;
	bool				keep_going;
	bool				verify;
	bool				json;
};

static int parse_pid(const char *val, struct kvm_merge_guest_opts *guest)
{
	u64 pid;

	if (pv_clock__parse_u64(val, 10, &pid) || !pid || pid > INT_MAX) {
		pr_err("--guest: pid=%s is no process id: give that of the VM's process on the host.\n",
		       val);
		return -EINVAL;
	}
	guest->pid = pid;
	return 0;
}

static int parse_clock(const char *val, struct kvm_merge_clock_opts *clock)
{
	if (!strcmp(val, "auto")) {
		clock->method = KVM_MERGE_CLOCK_AUTO;
	} else if (!strcmp(val, "pv")) {
		clock->method = KVM_MERGE_CLOCK_PV;
	} else if (!strcmp(val, "tsc")) {
		clock->method = KVM_MERGE_CLOCK_TSC;
	} else if (!strcmp(val, "probe")) {
		clock->method = KVM_MERGE_CLOCK_PROBE;
	} else {
		pr_err("--guest: clock=%s is unknown: it can be auto, pv, tsc or probe.\n", val);
		return -EINVAL;
	}
	return 0;
}

static int parse_offset(const char *key, const char *val, s64 *offset, bool *has)
{
	*has = true;
	if (!pv_clock__parse_s64(val, offset))
		return 0;
	pr_err("--guest: %s=%s is no number: give a decimal one, which may be negative.\n",
	       key, val);
	return -EINVAL;
}

/* It becomes part of the names of events. */
static int parse_name(const char *val, struct kvm_merge_guest_opts *guest)
{
	size_t len = 0;

	while (isalnum(val[len]) || (val[len] && strchr("_.-", val[len])))
		len++;
	if (!len || len > 64 || val[len]) {
		pr_err("--guest: name=%s: a name is 1 to 64 letters, digits, '_', '.' or '-'.\n",
		       val);
		return -EINVAL;
	}
	guest->name = val;
	return 0;
}

static int parse_readings(const char *val, struct kvm_merge_table *table)
{
	int err;

	kvm_merge_table__exit(table);
	err = kvm_merge_table__read(table, val);
	if (!err && !table->nr_pv && !table->nr_tsc && !table->nr_readings) {
		pr_err("%s: has no lines that tell of a clock.\n", val);
		err = -EINVAL;
	}
	return err;
}

/* TID[:TID...], in the order of the vCPUs */
static int parse_threads(const char *val, struct kvm_merge_guest_opts *guest, s32 **tids)
{
	size_t nr = 1;
	char *end;
	long tid;

	for (const char *pos = val; *pos; pos++)
		nr += *pos == ':';
	free(*tids);
	*tids = calloc(nr, sizeof(**tids));
	if (!*tids)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++, val = end + 1) {
		tid = isdigit(*val) ? strtol(val, &end, 10) : 0;
		if (tid < 1 || tid > INT_MAX || *end != (i + 1 < nr ? ':' : '\0')) {
			pr_err("--guest: threads= needs the ids of the vCPUs' threads on the host, with ':'\n"
			       "between them.\n");
			return -EINVAL;
		}
		(*tids)[i] = tid;
	}
	guest->tids = *tids;
	guest->nr_tids = nr;
	return 0;
}

static int parse_key(struct kvm_merge_guest_opts *guest, struct guest_arg *arg,
		     const char *key, const char *val)
{
	struct kvm_merge_clock_opts *clock = &guest->clock;

	if (val && !strcmp(key, "pid"))
		return parse_pid(val, guest);
	if (val && !strcmp(key, "name"))
		return parse_name(val, guest);
	if (val && !strcmp(key, "clock"))
		return parse_clock(val, clock);
	if (val && !strcmp(key, "pv-offset"))
		return parse_offset(key, val, &clock->pv_offset, &clock->has_pv_offset);
	if (val && !strcmp(key, "tsc-offset"))
		return parse_offset(key, val, &clock->tsc_offset, &clock->has_tsc_offset);
	if (val && !strcmp(key, "readings"))
		return parse_readings(val, &arg->table);
	if (val && !strcmp(key, "threads"))
		return parse_threads(val, guest, &arg->tids);
	pr_err("--guest: '%s' is unknown: there are pid=, name=, clock=, readings=, pv-offset=,\n"
	       "tsc-offset= and threads=.\n", key);
	return -EINVAL;
}

/* FILE,KEY=VALUE[,...], taken apart in place */
static int parse_guest(struct kvm_merge_guest_opts *guest, struct guest_arg *arg)
{
	char *text = arg->text, *part;

	memset(guest, 0, sizeof(*guest));
	guest->path = strsep(&text, ",");
	while ((part = strsep(&text, ",")) != NULL) {
		const char *key = strsep(&part, "=");
		int err = parse_key(guest, arg, key, part);

		if (err)
			return err;
	}
	if (!*guest->path || !guest->pid) {
		pr_err("--guest: needs a file and the VM's process id: --guest=FILE,pid=N.\n");
		return -EINVAL;
	}
	kvm_merge_table__set(&arg->table, &guest->clock);
	return 0;
}

static bool has_pid(const struct merge_args *args, u32 pid)
{
	for (size_t i = 0; i < args->nr_guests; i++) {
		if (args->guests[i].pid == pid)
			return true;
	}
	return false;
}

/* Makes room for one more guest. */
static int grow(struct merge_args *args)
{
	void *guests = reallocarray(args->guests, args->nr_guests + 1, sizeof(*args->guests));
	void *list;

	if (!guests)
		return -ENOMEM;
	args->guests = guests;
	list = reallocarray(args->args, args->nr_guests + 1, sizeof(*args->args));
	if (!list)
		return -ENOMEM;
	args->args = list;
	return 0;
}

static void free_arg(struct guest_arg *arg)
{
	kvm_merge_table__exit(&arg->table);
	zfree(&arg->tids);
	zfree(&arg->text);
}

static int parse_guest_opt(const struct option *opt, const char *str, int unset __maybe_unused)
{
	struct merge_args *args = opt->value;
	struct guest_arg arg = { .text = strdup(str) };
	struct kvm_merge_guest_opts guest;
	int err = arg.text ? parse_guest(&guest, &arg) ?: grow(args) : -ENOMEM;

	if (!err && has_pid(args, guest.pid)) {
		pr_err("--guest: two files are of the VM of process %u: merge one of them.\n",
		       guest.pid);
		err = -EINVAL;
	}
	if (err) {
		free_arg(&arg);
		return err;
	}
	args->guests[args->nr_guests] = guest;
	args->args[args->nr_guests++] = arg;
	return 0;
}

static void free_args(struct merge_args *args)
{
	for (size_t i = 0; i < args->nr_guests; i++)
		free_arg(&args->args[i]);
	zfree(&args->args);
	zfree(&args->guests);
	kvm_merge_joins__exit(&args->joins);
}

static int parse_joins(const struct option *opt, const char *str, int unset __maybe_unused)
{
	return kvm_merge_joins__add(opt->value, str);
}

static void print_left_out(FILE *fp, u64 nr, const char *why)
{
	if (nr)
		fprintf(fp, "  left out: %" PRIu64 " %s\n", nr, why);
}

static void print_stats(FILE *fp, const struct kvm_merge_stats *stats,
			const struct kvm_merge_stream *stream)
{
	fprintf(fp, "  records: %" PRIu64 ", of which samples: %" PRIu64 "\n",
	       stats->records, stats->samples);
	fprintf(fp, "  lost while recording: %" PRIu64 " records, %" PRIu64 " samples\n",
	       stats->lost, stats->lost_samples);
	kvm_merge__print_left_out(stats, stream, "  ", fp);
	print_left_out(fp, stats->unreadable, "records of a guest's cgroups and BPF programs");
	print_left_out(fp, stats->guest_mode,
		       "samples in guest mode of these VMs, by events that exclude guests");
	if (stream->late)
		fprintf(fp, "  out of order in the file: %" PRIu64 " records\n", stream->late);
	if (stats->stepped_back)
		fprintf(fp, "  stepped back: %" PRIu64 " records are earlier than what was before their clock\n"
		       "  changed\n", stats->stepped_back);
}

static void print_cpus(FILE *fp, const struct kvm_merge_guest *guest)
{
	if (guest->host_cpu)
		fprintf(fp, "  with the number of the host's CPU: %" PRIu64 " records\n",
		       guest->host_cpu);
	else if (verbose > 0)
		fprintf(fp, "  CPU numbers are the guest's own: the host's recording does not tell\n"
		       "  where the vCPUs ran (it needs --switch-events, and threads' names)\n");
}

static void print_events(FILE *fp, const struct kvm_merge_file *file)
{
	const char *separator = "  under the host's events: ";

	for (u32 i = 0; i < file->nr_attrs; i++) {
		const struct kvm_merge_attr *attr = &file->attrs[i], *under = attr->under;
		const char *name = attr->name ?: "?";

		if (!under)
			continue;
		fprintf(fp, "%s%s", separator, name);
		if (under->name && strcmp(name, under->name))
			fprintf(fp, " under %s", under->name);
		separator = ", ";
	}
	fprintf(fp, "%s", *separator == ',' ? "\n" : "");
}

static void print_clock(FILE *fp, const struct kvm_merge_clock *clock)
{
	fprintf(fp, "  clock: %s, off by at most %" PRIu64 " ns%s",
	       kvm_merge_clock__name(clock->method), clock->bound,
	       clock->method == KVM_MERGE_CLOCK_TSC ?
	       " if the TSC offset is right and the TSC not scaled" : "");
	if (clock->nr_segments > 1)
		fprintf(fp, ", in %zu segments", clock->nr_segments);
	if (clock->nr_points)
		fprintf(fp, ", by %zu reading%s", clock->nr_points, clock->nr_points > 1 ? "s" : "");
	fprintf(fp, "\n");
}

static void print_guest(FILE *fp, const struct kvm_merge_guest *guest)
{
	if (guest->failed) {
		fprintf(fp, "  left out: all of it, as was said above\n");
		return;
	}
	print_clock(fp, &guest->clock);
	print_stats(fp, &guest->stats, &guest->stream);
	print_events(fp, &guest->file);
	print_cpus(fp, guest);
}

static void print_result(FILE *fp, const struct kvm_merge *merge, const char *output)
{
	fprintf(fp, "%s: host %s\n", output, merge->host.file.path);
	print_stats(fp, &merge->host.stats, &merge->host.stream);
	for (size_t i = 0; i < merge->nr_guests; i++) {
		const struct kvm_merge_guest *guest = &merge->guests[i];
		const char *name = guest->opts.name;

		fprintf(fp, "%s: guest %s, pid %u%s%s\n", output, guest->file.path, guest->opts.pid,
		       name ? ", name " : "", name ?: "");
		print_guest(fp, guest);
	}
}

static int verify(const struct merge_args *args, const char *path)
{
	struct kvm_verify result;
	int err;

	kvm_verify__init(&result);
	err = kvm_verify__file(&result, path);
	if (!err && args->json)
		kvm_verify__fprintf_json(&result, stdout);
	else if (!err)
		kvm_verify__fprintf(&result, stdout);
	kvm_verify__exit(&result);
	return err ? 1 : 0;
}

static int run(const struct merge_args *args, const char *host)
{
	struct kvm_merge merge;
	bool complete;
	int err;

	for (size_t i = 0; i < args->nr_guests; i++) {
		args->guests[i].may_fail = args->keep_going;
		args->guests[i].joins = &args->joins;
	}
	err = kvm_merge__run(&merge, host, args->output, args->guests, args->nr_guests);
	complete = kvm_merge__is_complete(&merge);
	if (!err)
		print_result(args->json ? stderr : stdout, &merge, args->output);
	kvm_merge__exit(&merge);
	if (err || (args->verify && verify(args, args->output)))
		return 1;
	return complete ? 0 : EXIT_INCOMPLETE;
}

int cmd_kvm_merge(int argc, const char **argv)
{
	struct merge_args args = { .output = NULL };
	const struct option options[] = {
		OPT_CALLBACK(0, "guest", &args, "file,pid=n[,...]",
			     "recording of a guest, and the process that is its VM",
			     parse_guest_opt),
		OPT_STRING('o', "output", &args.output, "file", "the merged recording"),
		OPT_BOOLEAN('k', "keep-going", &args.keep_going,
			    "leave out guests that cannot be merged, and merge the others"),
		OPT_CALLBACK(0, "join-events", &args.joins, "hostevent+guestevent",
			     "put this event of guests under this one of the host's", parse_joins),
		OPT_BOOLEAN(0, "separate-events", &args.joins.separate,
			    "keep guests' events apart from the same ones of the host's"),
		OPT_BOOLEAN(0, "verify", &args.verify,
			    "check that guests' samples lie where the host saw the guest run"),
		OPT_BOOLEAN('j', "json", &args.json, "with --verify: print its result as JSON"),
		OPT_INCR('v', "verbose", &verbose, "be more verbose"),
		OPT_END()
	};
	const char * const usage[] = {
		"perf kvm merge <host file> --guest=<file>,pid=<n>[,...] [--guest=...] -o <file>",
		"perf kvm merge --verify [-j] <merged file>",
		NULL
	};
	int ret;

	argc = parse_options(argc, argv, options, usage, 0);
	if (argc == 1 && args.verify && !args.nr_guests && !args.output)
		return verify(&args, argv[0]);
	if (argc != 1 || !args.nr_guests || !args.output || (args.json && !args.verify)) {
		free_args(&args);
		usage_with_options(usage, options);
	}
	ret = run(&args, argv[0]);
	free_args(&args);
	return ret;
}
