// SPDX-License-Identifier: GPL-2.0
/*
 * Takes --guest= of perf kvm record apart, and finds the guests that it means: the
 * addresses of their agents, and the processes that are their VMs.
 */
#include "kvm-record-who.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include "debug.h"
#include "kvm-record-vm.h"
#include "pv-clock.h"

int kvm_record_method__parse(const char *text, enum kvm_merge_method *method)
{
	for (int i = KVM_MERGE_CLOCK_AUTO; i <= KVM_MERGE_CLOCK_PROBE; i++) {
		if (!strcmp(text, kvm_merge_clock__name(i))) {
			*method = i;
			return 0;
		}
	}
	pr_err("The clock '%s' is unknown: there are auto, pv, tsc and probe.\n", text);
	return -EINVAL;
}

/* --guest=WHO,KEY=VALUE,... */

static int parse_number(const char *key, const char *val, u64 max, u64 *number)
{
	if (!pv_clock__parse_u64(val, 10, number) && *number && *number <= max)
		return 0;
	pr_err("--guest: %s=%s: it takes a number from 1 to %" PRIu64 ".\n", key, val, max);
	return -EINVAL;
}

static int parse_offset(const char *key, const char *val, s64 *offset, bool *has)
{
	*has = true;
	if (!pv_clock__parse_s64(val, offset))
		return 0;
	pr_err("--guest: %s=%s is no number: give a decimal one, which may be negative.\n", key,
	       val);
	return -EINVAL;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.-", c));
}

static int parse_name(const char *val, struct kvm_record_who *who)
{
	size_t len = 0;

	while (is_name_char(val[len]))
		len++;
	if (!len || len > KVM_RECORD_NAME_MAX || val[len]) {
		pr_err("--guest: name=%s: a name is 1 to %d letters, digits, '_', '.' or '-'.\n",
		       val, KVM_RECORD_NAME_MAX);
		return -EINVAL;
	}
	who->name = val;
	return 0;
}

static int parse_key(struct kvm_record_who *who, const char *key, const char *val)
{
	struct kvm_record_clock_opts *clock = &who->clock;
	u64 number;
	int err;

	if (val && !strcmp(key, "name"))
		return parse_name(val, who);
	if (val && !strcmp(key, "pid")) {
		err = parse_number(key, val, INT_MAX, &number);
		who->pid = err ? 0 : number;
		return err;
	}
	if (val && !strcmp(key, "port")) {
		err = parse_number(key, val, UINT32_MAX - 1, &number);
		who->port = err ? 0 : number;
		return err;
	}
	if (val && !strcmp(key, "clock")) {
		clock->has_method = true;
		return kvm_record_method__parse(val, &clock->method);
	}
	if (val && !strcmp(key, "pv-offset"))
		return parse_offset(key, val, &clock->pv_offset, &clock->has_pv_offset);
	if (val && !strcmp(key, "tsc-offset"))
		return parse_offset(key, val, &clock->tsc_offset, &clock->has_tsc_offset);
	pr_err("--guest: '%s' is unknown: there are name=, pid=, port=, clock=, pv-offset= and tsc-offset=.\n",
	       key);
	return -EINVAL;
}

int kvm_record_who__parse(struct kvm_record_who *who, const char *text)
{
	char *rest, *part;
	int err = 0;

	memset(who, 0, sizeof(*who));
	who->text = strdup(text);
	if (!who->text)
		return -ENOMEM;
	rest = who->text;
	who->who = strsep(&rest, ",");
	while (!err && (part = strsep(&rest, ",")) != NULL) {
		const char *key = strsep(&part, "=");

		err = parse_key(who, key, part);
	}
	if (!err && !*who->who) {
		pr_err("--guest: says no guest: give a VM's name or pid, vsock:CID, unix:PATH, hybrid:PATH or all.\n");
		err = -EINVAL;
	}
	if (!err && !strcmp(who->who, "all") && (who->name || who->pid)) {
		pr_err("--guest=all: name= and pid= are for one guest: name each of them.\n");
		err = -EINVAL;
	}
	if (err)
		kvm_record_who__exit(who);
	return err;
}

void kvm_record_who__exit(struct kvm_record_who *who)
{
	zfree(&who->text);
}

/* Guests */

/* The VM's name may have anything in it, a guest's in the output may not. */
void kvm_record_target__set_name(struct kvm_record_target *target, const char *name)
{
	scnprintf(target->name, sizeof(target->name), "%s", name);
	for (char *c = target->name; *c; c++) {
		if (!is_name_char(*c))
			*c = '_';
	}
}

static int add(struct kvm_record_targets *targets, const struct kvm_record_target *target)
{
	void *grown;

	for (size_t i = 0; target->pid && i < targets->nr; i++) {
		if (targets->targets[i].pid != target->pid)
			continue;
		pr_err("--guest: the VM of process %d is there twice: leave one out.\n",
		       target->pid);
		return -EINVAL;
	}
	grown = reallocarray(targets->targets, targets->nr + 1, sizeof(*target));
	if (!grown)
		return -ENOMEM;
	targets->targets = grown;
	targets->targets[targets->nr++] = *target;
	return 0;
}

/* What the user said goes before what was found. */
static void init_target(struct kvm_record_target *target, const struct kvm_record_who *who,
			const struct kvm_record_vm *vm)
{
	char pid[16];

	memset(target, 0, sizeof(*target));
	target->clock = who->clock;
	target->pid = who->pid ?: vm ? vm->pid : 0;
	snprintf(pid, sizeof(pid), "pid%d", target->pid);
	if (who->name || (vm && *vm->name))
		kvm_record_target__set_name(target, who->name ?: vm->name);
	else if (target->pid)
		kvm_record_target__set_name(target, pid);
}

static int add_vm(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		  const struct kvm_record_vm *vm)
{
	struct kvm_record_target target;
	char name[256];

	init_target(&target, who, vm);
	if (!kvm_record_vm__address(vm, who->port, target.address, sizeof(target.address)))
		return add(targets, &target);
	pr_err("VM '%s' (pid %d) has no way to an agent that is found: give it\n"
	       "-device vhost-vsock-pci,guest-cid=N or a virtserialport with the name perf.0, run\n"
	       "'perf kvm agent' in it; or say where its agent is: --guest=unix:PATH,pid=%d\n",
	       kvm_record_vm__show_name(vm, name, sizeof(name)), vm->pid, vm->pid);
	return -ENOENT;
}

/* Where KVM can be asked, what only looks like a VM is none. */
static int add_all(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		   const struct kvm_record_vms *vms)
{
	const size_t before = targets->nr;
	char name[256];
	int err = 0;

	for (size_t i = 0; !err && i < vms->nr; i++) {
		const struct kvm_record_vm *vm = &vms->vms[i];

		if (vms->kvm_known && !vm->by_kvm)
			continue;
		if (vm->cid || *vm->socket) {
			err = add_vm(targets, who, vm);
			if (!err)
				targets->targets[targets->nr - 1].by_all = true;
			continue;
		}
		pr_warning("VM '%s' (pid %d) is left out: no address of an agent is found.\n",
			   kvm_record_vm__show_name(vm, name, sizeof(name)), vm->pid);
	}
	if (!err && targets->nr == before) {
		pr_err("--guest=all: there is no VM with a way to an agent.\n");
		kvm_record_vms__print(vms);
		err = -ENOENT;
	}
	return err;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

static int add_pid(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		   const struct kvm_record_vms *vms)
{
	const struct kvm_record_vm *vm = kvm_record_vms__by_pid(vms, atoi(who->who));

	if (vm)
		return add_vm(targets, who, vm);
	pr_err("--guest: process %s is no VM that is found.\n", who->who);
	kvm_record_vms__print(vms);
	return -ENOENT;
}

/* What KVM knows goes before what only looks like a VM. */
static int add_name(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		    const struct kvm_record_vms *vms)
{
	const struct kvm_record_vm *found = NULL;
	bool twice = false;

	for (size_t i = 0; i < vms->nr; i++) {
		const struct kvm_record_vm *vm = &vms->vms[i];

		if (strcmp(vm->name, who->who) || (found && found->by_kvm && !vm->by_kvm))
			continue;
		twice = found && found->by_kvm == vm->by_kvm;
		found = vm;
	}
	if (found && !twice)
		return add_vm(targets, who, found);
	if (found)
		pr_err("--guest: more than one VM has the name '%s': give the pid of one.\n",
		       who->who);
	else
		pr_err("--guest: there is no VM '%s'.\n", who->who);
	kvm_record_vms__print(vms);
	return found ? -EEXIST : -ENOENT;
}

/* The VM is known by its context id; without it nothing tells which process it is. */
static int add_vsock(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		     const struct kvm_record_vms *vms)
{
	const u32 cid = strtoul(who->who + strlen("vsock:"), NULL, 10);
	const struct kvm_record_vm *vm = who->pid ? kvm_record_vms__by_pid(vms, who->pid) :
						    kvm_record_vms__by_cid(vms, cid);
	struct kvm_record_target target;
	char name[16];

	init_target(&target, who, vm);
	snprintf(name, sizeof(name), "cid%u", cid);
	if (!who->name && !(vm && *vm->name))
		kvm_record_target__set_name(&target, name);
	if (!target.pid) {
		pr_err("--guest: no VM with the context id %u is found: say which process it is:\n"
		       "--guest=%s,pid=N\n", cid, who->who);
		kvm_record_vms__print(vms);
		return -ENOENT;
	}
	if (who->port && strchr(who->who + strlen("vsock:"), ':')) {
		pr_err("--guest=%s has a port already: leave port= out.\n", who->who);
		return -EINVAL;
	}
	snprintf(target.address, sizeof(target.address), "%s", who->who);
	if (who->port)
		snprintf(target.address, sizeof(target.address), "%s:%u", who->who, who->port);
	return add(targets, &target);
}

static int add_socket(struct kvm_record_targets *targets, const struct kvm_record_who *who,
		      const struct kvm_record_vms *vms)
{
	struct kvm_record_target target;

	init_target(&target, who, who->pid ? kvm_record_vms__by_pid(vms, who->pid) : NULL);
	if (who->port) {
		pr_err("--guest=%s: port= is for vsock: leave it out.\n", who->who);
		return -EINVAL;
	}
	if (snprintf(target.address, sizeof(target.address), "%s", who->who) >=
	    (int)sizeof(target.address)) {
		pr_err("--guest=%s: the path is too long.\n", who->who);
		return -ENAMETOOLONG;
	}
	return add(targets, &target);
}

/* Says what is wrong, and what there is. */
int kvm_record_targets__add(struct kvm_record_targets *targets, const struct kvm_record_who *who,
			    const struct kvm_record_vms *vms)
{
	if (strstarts(who->who, "vsock:"))
		return add_vsock(targets, who, vms);
	if (strstarts(who->who, "unix:") || strstarts(who->who, "hybrid:"))
		return add_socket(targets, who, vms);
	if (!strcmp(who->who, "all"))
		return add_all(targets, who, vms);
	if (is_number(who->who))
		return add_pid(targets, who, vms);
	return add_name(targets, who, vms);
}

void kvm_record_targets__exit(struct kvm_record_targets *targets)
{
	zfree(&targets->targets);
	targets->nr = 0;
}
