// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a vCPU's paravirtual PMU for the host's tools: the file "pvpmu" in
 * the vCPU's debugfs directory, one "key value" line each.
 */
#include <linux/debugfs.h>
#include <linux/kvm_host.h>
#include <linux/seq_file.h>
#include "pvpmu.h"

static void show_model(struct seq_file *m, struct kvm_vcpu *vcpu)
{
	const struct kvm_pvpmu_model *model = &vcpu->kvm->arch.pvpmu;

	seq_printf(m, "offered %d\n", kvm_pvpmu_offered(vcpu));
	seq_printf(m, "version %llu\n", model->cap & KVM_PVPMU_CAP_VERSION);
	seq_printf(m, "counters %u\n", kvm_pvpmu_nr_counters(vcpu->kvm));
	seq_printf(m, "width %llu\n", (model->cap & KVM_PVPMU_CAP_WIDTH) >>
		   KVM_PVPMU_CAP_WIDTH_SHIFT);
	seq_printf(m, "events_hw 0x%llx\n", model->events_hw);
	seq_printf(m, "events_cache 0x%llx\n", model->events_cache);
	seq_printf(m, "events_pv 0x%llx\n", model->events_pv);
}

static void show_counter(struct seq_file *m, struct kvm_vcpu *vcpu,
			 unsigned int idx)
{
	struct pvpmu_counter *counter = &vcpu->arch.pvpmu->counters[idx];

	if (!counter->evtsel)
		return;

	seq_printf(m, "counter %u evtsel 0x%llx value %llu enabled %llu running %llu\n",
		   idx, counter->evtsel,
		   kvm_pvpmu_peek_value(vcpu, idx, PVPMU_COUNT),
		   kvm_pvpmu_peek_value(vcpu, idx, PVPMU_ENABLED),
		   kvm_pvpmu_peek_value(vcpu, idx, PVPMU_RUNNING));
}

static void show_registers(struct seq_file *m, struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu *pvpmu = vcpu->arch.pvpmu;
	unsigned int i;

	mutex_lock(&pvpmu->lock);
	seq_printf(m, "ctrl 0x%llx\n", pvpmu->ctrl);
	seq_printf(m, "status 0x%llx\n", pvpmu->status);
	seq_printf(m, "page 0x%llx\n", pvpmu->page);
	for (i = 0; i < kvm_pvpmu_nr_counters(vcpu->kvm); i++)
		show_counter(m, vcpu, i);
	mutex_unlock(&pvpmu->lock);
}

static void show_totals(struct seq_file *m, struct kvm_vcpu *vcpu)
{
	struct kvm_pvpmu_totals *totals = vcpu->arch.pvpmu->totals;
	unsigned int i;

	for (i = 0; i < KVM_PVPMU_PV_MAX; i++) {
		if (kvm_pvpmu_pv_names[i])
			seq_printf(m, "total %s %llu\n", kvm_pvpmu_pv_names[i],
				   (u64)local64_read(&totals->total[i]));
	}
}

static int pvpmu_show(struct seq_file *m, void *unused)
{
	struct kvm_vcpu *vcpu = m->private;

	show_model(m, vcpu);
	show_registers(m, vcpu);
	show_totals(m, vcpu);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvpmu);

void kvm_pvpmu_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *dir)
{
	if (vcpu->arch.pvpmu)
		debugfs_create_file("pvpmu", 0444, dir, vcpu, &pvpmu_fops);
}
