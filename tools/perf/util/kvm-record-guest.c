// SPDX-License-Identifier: GPL-2.0
/*
 * One guest of perf kvm record: talks to its agent, writes what comes into a file,
 * and compares the clocks. What fails here is this guest's failure only.
 */
#include "kvm-record-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "kvm-record-args.h"

#define PROBES		20		/* while nothing is recorded */
#define BURST		8		/* while something is */
#define BURST_EVERY	(4 * NSEC_PER_SEC)

/* The first reason is the one that matters. */
int kvm_record_guest__fail(struct kvm_record_guest *guest, const char *fmt, ...)
{
	va_list ap;

	guest->recording = false;
	if (guest->failed)
		return -EIO;
	guest->failed = true;
	va_start(ap, fmt);
	vscnprintf(guest->failure, sizeof(guest->failure), fmt, ap);
	va_end(ap);
	/* An agent that works on would do so for nothing. */
	if (guest->client && guest->client->state != KVM_AGENT_CLIENT_READY)
		kvm_agent_client__bye(guest->client);
	return -EIO;
}

static int fail_by_client(struct kvm_record_guest *guest)
{
	if (guest->write_error)
		return kvm_record_guest__fail(guest, "%s cannot be written: %s", guest->path,
					      strerror(guest->write_error));
	return kvm_record_guest__fail(guest, "%s", guest->client->error.text);
}

/* What the client hands over */

static int store(void *priv, const void *data, size_t len)
{
	struct kvm_record_guest *guest = priv;

	while (len) {
		ssize_t n = write(guest->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			guest->write_error = n ? errno : ENOSPC;
			return -EIO;
		}
		guest->written += n;
		data += n;
		len -= n;
	}
	return 0;
}

static void keep_better(struct kvm_merge_reading *best, const struct kvm_agent_reading *reading)
{
	if (reading->clock != KVM_AGENT_CLOCK_PERF || reading->bound >= best->bound)
		return;
	*best = (struct kvm_merge_reading){
		.at	= reading->at,
		.offset	= reading->offset,
		.bound	= reading->bound,
	};
}

static void take_reading(void *priv, const struct kvm_agent_reading *reading)
{
	struct kvm_record_guest *guest = priv;

	keep_better(&guest->best, reading);
}

/* A guest that lies here only breaks its own alignment: that is found out later. */
static void take_clock(void *priv, const struct kvm_agent_clock_state *clock)
{
	struct kvm_record_guest *guest = priv;

	if (kvm_record_clock__see_pv(&guest->clock, clock))
		guest->clock.pv.broken = true;
}

static const struct kvm_agent_client_ops client_ops = {
	.data		= store,
	.reading	= take_reading,
	.clock		= take_clock,
};

/* Before the recording */

void kvm_record_guest__init(struct kvm_record_guest *guest,
			    const struct kvm_record_target *target)
{
	memset(guest, 0, sizeof(*guest));
	guest->target = *target;
	guest->clock.opts = target->clock;
	guest->fd = -1;
	guest->best.bound = UINT64_MAX;
}

/* Whoever listens on the socket is the VM, or, without a VM, the agent itself. */
static pid_t peer_pid(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
		return 0;
	return cred.pid;
}

static int set_pid(struct kvm_record_guest *guest)
{
	struct kvm_record_target *target = &guest->target;
	char name[16];

	if (!target->pid && !strstarts(target->address, "vsock:"))
		target->pid = peer_pid(guest->client->channel->fd);
	if (!target->pid)
		return kvm_record_guest__fail(guest,
					      "which process is its VM is not known: give pid=N behind --guest=%s",
					      target->address);
	if (!*target->name) {
		snprintf(name, sizeof(name), "pid%d", target->pid);
		kvm_record_target__set_name(target, name);
	}
	return 0;
}

int kvm_record_guest__connect(struct kvm_record_guest *guest)
{
	struct kvm_agent_error error = { .code = 0 };

	guest->client = kvm_agent_client__connect(guest->target.address, &client_ops, guest,
						  &error);
	if (!guest->client)
		return kvm_record_guest__fail(guest, "%s%s", error.text,
					      error.code == KVM_AGENT_E_FAILED ?
					      "\nIs 'perf kvm agent' running in the guest?" : "");
	if (kvm_agent_client__get_caps(guest->client, &guest->caps))
		return fail_by_client(guest);
	kvm_record_clock__take_caps(&guest->clock.before, &guest->caps);
	return set_pid(guest);
}

/* Waits for the replies. A guest whose clock cannot be read has none; that is no failure. */
int kvm_record_guest__probe(struct kvm_record_guest *guest)
{
	struct kvm_merge_reading best = { .bound = UINT64_MAX };
	struct kvm_agent_reading reading;
	int err = kvm_agent_client__probe(guest->client, KVM_AGENT_CLOCK_PERF, PROBES, &reading);

	if (guest->client->state == KVM_AGENT_CLIENT_DEAD)
		return fail_by_client(guest);
	if (err)
		return 0;
	keep_better(&best, &reading);
	kvm_record_clock__see_tsc(&guest->clock, guest->target.pid, &best);
	return kvm_record_readings__add(&guest->clock.readings, &best);
}

static int make_file(struct kvm_record_guest *guest, const char *dir, size_t nr)
{
	if (asprintf(&guest->path, "%s/guest%zu-%s.data", dir, nr, guest->target.name) < 0) {
		guest->path = NULL;
		return -ENOMEM;
	}
	guest->fd = open(guest->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (guest->fd < 0)
		return kvm_record_guest__fail(guest, "%s cannot be made: %s", guest->path,
					      strerror(errno));
	return 0;
}

int kvm_record_guest__start(struct kvm_record_guest *guest, const char *dir, size_t nr,
			    const struct kvm_record_argv *options, u64 max_bytes)
{
	int err = make_file(guest, dir, nr);

	if (err)
		return err;
	if (kvm_agent_client__start(guest->client, (const char * const *)options->args,
				    options->nr, max_bytes))
		return fail_by_client(guest);
	guest->recording = true;
	guest->last_burst = kvm_channel__now();
	return 0;
}

/* The recording */

/* perf record writes a mark behind what it says of the past: then its events are on. */
bool kvm_record_guest__has_begun(const struct kvm_record_guest *guest)
{
	return guest->client->stream.initialized;
}

static void end_burst(struct kvm_record_guest *guest)
{
	if (guest->best.bound != UINT64_MAX) {
		kvm_record_clock__see_tsc(&guest->clock, guest->target.pid, &guest->best);
		kvm_record_readings__add(&guest->clock.readings, &guest->best);
	}
	guest->best.bound = UINT64_MAX;
	guest->burst = 0;
}

/* One probe is on its way at a time; its reply comes among the data. */
static void advance_burst(struct kvm_record_guest *guest)
{
	const u64 now = kvm_channel__now();

	if (guest->client->probe_id)
		return;
	if (now - guest->last_burst > BURST_EVERY) {
		guest->burst = BURST;
		guest->last_burst = now;
	} else if (guest->burst && !--guest->burst) {
		end_burst(guest);
	}
	if (guest->burst)
		kvm_agent_client__ask_time(guest->client, KVM_AGENT_CLOCK_PERF);
}

/* The agent's SUMMARY has come. */
static void end_recording(struct kvm_record_guest *guest)
{
	const struct kvm_agent_summary *summary = &guest->client->summary;

	end_burst(guest);
	guest->recording = false;
	if (guest->client->unpack)
		pr_debug("guest '%s': %" PRIu64 " bytes came, which decompress to %" PRIu64 "\n",
			 guest->target.name, guest->client->received, guest->client->stream.bytes);
	if (summary->status)
		kvm_record_guest__fail(guest, "perf record in the guest ended with status %u: %s",
				       summary->status, summary->messages);
	else if (!summary->complete)
		kvm_record_guest__fail(guest,
				       "its agent counted other records than have come: what it sent is not whole");
}

/* Takes what there is, without waiting. */
void kvm_record_guest__work(struct kvm_record_guest *guest)
{
	int ret;

	if (!guest->recording)
		return;
	ret = kvm_agent_client__poll(guest->client, 0);
	if (guest->client->stream.broken)
		kvm_record_guest__fail(guest,
				       "what its agent sends is not perf's pipe format: it is cut off there");
	else if (ret < 0)
		fail_by_client(guest);
	else if (ret)
		end_recording(guest);
	else
		advance_burst(guest);
}

/* After the recording */

void kvm_record_guest__stop(struct kvm_record_guest *guest)
{
	if (!guest->recording || guest->stopped)
		return;
	guest->stopped = true;
	if (kvm_agent_client__stop(guest->client))
		fail_by_client(guest);
}

/* For one that does not end. */
void kvm_record_guest__abandon(struct kvm_record_guest *guest, const char *why)
{
	end_burst(guest);
	kvm_record_guest__fail(guest, "%s", why);
}

/* The clocks once more, and whether the guest's is still the same. */
void kvm_record_guest__finish(struct kvm_record_guest *guest)
{
	struct kvm_agent_caps caps;

	end_burst(guest);
	kvm_record_vm_clock__read_again(&guest->clock.vm, guest->target.pid);
	if (!guest->client || guest->client->state != KVM_AGENT_CLIENT_READY)
		return;
	if (!kvm_record_guest__probe(guest) &&
	    !kvm_agent_client__get_caps(guest->client, &caps))
		kvm_record_clock__take_caps(&guest->clock.after, &caps);
}

/* Nothing is asked for any more: the agent need not wait until all is merged. */
void kvm_record_guest__leave(struct kvm_record_guest *guest)
{
	if (guest->client)
		kvm_agent_client__bye(guest->client);
}

void kvm_record_guest__exit(struct kvm_record_guest *guest)
{
	kvm_record_guest__leave(guest);
	kvm_agent_client__delete(guest->client);
	guest->client = NULL;
	if (guest->fd >= 0)
		close(guest->fd);
	guest->fd = -1;
	kvm_record_clock_facts__exit(&guest->clock);
	kvm_record_clock__exit(&guest->choice);
	zfree(&guest->path);
	zfree(&guest->tids);
	for (size_t i = 0; i < guest->nr_build_ids; i++)
		zfree(&guest->build_ids[i].name);
	zfree(&guest->build_ids);
}
