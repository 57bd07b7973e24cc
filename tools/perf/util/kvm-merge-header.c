// SPDX-License-Identifier: GPL-2.0
/*
 * Writes what a perf.data file has besides records: the host's features as they
 * are, those that list events or DSOs with the guests' added, and all attrs.
 *
 *   [ header | records | table of features | features | ids | attrs ]
 */
#include "kvm-merge.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "build-id.h"
#include "debug.h"
#include "event.h"
#include "evsel.h"
#include "header.h"
#include "kvm-machines.h"
#include "kvm-merge-tracing.h"
#include "strbuf.h"

#define NAME_ALIGN	64

/* One of the attrs of the output, in their order. */
struct out_attr {
	const struct kvm_merge_attr	*attr;
	struct kvm_merge_ids		*ids;
	u32				idx;	/* in its file */
	const struct kvm_merge_guest	*guest;	/* NULL: the host's */
};

static u32 count_attrs(const struct kvm_merge *merge)
{
	u32 nr = merge->host.file.nr_attrs;

	for (size_t i = 0; i < merge->nr_guests; i++)
		nr += merge->guests[i].file.nr_attrs;
	return nr;
}

static struct out_attr *list_attrs(struct kvm_merge *merge, u32 *nr)
{
	struct out_attr *list = calloc(count_attrs(merge), sizeof(*list)), *pos = list;

	for (u32 i = 0; list && i < merge->host.file.nr_attrs; i++)
		*pos++ = (struct out_attr){ &merge->host.file.attrs[i], &merge->host.ids, i, NULL };
	for (size_t g = 0; list && g < merge->nr_guests; g++) {
		struct kvm_merge_guest *guest = &merge->guests[g];

		for (u32 i = 0; i < guest->file.nr_attrs; i++) {
			if (!guest->file.attrs[i].under)
				*pos++ = (struct out_attr){ &guest->file.attrs[i], &guest->ids, i,
							    guest };
		}
	}
	*nr = pos - list;
	return list;
}

/* Those that were given out for an event */
static int add_out_ids(struct strbuf *sb, const struct kvm_merge_ids *ids, u32 idx)
{
	int err = 0;

	for (size_t i = 0; i < ids->nr; i++) {
		const struct kvm_merge_id *entry = &ids->entries[i];

		for (u32 j = 0; !err && entry->attr == idx && j < entry->nr_out; j++)
			err = strbuf_add(sb, &entry->out[j].id, sizeof(u64));
	}
	return err;
}

/* Those of a guest's events that are under the host's event */
static int add_joined_ids(struct strbuf *sb, const struct kvm_merge_guest *guest,
			  const struct kvm_merge_attr *host)
{
	int err = 0;

	for (u32 i = 0; !err && i < guest->file.nr_attrs; i++) {
		if (guest->file.attrs[i].under == host)
			err = add_out_ids(sb, &guest->ids, i);
	}
	return err;
}

/* The host's ids are as they were; a guest's are those that were given out. */
static int add_ids(struct strbuf *sb, const struct kvm_merge *merge, const struct out_attr *attr)
{
	int err;

	if (attr->guest)
		return add_out_ids(sb, attr->ids, attr->idx);
	err = attr->attr->nr_ids ?
	      strbuf_add(sb, attr->attr->ids, attr->attr->nr_ids * sizeof(u64)) :
	      add_out_ids(sb, attr->ids, attr->idx);
	for (size_t i = 0; !err && i < merge->nr_guests; i++)
		err = add_joined_ids(sb, &merge->guests[i], attr->attr);
	return err;
}

static struct perf_event_attr final_attr(const struct out_attr *attr)
{
	struct perf_event_attr final = attr->attr->attr;

	final.sample_type |= PERF_SAMPLE_IDENTIFIER;
	if (attr->guest) {
		final.exclude_host = 1;
		final.exclude_guest = 0;
	}
	return final;
}

static int add_padded_string(struct strbuf *sb, const char *string)
{
	static const char zeroes[NAME_ALIGN];
	u32 size = strlen(string) + 1, len = PERF_ALIGN(size, NAME_ALIGN);

	return strbuf_add(sb, &len, sizeof(len)) ?: strbuf_add(sb, string, size) ?:
	       strbuf_add(sb, zeroes, len - size);
}

static int add_made_up_name(struct strbuf *sb, struct perf_event_attr *attr)
{
	struct evsel *evsel = evsel__new(attr);
	int err;

	if (!evsel)
		return -ENOMEM;
	err = add_padded_string(sb, evsel__name(evsel) ?: "unknown");
	evsel__delete(evsel);
	return err;
}

static int add_name(struct strbuf *sb, const struct out_attr *attr)
{
	struct perf_event_attr raw = attr->attr->attr;
	const char *vm = attr->guest ? attr->guest->opts.name : NULL;
	char *name;
	int err;

	if (!attr->attr->name)
		return add_made_up_name(sb, &raw);
	if (!vm)
		return add_padded_string(sb, attr->attr->name);
	if (asprintf(&name, "%s@%s", attr->attr->name, vm) < 0)
		return -ENOMEM;
	err = add_padded_string(sb, name);
	free(name);
	return err;
}

static int add_event_desc(struct strbuf *sb, const struct kvm_merge *merge,
			  const struct out_attr *attrs, u32 nr)
{
	u32 attr_size = sizeof(struct perf_event_attr);
	int err = strbuf_add(sb, &nr, sizeof(nr)) ?: strbuf_add(sb, &attr_size, sizeof(attr_size));

	for (u32 i = 0; !err && i < nr; i++) {
		struct perf_event_attr final = final_attr(&attrs[i]);
		struct strbuf ids = STRBUF_INIT;
		u32 nr_ids;

		err = add_ids(&ids, merge, &attrs[i]);
		nr_ids = ids.len / sizeof(u64);
		if (!err)
			err = strbuf_add(sb, &final, sizeof(final)) ?:
			      strbuf_add(sb, &nr_ids, sizeof(nr_ids)) ?:
			      add_name(sb, &attrs[i]) ?: strbuf_add(sb, ids.buf, ids.len);
		strbuf_release(&ids);
	}
	return err;
}

/* A reader trusts the sizes and the string, and perf pads that: the next one is aligned. */
static bool build_id_is_sound(const struct perf_record_header_build_id *bev, size_t left)
{
	size_t len;

	if (left <= sizeof(*bev) || bev->header.size <= sizeof(*bev) ||
	    bev->header.size > left || bev->header.size % sizeof(u32))
		return false;
	len = bev->header.size - sizeof(*bev);
	if (len > PATH_MAX || !memchr(bev->filename, '\0', len))
		return false;
	return !(bev->header.misc & PERF_RECORD_MISC_BUILD_ID_SIZE) || bev->size <= BUILD_ID_SIZE;
}

static int write_build_id(struct strbuf *sb, struct perf_record_header_build_id *bev,
			  const char *name)
{
	static const char zeroes[NAME_ALIGN];
	const size_t len = strlen(name) + 1, padded = PERF_ALIGN(len, sizeof(u64));

	bev->header.size = sizeof(*bev) + padded;
	return strbuf_add(sb, bev, sizeof(*bev)) ?: strbuf_add(sb, name, len) ?:
	       strbuf_add(sb, zeroes, padded - len);
}

/*
 * Those of guests of the guest are left out, as their records are. The kernel gets the
 * name that perf has for a guest's: by the host's, the same function of both were one.
 */
static int add_build_id(struct strbuf *sb, const struct perf_record_header_build_id *bev, u32 pid)
{
	struct perf_record_header_build_id copy = *bev;
	u16 mode = bev->header.misc & PERF_RECORD_MISC_CPUMODE_MASK;
	char kernel[40];

	if (mode == PERF_RECORD_MISC_KERNEL)
		mode = PERF_RECORD_MISC_GUEST_KERNEL;
	else if (mode == PERF_RECORD_MISC_USER)
		mode = PERF_RECORD_MISC_GUEST_USER;
	else
		return 0;
	copy.header.misc &= ~PERF_RECORD_MISC_CPUMODE_MASK;
	copy.header.misc |= mode;
	copy.pid = pid;
	scnprintf(kernel, sizeof(kernel), "[guest.kernel.kallsyms.%u]", pid);
	return write_build_id(sb, &copy, strcmp(bev->filename, "[kernel.kallsyms]") ?
					 bev->filename : kernel);
}

static int add_guest_build_ids(struct strbuf *sb, const struct kvm_merge_guest *guest)
{
	size_t size, pos = 0;
	void *buf;
	int err = kvm_merge_file__feature(&guest->file, HEADER_BUILD_ID, &buf, &size);

	if (err)
		return err == -ENOENT ? 0 : err;
	while (!err && pos < size) {
		struct perf_record_header_build_id *bev = buf + pos;

		if (!build_id_is_sound(bev, size - pos)) {
			pr_warning("%s: its list of build ids is damaged, and used in part.\n",
				   guest->file.path);
			break;
		}
		pos += bev->header.size;
		err = add_build_id(sb, bev, guest->opts.pid);
	}
	free(buf);
	return err;
}

static int add_known_build_id(struct strbuf *sb, const struct kvm_merge_build_id *known, u32 pid)
{
	struct perf_record_header_build_id bev = {
		.header.type	= PERF_RECORD_HEADER_BUILD_ID,
		.header.misc	= PERF_RECORD_MISC_BUILD_ID_SIZE,
		.pid		= pid,
		.size		= known->bid.size,
	};

	if (strlen(known->name) >= PATH_MAX)
		return 0;
	bev.header.misc |= known->is_kernel ? PERF_RECORD_MISC_GUEST_KERNEL :
					      PERF_RECORD_MISC_GUEST_USER;
	memcpy(bev.data, known->bid.data, known->bid.size);
	return write_build_id(sb, &bev, known->name);
}

static int add_known_build_ids(struct strbuf *sb, const struct kvm_merge_guest_opts *opts)
{
	int err = 0;

	for (size_t i = 0; !err && i < opts->nr_build_ids; i++)
		err = add_known_build_id(sb, &opts->build_ids[i], opts->pid);
	return err;
}

static int add_host_feature(struct strbuf *sb, const struct kvm_merge *merge, int feat)
{
	size_t size;
	void *buf;
	int err = kvm_merge_file__feature(&merge->host.file, feat, &buf, &size);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = strbuf_add(sb, buf, size);
	free(buf);
	return err;
}

static int add_build_ids(struct strbuf *sb, struct kvm_merge *merge)
{
	int err = add_host_feature(sb, merge, HEADER_BUILD_ID);

	for (size_t i = 0; !err && i < merge->nr_guests; i++)
		err = add_guest_build_ids(sb, &merge->guests[i]) ?:
		      add_known_build_ids(sb, &merge->guests[i].opts);
	return err;
}

static int add_sample_time(struct strbuf *sb, const struct kvm_merge *merge)
{
	return strbuf_add(sb, &merge->first_sample, sizeof(merge->first_sample)) ?:
	       strbuf_add(sb, &merge->last_sample, sizeof(merge->last_sample));
}

static int add_machines(struct strbuf *sb, const struct kvm_merge *merge)
{
	struct kvm_machines machines = {};
	int err = kvm_merge__get_machines(merge, &machines) ?:
		  kvm_machines__write(&machines, sb);

	kvm_machines__exit(&machines);
	return err;
}

static int add_feature(struct strbuf *sb, struct kvm_merge *merge, int feat,
		       const struct out_attr *attrs, u32 nr)
{
	switch (feat) {
	case HEADER_TRACING_DATA:
		return kvm_merge_tracing__write(merge, sb);
	case HEADER_BUILD_ID:
		return add_build_ids(sb, merge);
	case HEADER_EVENT_DESC:
		return add_event_desc(sb, merge, attrs, nr);
	case HEADER_SAMPLE_TIME:
		return add_sample_time(sb, merge);
	case HEADER_KVM_MACHINES:
		return add_machines(sb, merge);
	case HEADER_COMPRESSED:
		return -ENOENT;		/* what was compressed is no longer */
	default:
		return add_host_feature(sb, merge, feat);
	}
}

/* These are made whatever the host's file has. */
static bool is_made(int feat)
{
	return feat == HEADER_BUILD_ID || feat == HEADER_EVENT_DESC ||
	       feat == HEADER_SAMPLE_TIME || feat == HEADER_KVM_MACHINES ||
	       feat == HEADER_TRACING_DATA;
}

static int write_strbuf(struct kvm_merge *merge, const struct strbuf *sb)
{
	return kvm_merge_output__write(&merge->output, sb->buf, sb->len);
}

/* An empty feature is none: a guest's build ids may make one where the host has none. */
static int write_features(struct kvm_merge *merge, struct perf_file_header *header,
			  const struct out_attr *attrs, u32 nr)
{
	struct perf_file_section sections[HEADER_FEAT_BITS];
	struct strbuf bodies = STRBUF_INIT;
	u64 base = kvm_merge_output__offset(&merge->output);
	u32 nr_feats = 0;
	int err = 0;

	for (int feat = HEADER_FIRST_FEATURE; !err && feat < HEADER_FEAT_BITS; feat++) {
		size_t start = bodies.len;

		if (!test_bit(feat, merge->host.file.features) && !is_made(feat))
			continue;
		err = add_feature(&bodies, merge, feat, attrs, nr);
		if (err == -ENOENT || (feat == HEADER_BUILD_ID && bodies.len == start)) {
			err = 0;
			continue;
		}
		__set_bit(feat, header->adds_features);
		sections[nr_feats++] = (struct perf_file_section){ start, bodies.len - start };
	}
	for (u32 i = 0; i < nr_feats; i++)
		sections[i].offset += base + nr_feats * sizeof(*sections);
	if (!err)
		err = kvm_merge_output__write(&merge->output, sections,
					      nr_feats * sizeof(*sections)) ?:
		      write_strbuf(merge, &bodies);
	strbuf_release(&bodies);
	return err;
}

/* The ids are written at once, and where into the attrs that follow. */
static int write_attrs(struct kvm_merge *merge, struct perf_file_header *header,
		       const struct out_attr *attrs, u32 nr)
{
	struct strbuf ids = STRBUF_INIT, entries = STRBUF_INIT;
	u64 base = kvm_merge_output__offset(&merge->output);
	int err = 0;

	for (u32 i = 0; !err && i < nr; i++) {
		struct perf_file_section section = { .offset = base + ids.len };
		struct perf_event_attr final = final_attr(&attrs[i]);

		err = add_ids(&ids, merge, &attrs[i]);
		section.size = base + ids.len - section.offset;
		if (!err)
			err = strbuf_add(&entries, &final, sizeof(final)) ?:
			      strbuf_add(&entries, &section, sizeof(section));
	}
	header->attr_size = sizeof(struct perf_event_attr) + sizeof(struct perf_file_section);
	header->attrs.offset = base + ids.len;
	header->attrs.size = entries.len;
	if (!err)
		err = write_strbuf(merge, &ids) ?: write_strbuf(merge, &entries);
	strbuf_release(&ids);
	strbuf_release(&entries);
	return err;
}

int kvm_merge__write_header(struct kvm_merge *merge)
{
	struct perf_file_header header = { .size = sizeof(header) };
	struct out_attr *attrs;
	u32 nr;
	int err;

	memcpy(&header.magic, "PERFILE2", sizeof(header.magic));
	header.data.offset = sizeof(header);
	header.data.size = kvm_merge_output__offset(&merge->output) - sizeof(header);
	attrs = list_attrs(merge, &nr);
	if (!attrs)
		return -ENOMEM;
	err = write_features(merge, &header, attrs, nr) ?:
	      write_attrs(merge, &header, attrs, nr) ?:
	      kvm_merge_output__finish(&merge->output, &header);
	free(attrs);
	return err;
}
