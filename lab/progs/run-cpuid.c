// SPDX-License-Identifier: GPL-2.0
/*
 * Executes CPUID a given number of times: in a VM each is exactly one exit.
 *
 * usage: run-cpuid COUNT
 */
#include <cpuid.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned int eax, ebx, ecx, edx;
	unsigned long count;
	char *end;

	if (argc != 2)
		errx(2, "usage: run-cpuid COUNT");
	errno = 0;
	count = strtoul(argv[1], &end, 0);
	if (errno || *end || end == argv[1])
		errx(2, "'%s' is no number", argv[1]);

	while (count--)
		__cpuid(0, eax, ebx, ecx, edx);
	return 0;
}
