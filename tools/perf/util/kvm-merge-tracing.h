/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints of guests, in one file with those of their host. */
#ifndef __PERF_KVM_MERGE_TRACING_H
#define __PERF_KVM_MERGE_TRACING_H

struct kvm_merge;
struct kvm_merge_attr;
struct kvm_merge_guest;
struct strbuf;
union perf_event;

int kvm_merge_tracing__init(struct kvm_merge *merge);
void kvm_merge_tracing__exit(struct kvm_merge *merge);
int kvm_merge_tracing__add_guest(struct kvm_merge_guest *guest);
void kvm_merge_tracing__exit_guest(struct kvm_merge_guest *guest);
int kvm_merge_tracing__convert(struct kvm_merge_guest *guest, const struct kvm_merge_attr *attr,
			       union perf_event *event);
int kvm_merge_tracing__write(const struct kvm_merge *merge, struct strbuf *sb);

#endif /* __PERF_KVM_MERGE_TRACING_H */
