// SPDX-License-Identifier: GPL-2.0
/*
 * Derives figures from the counts of pvpmu's events: a table of expressions,
 * attached to the evsels of the PMUs pvpmu and kvm_vcpu. perf's own metric
 * code computes and prints them.
 */
#include "kvm-pvpmu-metric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "evlist.h"
#include "evsel.h"
#include "expr.h"
#include "hashmap.h"
#include "kvm-pvpmu.h"
#include "metricgroup.h"
#include "pmu.h"
#include "rblist.h"
#include "string2.h"

#define CAUSE(id, expr_id) \
	{ KVM_PVPMU_PV_EXITS_##id, "of exits", "100%", #expr_id " / vm_exits" }

/*
 * perf gives 0 for an event that was not counted. The expressions are written
 * so that this ends in a division by zero, which is shown as nan: a share
 * s / (s + g) is computed from s / g.
 */
static const struct kvm_pvpmu_metric metrics[] = {
	{ KVM_PVPMU_PV_GUEST_NS, "CPUs in guest mode", NULL,
	  "guest_ns / 1e9 / duration_time" },
	{ KVM_PVPMU_PV_VM_EXITS, "exits/s", NULL,
	  "vm_exits / duration_time" },
	{ KVM_PVPMU_PV_VM_EXITS, "ns of guest time per exit", NULL,
	  "1 / (vm_exits / guest_ns)" },
	{ KVM_PVPMU_PV_STEAL_NS, "of runnable time stolen", "100%",
	  "steal_ns / guest_ns / (1 + steal_ns / guest_ns)" },
	{ KVM_PVPMU_PV_SELF_EXITS, "of all exits, by pvpmu itself", "100%",
	  "pvpmu_exits / vm_exits / (1 + pvpmu_exits / vm_exits)" },
	CAUSE(IO,		vm_exits_io),
	CAUSE(MMIO,		vm_exits_mmio),
	CAUSE(MSR,		vm_exits_msr),
	CAUSE(CPUID,		vm_exits_cpuid),
	CAUSE(HLT,		vm_exits_hlt),
	CAUSE(PAGE_FAULT,	vm_exits_page_fault),
	CAUSE(INTR_WINDOW,	vm_exits_interrupt_window),
	CAUSE(EXTERNAL_INTR,	vm_exits_external_interrupt),
	CAUSE(EXCEPTION,	vm_exits_exception),
	CAUSE(PAUSE,		vm_exits_pause),
	CAUSE(HYPERCALL,	vm_exits_hypercall),
	CAUSE(CR_DR,		vm_exits_cr_dr),
	CAUSE(APIC,		vm_exits_apic),
	CAUSE(OTHER,		vm_exits_other),
};

const struct kvm_pvpmu_metric *kvm_pvpmu_metric__get(unsigned int i)
{
	return i < ARRAY_SIZE(metrics) ? &metrics[i] : NULL;
}

/* The number of the pv event that an evsel counts, or an error for any other evsel. */
static int pv_event_nr(const struct evsel *evsel)
{
	u64 config = evsel->core.attr.config;

	if (!evsel->pmu)
		return -ENOENT;
	if (!strcmp(evsel->pmu->name, KVM_PVPMU_HOST_PMU))
		return config & KVM_PVPMU_EVTSEL_EVENT;
	if (!strcmp(evsel->pmu->name, KVM_PVPMU_GUEST_PMU) &&
	    (config & KVM_PVPMU_EVTSEL_CLASS) >> KVM_PVPMU_EVTSEL_CLASS_SHIFT ==
	    KVM_PVPMU_CLASS_PV)
		return config & KVM_PVPMU_EVTSEL_EVENT;
	return -ENOENT;
}

static int set_metric_id(struct evsel *evsel)
{
	int nr = pv_event_nr(evsel);
	const char *name = nr < 0 ? NULL : kvm_pvpmu__pv_event_name(nr);
	char *id;

	if (!name || evsel->metric_id)
		return 0;
	id = strdup(name);
	if (!id)
		return -ENOMEM;
	strreplace(id, '-', '_');
	evsel->metric_id = id;
	evsel->metric_leader = evsel;
	evsel->collect_stat = true;
	return 0;
}

/* Figures are of one PMU and one cgroup. */
static struct evsel *find_evsel(struct evlist *evlist, const struct evsel *leader, const char *id)
{
	struct evsel *pos;

	evlist__for_each_entry(evlist, pos) {
		if (evsel__tool_event(pos) == PERF_TOOL_DURATION_TIME &&
		    !strcmp(id, "duration_time"))
			return pos;
		if (pos->metric_id && !strcmp(pos->metric_id, id) &&
		    pos->pmu == leader->pmu && pos->cgrp == leader->cgrp)
			return pos;
	}
	return NULL;
}

/* The evsels of an expression, ended by NULL; -ENOENT if one of them is not counted. */
static int find_events(struct evlist *evlist, struct evsel *leader, struct evsel *duration,
		       const char *expr, struct evsel ***events)
{
	struct expr_parse_ctx *ctx = expr__ctx_new();
	struct hashmap_entry *cur;
	int err = -ENOMEM, nr = 0;
	size_t bkt;

	*events = NULL;
	if (!ctx)
		return -ENOMEM;
	if (expr__find_ids(expr, NULL, ctx) < 0)
		goto out;
	*events = calloc(hashmap__size(ctx->ids) + 1, sizeof(**events));
	if (!*events)
		goto out;

	err = 0;
	hashmap__for_each_entry(ctx->ids, cur, bkt) {
		struct evsel *evsel = find_evsel(evlist, leader, cur->pkey);

		if (!evsel && !strcmp(cur->pkey, "duration_time"))
			evsel = duration;
		if (!evsel)
			err = -ENOENT;
		(*events)[nr++] = evsel;
	}
out:
	if (err)
		zfree(events);
	expr__ctx_free(ctx);
	return err;
}

/* What is allocated here is freed by metricgroup__rblist_exit(). */
static int add_metric(struct rblist *metric_events, struct evsel *leader,
		      const struct kvm_pvpmu_metric *metric, struct evsel **events)
{
	struct metric_event *node = metricgroup__lookup(metric_events, leader, /*create=*/true);
	struct metric_expr *expr = node ? zalloc(sizeof(*expr)) : NULL;

	if (expr)
		expr->metric_name = strdup(metric->name);
	if (!expr || !expr->metric_name) {
		free(expr);
		free(events);
		return -ENOMEM;
	}
	expr->metric_expr = metric->expr;
	expr->metric_unit = metric->unit;
	expr->metric_events = events;
	list_add_tail(&expr->nd, &node->head);
	return 0;
}

static int evsel__add_metrics(struct evlist *evlist, struct rblist *metric_events,
			      struct evsel *evsel, struct evsel *duration)
{
	int nr = pv_event_nr(evsel);

	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		struct evsel **events;
		int err;

		if (nr != (int)metrics[i].event)
			continue;
		err = find_events(evlist, evsel, duration, metrics[i].expr, &events);
		if (err == -ENOENT)
			continue;
		if (!err)
			err = add_metric(metric_events, evsel, &metrics[i], events);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Attaches each figure whose events are all in the evlist. duration stands in
 * for an evsel duration_time of the evlist, and may be NULL.
 */
int evlist__add_kvm_pvpmu_metrics(struct evlist *evlist, struct rblist *metric_events,
				  struct evsel *duration)
{
	struct evsel *pos;
	int err;

	evlist__for_each_entry(evlist, pos) {
		err = set_metric_id(pos);
		if (err)
			return err;
	}
	if (!metric_events->nr_entries)
		metricgroup__rblist_init(metric_events);
	evlist__for_each_entry(evlist, pos) {
		err = evsel__add_metrics(evlist, metric_events, pos, duration);
		if (err)
			return err;
	}
	return 0;
}
