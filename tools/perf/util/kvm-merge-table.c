// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes what is known of a guest's clock, as lines of text:
 *
 *   probe AT OFFSET BOUND      a reading of both clocks
 *   pv FROM OFFSET|unknown     a segment of each method
 *   tsc FROM OFFSET|unknown
 */
#include "kvm-merge-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "pv-clock.h"

#define MAX_ENTRIES	1048576
#define MAX_WORDS	5

/* Makes room for one more in an array that doubles. */
static void *grow(void *array, size_t nr, size_t size)
{
	if (nr & (nr - 1))
		return array;
	return reallocarray(array, nr ? 2 * nr : 1, size);
}

static int add_reading(struct kvm_merge_table *table, char **words)
{
	struct kvm_merge_reading reading, *list;

	if (pv_clock__parse_u64(words[1], 10, &reading.at) ||
	    pv_clock__parse_s64(words[2], &reading.offset) ||
	    pv_clock__parse_u64(words[3], 10, &reading.bound) || words[4])
		return -EINVAL;
	if (table->nr_readings == MAX_ENTRIES)
		return -E2BIG;
	list = grow(table->readings, table->nr_readings, sizeof(*list));
	if (!list)
		return -ENOMEM;
	table->readings = list;
	list[table->nr_readings++] = reading;
	return 0;
}

static int add_segment(struct kvm_merge_segment **segments, size_t *nr, char **words)
{
	struct kvm_merge_segment segment = {}, *list;

	segment.unknown = !strcmp(words[2], "unknown");
	if (pv_clock__parse_u64(words[1], 10, &segment.from) || words[3] ||
	    (!segment.unknown && pv_clock__parse_s64(words[2], &segment.offset)))
		return -EINVAL;
	if (*nr == MAX_ENTRIES)
		return -E2BIG;
	list = grow(*segments, *nr, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*segments = list;
	list[(*nr)++] = segment;
	return 0;
}

static int parse_line(struct kvm_merge_table *table, char *line)
{
	char *words[MAX_WORDS + 1] = {}, *save = NULL;
	int nr = 0;

	line[strcspn(line, "#")] = '\0';
	for (char *word = strtok_r(line, " \t\n", &save); word && nr < MAX_WORDS;
	     word = strtok_r(NULL, " \t\n", &save))
		words[nr++] = word;
	if (!nr)
		return 0;
	if (nr >= 4 && !strcmp(words[0], "probe"))
		return add_reading(table, words);
	if (nr >= 3 && !strcmp(words[0], "pv"))
		return add_segment(&table->pv, &table->nr_pv, words);
	if (nr >= 3 && !strcmp(words[0], "tsc"))
		return add_segment(&table->tsc, &table->nr_tsc, words);
	return -EINVAL;
}

static int read_lines(struct kvm_merge_table *table, const char *path, FILE *fp)
{
	unsigned int nr = 0;
	char line[256];
	int err = 0;

	while (!err && fgets(line, sizeof(line), fp)) {
		nr++;
		err = strchr(line, '\n') || feof(fp) ? parse_line(table, line) : -EINVAL;
	}
	if (err == -EINVAL)
		pr_err("%s:%u: is no line of a table of clocks: there are 'probe AT OFFSET BOUND',\n"
		       "'pv FROM OFFSET' and 'tsc FROM OFFSET', all decimal numbers.\n", path, nr);
	else if (err == -E2BIG)
		pr_err("%s:%u: has too many lines.\n", path, nr);
	return err;
}

/* Says what is wrong, but for lack of memory. The caller exits it in any case. */
int kvm_merge_table__read(struct kvm_merge_table *table, const char *path)
{
	FILE *fp = fopen(path, "re");
	int err;

	memset(table, 0, sizeof(*table));
	if (!fp) {
		err = -errno;
		pr_err("%s: cannot be opened: %s\n", path, strerror(-err));
		return err;
	}
	err = read_lines(table, path, fp);
	if (!err && ferror(fp)) {
		err = -EIO;
		pr_err("%s: cannot be read.\n", path);
	}
	fclose(fp);
	return err;
}

void kvm_merge_table__exit(struct kvm_merge_table *table)
{
	zfree(&table->pv);
	zfree(&table->tsc);
	zfree(&table->readings);
}

void kvm_merge_table__set(const struct kvm_merge_table *table, struct kvm_merge_clock_opts *opts)
{
	opts->pv = table->pv;
	opts->nr_pv = table->nr_pv;
	opts->tsc = table->tsc;
	opts->nr_tsc = table->nr_tsc;
	opts->readings = table->readings;
	opts->nr_readings = table->nr_readings;
}

static void write_segments(const char *method, const struct kvm_merge_segment *segments,
			   size_t nr, FILE *fp)
{
	for (size_t i = 0; i < nr; i++) {
		if (segments[i].unknown)
			fprintf(fp, "%s %" PRIu64 " unknown\n", method, segments[i].from);
		else
			fprintf(fp, "%s %" PRIu64 " %" PRId64 "\n", method, segments[i].from,
				segments[i].offset);
	}
}

/* So that the merge can be done again; the caller closes the file and checks that. */
int kvm_merge_clock_opts__write(const struct kvm_merge_clock_opts *opts, FILE *fp)
{
	write_segments("pv", opts->pv, opts->nr_pv, fp);
	write_segments("tsc", opts->tsc, opts->nr_tsc, fp);
	for (size_t i = 0; i < opts->nr_readings; i++)
		fprintf(fp, "probe %" PRIu64 " %" PRId64 " %" PRIu64 "\n", opts->readings[i].at,
			opts->readings[i].offset, opts->readings[i].bound);
	return ferror(fp) ? -EIO : 0;
}
