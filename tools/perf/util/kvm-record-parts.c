// SPDX-License-Identifier: GPL-2.0
/*
 * The directory beside the output of perf kvm record, on the same file system and
 * for nobody else to read: what host and guests recorded, until it is merged.
 */
#include "kvm-record-parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/zalloc.h>
#include "debug.h"

#define LOG_MAX	4096

static char *path_in(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
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
	return parts->host && parts->log && parts->merged ? 0 : -ENOMEM;
}

/* All in it was made by us, and there are no directories. */
void kvm_record_parts__remove(struct kvm_record_parts *parts)
{
	DIR *dir = parts->dir ? opendir(parts->dir) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
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

/* An older output stays as FILE.old, as perf record has it. */
int kvm_record_parts__install(const struct kvm_record_parts *parts, const char *output)
{
	char *old;
	int err = 0;

	if (!access(output, F_OK)) {
		if (asprintf(&old, "%s.old", output) < 0)
			return -ENOMEM;
		err = rename(output, old) ? -errno : 0;
		free(old);
	}
	if (!err && rename(parts->merged, output))
		err = -errno;
	if (err)
		pr_err("%s cannot be given its name: %s\n", output, strerror(-err));
	return err;
}
