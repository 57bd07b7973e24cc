// SPDX-License-Identifier: GPL-2.0
/* The subcommands of perf kvm that record and merge a host and its guests. */
#include "builtin.h"

#include <stdbool.h>
#include <string.h>
#include <linux/kernel.h>

bool cmd_kvm_guests__is_wanted(int argc, const char **argv)
{
	static const char * const names[] = { "agent", "merge" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(argv[0], names[i]))
			return true;
	}
	return cmd_kvm_record__is_wanted(argc, argv);
}

/* file: the output that perf kvm's own options name, if they do */
int cmd_kvm_guests(const char *file, int argc, const char **argv)
{
	if (!strcmp(argv[0], "agent"))
		return cmd_kvm_agent(argc, argv);
	if (!strcmp(argv[0], "merge"))
		return cmd_kvm_merge(argc, argv);
	return cmd_kvm_record(file, argc, argv);
}
