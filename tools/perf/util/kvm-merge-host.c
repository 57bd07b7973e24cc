// SPDX-License-Identifier: GPL-2.0
/*
 * Passes the records of the host's recording on. Nothing in them changes, but that
 * they get an identifier if they have none: else a reader could not tell them from
 * the guests'.
 */
#include "kvm-merge.h"

#include <errno.h>
#include <linux/kernel.h>
#include "debug.h"
#include "event.h"
#include "header.h"
#include "kvm-merge-record.h"

static const struct kvm_merge_attr *find_attr(struct kvm_merge_host *host,
					      const union perf_event *event,
					      struct kvm_merge_id **id)
{
	const struct kvm_merge_attr *attr;

	*id = kvm_merge_ids__of_event(&host->ids, event);
	if (!*id)
		return NULL;
	attr = &host->file.attrs[(*id)->attr];
	return kvm_merge_layout__fits(&attr->layout, event) ? attr : NULL;
}

static int pass_on(struct kvm_merge_host *host, const union perf_event *event)
{
	host->stats.records++;
	return kvm_merge_output__event(&host->merge->output, event) ?: KVM_MERGE_DONE;
}

/* Of what belongs into the header, only the units of events stay records. */
static int look_at_header_record(struct kvm_merge_host *host, const union perf_event *event)
{
	int err = kvm_merge_pipe__take(&host->file, &host->stream, event);

	if (err == -EBADMSG)
		host->stats.damaged++;
	if (err == -ENOENT || (!err && event->header.type == PERF_RECORD_EVENT_UPDATE))
		return pass_on(host, event);
	return err == -ENOMEM ? err : KVM_MERGE_DONE;
}

static int look_at_other(struct kvm_merge_host *host, const union perf_event *event)
{
	if (host->file.pipe || event->header.type == PERF_RECORD_HEADER_TRACING_DATA)
		return look_at_header_record(host, event);
	return pass_on(host, event);
}

static int look_at_user_record(struct kvm_merge_host *host, const union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_FINISHED_ROUND:
		return KVM_MERGE_ROUND;
	case PERF_RECORD_AUXTRACE_INFO:
	case PERF_RECORD_AUXTRACE:
		pr_err("%s: has AUX area data, which cannot be merged: record the host without such\n"
		       "events.\n", host->file.path);
		return -ENOTSUP;
	default:
		return look_at_other(host, event);
	}
}

static bool is_merged(const struct kvm_merge *merge, u32 pid)
{
	for (size_t i = 0; i < merge->nr_guests; i++) {
		if (merge->guests[i].opts.pid == pid)
			return true;
	}
	return false;
}

/*
 * The kernel does not heed exclude_guest where an event is one of software, such as
 * cpu-clock. A reader would take the vCPU's thread for one of the guest's, and the time
 * would be there twice, as the guest's own samples are of it as well.
 */
static bool is_excluded(const struct kvm_merge *merge, const struct kvm_merge_attr *attr,
			union perf_event *event)
{
	const u16 mode = event->header.misc & PERF_RECORD_MISC_CPUMODE_MASK;
	const u32 *tid;

	if (event->header.type != PERF_RECORD_SAMPLE || !attr->attr.exclude_guest ||
	    (mode != PERF_RECORD_MISC_GUEST_KERNEL && mode != PERF_RECORD_MISC_GUEST_USER))
		return false;
	tid = (u32 *)kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_TID);
	return tid && is_merged(merge, tid[0]);
}

static int host__look(struct kvm_merge_stream *stream, struct kvm_merge_entry *entry)
{
	struct kvm_merge_host *host = stream->data;
	union perf_event *event = entry->event;
	const struct kvm_merge_attr *attr;

	if (event->header.type >= PERF_RECORD_USER_TYPE_START)
		return look_at_user_record(host, event);
	if (!event->header.type || event->header.type >= PERF_RECORD_MAX) {
		host->stats.unknown++;
		return KVM_MERGE_DONE;
	}
	attr = find_attr(host, event, &entry->id);
	if (!attr) {
		host->stats.damaged++;
		return KVM_MERGE_DONE;
	}
	if (is_excluded(host->merge, attr, event)) {
		host->stats.guest_mode++;
		return KVM_MERGE_DONE;
	}
	entry->time = *kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_TIME);
	if (!entry->time)
		return kvm_merge_host__emit(host, entry) ?: KVM_MERGE_DONE;
	return KVM_MERGE_QUEUE;
}

static bool has_comm(const union perf_event *event)
{
	return event->header.size > offsetof(struct perf_record_comm, comm) &&
	       memchr(event->comm.comm, '\0',
		      event->header.size - offsetof(struct perf_record_comm, comm));
}

/* In both kinds of records of switches the trailer has the task that they are about. */
static void see_switch(struct kvm_merge *merge, const struct kvm_merge_attr *attr,
		       union perf_event *event)
{
	const u32 *tid = (u32 *)kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_TID);
	const u32 *cpu = (u32 *)kvm_merge_layout__field(&attr->layout, event, KVM_MERGE_CPU);
	bool out = event->header.misc & PERF_RECORD_MISC_SWITCH_OUT;

	if (!tid || !cpu || tid[1] > INT_MAX || *cpu > INT_MAX)
		return;
	for (size_t i = 0; i < merge->nr_guests; i++) {
		if (tid[0] == merge->guests[i].opts.pid)
			kvm_merge_guest__see_switch(&merge->guests[i], tid[1], *cpu, out);
	}
}

/* What the host's recording tells of the threads that run vCPUs. */
static void see(struct kvm_merge *merge, const struct kvm_merge_attr *attr,
		union perf_event *event)
{
	switch (event->header.type) {
	case PERF_RECORD_COMM:
		for (size_t i = 0; has_comm(event) && i < merge->nr_guests; i++)
			kvm_merge_guest__see_comm(&merge->guests[i], event);
		break;
	case PERF_RECORD_SWITCH:
	case PERF_RECORD_SWITCH_CPU_WIDE:
		see_switch(merge, attr, event);
		break;
	default:
		break;
	}
}

static int write_record(struct kvm_merge_host *host, const struct kvm_merge_attr *attr,
			const struct kvm_merge_id *id, const union perf_event *event)
{
	const u64 type = attr->attr.sample_type;
	const struct kvm_merge_reformat format = {
		.from	= type,
		.to	= type | PERF_SAMPLE_IDENTIFIER,
		.id	= id->id ?: host->ids.deflt->out[0].id,
	};

	if (format.from == format.to)
		return kvm_merge_output__event(&host->merge->output, event);
	return kvm_merge_output__reformatted(&host->merge->output, event, &format);
}

/* Of what was looked at before */
int kvm_merge_host__emit(struct kvm_merge_host *host, const struct kvm_merge_entry *entry)
{
	const struct kvm_merge_attr *attr = &host->file.attrs[entry->id->attr];
	int err;

	see(host->merge, attr, entry->event);
	err = write_record(host, attr, entry->id, entry->event);
	if (err == -E2BIG) {
		host->stats.too_large++;
		return 0;
	}
	if (!err)
		kvm_merge__count(host->merge, &host->stats, entry->event, entry->time);
	return err;
}

static int check_features(const struct kvm_merge_host *host)
{
	if (test_bit(HEADER_AUXTRACE, host->file.features)) {
		pr_err("%s: has AUX area data, which cannot be merged: record the host without such\n"
		       "events.\n", host->file.path);
		return -ENOTSUP;
	}
	if (test_bit(HEADER_STAT, host->file.features)) {
		pr_err("%s: is of 'perf stat record', and has no samples to merge with.\n",
		       host->file.path);
		return -ENOTSUP;
	}
	return 0;
}

/* New ids are larger than all that the host has, unless these leave no room. */
static int init_ids(struct kvm_merge_host *host)
{
	struct kvm_merge_id *deflt;
	int err = kvm_merge_ids__init(&host->ids, &host->file);

	if (err)
		return err;
	deflt = host->ids.deflt;
	host->merge->last_id = host->ids.entries[host->ids.nr - 1].id;
	if (deflt->id)
		return 0;
	return kvm_merge_ids__add_out(&host->ids, deflt, -1, kvm_merge__new_id(host->merge));
}

int kvm_merge_host__init(struct kvm_merge_host *host, struct kvm_merge *merge, const char *path)
{
	int err;

	host->merge = merge;
	err = kvm_merge_file__open(&host->file, path) ?: check_features(host) ?: init_ids(host);
	if (err)
		return err;
	err = kvm_merge_stream__init(&host->stream, &host->file);
	host->stream.look = host__look;
	host->stream.data = host;
	return err;
}

void kvm_merge_host__exit(struct kvm_merge_host *host)
{
	kvm_merge_stream__exit(&host->stream);
	kvm_merge_ids__exit(&host->ids);
	kvm_merge_file__close(&host->file);
}
