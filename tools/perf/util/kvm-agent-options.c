// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a command line of perf record out of the options that a host sent, all
 * of which must be in a table here and within the agent's policy. What is not
 * known is refused: an option of perf may write files, or run programs.
 */
#include "kvm-agent-options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include <internal/lib.h>
#include "event.h"
#include "kvm-agent-child.h"
#include "kvm-agent-policy.h"
#include "kvm-agent-unpack.h"
#include "kvm-channel.h"
#include "kvm-pvpmu.h"
#include "pv-clock.h"
#include "string2.h"

#define DEFAULT_FREQ	1000
#define DEFAULT_PAGES	128
#define STACK_DUMP_MAX	65528
#define EVENT_MAX	256

struct checks {
	const struct kvm_agent_policy	*policy;
	unsigned int			 nr_cpus;
	struct kvm_agent_error		*error;
};

#define refused(error, ...)	kvm_agent_error__set(error, KVM_AGENT_E_REFUSED, false, __VA_ARGS__)

/* Events */

/*
 * Terms that are not part of what an event is, but of how it is sampled: they
 * would go round the limits, or change other events' records.
 */
static bool is_sampling_term(const char *term)
{
	static const char * const terms[] = {
		"period", "freq", "branch_type", "time", "call-graph", "stack-size", "max-stack",
		"nr", "inherit", "no-inherit", "overwrite", "no-overwrite", "percore",
		"aux-output", "aux-action", "aux-sample-size", "name", "metric-id",
	};
	size_t len = strcspn(term, "=,/");

	for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
		if (len == strlen(terms[i]) && !strncmp(term, terms[i], len))
			return true;
	}
	return false;
}

static int check_terms(const char *event, const char *terms, struct kvm_agent_error *error)
{
	for (const char *term = terms; *term && *term != '/'; ) {
		if (is_sampling_term(term))
			return refused(error, "event '%s': the term '%.*s' is not allowed",
				       event, (int)strcspn(term, "=,/"), term);
		term += strcspn(term, ",/");
		if (*term == ',')
			term++;
	}
	return 0;
}

/* Traces need memory and records of another kind than sampling. */
static bool is_trace(const char *event)
{
	static const char * const globs[] = {
		"intel_pt*/*", "intel_bts*/*", "arm_spe*/*", "cs_etm*/*", "hisi_ptt*/*",
		"s390_cpum_*/*",
	};

	for (size_t i = 0; i < ARRAY_SIZE(globs); i++) {
		if (strglobmatch(event, globs[i]))
			return true;
	}
	return false;
}

/* "cycles:u" and "cpu/cycles/u" are "cycles" and "cpu/cycles/" for the policy. */
static void cut_modifiers(char *event)
{
	char *slash = strrchr(event, '/'), *colon = strrchr(event, ':');
	char *modifiers = slash ? slash + 1 : colon ? colon + 1 : NULL;

	if (!modifiers || !*modifiers || modifiers[strspn(modifiers, "ukhGHpPSDIWebR")])
		return;
	if (slash)
		*modifiers = '\0';
	else
		*colon = '\0';
}

static int check_event(const struct kvm_agent_policy *policy, const char *from, size_t len,
		       struct kvm_agent_error *error)
{
	char event[EVENT_MAX], *slash;

	if (len >= sizeof(event))
		return refused(error, "the name of an event is longer than %d characters",
			       EVENT_MAX - 1);
	memcpy(event, from, len);
	event[len] = '\0';
	slash = strchr(event, '/');
	if (slash && check_terms(event, slash + 1, error))
		return -EPROTO;
	if (is_trace(event))
		return refused(error, "event '%s': traces are not served", event);
	if (kvm_agent_policy__allows(policy, event))
		return 0;
	cut_modifiers(event);
	if (kvm_agent_policy__allows(policy, event))
		return 0;
	return refused(error, "event '%s' is not in the 'events' of the agent's policy", event);
}

/* What follows a group's '}' are modifiers. */
static bool is_group_end(const char *list, const char *pos, size_t len)
{
	return pos > list && pos[-1] == '}' && *pos == ':' &&
	       strspn(pos + 1, "ukhGHpPSDIWebR") == len - 1;
}

/* Up to the next comma or brace that is not within the slashes of a PMU. */
static size_t event_len(const char *pos)
{
	bool terms = false;
	size_t len = 0;

	for (; pos[len]; len++) {
		if (pos[len] == '/')
			terms = !terms;
		else if (!terms && strchr(",{}", pos[len]))
			break;
	}
	return len;
}

/* No wildcards, no quotes and no blanks: an event is a name, and its terms are words. */
static bool has_plain_text(const char *list)
{
	while (isalnum((unsigned char)*list) || (*list && strchr("_.:/=,{}-", *list)))
		list++;
	return !*list;
}

int kvm_agent_options__check_events(const struct kvm_agent_policy *policy, const char *list,
				    struct kvm_agent_error *error)
{
	size_t nr = 0;

	if (!has_plain_text(list))
		return refused(error, "events have letters, digits and _.:/=,{}- only");
	for (const char *pos = list; *pos; ) {
		size_t len = event_len(pos);

		if (len && !is_group_end(list, pos, len)) {
			if (check_event(policy, pos, len, error))
				return -EPROTO;
			nr++;
		}
		pos += len;
		pos += *pos != '\0';
	}
	return nr ? 0 : refused(error, "--event names no event");
}

/* Values of the other options */

static int check_events(const struct checks *checks, const char *value)
{
	return kvm_agent_options__check_events(checks->policy, value, checks->error);
}

static int check_freq(const struct checks *checks, const char *value)
{
	u64 freq;

	if (pv_clock__parse_u64(value, 10, &freq) || !freq)
		return refused(checks->error, "--freq takes a number from 1 on");
	if (freq > checks->policy->max_rate)
		return refused(checks->error,
			       "--freq=%" PRIu64 " is above the policy's max-rate, %" PRIu64,
			       freq, checks->policy->max_rate);
	return 0;
}

static int check_count(const struct checks *checks, const char *value)
{
	u64 count;

	if (pv_clock__parse_u64(value, 10, &count) || !count || count > INT64_MAX)
		return refused(checks->error, "--count takes a number from 1 on");
	if (count < checks->policy->min_period)
		return refused(checks->error,
			       "--count=%" PRIu64 " is below the policy's min-period, %" PRIu64,
			       count, checks->policy->min_period);
	return 0;
}

static u64 ring_bytes(const struct checks *checks, u64 pages)
{
	return pages * page_size * checks->nr_cpus;
}

static int check_pages(const struct checks *checks, const char *value)
{
	u64 pages;

	if (pv_clock__parse_u64(value, 10, &pages) || !is_power_of_2(pages) || pages > 1 << 20)
		return refused(checks->error, "--mmap-pages takes a power of 2, up to %d", 1 << 20);
	if (ring_bytes(checks, pages) > checks->policy->ring_memory)
		return refused(checks->error,
			       "--mmap-pages=%s on %u CPUs is above the policy's ring-memory, %"
			       PRIu64,
			       value, checks->nr_cpus, checks->policy->ring_memory);
	return 0;
}

static int check_call_graph(const struct checks *checks, const char *value)
{
	u64 size;

	if (!strcmp(value, "fp") || !strcmp(value, "lbr") || !strcmp(value, "dwarf"))
		return 0;
	if (!strstarts(value, "dwarf,") || pv_clock__parse_u64(value + 6, 10, &size) ||
	    size < sizeof(u64) || size > STACK_DUMP_MAX)
		return refused(checks->error,
			       "--call-graph takes fp, lbr, dwarf or dwarf,SIZE with SIZE from 8 to %d",
			       STACK_DUMP_MAX);
	return 0;
}

static int check_list(const struct checks *checks, const char *value)
{
	if (!*value || value[strspn(value, "0123456789,-")])
		return refused(checks->error,
			       "a list of CPUs, pids or tids has digits, ',' and '-' only");
	return 0;
}

static int check_clockid(const struct checks *checks, const char *value)
{
	static const char * const names[] = {
		"monotonic", "monotonic_raw", "boottime", "realtime",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i]))
			return 0;
	}
	return refused(checks->error,
		       "--clockid takes monotonic, monotonic_raw, boottime or realtime");
}

static int check_level(const struct checks *checks, const char *value)
{
	u64 level;

	if (!kvm_agent_unpack__is_supported())
		return refused(checks->error,
			       "the agent cannot compress: its perf was built without zstd");
	if (pv_clock__parse_u64(value, 10, &level) || !level || level > KVM_AGENT_MAX_LEVEL)
		return refused(checks->error, "--compression-level takes a number from 1 to %d",
			       KVM_AGENT_MAX_LEVEL);
	return 0;
}

struct option_rule {
	const char	*name;
	int		(*check)(const struct checks *checks, const char *value);
	bool		 target;
	bool		 repeats;
};

static const struct option_rule option_rules[] = {
	{ .name = "event",		.check = check_events,	.repeats = true },
	{ .name = "freq",		.check = check_freq },
	{ .name = "count",		.check = check_count },
	{ .name = "mmap-pages",		.check = check_pages },
	{ .name = "call-graph",		.check = check_call_graph },
	{ .name = "clockid",		.check = check_clockid },
	{ .name = "compression-level",	.check = check_level },
	{ .name = "cpu",		.check = check_list,		.target = true },
	{ .name = "pid",		.check = check_list,		.target = true },
	{ .name = "tid",		.check = check_list,		.target = true },
	{ .name = "all-cpus",		.target = true },
	{ .name = "switch-events" },
	{ .name = "sample-cpu" },
	{ .name = "sample-identifier" },
	{ .name = "data" },
	{ .name = "period" },
	{ .name = "timestamp" },
	{ .name = "no-inherit" },
	{ .name = "all-kernel" },
	{ .name = "all-user" },
	{ .name = "stat" },
	{ .name = "namespaces" },
	{ .name = "all-cgroups" },
};

static const struct option_rule *find_rule(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_rules); i++) {
		if (len == strlen(option_rules[i].name) &&
		    !strncmp(name, option_rules[i].name, len))
			return &option_rules[i];
	}
	return NULL;
}

static bool was_seen(const struct kvm_agent_options *opts, const char *name)
{
	return opts->seen & (1ULL << (find_rule(name, strlen(name)) - option_rules));
}

static int check_option(struct kvm_agent_options *opts, const struct checks *checks,
			const char *option)
{
	const char *value = strchr(option, '=');
	const struct option_rule *rule = NULL;

	if (strstarts(option, "--"))
		rule = find_rule(option + 2, strcspn(option + 2, "="));
	if (!rule)
		return refused(checks->error,
			       "option '%.64s' is not one that the agent takes from a host",
			       option);
	if (!rule->check != !value)
		return refused(checks->error, "option --%s %s", rule->name,
			       value ? "takes no value" : "needs '=' and a value");
	if (!rule->repeats && was_seen(opts, rule->name))
		return refused(checks->error, "option --%s is there twice", rule->name);
	opts->seen |= 1ULL << (rule - option_rules);
	opts->target |= rule->target;
	return rule->check ? rule->check(checks, value + 1) : 0;
}

/* The command line */

static void push(struct kvm_agent_options *opts, const char *arg)
{
	opts->argv[opts->argc++] = arg;
}

/* Never left to perf, whose default knows nothing of the policy. */
static int add_event(struct kvm_agent_options *opts, const struct checks *checks)
{
	const char *event;

	if (was_seen(opts, "event"))
		return 0;
	event = kvm_pvpmu__default_event(perf_event_paranoid_check(1));
	if (check_events(checks, event))
		return refused(checks->error,
			       "without --event it is %s, which is not in the 'events' of the agent's policy: give --event",
			       event);
	scnprintf(opts->event, sizeof(opts->event), "--event=%s", event);
	push(opts, opts->event);
	return 0;
}

static int add_freq(struct kvm_agent_options *opts, const struct checks *checks)
{
	const u64 freq = min_t(u64, DEFAULT_FREQ, checks->policy->max_rate);

	if (was_seen(opts, "freq") && was_seen(opts, "count"))
		return refused(checks->error, "give one of --freq and --count");
	if (was_seen(opts, "freq") || was_seen(opts, "count"))
		return 0;
	scnprintf(opts->freq, sizeof(opts->freq), "--freq=%" PRIu64, freq);
	push(opts, opts->freq);
	return 0;
}

/* As add_event(). */
static int add_pages(struct kvm_agent_options *opts, const struct checks *checks)
{
	u64 pages = DEFAULT_PAGES;

	if (was_seen(opts, "mmap-pages"))
		return 0;
	while (pages && ring_bytes(checks, pages) > checks->policy->ring_memory)
		pages /= 2;
	if (!pages)
		return refused(checks->error,
			       "the policy's ring-memory, %" PRIu64 " bytes, is less than a page for each of %u CPUs",
			       checks->policy->ring_memory, checks->nr_cpus);
	scnprintf(opts->pages, sizeof(opts->pages), "--mmap-pages=%" PRIu64, pages);
	push(opts, opts->pages);
	return 0;
}

/* Leaves pos at the workload's --, or at the end. */
static int take_options(struct kvm_agent_options *opts, const struct checks *checks,
			const char **pos, const char *end)
{
	for (; *pos < end; *pos += strlen(*pos) + 1) {
		int err;

		if (!strcmp(*pos, "--"))
			return 0;
		err = check_option(opts, checks, *pos);
		if (err)
			return err;
		push(opts, *pos);
	}
	return 0;
}

static int take_workload(struct kvm_agent_options *opts, const struct checks *checks,
			 const char *pos, const char *end)
{
	if (pos == end)
		return 0;
	if (!checks->policy->workload)
		return refused(checks->error,
			       "the agent's policy has 'workload no': it runs no command for a host");
	if (pos + strlen(pos) + 1 == end)
		return refused(checks->error, "there is no command behind --");
	opts->target = true;
	for (; pos < end; pos += strlen(pos) + 1)
		push(opts, pos);
	return 0;
}

static size_t count_strings(const char *pos, const char *end)
{
	size_t nr = 0;

	for (; pos < end; pos += strlen(pos) + 1)
		nr++;
	return nr;
}

static int build(struct kvm_agent_options *opts, const struct checks *checks, size_t len)
{
	const char *pos = opts->text, *end = opts->text + len;
	int err;

	if (count_strings(pos, end) > KVM_AGENT_MAX_OPTIONS)
		return refused(checks->error, "there are more than %d options",
			       KVM_AGENT_MAX_OPTIONS);
	push(opts, "perf");
	push(opts, "record");
	push(opts, "--output=-");
	push(opts, KVM_AGENT_CHILD_CONTROL);
	err = take_options(opts, checks, &pos, end) ?: add_event(opts, checks) ?:
	      add_freq(opts, checks) ?: add_pages(opts, checks) ?:
	      take_workload(opts, checks, pos, end);
	if (!err && !opts->target)
		err = refused(checks->error,
			      "nothing says what to record: give --all-cpus, --cpu, --pid or --tid");
	return err;
}

int kvm_agent_options__init(struct kvm_agent_options *opts, const struct kvm_agent_policy *policy,
			    unsigned int nr_cpus, const void *text, size_t len,
			    struct kvm_agent_error *error)
{
	const struct checks checks = { policy, nr_cpus, error };
	int err;

	memset(opts, 0, sizeof(*opts));
	if (len && ((const char *)text)[len - 1])
		return refused(error, "the last option does not end");
	opts->text = len ? memdup(text, len) : strdup("");
	if (!opts->text)
		return kvm_agent_error__set(error, KVM_AGENT_E_FAILED, false, "no memory");
	err = build(opts, &checks, len);
	if (err)
		kvm_agent_options__exit(opts);
	return err;
}

void kvm_agent_options__exit(struct kvm_agent_options *opts)
{
	zfree(&opts->text);
}
