// SPDX-License-Identifier: GPL-2.0
/*
 * Runs one command in a VM of the lab, through the agent there, and ends with that command's exit code.
 *
 * usage: vm-exec [-t SECONDS] [-i | -T] PORTS COMMAND [ARGUMENT...]
 *
 * PORTS is the path of the VM's sockets without their number. One COMMAND is
 * a line for the shell; with arguments, each word is passed as it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>

#include "frame.h"

#define EXIT_DEADLINE	124
#define EXIT_VM_LOST	125
#define EXIT_USAGE	126
#define BUSY_RETRY_US	20000
#define POLL_MS		1000
/* A VM that reboots, or reads the rest of what another asker began, has lost the request. */
#define REPEAT_S	5

struct session {
	int	sock;
	int	deadline_s;	/* seconds from the start; 0: none */
	time_t	started;
	time_t	requested;
	int	forward_stdin;
	int	tty;
	int	begun;
	uint64_t id;
};

static struct termios saved_termios;
static char buf[FRAME_MAX];
/* The request, and what tells that there is no input. */
static char request_frame[FRAME_MAX + 2 * sizeof(struct frame_header)];
static size_t request_len;

static void __attribute__((noreturn)) fail(int code, const char *message)
{
	fprintf(stderr, "vm-exec: %s\n", message);
	exit(code);
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int past_deadline(const struct session *s)
{
	return s->deadline_s && now() - s->started >= s->deadline_s;
}

/* Kills the command and ends, once its time is over; asks again if there was no answer. */
static void pass_time(struct session *s)
{
	struct frame_header kill = { FRAME_KILL, 0 };
	char message[128];

	if (!s->begun && s->requested && now() - s->requested >= REPEAT_S) {
		s->requested = now();
		send(s->sock, request_frame, request_len, MSG_DONTWAIT);
	}
	if (!past_deadline(s))
		return;
	if (!s->begun)
		fail(EXIT_VM_LOST, "the VM did not take the command in time");
	send(s->sock, &kill, sizeof(kill), MSG_DONTWAIT);
	snprintf(message, sizeof(message), "the command still ran after %d s and was killed", s->deadline_s);
	fail(EXIT_DEADLINE, message);
}

/* Waits no longer than to the deadline: a VM may stop within a frame. */
static void wait_for(struct session *s, short events)
{
	struct pollfd pollfd = { s->sock, events, 0 };

	while (poll(&pollfd, 1, POLL_MS) <= 0)
		pass_time(s);
}

static int receive(struct session *s, char *data, size_t len)
{
	while (len) {
		ssize_t n;

		wait_for(s, POLLIN);
		n = read(s->sock, data, len);
		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static int transmit(struct session *s, const char *data, size_t len)
{
	while (len) {
		ssize_t n;

		wait_for(s, POLLOUT);
		n = send(s->sock, data, len, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static int transmit_frame(struct session *s, uint32_t type, const void *payload, uint32_t len)
{
	struct frame_header header = { type, len };

	return transmit(s, (char *)&header, sizeof(header)) ? : transmit(s, payload, len);
}

/* Connects to a port that nobody else uses; the lock goes with this process. */
static int try_port(const char *ports, int number)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char lock[sizeof(addr.sun_path) + 8];
	int lock_fd, sock;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.%d", ports, number);
	snprintf(lock, sizeof(lock), "%s.lock", addr.sun_path);
	lock_fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (lock_fd < 0)
		fail(EXIT_VM_LOST, "no such VM is running");
	if (flock(lock_fd, LOCK_EX | LOCK_NB)) {
		close(lock_fd);
		return -1;
	}
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
		fail(EXIT_VM_LOST, "the VM is not running any more");
	return sock;
}

static void connect_vm(struct session *s, const char *ports)
{
	while (!past_deadline(s)) {
		for (int i = 0; i < LAB_PORTS; i++) {
			s->sock = try_port(ports, i);
			if (s->sock >= 0)
				return;
		}
		usleep(BUSY_RETRY_US);
	}
	fail(EXIT_DEADLINE, "all ports of the VM stayed busy");
}

/* Quotes each word for the shell, unless there is one only. */
static void append_command(char *text, size_t size, char **words)
{
	char *end = text, *last = text + size - 8;

	if (!words[1]) {
		snprintf(text, size, "%s", words[0]);
		return;
	}
	for (; *words; words++) {
		*end++ = '\'';
		for (const char *c = *words; *c && end < last; c++) {
			if (*c == '\'')
				end = stpcpy(end, "'\\'");
			*end++ = *c;
		}
		end = stpcpy(end, "' ");
		if (end >= last)
			fail(EXIT_USAGE, "the command is too long");
	}
}

static void append_frame(uint32_t type, const void *payload, uint32_t len)
{
	struct frame_header header = { type, len };

	memcpy(request_frame + request_len, &header, sizeof(header));
	memcpy(request_frame + request_len + sizeof(header), payload, len);
	request_len += sizeof(header) + len;
}

static void request(struct session *s, char **words)
{
	struct run_request *run = (struct run_request *)buf;
	char *text = buf + sizeof(*run);
	size_t room = sizeof(buf) - sizeof(*run);
	struct winsize size;

	if (getrandom(&s->id, sizeof(s->id), 0) != sizeof(s->id))
		fail(EXIT_USAGE, "no random number for the request");
	*run = (struct run_request){ .id = s->id, .tty = s->tty };
	*text = '\0';
	if (s->tty && !ioctl(0, TIOCGWINSZ, &size))
		snprintf(text, room, "stty rows %d cols %d; ", size.ws_row, size.ws_col);
	append_command(text + strlen(text), room - strlen(text), words);
	append_frame(FRAME_RUN, buf, sizeof(*run) + strlen(text));
	if (!s->forward_stdin)
		append_frame(FRAME_STDIN, "", 0);
	if (transmit(s, request_frame, request_len))
		fail(EXIT_VM_LOST, "the VM went away");
	s->requested = now();
}

/* Skips what is left of earlier sessions: it may even begin within a frame. */
static void await_begin(struct session *s)
{
	struct { struct frame_header header; uint64_t id; } want, window;

	want.header = (struct frame_header){ FRAME_BEGUN, sizeof(s->id) };
	want.id = s->id;
	if (receive(s, (char *)&window, sizeof(window)))
		fail(EXIT_VM_LOST, "the VM went away before it ran the command");
	while (memcmp(&want, &window, sizeof(want))) {
		memmove(&window, (char *)&window + 1, sizeof(window) - 1);
		if (receive(s, (char *)&window + sizeof(window) - 1, 1))
			fail(EXIT_VM_LOST, "the VM went away before it ran the command");
	}
	s->begun = 1;
}

static void forward_input(struct session *s)
{
	ssize_t n = read(0, buf, sizeof(buf));

	if (n <= 0)
		s->forward_stdin = 0;
	transmit_frame(s, FRAME_STDIN, buf, n > 0 ? n : 0);
}

/* Returns the command's exit code, or -1 while it runs. */
static int take_frame(struct session *s)
{
	struct frame_header header;
	uint32_t status;

	if (receive(s, (char *)&header, sizeof(header)) || header.len > FRAME_MAX || receive(s, buf, header.len))
		fail(EXIT_VM_LOST, "the VM went away while the command ran");
	switch (header.type) {
	case FRAME_STDOUT:
		write_all(1, buf, header.len);
		break;
	case FRAME_STDERR:
		write_all(2, buf, header.len);
		break;
	case FRAME_STATUS:
		memcpy(&status, buf, sizeof(status));
		return status & 0xff;
	}
	return -1;
}

static int converse(struct session *s)
{
	int status = -1;

	while (status < 0) {
		struct pollfd fds[] = {
			{ s->sock, POLLIN, 0 },
			{ s->begun && s->forward_stdin ? 0 : -1, POLLIN, 0 },
		};

		poll(fds, 2, POLL_MS);
		pass_time(s);
		if (fds[1].revents)
			forward_input(s);
		if (!fds[0].revents)
			continue;
		if (s->begun)
			status = take_frame(s);
		else
			await_begin(s);
	}
	return status;
}

static void restore_terminal(void)
{
	tcsetattr(0, TCSANOW, &saved_termios);
}

static void make_terminal_raw(void)
{
	struct termios raw;

	if (tcgetattr(0, &saved_termios))
		fail(EXIT_USAGE, "-T needs a terminal as standard input");
	raw = saved_termios;
	cfmakeraw(&raw);
	tcsetattr(0, TCSANOW, &raw);
	atexit(restore_terminal);
}

int main(int argc, char **argv)
{
	struct session s = { .started = now() };
	int option;

	while ((option = getopt(argc, argv, "+t:iT")) != -1) {
		if (option == 't')
			s.deadline_s = atoi(optarg);
		else if (option == 'i')
			s.forward_stdin = 1;
		else if (option == 'T')
			s.forward_stdin = s.tty = 1;
		else
			return EXIT_USAGE;
	}
	if (argc - optind < 2)
		fail(EXIT_USAGE, "usage: vm-exec [-t SECONDS] [-i | -T] PORTS COMMAND [ARGUMENT...]");
	signal(SIGPIPE, SIG_IGN);
	connect_vm(&s, argv[optind]);
	request(&s, argv + optind + 1);
	if (s.tty)
		make_terminal_raw();
	return converse(&s);
}
