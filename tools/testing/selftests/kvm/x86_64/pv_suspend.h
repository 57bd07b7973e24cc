/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Suspends the host in the middle of a test. Where it has a clock that can wake
 * it, it sleeps as it would otherwise (S3); else it does all but the firmware's
 * part, as /sys/power/pm_test has it.
 */
#ifndef SELFTEST_KVM_PV_SUSPEND_H
#define SELFTEST_KVM_PV_SUSPEND_H

#include <fcntl.h>
#include <sys/mman.h>

#include "pv_test.h"

#define PM_TEST		"/sys/power/pm_test"
#define PM_DELAY	"/sys/module/suspend/parameters/pm_test_delay"
#define PM_STATE	"/sys/power/state"
#define PM_MEM_SLEEP	"/sys/power/mem_sleep"
#define RTC_ALARM	"/sys/class/rtc/rtc0/wakealarm"

/* In seconds. */
#define SLEEP_TIME	"+2"
#define TEST_DELAY	"1"

static bool can_wake;

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static inline void suspend_host(void)
{
	int ret;

	if (can_wake) {
		write_text(RTC_ALARM, "0");
		ret = write_text(RTC_ALARM, SLEEP_TIME);
		TEST_ASSERT(!ret, "wake-up alarm: %s", strerror(-ret));
	}
	ret = write_text(PM_STATE, "mem");
	TEST_ASSERT(!ret, "suspend: %s", strerror(-ret));
}

/* Skips the whole program where the host cannot be suspended. */
static inline void require_suspend(void)
{
	can_wake = !write_text(PM_MEM_SLEEP, "deep") &&
		   !write_text(RTC_ALARM, "0");
	if (!can_wake && write_text(PM_TEST, "core"))
		ksft_exit_skip("needs root, and a clock that wakes or pm_test\n");
	if (!can_wake)
		write_text(PM_DELAY, TEST_DELAY);
	ksft_print_msg("suspend: %s\n", can_wake ? "deep" : "without the firmware's part");
	/* The root file system may not have survived what its device lost. */
	TEST_ASSERT(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall: %s",
		    strerror(errno));
}

#endif /* SELFTEST_KVM_PV_SUSPEND_H */
