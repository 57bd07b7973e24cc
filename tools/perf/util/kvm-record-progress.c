// SPDX-License-Identifier: GPL-2.0
/* What perf kvm record says while it records: a line each second, and who failed. */
#include "kvm-record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/time64.h>
#include "debug.h"
#include "units.h"

#define LINE_MAX_LEN	1024

static size_t print_bytes(char *line, size_t size, u64 bytes)
{
	char text[32];

	unit_number__scnprintf(text, sizeof(text), bytes);
	return scnprintf(line, size, " %s", text);
}

static size_t print_host(const struct kvm_record *rec, char *line, size_t size)
{
	struct stat st;
	size_t len = scnprintf(line, size, " host");

	if (!stat(rec->parts.host, &st))
		len += print_bytes(line + len, size - len, st.st_size);
	return len;
}

static size_t print_guest(const struct kvm_record_guest *guest, char *line, size_t size)
{
	const struct kvm_agent_stream *stream = &guest->client->stream;
	size_t len = scnprintf(line, size, ", %s ", guest->target.name);

	if (guest->failed)
		return len + scnprintf(line + len, size - len, "failed");
	len += scnprintf(line + len, size - len, "%" PRIu64 " samples", stream->samples);
	len += print_bytes(line + len, size - len, guest->client->received);
	if (stream->lost || stream->lost_samples)
		len += scnprintf(line + len, size - len, " %" PRIu64 " lost",
				 max(stream->lost, stream->lost_samples));
	return len;
}

static size_t columns(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || ws.ws_col < 2 ? 80 : ws.ws_col;
}

/* On a terminal in one line, which is written over; elsewhere each in its own. */
void kvm_record__show_progress(struct kvm_record *rec)
{
	const u64 now = kvm_channel__now();
	char line[LINE_MAX_LEN];
	size_t len;

	if (!rec->opts.progress || !rec->since || now - rec->last_progress < NSEC_PER_SEC)
		return;
	rec->last_progress = now;
	len = scnprintf(line, sizeof(line), "%" PRIu64 " s:",
			(now - rec->since) / NSEC_PER_SEC);
	len += print_host(rec, line + len, sizeof(line) - len);
	for (size_t i = 0; i < rec->nr_guests; i++)
		len += print_guest(&rec->guests[i], line + len, sizeof(line) - len);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%.*s\033[K", (int)columns() - 1, line);
	else
		fprintf(stderr, "%s\n", line);
}

void kvm_record__end_progress(struct kvm_record *rec)
{
	if (rec->opts.progress && rec->last_progress && isatty(STDERR_FILENO))
		fprintf(stderr, "\n");
	rec->last_progress = 0;
	rec->opts.progress = false;
}

/* Each failure once, when it happens. */
void kvm_record__tell_failures(struct kvm_record *rec)
{
	for (size_t i = 0; i < rec->nr_guests; i++) {
		struct kvm_record_guest *guest = &rec->guests[i];
		const struct kvm_record_target *target = &guest->target;

		if (!guest->failed || guest->failure_told)
			continue;
		guest->failure_told = true;
		if (rec->opts.progress && rec->last_progress && isatty(STDERR_FILENO))
			fprintf(stderr, "\n");
		pr_err("guest '%s': %s\n", *target->name ? target->name : target->address,
		       guest->failure);
	}
}
