/* SPDX-License-Identifier: GPL-2.0 */
/* Counts events on the vCPU threads of VMs, from the host. */
#ifndef __PERF_KVM_VM_STAT_H
#define __PERF_KVM_VM_STAT_H

#include <stdbool.h>
#include <stdio.h>

struct kvm_vms;

struct kvm_vm_stat_opts {
	const char	*events;
	const char	*csv_sep;	/* NULL: no CSV */
	FILE		*output;
	unsigned int	 interval_ms;	/* 0: none */
	unsigned int	 timeout_ms;	/* 0: none */
	bool		 per_vcpu;
	bool		 json;
};

/* Besides 0, a negative error, and the status of the command that was run. */
#define KVM_VM_STAT_VM_ENDED	3

int kvm_vms__stat(struct kvm_vms *vms, const struct kvm_vm_stat_opts *opts,
		  int argc, const char **argv);

#endif /* __PERF_KVM_VM_STAT_H */
