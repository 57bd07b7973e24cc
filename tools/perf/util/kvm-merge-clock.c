// SPDX-License-Identifier: GPL-2.0
/*
 * Aligns the times of a guest's recording with its host's, by what both files
 * tell and what the user measured. Where that is not enough nothing is guessed.
 */
#include "kvm-merge-clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
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

/* Why it cannot be is said by the caller, who knows whether the user wanted it. */
static const char *try_pv(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *guest)
{
	struct pv_clock_feature feature;

	clock->method = KVM_MERGE_CLOCK_PV;
	clock->bound = PV_BOUND;
	clock->offset = opts->pv_offset;
	if (opts->has_pv_offset)
		return NULL;
	if (read_pv_clock(guest, &feature))
		return "its header does not have the paravirtual perf clock (PV_CLOCK):\n"
		       "       record it in a guest whose 'perf kvm pvpmu clock' says page or msr,\n"
		       "       or give the offset that this command showed there, as pv-offset=NS";
	if (feature.changed)
		return "its perf clock changed while it was recorded: record it again";
	clock->offset = feature.relation.offset;
	return NULL;
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

static int look_at_nothing(struct kvm_merge_stream *stream __maybe_unused,
			   union perf_event *event __maybe_unused, u64 *time __maybe_unused)
{
	return KVM_MERGE_DONE;
}

/* perf record writes it before the first sample, or with --tail-synthesize at the end. */
static int find_time_conv(const struct kvm_merge_file *file, struct perf_tsc_conversion *conv)
{
	struct kvm_merge_stream stream;
	union perf_event *event;
	int err;

	kvm_merge_stream__init(&stream, file);
	stream.look = look_at_nothing;
	do {
		err = kvm_merge_stream__next(&stream, &event);
	} while (!err && event && event->header.type != PERF_RECORD_TIME_CONV);
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
	clock->offset = opts->tsc_offset;
	if (!opts->has_tsc_offset)
		return "the offset of its TSC is not known: give what the host's\n"
		       "       /sys/kernel/debug/kvm/PID-FD/vcpu0/tsc-offset says, as tsc-offset=N";
	if (find_time_conv(guest, &clock->guest))
		return "it does not tell how its times follow from the TSC (TIME_CONV),\n"
		       "       as perf's clock was not the TSC in that guest";
	if (find_time_conv(host, &clock->host))
		return "the host's recording does not tell how its times follow from the TSC\n"
		       "       (TIME_CONV)";
	clock->bound = tsc_bound(&clock->guest);
	return NULL;
}

static int check_default_clock(const struct kvm_merge_file *file)
{
	if (!has_clockid(file))
		return 0;
	pr_err("%s: was recorded with a clock of its own (perf record -k): record it without,\n"
	       "since only perf's own clock can be related to another machine's.\n", file->path);
	return -EINVAL;
}

/* Says why if the two cannot be aligned, and what would help. */
int kvm_merge_clock__init(struct kvm_merge_clock *clock, const struct kvm_merge_clock_opts *opts,
			  const struct kvm_merge_file *host, const struct kvm_merge_file *guest)
{
	const char *no_pv = NULL, *no_tsc = NULL;
	int err = check_default_clock(host) ?: check_default_clock(guest);

	if (err)
		return err;
	memset(clock, 0, sizeof(*clock));
	if (opts->method != KVM_MERGE_CLOCK_TSC) {
		no_pv = try_pv(clock, opts, guest);
		if (!no_pv)
			return 0;
	}
	if (opts->method != KVM_MERGE_CLOCK_PV) {
		no_tsc = try_tsc(clock, opts, host, guest);
		if (!no_tsc)
			return 0;
	}
	pr_err("%s: its times cannot be aligned with the host's.\n", guest->path);
	if (no_pv)
		pr_err("  pv:  %s.\n", no_pv);
	if (no_tsc)
		pr_err("  tsc: %s.\n", no_tsc);
	return -EINVAL;
}

/* An error: such a time is none. 0 stays: perf puts it where there is no time. */
int kvm_merge_clock__to_host(struct kvm_merge_clock *clock, u64 *time)
{
	s64 host;

	if (!*time)
		return 0;
	if (*time > INT64_MAX)
		return -ERANGE;
	if (clock->method == KVM_MERGE_CLOCK_TSC) {
		u64 tsc = perf_time_to_tsc(*time, &clock->guest) - (u64)clock->offset;

		host = tsc_to_perf_time(tsc, &clock->host);
	} else if (__builtin_add_overflow((s64)*time, clock->offset, &host)) {
		return -ERANGE;
	}
	if (host <= 0)
		return -ERANGE;
	*time = host;
	return 0;
}

const char *kvm_merge_clock__name(const struct kvm_merge_clock *clock)
{
	return clock->method == KVM_MERGE_CLOCK_TSC ? "tsc" : "pv";
}
