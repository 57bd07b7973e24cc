// SPDX-License-Identifier: GPL-2.0
/*
 * Finds and checks what a host asks for by GET_FILE, in a process of its own: a
 * file system may hang, and whoever made an ELF file may have made it to crash
 * its reader. That process writes to its output what FILE says, then the bytes.
 */
#include "kvm-agent-symbols.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "build-id.h"
#include "dso.h"
#include "kvm-agent-child.h"
#include "kvm-agent-policy.h"
#include "kvm-channel.h"
#include "symbol.h"
#include "vdso.h"

#include "find-map.c"

#define KERNEL_NOTES	"/sys/kernel/notes"
#define MODULES_DIR	"/sys/module"

struct request {
	u32		kind;
	u32		pid;
	u64		limit;		/* bytes, the policy's or the host's */
	struct build_id	bid;
	char		path[PATH_MAX];
};

/* What was found, or why not: a code and a sentence. The build-id may be empty. */
struct found {
	int		fd;
	struct build_id	bid;
	int		code;
	char		why[256];
};

/* Returns the code. That something is forbidden says more than that it is not there. */
static int __printf(3, 4) set_error(struct found *found, int code, const char *fmt, ...)
{
	va_list args;

	if (found->code == KVM_AGENT_E_REFUSED && code != KVM_AGENT_E_REFUSED)
		return code;
	va_start(args, fmt);
	vsnprintf(found->why, sizeof(found->why), fmt, args);
	va_end(args);
	found->code = code;
	return code;
}

#define refused(found, ...)	set_error(found, KVM_AGENT_E_REFUSED, __VA_ARGS__)
#define failed(found, ...)	set_error(found, KVM_AGENT_E_FAILED, __VA_ARGS__)

static void put_fd(struct found *found, int fd)
{
	if (found->fd >= 0)
		close(found->fd);
	found->fd = fd;
}

static void fd_path(int fd, char *path, size_t size)
{
	scnprintf(path, size, "/proc/self/fd/%d", fd);
}

static int get_size(const struct request *request, struct found *found, u64 *size)
{
	struct stat st;

	if (fstat(found->fd, &st))
		return failed(found, "%s", strerror(errno));
	*size = st.st_size;
	if (*size > request->limit)
		return refused(found,
			       "it is longer than the policy's max-file or the host allows, %"
			       PRIu64 " bytes",
			       request->limit);
	return 0;
}

/* Texts of the kernel */

static int new_memory(struct found *found)
{
	put_fd(found, memfd_create("perf-kvm-agent", /*flags=*/0));
	return found->fd < 0 ? failed(found, "no memory for it: %s", strerror(errno)) : 0;
}

static int write_all(struct found *found, int fd, const void *data, size_t len)
{
	for (const char *pos = data; len; ) {
		ssize_t n = write(fd, pos, len);

		if (n < 0 && errno != EINTR)
			return failed(found, "it cannot be written: %s", strerror(errno));
		pos += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : n;
	}
	return 0;
}

/* A file of /proc has no size: it is read to its end, so that one can be announced. */
static int copy_text(const char *path, const struct request *request, struct found *found)
{
	int err = new_memory(found), fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	u64 size = 0;
	ssize_t n = fd < 0 ? -1 : 1;

	while (!err && n > 0 && size <= request->limit) {
		n = read(fd, buf, sizeof(buf));
		if (n > 0) {
			err = write_all(found, found->fd, buf, n);
			size += n;
		}
	}
	if (!err && n < 0)
		err = failed(found, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err ?: get_size(request, found, &size);
}

/* Kernels hide addresses by making all of them 0. */
static bool has_addresses(int fd)
{
	char path[64], line[512];
	bool found = false;
	FILE *fp;

	fd_path(fd, path, sizeof(path));
	fp = fopen(path, "r");
	while (fp && !found && fgets(line, sizeof(line), fp))
		found = strspn(line, "0") < strcspn(line, " ");
	if (fp)
		fclose(fp);
	return found;
}

static int find_kallsyms(const struct request *request, struct found *found)
{
	int err = copy_text("/proc/kallsyms", request, found);

	if (!err && !has_addresses(found->fd))
		err = failed(found, "the guest's kernel hides its addresses: give the agent CAP_SYSLOG, and set kernel.kptr_restrict below 2");
	if (!err && sysfs__read_build_id(KERNEL_NOTES, &found->bid))
		found->bid.size = 0;
	return err;
}

static int find_modules(const struct request *request, struct found *found)
{
	/* A kernel that has no modules has no such file. */
	return access("/proc/modules", F_OK) ? new_memory(found) :
					       copy_text("/proc/modules", request, found);
}

static void print_build_id(int fd, const char *notes, const char *name)
{
	char hex[SBUILD_ID_SIZE];
	struct build_id bid;

	if (sysfs__read_build_id(notes, &bid))
		return;
	build_id__sprintf(&bid, hex);
	dprintf(fd, "%s [%s]\n", hex, name);
}

static int find_build_ids(const struct request *request __maybe_unused, struct found *found)
{
	int err = new_memory(found);
	DIR *dir = err ? NULL : opendir(MODULES_DIR);
	struct dirent *entry;

	if (!err)
		print_build_id(found->fd, KERNEL_NOTES, "kernel.kallsyms");
	while (dir && (entry = readdir(dir))) {
		char notes[PATH_MAX];

		scnprintf(notes, sizeof(notes), MODULES_DIR "/%s/notes/.note.gnu.build-id",
			  entry->d_name);
		print_build_id(found->fd, notes, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return err;
}

/* ELF files */

static int read_build_id(struct found *found)
{
	char path[64];

	fd_path(found->fd, path, sizeof(path));
	found->bid.size = 0;
	return filename__read_build_id(path, &found->bid) > 0 && found->bid.size ? 0 : -ENOENT;
}

static int find_vdso(const struct request *request __maybe_unused, struct found *found)
{
	void *start, *end;
	int err;

	if (find_map(&start, &end, VDSO__MAP_NAME))
		return failed(found, "the guest's kernel maps no vDSO");
	err = new_memory(found) ?: write_all(found, found->fd, start, end - start);
	if (!err)
		read_build_id(found);
	return err;
}

/*
 * Nothing but a regular file is opened for more than its name: with a device or a
 * pipe that may have effects, or wait.
 */
static int open_regular(const char *path, struct found *found)
{
	int err = 0, name = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	char link[64];

	if (name < 0)
		return failed(found, "it cannot be opened: %s", strerror(errno));
	if (fstat(name, &st) || !S_ISREG(st.st_mode)) {
		err = refused(found, "it is not a regular file");
	} else {
		fd_path(name, link, sizeof(link));
		put_fd(found, open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY));
		if (found->fd < 0)
			err = failed(found, "it cannot be opened: %s", strerror(errno));
	}
	close(name);
	return err;
}

/* perf calls a kernel module by its file, in which it may be compressed. */
static int decompress_module(const struct request *request, struct found *found)
{
	const struct rlimit limit = { request->limit, request->limit };
	struct kmod_path kmod = { .name = NULL };
	int fd, err = 0;
	char path[64];

	if (kmod_path__parse(&kmod, request->path) || !kmod.kmod || !kmod.comp)
		return 0;
	/* It goes through a file: what is too long then fails to be written. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit))
		return failed(found, "no limit can be set: %s", strerror(errno));
	fd_path(found->fd, path, sizeof(path));
	fd = filename__decompress(path, /*pathname=*/NULL, /*len=*/0, kmod.comp, &err);
	put_fd(found, fd);
	return fd < 0 ? failed(found, "it cannot be decompressed, or is longer than %" PRIu64 " bytes",
			       request->limit) : 0;
}

static int check_build_id(const struct request *request, struct found *found)
{
	const struct build_id *asked = &request->bid;

	if (read_build_id(found))
		return refused(found, "it is not an ELF file with a build-id");
	if (found->bid.size != asked->size || memcmp(found->bid.data, asked->data, asked->size))
		return refused(found, "it does not have the build-id that the host asks for");
	return 0;
}

/* Of a file that is named by its path alone nothing else is told. */
static int check_file(const struct request *request, struct found *found)
{
	int err;

	if (request->kind == KVM_AGENT_FILE_PATH)
		return check_build_id(request, found);
	err = read_build_id(found);
	return err ? refused(found, "it is not an ELF file with a build-id") : new_memory(found);
}

/* First as the process sees it that had it mapped, which may have gone. */
static int find_path(const struct request *request, struct found *found)
{
	char path[PATH_MAX + 32];
	int err = KVM_AGENT_E_FAILED;
	u64 size;

	for (int own = !request->pid; err && own < 2; own++) {
		if (own)
			scnprintf(path, sizeof(path), "%s", request->path);
		else
			scnprintf(path, sizeof(path), "/proc/%u/root%s", request->pid,
				  request->path);
		err = open_regular(path, found) ?: get_size(request, found, &size) ?:
		      decompress_module(request, found) ?: check_file(request, found);
	}
	return err;
}

/* The process */

static int send_head(u64 size, struct found *found)
{
	struct kvm_frame_file head = {
		.size		= htole64(size),
		.build_id_size	= htole32(found->bid.size),
	};

	memcpy(head.build_id, found->bid.data, found->bid.size);
	return write_all(found, STDOUT_FILENO, &head, sizeof(head));
}

/* For file systems that cannot splice. */
static ssize_t copy_some(struct found *found, loff_t *pos, u64 left)
{
	char buf[65536];
	ssize_t n = pread(found->fd, buf, min_t(u64, left, sizeof(buf)), *pos);

	if (n <= 0)
		return n;
	*pos += n;
	return write_all(found, STDOUT_FILENO, buf, n) ? -1 : n;
}

static int send_bytes(u64 size, struct found *found)
{
	bool can_splice = true;
	loff_t pos = 0;

	while ((u64)pos < size) {
		const u64 left = size - pos;
		ssize_t n = can_splice ? splice(found->fd, &pos, STDOUT_FILENO, NULL, left, 0) :
					 copy_some(found, &pos, left);

		if (n < 0 && errno == EINVAL && can_splice)
			can_splice = false;
		else if (n < 0 && errno != EINTR)
			return failed(found, "it cannot be read: %s", strerror(errno));
		else if (!n)
			return failed(found, "it became shorter while it was sent");
	}
	return 0;
}

static int serve(void *arg)
{
	static int (* const find[KVM_AGENT_NR_FILE_KINDS])(const struct request *request,
							   struct found *found) = {
		[KVM_AGENT_FILE_KALLSYMS]	= find_kallsyms,
		[KVM_AGENT_FILE_MODULES]	= find_modules,
		[KVM_AGENT_FILE_BUILD_IDS]	= find_build_ids,
		[KVM_AGENT_FILE_PATH]		= find_path,
		[KVM_AGENT_FILE_VDSO]		= find_vdso,
		[KVM_AGENT_FILE_ID]		= find_path,
	};
	const struct request *request = arg;
	struct found found = { .fd = -1 };
	u64 size = 0;
	int err;

	symbol__elf_init();
	err = find[request->kind](request, &found) ?: get_size(request, &found, &size) ?:
	      send_head(size, &found) ?: send_bytes(size, &found);
	if (err)
		dprintf(STDERR_FILENO, "%s", found.why);
	return err ? found.code : 0;
}

/* The session */

/* A path without '..', which has no use in the name of a mapped file. */
static bool is_plain_path(const char *path)
{
	if (*path != '/')
		return false;
	for (const char *pos = path; (pos = strstr(pos, "/..")); pos += 3) {
		if (!pos[3] || pos[3] == '/')
			return false;
	}
	return true;
}

static int refuse(struct kvm_agent_error *error, const char *why)
{
	return kvm_agent_error__set(error, KVM_AGENT_E_REFUSED, false, "%s", why);
}

static int take_path(struct request *request, const struct kvm_frame *frame,
		     const struct kvm_frame_get_file *fixed, struct kvm_agent_error *error)
{
	const u32 size = le32toh(fixed->build_id_size);

	if (request->kind != KVM_AGENT_FILE_PATH && request->kind != KVM_AGENT_FILE_ID)
		return 0;
	if (request->kind == KVM_AGENT_FILE_PATH) {
		if (size < KVM_AGENT_BUILD_ID_MIN || size > KVM_AGENT_BUILD_ID_MAX)
			return refuse(error, "a file is sent by its build-id of 16 to 20 bytes only");
		build_id__init(&request->bid, fixed->build_id, size);
	}
	if (frame->var_len >= sizeof(request->path) || memchr(frame->var, '\0', frame->var_len))
		return refuse(error, "the path is too long, or has a NUL");
	memcpy(request->path, frame->var, frame->var_len);
	request->path[frame->var_len] = '\0';
	if (!is_plain_path(request->path))
		return refuse(error, "the path is not absolute, or has '..'");
	return 0;
}

int kvm_agent_symbols__start(struct kvm_agent_child *child, const struct kvm_agent_policy *policy,
			     const struct kvm_frame *frame, struct kvm_agent_error *error)
{
	struct kvm_frame_get_file fixed;
	struct request request;
	int err;

	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	if (!policy->symbols)
		return refuse(error, "the agent's policy has 'symbols no'");
	request.kind = le32toh(fixed.kind);
	request.pid = le32toh(fixed.pid);
	request.limit = min_t(u64, le64toh(fixed.max), policy->max_file);
	if (request.kind >= KVM_AGENT_NR_FILE_KINDS)
		return refuse(error, "the agent knows no such kind of file: update it");
	err = take_path(&request, frame, &fixed, error);
	if (err)
		return err;
	err = kvm_agent_child__run(child, serve, &request);
	if (err)
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, false,
				     "no process can be started for a file: %s", strerror(-err));
	return err;
}

/* Returns 1 when the process has said what it sends, 0 if not yet, or an error. */
int kvm_agent_symbols__read_head(const struct kvm_agent_child *child, struct kvm_frame_file *head)
{
	/* It is written to the pipe in one piece. */
	ssize_t n = read(child->out, head, sizeof(*head));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n == sizeof(*head) ? 1 : -EPIPE;
}

/* Why it ended without having sent all. */
void kvm_agent_symbols__error(const struct kvm_agent_child *child, int status,
			      struct kvm_agent_error *error)
{
	const u32 code = status == KVM_AGENT_E_REFUSED ? KVM_AGENT_E_REFUSED : KVM_AGENT_E_FAILED;

	if (child->killed)
		kvm_agent_error__set(error, code, false,
				     "the file was not found in %d seconds: its file system may hang",
				     KVM_AGENT_FIND_TIMEOUT);
	else if (child->len)
		kvm_agent_error__set(error, code, false, "the file is not sent: %.*s",
				     (int)child->len, child->messages);
	else
		kvm_agent_error__set(error, code, false,
				     "the process that reads the file ended with status %d",
				     status);
}
