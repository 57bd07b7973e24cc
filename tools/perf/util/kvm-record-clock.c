// SPDX-License-Identifier: GPL-2.0
/*
 * Finds out which of the ways to align a guest's clock with the host's can be had:
 * what the guest says of its clock is believed only if the host's kernel says the
 * same, and no round trip contradicts.
 */
#include "kvm-record-clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "kvm-agent-client.h"
#include "kvm-record-spans.h"
#include "kvm-vm.h"
#include "pv-clock-vcpu.h"

/* One each few seconds: enough for weeks. */
#define MAX_READINGS	(1 << 18)

/* Each side rounds for itself. */
#define PV_BOUND	2

/* Readings */

int kvm_record_readings__add(struct kvm_record_readings *readings,
			     const struct kvm_merge_reading *reading)
{
	struct kvm_merge_reading *list;

	if (readings->nr == MAX_READINGS)
		return -E2BIG;
	list = reallocarray(readings->list, readings->nr + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	readings->list = list;
	list[readings->nr++] = *reading;
	return 0;
}

const struct kvm_merge_reading *
kvm_record_readings__best(const struct kvm_record_readings *readings)
{
	const struct kvm_merge_reading *best = NULL;

	for (size_t i = 0; i < readings->nr; i++) {
		if (!best || readings->list[i].bound < best->bound)
			best = &readings->list[i];
	}
	return best;
}

void kvm_record_readings__exit(struct kvm_record_readings *readings)
{
	zfree(&readings->list);
	readings->nr = 0;
}

/* The host's side */

static int read_s64(const struct kvm_vm *vm, int vcpu, const char *file, s64 *value)
{
	char *text = kvm_vm__read_vcpu_file(vm, vcpu, file);
	int err = -ENOENT;

	if (text) {
		text[strcspn(text, "\n")] = '\0';
		err = pv_clock__parse_s64(text, value);
	}
	free(text);
	return err;
}

static void read_epoch(struct kvm_record_vm_clock *clock, const struct kvm_vm *vm, int vcpu)
{
	char *text = kvm_vm__read_vcpu_file(vm, vcpu, "perf-clock");
	struct pv_clock_vcpu pv;

	if (text && !pv_clock_vcpu__parse(&pv, text) && pv.host_epoch.known) {
		clock->has_epoch = true;
		clock->epoch = pv.host_epoch.val;
	}
	free(text);
}

/* KVM has the files of scaling only where the CPU can scale. */
static bool is_scaled(const struct kvm_vm *vm, int vcpu)
{
	s64 ratio, bits;

	return !read_s64(vm, vcpu, "tsc-scaling-ratio", &ratio) &&
	       !read_s64(vm, vcpu, "tsc-scaling-ratio-frac-bits", &bits) &&
	       (bits < 0 || bits > 62 || ratio != 1LL << bits);
}

static void read_vcpu(struct kvm_record_vm_clock *clock, const struct kvm_vm *vm, int vcpu)
{
	s64 offset;

	read_epoch(clock, vm, vcpu);
	clock->scaled |= is_scaled(vm, vcpu);
	if (read_s64(vm, vcpu, "tsc-offset", &offset))
		return;
	clock->differs |= clock->has_tsc_offset && clock->tsc_offset != offset;
	clock->has_tsc_offset = true;
	clock->tsc_offset = offset;
}

void kvm_record_vm_clock__read(struct kvm_record_vm_clock *clock, pid_t pid)
{
	struct kvm_vms vms;

	memset(clock, 0, sizeof(*clock));
	if (kvm_vms__find(&vms))
		return;
	for (int i = 0; i < vms.nr; i++) {
		for (int j = 0; vms.vms[i].pid == pid && j < vms.vms[i].nr_vcpus; j++)
			read_vcpu(clock, &vms.vms[i], vms.vms[i].vcpus[j].id);
	}
	kvm_vms__exit(&vms);
}

/* After the recording. Of a VM that is gone what was known stays. */
void kvm_record_vm_clock__read_again(struct kvm_record_vm_clock *clock, pid_t pid)
{
	struct kvm_record_vm_clock now;

	kvm_record_vm_clock__read(&now, pid);
	clock->changed = now.has_tsc_offset && now.tsc_offset != clock->tsc_offset;
	clock->differs |= now.differs;
	clock->scaled |= now.scaled;
}

/* The guest's side */

/* What is not understood is a clock that is not related to any host's. */
void kvm_record_clock__take_caps(struct pv_clock *clock, const struct kvm_agent_caps *caps)
{
	memset(clock, 0, sizeof(*clock));
	if (!*caps->perf_pv_clock || pv_clock__parse_source(clock, caps->perf_pv_clock) ||
	    pv_clock__is_off(clock) || !*caps->perf_pv_clock_host ||
	    pv_clock__parse_host(clock, caps->perf_pv_clock_host))
		clock->related = false;
}

/* While it was recorded */

int kvm_record_clock__see_pv(struct kvm_record_clock_facts *facts,
			     const struct kvm_agent_clock_state *clock)
{
	struct kvm_record_spans *spans = &facts->pv;
	const struct kvm_record_span span = {
		.from		= clock->time,
		.until		= clock->time,
		.epoch		= clock->epoch,
		.offset		= clock->offset,
		.unknown	= !clock->related,
	};
	struct kvm_record_span *before = spans->nr ? &spans->list[spans->nr - 1] : NULL;

	/* What was so before was so until then. */
	if (clock->until > clock->time || (before && clock->until < before->until) || spans->whole)
		spans->broken = true;
	else if (before)
		before->until = clock->until;
	spans->whole = clock->last;
	return kvm_record_spans__see(spans, &span);
}

static u64 guest_time(const struct kvm_merge_reading *reading)
{
	s64 sum;

	return __builtin_add_overflow((s64)reading->at, reading->offset, &sum) || sum < 0 ? 0 :
	       (u64)sum;
}

/* The reading tells which time of the guest's it is, but for its bound. */
void kvm_record_clock__add_tsc(struct kvm_record_clock_facts *facts,
			       const struct kvm_record_vm_clock *vm,
			       const struct kvm_merge_reading *reading)
{
	const u64 time = guest_time(reading);
	const struct kvm_record_span span = {
		.from		= time + reading->bound,
		.until		= time > reading->bound ? time - reading->bound : 0,
		.offset		= vm->tsc_offset,
		.unknown	= vm->differs || vm->scaled,
	};

	if (time && vm->has_tsc_offset && kvm_record_spans__see(&facts->tsc, &span))
		facts->tsc.broken = true;
}

void kvm_record_clock__see_tsc(struct kvm_record_clock_facts *facts, pid_t pid,
			       const struct kvm_merge_reading *reading)
{
	struct kvm_record_vm_clock vm;

	if (!facts->vm.has_tsc_offset)
		return;
	kvm_record_vm_clock__read(&vm, pid);
	kvm_record_clock__add_tsc(facts, &vm, reading);
}

void kvm_record_clock_facts__exit(struct kvm_record_clock_facts *facts)
{
	kvm_record_readings__exit(&facts->readings);
	kvm_record_spans__exit(&facts->pv);
	kvm_record_spans__exit(&facts->tsc);
}

/* The choice */

static bool is_same(const struct pv_clock *a, const struct pv_clock *b)
{
	return b->related && a->relation.host_epoch == b->relation.host_epoch &&
	       a->relation.generation == b->relation.generation &&
	       a->relation.offset == b->relation.offset;
}

/* A reading says that host - guest is -offset, within its bound. */
static bool contradicts(const struct kvm_merge_reading *reading, s64 pv_offset)
{
	s64 difference;
	u64 distance;

	if (__builtin_add_overflow(reading->offset, pv_offset, &difference))
		return true;
	distance = difference < 0 ? -(u64)difference : (u64)difference;
	return distance > reading->bound && distance - reading->bound > PV_BOUND;
}

/* Of what the guest told while it was recorded; an older agent does not. */
static const char *why_not_spans(const struct kvm_record_clock_facts *facts)
{
	bool known = false;

	if (facts->pv.broken)
		return "what the guest says of its perf clock contradicts itself";
	if (!facts->pv.whole)
		return "the guest's agent was lost, and with it what its perf clock was";
	for (size_t i = 0; i < facts->pv.nr; i++)
		known |= !facts->pv.list[i].unknown && facts->pv.list[i].epoch == facts->vm.epoch;
	if (!known)
		return "the guest's perf clock is not that of this host";
	for (size_t i = 0; i < facts->readings.nr; i++) {
		const struct kvm_merge_reading *reading = &facts->readings.list[i];
		const u64 time = guest_time(reading);
		const struct kvm_record_span *span =
			kvm_record_spans__at(&facts->pv, time - min(time, reading->bound),
					     time + reading->bound);

		if (span && !span->unknown && span->epoch == facts->vm.epoch &&
		    contradicts(reading, span->offset))
			return "a probe contradicts what the guest says of its perf clock";
	}
	return NULL;
}

static const char *why_not_pv(const struct kvm_record_clock_facts *facts)
{
	const struct pv_clock *before = &facts->before;

	if (!before->related)
		return "the guest has no paravirtual perf clock, or it is off";
	if (!facts->vm.has_epoch)
		return "KVM's debugfs does not tell the host's epoch of the perf clock";
	if (facts->pv.nr)
		return why_not_spans(facts);
	if (facts->vm.epoch != before->relation.host_epoch)
		return "the guest's perf clock is not that of this host";
	if (!is_same(before, &facts->after))
		return "the guest's perf clock changed while it was recorded, or it was lost";
	for (size_t i = 0; i < facts->readings.nr; i++) {
		if (contradicts(&facts->readings.list[i], before->relation.offset))
			return "a probe contradicts what the guest says of its perf clock";
	}
	return NULL;
}

static const char *why_not_tsc(const struct kvm_record_clock_facts *facts)
{
	if (facts->opts.has_tsc_offset)
		return NULL;
	if (!facts->vm.has_tsc_offset)
		return "KVM's debugfs does not tell the offset of the guest's TSC";
	if (facts->vm.scaled)
		return "the guest's TSC is scaled";
	/* KVM's clock goes on as it was, so its times tell the TSC of before only. */
	if (facts->tsc.nr > 1 && (facts->before.related || facts->after.related))
		return "the guest's TSC changed its offset, which its perf clock does not follow";
	if (facts->tsc.nr > 1 && !facts->tsc.broken && !facts->vm.differs)
		return NULL;
	if (facts->vm.changed || facts->tsc.nr > 1)
		return "the offset of the guest's TSC changed while it was recorded";
	return facts->vm.differs ? "the vCPUs' TSCs have different offsets" : NULL;
}

static int set_segments(struct kvm_record_clock *clock, const struct kvm_record_clock_facts *facts)
{
	const struct kvm_record_clock_opts *opts = &facts->opts;
	int err = 0;

	if (!clock->no_pv && !opts->has_pv_offset && facts->pv.nr)
		err = kvm_record_spans__to_segments(&facts->pv, facts->vm.epoch, &clock->pv,
						    &clock->nr_pv);
	if (!err && !clock->no_tsc && !opts->has_tsc_offset && facts->tsc.nr > 1)
		err = kvm_record_spans__to_segments(&facts->tsc, /*epoch=*/0, &clock->tsc,
						    &clock->nr_tsc);
	return err;
}

int kvm_record_clock__init(struct kvm_record_clock *clock,
			   const struct kvm_record_clock_facts *facts)
{
	const struct kvm_record_clock_opts *opts = &facts->opts;

	memset(clock, 0, sizeof(*clock));
	clock->no_pv = opts->has_pv_offset ? NULL : why_not_pv(facts);
	clock->no_tsc = why_not_tsc(facts);
	clock->no_probe = facts->readings.nr ? NULL : "no probe of the guest's clock succeeded";
	clock->pv_offset = opts->has_pv_offset ? opts->pv_offset : facts->before.relation.offset;
	clock->tsc_offset = opts->has_tsc_offset ? opts->tsc_offset : facts->vm.tsc_offset;
	return set_segments(clock, facts);
}

void kvm_record_clock__exit(struct kvm_record_clock *clock)
{
	zfree(&clock->pv);
	zfree(&clock->tsc);
	clock->nr_pv = 0;
	clock->nr_tsc = 0;
}
