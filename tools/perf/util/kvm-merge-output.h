/* SPDX-License-Identifier: GPL-2.0 */
/* Writes a perf.data file in one pass: records, then features, ids and attrs. */
#ifndef __PERF_KVM_MERGE_OUTPUT_H
#define __PERF_KVM_MERGE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct kvm_merge_reformat;
struct perf_file_header;
union perf_event;

struct kvm_merge_output {
	const char	*path;
	int		fd;
	char		*buf;
	size_t		used;
	u64		written;	/* to the file, without what is in the buffer */
	u64		next_round;
};

int kvm_merge_output__open(struct kvm_merge_output *output, const char *path);
int kvm_merge_output__write(struct kvm_merge_output *output, const void *data, size_t size);
int kvm_merge_output__event(struct kvm_merge_output *output, const union perf_event *event);
int kvm_merge_output__reformatted(struct kvm_merge_output *output, const union perf_event *event,
				  const struct kvm_merge_reformat *format);
int kvm_merge_output__id_index(struct kvm_merge_output *output, u64 id, s32 tid, u32 machine_pid,
			       s32 vcpu);
int kvm_merge_output__finish(struct kvm_merge_output *output,
			     const struct perf_file_header *header);
void kvm_merge_output__abort(struct kvm_merge_output *output);

static inline u64 kvm_merge_output__offset(const struct kvm_merge_output *output)
{
	return output->written + output->used;
}

#endif /* __PERF_KVM_MERGE_OUTPUT_H */
