// SPDX-License-Identifier: GPL-2.0
/*
 * The policy of perf kvm agent: a file of lines "key value", strictly parsed,
 * as what is misspelt in it would otherwise allow what it should forbid.
 */
#include "kvm-agent-policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include <api/fs/fs.h>
#include "kvm-channel.h"
#include "pv-clock.h"
#include "string2.h"

#define FILE_MAX	65536

struct number_rule {
	const char	*key;
	size_t		 offset;
	u64		 min;
	u64		 max;
	u64		 initial;
	bool		 size;		/* takes K, M and G */
};

#define NUMBER(key, field, ...)	\
	{ key, offsetof(struct kvm_agent_policy, field), __VA_ARGS__ }

static const struct number_rule number_rules[] = {
	NUMBER("max-rate",	max_rate,	1,	1000000,	10000,		false),
	NUMBER("min-period",	min_period,	1,	1ULL << 40,	1,		false),
	NUMBER("ring-memory",	ring_memory,	4096,	1ULL << 40,	64 << 20,	true),
	NUMBER("bandwidth",	bandwidth,	0,	1ULL << 40,	0,		true),
	NUMBER("max-file",	max_file,	4096,	1ULL << 40,	256 << 20,	true),
	NUMBER("sessions",	sessions,	1,	256,		4,		false),
	NUMBER("stall-timeout",	stall_timeout,	1,	86400,		60,		false),
	NUMBER("idle-timeout",	idle_timeout,	1,	86400,		60,		false),
};

static const struct flag_rule {
	const char	*key;
	size_t		 offset;
	bool		 initial;
} flag_rules[] = {
	{ "workload",	offsetof(struct kvm_agent_policy, workload),	false },
	{ "symbols",	offsetof(struct kvm_agent_policy, symbols),	true },
};

static bool *flag_of(struct kvm_agent_policy *policy, const struct flag_rule *rule)
{
	return (bool *)((char *)policy + rule->offset);
}

static u64 *number_of(struct kvm_agent_policy *policy, const struct number_rule *rule)
{
	return (u64 *)((char *)policy + rule->offset);
}

static int add_glob(struct kvm_agent_policy *policy, const char *glob)
{
	char *copy;

	if (policy->nr_globs == ARRAY_SIZE(policy->globs))
		return -E2BIG;
	copy = strdup(glob);
	if (!copy)
		return -ENOMEM;
	policy->globs[policy->nr_globs++] = copy;
	return 0;
}

static void init_values(struct kvm_agent_policy *policy)
{
	memset(policy, 0, sizeof(*policy));
	for (size_t i = 0; i < ARRAY_SIZE(number_rules); i++)
		*number_of(policy, &number_rules[i]) = number_rules[i].initial;
	for (size_t i = 0; i < ARRAY_SIZE(flag_rules); i++)
		*flag_of(policy, &flag_rules[i]) = flag_rules[i].initial;
}

/* Without a file: any event, as a host can see its guest's memory anyway, but no workload. */
int kvm_agent_policy__init(struct kvm_agent_policy *policy)
{
	init_values(policy);
	return add_glob(policy, "*");
}

void kvm_agent_policy__exit(struct kvm_agent_policy *policy)
{
	while (policy->nr_globs)
		zfree(&policy->globs[--policy->nr_globs]);
}

static int set_globs(struct kvm_agent_policy *policy, char *value)
{
	for (char *glob; (glob = strsep(&value, " \t")); ) {
		int err = *glob ? add_glob(policy, glob) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* A number, and where that is a size perhaps K, M or G behind it. */
static int parse_number(const struct number_rule *rule, char *value, u64 *number)
{
	static const char units[] = "KMG";
	size_t len = strlen(value);
	const char *unit = rule->size && len ? strchr(units, value[len - 1]) : NULL;
	int shift = 0;

	if (unit && *unit) {
		shift = 10 * (unit - units + 1);
		value[len - 1] = '\0';
	}
	if (pv_clock__parse_u64(value, 10, number) || *number > rule->max >> shift)
		return -ERANGE;
	*number <<= shift;
	return *number < rule->min ? -ERANGE : 0;
}

static int set_flag(bool *flag, const char *value)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return -EINVAL;
	*flag = !strcmp(value, "yes");
	return 0;
}

static const struct flag_rule *find_flag(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_rules); i++) {
		if (!strcmp(flag_rules[i].key, key))
			return &flag_rules[i];
	}
	return NULL;
}

static const struct number_rule *find_number(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(number_rules); i++) {
		if (!strcmp(number_rules[i].key, key))
			return &number_rules[i];
	}
	return NULL;
}

/* A line's error, from what its parser returned. */
static int bad_line(struct kvm_agent_error *error, int line, const char *key, int err)
{
	const struct number_rule *rule = find_number(key);

	if (err == -ERANGE && rule)
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true,
				     "policy line %d: %s takes a number from %" PRIu64
				     " to %" PRIu64 "%s", line, key, rule->min, rule->max,
				     rule->size ? ", with K, M or G behind it if you like" : "");
	else
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "policy line %d: %s: %s",
				     line, key,
				     err == -ENOENT ? "there is no such key" :
				     err == -EEXIST ? "this key was there before" :
				     err == -E2BIG ? "too many globs" :
				     err == -ENODATA ? "the value is missing" :
				     err == -ENOMEM ? "no memory" : "takes yes or no");
	return err;
}

/* Keys that were seen, by the order of number_rules, then that of flag_rules. */
#define SEEN_FLAGS	ARRAY_SIZE(number_rules)
#define SEEN_EVENTS	(SEEN_FLAGS + ARRAY_SIZE(flag_rules))

static int mark_seen(u32 *seen, size_t key)
{
	if (*seen & (1U << key))
		return -EEXIST;
	*seen |= 1U << key;
	return 0;
}

static int set_value(struct kvm_agent_policy *policy, u32 *seen, const char *key, char *value)
{
	const struct number_rule *rule = find_number(key);
	const struct flag_rule *flag = find_flag(key);

	if (!strcmp(key, "events"))
		return mark_seen(seen, SEEN_EVENTS) ?: set_globs(policy, value);
	if (flag)
		return mark_seen(seen, SEEN_FLAGS + (flag - flag_rules)) ?:
		       set_flag(flag_of(policy, flag), value);
	if (!rule)
		return -ENOENT;
	return mark_seen(seen, rule - number_rules) ?:
	       parse_number(rule, value, number_of(policy, rule));
}

/* "key value # comment"; blank lines are nothing. */
static int parse_line(struct kvm_agent_policy *policy, u32 *seen, int nr, char *line,
		      struct kvm_agent_error *error)
{
	char *key, *value;
	int err;

	line[strcspn(line, "#")] = '\0';
	key = strim(line);
	if (!*key)
		return 0;
	value = key + strcspn(key, " \t");
	if (*value)
		*value++ = '\0';
	value = skip_spaces(value);
	err = *value ? set_value(policy, seen, key, value) : -ENODATA;
	return err ? bad_line(error, nr, key, err) : 0;
}

/* On failure nothing is left to be freed. */
int kvm_agent_policy__parse(struct kvm_agent_policy *policy, const char *text,
			    struct kvm_agent_error *error)
{
	char *copy = strdup(text), *pos = copy;
	u32 seen = 0;
	int err = copy ? 0 : -ENOMEM;

	init_values(policy);
	for (int nr = 1; pos && !err; nr++)
		err = parse_line(policy, &seen, nr, strsep(&pos, "\n"), error);
	if (!err && !(seen & (1U << SEEN_EVENTS)))
		err = add_glob(policy, "*");
	if (!copy || err == -ENOMEM)
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "no memory for the policy");
	free(copy);
	if (err)
		kvm_agent_policy__exit(policy);
	return err;
}

static int bad_file(struct kvm_agent_error *error, const char *path, const char *why, int err)
{
	kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true, "policy %s: %s", path, why);
	return err;
}

int kvm_agent_policy__read(struct kvm_agent_policy *policy, const char *path,
			   struct kvm_agent_error *error)
{
	char *text = NULL;
	size_t len = 0;
	int err = filename__read_str(path, &text, &len);

	if (err)
		return bad_file(error, path, strerror(-err), err);
	if (len > FILE_MAX || memchr(text, '\0', len))
		err = bad_file(error, path, "too long, or no text", -EINVAL);
	else
		err = kvm_agent_policy__parse(policy, text, error);
	free(text);
	return err;
}

bool kvm_agent_policy__allows(const struct kvm_agent_policy *policy, const char *event)
{
	for (size_t i = 0; i < policy->nr_globs; i++) {
		if (strglobmatch(event, policy->globs[i]))
			return true;
	}
	return false;
}

/* As lines that could stand in a policy file. */
int kvm_agent_policy__print(const struct kvm_agent_policy *policy, const char *prefix, FILE *fp)
{
	fprintf(fp, "%sevents", prefix);
	for (size_t i = 0; i < policy->nr_globs; i++)
		fprintf(fp, " %s", policy->globs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(number_rules); i++)
		fprintf(fp, "\n%s%s %" PRIu64, prefix, number_rules[i].key,
			*(const u64 *)((const char *)policy + number_rules[i].offset));
	for (size_t i = 0; i < ARRAY_SIZE(flag_rules); i++)
		fprintf(fp, "\n%s%s %s", prefix, flag_rules[i].key,
			*((const bool *)policy + flag_rules[i].offset) ? "yes" : "no");
	fprintf(fp, "\n");
	return ferror(fp) ? -EIO : 0;
}
