// SPDX-License-Identifier: GPL-2.0
/*
 * What perf kvm record --verify adds to a recording: the events by which the host
 * knows when a vCPU was in guest mode, and the check of the output by them.
 */
#include "kvm-record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <api/fs/tracing_path.h>
#include "debug.h"
#include "kvm-verify.h"

static bool has_tracepoint(const char *name)
{
	char *path = get_events_file(name);
	bool has = path && !access(path, F_OK);

	put_events_file(path);
	return has;
}

/*
 * Each entry and exit is needed, but perf record samples all events at the rate
 * that the user gave, if any.
 */
int kvm_record__add_verify_events(struct kvm_record *rec)
{
	struct kvm_record_argv *host = &rec->args->host;
	const bool freq = kvm_record_argv__drop(host, "--freq");
	const bool count = kvm_record_argv__drop(host, "--count");

	if (!has_tracepoint("kvm/kvm_entry") || !has_tracepoint("kvm/kvm_exit")) {
		pr_err("--verify needs the tracepoints kvm:kvm_entry and kvm:kvm_exit, and the right to\n"
		       "record them: is kvm loaded, and is tracefs mounted and readable?\n");
		return -ENOENT;
	}
	if (freq || count)
		pr_warning("With --verify the host's events have perf record's own rate, not that of %s.\n",
			   freq ? "--freq" : "--count");
	if (!kvm_record_argv__has(host, "--event") &&
	    kvm_record_argv__add(host, "--event=cycles:P"))
		return -ENOMEM;
	return kvm_record_argv__add(host, "--event=kvm:kvm_entry,kvm:kvm_exit");
}

int kvm_record__verify(const struct kvm_record *rec)
{
	struct kvm_verify result;
	int err;

	kvm_verify__init(&result);
	err = kvm_verify__file(&result, rec->opts.output);
	if (!err)
		kvm_verify__fprintf(&result, stderr);
	kvm_verify__exit(&result);
	return err;
}
