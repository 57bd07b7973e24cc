// SPDX-License-Identifier: GPL-2.0
/*
 * Takes from an agent what gives names to its guest's addresses. The announced
 * size and build-id are checked, and each frame against them; the contents are not.
 */
#include "kvm-agent-client.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/time64.h>

#define POLL_MS		100
/* Probes are answered even by an agent that makes no progress. */
#define STALL_TIMEOUT	(30 * NSEC_PER_SEC)

/* What cannot be stored is still taken, so that the session can go on. */
static void store(struct kvm_agent_transfer *transfer, const u8 *data, size_t len)
{
	while (len && !transfer->err) {
		ssize_t n = write(transfer->fd, data, len);

		if (n > 0) {
			data += n;
			len -= n;
		} else if (!n || errno != EINTR) {
			transfer->err = n ? -errno : -ENOSPC;
		}
	}
}

static void end_transfer(struct kvm_agent_client *client)
{
	if (client->state == KVM_AGENT_CLIENT_RECEIVING)
		client->state = KVM_AGENT_CLIENT_READY;
	client->transfer.id = 0;
}

int kvm_agent_client__take_file_data(struct kvm_agent_client *client, const struct kvm_frame *frame)
{
	struct kvm_agent_transfer *transfer = &client->transfer;
	struct kvm_frame_data fixed;

	kvm_frame__get_fixed(frame, &fixed, sizeof(fixed));
	if (frame->id != transfer->id)
		return kvm_agent_client__fail(client, KVM_AGENT_E_ORDER,
					      "the agent sent data of a file that nobody asked for");
	if (le64toh(fixed.offset) != transfer->bytes)
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
					      "the agent's file has a gap, or comes twice");
	if (frame->var_len > transfer->size - transfer->bytes)
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
					      "the agent sent more of a file than it announced");
	store(transfer, frame->var, frame->var_len);
	transfer->bytes += frame->var_len;
	if (transfer->bytes == transfer->size)
		end_transfer(client);
	return 0;
}

/* Of a file that was asked for by its build-id, it must be that one. */
static bool is_asked_for(const struct kvm_frame_get_file *asked, const struct kvm_frame_file *file)
{
	const u32 size = le32toh(file->build_id_size);

	if (size > sizeof(file->build_id))
		return false;
	return !asked->build_id_size ||
	       (asked->build_id_size == file->build_id_size &&
		!memcmp(asked->build_id, file->build_id, size));
}

static int begin_transfer(struct kvm_agent_client *client, const struct kvm_frame_get_file *asked,
			  const struct kvm_frame *frame, u32 id, int fd)
{
	struct kvm_agent_transfer *transfer = &client->transfer;
	struct kvm_frame_file file;

	kvm_frame__get_fixed(frame, &file, sizeof(file));
	if (!is_asked_for(asked, &file))
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
					      "the agent announced a file with another build-id");
	if (le64toh(file.size) > le64toh(asked->max))
		return kvm_agent_client__fail(client, KVM_AGENT_E_PROTOCOL,
					      "the agent announced a longer file than it may send");
	memset(transfer, 0, sizeof(*transfer));
	transfer->id = id;
	transfer->fd = fd;
	transfer->size = le64toh(file.size);
	transfer->build_id_size = le32toh(file.build_id_size);
	memcpy(transfer->build_id, file.build_id, transfer->build_id_size);
	client->state = KVM_AGENT_CLIENT_RECEIVING;
	if (!transfer->size)
		end_transfer(client);
	return 0;
}

static int receive(struct kvm_agent_client *client)
{
	const u64 end = kvm_channel__now() + client->file_timeout * NSEC_PER_SEC;
	struct kvm_agent_transfer *transfer = &client->transfer;
	u64 bytes = 0, since = kvm_channel__now();
	int ret = 0;

	while (!ret && client->state == KVM_AGENT_CLIENT_RECEIVING) {
		const u64 now = kvm_channel__now();

		since = transfer->bytes > bytes ? now : since;
		bytes = transfer->bytes;
		if (now > end || now - since > STALL_TIMEOUT)
			return kvm_agent_client__fail(client, KVM_AGENT_E_TIMEOUT,
						      "the agent did not send a file in time");
		ret = kvm_agent_client__poll(client, POLL_MS);
	}
	return min(ret, 0);
}

static int get(struct kvm_agent_client *client, struct kvm_frame_get_file *asked, const char *path,
	       int fd, u64 max)
{
	struct kvm_frame reply;
	u32 id;
	int err;

	if (client->state != KVM_AGENT_CLIENT_READY)
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_ORDER, false,
					    "a file cannot be asked for now");
	asked->max = htole64(max);
	err = kvm_agent_client__get_file_frame(client, asked, path, &id, &reply) ?:
	      begin_transfer(client, asked, &reply, id, fd) ?: receive(client);
	/* The agent's ERROR ended it, and perhaps nothing else. */
	end_transfer(client);
	if (!err && client->transfer.err)
		err = kvm_agent_error__set(&client->error, KVM_AGENT_E_FAILED, false,
					   "a file of the guest cannot be stored: %s",
					   strerror(-client->transfer.err));
	return err;
}

static int get_kind(struct kvm_agent_client *client, u32 kind, int fd, u64 max)
{
	struct kvm_frame_get_file asked = { .kind = htole32(kind) };

	return get(client, &asked, "", fd, max);
}

int kvm_agent_client__get_kallsyms(struct kvm_agent_client *client, int fd, u64 max)
{
	return get_kind(client, KVM_AGENT_FILE_KALLSYMS, fd, max);
}

int kvm_agent_client__get_modules(struct kvm_agent_client *client, int fd, u64 max)
{
	return get_kind(client, KVM_AGENT_FILE_MODULES, fd, max);
}

int kvm_agent_client__get_build_ids(struct kvm_agent_client *client, int fd, u64 max)
{
	return get_kind(client, KVM_AGENT_FILE_BUILD_IDS, fd, max);
}

int kvm_agent_client__get_vdso(struct kvm_agent_client *client, int fd, u64 max)
{
	return get_kind(client, KVM_AGENT_FILE_VDSO, fd, max);
}

int kvm_agent_client__get_id_of(struct kvm_agent_client *client, pid_t pid, const char *path)
{
	struct kvm_frame_get_file asked = {
		.kind	= htole32(KVM_AGENT_FILE_ID),
		.pid	= htole32(pid),
	};
	int err;

	if (strlen(path) > KVM_FRAME_TEXT_MAX)
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_REFUSED, false,
					    "the path of a file is too long");
	err = get(client, &asked, path, /*fd=*/-1, /*max=*/UINT64_MAX);
	if (!err && !client->transfer.build_id_size)
		err = kvm_agent_error__set(&client->error, KVM_AGENT_E_FAILED, false,
					   "the agent told no build-id");
	return err;
}

int kvm_agent_client__get_file_of(struct kvm_agent_client *client, pid_t pid, const char *path,
				  const u8 *build_id, size_t len, int fd, u64 max)
{
	struct kvm_frame_get_file asked = {
		.kind		= htole32(KVM_AGENT_FILE_PATH),
		.pid		= htole32(pid),
		.build_id_size	= htole32(len),
	};

	if (len > sizeof(asked.build_id) || strlen(path) > KVM_FRAME_TEXT_MAX)
		return kvm_agent_error__set(&client->error, KVM_AGENT_E_REFUSED, false,
					    "the path or the build-id of a file is too long");
	memcpy(asked.build_id, build_id, len);
	return get(client, &asked, path, fd, max);
}

int kvm_agent_client__get_file(struct kvm_agent_client *client, const char *path,
			       const u8 *build_id, size_t len, int fd, u64 max)
{
	return kvm_agent_client__get_file_of(client, /*pid=*/0, path, build_id, len, fd, max);
}
