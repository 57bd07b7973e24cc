/* SPDX-License-Identifier: GPL-2.0 */
/* Puts files of guests into perf's cache of build-ids. */
#ifndef __PERF_KVM_RECORD_CACHE_H
#define __PERF_KVM_RECORD_CACHE_H

#include <stdbool.h>
#include "build-id.h"

bool kvm_record_cache__has(const struct build_id *bid);
/* Returns 0; -EBADMSG: the file does not have that build-id; or another error. */
int kvm_record_cache__add(const struct build_id *bid, const char *file, const char *path,
			  bool is_vdso);

#endif /* __PERF_KVM_RECORD_CACHE_H */
