// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual perf clock: the clock that all vCPUs of a VM share.
 *
 * It is the host's, and another one's only by an offset: when the VM came from
 * another host, where it has to go on from the time that it had there.
 */
#include <linux/kvm_host.h>
#include "perf_clock.h"

/* host's clock - guest's clock, as a restored VM wants it. */
static s64 carried_offset(const struct kvm_vm_perf_clock *vm)
{
	const struct kvm_carried_perf_clock *carried = &vm->carried;

	if (carried->epoch == host_perf_clock_epoch() && carried->has_offset)
		return carried->offset;
	return carried->has_ns ? carried->ns_offset : vm->offset;
}

/* The guest's clock neither steps back nor starts before its beginning. */
static bool is_possible(const struct kvm_vm_perf_clock *vm, s64 offset)
{
	return offset <= (s64)host_perf_clock_read() &&
	       (!vm->used || offset <= vm->offset);
}

/* What the clock is, with what user space has written and nobody used yet. */
static void find_state(const struct kvm_vm_perf_clock *vm, s64 *offset,
		       u64 *generation)
{
	lockdep_assert_held(&vm->lock);

	*offset = vm->offset;
	*generation = vm->generation;
	if (!vm->is_carried)
		return;

	if (is_possible(vm, carried_offset(vm)))
		*offset = carried_offset(vm);
	*generation = max(*generation, vm->carried.generation) + 1;
}

static void settle(struct kvm_vm_perf_clock *vm)
{
	lockdep_assert_held(&vm->lock);

	find_state(vm, &vm->offset, &vm->generation);
	vm->carried = (struct kvm_carried_perf_clock){ };
	WRITE_ONCE(vm->version, vm->version + 1);
	WRITE_ONCE(vm->is_carried, false);
}

/* A guest that uses the clock is entered: what was written counts from now on. */
void kvm_perf_clock_use(struct kvm *kvm)
{
	struct kvm_vm_perf_clock *vm = &kvm->arch.perf_clock;

	lockdep_assert_irqs_disabled();

	if (likely(READ_ONCE(vm->used) && !READ_ONCE(vm->is_carried)))
		return;

	raw_spin_lock(&vm->lock);
	if (vm->is_carried)
		settle(vm);
	WRITE_ONCE(vm->used, true);
	raw_spin_unlock(&vm->lock);
}

/* Of the times that the vCPUs had, the latest. */
static void carry_ns(struct kvm_carried_perf_clock *carried, u64 ns)
{
	s64 offset = host_perf_clock_read() - ns;

	if (!ns || (carried->has_ns && carried->ns_offset <= offset))
		return;
	carried->ns_offset = offset;
	carried->has_ns = true;
}

/* User space writes a register of the VM's, a valid value. */
void kvm_perf_clock_carry(struct kvm *kvm, u32 msr, u64 data)
{
	struct kvm_vm_perf_clock *vm = &kvm->arch.perf_clock;
	unsigned long flags;

	raw_spin_lock_irqsave(&vm->lock, flags);
	switch (msr) {
	case MSR_KVM_PERF_CLOCK_NS:
		carry_ns(&vm->carried, data);
		break;
	case MSR_KVM_PERF_CLOCK_EPOCH:
		vm->carried.epoch = data;
		break;
	case MSR_KVM_PERF_CLOCK_OFFSET:
		vm->carried.offset = data;
		vm->carried.has_offset = true;
		break;
	case MSR_KVM_PERF_CLOCK_GENERATION:
		vm->carried.generation = max(vm->carried.generation, data);
		break;
	}
	WRITE_ONCE(vm->is_carried, true);
	raw_spin_unlock_irqrestore(&vm->lock, flags);
}

static bool is_same_clock(const struct host_perf_clock *a,
			  const struct host_perf_clock *b)
{
	return a->offset == b->offset && a->mul == b->mul &&
	       a->shift == b->shift && a->is_linear == b->is_linear;
}

/* The host computes its clock in another way than the VM's pages say. */
void kvm_perf_clock_note_host(struct kvm *kvm, const struct host_perf_clock *host)
{
	struct kvm_vm_perf_clock *vm = &kvm->arch.perf_clock;
	unsigned long flags;

	raw_spin_lock_irqsave(&vm->lock, flags);
	if (!is_same_clock(&vm->host, host)) {
		vm->host = *host;
		vm->generation++;
		WRITE_ONCE(vm->version, vm->version + 1);
	}
	raw_spin_unlock_irqrestore(&vm->lock, flags);
}

u64 kvm_perf_clock_vm_value(struct kvm *kvm, u32 msr)
{
	struct kvm_vm_perf_clock *vm = &kvm->arch.perf_clock;
	unsigned long flags;
	u64 generation, now;
	s64 offset;

	raw_spin_lock_irqsave(&vm->lock, flags);
	find_state(vm, &offset, &generation);
	now = host_perf_clock_read();
	raw_spin_unlock_irqrestore(&vm->lock, flags);

	switch (msr) {
	case MSR_KVM_PERF_CLOCK_NS:
		return now - offset;
	case MSR_KVM_PERF_CLOCK_EPOCH:
		return host_perf_clock_epoch();
	case MSR_KVM_PERF_CLOCK_OFFSET:
		return offset;
	default:
		return generation;
	}
}

void kvm_perf_clock_init_vm(struct kvm *kvm)
{
	raw_spin_lock_init(&kvm->arch.perf_clock.lock);
	host_perf_clock_get(&kvm->arch.perf_clock.host);
	kvm->arch.perf_clock.generation = 1;
}
