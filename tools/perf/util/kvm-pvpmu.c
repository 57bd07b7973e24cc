// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what the kernel says about pvpmu, KVM's paravirtual PMU: the names of
 * its events, the PMU in a guest's sysfs, and a vCPU's state in the host's
 * debugfs.
 */
#include "kvm-pvpmu.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bits.h>
#include <linux/kernel.h>
#include <api/fs/fs.h>
#include "debug.h"
#include "pmu.h"
#include "pmus.h"

static const char * const hw_names[] = {
#define KVM_PVPMU_HW_EVENT(id, name) \
	[KVM_PVPMU_HW_##id] = name,
#include "../../arch/x86/include/uapi/asm/kvm_pvpmu_events.h"
};

static const char * const pv_names[KVM_PVPMU_PV_MAX] = {
#define KVM_PVPMU_PV_EVENT(id, name) \
	[KVM_PVPMU_PV_##id] = name,
#include "../../arch/x86/include/uapi/asm/kvm_pvpmu_events.h"
};

/* As in the guest's sysfs, where perf's names would clash with the generic events. */
static const char * const cache_levels[KVM_PVPMU_CACHE_LEVELS] = {
	[KVM_PVPMU_CACHE_L1D]	= "l1d",
	[KVM_PVPMU_CACHE_L1I]	= "l1i",
	[KVM_PVPMU_CACHE_LL]	= "ll",
	[KVM_PVPMU_CACHE_DTLB]	= "dtlb",
	[KVM_PVPMU_CACHE_ITLB]	= "itlb",
	[KVM_PVPMU_CACHE_BPU]	= "bpu",
	[KVM_PVPMU_CACHE_NODE]	= "node",
};

static const char * const cache_ops[KVM_PVPMU_CACHE_OPS] = {
	[KVM_PVPMU_CACHE_READ]		= "read",
	[KVM_PVPMU_CACHE_WRITE]		= "write",
	[KVM_PVPMU_CACHE_PREFETCH]	= "prefetch",
};

const char *kvm_pvpmu__class_name(unsigned int class)
{
	static const char * const names[] = {
		[KVM_PVPMU_CLASS_HW]	= "hw",
		[KVM_PVPMU_CLASS_CACHE]	= "cache",
		[KVM_PVPMU_CLASS_RAW]	= "raw",
		[KVM_PVPMU_CLASS_PV]	= "pv",
	};

	return class < ARRAY_SIZE(names) ? names[class] : NULL;
}

const char *kvm_pvpmu__pv_event_name(unsigned int nr)
{
	return nr < ARRAY_SIZE(pv_names) ? pv_names[nr] : NULL;
}

int kvm_pvpmu__pv_event_nr(const char *name, size_t len)
{
	for (unsigned int nr = 0; nr < ARRAY_SIZE(pv_names); nr++) {
		const char *known = pv_names[nr];

		if (known && strlen(known) == len && !memcmp(known, name, len))
			return nr;
	}
	return -ENOENT;
}

static bool cache_event_name(unsigned int nr, char *bf, size_t size)
{
	unsigned int level = nr >> 3, op = (nr >> 1) & 3;
	bool miss = nr & KVM_PVPMU_CACHE_MISS;

	if (level >= ARRAY_SIZE(cache_levels) || op >= ARRAY_SIZE(cache_ops))
		return false;
	snprintf(bf, size, "cache-%s-%s%s", cache_levels[level], cache_ops[op],
		 miss ? "-miss" : "");
	return true;
}

static bool known_event_name(unsigned int class, unsigned int nr, char *bf, size_t size)
{
	const char *name = NULL;

	if (class == KVM_PVPMU_CLASS_CACHE)
		return cache_event_name(nr, bf, size);
	if (class == KVM_PVPMU_CLASS_HW && nr < ARRAY_SIZE(hw_names))
		name = hw_names[nr];
	if (class == KVM_PVPMU_CLASS_PV)
		name = kvm_pvpmu__pv_event_name(nr);
	if (!name)
		return false;
	snprintf(bf, size, "%s", name);
	return true;
}

/* An event of a newer kernel has no name here: then it is its class and number. */
int kvm_pvpmu__event_name(unsigned int class, unsigned int nr, char *bf, size_t size)
{
	const char *class_name = kvm_pvpmu__class_name(class);

	if (known_event_name(class, nr, bf, size))
		return 0;
	if (class_name)
		snprintf(bf, size, "%s:%u", class_name, nr);
	else
		snprintf(bf, size, "class%u:%u", class, nr);
	return -ENOENT;
}

int kvm_pvpmu__visit_events(kvm_pvpmu_event_cb cb, void *data)
{
	char name[64];

	for (unsigned int class = 0; class <= KVM_PVPMU_CLASS_PV; class++) {
		for (unsigned int nr = 0; nr < 64; nr++) {
			int err;

			if (!known_event_name(class, nr, name, sizeof(name)))
				continue;
			err = cb(class, nr, name, data);
			if (err)
				return err;
		}
	}
	return 0;
}

/* A whole token that is a number in range: no sign, no blank, no overflow. */
static int parse_u64(const char *token, u64 *val)
{
	char *end;

	if (!token || !isdigit((unsigned char)*token))
		return -EINVAL;
	errno = 0;
	*val = strtoull(token, &end, 0);
	return errno || *end ? -EINVAL : 0;
}

static int parse_value(const char *token, struct kvm_pvpmu_value *value)
{
	int err = parse_u64(token, &value->val);

	value->known = !err;
	return err;
}

/* The counter's line is a list of keys and values after its index. */
static int parse_counter(struct kvm_pvpmu_vcpu *vcpu, char **pos)
{
	struct kvm_pvpmu_counter counter = {};
	const struct {
		const char *key;
		u64 *val;
	} fields[] = {
		{ "evtsel",  &counter.evtsel },
		{ "value",   &counter.value },
		{ "enabled", &counter.enabled },
		{ "running", &counter.running },
	};
	u64 idx;

	if (vcpu->nr_used == ARRAY_SIZE(vcpu->used) ||
	    parse_u64(strsep(pos, " "), &idx) || idx >= KVM_PVPMU_MAX_COUNTERS)
		return -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *key = strsep(pos, " ");

		if (!key || strcmp(key, fields[i].key) ||
		    parse_u64(strsep(pos, " "), fields[i].val))
			return -EINVAL;
	}

	counter.idx = idx;
	vcpu->used[vcpu->nr_used++] = counter;
	return 0;
}

static int parse_total(struct kvm_pvpmu_vcpu *vcpu, char **pos)
{
	const char *name = strsep(pos, " ");
	struct kvm_pvpmu_value total;
	int nr;

	if (!name || parse_value(strsep(pos, " "), &total))
		return -EINVAL;
	nr = kvm_pvpmu__pv_event_nr(name, strlen(name));
	if (nr >= 0)
		vcpu->totals[nr] = total;
	return 0;
}

static int parse_line(struct kvm_pvpmu_vcpu *vcpu, char *line)
{
	const struct {
		const char *key;
		struct kvm_pvpmu_value *value;
	} fields[] = {
		{ "offered",	  &vcpu->offered },
		{ "version",	  &vcpu->version },
		{ "counters",	  &vcpu->counters },
		{ "width",	  &vcpu->width },
		{ "events_hw",	  &vcpu->events_hw },
		{ "events_cache", &vcpu->events_cache },
		{ "events_pv",	  &vcpu->events_pv },
		{ "ctrl",	  &vcpu->ctrl },
		{ "status",	  &vcpu->status },
	};
	const char *key = strsep(&line, " ");

	if (!strcmp(key, "counter"))
		return parse_counter(vcpu, &line);
	if (!strcmp(key, "total"))
		return parse_total(vcpu, &line);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!strcmp(key, fields[i].key))
			return parse_value(strsep(&line, " "), fields[i].value);
	}
	return 0;
}

/*
 * Takes the text of a vCPU's debugfs file apart, in place. Keys and events that
 * a newer kernel may add are skipped; a known line that is not understood, or
 * a last line without an end, means that nothing of the text can be trusted.
 */
int kvm_pvpmu_vcpu__parse(struct kvm_pvpmu_vcpu *vcpu, char *text)
{
	size_t len = strlen(text);
	char *line;

	memset(vcpu, 0, sizeof(*vcpu));
	if (!len || text[len - 1] != '\n')
		return -EINVAL;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (*line && parse_line(vcpu, line))
			return -EINVAL;
	}
	return vcpu->offered.known ? 0 : -EINVAL;
}

bool kvm_pvpmu_vcpu__counter_enabled(const struct kvm_pvpmu_vcpu *vcpu,
				     const struct kvm_pvpmu_counter *counter)
{
	return (counter->evtsel & KVM_PVPMU_EVTSEL_EN) &&
	       vcpu->ctrl.known && (vcpu->ctrl.val & BIT_ULL(counter->idx));
}

bool kvm_pvpmu_vcpu__counter_error(const struct kvm_pvpmu_vcpu *vcpu,
				   const struct kvm_pvpmu_counter *counter)
{
	return vcpu->status.known &&
	       (vcpu->status.val & KVM_PVPMU_STATUS_ERROR(counter->idx));
}

/* The text of an events/ file in sysfs: "event=0x1,class=0x3", in any order. */
int kvm_pvpmu_guest__parse_event(const char *text, unsigned int *class, unsigned int *nr)
{
	char buf[128], *pos = buf, *term;
	u64 val;

	if (snprintf(buf, sizeof(buf), "%.*s", (int)strcspn(text, "\n"), text) >=
	    (int)sizeof(buf))
		return -EINVAL;

	/* A term that sysfs leaves out is 0, as it is for perf. */
	*class = *nr = 0;
	while ((term = strsep(&pos, ",")) != NULL) {
		const char *key = strsep(&term, "=");

		if (parse_u64(term, &val))
			return -EINVAL;
		if (!strcmp(key, "event") && val < 64)
			*nr = val;
		else if (!strcmp(key, "class") && val <= KVM_PVPMU_CLASS_PV)
			*class = val;
		else
			return -EINVAL;
	}
	return 0;
}

static void read_caps(struct kvm_pvpmu_guest *guest)
{
	const struct {
		const char *name;
		struct kvm_pvpmu_value *value;
	} fields[] = {
		{ "version",	  &guest->version },
		{ "counters",	  &guest->counters },
		{ "width",	  &guest->width },
		{ "features",	  &guest->features },
		{ "events_hw",	  &guest->offered[KVM_PVPMU_CLASS_HW] },
		{ "events_cache", &guest->offered[KVM_PVPMU_CLASS_CACHE] },
		{ "events_pv",	  &guest->offered[KVM_PVPMU_CLASS_PV] },
	};
	struct perf_pmu_caps *cap;

	list_for_each_entry(cap, &guest->pmu->caps, list) {
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			if (!strcmp(cap->name, fields[i].name))
				parse_value(cap->value, fields[i].value);
		}
	}
}

static void read_event(struct kvm_pvpmu_guest *guest, const char *dir, const char *name)
{
	char path[PATH_MAX], *text;
	unsigned int class, nr;
	size_t size;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    filename__read_str(path, &text, &size))
		return;
	if (!kvm_pvpmu_guest__parse_event(text, &class, &nr))
		guest->available[class] |= BIT_ULL(nr);
	free(text);
}

static int read_events(struct kvm_pvpmu_guest *guest)
{
	char dir[PATH_MAX];
	struct dirent *entry;
	DIR *events;

	if (!perf_pmu__pathname_scnprintf(dir, sizeof(dir), guest->pmu->name, "events"))
		return -ENOENT;
	events = opendir(dir);
	if (!events)
		return -errno;
	while ((entry = readdir(events)) != NULL) {
		/* NAME.unit and the like are no events */
		if (!strchr(entry->d_name, '.'))
			read_event(guest, dir, entry->d_name);
	}
	closedir(events);
	return 0;
}

int kvm_pvpmu_guest__read(struct kvm_pvpmu_guest *guest, struct perf_pmu *pmu)
{
	memset(guest, 0, sizeof(*guest));
	guest->pmu = pmu;
	if (perf_pmu__caps_parse(pmu) < 0)
		return -EIO;
	read_caps(guest);
	return read_events(guest);
}

/* Can this guest sample by pvpmu, and by nothing that counts cycles? */
static bool samples_guest_time_only(void)
{
	const u64 needed = KVM_PVPMU_CAP_PAGE | KVM_PVPMU_CAP_OVERFLOW;
	struct perf_pmu *pmu = perf_pmus__find(KVM_PVPMU_GUEST_PMU);
	struct perf_pmu *cpu = perf_pmus__find("cpu");
	struct kvm_pvpmu_guest guest;

	if (!pmu || (cpu && perf_pmu__have_event(cpu, "cpu-cycles")))
		return false;
	if (kvm_pvpmu_guest__read(&guest, pmu))
		return false;
	return guest.features.known && (guest.features.val & needed) == needed &&
	       perf_pmu__have_event(pmu, "guest-ns");
}

/*
 * What perf record and perf top sample unless told otherwise.  In a guest whose
 * host has no PMU to share, cycles would end up as cpu-clock, by an hrtimer that
 * waits where interrupts are off; pvpmu's clock comes by NMI.
 */
const char *kvm_pvpmu__default_event(bool can_profile_kernel)
{
	if (can_profile_kernel && samples_guest_time_only()) {
		pr_warning("This host counts no cycles for the guest: sampling pvpmu/guest-ns/, time in guest mode.\n");
		return KVM_PVPMU_GUEST_PMU "/guest-ns/";
	}
	return can_profile_kernel ? "cycles:P" : "cycles:Pu";
}
