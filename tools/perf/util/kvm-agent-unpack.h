/* SPDX-License-Identifier: GPL-2.0 */
/* Decompresses what perf record -z writes in the pipe format, while it passes by. */
#ifndef __PERF_KVM_AGENT_UNPACK_H
#define __PERF_KVM_AGENT_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/compiler.h>

/* Of zstd: the next one needs four times the memory, on both sides. */
#define KVM_AGENT_MAX_LEVEL	19

struct kvm_agent_stream;
struct kvm_agent_unpack;

/* Takes a piece of the same recording without compression. What is not 0 is an error. */
typedef int (*kvm_agent_unpack_cb)(void *priv, const void *data, size_t len);

#ifdef HAVE_ZSTD_SUPPORT
static inline bool kvm_agent_unpack__is_supported(void)
{
	return true;
}

/* plain: walks over what was passed on */
struct kvm_agent_unpack *kvm_agent_unpack__new(const struct kvm_agent_stream *plain,
					       kvm_agent_unpack_cb pass_on, void *priv);
void kvm_agent_unpack__delete(struct kvm_agent_unpack *unpack);
int kvm_agent_unpack__feed(struct kvm_agent_unpack *unpack, const void *data, size_t len);
bool kvm_agent_unpack__is_torn(const struct kvm_agent_unpack *unpack);
#else
static inline bool kvm_agent_unpack__is_supported(void)
{
	return false;
}

static inline struct kvm_agent_unpack *
kvm_agent_unpack__new(const struct kvm_agent_stream *plain __maybe_unused,
		      kvm_agent_unpack_cb pass_on __maybe_unused, void *priv __maybe_unused)
{
	return NULL;
}

static inline void kvm_agent_unpack__delete(struct kvm_agent_unpack *unpack __maybe_unused)
{
}

static inline int kvm_agent_unpack__feed(struct kvm_agent_unpack *unpack __maybe_unused,
					 const void *data __maybe_unused,
					 size_t len __maybe_unused)
{
	return -1;
}

static inline bool
kvm_agent_unpack__is_torn(const struct kvm_agent_unpack *unpack __maybe_unused)
{
	return false;
}
#endif

#endif /* __PERF_KVM_AGENT_UNPACK_H */
