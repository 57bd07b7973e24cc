// SPDX-License-Identifier: GPL-2.0
/*
 * Tests what a host makes of a session that breaks off. One whole session of an agent is
 * made in memory; the client gets it up to each byte, and with each bit of its headers wrong.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include <perf/event.h>
#include "debug.h"
#include "kvm-agent-client.h"
#include "kvm-channel.h"
#include "tests.h"

#define NR_SAMPLES	4
#define SAMPLE_SIZE	40
#define NR_CLOCKS	2
#define BUILD_ID	((const u8 *)"01234567890123456789")
#define FILE_TEXT	"what the guest has by this build-id"

/* A client waits for seconds only where the connection is open: here it never is. */
#define MAX_TIME	(5 * NSEC_PER_SEC)

/* What the host does, in this order; DONE: all of it went well. */
enum step {
	HELLO, CAPS, PROBES, START, RECORDING, FILE_STEP, DONE
};

struct session {
	u8		bytes[1024];
	size_t		len;
	size_t		record_len;	/* up to the end of the recording */
	struct {
		size_t		at;
		size_t		data;	/* bytes of the recording or file in it */
		enum step	step;
	}		frames[32];
	size_t		nr_frames;
	u8		recording[512];
	size_t		recording_len;
};

static void put(struct session *session, enum step step, u16 type, u32 id, const void *fixed,
		size_t fixed_len, const void *var, size_t var_len)
{
	const size_t nr = session->nr_frames++;

	session->frames[nr].at = session->len;
	session->frames[nr].data = type == KVM_FRAME_DATA ? var_len : 0;
	session->frames[nr].step = step;
	session->len += kvm_frame__encode(session->bytes + session->len,
					  sizeof(session->bytes) - session->len, type, id,
					  fixed, fixed_len, var, var_len);
}

#define PUT(session, step, type, id, fixed, text) \
	put(session, step, KVM_FRAME_##type, id, &(fixed), sizeof(fixed), text, strlen(text))

static void put_data(struct session *session, enum step step, u32 id, const u8 *data, size_t len,
		     size_t piece)
{
	for (size_t pos = 0; pos < len; pos += piece) {
		const struct kvm_frame_data fixed = { .offset = htole64(pos) };

		put(session, step, KVM_FRAME_DATA, id, &fixed, sizeof(fixed), data + pos,
		    min(piece, len - pos));
	}
}

/* perf's pipe format: its header, the mark that the events are on, and samples. */
static void make_recording(struct session *session)
{
	const struct perf_event_header begun = {
		.type = PERF_RECORD_FINISHED_INIT,
		.size = sizeof(begun),
	};
	const struct perf_event_header sample = {
		.type = PERF_RECORD_SAMPLE,
		.size = SAMPLE_SIZE,
	};
	u8 *pos = session->recording;

	memcpy(pos, "PERFILE2\x10\0\0\0\0\0\0\0", 16);
	pos += 16;
	memcpy(pos, &begun, sizeof(begun));
	pos += sizeof(begun);
	for (int i = 0; i < NR_SAMPLES; i++) {
		memset(pos, 'a' + i, SAMPLE_SIZE);
		memcpy(pos, &sample, sizeof(sample));
		pos += SAMPLE_SIZE;
	}
	session->recording_len = pos - session->recording;
}

/* The client numbers its requests from 1 on. */
static void make_session(struct session *session)
{
	const struct kvm_frame_welcome welcome = {
		.magic		= htole32(KVM_AGENT_MAGIC),
		.version	= htole16(1),
	};
	const struct kvm_frame_probe_reply reply = { .time = htole64(1000) };
	const struct kvm_frame_clock clock = { .time = htole64(1000) };
	struct kvm_frame_file file = {
		.size		= htole64(strlen(FILE_TEXT)),
		.build_id_size	= htole32(sizeof(file.build_id)),
	};
	struct kvm_frame_summary summary = { .status = 0 };

	memset(session, 0, sizeof(*session));
	make_recording(session);
	PUT(session, HELLO, WELCOME, 1, welcome, "");
	put(session, CAPS, KVM_FRAME_CAPS, 2, NULL, 0, "cpus 2\nstart-flags 1\n", 21);
	PUT(session, PROBES, PROBE_REPLY, 3, reply, "");
	PUT(session, PROBES, PROBE_REPLY, 4, reply, "");
	put(session, START, KVM_FRAME_STARTED, 5, NULL, 0, NULL, 0);
	PUT(session, RECORDING, CLOCK, 5, clock, "");
	/* Pieces that end within records. */
	put_data(session, RECORDING, 5, session->recording, session->recording_len, 61);
	PUT(session, RECORDING, CLOCK, 5, clock, "");
	summary.bytes = htole64(session->recording_len);
	summary.sent = summary.bytes;
	PUT(session, RECORDING, SUMMARY, 5, summary, "[ perf record: Woken up 1 times ]\n");
	session->record_len = session->len;
	memcpy(file.build_id, BUILD_ID, sizeof(file.build_id));
	PUT(session, FILE_STEP, FILE, 7, file, "");
	put_data(session, FILE_STEP, 7, (const u8 *)FILE_TEXT, strlen(FILE_TEXT), 10);
}

/* The host */

struct run {
	struct kvm_agent_client	*client;
	int			 peer;
	int			 file;
	bool			 closes;	/* the agent reads nothing any more, either */
	u8			 data[512];
	size_t			 len;
	size_t			 nr_clocks;
	enum step		 step;
};

static int take_data(void *priv, const void *data, size_t len)
{
	struct run *run = priv;

	if (len > sizeof(run->data) - run->len)
		return -E2BIG;
	memcpy(run->data + run->len, data, len);
	run->len += len;
	return 0;
}

static void take_clock(void *priv, const struct kvm_agent_clock_state *clock __maybe_unused)
{
	((struct run *)priv)->nr_clocks++;
}

static const struct kvm_agent_client_ops ops = { .data = take_data, .clock = take_clock };

static void end_peer(struct run *run)
{
	if (run->peer >= 0)
		close(run->peer);
	run->peer = -1;
}

/* What is sent of the session from a byte on; behind the last one, the agent is gone. */
static int say(struct run *run, const u8 *bytes, size_t from, size_t to, bool last)
{
	if (to > from && write(run->peer, bytes + from, to - from) != (ssize_t)(to - from))
		return -EIO;
	if (last)
		shutdown(run->peer, SHUT_WR);
	return 0;
}

static int record(struct run *run)
{
	int ret = 0;

	if (run->closes)
		end_peer(run);
	else
		ret = kvm_agent_client__poll(run->client, 0);
	/* It sends STOP, with number 6, if the recording has not ended. */
	if (ret < 0 || kvm_agent_client__finish(run->client, 2))
		return -1;
	if (!run->client->summary.complete)
		return kvm_agent_error__set(&run->client->error, 0, false, "not complete");
	/* So that the next number is that of the session. */
	run->client->last_id = 6;
	return 0;
}

static int get_file(struct run *run, const struct session *session, size_t len)
{
	const size_t end = session->record_len;

	if (len > end && say(run, session->bytes, end, len, true))
		return -1;
	return kvm_agent_client__get_file(run->client, "/x", BUILD_ID, 20, run->file, 1000);
}

static enum step drive(struct run *run, const struct session *session, size_t len)
{
	static const char * const options[] = { "--all-cpus" };
	struct kvm_agent_client *client = run->client;
	struct kvm_agent_reading reading;
	struct kvm_agent_caps caps;

	if (kvm_agent_client__hello(client, 1, 1))
		return HELLO;
	if (kvm_agent_client__get_caps(client, &caps))
		return CAPS;
	if (kvm_agent_client__probe(client, KVM_AGENT_CLOCK_MONOTONIC, 2, &reading))
		return PROBES;
	if (kvm_agent_client__start(client, options, 1, sizeof(run->data)))
		return START;
	if (record(run))
		return RECORDING;
	if (get_file(run, session, len))
		return FILE_STEP;
	return DONE;
}

static int begin_run(struct run *run, const struct session *session, size_t len)
{
	const size_t first = min(len, session->record_len);
	int fds[2];

	run->client = NULL;
	run->peer = -1;
	run->len = run->nr_clocks = 0;
	run->file = memfd_create("perf-test", MFD_CLOEXEC);
	if (run->file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	run->peer = fds[1];
	run->client = kvm_agent_client__new(fds[0], &ops, run);
	return run->client ? say(run, session->bytes, 0, first, len <= session->record_len) :
			     -ENOMEM;
}

static void end_run(struct run *run)
{
	kvm_agent_client__delete(run->client);
	end_peer(run);
	close(run->file);
}

/* Checks */

static bool is_prefix(const struct run *run, const struct session *session, size_t len)
{
	return run->len == len && !memcmp(run->data, session->recording, len);
}

static bool has_file(const struct run *run, size_t len)
{
	char text[sizeof(FILE_TEXT)];

	return pread(run->file, text, sizeof(text), 0) == (ssize_t)len &&
	       !memcmp(text, FILE_TEXT, len);
}

static bool is_whole(const struct run *run, const struct session *session)
{
	return run->client->summary.complete &&
	       is_prefix(run, session, session->recording_len);
}

/* What is expected of a session of which so many bytes have come. */
struct expected {
	enum step	step;
	size_t		data;
	size_t		file;
};

static struct expected expect(const struct session *session, size_t len)
{
	struct expected expected = { .step = DONE };

	for (size_t i = 0; i < session->nr_frames; i++) {
		const size_t end = i + 1 < session->nr_frames ? session->frames[i + 1].at :
								session->len;

		if (len < end) {
			expected.step = session->frames[i].step;
			break;
		}
		if (session->frames[i].step == RECORDING)
			expected.data += session->frames[i].data;
		else
			expected.file += session->frames[i].data;
	}
	return expected;
}

static bool says_lost(const struct run *run, const struct expected *expected)
{
	char text[100] = "the connection to the agent was lost";

	if (expected->step == RECORDING)
		scnprintf(text, sizeof(text),
			  "the connection to the agent was lost after %zu bytes of the recording",
			  expected->data);
	return strstr(run->client->error.text, text) && run->client->error.fatal;
}

/* What was lost is named, what came whole is there, and nothing can be asked for any more. */
static bool is_lost(struct run *run, const struct session *session,
		    const struct expected *expected)
{
	struct kvm_agent_caps caps;

	if (expected->step == FILE_STEP ? !is_whole(run, session) :
					  run->client->summary.complete)
		return false;
	return run->client->state == KVM_AGENT_CLIENT_DEAD && says_lost(run, expected) &&
	       is_prefix(run, session, expected->data) &&
	       run->client->stream.bytes == expected->data && has_file(run, expected->file) &&
	       kvm_agent_client__get_caps(run->client, &caps);
}

static bool check_cut(struct run *run, const struct session *session, size_t len)
{
	const struct expected expected = expect(session, len);
	const u64 since = kvm_channel__now();
	bool good;

	if (begin_run(run, session, len)) {
		end_run(run);
		return false;
	}
	run->step = drive(run, session, len);
	good = run->step == expected.step && kvm_channel__now() - since < MAX_TIME &&
	       (run->step < FILE_STEP || run->nr_clocks == NR_CLOCKS) &&
	       (run->step == DONE ? is_whole(run, session) && has_file(run, expected.file) :
				    is_lost(run, session, &expected));
	if (!good)
		pr_debug("FAILED after %zu of %zu bytes: step %d, expected %d, %zu bytes of %zu: '%s'\n",
			 len, session->len, run->step, expected.step, run->len, expected.data,
			 run->client->error.text);
	end_run(run);
	return good;
}

static int test__cut(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct run run = { .closes = false };
	struct session session;

	make_session(&session);
	for (size_t len = 0; len <= session.len; len++) {
		if (!check_cut(&run, &session, len))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* The host finds out when it wants to say something: what had come before is not lost. */
static int test__closed(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct run run = { .closes = true };
	struct session session;
	size_t begin = 0;

	make_session(&session);
	for (size_t i = 0; session.frames[i].step <= START; i++)
		begin = session.frames[i + 1].at;
	for (size_t len = begin; len < session.record_len; len++) {
		if (!check_cut(&run, &session, len))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* Of a wrong bit nothing is to be seen, or the client says that something is wrong. */
static bool is_good(const struct run *run, const struct session *session, size_t len,
		    bool harmless)
{
	const bool whole = len == session->len;

	/* A summary that is longer than it says is followed by nonsense, but is one. */
	if (run->step < FILE_STEP)
		return !harmless && *run->client->error.text &&
		       (!run->client->summary.complete || is_whole(run, session));
	if (run->step == FILE_STEP)
		return is_whole(run, session) && *run->client->error.text && !(harmless && whole);
	return is_whole(run, session) && has_file(run, strlen(FILE_TEXT));
}

static bool check_flipped(struct run *run, const struct session *session, size_t byte, u8 bit,
			  bool harmless)
{
	/* What the agent never sends is not waited for: it has gone behind the recording. */
	const size_t len = byte < session->record_len ? session->record_len : session->len;
	const u64 since = kvm_channel__now();
	struct session flipped = *session;
	bool good;

	flipped.bytes[byte] ^= bit;
	good = !begin_run(run, &flipped, len);
	if (good) {
		run->step = drive(run, &flipped, len);
		good = is_good(run, session, len, harmless) &&
		       kvm_channel__now() - since < MAX_TIME;
	}
	if (!good)
		pr_debug("FAILED bit 0x%x of byte %zu: step %d, %zu bytes: '%s'\n", bit, byte,
			 run->step, run->len, run->client ? run->client->error.text : "");
	end_run(run);
	return good;
}

static int test__flipped(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct session session;
	struct run run = { .closes = false };

	make_session(&session);
	for (size_t i = 0; i < session.nr_frames; i++) {
		for (size_t byte = 0; byte < sizeof(struct kvm_frame_hdr); byte++) {
			const bool harmless = byte >= offsetof(struct kvm_frame_hdr, reserved);

			for (int bit = 0; bit < 8; bit++) {
				if (!check_flipped(&run, &session, session.frames[i].at + byte,
						   1 << bit, harmless))
					return TEST_FAIL;
			}
		}
	}
	return TEST_OK;
}

static struct test_case kvm_agent_cut_tests[] = {
	TEST_CASE("Ended after each byte", cut),
	TEST_CASE("Closed after each byte", closed),
	TEST_CASE("Flipped bits of headers", flipped),
	{ .name = NULL, }
};

struct test_suite suite__kvm_agent_cut = {
	.desc = "perf kvm agent: sessions that break off",
	.test_cases = kvm_agent_cut_tests,
};
