/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware threads share their core, so that work has most of a CPU on a core of
 * its own. What wakes up goes to an idle core, if there is one: the kernel sees to
 * that. What shares a core since there was none moves when there is.
 */
#ifndef SCX_AGENT_SMT_BPF_H
#define SCX_AGENT_SMT_BPF_H

#include "state.bpf.h"

/* Threads of a core at most that are looked at. */
#define SMT_THREADS	8

/* Some cores have several threads. */
const volatile bool smt;
/* The next thread of the same core, and the first after the last. */
const volatile u16 next_in_core[AGENT_MAX_CPUS];

/*
 * True if another thread of the core of @cpu is busy while @p, which runs there,
 * might have an idle core.
 */
__noinline int core_is_crowded(struct task_struct *p __arg_trusted, s32 cpu)
{
	u32 i, other = cpu;
	const struct cpumask *idle;
	struct cpu_ctx *cctx;
	int crowded = 0;

	if (!smt)
		return 0;
	idle = scx_bpf_get_idle_cpumask();
	bpf_for(i, 1, SMT_THREADS) {
		other = next_in_core[other & (AGENT_MAX_CPUS - 1)];
		if (other == (u32)cpu)
			break;
		cctx = cpu_ctx(other);
		if (cctx && !cctx->gone && !bpf_cpumask_test_cpu(other, idle)) {
			crowded = 1;
			break;
		}
	}
	scx_bpf_put_idle_cpumask(idle);
	if (!crowded)
		return 0;
	idle = scx_bpf_get_idle_smtmask();
	bpf_rcu_read_lock();
	crowded = bpf_cpumask_intersects(idle, p->cpus_ptr);
	bpf_rcu_read_unlock();
	scx_bpf_put_idle_cpumask(idle);
	return crowded;
}

#endif /* SCX_AGENT_SMT_BPF_H */
