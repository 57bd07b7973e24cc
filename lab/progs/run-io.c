// SPDX-License-Identifier: GPL-2.0
/*
 * Has the kernel write to an I/O port a given number of times: so many VM exits.  Not by ioperm(): in a nested VM,
 * QEMU's TCG takes the guest's busy TSS for one without a bitmap.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PORT 0x80	/* POST codes: nobody listens */

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int ports = open("/dev/port", O_WRONLY);

	if (ports < 0)
		err(1, "/dev/port");
	for (long i = 0; i < count; i++)
		if (pwrite(ports, "", 1, PORT) != 1)
			err(1, "port %#x", PORT);
	return 0;
}
