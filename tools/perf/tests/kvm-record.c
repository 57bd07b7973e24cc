// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of what perf kvm record reads: command lines of VMs, --guest=, the options
 * of perf record, and which clock can be had for a guest.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <linux/kernel.h>
#include <subcmd/parse-options.h>
#include "debug.h"
#include "tests.h"
#include "util/kvm-agent-client.h"
#include "util/kvm-record-args.h"
#include "util/kvm-record-clock.h"
#include "util/kvm-record-vm.h"
#include "util/kvm-record-who.h"
#include "util/record.h"

/* Command lines */

/* A line's end stands for the NUL that ends an argument. */
static const struct {
	const char	*cmdline;
	const char	*name;
	u32		 cid;
	const char	*socket;
} cmdlines[] = {
	/* Plain QEMU, and a comma in a path */
	{ "qemu-system-x86_64\n-name\nweb\n-device\nvhost-vsock-pci,guest-cid=3\n",
	  "web", 3, "" },
	{ "qemu\n-device\nvirtserialport,chardev=a,name=perf.0\n"
	       "-chardev\nsocket,id=a,path=/run/a,,b,server=on\n", "", 0, "/run/a,b" },
	/* The chardev of another port, and another kind of chardev */
	{ "qemu\n-device\nvirtserialport,chardev=a,name=org.qemu.guest_agent.0\n"
	       "-chardev\nsocket,id=a,path=/run/a\n", "", 0, "" },
	{ "qemu\n-device\nvirtserialport,chardev=a,name=perf.0\n"
	       "-chardev\nfile,id=a,path=/run/a\n", "", 0, "" },
	/* libvirt's */
	{ "/usr/bin/qemu-system-x86_64\n-name\nguest=db,debug-threads=on\n"
	  "-chardev\nsocket,id=channel1,path=/run/c.sock,server=on,wait=off\n"
	  "-device\n{\"driver\":\"virtserialport\",\"chardev\":\"channel1\",\"name\":\"org.perf.agent.0\"}\n"
	  "-device\n{\"driver\":\"vhost-vsock-pci\",\"id\":\"vsock0\",\"guest-cid\":17,\"vhostfd\":\"29\"}\n",
	  "db", 17, "/run/c.sock" },
	/* No guest has these context ids, and these are no numbers. */
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=2\n", "", 0, "" },
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=4294967295\n", "", 0, "" },
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=99999999999999999999\n", "", 0, "" },
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=x\n", "", 0, "" },
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=0x10\n", "", 16, "" },
	/* Cut off, empty and broken ones */
	{ "qemu\n-device\nvhost-vsock-pci,guest-cid=3", "", 0, "" },
	{ "qemu\n-device\n", "", 0, "" },
	{ "qemu\n-device\n{\"driver\":\"vhost-vsock-pci\",\"guest-cid\"\n", "", 0, "" },
	{ "qemu\n-device\n{\"driver\":\"\\\n", "", 0, "" },
	{ "qemu\n-device\n,,,=,\n-chardev\n,\n", "", 0, "" },
	{ "", "", 0, "" },
	/* The value of another option is no option. */
	{ "qemu\n-append\n-device\nvhost-vsock-pci,guest-cid=3\n", "", 3, "" },
};

static int check_cmdline(size_t i)
{
	const size_t len = strlen(cmdlines[i].cmdline);
	struct kvm_record_vm vm = { .pid = 1 };
	char cmdline[512];

	scnprintf(cmdline, sizeof(cmdline), "%s", cmdlines[i].cmdline);
	for (char *pos = cmdline; (pos = strchr(pos, '\n')) != NULL; )
		*pos++ = '\0';
	kvm_record_vm__parse(&vm, cmdline, len);
	if (!strcmp(vm.name, cmdlines[i].name) && vm.cid == cmdlines[i].cid &&
	    !strcmp(vm.socket, cmdlines[i].socket))
		return TEST_OK;
	pr_debug("command line %zu: got '%s', %u, '%s', expected '%s', %u, '%s'\n", i, vm.name,
		 vm.cid, vm.socket, cmdlines[i].name, cmdlines[i].cid, cmdlines[i].socket);
	return TEST_FAIL;
}

static int test__cmdlines(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(cmdlines); i++) {
		if (check_cmdline(i))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* --guest= */

static struct kvm_record_vm vms[] = {
	{ .pid = 100, .name = "web", .cid = 3, .by_kvm = true },
	{ .pid = 200, .name = "two words", .socket = "/run/two", .by_kvm = true },
	{ .pid = 300, .name = "twin", .cid = 5, .by_kvm = true },
	{ .pid = 400, .name = "twin", .cid = 6, .by_kvm = true },
	{ .pid = 500, .name = "mute", .by_kvm = true },
	/* Processes that look like VMs */
	{ .pid = 600, .name = "web", .cid = 7 },
	{ .pid = 700, .name = "twin", .cid = 8 },
	{ .pid = 800, .name = "fake", .cid = 9 },
};

static const struct {
	const char	*text;
	int		 err;		/* of parsing */
	int		 find_err;
	size_t		 nr;
	const char	*address;	/* of the first */
	const char	*name;
	pid_t		 pid;
} whos[] = {
	{ "web",			0, 0, 1, "vsock:3:4242", "web", 100 },
	{ "web,port=77,name=x.y-z_1",	0, 0, 1, "vsock:3:77", "x.y-z_1", 100 },
	{ "100",			0, 0, 1, "vsock:3:4242", "web", 100 },
	{ "two words",			0, 0, 1, "unix:/run/two", "two_words", 200 },
	{ "vsock:3",			0, 0, 1, "vsock:3", "web", 100 },
	{ "vsock:3:9",			0, 0, 1, "vsock:3:9", "web", 100 },
	{ "vsock:3,port=9",		0, 0, 1, "vsock:3:9", "web", 100 },
	{ "fake",			0, 0, 1, "vsock:9:4242", "fake", 800 },
	{ "vsock:99,pid=7",		0, 0, 1, "vsock:99", "cid99", 7 },
	{ "unix:/a/b",			0, 0, 1, "unix:/a/b", "", 0 },
	{ "unix:/a/b,pid=7",		0, 0, 1, "unix:/a/b", "pid7", 7 },
	{ "hybrid:/a/b:1,pid=200",	0, 0, 1, "hybrid:/a/b:1", "two_words", 200 },
	{ "all",			0, 0, 4, "vsock:3:4242", "web", 100 },
	{ .text = "nobody", .find_err = -ENOENT },
	{ .text = "twin", .find_err = -EEXIST },
	{ .text = "mute", .find_err = -ENOENT },
	{ .text = "101", .find_err = -ENOENT },
	{ .text = "99999999999999999999", .find_err = -ENOENT },
	{ .text = "vsock:99", .find_err = -ENOENT },
	{ .text = "vsock:3:9,port=9", .find_err = -EINVAL },
	{ .text = "unix:/a,port=9", .find_err = -EINVAL },
	{ .text = "", .err = -EINVAL },
	{ .text = ",pid=1", .err = -EINVAL },
	{ .text = "web,", .err = -EINVAL },
	{ .text = "web,pid", .err = -EINVAL },
	{ .text = "web,pid=", .err = -EINVAL },
	{ .text = "web,pid=0", .err = -EINVAL },
	{ .text = "web,pid=-1", .err = -EINVAL },
	{ .text = "web,pid=2147483648", .err = -EINVAL },
	{ .text = "web,port=0", .err = -EINVAL },
	{ .text = "web,name=", .err = -EINVAL },
	{ .text = "web,name=a b", .err = -EINVAL },
	{ .text = "web,clock=", .err = -EINVAL },
	{ .text = "web,pv-offset=1x", .err = -EINVAL },
	{ .text = "web,tsc-offset=--1", .err = -EINVAL },
	{ .text = "web,what=1", .err = -EINVAL },
	{ .text = "all,pid=1", .err = -EINVAL },
};

static bool is_expected(size_t i, const struct kvm_record_targets *targets)
{
	const struct kvm_record_target *target = targets->targets;

	return targets->nr == whos[i].nr && !strcmp(target->address, whos[i].address) &&
	       !strcmp(target->name, whos[i].name) && target->pid == whos[i].pid;
}

static int check_who(size_t i)
{
	const struct kvm_record_vms found = {
		.vms		= vms,
		.nr		= ARRAY_SIZE(vms),
		.kvm_known	= true,
	};
	struct kvm_record_targets targets = { .nr = 0 };
	struct kvm_record_who who;
	int err = kvm_record_who__parse(&who, whos[i].text), ret = TEST_FAIL;

	if (err != whos[i].err) {
		pr_debug("'%s': parsing gave %d, expected %d\n", whos[i].text, err, whos[i].err);
		return TEST_FAIL;
	}
	if (err)
		return TEST_OK;
	err = kvm_record_targets__add(&targets, &who, &found);
	if (err != whos[i].find_err)
		pr_debug("'%s': finding gave %d, expected %d\n", whos[i].text, err,
			 whos[i].find_err);
	else if (!err && !is_expected(i, &targets))
		pr_debug("'%s': got %zu, '%s', '%s', %d\n", whos[i].text, targets.nr,
			 targets.targets->address, targets.targets->name, targets.targets->pid);
	else
		ret = TEST_OK;
	kvm_record_targets__exit(&targets);
	kvm_record_who__exit(&who);
	return ret;
}

static int test__whos(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(whos); i++) {
		if (check_who(i))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* Options */

static const struct {
	const char	*line;		/* behind "record" */
	bool		 has_guest;
	const char	*host;		/* NULL: not parsed */
	const char	*guest;
	bool		 target;
	int		 rest;		/* arguments of the command */
	const char	*host_only;	/* what the user is told of; NULL: nothing */
} lines[] = {
	{ "--guest=a -e x -F 99 -g -- c d", true, " --event=x --freq=99 -g",
	  " --event=x --freq=99 --call-graph=fp", false, 2, NULL },
	{ "--guest=a -ex -ag c --guest=d", true, " --event=x --all-cpus -g",
	  " --event=x --call-graph=fp", true, 2, NULL },
	{ "--guest=a -g --call-graph dwarf,99 -F 1 -F 2 -e x -e y", true,
	  " -g --call-graph=dwarf,99 --freq=1 --freq=2 --event=x --event=y",
	  " --call-graph=dwarf,99 --freq=2 --event=x --event=y", false, 0, NULL },
	{ "--guest=a --guest-event=y -e x --guest-event=z", true, " --event=x",
	  " --event=y --event=z", false, 0, NULL },
	{ "--guest=a -e x --guest-event=y", true, " --event=x", " --event=y", false, 0, NULL },
	{ "--guest=a -C 1 -p 2 -z --no-period -i -m 8", true,
	  " --cpu=1 --pid=2 --compression-level --no-period --no-inherit --mmap-pages=8",
	  " --no-inherit --mmap-pages=8", true, 0, " --cpu --pid" },
	{ "--guest=a -a -e x -W -b -I --intr-regs=ip --no-weight -d", true,
	  " --all-cpus --event=x --weight --branch-any --intr-regs --intr-regs=ip --no-weight --data",
	  " --event=x --data", true, 0, " --weight --branch-any --intr-regs" },
	{ "-e cycles --all-k --guest=a", true, " --event=cycles --all-kernel",
	  " --event=cycles --all-kernel", false, 0, NULL },
	/* Not for this command */
	{ .line = "" },
	{ .line = "--guest" },
	{ .line = "--guests=a" },
	{ .line = "-- --guest=a" },
	{ .line = "cmd --guest=a" },
	{ .line = "- --guest=a" },
	{ .line = "-e --guest=a" },
	{ .line = "--event --guest=a" },
	{ .line = "--even --guest=a" },
	{ .line = "-ae --guest=a" },
	{ .line = "-e x cmd --guest=a" },
	{ .line = "-g cmd --guest=a" },
	{ .line = "--call-graph fp cmd --guest=a" },
	{ .line = "-z cmd --guest=a" },
};

static int split(char *line, const char **argv, int max)
{
	int argc = 0;
	char *word;

	argv[argc++] = "record";
	while (argc < max && (word = strsep(&line, " ")) != NULL) {
		if (*word)
			argv[argc++] = word;
	}
	argv[argc] = NULL;
	return argc;
}

static void join(const struct kvm_record_argv *argv, char *text, size_t size)
{
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < argv->nr; i++)
		len += scnprintf(text + len, size - len, " %s", argv->args[i]);
}

static int ignore_guest(const struct option *opt __maybe_unused,
			const char *value __maybe_unused, int unset __maybe_unused)
{
	return 0;
}

static int take_guest_event(const struct option *opt, const char *value,
			    int unset __maybe_unused)
{
	return kvm_record_args__add_guest_event(opt->value, value);
}

static int check_parsed(size_t i, int argc, const char **argv)
{
	struct kvm_record_args args;
	const struct option own[] = {
		OPT_CALLBACK(0, "guest", &args, "", "", ignore_guest),
		OPT_CALLBACK(0, "guest-event", &args, "", "", take_guest_event),
		OPT_END()
	};
	const char * const usage[] = { "", NULL };
	const char *told = lines[i].host_only ?: "";
	char host[256], guest[256], host_only[256];
	int ret = TEST_OK, rest;

	if (kvm_record_args__init(&args, own, record_options))
		return TEST_FAIL;
	rest = parse_options(argc, argv, args.options, usage, PARSE_OPT_STOP_AT_NON_OPTION);
	join(&args.host, host, sizeof(host));
	join(&args.guest, guest, sizeof(guest));
	join(&args.host_only, host_only, sizeof(host_only));
	if (strcmp(host, lines[i].host) || strcmp(host_only, told) ||
	    strcmp(guest, lines[i].guest) ||
	    args.target != lines[i].target || rest != lines[i].rest) {
		pr_debug("'%s': host '%s', guest '%s', host only '%s', target %d, rest %d\n",
			 lines[i].line, host, guest, host_only, args.target, rest);
		ret = TEST_FAIL;
	}
	kvm_record_args__exit(&args);
	return ret;
}

static int test__options(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char line[128];
		const char *argv[17];
		int argc;

		scnprintf(line, sizeof(line), "%s", lines[i].line);
		argc = split(line, argv, ARRAY_SIZE(argv) - 1);
		if (kvm_record_args__has_guest(record_options, argc, argv) != lines[i].has_guest) {
			pr_debug("'%s': expected %s guest\n", lines[i].line,
				 lines[i].has_guest ? "a" : "no");
			return TEST_FAIL;
		}
		if (lines[i].host && check_parsed(i, argc, argv))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* Clocks */

static void take_caps(struct pv_clock *clock, const char *source, const char *host)
{
	struct kvm_agent_caps caps = { .nr_cpus = 1 };

	scnprintf(caps.perf_pv_clock, sizeof(caps.perf_pv_clock), "%s", source);
	scnprintf(caps.perf_pv_clock_host, sizeof(caps.perf_pv_clock_host), "%s", host);
	kvm_record_clock__take_caps(clock, &caps);
}

#define GOOD	"page: all is well", "0x77 1 -5000"

static struct kvm_record_clock choose(struct kvm_record_clock_facts *facts)
{
	struct kvm_record_clock clock;

	kvm_record_clock__init(&clock, facts);
	kvm_record_clock__exit(&clock);
	return clock;
}

static int test__clocks(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	const struct kvm_merge_reading far = { 1000, 5103, 100 }, near = { 2000, 4990, 10 };
	struct kvm_record_clock_facts facts = { .vm = { .has_epoch = true, .epoch = 0x77 } };

	TEST_ASSERT_VAL("nothing is known", choose(&facts).no_pv && choose(&facts).no_tsc &&
			choose(&facts).no_probe);
	take_caps(&facts.before, GOOD);
	take_caps(&facts.after, GOOD);
	TEST_ASSERT_VAL("pv", !choose(&facts).no_pv && choose(&facts).pv_offset == -5000);
	facts.vm.epoch = 0x78;
	TEST_ASSERT_VAL("pv of another host", choose(&facts).no_pv);
	facts.vm.has_epoch = false;
	TEST_ASSERT_VAL("pv of who knows which host", choose(&facts).no_pv);
	facts.vm = (struct kvm_record_vm_clock){ .has_epoch = true, .epoch = 0x77 };
	take_caps(&facts.after, "page: x", "0x77 2 -5000");
	TEST_ASSERT_VAL("pv that changed", choose(&facts).no_pv);
	take_caps(&facts.after, "off: x", "");
	TEST_ASSERT_VAL("pv that ended", choose(&facts).no_pv);
	take_caps(&facts.after, GOOD);
	take_caps(&facts.before, "page: x", "0x77 1 -50000000000000000000");
	TEST_ASSERT_VAL("nonsense", choose(&facts).no_pv);
	take_caps(&facts.before, GOOD);

	kvm_record_readings__add(&facts.readings, &near);
	TEST_ASSERT_VAL("pv within a probe's bound", !choose(&facts).no_pv);
	TEST_ASSERT_VAL("probe", !choose(&facts).no_probe);
	kvm_record_readings__add(&facts.readings, &far);
	TEST_ASSERT_VAL("pv against a probe", choose(&facts).no_pv);
	TEST_ASSERT_VAL("best", kvm_record_readings__best(&facts.readings)->bound == 10);
	facts.opts = (struct kvm_record_clock_opts){ .has_pv_offset = true, .pv_offset = 9 };
	TEST_ASSERT_VAL("the user's pv", !choose(&facts).no_pv && choose(&facts).pv_offset == 9);
	kvm_record_readings__exit(&facts.readings);

	facts.vm.has_tsc_offset = true;
	facts.vm.tsc_offset = -7;
	TEST_ASSERT_VAL("tsc", !choose(&facts).no_tsc && choose(&facts).tsc_offset == -7);
	facts.vm.scaled = true;
	TEST_ASSERT_VAL("scaled tsc", choose(&facts).no_tsc);
	facts.vm.scaled = false;
	facts.vm.changed = true;
	TEST_ASSERT_VAL("tsc that changed", choose(&facts).no_tsc);
	facts.vm.changed = false;
	facts.vm.differs = true;
	TEST_ASSERT_VAL("tscs that differ", choose(&facts).no_tsc);
	facts.opts.has_tsc_offset = true;
	facts.opts.tsc_offset = 8;
	TEST_ASSERT_VAL("the user's tsc", !choose(&facts).no_tsc && choose(&facts).tsc_offset == 8);
	return TEST_OK;
}

/* Clocks that change */

struct state {
	u64	until;
	u64	time;
	u64	epoch;		/* 0: there is no such clock */
	s64	offset;
};

#define NR_STATES	5

static const struct {
	const char			*what;
	struct state			 states[NR_STATES];	/* the last one ends it */
	const char			*why;			/* not; NULL: it can be had */
	struct kvm_merge_segment	 segments[NR_STATES];
	size_t				 nr;
} changes[] = {
	{ "none", { { 100, 100, 0x77, 5 }, { 900, 900, 0x77, 5 } }, NULL, { { 0, 5, false } }, 1 },
	{ "one", { { 100, 100, 0x77, 5 }, { 400, 500, 0x77, 6 }, { 900, 900, 0x77, 6 } }, NULL,
	  { { 0, 5, false }, { 401, 0, true }, { 500, 6, false } }, 3 },
	{ "without a time between", { { 1, 1, 0x77, 5 }, { 400, 401, 0x77, 6 } }, NULL,
	  { { 0, 5, false }, { 401, 6, false } }, 2 },
	{ "to another host and back", { { 1, 1, 0x77, 5 }, { 400, 500, 0x78, 6 },
					{ 600, 700, 0x77, 7 } }, NULL,
	  { { 0, 5, false }, { 401, 0, true }, { 700, 7, false } }, 3 },
	{ "off in the end", { { 1, 1, 0x77, 5 }, { 400, 500, 0, 0 } }, NULL,
	  { { 0, 5, false }, { 401, 0, true } }, 2 },
	{ "of another host", { { 1, 1, 0x78, 5 }, { 400, 400, 0x78, 5 } }, "not that of this host",
	  {}, 0 },
	{ "back in time", { { 400, 400, 0x77, 5 }, { 300, 300, 0x77, 5 } }, "contradicts itself",
	  {}, 0 },
	{ "at one time", { { 400, 400, 0x77, 5 }, { 400, 400, 0x77, 6 } }, "contradicts itself",
	  {}, 0 },
	{ "seen before it was", { { 1, 1, 0x77, 5 }, { 500, 400, 0x77, 5 } }, "contradicts itself",
	  {}, 0 },
	{ "beyond all times", { { 1, 1, 0x77, 5 }, { 2, UINT64_MAX, 0x77, 6 } },
	  "contradicts itself", {}, 0 },
};

static bool has_segments(const struct kvm_merge_segment *got, size_t nr, size_t i)
{
	if (nr != changes[i].nr)
		return false;
	for (size_t j = 0; j < nr; j++) {
		const struct kvm_merge_segment *want = &changes[i].segments[j];

		if (got[j].from != want->from || got[j].unknown != want->unknown ||
		    (!want->unknown && got[j].offset != want->offset))
			return false;
	}
	return true;
}

static void see_states(struct kvm_record_clock_facts *facts, const struct state *states)
{
	for (size_t i = 0; i < NR_STATES && states[i].time; i++) {
		const struct kvm_agent_clock_state state = {
			.related	= states[i].epoch,
			.last		= i + 1 == NR_STATES || !states[i + 1].time,
			.until		= states[i].until,
			.time		= states[i].time,
			.epoch		= states[i].epoch,
			.offset		= states[i].offset,
		};

		kvm_record_clock__see_pv(facts, &state);
	}
}

static int test__changes(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct kvm_record_clock_facts facts = {
			.vm = { .has_epoch = true, .epoch = 0x77 },
		};
		struct kvm_record_clock clock;
		bool good;

		take_caps(&facts.before, GOOD);
		see_states(&facts, changes[i].states);
		TEST_ASSERT_VAL("init", !kvm_record_clock__init(&clock, &facts));
		if (changes[i].why)
			good = clock.no_pv && strstr(clock.no_pv, changes[i].why);
		else
			good = !clock.no_pv && has_segments(clock.pv, clock.nr_pv, i);
		if (!good)
			pr_debug("FAILED case %zu (%s): %s\n", i, changes[i].what,
				 clock.no_pv ?: "segments");
		kvm_record_clock__exit(&clock);
		kvm_record_clock_facts__exit(&facts);
		if (!good)
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* A guest can send as many as it wants, and its agent may be lost. */
static int test__too_many_changes(struct test_suite *test __maybe_unused,
				  int subtest __maybe_unused)
{
	struct kvm_record_clock_facts facts = { .vm = { .has_epoch = true, .epoch = 0x77 } };
	struct kvm_agent_clock_state state = { .related = true, .epoch = 0x77 };

	take_caps(&facts.before, GOOD);
	take_caps(&facts.after, GOOD);
	for (u64 time = 1; time < 100000; time++) {
		state.until = time;
		state.time = time + 1;
		state.offset = time;
		TEST_ASSERT_VAL("memory", !kvm_record_clock__see_pv(&facts, &state));
		if (time == 1)
			TEST_ASSERT_VAL("no end", strstr(choose(&facts).no_pv, "was lost"));
	}
	TEST_ASSERT_VAL("limit", facts.pv.nr < 10000 && choose(&facts).no_pv);
	kvm_record_clock_facts__exit(&facts);
	return TEST_OK;
}

static void see_tsc(struct kvm_record_clock_facts *facts, u64 at, s64 tsc_offset, bool differs)
{
	const struct kvm_merge_reading reading = { .at = at, .offset = 1000, .bound = 10 };
	const struct kvm_record_vm_clock vm = {
		.has_tsc_offset	= true,
		.tsc_offset	= tsc_offset,
		.differs	= differs,
	};

	kvm_record_clock__add_tsc(facts, &vm, &reading);
}

/* KVM tells the offset of the TSC, and the probes at which time of the guest's that was so. */
static int test__tsc_changes(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_record_clock_facts facts = {
		.vm = { .has_tsc_offset = true, .tsc_offset = -7 },
	};
	struct kvm_record_clock clock;

	see_tsc(&facts, 1000, -7, false);
	see_tsc(&facts, 2000, -7, false);
	TEST_ASSERT_VAL("constant", !kvm_record_clock__init(&clock, &facts) && !clock.no_tsc &&
			!clock.nr_tsc && clock.tsc_offset == -7);
	see_tsc(&facts, 3000, -9, false);
	see_tsc(&facts, 4000, -9, true);
	facts.vm.changed = true;
	TEST_ASSERT_VAL("changed", !kvm_record_clock__init(&clock, &facts) && !clock.no_tsc &&
			clock.nr_tsc == 4);
	TEST_ASSERT_VAL("the first", !clock.tsc[0].from && clock.tsc[0].offset == -7);
	TEST_ASSERT_VAL("between", clock.tsc[1].from == 2991 && clock.tsc[1].unknown);
	TEST_ASSERT_VAL("the second", clock.tsc[2].from == 4010 && clock.tsc[2].offset == -9);
	TEST_ASSERT_VAL("vCPUs that differ", clock.tsc[3].from == 4011 && clock.tsc[3].unknown);
	kvm_record_clock__exit(&clock);
	facts.before.related = true;
	TEST_ASSERT_VAL("KVM's clock does not follow", choose(&facts).no_tsc);
	facts.before.related = false;
	see_tsc(&facts, 3500, -8, false);
	TEST_ASSERT_VAL("back in time", choose(&facts).no_tsc);
	kvm_record_clock_facts__exit(&facts);
	return TEST_OK;
}

static struct test_case tests__kvm_record[] = {
	TEST_CASE("Command lines of VMs", cmdlines),
	TEST_CASE("Guests that are named", whos),
	TEST_CASE("Options of host and guests", options),
	TEST_CASE("Clocks that can be had", clocks),
	TEST_CASE("Clocks that change", changes),
	TEST_CASE("Clocks that change too often", too_many_changes),
	TEST_CASE("Offsets of the TSC that change", tsc_changes),
	{ .name = NULL, }
};

struct test_suite suite__kvm_record = {
	.desc = "Parsers of perf kvm record",
	.test_cases = tests__kvm_record,
};
