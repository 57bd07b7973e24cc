// SPDX-License-Identifier: GPL-2.0
/*
 * Aligns times by readings of both clocks. Each reading proves the offset between
 * the two, up to half of its round trip, near its time. Between two readings the
 * offset is taken from the straight line through both.
 *
 * The bound there: the clocks drift, and nothing tells when they did so, but it is
 * taken that from one reading to the next the offset goes one way only. Then it lies
 * between the two offsets, give or take the larger bound of the two, and so does the
 * line. Their difference is thus at most that larger bound, and the offsets' distance.
 * A step of the clock between two readings is covered too: it shows as a large bound.
 *
 * Before the first and after the last reading the offset is that reading's, and the
 * bound grows by MAX_DRIFT.
 */
#include "kvm-merge-clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>

/* In parts of a million: Linux lets no clock be slewed by more. */
#define MAX_DRIFT	500

/* A reading in the list of those that are still used. */
struct candidate {
	struct kvm_merge_reading	reading;
	u64				guest;
	size_t				prev;
	size_t				next;
	bool				dropped;
};

#define NONE	((size_t)-1)

static u64 add(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static u64 distance(s64 a, s64 b)
{
	return a < b ? (u64)b - (u64)a : (u64)a - (u64)b;
}

/* What two readings prove of the time between them. */
static u64 bound_between(const struct kvm_merge_reading *a, const struct kvm_merge_reading *b)
{
	return add(max(a->bound, b->bound), distance(a->offset, b->offset));
}

static int compare_time(const void *l, const void *r)
{
	const struct candidate *a = l, *b = r;

	if (a->reading.at != b->reading.at)
		return a->reading.at < b->reading.at ? -1 : 1;
	return a->reading.bound < b->reading.bound ? -1 : a->reading.bound > b->reading.bound;
}

struct order {
	u64	bound;
	size_t	pos;
};

/* The worst first */
static int compare_bound(const void *l, const void *r)
{
	const struct order *a = l, *b = r;

	if (a->bound != b->bound)
		return a->bound > b->bound ? -1 : 1;
	return a->pos < b->pos ? -1 : a->pos > b->pos;
}

/* Its guest's time must be one. */
static bool is_sound(const struct kvm_merge_reading *reading, u64 *guest)
{
	s64 sum;

	if (!reading->at || reading->at > INT64_MAX ||
	    __builtin_add_overflow((s64)reading->at, reading->offset, &sum) || sum <= 0)
		return false;
	*guest = sum;
	return true;
}

/* Those that could be, in the order of the host's time */
static size_t copy_sound(struct candidate *list, const struct kvm_merge_reading *readings,
			 size_t nr)
{
	size_t nr_sound = 0;

	for (size_t i = 0; i < nr; i++) {
		struct candidate *cand = &list[nr_sound];

		*cand = (struct candidate){ .reading = readings[i] };
		if (is_sound(&readings[i], &cand->guest))
			nr_sound++;
	}
	qsort(list, nr_sound, sizeof(*list), compare_time);
	for (size_t i = 0; i < nr_sound; i++) {
		list[i].prev = i ? i - 1 : NONE;
		list[i].next = i + 1 < nr_sound ? i + 1 : NONE;
	}
	return nr_sound;
}

static void drop(struct candidate *list, size_t pos)
{
	struct candidate *cand = &list[pos];

	cand->dropped = true;
	if (cand->prev != NONE)
		list[cand->prev].next = cand->next;
	if (cand->next != NONE)
		list[cand->next].prev = cand->prev;
}

/* Whether its neighbours prove more of its time than it does itself. */
static bool is_useless(const struct candidate *list, const struct candidate *cand)
{
	if (cand->prev == NONE || cand->next == NONE)
		return false;
	return bound_between(&list[cand->prev].reading, &list[cand->next].reading) <=
	       cand->reading.bound;
}

/* A long round trip, as behind a full buffer, says little. */
static int drop_useless(struct candidate *list, size_t nr)
{
	struct order *order = calloc(nr, sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		order[i] = (struct order){ list[i].reading.bound, i };
	qsort(order, nr, sizeof(*order), compare_bound);
	for (size_t i = 0; i < nr; i++) {
		if (is_useless(list, &list[order[i].pos]))
			drop(list, order[i].pos);
	}
	free(order);
	return 0;
}

/*
 * The guest's time has to grow from reading to reading. Where it does not, but the
 * bounds explain that, the better of the two readings is kept.
 */
static bool settle(struct candidate *list)
{
	size_t pos = 0, next;

	while ((next = list[pos].next) != NONE) {
		struct candidate *a = &list[pos], *b = &list[next];

		if (a->guest < b->guest && a->reading.at < b->reading.at) {
			pos = next;
			continue;
		}
		if (a->guest > b->guest &&
		    a->guest - b->guest > add(a->reading.bound, b->reading.bound))
			return false;
		if (a->reading.bound > b->reading.bound) {
			size_t prev = a->prev;

			drop(list, pos);
			pos = prev == NONE ? next : prev;
		} else {
			drop(list, next);
		}
	}
	return true;
}

static int set_points(struct kvm_merge_clock *clock, const struct candidate *list, size_t nr)
{
	struct kvm_merge_point *point;

	clock->points = calloc(nr, sizeof(*clock->points));
	if (!clock->points)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const struct candidate *cand = &list[i];

		if (cand->dropped)
			continue;
		point = &clock->points[clock->nr_points++];
		point->guest = cand->guest;
		point->offset = cand->reading.offset;
		point->bound = cand->reading.bound;
		if (cand->next != NONE)
			point->bound_after = bound_between(&cand->reading,
							   &list[cand->next].reading);
	}
	return 0;
}

/* NULL, or why it cannot be. */
const char *kvm_merge_probe__init(struct kvm_merge_clock *clock,
				  const struct kvm_merge_reading *readings, size_t nr)
{
	const char *why = NULL;
	struct candidate *list;

	list = calloc(nr ?: 1, sizeof(*list));
	if (!list)
		return "there is not enough memory for its readings";
	nr = copy_sound(list, readings, nr);
	if (!nr)
		why = "there are no readings of both clocks: give some, as readings=FILE";
	else if (drop_useless(list, nr))
		why = "there is not enough memory for its readings";
	else if (!settle(list))
		why = "its clock stepped back between two readings: record it again";
	else if (set_points(clock, list, nr))
		why = "there is not enough memory for its readings";
	free(list);
	return why;
}

/* The last point that is not after the time, or the first one. */
static const struct kvm_merge_point *find_point(struct kvm_merge_clock *clock, u64 time)
{
	const struct kvm_merge_point *points = clock->points;
	size_t low = 0, high = clock->nr_points;

	if (points[clock->last].guest <= time &&
	    (clock->last + 1 == clock->nr_points || time < points[clock->last + 1].guest))
		return &points[clock->last];
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (points[mid].guest <= time)
			low = mid;
		else
			high = mid;
	}
	clock->last = low;
	return &points[low];
}

static s64 interpolate(const struct kvm_merge_point *point, u64 time)
{
	double whole = point[1].guest - point->guest, part = time - point->guest;
	/* The offsets may be too large for a double, their difference is not. */
	double delta = (s64)((u64)point[1].offset - (u64)point->offset);

	return point->offset + (s64)(delta * (part / whole));
}

/* Outside of the readings */
static u64 bound_at(const struct kvm_merge_point *point, u64 time)
{
	u64 away = time < point->guest ? point->guest - time : time - point->guest;

	return add(point->bound, add(away / 1000000 * MAX_DRIFT, MAX_DRIFT));
}

int kvm_merge_probe__to_host(struct kvm_merge_clock *clock, u64 time, s64 *host)
{
	const struct kvm_merge_point *point = find_point(clock, time);
	bool is_last = point == &clock->points[clock->nr_points - 1];
	s64 offset = point->offset;
	u64 bound = point->bound_after;

	if (is_last || time < point->guest)
		bound = bound_at(point, time);
	else
		offset = interpolate(point, time);
	clock->bound = max(clock->bound, bound);
	return __builtin_sub_overflow((s64)time, offset, host) ? -ERANGE : 0;
}
