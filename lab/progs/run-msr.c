// SPDX-License-Identifier: GPL-2.0
/* Has the kernel read an MSR that KVM emulates a given number of times: so many VM exits. */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define MSR_KVM_POLL_CONTROL 0x4b564d05

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int msr = open("/dev/cpu/0/msr", O_RDONLY);
	uint64_t value;

	if (msr < 0)
		err(1, "/dev/cpu/0/msr");
	for (long i = 0; i < count; i++)
		if (pread(msr, &value, sizeof(value), MSR_KVM_POLL_CONTROL) != sizeof(value))
			err(1, "MSR %#x", MSR_KVM_POLL_CONTROL);
	return 0;
}
