/* SPDX-License-Identifier: GPL-2.0 */
/* Counts what perf's pipe format says of losses, while it passes by. */
#ifndef __PERF_KVM_AGENT_STREAM_H
#define __PERF_KVM_AGENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct kvm_agent_stream {
	u64	bytes;
	u64	samples;
	u64	lost;
	u64	lost_samples;
	u64	throttled;
	u64	skip;		/* of a record, without interest */
	size_t	have;		/* in buf, the beginning of a record */
	size_t	need;
	u8	buf[64] __aligned(8);
	bool	in_record;	/* the pipe's own header has passed */
	bool	initialized;	/* all that was before the recording has passed */
	bool	broken;		/* not understood: nothing is counted any more */
	bool	unpacked;	/* somebody else takes compressed records, which break it else */
};

void kvm_agent_stream__init(struct kvm_agent_stream *stream);
size_t kvm_agent_stream__take(struct kvm_agent_stream *stream, const void *data, size_t len);
void kvm_agent_stream__feed(struct kvm_agent_stream *stream, const void *data, size_t len);
bool kvm_agent_stream__is_torn(const struct kvm_agent_stream *stream);

#endif /* __PERF_KVM_AGENT_STREAM_H */
