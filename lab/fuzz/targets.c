// SPDX-License-Identifier: GPL-2.0
/* What of perf kvm reads bytes that a guest, or anybody, has made. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "util/kvm-agent-child.h"
#include "util/kvm-agent-client.h"
#include "util/kvm-record-clock.h"
#include "util/kvm-agent-options.h"
#include "util/kvm-agent-policy.h"
#include "util/kvm-agent-session.h"
#include "util/kvm-agent-stream.h"
#include "util/kvm-agent-unpack.h"
#include "util/kvm-channel.h"
#include "util/kvm-merge.h"
#include "util/kvm-merge-format.h"
#include "util/kvm-merge-record.h"
#include "util/event.h"
#include "util/strbuf.h"
#include "fuzz.h"

/* A file in memory, and the path that opens it. */
struct memory_file {
	int	fd;
	char	path[32];
};

static void open_memory(struct memory_file *file, const void *data, size_t size)
{
	if (!file->fd) {
		file->fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	}
	if (ftruncate(file->fd, 0) || pwrite(file->fd, data, size, 0) != (ssize_t)size)
		fuzz_fail("no memory for a file");
}

/* The recordings that an input is merged with. */
static const char *good_file(const char *name)
{
	const char *path = getenv(name);

	return path ? path : "/nowhere";
}

/* Reads all bytes. */
static uint64_t received;

static int take_data(void *priv, const void *data, size_t len)
{
	(void)priv;
	for (size_t i = 0; i < len; i++)
		received += ((const uint8_t *)data)[i];
	return 0;
}

/* perf kvm merge */

static struct memory_file guest_file, merged_file, again_file;
static bool merged;

static int merge(struct kvm_merge *merge, const char *host, const char *guest, const char *output,
		 enum kvm_merge_method method)
{
	const struct kvm_merge_guest_opts opts = {
		.path	= guest,
		.name	= "web",
		.pid	= 4711,
		.clock	= { .method = method, .has_pv_offset = true, .has_tsc_offset = true },
	};

	return kvm_merge__run(merge, host, output, &opts, 1);
}

static void run_merge_by(const uint8_t *data, size_t size, enum kvm_merge_method method)
{
	struct kvm_merge result;

	open_memory(&guest_file, data, size);
	open_memory(&merged_file, "", 0);
	merged = !merge(&result, good_file("FUZZ_HOST"), guest_file.path, merged_file.path,
			method);
	if (merged && result.host.file.nr_attrs + result.guests[0].file.nr_attrs > 1000)
		merged = false;		/* more than it takes itself */
	kvm_merge__exit(&result);
}

static void run_merge(const uint8_t *data, size_t size)
{
	run_merge_by(data, size, KVM_MERGE_CLOCK_PV);
}

static void run_merge_tsc(const uint8_t *data, size_t size)
{
	run_merge_by(data, size, KVM_MERGE_CLOCK_TSC);
}

/* Outputs that others are to read, up to as many. */
static void keep_merged(void)
{
	static unsigned int nr;
	const char *directory = getenv("FUZZ_KEEP");
	char path[256], buf[65536];
	ssize_t n;
	off_t pos = 0;
	int fd;

	if (!directory || nr == 150)
		return;
	snprintf(path, sizeof(path), "%s/%u", directory, nr++);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	while (fd >= 0 && (n = pread(merged_file.fd, buf, sizeof(buf), pos)) > 0)
		pos += write(fd, buf, n);
	close(fd);
}

/* Whatever the guest's file was, the output is a sound one: the merge takes it whole. */
static void check_merge(void)
{
	struct kvm_merge result;

	if (!merged)
		return;
	keep_merged();
	open_memory(&again_file, "", 0);
	if (merge(&result, merged_file.path, good_file("FUZZ_GUEST"), again_file.path,
		  KVM_MERGE_CLOCK_PV))
		fuzz_fail("what was merged cannot be read");
	if (!kvm_merge__is_complete(&result))
		fuzz_fail("what was merged has damaged records");
	kvm_merge__exit(&result);
}

/* Records, each in memory of its own, so that a read behind its end is seen. */

static int find_id(void *data, u64 *id)
{
	(void)data;
	return *id ? 0 : -ENOENT;
}

static void look_at_record(const struct kvm_merge_attr *attr, union perf_event *event)
{
	int err;
	u32 size;

	if (!kvm_merge_layout__fits(&attr->layout, event))
		return;
	for (int field = 0; field < KVM_MERGE_NR_FIELDS; field++) {
		const u64 *pos = kvm_merge_layout__field(&attr->layout, event, field);

		received += pos ? *pos : 0;
	}
	if (event->header.type != PERF_RECORD_SAMPLE) {
		err = kvm_merge_record__walk_sideband(attr, event, find_id, NULL);
		if (!err && kvm_merge_record__body_time(event))
			received += *kvm_merge_record__body_time(event);
		return;
	}
	err = kvm_merge_record__walk_sample(&attr->attr, event, find_id, NULL);
	if (!err) {
		const u8 *raw = kvm_merge_record__raw(attr, event, &size);

		take_data(NULL, raw, raw ? size : 0);
	}
}

/* What of the attr matters, then records */
static void run_record(const uint8_t *data, size_t size)
{
	struct kvm_merge_attr attr = { .name = NULL };
	struct perf_event_header header;
	u64 words[5];

	if (size < sizeof(words))
		return;
	memcpy(words, data, sizeof(words));
	attr.attr.sample_type = words[0] & (PERF_SAMPLE_MAX - 1);
	attr.attr.read_format = words[1] & (PERF_FORMAT_MAX - 1);
	attr.attr.branch_sample_type = words[2];
	attr.attr.sample_regs_user = words[3];
	attr.attr.sample_regs_intr = words[4];
	kvm_merge_layout__init(&attr.layout, attr.attr.sample_type);
	for (size_t pos = sizeof(words); size - pos >= sizeof(header); pos += header.size) {
		union perf_event *event;

		memcpy(&header, data + pos, sizeof(header));
		if (header.size < sizeof(header) || header.size % 8 || header.size > size - pos)
			return;
		event = malloc(header.size);
		memcpy(event, data + pos, header.size);
		look_at_record(&attr, event);
		free(event);
	}
}

/* Formats of tracepoints: what is written has to be read as the same. */

static void check_written(const struct kvm_merge_format *format, const char *text, size_t len)
{
	struct kvm_merge_format again;

	if (kvm_merge_format__parse(&again, text, len))
		fuzz_fail("a format that was written cannot be read");
	if (strcmp(format->name, again.name) || again.id != format->new_id ||
	    format->nr_fields != again.nr_fields || format->size != again.size || !again.print)
		fuzz_fail("a format is read otherwise than it was written");
	kvm_merge_format__exit(&again);
}

static void run_format(const uint8_t *data, size_t size)
{
	size_t len = strnlen((const char *)data, size);
	struct strbuf text = STRBUF_INIT;
	struct kvm_merge_format format;

	if (kvm_merge_format__parse(&format, (const char *)data, len))
		return;
	format.new_id = 65535;
	if (kvm_merge_format__write(&format, &text))
		fuzz_fail("no memory for a format");
	check_written(&format, text.buf, text.len);
	/* What follows the text is taken for a sample. */
	kvm_merge_format__fits(&format, data + len, size - len);
	kvm_merge_format__exit(&format);
	strbuf_release(&text);
}

/* Bytes that a peer has sent before it closed its side; returns the other side. */
static int receive(const uint8_t *data, size_t size, int *peer)
{
	int fds[2], large = 4 * 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		fuzz_fail("no sockets");
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	/* What does not fit is never sent. */
	if (send(fds[0], data, size, MSG_DONTWAIT) < 0 && size && errno != EAGAIN)
		fuzz_fail("no room in a socket");
	shutdown(fds[0], SHUT_WR);
	*peer = fds[0];
	return fds[1];
}

/* The host's side of the channel */

static void take_clock(void *priv, const struct kvm_agent_clock_state *state)
{
	if (kvm_record_clock__see_pv(priv, state))
		fuzz_fail("no memory for a clock");
}

/* Whatever the guest says of its clock, the merge gets segments in the order of time. */
static void check_clock(struct kvm_record_clock_facts *facts)
{
	struct kvm_record_clock clock;

	facts->vm = (struct kvm_record_vm_clock){ .has_epoch = true, .epoch = 0x77 };
	facts->before.related = true;
	if (kvm_record_clock__init(&clock, facts))
		fuzz_fail("no memory for segments");
	for (size_t i = 1; i < clock.nr_pv; i++) {
		if (clock.pv[i].from <= clock.pv[i - 1].from)
			fuzz_fail("segments are not in the order of time");
	}
	kvm_record_clock__exit(&clock);
	kvm_record_clock_facts__exit(facts);
}

static void run_client(const uint8_t *data, size_t size)
{
	static const struct kvm_agent_client_ops ops = { .data = take_data, .clock = take_clock };
	struct kvm_record_clock_facts facts = { .pv = { .nr = 0 } };
	static const char * const options[] = { "-e", "cpu-clock" };
	struct kvm_agent_client *client;
	struct kvm_agent_reading reading;
	struct kvm_agent_caps caps;
	int peer, err;

	client = kvm_agent_client__new(receive(data, size, &peer), &ops, &facts);
	if (!client)
		fuzz_fail("no memory for a client");
	err = kvm_agent_client__hello(client, KVM_AGENT_VERSION_MIN, KVM_AGENT_VERSION_MAX);
	if (!err)
		err = kvm_agent_client__get_caps(client, &caps);
	if (!err)
		err = kvm_agent_client__probe(client, KVM_AGENT_CLOCK_MONOTONIC, 2, &reading);
	if (!err)
		err = kvm_agent_client__start(client, options, 2, 64 * 1024);
	if (!err)
		err = kvm_agent_client__poll(client, 10);
	if (err >= 0)
		kvm_agent_client__finish(client, 2);
	if (client->stream.bytes > 64 * 1024)
		fuzz_fail("more was taken than was allowed");
	kvm_agent_client__delete(client);
	check_clock(&facts);
	close(peer);
}

/* The guest's side: nothing is recorded here. */

int kvm_agent_child__start(struct kvm_agent_child *child, const char **argv)
{
	(void)child;
	for (size_t i = 0; argv[i]; i++)
		received += strlen(argv[i]);
	return -ENOENT;
}

static void run_session(const uint8_t *data, size_t size)
{
	static const int done;
	struct kvm_agent_policy policy = { .nr_globs = 0 };
	int peer;

	if (kvm_agent_policy__init(&policy))
		fuzz_fail("no memory for a policy");
	policy.stall_timeout = 2;
	policy.idle_timeout = 2;
	kvm_agent_session__run(receive(data, size, &peer), &policy, "fuzz", &done);
	kvm_agent_policy__exit(&policy);
	close(peer);
}

/* Frames and the recording in them, in pieces of many sizes */

static void run_frames(const uint8_t *data, size_t size)
{
	for (int from = KVM_FRAME_FROM_HOST; from <= KVM_FRAME_FROM_AGENT; from++) {
		size_t pos = 0;

		for (;;) {
			struct kvm_agent_error error;
			struct kvm_frame frame;
			int len = kvm_frame__decode(from, data + pos, size - pos, &frame, &error);

			if (len <= 0)
				break;
			if ((size_t)len > size - pos || frame.var_len > (size_t)len)
				fuzz_fail("a frame is larger than what came");
			take_data(NULL, frame.fixed, frame.fixed_len);
			take_data(NULL, frame.var, frame.var_len);
			pos += len;
		}
	}
}

static void run_stream(const uint8_t *data, size_t size)
{
	struct kvm_agent_stream whole, parts;

	kvm_agent_stream__init(&whole);
	kvm_agent_stream__init(&parts);
	kvm_agent_stream__feed(&whole, data, size);
	for (size_t pos = 0, len = 1; pos < size; pos += len, len = len % 13 + 1) {
		if (len > size - pos)
			len = size - pos;
		kvm_agent_stream__feed(&parts, data + pos, len);
	}
	if (whole.samples != parts.samples || whole.lost != parts.lost ||
	    whole.lost_samples != parts.lost_samples || whole.throttled != parts.throttled ||
	    whole.broken != parts.broken)
		fuzz_fail("in pieces it counts otherwise");
}

/* What is compressed: the one who takes it may end it at any time. */
struct unpacked {
	struct kvm_agent_stream	stream;
	uint64_t		sum;
};

static int take_unpacked(void *priv, const void *data, size_t len)
{
	struct unpacked *unpacked = priv;

	kvm_agent_stream__feed(&unpacked->stream, data, len);
	for (size_t i = 0; i < len; i++)
		unpacked->sum = unpacked->sum * 31 + ((const uint8_t *)data)[i];
	return unpacked->stream.bytes > 1024 * 1024 ? -EFBIG : 0;
}

static int unpack(struct unpacked *unpacked, const uint8_t *data, size_t size, size_t piece)
{
	struct kvm_agent_unpack *unpack;
	int err = 0;

	unpacked->sum = 0;
	kvm_agent_stream__init(&unpacked->stream);
	unpack = kvm_agent_unpack__new(&unpacked->stream, take_unpacked, unpacked);
	if (!unpack)
		fuzz_fail("no memory to decompress");
	for (size_t pos = 0, len; !err && pos < size; pos += len) {
		len = piece < size - pos ? piece : size - pos;
		err = kvm_agent_unpack__feed(unpack, data + pos, len);
	}
	kvm_agent_unpack__delete(unpack);
	if (unpacked->stream.bytes > 1024 * 1024 + 64 * 1024)
		fuzz_fail("it went on behind its end");
	return err;
}

static void run_unpack(const uint8_t *data, size_t size)
{
	struct unpacked whole, parts;

	if (!kvm_agent_unpack__is_supported())
		return;
	if (!unpack(&whole, data, size, size) && !unpack(&parts, data, size, 13) &&
	    (whole.stream.bytes != parts.stream.bytes || whole.sum != parts.sum))
		fuzz_fail("in pieces it decompresses to something else");
}

/* Texts */

static void run_texts(const uint8_t *data, size_t size)
{
	struct kvm_agent_policy policy = { .nr_globs = 0 };
	struct kvm_agent_options options;
	struct kvm_agent_error error;
	struct kvm_address address;
	struct kvm_agent_caps caps;
	char *text = strndup((const char *)data, size);

	if (!text || kvm_agent_policy__init(&policy))
		fuzz_fail("no memory for a text");
	kvm_agent_caps__parse(&caps, data, size);
	if (!kvm_agent_options__init(&options, &policy, 2, data, size, &error))
		kvm_agent_options__exit(&options);
	kvm_agent_options__check_events(&policy, text, &error);
	kvm_address__parse(&address, text, false, &error);
	kvm_address__parse(&address, text, true, &error);
	kvm_agent_policy__exit(&policy);
	if (!kvm_agent_policy__parse(&policy, text, &error))
		kvm_agent_policy__print(&policy, "", stderr);
	kvm_agent_policy__exit(&policy);
	free(text);
}

const struct fuzz_target fuzz_targets[] = {
	{ "merge",	104,	run_merge,	check_merge },
	{ "merge-tsc",	104,	run_merge_tsc,	check_merge },
	{ "record",	40,	run_record,	NULL },
	{ "format",	0,	run_format,	NULL },
	{ "client",	0,	run_client,	NULL },
	{ "session",	0,	run_session,	NULL },
	{ "frames",	0,	run_frames,	NULL },
	{ "stream",	16,	run_stream,	NULL },
	{ "unpack",	16,	run_unpack,	NULL },
	{ "texts",	0,	run_texts,	NULL },
};

const size_t fuzz_nr_targets = sizeof(fuzz_targets) / sizeof(*fuzz_targets);
