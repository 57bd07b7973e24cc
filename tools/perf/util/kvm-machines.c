// SPDX-License-Identifier: GPL-2.0
/*
 * The feature KVM_MACHINES of a perf.data header tells of which machines a merged
 * file is, how their clocks were aligned, and what of them is missing.
 */
#include "kvm-machines.h"

#include <byteswap.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include <internal/lib.h>
#include "debug.h"
#include "header.h"
#include "strbuf.h"

#define VERSION		1
#define MAX_SECTION	(64U * 1024 * 1024)

/* In the file. Each machine has a header, values, vCPUs and segments. */
struct section_header {
	u32	version;
	u32	nr_machines;
	u32	nr_values;	/* of each machine; those that are not known are skipped */
	u32	reserved;
};

struct machine_header {
	char	name[KVM_MACHINE_NAME_LEN];
	u32	nr_vcpus;
	u32	nr_segments;
};

/* Behind all machines, after their number */
struct event_entry {
	u32				machine;	/* its place among them */
	u32				reserved;
	struct kvm_machine_event	event;
};

struct reader {
	const void	*pos;
	size_t		left;
	bool		swap;
};

static void machine__exit(struct kvm_machine *machine)
{
	zfree(&machine->vcpus);
	zfree(&machine->segments);
	zfree(&machine->events);
}

void kvm_machines__exit(struct kvm_machines *machines)
{
	for (u32 i = 0; machines->machines && i < machines->nr; i++)
		machine__exit(&machines->machines[i]);
	zfree(&machines->machines);
	machines->nr = 0;
}

/* NULL: it has none. */
const char *kvm_machines__name(const struct kvm_machines *machines, u64 pid)
{
	for (u32 i = 0; i < machines->nr; i++) {
		const struct kvm_machine *machine = &machines->machines[i];

		if (machine->value[KVM_MACHINE_PID] == pid && *machine->name)
			return machine->name;
	}
	return NULL;
}

static int add_list(struct strbuf *sb, const void *list, size_t size)
{
	return size ? strbuf_add(sb, list, size) : 0;
}

static int write_machine(const struct kvm_machine *machine, struct strbuf *sb)
{
	struct machine_header header = {
		.nr_vcpus	= machine->nr_vcpus,
		.nr_segments	= machine->nr_segments,
	};

	memcpy(header.name, machine->name, sizeof(header.name));
	return strbuf_add(sb, &header, sizeof(header)) ?:
	       strbuf_add(sb, machine->value, sizeof(machine->value)) ?:
	       add_list(sb, machine->vcpus, machine->nr_vcpus * sizeof(*machine->vcpus)) ?:
	       add_list(sb, machine->segments, machine->nr_segments * sizeof(*machine->segments));
}

static int write_events(const struct kvm_machines *machines, struct strbuf *sb)
{
	u64 nr = 0;
	int err;

	for (u32 i = 0; i < machines->nr; i++)
		nr += machines->machines[i].nr_events;
	err = strbuf_add(sb, &nr, sizeof(nr));
	for (u32 i = 0; i < machines->nr; i++) {
		const struct kvm_machine *machine = &machines->machines[i];
		struct event_entry entry = { .machine = i };

		for (u32 j = 0; !err && j < machine->nr_events; j++) {
			entry.event = machine->events[j];
			err = strbuf_add(sb, &entry, sizeof(entry));
		}
	}
	return err;
}

int kvm_machines__write(const struct kvm_machines *machines, struct strbuf *sb)
{
	struct section_header header = {
		.version	= VERSION,
		.nr_machines	= machines->nr,
		.nr_values	= KVM_MACHINE_NR_VALUES,
	};
	int err = strbuf_add(sb, &header, sizeof(header));

	for (u32 i = 0; !err && i < machines->nr; i++)
		err = write_machine(&machines->machines[i], sb);
	return err ?: write_events(machines, sb);
}

static int take(struct reader *reader, void *to, size_t size)
{
	if (size > reader->left)
		return -EINVAL;
	memcpy(to, reader->pos, size);
	reader->pos += size;
	reader->left -= size;
	return 0;
}

static int take_u32s(struct reader *reader, u32 *to, size_t nr)
{
	int err = take(reader, to, nr * sizeof(*to));

	for (size_t i = 0; !err && reader->swap && i < nr; i++)
		to[i] = bswap_32(to[i]);
	return err;
}

static int take_u64s(struct reader *reader, u64 *to, size_t nr)
{
	int err = take(reader, to, nr * sizeof(*to));

	for (size_t i = 0; !err && reader->swap && i < nr; i++)
		to[i] = bswap_64(to[i]);
	return err;
}

/* Room for elements that the file has; 0 are none. */
static int alloc_list(const struct reader *reader, void *list, u32 nr, size_t size)
{
	void **pos = list;

	if (nr > reader->left / size)
		return -EINVAL;
	*pos = calloc(nr ?: 1, size);
	return *pos ? 0 : -ENOMEM;
}

static int read_lists(struct reader *reader, struct kvm_machine *machine, const u32 *nr)
{
	int err = alloc_list(reader, &machine->vcpus, nr[0], sizeof(*machine->vcpus));

	if (err)
		return err;
	machine->nr_vcpus = nr[0];
	err = take_u32s(reader, (u32 *)machine->vcpus, 2 * (size_t)nr[0]) ?:
	      alloc_list(reader, &machine->segments, nr[1], sizeof(*machine->segments));
	if (err)
		return err;
	machine->nr_segments = nr[1];
	return take_u64s(reader, (u64 *)machine->segments, 3 * (size_t)nr[1]);
}

/* The name is printed: it has to be text. */
static bool is_text(const char *name)
{
	size_t len = strnlen(name, KVM_MACHINE_NAME_LEN);

	for (size_t i = 0; i < len; i++) {
		if (name[i] < ' ' || name[i] > '~')
			return false;
	}
	return len < KVM_MACHINE_NAME_LEN;
}

static int read_machine(struct reader *reader, struct kvm_machine *machine, u32 nr_values)
{
	u32 known = min_t(u32, nr_values, KVM_MACHINE_NR_VALUES), nr[2];
	size_t rest = (size_t)(nr_values - known) * sizeof(u64);
	int err = take(reader, machine->name, sizeof(machine->name)) ?:
		  take_u32s(reader, nr, ARRAY_SIZE(nr)) ?:
		  take_u64s(reader, machine->value, known);

	if (err || rest > reader->left || !is_text(machine->name))
		return err ?: -EINVAL;
	reader->pos += rest;
	reader->left -= rest;
	return read_lists(reader, machine, nr);
}

static int add_event(struct kvm_machine *machine, const struct kvm_machine_event *event)
{
	struct kvm_machine_event *events;

	if (!is_text(event->host) || !is_text(event->guest))
		return -EINVAL;
	events = reallocarray(machine->events, machine->nr_events + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	machine->events = events;
	events[machine->nr_events++] = *event;
	return 0;
}

/* A file of an older perf ends before them. */
static int read_events(struct reader *reader, struct kvm_machines *machines)
{
	struct event_entry entry;
	u64 nr = 0;
	int err = reader->left ? take_u64s(reader, &nr, 1) : 0;

	if (!err && nr > reader->left / sizeof(entry))
		return -EINVAL;
	while (!err && nr--) {
		err = take_u32s(reader, &entry.machine, 2) ?:
		      take(reader, &entry.event, sizeof(entry.event));
		if (!err)
			err = entry.machine < machines->nr ?
			      add_event(&machines->machines[entry.machine], &entry.event) : -EINVAL;
	}
	return err;
}

/* -ENOTSUP: it is of a newer perf. What is there at an error is freed. */
int kvm_machines__read(struct kvm_machines *machines, const void *data, size_t size,
		       bool needs_swap)
{
	struct reader reader = { .pos = data, .left = size, .swap = needs_swap };
	u32 header[4];
	int err = take_u32s(&reader, header, ARRAY_SIZE(header));

	memset(machines, 0, sizeof(*machines));
	if (err)
		return err;
	if (header[0] != VERSION)
		return -ENOTSUP;
	if (header[1] > reader.left / sizeof(struct machine_header))
		return -EINVAL;
	machines->machines = calloc(header[1] ?: 1, sizeof(*machines->machines));
	if (!machines->machines)
		return -ENOMEM;
	machines->nr = header[1];
	for (u32 i = 0; !err && i < machines->nr; i++)
		err = read_machine(&reader, &machines->machines[i], header[2]);
	if (!err)
		err = read_events(&reader, machines);
	if (err)
		kvm_machines__exit(machines);
	return err;
}

/* Without machines, the caller drops the feature. */
int write_kvm_machines(struct feat_fd *ff, struct evlist *evlist __maybe_unused)
{
	const struct kvm_machines *machines = &ff->ph->env.kvm_machines;
	struct strbuf sb = STRBUF_INIT;
	int err;

	if (!machines->nr)
		return -ENODATA;
	err = kvm_machines__write(machines, &sb) ?: do_write(ff, sb.buf, sb.len);
	strbuf_release(&sb);
	return err;
}

static int read_section(struct feat_fd *ff, struct kvm_machines *machines)
{
	void *buf;
	int err;

	if (ff->buf)
		return kvm_machines__read(machines, ff->buf, ff->size, ff->ph->needs_swap);
	if (ff->size > MAX_SECTION)
		return -EINVAL;
	buf = malloc(ff->size ?: 1);
	if (!buf)
		return -ENOMEM;
	err = readn(ff->fd, buf, ff->size) == (ssize_t)ff->size ?
	      kvm_machines__read(machines, buf, ff->size, ff->ph->needs_swap) : -EIO;
	free(buf);
	return err;
}

/* What is damaged here makes no sample unreadable: it is no reason to give up the file. */
int process_kvm_machines(struct feat_fd *ff, void *data __maybe_unused)
{
	struct kvm_machines *machines = &ff->ph->env.kvm_machines;
	int err;

	kvm_machines__exit(machines);
	err = read_section(ff, machines);
	if (err == -ENOTSUP)
		pr_warning("WARNING: the feature KVM_MACHINES is of a newer perf, and is ignored.\n");
	else if (err)
		pr_warning("WARNING: the feature KVM_MACHINES is damaged, and is ignored.\n");
	return 0;
}

void print_kvm_machines(struct feat_fd *ff, FILE *fp)
{
	kvm_machines__fprintf(&ff->ph->env.kvm_machines, fp);
}
