// SPDX-License-Identifier: GPL-2.0
/*
 * Makes one file of what perf kvm record got from the host and its guests, and says
 * what is in it. Without a guest that cannot be merged, the others still can.
 */
#include "kvm-record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "kvm-merge.h"
#include "kvm-merge-table.h"
#include "units.h"

/* Guests whose recordings are to be merged, with their numbers in the recording. */
struct guests {
	struct kvm_merge_guest_opts	*opts;
	size_t				*index;
	size_t				 nr;
};

/* Which of them it is, is found out by the merge, as it depends on the files as well. */
static int set_clock(struct kvm_merge_clock_opts *opts, struct kvm_record_guest *guest)
{
	const struct kvm_record_readings *readings = &guest->clock.readings;
	struct kvm_record_clock *clock = &guest->choice;
	int err = kvm_record_clock__init(clock, &guest->clock);

	if (err)
		return err;
	opts->method = guest->clock.opts.method;
	opts->no_pv = clock->no_pv;
	opts->no_tsc = clock->no_tsc;
	opts->has_pv_offset = !clock->no_pv && !clock->nr_pv;
	opts->pv_offset = clock->pv_offset;
	opts->pv = clock->pv;
	opts->nr_pv = clock->nr_pv;
	opts->has_tsc_offset = !clock->no_tsc && !clock->nr_tsc;
	opts->tsc_offset = clock->tsc_offset;
	opts->tsc = clock->tsc;
	opts->nr_tsc = clock->nr_tsc;
	opts->readings = readings->list;
	opts->nr_readings = readings->nr;
	if (opts->method != KVM_MERGE_CLOCK_AUTO)
		return 0;
	pr_debug("guest '%s': clock pv: %s; tsc: %s; probe: %s\n", guest->target.name,
		 clock->no_pv ?: "yes", clock->no_tsc ?: "if both recordings tell how",
		 clock->no_probe ?: "yes");
	return 0;
}

/* Where the agent told in the end what it had read, what is missing of it is known. */
static void set_losses(struct kvm_merge_guest_opts *opts, const struct kvm_record_guest *guest)
{
	const struct kvm_agent_client *client = guest->client;

	if (client->summary.bytes > client->received)
		kvm_merge_guest_opts__add_loss(opts, KVM_MERGE_LOSS_CHANNEL,
					       client->summary.bytes - client->received);
	else if (guest->failed && client->state != KVM_AGENT_CLIENT_READY)
		kvm_merge_guest_opts__add_loss(opts, KVM_MERGE_LOSS_BROKEN, 0);
}

/* One that sent nothing has no part in it. */
static int choose_guests(struct kvm_record *rec, struct guests *guests)
{
	guests->nr = 0;
	guests->opts = calloc(rec->nr_guests, sizeof(*guests->opts));
	guests->index = calloc(rec->nr_guests, sizeof(*guests->index));
	if (!guests->opts || !guests->index)
		return -ENOMEM;
	for (size_t i = 0; i < rec->nr_guests; i++) {
		struct kvm_record_guest *guest = &rec->guests[i];
		struct kvm_merge_guest_opts *opts = &guests->opts[guests->nr];

		if (!guest->written)
			continue;
		opts->path = guest->path;
		opts->name = guest->target.name;
		opts->pid = guest->target.pid;
		opts->may_fail = true;
		opts->joins = rec->opts.joins;
		opts->tids = guest->tids;
		opts->nr_tids = guest->nr_tids;
		opts->build_ids = guest->build_ids;
		opts->nr_build_ids = guest->nr_build_ids;
		if (set_clock(&opts->clock, guest))
			return -ENOMEM;
		set_losses(opts, guest);
		guests->index[guests->nr++] = i;
	}
	return 0;
}

static void free_guests(struct guests *guests)
{
	zfree(&guests->opts);
	zfree(&guests->index);
}

/* What is in the output, and below each machine what is not */

#define INDENT	"    "

static void print_machine(const char *name, const struct kvm_merge_stats *stats, u64 bytes,
			  const char *clock)
{
	char size[32];

	unit_number__scnprintf(size, sizeof(size), bytes);
	fprintf(stderr, "  %-24s %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %7s  %s\n", name,
		stats->records, stats->samples, max(stats->lost, stats->lost_samples), size,
		clock);
}

static void print_guest(const struct kvm_merge_guest *merged, const struct kvm_record_guest *guest)
{
	char name[96], clock[128] = "-: it is not in the output";
	int len = 0;

	scnprintf(name, sizeof(name), "%s (pid %d)%s", guest->target.name, guest->target.pid,
		  guest->failed || merged->failed ? " failed" : "");
	if (!merged->failed)
		len = scnprintf(clock, sizeof(clock), "%s, off by at most %" PRIu64 " ns",
				kvm_merge_clock__name(merged->clock.method),
				merged->clock.bound);
	if (len && merged->clock.nr_segments > 1)
		scnprintf(clock + len, sizeof(clock) - len, ", in %zu segments",
			  merged->clock.nr_segments);
	print_machine(name, &merged->stats, guest->written, clock);
}

static void print_result(const struct kvm_record *rec, const struct kvm_merge *merge,
			 const struct guests *guests)
{
	fprintf(stderr, "%s:\n  %-24s %10s %10s %8s %7s  %s\n", rec->opts.output, "MACHINE",
		"RECORDS", "SAMPLES", "LOST", "BYTES", "CLOCK");
	print_machine("host", &merge->host.stats, merge->host.file.size, "-");
	kvm_merge__print_left_out(&merge->host.stats, &merge->host.stream, INDENT, stderr);
	for (size_t i = 0; i < merge->nr_guests; i++) {
		const struct kvm_merge_guest *merged = &merge->guests[i];

		print_guest(merged, &rec->guests[guests->index[i]]);
		if (!merged->failed)
			kvm_merge__print_left_out(&merged->stats, &merged->stream, INDENT, stderr);
	}
}

static int write_clock_to(const struct kvm_merge_clock_opts *clock, const char *path)
{
	FILE *fp = fopen(path, "w");
	int err;

	if (!fp)
		return -errno;
	err = kvm_merge_clock_opts__write(clock, fp);
	return fclose(fp) ? -errno : err;
}

/* What is known of a guest's clock, beside its part. Half of it would be wrong. */
static int write_clock(const struct kvm_merge_guest_opts *opts)
{
	char *path;
	int err;

	if (asprintf(&path, "%s.clock", opts->path) < 0)
		return -ENOMEM;
	err = write_clock_to(&opts->clock, path);
	if (err) {
		pr_err("%s: cannot be written: %s. Without it this guest may not be aligned.\n",
		       path, strerror(-err));
		unlink(path);
	}
	free(path);
	return err;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static void tell_joins(const struct kvm_merge_joins *joins)
{
	if (joins->separate)
		pr_err(" --separate-events");
	for (size_t i = 0; i < joins->nr_pairs; i++)
		pr_err(" --join-events=%s+%s", joins->pairs[i].host, joins->pairs[i].guest);
}

static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

static void tell_guest(const struct kvm_merge_guest_opts *opts, bool has_clock)
{
	pr_err(" --guest=%s,pid=%u,name=%s,clock=%s", opts->path, opts->pid, opts->name,
	       kvm_merge_clock__name(opts->clock.method));
	if (opts->clock.has_pv_offset)
		pr_err(",pv-offset=%" PRId64, opts->clock.pv_offset);
	if (opts->clock.has_tsc_offset)
		pr_err(",tsc-offset=%" PRId64, opts->clock.tsc_offset);
	if (has_clock)
		pr_err(",readings=%s.clock", opts->path);
}

/* Where the parts are, and how they can be merged by hand, for what failed with err. */
static void tell_parts(struct kvm_record *rec, const struct guests *guests, int err)
{
	bool *has_clock = calloc(guests->nr ?: 1, sizeof(*has_clock));

	kvm_record_parts__use_reserve(&rec->parts);
	for (size_t i = 0; has_clock && i < guests->nr; i++)
		has_clock[i] = !write_clock(&guests->opts[i]);
	pr_err("What was recorded is in %s. To merge it%s:\n  perf kvm merge %s", rec->parts.dir,
	       is_full(err) ? ", make room there or give another -o" : "", rec->parts.host);
	for (size_t i = 0; i < guests->nr; i++)
		tell_guest(&guests->opts[i], has_clock && has_clock[i]);
	free(has_clock);
	tell_joins(rec->opts.joins);
	/* If it is a directory already, for symbols, the file in it is replaced. */
	pr_err(" -o %s%s\n", rec->opts.output, is_dir(rec->opts.output) ? "/data" : "");
}

/* A guest that could not be aligned may be by hand; one that sent no samples is no loss. */
static bool is_part_lost(const struct kvm_record *rec, const struct kvm_merge *merge,
			 const struct guests *guests)
{
	for (size_t i = 0; i < merge->nr_guests; i++) {
		const struct kvm_record_guest *guest = &rec->guests[guests->index[i]];

		if (merge->guests[i].failed && guest->client->stream.samples)
			return true;
	}
	return false;
}

static int run(struct kvm_record *rec, const struct guests *guests, bool *complete)
{
	struct kvm_merge merge;
	int err = kvm_merge__run_until(&merge, rec->parts.host, rec->parts.merged, guests->opts,
				       guests->nr, rec->opts.signals);

	if (!err)
		err = kvm_record_parts__install(&rec->parts, rec->opts.output);
	*complete = !err && kvm_merge__is_complete(&merge) && guests->nr == rec->nr_guests;
	if (!err && !quiet)
		print_result(rec, &merge, guests);
	rec->keep_parts = err || is_part_lost(rec, &merge, guests);
	kvm_merge__exit(&merge);
	return err;
}

int kvm_record__merge(struct kvm_record *rec, bool *complete)
{
	struct guests guests;
	int err;

	kvm_record_symbols__get(rec);
	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__leave(&rec->guests[i]);
	err = choose_guests(rec, &guests);
	rec->keep_parts = true;
	if (!err)
		err = run(rec, &guests, complete);
	if (rec->keep_parts)
		tell_parts(rec, &guests, err);
	free_guests(&guests);
	return err;
}
