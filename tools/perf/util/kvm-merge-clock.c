// SPDX-License-Identifier: GPL-2.0
/*
 * Aligns the times of a guest's recording with its host's, by what both files
 * tell and what the user measured. Where that is not enough nothing is guessed.
 *
 * An offset may change while a guest is recorded, as by migration or resume. Then a
 * new segment begins at a time of the guest's:
 *
 *   guest  |----- segment 0 -----|--- unknown ---|----- segment 2 ----->
 *          from                  from            from
 */
#include "kvm-merge-clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "header.h"
#include "kvm-merge-file.h"
#include "kvm-merge-stream.h"
#include "pv-clock-feature.h"

/* perf's clock in the guest is the host's, and each side rounds for itself. */
#define PV_BOUND	2

static bool has_clockid(const struct kvm_merge_file *file)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		if (file->attrs[i].attr.use_clockid)
			return true;
	}
	return false;
}

static int read_pv_clock(const struct kvm_merge_file *file, struct pv_clock_feature *feature)
{
	struct perf_header ph = { .needs_swap = false };
	struct feat_fd ff = { .ph = &ph, .fd = -1 };
	int err = kvm_merge_file__feature(file, HEADER_PV_CLOCK, &ff.buf, &ff.size);

	if (err)
		return err;
	err = process_pv_clock(&ff, NULL);
	*feature = ph.env.pv_clock;
	free(ff.buf);
	return err ?: *feature->source ? 0 : -ENOENT;
}

/* What is of earlier times than the first segment is not known. */
static const char *copy_segments(struct kvm_merge_clock *clock,
				 const struct kvm_merge_segment *table, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		if (table[i].from <= table[i - 1].from)
			return "its segments are not in the order of time";
	}
	if (table[nr - 1].from > INT64_MAX)
		return "a segment of its clock begins at a time that cannot be";
	clock->segments = memdup(table, nr * sizeof(*table));
	clock->reached = calloc(nr, sizeof(*clock->reached));
	clock->nr_segments = nr;
	return clock->segments && clock->reached ? NULL : "there is not enough memory";
}

static const char *one_segment(struct kvm_merge_clock *clock, s64 offset)
{
	const struct kvm_merge_segment segment = { .offset = offset };

	return copy_segments(clock, &segment, 1);
}

/* Why it cannot be is said by the caller, who knows whether the user wanted it. */
static const char *try_pv(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *guest)
{
	struct pv_clock_feature feature;

	clock->method = KVM_MERGE_CLOCK_PV;
	clock->bound = PV_BOUND;
	if (opts->no_pv)
		return opts->no_pv;
	if (opts->nr_pv)
		return copy_segments(clock, opts->pv, opts->nr_pv);
	if (opts->has_pv_offset)
		return one_segment(clock, opts->pv_offset);
	if (read_pv_clock(guest, &feature))
		return "its header does not have the paravirtual perf clock (PV_CLOCK):\n"
		       "         record it in a guest whose 'perf kvm pvpmu clock' says page or msr,\n"
		       "         or give the offset that it showed there, as pv-offset=NS";
	if (feature.changed)
		return "its perf clock changed while it was recorded: record it again, or give what\n"
		       "         is known of it as a table (readings=FILE)";
	return one_segment(clock, feature.relation.offset);
}

static bool parse_time_conv(const union perf_event *event, struct perf_tsc_conversion *conv)
{
	const struct perf_record_time_conv *tc = &event->time_conv;
	bool has_short = event->header.size > offsetof(struct perf_record_time_conv, time_cycles);

	if (event->header.size < offsetof(struct perf_record_time_conv, time_cycles) ||
	    tc->time_shift >= 32 || !tc->time_mult || tc->time_mult > UINT32_MAX)
		return false;
	conv->time_shift = tc->time_shift;
	conv->time_mult = tc->time_mult;
	conv->time_zero = tc->time_zero;
	if (!has_short || event->header.size < sizeof(*tc))
		return true;
	conv->cap_user_time_zero = tc->cap_user_time_zero;
	/* Its counter is a short one, which the times of a recording do not undo. */
	return tc->cap_user_time_zero && !tc->cap_user_time_short;
}

/* perf record writes it before the first sample, or with --tail-synthesize at the end. */
static int find_time_conv(const struct kvm_merge_file *file, struct perf_tsc_conversion *conv)
{
	struct kvm_merge_stream stream;
	union perf_event *event;
	int err;

	err = kvm_merge_stream__init(&stream, file);
	while (!err) {
		err = kvm_merge_stream__next(&stream, &event);
		if (err || !event || event->header.type == PERF_RECORD_TIME_CONV)
			break;
	}
	if (!err && (!event || !parse_time_conv(event, conv)))
		err = -ENODATA;
	kvm_merge_stream__exit(&stream);
	return err;
}

/*
 * A time of the guest's stands for all ticks of the TSC within its nanosecond, and
 * the host's is rounded down again: 1 ns each, and a tick of the guest's.
 */
static unsigned int tsc_bound(const struct perf_tsc_conversion *conv)
{
	u64 tick = conv->time_mult >> conv->time_shift;

	return 3 + tick;
}

static const char *try_tsc(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			   const struct kvm_merge_file *host, const struct kvm_merge_file *guest)
{
	clock->method = KVM_MERGE_CLOCK_TSC;
	if (opts->no_tsc)
		return opts->no_tsc;
	if (!opts->has_tsc_offset && !opts->nr_tsc)
		return "the offset of its TSC is not known: give what the host's\n"
		       "         /sys/kernel/debug/kvm/PID-FD/vcpu0/tsc-offset says: tsc-offset=N";
	if (find_time_conv(guest, &clock->guest))
		return "it does not tell how its times follow from the TSC (TIME_CONV),\n"
		       "         as perf's clock was not the TSC in that guest";
	if (find_time_conv(host, &clock->host))
		return "the host's recording does not tell how its times follow from the TSC\n"
		       "         (TIME_CONV)";
	clock->bound = tsc_bound(&clock->guest);
	return opts->nr_tsc ? copy_segments(clock, opts->tsc, opts->nr_tsc) :
			      one_segment(clock, opts->tsc_offset);
}

static const char *try_probe(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts)
{
	clock->method = KVM_MERGE_CLOCK_PROBE;
	clock->bound = 0;
	return kvm_merge_probe__init(clock, opts->readings, opts->nr_readings);
}

static int check_default_clock(const struct kvm_merge_file *file)
{
	if (!has_clockid(file))
		return 0;
	pr_err("%s: was recorded with a clock of its own (perf record -k): record it without,\n"
	       "since only perf's own clock can be related to another machine's.\n", file->path);
	return -EINVAL;
}

static const char *try(struct kvm_merge_clock *clock, enum kvm_merge_method method,
		       const struct kvm_merge_clock_opts *opts,
		       const struct kvm_merge_file *host, const struct kvm_merge_file *guest)
{
	switch (method) {
	case KVM_MERGE_CLOCK_PV:
		return try_pv(clock, opts, guest);
	case KVM_MERGE_CLOCK_TSC:
		return try_tsc(clock, opts, host, guest);
	case KVM_MERGE_CLOCK_PROBE:
	case KVM_MERGE_CLOCK_AUTO:
	default:
		return try_probe(clock, opts);
	}
}

static int segment_to_host(struct kvm_merge_clock *clock, size_t nr, u64 time, s64 *host)
{
	s64 offset = clock->segments[nr].offset;
	u64 tsc;

	if (clock->segments[nr].unknown)
		return -ENODATA;
	if (clock->method != KVM_MERGE_CLOCK_TSC)
		return __builtin_add_overflow((s64)time, offset, host) ? -ERANGE : 0;
	tsc = perf_time_to_tsc(time, &clock->guest) - (u64)offset;
	*host = tsc_to_perf_time(tsc, &clock->host);
	return 0;
}

/* A later segment may begin before that, on the host's clock: a step back. */
static void find_reached(struct kvm_merge_clock *clock)
{
	s64 end;

	for (size_t i = 1; i < clock->nr_segments; i++) {
		clock->reached[i] = clock->reached[i - 1];
		if (!segment_to_host(clock, i - 1, clock->segments[i].from, &end) && end > 0)
			clock->reached[i] = max(clock->reached[i], (u64)end);
	}
}

/* The best first; says why if the two cannot be aligned, and what would help. */
int kvm_merge_clock__init(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *host, const struct kvm_merge_file *guest)
{
	const char *why[KVM_MERGE_CLOCK_PROBE + 1] = {};
	int err = check_default_clock(host) ?: check_default_clock(guest);

	if (err)
		return err;
	memset(clock, 0, sizeof(*clock));
	for (int method = KVM_MERGE_CLOCK_PV; method <= KVM_MERGE_CLOCK_PROBE; method++) {
		if (opts->method != KVM_MERGE_CLOCK_AUTO && (int)opts->method != method)
			continue;
		why[method] = try(clock, method, opts, host, guest);
		if (!why[method]) {
			find_reached(clock);
			return 0;
		}
		kvm_merge_clock__exit(clock);
	}
	pr_err("%s: its times cannot be aligned with the host's.\n", guest->path);
	for (int method = KVM_MERGE_CLOCK_PV; method <= KVM_MERGE_CLOCK_PROBE; method++) {
		if (why[method])
			pr_err("  %-6s %s.\n", kvm_merge_clock__name(method), why[method]);
	}
	return -EINVAL;
}

void kvm_merge_clock__exit(struct kvm_merge_clock *clock)
{
	zfree(&clock->segments);
	zfree(&clock->reached);
	zfree(&clock->points);
	clock->nr_segments = 0;
	clock->nr_points = 0;
}

static int find_segment(struct kvm_merge_clock *clock, u64 time)
{
	const struct kvm_merge_segment *segments = clock->segments;
	size_t low = 0, high = clock->nr_segments;

	if (time < segments[0].from)
		return -ENODATA;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (segments[mid].from <= time)
			low = mid;
		else
			high = mid;
	}
	clock->last = low;
	return 0;
}

/*
 * -ERANGE: such a time is none; -ENODATA: it is not known what it was on the host.
 * 0 stays: perf puts it where there is no time.
 */
int kvm_merge_clock__to_host(struct kvm_merge_clock *clock, u64 *time)
{
	s64 host;
	int err;

	if (!*time)
		return 0;
	if (*time > INT64_MAX)
		return -ERANGE;
	if (clock->method == KVM_MERGE_CLOCK_PROBE)
		err = kvm_merge_probe__to_host(clock, *time, &host);
	else
		err = find_segment(clock, *time) ?:
		      segment_to_host(clock, clock->last, *time, &host);
	if (err)
		return err;
	if (host <= 0)
		return -ERANGE;
	*time = host;
	return 0;
}

/* Of the time that was turned into the host's last: whether earlier segments went beyond it. */
bool kvm_merge_clock__is_step_back(const struct kvm_merge_clock *clock, u64 host_time)
{
	return clock->reached && host_time < clock->reached[clock->last];
}

const char *kvm_merge_clock__name(enum kvm_merge_method method)
{
	switch (method) {
	case KVM_MERGE_CLOCK_PV:
		return "pv";
	case KVM_MERGE_CLOCK_TSC:
		return "tsc";
	case KVM_MERGE_CLOCK_PROBE:
		return "probe";
	case KVM_MERGE_CLOCK_AUTO:
	default:
		return "auto";
	}
}
