/* SPDX-License-Identifier: GPL-2.0 */
/* Figures derived from the counts of pvpmu's events, by perf's metric expressions. */
#ifndef __PERF_KVM_PVPMU_METRIC_H
#define __PERF_KVM_PVPMU_METRIC_H

struct evlist;
struct evsel;
struct rblist;

/*
 * A figure is shown beside the count of its event. In its expression an event
 * is its name with '_' for '-', and duration_time is the elapsed time in seconds.
 */
struct kvm_pvpmu_metric {
	unsigned int	 event;
	const char	*name;
	const char	*unit;
	const char	*expr;
};

const struct kvm_pvpmu_metric *kvm_pvpmu_metric__get(unsigned int i);

int evlist__add_kvm_pvpmu_metrics(struct evlist *evlist, struct rblist *metric_events,
				  struct evsel *duration);

#endif /* __PERF_KVM_PVPMU_METRIC_H */
