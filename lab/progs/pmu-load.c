// SPDX-License-Identifier: GPL-2.0
/*
 * Puts a known load on a PMU driver: context switches between two tasks that both
 * count, or reads of one counter.  Whoever watches from outside (the host's
 * kvm_vcpu PMU) divides the exits by the number of operations.
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_EVENTS 16

/* Counts the calling task on any CPU. */
static int open_event(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = type,
		.config = config,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		err(1, "event type %u config %#llx", type,
		    (unsigned long long)config);
	return fd;
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

int main(int argc, char **argv)
{
	uint64_t configs[MAX_EVENTS];
	uint32_t type;
	long rounds;
	int nr = argc - 4;

	if (argc < 4 || nr > MAX_EVENTS)
		errx(2, "usage: pmu-load switch|read ROUNDS TYPE [CONFIG...]");
	rounds = number(argv[2]);
	type = number(argv[3]);
	for (int i = 0; i < nr; i++)
		configs[i] = number(argv[4 + i]);

	if (!strcmp(argv[1], "switch"))
		load_switch(type, configs, nr, rounds);
	else if (!strcmp(argv[1], "read") && nr == 1)
		load_read(type, configs[0], rounds);
	else
		errx(2, "usage: pmu-load switch|read ROUNDS TYPE [CONFIG...]");
	return 0;
}
