// SPDX-License-Identifier: GPL-2.0
/* Tests what perf kvm pvpmu reads: VM names, vCPU states, event numbers, and its figures. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "debug.h"
#include "expr.h"
#include "hashmap.h"
#include "kvm-pvpmu.h"
#include "kvm-pvpmu-metric.h"
#include "kvm-vm.h"
#include "tests.h"

static int test__vm_name(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *cmdline;	/* with its NULs, but not the one that a literal adds */
		size_t len;
		const char *name;	/* NULL: none */
	} cases[] = {
#define CASE(cmdline, name)	{ cmdline, sizeof(cmdline) - 1, name }
		CASE("qemu\0-name\0web\0-S\0",		"web"),
		CASE("qemu\0--name\0web\0",			"web"),
		CASE("qemu\0-name\0guest=web,debug-threads=on\0",	"web"),
		CASE("qemu\0-name\0debug-threads=on,guest=web\0",	"web"),
		CASE("qemu\0-name\0web,process=x\0",		"web"),
		CASE("qemu\0-name\0a,,b,process=x\0",		"a,b"),
		CASE("qemu\0-name\0guest=a,,b=c,,\0",		"a,b=c,"),
		CASE("qemu\0-name\0my \"vm\"\n\\\0",		"my \"vm\"\n\\"),
		CASE("qemu\0-name\0one\0-name\0two\0",		"two"),
		CASE("qemu\0-name\0-name\0",			"-name"),
		CASE("qemu\0-name\0debug-threads=on\0",		NULL),
		CASE("qemu\0-name\0guest=\0",			NULL),
		CASE("qemu\0-name\0\0",				NULL),
		CASE("qemu\0-name\0",				NULL),
		CASE("qemu\0-name",				NULL),
		CASE("qemu\0-name\0cut",				NULL),
		CASE("qemu\0-names\0web\0",			NULL),
		CASE("\0\0\0",					NULL),
		CASE("",						NULL),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[64];
		int err = kvm_vm__name_from_cmdline(cases[i].cmdline, cases[i].len,
						    name, sizeof(name));
		const char *got = err ? "(none)" : name;
		const char *expected = cases[i].name ?: "(none)";

		if (!strcmp(got, expected))
			continue;
		pr_debug("FAILED case %zu: name '%s', expected '%s'\n", i, got, expected);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* A name of any length must fit into what it is copied to, and end there. */
static int test__vm_long_name(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	char cmdline[4096], name[16];

	memset(cmdline, 'x', sizeof(cmdline));
	memcpy(cmdline, "-name", 6);
	cmdline[sizeof(cmdline) - 1] = '\0';

	TEST_ASSERT_VAL("a long name is found",
			!kvm_vm__name_from_cmdline(cmdline, sizeof(cmdline), name, sizeof(name)));
	TEST_ASSERT_VAL("a long name is cut", !strcmp(name, "xxxxxxxxxxxxxxx"));
	return TEST_OK;
}

static int parse(struct kvm_pvpmu_vcpu *vcpu, const char *text)
{
	char *copy = strdup(text);
	int err = copy ? kvm_pvpmu_vcpu__parse(vcpu, copy) : -ENOMEM;

	free(copy);
	return err;
}

static int test__vcpu_good(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_pvpmu_vcpu vcpu;
	static const char text[] =
		"offered 1\nversion 1\ncounters 8\nwidth 48\n"
		"events_hw 0xff\nevents_cache 0x3f\nevents_pv 0x7fffff\n"
		"ctrl 0x3\nstatus 0x200000000\n"
		"counter 0 evtsel 0x430301 value 5 enabled 7 running 6\n"
		"counter 1 evtsel 0x430000 value 18446744073709551615 enabled 0 running 0\n"
		"counter 2 evtsel 0x430302 value 0 enabled 0 running 0\n"
		"a_newer_key with words\n"
		"total vm-exits 1234\ntotal a-newer-event 1\ntotal guest-ns 0\n";

	TEST_ASSERT_EQUAL("parse", parse(&vcpu, text), 0);
	TEST_ASSERT_VAL("offered", vcpu.offered.known && vcpu.offered.val == 1);
	TEST_ASSERT_VAL("counters", vcpu.counters.known && vcpu.counters.val == 8);
	TEST_ASSERT_VAL("mask", vcpu.events_pv.known && vcpu.events_pv.val == 0x7fffff);
	TEST_ASSERT_EQUAL("counters in use", vcpu.nr_used, 3);
	TEST_ASSERT_VAL("evtsel", vcpu.used[0].evtsel == 0x430301);
	TEST_ASSERT_VAL("value", vcpu.used[1].value == UINT64_MAX);
	TEST_ASSERT_VAL("enabled time", vcpu.used[0].enabled == 7);
	TEST_ASSERT_VAL("running time", vcpu.used[0].running == 6);
	TEST_ASSERT_VAL("counter 0 is on", kvm_pvpmu_vcpu__counter_enabled(&vcpu, &vcpu.used[0]));
	TEST_ASSERT_VAL("counter 2 is off", !kvm_pvpmu_vcpu__counter_enabled(&vcpu, &vcpu.used[2]));
	TEST_ASSERT_VAL("counter 0 is good", !kvm_pvpmu_vcpu__counter_error(&vcpu, &vcpu.used[0]));
	TEST_ASSERT_VAL("counter 1 is bad", kvm_pvpmu_vcpu__counter_error(&vcpu, &vcpu.used[1]));
	TEST_ASSERT_VAL("total", vcpu.totals[KVM_PVPMU_PV_VM_EXITS].val == 1234);
	TEST_ASSERT_VAL("a total of 0", vcpu.totals[KVM_PVPMU_PV_GUEST_NS].known);
	TEST_ASSERT_VAL("no total", !vcpu.totals[KVM_PVPMU_PV_STEAL_NS].known);
	return TEST_OK;
}

static int test__vcpu_bad(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char * const cases[] = {
		"",
		"\n",
		"offered",
		"offered\n",
		"offered 1\nversion\n",
		"offered 1",
		"offered yes\n",
		"offered -1\n",
		"offered  1\n",
		"offered 1x\n",
		"offered 18446744073709551616\n",
		"version 1\n",
		"offered 1\nversion 1",
		"offered 1\ncounter\n",
		"offered 1\ncounter 0\n",
		"offered 1\ncounter 0 evtsel 0x1 value 1 enabled 1\n",
		"offered 1\ncounter 0 evtsel 0x1 value 1 enabled 1 running\n",
		"offered 1\ncounter 0 value 1 evtsel 0x1 enabled 1 running 1\n",
		"offered 1\ncounter 16 evtsel 0x1 value 1 enabled 1 running 1\n",
		"offered 1\ncounter -1 evtsel 0x1 value 1 enabled 1 running 1\n",
		"offered 1\ncounter 4294967296 evtsel 0x1 value 1 enabled 1 running 1\n",
		"offered 1\ntotal\n",
		"offered 1\ntotal vm-exits\n",
		"offered 1\ntotal vm-exits many\n",
		"offered 1\nstatus 0xg\n",
	};
	struct kvm_pvpmu_vcpu vcpu;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (parse(&vcpu, cases[i]) == -EINVAL)
			continue;
		pr_debug("FAILED case %zu: '%s' was taken for a vCPU's state\n", i, cases[i]);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* More lines of counters than there are counters must not be written anywhere. */
static int test__vcpu_too_many(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char line[] = "counter 0 evtsel 0x1 value 1 enabled 1 running 1\n";
	struct kvm_pvpmu_vcpu vcpu;
	char text[2048] = "offered 1\n";

	for (int i = 0; i < KVM_PVPMU_MAX_COUNTERS; i++)
		strcat(text, line);
	TEST_ASSERT_EQUAL("all counters", parse(&vcpu, text), 0);
	TEST_ASSERT_EQUAL("number of counters", vcpu.nr_used, KVM_PVPMU_MAX_COUNTERS);
	strcat(text, line);
	TEST_ASSERT_EQUAL("one more", parse(&vcpu, text), -EINVAL);
	return TEST_OK;
}

static int test__sysfs_event(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *text;
		int err;
		unsigned int class, nr;
	} cases[] = {
		{ "event=0x05,class=0x3\n",	0, KVM_PVPMU_CLASS_PV, 5 },
		{ "class=3,event=5",		0, KVM_PVPMU_CLASS_PV, 5 },
		{ "event=0x21,class=0x3",	0, KVM_PVPMU_CLASS_PV, 33 },
		{ "event=7",			0, KVM_PVPMU_CLASS_HW, 7 },
		{ "event=64,class=0x3",		-EINVAL, 0, 0 },
		{ "event=5,class=4",		-EINVAL, 0, 0 },
		{ "event=5,umask=1",		-EINVAL, 0, 0 },
		{ "event",			-EINVAL, 0, 0 },
		{ "event=",			-EINVAL, 0, 0 },
		{ "event=-1",			-EINVAL, 0, 0 },
		{ "",				-EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int class, nr;
		int err = kvm_pvpmu_guest__parse_event(cases[i].text, &class, &nr);

		if (err == cases[i].err && (err || (class == cases[i].class && nr == cases[i].nr)))
			continue;
		pr_debug("FAILED '%s': error %d, class %u, event %u\n", cases[i].text, err,
			 class, nr);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* The numbers are an ABI: what users type must mean them for ever. */
static int test__event_numbers(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		unsigned int class, nr;
		const char *name;
		int err;
	} cases[] = {
		{ KVM_PVPMU_CLASS_HW,	 0,  "cycles",			 0 },
		{ KVM_PVPMU_CLASS_HW,	 2,  "ref-cycles",		 0 },
		{ KVM_PVPMU_CLASS_HW,	 8,  "slots",			 0 },
		{ KVM_PVPMU_CLASS_HW,	 9,  "hw:9",			 -ENOENT },
		{ KVM_PVPMU_CLASS_CACHE, 0,  "cache-l1d-read",		 0 },
		{ KVM_PVPMU_CLASS_CACHE, 1,  "cache-l1d-read-miss",	 0 },
		{ KVM_PVPMU_CLASS_CACHE, 27, "cache-dtlb-write-miss",	 0 },
		{ KVM_PVPMU_CLASS_CACHE, 6,  "cache:6",		 -ENOENT },
		{ KVM_PVPMU_CLASS_CACHE, 53, "cache-node-prefetch-miss", 0 },
		{ KVM_PVPMU_CLASS_CACHE, 56, "cache:56",		 -ENOENT },
		{ KVM_PVPMU_CLASS_CACHE, 63, "cache:63",		 -ENOENT },
		{ KVM_PVPMU_CLASS_RAW,	 1,  "raw:1",			 -ENOENT },
		{ KVM_PVPMU_CLASS_PV,	 0,  "guest-ns",		 0 },
		{ KVM_PVPMU_CLASS_PV,	 5,  "vm-exits-cpuid",		 0 },
		{ KVM_PVPMU_CLASS_PV,	 16, "pvpmu-exits",		 0 },
		{ KVM_PVPMU_CLASS_PV,	 31, "pv:31",			 -ENOENT },
		{ KVM_PVPMU_CLASS_PV,	 33, "host-preemptions",	 0 },
		{ KVM_PVPMU_CLASS_PV,	 34, "pv:34",			 -ENOENT },
		{ KVM_PVPMU_CLASS_PV,	 255, "pv:255",			 -ENOENT },
		{ 15,			 255, "class15:255",		 -ENOENT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[64];
		int err = kvm_pvpmu__event_name(cases[i].class, cases[i].nr, name, sizeof(name));

		if (err == cases[i].err && !strcmp(name, cases[i].name))
			continue;
		pr_debug("FAILED class %u event %u: '%s' (%d), expected '%s' (%d)\n",
			 cases[i].class, cases[i].nr, name, err, cases[i].name, cases[i].err);
		return TEST_FAIL;
	}
	return TEST_OK;
}

static int check_event(unsigned int class, unsigned int nr, const char *name, void *data)
{
	unsigned int *nr_events = data;

	(*nr_events)++;
	if (class != KVM_PVPMU_CLASS_PV)
		return 0;
	return kvm_pvpmu__pv_event_nr(name, strlen(name)) == (int)nr ? 0 : -EINVAL;
}

static int test__event_names(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	const unsigned int expected = 9 + 25 +
				      KVM_PVPMU_CACHE_LEVELS * KVM_PVPMU_CACHE_OPS * 2;
	unsigned int nr_events = 0;

	TEST_ASSERT_EQUAL("every name means its number",
			  kvm_pvpmu__visit_events(check_event, &nr_events), 0);
	TEST_ASSERT_EQUAL("number of events", nr_events, expected);
	TEST_ASSERT_EQUAL("a part of a name", kvm_pvpmu__pv_event_nr("vm-exits-cpuid", 8),
			  KVM_PVPMU_PV_VM_EXITS);
	TEST_ASSERT_EQUAL("a longer name", kvm_pvpmu__pv_event_nr("vm-exits2", 9), -ENOENT);
	TEST_ASSERT_EQUAL("no name", kvm_pvpmu__pv_event_nr("", 0), -ENOENT);
	return TEST_OK;
}

/* Gives each event of an expression a value; all must be names that a user can type. */
static int set_ids(const char *expr, struct expr_parse_ctx *ctx, double val)
{
	struct expr_parse_ctx *ids = expr__ctx_new();
	struct hashmap_entry *cur;
	int err = ids ? expr__find_ids(expr, NULL, ids) : -ENOMEM;
	size_t bkt;

	hashmap__for_each_entry(ids->ids, cur, bkt) {
		char *name = strdup(cur->pkey);

		strreplace(name, '_', '-');
		if (strcmp(name, "duration-time") &&
		    kvm_pvpmu__pv_event_nr(name, strlen(name)) < 0)
			err = -ENOENT;
		free(name);
		expr__add_id_val(ctx, strdup(cur->pkey), val);
	}
	expr__ctx_free(ids);
	return err;
}

static double compute(const char *expr, double val, int *err)
{
	struct expr_parse_ctx *ctx = expr__ctx_new();
	double result = 0;

	*err = ctx ? set_ids(expr, ctx, val) : -ENOMEM;
	if (!*err)
		*err = expr__parse(&result, ctx, expr);
	expr__ctx_free(ctx);
	return result;
}

/* An event that was not counted is 0 to perf's metrics: that must never look like a figure. */
static int test__metrics(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	const struct kvm_pvpmu_metric *metric;

	for (unsigned int i = 0; (metric = kvm_pvpmu_metric__get(i)) != NULL; i++) {
		int err_counted, err_not_counted;
		double counted = compute(metric->expr, 4, &err_counted);
		double not_counted = compute(metric->expr, 0, &err_not_counted);

		if (!err_counted && !err_not_counted && isfinite(counted) && counted > 0 &&
		    isnan(not_counted) && kvm_pvpmu__pv_event_name(metric->event))
			continue;
		pr_debug("FAILED '%s': %f (%d), and of nothing %f (%d)\n", metric->expr,
			 counted, err_counted, not_counted, err_not_counted);
		return TEST_FAIL;
	}
	return TEST_OK;
}

static struct test_case kvm_pvpmu_tests[] = {
	TEST_CASE("pvpmu: VM names from command lines", vm_name),
	TEST_CASE("pvpmu: VM names that are too long", vm_long_name),
	TEST_CASE("pvpmu: vCPU state", vcpu_good),
	TEST_CASE("pvpmu: vCPU state that is broken", vcpu_bad),
	TEST_CASE("pvpmu: vCPU state with too many counters", vcpu_too_many),
	TEST_CASE("pvpmu: events in sysfs", sysfs_event),
	TEST_CASE("pvpmu: event numbers", event_numbers),
	TEST_CASE("pvpmu: event names", event_names),
	TEST_CASE("pvpmu: derived figures", metrics),
	{ .name = NULL, }
};

struct test_suite suite__kvm_pvpmu = {
	.desc = "KVM pvpmu",
	.test_cases = kvm_pvpmu_tests,
};
