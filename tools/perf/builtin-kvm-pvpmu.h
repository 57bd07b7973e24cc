/* SPDX-License-Identifier: GPL-2.0 */
/* What the subcommands of perf kvm pvpmu share. */
#ifndef __PERF_BUILTIN_KVM_PVPMU_H
#define __PERF_BUILTIN_KVM_PVPMU_H

#include <stdbool.h>
#include "util/kvm-vm.h"

struct perf_pmu;

/* The sides of the virtual machine boundary that this machine is on; NULL: not on this one. */
struct kvm_pvpmu_sides {
	struct perf_pmu	*guest;
	struct perf_pmu	*host;
};

int kvm_pvpmu__find_sides(struct kvm_pvpmu_sides *sides, bool host_only);
int kvm_pvpmu__find_vms(struct kvm_vms *vms, const char *pids, const char *name);

void kvm_pvpmu__json_string(const char *str);

int cmd_kvm_pvpmu_list(bool host_only, int argc, const char **argv);
int cmd_kvm_pvpmu_stat(bool host_only, int argc, const char **argv);
int cmd_kvm_pvpmu_clock(bool host_only, int argc, const char **argv);

#endif /* __PERF_BUILTIN_KVM_PVPMU_H */
