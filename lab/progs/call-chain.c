// SPDX-License-Identifier: GPL-2.0
/*
 * Works in a function that has callers, for tests of callchains and symbols.
 *
 * usage: call-chain SECONDS
 */
#include <err.h>
#include <stdlib.h>
#include <time.h>

/* Callchains are found by frame pointers. */
#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")

#define ROUNDS 100000

static volatile unsigned long sum;

static __attribute__((noinline)) void chain_inner(void)
{
	for (int i = 0; i < ROUNDS; i++)
		sum += i;
}

static __attribute__((noinline)) void chain_middle(void)
{
	chain_inner();
	sum++;
}

static __attribute__((noinline)) void chain_outer(void)
{
	chain_middle();
	sum++;
}

int main(int argc, char **argv)
{
	char *end;
	time_t until;

	if (argc != 2)
		errx(2, "usage: call-chain SECONDS");
	until = time(NULL) + strtol(argv[1], &end, 10);
	if (*end || end == argv[1])
		errx(2, "'%s' is no number", argv[1]);
	while (time(NULL) < until)
		chain_outer();
	return 0;
}
