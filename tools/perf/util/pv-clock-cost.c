// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what a reading of perf's clock costs in user space, by what perf
 * maps for an event: the conversion from the CPU's counter to the clock.
 */
#include "pv-clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/perf_event.h>
#include <internal/lib.h>
#include "cloexec.h"
#include "debug.h"
#include "perf-sys.h"
#include "time-utils.h"
#include "tsc.h"

#define NR_BATCHES	20
#define NR_READS	2000

/* The least privileged event there is: it counts nothing, but has its page. */
static int map_event(struct perf_event_mmap_page **page)
{
	struct perf_event_attr attr = {
		.type		= PERF_TYPE_SOFTWARE,
		.size		= sizeof(attr),
		.config		= PERF_COUNT_SW_DUMMY,
		.exclude_kernel	= 1,
		.exclude_hv	= 1,
	};
	int err = 0, fd = sys_perf_event_open(&attr, /*pid=*/0, /*cpu=*/-1, /*group_fd=*/-1,
					      perf_event_open_cloexec_flag());

	if (fd < 0)
		return -errno;
	*page = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, 0);
	if (*page == MAP_FAILED)
		err = -errno;
	close(fd);
	return err;
}

/* A reader has to look at the page each time, as the conversion may have changed. */
static int measure_batch(const struct perf_event_mmap_page *page, u64 *ns)
{
	struct perf_tsc_conversion tc;
	u64 start = rdclock();

	for (int i = 0; i < NR_READS; i++) {
		int err = perf_read_tsc_conversion(page, &tc);

		if (err)
			return err;
		tsc_to_perf_time(rdtsc(), &tc);
	}
	*ns = rdclock() - start;
	return 0;
}

/*
 * Whatever else happens on the machine makes a batch longer, never shorter: the
 * shortest one is the cost. -EOPNOTSUPP: the page has no conversion.
 */
int pv_clock__measure_page(const struct perf_event_mmap_page *page, double *ns)
{
	u64 batch, best = UINT64_MAX;

	for (int i = 0; i < NR_BATCHES; i++) {
		int err = measure_batch(page, &batch);

		if (err)
			return err;
		best = min(best, batch);
	}
	*ns = (double)best / NR_READS;
	return 0;
}

int pv_clock__measure_read(double *ns)
{
	struct perf_event_mmap_page *page;
	int err = map_event(&page);

	if (!err) {
		err = pv_clock__measure_page(page, ns);
		munmap(page, page_size);
	}
	if (err)
		pr_debug("The clock cannot be read in user space: %s\n", strerror(-err));
	return err;
}
