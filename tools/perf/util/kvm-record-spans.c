// SPDX-License-Identifier: GPL-2.0
/*
 * Makes segments of what was seen of a guest's clock while it was recorded. When exactly
 * it changed nobody tells: from the time at which the old state was seen last, up to the
 * one at which the new one was seen first, it is unknown.
 */
#include "kvm-record-spans.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "kvm-merge-clock.h"

/* A guest may say what it wants, as often as it wants. */
#define MAX_SPANS	4096

static bool is_same(const struct kvm_record_span *a, const struct kvm_record_span *b)
{
	if (a->unknown || b->unknown)
		return a->unknown == b->unknown;
	return a->epoch == b->epoch && a->offset == b->offset;
}

static int add(struct kvm_record_spans *spans, const struct kvm_record_span *span)
{
	struct kvm_record_span *list;

	if (spans->nr == MAX_SPANS || span->from > INT64_MAX ||
	    (spans->nr && span->from <= spans->list[spans->nr - 1].until)) {
		spans->broken = true;
		return 0;
	}
	list = reallocarray(spans->list, spans->nr + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	spans->list = list;
	list[spans->nr] = *span;
	list[spans->nr].until = max(span->from, span->until);
	spans->nr++;
	return 0;
}

/* What is seen has to come in the order of the guest's time, and must not overlap. */
int kvm_record_spans__see(struct kvm_record_spans *spans, const struct kvm_record_span *span)
{
	struct kvm_record_span *last = spans->nr ? &spans->list[spans->nr - 1] : NULL;

	if (spans->broken)
		return 0;
	if (!last || !is_same(last, span))
		return add(spans, span);
	last->until = max(last->until, span->until);
	return 0;
}

/* NULL: between these two times it changed, or it is not known whether it did. */
const struct kvm_record_span *kvm_record_spans__at(const struct kvm_record_spans *spans, u64 from,
						   u64 until)
{
	for (size_t i = 0; i < spans->nr; i++) {
		const struct kvm_record_span *span = &spans->list[i];

		if ((!i || span->from <= from) && (i + 1 == spans->nr || until <= span->until))
			return span;
	}
	return NULL;
}

static void put(struct kvm_merge_segment *segments, size_t *nr,
		const struct kvm_merge_segment *segment)
{
	const struct kvm_merge_segment *last = *nr ? &segments[*nr - 1] : NULL;

	if (!last || last->unknown != segment->unknown ||
	    (!last->unknown && last->offset != segment->offset))
		segments[(*nr)++] = *segment;
}

/* Where the host's clock is another one than that of epoch, nothing is known. */
int kvm_record_spans__to_segments(const struct kvm_record_spans *spans, u64 epoch,
				  struct kvm_merge_segment **segments, size_t *nr)
{
	*nr = 0;
	*segments = calloc(2 * spans->nr + 1, sizeof(**segments));
	if (!*segments)
		return -ENOMEM;
	for (size_t i = 0; i < spans->nr; i++) {
		const struct kvm_record_span *span = &spans->list[i];
		const struct kvm_merge_segment known = {
			.from		= i ? span->from : 0,
			.offset		= span->offset,
			.unknown	= span->unknown || span->epoch != epoch,
		};
		const struct kvm_merge_segment between = {
			.from		= i ? spans->list[i - 1].until + 1 : 0,
			.unknown	= true,
		};

		if (i && between.from < known.from)
			put(*segments, nr, &between);
		put(*segments, nr, &known);
	}
	return 0;
}

void kvm_record_spans__exit(struct kvm_record_spans *spans)
{
	zfree(&spans->list);
	spans->nr = 0;
}
