// SPDX-License-Identifier: GPL-2.0
/*
 * Turns the pipe format with compressed records into the one without: what is in them
 * takes their place. perf compresses its rings only, and each compressed record goes
 * on where the one before ended:
 *
 *   in:   header | attr | COMPRESSED | COMPRESSED | FINISHED_ROUND | ...
 *   out:  header | attr | SAMPLE SAMPLE SAM-PLE ... | FINISHED_ROUND | ...
 *
 * The bytes may be anybody's. perf's own decompression takes a record at a time, whose
 * contents may be of any size; here they come out in pieces of one buffer, and whoever
 * takes them can end it at any of these.
 */
#include "kvm-agent-unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include <perf/event.h>
#include "kvm-agent-stream.h"

/* What level 19 has. A frame that wants more memory than 2^23 bytes is damaged. */
#define WINDOW_LOG	23

struct kvm_agent_unpack {
	struct kvm_agent_stream		 outer;		/* walks over what comes in */
	const struct kvm_agent_stream	*plain;		/* what goes out */
	kvm_agent_unpack_cb		 pass_on;
	void				*priv;
	ZSTD_DStream			*dstream;
	bool				 packed;	/* the last record that began in outer */
	size_t				 len;		/* of what waits in buf */
	u8				 buf[64 * 1024];
};

struct kvm_agent_unpack *kvm_agent_unpack__new(const struct kvm_agent_stream *plain,
					       kvm_agent_unpack_cb pass_on, void *priv)
{
	struct kvm_agent_unpack *unpack = zalloc(sizeof(*unpack));

	if (!unpack)
		return NULL;
	unpack->plain = plain;
	unpack->pass_on = pass_on;
	unpack->priv = priv;
	unpack->dstream = ZSTD_createDStream();
	kvm_agent_stream__init(&unpack->outer);
	unpack->outer.unpacked = true;
	if (!unpack->dstream || ZSTD_isError(ZSTD_initDStream(unpack->dstream)) ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(unpack->dstream, ZSTD_d_windowLogMax,
						WINDOW_LOG))) {
		kvm_agent_unpack__delete(unpack);
		return NULL;
	}
	return unpack;
}

void kvm_agent_unpack__delete(struct kvm_agent_unpack *unpack)
{
	if (!unpack)
		return;
	ZSTD_freeDStream(unpack->dstream);
	free(unpack);
}

static int flush(struct kvm_agent_unpack *unpack)
{
	const size_t len = unpack->len;

	unpack->len = 0;
	return len ? unpack->pass_on(unpack->priv, unpack->buf, len) : 0;
}

static int flush_full(struct kvm_agent_unpack *unpack)
{
	return unpack->len == sizeof(unpack->buf) ? flush(unpack) : 0;
}

static int put(struct kvm_agent_unpack *unpack, const u8 *data, size_t len)
{
	int err = 0;

	while (len && !err) {
		const size_t n = min(len, sizeof(unpack->buf) - unpack->len);

		memcpy(unpack->buf + unpack->len, data, n);
		unpack->len += n;
		data += n;
		len -= n;
		err = flush_full(unpack);
	}
	return err;
}

/* More may be to come without more input as long as the buffer gets full. */
static int decompress(struct kvm_agent_unpack *unpack, const u8 *data, size_t len)
{
	ZSTD_inBuffer in = { data, len, 0 };
	bool full;
	int err;

	do {
		ZSTD_outBuffer out = { unpack->buf, sizeof(unpack->buf), unpack->len };

		if (ZSTD_isError(ZSTD_decompressStream(unpack->dstream, &out, &in)))
			return -EBADMSG;
		unpack->len = out.pos;
		full = out.pos == out.size;
		err = flush_full(unpack);
	} while (!err && (full || in.pos < in.size));
	return err;
}

/* What was compressed has to end with a record, if another one follows. */
static int end_packed(struct kvm_agent_unpack *unpack)
{
	return flush(unpack) ?: kvm_agent_stream__is_torn(unpack->plain) ? -EBADMSG : 0;
}

/* head: of a record of the input, or the pipe's header */
static int begin(struct kvm_agent_unpack *unpack, bool is_record, const void *head, size_t len)
{
	const struct perf_event_header *header = head;
	const bool was_packed = unpack->packed;
	int err = 0;

	unpack->packed = is_record && header->type == PERF_RECORD_COMPRESSED;
	if (unpack->packed)
		return 0;
	if (was_packed)
		err = end_packed(unpack);
	return err ?: put(unpack, head, len);
}

/* The heads of records are collected in outer, their bodies are not. */
static int step(struct kvm_agent_unpack *unpack, const u8 *data, size_t len, size_t *taken)
{
	struct kvm_agent_stream *outer = &unpack->outer;
	const bool is_body = outer->skip, is_record = outer->in_record;
	const size_t need = outer->need;

	*taken = kvm_agent_stream__take(outer, data, len);
	if (outer->broken)
		return -EBADMSG;
	if (is_body)
		return unpack->packed ? decompress(unpack, data, *taken) :
		       put(unpack, data, *taken);
	return outer->have ? 0 : begin(unpack, is_record, outer->buf, need);
}

/* 0, -EBADMSG if it is damaged, or what the callback said. All before that was passed on. */
int kvm_agent_unpack__feed(struct kvm_agent_unpack *unpack, const void *data, size_t len)
{
	const u8 *pos = data;
	int err = 0;

	while (len && !err) {
		size_t taken;

		err = step(unpack, pos, len, &taken);
		pos += taken;
		len -= taken;
	}
	if (err && err != -EBADMSG)
		return err;
	return flush(unpack) ?: err;
}

bool kvm_agent_unpack__is_torn(const struct kvm_agent_unpack *unpack)
{
	return kvm_agent_stream__is_torn(&unpack->outer);
}
