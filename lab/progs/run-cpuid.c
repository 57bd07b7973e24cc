// SPDX-License-Identifier: GPL-2.0
/*
 * Executes CPUID a given number of times: in a VM each is exactly one exit.
 *
 * usage: run-cpuid COUNT [FILE]
 *
 * With FILE it does so again and again until FILE is there, and prints how many
 * it has executed.
 */
#include <cpuid.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long parse_count(const char *text)
{
	unsigned long count;
	char *end;

	errno = 0;
	count = strtoul(text, &end, 0);
	if (errno || *end || end == text)
		errx(2, "'%s' is no number", text);
	return count;
}

int main(int argc, char **argv)
{
	unsigned int eax, ebx, ecx, edx;
	unsigned long i, count, done = 0;

	if (argc < 2 || argc > 3)
		errx(2, "usage: run-cpuid COUNT [FILE]");
	count = parse_count(argv[1]);

	do {
		for (i = 0; i < count; i++)
			__cpuid(0, eax, ebx, ecx, edx);
		done += count;
	} while (argc == 3 && access(argv[2], F_OK));

	if (argc == 3)
		printf("%lu\n", done);
	return 0;
}
