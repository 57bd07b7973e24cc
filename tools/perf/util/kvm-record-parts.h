/* SPDX-License-Identifier: GPL-2.0 */
/* The directory beside the output of perf kvm record that has what is not merged yet. */
#ifndef __PERF_KVM_RECORD_PARTS_H
#define __PERF_KVM_RECORD_PARTS_H

#include <sys/types.h>

struct kvm_record_parts {
	char	*dir;		/* NULL: there is none */
	char	*host;		/* what perf record writes on the host */
	char	*log;		/* what it says */
	char	*merged;
	char	*data_dir;	/* made of it, if something has to be beside it */
	char	*reserve;	/* room for what has to be written when the disk is full */
};

int kvm_record_parts__make(struct kvm_record_parts *parts, const char *output);
void kvm_record_parts__remove(struct kvm_record_parts *parts);
void kvm_record_parts__use_reserve(struct kvm_record_parts *parts);
void kvm_record_parts__exit(struct kvm_record_parts *parts);
/* Returns a new, empty file for the symbols of the VM's kernel, or an error. */
int kvm_record_parts__make_kallsyms(struct kvm_record_parts *parts, pid_t pid);
void kvm_record_parts__print_log(const struct kvm_record_parts *parts);
int kvm_record_parts__install(const struct kvm_record_parts *parts, const char *output);

#endif /* __PERF_KVM_RECORD_PARTS_H */
