// SPDX-License-Identifier: GPL-2.0
/*
 * Has this kernel give up its TSC, as it does when it finds that the TSC is not
 * the same on all processors.  An emulated processor gives it no cause.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <asm/tsc.h>

static int __init give_up_tsc(void)
{
	mark_tsc_unstable("a test of the perf clock");
	return 0;
}
module_init(give_up_tsc);

MODULE_DESCRIPTION("Gives up the TSC, for a test");
MODULE_LICENSE("GPL");
