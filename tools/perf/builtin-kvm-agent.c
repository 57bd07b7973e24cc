// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm agent command: runs in a guest, and lets its host, and nobody else,
 * record there. Listens, and gives each session a process of its own.
 */
#include "builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <subcmd/parse-options.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include "util/debug.h"
#include "util/kvm-agent-policy.h"
#include "util/kvm-agent-privileges.h"
#include "util/kvm-agent-session.h"
#include "util/kvm-channel.h"

#define POLL_MS		500
#define END_TIMEOUT	8	/* s, in which sessions end what they run */

static int done;	/* set by signals */

struct agent {
	struct kvm_address	 address;
	const char		*name;		/* of the address, as it was given */
	struct kvm_agent_policy	 policy;
	int			 listener;
	pid_t			*sessions;	/* 0: free; as many as the policy has */
};

static void sig_handler(int sig __maybe_unused)
{
	WRITE_ONCE(done, 1);
}

/* Without SA_RESTART, so that a signal ends a wait. */
static void catch_signals(void)
{
	const struct sigaction end = { .sa_handler = sig_handler };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction normal = { .sa_handler = SIG_DFL };

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	/* Whoever started us may have ignored it; then there is no status to wait for. */
	sigaction(SIGCHLD, &normal, NULL);
}

/* Or a pipe to perf record could get the number of its output. */
static int open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	return fd < 0 ? -errno : close(fd);
}

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = 100 * NSEC_PER_MSEC };

	nanosleep(&ts, NULL);
}

/* Sessions */

static pid_t *find_free(struct agent *agent)
{
	for (u64 i = 0; i < agent->policy.sessions; i++) {
		if (!agent->sessions[i])
			return &agent->sessions[i];
	}
	return NULL;
}

static bool reap_sessions(struct agent *agent)
{
	bool left = false;

	for (u64 i = 0; i < agent->policy.sessions; i++) {
		if (agent->sessions[i] && waitpid(agent->sessions[i], NULL, WNOHANG))
			agent->sessions[i] = 0;
		left |= agent->sessions[i];
	}
	return left;
}

static void signal_sessions(struct agent *agent, int sig)
{
	for (u64 i = 0; i < agent->policy.sessions; i++) {
		if (agent->sessions[i])
			kill(agent->sessions[i], sig);
	}
}

static void end_sessions(struct agent *agent)
{
	const u64 deadline = kvm_channel__now() + END_TIMEOUT * NSEC_PER_SEC;

	signal_sessions(agent, SIGTERM);
	while (reap_sessions(agent) && kvm_channel__now() < deadline)
		nap();
	signal_sessions(agent, SIGKILL);
}

/* An agent that is killed takes its sessions with it, and they what they run. */
static void __noreturn run_session(struct agent *agent, int fd, pid_t parent)
{
	int err;

	close(agent->listener);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(1);
	err = kvm_agent_session__run(fd, &agent->policy, agent->name, &done);
	if (err)
		pr_err("perf kvm agent: a session with %s cannot be started: %s\n", agent->name,
		       strerror(-err));
	_exit(err ? 1 : 0);
}

static void refuse(int fd, u32 code, const char *text)
{
	struct kvm_agent_error error;

	kvm_agent_error__set(&error, code, true, "%s", text);
	kvm_address__refuse(fd, &error);
}

static void start_session(struct agent *agent, int fd)
{
	pid_t parent = getpid(), *session, pid;

	reap_sessions(agent);
	session = find_free(agent);
	if (!session) {
		refuse(fd, KVM_AGENT_E_BUSY,
		       "the policy's 'sessions' are all in use: try again later");
		return;
	}
	pid = fork();
	if (!pid)
		run_session(agent, fd, parent);
	if (pid < 0) {
		refuse(fd, KVM_AGENT_E_FAILED, "no process can be started for a session");
		return;
	}
	*session = pid;
	close(fd);
}

/* Sockets */

static int accept_session(struct agent *agent)
{
	struct kvm_agent_error error;
	int fd = kvm_address__accept(&agent->address, agent->listener, &error);

	if (fd >= 0) {
		start_session(agent, fd);
		return 0;
	}
	if (fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED)
		return 0;
	pr_err("perf kvm agent: %s\n", error.text);
	/* Who is not served, or a lack that may pass, does not end the agent. */
	if (fd == -EPERM)
		return 0;
	nap();
	return fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM ? 0 : fd;
}

static int listen_and_drop(struct agent *agent)
{
	struct kvm_agent_error error;
	int err;

	agent->listener = kvm_address__listen(&agent->address, &error);
	if (agent->listener < 0) {
		err = agent->listener;
	} else {
		/* Only now: a low port, or the socket's directory, may need more. */
		err = kvm_agent_privileges__drop(&agent->policy, &error);
		if (err)
			kvm_address__unlisten(&agent->address, agent->listener);
	}
	if (err)
		pr_err("perf kvm agent: %s\n", error.text);
	return err;
}

static int serve_socket(struct agent *agent)
{
	int err = listen_and_drop(agent);

	if (err)
		return err;
	fprintf(stderr, "perf kvm agent: listening on %s\n", agent->name);
	while (!READ_ONCE(done) && !err) {
		struct pollfd pollfd = { .fd = agent->listener, .events = POLLIN };

		if (poll(&pollfd, 1, POLL_MS) > 0)
			err = accept_session(agent);
		reap_sessions(agent);
	}
	kvm_address__unlisten(&agent->address, agent->listener);
	end_sessions(agent);
	return err;
}

/* Virtio ports */

/* Waits until the host's end is open and has said something. */
static bool wait_for_host(int fd)
{
	while (!READ_ONCE(done)) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };
		int ready = poll(&pollfd, 1, POLL_MS);

		if (ready > 0 && !(pollfd.revents & (POLLHUP | POLLERR)))
			return true;
		/* Without a host poll() returns at once. */
		if (ready > 0)
			nap();
	}
	return false;
}

/* A port has one user at a time: the session needs no process. */
static int serve_port(struct agent *agent)
{
	struct kvm_agent_error error;
	int err = kvm_agent_privileges__drop(&agent->policy, &error);

	if (err) {
		pr_err("perf kvm agent: %s\n", error.text);
		return err;
	}
	fprintf(stderr, "perf kvm agent: serving %s\n", agent->name);
	while (!READ_ONCE(done) && !err) {
		int fd = open(agent->address.path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd < 0) {
			err = -errno;
			pr_err("perf kvm agent: port %s: %s\n", agent->address.path,
			       strerror(-err));
		} else if (wait_for_host(fd)) {
			err = kvm_agent_session__run(fd, &agent->policy, agent->name, &done);
		} else {
			close(fd);
		}
	}
	return err;
}

/* The command */

static int serve(struct agent *agent)
{
	int err = open_standard();

	if (err)
		return err;
	catch_signals();
	agent->sessions = calloc(agent->policy.sessions, sizeof(*agent->sessions));
	if (!agent->sessions)
		return -ENOMEM;
	if (agent->address.type == KVM_ADDRESS_VIRTIO)
		err = serve_port(agent);
	else
		err = serve_socket(agent);
	zfree(&agent->sessions);
	return err;
}

static int __cmd_agent(const char *listen, const char *policy)
{
	struct agent agent = { .name = listen, .listener = -1 };
	struct kvm_agent_error error;
	int err = kvm_address__parse(&agent.address, listen, /*listen=*/true, &error);

	if (!err && policy)
		err = kvm_agent_policy__read(&agent.policy, policy, &error);
	else if (!err && kvm_agent_policy__init(&agent.policy))
		err = kvm_agent_error__set(&error, KVM_AGENT_E_FAILED, true, "no memory");
	if (err) {
		pr_err("perf kvm agent: %s\n", error.text);
		return err;
	}
	err = serve(&agent);
	kvm_agent_policy__exit(&agent.policy);
	return err;
}

int cmd_kvm_agent(int argc, const char **argv)
{
	const char *listen = NULL, *policy = NULL;
	const struct option agent_options[] = {
		OPT_STRING(0, "listen", &listen, "address",
			   "where the host connects: vsock[:PORT], virtio:NAME or unix:PATH"),
		OPT_STRING(0, "policy", &policy, "file", "what the host may do"),
		OPT_END()
	};
	const char * const agent_usage[] = {
		"perf kvm agent --listen {vsock[:PORT]|virtio:NAME|unix:PATH} [--policy FILE]",
		NULL
	};

	argc = parse_options(argc, argv, agent_options, agent_usage, 0);
	if (argc)
		usage_with_options_msg(agent_usage, agent_options, "Unknown argument: %s\n",
				       argv[0]);
	if (!listen)
		usage_with_options_msg(agent_usage, agent_options, "--listen is missing\n");
	return __cmd_agent(listen, policy) ? 1 : 0;
}
