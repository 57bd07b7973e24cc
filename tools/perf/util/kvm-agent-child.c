// SPDX-License-Identifier: GPL-2.0
/*
 * Runs something for a session of the agent in a process and process group of its
 * own, with its output in pipes: perf record, which is this very program with an
 * environment that is always the same, or one of our functions.
 */
#include "kvm-agent-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include "kvm-channel.h"

#define PIPE_SIZE	(1 << 20)

void kvm_agent_child__init(struct kvm_agent_child *child)
{
	memset(child, 0, sizeof(*child));
	child->out = -1;
	child->err = -1;
	child->ctl = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void reset_signals(void)
{
	static const int caught[] = { SIGPIPE, SIGCHLD, SIGINT, SIGTERM, SIGHUP };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
		signal(caught[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __noreturn run_child(pid_t parent, int out, int err, int (*run)(void *arg), void *arg)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	reset_signals();
	/* A session that is killed takes it with it, also if it was before this line. */
	if (null < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent ||
	    dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	/* Or a reader would not see the end when only the copies are closed. */
	close(out);
	close(err);
	_exit(run(arg));
}

static int set_pipe(int fd)
{
	/* Only larger is better, and a user may be at the limit. */
	fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

static int fork_child(struct kvm_agent_child *child, int out, int err, int (*run)(void *arg),
		      void *arg)
{
	pid_t parent = getpid();

	child->pid = fork();
	if (child->pid < 0) {
		child->pid = 0;
		return -errno;
	}
	if (!child->pid)
		run_child(parent, out, err, run, arg);
	/* In both processes, so that it is so for both from here on. */
	setpgid(child->pid, child->pid);
	return 0;
}

/* run() has /dev/null as its input; what it returns is its exit status. */
int kvm_agent_child__run(struct kvm_agent_child *child, int (*run)(void *arg), void *arg)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, ret = 0;

	kvm_agent_child__init(child);
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		ret = -errno;
	if (!ret)
		ret = set_pipe(out[0]) ?: set_pipe(err[0]) ?:
		      fork_child(child, out[1], err[1], run, arg);
	close_fd(&out[1]);
	close_fd(&err[1]);
	child->out = out[0];
	child->err = err[0];
	if (ret) {
		close_fd(&child->out);
		close_fd(&child->err);
	}
	return ret;
}

struct perf_record {
	const char	**argv;
	int		  ctl[2];
};

/* It has both ends: perf record does not like it when the other one is closed. */
static int give_ctl(const struct perf_record *perf)
{
	/* Behind the two that they go to, so that none is written over. */
	int in = fcntl(perf->ctl[0], F_DUPFD_CLOEXEC, KVM_AGENT_CHILD_CTL + 2);
	int out = fcntl(perf->ctl[1], F_DUPFD_CLOEXEC, KVM_AGENT_CHILD_CTL + 2);

	return in < 0 || out < 0 || dup2(in, KVM_AGENT_CHILD_CTL) < 0 ||
	       dup2(out, KVM_AGENT_CHILD_CTL + 1) < 0;
}

/* perf must not take options from files and variables that the host does not know. */
static int exec_perf(void *arg)
{
	const struct perf_record *perf = arg;
	static const char * const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C", "PERF_CONFIG=/dev/null", NULL,
	};

	if (give_ctl(perf))
		return 126;
	execve("/proc/self/exe", (char **)perf->argv, (char **)env);
	return 127;
}

/* Among its options must be KVM_AGENT_CHILD_CONTROL. */
int kvm_agent_child__start(struct kvm_agent_child *child, const char **argv)
{
	struct perf_record perf = { .argv = argv };
	int err;

	if (pipe2(perf.ctl, O_CLOEXEC | O_NONBLOCK)) {
		kvm_agent_child__init(child);
		return -errno;
	}
	err = kvm_agent_child__run(child, exec_perf, &perf);
	close(perf.ctl[0]);
	if (err)
		close(perf.ctl[1]);
	else
		child->ctl = perf.ctl[1];
	return err;
}

/*
 * perf record writes what is in its rings, however little. A pipe without room is
 * full of such commands that it has not come to.
 */
void kvm_agent_child__flush(struct kvm_agent_child *child)
{
	static const char command[] = "ping\n";

	if (child->ctl >= 0 && write(child->ctl, command, sizeof(command) - 1) < 0 &&
	    errno != EAGAIN)
		close_fd(&child->ctl);
}

/* perf ends its recording in order, and writes what is left in its rings. */
void kvm_agent_child__interrupt(struct kvm_agent_child *child)
{
	if (child->pid)
		kill(child->pid, SIGINT);
}

/* With all that it started. */
void kvm_agent_child__kill(struct kvm_agent_child *child)
{
	if (child->pid)
		kill(-child->pid, SIGKILL);
	child->killed = true;
}

void kvm_agent_child__close_out(struct kvm_agent_child *child)
{
	close_fd(&child->out);
}

static void keep(struct kvm_agent_child *child, const char *text, size_t len)
{
	size_t drop = 0;

	if (child->len + len > sizeof(child->messages))
		drop = child->len + len - sizeof(child->messages);
	memmove(child->messages, child->messages + drop, child->len - drop);
	memcpy(child->messages + child->len - drop, text, len);
	child->len += len - drop;
}

void kvm_agent_child__read_messages(struct kvm_agent_child *child)
{
	char text[512];
	ssize_t n;

	if (child->err < 0)
		return;
	n = read(child->err, text, sizeof(text));
	if (n > 0)
		keep(child, text, n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		close_fd(&child->err);
}

/*
 * Returns whether it has ended. What it left running is killed while its pid,
 * and so the number of the group, is still taken.
 */
bool kvm_agent_child__reap(struct kvm_agent_child *child, int *status)
{
	siginfo_t info = { .si_pid = 0 };
	int ret = waitid(P_PID, child->pid, &info, WEXITED | WNOHANG | WNOWAIT);

	if (ret ? errno == EINTR : !info.si_pid)
		return false;
	kill(-child->pid, SIGKILL);
	ret = waitpid(child->pid, &info.si_status, 0);
	child->pid = 0;
	*status = ret < 0 ? 255 : WIFSIGNALED(info.si_status) ? 128 + WTERMSIG(info.si_status) :
				  WEXITSTATUS(info.si_status);
	return true;
}

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = 10 * NSEC_PER_MSEC };

	nanosleep(&ts, NULL);
}

/* Reads on without use for it, as perf would otherwise wait for room in the pipe. */
static bool drain_and_reap(struct kvm_agent_child *child, u64 deadline)
{
	char waste[4096];
	int status;

	while (!kvm_agent_child__reap(child, &status)) {
		while (child->out >= 0 && kvm_channel__now() < deadline &&
		       read(child->out, waste, sizeof(waste)) > 0)
			;
		if (kvm_channel__now() > deadline)
			return false;
		nap();
	}
	return true;
}

/* Ends whatever there is, within seconds. */
void kvm_agent_child__destroy(struct kvm_agent_child *child)
{
	const u64 limit = KVM_AGENT_KILL_AFTER * NSEC_PER_SEC;

	if (child->pid) {
		kill(child->pid, SIGTERM);
		if (!drain_and_reap(child, kvm_channel__now() + limit)) {
			kvm_agent_child__kill(child);
			drain_and_reap(child, kvm_channel__now() + limit);
		}
	}
	close_fd(&child->out);
	close_fd(&child->err);
	close_fd(&child->ctl);
}
