// SPDX-License-Identifier: GPL-2.0
/*
 * Puts files of guests into perf's cache of build-ids. An entry that is there stays as it
 * is. Files of guests are read in a process of its own, as they may be made to crash it.
 */
#include "kvm-record-cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include "debug.h"
#include "symbol.h"

#define SECONDS		60	/* of CPU time to read one file */
#define MEMORY		(1ULL << 30)
#define DIR		"/[guests]/"
#define NAME_MAX_LEN	64

bool kvm_record_cache__has(const struct build_id *bid)
{
	char sbuild_id[SBUILD_ID_SIZE];

	build_id__sprintf(bid, sbuild_id);
	return build_id_cache__cached(sbuild_id);
}

/* A guest's path may lead anywhere: only the name is used, and of it what is harmless. */
static void clean_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	size_t len = scnprintf(name, size, DIR "%.*s", NAME_MAX_LEN, base ? base + 1 : path);

	for (size_t i = strlen(DIR); i < len; i++) {
		if (!isalnum(name[i]) && !strchr("+-_", name[i]) &&
		    (name[i] != '.' || i == strlen(DIR)))
			name[i] = '_';
	}
}

static int check_and_add(const struct build_id *bid, const char *file, const char *path,
			 bool is_vdso)
{
	const struct rlimit time = { SECONDS, SECONDS }, memory = { MEMORY, MEMORY };
	char sbuild_id[SBUILD_ID_SIZE], name[sizeof(DIR) + NAME_MAX_LEN];
	struct build_id found = {};

	verbose = min(verbose, 0);
	/* What a guest runs is not told to servers. */
	unsetenv("DEBUGINFOD_URLS");
	setrlimit(RLIMIT_CPU, &time);
	setrlimit(RLIMIT_DATA, &memory);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	symbol__elf_init();
	if (filename__read_build_id(file, &found) <= 0 || found.size != bid->size ||
	    memcmp(found.data, bid->data, bid->size))
		return -EBADMSG;
	if (mkdir(buildid_dir, 0755) && errno != EEXIST)
		return -errno;
	build_id__sprintf(bid, sbuild_id);
	clean_name(path, name, sizeof(name));
	errno = 0;
	if (build_id_cache__add(sbuild_id, file, file, /*nsi=*/NULL, /*is_kallsyms=*/false,
				is_vdso, name, /*root_dir=*/NULL))
		return errno ? -errno : -EIO;
	return 0;
}

int kvm_record_cache__add(const struct build_id *bid, const char *file, const char *path,
			  bool is_vdso)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(-check_and_add(bid, file, path, is_vdso));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EFAULT;
}
