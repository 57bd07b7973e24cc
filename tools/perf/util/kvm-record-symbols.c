// SPDX-License-Identifier: GPL-2.0
/*
 * Takes from the guests what gives names to the addresses that their samples hit, and
 * what this host does not have yet. Without it the recording is as good as before.
 */
#include "kvm-record-symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/zalloc.h>
#include <internal/lib.h>
#include "debug.h"
#include "dso.h"
#include "kvm-record.h"
#include "kvm-record-cache.h"
#include "kvm-record-dsos.h"
#include "units.h"
#include "vdso.h"

#define WAIT_US		(20 * USEC_PER_MSEC)
#define KEEP_ALIVE	(5 * NSEC_PER_SEC)
#define MAX_TIME	(300 * NSEC_PER_SEC)	/* of all: a guest may be as slow as it likes */
#define FILE_TIMEOUT	60			/* s */
#define QUIET_TIME	(2 * NSEC_PER_SEC)	/* what is faster needs no progress */

struct symbols {
	struct kvm_record	*rec;
	int			 list;		/* what a guest's samples hit */
	char			*tmp;
	u64			*left;		/* bytes that each guest may still send */
	int			 signals;	/* those that ended the recording */
	unsigned int		 nr_got;
	unsigned int		 nr_failed;
	u64			 bytes;
	u64			 since;
	u64			 last_told;
};

static bool is_late(const struct symbols *syms)
{
	return kvm_channel__now() - syms->since > MAX_TIME;
}

static bool is_over(const struct symbols *syms)
{
	return READ_ONCE(*syms->rec->opts.signals) > syms->signals || is_late(syms);
}

/* Each is a sentence for who asks, and a number for all. */
static void __printf(3, 4) tell_failure(struct symbols *syms, const struct kvm_record_guest *guest,
					const char *fmt, ...)
{
	char text[KVM_FRAME_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vscnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pr_debug("guest '%s': %s\n", guest->target.name, text);
	syms->nr_failed++;
}

static void show_progress(struct symbols *syms)
{
	const u64 now = kvm_channel__now();
	char size[32];

	if (quiet || (!isatty(STDERR_FILENO) && verbose <= 0) || now - syms->since < QUIET_TIME ||
	    now - syms->last_told < NSEC_PER_SEC)
		return;
	syms->last_told = now;
	unit_number__scnprintf(size, sizeof(size), syms->bytes);
	fprintf(stderr, "symbols: %" PRIu64 " s, %u files, %s\n",
		(now - syms->since) / NSEC_PER_SEC, syms->nr_got, size);
}

/* What was hit */

/* Paths are the guest's, and are printed. */
static bool has_control(const char *path)
{
	for (; *path; path++) {
		if ((unsigned char)*path < ' ' || *path == 0x7f)
			return true;
	}
	return false;
}

/* An agent ends the session of a host that is silent. */
static void keep_alive(struct symbols *syms, u64 *last)
{
	struct kvm_agent_reading reading;

	if (kvm_channel__now() - *last < KEEP_ALIVE)
		return;
	for (size_t i = 0; i < syms->rec->nr_guests; i++) {
		struct kvm_agent_client *client = syms->rec->guests[i].client;

		if (client && client->state == KVM_AGENT_CLIENT_READY)
			kvm_agent_client__probe(client, KVM_AGENT_CLOCK_MONOTONIC, 1, &reading);
	}
	*last = kvm_channel__now();
}

static int wait_finder(struct symbols *syms, pid_t pid)
{
	u64 last = kvm_channel__now();
	int status;
	pid_t ret;

	while ((ret = waitpid(pid, &status, WNOHANG)) <= 0) {
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (is_over(syms))
			kill(pid, SIGKILL);
		usleep(WAIT_US);
		keep_alive(syms, &last);
		show_progress(syms);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* One that fails has found something, or a part of it. */
static int find_dsos(struct symbols *syms, const struct kvm_record_guest *guest)
{
	pid_t pid;

	syms->list = memfd_create("perf-kvm-record", MFD_CLOEXEC);
	if (syms->list < 0)
		return -errno;
	pid = kvm_record_dsos__start(guest->path, syms->list);
	if (pid < 0)
		return -errno;
	if (wait_finder(syms, pid))
		tell_failure(syms, guest, "not all that its samples hit was found out");
	return lseek(syms->list, 0, SEEK_SET) ? -errno : 0;
}

/* One file */

/* Counts what came, also of what ended early. */
static void account(struct symbols *syms, const struct kvm_record_guest *guest, u64 bytes)
{
	u64 *left = &syms->left[guest - syms->rec->guests];

	*left -= min(*left, bytes);
	syms->bytes += bytes;
}

static u64 limit(const struct symbols *syms, const struct kvm_record_guest *guest)
{
	return min(syms->rec->opts.symbols.max_file, syms->left[guest - syms->rec->guests]);
}

/* perf finds the name of what is mapped, or the kernel's, in the list of build-ids. */
static int add_build_id(struct kvm_record_guest *guest, const struct kvm_record_dso *dso,
			const char *name)
{
	struct kvm_merge_build_id *list, entry = {
		.bid		= dso->bid,
		.is_kernel	= dso->kind == KVM_RECORD_DSO_KERNEL ||
				  dso->kind == KVM_RECORD_DSO_MODULE,
		.name		= strdup(name),
	};

	list = reallocarray(guest->build_ids, guest->nr_build_ids + 1, sizeof(*list));
	if (list)
		guest->build_ids = list;
	if (!list || !entry.name) {
		free(entry.name);
		return -ENOMEM;
	}
	list[guest->nr_build_ids++] = entry;
	return 0;
}

/* One that is too short could name other things in the cache. */
static int take_build_id(struct kvm_record_dso *dso, const struct kvm_record_guest *guest)
{
	const struct kvm_agent_transfer *transfer = &guest->client->transfer;

	if (transfer->build_id_size < BUILD_ID_MIN_SIZE || transfer->build_id_size > BUILD_ID_SIZE)
		return -ENOENT;
	build_id__init(&dso->bid, transfer->build_id, transfer->build_id_size);
	return 0;
}

/* Where there are none, perf would take those of the host's kernel: an empty file is none. */
static void get_kernel(struct symbols *syms, struct kvm_record_guest *guest,
		       struct kvm_record_dso *dso)
{
	int fd = kvm_record_parts__make_kallsyms(&syms->rec->parts, guest->target.pid);
	char name[64];

	if (fd < 0) {
		tell_failure(syms, guest, "its kernel's symbols cannot be stored: %s",
			     strerror(-fd));
		return;
	}
	if (!kvm_agent_client__get_kallsyms(guest->client, fd, limit(syms, guest))) {
		account(syms, guest, guest->client->transfer.bytes);
		scnprintf(name, sizeof(name), "[guest.kernel.kallsyms.%d]", guest->target.pid);
		if (!take_build_id(dso, guest))
			add_build_id(guest, dso, name);
		syms->nr_got++;
	} else {
		tell_failure(syms, guest, "no symbols of its kernel: %s",
			     guest->client->error.text);
		if (ftruncate(fd, 0))
			pr_debug("%s: an incomplete file of symbols stays\n", guest->target.name);
	}
	close(fd);
}

static void store(struct symbols *syms, const struct kvm_record_guest *guest,
		  const struct kvm_record_dso *dso)
{
	int err = kvm_record_cache__add(&dso->bid, syms->tmp, dso->path,
					dso->kind == KVM_RECORD_DSO_VDSO);

	if (!err)
		syms->nr_got++;
	else if (err == -EBADMSG)
		tell_failure(syms, guest, "%s: what its agent sent does not have the build-id that was asked for",
			     dso->path);
	else
		tell_failure(syms, guest, "%s cannot be put into %s: %s", dso->path, buildid_dir,
			     strerror(-err));
}

static int fetch(struct symbols *syms, struct kvm_record_guest *guest,
		 const struct kvm_record_dso *dso, int fd)
{
	int err;

	if (dso->kind == KVM_RECORD_DSO_VDSO)
		err = kvm_agent_client__get_vdso(guest->client, fd, limit(syms, guest));
	else
		err = kvm_agent_client__get_file_of(guest->client, dso->pid, dso->path,
						    dso->bid.data, dso->bid.size, fd,
						    limit(syms, guest));
	if (err)
		tell_failure(syms, guest, "no symbols of %s: %s", dso->path,
			     guest->client->error.text);
	else
		account(syms, guest, guest->client->transfer.bytes);
	return err;
}

static void fetch_and_store(struct symbols *syms, struct kvm_record_guest *guest,
			    struct kvm_record_dso *dso)
{
	int err, fd = open(syms->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		tell_failure(syms, guest, "%s cannot be made: %s", syms->tmp, strerror(errno));
		return;
	}
	err = fetch(syms, guest, dso, fd);
	close(fd);
	if (!err && dso->kind == KVM_RECORD_DSO_VDSO)
		err = take_build_id(dso, guest) ?: add_build_id(guest, dso, DSO__NAME_VDSO);
	if (!err && !kvm_record_cache__has(&dso->bid))
		store(syms, guest, dso);
	unlink(syms->tmp);
}

/* What has the same build-id is the same file, if this host has it or another guest had. */
static void get_file(struct symbols *syms, struct kvm_record_guest *guest,
		     struct kvm_record_dso *dso)
{
	if (kvm_agent_client__get_id_of(guest->client, dso->pid, dso->path)) {
		tell_failure(syms, guest, "no symbols of %s: %s", dso->path,
			     guest->client->error.text);
		return;
	}
	if (take_build_id(dso, guest)) {
		tell_failure(syms, guest, "no symbols of %s: its build-id is too short", dso->path);
		return;
	}
	if (add_build_id(guest, dso, dso->path) || kvm_record_cache__has(&dso->bid))
		return;
	fetch_and_store(syms, guest, dso);
}

static void get_dso(struct symbols *syms, struct kvm_record_guest *guest,
		    struct kvm_record_dso *dso)
{
	dso->path[sizeof(dso->path) - 1] = '\0';
	if (has_control(dso->path))
		tell_failure(syms, guest, "no symbols of a file that has control characters in its name");
	else if (dso->kind == KVM_RECORD_DSO_KERNEL)
		get_kernel(syms, guest, dso);
	else if (guest->client->state != KVM_AGENT_CLIENT_READY)
		tell_failure(syms, guest, "no symbols of %s: its agent cannot be asked any more",
			     dso->path);
	else if (dso->kind == KVM_RECORD_DSO_VDSO)
		fetch_and_store(syms, guest, dso);
	else
		get_file(syms, guest, dso);
}

/* All files */

static void get_all(struct symbols *syms, struct kvm_record_guest *guest)
{
	struct kvm_record_dso dso;

	while (!is_over(syms) && readn(syms->list, &dso, sizeof(dso)) == sizeof(dso)) {
		get_dso(syms, guest, &dso);
		show_progress(syms);
	}
}

static void get_guest(struct symbols *syms, struct kvm_record_guest *guest)
{
	int err = find_dsos(syms, guest);

	guest->client->file_timeout = FILE_TIMEOUT;
	if (err)
		tell_failure(syms, guest, "what its samples hit was not found out: %s",
			     strerror(-err));
	else
		get_all(syms, guest);
	if (syms->list >= 0)
		close(syms->list);
	syms->list = -1;
}

static int init(struct symbols *syms, struct kvm_record *rec)
{
	memset(syms, 0, sizeof(*syms));
	syms->rec = rec;
	syms->list = -1;
	syms->signals = READ_ONCE(*rec->opts.signals);
	syms->since = kvm_channel__now();
	syms->left = calloc(rec->nr_guests, sizeof(*syms->left));
	for (size_t i = 0; syms->left && i < rec->nr_guests; i++)
		syms->left[i] = rec->opts.symbols.max_size;
	if (asprintf(&syms->tmp, "%s/symbols.tmp", rec->parts.dir) < 0)
		syms->tmp = NULL;
	return syms->left && syms->tmp ? 0 : -ENOMEM;
}

void kvm_record_symbols__get(struct kvm_record *rec)
{
	struct symbols syms;
	int err;

	if (rec->opts.symbols.off)
		return;
	err = init(&syms, rec);
	for (size_t i = 0; !err && i < rec->nr_guests && !is_over(&syms); i++) {
		if (rec->guests[i].written)
			get_guest(&syms, &rec->guests[i]);
	}
	if (is_over(&syms))
		pr_warning("Not all symbols of the guests are there: it %s.\n",
			   is_late(&syms) ? "took too long" : "was interrupted");
	if (syms.nr_failed)
		pr_warning("%u times there were no symbols of what guests' samples hit%s.\n",
			   syms.nr_failed, verbose > 0 ? "" : "; -v says why");
	zfree(&syms.left);
	zfree(&syms.tmp);
}
