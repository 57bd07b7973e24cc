// SPDX-License-Identifier: GPL-2.0
/*
 * Reads the header of a perf.data file that is to be merged. The file may come
 * from a guest: nothing in it is used before it was checked.
 */
#include "kvm-merge-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "kvm-merge-record.h"

/* perf's own names of events are much shorter. */
#define MAX_NAME	1024

static const char magic[] = "PERFILE2";
static const char magic_swapped[] = "2ELIFREP";

int kvm_merge_file__read_at(const struct kvm_merge_file *file, void *buf, size_t size, u64 offset)
{
	while (size) {
		ssize_t n = pread(file->fd, buf, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		buf += n;
		offset += n;
		size -= n;
	}
	return 0;
}

static bool section_is_there(const struct kvm_merge_file *file,
			     const struct perf_file_section *section)
{
	return section->offset <= file->size && section->size <= file->size - section->offset;
}

static int read_section(const struct kvm_merge_file *file,
			const struct perf_file_section *section, void **buf)
{
	int err;

	if (!section_is_there(file, section))
		return -ENODATA;
	*buf = malloc(section->size ?: 1);
	if (!*buf)
		return -ENOMEM;
	err = kvm_merge_file__read_at(file, *buf, section->size, section->offset);
	if (err)
		zfree(buf);
	return err;
}

/* The caller frees what it gets. -ENOENT: the file has no such feature. */
int kvm_merge_file__feature(const struct kvm_merge_file *file, int feat, void **buf, size_t *size)
{
	if (!test_bit(feat, file->features))
		return -ENOENT;
	if (feat < HEADER_LAST_FEATURE && file->bodies[feat].data) {
		*size = file->bodies[feat].size;
		*buf = memdup(file->bodies[feat].data, *size);
		return *buf ? 0 : -ENOMEM;
	}
	*size = file->sections[feat].size;
	return read_section(file, &file->sections[feat], buf);
}

static int check_magic(struct kvm_merge_file *file, const struct perf_file_header *header)
{
	if (!memcmp(&header->magic, magic_swapped, sizeof(header->magic))) {
		pr_err("%s: was recorded on a machine of the other byte order: merge it there.\n",
		       file->path);
		return -EINVAL;
	}
	if (memcmp(&header->magic, magic, sizeof(header->magic))) {
		pr_err("%s: is no perf.data file.\n", file->path);
		return -EINVAL;
	}
	file->pipe = header->size == sizeof(struct perf_pipe_file_header);
	if (!file->pipe && header->size != sizeof(*header)) {
		pr_err("%s: its header has a size that this perf does not know.\n", file->path);
		return -EINVAL;
	}
	return 0;
}

/* A recording that was not ended has a data size of 0, and no features. */
static int set_data(struct kvm_merge_file *file, const struct perf_file_header *header)
{
	u64 there;

	if (header->data.offset < sizeof(*header) || header->data.offset > file->size) {
		pr_err("%s: is cut off before its first event.\n", file->path);
		return -EINVAL;
	}
	there = file->size - header->data.offset;
	file->data_offset = header->data.offset;
	file->data_size = header->data.size;
	if (!file->data_size || file->data_size > there) {
		file->data_size = there;
		file->cut = true;
	}
	return 0;
}

static int read_features(struct kvm_merge_file *file, const struct perf_file_header *header)
{
	unsigned int nr = bitmap_weight(header->adds_features, HEADER_FEAT_BITS);
	u64 offset = file->data_offset + file->data_size;
	struct perf_file_section *table;
	unsigned int feat, i = 0;
	int err;

	if (file->cut || !nr)
		return 0;
	table = calloc(nr, sizeof(*table));
	if (!table)
		return -ENOMEM;
	err = kvm_merge_file__read_at(file, table, nr * sizeof(*table), offset);
	if (err) {
		file->cut = true;
		free(table);
		return err == -ENODATA ? 0 : err;
	}
	for_each_set_bit(feat, header->adds_features, HEADER_FEAT_BITS) {
		const struct perf_file_section *section = &table[i++];

		if (!section_is_there(file, section) || section->size > KVM_MERGE_MAX_FEATURE) {
			file->cut = true;
			continue;
		}
		file->sections[feat] = *section;
		__set_bit(feat, file->features);
	}
	free(table);
	return 0;
}

static int read_ids(struct kvm_merge_file *file, struct kvm_merge_attr *attr,
		    const struct perf_file_section *section)
{
	void *ids;
	int err;

	if (section->size % sizeof(u64) ||
	    section->size / sizeof(u64) > KVM_MERGE_MAX_IDS - file->nr_ids) {
		pr_err("%s: an event has a list of ids that cannot be.\n", file->path);
		return -EINVAL;
	}
	err = read_section(file, section, &ids);
	if (err) {
		pr_err("%s: the ids of its events cannot be read: %s\n", file->path,
		       err == -ENODATA ? "the file is cut off before them" : strerror(-err));
		return err;
	}
	attr->ids = ids;
	attr->nr_ids = section->size / sizeof(u64);
	file->nr_ids += attr->nr_ids;
	return 0;
}

/* What this perf does not know of an attr must be zero: else it means something. */
int kvm_merge_file__copy_attr(const struct kvm_merge_file *file, struct perf_event_attr *attr,
			      const void *raw, size_t size)
{
	const unsigned char *bytes = raw;

	memcpy(attr, raw, min(size, sizeof(*attr)));
	for (size_t i = sizeof(*attr); i < size; i++) {
		if (bytes[i]) {
			pr_err("%s: was recorded by a newer perf, with what this one does not know.\n",
			       file->path);
			return -ENOTSUP;
		}
	}
	if (attr->sample_type >= PERF_SAMPLE_MAX || attr->read_format >= PERF_FORMAT_MAX ||
	    attr->branch_sample_type >= PERF_SAMPLE_BRANCH_MAX) {
		pr_err("%s: an event has a format that this perf does not know.\n", file->path);
		return -ENOTSUP;
	}
	attr->size = sizeof(*attr);
	return 0;
}

static int parse_attrs(struct kvm_merge_file *file, const void *raw, size_t entry)
{
	size_t attr_size = entry - sizeof(struct perf_file_section);

	for (u32 i = 0; i < file->nr_attrs; i++, raw += entry) {
		struct kvm_merge_attr *attr = &file->attrs[i];
		struct perf_file_section ids;
		int err = kvm_merge_file__copy_attr(file, &attr->attr, raw, attr_size);

		if (err)
			return err;
		memcpy(&ids, raw + attr_size, sizeof(ids));
		err = read_ids(file, attr, &ids);
		if (err)
			return err;
		kvm_merge_layout__init(&attr->layout, attr->attr.sample_type);
	}
	return 0;
}

static int read_attrs(struct kvm_merge_file *file, const struct perf_file_header *header)
{
	u64 entry = header->attr_size;
	void *raw;
	int err;

	if (entry < PERF_ATTR_SIZE_VER0 + sizeof(struct perf_file_section) || entry > 4096 ||
	    !header->attrs.size || header->attrs.size / entry > KVM_MERGE_MAX_ATTRS) {
		pr_err("%s: its list of events cannot be read.\n", file->path);
		return -EINVAL;
	}
	err = read_section(file, &header->attrs, &raw);
	if (err) {
		pr_err("%s: is cut off before its list of events.\n", file->path);
		return err;
	}
	file->nr_attrs = header->attrs.size / entry;
	file->attrs = calloc(file->nr_attrs ?: 1, sizeof(*file->attrs));
	err = file->attrs && file->nr_attrs ? parse_attrs(file, raw, entry) : -ENOMEM;
	free(raw);
	return err;
}

/* As in the file: a length with the padding, then the string. */
static const char *take_string(const char **pos, const char *end)
{
	const char *string;
	u32 len;

	if (end - *pos < (ptrdiff_t)sizeof(len))
		return NULL;
	memcpy(&len, *pos, sizeof(len));
	string = *pos + sizeof(len);
	if (!len || len > end - string || !memchr(string, '\0', len))
		return NULL;
	*pos = string + len;
	return string;
}

static bool is_printable(const char *name)
{
	for (; *name; name++) {
		if (*name < ' ' || *name > '~')
			return false;
	}
	return true;
}

/* Without memory for it there is none, as if the file had none. */
void kvm_merge_file__set_name(struct kvm_merge_attr *attr, const char *name)
{
	if (!is_printable(name))
		return;
	free(attr->name);
	attr->name = strndup(name, MAX_NAME);
}

void kvm_merge_file__parse_names(struct kvm_merge_file *file, const char *pos, const char *end)
{
	u32 nr, attr_size, nr_ids;

	if (end - pos < 8)
		return;
	memcpy(&nr, pos, sizeof(nr));
	memcpy(&attr_size, pos + 4, sizeof(attr_size));
	pos += 8;
	if (nr != file->nr_attrs)
		return;
	for (u32 i = 0; i < nr; i++) {
		const char *name;

		if (end - pos < (ptrdiff_t)attr_size + 4)
			return;
		memcpy(&nr_ids, pos + attr_size, sizeof(nr_ids));
		pos += attr_size + 4;
		name = take_string(&pos, end);
		if (!name || nr_ids > (end - pos) / sizeof(u64))
			return;
		pos += nr_ids * sizeof(u64);
		kvm_merge_file__set_name(&file->attrs[i], name);
	}
}

/* Without names, or with bad ones, perf makes up its own of an event's number. */
static int read_names(struct kvm_merge_file *file)
{
	size_t size;
	void *buf;
	int err = kvm_merge_file__feature(file, HEADER_EVENT_DESC, &buf, &size);

	if (err)
		return err == -ENOENT ? 0 : err;
	kvm_merge_file__parse_names(file, buf, buf + size);
	free(buf);
	return 0;
}

static int open_file(struct kvm_merge_file *file)
{
	struct stat st;
	int err;

	file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &st)) {
		err = -errno;
		pr_err("%s: cannot be opened: %s\n", file->path, strerror(-err));
		return err;
	}
	if (S_ISDIR(st.st_mode)) {
		pr_err("%s: is a directory: record it without --threads; of 'perf record --kcore' give\n"
		       "%s/data.\n", file->path, file->path);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode)) {
		pr_err("%s: is no regular file.\n", file->path);
		return -EINVAL;
	}
	file->size = st.st_size;
	return 0;
}

static int check_features(const struct kvm_merge_file *file)
{
	if (!test_bit(HEADER_DIR_FORMAT, file->features))
		return 0;
	pr_err("%s: is one of several files of a recording: record it without --threads.\n",
	       file->path);
	return -ENOTSUP;
}

static int read_header(struct kvm_merge_file *file)
{
	struct perf_file_header header;
	int err = kvm_merge_file__read_at(file, &header, sizeof(header), 0);

	/* A pipe's header is shorter, and what follows it may be too. */
	if (err == -ENODATA && file->size >= sizeof(struct perf_pipe_file_header)) {
		memset(&header, 0, sizeof(header));
		err = kvm_merge_file__read_at(file, &header,
					      sizeof(struct perf_pipe_file_header), 0);
		if (!err && header.size == sizeof(header))
			err = -ENODATA;
	}
	if (err) {
		pr_err("%s: its header cannot be read: %s\n", file->path,
		       err == -ENODATA ? "the file is too short" : strerror(-err));
		return err;
	}
	err = check_magic(file, &header);
	if (err)
		return err;
	if (file->pipe)
		return kvm_merge_pipe__read_head(file) ?: check_features(file);
	return set_data(file, &header) ?:
	       read_features(file, &header) ?: check_features(file) ?:
	       read_attrs(file, &header) ?: read_names(file);
}

/* Says what is wrong; the caller closes the file in any case. */
int kvm_merge_file__open(struct kvm_merge_file *file, const char *path)
{
	memset(file, 0, sizeof(*file));
	file->path = path;
	return open_file(file) ?: read_header(file);
}

void kvm_merge_file__close(struct kvm_merge_file *file)
{
	for (u32 i = 0; file->attrs && i < file->nr_attrs; i++) {
		free(file->attrs[i].ids);
		free(file->attrs[i].name);
	}
	zfree(&file->attrs);
	for (u32 i = 0; i < ARRAY_SIZE(file->bodies); i++)
		zfree(&file->bodies[i].data);
	if (file->path && file->fd >= 0)
		close(file->fd);
	file->path = NULL;
}
