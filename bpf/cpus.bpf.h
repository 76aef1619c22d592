/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs on each CPU, and taking a CPU from work that ranks lower.
 */
#ifndef SCX_AGENT_CPUS_BPF_H
#define SCX_AGENT_CPUS_BPF_H

#include "state.bpf.h"
#include "rank.h"
#include "domains.bpf.h"

/* background_cpus, as far as they are online. */
private(BACKGROUND) struct bpf_cpumask __kptr *background_mask;

/* How many those are. */
static u32 nr_background_cpus;

/* True if @cpu is one of background_cpus. */
static __always_inline bool cpu_is_listed(u32 cpu)
{
	return background_cpus[(cpu / 64) & (AGENT_MAX_CPUS / 64 - 1)] >> (cpu & 63) & 1;
}

/* True if work in the background may run on @cpu: if none of its own is online, on all. */
static __always_inline bool cpu_for_background(u32 cpu)
{
	return !background_confined || !nr_background_cpus || cpu_is_listed(cpu);
}

/*
 * True if @p, with @tctx as of the last task_key(), keeps to the CPUs for work in
 * the background: what may run on one of them does.
 */
__noinline int task_is_confined(struct task_struct *p __arg_trusted, struct task_ctx *tctx)
{
	struct bpf_cpumask *mask;
	int confined = 0;

	if (!background_confined || !tctx || tctx->qos != QOS_BACKGROUND)
		return 0;
	bpf_rcu_read_lock();
	mask = background_mask;
	if (mask)
		confined = bpf_cpumask_intersects(cast_mask(mask), p->cpus_ptr);
	bpf_rcu_read_unlock();
	return confined;
}

/* False if @p, which runs on @cpu, keeps to other CPUs by now. */
static __always_inline bool cpu_fits(struct task_struct *p, struct task_ctx *tctx, u32 cpu)
{
	return cpu_for_background(cpu) || !task_is_confined(p, tctx);
}

/* Wake an idle CPU for @p, which keeps to those for work in the background; 0 if there is none. */
__noinline int cpu_wake_background(struct task_struct *p __arg_trusted)
{
	int woken = 0;
	u32 cpu;

	bpf_rcu_read_lock();
	bpf_for(cpu, 0, nr_cpu_ids) {
		if (!cpu_for_background(cpu) || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr) ||
		    !scx_bpf_test_and_clear_cpu_idle(cpu))
			continue;
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		woken = 1;
		break;
	}
	bpf_rcu_read_unlock();
	return woken;
}

/*
 * The CPU of @domain that @p may run on whose task ranks lowest, of those that rank
 * behind @limit and have begun before @before; if @confined, of the CPUs for work in
 * the background. -1 if there is none.
 */
__noinline s32 cpu_lowest(struct task_struct *p __arg_trusted, u32 domain, u64 limit, u64 before,
			  bool confined)
{
	const struct cpumask *allowed;
	u32 i, cpu, from, to;
	u64 worst = limit;
	struct cpu_ctx *c;
	s32 victim = -1;

	domain &= AGENT_MAX_DOMAINS - 1;
	from = domain_start[domain];
	to = domain_start[domain + 1];
	__sink(worst);
	__sink(victim);
	/* For cpus_ptr; the verifier looks at this as part of a sleepable program, too. */
	bpf_rcu_read_lock();
	allowed = p->cpus_ptr;
	bpf_for(i, from, to) {
		cpu = domain_cpus[i & (AGENT_MAX_CPUS - 1)];
		c = cpu_ctx(cpu);
		if (!c || !c->takeable || c->claimed || !rank_before(worst, c->key) ||
		    time_before(before, c->since_ns))
			continue;
		if (!bpf_cpumask_test_cpu(cpu, allowed) || (confined && !cpu_for_background(cpu)))
			continue;
		worst = c->key;
		victim = cpu;
	}
	bpf_rcu_read_unlock();
	return victim;
}

/*
 * Take the CPU whose task ranks lowest, if a task with @key ranks before it by
 * more than the margin and it has run for @min_run_ns; if @confined, of the CPUs
 * for work in the background. Of its own domain, or else of one of some others.
 * Returns 1 if a CPU was kicked.
 *
 * The claim makes several wake-ups in a row take several CPUs. It is dropped
 * when the next task starts there. A claim on a CPU whose task has just
 * stopped by itself takes nothing: that CPU is looking at the queue anyway.
 * What others read here may be old; the worst is a kick too many or too few,
 * and a slice bounds how long that lasts.
 */
__noinline int cpu_take(struct task_struct *p __arg_trusted, u64 key, u64 min_run_ns, bool confined)
{
	u64 limit = key + preempt_margin_ns, before = scx_bpf_now() - min_run_ns;
	u32 home = cpu_domain(scx_bpf_task_cpu(p)), i;
	struct cpu_ctx *c;
	s32 victim;

	victim = cpu_lowest(p, home, limit, before, confined);
	if (victim < 0 && nr_domains > 1) {
		c = cpu_ctx(bpf_get_smp_processor_id());
		if (!c)
			return 0;
		bpf_for(i, 0, DOMAINS_TO_TAKE) {
			victim = cpu_lowest(p, domain_next(&c->took_at, home), limit, before, confined);
			if (victim >= 0)
				break;
		}
	}
	if (victim < 0)
		return 0;
	c = cpu_ctx(victim);
	if (!c || __sync_val_compare_and_swap(&c->claimed, 0, 1))
		return 0;
	if (nr_domains > 1 && cpu_domain(victim) != home)
		c->asked_by = home + 1;
	scx_bpf_kick_cpu(victim, SCX_KICK_PREEMPT);
	stat_inc(STAT_PREEMPT);
	return 1;
}

/* As cpu_take(), for a task that can run nowhere but on @cpu. */
static __always_inline void cpu_take_one(s32 cpu, u64 key)
{
	struct cpu_ctx *c = cpu_ctx(cpu);

	if (!c || !c->takeable || !rank_before(key + preempt_margin_ns, c->key) ||
	    __sync_val_compare_and_swap(&c->claimed, 0, 1))
		return;
	scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
	stat_inc(STAT_PREEMPT);
}

#endif /* SCX_AGENT_CPUS_BPF_H */
