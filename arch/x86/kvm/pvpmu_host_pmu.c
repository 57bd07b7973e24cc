// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's perf PMU kvm_vcpu: an event on a vCPU's thread counts one of that
 * vCPU's totals, whether or not its guest uses the paravirtual PMU.
 *
 * The totals change only in the vCPU's thread and while perf has the thread's
 * events in, so the growth between add and del or read is all there is.  An
 * event keeps the totals alive, and its count stays readable after the VM.
 */
#include <linux/kvm_host.h>
#include <linux/nospec.h>
#include <linux/perf_event.h>
#include "pvpmu.h"

PMU_FORMAT_ATTR(event, "config:0-7");

static struct attribute *format_attrs[] = {
	&format_attr_event.attr,
	NULL,
};

static const struct attribute_group format_group = {
	.name = "format",
	.attrs = format_attrs,
};

static ssize_t number_show(struct device *dev, struct device_attribute *attr,
			   char *page)
{
	struct perf_pmu_events_attr *event =
		container_of(attr, struct perf_pmu_events_attr, attr);

	return sysfs_emit(page, "event=0x%02llx\n", event->id);
}

/* Filled from kvm_pvpmu_pv_names before the PMU is registered. */
static struct perf_pmu_events_attr numbers[KVM_PVPMU_PV_MAX];
static struct attribute *event_attrs[KVM_PVPMU_PV_MAX + 1];

static void __init make_event_attrs(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < KVM_PVPMU_PV_MAX; i++) {
		struct attribute *attr = &numbers[i].attr.attr;

		if (!kvm_pvpmu_pv_names[i])
			continue;
		sysfs_attr_init(attr);
		attr->name = kvm_pvpmu_pv_names[i];
		attr->mode = 0444;
		numbers[i].attr.show = number_show;
		numbers[i].id = i;
		event_attrs[n++] = attr;
	}
}

static const struct attribute_group events_group = {
	.name = "events",
	.attrs = event_attrs,
};

static const struct attribute_group *attr_groups[] = {
	&format_group,
	&events_group,
	NULL,
};

/* vcpu->pid is set by the first KVM_RUN and follows the vCPU's thread. */
static struct kvm_pvpmu_totals *get_task_totals(struct task_struct *task)
{
	struct kvm_pvpmu_totals *totals = NULL;
	struct pid *pid = get_task_pid(task, PIDTYPE_PID);
	struct kvm_vcpu *vcpu;
	unsigned long i;
	struct kvm *kvm;

	mutex_lock(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list) {
		kvm_for_each_vcpu(i, vcpu, kvm) {
			if (!pid || rcu_access_pointer(vcpu->pid) != pid)
				continue;
			totals = vcpu->arch.pvpmu->totals;
			kref_get(&totals->refs);
			goto out;
		}
	}
out:
	mutex_unlock(&kvm_lock);
	put_pid(pid);
	return totals;
}

static struct kvm_pvpmu_totals *get_event_totals(struct perf_event *event)
{
	struct kvm_pvpmu_totals *totals;

	/* Inherited by a thread that the vCPU's thread starts. */
	if (event->parent) {
		totals = event->parent->pmu_private;
		kref_get(&totals->refs);
		return totals;
	}

	return get_task_totals(event->hw.target);
}

static local64_t *event_total(struct perf_event *event)
{
	struct kvm_pvpmu_totals *totals = event->pmu_private;
	unsigned int nr = array_index_nospec(event->attr.config,
					     KVM_PVPMU_PV_MAX);

	return &totals->total[nr];
}

static void kvm_vcpu_event_read(struct perf_event *event)
{
	u64 prev, now;

	if (!event->hw.config)
		return;

	now = local64_read(event_total(event));
	prev = local64_xchg(&event->hw.prev_count, now);
	local64_add(now - prev, &event->count);
}

/*
 * hw.config says whether the event is on the vCPU's thread now: a thread
 * inherits the events of the one that starts it, and then has its own copy.
 */
static void kvm_vcpu_event_start(struct perf_event *event, int flags)
{
	struct kvm_pvpmu_totals *totals = event->pmu_private;

	event->hw.config = task_pid(current) == READ_ONCE(totals->pid);
	local64_set(&event->hw.prev_count, local64_read(event_total(event)));
	event->hw.state = 0;
}

static void kvm_vcpu_event_stop(struct perf_event *event, int flags)
{
	if (event->hw.state & PERF_HES_STOPPED)
		return;

	kvm_vcpu_event_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

/*
 * Between two threads of which one inherited the other's events, perf would
 * swap the contexts and leave the events in: the copies are not equal here, as
 * only one of the threads runs the vCPU.  Ask for a real switch meanwhile.
 */
static int kvm_vcpu_event_add(struct perf_event *event, int flags)
{
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	local_inc(&event->ctx->nr_no_switch_fast);
	if (flags & PERF_EF_START)
		kvm_vcpu_event_start(event, flags);
	return 0;
}

static void kvm_vcpu_event_del(struct perf_event *event, int flags)
{
	kvm_vcpu_event_stop(event, PERF_EF_UPDATE);
	local_dec(&event->ctx->nr_no_switch_fast);
}

static void kvm_vcpu_event_destroy(struct perf_event *event)
{
	kvm_pvpmu_put_totals(event->pmu_private);
}

/*
 * exclude_guest and exclude_host do not apply, as with perf's software events:
 * perf sets the former unasked.  The other filters would need what KVM does not
 * know at an exit, so they are refused rather than ignored.
 */
static int check_attr(struct perf_event *event)
{
	const struct perf_event_attr *attr = &event->attr;

	if (attr->config >= KVM_PVPMU_PV_MAX ||
	    !kvm_pvpmu_pv_names[array_index_nospec(attr->config,
						   KVM_PVPMU_PV_MAX)])
		return -EINVAL;
	if (is_sampling_event(event))
		return -EOPNOTSUPP;
	if (attr->exclude_user || attr->exclude_kernel || attr->exclude_hv ||
	    attr->exclude_idle)
		return -EINVAL;
	return 0;
}

static int kvm_vcpu_event_init(struct perf_event *event)
{
	int r;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;

	r = check_attr(event);
	if (r)
		return r;

	/* A CPU runs many vCPUs, and other things: only threads make sense. */
	if (!(event->attach_state & PERF_ATTACH_TASK))
		return -EINVAL;

	event->pmu_private = get_event_totals(event);
	if (!event->pmu_private)
		return -ENOENT;
	event->destroy = kvm_vcpu_event_destroy;
	return 0;
}

static struct pmu kvm_vcpu_pmu = {
	.module		= THIS_MODULE,
	.task_ctx_nr	= perf_sw_context,
	.attr_groups	= attr_groups,
	.event_init	= kvm_vcpu_event_init,
	.add		= kvm_vcpu_event_add,
	.del		= kvm_vcpu_event_del,
	.start		= kvm_vcpu_event_start,
	.stop		= kvm_vcpu_event_stop,
	.read		= kvm_vcpu_event_read,
	.capabilities	= PERF_PMU_CAP_NO_INTERRUPT,
};

static bool registered;

int __init kvm_pvpmu_register_host_pmu(void)
{
	int r;

	make_event_attrs();
	r = perf_pmu_register(&kvm_vcpu_pmu, "kvm_vcpu", -1);
	registered = !r;
	return r;
}

/* Each event holds a reference to the module, so there is none left. */
void __exit kvm_pvpmu_unregister_host_pmu(void)
{
	if (registered)
		perf_pmu_unregister(&kvm_vcpu_pmu);
}
