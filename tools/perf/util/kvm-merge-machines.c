// SPDX-License-Identifier: GPL-2.0
/* Tells what was merged, as the feature KVM_MACHINES has it. */
#include "kvm-merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "kvm-machines.h"

/* A table may have more, which then are counted by nobody but in the text that is printed. */
#define MAX_SEGMENTS	4096

static void set_stats(struct kvm_machine *machine, const struct kvm_merge_stats *stats,
		      const struct kvm_merge_file *file, const struct kvm_merge_stream *stream)
{
	u64 *val = machine->value;

	val[KVM_MACHINE_RECORDS]	= stats->records;
	val[KVM_MACHINE_SAMPLES]	= stats->samples;
	val[KVM_MACHINE_LOST_RECORDS]	= stats->lost;
	val[KVM_MACHINE_LOST_SAMPLES]	= stats->lost_samples;
	val[KVM_MACHINE_DAMAGED]	= stats->damaged;
	val[KVM_MACHINE_UNALIGNED]	= stats->unaligned;
	val[KVM_MACHINE_NESTED]		= stats->nested;
	val[KVM_MACHINE_UNKNOWN]	= stats->unknown;
	val[KVM_MACHINE_UNREADABLE]	= stats->unreadable;
	val[KVM_MACHINE_NO_FORMAT]	= stats->no_format;
	val[KVM_MACHINE_TOO_LARGE]	= stats->too_large;
	val[KVM_MACHINE_LATE]		= stream->late;
	val[KVM_MACHINE_STEPPED_BACK]	= stats->stepped_back;
	val[KVM_MACHINE_GUEST_MODE]	= stats->guest_mode;
	if (file->cut || stream->damaged)
		val[KVM_MACHINE_FLAGS] |= KVM_MACHINE_FLAG_CUT;
}

/* All, if it is known how many there are; else those that run in a known thread. */
static int set_vcpus(struct kvm_machine *machine, const struct kvm_merge_guest *guest)
{
	machine->vcpus = calloc(guest->nr_vcpus ?: 1, sizeof(*machine->vcpus));
	if (!machine->vcpus)
		return -ENOMEM;
	for (u32 i = 0; i < guest->nr_vcpus; i++) {
		s32 tid = guest->vcpus[i].tid;

		if (guest->knows_vcpus || tid >= 0)
			machine->vcpus[machine->nr_vcpus++] =
				(struct kvm_machine_vcpu){ .vcpu = i, .tid = tid };
	}
	return 0;
}

static int set_segments(struct kvm_machine *machine, const struct kvm_merge_clock *clock)
{
	u32 nr = min_t(size_t, clock->nr_segments, MAX_SEGMENTS);

	machine->segments = calloc(nr ?: 1, sizeof(*machine->segments));
	if (!machine->segments)
		return -ENOMEM;
	for (u32 i = 0; i < nr; i++)
		machine->segments[i] = (struct kvm_machine_segment){
			.from		= clock->segments[i].from,
			.offset		= clock->segments[i].offset,
			.unknown	= clock->segments[i].unknown,
		};
	machine->nr_segments = nr;
	return 0;
}

/* Without a name in the file, perf makes up one. */
static void set_event_name(char *to, const struct kvm_merge_attr *attr)
{
	scnprintf(to, KVM_MACHINE_NAME_LEN, "%s", attr->name ?: "?");
}

static int set_events(struct kvm_machine *machine, const struct kvm_merge_file *file)
{
	machine->events = calloc(file->nr_attrs ?: 1, sizeof(*machine->events));
	if (!machine->events)
		return -ENOMEM;
	for (u32 i = 0; i < file->nr_attrs; i++) {
		const struct kvm_merge_attr *attr = &file->attrs[i];
		struct kvm_machine_event *event = &machine->events[machine->nr_events];

		if (!attr->under)
			continue;
		set_event_name(event->host, attr->under);
		set_event_name(event->guest, attr);
		machine->nr_events++;
	}
	return 0;
}

static int set_guest(struct kvm_machine *machine, const struct kvm_merge_guest *guest)
{
	const struct kvm_merge_guest_opts *opts = &guest->opts;
	u64 *val = machine->value;

	set_stats(machine, &guest->stats, &guest->file, &guest->stream);
	scnprintf(machine->name, sizeof(machine->name), "%s", opts->name ?: "");
	val[KVM_MACHINE_PID]		= opts->pid;
	val[KVM_MACHINE_METHOD]		= guest->clock.method;
	val[KVM_MACHINE_BOUND]		= guest->clock.bound;
	val[KVM_MACHINE_NR_READINGS]	= guest->clock.nr_points;
	val[KVM_MACHINE_LOST_CHANNEL]	= opts->lost_channel;
	if (opts->is_broken)
		val[KVM_MACHINE_FLAGS] |= KVM_MACHINE_FLAG_BROKEN;
	if (guest->failed)
		val[KVM_MACHINE_FLAGS] |= KVM_MACHINE_FLAG_LEFT_OUT;
	return set_vcpus(machine, guest) ?: set_segments(machine, &guest->clock) ?:
	       set_events(machine, &guest->file);
}

/* The caller exits it, also at an error. */
int kvm_merge__get_machines(const struct kvm_merge *merge, struct kvm_machines *machines)
{
	int err = 0;

	machines->nr = merge->nr_guests + 1;
	machines->machines = calloc(machines->nr, sizeof(*machines->machines));
	if (!machines->machines)
		return -ENOMEM;
	set_stats(&machines->machines[0], &merge->host.stats, &merge->host.file,
		  &merge->host.stream);
	for (size_t i = 0; !err && i < merge->nr_guests; i++)
		err = set_guest(&machines->machines[i + 1], &merge->guests[i]);
	return err;
}

/* For whoever carried a guest's recording to the host; the sum of what was told is kept. */
void kvm_merge_guest_opts__add_loss(struct kvm_merge_guest_opts *opts, enum kvm_merge_loss where,
				    u64 bytes)
{
	switch (where) {
	case KVM_MERGE_LOSS_CHANNEL:
		opts->lost_channel += bytes;
		break;
	case KVM_MERGE_LOSS_BROKEN:
		opts->is_broken = true;
		break;
	default:
		break;
	}
}
