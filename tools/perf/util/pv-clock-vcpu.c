// SPDX-License-Identifier: GPL-2.0
/* Takes the text of a vCPU's debugfs file "perf-clock" apart: lines of a key and a value. */
#include "pv-clock-vcpu.h"

#include <errno.h>
#include <string.h>
#include <linux/kernel.h>

static int parse_u64(const char *token, int base, struct pv_clock_u64 *value)
{
	int err = pv_clock__parse_u64(token, base, &value->val);

	value->known = !err;
	return err;
}

static int parse_bool(const char *token, struct pv_clock_u64 *value)
{
	return parse_u64(token, 10, value) || value->val > 1 ? -EINVAL : 0;
}

static int parse_s64(const char *token, struct pv_clock_s64 *value)
{
	int err = pv_clock__parse_s64(token, &value->val);

	value->known = !err;
	return err;
}

/* A key that a newer kernel may have added is skipped. */
static int parse_line(struct pv_clock_vcpu *vcpu, const char *key, const char *val)
{
	if (!strcmp(key, "offered"))
		return parse_bool(val, &vcpu->offered);
	if (!strcmp(key, "register"))
		return parse_u64(val, 16, &vcpu->reg);
	if (!strcmp(key, "source"))
		return pv_clock__copy_source(vcpu->source, val ?: "", val ? strlen(val) : 0);
	if (!strcmp(key, "valid"))
		return parse_bool(val, &vcpu->valid);
	if (!strcmp(key, "host_epoch"))
		return parse_u64(val, 16, &vcpu->host_epoch);
	if (!strcmp(key, "generation"))
		return parse_u64(val, 10, &vcpu->generation);
	if (!strcmp(key, "offset"))
		return parse_s64(val, &vcpu->offset);
	if (!strcmp(key, "host_ns"))
		return parse_u64(val, 10, &vcpu->host_ns);
	if (!strcmp(key, "guest_ns"))
		return parse_u64(val, 10, &vcpu->guest_ns);
	if (!strcmp(key, "tsc_offset"))
		return parse_s64(val, &vcpu->tsc_offset);
	return 0;
}

/*
 * Takes the text apart in place. A known line that is not understood, or a last
 * line without an end, means that nothing of the text can be trusted.
 */
int pv_clock_vcpu__parse(struct pv_clock_vcpu *vcpu, char *text)
{
	size_t len = strlen(text);
	char *line;

	memset(vcpu, 0, sizeof(*vcpu));
	if (!len || text[len - 1] != '\n')
		return -EINVAL;

	while ((line = strsep(&text, "\n")) != NULL) {
		const char *key = strsep(&line, " ");

		if (parse_line(vcpu, key, line))
			return -EINVAL;
	}
	return vcpu->offered.known ? 0 : -EINVAL;
}
