// SPDX-License-Identifier: GPL-2.0
/*
 * Follows by kvm:kvm_entry and kvm:kvm_exit when each vCPU was in guest mode, and
 * counts the guests' samples that lie there:
 *
 *   kvm_entry       kvm_exit          kvm_entry
 *      |--- inside ----|---- outside -----|---
 *                       <-a-> x <----b---->     violation: the smaller of a and b
 *
 * The host emits both events outside of guest mode, so an interval is never too
 * short. Where an event is missing it is not known what was between.
 */
#include "kvm-verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>

void kvm_verify__init(struct kvm_verify *verify)
{
	memset(verify, 0, sizeof(*verify));
}

void kvm_verify__exit(struct kvm_verify *verify)
{
	for (size_t i = 0; i < verify->nr; i++)
		free(verify->vcpus[i]);
	zfree(&verify->vcpus);
	verify->nr = 0;
	verify->last = NULL;
}

static bool is_before(const struct kvm_verify_vcpu *vcpu, u32 pid, u32 nr)
{
	return vcpu->pid != pid ? vcpu->pid < pid : vcpu->vcpu < nr;
}

/* Where it is or would be. */
static size_t find(const struct kvm_verify *verify, u32 pid, u32 nr)
{
	size_t low = 0, high = verify->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (is_before(verify->vcpus[mid], pid, nr))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct kvm_verify_vcpu *add(struct kvm_verify *verify, size_t pos, u32 pid, u32 nr)
{
	struct kvm_verify_vcpu *vcpu, **list = verify->vcpus;

	if (verify->nr == verify->alloc) {
		size_t alloc = verify->alloc ? 2 * verify->alloc : 16;

		list = reallocarray(list, alloc, sizeof(*list));
		if (!list)
			return NULL;
		verify->vcpus = list;
		verify->alloc = alloc;
	}
	vcpu = zalloc(sizeof(*vcpu));
	if (!vcpu)
		return NULL;
	vcpu->pid = pid;
	vcpu->vcpu = nr;
	memmove(&list[pos + 1], &list[pos], (verify->nr - pos) * sizeof(*list));
	list[pos] = vcpu;
	verify->nr++;
	return vcpu;
}

static struct kvm_verify_vcpu *get(struct kvm_verify *verify, u32 pid, u32 nr)
{
	struct kvm_verify_vcpu *vcpu = verify->last;
	size_t pos;

	if (vcpu && vcpu->pid == pid && vcpu->vcpu == nr)
		return vcpu;
	pos = find(verify, pid, nr);
	vcpu = pos < verify->nr ? verify->vcpus[pos] : NULL;
	if (!vcpu || vcpu->pid != pid || vcpu->vcpu != nr)
		vcpu = add(verify, pos, pid, nr);
	verify->last = vcpu;
	return vcpu;
}

/* Of samples of which it will never be known. */
static void forget(struct kvm_verify_vcpu *vcpu)
{
	vcpu->counts.unknown += vcpu->nr_open + vcpu->nr_pending;
	vcpu->nr_open = 0;
	vcpu->nr_pending = 0;
}

static void set_state(struct kvm_verify_vcpu *vcpu, enum kvm_verify_state state, u64 time)
{
	vcpu->state = state;
	vcpu->since = time;
}

/* A sample at the very end of the gap is inside, as one at its start is. */
static void settle(struct kvm_verify_vcpu *vcpu, u64 sample, u64 end)
{
	struct kvm_verify_counts *counts = &vcpu->counts;
	u64 off = min(sample - vcpu->since, end - sample);

	if (!off) {
		counts->inside++;
		return;
	}
	counts->outside++;
	counts->worst = max(counts->worst, off);
}

/*
 * The gap has ended. Of more samples than are kept, the first and the last tell how
 * bad it is at most.
 */
static void settle_all(struct kvm_verify_vcpu *vcpu, u64 end)
{
	struct kvm_verify_counts *counts = &vcpu->counts;
	u64 kept = min_t(u64, vcpu->nr_pending, KVM_VERIFY_MAX_PENDING), limit;

	for (u64 i = 0; i < kept; i++)
		settle(vcpu, vcpu->pending[i], end);
	if (vcpu->nr_pending > kept) {
		counts->outside += vcpu->nr_pending - kept;
		limit = min((end - vcpu->since) / 2, vcpu->last_pending - vcpu->since);
		if (limit > counts->worst) {
			counts->worst = limit;
			counts->is_limit = true;
		}
	}
	vcpu->nr_pending = 0;
}

int kvm_verify__enter(struct kvm_verify *verify, u32 pid, u32 nr, u64 time)
{
	struct kvm_verify_vcpu *vcpu = get(verify, pid, nr);

	if (!vcpu)
		return -ENOMEM;
	if (vcpu->state == KVM_VERIFY_HOST)
		settle_all(vcpu, time);
	else
		forget(vcpu);	/* an exit is missing, or this is the first event */
	set_state(vcpu, KVM_VERIFY_GUEST, time);
	return 0;
}

int kvm_verify__leave(struct kvm_verify *verify, u32 pid, u32 nr, u64 time)
{
	struct kvm_verify_vcpu *vcpu = get(verify, pid, nr);

	if (!vcpu)
		return -ENOMEM;
	if (vcpu->state == KVM_VERIFY_GUEST) {
		vcpu->counts.inside += vcpu->nr_open;
		vcpu->nr_open = 0;
	} else {
		forget(vcpu);
	}
	set_state(vcpu, KVM_VERIFY_HOST, time);
	return 0;
}

static void add_pending(struct kvm_verify_vcpu *vcpu, u64 time)
{
	if (vcpu->nr_pending < KVM_VERIFY_MAX_PENDING)
		vcpu->pending[vcpu->nr_pending] = time;
	vcpu->last_pending = time;
	vcpu->nr_pending++;
}

int kvm_verify__sample(struct kvm_verify *verify, u32 pid, u32 nr, u64 time)
{
	struct kvm_verify_vcpu *vcpu = get(verify, pid, nr);

	if (!vcpu)
		return -ENOMEM;
	if (vcpu->state == KVM_VERIFY_UNKNOWN || time < vcpu->since)
		vcpu->counts.unknown++;
	else if (vcpu->state == KVM_VERIFY_GUEST)
		vcpu->nr_open++;
	else if (time == vcpu->since)
		vcpu->counts.inside++;
	else
		add_pending(vcpu, time);
	return 0;
}

/* The host lost events, of whichever vCPUs. */
void kvm_verify__lose(struct kvm_verify *verify)
{
	for (size_t i = 0; i < verify->nr; i++) {
		forget(verify->vcpus[i]);
		set_state(verify->vcpus[i], KVM_VERIFY_UNKNOWN, 0);
	}
}

/* How intervals that are open at the end go on is not known. */
void kvm_verify__end(struct kvm_verify *verify)
{
	struct kvm_verify_counts *total = &verify->total;

	kvm_verify__lose(verify);
	memset(total, 0, sizeof(*total));
	for (size_t i = 0; i < verify->nr; i++) {
		const struct kvm_verify_counts *counts = &verify->vcpus[i]->counts;

		total->inside += counts->inside;
		total->outside += counts->outside;
		total->unknown += counts->unknown;
		if (counts->worst > total->worst) {
			total->worst = counts->worst;
			total->is_limit = counts->is_limit;
		}
	}
	total->unknown += verify->no_vcpu;
}
