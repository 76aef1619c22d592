/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUs that come and go, without a restart.
 *
 * A CPU goes when nothing is left on its run queue, and a task that waits in one of
 * our queues is on the run queue of the CPU that it ran on last. From the callback on
 * the kernel asks us for nothing on that CPU: it puts what becomes runnable there on
 * the CPU's own queue, and from there on other CPUs, where we rank it. So what waits
 * goes that way, too: else the CPU would stay until the last of it has had its turn. A
 * task that is bound to a CPU which is gone is unbound by the kernel.
 */
#ifndef SCX_AGENT_HOTPLUG_BPF_H
#define SCX_AGENT_HOTPLUG_BPF_H

#include "state.bpf.h"
#include "cpus.bpf.h"
#include "queues.bpf.h"
#include "limits.bpf.h"

/*
 * Take note of those of the CPUs for work in the background that are online, but
 * for @but, which is about to go; -1: there is none.
 */
__noinline int background_confine(s32 but)
{
	const struct cpumask *online;
	struct bpf_cpumask *mask;
	u32 cpu, n = 0;

	if (!background_confined)
		return 0;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	online = scx_bpf_get_online_cpumask();
	__sink(n);
	bpf_for(cpu, 0, nr_cpu_ids) {
		if (cpu == (u32)but || !cpu_is_listed(cpu) || !bpf_cpumask_test_cpu(cpu, online))
			continue;
		bpf_cpumask_set_cpu(cpu, mask);
		n++;
	}
	scx_bpf_put_cpumask(online);
	nr_background_cpus = n;
	mask = bpf_kptr_xchg(&background_mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

/*
 * The CPUs for the background are others now: what waits for one of them may not
 * have any, and has its turn with the long ones instead, once.
 */
__noinline int background_move_on(void)
{
	struct task_ctx *tctx;
	struct task_struct *p;
	u32 cpu;

	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, DSQ_BACKGROUND, 0) {
		tctx = task_ctx(p);
		if (!tctx)
			continue;
		scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, tctx->key);
		scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p,
				       DSQ_LONG(cpu_domain(scx_bpf_task_cpu(p))), 0);
	}
	bpf_rcu_read_unlock();
	bpf_for(cpu, 0, nr_cpu_ids)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return 0;
}

/* Give the tasks in @dsq that are on the run queue of @cpu back to the kernel. */
__noinline int queue_hand_back(u64 dsq, s32 cpu)
{
	struct task_struct *p;

	if (!scx_bpf_dsq_nr_queued(dsq))
		return 0;
	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, dsq, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | cpu, 0);
	}
	bpf_rcu_read_unlock();
	return 0;
}

/* Give all that waits on the run queue of @cpu, which is about to go, back to the kernel. */
__noinline int cpu_hand_back(s32 cpu)
{
	u32 place, slot;

	bpf_for(place, 0, queues_count())
		queue_hand_back(queue_at(place), cpu);
	bpf_for(slot, 1, limits_top)
		queue_hand_back(dsq_parked(slot), cpu);
	scx_bpf_kick_cpu(cpu, 0);
	return 0;
}

/* As many ticks as a CPU takes to be gone, and more. */
#define TICKS_TO_LEAVE	50

/* Once in a tick: enqueue() may have been on its way to a queue when the callback looked. */
static __always_inline void leaving_tick(void)
{
	if (!leaving_ticks)
		return;
	leaving_ticks--;
	cpu_hand_back(leaving_cpu);
}

void BPF_STRUCT_OPS(agent_cpu_online, s32 cpu)
{
	struct cpu_ctx *cctx = cpu_ctx(cpu);

	if (cctx)
		cctx->gone = 0;
	if (leaving_cpu == cpu) {
		leaving_ticks = 0;
		leaving_cpu = -1;
	}
	__sync_fetch_and_add(&nr_cpus_online, 1);
	background_confine(-1);
}

void BPF_STRUCT_OPS(agent_cpu_offline, s32 cpu)
{
	struct cpu_ctx *cctx = cpu_ctx(cpu);

	if (cctx)
		cctx->gone = 1;
	leaving_cpu = cpu;
	leaving_ticks = TICKS_TO_LEAVE;
	__sync_fetch_and_sub(&nr_cpus_online, 1);
	background_confine(cpu);
	if (background_confined)
		background_move_on();
	cpu_hand_back(cpu);
}

#endif /* SCX_AGENT_HOTPLUG_BPF_H */
