// SPDX-License-Identifier: GPL-2.0
/*
 * Finds what a guest's samples hit, the callers of a callchain included, in a process of
 * its own: what a guest makes of its mappings may take all memory, or crash the reader.
 */
#include "kvm-record-dsos.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/string.h>
#include <internal/lib.h>
#include "addr_location.h"
#include "data.h"
#include "debug.h"
#include "dso.h"
#include "event.h"
#include "kvm-agent-privileges.h"
#include "machine.h"
#include "map.h"
#include "sample.h"
#include "session.h"
#include "symbol.h"
#include "thread.h"
#include "tool.h"
#include "util.h"
#include "vdso.h"

#define MEMORY		(2ULL << 30)
#define MAX_DSOS	4096	/* a system has some hundreds */

struct finder {
	struct perf_tool	tool;
	int			fd;
	unsigned int		nr;
};

/* Other memory gets such names, too: that of JIT compilers, and of memfd_create(). */
static bool is_file(const char *name)
{
	return *name == '/' && name[1] != '/' && !strstarts(name, "/memfd:") &&
	       !is_perf_pid_map_name(name);
}

/*
 * What no file gives names to is left out: memory that is none, as [heap]; modules whose
 * file the guest did not find, as [name]; and BPF programs, which are dsos of the kernel, too.
 */
static bool set_kind(struct kvm_record_dso *entry, struct dso *dso, const struct machine *machine)
{
	if (!strcmp(dso__short_name(dso), DSO__NAME_VDSO))
		entry->kind = KVM_RECORD_DSO_VDSO;
	else if (machine->vmlinux_map && RC_CHK_EQUAL(dso, map__dso(machine->vmlinux_map)))
		entry->kind = KVM_RECORD_DSO_KERNEL;
	else if (is_file(dso__long_name(dso)))
		entry->kind = dso__kernel(dso) ? KVM_RECORD_DSO_MODULE : KVM_RECORD_DSO_FILE;
	else
		return false;
	return true;
}

static int write_entry(struct finder *finder, struct dso *dso, struct thread *thread)
{
	const struct machine *machine = maps__machine(thread__maps(thread));
	struct kvm_record_dso entry = { .pid = max(thread__pid(thread), 0) };
	const size_t len = strlen(dso__long_name(dso));

	if (!set_kind(&entry, dso, machine) || finder->nr >= MAX_DSOS || len >= sizeof(entry.path))
		return 0;
	finder->nr++;
	memcpy(entry.path, dso__long_name(dso), len);
	return writen(finder->fd, &entry, sizeof(entry)) == sizeof(entry) ? 0 : -1;
}

static int hit(struct finder *finder, struct thread *thread, u8 cpumode, u64 ip)
{
	struct addr_location al;
	struct dso *dso;
	int err = 0;

	addr_location__init(&al);
	if (thread__find_map(thread, cpumode, ip, &al)) {
		dso = map__dso(al.map);
		if (!dso__hit(dso)) {
			dso__set_hit(dso);
			err = write_entry(finder, dso, thread);
		}
	}
	addr_location__exit(&al);
	return err;
}

/* 0: not of this machine */
static u8 context_mode(u64 context)
{
	switch (context) {
	case PERF_CONTEXT_KERNEL:
		return PERF_RECORD_MISC_KERNEL;
	case PERF_CONTEXT_USER:
		return PERF_RECORD_MISC_USER;
	default:
		return 0;
	}
}

static int hit_callers(struct finder *finder, struct thread *thread,
		       const struct perf_sample *sample)
{
	const struct ip_callchain *chain = sample->callchain;
	u8 mode = sample->cpumode;
	int err = 0;

	for (u64 i = 0; !err && chain && i < chain->nr; i++) {
		if (chain->ips[i] >= PERF_CONTEXT_MAX)
			mode = context_mode(chain->ips[i]);
		else if (mode)
			err = hit(finder, thread, mode, chain->ips[i]);
	}
	return err;
}

static int see_sample(const struct perf_tool *tool, union perf_event *event __maybe_unused,
		      struct perf_sample *sample, struct evsel *evsel __maybe_unused,
		      struct machine *machine)
{
	struct finder *finder = container_of(tool, struct finder, tool);
	struct thread *thread;
	int err;

	/* By its own recording the guest is the host, and what it has for guests is left out. */
	if (!machine__is_host(machine))
		return 0;
	thread = machine__findnew_thread(machine, sample->pid, sample->tid);
	if (!thread)
		return -1;
	err = hit(finder, thread, sample->cpumode, sample->ip) ?:
	      hit_callers(finder, thread, sample);
	thread__put(thread);
	return err;
}

/* Formats of events say nothing of mappings: they are not parsed, but stepped over. */
static int skip_tracing_data(struct perf_session *session, union perf_event *event)
{
	const u32 size = event->tracing_data.size;

	if (size > INT_MAX || lseek(perf_data__fd(session->data), size, SEEK_CUR) < 0)
		return -1;
	return size;
}

static void init_tool(struct perf_tool *tool)
{
	perf_tool__init(tool, /*ordered_events=*/true);
	tool->sample		= see_sample;
	tool->comm		= perf_event__process_comm;
	tool->fork		= perf_event__process_fork;
	tool->exit		= perf_event__process_exit;
	tool->mmap		= perf_event__process_mmap;
	tool->mmap2		= perf_event__process_mmap2;
	tool->ksymbol		= perf_event__process_ksymbol;
	tool->attr		= perf_event__process_attr;
	tool->event_update	= perf_event__process_event_update;
	tool->feature		= perf_event__process_feature;
	tool->build_id		= perf_event__process_build_id;
	tool->tracing_data	= skip_tracing_data;
	tool->no_warn		= true;
}

static int find(const char *path, int fd)
{
	struct finder finder = { .fd = fd };
	struct perf_data data = {
		.path		= "-",	/* a pipe, by its format */
		.file.fd	= open(path, O_RDONLY | O_CLOEXEC),
		.mode		= PERF_DATA_MODE_READ,
	};
	struct perf_session *session;
	int err;

	if (data.file.fd < 0)
		return -errno;
	err = kvm_agent_privileges__drop_all();
	if (err)
		return err;
	init_tool(&finder.tool);
	symbol__elf_init();
	session = perf_session__new(&data, &finder.tool);
	if (IS_ERR(session))
		return PTR_ERR(session);
	err = perf_session__process_events(session);
	perf_session__delete(session);
	return err;
}

pid_t kvm_record_dsos__start(const char *path, int fd)
{
	const struct rlimit limit = { MEMORY, MEMORY };
	pid_t pid = fork();

	if (pid)
		return pid;
	perf_host = true;
	symbol_conf.lazy_load_kernel_maps = true;
	if (verbose <= 0)
		verbose = -1;
	setrlimit(RLIMIT_DATA, &limit);
	_exit(find(path, fd) ? 1 : 0);
}
