// SPDX-License-Identifier: GPL-2.0
/* The sort keys vm and vcpu: of which machine and vCPU the samples of a merged file are. */
#include "kvm-sort.h"

#include <stdio.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "env.h"
#include "evsel.h"
#include "hist.h"
#include "sort.h"

static const char *vm_name(struct hist_entry *he, char *buf, size_t size)
{
	const char *name;

	if (!he->machine_pid)
		return "host";
	name = kvm_machines__name(&evsel__env(hists_to_evsel(he->hists))->kvm_machines,
				  he->machine_pid);
	if (name)
		return name;
	scnprintf(buf, size, "VM %u", he->machine_pid);
	return buf;
}

static int64_t vm_cmp(struct hist_entry *left, struct hist_entry *right)
{
	return (int64_t)right->machine_pid - left->machine_pid;
}

/* Both columns are padded, as the next one has to begin where it does in other lines. */
static int vm_snprintf(struct hist_entry *he, char *bf, size_t size, unsigned int width)
{
	char buf[16];

	return scnprintf(bf, size, "%-*.*s", width, width, vm_name(he, buf, sizeof(buf)));
}

/* Called for each entry that will be shown. */
static void vm_init(struct hist_entry *he)
{
	char buf[16];

	hists__new_col_len(he->hists, HISTC_VM, strlen(vm_name(he, buf, sizeof(buf))));
}

struct sort_entry sort_vm = {
	.se_header	= "VM",
	.se_cmp		= vm_cmp,
	.se_snprintf	= vm_snprintf,
	.se_init	= vm_init,
	.se_width_idx	= HISTC_VM,
};

/* Two VMs may have the same numbers. */
static int64_t vcpu_cmp(struct hist_entry *left, struct hist_entry *right)
{
	return (int64_t)right->vcpu - left->vcpu;
}

static int vcpu_snprintf(struct hist_entry *he, char *bf, size_t size, unsigned int width)
{
	if (!he->machine_pid || he->vcpu < 0)
		return scnprintf(bf, size, "%*s", width, he->machine_pid ? "?" : "");
	return scnprintf(bf, size, "%*d", width, he->vcpu);
}

struct sort_entry sort_vcpu = {
	.se_header	= "vCPU",
	.se_cmp		= vcpu_cmp,
	.se_snprintf	= vcpu_snprintf,
	.se_width_idx	= HISTC_VCPU,
};
