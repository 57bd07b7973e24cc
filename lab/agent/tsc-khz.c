// SPDX-License-Identifier: GPL-2.0
/*
 * Prints this machine's TSC frequency in kHz, which a VM under TCG sees unchanged.
 *
 * The VM's own early calibration goes wrong by more than 250 ppm when the
 * machine is busy, and KVM in it then adjusts each guest's TSC all the time.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define INTERVAL_US	100000
#define TRIES		20

struct moment {
	int64_t	ns;
	int64_t	tsc;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Reads both clocks; of several tries, the one that was disturbed least. */
static struct moment take_moment(void)
{
	struct moment best = { 0 };
	int64_t best_width = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = __rdtsc();
		int64_t ns = now_ns();
		int64_t after = __rdtsc();

		if (after - before >= best_width)
			continue;
		best_width = after - before;
		best = (struct moment){ ns, before + best_width / 2 };
	}
	return best;
}

int main(void)
{
	struct moment first = take_moment(), last;

	usleep(INTERVAL_US);
	last = take_moment();
	printf("%.0f\n", (last.tsc - first.tsc) * 1e6 / (last.ns - first.ns));
	return 0;
}
