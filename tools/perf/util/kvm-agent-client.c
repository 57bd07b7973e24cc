// SPDX-License-Identifier: GPL-2.0
/*
 * Talks to an agent in a guest. Whatever comes from there may have been made to
 * do harm: every frame is checked, every wait ends, and what is text gets cleaned.
 */
#include "kvm-agent-client.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include "kvm-agent-unpack.h"
#include "pv-clock.h"

#define REPLY_TIMEOUT	(10 * NSEC_PER_SEC)
/* An agent looks for a file for 20 seconds. */
#define FILE_TIMEOUT	(30 * NSEC_PER_SEC)
#define KEEP_ALIVE	(5 * NSEC_PER_SEC)
/* A busy agent answers a probe behind DATA, but then DATA comes. */
#define SILENCE_TIMEOUT	(30 * NSEC_PER_SEC)
/* Of an agent that reads, or ends, no longer. */
#define BYE_TIMEOUT	NSEC_PER_SEC
#define MAX_CPUS	65536

int kvm_agent_client__fail(struct kvm_agent_client *client, u32 code, const char *what)
{
	client->state = KVM_AGENT_CLIENT_DEAD;
	return kvm_agent_error__set(&client->error, code, true, "%s", what);
}

static int lose(struct kvm_agent_client *client, int err)
{
	const bool recording = client->state == KVM_AGENT_CLIENT_RECORDING;
	char after[64] = "";

	if (recording)
		scnprintf(after, sizeof(after), " after %" PRIu64 " bytes of the recording",
			  client->received);
	client->state = KVM_AGENT_CLIENT_DEAD;
	return kvm_agent_error__set(&client->error, KVM_AGENT_E_FAILED, true,
				    "the connection to the agent was lost%s%s%s", after,
				    err == -EPIPE ? "" : ": ", err == -EPIPE ? "" : strerror(-err));
}

/* Takes the descriptor over, in any case. */
struct kvm_agent_client *kvm_agent_client__new(int fd, const struct kvm_agent_client_ops *ops,
					       void *priv)
{
	struct kvm_agent_client *client = zalloc(sizeof(*client));

	if (!client) {
		close(fd);
		return NULL;
	}
	client->channel = kvm_channel__new(fd, KVM_FRAME_FROM_AGENT);
	if (!client->channel) {
		free(client);
		return NULL;
	}
	client->ops = ops;
	client->priv = priv;
	client->last_received = kvm_channel__now();
	client->file_timeout = KVM_AGENT_FILE_TIMEOUT;
	kvm_agent_clocks__init(&client->clocks);
	return client;
}

static u64 count_lost(const struct kvm_agent_stream *stream)
{
	return max(stream->lost, stream->lost_samples);
}

/*
 * Tells the agent that the session is over, if it can still be told. What is known here
 * of the session stays as it is; but nothing more can be asked for.
 */
void kvm_agent_client__bye(struct kvm_agent_client *client)
{
	const struct kvm_frame_bye bye = {
		.samples = htole64(client->past_samples + client->stream.samples),
		.lost	 = htole64(client->past_lost + count_lost(&client->stream)),
	};

	if (client->said_bye || !client->version)
		return;
	client->said_bye = true;
	if (!kvm_channel__put(client->channel, KVM_FRAME_BYE, 0, &bye, sizeof(bye), NULL, 0))
		kvm_channel__flush_until(client->channel, kvm_channel__now() + BYE_TIMEOUT);
}

/* Or closing would reset the connection, with BYE in it, as long as something is unread. */
static void drain(struct kvm_agent_client *client)
{
	const u64 deadline = kvm_channel__now() + BYE_TIMEOUT;
	int err = 0;

	while ((!err || err == -EAGAIN || err == -EINTR) && kvm_channel__now() < deadline) {
		err = kvm_channel__wait(client->channel->fd, POLLIN, deadline);
		client->channel->in_pos = client->channel->in_len;
		if (!err)
			err = kvm_channel__fill(client->channel);
	}
}

void kvm_agent_client__delete(struct kvm_agent_client *client)
{
	if (!client)
		return;
	kvm_agent_client__bye(client);
	if (client->said_bye && client->state != KVM_AGENT_CLIENT_READY)
		drain(client);
	kvm_agent_clocks__exit(&client->clocks);
	kvm_agent_unpack__delete(client->unpack);
	kvm_channel__delete(client->channel);
	free(client);
}

struct kvm_agent_client *kvm_agent_client__connect(const char *address,
						   const struct kvm_agent_client_ops *ops,
						   void *priv, struct kvm_agent_error *error)
{
	struct kvm_agent_client *client;
	struct kvm_address parsed;
	int fd;

	if (kvm_address__parse(&parsed, address, /*listen=*/false, error))
		return NULL;
	fd = kvm_address__connect(&parsed, kvm_channel__now() + REPLY_TIMEOUT, error);
	if (fd < 0)
		return NULL;
	client = kvm_agent_client__new(fd, ops, priv);
	if (!client) {
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "no memory for a session");
		return NULL;
	}
	if (!kvm_agent_client__hello(client, KVM_AGENT_VERSION_MIN, KVM_AGENT_VERSION_MAX))
		return client;
	*error = client->error;
	kvm_agent_client__delete(client);
	return NULL;
}

/* Never 0, which is no request's. */
static u32 new_id(struct kvm_agent_client *client)
{
	client->last_id = client->last_id % INT32_MAX + 1;
	return client->last_id;
}

/* Errors, and sending */

static int take_error(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_frame_error fixed;
	char text[400];

	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	kvm_channel__clean_text(text, sizeof(text), frame->var, frame->var_len);
	if (fixed.fatal)
		client->state = KVM_AGENT_CLIENT_DEAD;
	return kvm_agent_error__set(&client->error, le32toh(fixed.code), fixed.fatal,
				    "the agent says: %s", text);
}

static int dispatch(struct kvm_agent_client *client, const struct kvm_frame *frame);

/* Of an agent that is gone, only its reason and what belongs to the recording matter. */
static int take_last_frame(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	switch (frame->type) {
	case KVM_FRAME_ERROR:
		take_error(client, frame);
		client->state = KVM_AGENT_CLIENT_DEAD;
		return -EPROTO;
	case KVM_FRAME_DATA:
	case KVM_FRAME_CLOCK:
	case KVM_FRAME_SUMMARY:
		return client->state == KVM_AGENT_CLIENT_RECORDING ? dispatch(client, frame) : 0;
	default:
		return 0;
	}
}

/* When nothing can be sent any more: what was not read yet has come, and may say why. */
static int lose_or_error(struct kvm_agent_client *client, int err)
{
	const u64 deadline = kvm_channel__now() + BYE_TIMEOUT;
	struct kvm_agent_error ignored;
	struct kvm_frame frame;

	if (client->state == KVM_AGENT_CLIENT_DEAD)
		return -EPIPE;
	do {
		while (kvm_channel__next(client->channel, &frame, &ignored) > 0) {
			if (take_last_frame(client, &frame))
				return -EPROTO;
		}
	} while (!kvm_channel__fill(client->channel) && kvm_channel__now() < deadline);
	return lose(client, err);
}

static int send_frame(struct kvm_agent_client *client, u16 type, u32 id, const void *fixed,
		      size_t fixed_len, const void *var, size_t var_len)
{
	int err = client->state == KVM_AGENT_CLIENT_DEAD ? -EPIPE : 0;

	if (!err)
		err = kvm_channel__put(client->channel, type, id, fixed, fixed_len, var, var_len);
	if (!err)
		err = kvm_channel__flush_until(client->channel, kvm_channel__now() + REPLY_TIMEOUT);
	client->last_sent = kvm_channel__now();
	return err ? lose_or_error(client, err) : 0;
}

/* Receiving */

/* A piece of the recording, which is not compressed any more. */
static int pass_on(void *priv, const void *data, size_t len)
{
	struct kvm_agent_client *client = priv;

	if (len > client->max_bytes - client->stream.bytes)
		return kvm_agent_client__fail(client, KVM_AGENT_E_REFUSED,
			      "the agent sent what decompresses to more bytes than the recording may have");
	kvm_agent_stream__feed(&client->stream, data, len);
	if (client->ops->data(client->priv, data, len))
		return kvm_agent_client__fail(client, KVM_AGENT_E_FAILED, "the recording could not be stored");
	return 0;
}

static int unpack(struct kvm_agent_client *client, const void *data, size_t len)
{
	int err = kvm_agent_unpack__feed(client->unpack, data, len);

	if (!err || client->state == KVM_AGENT_CLIENT_DEAD)
		return err;
	return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
		      "what the agent sent cannot be decompressed: it is cut off there");
}

static int take_data(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_frame_data fixed;

	if (client->state == KVM_AGENT_CLIENT_RECEIVING)
		return kvm_agent_client__take_file_data(client, frame);
	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	if (client->state != KVM_AGENT_CLIENT_RECORDING || frame->id != client->start_id)
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
			      "the agent sent data of a recording that nobody asked for");
	if (le64toh(fixed.offset) != client->received)
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
			      "the agent's data have a gap, or come twice");
	if (frame->var_len > client->max_bytes - client->received)
		return kvm_agent_client__fail(client, KVM_AGENT_E_REFUSED,
			      "the agent sent more bytes than the recording may have");
	client->received += frame->var_len;
	return client->unpack ? unpack(client, frame->var, frame->var_len) :
	       pass_on(client, frame->var, frame->var_len);
}

static bool is_complete(const struct kvm_agent_client *client)
{
	const struct kvm_agent_summary *summary = &client->summary;

	return !summary->flags && !kvm_agent_stream__is_torn(&summary->counted) &&
	       (!client->unpack || !kvm_agent_unpack__is_torn(client->unpack)) &&
	       summary->bytes == client->received;
}

static int take_summary(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_agent_summary *summary = &client->summary;
	struct kvm_frame_summary fixed;

	if (client->state != KVM_AGENT_CLIENT_RECORDING || frame->id != client->start_id)
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
			      "the agent sent the summary of a recording that nobody asked for");
	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	summary->counted = client->stream;
	summary->bytes = le64toh(fixed.bytes);
	summary->status = le32toh(fixed.status);
	summary->flags = le32toh(fixed.flags);
	summary->complete = is_complete(client);
	kvm_channel__clean_text(summary->messages, sizeof(summary->messages), frame->var,
				frame->var_len);
	client->state = KVM_AGENT_CLIENT_READY;
	return 0;
}

/* On the way back the host's clock is read first, as all else makes the bound larger. */
static int take_probe(struct kvm_agent_client *client, const struct kvm_frame *frame,
		      struct kvm_agent_reading *reading)
{
	struct kvm_frame_probe_reply fixed;
	u64 now, half;

	if (!client->probe_id || frame->id != client->probe_id)
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
			      "the agent answered a probe that was not sent");
	if (kvm_agent_clocks__read(&client->clocks, client->clock, &now))
		return kvm_agent_client__fail(client, KVM_AGENT_E_FAILED, "the host's clock cannot be read");
	client->probe_id = 0;
	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	if (now < client->probe_sent)
		return kvm_agent_client__fail(client, KVM_AGENT_E_FAILED, "the host's clock went back");
	half = (now - client->probe_sent + 1) / 2;
	reading->clock = client->clock;
	reading->at = client->probe_sent + half;
	reading->bound = half;
	reading->offset = le64toh(fixed.time) - reading->at;
	return 0;
}

static int take_kept_probe(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_agent_reading reading;
	int err = take_probe(client, frame, &reading);

	if (!err && client->ops->reading)
		client->ops->reading(client->priv, &reading);
	return err;
}

static int take_clock(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_frame_clock fixed;
	struct kvm_agent_clock_state clock;

	if (client->state != KVM_AGENT_CLIENT_RECORDING || frame->id != client->start_id ||
	    !(client->start_flags & KVM_START_CLOCK))
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
			      "the agent told of a clock that nobody asked for");
	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	clock = (struct kvm_agent_clock_state){
		.related	= le32toh(fixed.flags) & KVM_CLOCK_RELATED,
		.last		= le32toh(fixed.flags) & KVM_CLOCK_LAST,
		.until		= le64toh(fixed.until),
		.time		= le64toh(fixed.time),
		.epoch		= le64toh(fixed.epoch),
		.offset		= le64toh(fixed.offset),
	};
	client->ops->clock(client->priv, &clock);
	return 0;
}

/* What may come without being waited for. */
static int dispatch(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	switch (frame->type) {
	case KVM_FRAME_DATA:
		return take_data(client, frame);
	case KVM_FRAME_SUMMARY:
		return take_summary(client, frame);
	case KVM_FRAME_CLOCK:
		return take_clock(client, frame);
	case KVM_FRAME_PROBE_REPLY:
		return take_kept_probe(client, frame);
	case KVM_FRAME_ERROR:
		if (frame->id && frame->id == client->probe_id) {
			client->probe_id = 0;	/* the guest lost that clock: not fatal */
			return 0;
		}
		return take_error(client, frame);
	default:
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
			      "the agent sent a reply that nobody waits for");
	}
}

static int wait_and_fill(struct kvm_agent_client *client, u64 deadline)
{
	int err = kvm_channel__wait(client->channel->fd, POLLIN, deadline);

	if (err == -ETIMEDOUT || err == -EINTR)
		return err;
	if (!err)
		err = kvm_channel__fill(client->channel);
	if (err && err != -EAGAIN)
		return lose(client, err);
	if (!err)
		client->last_received = kvm_channel__now();
	return 0;
}

/* Returns 1 and a frame, 0 if there is none yet, or an error. */
static int next_frame(struct kvm_agent_client *client, struct kvm_frame *frame)
{
	int ret;

	if (client->state == KVM_AGENT_CLIENT_DEAD)
		return -EPIPE;
	ret = kvm_channel__next(client->channel, frame, &client->error);
	if (ret < 0)
		client->state = KVM_AGENT_CLIENT_DEAD;
	return ret;
}

/* Waits for the reply to a request; what comes before it is handled as it comes. */
static int wait_reply(struct kvm_agent_client *client, u16 type, u32 id, struct kvm_frame *frame)
{
	const u64 deadline = kvm_channel__now() +
			     (type == KVM_FRAME_FILE ? FILE_TIMEOUT : REPLY_TIMEOUT);

	while (kvm_channel__now() < deadline) {
		int ret = next_frame(client, frame);

		if (ret < 0)
			return ret;
		if (!ret) {
			ret = wait_and_fill(client, deadline);
			if (ret && ret != -EINTR && ret != -ETIMEDOUT)
				return ret;
			continue;
		}
		if (frame->type == type && frame->id == id)
			return 0;
		if (frame->type == KVM_FRAME_ERROR && frame->id == id) {
			client->probe_id = id == client->probe_id ? 0 : client->probe_id;
			return take_error(client, frame);
		}
		ret = dispatch(client, frame);
		if (ret)
			return ret;
	}
	return kvm_agent_client__fail(client, KVM_AGENT_E_TIMEOUT, "the agent did not answer in time");
}

/* Requests */

int kvm_agent_client__hello(struct kvm_agent_client *client, u16 min, u16 max)
{
	const struct kvm_frame_hello hello = {
		.magic	= htole32(KVM_AGENT_MAGIC),
		.min	= htole16(min),
		.max	= htole16(max),
	};
	const u32 id = new_id(client);
	struct kvm_frame_welcome welcome;
	struct kvm_frame frame;
	int err = send_frame(client, KVM_FRAME_HELLO, id, &hello, sizeof(hello), NULL, 0) ?:
		  wait_reply(client, KVM_FRAME_WELCOME, id, &frame);

	if (err)
		return err;
	kvm_frame__get_fixed(&frame, &welcome, sizeof(welcome));
	if (le32toh(welcome.magic) != KVM_AGENT_MAGIC)
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL, "what answers is no agent of perf's");
	client->version = le16toh(welcome.version);
	client->state = KVM_AGENT_CLIENT_READY;
	if (client->version >= min && client->version <= max)
		return 0;
	client->state = KVM_AGENT_CLIENT_DEAD;
	return kvm_agent_error__set(&client->error, KVM_AGENT_E_VERSION, true,
				    "the agent wants version %u of the protocol, the host speaks %u to %u: update the %s",
				    client->version, min, max,
				    client->version > max ? "host's perf" : "agent");
}

struct cap_field {
	const char	*key;
	size_t		 offset;
	size_t		 size;
};

#define CAP(field)	\
	{ #field, offsetof(struct kvm_agent_caps, field), \
	  sizeof(((struct kvm_agent_caps *)NULL)->field) }

static void set_cap(struct kvm_agent_caps *caps, const char *key, const char *value)
{
	static const struct cap_field fields[] = {
		CAP(release), CAP(machine), CAP(perf), CAP(perf_pv_clock),
		CAP(perf_pv_clock_host), CAP(clocks), CAP(compression),
	};
	u64 number;

	if (pv_clock__parse_u64(value, 10, &number))
		number = UINT64_MAX;
	if (!strcmp(key, "cpus") && number <= MAX_CPUS)
		caps->nr_cpus = number;
	if (!strcmp(key, "start-flags") && number <= UINT32_MAX)
		caps->start_flags = number;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!strcmp(key, fields[i].key))
			scnprintf((char *)caps + fields[i].offset, fields[i].size, "%s", value);
	}
}

/* What is not understood is not there. */
void kvm_agent_caps__parse(struct kvm_agent_caps *caps, const void *text, size_t len)
{
	char copy[KVM_FRAME_TEXT_MAX + 1], *pos = copy;

	memset(caps, 0, sizeof(*caps));
	kvm_channel__clean_text(copy, sizeof(copy), text, len);
	for (char *line; (line = strsep(&pos, "\n")); ) {
		char *key = strsep(&line, " ");

		if (line)
			set_cap(caps, key, line);
	}
}

int kvm_agent_client__get_caps(struct kvm_agent_client *client, struct kvm_agent_caps *caps)
{
	const u32 id = new_id(client);
	struct kvm_frame frame;
	int err = send_frame(client, KVM_FRAME_GET_CAPS, id, NULL, 0, NULL, 0) ?:
		  wait_reply(client, KVM_FRAME_CAPS, id, &frame);

	if (err)
		return err;
	kvm_agent_caps__parse(caps, frame.var, frame.var_len);
	client->start_flags = client->ops->clock ? caps->start_flags & KVM_START_CLOCK : 0;
	return 0;
}

static int send_probe(struct kvm_agent_client *client, u32 clock)
{
	const struct kvm_frame_probe probe = { .clock = htole32(clock) };
	const u32 id = new_id(client);

	if (kvm_agent_clocks__read(&client->clocks, clock, &client->probe_sent))
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_FAILED, false,
					    "clock %u of the host cannot be read", clock);
	client->clock = clock;
	client->probe_id = id;
	return send_frame(client, KVM_FRAME_PROBE, id, &probe, sizeof(probe), NULL, 0);
}

/* The probe in flight, if there is one, is waited for: only one is at a time. */
static int wait_probe(struct kvm_agent_client *client, struct kvm_agent_reading *reading)
{
	struct kvm_frame frame;
	int err = wait_reply(client, KVM_FRAME_PROBE_REPLY, client->probe_id, &frame);

	return err ?: take_probe(client, &frame, reading);
}

int kvm_agent_client__probe(struct kvm_agent_client *client, u32 clock, unsigned int count,
			    struct kvm_agent_reading *best)
{
	struct kvm_agent_reading reading;
	int err = client->probe_id ? wait_probe(client, &reading) : 0;

	best->bound = UINT64_MAX;
	while (!err && count--) {
		err = send_probe(client, clock) ?: wait_probe(client, &reading);
		if (!err && reading.bound < best->bound)
			*best = reading;
	}
	return err;
}

/* Sends one probe, if none is on its way. The reading comes by the callback, from poll(). */
int kvm_agent_client__ask_time(struct kvm_agent_client *client, u32 clock)
{
	return client->probe_id ? 0 : send_probe(client, clock);
}

int kvm_agent_client__get_file_frame(struct kvm_agent_client *client,
				     const struct kvm_frame_get_file *fixed, const char *path,
				     u32 *id, struct kvm_frame *reply)
{
	*id = new_id(client);
	return send_frame(client, KVM_FRAME_GET_FILE, *id, fixed, sizeof(*fixed), path,
			  strlen(path)) ?:
	       wait_reply(client, KVM_FRAME_FILE, *id, reply);
}

/* A recording */

static int put_options(char *text, const char * const *options, size_t nr_options, size_t *len)
{
	*len = 0;
	if (nr_options > KVM_AGENT_MAX_OPTIONS)
		return -E2BIG;
	for (size_t i = 0; i < nr_options; i++) {
		size_t size = strlen(options[i]) + 1;

		if (size > KVM_FRAME_TEXT_MAX - *len)
			return -E2BIG;
		memcpy(text + *len, options[i], size);
		*len += size;
	}
	return 0;
}

/* perf record in the guest compresses if it has such an option. */
static bool is_compressed(const char * const *options, size_t nr_options)
{
	for (size_t i = 0; i < nr_options && strcmp(options[i], "--"); i++) {
		if (strstarts(options[i], "--compression-level="))
			return true;
	}
	return false;
}

static int begin_unpack(struct kvm_agent_client *client, bool compressed)
{
	kvm_agent_unpack__delete(client->unpack);
	client->unpack = NULL;
	if (!compressed)
		return 0;
	if (!kvm_agent_unpack__is_supported())
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_REFUSED, false,
					    "this perf cannot decompress: it was built without zstd");
	client->unpack = kvm_agent_unpack__new(&client->stream, pass_on, client);
	return client->unpack ? 0 : kvm_agent_error__set(&client->error, KVM_AGENT_E_FAILED, false,
							 "no memory to decompress");
}

/* Up to max_bytes are taken; a guest that sends more has lost its session. */
int kvm_agent_client__start(struct kvm_agent_client *client, const char * const *options,
			    size_t nr_options, u64 max_bytes)
{
	const struct kvm_frame_start start = { .flags = htole32(client->start_flags) };
	const u32 id = new_id(client);
	char text[KVM_FRAME_TEXT_MAX];
	struct kvm_frame frame;
	size_t len;
	int err;

	if (client->state != KVM_AGENT_CLIENT_READY)
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_ORDER, false,
					    "a recording cannot be started now");
	if (put_options(text, options, nr_options, &len))
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_REFUSED, false,
					    "the options of the recording are too long, or too many");
	err = begin_unpack(client, is_compressed(options, nr_options)) ?:
	      send_frame(client, KVM_FRAME_START, id, &start, sizeof(start), text, len) ?:
	      wait_reply(client, KVM_FRAME_STARTED, id, &frame);
	if (err)
		return err;
	client->start_id = id;
	client->max_bytes = max_bytes;
	client->received = 0;
	client->past_samples += client->stream.samples;
	client->past_lost += count_lost(&client->stream);
	kvm_agent_stream__init(&client->stream);
	memset(&client->summary, 0, sizeof(client->summary));
	client->state = KVM_AGENT_CLIENT_RECORDING;
	return 0;
}

static int keep_alive(struct kvm_agent_client *client)
{
	const u64 now = kvm_channel__now();

	if (client->probe_id && now - client->last_received > SILENCE_TIMEOUT)
		return kvm_agent_client__fail(client, KVM_AGENT_E_TIMEOUT, "the agent was silent for 30 seconds");
	if (client->probe_id || now - client->last_sent < KEEP_ALIVE)
		return 0;
	/* Any clock keeps alive; that one can be read everywhere. */
	if (send_probe(client, client->keep_clock) && client->state != KVM_AGENT_CLIENT_DEAD)
		client->keep_clock = KVM_AGENT_CLOCK_MONOTONIC;
	return client->state == KVM_AGENT_CLIENT_DEAD ? -EPIPE : 0;
}

/* Handles what came. */
static int handle_frames(struct kvm_agent_client *client)
{
	struct kvm_frame frame;
	int ret;

	while ((ret = next_frame(client, &frame)) > 0) {
		ret = dispatch(client, &frame);
		if (ret)
			return ret;
	}
	return ret;
}

static bool is_busy(const struct kvm_agent_client *client)
{
	return client->state == KVM_AGENT_CLIENT_RECORDING ||
	       client->state == KVM_AGENT_CLIENT_RECEIVING;
}

/*
 * Takes what comes within the time. Returns 1 when no recording runs, as its
 * summary is there; 0 if it goes on; or an error. It is the same with a file.
 */
int kvm_agent_client__poll(struct kvm_agent_client *client, unsigned int timeout_ms)
{
	int err = handle_frames(client);

	if (!err && is_busy(client)) {
		err = wait_and_fill(client, kvm_channel__now() + timeout_ms * NSEC_PER_MSEC);
		if (err == -ETIMEDOUT || err == -EINTR)
			err = 0;
		err = err ?: handle_frames(client) ?: keep_alive(client);
	}
	return err ?: !is_busy(client);
}

int kvm_agent_client__stop(struct kvm_agent_client *client)
{
	if (client->state != KVM_AGENT_CLIENT_RECORDING)
		return 0;
	return send_frame(client, KVM_FRAME_STOP, new_id(client), NULL, 0, NULL, 0);
}

/* Stops the recording and takes what is left of it. */
int kvm_agent_client__finish(struct kvm_agent_client *client, unsigned int timeout_s)
{
	const u64 deadline = kvm_channel__now() + timeout_s * NSEC_PER_SEC;
	int ret = kvm_agent_client__stop(client);

	while (!ret) {
		if (kvm_channel__now() > deadline)
			return kvm_agent_client__fail(client, KVM_AGENT_E_TIMEOUT,
				      "the agent did not end the recording in time");
		ret = kvm_agent_client__poll(client, 100);
	}
	return ret < 0 ? ret : 0;
}
