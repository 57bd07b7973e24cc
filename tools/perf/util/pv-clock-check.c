// SPDX-License-Identifier: GPL-2.0
/*
 * Asks the agent in a guest for the time of its perf clock, again and again, and
 * takes the shortest round trip: it proves the most.
 */
#include "pv-clock-check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include "kvm-agent-client.h"
#include "kvm-record-vm.h"

#define PROBES	50

/* Nobody asked for a recording. */
static int refuse_data(void *priv __maybe_unused, const void *data __maybe_unused,
		       size_t len __maybe_unused)
{
	return -EPROTO;
}

static const struct kvm_agent_client_ops client_ops = {
	.data	= refuse_data,
};

static void probe(struct pv_clock_check *check, struct kvm_agent_client *client, s64 offset)
{
	struct kvm_agent_reading best;

	if (kvm_agent_client__probe(client, KVM_AGENT_CLOCK_PERF, PROBES, &best)) {
		scnprintf(check->reason, sizeof(check->reason), "%s", client->error.text);
		return;
	}
	if (__builtin_add_overflow(best.offset, offset, &check->apart)) {
		scnprintf(check->reason, sizeof(check->reason), "the guest's time is none");
		return;
	}
	check->bound = best.bound;
	check->known = true;
}

static void find_address(struct pv_clock_check *check, pid_t pid)
{
	struct kvm_record_vms vms;
	const struct kvm_record_vm *vm;

	if (kvm_record_vms__find(&vms)) {
		scnprintf(check->reason, sizeof(check->reason), "no memory");
		return;
	}
	vm = kvm_record_vms__by_pid(&vms, pid);
	if (!vm || kvm_record_vm__address(vm, /*port=*/0, check->address, sizeof(check->address)))
		scnprintf(check->reason, sizeof(check->reason),
			  "the VM has neither vsock nor a virtio port for an agent");
	kvm_record_vms__exit(&vms);
}

/* offset: what the host says that the guest's clock is behind its own. */
void pv_clock_check__measure(struct pv_clock_check *check, pid_t pid, s64 offset)
{
	struct kvm_agent_client *client;
	struct kvm_agent_error error;

	memset(check, 0, sizeof(*check));
	find_address(check, pid);
	if (!*check->address)
		return;
	client = kvm_agent_client__connect(check->address, &client_ops, NULL, &error);
	if (!client) {
		scnprintf(check->reason, sizeof(check->reason), "%s", error.text);
		return;
	}
	probe(check, client, offset);
	kvm_agent_client__delete(client);
}

bool pv_clock_check__agrees(const struct pv_clock_check *check)
{
	const u64 apart = check->apart < 0 ? -(u64)check->apart : (u64)check->apart;

	return check->known && apart <= check->bound;
}
