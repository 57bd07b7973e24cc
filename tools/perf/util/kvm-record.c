// SPDX-License-Identifier: GPL-2.0
/*
 * Records a host and its guests together: perf record on the host, agents in the
 * guests, all of which are recording before the command starts and until it ends.
 */
#include "kvm-record.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include <internal/lib.h>
#include "debug.h"
#include "event.h"
#include "kvm-record-vm.h"

#define POLL_MS		100
#define BEGIN_TIMEOUT	(30 * NSEC_PER_SEC)
#define STOP_TIMEOUT	(30 * NSEC_PER_SEC)
#define HOST_TIMEOUT	(60 * MSEC_PER_SEC)	/* perf record looks for build ids at its end */
#define COMMAND_TIMEOUT	(3 * MSEC_PER_SEC)
#define RING_MEMORY	(256ULL << 20)		/* of all CPUs of the host */

int kvm_record__init(struct kvm_record *rec, const struct kvm_record_opts *opts,
		     struct kvm_record_args *args, const struct kvm_record_targets *targets)
{
	memset(rec, 0, sizeof(*rec));
	rec->opts = *opts;
	rec->args = args;
	kvm_record_child__init(&rec->host);
	kvm_record_child__init(&rec->command);
	rec->guests = calloc(targets->nr, sizeof(*rec->guests));
	if (!rec->guests)
		return -ENOMEM;
	for (size_t i = 0; i < targets->nr; i++)
		kvm_record_guest__init(&rec->guests[i], &targets->targets[i]);
	rec->nr_guests = targets->nr;
	return 0;
}

void kvm_record__exit(struct kvm_record *rec)
{
	kvm_record_child__end(&rec->command, SIGTERM, COMMAND_TIMEOUT);
	kvm_record_child__end(&rec->host, SIGTERM, HOST_TIMEOUT);
	/* All are told before one is waited for. */
	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__leave(&rec->guests[i]);
	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__exit(&rec->guests[i]);
	zfree(&rec->guests);
	rec->nr_guests = 0;
	kvm_record_parts__exit(&rec->parts);
}

static bool is_interrupted(const struct kvm_record *rec)
{
	return READ_ONCE(*rec->opts.signals);
}

static bool is_interrupted_again(const struct kvm_record *rec)
{
	return READ_ONCE(*rec->opts.signals) > 1;
}

/* All guests at once, what the host's perf record does included */

static bool any_recording(const struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		if (rec->guests[i].recording)
			return true;
	}
	return false;
}

static bool any_failed(const struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		if (rec->guests[i].failed)
			return true;
	}
	return false;
}

static void wait_for_guests(const struct kvm_record *rec, struct pollfd *fds)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		const struct kvm_record_guest *guest = &rec->guests[i];

		fds[i].fd = guest->recording ? guest->client->channel->fd : -1;
		fds[i].events = POLLIN;
	}
	poll(fds, rec->nr_guests, POLL_MS);
}

/* Waits for a while, or until a guest has sent something, and takes that. */
static int work(struct kvm_record *rec)
{
	struct pollfd *fds = calloc(rec->nr_guests, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	wait_for_guests(rec, fds);
	free(fds);
	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__work(&rec->guests[i]);
	kvm_record__tell_failures(rec);
	kvm_record__show_progress(rec);
	return 0;
}

/* Before it records */

static void check_pid(const struct kvm_record *rec, struct kvm_record_guest *guest)
{
	for (const struct kvm_record_guest *other = rec->guests; other < guest; other++) {
		if (other->target.pid == guest->target.pid)
			kvm_record_guest__fail(guest,
					       "process %d is the VM of another --guest= already: give each its own pid=",
					       guest->target.pid);
	}
}

static u32 count_known(const struct kvm_record_guest *guest)
{
	u32 nr = 0;

	for (u32 i = 0; i < guest->nr_tids; i++)
		nr += guest->tids[i] >= 0;
	return nr;
}

/* An agent that cannot would refuse later, when the host records already. */
static void check_compression(const struct kvm_record *rec, struct kvm_record_guest *guest)
{
	if (rec->opts.guest_level && strcmp(guest->caps.compression, "zstd"))
		kvm_record_guest__fail(guest,
				       "its agent cannot compress, as its perf is older or was built without zstd: leave out --guest-compression-level");
}

/* What is known of the VM without the guest. */
static void look_at_vm(struct kvm_record_guest *guest)
{
	const struct kvm_record_target *target = &guest->target;
	char address[sizeof(target->address)];

	kvm_record_vm_clock__read(&guest->clock.vm, target->pid);
	kvm_record_vm__read_tids(target->pid, &guest->tids, &guest->nr_tids);
	/* A path is of the VM's command line, which may have anything in it. */
	kvm_channel__clean_text(address, sizeof(address), target->address,
				strlen(target->address));
	if (!quiet)
		pr_info("guest '%s': pid %d, agent at %s, threads of %u vCPUs known\n",
			target->name, target->pid, address, count_known(guest));
	pr_debug("  perf %s, kernel %s, %u CPUs\n", guest->caps.perf, guest->caps.release,
		 guest->caps.nr_cpus);
	for (u32 i = 0; i < guest->nr_tids; i++)
		pr_debug("  vCPU %u is thread %d\n", i, guest->tids[i]);
	if (!guest->nr_tids)
		pr_debug("  the vCPUs' threads are found by their names: KVM's debugfs does not tell them\n");
}

/* Those behind it move up: they are not connected yet, so nothing points to them. */
static void leave_out(struct kvm_record *rec, struct kvm_record_guest *guest)
{
	const size_t behind = rec->guests + rec->nr_guests - (guest + 1);

	pr_warning("VM '%s' (pid %d) is left out: %s\n", guest->target.name, guest->target.pid,
		   guest->failure);
	kvm_record_guest__exit(guest);
	memmove(guest, guest + 1, behind * sizeof(*guest));
	rec->nr_guests--;
}

static int connect_guests(struct kvm_record *rec)
{
	struct kvm_record_guest *guest = rec->guests;

	while (guest < rec->guests + rec->nr_guests && !is_interrupted(rec)) {
		if (!kvm_record_guest__connect(guest)) {
			check_pid(rec, guest);
			check_compression(rec, guest);
			look_at_vm(guest);
		} else if (guest->target.by_all) {
			leave_out(rec, guest);
			continue;
		}
		guest++;
	}
	kvm_record__tell_failures(rec);
	if (!rec->nr_guests) {
		pr_err("--guest=all: no VM's agent can be reached.\n");
		return -ENOENT;
	}
	return any_failed(rec) ? -EIO : is_interrupted(rec) ? -EINTR : 0;
}

static int probe_guests(struct kvm_record *rec)
{
	int err = 0;

	for (size_t i = 0; !err && i < rec->nr_guests; i++)
		err = kvm_record_guest__probe(&rec->guests[i]);
	kvm_record__tell_failures(rec);
	return err;
}

/* All CPUs, so that the vCPUs' threads can be followed; or what the user may record. */
static int add_target(struct kvm_record *rec)
{
	struct kvm_record_argv *host = &rec->args->host;
	char pids[512];
	size_t len = 0;

	if (rec->args->target)
		return 0;
	if (perf_event_paranoid_check(0)) {
		pr_debug("host: --all-cpus is added\n");
		return kvm_record_argv__add(host, "--all-cpus");
	}
	for (size_t i = 0; i < rec->nr_guests; i++)
		len += scnprintf(pids + len, sizeof(pids) - len, "%s%d", i ? "," : "",
				 rec->guests[i].target.pid);
	pr_warning("You may not record all CPUs of the host: only the VMs' processes are recorded here.\n"
		   "Run this as root, with CAP_PERFMON, or with a kernel.perf_event_paranoid below 1.\n");
	return kvm_record_argv__add(host, "--pid=%s", pids);
}

/* Context switches come in floods, above all when guests' perf record start. */
static int add_rings(struct kvm_record *rec)
{
	struct kvm_record_argv *host = &rec->args->host;
	u64 pages = RING_MEMORY / page_size / max(sysconf(_SC_NPROCESSORS_CONF), 1L);

	if (kvm_record_argv__has(host, "--mmap-pages") || !perf_event_paranoid_check(-1))
		return 0;
	pages = rounddown_pow_of_two(max_t(u64, min_t(u64, pages, 1024), 128));
	return kvm_record_argv__add(host, "--mmap-pages=%" PRIu64, pages);
}

/* In front of what the user gave there is "perf record" already. */
static int start_host(struct kvm_record *rec)
{
	struct kvm_record_argv *host = &rec->args->host;
	int err = add_target(rec) ?: add_rings(rec) ?:
		  kvm_record_argv__set(host, "--switch-events", NULL) ?:
		  kvm_record_argv__add(host, "--delay=-1") ?:
		  kvm_record_argv__add(host, "--output=%s", rec->parts.host);

	if (!err)
		err = kvm_record_child__start_perf(&rec->host, host, rec->parts.log);
	if (err)
		pr_err("perf record cannot be started on the host: %s\n", strerror(-err));
	return err;
}

static int fail_host(struct kvm_record *rec)
{
	kvm_record__end_progress(rec);
	rec->host_failed = true;
	pr_err("perf record on the host failed, with status %d:\n", rec->host.status);
	kvm_record_parts__print_log(&rec->parts);
	return -EIO;
}

/* The guests are looked after meanwhile. */
static int command_host(struct kvm_record *rec, const char *command)
{
	const u64 deadline = kvm_channel__now() + BEGIN_TIMEOUT;
	int ret = 0;

	kvm_record_child__send(&rec->host, command);
	while (!ret && kvm_channel__now() < deadline && !is_interrupted(rec)) {
		ret = kvm_record_child__is_acked(&rec->host, any_recording(rec) ? 0 : POLL_MS);
		if (!ret && any_recording(rec) && work(rec))
			return -ENOMEM;
	}
	if (ret > 0)
		return 0;
	if (is_interrupted(rec))
		return -EINTR;
	if (!ret)
		pr_err("perf record on the host did not answer in time.\n");
	kvm_record_child__end(&rec->host, ret ? 0 : SIGTERM, COMMAND_TIMEOUT);
	return fail_host(rec);
}

static int add_guest_options(struct kvm_record *rec)
{
	struct kvm_record_argv *guest = &rec->args->guest;
	int err = 0;

	if (rec->opts.guest_level)
		err = kvm_record_argv__add(guest, "--compression-level=%u", rec->opts.guest_level);
	if (err || !rec->opts.guest_exec)
		return err ?: kvm_record_argv__add(guest, "--all-cpus");
	err = kvm_record_argv__set(guest, "--sample-cpu", NULL) ?:
	      kvm_record_argv__add(guest, "--");
	for (size_t i = 0; !err && rec->opts.command[i]; i++)
		err = kvm_record_argv__add(guest, "%s", rec->opts.command[i]);
	return err;
}

static bool all_begun(const struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		if (rec->guests[i].recording && !kvm_record_guest__has_begun(&rec->guests[i]))
			return false;
	}
	return true;
}

/* Until the agents' perf record has its events on, and not only runs. */
static int start_guests(struct kvm_record *rec)
{
	const u64 deadline = kvm_channel__now() + BEGIN_TIMEOUT;
	int err = add_guest_options(rec);

	for (size_t i = 0; !err && i < rec->nr_guests; i++)
		err = kvm_record_guest__start(&rec->guests[i], rec->parts.dir, i + 1,
					      &rec->args->guest, rec->opts.max_bytes);
	while (!err && !any_failed(rec) && !all_begun(rec) && !is_interrupted(rec)) {
		err = work(rec);
		if (kvm_channel__now() < deadline)
			continue;
		pr_warning("Not every guest said that its events are on: going on without.\n");
		break;
	}
	kvm_record__tell_failures(rec);
	return err ?: any_failed(rec) ? -EIO : is_interrupted(rec) ? -EINTR : 0;
}

static int start_command(struct kvm_record *rec)
{
	int err;

	if (!rec->opts.command || rec->opts.guest_exec)
		return 0;
	err = kvm_record_child__start_command(&rec->command, rec->opts.command);
	rec->command_ran = !err;
	if (err)
		pr_err("%s cannot be run: %s\n", rec->opts.command[0], strerror(-err));
	return err;
}

/* The recording */

static bool is_done(struct kvm_record *rec)
{
	if (is_interrupted(rec))
		return true;
	if (rec->command_ran)
		return kvm_record_child__has_ended(&rec->command);
	return rec->opts.guest_exec && !any_recording(rec);
}

/* A guest that ends without being told has failed, unless it ran the command. */
static void check_guests(struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests && !rec->opts.guest_exec; i++) {
		struct kvm_record_guest *guest = &rec->guests[i];

		if (!guest->recording && !guest->failed)
			kvm_record_guest__fail(guest, "its perf record ended before it was told to");
	}
	kvm_record__tell_failures(rec);
}

/* Nothing can be stored any more: going on would lose the rest of all. */
static bool is_disk_full(const struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		if (rec->guests[i].write_error)
			return true;
	}
	return false;
}

static int watch(struct kvm_record *rec)
{
	while (!is_done(rec)) {
		int err = work(rec);

		if (err)
			return err;
		check_guests(rec);
		if (is_disk_full(rec)) {
			pr_err("The recording ends, since what guests send cannot be stored.\n");
			return 0;
		}
		if (kvm_record_child__has_ended(&rec->host))
			return fail_host(rec);
	}
	return 0;
}

/* The end */

static void stop_guests(struct kvm_record *rec)
{
	const u64 deadline = kvm_channel__now() + STOP_TIMEOUT;

	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__stop(&rec->guests[i]);
	while (any_recording(rec) && !is_interrupted_again(rec) &&
	       kvm_channel__now() < deadline && !work(rec))
		;
	for (size_t i = 0; i < rec->nr_guests; i++) {
		if (rec->guests[i].recording)
			kvm_record_guest__abandon(&rec->guests[i],
						  "it did not end its recording in time: its last records are missing");
	}
	for (size_t i = 0; i < rec->nr_guests; i++)
		kvm_record_guest__finish(&rec->guests[i]);
	kvm_record__tell_failures(rec);
}

/* perf record ends itself by the signal, when all is written. */
static void stop_host(struct kvm_record *rec)
{
	const bool ran = !kvm_record_child__has_ended(&rec->host);

	kvm_record_child__end(&rec->host, SIGINT, HOST_TIMEOUT);
	if (ran && rec->host.status && rec->host.status != 128 + SIGINT)
		fail_host(rec);
	else if (verbose > 1)
		kvm_record_parts__print_log(&rec->parts);
}

static void stop(struct kvm_record *rec)
{
	stop_guests(rec);
	kvm_record__end_progress(rec);
	kvm_record_child__end(&rec->command, SIGTERM, COMMAND_TIMEOUT);
	stop_host(rec);
	if (rec->command_ran && rec->command.status && !is_interrupted(rec))
		pr_warning("%s ended with status %d.\n", rec->opts.command[0],
			   rec->command.status);
}

static int begin(struct kvm_record *rec)
{
	int err = rec->opts.verify ? kvm_record__add_verify_events(rec) : 0;

	err = err ?: start_host(rec) ?: command_host(rec, "ping") ?: probe_guests(rec) ?:
	      start_guests(rec) ?: command_host(rec, "enable");

	rec->since = kvm_channel__now();
	return err ?: start_command(rec);
}

/* Returns 0 and whether the output has all that was to be recorded; or there is no output. */
static int record_and_merge(struct kvm_record *rec, bool *complete)
{
	int err = begin(rec);

	if (err == -EINTR)
		pr_err("Nothing was recorded yet.\n");
	if (err) {
		kvm_record_child__end(&rec->host, SIGTERM, HOST_TIMEOUT);
		kvm_record_parts__remove(&rec->parts);
		return err;
	}
	/* Whatever happens from here on, what was recorded is worth to be kept. */
	watch(rec);
	stop(rec);
	err = kvm_record__merge(rec, complete);
	if (err)
		return err;
	if (!rec->keep_parts)
		kvm_record_parts__remove(&rec->parts);
	*complete &= !any_failed(rec) && !rec->host_failed;
	if (rec->opts.verify && kvm_record__verify(rec))
		*complete = false;
	return 0;
}

/* The exit status. */
int kvm_record__run(struct kvm_record *rec)
{
	bool complete = false;
	int err = connect_guests(rec) ?: kvm_record_parts__make(&rec->parts, rec->opts.output) ?:
		  record_and_merge(rec, &complete);

	if (err == -ENOMEM)
		pr_err("There is not enough memory.\n");
	return err ? 1 : complete ? 0 : 3;
}
