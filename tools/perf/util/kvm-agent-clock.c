// SPDX-License-Identifier: GPL-2.0
/*
 * Reads clocks. perf_clock() has no system call; but the kernel writes it into
 * the record of a task that changes its name, so that any kernel with perf
 * events, patched or not, can be made to tell it.
 */
#include "kvm-agent-clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/perf_event.h>
#include <linux/time64.h>
#include <asm/barrier.h>
#include <internal/lib.h>
#include "cloexec.h"
#include "kvm-agent-proto.h"
#include "perf-sys.h"

#define TASK_COMM_LEN	16

const char *kvm_agent_clocks__name(u32 clock)
{
	static const char * const names[KVM_AGENT_NR_CLOCKS] = {
		[KVM_AGENT_CLOCK_PERF]		= "perf",
		[KVM_AGENT_CLOCK_MONOTONIC]	= "monotonic",
		[KVM_AGENT_CLOCK_RAW]		= "raw",
		[KVM_AGENT_CLOCK_BOOTTIME]	= "boottime",
		[KVM_AGENT_CLOCK_REALTIME]	= "realtime",
	};

	return clock < KVM_AGENT_NR_CLOCKS ? names[clock] : NULL;
}

void kvm_agent_clocks__init(struct kvm_agent_clocks *clocks)
{
	clocks->fd = -1;
	clocks->ring = NULL;
}

void kvm_agent_clocks__exit(struct kvm_agent_clocks *clocks)
{
	if (clocks->ring)
		munmap(clocks->ring, 2 * page_size);
	if (clocks->fd >= 0)
		close(clocks->fd);
	kvm_agent_clocks__init(clocks);
}

static int open_event(struct kvm_agent_clocks *clocks)
{
	struct perf_event_attr attr = {
		.type		= PERF_TYPE_SOFTWARE,
		.size		= sizeof(attr),
		.config		= PERF_COUNT_SW_DUMMY,
		.sample_type	= PERF_SAMPLE_TIME,
		.sample_id_all	= 1,
		.comm		= 1,
		.exclude_kernel	= 1,
		.exclude_hv	= 1,
	};
	void *ring;

	clocks->fd = sys_perf_event_open(&attr, /*pid=*/0, /*cpu=*/-1, /*group_fd=*/-1,
					 perf_event_open_cloexec_flag());
	if (clocks->fd < 0)
		return -errno;
	ring = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, clocks->fd, 0);
	if (ring == MAP_FAILED) {
		int err = -errno;

		kvm_agent_clocks__exit(clocks);
		return err;
	}
	clocks->ring = ring;
	return 0;
}

/* A record's time is its last word, which never wraps: records are whole numbers of words. */
static int read_last(struct perf_event_mmap_page *page, u64 *ns)
{
	const u64 tail = page->data_tail;
	/* Pairs with the kernel's barrier between the record and data_head. */
	const u64 head = smp_load_acquire(&page->data_head);
	const char *data = (const char *)page + page_size;

	if (head == tail || head % sizeof(u64))
		return -EIO;
	memcpy(ns, data + (head - sizeof(u64)) % page_size, sizeof(u64));
	/* The kernel may write over the record only after it was read. */
	smp_store_release(&page->data_tail, head);
	return 0;
}

static int read_perf(struct kvm_agent_clocks *clocks, u64 *ns)
{
	char name[TASK_COMM_LEN] = "";
	int err = clocks->ring ? 0 : open_event(clocks);

	if (err)
		return err;
	if (prctl(PR_GET_NAME, name) || prctl(PR_SET_NAME, name))
		return -errno;
	return read_last(clocks->ring, ns);
}

/* -EINVAL: there is no such clock. */
int kvm_agent_clocks__read(struct kvm_agent_clocks *clocks, u32 clock, u64 *ns)
{
	static const clockid_t ids[KVM_AGENT_NR_CLOCKS] = {
		[KVM_AGENT_CLOCK_MONOTONIC]	= CLOCK_MONOTONIC,
		[KVM_AGENT_CLOCK_RAW]		= CLOCK_MONOTONIC_RAW,
		[KVM_AGENT_CLOCK_BOOTTIME]	= CLOCK_BOOTTIME,
		[KVM_AGENT_CLOCK_REALTIME]	= CLOCK_REALTIME,
	};
	struct timespec ts;

	if (clock >= KVM_AGENT_NR_CLOCKS)
		return -EINVAL;
	if (clock == KVM_AGENT_CLOCK_PERF)
		return read_perf(clocks, ns);
	if (clock_gettime(ids[clock], &ts))
		return -errno;
	*ns = ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
	return 0;
}
