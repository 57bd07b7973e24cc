// SPDX-License-Identifier: GPL-2.0
/* Tests how the host decompresses what perf record -z writes in a guest. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "compress.h"
#include "debug.h"
#include "event.h"
#include "header.h"
#include "kvm-agent-stream.h"
#include "kvm-agent-unpack.h"
#include "tests.h"

#ifdef HAVE_ZSTD_SUPPORT

#define ASSERT_EQUAL(text, val, expected)	\
	TEST_ASSERT_EQUAL(text, (int)(val), (int)(expected))

#define RING		3200	/* bytes of samples between two other records */
#define ROUNDS		3
#define PLAIN_MAX	16384

/* The same recording in both ways, and what comes out. */
struct recording {
	struct zstd_data	zstd;
	u8			packed[PLAIN_MAX];
	size_t			packed_len;
	u8			plain[PLAIN_MAX];
	size_t			plain_len;
	struct kvm_agent_stream	stream;
	u64			out;	/* bytes */
	u64			max;
	bool			wrong;
};

static size_t process_header(void *record, size_t increment)
{
	struct perf_record_compressed *event = record;

	if (increment) {
		event->header.size += increment;
		return increment;
	}
	event->header = (struct perf_event_header){
		.type = PERF_RECORD_COMPRESSED, .size = sizeof(*event),
	};
	return sizeof(*event);
}

static void put_both(struct recording *rec, const void *data, size_t len)
{
	memcpy(rec->plain + rec->plain_len, data, len);
	rec->plain_len += len;
	memcpy(rec->packed + rec->packed_len, data, len);
	rec->packed_len += len;
}

static void put_record(struct recording *rec, u32 type)
{
	const struct perf_event_header header = { .type = type, .size = sizeof(header) };

	put_both(rec, &header, sizeof(header));
}

/* Bytes that do not get too short, in records that are too small for all of them. */
static int put_ring(struct recording *rec, size_t len, size_t max_record)
{
	u8 ring[RING];
	ssize_t n;

	for (size_t pos = 0; pos < len; pos += 64) {
		const struct perf_event_header header = { .type = PERF_RECORD_SAMPLE, .size = 64 };

		for (size_t i = 0; i < 64; i++)
			ring[pos + i] = rand();
		memcpy(ring + pos, &header, sizeof(header));
	}
	n = zstd_compress_stream_to_records(&rec->zstd, rec->packed + rec->packed_len,
					    sizeof(rec->packed) - rec->packed_len, ring, len,
					    max_record, process_header);
	if (n <= 0)
		return -EIO;
	memcpy(rec->plain + rec->plain_len, ring, len);
	rec->plain_len += len;
	rec->packed_len += n;
	return 0;
}

static void begin_recording(struct recording *rec)
{
	struct perf_pipe_file_header header = { .size = sizeof(header) };

	memcpy(&header.magic, "PERFILE2", sizeof(header.magic));
	memset(rec, 0, sizeof(*rec));
	srand(1);
	zstd_init(&rec->zstd, 3);
	rec->max = UINT64_MAX;
	put_both(rec, &header, sizeof(header));
	put_record(rec, PERF_RECORD_FINISHED_INIT);
}

static int make_recording(struct recording *rec)
{
	int err = 0;

	begin_recording(rec);
	for (int i = 0; !err && i < ROUNDS; i++) {
		err = put_ring(rec, RING, 4000);
		put_record(rec, PERF_RECORD_FINISHED_ROUND);
	}
	zstd_fini(&rec->zstd);
	return err;
}

static int take(void *priv, const void *data, size_t len)
{
	struct recording *rec = priv;

	if (len > rec->max - rec->out)
		return -EFBIG;
	kvm_agent_stream__feed(&rec->stream, data, len);
	rec->wrong |= rec->out + len > rec->plain_len || memcmp(rec->plain + rec->out, data, len);
	rec->out += len;
	return 0;
}

/* Returns what the end was, and whether something is missing there. */
static int unpack(struct recording *rec, const void *data, size_t len, size_t piece, bool *torn)
{
	struct kvm_agent_unpack *unpack = kvm_agent_unpack__new(&rec->stream, take, rec);
	int err = 0;

	if (!unpack)
		return -ENOMEM;
	kvm_agent_stream__init(&rec->stream);
	rec->out = 0;
	rec->wrong = false;
	for (size_t pos = 0; !err && pos < len; pos += piece)
		err = kvm_agent_unpack__feed(unpack, data + pos, min(piece, len - pos));
	*torn = kvm_agent_unpack__is_torn(unpack) || kvm_agent_stream__is_torn(&rec->stream);
	kvm_agent_unpack__delete(unpack);
	return err;
}

static int test__same(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct recording rec;
	bool torn;

	ASSERT_EQUAL("recording", make_recording(&rec), 0);
	for (size_t piece = 1; piece <= rec.packed_len; piece++) {
		int err = unpack(&rec, rec.packed, rec.packed_len, piece, &torn);

		if (!err && !torn && !rec.wrong && rec.out == rec.plain_len &&
		    rec.stream.samples == ROUNDS * RING / 64 && rec.stream.initialized)
			continue;
		pr_debug("FAILED pieces of %zu: %d, %" PRIu64 " samples\n", piece, err,
			 rec.stream.samples);
		return TEST_FAIL;
	}
	/* What is not compressed at all is the same as well. */
	ASSERT_EQUAL("plain", unpack(&rec, rec.plain, rec.plain_len, 100, &torn), 0);
	TEST_ASSERT_VAL("plain bytes", !rec.wrong && !torn && rec.out == rec.plain_len);
	return TEST_OK;
}

/* What comes before the end is there, and the end is known unless it is between records. */
static int test__cut(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct recording rec;
	size_t whole = 0;
	bool torn;

	ASSERT_EQUAL("recording", make_recording(&rec), 0);
	for (size_t cut = 0; cut <= rec.packed_len; cut++) {
		ASSERT_EQUAL("cut", unpack(&rec, rec.packed, cut, 512, &torn), 0);
		TEST_ASSERT_VAL("wrong bytes", !rec.wrong);
		whole += !torn;
	}
	/* nothing, the pipe's header, the first mark, and each ring and mark */
	ASSERT_EQUAL("cuts between records", whole, 3 + 2 * ROUNDS);
	return TEST_OK;
}

/* Nothing but an end; what came before the damage is right. */
static int test__flipped(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct recording rec;
	size_t seen = 0;
	bool torn;

	ASSERT_EQUAL("recording", make_recording(&rec), 0);
	for (size_t bit = 0; bit < rec.packed_len * 8; bit++) {
		rec.packed[bit / 8] ^= 1 << bit % 8;
		seen += unpack(&rec, rec.packed, rec.packed_len, 4096, &torn) == -EBADMSG;
		rec.packed[bit / 8] ^= 1 << bit % 8;
	}
	TEST_ASSERT_VAL("no damage was seen", seen);
	return TEST_OK;
}

/* A record that others do not end, a record in a record, and what is no zstd */
static int test__lies(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct recording rec;
	size_t len;
	bool torn;

	begin_recording(&rec);
	ASSERT_EQUAL("half a record", put_ring(&rec, 32, 4000), 0);
	put_record(&rec, PERF_RECORD_FINISHED_ROUND);
	zstd_fini(&rec.zstd);
	ASSERT_EQUAL("a record within", unpack(&rec, rec.packed, rec.packed_len, 64, &torn),
		     -EBADMSG);

	begin_recording(&rec);
	len = rec.packed_len;
	ASSERT_EQUAL("record", put_ring(&rec, 64, 4000), 0);
	zstd_fini(&rec.zstd);
	memset(rec.packed + len + sizeof(struct perf_event_header), 'x', 8);
	ASSERT_EQUAL("no zstd", unpack(&rec, rec.packed, rec.packed_len, 64, &torn), -EBADMSG);
	return TEST_OK;
}

/* 64 MiB of zeroes in a record of some bytes: their taker ends it at the first buffer. */
static int test__bomb(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	const size_t len = 64 << 20;
	struct recording rec;
	void *zeroes = calloc(1, len);
	bool torn;
	ssize_t n;
	int err;

	TEST_ASSERT_VAL("memory", zeroes);
	begin_recording(&rec);
	n = zstd_compress_stream_to_records(&rec.zstd, rec.packed + rec.packed_len,
					    sizeof(rec.packed) - rec.packed_len, zeroes, len,
					    sizeof(rec.packed), process_header);
	zstd_fini(&rec.zstd);
	free(zeroes);
	TEST_ASSERT_VAL("bomb", n > 0 && (size_t)n < sizeof(rec.packed));
	rec.packed_len += n;
	rec.max = 1 << 20;
	err = unpack(&rec, rec.packed, rec.packed_len, rec.packed_len, &torn);
	ASSERT_EQUAL("ended", err, -EFBIG);
	TEST_ASSERT_VAL("bytes", rec.out <= rec.max);
	/* Who takes all gets all, also what zstd held back for want of room. */
	rec.max = UINT64_MAX;
	err = unpack(&rec, rec.packed, rec.packed_len, rec.packed_len, &torn);
	ASSERT_EQUAL("taken", err, 0);
	TEST_ASSERT_VAL("all bytes", rec.out == rec.plain_len + len);
	return TEST_OK;
}

/* The window of level 22 is not needed for what an agent takes. */
static int test__window(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	/* A frame's magic, no size of contents, a window of 2^27 bytes, an empty last block */
	static const u8 frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, 1, 0, 0 };
	struct perf_event_header header = {
		.type = PERF_RECORD_COMPRESSED, .size = sizeof(header) + sizeof(frame),
	};
	struct recording rec;
	bool torn;

	begin_recording(&rec);
	put_both(&rec, &header, sizeof(header));
	put_both(&rec, frame, sizeof(frame));
	ASSERT_EQUAL("refused", unpack(&rec, rec.packed, rec.packed_len, 64, &torn), -EBADMSG);
	/* The same with 2^23 */
	rec.packed[rec.packed_len - 4] = (23 - 10) << 3;
	ASSERT_EQUAL("taken", unpack(&rec, rec.packed, rec.packed_len, 64, &torn), 0);
	return TEST_OK;
}

static struct test_case kvm_agent_unpack_tests[] = {
	TEST_CASE("The same with and without", same),
	TEST_CASE("Cut off at each byte", cut),
	TEST_CASE("Flipped bits", flipped),
	TEST_CASE("Records that lie", lies),
	TEST_CASE("More than there may be", bomb),
	TEST_CASE("A window that is too large", window),
	{ .name = NULL, }
};

#else /* !HAVE_ZSTD_SUPPORT */

static int test__unpack(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	return TEST_SKIP;
}

static struct test_case kvm_agent_unpack_tests[] = {
	TEST_CASE_REASON("Decompression", unpack, "perf was built without zstd"),
	{ .name = NULL, }
};

#endif

struct test_suite suite__kvm_agent_unpack = {
	.desc = "Compressed recordings of guests",
	.test_cases = kvm_agent_unpack_tests,
};
