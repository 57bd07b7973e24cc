/* SPDX-License-Identifier: GPL-2.0 */
/* One guest of perf kvm record: its agent, and the file that what it sends goes into. */
#ifndef __PERF_KVM_RECORD_GUEST_H
#define __PERF_KVM_RECORD_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include "kvm-agent-client.h"
#include "kvm-merge.h"
#include "kvm-record-clock.h"
#include "kvm-record-who.h"

struct kvm_record_argv;

struct kvm_record_guest {
	struct kvm_record_target	 target;
	struct kvm_record_clock_facts	 clock;
	struct kvm_record_clock		 choice;	/* by these, for the merge */
	s32				*tids;		/* of the vCPUs' threads; -1: unknown */
	u32				 nr_tids;
	struct kvm_agent_client		*client;	/* NULL: not connected */
	struct kvm_agent_caps		 caps;
	char				*path;		/* NULL: there is no file yet */
	int				 fd;
	int				 write_error;
	u64				 written;
	bool				 recording;
	bool				 stopped;	/* it was told to stop */
	bool				 failed;
	bool				 failure_told;
	char				 failure[3072];

	struct kvm_merge_build_id	*build_ids;	/* of what its samples hit */
	size_t				 nr_build_ids;

	/* Probes while it records: some in a row, of which the best is kept. */
	unsigned int			 burst;		/* to be sent */
	u64				 last_burst;
	struct kvm_merge_reading	 best;		/* of this burst; bound UINT64_MAX: none */
};

void kvm_record_guest__init(struct kvm_record_guest *guest,
			    const struct kvm_record_target *target);
int kvm_record_guest__connect(struct kvm_record_guest *guest);
int kvm_record_guest__probe(struct kvm_record_guest *guest);
int kvm_record_guest__start(struct kvm_record_guest *guest, const char *dir, size_t nr,
			    const struct kvm_record_argv *options, u64 max_bytes);
bool kvm_record_guest__has_begun(const struct kvm_record_guest *guest);
void kvm_record_guest__work(struct kvm_record_guest *guest);
void kvm_record_guest__stop(struct kvm_record_guest *guest);
void kvm_record_guest__abandon(struct kvm_record_guest *guest, const char *why);
void kvm_record_guest__finish(struct kvm_record_guest *guest);
int kvm_record_guest__fail(struct kvm_record_guest *guest, const char *fmt, ...)
	__printf(2, 3);
void kvm_record_guest__leave(struct kvm_record_guest *guest);
void kvm_record_guest__exit(struct kvm_record_guest *guest);

#endif /* __PERF_KVM_RECORD_GUEST_H */
