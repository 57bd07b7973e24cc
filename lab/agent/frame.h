/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the lab's agent (in a VM) and vm-exec (outside it) say to each other over one virtio-serial port.
 *
 * Every message is a header and its payload. vm-exec asks with FRAME_RUN and
 * a number of its own choice; the agent repeats that number in FRAME_BEGUN.
 * Until then vm-exec skips all it reads, for it may be what the agent had to
 * say to somebody who went away, and from time to time it asks again with the
 * same number: the agent may have lost the request, or taken it for the rest
 * of what somebody else began to say. A command runs once for one number.
 */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAME_MAX (64 * 1024)
#define LAB_PORTS 4	/* as many commands can run in a VM at a time */

enum frame_type {
	/* vm-exec to agent */
	FRAME_RUN	= 'R',	/* struct run_request, then the command */
	FRAME_STDIN	= 'I',	/* empty: end of input */
	FRAME_KILL	= 'K',
	/* agent to vm-exec */
	FRAME_BEGUN	= 'B',	/* uint64_t, the request's id */
	FRAME_STDOUT	= 'O',
	FRAME_STDERR	= 'E',
	FRAME_STATUS	= 'S',	/* uint32_t, as $? in a shell */
};

struct frame_header {
	uint32_t type;
	uint32_t len;
};

struct run_request {
	uint64_t id;
	uint32_t tty;
	uint32_t unused;
};

/* Returns 0 when all was transferred, else -1; a closed peer is an error too. */
static inline int read_all(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -1;
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}

static inline int write_all(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -1;
		buf = (const char *)buf + n;
		len -= n;
	}
	return 0;
}

static inline int send_frame(int fd, uint32_t type, const void *payload, uint32_t len)
{
	struct frame_header header = { type, len };

	if (write_all(fd, &header, sizeof(header)))
		return -1;
	return len ? write_all(fd, payload, len) : 0;
}

#endif
