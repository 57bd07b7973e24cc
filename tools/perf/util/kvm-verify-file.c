// SPDX-License-Identifier: GPL-2.0
/* Reads a merged file, in the order of time, for what kvm-verify.c wants to know. */
#include "kvm-verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include "data.h"
#include "debug.h"
#include "event.h"
#include "evlist.h"
#include "evsel.h"
#include "sample.h"
#include "session.h"
#include "tool.h"
#ifdef HAVE_LIBTRACEEVENT
#include <traceevent/event-parse.h>
#endif

struct verify_tool {
	struct perf_tool	tool;
	struct kvm_verify	*verify;
};

#ifdef HAVE_LIBTRACEEVENT
/* A guest's events may have any name: their samples are not looked at by it. */
static bool is_kvm_event(const struct evsel *evsel, const char *name)
{
	const struct tep_event *format = evsel->tp_format;

	return evsel->core.attr.type == PERF_TYPE_TRACEPOINT && format &&
	       !strcmp(format->system, "kvm") && !strcmp(format->name, name);
}

/* False: this event of this kernel does not tell. */
static bool get_vcpu(struct evsel *evsel, struct perf_sample *sample, u32 *vcpu)
{
	struct tep_format_field *field = evsel__field(evsel, "vcpu_id");

	if (!field || field->offset < 0 || field->size < 1 || field->size > 8 ||
	    (u64)field->offset + field->size > sample->raw_size)
		return false;
	*vcpu = evsel__intval(evsel, sample, "vcpu_id");
	return true;
}
#else
static bool is_kvm_event(const struct evsel *evsel __maybe_unused, const char *name __maybe_unused)
{
	return false;
}

static bool get_vcpu(struct evsel *evsel __maybe_unused, struct perf_sample *sample __maybe_unused,
		     u32 *vcpu __maybe_unused)
{
	return false;
}
#endif

static int see_host(struct kvm_verify *verify, struct evsel *evsel, struct perf_sample *sample)
{
	bool is_entry = is_kvm_event(evsel, "kvm_entry");
	u32 vcpu;

	if (!is_entry && !is_kvm_event(evsel, "kvm_exit"))
		return 0;
	if (!get_vcpu(evsel, sample, &vcpu))
		return 0;
	if (is_entry)
		verify->has_entry = true;
	else
		verify->has_exit = true;
	return is_entry ? kvm_verify__enter(verify, sample->pid, vcpu, sample->time) :
			  kvm_verify__leave(verify, sample->pid, vcpu, sample->time);
}

static int see_sample(const struct perf_tool *tool, union perf_event *event __maybe_unused,
		      struct perf_sample *sample, struct evsel *evsel,
		      struct machine *machine __maybe_unused)
{
	struct kvm_verify *verify = container_of(tool, struct verify_tool, tool)->verify;

	if (!sample->machine_pid)
		return see_host(verify, evsel, sample);
	if ((s32)sample->vcpu >= 0)
		return kvm_verify__sample(verify, sample->machine_pid, sample->vcpu, sample->time);
	verify->no_vcpu++;
	return 0;
}

static int see_lost(const struct perf_tool *tool, union perf_event *event,
		    struct perf_sample *sample, struct machine *machine __maybe_unused)
{
	struct kvm_verify *verify = container_of(tool, struct verify_tool, tool)->verify;

	if (sample->machine_pid)
		return 0;
	verify->lost += event->lost.lost;
	kvm_verify__lose(verify);
	return 0;
}

static int see_lost_samples(const struct perf_tool *tool, union perf_event *event,
			    struct perf_sample *sample, struct machine *machine __maybe_unused)
{
	struct kvm_verify *verify = container_of(tool, struct verify_tool, tool)->verify;

	if (!sample->machine_pid && !(event->header.misc & PERF_RECORD_MISC_LOST_SAMPLES_BPF))
		verify->lost_samples += event->lost_samples.lost;
	return 0;
}

static void init_tool(struct perf_tool *tool)
{
	perf_tool__init(tool, /*ordered_events=*/true);
	tool->sample		= see_sample;
	tool->lost		= see_lost;
	tool->lost_samples	= see_lost_samples;
	tool->attr		= perf_event__process_attr;
	tool->event_update	= perf_event__process_event_update;
	tool->tracing_data	= perf_event__process_tracing_data;
	tool->feature		= perf_event__process_feature;
	tool->id_index		= perf_event__process_id_index;
	tool->ordering_requires_timestamps = true;
	tool->dont_split_sample_group = true;
}

/* Says what is wrong; the caller exits it in any case. */
int kvm_verify__file(struct kvm_verify *verify, const char *path)
{
	struct perf_data data = { .path = path, .mode = PERF_DATA_MODE_READ };
	struct verify_tool tool = { .verify = verify };
	struct perf_session *session;
	int err;

	init_tool(&tool.tool);
	session = perf_session__new(&data, &tool.tool);
	if (IS_ERR(session)) {
		pr_err("%s: cannot be read as a recording.\n", path);
		return PTR_ERR(session);
	}
	err = perf_session__process_events(session);
	if (err)
		pr_err("%s: its records cannot be read.\n", path);
	perf_session__delete(session);
	kvm_verify__end(verify);
	return err;
}

/* NULL: it is known. */
const char *kvm_verify__why_not(const struct kvm_verify *verify)
{
	const struct kvm_verify_counts *total = &verify->total;

	if (!verify->has_entry || !verify->has_exit)
		return "the host's recording does not tell when vCPUs ran: record the host with\n"
		       "  -e kvm:kvm_entry,kvm:kvm_exit besides";
	/* Each loss has a record in its place, but for those that no event followed. */
	if (verify->lost_samples > verify->lost)
		return "the host's recording lost events, and does not tell where: record it with a\n"
		       "  larger buffer (-m)";
	if (total->inside + total->outside == 0 && !total->unknown)
		return "no guest has samples";
	if (total->inside + total->outside == 0)
		return "no guest's sample is of a time and vCPU that the host's recording has";
	return NULL;
}

double kvm_verify__percent(const struct kvm_verify_counts *counts)
{
	double all = counts->inside + counts->outside;

	return all ? 100 * (counts->inside / all) : 0;
}

static void print_line(const struct kvm_verify_counts *counts, FILE *fp)
{
	/* What is not all is never shown as all. */
	double percent = kvm_verify__percent(counts);

	if (counts->outside)
		percent = min(percent, 99.999);
	fprintf(fp, "%" PRIu64 " of %" PRIu64 " samples in guest mode of their vCPU (%.3f %%)",
		counts->inside, counts->inside + counts->outside, percent);
	if (counts->outside)
		fprintf(fp, ", worst off by %s%" PRIu64 " ns", counts->is_limit ? "at most " : "",
			counts->worst);
	if (counts->unknown)
		fprintf(fp, "; %" PRIu64 " not known", counts->unknown);
	fprintf(fp, "\n");
}

/* The sum of a VM's vCPUs, which begin at the position and are moved past. */
static struct kvm_verify_counts sum_vm(const struct kvm_verify *verify, size_t *pos)
{
	u32 pid = verify->vcpus[*pos]->pid;
	struct kvm_verify_counts sum = {};

	for (; *pos < verify->nr && verify->vcpus[*pos]->pid == pid; (*pos)++) {
		const struct kvm_verify_counts *counts = &verify->vcpus[*pos]->counts;

		sum.inside += counts->inside;
		sum.outside += counts->outside;
		sum.unknown += counts->unknown;
		if (counts->worst > sum.worst) {
			sum.worst = counts->worst;
			sum.is_limit = counts->is_limit;
		}
	}
	return sum;
}

void kvm_verify__fprintf(const struct kvm_verify *verify, FILE *fp)
{
	const char *why = kvm_verify__why_not(verify);
	size_t pos = 0;

	if (why) {
		fprintf(fp, "verify: not known: %s.\n", why);
		return;
	}
	fprintf(fp, "verify: ");
	print_line(&verify->total, fp);
	while (pos < verify->nr) {
		u32 pid = verify->vcpus[pos]->pid;
		struct kvm_verify_counts sum = sum_vm(verify, &pos);

		if (sum.inside + sum.outside + sum.unknown == 0)
			continue;
		fprintf(fp, "  VM %u: ", pid);
		print_line(&sum, fp);
	}
	if (verify->lost)
		fprintf(fp, "  the host lost %" PRIu64 " records: what is near them is not known\n",
			verify->lost);
}

static void print_json_counts(const struct kvm_verify_counts *counts, bool known, FILE *fp)
{
	fprintf(fp, "\"inside\": %" PRIu64 ", \"outside\": %" PRIu64 ", \"unknown\": %" PRIu64,
		counts->inside, counts->outside, counts->unknown);
	if (!known || counts->inside + counts->outside == 0) {
		fprintf(fp, ", \"inside_percent\": null, \"worst_ns\": null");
		return;
	}
	fprintf(fp, ", \"inside_percent\": %.6f, \"worst_ns\": %" PRIu64
		", \"worst_is_limit\": %s", kvm_verify__percent(counts), counts->worst,
		counts->is_limit ? "true" : "false");
}

/* One line */
void kvm_verify__fprintf_json(const struct kvm_verify *verify, FILE *fp)
{
	bool known = !kvm_verify__why_not(verify);
	size_t pos = 0;

	fprintf(fp, "{\"known\": %s, \"host_lost\": %" PRIu64 ", ", known ? "true" : "false",
		max(verify->lost, verify->lost_samples));
	print_json_counts(&verify->total, known, fp);
	fprintf(fp, ", \"vms\": [");
	for (const char *comma = ""; pos < verify->nr; comma = ", ") {
		u32 pid = verify->vcpus[pos]->pid;
		struct kvm_verify_counts sum = sum_vm(verify, &pos);

		fprintf(fp, "%s{\"pid\": %u, ", comma, pid);
		print_json_counts(&sum, known, fp);
		fprintf(fp, "}");
	}
	fprintf(fp, "]}\n");
}
