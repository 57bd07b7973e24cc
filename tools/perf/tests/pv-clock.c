// SPDX-License-Identifier: GPL-2.0
/* Tests what perf reads about a paravirtual perf clock, and the feature PV_CLOCK of perf.data. */
#include <byteswap.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/perf_event.h>
#include "debug.h"
#include "event.h"
#include "header.h"
#include "pv-clock.h"
#include "pv-clock-feature.h"
#include "pv-clock-vcpu.h"
#include "tests.h"

extern const struct perf_header_feature_ops feat_ops[HEADER_LAST_FEATURE];

static int test__source(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *text;
		const char *source;	/* NULL: not to be understood */
		const char *reason;
		int exits;
	} cases[] = {
		{ "page: the host offers it\n",	"page", "the host offers it",	0 },
		{ "msr: perf_pv_clock=msr\n",	"msr",	"perf_pv_clock=msr",	1 },
		{ "off: no KVM: bare metal\n",	"off",	"no KVM: bare metal",	-ENOENT },
		{ "call: of a newer kernel\n",	"call",	"of a newer kernel",	-ENOENT },
		{ "page: ",			"page",	"",			0 },
		{ "page: x",			"page",	"x",			0 },
		{ .text = "" },
		{ .text = "\n" },
		{ .text = "page\n" },
		{ .text = "page:\n" },
		{ .text = "page:x\n" },
		{ .text = ": reason\n" },
		{ .text = " page: reason\n" },
		{ .text = "PAGE: reason\n" },
		{ .text = "page of: reason\n" },
		{ .text = "page\n: reason\n" },
		{ .text = "page: reason\nmore\n" },
		{ .text = "a123: reason\n" },
		{ .text = "abcdefghijklmnop: too long\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pv_clock clock = {};
		int err = pv_clock__parse_source(&clock, cases[i].text);

		if (!cases[i].source && err == -EINVAL)
			continue;
		if (cases[i].source && !err && !strcmp(clock.source, cases[i].source) &&
		    !strcmp(clock.reason, cases[i].reason) &&
		    pv_clock__exits_per_read(&clock) == cases[i].exits)
			continue;
		pr_debug("FAILED '%s': error %d, source '%s', reason '%s'\n", cases[i].text, err,
			 clock.source, clock.reason);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* What a kernel says must fit, or not be taken at all. */
static int test__long_reason(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	char text[6 + PV_CLOCK_REASON_LEN + 1] = "page: ";
	struct pv_clock clock;

	memset(text + 6, 'x', PV_CLOCK_REASON_LEN);
	TEST_ASSERT_EQUAL("a reason that is too long", pv_clock__parse_source(&clock, text),
			  -EINVAL);
	text[6 + PV_CLOCK_REASON_LEN - 1] = '\0';
	TEST_ASSERT_EQUAL("the longest reason", pv_clock__parse_source(&clock, text), 0);
	TEST_ASSERT_VAL("its length", strlen(clock.reason) == PV_CLOCK_REASON_LEN - 1);
	return TEST_OK;
}

static int test__host_good(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char *text;
		bool related;
		struct pv_clock_relation relation;
	} cases[] = {
		{ .text = "" },
		{ .text = "\n" },
		{ "0x0123456789abcdef 3 -123\n", true,	{ 0x0123456789abcdef, 3, -123 } },
		{ "0x0000000000000001 0 0\n",	 true,	{ 1, 0, 0 } },
		{ "0x1 1 1",			 true,	{ 1, 1, 1 } },
		{ "0xffffffffffffffff 18446744073709551615 9223372036854775807\n",
						 true,	{ UINT64_MAX, UINT64_MAX, INT64_MAX } },
		{ "0x1 1 -9223372036854775808\n", true,	{ 1, 1, INT64_MIN } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pv_clock clock = {};
		const struct pv_clock_relation *got = &clock.relation;
		int err = pv_clock__parse_host(&clock, cases[i].text);

		if (!err && clock.related == cases[i].related &&
		    got->host_epoch == cases[i].relation.host_epoch &&
		    got->generation == cases[i].relation.generation &&
		    got->offset == cases[i].relation.offset)
			continue;
		pr_debug("FAILED '%s': error %d, 0x%" PRIx64 " %" PRIu64 " %" PRId64 "\n",
			 cases[i].text, err, got->host_epoch, got->generation, got->offset);
		return TEST_FAIL;
	}
	return TEST_OK;
}

static int test__host_bad(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char * const cases[] = {
		" ",
		"0x1\n",
		"0x1 1\n",
		"0x1 1 ",
		"0x1 1 1 ",
		"0x1 1 1 1\n",
		"0x1 1 1\n\n",
		"0x1  1 1\n",
		" 0x1 1 1\n",
		"1 1 1\n",
		"0x 1 1\n",
		"0x-1 1 1\n",
		"0xg 1 1\n",
		"-0x1 1 1\n",
		"0x10000000000000000 1 1\n",
		"0x1 -1 1\n",
		"0x1 0x1 1\n",
		"0x1 a 1\n",
		"0x1 18446744073709551616 1\n",
		"0x1 1 +1\n",
		"0x1 1 --1\n",
		"0x1 1 -\n",
		"0x1 1 1ns\n",
		"0x1 1 9223372036854775808\n",
		"0x1 1 -9223372036854775809\n",
		"0x00000000000000000000000000000000000000000000000000000000000000000000000001 1 1\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pv_clock clock = { .related = true };

		if (pv_clock__parse_host(&clock, cases[i]) == -EINVAL && !clock.related)
			continue;
		pr_debug("FAILED case %zu: '%s' was taken for a relation\n", i, cases[i]);
		return TEST_FAIL;
	}
	return TEST_OK;
}

static int parse_vcpu(struct pv_clock_vcpu *vcpu, const char *text)
{
	char *copy = strdup(text);
	int err = copy ? pv_clock_vcpu__parse(vcpu, copy) : -ENOMEM;

	free(copy);
	return err;
}

static int test__vcpu_good(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char text[] =
		"offered 1\nregister 0x12345003\nsource page\nvalid 1\n"
		"host_epoch 0xfedcba9876543210\ngeneration 7\noffset -5\n"
		"host_ns 1000\nguest_ns 1005\ntsc_offset -9223372036854775808\n"
		"a_newer_key with words\nnewer\n";
	struct pv_clock_vcpu vcpu;

	TEST_ASSERT_EQUAL("parse", parse_vcpu(&vcpu, text), 0);
	TEST_ASSERT_VAL("offered", vcpu.offered.known && vcpu.offered.val == 1);
	TEST_ASSERT_VAL("register", vcpu.reg.known && vcpu.reg.val == 0x12345003);
	TEST_ASSERT_VAL("source", !strcmp(vcpu.source, "page"));
	TEST_ASSERT_VAL("valid", vcpu.valid.known && vcpu.valid.val == 1);
	TEST_ASSERT_VAL("host_epoch", vcpu.host_epoch.known &&
			vcpu.host_epoch.val == 0xfedcba9876543210);
	TEST_ASSERT_VAL("generation", vcpu.generation.known && vcpu.generation.val == 7);
	TEST_ASSERT_VAL("offset", vcpu.offset.known && vcpu.offset.val == -5);
	TEST_ASSERT_VAL("host_ns", vcpu.host_ns.known && vcpu.host_ns.val == 1000);
	TEST_ASSERT_VAL("guest_ns", vcpu.guest_ns.known && vcpu.guest_ns.val == 1005);
	TEST_ASSERT_VAL("tsc_offset", vcpu.tsc_offset.known && vcpu.tsc_offset.val == INT64_MIN);

	TEST_ASSERT_EQUAL("a short one", parse_vcpu(&vcpu, "offered 0\n"), 0);
	TEST_ASSERT_VAL("not offered", vcpu.offered.known && !vcpu.offered.val);
	TEST_ASSERT_VAL("no source", !*vcpu.source);
	TEST_ASSERT_VAL("no offset", !vcpu.offset.known);
	TEST_ASSERT_EQUAL("hex without 0x", parse_vcpu(&vcpu, "offered 1\nregister ff\n"), 0);
	TEST_ASSERT_EQUAL("its value", (int)vcpu.reg.val, 255);
	return TEST_OK;
}

static int test__vcpu_bad(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char * const cases[] = {
		"",
		"\n",
		"offered",
		"offered\n",
		"offered 1",
		"offered 2\n",
		"offered -1\n",
		"offered  1\n",
		"offered 1 1\n",
		"valid 1\n",
		"offered 1\nvalid 2\n",
		"offered 1\nvalid yes\n",
		"offered 1\nsource\n",
		"offered 1\nsource  page\n",
		"offered 1\nsource page2\n",
		"offered 1\nsource a page\n",
		"offered 1\nsource abcdefghijklmnop\n",
		"offered 1\nregister 0xg\n",
		"offered 1\nhost_epoch\n",
		"offered 1\nhost_epoch 0x10000000000000000\n",
		"offered 1\ngeneration -1\n",
		"offered 1\noffset 9223372036854775808\n",
		"offered 1\noffset - 1\n",
		"offered 1\nhost_ns -1\n",
		"offered 1\nguest_ns 1.5\n",
		"offered 1\ntsc_offset 0x1\n",
		"offered 1\nsource page\nvalid 1",
	};
	struct pv_clock_vcpu vcpu;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (parse_vcpu(&vcpu, cases[i]) == -EINVAL)
			continue;
		pr_debug("FAILED case %zu: '%s' was taken for a vCPU's clock\n", i, cases[i]);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* Only a page with a conversion can be measured, and that takes a time. */
static int test__cost(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct perf_event_mmap_page page = {
		.time_mult	= 1 << 10,
		.time_shift	= 10,
	};
	double ns = 0;

	TEST_ASSERT_EQUAL("a page without a conversion", pv_clock__measure_page(&page, &ns),
			  -EOPNOTSUPP);
	TEST_ASSERT_VAL("its cost is left alone", ns == 0);
	page.cap_user_time_zero = 1;
	TEST_ASSERT_EQUAL("a page with a conversion", pv_clock__measure_page(&page, &ns), 0);
	TEST_ASSERT_VAL("its cost", ns > 0);
	page.lock = 1;
	TEST_ASSERT_EQUAL("a page that is being written", pv_clock__measure_page(&page, &ns),
			  -EINVAL);
	return TEST_OK;
}

static const struct pv_clock_feature some_feature = {
	.source		= "page",
	.relation	= { .host_epoch = 0x0123456789abcdef, .generation = 3, .offset = -123 },
	.changed	= true,
};

/* Writes as into a pipe; the buffer belongs to the caller. */
static int write_feature(const struct pv_clock_feature *feature, struct feat_fd *ff)
{
	static const size_t size = 4096;
	struct perf_header header = { .env.pv_clock = *feature };
	int err;

	*ff = (struct feat_fd){ .ph = &header, .buf = malloc(size), .size = size };
	if (!ff->buf)
		return -ENOMEM;
	err = feat_ops[HEADER_PV_CLOCK].write(ff, NULL);
	ff->size = ff->offset;
	ff->offset = 0;
	ff->ph = NULL;
	return err;
}

static bool is_same(const struct pv_clock_feature *a, const struct pv_clock_feature *b)
{
	return !strcmp(a->source, b->source) && a->changed == b->changed &&
	       a->relation.host_epoch == b->relation.host_epoch &&
	       a->relation.generation == b->relation.generation &&
	       a->relation.offset == b->relation.offset;
}

/* Reads the first bytes of what was written, as from a pipe or else as from a file. */
static int read_feature(const struct feat_fd *written, size_t size, bool swap, bool pipe,
			struct pv_clock_feature *feature)
{
	struct perf_header header = { .needs_swap = swap, .env.pv_clock = some_feature };
	struct feat_fd ff = { .ph = &header, .buf = written->buf, .size = size };
	char path[] = "/tmp/perf-test-XXXXXX";
	int err;

	if (!pipe) {
		ff.fd = mkstemp(path);
		if (ff.fd < 0)
			return -errno;
		unlink(path);
		if (write(ff.fd, ff.buf, written->size) != (ssize_t)written->size ||
		    lseek(ff.fd, 0, SEEK_SET))
			return -EIO;
		ff.buf = NULL;
	}
	err = feat_ops[HEADER_PV_CLOCK].process(&ff, NULL);
	*feature = header.env.pv_clock;
	if (!pipe)
		close(ff.fd);
	return err;
}

static int test__round_trip(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct pv_clock_feature got;
	struct feat_fd ff;

	TEST_ASSERT_VAL("name", !strcmp(feat_ops[HEADER_PV_CLOCK].name, "PV_CLOCK"));
	TEST_ASSERT_EQUAL("write", write_feature(&some_feature, &ff), 0);
	TEST_ASSERT_EQUAL("size in the file", (int)ff.size, 48);
	TEST_ASSERT_EQUAL("read from a pipe", read_feature(&ff, ff.size, false, true, &got), 0);
	TEST_ASSERT_VAL("what a pipe had", is_same(&got, &some_feature));
	TEST_ASSERT_EQUAL("read from a file", read_feature(&ff, ff.size, false, false, &got), 0);
	TEST_ASSERT_VAL("what a file had", is_same(&got, &some_feature));
	free(ff.buf);
	return TEST_OK;
}

/* Without a clock there is nothing to write, and perf drops the feature. */
static int test__no_clock(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct feat_fd ff;

	TEST_ASSERT_VAL("write", write_feature(&(struct pv_clock_feature){}, &ff) < 0);
	TEST_ASSERT_VAL("nothing was written", !ff.size);
	free(ff.buf);
	return TEST_OK;
}

/* As a machine of the other byte order writes it. */
static int test__swapped(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct {
		u32 version, flags;
		u64 host_epoch, generation, offset;
		char source[16];
	} section = {
		.version	= bswap_32(1),
		.flags		= bswap_32(1),
		.host_epoch	= bswap_64(0x0123456789abcdefULL),
		.generation	= bswap_64(3ULL),
		.offset		= bswap_64((u64)-123),
		.source		= "page",
	};
	const struct feat_fd ff = { .buf = &section, .size = sizeof(section) };
	struct pv_clock_feature got;

	TEST_ASSERT_EQUAL("read", read_feature(&ff, ff.size, true, false, &got), 0);
	TEST_ASSERT_VAL("what it had", is_same(&got, &some_feature));
	return TEST_OK;
}

/* What is damaged must leave no clock behind, and not end the reading of the file. */
static int test__corrupt(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		size_t size;
		u32 version;
		char source[PV_CLOCK_SOURCE_LEN];
	} cases[] = {
		{ 0,	1, "page" },
		{ 1,	1, "page" },
		{ 47,	1, "page" },
		{ 48,	0, "page" },
		{ 48,	2, "page" },
		{ 48,	0x01000000, "page" },
		{ 48,	UINT32_MAX, "page" },
		{ 48,	1, "" },
		{ 48,	1, "\x1b[31m" },
		{ 48,	1, "pa\"ge" },
		{ 48,	1, "pa ge" },
		{ 48,	1, "pa\xffge" },
		{ 48,	1, { [0 ... PV_CLOCK_SOURCE_LEN - 1] = 'x' } },	/* has no end */
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const size_t nr = i / 2;
		const bool pipe = i % 2;
		struct pv_clock_feature got;
		struct feat_fd ff;
		int err = write_feature(&some_feature, &ff);

		if (!err) {
			memcpy(ff.buf, &cases[nr].version, sizeof(cases[nr].version));
			memcpy(ff.buf + 32, cases[nr].source, sizeof(cases[nr].source));
			err = read_feature(&ff, cases[nr].size, false, pipe, &got);
		}
		free(ff.buf);
		if (!err && !*got.source && !got.changed && !got.relation.host_epoch)
			continue;
		pr_debug("FAILED case %zu of a %s: error %d\n", nr, pipe ? "pipe" : "file", err);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* Every perf of before PV_CLOCK takes its number for the end of a pipe's features. */
static int test__end_mark(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct perf_record_header_feature fe = {
		.header.size	= sizeof(fe),
		.feat_id	= HEADER_PV_CLOCK,
	};

	TEST_ASSERT_EQUAL("its number", HEADER_PV_CLOCK, 32);
	TEST_ASSERT_VAL("an empty one", pv_clock_feature__is_end_mark(&fe));
	fe.feat_id = HEADER_PMU_CAPS;
	TEST_ASSERT_VAL("another feature", !pv_clock_feature__is_end_mark(&fe));
	fe.feat_id = HEADER_PV_CLOCK;
	fe.header.size += 48;
	TEST_ASSERT_VAL("one with a clock", !pv_clock_feature__is_end_mark(&fe));
	return TEST_OK;
}

static struct test_case pv_clock_tests[] = {
	TEST_CASE("perf clock: source", source),
	TEST_CASE("perf clock: source with a long reason", long_reason),
	TEST_CASE("perf clock: relation to the host", host_good),
	TEST_CASE("perf clock: relation that is broken", host_bad),
	TEST_CASE("perf clock: vCPU state", vcpu_good),
	TEST_CASE("perf clock: vCPU state that is broken", vcpu_bad),
	TEST_CASE("perf clock: cost of a reading", cost),
	TEST_CASE("perf clock: feature written and read", round_trip),
	TEST_CASE("perf clock: no feature without a clock", no_clock),
	TEST_CASE("perf clock: feature of the other byte order", swapped),
	TEST_CASE("perf clock: feature that is damaged", corrupt),
	TEST_CASE("perf clock: end of a pipe's features", end_mark),
	{ .name = NULL, }
};

struct test_suite suite__pv_clock = {
	.desc = "Paravirtual perf clock",
	.test_cases = pv_clock_tests,
};
