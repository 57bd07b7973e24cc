/* SPDX-License-Identifier: GPL-2.0 */
/* Takes from the guests what gives names to the addresses that their samples hit. */
#ifndef __PERF_KVM_RECORD_SYMBOLS_H
#define __PERF_KVM_RECORD_SYMBOLS_H

#include <stdbool.h>
#include <linux/types.h>

struct kvm_record;

struct kvm_record_symbols_opts {
	bool	off;
	u64	max_file;	/* bytes of one file */
	u64	max_size;	/* of all of a guest */
};

/*
 * To be called before the merge: kernels' symbols go beside its output, files into the
 * cache of build-ids, and what these are called into each guest. What fails is told, and
 * nothing else.
 */
void kvm_record_symbols__get(struct kvm_record *rec);

#endif /* __PERF_KVM_RECORD_SYMBOLS_H */
