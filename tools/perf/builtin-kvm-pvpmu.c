// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin kvm pvpmu command: finds out whether this machine is a guest or a
 * host of KVM's paravirtual PMU, and runs the subcommand that was asked for.
 */
#include "builtin.h"
#include "builtin-kvm-pvpmu.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <subcmd/parse-options.h>
#include <linux/compiler.h>
#include <linux/string.h>
#include "util/debug.h"
#include "util/kvm-pvpmu.h"
#include "util/pmus.h"
#include "util/util.h"

typedef int (*pvpmu_cmd_fn_t)(bool host_only, int argc, const char **argv);

struct pvpmu_cmd {
	const char	*name;
	pvpmu_cmd_fn_t	fn;
};

static const struct pvpmu_cmd pvpmu_cmds[] = {
	{ "list", cmd_kvm_pvpmu_list },
	{ "stat", cmd_kvm_pvpmu_stat },
	{ "clock", cmd_kvm_pvpmu_clock },
	{ NULL, NULL },
};

static const char no_pvpmu[] =
"This machine has no pvpmu: it has neither a guest's PMU 'pvpmu' nor a host's PMU 'kvm_vcpu'.\n"
"On a host, use a kernel with CONFIG_KVM_PVPMU, with the parameter kvm.pvpmu=1.\n"
"In a guest, use a kernel with CONFIG_KVM_GUEST_PVPMU on such a host;\n"
"QEMU passes pvpmu on with -cpu host,migratable=off.\n";

static const char no_host[] =
"This machine is not a host with pvpmu: it has no PMU 'kvm_vcpu'.\n"
"Use a kernel with CONFIG_KVM_PVPMU, with the parameter kvm.pvpmu=1.\n";

/* Finds the sides that this machine is on, or says what is missing. */
int kvm_pvpmu__find_sides(struct kvm_pvpmu_sides *sides, bool host_only)
{
	sides->host = perf_pmus__find(KVM_PVPMU_HOST_PMU);
	sides->guest = host_only ? NULL : perf_pmus__find(KVM_PVPMU_GUEST_PMU);
	if (sides->host || sides->guest)
		return 0;
	pr_err("%s", host_only ? no_host : no_pvpmu);
	return -ENODEV;
}

static void print_no_vms(int err)
{
	if (err == -EACCES || err == -EPERM)
		pr_err("KVM's directory in debugfs cannot be read: run this as root, or give\n"
		       "yourself the right to read /sys/kernel/debug.\n");
	else if (err == -ENODEV)
		pr_err("debugfs is not mounted: mount -t debugfs none /sys/kernel/debug\n");
	else if (err == -ENOENT)
		pr_err("debugfs has no directory of KVM: is kvm loaded?\n");
	else
		pr_err("The VMs of this host cannot be found: %s\n", strerror(-err));
}

/* Finds the VMs that were asked for, or says why not. */
int kvm_pvpmu__find_vms(struct kvm_vms *vms, const char *pids, const char *name)
{
	int err = kvm_vms__find(vms);

	if (err) {
		print_no_vms(err);
		return err;
	}
	err = kvm_vms__select(vms, pids, name);
	if (err)
		kvm_vms__exit(vms);
	return err;
}

static int print_vms(const struct kvm_vms *vms, kvm_pvpmu_show_vm_t show_vm)
{
	int err = 0;

	if (!vms->nr)
		printf("This host has no VM.\n");
	for (int i = 0; !err && i < vms->nr; i++) {
		printf("%s", i ? "\n" : "");
		err = show_vm(&vms->vms[i], /*json=*/false);
	}
	return err;
}

static int json_vms(const struct kvm_vms *vms, kvm_pvpmu_show_vm_t show_vm)
{
	int err = 0;

	printf("\"host\": {\"vms\": [");
	for (int i = 0; !err && i < vms->nr; i++) {
		printf("%s", i ? ", " : "");
		err = show_vm(&vms->vms[i], /*json=*/true);
	}
	printf("]}");
	return err;
}

/* The host's side of what list and clock print. */
int kvm_pvpmu__show_vms(const struct kvm_pvpmu_show_opts *opts, bool after_guest,
			kvm_pvpmu_show_vm_t show_vm)
{
	struct kvm_vms vms;
	int err = kvm_pvpmu__find_vms(&vms, opts->pids, opts->vm);

	if (err)
		return err;
	if (after_guest)
		printf("%s", opts->json ? ", " : "\n");
	err = opts->json ? json_vms(&vms, show_vm) : print_vms(&vms, show_vm);
	kvm_vms__exit(&vms);
	return err;
}

void kvm_pvpmu__parse_show_opts(struct kvm_pvpmu_show_opts *opts, const char * const *usage,
				const char *verbose_help, int argc, const char **argv)
{
	const struct option options[] = {
	OPT_STRING('p', "pid", &opts->pids, "pid", "show the VMs of these processes only (host)"),
	OPT_STRING(0, "vm", &opts->vm, "name", "show the VM of this name only (host)"),
	OPT_BOOLEAN('j', "json", &opts->json, "print JSON"),
	OPT_INCR('v', "verbose", &verbose, verbose_help),
	OPT_END()
	};

	argc = parse_options(argc, argv, options, usage, 0);
	if (argc)
		usage_with_options(usage, options);
}

/* A name is whatever a user chose: what is not ASCII text is escaped byte by byte. */
void kvm_pvpmu__json_string(const char *str)
{
	putchar('"');
	for (; *str; str++) {
		unsigned char c = *str;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

int cmd_kvm_pvpmu(int argc, const char **argv)
{
	const struct option pvpmu_options[] = {
		OPT_END()
	};
	const char * const pvpmu_subcommands[] = { "list", "stat", "clock", NULL };
	const char *pvpmu_usage[] = {
		"perf kvm [--host] pvpmu {list|stat|clock} [<options>]",
		NULL
	};
	const bool host_only = perf_host;

	argc = parse_options_subcommand(argc, argv, pvpmu_options, pvpmu_subcommands,
					pvpmu_usage, PARSE_OPT_STOP_AT_NON_OPTION);
	if (!argc)
		usage_with_options(pvpmu_usage, pvpmu_options);

	/* perf kvm counts guests only by default, and these events need no filter for that. */
	perf_host = true;
	perf_guest = false;

	for (const struct pvpmu_cmd *cmd = pvpmu_cmds; cmd->name; cmd++) {
		if (!strcmp(cmd->name, argv[0]))
			return cmd->fn(host_only, argc, argv);
	}
	usage_with_options_msg(pvpmu_usage, pvpmu_options, "Unknown subcommand: %s\n", argv[0]);
	return 0;
}
