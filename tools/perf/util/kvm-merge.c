// SPDX-License-Identifier: GPL-2.0
/*
 * Merges a host's recording with those of its guests, in one pass: each file gives
 * its records in the order of time, and the earliest of all is written next.
 */
#include "kvm-merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "kvm-merge-tracing.h"
#include "ui/progress.h"

/* Unique among what was given out, and not one of the host's. */
u64 kvm_merge__new_id(struct kvm_merge *merge)
{
	do {
		merge->last_id++;
	} while (!merge->last_id || kvm_merge_ids__find(&merge->host.ids, merge->last_id));
	return merge->last_id;
}

void kvm_merge__count(struct kvm_merge *merge, struct kvm_merge_stats *stats,
		      const union perf_event *event, u64 time)
{
	stats->records++;
	switch (event->header.type) {
	case PERF_RECORD_SAMPLE:
		stats->samples++;
		if (!merge->first_sample)
			merge->first_sample = time;
		merge->last_sample = max(merge->last_sample, time);
		break;
	case PERF_RECORD_LOST:
		stats->lost += event->lost.lost;
		break;
	case PERF_RECORD_LOST_SAMPLES:
		stats->lost_samples += event->lost_samples.lost;
		break;
	default:
		break;
	}
}

/* Number 0 is the host, then the guests. */
static struct kvm_merge_stream *get_stream(struct kvm_merge *merge, size_t nr)
{
	return nr ? &merge->guests[nr - 1].stream : &merge->host.stream;
}

static int emit(struct kvm_merge *merge, size_t nr)
{
	struct kvm_merge_stream *stream = get_stream(merge, nr);
	struct kvm_merge_entry entry;
	int err = kvm_merge_stream__pop(stream, &entry);

	if (err)
		return err;
	err = nr ? kvm_merge_guest__emit(&merge->guests[nr - 1], &entry) :
		   kvm_merge_host__emit(&merge->host, &entry);
	kvm_merge_stream__put(&entry);
	return err ?: kvm_merge_stream__fill(stream);
}

/* The stream that is next, and up to which time it stays so. */
static bool find_first(struct kvm_merge *merge, size_t *first, u64 *until)
{
	u64 time, least = UINT64_MAX;
	bool found = false;

	*until = UINT64_MAX;
	for (size_t i = 0; i <= merge->nr_guests; i++) {
		if (!kvm_merge_stream__peek(get_stream(merge, i), &time))
			continue;
		if (!found || time < least) {
			if (found)
				*until = least;
			least = time;
			*first = i;
			found = true;
		} else {
			*until = min(*until, time);
		}
	}
	return found;
}

static u64 bytes_left(struct kvm_merge *merge)
{
	u64 left = 0;

	for (size_t i = 0; i <= merge->nr_guests; i++)
		left += kvm_merge_stream__left(get_stream(merge, i));
	return left;
}

static bool is_interrupted(const struct kvm_merge *merge)
{
	return merge->signals && READ_ONCE(*merge->signals) != merge->nr_signals;
}

static int emit_run(struct kvm_merge *merge, size_t first, u64 until)
{
	u64 time;
	int err;

	do {
		err = is_interrupted(merge) ? -EINTR : emit(merge, first);
	} while (!err && kvm_merge_stream__peek(get_stream(merge, first), &time) && time < until);
	return err;
}

/* The host goes first: what it tells of the vCPUs' threads is needed for the guests. */
static int merge_streams(struct kvm_merge *merge)
{
	u64 left = bytes_left(merge), now, until;
	struct ui_progress progress;
	size_t first = 0;
	int err = 0;

	ui_progress__init_size(&progress, left, "Merging...");
	for (size_t i = 0; !err && i <= merge->nr_guests; i++)
		err = kvm_merge_stream__fill(get_stream(merge, i));
	while (!err && find_first(merge, &first, &until)) {
		err = emit_run(merge, first, until);
		now = bytes_left(merge);
		if (now != left)
			ui_progress__update(&progress, left - now);
		left = now;
	}
	ui_progress__finish();
	return err;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int check_output(const struct kvm_merge *merge, const char *output)
{
	bool same = is_same_file(output, merge->host.file.path);

	for (size_t i = 0; !same && i < merge->nr_guests; i++)
		same = is_same_file(output, merge->guests[i].file.path);
	if (!same)
		return 0;
	pr_err("%s: is to be read, and cannot be the output as well: give another -o.\n", output);
	return -EINVAL;
}

static int init_guests(struct kvm_merge *merge, const struct kvm_merge_guest_opts *opts, size_t nr)
{
	int err = 0;

	merge->guests = calloc(nr ?: 1, sizeof(*merge->guests));
	if (!merge->guests)
		return -ENOMEM;
	for (; !err && merge->nr_guests < nr; merge->nr_guests++)
		err = kvm_merge_guest__init(&merge->guests[merge->nr_guests], merge,
					    &opts[merge->nr_guests]);
	return err;
}

/* The caller exits it in any case. What is wrong has been said. */
int kvm_merge__run_until(struct kvm_merge *merge, const char *host, const char *output,
			 const struct kvm_merge_guest_opts *guests, size_t nr_guests,
			 const int *signals)
{
	int err;

	memset(merge, 0, sizeof(*merge));
	merge->signals = signals;
	merge->nr_signals = signals ? READ_ONCE(*signals) : 0;
	err = kvm_merge_host__init(&merge->host, merge, host) ?:
	      kvm_merge_tracing__init(merge) ?:
	      init_guests(merge, guests, nr_guests) ?:
	      check_output(merge, output) ?:
	      kvm_merge_output__open(&merge->output, output) ?:
	      merge_streams(merge) ?:
	      kvm_merge__write_header(merge);
	if (err == -ENOMEM)
		pr_err("There is not enough memory.\n");
	if (err == -EINTR)
		pr_err("The merge was interrupted.\n");
	return err;
}

int kvm_merge__run(struct kvm_merge *merge, const char *host, const char *output,
		   const struct kvm_merge_guest_opts *guests, size_t nr_guests)
{
	return kvm_merge__run_until(merge, host, output, guests, nr_guests, /*signals=*/NULL);
}

void kvm_merge__exit(struct kvm_merge *merge)
{
	kvm_merge_output__abort(&merge->output);
	for (size_t i = 0; i < merge->nr_guests; i++)
		kvm_merge_guest__exit(&merge->guests[i]);
	zfree(&merge->guests);
	kvm_merge_tracing__exit(merge);
	kvm_merge_host__exit(&merge->host);
}

static bool is_whole(const struct kvm_merge_file *file, const struct kvm_merge_stream *stream,
		     const struct kvm_merge_stats *stats)
{
	return !file->cut && !stream->damaged && !stats->damaged && !stats->unknown &&
	       !stats->too_large && !stats->nested && !stats->unaligned && !stats->no_format;
}

static void print_left_out(FILE *fp, const char *indent, u64 nr, const char *what)
{
	if (nr)
		fprintf(fp, "%sleft out: %" PRIu64 " %s\n", indent, nr, what);
}

/* Without which a recording is not whole. */
void kvm_merge__print_left_out(const struct kvm_merge_stats *stats,
			       const struct kvm_merge_stream *stream, const char *indent, FILE *fp)
{
	print_left_out(fp, indent, stats->damaged, "damaged records");
	print_left_out(fp, indent, stats->unaligned, "records of times of which nothing is known");
	print_left_out(fp, indent, stats->nested, "records of guests of this guest");
	print_left_out(fp, indent, stats->unknown,
		       "records of a type that this perf does not know");
	print_left_out(fp, indent, stats->no_format,
		       "samples of tracepoints whose format cannot be used");
	print_left_out(fp, indent, stats->too_large,
		       "records that are too large for an identifier");
	if (stream->file->cut || stream->damaged)
		fprintf(fp, "%sthe file is cut off or damaged: its end is left out\n", indent);
}

/*
 * Whether all that the files had went into the output. What no reader can do for a guest
 * does not count: it is in every recording, and no sample is lost by it.
 */
bool kvm_merge__is_complete(const struct kvm_merge *merge)
{
	const struct kvm_merge_host *host = &merge->host;

	for (size_t i = 0; i < merge->nr_guests; i++) {
		const struct kvm_merge_guest *guest = &merge->guests[i];

		if (guest->failed || !is_whole(&guest->file, &guest->stream, &guest->stats))
			return false;
	}
	return is_whole(&host->file, &host->stream, &host->stats);
}
