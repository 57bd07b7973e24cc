/* SPDX-License-Identifier: GPL-2.0 */
/* The channel between perf on a host and its agent in a guest: addresses, frames, deadlines. */
#ifndef __PERF_KVM_CHANNEL_H
#define __PERF_KVM_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include "kvm-agent-proto.h"

#define KVM_FRAME_MAX		(sizeof(struct kvm_frame_hdr) + KVM_FRAME_FIXED_MAX + \
				 KVM_FRAME_DATA_MAX)
/* Replies that wait behind a frame of data. */
#define KVM_CHANNEL_REPLIES	(32 * 1024)

/* Why something was refused or ended; the code is one of the protocol. */
struct kvm_agent_error {
	u32	code;
	bool	fatal;
	char	text[512];
};

/* A frame within the buffer that it was decoded from. */
struct kvm_frame {
	u16		type;
	u32		id;
	const u8	*fixed;
	size_t		fixed_len;
	const u8	*var;
	size_t		var_len;
};

/*
 *	in:   | taken | frames to decode ... | free |
 *	      0       in_pos           in_len
 *	out:  | written | to be written | behind the body | free |
 *	      0         out_pos         body_at     out_len
 *
 * The body is what the last frame before body_at still lacks of its variable
 * part: body_left bytes, which are in a pipe and never come into out.
 */
struct kvm_channel {
	int			fd;
	enum kvm_frame_from	peer;		/* what the peer may send */
	u64			frame_since;	/* ns; 0: no frame has begun */
	size_t			in_pos;
	size_t			in_len;
	size_t			out_pos;
	size_t			out_len;
	size_t			body_at;
	size_t			body_left;
	int			body_fd;	/* the pipe; whoever put it keeps it open */
	bool			no_splice;	/* the peer's descriptor is not fit for it */
	u8			in[KVM_FRAME_MAX];
	u8			out[KVM_FRAME_MAX + KVM_CHANNEL_REPLIES];
};

enum kvm_address_type {
	KVM_ADDRESS_VSOCK,
	KVM_ADDRESS_UNIX,
	KVM_ADDRESS_VIRTIO,
	KVM_ADDRESS_HYBRID,
};

struct kvm_address {
	enum kvm_address_type	type;
	u32			cid;
	u32			port;
	char			path[256];
};

int kvm_agent_error__set(struct kvm_agent_error *error, u32 code, bool fatal, const char *fmt, ...)
	__printf(4, 5);
void kvm_channel__clean_text(char *dst, size_t size, const void *src, size_t len);

const char *kvm_frame__name(u16 type);
int kvm_frame__decode(enum kvm_frame_from from, const void *buf, size_t len,
		      struct kvm_frame *frame, struct kvm_agent_error *error);
void kvm_frame__get_fixed(const struct kvm_frame *frame, void *fixed, size_t size);
size_t kvm_frame__encode(void *buf, size_t size, u16 type, u32 id, const void *fixed,
			 size_t fixed_len, const void *var, size_t var_len);

u64 kvm_channel__now(void);
int kvm_channel__wait(int fd, short events, u64 deadline);

struct kvm_channel *kvm_channel__new(int fd, enum kvm_frame_from peer);
void kvm_channel__delete(struct kvm_channel *channel);
int kvm_channel__fill(struct kvm_channel *channel);
int kvm_channel__next(struct kvm_channel *channel, struct kvm_frame *frame,
		      struct kvm_agent_error *error);
int kvm_channel__put(struct kvm_channel *channel, u16 type, u32 id, const void *fixed,
		     size_t fixed_len, const void *var, size_t var_len);
ssize_t kvm_channel__put_data(struct kvm_channel *channel, u32 id, u64 offset, int pipe,
			      size_t max);
int kvm_channel__flush(struct kvm_channel *channel);
int kvm_channel__flush_until(struct kvm_channel *channel, u64 deadline);

static inline size_t kvm_channel__pending(const struct kvm_channel *channel)
{
	return channel->out_len - channel->out_pos + channel->body_left;
}

/* A reader of requests stops here, so that the peer cannot make replies pile up. */
static inline bool kvm_channel__has_room(const struct kvm_channel *channel)
{
	return sizeof(channel->out) - kvm_channel__pending(channel) >=
	       sizeof(struct kvm_frame_hdr) + KVM_FRAME_FIXED_MAX + KVM_FRAME_TEXT_MAX;
}

int kvm_address__parse(struct kvm_address *address, const char *str, bool listen,
		       struct kvm_agent_error *error);
int kvm_address__connect(const struct kvm_address *address, u64 deadline,
			 struct kvm_agent_error *error);
int kvm_address__listen(const struct kvm_address *address, struct kvm_agent_error *error);
int kvm_address__accept(const struct kvm_address *address, int listener,
			struct kvm_agent_error *error);
int kvm_address__refuse(int fd, const struct kvm_agent_error *error);
void kvm_address__unlisten(const struct kvm_address *address, int listener);

#endif /* __PERF_KVM_CHANNEL_H */
