// SPDX-License-Identifier: GPL-2.0
/*
 * Prints perf's time of this moment in ns, as the kernel stamps it: the time in the record of a page fault.
 *
 * usage: perf-now [-u] [COUNT [FILE]]
 *
 * Of COUNT faults, the time of the last one is printed; it ends with 1 if time steps back from one to the next. With
 * FILE it does so again and again until FILE is there, and prints once.
 *
 * -u reads the clock in user space as well, by what the kernel maps for the event, before and after each fault, and
 * prints "BEFORE TIME AFTER" of the last one. It ends with 1 if they are not in this order, and with 3 if the kernel
 * does not tell how to read the clock in user space.
 */
#include <err.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define RING_PAGES	8	/* of records; a power of two */
#define NO_CAPABILITY	3

/* None goes around the end of the ring, which is a multiple of their size. */
struct record {
	struct perf_event_header header;
	uint64_t time;
	uint64_t addr;
	uint64_t stream_id;	/* for the size's sake */
};
_Static_assert(sizeof(struct record) == 32, "a power of two");

static size_t page_size;

static int open_event(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_STREAM_ID,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		err(2, "perf_event_open");
	return fd;
}

static void *map(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

static void fault(volatile char *page)
{
	if (madvise((void *)page, page_size, MADV_DONTNEED))
		err(2, "madvise");
	*page = 1;
}

/* Takes all records from the ring, of whatever else faulted as well; returns the time of the fault at this address. */
static uint64_t time_of_fault(struct perf_event_mmap_page *map, const char *addr)
{
	const char *ring = (const char *)map + page_size;
	uint64_t size = RING_PAGES * page_size, time = 0;
	uint64_t head = __atomic_load_n(&map->data_head, __ATOMIC_ACQUIRE);
	const struct record *record;

	for (uint64_t tail = map->data_tail; tail < head; tail += sizeof(*record)) {
		record = (const struct record *)(ring + tail % size);
		if (record->header.type != PERF_RECORD_SAMPLE || record->header.size != sizeof(*record))
			errx(2, "a record of type %u with %u bytes", record->header.type, record->header.size);
		if (record->addr == (uintptr_t)addr)
			time = record->time;
	}
	__atomic_store_n(&map->data_tail, head, __ATOMIC_RELEASE);
	if (!time)
		errx(2, "the fault left no record");
	return time;
}

/* As linux/perf_event.h says. */
static uint64_t user_time(const volatile struct perf_event_mmap_page *map)
{
	uint64_t zero, cycles, quotient, rest;
	uint32_t lock, mult;
	uint16_t shift;

	do {
		lock = __atomic_load_n(&map->lock, __ATOMIC_ACQUIRE);
		if (!map->cap_user_time || !map->cap_user_time_zero) {
			puts("the clock cannot be read in user space: no cap_user_time_zero");
			exit(NO_CAPABILITY);
		}
		_mm_lfence();
		cycles = __rdtsc();
		zero = map->time_zero;
		mult = map->time_mult;
		shift = map->time_shift;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (lock & 1 || __atomic_load_n(&map->lock, __ATOMIC_RELAXED) != lock);

	quotient = cycles >> shift;
	rest = cycles & (((uint64_t)1 << shift) - 1);
	return zero + quotient * mult + ((rest * mult) >> shift);
}

struct reading {
	uint64_t before;
	uint64_t time;
	uint64_t after;
};

static void read_once(struct reading *reading, struct perf_event_mmap_page *map, char *page, bool in_user)
{
	uint64_t earlier = reading->time;

	if (in_user)
		reading->before = user_time(map);
	fault(page);
	if (in_user)
		reading->after = user_time(map);
	reading->time = time_of_fault(map, page);

	if (reading->time < earlier)
		errx(1, "time stepped back from %lu to %lu", earlier, reading->time);
	if (in_user && (reading->time < reading->before || reading->time > reading->after))
		errx(1, "the kernel's time %lu is not between %lu and %lu", reading->time, reading->before, reading->after);
}

int main(int argc, char **argv)
{
	bool in_user = argc > 1 && !strcmp(argv[1], "-u");
	char **args = argv + 1 + in_user, *page;
	long count = args[0] ? atol(args[0]) : 1;
	const char *file = args[0] ? args[1] : NULL;
	struct perf_event_mmap_page *map_page;
	struct reading reading = { 0 };

	if (count < 1)
		errx(2, "usage: perf-now [-u] [COUNT [FILE]]");
	page_size = sysconf(_SC_PAGESIZE);
	map_page = map((1 + RING_PAGES) * page_size, MAP_SHARED, open_event());
	page = map(page_size, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	do {
		for (long i = 0; i < count; i++)
			read_once(&reading, map_page, page, in_user);
	} while (file && access(file, F_OK));

	if (in_user)
		printf("%lu %lu %lu\n", reading.before, reading.time, reading.after);
	else
		printf("%lu\n", reading.time);
	return 0;
}
