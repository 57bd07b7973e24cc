// SPDX-License-Identifier: GPL-2.0
/*
 * perf record writes out one ring after the other, and each is in order. So there
 * are a few runs to merge rather than many records to sort: a record goes behind
 * one that is not later, and only the first of each run is in a heap.
 *
 *   heads:    [ a1 | b1 | c1 | x ]	x came when no run was left for it
 *   runs:       a2   b2   c2
 *               a3   b3
 */
#include "kvm-merge-order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/zalloc.h>

/* A hostile file may have records in reverse: to look through the runs must stay cheap. */
#define MAX_RUNS	1024

int kvm_merge_order__init(struct kvm_merge_order *order)
{
	memset(order, 0, sizeof(*order));
	order->runs = calloc(MAX_RUNS, sizeof(*order->runs));
	return order->runs ? 0 : -ENOMEM;
}

void kvm_merge_order__exit(struct kvm_merge_order *order)
{
	for (size_t i = 0; i < order->nr_runs; i++)
		free(order->runs[i].entries);
	zfree(&order->runs);
	zfree(&order->heads);
	order->nr_heads = 0;
	order->nr_runs = 0;
	order->nr = 0;
}

static bool is_before(const struct kvm_merge_entry *a, const struct kvm_merge_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

static int add_head(struct kvm_merge_order *order, const struct kvm_merge_entry *entry,
		    struct kvm_merge_run *run)
{
	struct kvm_merge_head *heads = order->heads;
	size_t i = order->nr_heads;

	if (i == order->alloc_heads) {
		size_t alloc = i ? 2 * i : 64;

		heads = reallocarray(heads, alloc, sizeof(*heads));
		if (!heads)
			return -ENOMEM;
		order->heads = heads;
		order->alloc_heads = alloc;
	}
	for (; i && is_before(entry, &heads[(i - 1) / 2].entry); i = (i - 1) / 2)
		heads[i] = heads[(i - 1) / 2];
	heads[i] = (struct kvm_merge_head){ .entry = *entry, .run = run };
	order->nr_heads++;
	return 0;
}

/* Puts another head in place of the first one. */
static void replace_first(struct kvm_merge_order *order, const struct kvm_merge_head *head)
{
	struct kvm_merge_head *heads = order->heads;
	size_t i = 0, child;

	while ((child = 2 * i + 1) < order->nr_heads) {
		if (child + 1 < order->nr_heads &&
		    is_before(&heads[child + 1].entry, &heads[child].entry))
			child++;
		if (!is_before(&heads[child].entry, &head->entry))
			break;
		heads[i] = heads[child];
		i = child;
	}
	heads[i] = *head;
}

static int grow_run(struct kvm_merge_run *run)
{
	size_t used = run->end - run->first, alloc = run->alloc ? 2 * run->alloc : 256;
	struct kvm_merge_entry *entries;

	if (used <= run->alloc / 2 && used) {
		memmove(run->entries, run->entries + run->first, used * sizeof(*run->entries));
		run->first = 0;
		run->end = used;
		return 0;
	}
	entries = reallocarray(run->entries, alloc, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	run->entries = entries;
	run->alloc = alloc;
	return 0;
}

static int append(struct kvm_merge_run *run, const struct kvm_merge_entry *entry)
{
	if (run->end == run->alloc && grow_run(run))
		return -ENOMEM;
	run->entries[run->end++] = *entry;
	return 0;
}

/* The run that has the latest end before the time, or one without entries; NULL: neither. */
static struct kvm_merge_run *find_run(struct kvm_merge_order *order, u64 time)
{
	struct kvm_merge_run *best = NULL, *idle = NULL;

	for (size_t i = 0; i < order->nr_runs; i++) {
		struct kvm_merge_run *run = &order->runs[i];

		if (!run->busy)
			idle = run;
		else if (run->last <= time && (!best || run->last > best->last))
			best = run;
	}
	if (best || idle)
		return best ?: idle;
	return order->nr_runs < MAX_RUNS ? &order->runs[order->nr_runs++] : NULL;
}

int kvm_merge_order__push(struct kvm_merge_order *order, const struct kvm_merge_entry *entry)
{
	struct kvm_merge_run *run = order->current;
	int err;

	if (!run || !run->busy || run->last > entry->time)
		run = find_run(order, entry->time);
	err = run && run->busy ? append(run, entry) : add_head(order, entry, run);
	if (err)
		return err;
	order->nr++;
	order->current = run;
	if (run) {
		run->busy = true;
		run->last = entry->time;
	}
	return 0;
}

/* What comes after the run's head; false: nothing, and it is free for others. */
static bool next_of_run(struct kvm_merge_run *run, struct kvm_merge_head *head)
{
	if (!run)
		return false;
	if (run->first == run->end) {
		run->busy = false;
		return false;
	}
	head->entry = run->entries[run->first++];
	head->run = run;
	if (run->first == run->end) {
		run->first = 0;
		run->end = 0;
	}
	return true;
}

int kvm_merge_order__pop(struct kvm_merge_order *order, struct kvm_merge_entry *entry)
{
	struct kvm_merge_head head;

	if (!order->nr_heads)
		return -ENODATA;
	*entry = order->heads[0].entry;
	if (!next_of_run(order->heads[0].run, &head))
		head = order->heads[--order->nr_heads];
	if (order->nr_heads)
		replace_first(order, &head);
	order->nr--;
	return 0;
}
