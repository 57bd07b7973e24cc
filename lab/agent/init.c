// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of the lab's VMs: mounts what a small system needs, then runs commands that come over virtio-serial.
 *
 * Environment, from the kernel's command line:
 *   LAB_REPO  the repository, at the same path as outside; unset in a guest with an image of its own
 *   LAB_OUT   directory that is shared read-write, if there is one (9p tag "out")
 *   LAB_NAME  the VM's name
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "frame.h"

#define PORT_WAIT_MS 10000
#define PULSE_TRIES 10

struct command {
	pid_t	pid;
	int	pidfd;
	int	in;	/* -1 when closed, as the next two */
	int	out;
	int	err;
};

static void warn_about(const char *what)
{
	fprintf(stderr, "lab init: %s: %s\n", what, strerror(errno));
}

static void mount_at(const char *dir, const char *type, const char *source, const char *options)
{
	mkdir(dir, 0755);
	if (mount(source, dir, type, 0, options) && errno != EBUSY)
		warn_about(dir);
}

static void make_path(const char *path)
{
	char copy[4096];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(copy, 0755);
		*slash = '/';
	}
	mkdir(copy, 0755);
}

/* Gives the directories that programs write to a tmpfs; a repository below one of them stays visible. */
static void mount_writable(const char *repo)
{
	static const char * const dirs[] = { "/tmp", "/run", "/root", "/home", "/var/tmp" };
	int repo_fd = repo ? open(repo, O_PATH | O_DIRECTORY) : -1;
	char source[64];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mount_at(dirs[i], "tmpfs", "tmpfs", strstr(dirs[i], "tmp") ? "mode=1777" : "mode=755");
	if (repo_fd < 0 || !access(repo, F_OK))
		return;
	make_path(repo);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", repo_fd);
	if (mount(source, repo, NULL, MS_BIND | MS_REC, NULL))
		warn_about(repo);
}

static void mount_system(void)
{
	mount_at("/proc", "proc", "proc", NULL);
	mount_at("/sys", "sysfs", "sysfs", NULL);
	mount_at("/dev", "devtmpfs", "dev", NULL);
	mount_at("/dev/pts", "devpts", "devpts", "ptmxmode=666");
	mount_at("/dev/shm", "tmpfs", "shm", "mode=1777");
	mount_at("/sys/kernel/debug", "debugfs", "debugfs", NULL);
	mount_at("/sys/kernel/tracing", "tracefs", "tracefs", NULL);
	mount_writable(getenv("LAB_REPO"));
	if (getenv("LAB_OUT"))
		mount_at(getenv("LAB_OUT"), "9p", "out", "trans=virtio,version=9p2000.L,msize=262144");
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		warn_about("/dev/fd");
}

static void set_environment(void)
{
	const char *system_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	const char *repo = getenv("LAB_REPO");
	char path[8192];

	if (repo)
		snprintf(path, sizeof(path), "%s/lab/vm:%s/build/lab:%s/build/perf:%s",
			 repo, repo, repo, system_path);
	setenv("PATH", repo ? path : system_path, 1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	if (getenv("LAB_NAME"))
		sethostname(getenv("LAB_NAME"), strlen(getenv("LAB_NAME")));
	if (chdir(repo ? repo : "/"))
		warn_about("chdir");
}

static void read_line(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "r");

	buf[0] = '\0';
	if (!file)
		return;
	if (fgets(buf, size, file))
		buf[strcspn(buf, "\n")] = '\0';
	fclose(file);
}

/* Links /dev/virtio-ports/NAME to each named port, as udev would. Returns how many of them are the lab's. */
static int link_ports(void)
{
	const char *class = "/sys/class/virtio-ports";
	char path[512], name[128], device[512];
	struct dirent *entry;
	DIR *dir = opendir(class);
	int lab_ports = 0;

	mkdir("/dev/virtio-ports", 0755);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/name", class, entry->d_name);
		read_line(path, name, sizeof(name));
		if (!name[0])
			continue;
		snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
		snprintf(device, sizeof(device), "/dev/%s", entry->d_name);
		if (symlink(device, path) && errno != EEXIST)
			warn_about(path);
		lab_ports += !strncmp(name, "lab.", 4);
	}
	if (dir)
		closedir(dir);
	return lab_ports;
}

static void exec_command(const char *text, int tty, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!tty) {
		setsid();
		dup2(in, 0);
		dup2(out, 1);
		dup2(err, 2);
	}
	close_range(3, ~0U, 0);
	execl("/bin/sh", "sh", "-c", text, NULL);
	_exit(127);
}

static int start_on_tty(struct command *cmd, const char *text)
{
	cmd->pid = forkpty(&cmd->out, NULL, NULL, NULL);
	if (cmd->pid == 0)
		exec_command(text, 1, -1, -1, -1);
	cmd->in = dup(cmd->out);
	cmd->err = -1;
	return cmd->pid < 0 ? -1 : 0;
}

static int start_on_pipes(struct command *cmd, const char *text)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	cmd->pid = fork();
	if (cmd->pid == 0)
		exec_command(text, 0, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	cmd->in = in[1];
	cmd->out = out[0];
	cmd->err = err[0];
	return cmd->pid < 0 ? -1 : 0;
}

static int is_header(const struct frame_header *header)
{
	return header->len <= FRAME_MAX &&
	       (header->type == FRAME_RUN || header->type == FRAME_STDIN || header->type == FRAME_KILL);
}

/* Drops all that has come; who wants something asks again. */
static void drain(int port, char *buf)
{
	fcntl(port, F_SETFL, O_ASYNC | O_NONBLOCK);
	while (read(port, buf, FRAME_MAX) > 0)
		;
	fcntl(port, F_SETFL, O_ASYNC);
}

/* The payload goes to buf, which holds FRAME_MAX bytes. An asker may have ended within a frame: then no header comes. */
static int receive_frame(int port, struct frame_header *header, char *buf)
{
	if (read_all(port, header, sizeof(*header)))
		return -1;
	if (!is_header(header)) {
		drain(port, buf);
		return -1;
	}
	return read_all(port, buf, header->len);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Passes on what the command wrote. Returns 1 when something was there. */
static int forward(int port, int *fd, uint32_t type)
{
	static char buf[FRAME_MAX];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close_end(fd);
		return 0;
	}
	send_frame(port, type, buf, n);
	return 1;
}

/* What the command's children write later is nobody's business any more. */
static void forward_rest(int port, struct command *cmd)
{
	if (cmd->out >= 0) {
		fcntl(cmd->out, F_SETFL, O_NONBLOCK);
		while (cmd->out >= 0 && forward(port, &cmd->out, FRAME_STDOUT))
			;
	}
	if (cmd->err >= 0) {
		fcntl(cmd->err, F_SETFL, O_NONBLOCK);
		while (cmd->err >= 0 && forward(port, &cmd->err, FRAME_STDERR))
			;
	}
}

static void finish(int port, struct command *cmd)
{
	uint32_t code;
	int status;

	waitpid(cmd->pid, &status, 0);
	forward_rest(port, cmd);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	send_frame(port, FRAME_STATUS, &code, sizeof(code));
}

static void discard(struct command *cmd)
{
	kill(-cmd->pid, SIGKILL);
	waitpid(cmd->pid, NULL, 0);
}

static uint64_t request_id(const struct frame_header *header, const char *buf)
{
	struct run_request request = { 0 };

	if (header->type == FRAME_RUN && header->len >= sizeof(request))
		memcpy(&request, buf, sizeof(request));
	return request.id;
}

/*
 * Runs one command to its end. Returns 0 then, 1 when a new request came
 * instead (it is in buf), -1 when the asker has gone. Who has had no answer
 * asks once more.
 */
static int attend(int port, struct command *cmd, uint64_t id, struct frame_header *header, char *buf)
{
	for (;;) {
		struct pollfd fds[] = {
			{ port, POLLIN, 0 }, { cmd->out, POLLIN, 0 },
			{ cmd->err, POLLIN, 0 }, { cmd->pidfd, POLLIN, 0 },
		};

		if (poll(fds, 4, -1) < 0)
			continue;
		if (fds[1].revents)
			forward(port, &cmd->out, FRAME_STDOUT);
		if (fds[2].revents)
			forward(port, &cmd->err, FRAME_STDERR);
		if (fds[3].revents) {
			finish(port, cmd);
			return 0;
		}
		if (!fds[0].revents)
			continue;
		if (receive_frame(port, header, buf)) {
			discard(cmd);
			return -1;
		}
		if (header->type == FRAME_RUN && request_id(header, buf) == id) {
			send_frame(port, FRAME_BEGUN, &id, sizeof(id));
			continue;
		}
		if (header->type == FRAME_RUN) {
			discard(cmd);
			return 1;
		}
		if (header->type == FRAME_KILL)
			kill(-cmd->pid, SIGKILL);
		if (header->type == FRAME_STDIN && (!header->len || write_all(cmd->in, buf, header->len)))
			close_end(&cmd->in);
	}
}

static int run(int port, struct frame_header *header, char *buf)
{
	struct run_request *request = (struct run_request *)buf;
	struct command cmd = { -1, -1, -1, -1, -1 };
	const char *text = buf + sizeof(*request);
	static uint64_t last_id;
	uint64_t id = request_id(header, buf);
	int result = -1;

	/* Asked once more, and run already. */
	if (!id || id == last_id)
		return -1;
	last_id = id;
	buf[header->len] = '\0';
	if (request->tty ? start_on_tty(&cmd, text) : start_on_pipes(&cmd, text)) {
		warn_about("cannot start a command");
	} else {
		send_frame(port, FRAME_BEGUN, &id, sizeof(id));
		cmd.pidfd = syscall(SYS_pidfd_open, cmd.pid, 0);
		result = attend(port, &cmd, id, header, buf);
	}
	close_end(&cmd.in);
	close_end(&cmd.out);
	close_end(&cmd.err);
	close_end(&cmd.pidfd);
	return result;
}

/* Sleeps by SIGIO while nobody is connected, so that an idle VM stays idle. */
static void serve_port(const char *path)
{
	static char buf[FRAME_MAX + 1];
	struct frame_header header;
	sigset_t sigio;
	int port = open(path, O_RDWR | O_CLOEXEC);

	if (port < 0) {
		warn_about(path);
		_exit(1);
	}
	sigemptyset(&sigio);
	sigaddset(&sigio, SIGIO);
	sigprocmask(SIG_BLOCK, &sigio, NULL);
	signal(SIGPIPE, SIG_IGN);
	fcntl(port, F_SETOWN, getpid());
	fcntl(port, F_SETFL, O_ASYNC);
	for (;;) {
		if (receive_frame(port, &header, buf)) {
			sigwaitinfo(&sigio, NULL);
			continue;
		}
		while (header.type == FRAME_RUN && run(port, &header, buf) > 0)
			;
	}
}

/* Takes what the harness sends to wake the VM, see Pulse in lab/vm.py; a guest has no such port. */
static void feel_pulse(void)
{
	char buf[64];
	int port = -1;

	for (int tries = 0; port < 0 && tries < PULSE_TRIES; tries++) {
		link_ports();
		port = open("/dev/virtio-ports/pulse", O_RDONLY | O_CLOEXEC);
		if (port < 0)
			usleep(100000);
	}
	if (port < 0)
		_exit(0);
	for (;;) {
		/* 0 while nobody is connected. */
		if (read(port, buf, sizeof(buf)) <= 0)
			usleep(100000);
	}
}

int main(void)
{
	char path[64];

	mount_system();
	set_environment();
	for (int ms = 0; link_ports() < LAB_PORTS && ms < PORT_WAIT_MS; ms += 5)
		usleep(5000);
	for (int i = 0; i < LAB_PORTS; i++) {
		snprintf(path, sizeof(path), "/dev/virtio-ports/lab.%d", i);
		if (fork() == 0)
			serve_port(path);
	}
	if (fork() == 0)
		feel_pulse();
	for (;;) {
		if (wait(NULL) < 0)
			pause();
	}
}
