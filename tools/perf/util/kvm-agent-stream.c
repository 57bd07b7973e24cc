// SPDX-License-Identifier: GPL-2.0
/*
 * Walks from record to record through perf's pipe format, in pieces of any size,
 * and adds up what was lost. The bytes may be anybody's: they are only counted.
 */
#include "kvm-agent-stream.h"

#include <string.h>
#include <linux/kernel.h>
#include <perf/event.h>

struct pipe_header {
	char	magic[8];
	u64	size;
};

void kvm_agent_stream__init(struct kvm_agent_stream *stream)
{
	memset(stream, 0, sizeof(*stream));
	stream->need = sizeof(struct pipe_header);
}

/* How much of a record must be seen; no more than is in it, and than buf has. */
static size_t wanted(const struct perf_event_header *header)
{
	switch (header->type) {
	case PERF_RECORD_LOST:
		return sizeof(struct perf_record_lost);
	case PERF_RECORD_LOST_SAMPLES:
		return sizeof(struct perf_record_lost_samples);
	case PERF_RECORD_HEADER_TRACING_DATA:
		return sizeof(struct perf_record_header_tracing_data);
	case PERF_RECORD_AUXTRACE:
		return sizeof(struct perf_record_auxtrace);
	default:
		return sizeof(*header);
	}
}

/* Two types of records have more behind them than their size says. */
static void count_record(struct kvm_agent_stream *stream, const union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_SAMPLE:
		stream->samples++;
		break;
	case PERF_RECORD_LOST:
		stream->lost += event->lost.lost;
		break;
	case PERF_RECORD_LOST_SAMPLES:
		stream->lost_samples += event->lost_samples.lost;
		break;
	case PERF_RECORD_THROTTLE:
		stream->throttled++;
		break;
	case PERF_RECORD_HEADER_TRACING_DATA:
		stream->skip += event->tracing_data.size;
		break;
	case PERF_RECORD_AUXTRACE:
		stream->broken = event->auxtrace.size > INT64_MAX;
		stream->skip += event->auxtrace.size;
		break;
	case PERF_RECORD_FINISHED_INIT:
		stream->initialized = true;
		break;
	case PERF_RECORD_COMPRESSED:
		stream->broken = !stream->unpacked;
		break;
	default:
		break;
	}
}

static void begin_record(struct kvm_agent_stream *stream)
{
	stream->have = 0;
	stream->need = sizeof(struct perf_event_header);
}

static void end_pipe_header(struct kvm_agent_stream *stream)
{
	struct pipe_header header;

	memcpy(&header, stream->buf, sizeof(header));
	stream->broken = memcmp(header.magic, "PERFILE2", sizeof(header.magic)) ||
			 header.size != sizeof(header);
	stream->in_record = true;
	begin_record(stream);
}

/* buf has all that was needed: more of the record may be, or it can be counted. */
static void end_part(struct kvm_agent_stream *stream)
{
	union perf_event *event = (union perf_event *)stream->buf;
	struct perf_event_header header;
	size_t want;

	if (!stream->in_record) {
		end_pipe_header(stream);
		return;
	}
	memcpy(&header, stream->buf, sizeof(header));
	want = wanted(&header);
	if (header.size < want || want > sizeof(stream->buf)) {
		stream->broken = true;
		return;
	}
	if (stream->have < want) {
		stream->need = want;
		return;
	}
	stream->skip = header.size - stream->have;
	count_record(stream, event);
	begin_record(stream);
}

/* Takes a part of it, which is of one record, and within that of its head or its body. */
size_t kvm_agent_stream__take(struct kvm_agent_stream *stream, const void *data, size_t len)
{
	size_t n;

	if (stream->skip) {
		n = min_t(u64, len, stream->skip);
		stream->skip -= n;
		return n;
	}
	n = min(len, stream->need - stream->have);
	memcpy(stream->buf + stream->have, data, n);
	stream->have += n;
	if (stream->have == stream->need)
		end_part(stream);
	return n;
}

void kvm_agent_stream__feed(struct kvm_agent_stream *stream, const void *data, size_t len)
{
	const u8 *pos = data;

	stream->bytes += len;
	while (len && !stream->broken) {
		size_t n = kvm_agent_stream__take(stream, pos, len);

		pos += n;
		len -= n;
	}
}

/* An empty stream is not torn: perf record failed before it wrote. */
bool kvm_agent_stream__is_torn(const struct kvm_agent_stream *stream)
{
	return stream->broken || stream->skip || stream->have;
}
