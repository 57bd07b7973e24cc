// SPDX-License-Identifier: GPL-2.0
/*
 * Counts events on the vCPU threads of VMs, from the host: one evlist whose
 * threads are the vCPUs, printed by vCPU or added up by VM. Opening, reading
 * and printing are perf stat's.
 */
#include "kvm-vm-stat.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include <api/fs/fs.h>
#include <internal/threadmap.h>
#include <perf/cpumap.h>
#include <perf/evlist.h>
#include <perf/threadmap.h>
#include "counts.h"
#include "cpumap.h"
#include "debug.h"
#include "evlist.h"
#include "evsel.h"
#include "kvm-pvpmu.h"
#include "kvm-pvpmu-metric.h"
#include "kvm-vm.h"
#include "metricgroup.h"
#include "parse-events.h"
#include "pmu.h"
#include "stat.h"
#include "strbuf.h"
#include "target.h"
#include "thread_map.h"

/* How soon the end of a VM is noticed. */
#define POLL_NS		(100 * NSEC_PER_MSEC)

/* A VM that is counted, and its part of the thread map. */
struct counted_vm {
	const struct kvm_vm	*vm;
	int			 first_thread;
	int			 nr_threads;
	bool			 ended;
};

struct vm_stat {
	const struct kvm_vm_stat_opts	*opts;
	struct perf_stat_config		 config;
	struct target			 target;
	struct evlist			*evlist;
	struct evlist			*tools;	/* holds duration_time, which has no line */
	struct counted_vm		*vms;
	int				 nr_vms;
	int				 nr_threads;
	pid_t				 workload;
	u64				 start;
	u64				 last_print;
};

static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t workload_errno;

static void handle_signal(int signo)
{
	/* SIGCHLD is caught only to end a sleep. */
	if (signo != SIGCHLD)
		interrupted = 1;
}

static void handle_exec_error(int signo __maybe_unused, siginfo_t *info,
			      void *context __maybe_unused)
{
	workload_errno = info->si_value.sival_int;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGCHLD };
	struct sigaction action = { .sa_handler = handle_signal };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Which vCPUs are counted */

static int count_threads(const struct kvm_vm *vm)
{
	int nr = 0;

	for (int i = 0; i < vm->nr_vcpus; i++)
		nr += vm->vcpus[i].tid != 0;
	return nr;
}

static int choose_vms(struct vm_stat *st, const struct kvm_vms *vms)
{
	st->vms = calloc(vms->nr ?: 1, sizeof(*st->vms));
	if (!st->vms)
		return -ENOMEM;

	for (int i = 0; i < vms->nr; i++) {
		struct counted_vm counted = {
			.vm = &vms->vms[i],
			.first_thread = st->nr_threads,
			.nr_threads = count_threads(&vms->vms[i]),
		};

		if (!counted.nr_threads) {
			pr_warning("VM '%s' (pid %d) has no vCPU that has run: it is not counted.\n",
				   counted.vm->name, counted.vm->pid);
			continue;
		}
		st->vms[st->nr_vms++] = counted;
		st->nr_threads += counted.nr_threads;
	}
	if (st->nr_vms)
		return 0;
	pr_err("There is no VM to count.\n");
	return -ENOENT;
}

static struct perf_thread_map *make_threads(const struct vm_stat *st)
{
	pid_t *tids = calloc(st->nr_threads, sizeof(*tids));
	struct perf_thread_map *threads = NULL;
	int nr = 0;

	if (!tids)
		return NULL;
	for (int i = 0; i < st->nr_vms; i++) {
		const struct kvm_vm *vm = st->vms[i].vm;

		for (int j = 0; j < vm->nr_vcpus; j++) {
			if (vm->vcpus[j].tid)
				tids[nr++] = vm->vcpus[j].tid;
		}
	}
	threads = perf_thread_map__new_array(nr, tids);
	free(tids);
	return threads;
}

/* What perf prints before the counts: the processes. */
static int make_target(struct vm_stat *st)
{
	struct strbuf pids = STRBUF_INIT;

	for (int i = 0; i < st->nr_vms; i++) {
		if (strbuf_addf(&pids, "%s%d", i ? "," : "", st->vms[i].vm->pid))
			return -ENOMEM;
	}
	st->target.pid = strbuf_detach(&pids, NULL);
	st->target.uid = UINT_MAX;
	return 0;
}

/* The names of lines */

/* A name goes into tables, CSV and JSON: what could break one of them is replaced. */
static void clean_label(char *label, const char *csv_sep)
{
	for (; *label; label++) {
		bool plain = isascii(*label) && (isalnum(*label) || strchr("._+@:/-", *label));

		if (!plain || (csv_sep && strchr(csv_sep, *label)))
			*label = '_';
	}
}

static void set_label(struct vm_stat *st, int idx, pid_t pid, char *label)
{
	struct thread_map_data *data = &st->evlist->core.threads->map[idx];

	clean_label(label, st->opts->csv_sep);
	free(data->comm);
	data->comm = label;
	data->pid = pid;
}

static int label_vcpus(struct vm_stat *st, const struct counted_vm *counted)
{
	const struct kvm_vm *vm = counted->vm;
	int idx = counted->first_thread;

	for (int i = 0; i < vm->nr_vcpus; i++) {
		char *label;

		if (!vm->vcpus[i].tid)
			continue;
		if (asprintf(&label, "%s/vcpu%d", vm->name, vm->vcpus[i].id) < 0)
			return -ENOMEM;
		set_label(st, idx++, vm->vcpus[i].tid, label);
	}
	return 0;
}

/*
 * perf names a line by the thread map's entry of the same index. Once the
 * events are open the map serves for nothing else, so the entries get the names
 * of what the lines stand for: vCPUs, or VMs.
 */
static int label_lines(struct vm_stat *st)
{
	for (int i = 0; i < st->nr_vms; i++) {
		const struct kvm_vm *vm = st->vms[i].vm;
		char *label;

		if (st->opts->per_vcpu) {
			if (label_vcpus(st, &st->vms[i]))
				return -ENOMEM;
			continue;
		}
		label = strdup(vm->name);
		if (!label)
			return -ENOMEM;
		set_label(st, i, vm->pid, label);
	}
	return 0;
}

/* Set up and tear down */

static void init_config(struct vm_stat *st)
{
	const struct kvm_vm_stat_opts *opts = st->opts;

	st->config = (struct perf_stat_config) {
		.aggr_mode		= AGGR_THREAD,
		.scale			= true,
		.unit_width		= 4, /* strlen("unit") */
		.run_count		= 1,
		.walltime_nsecs_stats	= &walltime_nsecs_stats,
		.ru_stats		= &ru_stats,
		.big_num		= !opts->csv_sep,
		.csv_output		= opts->csv_sep,
		.csv_sep		= opts->csv_sep ?: " ",
		.json_output		= opts->json,
		.interval		= opts->interval_ms,
		.output			= opts->output,
		.no_inherit		= true,
		.identifier		= true,
		.ctl_fd			= -1,
		.ctl_fd_ack		= -1,
	};
}

static int parse_into(struct evlist *evlist, const char *events)
{
	struct parse_events_error error;
	int err;

	parse_events_error__init(&error);
	err = parse_events(evlist, events, &error);
	if (err)
		parse_events_error__print(&error, events);
	parse_events_error__exit(&error);
	return err ? -EINVAL : 0;
}

static int make_evlists(struct vm_stat *st)
{
	struct perf_thread_map *threads = make_threads(st);
	struct perf_cpu_map *cpus = perf_cpu_map__new_any_cpu();
	int err = -ENOMEM;

	st->evlist = evlist__new();
	st->tools = evlist__new();
	if (!threads || !cpus || !st->evlist || !st->tools)
		goto out;
	err = parse_into(st->evlist, st->opts->events);
	if (!err)
		err = parse_into(st->tools, "duration_time");
	if (!err)
		err = evlist__add_kvm_pvpmu_metrics(st->evlist, &st->config.metric_events,
						    evlist__first(st->tools));
	if (!err)
		perf_evlist__set_maps(&st->evlist->core, cpus, threads);
out:
	perf_thread_map__put(threads);
	perf_cpu_map__put(cpus);
	return err;
}

static int make_aggr_map(struct vm_stat *st)
{
	st->config.aggr_map = cpu_aggr_map__empty_new(st->nr_threads);
	if (!st->config.aggr_map)
		return -ENOMEM;
	for (int i = 0; i < st->nr_threads; i++)
		st->config.aggr_map->map[i].thread_idx = i;
	return 0;
}

/* As perf stat has it: such an event is shown as not supported, and the others are counted. */
static bool is_unsupported(int err)
{
	return err == EINVAL || err == ENOSYS || err == ENOENT || err == ENXIO ||
	       err == EOPNOTSUPP;
}

/* This PMU has every event, so -ENOENT means that the thread is no vCPU's any more. */
static bool is_kvm_vcpu(const struct evsel *evsel)
{
	return evsel->pmu && !strcmp(evsel->pmu->name, KVM_PVPMU_HOST_PMU);
}

static int open_counter(struct vm_stat *st, struct evsel *evsel)
{
	char msg[BUFSIZ];

	evsel->supported = true;
	while (create_perf_stat_counter(evsel, &st->config, &st->target, 0) < 0) {
		int err = errno;

		if (err == ESRCH || (err == ENOENT && is_kvm_vcpu(evsel)))
			return -ESRCH;
		if (is_unsupported(err)) {
			evsel->supported = false;
			perf_evsel__free_fd(&evsel->core);
			return 0;
		}
		if (evsel__fallback(evsel, &st->target, err, msg, sizeof(msg)))
			continue;
		evsel__open_strerror(evsel, &st->target, err, msg, sizeof(msg));
		pr_err("%s\n", msg);
		return -err;
	}
	return 0;
}

static int open_counters(struct vm_stat *st)
{
	struct evsel *evsel;

	evlist__for_each_entry(st->evlist, evsel) {
		int err = open_counter(st, evsel);

		if (err)
			return err;
		st->config.unit_width = max_t(unsigned int, st->config.unit_width,
					      strlen(evsel->unit));
	}
	return 0;
}

static void vm_stat__exit(struct vm_stat *st)
{
	if (st->evlist) {
		evlist__close(st->evlist);
		evlist__free_stats(st->evlist);
	}
	if (st->config.metric_events.nr_entries)
		metricgroup__rblist_exit(&st->config.metric_events);
	evlist__delete(st->evlist);
	evlist__delete(st->tools);
	zfree(&st->config.aggr_map);
	free((char *)st->target.pid);
	zfree(&st->vms);
}

/* Leaves the counters open but off. */
static int vm_stat__init(struct vm_stat *st, const struct kvm_vms *vms,
			 const struct kvm_vm_stat_opts *opts)
{
	int err;

	memset(st, 0, sizeof(*st));
	st->opts = opts;
	init_config(st);
	err = choose_vms(st, vms);
	if (!err)
		err = make_target(st);
	if (!err)
		err = make_evlists(st);
	if (!err)
		err = make_aggr_map(st);
	if (!err)
		err = evlist__alloc_stats(&st->config, st->evlist, opts->interval_ms);
	if (!err)
		err = open_counters(st);
	if (!err)
		err = label_lines(st);
	return err;
}

/* VMs that end */

static bool thread_is_alive(pid_t tid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", procfs__mountpoint(), tid);
	return !access(path, F_OK);
}

/* The VMM's threads may outlive the VM, and a VM the threads of a VMM that was killed. */
static bool vm_is_alive(const struct kvm_vm *vm)
{
	if (access(vm->dir, F_OK))
		return false;
	for (int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i].tid && thread_is_alive(vm->vcpus[i].tid))
			return true;
	}
	return false;
}

/* Says which VMs have ended since it was last called; false when none is left. */
static bool check_vms(struct vm_stat *st)
{
	bool any = false;

	for (int i = 0; i < st->nr_vms; i++) {
		struct counted_vm *counted = &st->vms[i];

		if (counted->ended)
			continue;
		if (vm_is_alive(counted->vm)) {
			any = true;
			continue;
		}
		counted->ended = true;
		pr_warning("VM '%s' (pid %d) ended while it was counted, after %.1f s; what was counted until then is kept.\n",
			   counted->vm->name, counted->vm->pid,
			   (double)(now_ns() - st->start) / NSEC_PER_SEC);
	}
	return any;
}

static bool any_vm_ended(const struct vm_stat *st)
{
	for (int i = 0; i < st->nr_vms; i++) {
		if (st->vms[i].ended)
			return true;
	}
	return false;
}

/* After a thread was not found: takes out the VMs that ended before they could be counted. */
static bool drop_ended(struct kvm_vms *vms)
{
	int nr = vms->nr;

	for (int i = 0; i < vms->nr; i++) {
		struct kvm_vm *vm = &vms->vms[i];

		if (!count_threads(vm) || vm_is_alive(vm))
			continue;
		pr_warning("VM '%s' (pid %d) ended before it could be counted.\n",
			   vm->name, vm->pid);
		kvm_vms__remove(vms, i--);
	}
	return vms->nr < nr;
}

/* Reading and printing */

static int read_evsel(struct evsel *evsel, int nr_threads)
{
	for (int thread = 0; thread < nr_threads; thread++) {
		struct perf_counts_values *count = perf_counts(evsel->counts, 0, thread);

		/* The leader of a group has read for its members. */
		if (!perf_counts__is_loaded(evsel->counts, 0, thread) &&
		    evsel__read_counter(evsel, 0, thread)) {
			evsel->counts->scaled = -1;
			count->ena = 0;
			count->run = 0;
			return -EIO;
		}
		perf_counts__set_loaded(evsel->counts, 0, thread, false);
	}
	return 0;
}

/* Adds a VM's vCPUs up into the entry of the VM's index, which is never behind their own. */
static void fold_evsel(const struct vm_stat *st, struct evsel *evsel)
{
	struct perf_stat_aggr *aggr = evsel->stats->aggr;

	for (int i = 0; i < st->nr_vms; i++) {
		struct perf_stat_aggr sum = {};

		for (int j = 0; j < st->vms[i].nr_threads; j++) {
			const struct perf_stat_aggr *vcpu = &aggr[st->vms[i].first_thread + j];

			sum.nr += vcpu->nr;
			sum.counts.val += vcpu->counts.val;
			sum.counts.ena += vcpu->counts.ena;
			sum.counts.run += vcpu->counts.run;
		}
		aggr[i] = sum;
	}
}

static void read_counters(struct vm_stat *st)
{
	struct evsel *evsel;

	evlist__reset_aggr_stats(st->evlist);
	evlist__for_each_entry(st->evlist, evsel) {
		if (!evsel->supported)
			continue;
		if (read_evsel(evsel, st->nr_threads) ||
		    perf_stat_process_counter(&st->config, evsel))
			pr_debug("failed to read counter %s\n", evsel__name(evsel));
		if (!st->opts->per_vcpu)
			fold_evsel(st, evsel);
	}
}

static void print_counters(struct vm_stat *st)
{
	int nr = st->opts->per_vcpu ? st->nr_threads : st->nr_vms;
	u64 now = now_ns(), elapsed = now - st->start;
	struct timespec ts = {
		.tv_sec = elapsed / NSEC_PER_SEC,
		.tv_nsec = elapsed % NSEC_PER_SEC,
	};

	read_counters(st);
	init_stats(&walltime_nsecs_stats);
	update_stats(&walltime_nsecs_stats, now - st->last_print);
	st->last_print = now;

	st->config.aggr_map->nr = nr;
	evlist__print_counters(st->evlist, &st->config, &st->target, &ts, 0, NULL);
	st->config.aggr_map->nr = st->nr_threads;
}

/* The time in which something is counted */

static int start_workload(struct vm_stat *st, const char **argv)
{
	if (evlist__prepare_workload(st->evlist, &st->target, argv, /*pipe_output=*/false,
				     handle_exec_error) < 0)
		return -errno;
	st->workload = st->evlist->workload.pid;
	return 0;
}

static bool workload_is_done(struct vm_stat *st, int *status)
{
	if (!st->workload || waitpid(st->workload, status, WNOHANG) != st->workload)
		return false;
	st->workload = 0;
	return true;
}

static void stop_workload(struct vm_stat *st)
{
	if (!st->workload)
		return;
	kill(st->workload, SIGTERM);
	waitpid(st->workload, NULL, 0);
	st->workload = 0;
}

static void sleep_until(u64 deadline)
{
	u64 now = now_ns();
	u64 left = deadline > now ? deadline - now : 0;
	struct timespec ts = { .tv_nsec = min_t(u64, left, POLL_NS) };

	nanosleep(&ts, NULL);
}

/* Returns the command's status as waitpid() gave it. */
static int wait_and_print(struct vm_stat *st)
{
	u64 interval = st->opts->interval_ms * NSEC_PER_MSEC, timeout = st->opts->timeout_ms;
	u64 next = interval ? st->start + interval : UINT64_MAX;
	u64 end = timeout ? st->start + timeout * NSEC_PER_MSEC : UINT64_MAX;
	bool has_workload = st->workload;
	int status = 0;

	while (!interrupted && now_ns() < end && !workload_is_done(st, &status)) {
		/* A command may outlive the VMs, and is waited for. */
		if (!check_vms(st) && !has_workload)
			break;
		if (now_ns() >= next) {
			print_counters(st);
			next += interval;
		}
		sleep_until(min(next, end));
	}
	evlist__disable(st->evlist);
	stop_workload(st);
	check_vms(st);
	/* With intervals this is the rest since the last of them. */
	print_counters(st);
	return status;
}

static int exit_status(const struct vm_stat *st, int status, const char *command)
{
	char msg[STRERR_BUFSIZE];

	if (workload_errno) {
		pr_err("Cannot run '%s': %s\n", command,
		       str_error_r(workload_errno, msg, sizeof(msg)));
		return -workload_errno;
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return any_vm_ended(st) ? KVM_VM_STAT_VM_ENDED : 0;
}

static int run(struct vm_stat *st, int argc, const char **argv)
{
	int status;

	catch_signals();
	if (argc && start_workload(st, argv))
		return -EIO;
	evlist__enable(st->evlist);
	st->start = now_ns();
	st->last_print = st->start;
	if (argc)
		evlist__start_workload(st->evlist);
	status = wait_and_print(st);
	return exit_status(st, status, argc ? argv[0] : NULL);
}

int kvm_vms__stat(struct kvm_vms *vms, const struct kvm_vm_stat_opts *opts,
		  int argc, const char **argv)
{
	struct vm_stat st;
	int err;

	for (;;) {
		err = vm_stat__init(&st, vms, opts);
		if (err != -ESRCH || !drop_ended(vms))
			break;
		vm_stat__exit(&st);
	}
	if (err == -ESRCH)
		pr_err("A thread that KVM names as a vCPU's cannot be counted.\n");
	if (!err)
		err = run(&st, argc, argv);
	vm_stat__exit(&st);
	return err;
}
