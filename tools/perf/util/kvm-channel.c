// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of the agent's protocol: puts them into bytes and finds them in bytes
 * that anybody may have sent, and moves them over a file descriptor without
 * ever waiting for it without a deadline.
 */
#include "kvm-channel.h"

#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include <linux/zalloc.h>

struct frame_rule {
	const char		*name;
	enum kvm_frame_from	from;
	size_t			fixed;
	size_t			limit;
};

/* By the type: who sends it, its fixed part, and the limit of its variable part. */
#define RULE(type, sender, part, limit_of)		\
	[KVM_FRAME_##type] = {				\
		.name	= #type,			\
		.from	= KVM_FRAME_FROM_##sender,	\
		.fixed	= sizeof(struct kvm_frame_##part), \
		.limit	= KVM_FRAME_##limit_of##_MAX,	\
	}

static const struct frame_rule *find_rule(u16 type)
{
	static const struct frame_rule rules[] = {
		RULE(HELLO, HOST, hello, TEXT),
		RULE(WELCOME, AGENT, welcome, TEXT),
		RULE(ERROR, AGENT, error, TEXT),
		RULE(GET_CAPS, HOST, none, TEXT),
		RULE(CAPS, AGENT, none, TEXT),
		RULE(PROBE, HOST, probe, TEXT),
		RULE(PROBE_REPLY, AGENT, probe_reply, TEXT),
		RULE(START, HOST, start, TEXT),
		RULE(STARTED, AGENT, none, TEXT),
		RULE(DATA, AGENT, data, DATA),
		RULE(STOP, HOST, none, TEXT),
		RULE(SUMMARY, AGENT, summary, TEXT),
		RULE(BYE, HOST, none, TEXT),
		RULE(GET_FILE, HOST, get_file, TEXT),
		RULE(FILE, AGENT, file, TEXT),
		RULE(CLOCK, AGENT, clock, TEXT),
	};

	return type < ARRAY_SIZE(rules) && rules[type].name ? &rules[type] : NULL;
}

const char *kvm_frame__name(u16 type)
{
	const struct frame_rule *rule = find_rule(type);

	return rule ? rule->name : "unknown";
}

/* Always negative, so that a caller can return it. */
int kvm_agent_error__set(struct kvm_agent_error *error, u32 code, bool fatal, const char *fmt, ...)
{
	va_list args;

	error->code = code;
	error->fatal = fatal;
	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return -EPROTO;
}

/* What the peer calls text ends up on a terminal: nothing but plain characters gets there. */
void kvm_channel__clean_text(char *dst, size_t size, const void *src, size_t len)
{
	const u8 *from = src;
	size_t n = min(len, size - 1);

	for (size_t i = 0; i < n; i++)
		dst[i] = (from[i] >= ' ' && from[i] <= '~') || from[i] == '\n' ? from[i] : '?';
	dst[n] = '\0';
}

static int check_header(enum kvm_frame_from from, u16 type, size_t size, size_t fixed,
			struct kvm_agent_error *error)
{
	const struct frame_rule *rule = find_rule(type);
	const size_t header = sizeof(struct kvm_frame_hdr);

	if (!rule)
		return kvm_agent_error__set(error, KVM_AGENT_E_PROTOCOL, true,
					    "a frame has the unknown type %u", type);
	if (rule->from != from)
		return kvm_agent_error__set(error, KVM_AGENT_E_ORDER, true,
					    "%s is not for this side to send", rule->name);
	if (fixed < rule->fixed || fixed > KVM_FRAME_FIXED_MAX)
		return kvm_agent_error__set(error, KVM_AGENT_E_PROTOCOL, true,
					    "the fixed part of %s has %zu bytes, not %zu to %d",
					    rule->name, fixed, rule->fixed, KVM_FRAME_FIXED_MAX);
	if (size < header + fixed || size - header - fixed > rule->limit)
		return kvm_agent_error__set(error, KVM_AGENT_E_PROTOCOL, true,
					    "%s with a fixed part of %zu bytes has %zu bytes, not %zu to %zu",
					    rule->name, fixed, size, header + fixed,
					    header + fixed + rule->limit);
	return 0;
}

/*
 * Returns the size of the frame at the start of the buffer, 0 if more bytes are
 * needed, or what is wrong with it. The header is judged as soon as it is there.
 */
int kvm_frame__decode(enum kvm_frame_from from, const void *buf, size_t len,
		      struct kvm_frame *frame, struct kvm_agent_error *error)
{
	struct kvm_frame_hdr hdr;
	size_t size, fixed;
	int err;

	if (len < sizeof(hdr))
		return 0;
	memcpy(&hdr, buf, sizeof(hdr));
	size = le32toh(hdr.size);
	fixed = le16toh(hdr.fixed);
	err = check_header(from, le16toh(hdr.type), size, fixed, error);
	if (err)
		return err;
	if (len < size)
		return 0;
	frame->type = le16toh(hdr.type);
	frame->id = le32toh(hdr.id);
	frame->fixed = (const u8 *)buf + sizeof(hdr);
	frame->fixed_len = fixed;
	frame->var = frame->fixed + fixed;
	frame->var_len = size - sizeof(hdr) - fixed;
	return size;
}

/* A newer peer's fixed part is longer: what we do not know of it is left out. */
void kvm_frame__get_fixed(const struct kvm_frame *frame, void *fixed, size_t size)
{
	memset(fixed, 0, size);
	memcpy(fixed, frame->fixed, min(size, frame->fixed_len));
}

/* Returns the size of the frame, or 0 if it has no room. */
size_t kvm_frame__encode(void *buf, size_t size, u16 type, u32 id, const void *fixed,
			 size_t fixed_len, const void *var, size_t var_len)
{
	const size_t total = sizeof(struct kvm_frame_hdr) + fixed_len + var_len;
	struct kvm_frame_hdr hdr = {
		.size	= htole32(total),
		.type	= htole16(type),
		.fixed	= htole16(fixed_len),
		.id	= htole32(id),
	};
	u8 *pos = buf;

	if (total > size)
		return 0;
	memcpy(pos, &hdr, sizeof(hdr));
	pos += sizeof(hdr);
	if (fixed_len)
		memcpy(pos, fixed, fixed_len);
	if (var_len)
		memcpy(pos + fixed_len, var, var_len);
	return total;
}

u64 kvm_channel__now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Returns 0 when the descriptor is ready, or -ETIMEDOUT, or another error. */
int kvm_channel__wait(int fd, short events, u64 deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	for (;;) {
		u64 now = kvm_channel__now();
		int ready, ms = 0;

		if (now < deadline)
			ms = min((deadline - now) / NSEC_PER_MSEC + 1, (u64)INT_MAX);
		ready = poll(&pollfd, 1, ms);
		if (ready > 0)
			return 0;
		if (ready < 0)
			return -errno;
		if (kvm_channel__now() >= deadline)
			return -ETIMEDOUT;
	}
}

/* Takes the descriptor over; on failure it is closed. */
/*
 * A virtio port takes splice() and loses what it was given when its ring has less
 * room than the pipe has pages: see port_fops_splice_write() of Linux 6.12.
 */
static bool loses_spliced(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode);
}

struct kvm_channel *kvm_channel__new(int fd, enum kvm_frame_from peer)
{
	struct kvm_channel *channel = zalloc(sizeof(*channel));
	int flags = fcntl(fd, F_GETFL);

	if (!channel || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		free(channel);
		close(fd);
		return NULL;
	}
	channel->fd = fd;
	channel->peer = peer;
	channel->no_splice = loses_spliced(fd);
	return channel;
}

void kvm_channel__delete(struct kvm_channel *channel)
{
	if (!channel)
		return;
	close(channel->fd);
	free(channel);
}

static void move_to_start(struct kvm_channel *channel)
{
	channel->in_len -= channel->in_pos;
	memmove(channel->in, channel->in + channel->in_pos, channel->in_len);
	channel->in_pos = 0;
}

/*
 * Reads what there is. -EPIPE: the peer has gone; -EAGAIN: there is nothing, or
 * the buffer has whole frames to be taken first, as it holds the longest one.
 */
int kvm_channel__fill(struct kvm_channel *channel)
{
	ssize_t n;

	move_to_start(channel);
	if (channel->in_len == sizeof(channel->in))
		return -EAGAIN;
	n = read(channel->fd, channel->in + channel->in_len,
		 sizeof(channel->in) - channel->in_len);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!n)
		return -EPIPE;
	channel->in_len += n;
	return 0;
}

/*
 * Returns 1 and the next frame, which is valid until the next fill; 0 if it has
 * not come yet; or an error. Whoever begins a frame must end it in time.
 */
int kvm_channel__next(struct kvm_channel *channel, struct kvm_frame *frame,
		      struct kvm_agent_error *error)
{
	const u64 limit = KVM_AGENT_FRAME_TIMEOUT * NSEC_PER_SEC;
	size_t len = channel->in_len - channel->in_pos;
	int size = kvm_frame__decode(channel->peer, channel->in + channel->in_pos, len,
				     frame, error);

	if (size < 0)
		return size;
	if (size) {
		channel->in_pos += size;
		channel->frame_since = 0;
		return 1;
	}
	if (!len)
		return 0;
	if (!channel->frame_since)
		channel->frame_since = kvm_channel__now();
	if (kvm_channel__now() - channel->frame_since > limit)
		return kvm_agent_error__set(error, KVM_AGENT_E_TIMEOUT, true,
					    "a frame was begun and not completed in %d seconds",
					    KVM_AGENT_FRAME_TIMEOUT);
	return 0;
}

static void make_room(struct kvm_channel *channel)
{
	channel->out_len -= channel->out_pos;
	memmove(channel->out, channel->out + channel->out_pos, channel->out_len);
	channel->body_at -= channel->body_left ? channel->out_pos : 0;
	channel->out_pos = 0;
}

/* -ENOBUFS: what was put before has to be flushed first. */
int kvm_channel__put(struct kvm_channel *channel, u16 type, u32 id, const void *fixed,
		     size_t fixed_len, const void *var, size_t var_len)
{
	size_t size;

	make_room(channel);
	size = kvm_frame__encode(channel->out + channel->out_len,
				 sizeof(channel->out) - channel->out_len, type, id,
				 fixed, fixed_len, var, var_len);
	channel->out_len += size;
	return size ? 0 : -ENOBUFS;
}

/* Returns how many bytes are in a pipe, 0 at its end, or -EAGAIN. */
static ssize_t pipe_bytes(int pipe)
{
	struct pollfd pollfd = { .fd = pipe, .events = POLLIN };
	int n = 0;

	/* In this order: what came before the writer closed is still counted. */
	if (poll(&pollfd, 1, 0) < 0 || ioctl(pipe, FIONREAD, &n))
		return -errno;
	if (n > 0)
		return n;
	return pollfd.revents & (POLLHUP | POLLERR) ? 0 : -EAGAIN;
}

/*
 * Puts a frame of up to max of the bytes that are in a pipe now, which stay there
 * until it is flushed. Returns their number, 0 at the end, or an error; nothing
 * else must be pending, and nobody else may read from the pipe.
 */
ssize_t kvm_channel__put_data(struct kvm_channel *channel, u32 id, u64 offset, int pipe,
			      size_t max)
{
	const struct kvm_frame_data fixed = { .offset = htole64(offset) };
	const size_t before = sizeof(struct kvm_frame_hdr) + sizeof(fixed);
	struct kvm_frame_hdr hdr = {
		.type	= htole16(KVM_FRAME_DATA),
		.fixed	= htole16(sizeof(fixed)),
		.id	= htole32(id),
	};
	ssize_t n;

	if (kvm_channel__pending(channel))
		return -EBUSY;
	n = pipe_bytes(pipe);
	if (n <= 0)
		return n;
	max = min_t(size_t, max, KVM_FRAME_DATA_MAX);
	n = min_t(size_t, n, max);
	hdr.size = htole32(before + n);
	memcpy(channel->out, &hdr, sizeof(hdr));
	memcpy(channel->out + sizeof(hdr), &fixed, sizeof(fixed));
	channel->out_pos = 0;
	channel->out_len = before;
	channel->body_at = before;
	channel->body_left = n;
	channel->body_fd = pipe;
	return n;
}

/* The peer's end must not end us by a signal; a virtio port is no socket. */
static ssize_t write_some(int fd, const void *buf, size_t len)
{
	ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(fd, buf, len) : n;
}

/* Up to the body, if it is still to come. */
static int flush_out(struct kvm_channel *channel)
{
	const size_t end = channel->body_left ? channel->body_at : channel->out_len;

	while (channel->out_pos < end) {
		ssize_t n = write_some(channel->fd, channel->out + channel->out_pos,
				       end - channel->out_pos);

		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		channel->out_pos += n;
	}
	return 0;
}

/* Where splice() is refused: by way of out, in front of what is behind the body. */
static int read_body(struct kvm_channel *channel)
{
	u8 chunk[8192];
	size_t max;
	ssize_t n;

	make_room(channel);
	max = min(channel->body_left, sizeof(channel->out) - channel->out_len);
	n = read(channel->body_fd, chunk, min(max, sizeof(chunk)));
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EAGAIN : -EIO;
	memmove(channel->out + n, channel->out, channel->out_len);
	memcpy(channel->out, chunk, n);
	channel->out_len += n;
	channel->body_at = n;
	channel->body_left -= n;
	return 0;
}

/*
 * The bytes go from the pipe to the peer without coming here. They were there when
 * the header was made, so that -EAGAIN is always the peer's.
 */
static int flush_body(struct kvm_channel *channel)
{
	while (channel->body_left && !channel->no_splice) {
		ssize_t n = splice(channel->body_fd, NULL, channel->fd, NULL, channel->body_left,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (!n)
			return -EIO;
		if (n < 0 && errno != EINVAL)
			return errno == EINTR ? -EAGAIN : -errno;
		channel->no_splice = n < 0;
		channel->body_left -= max_t(ssize_t, n, 0);
	}
	return channel->body_left ? read_body(channel) : 0;
}

/* Writes what the descriptor takes. -EAGAIN: there is more. */
int kvm_channel__flush(struct kvm_channel *channel)
{
	int err = 0;

	while (!err && kvm_channel__pending(channel))
		err = flush_out(channel) ?: flush_body(channel);
	if (err)
		return err;
	channel->out_pos = 0;
	channel->out_len = 0;
	return 0;
}

int kvm_channel__flush_until(struct kvm_channel *channel, u64 deadline)
{
	for (;;) {
		int err = kvm_channel__flush(channel);

		if (err != -EAGAIN)
			return err;
		err = kvm_channel__wait(channel->fd, POLLOUT, deadline);
		if (err && err != -EINTR)
			return err;
	}
}
