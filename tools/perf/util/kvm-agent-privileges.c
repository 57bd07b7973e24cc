// SPDX-License-Identifier: GPL-2.0
/*
 * Gives up the capabilities that recording does not need, for the agent and for
 * all that it starts. By the system calls themselves: libcap is optional for perf,
 * and an agent must not keep its privileges for the lack of a library.
 */
#include "kvm-agent-privileges.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <api/fs/fs.h>
#include "cap.h"
#include "kvm-agent-policy.h"
#include "kvm-channel.h"

#define CAP_LIMIT	64	/* bits of a set */
#define BIT_OF(cap)	(1ULL << (cap))

struct cap_sets {
	u64	effective;
	u64	permitted;
	u64	inheritable;
};

static bool kernel_has(int cap)
{
	return prctl(PR_CAPBSET_READ, cap) >= 0;
}

/*
 * CAP_PERFMON is enough for a kernel that has it, but for one: a kernel that knows
 * a kernel.perf_event_paranoid of 3 or more then asks for CAP_SYS_ADMIN only.
 */
static bool needs_sys_admin(void)
{
	int paranoid;

	if (!kernel_has(CAP_PERFMON))
		return true;
	return sysctl__read_int("kernel/perf_event_paranoid", &paranoid) || paranoid > 2;
}

/* For each one's reason see the man page. */
static u64 needed(const struct kvm_agent_policy *policy)
{
	u64 caps = BIT_OF(CAP_PERFMON) | BIT_OF(CAP_IPC_LOCK) | BIT_OF(CAP_SYSLOG) |
		   BIT_OF(CAP_SYS_PTRACE);

	if (needs_sys_admin())
		caps |= BIT_OF(CAP_SYS_ADMIN);
	/* Root owns tracefs; another user may be kept out of it. */
	if (policy->symbols || geteuid())
		caps |= BIT_OF(CAP_DAC_READ_SEARCH);
	return caps;
}

static int get_sets(struct cap_sets *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (capget(&header, data))
		return -errno;
	sets->effective = data[0].effective | (u64)data[1].effective << 32;
	sets->permitted = data[0].permitted | (u64)data[1].permitted << 32;
	sets->inheritable = data[0].inheritable | (u64)data[1].inheritable << 32;
	return 0;
}

static int set_sets(const struct cap_sets *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ sets->effective, sets->permitted, sets->inheritable },
		{ sets->effective >> 32, sets->permitted >> 32, sets->inheritable >> 32 },
	};

	return capset(&header, data) ? -errno : 0;
}

/* Who cannot reduce the bounding set has nothing to gain from it under no_new_privs. */
static int bound(u64 kept, const struct cap_sets *sets)
{
	if (!(sets->permitted & BIT_OF(CAP_SETPCAP)))
		return 0;
	for (int cap = 0; cap < CAP_LIMIT; cap++) {
		if (kernel_has(cap) && !(kept & BIT_OF(cap)) && prctl(PR_CAPBSET_DROP, cap))
			return -errno;
	}
	return 0;
}

/* Root's programs get what the bounding set has; another user's only what is ambient. */
static int set_ambient(u64 caps)
{
	/* Kernels before 4.3 have no ambient set. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return errno == EINVAL ? 0 : -errno;
	for (int cap = 0; cap < CAP_LIMIT; cap++) {
		if ((caps & BIT_OF(cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return -errno;
	}
	return 0;
}

static int reduce(u64 kept)
{
	struct cap_sets sets = { .permitted = 0 };
	u64 ambient;
	int err = get_sets(&sets) ?: bound(kept, &sets);

	if (err)
		return err;
	kept &= sets.permitted;
	ambient = geteuid() ? kept : 0;
	sets.effective = kept;
	sets.permitted = kept;
	sets.inheritable = ambient;
	return set_sets(&sets) ?: set_ambient(ambient);
}

/* For what only needs the files that it has open. */
int kvm_agent_privileges__drop_all(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : reduce(0);
}

int kvm_agent_privileges__drop(const struct kvm_agent_policy *policy,
			       struct kvm_agent_error *error)
{
	int err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : reduce(needed(policy));

	umask(077);
	if (err)
		kvm_agent_error__set(error, KVM_AGENT_E_FAILED, true,
				     "what the agent does not need cannot be given up: %s",
				     strerror(-err));
	return err;
}
