// SPDX-License-Identifier: GPL-2.0
/*
 * Tests perf kvm agent: its policy and options, sessions with hosts that break the
 * protocol, a client with agents that do, and a recording by a real agent.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "debug.h"
#include "event.h"
#include "kvm-agent-client.h"
#include "kvm-agent-options.h"
#include "kvm-agent-policy.h"
#include "kvm-agent-session.h"
#include "kvm-channel.h"
#include "kvm-pvpmu.h"
#include "tests.h"

/* Lengths, too: all that is compared here is small. */
#define ASSERT_EQUAL(text, val, expected)	\
	TEST_ASSERT_EQUAL(text, (int)(val), (int)(expected))

/* Policy */

static int test__policy_good(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char text[] =
		"# what the host may do\n\n"
		"events cycles sched:*	# globs\n"
		"  max-rate 500\n"
		"min-period 100\nring-memory 1M\nbandwidth 2K\nsessions 1\n"
		"stall-timeout 5\nidle-timeout 6\nworkload yes\nsymbols no\nmax-file 4K";
	struct kvm_agent_policy policy;
	struct kvm_agent_error error;

	ASSERT_EQUAL("parse", kvm_agent_policy__parse(&policy, text, &error), 0);
	TEST_ASSERT_VAL("events", policy.nr_globs == 2 &&
			kvm_agent_policy__allows(&policy, "cycles") &&
			kvm_agent_policy__allows(&policy, "sched:sched_switch") &&
			!kvm_agent_policy__allows(&policy, "instructions"));
	TEST_ASSERT_VAL("numbers", policy.max_rate == 500 && policy.min_period == 100 &&
			policy.ring_memory == 1 << 20 && policy.bandwidth == 2048 &&
			policy.sessions == 1 && policy.stall_timeout == 5 &&
			policy.idle_timeout == 6);
	TEST_ASSERT_VAL("workload", policy.workload);
	TEST_ASSERT_VAL("symbols", !policy.symbols && policy.max_file == 4096);
	kvm_agent_policy__exit(&policy);

	ASSERT_EQUAL("empty", kvm_agent_policy__parse(&policy, "", &error), 0);
	TEST_ASSERT_VAL("initial", kvm_agent_policy__allows(&policy, "x") && !policy.workload &&
			policy.max_rate == 10000 && policy.sessions == 4 && policy.symbols &&
			policy.max_file == 256 << 20);
	kvm_agent_policy__exit(&policy);
	return TEST_OK;
}

static int test__policy_bad(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{ "event cycles",			"line 1: event: there is no such key" },
		{ "\nmax-rate",				"line 2: max-rate: the value is missing" },
		{ "max-rate 0",				"max-rate takes a number from 1" },
		{ "max-rate 1000001",			"max-rate takes a number" },
		{ "max-rate -1",			"max-rate takes a number" },
		{ "max-rate 5 5",			"max-rate takes a number" },
		{ "max-rate 1K",			"max-rate takes a number" },
		{ "max-rate 99999999999999999999",	"max-rate takes a number" },
		{ "ring-memory K",			"ring-memory takes a number" },
		{ "ring-memory 99999999999999999G",	"ring-memory takes a number" },
		{ "ring-memory 1k",			"ring-memory takes a number" },
		{ "workload maybe",			"workload: takes yes or no" },
		{ "workload Yes",			"workload: takes yes or no" },
		{ "symbols 1",				"symbols: takes yes or no" },
		{ "symbols no\nsymbols no",		"line 2: symbols: this key was there" },
		{ "max-file 4095",			"max-file takes a number from 4096" },
		{ "max-rate 5\nmax-rate 5",		"line 2: max-rate: this key was there" },
		{ "events a\nevents b",			"line 2: events: this key was there" },
		{ "events # none",			"line 1: events: the value is missing" },
		{ "Max-rate 5",				"there is no such key" },
		{ "workload=yes",			"workload=yes: the value is missing" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_agent_error error = { .code = 0 };
		struct kvm_agent_policy policy;

		if (kvm_agent_policy__parse(&policy, cases[i].text, &error) &&
		    strstr(error.text, cases[i].says))
			continue;
		pr_debug("FAILED case %zu (%s): '%s'\n", i, cases[i].text, error.text);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* Options */

/* Options are written with blanks between them here. */
static int make_options(struct kvm_agent_options *opts, const struct kvm_agent_policy *policy,
			const char *options, struct kvm_agent_error *error)
{
	char text[1024];
	size_t len = strlen(options);

	scnprintf(text, sizeof(text), "%s", options);
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] == ' ' ? '\0' : text[i];
	return kvm_agent_options__init(opts, policy, 2, text, len ? len + 1 : 0, error);
}

static int init_policy(struct kvm_agent_policy *policy, const char *text)
{
	struct kvm_agent_error error;

	return kvm_agent_policy__parse(policy, text, &error);
}

static int check_argv(const char *options, const char *expected, bool workload)
{
	struct kvm_agent_error error = { .code = 0 };
	struct kvm_agent_options opts;
	struct kvm_agent_policy policy;
	char got[1024] = "";
	int err;

	if (init_policy(&policy, workload ? "workload yes" : ""))
		return TEST_FAIL;
	err = make_options(&opts, &policy, options, &error);
	for (int i = 4; !err && i < opts.argc; i++) {
		strncat(got, " ", sizeof(got) - strlen(got) - 1);
		strncat(got, opts.argv[i], sizeof(got) - strlen(got) - 1);
	}
	if (!err)
		kvm_agent_options__exit(&opts);
	kvm_agent_policy__exit(&policy);
	if (!err && !strcmp(got, expected))
		return TEST_OK;
	pr_debug("FAILED '%s': '%s', expected '%s'; %s\n", options, got, expected, error.text);
	return TEST_FAIL;
}

static int test__options_good(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *options;
		const char *argv;	/* behind "perf record --output=-" */
		bool workload;
	} cases[] = {
		{ "--all-cpus --event=x", " --all-cpus --event=x --freq=1000 --mmap-pages=128",
		  false },
		{ "--pid=1,2 --event=x --count=5",
		  " --pid=1,2 --event=x --count=5 --mmap-pages=128", false },
		{ "--cpu=0-1 --event=x --freq=9 --mmap-pages=4",
		  " --cpu=0-1 --event=x --freq=9 --mmap-pages=4", false },
		{ "--all-cpus --event=cycles:u --event=instructions --freq=1 --mmap-pages=1",
		  " --all-cpus --event=cycles:u --event=instructions --freq=1 --mmap-pages=1",
		  false },
		{ "--call-graph=dwarf,8192 --tid=7 --switch-events --event=x --freq=1 --mmap-pages=1",
		  " --call-graph=dwarf,8192 --tid=7 --switch-events --event=x --freq=1 --mmap-pages=1",
		  false },
		{ "--event=x --freq=1 --mmap-pages=1 -- true --output=x",
		  " --event=x --freq=1 --mmap-pages=1 -- true --output=x", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (check_argv(cases[i].options, cases[i].argv, cases[i].workload))
			return TEST_FAIL;
	}
	return TEST_OK;
}

#ifdef HAVE_ZSTD_SUPPORT
#define COMPRESSION	"--compression-level takes a number from 1 to 19"
#else
#define COMPRESSION	"perf was built without zstd"
#endif

/* By the policy below. */
static const struct {
	const char *options;
	const char *says;	/* NULL: allowed */
} option_cases[] = {
	{ "--all-cpus --event=cycles:u",		NULL },
	{ "--all-cpus --event={cycles:k,sched:sched_switch}:S", NULL },
	{ "--all-cpus --event=pvpmu/vm-exits/u",	NULL },
	{ "--all-cpus --event=cpu/event=0x3c,umask=1/",	NULL },
	{ "--all-cpus --freq=1000 --mmap-pages=8",	NULL },
	{ "",						"nothing says what to record" },
	{ "--freq=10",					"nothing says what to record" },
	{ "--all-cpus --event=instructions",		"'instructions' is not in the 'events'" },
	{ "--all-cpus --event=cycles,faults",		"'faults' is not in" },
	{ "--all-cpus --event={cycles,faults}",		"'faults' is not in" },
	{ "--all-cpus --event=cpu/event=1/,faults",	"'faults' is not in" },
	{ "--all-cpus --event=cpu/event=1,period=1/",	"term 'period'" },
	{ "--all-cpus --event=cpu/freq=1,event=1/",	"term 'freq'" },
	{ "--all-cpus --event=cpu/event=1,name=x/",	"term 'name'" },
	{ "--all-cpus --event=pvpmu/overwrite/",	"term 'overwrite'" },
	{ "--all-cpus --event=intel_pt/x/",		"traces are not served" },
	{ "--all-cpus --event=",			"names no event" },
	{ "--all-cpus --event=,,{}",			"names no event" },
	{ "--all-cpus --event=sched:*",			"letters, digits" },
	{ "--all-cpus --event=cycles;id",		"letters, digits" },
	{ "--all-cpus --event=./x.bpf.c",		"is not in the 'events'" },
	{ "--all-cpus --freq=1001",			"above the policy's max-rate, 1000" },
	{ "--all-cpus --freq=max",			"takes a number" },
	{ "--all-cpus --freq=0",			"takes a number" },
	{ "--all-cpus --freq",				"needs '=' and a value" },
	{ "--all-cpus --count=9",			"below the policy's min-period, 10" },
	{ "--all-cpus --count=18446744073709551615",	"takes a number" },
	{ "--all-cpus --freq=1 --count=10",		"one of --freq and --count" },
	{ "--all-cpus --mmap-pages=16",			"above the policy's ring-memory" },
	{ "--all-cpus --mmap-pages=3",			"power of 2" },
	{ "--all-cpus --mmap-pages=8,8",		"power of 2" },
	{ "--all-cpus --mmap-pages=0",			"power of 2" },
	{ "--all-cpus --call-graph=dwarf,7",		"--call-graph takes" },
	{ "--all-cpus --call-graph=dwarf,65536",	"--call-graph takes" },
	{ "--all-cpus --call-graph=no",			"--call-graph takes" },
	{ "--all-cpus --clockid=7",			"--clockid takes" },
	{ "--all-cpus --compression-level=0",		COMPRESSION },
	{ "--all-cpus --compression-level=20",		COMPRESSION },
	{ "--all-cpus --compression-level=1,2",		COMPRESSION },
	{ "--all-cpus --compression-level",		"needs '=' and a value" },
	{ "--all-cpus -z",				"is not one" },
#ifdef HAVE_ZSTD_SUPPORT
	{ "--all-cpus --compression-level=1",		NULL },
	{ "--all-cpus --compression-level=19",		NULL },
#else
	{ "--all-cpus --compression-level=1",		COMPRESSION },
#endif
	{ "--all-cpus --all-cpus",			"is there twice" },
	{ "--all-cpus=1",				"takes no value" },
	{ "--pid=",					"digits" },
	{ "--pid=1;2",					"digits" },
	{ "--all-cpus --output=/etc/passwd",		"'--output=/etc/passwd' is not one" },
	{ "--all-cpus -o/tmp/x",			"is not one" },
	{ "-a",						"is not one" },
	{ "--all",					"is not one" },
	{ "--all-cpus --control=fd:1",			"is not one" },
	{ "--all-cpus --switch-output=1s",		"is not one" },
	{ "--all-cpus --filter=x",			"is not one" },
	{ "--all-cpus --vmlinux=/x",			"is not one" },
	{ "--all-cpus --debuginfod=x",			"is not one" },
	{ "--all-cpus sleep",				"is not one" },
	{ "--all-cpus -- sleep 1",			"'workload no'" },
	{ "--",						"'workload no'" },
};

static int test__options_bad(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char rules[] =
		"events cycles sched:* pvpmu/*/ cpu/event=*/\nmax-rate 1000\nmin-period 10\n"
		"ring-memory 64K\n";
	struct kvm_agent_policy policy;

	TEST_ASSERT_VAL("policy", !init_policy(&policy, rules));
	for (size_t i = 0; i < ARRAY_SIZE(option_cases); i++) {
		struct kvm_agent_error error = { .code = 0 };
		struct kvm_agent_options opts;
		int err = make_options(&opts, &policy, option_cases[i].options, &error);

		if (!err)
			kvm_agent_options__exit(&opts);
		if (!err == !option_cases[i].says &&
		    (!err || (strstr(error.text, option_cases[i].says) && !error.fatal)))
			continue;
		pr_debug("FAILED case %zu (%s): '%s'\n", i, option_cases[i].options, error.text);
		return TEST_FAIL;
	}
	kvm_agent_policy__exit(&policy);
	return TEST_OK;
}

/* The numbers that the table above cannot hold. */
static int test__options_limits(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_agent_policy policy;
	struct kvm_agent_options opts;
	struct kvm_agent_error error;
	char text[1024] = "--all-cpus";

	TEST_ASSERT_VAL("policy", !init_policy(&policy, "ring-memory 4K"));
	TEST_ASSERT_VAL("too little memory", make_options(&opts, &policy, text, &error) &&
					     strstr(error.text, "less than a page"));
	kvm_agent_policy__exit(&policy);
	TEST_ASSERT_VAL("policy", !init_policy(&policy, ""));
	TEST_ASSERT_VAL("no end", kvm_agent_options__init(&opts, &policy, 1, "--all-cpus", 10,
							  &error));
	for (int i = 0; i < KVM_AGENT_MAX_OPTIONS; i++)
		strcat(text, " --event=x");
	TEST_ASSERT_VAL("too many", make_options(&opts, &policy, text, &error) &&
				    strstr(error.text, "more than 64"));
	kvm_agent_policy__exit(&policy);
	return TEST_OK;
}

/* What runs is what was checked: perf's own choice, as if the host had named it. */
static int test__options_no_event(struct test_suite *test __maybe_unused,
				  int subtest __maybe_unused)
{
	const char *event = kvm_pvpmu__default_event(perf_event_paranoid_check(1));
	struct kvm_agent_error error = { .code = 0 };
	struct kvm_agent_policy policy;
	struct kvm_agent_options opts;
	char expected[128];

	scnprintf(expected, sizeof(expected), " --all-cpus --event=%s --freq=1000 --mmap-pages=128",
		  event);
	ASSERT_EQUAL("allowed", check_argv("--all-cpus", expected, false), TEST_OK);
	TEST_ASSERT_VAL("policy", !init_policy(&policy, "events sched:*"));
	TEST_ASSERT_VAL("refused", make_options(&opts, &policy, "--all-cpus", &error));
	TEST_ASSERT_VAL("sentence", strstr(error.text, event) &&
				    strstr(error.text, "'events' of the agent's policy") &&
				    !error.fatal);
	kvm_agent_policy__exit(&policy);
	return TEST_OK;
}

/* Sessions with hosts that do not keep to the protocol */

static pid_t fork_session(int fds[2], const char *rules)
{
	static const int never;
	struct kvm_agent_policy policy;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	if (pid) {
		close(fds[1]);
		return pid;
	}
	close(fds[0]);
	if (verbose <= 0 && !freopen("/dev/null", "w", stderr))
		_exit(1);
	if (init_policy(&policy, rules))
		_exit(1);
	_exit(kvm_agent_session__run(fds[1], &policy, "test", &never) ? 1 : 0);
}

static int end_session(pid_t pid)
{
	int status = -1;

	for (int i = 0; i < 500; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -ETIMEDOUT;
}

/* Takes frames up to an ERROR; returns its code, or 0 if the agent ends without one. */
static u32 read_error(int fd, char *text, size_t size)
{
	struct kvm_channel *channel = kvm_channel__new(fd, KVM_FRAME_FROM_AGENT);
	const u64 deadline = kvm_channel__now() + 10 * NSEC_PER_SEC;
	struct kvm_agent_error error;
	struct kvm_frame_error fixed = { .code = 0 };
	struct kvm_frame frame;
	int ret = 0;

	*text = '\0';
	while (channel && !fixed.code && ret >= 0) {
		while ((ret = kvm_channel__next(channel, &frame, &error)) > 0 && !fixed.code) {
			if (frame.type != KVM_FRAME_ERROR)
				continue;
			kvm_frame__get_fixed(&frame, &fixed, sizeof(fixed));
			kvm_channel__clean_text(text, size, frame.var, frame.var_len);
		}
		if (!ret && !fixed.code)
			ret = kvm_channel__wait(channel->fd, POLLIN, deadline) ?:
			      kvm_channel__fill(channel);
	}
	kvm_channel__delete(channel);
	return le32toh(fixed.code);
}

#define HELLO_BYTES(magic, min, max) \
	"\x18\0\0\0\x01\0\x08\0\x01\0\0\0\0\0\0\0" magic min max
#define HELLO		HELLO_BYTES("PVAG", "\x01\0", "\x01\0")
/* Asks for the build-ids, in at most 1 MiB. */
#define FRAME_GET_FILE	"\x38\0\0\0\x0e\0\x28\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0" \
			"\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define EMPTY(type)	"\x10\0\0\0" type "\0\0\0\x02\0\0\0\0\0\0\0"

static int test__bad_hosts(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char	*what;
		const char	*bytes;
		size_t		len;
		u32		code;
		const char	*says;
	} cases[] = {
#define CASE(what, bytes, code, says)	{ what, bytes, sizeof(bytes) - 1, KVM_AGENT_E_##code, says }
		CASE("no HELLO", EMPTY("\x04"), ORDER, "GET_CAPS is not allowed now"),
		CASE("two HELLOs", HELLO HELLO, ORDER, "HELLO is not allowed now"),
		CASE("a newer host", HELLO_BYTES("PVAG", "\x02\0", "\x03\0"), VERSION,
		     "the agent speaks versions 1 to 1 of the protocol, the host 2 to 3: update"),
		CASE("an older host", HELLO_BYTES("PVAG", "\0\0", "\0\0"), VERSION,
		     "the host 0 to 0: update the host's perf"),
		CASE("another magic", HELLO_BYTES("PVAX", "\x01\0", "\x01\0"), PROTOCOL,
		     "no HELLO"),
		CASE("min above max", HELLO_BYTES("PVAG", "\x02\0", "\x01\0"), PROTOCOL,
		     "no HELLO"),
		CASE("a web browser", "GET / HTTP/1.1\r\n\r\n", PROTOCOL, "unknown type"),
		CASE("an agent's frame", HELLO EMPTY("\x09"), ORDER, "not for this side"),
		CASE("GET_FILE before HELLO", FRAME_GET_FILE, ORDER, "GET_FILE is not allowed now"),
		CASE("two GET_FILEs", HELLO FRAME_GET_FILE FRAME_GET_FILE, ORDER,
		     "GET_FILE is not allowed now"),
		CASE("a short GET_FILE", HELLO "\x37\0\0\0\x0e\0\x27\0\x02\0\0\0\0\0\0\0", PROTOCOL,
		     "the fixed part of GET_FILE has 39 bytes"),
		CASE("a huge frame", HELLO "\xff\xff\xff\xff\x08\0\x08\0\0\0\0\0\0\0\0\0", PROTOCOL,
		     "START with a fixed part of 8 bytes has 4294967295 bytes"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[600];
		int fds[2];
		pid_t pid = fork_session(fds, "");
		ssize_t written = write(fds[0], cases[i].bytes, cases[i].len);
		u32 code = read_error(fds[0], text, sizeof(text));
		int status = end_session(pid);

		if (pid > 0 && written > 0 && code == cases[i].code && !status &&
		    strstr(text, cases[i].says))
			continue;
		pr_debug("FAILED case %zu (%s): code %u, status %d, '%s'\n", i, cases[i].what, code,
			 status, text);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* A host that says HELLO and then nothing, and one that is gone at once. */
static int test__silent_hosts(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	char text[600];
	int fds[2];
	pid_t pid = fork_session(fds, "idle-timeout 1");

	TEST_ASSERT_VAL("fork", pid > 0);
	ASSERT_EQUAL("write", write(fds[0], HELLO, 24), 24);
	ASSERT_EQUAL("idle", read_error(fds[0], text, sizeof(text)), KVM_AGENT_E_TIMEOUT);
	TEST_ASSERT_VAL("the rule's name", strstr(text, "idle-timeout"));
	ASSERT_EQUAL("end", end_session(pid), 0);

	pid = fork_session(fds, "");
	TEST_ASSERT_VAL("fork", pid > 0);
	close(fds[0]);
	ASSERT_EQUAL("end", end_session(pid), 0);
	return TEST_OK;
}

/* The client with agents that do not keep to the protocol */

static int count_data(void *priv, const void *data __maybe_unused, size_t len)
{
	*(u64 *)priv += len;
	return 0;
}

static const struct kvm_agent_client_ops count_ops = { .data = count_data };

#define FRAME(size, type, fixed, id)	size "\0\0\0" type "\0" fixed "\0" id "\0\0\0\0\0\0\0"
#define WELCOME(version)	FRAME("\x18", "\x02", "\x08", "\x01") "PVAG" version "\0\0\0"
#define STARTED			FRAME("\x10", "\x09", "\0", "\x02")
#define DATA(id, offset)	FRAME("\x19", "\x0a", "\x08", id) offset "\0\0\0\0\0\0\0x"
#define ZEROES_8		"\0\0\0\0\0\0\0\0"
#define SUMMARY(bytes)		FRAME("\x48", "\x0c", "\x38", "\x02") bytes "\0\0\0\0\0\0\0" \
				ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8

/* All that the client can ask for, of an agent that has said everything beforehand. */
static int drive_client(const char *bytes, size_t len, struct kvm_agent_error *error)
{
	static const char * const options[] = { "--all-cpus" };
	struct kvm_agent_client *client;
	u64 count = 0;
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	client = kvm_agent_client__new(fds[0], &count_ops, &count);
	if (!client || write(fds[1], bytes, len) != (ssize_t)len || shutdown(fds[1], SHUT_WR))
		return -EIO;
	err = kvm_agent_client__hello(client, 1, 1) ?:
	      kvm_agent_client__start(client, options, 1, 100);
	while (!err)
		err = kvm_agent_client__poll(client, 100);
	if (err == 1 && !client->summary.complete)
		kvm_agent_error__set(&client->error, 0, false, "not complete");
	*error = client->error;
	kvm_agent_client__delete(client);
	close(fds[1]);
	return err;
}

static int test__bad_agents(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char	*what;
		const char	*bytes;
		size_t		len;
		int		ret;
		const char	*says;
	} cases[] = {
#undef CASE
#define CASE(what, bytes, ret, says)	{ what, bytes, sizeof(bytes) - 1, ret, says }
		CASE("nothing recorded", WELCOME("\x01") STARTED SUMMARY("\0"), 1, ""),
		CASE("another length", WELCOME("\x01") STARTED SUMMARY("\x05"), 1, "not complete"),
		CASE("a newer version", WELCOME("\x02"), -EPROTO,
		     "version 2 of the protocol, the host speaks 1 to 1: update the host's perf"),
		CASE("an older version", WELCOME("\0"), -EPROTO, "update the agent"),
		CASE("no answer", "", -EPROTO, "connection to the agent was lost"),
		CASE("a host's frame", FRAME("\x18", "\x01", "\x08", "\x01"), -EPROTO,
		     "not for this side"),
		CASE("an odd reply", WELCOME("\x01") FRAME("\x10", "\x05", "\0", "\x02"), -EPROTO,
		     "that nobody waits for"),
		CASE("a clock", WELCOME("\x01") STARTED FRAME("\x40", "\x10", "\x30", "\x02")
		     ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8 ZEROES_8, -EPROTO,
		     "nobody asked for"),
		CASE("data without START", DATA("\x02", "\0"), -EPROTO, "nobody asked for"),
		CASE("data of another", WELCOME("\x01") STARTED DATA("\x03", "\0"), -EPROTO,
		     "nobody asked for"),
		CASE("data with a gap", WELCOME("\x01") STARTED DATA("\x02", "\x01"), -EPROTO,
		     "gap"),
		CASE("data twice", WELCOME("\x01") STARTED DATA("\x02", "\0") DATA("\x02", "\0"),
		     -EPROTO, "come twice"),
		CASE("a probe's answer", WELCOME("\x01") STARTED
		     FRAME("\x20", "\x07", "\x10", "\x02") "1234567812345678", -EPROTO,
		     "probe that was not sent"),
		CASE("two summaries", WELCOME("\x01") STARTED SUMMARY("\0") SUMMARY("\0"), -EPROTO,
		     "nobody asked for"),
		CASE("an end without summary", WELCOME("\x01") STARTED DATA("\x02", "\0"), -EPROTO,
		     "lost after 1 bytes"),
		CASE("a rude sentence", WELCOME("\x01") FRAME("\x1b", "\x03", "\x08", "\x02")
		     "\x05\0\0\0\0\0\0\0\x1b[J", -EPROTO, "the agent says: ?[J"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_agent_error error = { .code = 0 };
		int ret = drive_client(cases[i].bytes, cases[i].len, &error);

		if (ret == cases[i].ret && strstr(error.text, cases[i].says))
			continue;
		pr_debug("FAILED case %zu (%s): %d '%s'\n", i, cases[i].what, ret, error.text);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* More than the client asked for: the limit is 100 bytes. */
static int test__endless_agent(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char begin[] = WELCOME("\x01") STARTED;
	struct kvm_agent_error error;
	u8 bytes[512], data[60] = "";
	size_t len = sizeof(begin) - 1;

	memcpy(bytes, begin, len);
	for (u64 offset = 0; offset < 120; offset += sizeof(data)) {
		const struct kvm_frame_data fixed = { .offset = htole64(offset) };

		len += kvm_frame__encode(bytes + len, sizeof(bytes) - len, KVM_FRAME_DATA, 2,
					 &fixed, sizeof(fixed), data, sizeof(data));
	}
	ASSERT_EQUAL("refused", drive_client((char *)bytes, len, &error), -EPROTO);
	TEST_ASSERT_VAL("sentence", strstr(error.text, "more bytes than"));
	return TEST_OK;
}

static int test__caps(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char text[] =
		"release 6.12\ncpus 2\nperf_pv_clock page: because\nclocks perf raw\n"
		"compression zstd\nunknown key\nnokey\n\n machine\nmachine x\x1b[Jy\n"
		"cpus 99999999\nperf ";
	struct kvm_agent_caps caps;
	char longest[KVM_FRAME_TEXT_MAX];

	kvm_agent_caps__parse(&caps, text, sizeof(text) - 1);
	TEST_ASSERT_VAL("release", !strcmp(caps.release, "6.12"));
	TEST_ASSERT_VAL("an absurd number is not taken", caps.nr_cpus == 2);
	TEST_ASSERT_VAL("clock", !strcmp(caps.perf_pv_clock, "page: because"));
	TEST_ASSERT_VAL("compression", !strcmp(caps.compression, "zstd"));
	TEST_ASSERT_VAL("no control characters", !strcmp(caps.machine, "x?[Jy"));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "release ", 8);
	kvm_agent_caps__parse(&caps, longest, sizeof(longest));
	ASSERT_EQUAL("a long value is cut", strlen(caps.release), sizeof(caps.release) - 1);
	return TEST_OK;
}

/* A Unix socket as Firecracker has it: the line, then the stream. */
static int test__hybrid(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char	*answer;
		size_t		len;
		bool		good;
	} cases[] = {
#undef CASE
#define CASE(answer, good)	{ answer, sizeof(answer) - 1, good }
		CASE("OK 1073741824\n" WELCOME("\x01"), true),
		CASE("FAILED\n", false),
		CASE("", false),
		CASE("OK 11111111111111111111111111111111111111\n", false),
	};
	char path[] = "/tmp/perf-test-XXXXXX", name[64];
	int ret = TEST_OK;

	TEST_ASSERT_VAL("directory", mkdtemp(path));
	scnprintf(name, sizeof(name), "hybrid:%s/s:99", path);
	for (size_t i = 0; i < ARRAY_SIZE(cases) && ret == TEST_OK; i++) {
		const size_t len = cases[i].len;
		struct kvm_address address = { .type = KVM_ADDRESS_UNIX };
		struct kvm_agent_error error = { .code = 0 };
		struct kvm_agent_client *client;
		int listener, fd = -1;
		pid_t pid;

		scnprintf(address.path, sizeof(address.path), "%s/s", path);
		listener = kvm_address__listen(&address, &error);
		pid = fork();
		if (!pid) {
			char line[16] = "";

			kvm_channel__wait(listener, POLLIN, kvm_channel__now() + 5 * NSEC_PER_SEC);
			fd = kvm_address__accept(&address, listener, &error);
			kvm_channel__wait(fd, POLLIN, kvm_channel__now() + 5 * NSEC_PER_SEC);
			if (read(fd, line, 11) == 11 && !strcmp(line, "CONNECT 99\n") && len &&
			    write(fd, cases[i].answer, len) < 0)
				_exit(1);
			usleep(200000);
			_exit(0);
		}
		client = kvm_agent_client__connect(name, &count_ops, NULL, &error);
		if (!client == cases[i].good) {
			pr_debug("FAILED case %zu: '%s'\n", i, error.text);
			ret = TEST_FAIL;
		}
		kvm_agent_client__delete(client);
		waitpid(pid, NULL, 0);
		kvm_address__unlisten(&address, listener);
	}
	rmdir(path);
	return ret;
}

/* A real agent */

static pid_t start_agent(const char *dir, const char *policy)
{
	char address[64], file[64];
	FILE *fp;
	pid_t pid;

	scnprintf(address, sizeof(address), "unix:%s/s", dir);
	scnprintf(file, sizeof(file), "%s/policy", dir);
	fp = fopen(file, "w");
	if (!fp)
		return -1;
	fputs(policy, fp);
	fclose(fp);
	pid = fork();
	if (pid)
		return pid;
	if (verbose <= 0 && !freopen("/dev/null", "w", stderr))
		_exit(1);
	execl("/proc/self/exe", "perf", "kvm", "agent", "--listen", address, "--policy", file,
	      NULL);
	_exit(127);
}

/* The agent needs a moment until it listens. */
static struct kvm_agent_client *connect_agent(const char *dir, u64 *count)
{
	struct kvm_agent_error error;
	struct kvm_agent_client *client = NULL;
	char address[64];

	scnprintf(address, sizeof(address), "unix:%s/s", dir);
	for (int i = 0; i < 200 && !client; i++) {
		client = kvm_agent_client__connect(address, &count_ops, count, &error);
		if (!client)
			usleep(50000);
	}
	if (!client)
		pr_debug("cannot connect: %s\n", error.text);
	return client;
}

/* Host and guest are one machine here, so that the truth about the clocks is known: 0. */
static int check_clocks(struct kvm_agent_client *client)
{
	for (u32 clock = 0; clock < KVM_AGENT_NR_CLOCKS; clock++) {
		struct kvm_agent_reading reading;
		int err = kvm_agent_client__probe(client, clock, 20, &reading);

		if (err && clock == KVM_AGENT_CLOCK_PERF)
			continue;	/* perf events are not for everybody */
		if (err) {
			pr_debug("FAILED clock %u: %s\n", clock, client->error.text);
			return TEST_FAIL;
		}
		pr_debug("clock %u: offset %" PRId64 " ns, bound %" PRIu64 " ns\n", clock,
			 reading.offset, reading.bound);
		if ((u64)llabs(reading.offset) > reading.bound || reading.bound > NSEC_PER_SEC)
			return TEST_FAIL;
	}
	return TEST_OK;
}

static int check_refusal(struct kvm_agent_client *client)
{
	static const char * const options[] = { "--all-cpus", "--event=faults" };

	TEST_ASSERT_VAL("refused", kvm_agent_client__start(client, options, 2, UINT64_MAX));
	ASSERT_EQUAL("code", client->error.code, KVM_AGENT_E_REFUSED);
	TEST_ASSERT_VAL("sentence", strstr(client->error.text, "'faults' is not in the 'events'"));
	TEST_ASSERT_VAL("not fatal", client->state == KVM_AGENT_CLIENT_READY);
	return TEST_OK;
}

static int record(struct kvm_agent_client *client, u64 *count)
{
	static const char * const options[] = {
		"--all-cpus", "--event=cpu-clock", "--freq=100", "--switch-events",
	};
	u64 end = kvm_channel__now() + 30 * NSEC_PER_SEC;
	bool begun = false;
	int ret = kvm_agent_client__start(client, options, ARRAY_SIZE(options), 1ULL << 30);

	*count = 0;
	while (!ret && kvm_channel__now() < end) {
		struct kvm_agent_reading reading;

		/* perf writes nothing before its events are open. */
		if (*count && !begun) {
			end = kvm_channel__now() + NSEC_PER_SEC;
			begun = true;
		}
		ret = kvm_agent_client__poll(client, 50) ?:
		      kvm_agent_client__probe(client, KVM_AGENT_CLOCK_MONOTONIC, 1, &reading);
	}
	/* It has ended by itself if perf was refused. */
	ret = ret < 0 ? ret : kvm_agent_client__finish(client, 60);
	pr_debug("recorded %" PRIu64 " bytes, %" PRIu64 " samples, status %u: %s\n%s\n", *count,
		 client->summary.counted.samples, client->summary.status,
		 ret ? client->error.text : "", client->summary.messages);
	return ret;
}

static int check_record(struct kvm_agent_client *client, u64 *count)
{
	const struct kvm_agent_summary *summary = &client->summary;

	ASSERT_EQUAL("record", record(client, count), 0);
	if (summary->status && strstr(summary->messages, "perf_event_paranoid"))
		return TEST_SKIP;
	ASSERT_EQUAL("status", summary->status, 0);
	TEST_ASSERT_VAL("complete", summary->complete && *count == summary->bytes);
	TEST_ASSERT_VAL("samples", summary->counted.samples > 0);
	return TEST_OK;
}

static int check_session(const char *dir)
{
	u64 count = 0;
	struct kvm_agent_client *client = connect_agent(dir, &count);
	struct kvm_agent_caps caps;
	int ret;

	TEST_ASSERT_VAL("connect", client);
	ASSERT_EQUAL("capabilities", kvm_agent_client__get_caps(client, &caps), 0);
	ASSERT_EQUAL("CPUs", caps.nr_cpus, sysconf(_SC_NPROCESSORS_ONLN));
	ret = check_clocks(client) ?: check_refusal(client) ?: check_record(client, &count) ?:
	      check_record(client, &count);
	kvm_agent_client__delete(client);
	return ret;
}

static int test__real_agent(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	char dir[] = "/tmp/perf-test-XXXXXX", file[64];
	pid_t pid;
	int ret = TEST_FAIL;

	TEST_ASSERT_VAL("directory", mkdtemp(dir));
	pid = start_agent(dir, "events cpu-clock # only\n");
	if (pid > 0)
		ret = check_session(dir);
	if (pid > 0 && (kill(pid, SIGTERM) || end_session(pid)))
		ret = TEST_FAIL;
	scnprintf(file, sizeof(file), "%s/policy", dir);
	unlink(file);
	/* The socket must have gone with the agent. */
	if (rmdir(dir))
		ret = TEST_FAIL;
	return ret;
}

static struct test_case kvm_agent_tests[] = {
	TEST_CASE("Policies", policy_good),
	TEST_CASE("Bad policies", policy_bad),
	TEST_CASE("Options of a recording", options_good),
	TEST_CASE("Refused options", options_bad),
	TEST_CASE("Limits of options", options_limits),
	TEST_CASE("No event from the host", options_no_event),
	TEST_CASE("Hosts that break the protocol", bad_hosts),
	TEST_CASE("Hosts that are silent", silent_hosts),
	TEST_CASE("Agents that break the protocol", bad_agents),
	TEST_CASE("An agent that sends too much", endless_agent),
	TEST_CASE("Capabilities", caps),
	TEST_CASE("Hybrid vsock", hybrid),
	TEST_CASE_REASON("A real agent", real_agent, "no permission to record"),
	{ .name = NULL, }
};

struct test_suite suite__kvm_agent = {
	.desc = "perf kvm agent",
	.test_cases = kvm_agent_tests,
};
