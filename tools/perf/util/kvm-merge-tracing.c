// SPDX-License-Identifier: GPL-2.0
/*
 * A perf.data file has the formats of tracepoints once, by a number that the kernel
 * gave them. Each kernel gives its own, so a guest's tracepoints get numbers here
 * that are free: in their formats, which are put behind the host's, in the attrs of
 * their events, and in each sample.
 *
 *   tracing data:  [ head | formats of ftrace | n | n systems, of events | rest ]
 *                                               ^                        ^
 *                                            systems                   behind
 */
#include "kvm-merge-tracing.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bitmap.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "header.h"
#include "kvm-merge.h"
#include "kvm-merge-format.h"
#include "kvm-merge-format-print.h"
#include "kvm-merge-record.h"
#include "strbuf.h"
#include "util.h"

/* A sample has the number in 16 bits. */
#define MAX_ID		65535
#define MAX_TRACING	(64UL * 1024 * 1024)
#define MAX_FORMAT	(256 * 1024)
#define MAX_SYSTEM	64

struct kvm_merge_tracing {
	void		*data;		/* the host's, or NULL */
	size_t		size;
	size_t		systems;
	size_t		behind;
	u32		nr_systems;
	struct strbuf	guests;		/* systems that are added */
	u32		nr_guests;
	DECLARE_BITMAP(used, MAX_ID + 1);
};

/* What a guest's events need, by the number of the attr. */
struct kvm_merge_formats {
	struct kvm_merge_format	*format;
	bool			is_owner;
	bool			unusable;
};

/* A walk over tracing data; a handler gets each format. */
struct walk {
	const char	*start;
	const char	*pos;
	const char	*end;
	u8		long_size;
	size_t		systems;
	size_t		behind;
	u32		nr_systems;
	int		(*handle)(struct walk *walk, const char *system, const char *text,
				  size_t len);
	void		*data;
};

static const void *take(struct walk *walk, u64 size)
{
	const char *pos = walk->pos;

	if (size > (u64)(walk->end - walk->pos))
		return NULL;
	walk->pos += size;
	return pos;
}

static int take_u32(struct walk *walk, u32 *val)
{
	const void *pos = take(walk, sizeof(*val));

	if (!pos)
		return -EBADMSG;
	memcpy(val, pos, sizeof(*val));
	return 0;
}

static const void *take_sized(struct walk *walk, u64 *size)
{
	const void *pos = take(walk, sizeof(*size));

	if (!pos)
		return NULL;
	memcpy(size, pos, sizeof(*size));
	return take(walk, *size);
}

static const char *take_string(struct walk *walk)
{
	const char *end = memchr(walk->pos, '\0', walk->end - walk->pos);

	return end ? take(walk, end + 1 - walk->pos) : NULL;
}

static bool take_exactly(struct walk *walk, const char *what, size_t len)
{
	const char *pos = take(walk, len);

	return pos && !memcmp(pos, what, len);
}

static int walk_head(struct walk *walk)
{
	const u8 *order, *long_size;
	u64 size;

	if (!take_exactly(walk, "\027\010\104tracing", 10) || !take_string(walk))
		return -EBADMSG;
	order = take(walk, 1);
	long_size = take(walk, 1);
	if (!order || !long_size || *order != host_is_bigendian() || !take(walk, sizeof(u32)))
		return -EBADMSG;
	walk->long_size = *long_size;
	return take_exactly(walk, "header_page", 12) && take_sized(walk, &size) &&
	       take_exactly(walk, "header_event", 13) && take_sized(walk, &size) ? 0 : -EBADMSG;
}

static int walk_formats(struct walk *walk, const char *system)
{
	u32 nr = 0;
	int err = take_u32(walk, &nr);

	while (!err && nr--) {
		u64 size;
		const char *text = take_sized(walk, &size);

		err = text ? walk->handle(walk, system, text, size) : -EBADMSG;
	}
	return err;
}

static int walk_systems(struct walk *walk)
{
	u32 nr = 0;
	int err;

	walk->systems = walk->pos - walk->start;
	err = take_u32(walk, &nr);
	walk->nr_systems = nr;
	while (!err && nr--) {
		const char *system = take_string(walk);

		err = system ? walk_formats(walk, system) : -EBADMSG;
	}
	walk->behind = walk->pos - walk->start;
	return err;
}

static int walk_tracing(struct walk *walk, const void *data, size_t size)
{
	walk->start = data;
	walk->pos = data;
	walk->end = data + size;
	return walk_head(walk) ?: walk_formats(walk, "ftrace") ?: walk_systems(walk);
}

/* The host's part */

static int mark_used(struct walk *walk, const char *system __maybe_unused, const char *text,
		     size_t len)
{
	struct kvm_merge_tracing *tracing = walk->data;
	const char *id = memmem(text, len, "\nID: ", 5);
	u32 number = 0;

	if (!id)
		return 0;
	for (id += 5; id < text + len && isdigit(*id) && number <= MAX_ID; id++)
		number = number * 10 + (*id - '0');
	if (number <= MAX_ID)
		__set_bit(number, tracing->used);
	return 0;
}

/* Without its formats, no perf reads the file. */
static int check_host_events(const struct kvm_merge_tracing *tracing,
			     const struct kvm_merge_file *file)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		const struct kvm_merge_attr *attr = &file->attrs[i];

		if (attr->attr.type != PERF_TYPE_TRACEPOINT ||
		    (attr->attr.config <= MAX_ID && test_bit(attr->attr.config, tracing->used)))
			continue;
		pr_err("%s: has a tracepoint (%s) and not its format, as it is cut off or damaged: record\n"
		       "the host again.\n", file->path, attr->name ?: "unnamed");
		return -EINVAL;
	}
	return 0;
}

static int read_host(struct kvm_merge_tracing *tracing, const struct kvm_merge_file *file)
{
	struct walk walk = { .handle = mark_used, .data = tracing };
	int err = kvm_merge_file__feature(file, HEADER_TRACING_DATA, &tracing->data,
					  &tracing->size);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = walk_tracing(&walk, tracing->data, tracing->size);
	if (err) {
		pr_err("%s: its formats of tracepoints are damaged: record the host again.\n",
		       file->path);
		return err;
	}
	tracing->systems = walk.systems;
	tracing->behind = walk.behind;
	tracing->nr_systems = walk.nr_systems;
	return 0;
}

int kvm_merge_tracing__init(struct kvm_merge *merge)
{
	struct kvm_merge_tracing *tracing = zalloc(sizeof(*tracing));
	int err;

	if (!tracing)
		return -ENOMEM;
	merge->tracing = tracing;
	strbuf_init(&tracing->guests, 0);
	err = read_host(tracing, &merge->host.file);
	return err ?: check_host_events(tracing, &merge->host.file);
}

void kvm_merge_tracing__exit(struct kvm_merge *merge)
{
	if (!merge->tracing)
		return;
	free(merge->tracing->data);
	strbuf_release(&merge->tracing->guests);
	zfree(&merge->tracing);
}

/* Guests */

/* From above: kernels count from below. 0: there is none left. */
static u32 new_id(struct kvm_merge_tracing *tracing)
{
	for (u32 id = MAX_ID; id; id--) {
		if (!test_bit(id, tracing->used)) {
			__set_bit(id, tracing->used);
			return id;
		}
	}
	return 0;
}

/* "sched" of the guest "web" becomes "sched_web", which scripts can use in names of functions. */
static int add_system(struct strbuf *sb, const struct kvm_merge_guest *guest, const char *system)
{
	size_t start = sb->len;
	int err = guest->opts.name ? strbuf_addf(sb, "%s_%s", system, guest->opts.name) :
				     strbuf_addf(sb, "%s_vm%u", system, guest->opts.pid);

	for (size_t i = start; !err && i < sb->len; i++) {
		if (!kvm_merge_is_word(sb->buf[i]))
			sb->buf[i] = '_';
	}
	return err ?: strbuf_add(sb, "", 1);
}

static int add_format(struct kvm_merge_guest *guest, const struct kvm_merge_format *format,
		      const char *system)
{
	struct kvm_merge_tracing *tracing = guest->merge->tracing;
	struct strbuf text = STRBUF_INIT;
	u32 one = 1;
	u64 size;
	int err = kvm_merge_format__write(format, &text);

	size = text.len;
	if (!err)
		err = add_system(&tracing->guests, guest, system) ?:
		      strbuf_add(&tracing->guests, &one, sizeof(one)) ?:
		      strbuf_add(&tracing->guests, &size, sizeof(size)) ?:
		      strbuf_add(&tracing->guests, text.buf, text.len);
	strbuf_release(&text);
	tracing->nr_guests++;
	return err;
}

static bool is_system(const char *system)
{
	size_t len = 0;

	while (kvm_merge_is_word(system[len]) || system[len] == '-')
		len++;
	return len && len <= MAX_SYSTEM && !system[len];
}

static bool is_wanted(const struct kvm_merge_guest *guest, u32 nr, u32 id)
{
	const struct perf_event_attr *attr = &guest->file.attrs[nr].attr;

	return attr->type == PERF_TYPE_TRACEPOINT && attr->config == id &&
	       !guest->formats[nr].format;
}

/* An event without a name gets that of its tracepoint. */
static int give_name(struct kvm_merge_attr *attr, const char *system, const char *name)
{
	if (attr->name)
		return 0;
	return asprintf(&attr->name, "%s:%s", system, name) < 0 ? -ENOMEM : 0;
}

/* The number may be of several events, as with filters: the first one keeps the format. */
static int use_format(struct kvm_merge_guest *guest, struct kvm_merge_format *format,
		      const char *system, u32 first)
{
	int err;

	guest->formats[first].format = format;
	guest->formats[first].is_owner = true;
	format->new_id = new_id(guest->merge->tracing);
	if (!format->new_id) {
		pr_err("%s: there are no numbers left for its tracepoints: merge fewer guests.\n",
		       guest->file.path);
		return -E2BIG;
	}
	err = give_name(&guest->file.attrs[first], system, format->name) ?:
	      add_format(guest, format, system);
	for (u32 i = first + 1; !err && i < guest->file.nr_attrs; i++) {
		if (!is_wanted(guest, i, format->id))
			continue;
		guest->formats[i].format = format;
		err = give_name(&guest->file.attrs[i], system, format->name);
	}
	return err;
}

/* What cannot be used is left out, and so is what no event has. */
static int take_format(struct walk *walk, const char *system, const char *text, size_t len)
{
	struct kvm_merge_guest *guest = walk->data;
	struct kvm_merge_format *format;
	int err;

	if (!is_system(system) || len > MAX_FORMAT)
		return 0;
	format = malloc(sizeof(*format));
	if (!format)
		return -ENOMEM;
	err = kvm_merge_format__parse(format, text, len);
	for (u32 i = 0; !err && i < guest->file.nr_attrs; i++) {
		if (is_wanted(guest, i, format->id))
			return use_format(guest, format, system, i);
	}
	if (!err)
		kvm_merge_format__exit(format);
	free(format);
	return err == -EBADMSG ? 0 : err;
}

static int read_guest(struct kvm_merge_guest *guest)
{
	struct walk walk = { .handle = take_format, .data = guest };
	size_t size;
	void *data;
	int err = kvm_merge_file__feature(&guest->file, HEADER_TRACING_DATA, &data, &size);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = walk_tracing(&walk, data, min(size, MAX_TRACING));
	if (err == -EBADMSG) {
		pr_warning("%s: its formats of tracepoints are damaged, and used in part.\n",
			   guest->file.path);
		err = 0;
	}
	free(data);
	return err;
}

/* An event without a format would keep perf from reading the file: only its name remains. */
static void set_attr(struct kvm_merge_attr *attr, struct kvm_merge_formats *formats,
		     const char *path)
{
	if (formats->format) {
		attr->attr.config = formats->format->new_id;
		return;
	}
	pr_warning("%s: the format of its tracepoint %s is not there or cannot be used: its samples are\n"
		   "left out.\n", path, attr->name ?: "without a name");
	attr->attr.type = PERF_TYPE_SOFTWARE;
	attr->attr.config = PERF_COUNT_SW_DUMMY;
	formats->unusable = true;
}

static bool has_tracepoints(const struct kvm_merge_file *file)
{
	for (u32 i = 0; i < file->nr_attrs; i++) {
		if (file->attrs[i].attr.type == PERF_TYPE_TRACEPOINT)
			return true;
	}
	return false;
}

/* A guest that is left out must not take numbers from the others. */
static void give_back(struct kvm_merge_guest *guest, size_t len, u32 nr)
{
	struct kvm_merge_tracing *tracing = guest->merge->tracing;

	for (u32 i = 0; i < guest->file.nr_attrs; i++) {
		if (guest->formats[i].is_owner && guest->formats[i].format->new_id)
			__clear_bit(guest->formats[i].format->new_id, tracing->used);
	}
	strbuf_setlen(&tracing->guests, len);
	tracing->nr_guests = nr;
}

int kvm_merge_tracing__add_guest(struct kvm_merge_guest *guest)
{
	size_t len = guest->merge->tracing->guests.len;
	u32 nr = guest->merge->tracing->nr_guests;
	int err;

	if (!has_tracepoints(&guest->file))
		return 0;
	guest->formats = calloc(guest->file.nr_attrs, sizeof(*guest->formats));
	if (!guest->formats)
		return -ENOMEM;
	err = read_guest(guest);
	for (u32 i = 0; !err && i < guest->file.nr_attrs; i++) {
		if (guest->file.attrs[i].attr.type == PERF_TYPE_TRACEPOINT)
			set_attr(&guest->file.attrs[i], &guest->formats[i], guest->file.path);
	}
	if (err)
		give_back(guest, len, nr);
	return err;
}

void kvm_merge_tracing__exit_guest(struct kvm_merge_guest *guest)
{
	for (u32 i = 0; guest->formats && i < guest->file.nr_attrs; i++) {
		if (!guest->formats[i].is_owner)
			continue;
		kvm_merge_format__exit(guest->formats[i].format);
		free(guest->formats[i].format);
	}
	zfree(&guest->formats);
}

/*
 * Gives a sample, which was walked, its event's new number. -ENOENT: it is of an event
 * without a format; -EBADMSG: it contradicts that.
 */
int kvm_merge_tracing__convert(struct kvm_merge_guest *guest, const struct kvm_merge_attr *attr,
			       union perf_event *event)
{
	const struct kvm_merge_formats *formats;
	u32 size = 0;
	void *raw;
	u16 type;

	if (!guest->formats || event->header.type != PERF_RECORD_SAMPLE)
		return 0;
	formats = &guest->formats[attr - guest->file.attrs];
	if (formats->unusable)
		return -ENOENT;
	if (!formats->format || !(attr->attr.sample_type & PERF_SAMPLE_RAW))
		return 0;
	raw = kvm_merge_record__raw(attr, event, &size);
	if (!raw || !kvm_merge_format__fits(formats->format, raw, size))
		return -EBADMSG;
	type = formats->format->new_id;
	memcpy(raw, &type, sizeof(type));
	return 0;
}

/* The output */

/* A host without tracepoints: what a kernel says of its pages is of no use for perf's records. */
static int add_head(struct strbuf *sb)
{
	static const char page[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				   "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
				   "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
				   "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n";
	u8 order_and_size[] = { host_is_bigendian(), sizeof(long) };
	u32 page_size = sysconf(_SC_PAGESIZE), nr_ftrace = 0;
	u64 size = sizeof(page) - 1, none = 0;

	return strbuf_add(sb, "\027\010\104tracing0.6", 14) ?:
	       strbuf_add(sb, order_and_size, sizeof(order_and_size)) ?:
	       strbuf_add(sb, &page_size, sizeof(page_size)) ?:
	       strbuf_add(sb, "header_page", 12) ?:
	       strbuf_add(sb, &size, sizeof(size)) ?: strbuf_add(sb, page, size) ?:
	       strbuf_add(sb, "header_event", 13) ?: strbuf_add(sb, &none, sizeof(none)) ?:
	       strbuf_add(sb, &nr_ftrace, sizeof(nr_ftrace));
}

/* Neither symbols nor formats of printk nor names of tasks */
static int add_rest(struct strbuf *sb)
{
	static const char none[sizeof(u32) + sizeof(u32) + sizeof(u64)];

	return strbuf_add(sb, none, sizeof(none));
}

/* -ENOENT: nobody has tracepoints. */
int kvm_merge_tracing__write(const struct kvm_merge *merge, struct strbuf *sb)
{
	const struct kvm_merge_tracing *tracing = merge->tracing;
	u32 nr = tracing->nr_systems + tracing->nr_guests;
	size_t first = tracing->systems + sizeof(nr);
	int err;

	if (!tracing->data && !tracing->nr_guests)
		return -ENOENT;
	err = tracing->data ? strbuf_add(sb, tracing->data, tracing->systems) : add_head(sb);
	err = err ?: strbuf_add(sb, &nr, sizeof(nr));
	if (!err && tracing->data)
		err = strbuf_add(sb, tracing->data + first, tracing->behind - first);
	err = err ?: strbuf_add(sb, tracing->guests.buf, tracing->guests.len);
	if (err || !tracing->data)
		return err ?: add_rest(sb);
	return strbuf_add(sb, tracing->data + tracing->behind, tracing->size - tracing->behind);
}
