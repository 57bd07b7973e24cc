/* SPDX-License-Identifier: GPL-2.0 */
/* Finds the VMs of this host, their names, and the threads of their vCPUs. */
#ifndef __PERF_KVM_VM_H
#define __PERF_KVM_VM_H

#include <stddef.h>
#include <sys/types.h>

struct kvm_vcpu_thread {
	int	id;
	pid_t	tid;	/* 0: has not run yet */
};

/*
 * struct kvm_vms
 *   vms -> [ struct kvm_vm | struct kvm_vm | ... ]	sorted by pid, fd
 *            dir, name -> strings
 *            vcpus -> [ struct kvm_vcpu_thread | ... ]	sorted by id
 *
 * All of it belongs to kvm_vms, which its user owns.
 */
struct kvm_vm {
	pid_t			 pid;
	char			*dir;	/* in debugfs */
	char			*name;
	struct kvm_vcpu_thread	*vcpus;
	int			 nr_vcpus;
};

struct kvm_vms {
	struct kvm_vm	*vms;
	int		 nr;
};

int kvm_vm__name_from_cmdline(const char *cmdline, size_t len, char *name, size_t size);

int kvm_vms__find(struct kvm_vms *vms);
int kvm_vms__select(struct kvm_vms *vms, const char *pids, const char *name);
void kvm_vms__remove(struct kvm_vms *vms, int idx);
void kvm_vms__exit(struct kvm_vms *vms);

char *kvm_vm__read_vcpu_file(const struct kvm_vm *vm, int vcpu_id, const char *file);

#endif /* __PERF_KVM_VM_H */
