// SPDX-License-Identifier: GPL-2.0
/*
 * Turns the records of a guest's recording into those that a host's has of a
 * guest: ids of their own, times of the host's, and guest cpumodes.
 */
#include "kvm-merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "dso.h"
#include "event.h"
#include "header.h"
#include "kvm-merge-record.h"
#include "kvm-merge-tracing.h"

/* As many as perf itself handles. */
#define MAX_VCPUS	4096

/* Bytes that wait to be sorted: a guest's file must not make the host's memory fill up. */
#define MAX_HELD	(KVM_MERGE_MAX_HELD / 4)

/* What a record's ids are mapped for. */
struct map_context {
	struct kvm_merge_guest	*guest;
	s32			vcpu;
	int			err;	/* of ours, not of the record */
};

static int refuse_aux(const struct kvm_merge_file *file)
{
	pr_err("%s: has AUX area data, which cannot be merged: record it without such events\n"
	       "(intel_pt, intel_bts, arm_spe, cs_etm).\n", file->path);
	return -ENOTSUP;
}

static int skip_damaged(struct kvm_merge_guest *guest)
{
	guest->stats.damaged++;
	return KVM_MERGE_DONE;
}

/* What the header should have told; a guest's file must not end the merge of all. */
static int stop_at_aux(struct kvm_merge_guest *guest)
{
	refuse_aux(&guest->file);
	kvm_merge_stream__stop(&guest->stream);
	return KVM_MERGE_DONE;
}

static int look_at_header_record(struct kvm_merge_guest *guest, const union perf_event *event)
{
	int err = kvm_merge_pipe__take(&guest->file, &guest->stream, event);

	if (err == -EBADMSG)
		return skip_damaged(guest);
	return err == -ENOMEM ? err : KVM_MERGE_DONE;
}

/* perf's own records are about its own file, and have no place in another one. */
static int look_at_user_record(struct kvm_merge_guest *guest, const union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_FINISHED_ROUND:
		return KVM_MERGE_ROUND;
	case PERF_RECORD_AUXTRACE_INFO:
	case PERF_RECORD_AUXTRACE:
		return stop_at_aux(guest);
	default:
		return guest->file.pipe ? look_at_header_record(guest, event) : KVM_MERGE_DONE;
	}
}

/* A record that fits the attr of its id, or NULL. */
static const struct kvm_merge_attr *find_attr(struct kvm_merge_guest *guest,
					      const union perf_event *event,
					      struct kvm_merge_id **id)
{
	const struct kvm_merge_attr *attr;

	*id = kvm_merge_ids__of_event(&guest->ids, event);
	if (!*id)
		return NULL;
	attr = &guest->file.attrs[(*id)->attr];
	return kvm_merge_layout__fits(&attr->layout, event) ? attr : NULL;
}

static int guest__look(struct kvm_merge_stream *stream, struct kvm_merge_entry *entry)
{
	struct kvm_merge_guest *guest = stream->data;
	union perf_event *event = entry->event;
	const struct kvm_merge_attr *attr;
	u64 *field;

	if (event->header.type >= PERF_RECORD_USER_TYPE_START)
		return look_at_user_record(guest, event);
	if (!event->header.type || event->header.type >= PERF_RECORD_MAX) {
		guest->stats.unknown++;
		return KVM_MERGE_DONE;
	}
	/* perf of Linux 6.12 crashes on them: it looks for a guest's where it has none. */
	if (event->header.type == PERF_RECORD_CGROUP ||
	    event->header.type == PERF_RECORD_BPF_EVENT) {
		guest->stats.unreadable++;
		return KVM_MERGE_DONE;
	}
	attr = find_attr(guest, event, &entry->id);
	if (!attr)
		return skip_damaged(guest);
	field = kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_TIME);
	/* What perf synthesized has no time, and is true from the start. */
	entry->time = 0;
	if (!*field)
		return kvm_merge_guest__emit(guest, entry) ?: KVM_MERGE_DONE;
	switch (kvm_merge_clock__to_host(&guest->clock, field)) {
	case 0:
		break;
	case -ENODATA:
		guest->stats.unaligned++;
		return KVM_MERGE_DONE;
	default:
		return skip_damaged(guest);
	}
	if (kvm_merge_clock__is_step_back(&guest->clock, *field))
		guest->stats.stepped_back++;
	entry->time = *field;
	return KVM_MERGE_QUEUE;
}

/* Gives an id of the guest's, of a record of one vCPU, its number in the output. */
static int map_id(void *data, u64 *id)
{
	struct map_context *ctx = data;
	struct kvm_merge_guest *guest = ctx->guest;
	struct kvm_merge_id *entry = kvm_merge_ids__find(&guest->ids, *id);
	s32 tid = ctx->vcpu < 0 ? -1 : guest->vcpus[ctx->vcpu].tid;
	u64 out;

	if (!entry)
		return -ENOENT;
	out = kvm_merge_id__lookup(entry, ctx->vcpu);
	if (!out && !kvm_merge_ids__has_room(&guest->ids))
		return -ENOENT;
	if (!out) {
		out = kvm_merge__new_id(guest->merge);
		ctx->err = kvm_merge_ids__add_out(&guest->ids, entry, ctx->vcpu, out) ?:
			   kvm_merge_output__id_index(&guest->merge->output, out, tid,
						      guest->opts.pid, ctx->vcpu);
		if (ctx->err)
			return ctx->err;
	}
	*id = out;
	return 0;
}

/* The vCPU that a record is of: -1 is unknown, -2 is one that the guest does not have. */
static s32 find_vcpu(const struct kvm_merge_guest *guest, const struct kvm_merge_attr *attr,
		     union perf_event *event)
{
	const u64 *time = kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_TIME);
	const u32 *cpu = (u32 *)kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_CPU);

	if (guest->one_vcpu)
		return 0;
	/* Without a time it was synthesized, and the CPU is a made-up one. */
	if (!cpu || !*time || *cpu == (u32)-1)
		return -1;
	return *cpu < guest->nr_vcpus ? (s32)*cpu : -2;
}

static int set_cpumode(union perf_event *event)
{
	u16 mode = event->header.misc & PERF_RECORD_MISC_CPUMODE_MASK;

	switch (mode) {
	case PERF_RECORD_MISC_USER:
		mode = PERF_RECORD_MISC_GUEST_USER;
		break;
	case PERF_RECORD_MISC_KERNEL:
	case PERF_RECORD_MISC_CPUMODE_UNKNOWN:
		mode = PERF_RECORD_MISC_GUEST_KERNEL;
		break;
	default:
		return -ENOENT;
	}
	event->header.misc &= ~PERF_RECORD_MISC_CPUMODE_MASK;
	event->header.misc |= mode;
	return 0;
}

/*
 * A reader takes what the kernel maps for the kernel or a module, and reads that from
 * the file; what is neither is no such mapping.
 */
static bool is_false_mmap(const union perf_event *event)
{
	const char *name = event->header.type == PERF_RECORD_MMAP ? event->mmap.filename :
								    event->mmap2.filename;

	if (event->header.type != PERF_RECORD_MMAP && event->header.type != PERF_RECORD_MMAP2)
		return false;
	if ((event->header.misc & PERF_RECORD_MISC_CPUMODE_MASK) != PERF_RECORD_MISC_GUEST_KERNEL)
		return false;
	return *name != '[' && !is_kernel_module(name, PERF_RECORD_MISC_GUEST_KERNEL);
}

static void set_cpu(struct kvm_merge_guest *guest, const struct kvm_merge_attr *attr,
		    union perf_event *event, s32 vcpu)
{
	u32 *cpu = (u32 *)kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_CPU);

	if (!cpu || vcpu < 0 || guest->vcpus[vcpu].cpu < 0)
		return;
	*cpu = guest->vcpus[vcpu].cpu;
	guest->host_cpu++;
}

static void set_field(const struct kvm_merge_attr *attr, union perf_event *event,
		      enum kvm_merge_field name, u64 val)
{
	u64 *field = kvm_merge_layout__field(&attr->layout, event, name);

	if (field)
		*field = val;
}

static int walk(const struct kvm_merge_attr *attr, union perf_event *event,
		struct map_context *ctx)
{
	if (event->header.type == PERF_RECORD_SAMPLE)
		return kvm_merge_record__walk_sample(&attr->attr, event, map_id, ctx);
	return kvm_merge_record__walk_sideband(attr, event, map_id, ctx);
}

/* The body's time is the trailer's, or before it. */
static int convert_body_time(struct kvm_merge_guest *guest, union perf_event *event)
{
	u64 *time = kvm_merge_record__body_time(event);

	return time ? kvm_merge_clock__to_host(&guest->clock, time) : 0;
}

static int write_record(struct kvm_merge_guest *guest, const struct kvm_merge_attr *attr,
			const struct kvm_merge_entry *entry, u64 id)
{
	const struct kvm_merge_attr *under = attr->under ?: attr;
	const struct kvm_merge_reformat format = {
		.from	= attr->attr.sample_type,
		.to	= under->attr.sample_type | PERF_SAMPLE_IDENTIFIER,
		.id	= id,
		.period	= attr->attr.sample_period,
	};
	struct kvm_merge_output *output = &guest->merge->output;
	union perf_event *event = entry->event;
	int err;

	set_field(attr, event, KVM_MERGE_IDENT, id);
	set_field(attr, event, KVM_MERGE_ID, id);
	set_field(attr, event, KVM_MERGE_STREAM_ID, id);
	err = format.from == format.to ? kvm_merge_output__event(output, event) :
					 kvm_merge_output__reformatted(output, event, &format);
	if (err == -E2BIG) {
		guest->stats.too_large++;
		return 0;
	}
	if (!err)
		kvm_merge__count(guest->merge, &guest->stats, event, entry->time);
	return err;
}

/*
 * Of what was looked at before: its time is the host's already. A record that is not
 * written is counted.
 */
int kvm_merge_guest__emit(struct kvm_merge_guest *guest, const struct kvm_merge_entry *entry)
{
	const struct kvm_merge_attr *attr = &guest->file.attrs[entry->id->attr];
	union perf_event *event = entry->event;
	u64 id = entry->id->id;
	struct map_context ctx = {
		.guest	= guest,
		.vcpu	= find_vcpu(guest, attr, event),
	};
	int err;

	if (ctx.vcpu < -1) {
		guest->stats.damaged++;
		return 0;
	}
	if (set_cpumode(event)) {
		guest->stats.nested++;
		return 0;
	}
	if (walk(attr, event, &ctx) || convert_body_time(guest, event) || map_id(&ctx, &id) ||
	    is_false_mmap(event)) {
		if (!ctx.err)
			guest->stats.damaged++;
		return ctx.err;
	}
	err = kvm_merge_tracing__convert(guest, attr, event);
	if (err) {
		*(err == -ENOENT ? &guest->stats.no_format : &guest->stats.damaged) += 1;
		return 0;
	}
	set_cpu(guest, attr, event, ctx.vcpu);
	return write_record(guest, attr, entry, id);
}

/* QEMU with debug-threads=on, as libvirt starts it, names the threads of vCPUs. */
void kvm_merge_guest__see_comm(struct kvm_merge_guest *guest, const union perf_event *event)
{
	unsigned int vcpu;
	char end;

	if (event->comm.pid != guest->opts.pid ||
	    sscanf(event->comm.comm, "CPU %u/KV%c", &vcpu, &end) != 2 || end != 'M' ||
	    vcpu >= guest->nr_vcpus)
		return;
	guest->vcpus[vcpu].tid = event->comm.tid;
}

void kvm_merge_guest__see_switch(struct kvm_merge_guest *guest, s32 tid, s32 cpu, bool out)
{
	for (u32 i = 0; i < guest->nr_vcpus; i++) {
		if (guest->vcpus[i].tid == tid)
			guest->vcpus[i].cpu = out ? -1 : cpu;
	}
}

/* The header tells how many CPUs there are; without it, perf's own limit holds. */
static int init_vcpus(struct kvm_merge_guest *guest)
{
	u32 *nr = NULL;
	size_t size;
	int err = kvm_merge_file__feature(&guest->file, HEADER_NRCPUS, (void **)&nr, &size);

	if (err && err != -ENOENT)
		return err;
	guest->nr_vcpus = MAX_VCPUS;
	guest->knows_vcpus = !err && size >= sizeof(*nr) && *nr && *nr <= MAX_VCPUS;
	if (guest->knows_vcpus)
		guest->nr_vcpus = *nr;
	free(nr);
	guest->one_vcpu = guest->nr_vcpus == 1;
	guest->vcpus = malloc(guest->nr_vcpus * sizeof(*guest->vcpus));
	if (!guest->vcpus)
		return -ENOMEM;
	memset(guest->vcpus, -1, guest->nr_vcpus * sizeof(*guest->vcpus));
	for (u32 i = 0; i < min(guest->nr_vcpus, guest->opts.nr_tids); i++)
		guest->vcpus[i].tid = guest->opts.tids[i];
	return 0;
}

static int check_events(const struct kvm_merge_guest *guest)
{
	return test_bit(HEADER_AUXTRACE, guest->file.features) ? refuse_aux(&guest->file) : 0;
}

/* Why has been said. What is left of it gives no records and no events. */
static void leave_out(struct kvm_merge_guest *guest)
{
	const char *path = guest->file.path;

	kvm_merge_guest__exit(guest);
	memset(&guest->file, 0, sizeof(guest->file));
	guest->file.path = path;
	guest->file.fd = -1;
	guest->nr_vcpus = 0;
	guest->stream.eof = true;
	guest->failed = true;
}

int kvm_merge_guest__init(struct kvm_merge_guest *guest, struct kvm_merge *merge,
			  const struct kvm_merge_guest_opts *opts)
{
	int err;

	guest->merge = merge;
	guest->opts = *opts;
	err = kvm_merge_file__open(&guest->file, opts->path) ?:
	      check_events(guest) ?:
	      kvm_merge_ids__init(&guest->ids, &guest->file) ?:
	      init_vcpus(guest) ?:
	      kvm_merge_clock__init(&guest->clock, &opts->clock, &merge->host.file, &guest->file) ?:
	      kvm_merge_tracing__add_guest(guest);
	if (!err)
		kvm_merge_guest__join_events(guest);
	if (err && err != -ENOMEM && opts->may_fail) {
		leave_out(guest);
		return 0;
	}
	if (err)
		return err;
	err = kvm_merge_stream__init(&guest->stream, &guest->file);
	guest->stream.look = guest__look;
	guest->stream.data = guest;
	guest->stream.max_held = MAX_HELD;
	return err;
}

void kvm_merge_guest__exit(struct kvm_merge_guest *guest)
{
	kvm_merge_stream__exit(&guest->stream);
	kvm_merge_ids__exit(&guest->ids);
	kvm_merge_clock__exit(&guest->clock);
	zfree(&guest->vcpus);
	kvm_merge_tracing__exit_guest(guest);
	kvm_merge_file__close(&guest->file);
}
