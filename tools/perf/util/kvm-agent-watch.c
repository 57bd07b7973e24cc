// SPDX-License-Identifier: GPL-2.0
/*
 * Watches how the guest's perf clock relates to its host's while something is recorded.
 * The kernel does not tell when that changed, so it is looked at again and again, with
 * the guest's time between two readings that are the same: at that time it was so.
 *
 *       the old one      it changed       the new one
 *   ----read|read----------------------read|read----> guest's time
 *         until                          time
 */
#include "kvm-agent-watch.h"

#include <endian.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include "kvm-agent-clock.h"
#include "kvm-channel.h"

/* What a change in mid-session costs: records of a time in between cannot be aligned. */
#define WATCH_EVERY	(100 * NSEC_PER_MSEC)
#define MAX_TRIES	3

void kvm_agent_watch__start(struct kvm_agent_watch *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->on = true;
}

bool kvm_agent_watch__is_due(const struct kvm_agent_watch *watch)
{
	return watch->on && kvm_channel__now() - watch->looked >= WATCH_EVERY;
}

static bool is_same(const struct pv_clock *a, const struct pv_clock *b)
{
	const struct pv_clock_relation *l = &a->relation, *r = &b->relation;

	if (!a->related || !b->related)
		return a->related == b->related;
	return l->host_epoch == r->host_epoch && l->generation == r->generation &&
	       l->offset == r->offset;
}

static void read_state(struct pv_clock *state)
{
	if (pv_clock__read(state))
		state->related = false;
}

/* A state, and a time at which it was so. */
static int read_both(struct kvm_agent_clocks *clocks, struct pv_clock *state, u64 *time)
{
	struct pv_clock again;

	read_state(state);
	for (int i = 0; i < MAX_TRIES; i++) {
		int err = kvm_agent_clocks__read(clocks, KVM_AGENT_CLOCK_PERF, time);

		if (err)
			return err;
		read_state(&again);
		if (is_same(state, &again))
			return 0;
		*state = again;
	}
	state->related = false;
	return 0;
}

static void fill_frame(const struct pv_clock *state, u64 until, u64 time, bool last,
		       struct kvm_frame_clock *frame)
{
	*frame = (struct kvm_frame_clock){
		.until	= htole64(until),
		.time	= htole64(time),
		.flags	= htole32((state->related ? KVM_CLOCK_RELATED : 0) |
				  (last ? KVM_CLOCK_LAST : 0)),
	};
	if (!state->related)
		return;
	frame->epoch = htole64(state->relation.host_epoch);
	frame->generation = htole64(state->relation.generation);
	frame->offset = htole64(state->relation.offset);
}

/* Whether there is something to be told; without a clock of perf's there never is. */
bool kvm_agent_watch__look(struct kvm_agent_watch *watch, struct kvm_agent_clocks *clocks,
			   bool last, struct kvm_frame_clock *frame)
{
	struct pv_clock state;
	bool same;
	u64 time;

	watch->looked = kvm_channel__now();
	if (watch->on && read_both(clocks, &state, &time))
		watch->on = false;
	if (!watch->on)
		return false;
	same = watch->begun && is_same(&state, &watch->state);
	fill_frame(&state, same || !watch->begun ? time : watch->until, time, last, frame);
	watch->begun = true;
	watch->until = time;
	watch->state = state;
	return last || !same;
}
