// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm record command with guests that have an agent: reads from the command
 * line who is to be recorded and how, and finds those guests.
 */
#include "builtin.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <subcmd/parse-options.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include "util/debug.h"
#include "util/kvm-agent-unpack.h"
#include "util/kvm-record.h"
#include "util/kvm-record-args.h"
#include "util/kvm-record-vm.h"
#include "util/kvm-record-who.h"
#include "util/pv-clock.h"
#include "util/record.h"
#include "util/units.h"

#define DEFAULT_OUTPUT		"perf.data.kvm"
#define DEFAULT_MAX_SIZE	"16G"
#define DEFAULT_SYMBOLS_SIZE	"1G"
#define DEFAULT_SYMBOLS_FILE	"256M"

static int signals;	/* how many came */

struct record_cmd {
	struct kvm_record_args		 args;
	struct kvm_record_who		*whos;
	size_t				 nr_whos;
	const char			*output;
	const char			*max_size;
	const char			*level;
	const char			*symbols_size;
	const char			*symbols_file;
	bool				 no_symbols;
	struct kvm_merge_joins		 joins;
	enum kvm_merge_method		 method;
	bool				 guest_exec;
	bool				 verify;
};

static void sig_handler(int sig __maybe_unused)
{
	int nr = READ_ONCE(signals) + 1;

	WRITE_ONCE(signals, nr);
}

/* Without SA_RESTART, so that a signal ends a wait. */
static void catch_signals(void)
{
	const struct sigaction end = { .sa_handler = sig_handler };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	struct sigaction hup;

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	/* Under nohup it stays ignored, also by the command. */
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	/* A limit of the file size shall be an error as a full disk is. */
	sigaction(SIGXFSZ, &ignore, NULL);
	sigaction(SIGCHLD, &normal, NULL);
}

/* Options */

static int parse_guest(const struct option *opt, const char *str, int unset __maybe_unused)
{
	struct record_cmd *cmd = opt->value;
	struct kvm_record_who *whos;

	whos = reallocarray(cmd->whos, cmd->nr_whos + 1, sizeof(*whos));
	if (!whos)
		return -ENOMEM;
	cmd->whos = whos;
	if (kvm_record_who__parse(&whos[cmd->nr_whos], str))
		return -EINVAL;
	cmd->nr_whos++;
	return 0;
}

static int parse_guest_event(const struct option *opt, const char *str, int unset __maybe_unused)
{
	struct record_cmd *cmd = opt->value;

	return kvm_record_args__add_guest_event(&cmd->args, str);
}

static int parse_joins(const struct option *opt, const char *str, int unset __maybe_unused)
{
	return kvm_merge_joins__add(opt->value, str);
}

static int parse_clock(const struct option *opt, const char *str, int unset __maybe_unused)
{
	return kvm_record_method__parse(str, opt->value);
}

static int parse_size(const char *option, const char *text, u64 *size)
{
	static struct parse_tag tags[] = {
		{ .tag = 'B', .mult = 1 },
		{ .tag = 'K', .mult = 1 << 10 },
		{ .tag = 'M', .mult = 1 << 20 },
		{ .tag = 'G', .mult = 1 << 30 },
		{ .tag = 0 },
	};
	unsigned long value = parse_tag_value(text, tags);
	u64 plain;

	if (value != (unsigned long)-1 && value) {
		*size = value;
		return 0;
	}
	if (!pv_clock__parse_u64(text, 10, &plain) && plain) {
		*size = plain;
		return 0;
	}
	pr_err("--%s=%s: it takes a number of bytes, with K, M or G behind it.\n", option, text);
	return -EINVAL;
}

static int parse_sizes(const struct record_cmd *cmd, struct kvm_record_opts *opts)
{
	return parse_size("guest-max-size", cmd->max_size, &opts->max_bytes) ?:
	       parse_size("guest-symbols-max-size", cmd->symbols_size, &opts->symbols.max_size) ?:
	       parse_size("guest-symbols-max-file", cmd->symbols_file, &opts->symbols.max_file);
}

static int check_options(const struct record_cmd *cmd, int argc)
{
	if (cmd->guest_exec && !argc) {
		pr_err("--guest-exec needs a command: put it behind '--'.\n");
		return -EINVAL;
	}
	if (strcmp(cmd->output, "-"))
		return 0;
	pr_err("-o -: the output has to be a file, as it is written at the end.\n");
	return -EINVAL;
}

/* NULL: guests do not compress. */
static int parse_level(const char *text, unsigned int *level)
{
	u64 value;

	if (!text)
		return 0;
	if (!kvm_agent_unpack__is_supported()) {
		pr_err("--guest-compression-level: this perf cannot decompress, as it was built without zstd:\n"
		       "leave the option out, or build it with libzstd.\n");
		return -EINVAL;
	}
	if (pv_clock__parse_u64(text, 10, &value) || !value || value > KVM_AGENT_MAX_LEVEL) {
		pr_err("--guest-compression-level=%s: it takes a number from 1 to %d.\n", text,
		       KVM_AGENT_MAX_LEVEL);
		return -EINVAL;
	}
	*level = value;
	return 0;
}

/* Guests */

static int find_targets(const struct record_cmd *cmd, struct kvm_record_targets *targets)
{
	struct kvm_record_vms vms;
	int err = kvm_record_vms__find(&vms);

	memset(targets, 0, sizeof(*targets));
	for (size_t i = 0; !err && i < cmd->nr_whos; i++)
		err = kvm_record_targets__add(targets, &cmd->whos[i], &vms);
	kvm_record_vms__exit(&vms);
	for (size_t i = 0; !err && i < targets->nr; i++) {
		struct kvm_record_clock_opts *clock = &targets->targets[i].clock;

		if (!clock->has_method)
			clock->method = cmd->method;
	}
	return err;
}

static int run(struct record_cmd *cmd, int argc, const char **argv)
{
	struct kvm_record_opts opts = {
		.output		= cmd->output,
		.command	= argc ? argv : NULL,
		.guest_exec	= cmd->guest_exec,
		.verify		= cmd->verify,
		.symbols.off	= cmd->no_symbols,
		.joins		= &cmd->joins,
		.progress	= !quiet && (isatty(STDERR_FILENO) || verbose > 0),
		.signals	= &signals,
	};
	struct kvm_record_targets targets;
	struct kvm_record rec;
	int ret = 1;

	if (check_options(cmd, argc) || parse_sizes(cmd, &opts) ||
	    parse_level(cmd->level, &opts.guest_level))
		return 1;
	kvm_record_args__tell_host_only(&cmd->args);
	catch_signals();
	if (!find_targets(cmd, &targets) &&
	    !kvm_record__init(&rec, &opts, &cmd->args, &targets)) {
		ret = kvm_record__run(&rec);
		kvm_record__exit(&rec);
	}
	kvm_record_targets__exit(&targets);
	return ret;
}

static void free_cmd(struct record_cmd *cmd)
{
	for (size_t i = 0; i < cmd->nr_whos; i++)
		kvm_record_who__exit(&cmd->whos[i]);
	zfree(&cmd->whos);
	kvm_record_args__exit(&cmd->args);
	kvm_merge_joins__exit(&cmd->joins);
}

static int parse(struct record_cmd *cmd, int argc, const char **argv)
{
	const struct option own[] = {
		OPT_CALLBACK(0, "guest", cmd, "who[,...]",
			     "record this guest: a VM's name or pid, vsock:CID, unix:PATH, hybrid:PATH, all",
			     parse_guest),
		OPT_CALLBACK(0, "guest-event", cmd, "list",
			     "events for guests, in place of those of -e", parse_guest_event),
		OPT_STRING(0, "guest-compression-level", &cmd->level, "n",
			   "have guests compress what they send: 1, the fastest, to 19"),
		OPT_BOOLEAN(0, "guest-exec", &cmd->guest_exec, "run the command in the guests"),
		OPT_STRING(0, "guest-max-size", &cmd->max_size, "size",
			   "what a guest may send, " DEFAULT_MAX_SIZE " by default"),
		OPT_BOOLEAN(0, "no-guest-symbols", &cmd->no_symbols,
			    "take nothing from guests that gives names to addresses"),
		OPT_STRING(0, "guest-symbols-max-size", &cmd->symbols_size, "size",
			   "what a guest may send for names, " DEFAULT_SYMBOLS_SIZE " by default"),
		OPT_STRING(0, "guest-symbols-max-file", &cmd->symbols_file, "size",
			   "the longest file of it, " DEFAULT_SYMBOLS_FILE " by default"),
		OPT_CALLBACK(0, "clock", &cmd->method, "auto|pv|tsc|probe",
			     "how to align guests' times with the host's", parse_clock),
		OPT_CALLBACK(0, "join-events", &cmd->joins, "hostevent+guestevent",
			     "show this event of guests with this one of the host's", parse_joins),
		OPT_BOOLEAN(0, "separate-events", &cmd->joins.separate,
			    "show guests' events apart from the same ones of the host's"),
		OPT_BOOLEAN(0, "verify", &cmd->verify,
			    "check that guests' samples lie where the host saw the guest run"),
		OPT_STRING('o', "output", &cmd->output, "file", "the file to write"),
		OPT_INCR('v', "verbose", &verbose, "be more verbose"),
		OPT_BOOLEAN('q', "quiet", &quiet, "print errors only"),
		OPT_END()
	};
	const char * const usage[] = {
		"perf kvm record --guest=<who>[,...] [<options>] [<options of perf record>] [--] [<command>]",
		NULL
	};

	if (kvm_record_args__init(&cmd->args, own, record_options) ||
	    kvm_record_argv__add(&cmd->args.host, "perf") ||
	    kvm_record_argv__add(&cmd->args.host, "record"))
		return -ENOMEM;
	return parse_options(argc, argv, cmd->args.options, usage, PARSE_OPT_STOP_AT_NON_OPTION);
}

bool cmd_kvm_record__is_wanted(int argc, const char **argv)
{
	return strlen(argv[0]) > 2 && strstarts("record", argv[0]) &&
	       kvm_record_args__has_guest(record_options, argc, argv);
}

/* output: what was given in front of the subcommand, or NULL */
int cmd_kvm_record(const char *output, int argc, const char **argv)
{
	struct record_cmd cmd = {
		.output		= output ?: DEFAULT_OUTPUT,
		.max_size	= DEFAULT_MAX_SIZE,
		.symbols_size	= DEFAULT_SYMBOLS_SIZE,
		.symbols_file	= DEFAULT_SYMBOLS_FILE,
	};
	int ret = 1;

	argc = parse(&cmd, argc, argv);
	if (argc >= 0)
		ret = run(&cmd, argc, argv);
	free_cmd(&cmd);
	return ret;
}
