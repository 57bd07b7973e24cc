// SPDX-License-Identifier: GPL-2.0
/*
 * The directory beside the output of perf kvm record, on the same file system and
 * for nobody else to read: what host and guests recorded, until it is merged.
 */
#include "kvm-record-parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "util.h"

#define LOG_MAX		4096
#define RESERVE_SIZE	(1 << 20)	/* readings of a clock for half a day */

static char *path_in(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* Where a file system cannot do that, or has no room, it goes without. */
static void make_reserve(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (fallocate(fd, 0, 0, RESERVE_SIZE))
		unlink(path);
	close(fd);
}

void kvm_record_parts__use_reserve(struct kvm_record_parts *parts)
{
	unlink(parts->reserve);
}

int kvm_record_parts__make(struct kvm_record_parts *parts, const char *output)
{
	memset(parts, 0, sizeof(*parts));
	if (asprintf(&parts->dir, "%s.parts.XXXXXX", output) < 0) {
		parts->dir = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(parts->dir)) {
		int err = -errno;

		pr_err("%s: no directory can be made beside it: %s\n", output, strerror(-err));
		zfree(&parts->dir);
		return err;
	}
	parts->host = path_in(parts->dir, "host.data");
	parts->log = path_in(parts->dir, "host.log");
	parts->merged = path_in(parts->dir, "merged.data");
	parts->data_dir = path_in(parts->dir, "data");
	parts->reserve = path_in(parts->dir, "reserve");
	if (!parts->host || !parts->log || !parts->merged || !parts->data_dir || !parts->reserve)
		return -ENOMEM;
	make_reserve(parts->reserve);
	return 0;
}

/* All in it was made by us, and the one directory is perf's. */
void kvm_record_parts__remove(struct kvm_record_parts *parts)
{
	DIR *dir = parts->dir ? opendir(parts->dir) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	rm_rf_perf_data(parts->data_dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	rmdir(parts->dir);
}

void kvm_record_parts__exit(struct kvm_record_parts *parts)
{
	zfree(&parts->dir);
	zfree(&parts->host);
	zfree(&parts->log);
	zfree(&parts->merged);
	zfree(&parts->data_dir);
	zfree(&parts->reserve);
}

/* The end of it: perf record says last why it failed. */
void kvm_record_parts__print_log(const struct kvm_record_parts *parts)
{
	FILE *fp = parts->log ? fopen(parts->log, "r") : NULL;
	char text[LOG_MAX + 1];
	size_t len;

	if (!fp)
		return;
	if (fseek(fp, -LOG_MAX, SEEK_END))
		rewind(fp);
	len = fread(text, 1, LOG_MAX, fp);
	text[len] = '\0';
	if (len)
		fprintf(stderr, "%s%s", text, text[len - 1] == '\n' ? "" : "\n");
	fclose(fp);
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* perf finds them there, if the output is a directory. */
int kvm_record_parts__make_kallsyms(struct kvm_record_parts *parts, pid_t pid)
{
	char path[PATH_MAX];
	int err, fd;

	if (snprintf(path, sizeof(path), "%s/kcore_dir__%d", parts->data_dir, pid) >=
	    (int)sizeof(path) - 16)
		return -ENAMETOOLONG;
	err = make_dir(parts->data_dir) ?: make_dir(path);
	if (err)
		return err;
	strcat(path, "/kallsyms");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Returns what is to be given the output's name. */
static const char *gather(const struct kvm_record_parts *parts, int *err)
{
	char *path;

	*err = 0;
	if (access(parts->data_dir, F_OK))
		return parts->merged;
	path = path_in(parts->data_dir, "data");
	if (!path)
		*err = -ENOMEM;
	else if (rename(parts->merged, path))
		*err = -errno;
	free(path);
	return parts->data_dir;
}

/* A directory cannot take the place of what is there already, nor the other way round. */
static int rename_over(const char *path, const char *name)
{
	struct stat st;

	if (!lstat(name, &st) && (S_ISDIR(st.st_mode) ? rm_rf_perf_data(name) : unlink(name)))
		return -errno;
	return rename(path, name) ? -errno : 0;
}

/* An older output stays as FILE.old, as perf record has it. */
int kvm_record_parts__install(const struct kvm_record_parts *parts, const char *output)
{
	char *old;
	int err;
	const char *path = gather(parts, &err);

	if (!err && !access(output, F_OK)) {
		if (asprintf(&old, "%s.old", output) < 0)
			return -ENOMEM;
		err = rename_over(output, old);
		free(old);
	}
	if (!err && rename(path, output))
		err = -errno;
	if (err)
		pr_err("%s cannot be given its name: %s\n", output, strerror(-err));
	return err;
}
