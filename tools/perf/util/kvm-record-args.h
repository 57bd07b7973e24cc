/* SPDX-License-Identifier: GPL-2.0 */
/* Divides the options of perf kvm record --guest among the host's and the guests' perf record. */
#ifndef __PERF_KVM_RECORD_ARGS_H
#define __PERF_KVM_RECORD_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/compiler.h>

struct option;

/* A list of strings that belong to it, with a NULL behind the last one. */
struct kvm_record_argv {
	char	**args;
	size_t	  nr;
};

struct kvm_record_args {
	struct kvm_record_argv	host;
	struct kvm_record_argv	guest;
	struct kvm_record_argv	host_only;	/* of the host's: what guests go without */
	struct option		*options;	/* for parse_options() */
	bool			target;		/* the user said what to record on the host */
	bool			guest_events;	/* the guests' events are not the host's */
};

/* record: the table of perf record's options */
bool kvm_record_args__has_guest(const struct option *record, int argc, const char **argv);

int kvm_record_argv__add(struct kvm_record_argv *argv, const char *fmt, ...)
	__printf(2, 3);
int kvm_record_argv__set(struct kvm_record_argv *argv, const char *name, const char *value);
bool kvm_record_argv__has(const struct kvm_record_argv *argv, const char *name);
bool kvm_record_argv__drop(struct kvm_record_argv *argv, const char *name);
void kvm_record_argv__exit(struct kvm_record_argv *argv);

int kvm_record_args__init(struct kvm_record_args *args, const struct option *own,
			  const struct option *record);
int kvm_record_args__add_guest_event(struct kvm_record_args *args, const char *list);
void kvm_record_args__tell_host_only(const struct kvm_record_args *args);
void kvm_record_args__exit(struct kvm_record_args *args);

#endif /* __PERF_KVM_RECORD_ARGS_H */
