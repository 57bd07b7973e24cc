// SPDX-License-Identifier: GPL-2.0
/*
 * Reads the sysctls by which a guest's kernel tells what its perf clock is, and
 * how that relates to the clock of its host.
 */
#include "pv-clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <api/fs/fs.h>

#define SOURCE_SYSCTL	"sys/kernel/perf_pv_clock"
#define HOST_SYSCTL	"sys/kernel/perf_pv_clock_host"

/* A whole token that is a number in range: no sign, no blank, no overflow. */
int pv_clock__parse_u64(const char *token, int base, u64 *val)
{
	char *end;

	if (!token || !isxdigit((unsigned char)*token))
		return -EINVAL;
	errno = 0;
	*val = strtoull(token, &end, base);
	return errno || *end ? -EINVAL : 0;
}

int pv_clock__parse_s64(const char *token, s64 *val)
{
	bool negative = token && *token == '-';
	u64 magnitude;

	if (pv_clock__parse_u64(negative ? token + 1 : token, 10, &magnitude) ||
	    magnitude > (u64)INT64_MAX + negative)
		return -EINVAL;
	*val = negative ? -magnitude : magnitude;
	return 0;
}

/* Copies the one line that a sysctl has; what does not fit, or is more, is not understood. */
static int copy_line(const char *text, char *line, size_t size)
{
	size_t len = strcspn(text, "\n");

	if (len >= size || (text[len] && text[len + 1]))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = '\0';
	return 0;
}

/*
 * A source that a later kernel may have is taken as it is, if it is one word: it
 * is shown to users, and may come from a file that anybody wrote.
 */
int pv_clock__copy_source(char *source, const char *text, size_t len)
{
	if (!len || len >= PV_CLOCK_SOURCE_LEN ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz") < len)
		return -EINVAL;
	memcpy(source, text, len);
	source[len] = '\0';
	return 0;
}

/* "SOURCE: REASON" */
int pv_clock__parse_source(struct pv_clock *clock, const char *text)
{
	size_t len = strcspn(text, ":");

	if (strncmp(text + len, ": ", 2) ||
	    copy_line(text + len + 2, clock->reason, sizeof(clock->reason)))
		return -EINVAL;
	return pv_clock__copy_source(clock->source, text, len);
}

/* "EPOCH GENERATION OFFSET", or nothing, where the clock has to do with no host. */
int pv_clock__parse_host(struct pv_clock *clock, const char *text)
{
	struct pv_clock_relation *relation = &clock->relation;
	char line[80], *pos = line;

	clock->related = false;
	if (copy_line(text, line, sizeof(line)))
		return -EINVAL;
	if (!*line)
		return 0;
	if (strncmp(line, "0x", 2) ||
	    pv_clock__parse_u64(strsep(&pos, " "), 16, &relation->host_epoch) ||
	    pv_clock__parse_u64(strsep(&pos, " "), 10, &relation->generation) ||
	    pv_clock__parse_s64(strsep(&pos, " "), &relation->offset) || pos)
		return -EINVAL;
	clock->related = true;
	return 0;
}

static int read_sysctl(struct pv_clock *clock, const char *sysctl,
		       int (*parse)(struct pv_clock *clock, const char *text))
{
	size_t len;
	char *text;
	int err = procfs__read_str(sysctl, &text, &len);

	if (err)
		return err;
	err = parse(clock, text);
	free(text);
	return err;
}

/*
 * -ENOENT: this kernel has no such clock. A source that is not off without a
 * relation may have been turned off meanwhile: it is read again then.
 */
int pv_clock__read(struct pv_clock *clock)
{
	int err;

	memset(clock, 0, sizeof(*clock));
	err = read_sysctl(clock, SOURCE_SYSCTL, pv_clock__parse_source);
	if (err || pv_clock__is_off(clock))
		return err;
	if (!read_sysctl(clock, HOST_SYSCTL, pv_clock__parse_host) && clock->related)
		return 0;
	return read_sysctl(clock, SOURCE_SYSCTL, pv_clock__parse_source);
}

bool pv_clock__is_off(const struct pv_clock *clock)
{
	return !strcmp(clock->source, "off");
}

/* By the specification of each source; negative: not known of this one. */
int pv_clock__exits_per_read(const struct pv_clock *clock)
{
	if (!strcmp(clock->source, "page"))
		return 0;
	if (!strcmp(clock->source, "msr"))
		return 1;
	return -ENOENT;
}

/* The hypervisor has to be asked in the way of the architecture, in arch/. */
bool __weak pv_clock__is_kvm_guest(void)
{
	return false;
}
