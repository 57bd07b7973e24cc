// SPDX-License-Identifier: GPL-2.0
/*
 * Finds the VMs of this host, their names, and the threads of their vCPUs:
 * KVM's debugfs directory has PID-FD/vcpuN/pid, whatever VMM made the VM and
 * whatever it calls its threads.
 */
#include "kvm-vm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/zalloc.h>
#include <api/fs/fs.h>
#include "debug.h"
#include "strlist.h"

#define VM_NAME_MAX 256

/*
 * One option of QEMU's lists: "key=value", or a bare value, which is the one
 * that the list implies. A comma in a value is written twice.
 */
static const char *copy_option(const char *list, char *option, size_t size)
{
	size_t len = 0;

	for (; *list; list++) {
		if (*list == ',' && *++list != ',')
			break;
		if (len + 1 < size)
			option[len++] = *list;
		if (!*list)
			break;
	}
	option[len] = '\0';
	return list;
}

static void name_from_list(const char *list, char *name, size_t size)
{
	char option[VM_NAME_MAX];

	for (bool first = true; *list; first = false) {
		list = copy_option(list, option, sizeof(option));
		if (!strncmp(option, "guest=", 6))
			snprintf(name, size, "%s", option + 6);
		else if (first && !strchr(option, '='))
			snprintf(name, size, "%s", option);
	}
}

/* The arguments are each ended by a NUL, as in /proc/PID/cmdline; the last one may be cut. */
int kvm_vm__name_from_cmdline(const char *cmdline, size_t len, char *name, size_t size)
{
	const char *end = cmdline + len;
	bool is_name = false;

	*name = '\0';
	while (cmdline < end) {
		size_t arg_len = strnlen(cmdline, end - cmdline);

		if (cmdline + arg_len == end)
			break;
		if (is_name)
			name_from_list(cmdline, name, size);
		is_name = !is_name && (!strcmp(cmdline, "-name") || !strcmp(cmdline, "--name"));
		cmdline += arg_len + 1;
	}
	return *name ? 0 : -ENOENT;
}

static int read_proc(pid_t pid, const char *file, char **buf, size_t *len)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	return procfs__read_str(path, buf, len);
}

/* Some VMMs make their VM in a thread, and then it is the thread that debugfs names. */
static pid_t read_tgid(pid_t tid)
{
	const char *line;
	char *status;
	size_t len;
	pid_t pid = 0;

	if (read_proc(tid, "status", &status, &len))
		return tid;
	line = strstr(status, "\nTgid:");
	if (line)
		pid = atoi(line + strlen("\nTgid:"));
	free(status);
	return pid > 0 ? pid : tid;
}

/* A process without a name for its VM lends its own; one that is gone has none. */
static char *read_name(pid_t pid)
{
	char name[VM_NAME_MAX] = "", *buf;
	size_t len;

	if (!read_proc(pid, "cmdline", &buf, &len)) {
		kvm_vm__name_from_cmdline(buf, len, name, sizeof(name));
		free(buf);
	}
	if (!*name && !read_proc(pid, "comm", &buf, &len)) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(buf, "\n"), buf);
		free(buf);
	}
	return strdup(*name ? name : "?");
}

/* The text belongs to the caller; NULL: the file is not there, or no longer. */
char *kvm_vm__read_vcpu_file(const struct kvm_vm *vm, int vcpu_id, const char *file)
{
	char path[PATH_MAX], *text;
	size_t len;

	if (snprintf(path, sizeof(path), "%s/vcpu%d/%s", vm->dir, vcpu_id, file) >=
	    (int)sizeof(path))
		return NULL;
	return filename__read_str(path, &text, &len) ? NULL : text;
}

static pid_t read_tid(const struct kvm_vm *vm, int vcpu_id)
{
	char *text = kvm_vm__read_vcpu_file(vm, vcpu_id, "pid");
	pid_t tid = text ? atoi(text) : 0;

	free(text);
	return tid;
}

static int cmp_vcpus(const void *a, const void *b)
{
	const struct kvm_vcpu_thread *va = a, *vb = b;

	return va->id - vb->id;
}

static int add_vcpu(struct kvm_vm *vm, int id)
{
	struct kvm_vcpu_thread *vcpus;

	vcpus = realloc(vm->vcpus, (vm->nr_vcpus + 1) * sizeof(*vcpus));
	if (!vcpus)
		return -ENOMEM;
	vm->vcpus = vcpus;
	vcpus[vm->nr_vcpus++] = (struct kvm_vcpu_thread){ .id = id, .tid = read_tid(vm, id) };
	return 0;
}

/* A VM that ends meanwhile has no vCPUs any more, which is no error. */
static int find_vcpus(struct kvm_vm *vm)
{
	DIR *dir = opendir(vm->dir);
	struct dirent *entry;
	int err = 0, id, used;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(dir)) != NULL) {
		if (sscanf(entry->d_name, "vcpu%d%n", &id, &used) == 1 && !entry->d_name[used])
			err = add_vcpu(vm, id);
	}
	closedir(dir);
	if (vm->nr_vcpus)
		qsort(vm->vcpus, vm->nr_vcpus, sizeof(*vm->vcpus), cmp_vcpus);
	return err;
}

static void vm__exit(struct kvm_vm *vm)
{
	zfree(&vm->dir);
	zfree(&vm->name);
	zfree(&vm->vcpus);
}

static int add_vm(struct kvm_vms *vms, const char *root, const char *entry, pid_t creator)
{
	struct kvm_vm vm = { .pid = read_tgid(creator) }, *grown;
	int err = -ENOMEM;

	vm.name = read_name(vm.pid);
	if (!vm.name || asprintf(&vm.dir, "%s/%s", root, entry) < 0)
		goto out;
	err = find_vcpus(&vm);
	if (err)
		goto out;

	err = -ENOMEM;
	grown = realloc(vms->vms, (vms->nr + 1) * sizeof(*grown));
	if (!grown)
		goto out;
	vms->vms = grown;
	grown[vms->nr++] = vm;
	return 0;
out:
	vm__exit(&vm);
	return err;
}

static int cmp_vms(const void *a, const void *b)
{
	const struct kvm_vm *va = a, *vb = b;

	return va->pid != vb->pid ? va->pid - vb->pid : strcmp(va->dir, vb->dir);
}

/* The errors of opening KVM's directory are told apart by its caller, which knows what to say. */
int kvm_vms__find(struct kvm_vms *vms)
{
	const char *debugfs = debugfs__mountpoint();
	int err = 0, pid, fd, used;
	char root[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	memset(vms, 0, sizeof(*vms));
	if (!debugfs)
		return -ENODEV;
	snprintf(root, sizeof(root), "%s/kvm", debugfs);
	dir = opendir(root);
	if (!dir)
		return -errno;

	while (!err && (entry = readdir(dir)) != NULL) {
		if (sscanf(entry->d_name, "%d-%d%n", &pid, &fd, &used) == 2 &&
		    !entry->d_name[used] && pid > 0)
			err = add_vm(vms, root, entry->d_name, pid);
	}
	closedir(dir);
	if (err)
		kvm_vms__exit(vms);
	else if (vms->nr)
		qsort(vms->vms, vms->nr, sizeof(*vms->vms), cmp_vms);
	return err;
}

void kvm_vms__exit(struct kvm_vms *vms)
{
	for (int i = 0; i < vms->nr; i++)
		vm__exit(&vms->vms[i]);
	zfree(&vms->vms);
	vms->nr = 0;
}

void kvm_vms__remove(struct kvm_vms *vms, int idx)
{
	vm__exit(&vms->vms[idx]);
	vms->nr--;
	memmove(&vms->vms[idx], &vms->vms[idx + 1], (vms->nr - idx) * sizeof(*vms->vms));
}

static void print_choice(const struct kvm_vms *vms)
{
	pr_err(vms->nr ? "The VMs of this host:\n" : "This host has no VM.\n");
	for (int i = 0; i < vms->nr; i++)
		pr_err("  %s (pid %d)\n", vms->vms[i].name, vms->vms[i].pid);
}

static void keep_only(struct kvm_vms *vms, bool (*wanted)(const struct kvm_vm *, const void *),
		      const void *what)
{
	for (int i = vms->nr - 1; i >= 0; i--) {
		if (!wanted(&vms->vms[i], what))
			kvm_vms__remove(vms, i);
	}
}

static bool has_name(const struct kvm_vm *vm, const void *name)
{
	return !strcmp(vm->name, name);
}

static bool has_listed_pid(const struct kvm_vm *vm, const void *pids)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", vm->pid);
	return strlist__has_entry((struct strlist *)pids, pid);
}

/* One process may have several VMs: its name means all of them, as its pid does. */
static int select_name(struct kvm_vms *vms, const char *name)
{
	pid_t pid = 0;

	for (int i = 0; i < vms->nr; i++) {
		if (!has_name(&vms->vms[i], name))
			continue;
		if (pid && vms->vms[i].pid != pid) {
			pr_err("More than one VM has the name '%s': choose by -p.\n", name);
			print_choice(vms);
			return -EINVAL;
		}
		pid = vms->vms[i].pid;
	}
	if (!pid) {
		pr_err("There is no VM '%s'.\n", name);
		print_choice(vms);
		return -ENOENT;
	}
	keep_only(vms, has_name, name);
	return 0;
}

static bool has_pid(const struct kvm_vms *vms, const char *pid)
{
	for (int i = 0; i < vms->nr; i++) {
		if (vms->vms[i].pid == atoi(pid))
			return true;
	}
	return false;
}

static int select_pids(struct kvm_vms *vms, const char *pids)
{
	struct strlist *list = strlist__new(pids, NULL);
	struct str_node *node;
	int err = 0;

	if (!list)
		return -ENOMEM;
	strlist__for_each_entry(node, list) {
		if (has_pid(vms, node->s))
			continue;
		pr_err("Process %s has no VM.\n", node->s);
		print_choice(vms);
		err = -ENOENT;
		break;
	}
	if (!err)
		keep_only(vms, has_listed_pid, list);
	strlist__delete(list);
	return err;
}

/* Keeps the VMs that were asked for; says what there is when that cannot be done. */
int kvm_vms__select(struct kvm_vms *vms, const char *pids, const char *name)
{
	int err = 0;

	if (name)
		err = select_name(vms, name);
	if (!err && pids)
		err = select_pids(vms, pids);
	return err;
}
