// SPDX-License-Identifier: GPL-2.0
/*
 * A session of perf kvm agent: answers a host's requests in the order that the
 * protocol has, and forwards a recording or a file, one frame at a time. One
 * thread and one poll(): nothing here waits for the host and not for the clock.
 */
#include "kvm-agent-session.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/utsname.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include <api/fs/fs.h>
#include "kvm-agent-child.h"
#include "kvm-agent-clock.h"
#include "kvm-agent-options.h"
#include "kvm-agent-policy.h"
#include "kvm-agent-symbols.h"
#include "kvm-agent-unpack.h"
#include "kvm-agent-watch.h"
#include "header.h"
#include "kvm-channel.h"

#define POLL_MS		200	/* how late a signal or a deadline may be seen */
#define WATCH_MS	100
#define THROTTLE_MS	10
/* What writes little, again and again, is given that time to write more. */
#define GATHER_BYTES	16384
#define GATHER_MS	5
#define EXIT_TIMEOUT	5	/* s, from the end of the output */

enum session_state {
	SESSION_NEW,
	SESSION_READY,
	SESSION_RECORDING,
	SESSION_STOPPING,
	SESSION_SENDING,
	SESSION_ENDED,
};

struct kvm_agent_session {
	struct kvm_channel		*channel;
	const struct kvm_agent_policy	*policy;
	enum session_state		 state;
	struct kvm_agent_error		 end;		/* why it ended */
	u64				 since;		/* ns, as all times here */
	u64				 last_frame;
	u64				 last_progress;
	struct kvm_agent_clocks		 clocks;
	struct kvm_agent_watch		 watch;

	/* the recording, or the file */
	struct kvm_agent_child		 child;
	u32				 out_id;	/* of the request */
	u64				 out_bytes;	/* in DATA so far */
	u64				 out_left;	/* of a file that was announced */
	bool				 announced;
	u64				 gather_until;
	u64				 out_since;
	u64				 last_flush;
	u64				 out_ended;	/* 0: not yet */
	u64				 tokens;	/* bytes that the bandwidth allows now */
	u64				 refilled;

	/* for the log */
	u64				 recordings;
	u64				 files;
	u64				 bytes;
};

/* Never silent: what ends a session is told to the host, if it still listens, and logged. */
static void end_session(struct kvm_agent_session *session)
{
	const struct kvm_agent_error *end = &session->end;
	const struct kvm_frame_error fixed = {
		.code	= htole32(end->code),
		.fatal	= htole32(1),
	};

	session->state = SESSION_ENDED;
	if (end->code)
		kvm_channel__put(session->channel, KVM_FRAME_ERROR, 0, &fixed, sizeof(fixed),
				 end->text, strlen(end->text));
}

static void put(struct kvm_agent_session *session, u16 type, u32 id, const void *fixed,
		size_t fixed_len, const void *var, size_t var_len)
{
	if (!kvm_channel__put(session->channel, type, id, fixed, fixed_len, var, var_len))
		return;
	kvm_agent_error__set(&session->end, KVM_AGENT_E_FAILED, true, "no room for a reply");
	end_session(session);
}

static void put_error(struct kvm_agent_session *session, u32 id,
		      const struct kvm_agent_error *error)
{
	const struct kvm_frame_error fixed = {
		.code	= htole32(error->code),
		.fatal	= htole32(error->fatal),
	};

	put(session, KVM_FRAME_ERROR, id, &fixed, sizeof(fixed), error->text, strlen(error->text));
}

/* Requests */

static void handle_hello(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	struct kvm_frame_welcome welcome = { .magic = htole32(KVM_AGENT_MAGIC) };
	struct kvm_frame_hello hello;
	u16 min, max;

	kvm_frame__get_fixed(frame, &hello, sizeof(hello));
	min = le16toh(hello.min);
	max = le16toh(hello.max);
	if (le32toh(hello.magic) != KVM_AGENT_MAGIC || min > max) {
		kvm_agent_error__set(&session->end, KVM_AGENT_E_PROTOCOL, true,
				     "this is no HELLO of perf's");
		end_session(session);
		return;
	}
	if (min > KVM_AGENT_VERSION_MAX || max < KVM_AGENT_VERSION_MIN) {
		kvm_agent_error__set(&session->end, KVM_AGENT_E_VERSION, true,
				     "the agent speaks versions %d to %d of the protocol, the host %u to %u: update the %s",
				     KVM_AGENT_VERSION_MIN, KVM_AGENT_VERSION_MAX, min, max,
				     min > KVM_AGENT_VERSION_MAX ? "agent" : "host's perf");
		end_session(session);
		return;
	}
	welcome.version = htole16(min_t(u16, max, KVM_AGENT_VERSION_MAX));
	put(session, KVM_FRAME_WELCOME, frame->id, &welcome, sizeof(welcome), NULL, 0);
	session->state = SESSION_READY;
}

static void print_sysctl(FILE *fp, const char *name)
{
	char path[64], *text;
	size_t len;

	scnprintf(path, sizeof(path), "sys/kernel/%s", name);
	if (procfs__read_str(path, &text, &len))
		return;
	fprintf(fp, "%s %.*s\n", name, (int)strcspn(text, "\n"), text);
	free(text);
}

static void print_caps(struct kvm_agent_session *session, FILE *fp)
{
	struct utsname uts;
	u64 ns;

	if (!uname(&uts))
		fprintf(fp, "release %s\nmachine %s\n", uts.release, uts.machine);
	fprintf(fp, "cpus %ld\nperf %s\n", sysconf(_SC_NPROCESSORS_ONLN), perf_version_string);
	print_sysctl(fp, "perf_pv_clock");
	print_sysctl(fp, "perf_pv_clock_host");
	fprintf(fp, "start-flags %u\n", KVM_START_CLOCK);
	fprintf(fp, "clocks");
	for (u32 clock = 0; clock < KVM_AGENT_NR_CLOCKS; clock++) {
		if (!kvm_agent_clocks__read(&session->clocks, clock, &ns))
			fprintf(fp, " %s", kvm_agent_clocks__name(clock));
	}
	fprintf(fp, "\n");
	if (kvm_agent_unpack__is_supported())
		fprintf(fp, "compression zstd\n");
	kvm_agent_policy__print(session->policy, "policy ", fp);
}

/* Whole lines only: a very long policy may not fit. */
static size_t fit_lines(const char *text, size_t len)
{
	len = min_t(size_t, len, KVM_FRAME_TEXT_MAX);
	while (len && text[len - 1] != '\n')
		len--;
	return len;
}

static void handle_get_caps(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	char *text = NULL;
	size_t len = 0;
	FILE *fp = open_memstream(&text, &len);

	if (fp) {
		print_caps(session, fp);
		fclose(fp);
	}
	put(session, KVM_FRAME_CAPS, frame->id, NULL, 0, text, text ? fit_lines(text, len) : 0);
	free(text);
}

static void handle_probe(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	struct kvm_frame_probe_reply reply;
	struct kvm_agent_error error;
	struct kvm_frame_probe probe;
	u64 ns;
	int err;

	kvm_frame__get_fixed(frame, &probe, sizeof(probe));
	err = kvm_agent_clocks__read(&session->clocks, le32toh(probe.clock), &ns);
	if (err) {
		kvm_agent_error__set(&error, KVM_AGENT_E_FAILED, false,
				     "clock %u of the guest cannot be read: %s",
				     le32toh(probe.clock), strerror(-err));
		put_error(session, frame->id, &error);
		return;
	}
	memset(&reply, 0, sizeof(reply));
	reply.clock = probe.clock;
	reply.time = htole64(ns);
	put(session, KVM_FRAME_PROBE_REPLY, frame->id, &reply, sizeof(reply), NULL, 0);
}

static void begin_output(struct kvm_agent_session *session, u32 id, enum session_state state)
{
	session->out_id = id;
	session->out_bytes = 0;
	session->out_left = UINT64_MAX;
	session->announced = false;
	session->gather_until = 0;
	session->out_since = kvm_channel__now();
	session->last_flush = session->out_since;
	session->out_ended = 0;
	session->tokens = 0;
	session->refilled = session->out_since;
	session->state = state;
}

/* The first state was read before perf record was started: all that it records is later. */
static void begin_recording(struct kvm_agent_session *session, u32 id, bool has_clock,
			    const struct kvm_frame_clock *clock)
{
	begin_output(session, id, SESSION_RECORDING);
	session->recordings++;
	put(session, KVM_FRAME_STARTED, id, NULL, 0, NULL, 0);
	if (has_clock)
		put(session, KVM_FRAME_CLOCK, id, clock, sizeof(*clock), NULL, 0);
}

static bool start_watch(struct kvm_agent_session *session, u32 flags,
			struct kvm_frame_clock *clock)
{
	session->watch.on = false;
	if (!(flags & KVM_START_CLOCK))
		return false;
	kvm_agent_watch__start(&session->watch);
	return kvm_agent_watch__look(&session->watch, &session->clocks, /*last=*/false, clock);
}

static void watch_clock(struct kvm_agent_session *session, bool last)
{
	struct kvm_frame_clock clock;

	if (kvm_agent_watch__look(&session->watch, &session->clocks, last, &clock))
		put(session, KVM_FRAME_CLOCK, session->out_id, &clock, sizeof(clock), NULL, 0);
}

static void handle_start(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	struct kvm_agent_error error = { .code = 0 };
	struct kvm_agent_options opts;
	struct kvm_frame_start start;
	long nr_cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct kvm_frame_clock clock;
	bool has_clock;
	int err;

	kvm_frame__get_fixed(frame, &start, sizeof(start));
	has_clock = start_watch(session, le32toh(start.flags), &clock);
	if (le32toh(start.flags) & ~KVM_START_CLOCK)
		err = kvm_agent_error__set(&error, KVM_AGENT_E_REFUSED, false,
					   "START has flags that the agent does not know");
	else
		err = kvm_agent_options__init(&opts, session->policy, max(nr_cpus, 1L),
					      frame->var, frame->var_len, &error);
	if (!err) {
		err = kvm_agent_child__start(&session->child, opts.argv);
		kvm_agent_options__exit(&opts);
		if (err)
			kvm_agent_error__set(&error, KVM_AGENT_E_FAILED, false,
					     "perf record cannot be started: %s", strerror(-err));
	}
	if (err)
		put_error(session, frame->id, &error);
	else
		begin_recording(session, frame->id, has_clock, &clock);
}

static void handle_stop(struct kvm_agent_session *session,
			const struct kvm_frame *frame __maybe_unused)
{
	if (session->state != SESSION_RECORDING)
		return;
	kvm_agent_child__interrupt(&session->child);
	session->state = SESSION_STOPPING;
}

static void handle_get_file(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	struct kvm_agent_error error;

	if (kvm_agent_symbols__start(&session->child, session->policy, frame, &error))
		put_error(session, frame->id, &error);
	else
		begin_output(session, frame->id, SESSION_SENDING);
}

/* What the host counted is only logged: the agent itself does not see records. */
static void handle_bye(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	const char *amid = session->state == SESSION_READY ? "" :
			   session->state == SESSION_SENDING ? " amid a file" : " amid a recording";
	struct kvm_frame_bye bye;

	kvm_frame__get_fixed(frame, &bye, sizeof(bye));
	if (frame->fixed_len < sizeof(bye))
		kvm_agent_error__set(&session->end, 0, false, "ended by the host%s", amid);
	else
		kvm_agent_error__set(&session->end, 0, false,
				     "ended by the host%s, which counted %llu samples and %llu lost",
				     amid, (unsigned long long)le64toh(bye.samples),
				     (unsigned long long)le64toh(bye.lost));
	end_session(session);
}

#define IN(state)	(1U << SESSION_##state)
#define IN_SESSION	(IN(READY) | IN(RECORDING) | IN(STOPPING) | IN(SENDING))

static const struct request {
	u16	type;
	u32	states;
	void	(*handle)(struct kvm_agent_session *session, const struct kvm_frame *frame);
} requests[] = {
	{ KVM_FRAME_HELLO,	IN(NEW), handle_hello },
	{ KVM_FRAME_GET_CAPS,	IN_SESSION, handle_get_caps },
	{ KVM_FRAME_PROBE,	IN_SESSION, handle_probe },
	{ KVM_FRAME_START,	IN(READY), handle_start },
	{ KVM_FRAME_STOP,	IN_SESSION, handle_stop },
	{ KVM_FRAME_GET_FILE,	IN(READY), handle_get_file },
	{ KVM_FRAME_BYE,	IN_SESSION, handle_bye },
};

static void handle(struct kvm_agent_session *session, const struct kvm_frame *frame)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].type != frame->type ||
		    !(requests[i].states & (1U << session->state)))
			continue;
		session->last_frame = kvm_channel__now();
		requests[i].handle(session, frame);
		return;
	}
	kvm_agent_error__set(&session->end, KVM_AGENT_E_ORDER, true, "%s is not allowed now",
			     kvm_frame__name(frame->type));
	end_session(session);
}

static void lose_peer(struct kvm_agent_session *session, int err)
{
	kvm_agent_error__set(&session->end, 0, true, "the connection was lost%s%s",
			     err == -EPIPE ? "" : ": ", err == -EPIPE ? "" : strerror(-err));
	end_session(session);
}

/* All of the file is on its way: for the host the session is in 'ready' again. */
static bool is_sent(const struct kvm_agent_session *session)
{
	return session->state == SESSION_SENDING && session->announced && !session->out_left;
}

/* A request that follows the last byte has to wait until the file's process is gone. */
static void handle_frames(struct kvm_agent_session *session)
{
	while (session->state != SESSION_ENDED && !is_sent(session) &&
	       kvm_channel__has_room(session->channel)) {
		struct kvm_frame frame;
		int ret = kvm_channel__next(session->channel, &frame, &session->end);

		if (ret < 0)
			end_session(session);
		if (ret <= 0)
			return;
		handle(session, &frame);
	}
}

/* The recording, or the file */

/* So many bytes may be sent now; a tenth of a second can be saved up. */
static size_t allowance(struct kvm_agent_session *session)
{
	const u64 rate = session->policy->bandwidth;
	const u64 now = kvm_channel__now();
	const u64 gained = (double)rate * (now - session->refilled) / NSEC_PER_SEC;

	if (!rate)
		return KVM_FRAME_DATA_MAX;
	/* Not for less than a byte, or a low rate would never have one. */
	if (gained)
		session->refilled = now;
	session->tokens = min(session->tokens + gained, max_t(u64, rate / 10, 512));
	return min_t(u64, session->tokens, KVM_FRAME_DATA_MAX);
}

static void end_output(struct kvm_agent_session *session)
{
	kvm_agent_child__close_out(&session->child);
	session->out_ended = kvm_channel__now();
}

static bool is_gathering(const struct kvm_agent_session *session)
{
	return kvm_channel__now() < session->gather_until;
}

/* Only when the last frame has gone: the agent stores nothing, perf's pipe and rings do. */
static void forward(struct kvm_agent_session *session)
{
	size_t max = min_t(u64, allowance(session), session->out_left);
	ssize_t n;

	if (!session->out_left)
		end_output(session);
	if (!max || is_gathering(session))
		return;
	n = kvm_channel__put_data(session->channel, session->out_id, session->out_bytes,
				  session->child.out, max);
	if (n > 0) {
		if (n < GATHER_BYTES)
			session->gather_until = kvm_channel__now() + GATHER_MS * NSEC_PER_MSEC;
		session->out_bytes += n;
		session->out_left -= n;
		session->bytes += n;
		if (session->policy->bandwidth)
			session->tokens -= n;
	} else if (!n || (n != -EAGAIN && n != -EINTR)) {
		end_output(session);
	}
}

/* The process that reads the file says first how long it is. */
static void announce(struct kvm_agent_session *session)
{
	const u64 limit = KVM_AGENT_FIND_TIMEOUT * NSEC_PER_SEC;
	struct kvm_frame_file file;
	int ret = kvm_agent_symbols__read_head(&session->child, &file);

	if (!ret && kvm_channel__now() - session->out_since > limit) {
		kvm_agent_child__kill(&session->child);
		ret = -ETIMEDOUT;
	}
	if (ret < 0)
		end_output(session);
	if (ret <= 0)
		return;
	session->out_left = le64toh(file.size);
	session->announced = true;
	session->files++;
	put(session, KVM_FRAME_FILE, session->out_id, &file, sizeof(file), NULL, 0);
}

static void put_summary(struct kvm_agent_session *session, int status)
{
	const struct kvm_agent_child *child = &session->child;
	const struct kvm_frame_summary summary = {
		.bytes	= htole64(session->out_bytes),
		.sent	= htole64(session->out_bytes),
		.status	= htole32(status),
		.flags	= htole32(child->killed ? KVM_SUMMARY_KILLED : 0),
	};

	put(session, KVM_FRAME_SUMMARY, session->out_id, &summary, sizeof(summary),
	    child->messages, child->len);
}

static void finish_recording(struct kvm_agent_session *session, int status)
{
	/* perf record ends itself by the signal that it was sent, after all was written. */
	if (session->state == SESSION_STOPPING && status == 128 + SIGINT)
		status = 0;
	watch_clock(session, /*last=*/true);
	put_summary(session, status);
}

static void finish_file(struct kvm_agent_session *session, int status)
{
	struct kvm_agent_error error;

	if (is_sent(session))
		return;
	kvm_agent_symbols__error(&session->child, status, &error);
	put_error(session, session->out_id, &error);
}

/* The process has closed its output: it ends soon, or is made to. */
static void finish_output(struct kvm_agent_session *session)
{
	const u64 limit = EXIT_TIMEOUT * NSEC_PER_SEC;
	int status;

	if (!kvm_channel__has_room(session->channel))
		return;
	if (!kvm_agent_child__reap(&session->child, &status)) {
		if (kvm_channel__now() - session->out_ended > limit)
			kvm_agent_child__kill(&session->child);
		return;
	}
	kvm_agent_child__read_messages(&session->child);
	if (session->state == SESSION_SENDING)
		finish_file(session, status);
	else
		finish_recording(session, status);
	kvm_agent_child__destroy(&session->child);
	if (session->state != SESSION_ENDED)
		session->state = SESSION_READY;
}

/* At a low rate it takes minutes until perf record looks at its rings by itself. */
static void flush_rings(struct kvm_agent_session *session)
{
	const u64 now = kvm_channel__now();

	if (session->state != SESSION_RECORDING || now - session->last_flush < NSEC_PER_SEC)
		return;
	session->last_flush = now;
	kvm_agent_child__flush(&session->child);
}

static bool has_output(const struct kvm_agent_session *session)
{
	return (1U << session->state) & (IN(RECORDING) | IN(STOPPING) | IN(SENDING));
}

static void advance_output(struct kvm_agent_session *session)
{
	if (!has_output(session))
		return;
	if (session->state != SESSION_SENDING && kvm_agent_watch__is_due(&session->watch) &&
	    kvm_channel__has_room(session->channel))
		watch_clock(session, /*last=*/false);
	kvm_agent_child__read_messages(&session->child);
	if (session->child.out >= 0 && !kvm_channel__pending(session->channel)) {
		if (session->state == SESSION_SENDING && !session->announced)
			announce(session);
		else
			forward(session);
	}
	if (session->child.out < 0)
		finish_output(session);
}

/* The loop */

static void flush(struct kvm_agent_session *session)
{
	size_t pending = kvm_channel__pending(session->channel);
	int err = kvm_channel__flush(session->channel);

	if (!pending || kvm_channel__pending(session->channel) < pending)
		session->last_progress = kvm_channel__now();
	if (err && err != -EAGAIN && session->state != SESSION_ENDED)
		lose_peer(session, err);
}

static void time_out(struct kvm_agent_session *session, const char *what, u64 seconds)
{
	kvm_agent_error__set(&session->end, KVM_AGENT_E_TIMEOUT, true, "%s in %" PRIu64 " seconds",
			     what, seconds);
	end_session(session);
}

static void check_deadlines(struct kvm_agent_session *session)
{
	const struct kvm_agent_policy *policy = session->policy;
	const u64 now = kvm_channel__now();

	if (session->state == SESSION_NEW &&
	    now - session->since > KVM_AGENT_HELLO_TIMEOUT * NSEC_PER_SEC)
		time_out(session, "the host did not say HELLO", KVM_AGENT_HELLO_TIMEOUT);
	else if (now - session->last_progress > policy->stall_timeout * NSEC_PER_SEC)
		time_out(session, "stall-timeout: the host took nothing", policy->stall_timeout);
	else if (now - session->last_frame > policy->idle_timeout * NSEC_PER_SEC)
		time_out(session, "idle-timeout: the host sent nothing", policy->idle_timeout);
}

static void wait_for_work(struct kvm_agent_session *session)
{
	struct kvm_channel *channel = session->channel;
	const bool pending = kvm_channel__pending(channel);
	const bool output = has_output(session) && session->child.out >= 0 && !pending;
	const bool gathering = output && is_gathering(session);
	const bool throttled = output && !allowance(session);
	const bool exiting = has_output(session) && session->child.out < 0;
	/* Nothing is handled then, and a BYE must be, before the end behind it is seen. */
	const bool deaf = is_sent(session) && !pending;
	const int ms = gathering ? GATHER_MS : throttled || exiting ? THROTTLE_MS :
		       session->watch.on ? WATCH_MS : POLL_MS;
	struct pollfd fds[] = {
		{ deaf ? -1 : channel->fd, (kvm_channel__has_room(channel) ? POLLIN : 0) |
				       (pending ? POLLOUT : 0), 0 },
		{ output && !throttled && !gathering ? session->child.out : -1, POLLIN, 0 },
		{ has_output(session) ? session->child.err : -1, POLLIN, 0 },
	};
	int err = 0;

	poll(fds, ARRAY_SIZE(fds), ms);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		err = kvm_channel__has_room(channel) ? kvm_channel__fill(channel) : 0;
	if (err && err != -EAGAIN)
		lose_peer(session, err);
}

static void run(struct kvm_agent_session *session, const int *done)
{
	while (session->state != SESSION_ENDED) {
		if (READ_ONCE(*done)) {
			kvm_agent_error__set(&session->end, KVM_AGENT_E_FAILED, true,
					     "the agent was told to end");
			end_session(session);
			break;
		}
		wait_for_work(session);
		if (session->state != SESSION_ENDED)
			handle_frames(session);
		flush_rings(session);
		advance_output(session);
		/* A request behind a file's last byte has waited for that. */
		if (session->state == SESSION_READY)
			handle_frames(session);
		flush(session);
		if (session->state != SESSION_ENDED)
			check_deadlines(session);
	}
	kvm_channel__flush_until(session->channel, kvm_channel__now() + NSEC_PER_SEC);
}

static void log_session(const struct kvm_agent_session *session, const char *peer)
{
	const u64 ms = (kvm_channel__now() - session->since) / NSEC_PER_MSEC;

	fprintf(stderr,
		"perf kvm agent: session %d with %s: %" PRIu64 ".%03" PRIu64 " s, %" PRIu64
		" recordings, %" PRIu64 " files, %" PRIu64 " bytes; %s\n", getpid(), peer,
		ms / MSEC_PER_SEC, ms % MSEC_PER_SEC, session->recordings, session->files,
		session->bytes, session->end.text);
}

static void init_session(struct kvm_agent_session *session, const struct kvm_agent_policy *policy)
{
	session->policy = policy;
	session->since = kvm_channel__now();
	session->last_frame = session->since;
	session->last_progress = session->since;
	kvm_agent_clocks__init(&session->clocks);
	kvm_agent_child__init(&session->child);
}

/* Takes the descriptor over. Returns when the session has ended and nothing of it is left. */
int kvm_agent_session__run(int fd, const struct kvm_agent_policy *policy, const char *peer,
			   const int *done)
{
	struct kvm_agent_session *session = zalloc(sizeof(*session));

	if (!session) {
		close(fd);
		return -ENOMEM;
	}
	init_session(session, policy);
	/* splice() to a peer that has gone has no flag against it. */
	signal(SIGPIPE, SIG_IGN);
	session->channel = kvm_channel__new(fd, KVM_FRAME_FROM_HOST);
	if (!session->channel) {
		free(session);
		return -ENOMEM;
	}
	run(session, done);
	kvm_agent_child__destroy(&session->child);
	kvm_channel__delete(session->channel);
	kvm_agent_clocks__exit(&session->clocks);
	log_session(session, peer);
	free(session);
	return 0;
}
