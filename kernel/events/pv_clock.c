// SPDX-License-Identifier: GPL-2.0
/*
 * perf_clock() of a guest that shares its host's: which source, and is it right?
 *
 * The source is chosen once, when the boot CPU comes, as the times of perf's
 * contexts would jump otherwise.  While it works it stays.  If it turns out not
 * to (the host gave up its clock, or a VMM forgot the guest's registration over
 * a migration), all CPUs change over at one moment, without a step of time.
 */
#define pr_fmt(fmt) "perf_pv_clock: " fmt

#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/percpu.h>
#include <linux/perf_pv_clock.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/sysctl.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#define WATCH_PERIOD	HZ
#define ATTEMPTS	10

enum perf_pv_clock_choice {
	CHOOSE_AUTO,
	CHOOSE_PAGE,
	CHOOSE_MSR,
	CHOOSE_OFF,
};

static const char *const choice_names[] = {
	[CHOOSE_AUTO] = "auto",
	[CHOOSE_PAGE] = "page",
	[CHOOSE_MSR] = "msr",
	[CHOOSE_OFF] = "off",
};

static const char *const source_names[] = {
	[PERF_PV_CLOCK_OFF] = "off",
	[PERF_PV_CLOCK_PAGE] = "page",
	[PERF_PV_CLOCK_MSR] = "msr",
};

DEFINE_STATIC_CALL(perf_pv_clock, local_clock);
EXPORT_STATIC_CALL_TRAMP_GPL(perf_pv_clock);

/* What an event's clock is unless it was opened with another one. */
u64 notrace perf_pv_event_clock(void)
{
	return perf_pv_clock_read();
}

/* Whose clock it is; stays when what is left of it is local_clock() + delta. */
enum perf_pv_clock_source perf_pv_clock_source __ro_after_init;

static enum perf_pv_clock_choice choice __initdata = CHOOSE_AUTO;

/*
 * @delta and @lost are changed with all CPUs stopped, and read by CPUs that
 * come or go: either side excludes the other by the CPU hotplug lock.
 * @shut_down is set when the kernel ends: no CPU may register again.
 */
static struct {
	const struct perf_pv_clock_ops *ops;
	const char *reason;
	u64 delta;
	bool lost;
	bool shut_down;
} clock __read_mostly = {
	.reason = "this is no guest of a host that offers its clock",
};

static DEFINE_PER_CPU(struct timer_list, watch_timer);

static int __init parse_choice(char *arg)
{
	int i = arg ? match_string(choice_names, ARRAY_SIZE(choice_names), arg) : -EINVAL;

	if (i < 0) {
		pr_warn("perf_pv_clock=%s is none of auto, page, msr, off\n", arg);
		return i;
	}
	choice = i;
	return 0;
}
early_param("perf_pv_clock", parse_choice);

/* Change over */

/* @latest: what any CPU has read, of those that guess some are ahead. */
struct changeover {
	int leader;
	atomic64_t latest;
	atomic_t distrusting;
	atomic_t waiting;
	int ret;
	u64 delta;
	bool done;
};

/*
 * What leads from the next clock to the one that is read now, at the least
 * disturbed of a few attempts.  Rather forward, by what that took, than back.
 */
static u64 find_delta(u64 (*read_next)(void))
{
	u64 before, next, after, least = U64_MAX, delta = 0;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		before = perf_pv_clock_read();
		next = read_next();
		after = perf_pv_clock_read();
		if (after - before < least) {
			least = after - before;
			delta = after - next;
		}
	}
	return delta;
}

static void note_latest(struct changeover *change)
{
	s64 now = perf_pv_clock_read();
	s64 latest = atomic64_read(&change->latest);

	do {
		if (latest >= now)
			return;
	} while (!atomic64_try_cmpxchg(&change->latest, &latest, now));
}

/* Interrupts are off on every CPU: only an NMI can still ask for the time. */
static void lead_changeover(struct changeover *change)
{
	const struct perf_pv_clock_ops *ops = clock.ops;
	u64 (*read_next)(void);
	s64 behind;

	change->ret = ops->renew(perf_pv_clock_source);
	read_next = change->ret ? local_clock : ops->read_new;
	change->delta = find_delta(read_next);
	/* No CPU may step back. */
	behind = atomic64_read(&change->latest) - (read_next() + change->delta);
	if (behind > 0)
		change->delta += behind;
	clock.delta = change->delta;
	clock.lost = change->ret;
}

static void follow_changeover(struct changeover *change)
{
	const struct perf_pv_clock_ops *ops = clock.ops;

	if (change->ret)
		ops->use_local(change->delta);
	else if (smp_processor_id() == change->leader ||
		 !ops->renew(perf_pv_clock_source))
		ops->use_new(change->delta);
}

static int change_over_stopped(void *data)
{
	struct changeover *change = data;

	lockdep_assert_irqs_disabled();

	note_latest(change);
	if (!clock.ops->agrees())
		atomic_inc(&change->distrusting);
	atomic_dec(&change->waiting);

	if (smp_processor_id() == change->leader) {
		while (atomic_read(&change->waiting))
			cpu_relax();
		if (READ_ONCE(clock.shut_down))
			atomic_set(&change->distrusting, 0);
		if (atomic_read(&change->distrusting))
			lead_changeover(change);
		/* Pairs with the acquire below: delta and ret come first. */
		smp_store_release(&change->done, true);
	}
	/* Pairs with the release above. */
	while (!smp_load_acquire(&change->done))
		cpu_relax();

	if (atomic_read(&change->distrusting))
		follow_changeover(change);
	return 0;
}

static void report_changeover(struct changeover *change)
{
	if (!atomic_read(&change->distrusting))
		return;

	if (change->ret == -ENODEV)
		clock.reason = "the host no longer offers its clock, going on with local_clock()";
	else if (change->ret)
		clock.reason = "the host's clock became unusable, going on with local_clock()";
	else
		clock.reason = "the host's, registered again after it was lost";
	pr_warn("%s\n", clock.reason);
}

static void change_over(struct work_struct *work)
{
	struct changeover change = { };

	cpus_read_lock();
	if (!clock.lost) {
		change.leader = cpumask_first(cpu_online_mask);
		atomic_set(&change.waiting, num_online_cpus());
		stop_machine_cpuslocked(change_over_stopped, &change, cpu_online_mask);
		report_changeover(&change);
	}
	cpus_read_unlock();
}
static DECLARE_WORK(changeover_work, change_over);

static void start_changeover(struct irq_work *work)
{
	if (system_state >= SYSTEM_SCHEDULING)
		schedule_work(&changeover_work);
}
static DEFINE_IRQ_WORK(changeover_irq_work, start_changeover);

/* A reading showed that the source is not what it was.  Any context, NMI too. */
void notrace perf_pv_clock_distrust(void)
{
	irq_work_queue(&changeover_irq_work);
}

/* Watch */

/*
 * Deferrable, so that it wakes no idle CPU.  A CPU that goes offline deletes
 * its timer; if it fires elsewhere because of a race it looks at that CPU.
 */
static void watch(struct timer_list *timer)
{
	unsigned long flags;
	bool agrees;

	if (READ_ONCE(clock.lost) || READ_ONCE(clock.shut_down))
		return;

	local_irq_save(flags);
	agrees = clock.ops->agrees();
	local_irq_restore(flags);
	if (!agrees)
		schedule_work(&changeover_work);
	mod_timer(timer, jiffies + WATCH_PERIOD);
}

static void start_watch(void)
{
	struct timer_list *timer = this_cpu_ptr(&watch_timer);

	timer_setup(timer, watch, TIMER_DEFERRABLE | TIMER_PINNED);
	timer->expires = jiffies + WATCH_PERIOD;
	add_timer_on(timer, smp_processor_id());
}

/* Timers are not there yet when the boot CPU chooses the source. */
static int __init start_boot_watch(void)
{
	if (!perf_pv_clock_active())
		return 0;

	preempt_disable();
	start_watch();
	preempt_enable();
	return 0;
}
early_initcall(start_boot_watch);

/* CPUs */

static enum perf_pv_clock_source __init wanted_source(void)
{
	switch (choice) {
	case CHOOSE_OFF:
		return PERF_PV_CLOCK_OFF;
	case CHOOSE_MSR:
		return PERF_PV_CLOCK_MSR;
	default:
		return PERF_PV_CLOCK_PAGE;
	}
}

static void __init explain_failure(int err)
{
	clock.reason = err == -EOPNOTSUPP ? "not with encrypted memory" :
		       err == -ENODEV ? "the host does not offer its clock" :
		       "the host's clock cannot be read from memory, try perf_pv_clock=msr";
	if (choice != CHOOSE_AUTO)
		pr_warn("%s\n", clock.reason);
}

static void __init choose_source(const struct perf_pv_clock_ops *ops)
{
	enum perf_pv_clock_source source = wanted_source();
	int err;

	if (source == PERF_PV_CLOCK_OFF) {
		clock.reason = "the boot parameter says so";
		return;
	}
	err = ops->renew(source);
	if (err) {
		explain_failure(err);
		return;
	}
	ops->use_new(0);

	clock.ops = ops;
	clock.reason = "the host's";
	perf_pv_clock_source = source;
	static_call_update(perf_pv_clock, source == PERF_PV_CLOCK_PAGE ?
			   ops->read_page : ops->read_msr);
	pr_info("perf uses the host's clock, by %s\n", source_names[source]);
}

void __init perf_pv_clock_boot_cpu(const struct perf_pv_clock_ops *ops)
{
	choose_source(ops);
}

/* What the host refuses to this CPU, the changeover finds. */
void perf_pv_clock_cpu_online(void)
{
	lockdep_assert_irqs_disabled();

	if (!perf_pv_clock_active())
		return;
	if (clock.lost) {
		clock.ops->use_local(clock.delta);
		return;
	}
	if (clock.ops->renew(perf_pv_clock_source))
		perf_pv_clock_distrust();
	else
		clock.ops->use_new(clock.delta);
	if (system_state >= SYSTEM_SCHEDULING)
		start_watch();
}

/* On shutdown this may be the end of a crash: take no lock. */
void perf_pv_clock_cpu_offline(bool shutdown)
{
	lockdep_assert_irqs_disabled();

	if (!perf_pv_clock_active())
		return;

	if (shutdown)
		WRITE_ONCE(clock.shut_down, true);
	else
		timer_delete(this_cpu_ptr(&watch_timer));
	clock.ops->stop();
}

/* What there is to see */

static int show_string(const struct ctl_table *table, char *value, void *buffer,
		       size_t *lenp, loff_t *ppos)
{
	struct ctl_table string = {
		.procname = table->procname,
		.data = value,
		.maxlen = strlen(value) + 1,
	};

	return proc_dostring(&string, 0, buffer, lenp, ppos);
}

static int show_source(const struct ctl_table *table, int write, void *buffer,
		       size_t *lenp, loff_t *ppos)
{
	enum perf_pv_clock_source source = perf_pv_clock_source;
	char line[128];

	if (READ_ONCE(clock.lost))
		source = PERF_PV_CLOCK_OFF;
	snprintf(line, sizeof(line), "%s: %s", source_names[source],
		 READ_ONCE(clock.reason));
	return show_string(table, line, buffer, lenp, ppos);
}

static int show_host(const struct ctl_table *table, int write, void *buffer,
		     size_t *lenp, loff_t *ppos)
{
	struct perf_pv_clock_host host;
	bool known = false;
	char line[64] = "";

	if (perf_pv_clock_active()) {
		local_irq_disable();
		known = clock.ops->describe(&host);
		local_irq_enable();
	}
	if (known)
		snprintf(line, sizeof(line), "0x%016llx %llu %lld", host.epoch,
			 host.generation, host.offset);
	return show_string(table, line, buffer, lenp, ppos);
}

static struct ctl_table perf_pv_clock_table[] = {
	{
		.procname = "perf_pv_clock",
		.mode = 0444,
		.proc_handler = show_source,
	},
	{
		.procname = "perf_pv_clock_host",
		.mode = 0444,
		.proc_handler = show_host,
	},
};

static int __init register_sysctls(void)
{
	register_sysctl_init("kernel", perf_pv_clock_table);
	return 0;
}
fs_initcall(register_sysctls);
