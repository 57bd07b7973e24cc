// SPDX-License-Identifier: GPL-2.0
/*
 * Puts a known load on a PMU driver: context switches between two tasks that both
 * count, reads of one counter or of a group, or samples.  Whoever watches from
 * outside (the host's kvm_vcpu PMU) divides the exits by the number of operations.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_EVENTS 16
#define RING_PAGES 256	/* for the samples: a power of two */

/* Opens an event of the calling task, in the group of @leader if that is not -1. */
static int open_attr(struct perf_event_attr *attr, int leader)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = syscall(SYS_perf_event_open, attr, 0, -1, leader, 0);
	if (fd < 0)
		err(1, "event type %u config %#llx", attr->type,
		    (unsigned long long)attr->config);
	return fd;
}

static int open_event(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = { .type = type, .config = config };

	return open_attr(&attr, -1);
}

static void pin_to_cpu0(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

/* Context switches of all CPUs since boot. */
static long context_switches(void)
{
	char line[256];
	long switches = -1;
	FILE *stat = fopen("/proc/stat", "r");

	if (!stat)
		err(1, "/proc/stat");
	while (switches < 0 && fgets(line, sizeof(line), stat))
		sscanf(line, "ctxt %ld", &switches);
	fclose(stat);
	if (switches < 0)
		errx(1, "/proc/stat has no line ctxt");
	return switches;
}

static void pass_token(int from, int to, long rounds, int starts)
{
	char token = 0;

	for (long i = 0; i < rounds; i++) {
		if (starts && write(to, &token, 1) != 1)
			err(1, "write");
		if (read(from, &token, 1) != 1)
			err(1, "read");
		if (!starts && write(to, &token, 1) != 1)
			err(1, "write");
	}
}

/* Two tasks on one CPU, each with its own events, wake each other in turn. */
static void load_switch(uint32_t type, const uint64_t *configs, int nr, long rounds)
{
	int ping[2], pong[2], status;
	long before = context_switches();
	pid_t child;

	if (pipe(ping) || pipe(pong))
		err(1, "pipe");
	pin_to_cpu0();
	child = fork();
	if (child < 0)
		err(1, "fork");
	for (int i = 0; i < nr; i++)
		open_event(type, configs[i]);
	if (!child) {
		pass_token(ping[0], pong[1], rounds, 0);
		_exit(0);
	}
	pass_token(pong[0], ping[1], rounds, 1);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the second task failed");
	printf("operations %ld\n", context_switches() - before);
}

static void load_read(uint32_t type, uint64_t config, long rounds)
{
	int fd = open_event(type, config);
	uint64_t value;

	pin_to_cpu0();
	for (long i = 0; i < rounds; i++)
		if (read(fd, &value, sizeof(value)) != sizeof(value))
			err(1, "read of the counter");
	printf("operations %ld\n", rounds);
}

static void load_group_read(uint32_t type, const uint64_t *configs, int nr, long rounds)
{
	uint64_t values[1 + MAX_EVENTS];
	int leader = -1;

	for (int i = 0; i < nr; i++) {
		struct perf_event_attr attr = {
			.type = type,
			.config = configs[i],
			.read_format = PERF_FORMAT_GROUP,
		};
		int fd = open_attr(&attr, leader);

		if (leader < 0)
			leader = fd;
	}
	pin_to_cpu0();
	for (long i = 0; i < rounds; i++)
		if (read(leader, values, sizeof(values)) != (1 + nr) * (ssize_t)sizeof(values[0]))
			err(1, "read of the group");
	printf("operations %ld\n", rounds);
}

static long count_samples(const struct perf_event_mmap_page *ring, size_t page)
{
	const char *data = (const char *)ring + page;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	long samples = 0;

	if (head > RING_PAGES * page)
		errx(1, "more samples than the buffer takes");
	for (uint64_t at = 0; at < head;) {
		const struct perf_event_header *record = (const void *)(data + at);

		samples += record->type == PERF_RECORD_SAMPLE;
		if (record->type == PERF_RECORD_LOST)
			errx(1, "samples were lost");
		at += record->size;
	}
	return samples;
}

/* CPUID is an exit, and takes time in the guest: work for any event. */
static void execute_cpuid(long count)
{
	for (long i = 0; i < count; i++) {
		uint32_t a = 0, b, c = 0, d;

		asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	}
}

static void load_sample(uint32_t type, uint64_t config, uint64_t period, long rounds)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct perf_event_attr attr = {
		.type = type,
		.config = config,
		.sample_period = period,
		.sample_type = PERF_SAMPLE_IP,
		.watermark = 1,
		.wakeup_watermark = RING_PAGES * page,
	};
	struct perf_event_mmap_page *ring;
	int fd = open_attr(&attr, -1);

	ring = mmap(NULL, (1 + RING_PAGES) * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		err(1, "mmap");
	execute_cpuid(rounds);
	printf("operations %ld\n", count_samples(ring, page));
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text)
		errx(2, "'%s' is no number", text);
	return value;
}

static void usage(void)
{
	errx(2, "usage: pmu-load switch|read|group-read ROUNDS TYPE [CONFIG...], or sample ROUNDS TYPE CONFIG PERIOD");
}

int main(int argc, char **argv)
{
	uint64_t configs[MAX_EVENTS];
	uint32_t type;
	long rounds;
	int nr = argc - 4;

	if (argc < 4 || nr > MAX_EVENTS)
		usage();
	rounds = number(argv[2]);
	type = number(argv[3]);
	for (int i = 0; i < nr; i++)
		configs[i] = number(argv[4 + i]);

	if (!strcmp(argv[1], "switch"))
		load_switch(type, configs, nr, rounds);
	else if (!strcmp(argv[1], "read") && nr == 1)
		load_read(type, configs[0], rounds);
	else if (!strcmp(argv[1], "group-read") && nr)
		load_group_read(type, configs, nr, rounds);
	else if (!strcmp(argv[1], "sample") && nr == 2)
		load_sample(type, configs[0], configs[1], rounds);
	else
		usage();
	return 0;
}
