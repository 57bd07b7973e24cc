/* SPDX-License-Identifier: GPL-2.0 */
/* The feature PV_CLOCK of a perf.data header: the clock of a guest that has its host's. */
#ifndef __PERF_PV_CLOCK_FEATURE_H
#define __PERF_PV_CLOCK_FEATURE_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>
#include "pv-clock.h"

struct evlist;
struct feat_fd;
struct perf_record_header_feature;

/* As of the start of recording. */
struct pv_clock_feature {
	char				source[PV_CLOCK_SOURCE_LEN];	/* "": there is none */
	struct pv_clock_relation	relation;
	bool				changed;	/* before recording ended */
};

int pv_clock_feature__start(struct pv_clock_feature *feature);
void pv_clock_feature__finish(struct pv_clock_feature *feature);
bool pv_clock_feature__is_end_mark(const struct perf_record_header_feature *fe);

/* By these names FEAT_OPR() in header.c finds them. */
int write_pv_clock(struct feat_fd *ff, struct evlist *evlist);
int process_pv_clock(struct feat_fd *ff, void *data);
void print_pv_clock(struct feat_fd *ff, FILE *fp);

#endif /* __PERF_PV_CLOCK_FEATURE_H */
