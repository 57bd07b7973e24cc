/* SPDX-License-Identifier: GPL-2.0 */
/* A guest's perf clock, where that is its host's: what the kernel says of it. */
#ifndef __PERF_PV_CLOCK_H
#define __PERF_PV_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct perf_event_mmap_page;

#define PV_CLOCK_SOURCE_LEN	16
#define PV_CLOCK_REASON_LEN	256

/* How the clock relates to the host's: host's clock = guest's clock + offset. */
struct pv_clock_relation {
	u64	host_epoch;
	u64	generation;
	s64	offset;		/* ns */
};

struct pv_clock {
	char				source[PV_CLOCK_SOURCE_LEN];
	char				reason[PV_CLOCK_REASON_LEN];
	bool				related;	/* relation is known */
	struct pv_clock_relation	relation;
};

int pv_clock__parse_u64(const char *token, int base, u64 *val);
int pv_clock__parse_s64(const char *token, s64 *val);

int pv_clock__copy_source(char *source, const char *text, size_t len);
int pv_clock__parse_source(struct pv_clock *clock, const char *text);
int pv_clock__parse_host(struct pv_clock *clock, const char *text);
int pv_clock__read(struct pv_clock *clock);

bool pv_clock__is_off(const struct pv_clock *clock);
int pv_clock__exits_per_read(const struct pv_clock *clock);
int pv_clock__measure_page(const struct perf_event_mmap_page *page, double *ns);
int pv_clock__measure_read(double *ns);
bool pv_clock__is_kvm_guest(void);

#endif /* __PERF_PV_CLOCK_H */
