/* SPDX-License-Identifier: GPL-2.0 */
/* Finds the VMs of this host, and how the agents in them are reached. */
#ifndef __PERF_KVM_RECORD_VM_H
#define __PERF_KVM_RECORD_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>

struct kvm_record_vm {
	pid_t	pid;
	char	name[256];
	u32	cid;			/* of vsock; 0: none is known */
	char	socket[256];		/* of a virtio port for the agent; "": none is known */
	bool	by_kvm;			/* KVM says that it is one, not only its command line */
};

/* Sorted by pid, each of which is there once. */
struct kvm_record_vms {
	struct kvm_record_vm	*vms;
	size_t			 nr;
	bool			 kvm_known;	/* KVM could be asked */
};

void kvm_record_vm__parse(struct kvm_record_vm *vm, const char *cmdline, size_t len);
int kvm_record_vm__address(const struct kvm_record_vm *vm, u32 port, char *address, size_t size);

const char *kvm_record_vm__show_name(const struct kvm_record_vm *vm, char *buf, size_t size);
int kvm_record_vm__read_tids(pid_t pid, s32 **tids, u32 *nr);

int kvm_record_vms__find(struct kvm_record_vms *vms);
const struct kvm_record_vm *kvm_record_vms__by_pid(const struct kvm_record_vms *vms, pid_t pid);
const struct kvm_record_vm *kvm_record_vms__by_cid(const struct kvm_record_vms *vms, u32 cid);
void kvm_record_vms__print(const struct kvm_record_vms *vms);
void kvm_record_vms__exit(struct kvm_record_vms *vms);

#endif /* __PERF_KVM_RECORD_VM_H */
