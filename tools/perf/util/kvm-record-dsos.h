/* SPDX-License-Identifier: GPL-2.0 */
/* What the guests' samples hit: kernels, modules, files and vDSOs. */
#ifndef __PERF_KVM_RECORD_DSOS_H
#define __PERF_KVM_RECORD_DSOS_H

#include <limits.h>
#include <sys/types.h>
#include <linux/types.h>
#include "build-id.h"

enum kvm_record_dso_kind {
	KVM_RECORD_DSO_KERNEL,
	KVM_RECORD_DSO_MODULE,
	KVM_RECORD_DSO_FILE,
	KVM_RECORD_DSO_VDSO,
};

struct kvm_record_dso {
	u32			 pid;		/* of a process of the guest that has it mapped */
	u32			 kind;
	struct build_id		 bid;		/* for who asks the agent for it: not set */
	char			 path[PATH_MAX];
};

/*
 * Starts a process that looks through what a guest's agent sent, and writes to fd one
 * struct after the other. Returns its pid.
 */
pid_t kvm_record_dsos__start(const char *path, int fd);

#endif /* __PERF_KVM_RECORD_DSOS_H */
