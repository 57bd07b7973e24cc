// SPDX-License-Identifier: GPL-2.0
/* Tests the frames of perf kvm agent's protocol, what is counted in a stream, and addresses. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include <perf/event.h>
#include "debug.h"
#include "kvm-agent-stream.h"
#include "kvm-channel.h"
#include "tests.h"

/* Lengths, too: all that is compared here is small. */
#define ASSERT_EQUAL(text, val, expected)	\
	TEST_ASSERT_EQUAL(text, (int)(val), (int)(expected))

/* A header as it may come, right or wrong. */
static void make_header(u8 *buf, u32 size, u16 type, u16 fixed)
{
	const struct kvm_frame_hdr hdr = {
		.size	= htole32(size),
		.type	= htole16(type),
		.fixed	= htole16(fixed),
		.id	= htole32(7),
	};

	memcpy(buf, &hdr, sizeof(hdr));
}

/* Only the header is looked at before there is more: 0 is "go on", negative "give up". */
static int test__header(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char		*what;
		enum kvm_frame_from	from;
		u32			size;
		u16			type;
		u16			fixed;
		bool			good;
	} cases[] = {
#define HOST	KVM_FRAME_FROM_HOST
#define AGENT	KVM_FRAME_FROM_AGENT
		{ "HELLO",			HOST,  24, KVM_FRAME_HELLO, 8, true },
		{ "a newer HELLO",		HOST,  40, KVM_FRAME_HELLO, 24, true },
		{ "HELLO from an agent",	AGENT, 24, KVM_FRAME_HELLO, 8, false },
		{ "a short fixed part",		HOST,  23, KVM_FRAME_HELLO, 7, false },
		{ "fixed behind the end",	HOST,  24, KVM_FRAME_HELLO, 9, false },
		{ "size below the header",	HOST,  15, KVM_FRAME_STOP, 0, false },
		{ "size of 0",			HOST,  0, KVM_FRAME_STOP, 0, false },
		{ "the header alone",		HOST,  16, KVM_FRAME_BYE, 0, true },
		{ "type 0",			HOST,  16, 0, 0, false },
		{ "a type behind the last",	HOST,  16, KVM_FRAME_CLOCK + 1, 0, false },
		{ "the largest type",		HOST,  16, UINT16_MAX, 0, false },
		{ "the largest size",		HOST,  UINT32_MAX, KVM_FRAME_HELLO, 8, false },
		{ "the sign bit",		AGENT, 1U << 31, KVM_FRAME_DATA, 8, false },
		{ "the longest fixed part",	HOST,  16 + 4096, KVM_FRAME_HELLO, 4096, true },
		{ "a longer fixed part",	HOST,  16 + 4097, KVM_FRAME_HELLO, 4097, false },
		{ "the longest data",		AGENT, 24 + 65536, KVM_FRAME_DATA, 8, true },
		{ "longer data",		AGENT, 25 + 65536, KVM_FRAME_DATA, 8, false },
		{ "the longest text",		AGENT, 24 + 8192, KVM_FRAME_ERROR, 8, true },
		{ "longer text",		AGENT, 25 + 8192, KVM_FRAME_ERROR, 8, false },
		{ "a short summary",		AGENT, 16 + 55, KVM_FRAME_SUMMARY, 55, false },
		{ "a summary",			AGENT, 16 + 56, KVM_FRAME_SUMMARY, 56, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_agent_error error;
		struct kvm_frame frame;
		u8 buf[16];
		int got;

		make_header(buf, cases[i].size, cases[i].type, cases[i].fixed);
		got = kvm_frame__decode(cases[i].from, buf, sizeof(buf), &frame, &error);
		if ((got >= 0) == cases[i].good && (got >= 0 || (error.fatal && *error.text)))
			continue;
		pr_debug("FAILED case %zu (%s): %d\n", i, cases[i].what, got);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* Every length below the whole is "more", and nothing behind it is touched. */
static int test__truncated(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char var[] = "variable";
	const struct kvm_frame_data fixed = { .offset = htole64(0x1122334455667788) };
	struct kvm_agent_error error;
	struct kvm_frame frame;
	u8 buf[128];
	size_t size = kvm_frame__encode(buf, sizeof(buf), KVM_FRAME_DATA, 9, &fixed, sizeof(fixed),
					var, sizeof(var));

	ASSERT_EQUAL("size", size, 16 + sizeof(fixed) + sizeof(var));
	for (size_t len = 0; len < size; len++) {
		u8 *copy = malloc(len ?: 1);	/* so that a sanitizer sees its end */
		int got;

		TEST_ASSERT_VAL("memory", copy);
		memcpy(copy, buf, len);
		got = kvm_frame__decode(KVM_FRAME_FROM_AGENT, copy, len, &frame, &error);
		free(copy);
		ASSERT_EQUAL("a part of a frame", got, 0);
	}
	ASSERT_EQUAL("a whole frame", kvm_frame__decode(KVM_FRAME_FROM_AGENT, buf,
								     size, &frame, &error), size);
	TEST_ASSERT_VAL("fields", frame.type == KVM_FRAME_DATA && frame.id == 9);
	TEST_ASSERT_VAL("fixed", !memcmp(frame.fixed, &fixed, sizeof(fixed)));
	TEST_ASSERT_VAL("variable", frame.var_len == sizeof(var) &&
				    !memcmp(frame.var, var, sizeof(var)));
	ASSERT_EQUAL("no room", kvm_frame__encode(buf, size - 1, KVM_FRAME_DATA, 9, &fixed,
						       sizeof(fixed), var, sizeof(var)), 0);
	return TEST_OK;
}

/* Any one bit may be wrong: what is still a frame lies within the bytes. */
static int test__flipped(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	const struct kvm_frame_error fixed = { .code = htole32(1) };
	struct kvm_agent_error error;
	struct kvm_frame frame;
	u8 buf[32];
	size_t size = kvm_frame__encode(buf, sizeof(buf), KVM_FRAME_ERROR, 1, &fixed, sizeof(fixed),
					"12345678", 8);

	ASSERT_EQUAL("size", size, sizeof(buf));
	for (size_t bit = 0; bit < size * 8; bit++) {
		int got;

		buf[bit / 8] ^= 1 << bit % 8;
		got = kvm_frame__decode(KVM_FRAME_FROM_AGENT, buf, size, &frame, &error);
		buf[bit / 8] ^= 1 << bit % 8;
		if (got <= 0)
			continue;
		TEST_ASSERT_VAL("size", (size_t)got <= size);
		TEST_ASSERT_VAL("fixed part", frame.fixed == buf + 16 &&
				frame.fixed_len >= sizeof(fixed));
		TEST_ASSERT_VAL("variable part",
				frame.var + frame.var_len == buf + got);
	}
	return TEST_OK;
}

/* A newer peer's longer frame: its tail is skipped, and the next frame is found. */
static int test__newer(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	u8 longer[sizeof(struct kvm_frame_error) + 100], buf[512];
	struct kvm_frame_error fixed = { .code = htole32(5) };
	struct kvm_agent_error error;
	struct kvm_frame frame;
	size_t first, second;

	memset(longer, 0xee, sizeof(longer));
	memcpy(longer, &fixed, sizeof(fixed));
	first = kvm_frame__encode(buf, sizeof(buf), KVM_FRAME_ERROR, 1, longer, sizeof(longer),
				  "why", 3);
	second = kvm_frame__encode(buf + first, sizeof(buf) - first, KVM_FRAME_STARTED, 2, longer,
				   sizeof(longer), "new", 3);
	memset(&fixed, 0xff, sizeof(fixed));
	ASSERT_EQUAL("first", kvm_frame__decode(KVM_FRAME_FROM_AGENT, buf, first + second,
						&frame, &error), first);
	kvm_frame__get_fixed(&frame, &fixed, sizeof(fixed));
	TEST_ASSERT_VAL("known fields", le32toh(fixed.code) == 5 && fixed.fatal == 0);
	TEST_ASSERT_VAL("text", frame.var_len == 3 && !memcmp(frame.var, "why", 3));
	ASSERT_EQUAL("second", kvm_frame__decode(KVM_FRAME_FROM_AGENT, buf + first,
							      second, &frame, &error), second);
	ASSERT_EQUAL("type", frame.type, KVM_FRAME_STARTED);
	return TEST_OK;
}

/* Frames that come byte by byte, and several at once. */
static int test__pieces(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_agent_error error;
	struct kvm_channel *channel;
	struct kvm_frame frame;
	u8 buf[64];
	size_t size = kvm_frame__encode(buf, 32, KVM_FRAME_STOP, 3, NULL, 0, NULL, 0);
	int fds[2];

	size += kvm_frame__encode(buf + size, 32, KVM_FRAME_BYE, 4, NULL, 0, NULL, 0);
	TEST_ASSERT_VAL("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	channel = kvm_channel__new(fds[0], KVM_FRAME_FROM_HOST);
	TEST_ASSERT_VAL("channel", channel);
	ASSERT_EQUAL("nothing to read", kvm_channel__fill(channel), -EAGAIN);
	for (size_t i = 0; i < 20; i++) {
		ASSERT_EQUAL("write", write(fds[1], buf + i, 1), 1);
		ASSERT_EQUAL("fill", kvm_channel__fill(channel), 0);
		ASSERT_EQUAL("first frame", kvm_channel__next(channel, &frame, &error),
				  i == 15);
	}
	ASSERT_EQUAL("write", write(fds[1], buf + 20, size - 20), size - 20);
	ASSERT_EQUAL("fill", kvm_channel__fill(channel), 0);
	ASSERT_EQUAL("second frame", kvm_channel__next(channel, &frame, &error), 1);
	ASSERT_EQUAL("its id", frame.id, 4);
	ASSERT_EQUAL("wait",
		     kvm_channel__wait(channel->fd, POLLIN, kvm_channel__now() + NSEC_PER_MSEC),
		     -ETIMEDOUT);
	close(fds[1]);
	ASSERT_EQUAL("end", kvm_channel__fill(channel), -EPIPE);
	ASSERT_EQUAL("write to nobody",
			  kvm_channel__put(channel, KVM_FRAME_STARTED, 1, NULL, 0, NULL, 0), 0);
	ASSERT_EQUAL("no signal", kvm_channel__flush(channel), -EPIPE);
	kvm_channel__delete(channel);
	return TEST_OK;
}

/* A peer that never ends its frame, and one that never reads. */
static int test__stuck(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const u8 text[KVM_FRAME_TEXT_MAX];
	struct kvm_agent_error error;
	struct kvm_channel *channel;
	struct kvm_frame frame;
	int fds[2], err = 0, nr = 0;
	u8 buf[16];

	TEST_ASSERT_VAL("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	channel = kvm_channel__new(fds[0], KVM_FRAME_FROM_HOST);
	TEST_ASSERT_VAL("channel", channel);
	make_header(buf, 100, KVM_FRAME_START, 8);
	ASSERT_EQUAL("write", write(fds[1], buf, sizeof(buf)), sizeof(buf));
	ASSERT_EQUAL("fill", kvm_channel__fill(channel), 0);
	ASSERT_EQUAL("begun", kvm_channel__next(channel, &frame, &error), 0);
	channel->frame_since -= (KVM_AGENT_FRAME_TIMEOUT + 1) * NSEC_PER_SEC;
	TEST_ASSERT_VAL("too late", kvm_channel__next(channel, &frame, &error) < 0 &&
				    error.code == KVM_AGENT_E_TIMEOUT);
	while (!err && nr++ < 1000) {
		err = kvm_channel__put(channel, KVM_FRAME_CAPS, 1, NULL, 0, text, sizeof(text));
		if (!err && kvm_channel__flush(channel) == -EAGAIN &&
		    !kvm_channel__has_room(channel))
			break;
	}
	TEST_ASSERT_VAL("replies end before room does", !err && nr < 1000);
	ASSERT_EQUAL("flush", kvm_channel__flush_until(channel, kvm_channel__now() +
							    NSEC_PER_MSEC), -ETIMEDOUT);
	close(fds[1]);
	kvm_channel__delete(channel);
	return TEST_OK;
}

static size_t put_record(u8 *buf, u32 type, u16 size, u64 second, u64 third)
{
	struct perf_event_header header = { .type = type, .size = size };

	memset(buf, 0, size);
	memcpy(buf, &header, sizeof(header));
	if (size >= 16)
		memcpy(buf + 8, &second, sizeof(second));
	if (size >= 24)
		memcpy(buf + 16, &third, sizeof(third));
	return size;
}

static size_t make_stream(u8 *buf)
{
	const u64 header = 16;
	size_t len = 16;

	memcpy(buf, "PERFILE2", 8);
	memcpy(buf + 8, &header, 8);
	len += put_record(buf + len, PERF_RECORD_SAMPLE, 40, 1, 2);
	len += put_record(buf + len, PERF_RECORD_LOST, 32, 1, 5);
	len += put_record(buf + len, PERF_RECORD_HEADER_TRACING_DATA, 16, 24, 0);
	len += put_record(buf + len, PERF_RECORD_LOST, 24, 0, 1000);	/* it is only data */
	len += put_record(buf + len, PERF_RECORD_LOST_SAMPLES, 24, 3, 0);
	len += put_record(buf + len, PERF_RECORD_THROTTLE, 32, 0, 0);
	len += put_record(buf + len, PERF_RECORD_FINISHED_ROUND, 8, 0, 0);
	len += put_record(buf + len, PERF_RECORD_SAMPLE, 8, 0, 0);
	return len;
}

/* In pieces of every size, the same numbers; and a cut is seen, wherever it is. */
static int test__stream(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_agent_stream stream;
	u8 buf[512];
	const size_t len = make_stream(buf);
	size_t whole = 0;

	for (size_t piece = 1; piece <= len; piece++) {
		kvm_agent_stream__init(&stream);
		for (size_t pos = 0; pos < len; pos += piece)
			kvm_agent_stream__feed(&stream, buf + pos, min(piece, len - pos));
		if (stream.samples == 2 && stream.lost == 5 && stream.lost_samples == 3 &&
		    stream.throttled == 1 && stream.bytes == len &&
		    !kvm_agent_stream__is_torn(&stream))
			continue;
		pr_debug("FAILED pieces of %zu: %" PRIu64 " samples, %" PRIu64 " lost\n", piece,
			 stream.samples, stream.lost);
		return TEST_FAIL;
	}
	for (size_t cut = 0; cut < len; cut++) {
		kvm_agent_stream__init(&stream);
		kvm_agent_stream__feed(&stream, buf, cut);
		whole += !kvm_agent_stream__is_torn(&stream);
	}
	/* nothing, the pipe's header, and behind each record but the last */
	ASSERT_EQUAL("cuts between records", whole, 8);
	return TEST_OK;
}

static int test__bad_stream(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		size_t	offset;
		u8	value;
	} cases[] = {
		{ 0, 'X' },	/* magic */
		{ 8, 17 },	/* size of the pipe's header */
		{ 16 + 6, 7 },	/* size of a record, below its header's */
		{ 16 + 6, 0 },
		{ 16 + 40 + 6, 23 },	/* a LOST that has no number */
		{ 16, PERF_RECORD_COMPRESSED },
	};
	struct kvm_agent_stream stream;
	u8 buf[512];
	const size_t len = make_stream(buf);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const u8 was = buf[cases[i].offset];

		buf[cases[i].offset] = cases[i].value;
		kvm_agent_stream__init(&stream);
		kvm_agent_stream__feed(&stream, buf, len);
		buf[cases[i].offset] = was;
		if (stream.broken && stream.bytes == len)
			continue;
		pr_debug("FAILED case %zu: not seen\n", i);
		return TEST_FAIL;
	}
	return TEST_OK;
}

static int test__address(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const struct {
		const char	*str;
		bool		listen;
		int		type;	/* -1: refused */
		u32		cid;
		u32		port;
		const char	*path;
	} cases[] = {
		{ "vsock",		true,  KVM_ADDRESS_VSOCK, 0, KVM_AGENT_PORT, "" },
		{ "vsock:77",		true,  KVM_ADDRESS_VSOCK, 0, 77, "" },
		{ "vsock:3",		false, KVM_ADDRESS_VSOCK, 3, KVM_AGENT_PORT, "" },
		{ "vsock:3:77",		false, KVM_ADDRESS_VSOCK, 3, 77, "" },
		{ "unix:/a:b",		false, KVM_ADDRESS_UNIX, 0, 0, "/a:b" },
		{ "unix:a",		true,  KVM_ADDRESS_UNIX, 0, 0, "a" },
		{ "virtio:perf.0",	true,  KVM_ADDRESS_VIRTIO, 0, 0,
		  "/dev/virtio-ports/perf.0" },
		{ "virtio:/dev/vport0p1", true, KVM_ADDRESS_VIRTIO, 0, 0, "/dev/vport0p1" },
		{ "hybrid:/v.sock",	false, KVM_ADDRESS_HYBRID, 0, KVM_AGENT_PORT, "/v.sock" },
		{ "hybrid:/v.sock:9",	false, KVM_ADDRESS_HYBRID, 0, 9, "/v.sock" },
		{ "vsock",		false, -1, 0, 0, NULL },
		{ "vsock:",		true,  -1, 0, 0, NULL },
		{ "vsock:-1",		true,  -1, 0, 0, NULL },
		{ "vsock:4294967295",	true,  -1, 0, 0, NULL },
		{ "vsock:3:",		false, -1, 0, 0, NULL },
		{ "vsock:3:4:5",	false, -1, 0, 0, NULL },
		{ "unix:",		true,  -1, 0, 0, NULL },
		{ "unix",		true,  -1, 0, 0, NULL },
		{ "virtio:../../etc/x",	true,  -1, 0, 0, NULL },
		{ "virtio:perf",	false, -1, 0, 0, NULL },
		{ "hybrid:/v.sock",	true,  -1, 0, 0, NULL },
		{ "hybrid:/v.sock:x",	false, -1, 0, 0, NULL },
		{ "tcp:1",		true,  -1, 0, 0, NULL },
		{ "",			true,  -1, 0, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvm_agent_error error;
		struct kvm_address address;
		int err = kvm_address__parse(&address, cases[i].str, cases[i].listen, &error);

		if (cases[i].type < 0 && err)
			continue;
		if (!err && (int)address.type == cases[i].type && address.cid == cases[i].cid &&
		    address.port == cases[i].port && !strcmp(address.path, cases[i].path))
			continue;
		pr_debug("FAILED case %zu (%s): %d\n", i, cases[i].str, err);
		return TEST_FAIL;
	}
	return TEST_OK;
}

/* Bodies that come from a pipe */

#define BODY_BYTES	300000

static u8 body_byte(size_t pos)
{
	return (pos * 31) >> 3;
}

/* A pipe with all of the body, and nobody who would write more. */
static int make_pipe(void)
{
	u8 *bytes = malloc(BODY_BYTES);
	int fds[2], ret = -1;

	if (!bytes || pipe2(fds, O_CLOEXEC))
		return -1;
	for (size_t pos = 0; pos < BODY_BYTES; pos++)
		bytes[pos] = body_byte(pos);
	if (fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0 &&
	    write(fds[1], bytes, BODY_BYTES) == BODY_BYTES)
		ret = fds[0];
	free(bytes);
	close(fds[1]);
	return ret;
}

/* What this process has read by read() and its like, but not by recv() or splice(). */
static u64 bytes_read(void)
{
	FILE *fp = fopen("/proc/self/io", "r");
	u64 bytes = UINT64_MAX;

	if (fp && fscanf(fp, "rchar: %" PRIu64, &bytes) != 1)
		bytes = UINT64_MAX;
	if (fp)
		fclose(fp);
	return bytes;
}

struct body_run {
	struct kvm_channel	*channel;
	int			 peer;
	u8			*got;
	size_t			 len;
	size_t			 waits;		/* for the peer */
};

static void take_some(struct body_run *run, size_t max)
{
	ssize_t n = recv(run->peer, run->got + run->len, max, MSG_DONTWAIT);

	run->len += n > 0 ? n : 0;
}

/* Frames of at most 70000 bytes, which is above the limit, each with a reply behind it. */
static int send_body(struct body_run *run, int pipe)
{
	u64 offset = 0;
	int err = 0;
	ssize_t n;

	while (!err && (n = kvm_channel__put_data(run->channel, 5, offset, pipe, 70000)) > 0) {
		ASSERT_EQUAL("busy", kvm_channel__put_data(run->channel, 5, 0, pipe, 1), -EBUSY);
		offset += n;
		while (offset <= BODY_BYTES &&
		       (err = kvm_channel__flush(run->channel)) == -EAGAIN) {
			/* while the body is on its way */
			if (!run->waits++)
				ASSERT_EQUAL("reply", kvm_channel__put(run->channel,
					     KVM_FRAME_STARTED, 6, NULL, 0, NULL, 0), 0);
			take_some(run, 5000);
		}
		TEST_ASSERT_VAL("nothing pending", !kvm_channel__pending(run->channel));
	}
	ASSERT_EQUAL("flush", err, 0);
	ASSERT_EQUAL("end of the pipe", n, 0);
	ASSERT_EQUAL("all was sent", offset, BODY_BYTES);
	for (size_t len = 0; len != run->len; ) {
		len = run->len;
		take_some(run, 65536);
	}
	return TEST_OK;
}

static int check_body(const struct body_run *run)
{
	size_t pos = 0, bytes = 0, replies = 0;
	struct kvm_agent_error error;
	struct kvm_frame_data fixed;
	struct kvm_frame frame;

	while (pos < run->len) {
		int size = kvm_frame__decode(KVM_FRAME_FROM_AGENT, run->got + pos, run->len - pos,
					     &frame, &error);

		TEST_ASSERT_VAL("a whole frame", size > 0);
		pos += size;
		if (frame.type == KVM_FRAME_STARTED) {
			replies++;
			continue;
		}
		kvm_frame__get_fixed(&frame, &fixed, sizeof(fixed));
		TEST_ASSERT_VAL("offset", le64toh(fixed.offset) == bytes && frame.id == 5);
		for (size_t i = 0; i < frame.var_len; i++)
			TEST_ASSERT_VAL("content", frame.var[i] == body_byte(bytes + i));
		bytes += frame.var_len;
	}
	ASSERT_EQUAL("all has come", bytes, BODY_BYTES);
	ASSERT_EQUAL("the reply between frames", replies, 1);
	return TEST_OK;
}

/* A socket that is said to append refuses splice(), and is otherwise as any. */
static int run_body(bool refuse, u64 *read)
{
	const int size = 16384;
	int fds[2], pipe = make_pipe(), ret = TEST_FAIL;
	struct body_run run = { .waits = 0 };

	TEST_ASSERT_VAL("pipe", pipe >= 0);
	TEST_ASSERT_VAL("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	run.channel = kvm_channel__new(fds[0], KVM_FRAME_FROM_HOST);
	run.peer = fds[1];
	run.got = malloc(2 * BODY_BYTES);
	TEST_ASSERT_VAL("memory", run.channel && run.got);
	if (!refuse || !fcntl(fds[0], F_SETFL, O_NONBLOCK | O_APPEND)) {
		*read = bytes_read();
		ret = send_body(&run, pipe) ?: check_body(&run);
		*read = bytes_read() - *read;
	}
	TEST_ASSERT_VAL("it went as it should", run.channel->no_splice == refuse);
	TEST_ASSERT_VAL("the peer was slow", run.waits > 1);
	kvm_channel__delete(run.channel);
	close(run.peer);
	close(pipe);
	free(run.got);
	return ret;
}

static int test__body(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	u64 spliced, copied;

	ASSERT_EQUAL("spliced", run_body(/*refuse=*/false, &spliced), TEST_OK);
	ASSERT_EQUAL("copied", run_body(/*refuse=*/true, &copied), TEST_OK);
	if (bytes_read() == UINT64_MAX)
		return TEST_SKIP;
	pr_debug("read: %" PRIu64 " bytes with splice(), %" PRIu64 " without\n", spliced, copied);
	TEST_ASSERT_VAL("no byte of the body was read", spliced < BODY_BYTES / 10);
	TEST_ASSERT_VAL("a read is seen", copied >= BODY_BYTES);
	return TEST_OK;
}

/* The driver of virtio ports takes splice() and loses bytes: it must not come to that. */
static int test__port(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_channel *channel = kvm_channel__new(open("/dev/null", O_RDWR),
						       KVM_FRAME_FROM_HOST);

	TEST_ASSERT_VAL("channel", channel);
	TEST_ASSERT_VAL("no splice() to a character device", channel->no_splice);
	kvm_channel__delete(channel);
	return TEST_OK;
}

/* The peer goes while a body is on its way to it. */
static int test__body_lost(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_channel *channel;
	int fds[2], pipe = make_pipe(), err;

	TEST_ASSERT_VAL("pipe", pipe >= 0);
	TEST_ASSERT_VAL("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	channel = kvm_channel__new(fds[0], KVM_FRAME_FROM_HOST);
	TEST_ASSERT_VAL("channel", channel);
	signal(SIGPIPE, SIG_IGN);
	do {
		TEST_ASSERT_VAL("put", kvm_channel__put_data(channel, 5, 0, pipe, 65536) > 0);
		err = kvm_channel__flush(channel);
	} while (!err);
	ASSERT_EQUAL("a full socket", err, -EAGAIN);
	close(fds[1]);
	err = kvm_channel__flush(channel);
	signal(SIGPIPE, SIG_DFL);
	TEST_ASSERT_VAL("it is said", err == -EPIPE || err == -ECONNRESET);
	TEST_ASSERT_VAL("it was a body", channel->body_left);
	kvm_channel__delete(channel);
	close(pipe);
	return TEST_OK;
}

static struct test_case kvm_channel_tests[] = {
	TEST_CASE("Headers of frames", header),
	TEST_CASE("Truncated frames", truncated),
	TEST_CASE("Flipped bits", flipped),
	TEST_CASE("Frames of a newer peer", newer),
	TEST_CASE("Frames in pieces", pieces),
	TEST_CASE("Peers that are stuck", stuck),
	TEST_CASE_REASON("Bodies from a pipe", body, "this kernel does not count what is read"),
	TEST_CASE("Bodies for a virtio port", port),
	TEST_CASE("Bodies for a peer that goes", body_lost),
	TEST_CASE("Losses in a stream", stream),
	TEST_CASE("Streams that are not perf's", bad_stream),
	TEST_CASE("Addresses", address),
	{ .name = NULL, }
};

struct test_suite suite__kvm_channel = {
	.desc = "Channel of perf kvm agent",
	.test_cases = kvm_channel_tests,
};
