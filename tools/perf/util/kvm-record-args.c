// SPDX-License-Identifier: GPL-2.0
/*
 * Divides the options of perf kvm record --guest: perf record's own table says what
 * is an option and what takes a value, and a table here says which of them are for
 * the host, and which for guests as well.
 */
#include "kvm-record-args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include <subcmd/parse-options.h>
#include "debug.h"

/* Is it for this command at all? */

/* The types are in this order: those that take no value come first. */
static bool takes_next(const struct option *opt)
{
	return opt->type >= OPTION_STRING && !(opt->flags & (PARSE_OPT_NOARG | PARSE_OPT_OPTARG));
}

/* As parse_options() does it: the name, or a beginning of one that is no other's. */
static const struct option *find_long(const struct option *opts, const char *name)
{
	const struct option *found = NULL;
	size_t nr = 0;

	for (const struct option *opt = opts; opt->type != OPTION_END; opt++) {
		if (!opt->long_name || !strstarts(opt->long_name, name))
			continue;
		if (!strcmp(opt->long_name, name))
			return opt;
		found = opt;
		nr++;
	}
	return nr == 1 ? found : NULL;
}

static const struct option *find_short(const struct option *opts, char name)
{
	for (const struct option *opt = opts; opt->type != OPTION_END; opt++) {
		if (opt->short_name == name)
			return opt;
	}
	return NULL;
}

/* "-ae" is two options, "-ecycles" is one with its value. */
static bool shorts_take_next(const struct option *opts, const char *names)
{
	for (; *names; names++) {
		const struct option *opt = find_short(opts, *names);

		if (!opt)
			return false;
		if (takes_next(opt))
			return !names[1];
	}
	return false;
}

static bool takes_next_arg(const struct option *opts, const char *arg)
{
	const struct option *opt;

	if (!strstarts(arg, "--"))
		return shorts_take_next(opts, arg + 1);
	opt = strchr(arg, '=') ? NULL : find_long(opts, arg + 2);
	return opt && takes_next(opt);
}

/* What belongs to the command that is recorded, or is an option's value, does not count. */
bool kvm_record_args__has_guest(const struct option *record, int argc, const char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstarts(argv[i], "--guest="))
			return true;
		if (argv[i][0] != '-' || !argv[i][1] || !strcmp(argv[i], "--"))
			return false;
		if (takes_next_arg(record, argv[i]))
			i++;
	}
	return false;
}

/* Lists of strings */

static int add(struct kvm_record_argv *argv, char *arg)
{
	char **args = arg ? reallocarray(argv->args, argv->nr + 2, sizeof(*args)) : NULL;

	if (!args) {
		free(arg);
		return -ENOMEM;
	}
	argv->args = args;
	args[argv->nr++] = arg;
	args[argv->nr] = NULL;
	return 0;
}

int kvm_record_argv__add(struct kvm_record_argv *argv, const char *fmt, ...)
{
	char *arg = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&arg, fmt, ap) < 0)
		arg = NULL;
	va_end(ap);
	return add(argv, arg);
}

/* name: with the dashes; the argument may have a value behind it. */
static bool has_name(const char *arg, const char *name)
{
	const size_t len = strlen(name);

	return !strncmp(arg, name, len) && (!arg[len] || arg[len] == '=');
}

bool kvm_record_argv__has(const struct kvm_record_argv *argv, const char *name)
{
	for (size_t i = 0; i < argv->nr; i++) {
		if (has_name(argv->args[i], name))
			return true;
	}
	return false;
}

/* Returns whether there was one. */
bool kvm_record_argv__drop(struct kvm_record_argv *argv, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < argv->nr; i++) {
		if (has_name(argv->args[i], name))
			free(argv->args[i]);
		else
			argv->args[kept++] = argv->args[i];
	}
	if (kept == argv->nr)
		return false;
	argv->args[kept] = NULL;
	argv->nr = kept;
	return true;
}

/* What was there by this name is replaced: perf record takes the last, too. */
int kvm_record_argv__set(struct kvm_record_argv *argv, const char *name, const char *value)
{
	kvm_record_argv__drop(argv, name);
	return kvm_record_argv__add(argv, "%s%s%s", name, value ? "=" : "", value ?: "");
}

void kvm_record_argv__exit(struct kvm_record_argv *argv)
{
	for (size_t i = 0; i < argv->nr; i++)
		free(argv->args[i]);
	zfree(&argv->args);
	argv->nr = 0;
}

/* Options */

static const char * const for_both[] = {
	"event", "freq", "count", "mmap-pages", "g", "call-graph", "data", "period", "timestamp",
	"sample-cpu", "sample-identifier", "no-inherit", "stat", "namespaces", "all-cgroups",
	"all-kernel", "all-user", "switch-events", NULL
};

/* What to record there. */
static const char * const for_host_target[] = {
	"all-cpus", "cpu", "pid", "tid", "uid", NULL
};

/* How perf record works, of which guests have their own. */
static const char * const for_host[] = {
	"realtime", "no-buffering", "mmap-flush", "aio", "affinity", "compression-level",
	"max-size", "tail-synthesize", "synth", "num-thread-synthesize", "proc-map-timeout",
	"no-bpf-event", "no-buildid", "no-buildid-cache", "buildid-all", "vmlinux", "debuginfod",
	"timestamp-boundary", NULL
};

/* What is sampled, and what samples have: an agent does not take these. */
static const char * const for_host_samples[] = {
	"cgroup", "exclude-perf", "strict-freq", "kernel-callchains", "user-callchains",
	"raw-samples", "branch-any", "branch-filter", "weight", "transaction", "intr-regs",
	"user-regs", "phys-data", "data-page-size", "code-page-size", NULL
};

static bool is_one_of(const char *name, const char * const *list)
{
	while (*list && strcmp(name, *list))
		list++;
	return *list;
}

static int add_host(struct kvm_record_args *args, const struct option *opt, const char *name,
		    const char *value, int unset)
{
	if (!opt->long_name)
		return kvm_record_argv__add(&args->host, "-%s", name);
	return kvm_record_argv__add(&args->host, "--%s%s%s%s", unset ? "no-" : "", name,
				    value ? "=" : "", value ?: "");
}

static int add_guest(struct kvm_record_args *args, const char *name, const char *value)
{
	char option[64];

	/* Of all options only this one adds to the others of its name. */
	if (!strcmp(name, "event"))
		return args->guest_events ? 0 :
		       kvm_record_argv__add(&args->guest, "--event=%s", value);
	if (!strcmp(name, "g"))
		return kvm_record_argv__set(&args->guest, "--call-graph", "fp");
	scnprintf(option, sizeof(option), "--%s", name);
	return kvm_record_argv__set(&args->guest, option, value);
}

/* All CPUs are what guests are recorded on. */
static int add_host_only(struct kvm_record_args *args, const char *name)
{
	char option[64];

	if (!strcmp(name, "all-cpus"))
		return 0;
	scnprintf(option, sizeof(option), "--%s", name);
	return kvm_record_argv__set(&args->host_only, option, NULL);
}

void kvm_record_args__tell_host_only(const struct kvm_record_args *args)
{
	if (!args->host_only.nr || quiet)
		return;
	pr_warning("Only for the host, guests are recorded without:");
	for (size_t i = 0; i < args->host_only.nr; i++)
		pr_warning(" %s", args->host_only.args[i]);
	pr_warning("\n");
}

static int refuse(const struct option *opt, const char *name)
{
	pr_err("%s%s of perf record cannot be used with --guest=: leave it out, or record\n"
	       "the host without guests. The man page perf-kvm-record has those that can be.\n",
	       opt->long_name ? "--" : "-", name);
	return -EINVAL;
}

/* Called by parse_options() for each option that is perf record's. */
static int collect(const struct option *opt, const char *value, int unset)
{
	const char short_name[] = { opt->short_name, '\0' };
	const char *name = opt->long_name ?: short_name;
	struct kvm_record_args *args = opt->value;
	const bool both = is_one_of(name, for_both);
	const bool target = is_one_of(name, for_host_target);
	const bool host_only = target || is_one_of(name, for_host_samples);
	int err;

	if ((!both && !host_only && !is_one_of(name, for_host)) || (unset && !opt->long_name))
		return refuse(opt, name);
	args->target |= target && !unset;
	err = add_host(args, opt, name, value, unset);
	if (!err && host_only && !unset)
		err = add_host_only(args, name);
	return err || !both || unset ? err : add_guest(args, name, value);
}

int kvm_record_args__add_guest_event(struct kvm_record_args *args, const char *list)
{
	if (!args->guest_events)
		kvm_record_argv__drop(&args->guest, "--event");
	args->guest_events = true;
	return kvm_record_argv__add(&args->guest, "--event=%s", list);
}

static size_t count(const struct option *options)
{
	size_t nr = 0;

	while (options[nr].type != OPTION_END)
		nr++;
	return nr;
}

static bool is_in(const struct option *own, size_t nr, const struct option *opt)
{
	for (size_t i = 0; i < nr; i++) {
		if ((opt->long_name && own[i].long_name &&
		     !strcmp(opt->long_name, own[i].long_name)) ||
		    (opt->short_name && opt->short_name == own[i].short_name))
			return true;
	}
	return false;
}

/* The same option for parse_options(), but for its effect. */
static void set_collected(struct option *opt, const struct option *from,
			  struct kvm_record_args *args)
{
	*opt = *from;
	opt->type = OPTION_CALLBACK;
	opt->callback = collect;
	opt->value = args;
	opt->set = NULL;
	opt->flags &= PARSE_OPT_OPTARG | PARSE_OPT_NOARG | PARSE_OPT_NONEG | PARSE_OPT_HIDDEN;
	if (!takes_next(from) && !(from->flags & PARSE_OPT_OPTARG))
		opt->flags |= PARSE_OPT_NOARG;
}

/* own: this command's, which go before perf record's of the same name. */
int kvm_record_args__init(struct kvm_record_args *args, const struct option *own,
			  const struct option *record)
{
	const size_t nr_own = count(own), nr_record = count(record);
	size_t nr = nr_own;

	memset(args, 0, sizeof(*args));
	args->options = calloc(nr_own + nr_record + 1, sizeof(*args->options));
	if (!args->options)
		return -ENOMEM;
	memcpy(args->options, own, nr_own * sizeof(*own));
	for (size_t i = 0; i < nr_record; i++) {
		if (!is_in(own, nr_own, &record[i]))
			set_collected(&args->options[nr++], &record[i], args);
	}
	args->options[nr] = (struct option)OPT_END();
	return 0;
}

void kvm_record_args__exit(struct kvm_record_args *args)
{
	kvm_record_argv__exit(&args->host);
	kvm_record_argv__exit(&args->guest);
	kvm_record_argv__exit(&args->host_only);
	zfree(&args->options);
}
