/* SPDX-License-Identifier: GPL-2.0 */
/* The format of a guest's tracepoint, checked, and made again for another number. */
#ifndef __PERF_KVM_MERGE_FORMAT_H
#define __PERF_KVM_MERGE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define KVM_MERGE_FORMAT_NAME	64

struct kvm_merge_format_field;
struct strbuf;

struct kvm_merge_format {
	char			name[KVM_MERGE_FORMAT_NAME + 1];
	u32			id;	/* the guest's number of it */
	u32			new_id;
	u32			size;	/* that a sample has at least */
	struct kvm_merge_format_field	*fields;
	size_t			nr_fields;
	char			*print;	/* what is to be printed, or NULL: make one up */
};

int kvm_merge_format__parse(struct kvm_merge_format *format, const char *text, size_t len);
void kvm_merge_format__exit(struct kvm_merge_format *format);
bool kvm_merge_format__fits(const struct kvm_merge_format *format, const void *raw, size_t size);
int kvm_merge_format__write(const struct kvm_merge_format *format, struct strbuf *sb);

#endif /* __PERF_KVM_MERGE_FORMAT_H */
