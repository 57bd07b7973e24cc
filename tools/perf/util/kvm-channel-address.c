// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses of the agent: what users write, how to connect and to listen there,
 * and who the peer is.
 */
#include "kvm-channel.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#if defined(__has_include)
#if __has_include("linux/vm_sockets.h")
#define HAVE_VM_SOCKETS
#include <linux/vm_sockets.h>
#endif
#endif
#include "pv-clock.h"

#define BACKLOG		8
#define HYBRID_LINE_MAX	32

static int parse_port(const char *str, u32 *port)
{
	u64 value;

	if (pv_clock__parse_u64(str, 10, &value) || value >= UINT32_MAX)
		return -EINVAL;
	*port = value;
	return 0;
}

static int bad_address(struct kvm_agent_error *error, const char *str, const char *why)
{
	kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "address '%s': %s", str, why);
	return -EINVAL;
}

static int copy_path(struct kvm_address *address, const char *prefix, const char *path, size_t len)
{
	const size_t limit = address->type == KVM_ADDRESS_VIRTIO ?
			     sizeof(address->path) : sizeof(((struct sockaddr_un *)NULL)->sun_path);
	int n;

	if (!len)
		return -EINVAL;
	n = snprintf(address->path, limit, "%s%.*s", prefix, (int)len, path);
	return n < (int)limit ? 0 : -ENAMETOOLONG;
}

/* "vsock", "vsock:PORT" to listen; "vsock:CID", "vsock:CID:PORT" to connect. */
static int parse_vsock(struct kvm_address *address, char *rest, bool listen)
{
	char *cid = NULL, *port;

	address->type = KVM_ADDRESS_VSOCK;
	address->port = KVM_AGENT_PORT;
	if (listen)
		return rest ? parse_port(rest, &address->port) : 0;
	cid = strsep(&rest, ":");
	port = rest;
	if (!cid || parse_port(cid, &address->cid))
		return -EINVAL;
	return port ? parse_port(port, &address->port) : 0;
}

/* A name without a directory is one of virtio-ports; '..' has no business there. */
static int parse_virtio(struct kvm_address *address, const char *rest)
{
	const char *dir = *rest == '/' ? "" : "/dev/virtio-ports/";

	address->type = KVM_ADDRESS_VIRTIO;
	if (*dir && (strchr(rest, '/') || *rest == '.'))
		return -EINVAL;
	return copy_path(address, dir, rest, strlen(rest));
}

/* "PATH" or "PATH:PORT" */
static int parse_hybrid(struct kvm_address *address, const char *rest)
{
	const char *colon = strrchr(rest, ':');
	size_t len = colon ? (size_t)(colon - rest) : strlen(rest);

	address->type = KVM_ADDRESS_HYBRID;
	address->port = KVM_AGENT_PORT;
	if (colon && parse_port(colon + 1, &address->port))
		return -EINVAL;
	return copy_path(address, "", rest, len);
}

static int parse_scheme(struct kvm_address *address, const char *scheme, char *rest, bool listen)
{
	if (!strcmp(scheme, "vsock"))
		return parse_vsock(address, rest, listen);
	if (!rest)
		return -EINVAL;
	if (!strcmp(scheme, "unix")) {
		address->type = KVM_ADDRESS_UNIX;
		return copy_path(address, "", rest, strlen(rest));
	}
	if (!strcmp(scheme, "virtio") && listen)
		return parse_virtio(address, rest);
	if (!strcmp(scheme, "hybrid") && !listen)
		return parse_hybrid(address, rest);
	return -EINVAL;
}

int kvm_address__parse(struct kvm_address *address, const char *str, bool listen,
		       struct kvm_agent_error *error)
{
	char *copy = strdup(str), *rest = copy, *scheme;
	int err;

	memset(address, 0, sizeof(*address));
	if (!copy)
		return bad_address(error, str, "no memory");
	scheme = strsep(&rest, ":");
	err = parse_scheme(address, scheme, rest, listen);
	free(copy);
	if (err == -ENAMETOOLONG)
		return bad_address(error, str, "the path is too long");
	if (!err)
		return 0;
	return bad_address(error, str, listen ?
			   "not one of vsock[:PORT], virtio:NAME, unix:PATH" :
			   "not one of vsock:CID[:PORT], unix:PATH, hybrid:PATH[:PORT]");
}

static int failed(struct kvm_agent_error *error, const char *what, const char *path, int err)
{
	kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "%s %s: %s", what, path,
			     strerror(-err));
	return err;
}

/* The socket's address, of which only the two kinds of sockets have one. */
union socket_address {
	struct sockaddr		any;
	struct sockaddr_un	un;
#ifdef HAVE_VM_SOCKETS
	struct sockaddr_vm	vm;
#endif
};

/* Returns the length, or an error if this perf was built without vsock. */
static int fill_address(const struct kvm_address *address, bool listen, union socket_address *sa)
{
	memset(sa, 0, sizeof(*sa));
	if (address->type != KVM_ADDRESS_VSOCK) {
		sa->un.sun_family = AF_UNIX;
		scnprintf(sa->un.sun_path, sizeof(sa->un.sun_path), "%s", address->path);
		return sizeof(sa->un);
	}
#ifdef HAVE_VM_SOCKETS
	sa->vm.svm_family = AF_VSOCK;
	sa->vm.svm_cid = listen ? VMADDR_CID_ANY : address->cid;
	sa->vm.svm_port = address->port;
	return sizeof(sa->vm);
#else
	return -EAFNOSUPPORT;
#endif
}

static int new_socket(const struct kvm_address *address, bool listen, union socket_address *sa,
		      socklen_t *len)
{
	int fd, size = fill_address(address, listen, sa);

	if (size < 0)
		return size;
	*len = size;
	fd = socket(sa->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

static int finish_connect(int fd, u64 deadline)
{
	socklen_t len = sizeof(int);
	int err, result;

	do {
		err = kvm_channel__wait(fd, POLLOUT, deadline);
	} while (err == -EINTR);
	if (err)
		return err;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len))
		return -errno;
	return -result;
}

/* Byte by byte, as what follows the line belongs to the frames. */
static int read_line(int fd, char *line, size_t size, u64 deadline)
{
	for (size_t len = 0; len < size - 1; ) {
		ssize_t n = read(fd, line + len, 1);
		int err = 0;

		if (!n)
			return -ECONNREFUSED;
		if (n < 0)
			err = errno == EAGAIN ? kvm_channel__wait(fd, POLLIN, deadline) : -errno;
		if (err && err != -EINTR)
			return err;
		if (n < 0)
			continue;
		if (line[len] == '\n') {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	return -EPROTO;
}

static int ask_hybrid(int fd, u32 port, u64 deadline)
{
	char line[HYBRID_LINE_MAX + 1];
	int err, n = snprintf(line, sizeof(line), "CONNECT %u\n", port);

	if (send(fd, line, n, MSG_NOSIGNAL) != n)
		return -EPIPE;
	err = read_line(fd, line, sizeof(line), deadline);
	if (err)
		return err;
	return strstarts(line, "OK ") ? 0 : -ECONNREFUSED;
}

/* For errors: all that says where it is. */
static const char *show(const struct kvm_address *address, char *buf, size_t size)
{
	if (address->type != KVM_ADDRESS_VSOCK)
		return address->path;
	scnprintf(buf, size, "vsock:%u:%u", address->cid, address->port);
	return buf;
}

/* Returns the connected descriptor. */
int kvm_address__connect(const struct kvm_address *address, u64 deadline,
			 struct kvm_agent_error *error)
{
	union socket_address sa;
	socklen_t len;
	int err = 0, fd = new_socket(address, false, &sa, &len);
	char where[40];

	if (fd < 0)
		return failed(error, "no socket for", show(address, where, sizeof(where)), fd);
	if (connect(fd, &sa.any, len))
		err = -errno;
	if (err == -EINPROGRESS || err == -EINTR)
		err = finish_connect(fd, deadline);
	if (!err && address->type == KVM_ADDRESS_HYBRID)
		err = ask_hybrid(fd, address->port, deadline);
	if (!err)
		return fd;
	close(fd);
	return failed(error, "cannot connect to the agent at", show(address, where, sizeof(where)),
		      err);
}

/* A socket that nobody listens on any more was left by an agent that was killed. */
static int remove_stale(const union socket_address *sa, socklen_t len)
{
	struct stat st;
	int err, fd;

	if (lstat(sa->un.sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, &sa->any, len) ? -errno : -EADDRINUSE;
	close(fd);
	if (err != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(sa->un.sun_path) ? -errno : 0;
}

/* Only its owner can connect; who may be served is asked again at each connection. */
static int bind_socket(int fd, const union socket_address *sa, socklen_t len)
{
	mode_t mask;
	int err = 0;

	if (sa->any.sa_family == AF_UNIX) {
		err = remove_stale(sa, len);
		if (err)
			return err;
	}
	mask = umask(0177);
	if (bind(fd, &sa->any, len) || listen(fd, BACKLOG))
		err = -errno;
	umask(mask);
	return err;
}

/* Returns the listening socket; a virtio port has none, and is opened for each session. */
int kvm_address__listen(const struct kvm_address *address, struct kvm_agent_error *error)
{
	const char *name = address->type == KVM_ADDRESS_VSOCK ? "vsock" : address->path;
	union socket_address sa;
	socklen_t len;
	int err, fd = new_socket(address, true, &sa, &len);

	if (fd < 0)
		return failed(error, "no socket for", name, fd);
	err = bind_socket(fd, &sa, len);
	if (!err)
		return fd;
	close(fd);
	return failed(error, "cannot listen on", name, err);
}

static int check_unix_peer(int fd, struct kvm_agent_error *error)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return failed(error, "the peer is not known on", "a Unix socket", -errno);
	if (!cred.uid || cred.uid == geteuid())
		return 0;
	kvm_agent_error__set(error, KVM_AGENT_E_PEER, true,
			     "the agent serves root and uid %u only, not uid %u", geteuid(),
			     cred.uid);
	return -EPERM;
}

static int check_vsock_peer(const union socket_address *sa __maybe_unused,
			    struct kvm_agent_error *error)
{
#ifdef HAVE_VM_SOCKETS
	if (sa->vm.svm_family == AF_VSOCK && sa->vm.svm_cid == VMADDR_CID_HOST)
		return 0;
	kvm_agent_error__set(error, KVM_AGENT_E_PEER, true,
			     "the agent serves the host (CID 2) only, not CID %u", sa->vm.svm_cid);
#else
	kvm_agent_error__set(error, KVM_AGENT_E_PEER, true, "this perf was built without vsock");
#endif
	return -EPERM;
}

/* A refused peer is told why, if its socket takes that at once. Closes it. */
int kvm_address__refuse(int fd, const struct kvm_agent_error *error)
{
	struct kvm_channel *channel = kvm_channel__new(fd, KVM_FRAME_FROM_HOST);
	const struct kvm_frame_error fixed = {
		.code	= htole32(error->code),
		.fatal	= htole32(1),
	};

	if (!channel)
		return -EPERM;
	kvm_channel__put(channel, KVM_FRAME_ERROR, 0, &fixed, sizeof(fixed), error->text,
			 strlen(error->text));
	kvm_channel__flush(channel);
	kvm_channel__delete(channel);
	return -EPERM;
}

/*
 * Returns the descriptor of a peer that is to be served; -EPERM: it is not, and
 * was told so; another error: there is none.
 */
int kvm_address__accept(const struct kvm_address *address, int listener,
			struct kvm_agent_error *error)
{
	union socket_address sa;
	socklen_t len = sizeof(sa);
	int fd, err;

	memset(&sa, 0, sizeof(sa));
	fd = accept4(listener, &sa.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return failed(error, "accept on", address->path, -errno);
	err = address->type == KVM_ADDRESS_VSOCK ? check_vsock_peer(&sa, error) :
						   check_unix_peer(fd, error);
	return err ? kvm_address__refuse(fd, error) : fd;
}

void kvm_address__unlisten(const struct kvm_address *address, int listener)
{
	if (listener >= 0)
		close(listener);
	if (address->type == KVM_ADDRESS_UNIX)
		unlink(address->path);
}
