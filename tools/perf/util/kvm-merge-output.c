// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the merged perf.data file front to back, in large pieces. Which ids there
 * are is known only at the end, so attrs and ids come after the records; the
 * header in front tells where.
 */
#include "kvm-merge-output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "event.h"
#include "header.h"
#include "kvm-merge-record.h"

#define BUF_SIZE	(1024 * 1024)

/* A reader sorts again, and may let go of what it holds at the end of a round. */
#define ROUND_SIZE	(1024 * 1024)

static int report(const struct kvm_merge_output *output)
{
	int err = -errno;

	pr_err("%s: cannot be written: %s\n", output->path, strerror(-err));
	return err;
}

static int write_all(struct kvm_merge_output *output, const void *data, size_t size)
{
	while (size) {
		ssize_t n = write(output->fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return report(output);
		data += n;
		size -= n;
		output->written += n;
	}
	return 0;
}

static int flush(struct kvm_merge_output *output)
{
	int err = write_all(output, output->buf, output->used);

	output->used = 0;
	return err;
}

/* For what is larger than the buffer there is none. */
static int make_room(struct kvm_merge_output *output, size_t size)
{
	return size > BUF_SIZE - output->used ? flush(output) : 0;
}

int kvm_merge_output__write(struct kvm_merge_output *output, const void *data, size_t size)
{
	int err = make_room(output, size);

	if (err)
		return err;
	if (size > BUF_SIZE)
		return write_all(output, data, size);
	memcpy(output->buf + output->used, data, size);
	output->used += size;
	return 0;
}

/*
 * To overwrite a file takes longer than to write a new one: some file systems wait for
 * the disk at its close. What is no plain file of one name is overwritten all the same.
 */
static void remove_old(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1)
		unlink(path);
}

/* Leaves room for the header. */
int kvm_merge_output__open(struct kvm_merge_output *output, const char *path)
{
	struct perf_file_header header;

	memset(output, 0, sizeof(*output));
	output->path = path;
	remove_old(path);
	output->fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (output->fd < 0)
		return report(output);
	output->buf = malloc(BUF_SIZE);
	if (!output->buf)
		return -ENOMEM;
	output->next_round = ROUND_SIZE;
	memset(&header, 0, sizeof(header));
	return kvm_merge_output__write(output, &header, sizeof(header));
}

static int end_round(struct kvm_merge_output *output)
{
	const struct perf_event_header round = {
		.type = PERF_RECORD_FINISHED_ROUND,
		.size = sizeof(round),
	};

	if (kvm_merge_output__offset(output) < output->next_round)
		return 0;
	output->next_round = kvm_merge_output__offset(output) + ROUND_SIZE;
	return kvm_merge_output__write(output, &round, sizeof(round));
}

int kvm_merge_output__event(struct kvm_merge_output *output, const union perf_event *event)
{
	return kvm_merge_output__write(output, event, event->header.size) ?: end_round(output);
}

/* -E2BIG: a record cannot be as large as that. */
int kvm_merge_output__reformatted(struct kvm_merge_output *output, const union perf_event *event,
				  const struct kvm_merge_reformat *format)
{
	const size_t size = kvm_merge_reformat__size(format, event);
	int err;

	if (size > UINT16_MAX)
		return -E2BIG;
	err = make_room(output, size);
	if (err)
		return err;
	kvm_merge_reformat__copy(format, event, output->buf + output->used);
	output->used += size;
	return end_round(output);
}

/* Tells whose an id is; has to come before its first record. */
int kvm_merge_output__id_index(struct kvm_merge_output *output, u64 id, s32 tid, u32 machine_pid,
			       s32 vcpu)
{
	struct {
		struct perf_event_header	header;
		u64				nr;
		struct id_index_entry		entry;
		struct id_index_entry_2		entry2;
	} index = {
		.header	= { .type = PERF_RECORD_ID_INDEX, .size = sizeof(index) },
		.nr	= 1,
		/* To the host, a guest's event is bound to a thread and no CPU. */
		.entry	= { .id = id, .cpu = (s64)-1, .tid = (s64)tid },
		.entry2	= { .machine_pid = machine_pid, .vcpu = (s64)vcpu },
	};

	return kvm_merge_output__write(output, &index, sizeof(index));
}

int kvm_merge_output__finish(struct kvm_merge_output *output,
			     const struct perf_file_header *header)
{
	int err = flush(output);

	if (err)
		return err;
	if (pwrite(output->fd, header, sizeof(*header), 0) != sizeof(*header))
		return report(output);
	err = close(output->fd) ? report(output) : 0;
	output->fd = -1;
	zfree(&output->buf);
	return err;
}

/* Half a file would be taken for a recording. */
void kvm_merge_output__abort(struct kvm_merge_output *output)
{
	if (!output->path)
		return;
	if (output->fd >= 0) {
		close(output->fd);
		unlink(output->path);
	}
	zfree(&output->buf);
}
