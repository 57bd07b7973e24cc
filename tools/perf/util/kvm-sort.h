/* SPDX-License-Identifier: GPL-2.0 */
/* The sort keys vm and vcpu. */
#ifndef __PERF_KVM_SORT_H
#define __PERF_KVM_SORT_H

struct sort_entry;

extern struct sort_entry sort_vm;
extern struct sort_entry sort_vcpu;

#endif /* __PERF_KVM_SORT_H */
