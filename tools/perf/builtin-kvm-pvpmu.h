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

/* What list and clock take from the command line. */
struct kvm_pvpmu_show_opts {
	const char	*pids;
	const char	*vm;
	bool		 json;
};

/* Prints a VM as text, or as one JSON object. */
typedef int (*kvm_pvpmu_show_vm_t)(const struct kvm_vm *vm, bool json);

void kvm_pvpmu__parse_show_opts(struct kvm_pvpmu_show_opts *opts, const char * const *usage,
				const char *verbose_help, int argc, const char **argv);
int kvm_pvpmu__show_vms(const struct kvm_pvpmu_show_opts *opts, bool after_guest,
			kvm_pvpmu_show_vm_t show_vm);
int kvm_pvpmu__find_sides(struct kvm_pvpmu_sides *sides, bool host_only);
int kvm_pvpmu__find_vms(struct kvm_vms *vms, const char *pids, const char *name);

void kvm_pvpmu__json_string(const char *str);

int cmd_kvm_pvpmu_list(bool host_only, int argc, const char **argv);
int cmd_kvm_pvpmu_stat(bool host_only, int argc, const char **argv);
int cmd_kvm_pvpmu_clock(bool host_only, int argc, const char **argv);

#endif /* __PERF_BUILTIN_KVM_PVPMU_H */
