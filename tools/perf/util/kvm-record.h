/* SPDX-License-Identifier: GPL-2.0 */
/* Records a host and its guests together. */
#ifndef __PERF_KVM_RECORD_H
#define __PERF_KVM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "kvm-merge-join.h"
#include "kvm-record-args.h"
#include "kvm-record-child.h"
#include "kvm-record-guest.h"
#include "kvm-record-parts.h"
#include "kvm-record-symbols.h"

struct kvm_record_opts {
	const char			*output;
	const char			**command;	/* NULL: none */
	bool				 guest_exec;
	bool				 progress;
	bool				 verify;
	u64				 max_bytes;	/* of each guest */
	unsigned int			 guest_level;	/* of compression; 0: none */
	struct kvm_record_symbols_opts	 symbols;
	const struct kvm_merge_joins	*joins;
	const int			*signals;	/* how many came that end it */
};

struct kvm_record {
	struct kvm_record_opts	 opts;
	struct kvm_record_args	*args;
	struct kvm_record_guest	*guests;
	size_t			 nr_guests;
	struct kvm_record_child	 host;
	struct kvm_record_child	 command;
	struct kvm_record_parts	 parts;
	bool			 command_ran;
	bool			 host_failed;
	bool			 keep_parts;
	u64			 since;		/* ns */
	u64			 last_progress;
};

int kvm_record__init(struct kvm_record *rec, const struct kvm_record_opts *opts,
		     struct kvm_record_args *args, const struct kvm_record_targets *targets);
int kvm_record__run(struct kvm_record *rec);
void kvm_record__exit(struct kvm_record *rec);

/* What is said while it goes on */
void kvm_record__show_progress(struct kvm_record *rec);
void kvm_record__end_progress(struct kvm_record *rec);
void kvm_record__tell_failures(struct kvm_record *rec);

/* Checks the guests' samples by the host's events of entries and exits. */
int kvm_record__add_verify_events(struct kvm_record *rec);
int kvm_record__verify(const struct kvm_record *rec);

/* Makes one file of the parts, and says what is in it. */
int kvm_record__merge(struct kvm_record *rec, bool *complete);

#endif /* __PERF_KVM_RECORD_H */
