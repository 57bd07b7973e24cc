// SPDX-License-Identifier: GPL-2.0
/*
 * Finds the VMs of this host, and how the agents in them are reached: KVM's debugfs
 * and the processes that are QEMU tell which there are, and their command lines what
 * devices they have. libvirt writes these as JSON.
 */
#include "kvm-record-vm.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/zalloc.h>
#include <api/fs/fs.h>
#include "debug.h"
#include "kvm-agent-proto.h"
#include "kvm-channel.h"
#include "kvm-vm.h"
#include "pv-clock.h"

#define MAX_VCPUS	4096

/* Properties of a device: "driver,key=value,..." with ",," for a comma, or JSON */

static const char *copy_part(const char *list, char *part, size_t size)
{
	size_t len = 0;

	for (; *list; list++) {
		if (*list == ',' && *++list != ',')
			break;
		if (!*list)
			break;
		if (len + 1 < size)
			part[len++] = *list;
	}
	part[len] = '\0';
	return list;
}

/* The key NULL is that of the first part, which has none. */
static bool list_prop(const char *list, const char *key, char *value, size_t size)
{
	char part[512];

	for (bool first = true; *list; first = false) {
		char *val = part;
		const char *name;

		list = copy_part(list, part, sizeof(part));
		name = strchr(part, '=') ? strsep(&val, "=") : NULL;
		if (key ? name && !strcmp(name, key) : first && !name) {
			snprintf(value, size, "%s", val);
			return true;
		}
	}
	return false;
}

static bool json_prop(const char *json, const char *key, char *value, size_t size)
{
	char quoted[64];
	size_t len = 0;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	json = strstr(json, quoted);
	if (!json)
		return false;
	json += strlen(quoted);
	json += strspn(json, " :");
	if (*json == '"') {
		for (json++; *json && *json != '"' && len + 1 < size; json++) {
			if (*json == '\\' && json[1])
				json++;
			value[len++] = *json;
		}
	} else {
		while (isalnum((unsigned char)*json) && len + 1 < size)
			value[len++] = *json++;
	}
	value[len] = '\0';
	return true;
}

static bool prop(const char *device, const char *key, char *value, size_t size)
{
	if (*device == '{')
		return json_prop(device, key ?: "driver", value, size);
	return list_prop(device, key, value, size);
}

/* Command lines */

struct parts {
	struct kvm_record_vm	*vm;
	char			 chardev[128];	/* the id of the agent's */
};

/* The names that the agent's port has by its man page, and by libvirt's habit. */
static bool is_agent_port(const char *name)
{
	return !strcmp(name, "perf.0") || strstarts(name, "org.perf.agent");
}

static void see_device(struct parts *parts, const char *device)
{
	char driver[64] = "", value[128];
	u64 cid;

	prop(device, NULL, driver, sizeof(driver));
	if (strstarts(driver, "vhost-vsock") && prop(device, "guest-cid", value, sizeof(value)) &&
	    !pv_clock__parse_u64(value, 0, &cid) && cid > 2 && cid < UINT32_MAX)
		parts->vm->cid = cid;
	if (!strcmp(driver, "virtserialport") && prop(device, "name", value, sizeof(value)) &&
	    is_agent_port(value))
		prop(device, "chardev", parts->chardev, sizeof(parts->chardev));
}

static void see_chardev(struct parts *parts, const char *chardev)
{
	char value[128] = "";

	if (!*parts->chardev || !prop(chardev, NULL, value, sizeof(value)) ||
	    strcmp(value, "socket") || !prop(chardev, "id", value, sizeof(value)) ||
	    strcmp(value, parts->chardev))
		return;
	prop(chardev, "path", parts->vm->socket, sizeof(parts->vm->socket));
}

typedef void (*see_fn_t)(struct parts *parts, const char *value);

static void see_values(const char *cmdline, size_t len, const char *option, see_fn_t see,
			   struct parts *parts)
{
	const char *end = cmdline + len;
	bool is_value = false;

	while (cmdline < end) {
		const size_t arg_len = strnlen(cmdline, end - cmdline);
		const char *name = cmdline;

		/* The last one may be cut off. */
		if (cmdline + arg_len == end)
			break;
		if (is_value)
			see(parts, cmdline);
		name += strspn(name, "-");
		is_value = !is_value && name - cmdline >= 1 && name - cmdline <= 2 &&
			   !strcmp(name, option);
		cmdline += arg_len + 1;
	}
}

/* As in /proc/PID/cmdline: each argument ends with a NUL. */
void kvm_record_vm__parse(struct kvm_record_vm *vm, const char *cmdline, size_t len)
{
	struct parts parts = { .vm = vm };

	kvm_vm__name_from_cmdline(cmdline, len, vm->name, sizeof(vm->name));
	see_values(cmdline, len, "device", see_device, &parts);
	see_values(cmdline, len, "chardev", see_chardev, &parts);
}

/* -ENOENT: none that is known. */
int kvm_record_vm__address(const struct kvm_record_vm *vm, u32 port, char *address, size_t size)
{
	if (vm->cid)
		snprintf(address, size, "vsock:%u:%u", vm->cid, port ?: KVM_AGENT_PORT);
	else if (*vm->socket)
		snprintf(address, size, "unix:%s", vm->socket);
	else
		return -ENOENT;
	return 0;
}

/* Any user may call a process QEMU, and it what he likes. */
const char *kvm_record_vm__show_name(const struct kvm_record_vm *vm, char *buf, size_t size)
{
	kvm_channel__clean_text(buf, size, vm->name, strlen(vm->name));
	return *buf ? buf : "?";
}

/* The threads of vCPUs */

static int copy_tids(const struct kvm_vm *vm, s32 **tids, u32 *nr)
{
	const struct kvm_vcpu_thread *last;

	if (!vm->nr_vcpus)
		return 0;
	last = &vm->vcpus[vm->nr_vcpus - 1];
	if (last->id < 0 || last->id >= MAX_VCPUS)
		return -ERANGE;
	*tids = malloc((last->id + 1) * sizeof(**tids));
	if (!*tids)
		return -ENOMEM;
	*nr = last->id + 1;
	for (u32 i = 0; i < *nr; i++)
		(*tids)[i] = -1;
	for (int i = 0; i < vm->nr_vcpus; i++)
		(*tids)[vm->vcpus[i].id] = vm->vcpus[i].tid ?: -1;
	return 0;
}

/* By the number of the vCPU, -1 where it is not known. A process with several VMs tells nothing. */
int kvm_record_vm__read_tids(pid_t pid, s32 **tids, u32 *nr)
{
	const struct kvm_vm *found = NULL;
	struct kvm_vms vms;
	int err = kvm_vms__find(&vms);
	size_t nr_found = 0;

	*tids = NULL;
	*nr = 0;
	if (err)
		return err;
	for (int i = 0; i < vms.nr; i++) {
		if (vms.vms[i].pid != pid)
			continue;
		found = &vms.vms[i];
		nr_found++;
	}
	err = nr_found == 1 ? copy_tids(found, tids, nr) : -ENOENT;
	kvm_vms__exit(&vms);
	return err;
}

/* The VMs */

const struct kvm_record_vm *kvm_record_vms__by_pid(const struct kvm_record_vms *vms, pid_t pid)
{
	for (size_t i = 0; i < vms->nr; i++) {
		if (vms->vms[i].pid == pid)
			return &vms->vms[i];
	}
	return NULL;
}

const struct kvm_record_vm *kvm_record_vms__by_cid(const struct kvm_record_vms *vms, u32 cid)
{
	for (size_t i = 0; i < vms->nr; i++) {
		if (vms->vms[i].cid == cid)
			return &vms->vms[i];
	}
	return NULL;
}

static bool is_qemu(const char *cmdline, size_t len)
{
	const char *base = memchr(cmdline, '\0', len) ? strrchr(cmdline, '/') : NULL;

	return len && strstarts(base ? base + 1 : cmdline, "qemu");
}

/* name: by debugfs, which knows the process for a VM; NULL: it has to be a QEMU. */
static int add_vm(struct kvm_record_vms *vms, pid_t pid, const char *name)
{
	struct kvm_record_vm vm = { .pid = pid, .by_kvm = name }, *grown;
	char path[64], *cmdline = NULL;
	size_t len = 0;

	if (kvm_record_vms__by_pid(vms, pid))
		return 0;
	snprintf(path, sizeof(path), "%d/cmdline", pid);
	if (procfs__read_str(path, &cmdline, &len) && !name)
		return 0;
	if (cmdline && (name || is_qemu(cmdline, len)))
		kvm_record_vm__parse(&vm, cmdline, len);
	else if (!name)
		pid = 0;
	free(cmdline);
	if (!pid)
		return 0;
	if (!*vm.name && name)
		snprintf(vm.name, sizeof(vm.name), "%s", name);
	grown = reallocarray(vms->vms, vms->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	vms->vms = grown;
	grown[vms->nr++] = vm;
	return 0;
}

/* Without the right to read debugfs there are still the processes. */
static int add_by_debugfs(struct kvm_record_vms *vms)
{
	struct kvm_vms kvm;
	int err = 0;

	if (kvm_vms__find(&kvm))
		return 0;
	vms->kvm_known = true;
	for (int i = 0; !err && i < kvm.nr; i++)
		err = add_vm(vms, kvm.vms[i].pid, kvm.vms[i].name);
	kvm_vms__exit(&kvm);
	return err;
}

static int add_by_processes(struct kvm_record_vms *vms)
{
	const char *proc = procfs__mountpoint();
	DIR *dir = proc ? opendir(proc) : NULL;
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return 0;
	while (!err && (entry = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)*entry->d_name))
			err = add_vm(vms, atoi(entry->d_name), NULL);
	}
	closedir(dir);
	return err;
}

static int cmp_vms(const void *a, const void *b)
{
	const struct kvm_record_vm *va = a, *vb = b;

	return va->pid < vb->pid ? -1 : va->pid > vb->pid;
}

int kvm_record_vms__find(struct kvm_record_vms *vms)
{
	int err;

	memset(vms, 0, sizeof(*vms));
	err = add_by_debugfs(vms) ?: add_by_processes(vms);
	if (err)
		kvm_record_vms__exit(vms);
	else if (vms->nr)
		qsort(vms->vms, vms->nr, sizeof(*vms->vms), cmp_vms);
	return err;
}

/* For errors: what could have been said instead. */
void kvm_record_vms__print(const struct kvm_record_vms *vms)
{
	pr_err(vms->nr ? "The VMs of this host that are found:\n" :
			 "No VM is found on this host.\n");
	for (size_t i = 0; i < vms->nr; i++) {
		const struct kvm_record_vm *vm = &vms->vms[i];
		char address[300] = "no address of an agent is known", clean[300], name[256];

		kvm_record_vm__address(vm, 0, address, sizeof(address));
		kvm_channel__clean_text(clean, sizeof(clean), address, strlen(address));
		pr_err("  %s (pid %d, %s)\n", kvm_record_vm__show_name(vm, name, sizeof(name)),
		       vm->pid, clean);
	}
}

void kvm_record_vms__exit(struct kvm_record_vms *vms)
{
	zfree(&vms->vms);
	vms->nr = 0;
}
