// SPDX-License-Identifier: GPL-2.0
/*
 * The feature PV_CLOCK of a perf.data header tells how the clock of a guest's
 * perf relates to its host's, so that what both recorded can be put together.
 */
#include "pv-clock-feature.h"

#include <byteswap.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <internal/lib.h>
#include "clockid.h"
#include "debug.h"
#include "event.h"
#include "header.h"

#define PV_CLOCK_VERSION	1
#define PV_CLOCK_CHANGED	BIT(0)

/* In the file. A longer one of the same version begins with this. */
struct pv_clock_section {
	u32	version;
	u32	flags;
	u64	host_epoch;
	u64	generation;
	s64	offset;
	char	source[PV_CLOCK_SOURCE_LEN];	/* padded with zeroes */
};

/* Says whether there is such a clock. */
int pv_clock_feature__start(struct pv_clock_feature *feature)
{
	struct pv_clock clock;
	int err = pv_clock__read(&clock);

	memset(feature, 0, sizeof(*feature));
	if (err)
		return err;
	if (!clock.related)
		return -ENODATA;
	memcpy(feature->source, clock.source, sizeof(feature->source));
	feature->relation = clock.relation;
	return 0;
}

/* When the clock became another one meanwhile, its times cannot all be related to the host's. */
void pv_clock_feature__finish(struct pv_clock_feature *feature)
{
	struct pv_clock_feature now;

	if (!*feature->source)
		return;
	if (pv_clock_feature__start(&now) || strcmp(now.source, feature->source) ||
	    now.relation.host_epoch != feature->relation.host_epoch ||
	    now.relation.generation != feature->relation.generation ||
	    now.relation.offset != feature->relation.offset)
		feature->changed = true;
}

/*
 * A pipe's features end with an empty one, whose number perf knows as the first
 * that is no feature. To every perf from before PV_CLOCK that is PV_CLOCK's
 * number, and perf report refuses others: so it stays the mark, being empty.
 * With a content, those take it for the mark as well, and so skip it.
 */
bool pv_clock_feature__is_end_mark(const struct perf_record_header_feature *fe)
{
	return fe->feat_id == HEADER_PV_CLOCK && fe->header.size <= sizeof(*fe);
}

int write_pv_clock(struct feat_fd *ff, struct evlist *evlist __maybe_unused)
{
	const struct pv_clock_feature *feature = &ff->ph->env.pv_clock;
	struct pv_clock_section section = {
		.version	= PV_CLOCK_VERSION,
		.flags		= feature->changed ? PV_CLOCK_CHANGED : 0,
		.host_epoch	= feature->relation.host_epoch,
		.generation	= feature->relation.generation,
		.offset		= feature->relation.offset,
	};

	/* Without this, the caller drops the feature. */
	if (!*feature->source)
		return -ENODATA;
	memcpy(section.source, feature->source, sizeof(section.source));
	return do_write(ff, &section, sizeof(section));
}

/* In a file, the size is that of the section and the offset is the file's. */
static int read_section(struct feat_fd *ff, struct pv_clock_section *section)
{
	if (ff->size < sizeof(*section))
		return -EINVAL;
	if (ff->buf)
		memcpy(section, ff->buf, sizeof(*section));
	else if (readn(ff->fd, section, sizeof(*section)) != sizeof(*section))
		return -EIO;
	return 0;
}

static void swap_section(struct pv_clock_section *section)
{
	section->version = bswap_32(section->version);
	section->flags = bswap_32(section->flags);
	section->host_epoch = bswap_64(section->host_epoch);
	section->generation = bswap_64(section->generation);
	section->offset = bswap_64(section->offset);
}

static int parse_section(struct feat_fd *ff, struct pv_clock_feature *feature)
{
	struct pv_clock_section section;
	int err = read_section(ff, &section);

	if (err)
		return err;
	if (ff->ph->needs_swap)
		swap_section(&section);
	if (section.version != PV_CLOCK_VERSION)
		return -ENOTSUP;
	err = pv_clock__copy_source(feature->source, section.source,
				    strnlen(section.source, sizeof(section.source)));
	if (err)
		return err;
	feature->relation = (struct pv_clock_relation){
		.host_epoch	= section.host_epoch,
		.generation	= section.generation,
		.offset		= section.offset,
	};
	feature->changed = section.flags & PV_CLOCK_CHANGED;
	return 0;
}

/* What is damaged here makes no sample unreadable: it is no reason to give up the file. */
int process_pv_clock(struct feat_fd *ff, void *data __maybe_unused)
{
	struct pv_clock_feature *feature = &ff->ph->env.pv_clock;
	int err;

	memset(feature, 0, sizeof(*feature));
	err = parse_section(ff, feature);
	if (err == -ENOTSUP)
		pr_warning("WARNING: the feature PV_CLOCK is of a newer perf, and is ignored.\n");
	else if (err)
		pr_warning("WARNING: the feature PV_CLOCK is damaged, and is ignored.\n");
	return 0;
}

static void print_source(const struct pv_clock_feature *feature, FILE *fp)
{
	if (!strcmp(feature->source, "msr"))
		fprintf(fp, "MSR of a KVM host");
	else
		fprintf(fp, "%s of a KVM host", feature->source);
}

void print_pv_clock(struct feat_fd *ff, FILE *fp)
{
	const struct perf_env *env = &ff->ph->env;
	const struct pv_clock_feature *feature = &env->pv_clock;
	s64 offset = feature->relation.offset;

	if (!*feature->source)
		return;
	fprintf(fp, "# perf clock : ");
	print_source(feature, fp);
	fprintf(fp, ", host epoch 0x%016" PRIx64 ", generation %" PRIu64
		", host's clock = time %c %" PRIu64 " ns",
		feature->relation.host_epoch, feature->relation.generation,
		offset < 0 ? '-' : '+', offset < 0 ? -(u64)offset : (u64)offset);
	if (feature->changed)
		fprintf(fp, "; it changed while recording: this holds for the start only");
	if (env->clock.enabled)
		fprintf(fp, "; the events have another clock: %s",
			clockid_name(env->clock.clockid));
	fprintf(fp, "\n");
}
