// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of one vCPU's paravirtual PMU: each exit counts at once, and each
 * register and each page has its value at once.  How KVM manages to look like
 * that is not known here; Documentation/virt/kvm/x86/pvpmu.rst is.
 *
 * What depends on time is only compared with what it was before.
 */
#include <string.h>
#include "pvpmu_model.h"

#define COUNTER_LIMIT		BIT_ULL(KVM_PVPMU_COUNTER_WIDTH)
#define LOW_HALF		0xffffffffull
#define ALL_BITS		(~0ull)

#define EVTSEL_ALL		(KVM_PVPMU_EVTSEL_EVENT | KVM_PVPMU_EVTSEL_CLASS | \
				 EVTSEL_BOTH | KVM_PVPMU_EVTSEL_INT | \
				 KVM_PVPMU_EVTSEL_EN)

/* Events of which the model sees each occurrence, or knows that none occurs. */
#define EXACT_EVENTS		(BIT_ULL(KVM_PVPMU_PV_EXITS_IO) | \
				 BIT_ULL(KVM_PVPMU_PV_EXITS_MSR) | \
				 BIT_ULL(KVM_PVPMU_PV_EXITS_CPUID) | \
				 BIT_ULL(KVM_PVPMU_PV_SELF_EXITS) | \
				 BIT_ULL(KVM_PVPMU_PV_EXITS_HLT) | \
				 BIT_ULL(KVM_PVPMU_PV_EXITS_PAUSE) | \
				 BIT_ULL(KVM_PVPMU_PV_EXITS_HYPERCALL) | \
				 BIT_ULL(KVM_PVPMU_PV_SELF_PMIS) | \
				 BIT_ULL(KVM_PVPMU_PV_IRQ_INJECTIONS) | \
				 BIT_ULL(KVM_PVPMU_PV_HALT_POLL_NS))

#define WORD(field)		(offsetof(struct kvm_pvpmu_page, field) / 8)
#define ENTRY_WORD(i, field)	(WORD(entries) + (i) * 8 + \
				 offsetof(struct kvm_pvpmu_entry, field) / 8)

#define HEADER_WORD		0	/* seq, and flags in the upper half */
#define MULT_WORD		2	/* mult and shift */
#define MULT_RESERVED		0xffffff0000000000ull

/* flags, in the upper half of the word that begins with overflows */
#define ENTRY_ERROR		((uint64_t)KVM_PVPMU_ENTRY_ERROR << 32)

/* Numbers and words. */

static void set_exact(struct model_number *number, uint64_t value)
{
	number->value = value;
	number->is_exact = true;
}

/* @is_still: it does not grow, so what is seen now is what it stays. */
static bool see_number(struct model_number *number, uint64_t actual, bool is_still)
{
	if (number->is_exact)
		return actual == number->value;
	if ((int64_t)(actual - number->value) < 0)
		return false;
	number->value = actual;
	number->is_exact = is_still;
	return true;
}

static void write_word(struct model_word *word, uint64_t value, uint64_t mask)
{
	word->value = value;
	word->mask = mask;
	word->grows = false;
}

static void write_number(struct model_word *word, const struct model_number *number)
{
	word->value = number->value;
	word->mask = ALL_BITS;
	word->grows = !number->is_exact;
}

static void forget_word(struct model_word *word)
{
	word->grows = false;
	word->mask = 0;
}

static bool see_word(struct model_word *word, uint64_t actual)
{
	bool agrees;

	if (word->grows)
		agrees = (int64_t)(actual - word->value) >= 0;
	else
		agrees = !((actual ^ word->value) & word->mask);
	if (agrees)
		write_word(word, actual, ALL_BITS);
	return agrees;
}

static bool disagree(struct pvpmu_model *model, const char *what,
		     uint64_t expected, uint64_t actual)
{
	model->what = what;
	model->expected = expected;
	model->actual = actual;
	return false;
}

/* The shape, and what follows from it. */

static unsigned int nr_counters(const struct pvpmu_model *model)
{
	return (model->shape.cap & KVM_PVPMU_CAP_COUNTERS) >>
		KVM_PVPMU_CAP_COUNTERS_SHIFT;
}

static bool has_feature(const struct pvpmu_model *model, uint64_t feature)
{
	return model->shape.cap & feature;
}

static uint64_t counters_mask(const struct pvpmu_model *model)
{
	return BIT_ULL(nr_counters(model)) - 1;
}

static uint64_t status_mask(const struct pvpmu_model *model)
{
	uint64_t mask = counters_mask(model);

	mask |= mask << KVM_PVPMU_STATUS_ERROR_SHIFT;
	if (has_feature(model, KVM_PVPMU_CAP_OVERFLOW))
		mask |= KVM_PVPMU_STATUS_THROTTLED;
	return mask;
}

static unsigned int evtsel_event(uint64_t evtsel)
{
	return evtsel & KVM_PVPMU_EVTSEL_EVENT;
}

static unsigned int evtsel_class(uint64_t evtsel)
{
	return (evtsel & KVM_PVPMU_EVTSEL_CLASS) >> KVM_PVPMU_EVTSEL_CLASS_SHIFT;
}

static bool is_offered(const struct pvpmu_model *model, uint64_t evtsel)
{
	unsigned int event = evtsel_event(evtsel);
	uint64_t masks[16] = {
		[KVM_PVPMU_CLASS_HW]	= model->shape.events_hw,
		[KVM_PVPMU_CLASS_CACHE]	= model->shape.events_cache,
		[KVM_PVPMU_CLASS_RAW]	= has_feature(model, KVM_PVPMU_CAP_RAW),
		[KVM_PVPMU_CLASS_PV]	= model->shape.events_pv,
	};

	return event < 64 && masks[evtsel_class(evtsel)] & BIT_ULL(event);
}

static bool is_own_event(uint64_t evtsel)
{
	return evtsel_class(evtsel) == KVM_PVPMU_CLASS_PV &&
	       (evtsel_event(evtsel) == KVM_PVPMU_PV_SELF_EXITS ||
		evtsel_event(evtsel) == KVM_PVPMU_PV_SELF_PMIS);
}

static bool has_valid_mode(uint64_t evtsel)
{
	uint64_t mode = evtsel & EVTSEL_BOTH;

	if (!(evtsel & KVM_PVPMU_EVTSEL_EN))
		return true;
	if (evtsel_class(evtsel) == KVM_PVPMU_CLASS_PV)
		return mode == EVTSEL_BOTH;
	return mode;
}

static bool is_valid_evtsel(const struct pvpmu_model *model, uint64_t evtsel)
{
	if (!evtsel)
		return true;
	if (evtsel & ~EVTSEL_ALL || !is_offered(model, evtsel) ||
	    !has_valid_mode(evtsel))
		return false;
	if (!(evtsel & KVM_PVPMU_EVTSEL_INT))
		return true;
	return has_feature(model, KVM_PVPMU_CAP_OVERFLOW) && !is_own_event(evtsel);
}

static bool is_valid_raw(const struct pvpmu_model *model, uint64_t raw)
{
	return !(raw & ~(has_feature(model, KVM_PVPMU_CAP_RAW) ?
			 model->shape.raw_bits : 0));
}

/* Counting. */

static bool is_counting(const struct pvpmu_model *model, unsigned int idx)
{
	uint64_t evtsel = model->counters[idx].evtsel;

	return model->ctrl & BIT_ULL(idx) && evtsel & KVM_PVPMU_EVTSEL_EN &&
	       evtsel_class(evtsel) == KVM_PVPMU_CLASS_PV;
}

static bool is_exact_event(unsigned int event)
{
	return event < 64 && EXACT_EVENTS & BIT_ULL(event);
}

/* Counting what the model cannot follow, or from where it does not know. */
static bool is_vague(const struct model_counter *counter)
{
	return !is_exact_event(evtsel_event(counter->evtsel)) ||
	       !counter->count.is_exact;
}

static struct model_word *entry_word(struct pvpmu_model *model, unsigned int word)
{
	return &model->frames[model->mapped][word];
}

static uint64_t entry_flags(const struct pvpmu_model *model, unsigned int idx)
{
	return model->status & KVM_PVPMU_STATUS_ERROR(idx) ? ENTRY_ERROR : 0;
}

static bool is_dirty(struct pvpmu_model *model, unsigned int idx)
{
	return entry_word(model, WORD(dirty))->value & BIT_ULL(idx);
}

/* Where an entry is dirty, its value is the guest's, to be loaded later. */
static void store_value(struct pvpmu_model *model, unsigned int idx)
{
	const struct model_number *count = &model->counters[idx].count;

	if (!is_dirty(model, idx))
		write_word(entry_word(model, ENTRY_WORD(idx, value)), count->value,
			   count->is_exact ? ALL_BITS : ~COUNTER_MASK);
}

static void store_entry(struct pvpmu_model *model, unsigned int idx)
{
	struct model_counter *counter = &model->counters[idx];
	uint64_t mask = ALL_BITS;

	store_value(model, idx);
	write_number(entry_word(model, ENTRY_WORD(idx, enabled)), &counter->enabled);
	write_number(entry_word(model, ENTRY_WORD(idx, running)), &counter->running);
	write_number(entry_word(model, ENTRY_WORD(idx, count)), &counter->grown);

	if (!counter->overflows.is_exact)
		mask &= ~LOW_HALF;
	if (model->status_unknown & KVM_PVPMU_STATUS_ERROR(idx))
		mask &= ~ENTRY_ERROR;
	write_word(entry_word(model, ENTRY_WORD(idx, overflows)),
		   counter->overflows.value | entry_flags(model, idx), mask);
}

/* A reload that is none is 0. */
static uint64_t read_reload(struct pvpmu_model *model, unsigned int idx)
{
	uint64_t reload;

	if (model->mapped < 0)
		return 0;
	reload = entry_word(model, ENTRY_WORD(idx, reload))->value;
	return reload > COUNTER_MASK ? 0 : reload;
}

/*
 * Whether and how long the host delays interrupts depends on time: from the
 * first one on, nothing but that the bit is sticky can be said.
 */
static void blur_throttled(struct pvpmu_model *model)
{
	if (model->interrupted && !(model->status & KVM_PVPMU_STATUS_THROTTLED))
		model->status_unknown |= KVM_PVPMU_STATUS_THROTTLED;
}

static void note_interrupt(struct pvpmu_model *model, unsigned int idx)
{
	if (model->counters[idx].evtsel & KVM_PVPMU_EVTSEL_INT)
		model->interrupted = true;
	blur_throttled(model);
}

static void overflow(struct pvpmu_model *model, unsigned int idx)
{
	struct model_counter *counter = &model->counters[idx];
	uint64_t reload = read_reload(model, idx);

	counter->count.value = reload ? COUNTER_LIMIT - reload : 0;
	counter->overflows.value = (counter->overflows.value + 1) & LOW_HALF;
	model->status |= KVM_PVPMU_STATUS_OVERFLOW(idx);
	model->status_unknown &= ~KVM_PVPMU_STATUS_OVERFLOW(idx);
	model->overflowed |= BIT_ULL(idx);
	note_interrupt(model, idx);
}

static void grow(struct pvpmu_model *model, unsigned int idx)
{
	struct model_counter *counter = &model->counters[idx];

	counter->grown.value++;
	if (++counter->count.value == COUNTER_LIMIT)
		overflow(model, idx);
}

/* The host may have stored it. */
static void blur_entry(struct pvpmu_model *model, unsigned int idx)
{
	if (!is_dirty(model, idx))
		forget_word(entry_word(model, ENTRY_WORD(idx, value)));
	forget_word(entry_word(model, ENTRY_WORD(idx, enabled)));
	forget_word(entry_word(model, ENTRY_WORD(idx, running)));
	entry_word(model, ENTRY_WORD(idx, count))->grows = true;
	forget_word(entry_word(model, ENTRY_WORD(idx, overflows)));
}

/* It may have grown, overflowed and been stored any number of times. */
static void blur(struct pvpmu_model *model, unsigned int idx)
{
	struct model_counter *counter = &model->counters[idx];

	counter->count.is_exact = false;
	counter->grown.is_exact = false;
	counter->overflows.is_exact = false;
	if (!(model->status & KVM_PVPMU_STATUS_OVERFLOW(idx)))
		model->status_unknown |= KVM_PVPMU_STATUS_OVERFLOW(idx);
	note_interrupt(model, idx);

	if (model->mapped >= 0)
		blur_entry(model, idx);
}

static void pass_time(struct pvpmu_model *model)
{
	unsigned int i;

	blur_throttled(model);
	for (i = 0; i < nr_counters(model); i++) {
		if (!is_counting(model, i))
			continue;
		model->counters[i].enabled.is_exact = false;
		model->counters[i].running.is_exact = false;
		if (is_vague(&model->counters[i]))
			blur(model, i);
	}
}

static void count_exit(struct pvpmu_model *model, unsigned int event)
{
	unsigned int i;

	pass_time(model);
	for (i = 0; i < nr_counters(model); i++) {
		if (is_counting(model, i) && !is_vague(&model->counters[i]) &&
		    evtsel_event(model->counters[i].evtsel) == event)
			grow(model, i);
	}
	model->unpublished[event]++;
}

/* The page. */

static int find_frame(uint64_t page)
{
	uint64_t frame = (page - PVPMU_FRAMES_GPA) / KVM_PVPMU_PAGE_SIZE;

	return page >= PVPMU_FRAMES_GPA && frame < PVPMU_FRAMES ? (int)frame : -1;
}

static void adopt_number(struct model_number *number, const struct model_word *word,
			 uint64_t mask)
{
	number->value = word->value & mask;
	number->is_exact = !word->grows && (word->mask & mask) == mask;
}

static void adopt_entry(struct pvpmu_model *model, unsigned int idx)
{
	struct model_counter *counter = &model->counters[idx];

	adopt_number(&counter->grown, entry_word(model, ENTRY_WORD(idx, count)),
		     ALL_BITS);
	adopt_number(&counter->overflows,
		     entry_word(model, ENTRY_WORD(idx, overflows)), LOW_HALF);
	store_entry(model, idx);
}

/* By how much the page's vm-exits are more than the sum of their causes. */
static void adopt_excess(struct pvpmu_model *model)
{
	unsigned int event;

	set_exact(&model->excess, 0);
	for (event = KVM_PVPMU_PV_VM_EXITS; event <= KVM_PVPMU_PV_EXITS_OTHER; event++) {
		const struct model_word *word = entry_word(model, WORD(totals) + event);

		if (word->grows || !(model->shape.events_pv & BIT_ULL(event)))
			model->excess.is_exact = false;
		if (event == KVM_PVPMU_PV_VM_EXITS)
			model->excess.value += word->value;
		else
			model->excess.value -= word->value;
	}
}

static void adopt_totals(struct pvpmu_model *model)
{
	unsigned int event;

	adopt_excess(model);
	for (event = 0; event < KVM_PVPMU_PAGE_TOTALS; event++) {
		struct model_word *word = entry_word(model, WORD(totals) + event);

		if (!(model->shape.events_pv & BIT_ULL(event)))
			write_word(word, 0, ALL_BITS);
	}
}

static void map_page(struct pvpmu_model *model)
{
	unsigned int i;

	memset(model->unpublished, 0, sizeof(model->unpublished));
	model->must_map = false;
	model->mapped = find_frame(model->page);
	if (model->mapped < 0)
		return;
	adopt_totals(model);
	for (i = 0; i < nr_counters(model); i++)
		adopt_entry(model, i);
}

static void publish_total(struct pvpmu_model *model, unsigned int event)
{
	struct model_word *word = entry_word(model, WORD(totals) + event);

	if (!(model->shape.events_pv & BIT_ULL(event)))
		return;
	word->value += model->unpublished[event];
	model->unpublished[event] = 0;
	word->grows = !is_exact_event(event);
}

static void store_overflowed(struct pvpmu_model *model)
{
	unsigned int i;

	for (i = 0; i < nr_counters(model); i++) {
		if (model->overflowed & BIT_ULL(i))
			store_entry(model, i);
	}
	model->overflowed = 0;
}

static void publish_totals(struct pvpmu_model *model)
{
	unsigned int event;

	for (event = 0; event < KVM_PVPMU_PAGE_TOTALS; event++)
		publish_total(model, event);
}

/* Nothing but that seq is even, and flags valid. */
static void write_header(struct pvpmu_model *model)
{
	write_word(entry_word(model, HEADER_WORD),
		   (uint64_t)KVM_PVPMU_PAGE_VALID << 32,
		   ~((uint64_t)KVM_PVPMU_PAGE_TSC << 32) & ~(LOW_HALF - 1));
}

static void blur_erroneous(struct pvpmu_model *model)
{
	unsigned int i;

	for (i = 0; i < nr_counters(model); i++) {
		if (model->flags_unknown & BIT_ULL(i))
			blur_entry(model, i);
	}
	model->flags_unknown = 0;
}

/* What the host writes before each VM entry, of which there are more than seen. */
static void publish(struct pvpmu_model *model)
{
	if (model->mapped < 0) {
		model->overflowed = 0;
		return;
	}

	blur_throttled(model);
	write_header(model);
	store_overflowed(model);
	publish_totals(model);
	blur_erroneous(model);
	write_word(entry_word(model, WORD(tsc)), 0, 0);
	write_word(entry_word(model, MULT_WORD), 0, MULT_RESERVED);
	write_word(entry_word(model, WORD(status)), model->status,
		   ~model->status_unknown);
}

static bool set_page(struct pvpmu_model *model, uint64_t value, bool is_host)
{
	if (!has_feature(model, KVM_PVPMU_CAP_PAGE))
		return is_host && !value;
	if (value & (KVM_PVPMU_PAGE_SIZE - 1) & ~KVM_PVPMU_PAGE_ENABLE)
		return false;
	if (!(value & KVM_PVPMU_PAGE_ENABLE))
		value = 0;
	else if (!is_host && find_frame(value) < 0)
		return false;

	model->page = value;
	model->mapped = -1;
	model->must_map = true;
	return true;
}

/* The registers. */

/* Unlike a VMM, the guest meets #GP wherever it writes what KVM keeps. */
static bool set_time(struct model_counter *counter, struct model_number *number,
		     uint64_t value, bool is_host)
{
	if (!is_host)
		return false;
	set_exact(number, value);
	counter->times_differ = true;
	return true;
}

static bool set_model(uint64_t value, uint64_t model, bool is_host)
{
	return is_host && value == model;
}

/* Entries follow their counter's ERROR when they are stored, or before. */
static void change_status(struct pvpmu_model *model, uint64_t value)
{
	uint64_t changed = (value ^ model->status) >> KVM_PVPMU_STATUS_ERROR_SHIFT;

	model->flags_unknown |= changed & counters_mask(model);
	model->status = value;
}

static void clear_status_bits(struct pvpmu_model *model, uint64_t bits)
{
	change_status(model, model->status & ~bits);
	model->status_unknown &= ~bits;
}

static void clear_error(struct pvpmu_model *model, unsigned int idx)
{
	clear_status_bits(model, KVM_PVPMU_STATUS_ERROR(idx));
}

static bool set_evtsel(struct pvpmu_model *model, unsigned int idx, uint64_t value,
		       bool is_host)
{
	if (!is_valid_evtsel(model, value))
		return false;
	model->counters[idx].evtsel = value;
	if (!is_host)
		clear_error(model, idx);
	return true;
}

static bool set_count(struct model_counter *counter, uint64_t value)
{
	if (value > COUNTER_MASK)
		return false;
	set_exact(&counter->count, value);
	return true;
}

static bool set_raw(struct pvpmu_model *model, unsigned int idx, uint64_t value,
		    bool is_host)
{
	if (!has_feature(model, KVM_PVPMU_CAP_RAW))
		return is_host && !value;
	if (!is_valid_raw(model, value))
		return false;
	model->counters[idx].raw = value;
	return true;
}

static bool set_counter_register(struct pvpmu_model *model, uint32_t offset,
				 uint64_t value, bool is_host)
{
	unsigned int idx = offset & 0xf;
	struct model_counter *counter = &model->counters[idx];

	if (idx >= nr_counters(model))
		return is_host && !value;

	switch (MSR_KVM_PVPMU_BASE + (offset & ~0xf)) {
	case MSR_KVM_PVPMU_EVTSEL(0):
		return set_evtsel(model, idx, value, is_host);
	case MSR_KVM_PVPMU_COUNTER(0):
		return set_count(counter, value);
	case MSR_KVM_PVPMU_ENABLED_NS(0):
		return set_time(counter, &counter->enabled, value, is_host);
	case MSR_KVM_PVPMU_RUNNING_NS(0):
		return set_time(counter, &counter->running, value, is_host);
	default:
		return set_raw(model, idx, value, is_host);
	}
}

/* Where the host may have stored a value, the guest saw what kind it is. */
static uint64_t value_to_load(const struct pvpmu_model *model, unsigned int idx,
			      const struct model_word *word)
{
	unsigned int bit = model->mapped * KVM_PVPMU_MAX_COUNTERS + idx;

	if (word->mask == ALL_BITS)
		return word->value;
	return model->wide_values & BIT_ULL(bit) ? COUNTER_LIMIT :
	       word->value & COUNTER_MASK;
}

static bool load_entry(struct pvpmu_model *model, unsigned int idx,
		       const struct model_word *words)
{
	struct model_counter *counter = &model->counters[idx];
	uint64_t value = value_to_load(model, idx, &words[1]);
	uint64_t evtsel = words[0].value, raw = words[3].value;

	if (!is_valid_evtsel(model, evtsel) || !is_valid_raw(model, raw) ||
	    value > COUNTER_MASK)
		return false;
	counter->evtsel = evtsel;
	counter->raw = raw;
	set_count(counter, value);
	/* What the host stored last, if that is not known. */
	counter->count.is_exact = words[1].mask == ALL_BITS;
	clear_error(model, idx);
	return true;
}

static void reject_entry(struct pvpmu_model *model, unsigned int idx)
{
	struct model_word *flags = entry_word(model, ENTRY_WORD(idx, overflows));

	model->counters[idx].evtsel = 0;
	model->status |= KVM_PVPMU_STATUS_ERROR(idx);
	model->status_unknown &= ~KVM_PVPMU_STATUS_ERROR(idx);
	model->flags_unknown &= ~BIT_ULL(idx);
	blur_entry(model, idx);
	flags->value |= ENTRY_ERROR;
	flags->mask |= ENTRY_ERROR;
}

/*
 * What the guest wrote into an entry is taken before what the host has for it
 * is stored there.
 */
static void ring_doorbell(struct pvpmu_model *model, uint64_t ctrl)
{
	struct model_word *dirty = entry_word(model, WORD(dirty));
	uint64_t load = dirty->value & ctrl;
	struct model_word words[KVM_PVPMU_MAX_COUNTERS][4];
	unsigned int i;

	for (i = 0; i < nr_counters(model); i++) {
		memcpy(words[i], entry_word(model, ENTRY_WORD(i, evtsel)),
		       sizeof(words[i]));
		if (is_counting(model, i))
			store_entry(model, i);
	}

	dirty->value &= ~load;
	for (i = 0; i < nr_counters(model); i++) {
		if (load & BIT_ULL(i) && !load_entry(model, i, words[i]))
			reject_entry(model, i);
	}
}

static bool set_ctrl(struct pvpmu_model *model, uint64_t value, bool is_host)
{
	uint64_t started = value & ~model->ctrl;
	unsigned int i;

	if (value & ~counters_mask(model))
		return false;
	if (model->mapped >= 0 && !is_host)
		ring_doorbell(model, value);
	model->ctrl = value;
	for (i = 0; i < nr_counters(model) && !is_host; i++) {
		if (started & BIT_ULL(i) && is_counting(model, i))
			clear_error(model, i);
	}
	return true;
}

static bool set_status(struct pvpmu_model *model, uint64_t value, bool is_host)
{
	if (!is_host || value & ~status_mask(model))
		return false;
	change_status(model, value);
	model->status_unknown = 0;
	model->flags_unknown = counters_mask(model);
	return true;
}

static bool clear_status(struct pvpmu_model *model, uint64_t value)
{
	if (value & ~status_mask(model))
		return false;
	clear_status_bits(model, value);
	return true;
}

static bool set_register(struct pvpmu_model *model, uint32_t msr, uint64_t value,
			 bool is_host)
{
	switch (msr) {
	case MSR_KVM_PVPMU_CAP:
		return set_model(value, model->shape.cap, is_host);
	case MSR_KVM_PVPMU_EVENTS_HW:
		return set_model(value, model->shape.events_hw, is_host);
	case MSR_KVM_PVPMU_EVENTS_CACHE:
		return set_model(value, model->shape.events_cache, is_host);
	case MSR_KVM_PVPMU_EVENTS_PV:
		return set_model(value, model->shape.events_pv, is_host);
	case MSR_KVM_PVPMU_GLOBAL_CTRL:
		return set_ctrl(model, value, is_host);
	case MSR_KVM_PVPMU_GLOBAL_STATUS:
		return set_status(model, value, is_host);
	case MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return clear_status(model, value);
	case MSR_KVM_PVPMU_PAGE:
		return set_page(model, value, is_host);
	case MSR_KVM_PVPMU_EVTSEL(0) ... MSR_KVM_PVPMU_LAST:
		return set_counter_register(model, msr - MSR_KVM_PVPMU_BASE, value,
					    is_host);
	default:
		return false;
	}
}

static bool exists(const struct pvpmu_model *model, uint32_t msr)
{
	switch (msr) {
	case MSR_KVM_PVPMU_CAP ... MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return true;
	case MSR_KVM_PVPMU_PAGE:
		return has_feature(model, KVM_PVPMU_CAP_PAGE);
	case MSR_KVM_PVPMU_RAW(0) ... MSR_KVM_PVPMU_LAST:
		return has_feature(model, KVM_PVPMU_CAP_RAW) &&
		       (msr & 0xf) < nr_counters(model);
	case MSR_KVM_PVPMU_EVTSEL(0) ... MSR_KVM_PVPMU_RAW(0) - 1:
		return (msr & 0xf) < nr_counters(model);
	default:
		return false;
	}
}

/* Of these a VMM reads 0 where they do not exist. */
static bool is_carried(uint32_t msr)
{
	return (msr >= MSR_KVM_PVPMU_BASE && msr <= MSR_KVM_PVPMU_PAGE) ||
	       (msr >= MSR_KVM_PVPMU_EVTSEL(0) && msr <= MSR_KVM_PVPMU_LAST);
}

static bool see_exact(struct pvpmu_model *model, uint64_t expected, uint64_t actual)
{
	return actual == expected || disagree(model, "value", expected, actual);
}

/* With a reload it may have gone back, any number of times. */
static bool see_count(struct pvpmu_model *model, unsigned int idx, uint64_t actual)
{
	struct model_number *count = &model->counters[idx].count;

	if (count->is_exact)
		return see_exact(model, count->value, actual);
	if (actual > COUNTER_MASK)
		return disagree(model, "more than W bits", COUNTER_MASK, actual);
	set_exact(count, actual);
	count->is_exact = !is_counting(model, idx);
	return true;
}

static bool see_status(struct pvpmu_model *model, uint64_t actual)
{
	uint64_t unknown = model->status_unknown;
	unsigned int i;

	if ((actual ^ model->status) & ~unknown)
		return disagree(model, "status", model->status, actual);
	model->status = actual;
	model->status_unknown = 0;
	for (i = 0; i < nr_counters(model); i++) {
		if (is_counting(model, i) && is_vague(&model->counters[i]))
			model->status_unknown |= unknown & ~actual & BIT_ULL(i);
	}
	return true;
}

static bool see_time(struct pvpmu_model *model, unsigned int idx,
		     struct model_number *number, uint64_t actual)
{
	const struct model_counter *counter = &model->counters[idx];

	if (!see_number(number, actual, !is_counting(model, idx)))
		return disagree(model, number->is_exact ? "time, which stands still" :
				"time, which went back", number->value, actual);
	if (counter->times_differ || !counter->enabled.is_exact ||
	    !counter->running.is_exact ||
	    counter->enabled.value == counter->running.value)
		return true;
	return disagree(model, "enabled and running", counter->enabled.value,
			counter->running.value);
}

static bool see_counter_register(struct pvpmu_model *model, uint32_t offset,
				 uint64_t actual)
{
	unsigned int idx = offset & 0xf;
	struct model_counter *counter = &model->counters[idx];

	switch (MSR_KVM_PVPMU_BASE + (offset & ~0xf)) {
	case MSR_KVM_PVPMU_EVTSEL(0):
		return see_exact(model, counter->evtsel, actual);
	case MSR_KVM_PVPMU_COUNTER(0):
		return see_count(model, idx, actual);
	case MSR_KVM_PVPMU_ENABLED_NS(0):
		return see_time(model, idx, &counter->enabled, actual);
	case MSR_KVM_PVPMU_RUNNING_NS(0):
		return see_time(model, idx, &counter->running, actual);
	default:
		return see_exact(model, counter->raw, actual);
	}
}

static bool see_register(struct pvpmu_model *model, uint32_t msr, uint64_t actual)
{
	switch (msr) {
	case MSR_KVM_PVPMU_CAP:
		return see_exact(model, model->shape.cap, actual);
	case MSR_KVM_PVPMU_EVENTS_HW:
		return see_exact(model, model->shape.events_hw, actual);
	case MSR_KVM_PVPMU_EVENTS_CACHE:
		return see_exact(model, model->shape.events_cache, actual);
	case MSR_KVM_PVPMU_EVENTS_PV:
		return see_exact(model, model->shape.events_pv, actual);
	case MSR_KVM_PVPMU_GLOBAL_CTRL:
		return see_exact(model, model->ctrl, actual);
	case MSR_KVM_PVPMU_GLOBAL_STATUS:
		return see_status(model, actual);
	case MSR_KVM_PVPMU_GLOBAL_STATUS_CLR:
		return see_exact(model, 0, actual);
	case MSR_KVM_PVPMU_PAGE:
		return see_exact(model, model->page, actual);
	default:
		return see_counter_register(model, msr - MSR_KVM_PVPMU_BASE, actual);
	}
}

/* The guest. */

static bool see_success(struct pvpmu_model *model, bool is_expected, bool actual)
{
	return is_expected == actual ||
	       disagree(model, "success", is_expected, actual);
}

static void count_msr_exit(struct pvpmu_model *model, uint32_t msr)
{
	bool is_own = msr >= MSR_KVM_PVPMU_BASE && msr <= MSR_KVM_PVPMU_LAST;

	count_exit(model, is_own ? KVM_PVPMU_PV_SELF_EXITS : KVM_PVPMU_PV_EXITS_MSR);
}

static bool guest_rdmsr(struct pvpmu_model *model, uint32_t msr,
			const struct pvpmu_result *result)
{
	bool works = exists(model, msr);

	count_msr_exit(model, msr);
	if (!see_success(model, works, !result->failed))
		return false;
	return !works || see_register(model, msr, result->value);
}

/*
 * Whether an overflow by the very exit that changes the page finds its reload
 * in the old page or in the new one is not said.
 */
static void change_page(struct pvpmu_model *model)
{
	unsigned int i;

	map_page(model);
	for (i = 0; i < nr_counters(model); i++) {
		if (model->overflowed & BIT_ULL(i))
			blur(model, i);
	}
}

static bool guest_wrmsr(struct pvpmu_model *model, uint32_t msr, uint64_t value,
			const struct pvpmu_result *result)
{
	bool works;

	count_msr_exit(model, msr);
	model->wide_values = result->value;
	works = set_register(model, msr, value, false);
	if (model->must_map)
		change_page(model);
	return see_success(model, works, !result->failed);
}

static bool guest_exits(struct pvpmu_model *model, unsigned int event,
			unsigned int n)
{
	while (n--) {
		count_exit(model, event);
		publish(model);
	}
	return true;
}

static struct model_word *word_at(struct pvpmu_model *model, uint32_t offset)
{
	return &model->frames[offset / KVM_PVPMU_PAGE_SIZE]
			     [offset % KVM_PVPMU_PAGE_SIZE / sizeof(uint64_t)];
}

static bool see_page(struct pvpmu_model *model, uint32_t offset, uint64_t actual)
{
	struct model_word *word = word_at(model, offset);

	if (see_word(word, actual))
		return true;
	model->in_page = true;
	model->offset = offset;
	return disagree(model, word->grows ? "went back" : "value", word->value,
			actual);
}

static bool do_guest_op(struct pvpmu_model *model, const struct pvpmu_op *op,
			const struct pvpmu_result *result)
{
	switch (op->type) {
	case OP_RDMSR:
		return guest_rdmsr(model, op->arg, result);
	case OP_WRMSR:
		return guest_wrmsr(model, op->arg, op->value, result);
	case OP_CPUID:
		return guest_exits(model, KVM_PVPMU_PV_EXITS_CPUID, op->arg);
	case OP_OUT:
	case OP_OUT_USER:
		return guest_exits(model, KVM_PVPMU_PV_EXITS_IO, op->arg);
	case OP_OTHER_MSR:
		return guest_exits(model, KVM_PVPMU_PV_EXITS_MSR, op->arg);
	case OP_PAGE_READ:
		return see_page(model, op->arg, result->value);
	default:
		write_word(word_at(model, op->arg), op->value, ALL_BITS);
		return true;
	}
}

bool pvpmu_model_guest_op(struct pvpmu_model *model, const struct pvpmu_op *op,
			  const struct pvpmu_result *result)
{
	bool agrees;

	pass_time(model);
	agrees = do_guest_op(model, op, result);
	publish(model);
	return agrees;
}

/* The VMM. */

void pvpmu_model_enter(struct pvpmu_model *model)
{
	unsigned int i;

	pass_time(model);
	if (model->must_map)
		map_page(model);

	/* ERROR bits are found anew. */
	for (i = 0; i < nr_counters(model); i++) {
		if (is_counting(model, i))
			clear_error(model, i);
	}
	publish(model);
}

void pvpmu_model_leave(struct pvpmu_model *model)
{
	pass_time(model);
	publish(model);
}

/* What is read may be saved, and the page with it: it must not lag behind. */
static void store_for_vmm(struct pvpmu_model *model)
{
	unsigned int i;

	if (model->mapped < 0)
		return;
	write_header(model);
	publish_totals(model);
	for (i = 0; i < nr_counters(model); i++)
		store_entry(model, i);
}

bool pvpmu_model_get(struct pvpmu_model *model, uint32_t msr,
		     const struct pvpmu_result *result)
{
	bool works = exists(model, msr);

	pass_time(model);
	if (!see_success(model, works || is_carried(msr), !result->failed))
		return false;
	if (is_carried(msr))
		store_for_vmm(model);
	if (!works)
		return result->failed || see_exact(model, 0, result->value);
	return see_register(model, msr, result->value);
}

bool pvpmu_model_set(struct pvpmu_model *model, uint32_t msr, uint64_t value,
		     const struct pvpmu_result *result)
{
	pass_time(model);
	return see_success(model, set_register(model, msr, value, true),
			   !result->failed);
}

/* Of a counter that counts, the two times were read one after the other. */
void pvpmu_model_migrate(struct pvpmu_model *model)
{
	unsigned int i;

	for (i = 0; i < nr_counters(model); i++) {
		if (is_counting(model, i))
			model->counters[i].times_differ = true;
	}
	model->mapped = -1;
	model->must_map = true;
}

/* An entry's times are stored together. */
static bool check_times(struct pvpmu_model *model, const uint64_t *words)
{
	unsigned int i;

	for (i = 0; i < nr_counters(model); i++) {
		uint64_t enabled = words[ENTRY_WORD(i, enabled)];
		uint64_t running = words[ENTRY_WORD(i, running)];

		if (!model->counters[i].times_differ && enabled != running)
			return disagree(model, "enabled and running", enabled,
					running);
	}
	return true;
}

/* Each exit counts once in vm-exits, and once by its cause. */
static bool check_causes(struct pvpmu_model *model, const uint64_t *words)
{
	uint64_t excess = words[WORD(totals) + KVM_PVPMU_PV_VM_EXITS];
	unsigned int event;

	if (!model->excess.is_exact)
		return true;
	for (event = KVM_PVPMU_PV_EXITS_IO; event <= KVM_PVPMU_PV_EXITS_OTHER; event++)
		excess -= words[WORD(totals) + event];
	return excess == model->excess.value ||
	       disagree(model, "vm-exits beyond their causes", model->excess.value,
			excess);
}

bool pvpmu_model_check_frame(struct pvpmu_model *model, unsigned int frame,
			     const uint64_t *words)
{
	unsigned int i;

	if (model->mapped == (int)frame &&
	    (!check_times(model, words) || !check_causes(model, words)))
		return false;
	for (i = 0; i < PVPMU_FRAME_WORDS; i++) {
		uint32_t offset = frame * KVM_PVPMU_PAGE_SIZE + i * sizeof(uint64_t);

		if (!see_page(model, offset, words[i]))
			return false;
	}
	return true;
}

bool pvpmu_model_may_fill(const struct pvpmu_model *model, unsigned int frame)
{
	return find_frame(model->page) != (int)frame;
}

void pvpmu_model_fill(struct pvpmu_model *model, unsigned int frame,
		      const uint64_t *words)
{
	unsigned int i;

	for (i = 0; i < PVPMU_FRAME_WORDS; i++)
		write_word(&model->frames[frame][i], words[i], ALL_BITS);
}

void pvpmu_model_init(struct pvpmu_model *model, const struct pvpmu_shape *shape)
{
	unsigned int frame, i;

	memset(model, 0, sizeof(*model));
	model->shape = *shape;
	model->mapped = -1;
	for (i = 0; i < KVM_PVPMU_MAX_COUNTERS; i++) {
		set_exact(&model->counters[i].count, 0);
		set_exact(&model->counters[i].enabled, 0);
		set_exact(&model->counters[i].running, 0);
	}
	for (frame = 0; frame < PVPMU_FRAMES; frame++) {
		for (i = 0; i < PVPMU_FRAME_WORDS; i++)
			write_word(&model->frames[frame][i], 0, ALL_BITS);
	}
}
