// SPDX-License-Identifier: GPL-2.0
/*
 * Tests what an agent sends for symbols, and what it does not, and what a client
 * takes of an agent that lies. The ELF file of these tests is the vDSO, which the
 * agent sends itself.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "debug.h"
#include "kvm-agent-client.h"
#include "kvm-agent-policy.h"
#include "kvm-agent-session.h"
#include "kvm-channel.h"
#include "tests.h"

#define MAX_BYTES	(1ULL << 28)

/* Lengths, too: all that is compared here is small. */
#define ASSERT_EQUAL(text, val, expected)	\
	TEST_ASSERT_EQUAL(text, (int)(val), (int)(expected))

static int no_data(void *priv __maybe_unused, const void *data __maybe_unused,
		   size_t len __maybe_unused)
{
	return -EINVAL;
}

static const struct kvm_agent_client_ops ops = { .data = no_data };

/* A session in a process of its own, and a client of it */

static pid_t fork_session(int fds[2], const char *rules)
{
	static const int never;
	struct kvm_agent_policy policy;
	struct kvm_agent_error error;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	if (pid) {
		close(fds[1]);
		return pid;
	}
	close(fds[0]);
	if (verbose <= 0 && !freopen("/dev/null", "w", stderr))
		_exit(1);
	if (kvm_agent_policy__parse(&policy, rules, &error))
		_exit(1);
	_exit(kvm_agent_session__run(fds[1], &policy, "test", &never) ? 1 : 0);
}

static struct kvm_agent_client *new_client(const char *rules, pid_t *pid)
{
	struct kvm_agent_client *client;
	int fds[2];

	*pid = fork_session(fds, rules);
	if (*pid < 0)
		return NULL;
	client = kvm_agent_client__new(fds[0], &ops, NULL);
	if (client && kvm_agent_client__hello(client, 1, 1)) {
		pr_debug("HELLO: %s\n", client->error.text);
		kvm_agent_client__delete(client);
		return NULL;
	}
	return client;
}

static int end_session(struct kvm_agent_client *client, pid_t pid)
{
	int status = -1;

	kvm_agent_client__delete(client);
	waitpid(pid, &status, 0);
	return status;
}

/* A file without a name. */
static int temp_file(void)
{
	char name[] = "/tmp/perf-test-XXXXXX";
	int fd = mkstemp(name);

	if (fd >= 0)
		unlink(name);
	return fd;
}

static bool same_contents(int fd, const char *path)
{
	int other = open(path, O_RDONLY);
	char a[4096], b[4096];
	off_t pos = 0;
	ssize_t n;

	do {
		n = pread(fd, a, sizeof(a), pos);
		if (n < 0 || pread(other, b, sizeof(b), pos) != n || memcmp(a, b, n)) {
			close(other);
			return false;
		}
		pos += n;
	} while (n);
	close(other);
	return pos > 0;
}

/* Files that the agent may be asked for */

enum build_id_case { RIGHT, WRONG, SHORT };

struct file_case {
	const char		*name;	/* below the directory, or absolute */
	enum build_id_case	 build_id;
	u64			 max;
	const char		*says;	/* NULL: it comes */
};

static const struct file_case file_cases[] = {
	{ "elf",		RIGHT, MAX_BYTES,	NULL },
	{ "link",		RIGHT, MAX_BYTES,	NULL },
	{ "elf",		RIGHT, 8191,		"longer than" },
	{ "elf",		RIGHT, 0,		"longer than" },
	{ "elf",		WRONG, MAX_BYTES,	"does not have the build-id" },
	{ "elf",		SHORT, MAX_BYTES,	"16 to 20 bytes" },
	{ "text",		RIGHT, MAX_BYTES,	"not an ELF file" },
	{ "link-to-text",	RIGHT, MAX_BYTES,	"not an ELF file" },
	{ "link-to-shadow",	RIGHT, MAX_BYTES,	"" },
	{ "cut",		RIGHT, MAX_BYTES,	"not an ELF file" },
	{ "empty",		RIGHT, MAX_BYTES,	"not an ELF file" },
	{ ".",			RIGHT, MAX_BYTES,	"not a regular file" },
	{ "fifo",		RIGHT, MAX_BYTES,	"not a regular file" },
	{ "none",		RIGHT, MAX_BYTES,	"No such file" },
	{ "elf/x",		RIGHT, MAX_BYTES,	"Not a directory" },
	{ "../elf",		RIGHT, MAX_BYTES,	"has '..'" },
	{ "..",			RIGHT, MAX_BYTES,	"has '..'" },
	{ "text.ko.gz",		RIGHT, MAX_BYTES,	"" },
	{ "/dev/zero",		RIGHT, MAX_BYTES,	"not a regular file" },
	{ "/proc/self/mem",	RIGHT, MAX_BYTES,	"not an ELF file" },
	{ "/",			RIGHT, MAX_BYTES,	"not a regular file" },
	/* And at the end, as nothing of this may have ended the session. */
	{ "elf",		RIGHT, MAX_BYTES,	NULL },
};

static bool write_file(const char *dir, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX];
	FILE *fp;
	bool good;

	scnprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "w");
	good = fp && fwrite(data, 1, len, fp) == len;
	return fp && !fclose(fp) && good;
}

static bool make_link(const char *dir, const char *name, const char *to)
{
	char path[PATH_MAX];

	scnprintf(path, sizeof(path), "%s/%s", dir, name);
	return !symlink(to, path);
}

/* Returns the length of the vDSO, which is the file "elf", or 0. */
static size_t make_files(struct kvm_agent_client *client, const char *dir)
{
	static u8 elf[1 << 20];
	const struct kvm_agent_transfer *transfer = &client->transfer;
	int fd = temp_file();
	char fifo[PATH_MAX];
	ssize_t len = 0;

	if (!kvm_agent_client__get_vdso(client, fd, sizeof(elf)))
		len = pread(fd, elf, sizeof(elf), 0);
	close(fd);
	scnprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	if (len <= 0 || len != (ssize_t)transfer->size || !transfer->build_id_size ||
	    !write_file(dir, "elf", elf, len) || !write_file(dir, "cut", elf, 100) ||
	    !write_file(dir, "empty", "", 0) || mkfifo(fifo, 0600) ||
	    /* a file that has the build-id, but is no ELF file */
	    !write_file(dir, "text", transfer->build_id, transfer->build_id_size) ||
	    !write_file(dir, "text.ko.gz", transfer->build_id, transfer->build_id_size) ||
	    !make_link(dir, "link", "elf") || !make_link(dir, "link-to-text", "text") ||
	    !make_link(dir, "link-to-shadow", "/etc/shadow"))
		return 0;
	return len;
}

static void remove_files(const char *dir)
{
	static const char * const names[] = {
		"elf", "cut", "empty", "fifo", "text", "text.ko.gz", "link", "link-to-text",
		"link-to-shadow",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		scnprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void case_path(const char *dir, const struct file_case *fcase, char *path, size_t size)
{
	if (*fcase->name == '/')
		scnprintf(path, size, "%s", fcase->name);
	else
		scnprintf(path, size, "%s/%s", dir, fcase->name);
}

static bool check_file(struct kvm_agent_client *client, const char *dir,
		       const struct file_case *fcase, const u8 *right, size_t size)
{
	u8 build_id[KVM_AGENT_BUILD_ID_MAX];
	char path[PATH_MAX];
	int err, fd = temp_file();
	bool good;

	memcpy(build_id, right, sizeof(build_id));
	build_id[0] ^= fcase->build_id == WRONG;
	case_path(dir, fcase, path, sizeof(path));
	err = kvm_agent_client__get_file(client, path, build_id,
					 fcase->build_id == SHORT ? 8 : size, fd, fcase->max);
	if (fcase->says)
		good = err && strstr(client->error.text, fcase->says) && !lseek(fd, 0, SEEK_END);
	else
		good = !err && same_contents(fd, path);
	close(fd);
	good = good && client->state == KVM_AGENT_CLIENT_READY;
	if (!good)
		pr_debug("FAILED %s: %d '%s'\n", path, err, client->error.text);
	return good;
}

static int check_files(struct kvm_agent_client *client, const char *dir)
{
	const size_t size = client->transfer.build_id_size;
	u8 build_id[KVM_AGENT_BUILD_ID_MAX];

	memcpy(build_id, client->transfer.build_id, sizeof(build_id));
	for (size_t i = 0; i < ARRAY_SIZE(file_cases); i++) {
		if (!check_file(client, dir, &file_cases[i], build_id, size))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* As a process sees it that has gone, or runs; and to a file that cannot be written. */
static int check_other_ways(struct kvm_agent_client *client, const char *dir)
{
	const size_t size = client->transfer.build_id_size;
	u8 build_id[KVM_AGENT_BUILD_ID_MAX];
	int fd = temp_file(), full = open("/dev/null", O_RDONLY);
	char path[PATH_MAX];
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	scnprintf(path, sizeof(path), "%s/elf", dir);
	memcpy(build_id, client->transfer.build_id, sizeof(build_id));
	ASSERT_EQUAL("a process that has gone",
		     kvm_agent_client__get_file_of(client, pid, path, build_id, size, fd,
						   MAX_BYTES), 0);
	TEST_ASSERT_VAL("its file", same_contents(fd, path));
	lseek(fd, 0, SEEK_SET);
	ASSERT_EQUAL("a process that runs",
		     kvm_agent_client__get_file_of(client, getpid(), path, build_id, size, fd,
						   MAX_BYTES), 0);
	TEST_ASSERT_VAL("its file", same_contents(fd, path));
	TEST_ASSERT_VAL("not writable",
			kvm_agent_client__get_file(client, path, build_id, size, full, MAX_BYTES));
	TEST_ASSERT_VAL("sentence", strstr(client->error.text, "cannot be stored"));
	TEST_ASSERT_VAL("the session goes on", client->state == KVM_AGENT_CLIENT_READY);
	close(fd);
	close(full);
	return TEST_OK;
}

static int test__files(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	char dir[] = "/tmp/perf-test-XXXXXX";
	struct kvm_agent_client *client;
	int ret = TEST_SKIP;
	pid_t pid;

	TEST_ASSERT_VAL("directory", mkdtemp(dir));
	client = new_client("", &pid);
	TEST_ASSERT_VAL("session", client);
	if (make_files(client, dir))
		ret = check_files(client, dir) ?: check_other_ways(client, dir);
	remove_files(dir);
	ASSERT_EQUAL("end", end_session(client, pid), 0);
	return ret;
}

/* A tenth of a second's bytes may come at once, and no more. */
static int test__bandwidth(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_agent_client *client;
	u64 since, ms, expected;
	int err, fd = temp_file();
	pid_t pid;

	client = new_client("bandwidth 4096", &pid);
	TEST_ASSERT_VAL("session", client);
	since = kvm_channel__now();
	err = kvm_agent_client__get_vdso(client, fd, MAX_BYTES);
	ms = (kvm_channel__now() - since) / NSEC_PER_MSEC;
	if (!err) {
		expected = (client->transfer.size - 4096 / 10 - 512) * MSEC_PER_SEC / 4096;
		pr_debug("%" PRIu64 " bytes in %" PRIu64 " ms\n", client->transfer.size, ms);
		TEST_ASSERT_VAL("not too fast", ms >= expected);
		TEST_ASSERT_VAL("not too slow", ms <= 4 * expected + MSEC_PER_SEC);
	}
	close(fd);
	ASSERT_EQUAL("end", end_session(client, pid), 0);
	return err ? TEST_SKIP : TEST_OK;
}

static int test__policy(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	int fd = temp_file();
	struct kvm_agent_client *client;
	pid_t pid;

	client = new_client("symbols no", &pid);
	TEST_ASSERT_VAL("session", client);
	TEST_ASSERT_VAL("refused", kvm_agent_client__get_vdso(client, fd, MAX_BYTES));
	TEST_ASSERT_VAL("the rule", strstr(client->error.text, "'symbols no'") &&
			client->error.code == KVM_AGENT_E_REFUSED);
	ASSERT_EQUAL("end", end_session(client, pid), 0);

	client = new_client("max-file 4096", &pid);
	TEST_ASSERT_VAL("session", client);
	TEST_ASSERT_VAL("too long", kvm_agent_client__get_kallsyms(client, fd, MAX_BYTES));
	TEST_ASSERT_VAL("the rule", strstr(client->error.text, "max-file"));
	ASSERT_EQUAL("build-ids", kvm_agent_client__get_build_ids(client, fd, MAX_BYTES), 0);
	ASSERT_EQUAL("their size", lseek(fd, 0, SEEK_END), client->transfer.size);
	ASSERT_EQUAL("end", end_session(client, pid), 0);
	close(fd);
	return TEST_OK;
}

static int test__kernel(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	struct kvm_agent_client *client;
	int err, fd = temp_file(), ret = TEST_OK;
	char line[128] = "";
	pid_t pid;

	client = new_client("", &pid);
	TEST_ASSERT_VAL("session", client);
	ASSERT_EQUAL("modules", kvm_agent_client__get_modules(client, fd, MAX_BYTES), 0);
	TEST_ASSERT_VAL("empty the file", !ftruncate(fd, 0) && !lseek(fd, 0, SEEK_SET));
	err = kvm_agent_client__get_kallsyms(client, fd, MAX_BYTES);
	if (err && strstr(client->error.text, "hides its addresses")) {
		ret = TEST_SKIP;
	} else {
		ASSERT_EQUAL("kallsyms", err, 0);
		ASSERT_EQUAL("size", lseek(fd, 0, SEEK_END), client->transfer.size);
		TEST_ASSERT_VAL("a line", pread(fd, line, sizeof(line) - 1, 0) > 20);
		TEST_ASSERT_VAL("an address", strspn(line, "0123456789abcdef") >= 8);
	}
	ASSERT_EQUAL("end", end_session(client, pid), 0);
	close(fd);
	return ret;
}

/* Agents that lie: all that they say is written beforehand */

#define BYTES_4		"\0\0\0\0"
#define FRAME(size, type, fixed, id)	size "\0\0\0" type "\0" fixed "\0" id "\0\0\0\0\0\0\0"
#define WELCOME		FRAME("\x18", "\x02", "\x08", "\x01") "PVAG\x01\0\0\0"
#define BUILD_ID	"\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define FILE_OF(size, id_size, build_id) \
	FRAME("\x30", "\x0f", "\x20", "\x02") size id_size "\0\0\0" build_id
/* a size of up to 127 */
#define SIZE(size)	size "\0\0\0\0\0\0\0"
#define GOOD(size)	FILE_OF(SIZE(size), "\x14", BUILD_ID)
#define DATA(id, offset)	FRAME("\x19", "\x0a", "\x08", id) offset "\0\0\0\0\0\0\0x"
#define AN_ERROR(id)	FRAME("\x1b", "\x03", "\x08", id) "\x06\0\0\0" BYTES_4 "why"

static const struct {
	const char	*what;
	const char	*bytes;
	size_t		len;
	const char	*says;	/* NULL: it is taken */
	int		state;
} liars[] = {
#define CASE(what, bytes, says, state) \
	{ what, bytes, sizeof(bytes) - 1, says, KVM_AGENT_CLIENT_##state }
	CASE("a file", WELCOME GOOD("\x02") DATA("\x02", "\0") DATA("\x02", "\x01"), NULL, READY),
	CASE("a file of nothing", WELCOME GOOD("\0"), NULL, READY),
	CASE("another build-id",
	     WELCOME FILE_OF(SIZE("\x01"), "\x14", "123456789012345678\0\0"),
	     "another build-id", DEAD),
	CASE("a shorter build-id", WELCOME FILE_OF(SIZE("\x01"), "\x10", BUILD_ID),
	     "another build-id", DEAD),
	CASE("an absurd build-id", WELCOME FILE_OF(SIZE("\x01"), "\xff", BUILD_ID),
	     "another build-id", DEAD),
	CASE("more than asked for", WELCOME GOOD("\x65"), "longer file than it may", DEAD),
	CASE("the largest size", WELCOME
	     FILE_OF("\xff\xff\xff\xff\xff\xff\xff\xff", "\x14", BUILD_ID),
	     "longer file than it may", DEAD),
	CASE("more than announced", WELCOME GOOD("\x02") DATA("\x02", "\0")
	     FRAME("\x1a", "\x0a", "\x08", "\x02") SIZE("\x01") "xx", "more of a file", DEAD),
	CASE("a gap", WELCOME GOOD("\x02") DATA("\x02", "\x01"), "a gap", DEAD),
	CASE("twice", WELCOME GOOD("\x02") DATA("\x02", "\0") DATA("\x02", "\0"), "twice", DEAD),
	CASE("data of another", WELCOME GOOD("\x02") DATA("\x03", "\0"), "nobody asked for", DEAD),
	CASE("data before FILE", WELCOME DATA("\x02", "\0"), "nobody asked for", DEAD),
	CASE("FILE twice", WELCOME GOOD("\x02") GOOD("\x02"), "nobody waits for", DEAD),
	CASE("a refusal", WELCOME AN_ERROR("\x02"), "the agent says: why", READY),
	CASE("an end on the way", WELCOME GOOD("\x02") DATA("\x02", "\0") AN_ERROR("\x02"),
	     "the agent says: why", READY),
	CASE("the connection's end", WELCOME GOOD("\x02") DATA("\x02", "\0"), "was lost", DEAD),
	CASE("nothing but empty data", WELCOME GOOD("\x02")
	     FRAME("\x18", "\x0a", "\x08", "\x02") SIZE("\0"), "was lost", DEAD),
	CASE("a short FILE", WELCOME FRAME("\x2f", "\x0f", "\x1f", "\x02"), "31 bytes", DEAD),
#undef CASE
};

static bool check_liar(size_t i)
{
	int fds[2], err = -EIO, fd = temp_file();
	struct kvm_agent_client *client;
	bool good;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return false;
	client = kvm_agent_client__new(fds[0], &ops, NULL);
	if (client && write(fds[1], liars[i].bytes, liars[i].len) == (ssize_t)liars[i].len &&
	    !shutdown(fds[1], SHUT_WR))
		err = kvm_agent_client__hello(client, 1, 1) ?:
		      kvm_agent_client__get_file(client, "/x", (const u8 *)BUILD_ID, 20, fd, 100);
	good = client && !err == !liars[i].says && (int)client->state == liars[i].state &&
	       (!err || strstr(client->error.text, liars[i].says)) &&
	       lseek(fd, 0, SEEK_END) <= 2;
	if (!good)
		pr_debug("FAILED %s: %d '%s'\n", liars[i].what, err, client ? client->error.text : "");
	kvm_agent_client__delete(client);
	close(fds[1]);
	close(fd);
	return good;
}

static int test__liars(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(liars); i++) {
		if (!check_liar(i))
			return TEST_FAIL;
	}
	return TEST_OK;
}

/* Each byte of its FILE comes, and then no more: the client does not wait forever. */
static int test__slow_agent(struct test_suite *test __maybe_unused, int subtest __maybe_unused)
{
	static const char bytes[] = WELCOME GOOD("\x02") DATA("\x02", "\0");
	struct kvm_agent_client *client;
	int fds[2], fd = temp_file();

	TEST_ASSERT_VAL("socketpair", !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	client = kvm_agent_client__new(fds[0], &ops, NULL);
	TEST_ASSERT_VAL("client", client);
	client->file_timeout = 1;
	ASSERT_EQUAL("write", write(fds[1], bytes, sizeof(bytes) - 1), sizeof(bytes) - 1);
	ASSERT_EQUAL("hello", kvm_agent_client__hello(client, 1, 1), 0);
	TEST_ASSERT_VAL("given up",
			kvm_agent_client__get_file(client, "/x", (const u8 *)BUILD_ID, 20, fd,
						   100));
	TEST_ASSERT_VAL("sentence", strstr(client->error.text, "in time"));
	kvm_agent_client__delete(client);
	close(fds[1]);
	close(fd);
	return TEST_OK;
}

static struct test_case kvm_agent_symbols_tests[] = {
	TEST_CASE_REASON("Files by build-id", files, "no vDSO with a build-id"),
	TEST_CASE("The policy", policy),
	TEST_CASE_REASON("The policy's bandwidth", bandwidth, "no vDSO"),
	TEST_CASE_REASON("The kernel's symbols", kernel, "this kernel hides its addresses"),
	TEST_CASE("Agents that lie", liars),
	TEST_CASE("An agent that is slow", slow_agent),
	{ .name = NULL, }
};

struct test_suite suite__kvm_agent_symbols = {
	.desc = "Symbols by perf kvm agent",
	.test_cases = kvm_agent_symbols_tests,
};
