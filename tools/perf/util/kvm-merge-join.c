// SPDX-License-Identifier: GPL-2.0
/*
 * Chooses the events of a guest whose records go under an event of the host's. A reader
 * understands a record by the attr of its event, and shows one list for each: so both
 * have to be the same event, or the user has to want it, and the host's attr has to
 * describe the guest's records.
 */
#include "kvm-merge-join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "kvm-merge.h"

/* These words can be added to records, and taken out of them. */
#define ID_WORDS	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID)

/* HOSTEVENT+GUESTEVENT: no name of an event has a plus. */
int kvm_merge_joins__add(struct kvm_merge_joins *joins, const char *text)
{
	const char *plus = strchr(text, '+');
	struct kvm_merge_pair *pairs, *pair;

	if (!plus || plus == text || !plus[1] || strchr(plus + 1, '+')) {
		pr_err("--join-events=%s: give an event of the host's and one of the guests', with '+'\n"
		       "between them: --join-events=cpu-clock+pvpmu/guest-ns/.\n", text);
		return -EINVAL;
	}
	pairs = reallocarray(joins->pairs, joins->nr_pairs + 1, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	joins->pairs = pairs;
	pair = &pairs[joins->nr_pairs++];
	pair->host = strndup(text, plus - text);
	pair->guest = strdup(plus + 1);
	return pair->host && pair->guest ? 0 : -ENOMEM;
}

void kvm_merge_joins__exit(struct kvm_merge_joins *joins)
{
	for (size_t i = 0; i < joins->nr_pairs; i++) {
		zfree(&joins->pairs[i].host);
		zfree(&joins->pairs[i].guest);
	}
	zfree(&joins->pairs);
	joins->nr_pairs = 0;
}

/* A sample without a period has that of its attr. */
static bool period_fits(const struct perf_event_attr *host, const struct perf_event_attr *guest)
{
	const bool on_host = host->sample_type & PERF_SAMPLE_PERIOD;
	const bool in_guest = guest->sample_type & PERF_SAMPLE_PERIOD;

	if (on_host)
		return in_guest || !guest->freq;
	return !in_guest && host->freq == guest->freq &&
	       host->sample_period == guest->sample_period;
}

/* What read() gave is in samples, and in the records of tasks that end. */
static bool read_format_fits(const struct perf_event_attr *host,
			     const struct perf_event_attr *guest)
{
	return host->read_format == guest->read_format ||
	       (!(guest->sample_type & PERF_SAMPLE_READ) && !guest->inherit_stat);
}

/* A tracepoint's samples are described by the format of its number. */
static bool format_fits(const struct perf_event_attr *host, const struct perf_event_attr *guest)
{
	const u64 kept = ~(u64)(ID_WORDS | PERF_SAMPLE_PERIOD);

	return host->type != PERF_TYPE_TRACEPOINT && guest->type != PERF_TYPE_TRACEPOINT &&
	       (host->sample_type & kept) == (guest->sample_type & kept) &&
	       host->branch_sample_type == guest->branch_sample_type &&
	       host->sample_regs_user == guest->sample_regs_user &&
	       host->sample_regs_intr == guest->sample_regs_intr &&
	       host->sample_stack_user == guest->sample_stack_user &&
	       period_fits(host, guest) && read_format_fits(host, guest);
}

static bool config_is_same(const struct perf_event_attr *host, const struct perf_event_attr *guest)
{
	return host->config == guest->config && host->config1 == guest->config1 &&
	       host->config2 == guest->config2 && host->config3 == guest->config3 &&
	       host->exclude_user == guest->exclude_user &&
	       host->exclude_kernel == guest->exclude_kernel &&
	       host->exclude_hv == guest->exclude_hv &&
	       host->exclude_idle == guest->exclude_idle;
}

/* Each kernel numbers its own PMUs, and a breakpoint is at an address of its kernel. */
static bool type_is_same(const struct kvm_merge_attr *host, const struct kvm_merge_attr *guest)
{
	const u32 type = host->attr.type;

	if (type == PERF_TYPE_BREAKPOINT || guest->attr.type == PERF_TYPE_BREAKPOINT)
		return false;
	if (type >= PERF_TYPE_MAX && guest->attr.type >= PERF_TYPE_MAX)
		return host->name && guest->name;
	return type == guest->attr.type;
}

static bool is_same_event(const struct kvm_merge_attr *host, const struct kvm_merge_attr *guest)
{
	return type_is_same(host, guest) && config_is_same(&host->attr, &guest->attr) &&
	       (!host->name || !guest->name || !strcmp(host->name, guest->name));
}

/* The same event twice is two lists, as it is on the host. */
static bool is_taken(const struct kvm_merge_guest *guest, const struct kvm_merge_attr *host)
{
	for (u32 i = 0; i < guest->file.nr_attrs; i++) {
		if (guest->file.attrs[i].under == host)
			return true;
	}
	return false;
}

static void join_same(struct kvm_merge_guest *guest, struct kvm_merge_attr *attr)
{
	const struct kvm_merge_file *host = &guest->merge->host.file;

	for (u32 i = 0; !attr->under && i < host->nr_attrs; i++) {
		const struct kvm_merge_attr *pos = &host->attrs[i];

		if (is_same_event(pos, attr) && format_fits(&pos->attr, &attr->attr) &&
		    !is_taken(guest, pos))
			attr->under = pos;
	}
}

static struct kvm_merge_attr *find_event(const struct kvm_merge_file *file, const char *name)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		if (file->attrs[i].name && !strcmp(file->attrs[i].name, name))
			return &file->attrs[i];
	}
	return NULL;
}

static void join_pair(struct kvm_merge_guest *guest, const struct kvm_merge_pair *pair)
{
	const struct kvm_merge_file *host = &guest->merge->host.file;
	const struct kvm_merge_attr *to = find_event(host, pair->host);
	struct kvm_merge_attr *from = find_event(&guest->file, pair->guest);

	if (!to || !from) {
		pr_warning("%s: has no event '%s', so --join-events=%s+%s joins nothing: 'perf evlist -i'\n"
			   "lists what it has.\n", to ? guest->file.path : host->path,
			   to ? pair->guest : pair->host, pair->host, pair->guest);
		return;
	}
	if (format_fits(&to->attr, &from->attr)) {
		from->under = to;
		return;
	}
	pr_warning("%s: its event '%s' is kept apart from the host's '%s', as they are tracepoints or\n"
		   "their samples do not have the same fields: record both with the same options.\n",
		   guest->file.path, pair->guest, pair->host);
}

/* What the user wants goes first. */
void kvm_merge_guest__join_events(struct kvm_merge_guest *guest)
{
	static const struct kvm_merge_joins none;
	const struct kvm_merge_joins *joins = guest->opts.joins ?: &none;

	for (size_t i = 0; i < joins->nr_pairs; i++)
		join_pair(guest, &joins->pairs[i]);
	for (u32 i = 0; !joins->separate && i < guest->file.nr_attrs; i++)
		join_same(guest, &guest->file.attrs[i]);
}
