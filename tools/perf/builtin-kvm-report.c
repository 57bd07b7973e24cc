// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm report and kvm script commands: perf report and perf script, which for a
 * merged file show the VM and the vCPU too, and the host beside the guests.
 */
#include "builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <internal/lib.h>
#include "util/debug.h"
#include "util/header.h"
#include "util/kvm-machines.h"
#include "util/util.h"

#define DEFAULT_FILE	"perf.data.guest"
#define MERGED_FILE	"perf.data.kvm"

/* What is no file of perf's is left to the command to complain about. */
static bool is_merged(const char *path)
{
	struct perf_file_header header;
	char data[PATH_MAX];
	bool merged;
	int fd;

	/* In a directory that is one of perf's recordings, this is the file. */
	if (snprintf(data, sizeof(data), "%s/data", path) < (int)sizeof(data) &&
	    !access(data, F_OK))
		path = data;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	merged = readn(fd, &header, sizeof(header)) == sizeof(header) &&
		 !memcmp(&header.magic, "PERFILE2", sizeof(header.magic)) &&
		 header.size == sizeof(header) &&
		 test_bit(HEADER_KVM_MACHINES, header.adds_features);
	close(fd);
	return merged;
}

static bool is_newer(const char *path, const char *than)
{
	struct stat st, other;

	if (stat(path, &st))
		return false;
	return stat(than, &other) || st.st_mtime >= other.st_mtime;
}

/* The value of an option with one, "" if that is missing, or NULL: it is not there. */
static const char *find_option(int argc, const char **argv, const char *brief, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], brief))
			return next;
		if (strstarts(argv[i], brief))
			return argv[i] + strlen(brief);
		if (!strstarts(argv[i], name))
			continue;
		if (!argv[i][len])
			return next;
		if (argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static bool has_flag(int argc, const char **argv, const char *name)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return false;
}

/* The file that the command will read. */
static const char *choose_file(const char *file, int argc, const char **argv)
{
	const char *input = find_option(argc, argv, "-i", "--input");

	if (input)
		return input;
	if (!strcmp(file, DEFAULT_FILE) && is_newer(MERGED_FILE, file) && is_merged(MERGED_FILE))
		return MERGED_FILE;
	return file;
}

static int run(int (*cmd)(int argc, const char **argv), const char *name, const char *file,
	       const char * const *more, int argc, const char **argv)
{
	const char **list = calloc(argc + 6, sizeof(*list));
	int nr = 0, ret;

	if (!list)
		return -ENOMEM;
	list[nr++] = name;
	list[nr++] = "-i";
	list[nr++] = file;
	while (more && *more)
		list[nr++] = *more++;
	for (int i = 1; i < argc; i++)
		list[nr++] = argv[i];
	ret = cmd(nr, list);
	free(list);
	return ret;
}

int cmd_kvm_report(const char *file, int argc, const char **argv)
{
	static const char * const keys[] = { "--sort", "vm,vcpu,comm,dso,sym", NULL };
	bool merged;

	file = choose_file(file, argc, argv);
	merged = is_merged(file);
	if (merged)
		perf_host = true;
	if (find_option(argc, argv, "-s", "--sort") || find_option(argc, argv, "-F", "--fields") ||
	    has_flag(argc, argv, "--mem-mode") || has_flag(argc, argv, "--branch-stack"))
		merged = false;
	return run(cmd_report, "report", file, merged ? keys : NULL, argc, argv);
}

int cmd_kvm_script(const char *file, int argc, const char **argv)
{
	static const char * const fields[] = { "-F", "+machine_pid,+vcpu", NULL };
	bool merged;

	file = choose_file(file, argc, argv);
	merged = is_merged(file);
	if (merged)
		perf_host = true;
	if (find_option(argc, argv, "-F", "--fields") ||
	    find_option(argc, argv, "-s", "--script") ||
	    has_flag(argc, argv, "-D") || (argc > 1 && *argv[1] != '-'))
		merged = false;
	kvm_machines__show_names();
	return run(cmd_script, "script", file, merged ? fields : NULL, argc, argv);
}
