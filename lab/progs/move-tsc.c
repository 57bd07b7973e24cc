// SPDX-License-Identifier: GPL-2.0
/* Sets the TSC of CPU 0 forward by a number of ticks, as a VMM does with a VM that it resumes. */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define MSR_IA32_TSC 0x10

int main(int argc, char **argv)
{
	uint64_t ticks = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, tsc;
	int msr = open("/dev/cpu/0/msr", O_RDWR);

	if (msr < 0)
		err(1, "/dev/cpu/0/msr");
	if (pread(msr, &tsc, sizeof(tsc), MSR_IA32_TSC) != sizeof(tsc))
		err(1, "reading MSR %#x", MSR_IA32_TSC);
	tsc += ticks;
	if (pwrite(msr, &tsc, sizeof(tsc), MSR_IA32_TSC) != sizeof(tsc))
		err(1, "writing MSR %#x", MSR_IA32_TSC);
	return 0;
}
