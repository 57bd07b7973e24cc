// SPDX-License-Identifier: GPL-2.0
/*
 * Runs perf record on the host, which is this very program, and the user's command.
 * Neither outlives perf kvm record, even if that is killed.
 */
#include "kvm-record-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include "kvm-channel.h"
#include "kvm-record-args.h"

void kvm_record_child__init(struct kvm_record_child *child)
{
	memset(child, 0, sizeof(*child));
	child->ctl = -1;
	child->ack = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What has a handler has none behind exec(), and who ignores SIGHUP wants to ignore it. */
static void default_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGPIPE, SIGCHLD };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		signal(sigs[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parent may be gone before this line. */
static void die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(126);
}

/* perf record */

/*
 * It has both ends of the pipe for commands: perf record gives up without a whole
 * file when that pipe's other end is closed, as it is when we are killed.
 */
static void __noreturn run_perf(pid_t parent, char **argv, const int ctl[2], int ack,
				const char *log)
{
	int null = open("/dev/null", O_RDONLY);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	/* A Ctrl-C at the terminal is for us: the guests have to be stopped first. */
	setpgid(0, 0);
	default_signals();
	die_with(parent);
	if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    fcntl(ctl[0], F_SETFD, 0) || fcntl(ctl[1], F_SETFD, 0) || fcntl(ack, F_SETFD, 0))
		_exit(126);
	execv("/proc/self/exe", argv);
	_exit(127);
}

/* What perf record says goes into the file log. */
int kvm_record_child__start_perf(struct kvm_record_child *child, struct kvm_record_argv *argv,
				 const char *log)
{
	int ctl[2] = { -1, -1 }, ack[2] = { -1, -1 }, err = 0;
	pid_t parent = getpid();

	if (pipe2(ctl, O_CLOEXEC) || pipe2(ack, O_CLOEXEC))
		err = -errno;
	if (!err)
		err = kvm_record_argv__add(argv, "--control=fd:%d,%d", ctl[0], ack[1]);
	if (!err) {
		child->pid = fork();
		if (!child->pid)
			run_perf(parent, argv->args, ctl, ack[1], log);
		if (child->pid < 0) {
			err = -errno;
			child->pid = 0;
		}
	}
	close_fd(&ctl[0]);
	close_fd(&ack[1]);
	child->ctl = ctl[1];
	child->ack = ack[0];
	if (err) {
		close_fd(&child->ctl);
		close_fd(&child->ack);
	}
	return err;
}

/* A command of perf record's --control; that it is gone is seen elsewhere. */
void kvm_record_child__send(struct kvm_record_child *child, const char *command)
{
	if (child->ctl < 0 || write(child->ctl, command, strlen(command)) < 0)
		return;
}

/* Returns 1 when the command was done; 0: not yet; an error: perf record has ended. */
int kvm_record_child__is_acked(struct kvm_record_child *child, unsigned int timeout_ms)
{
	struct pollfd pollfd = { .fd = child->ack, .events = POLLIN };
	char text[64];
	ssize_t n;

	if (child->ack < 0)
		return -ECHILD;
	if (poll(&pollfd, 1, timeout_ms) <= 0)
		return 0;
	n = read(child->ack, text, sizeof(text));
	if (n > 0)
		return memchr(text, '\n', n) != NULL;
	return n < 0 && errno == EINTR ? 0 : -ECHILD;
}

/* The command */

static void __noreturn run_command(pid_t parent, const char **argv, int failed)
{
	int err;

	default_signals();
	signal(SIGXFSZ, SIG_DFL);
	die_with(parent);
	execvp(argv[0], (char **)argv);
	err = errno;
	if (write(failed, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Returns when it runs, or the error for which it does not. */
int kvm_record_child__start_command(struct kvm_record_child *child, const char **argv)
{
	pid_t parent = getpid();
	int failed[2], err = 0;
	ssize_t n;

	if (pipe2(failed, O_CLOEXEC))
		return -errno;
	child->pid = fork();
	if (!child->pid)
		run_command(parent, argv, failed[1]);
	if (child->pid < 0)
		err = -errno;
	close(failed[1]);
	if (!err) {
		int reason;

		do {
			n = read(failed[0], &reason, sizeof(reason));
		} while (n < 0 && errno == EINTR);
		err = n == sizeof(reason) ? -reason : 0;
	}
	close(failed[0]);
	if (err && child->pid > 0)
		waitpid(child->pid, NULL, 0);
	if (err)
		child->pid = 0;
	return err;
}

/* Ends */

bool kvm_record_child__has_ended(struct kvm_record_child *child)
{
	int status;
	pid_t pid;

	if (!child->pid)
		return true;
	pid = waitpid(child->pid, &status, WNOHANG);
	if (!pid || (pid < 0 && errno == EINTR))
		return false;
	child->pid = 0;
	child->status = pid < 0 ? 255 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
							      WEXITSTATUS(status);
	close_fd(&child->ctl);
	close_fd(&child->ack);
	return true;
}

static bool wait_for(struct kvm_record_child *child, unsigned int timeout_ms)
{
	const struct timespec nap = { .tv_nsec = 10 * NSEC_PER_MSEC };
	const u64 deadline = kvm_channel__now() + timeout_ms * NSEC_PER_MSEC;

	while (!kvm_record_child__has_ended(child)) {
		if (kvm_channel__now() > deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

/* By the signal, and if that does not help, by SIGKILL. 0: only waits. */
void kvm_record_child__end(struct kvm_record_child *child, int sig, unsigned int timeout_ms)
{
	if (!child->pid)
		return;
	if (sig)
		kill(child->pid, sig);
	if (wait_for(child, timeout_ms))
		return;
	kill(child->pid, SIGKILL);
	wait_for(child, timeout_ms);
}
