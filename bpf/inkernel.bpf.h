/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that wait for their turn in the middle of a system call or a page fault. What
 * such a task holds there is not known here, but others may wait for it: for a lock of
 * a directory, a journal's commit, the mutex of all cgroups, or the end of RCU's grace
 * period, for which the kernel ejects the scheduler after 21 s. Where work waits for
 * seconds for its turn, that would be seconds for whoever does. So what was preempted
 * in the kernel, or slept there uninterruptibly, and has waited for KERNEL_WAIT_NS, has
 * a short turn in front of all others.
 *
 * A task can be in the kernel all the time. What that buys it is bounded for each agent,
 * until somebody has waited for KERNEL_MAX_WAIT_NS.
 */
#ifndef SCX_AGENT_INKERNEL_BPF_H
#define SCX_AGENT_INKERNEL_BPF_H

#include "state.bpf.h"
#include "queues.bpf.h"
#include "limits.bpf.h"

/* In task_struct.__state, see include/linux/sched.h. */
#define TASK_UNINTERRUPTIBLE	2

/* Ticks from one look to the next. */
#define TICKS_TO_KERNEL		2
#define KERNEL_WAIT_NS		100000000ULL
#define KERNEL_MAX_WAIT_NS	5000000000ULL
/* Up to the next tick of the kernel's, in fact. */
#define KERNEL_SLICE_NS		500000
/* Turns of one agent, or of one cgroup outside, each time. */
#define KERNEL_TURNS		4

/* @preempt is true if @prev was preempted in the kernel, and not on its way out of it. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	struct task_ctx *tctx;

	if (!preempt)
		return 0;
	tctx = task_ctx(prev);
	if (tctx)
		tctx->in_kernel = 1;
	return 0;
}

/* True if the tasks of @grp have turns left this time. */
static __always_inline bool kernel_has_turn(struct group *grp)
{
	if (!grp)
		return true;
	if (grp->kernel_tick != tick.nr) {
		grp->kernel_tick = tick.nr;
		grp->kernel_turns = 0;
	}
	return grp->kernel_turns++ < KERNEL_TURNS;
}

/* Put those in @dsq in front that wait in the kernel and have done so for long. */
__noinline int kernel_look_at(u64 dsq, u64 now)
{
	struct task_ctx *tctx;
	/* It is we who hold back what is braked, and no limit that somebody has set: it goes on at once. */
	bool braked = dsq >= dsq_parked(1) && dsq <= dsq_parked(AGENT_MAX_BRAKES);
	struct task_struct *p;
	u64 key, waited, to;

	if (!scx_bpf_dsq_nr_queued(dsq))
		return 0;
	key = now - framework_lead_ns;
	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, dsq, 0) {
		tctx = task_ctx(p);
		if (!tctx || !tctx->in_kernel || tctx->kernel_turn)
			continue;
		waited = time_delta(now, tctx->queued_at_ns);
		if (waited < KERNEL_WAIT_NS ||
		    (!braked && waited < KERNEL_MAX_WAIT_NS &&
		     !kernel_has_turn(group_at(tctx->group))))
			continue;
		to = is_pinned(p) ? (u64)scx_bpf_task_cpu(p) :
				   DSQ_SHARED(cpu_domain(scx_bpf_task_cpu(p)));
		tctx->kernel_turn = 1;
		/* Whatever its cgroup has left. */
		tctx->released = 1;
		scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, braked ? slice_ns : KERNEL_SLICE_NS);
		scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, key);
		if (!scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p, to, 0))
			continue;
		stat_inc(STAT_IN_KERNEL);
		queue_wake_cpu(p, tctx, key);
	}
	bpf_rcu_read_unlock();
	return 0;
}

/* Called off the hot path, with no queue or run queue locked. */
__noinline int kernel_look(u64 now)
{
	struct limit *l;
	u32 i;

	bpf_for(i, 0, queues_count())
		kernel_look_at(queue_at(i), now);
	bpf_for(i, 1, limits_top) {
		l = limit_at(i);
		if (!l || !l->ready || !scx_bpf_dsq_nr_queued(dsq_parked(i)))
			continue;
		/* A task is in the queue only after it was put there: the timer may have come in between. */
		limit_arm(l, 0);
		kernel_look_at(dsq_parked(i), now);
	}
	return 0;
}

#endif /* SCX_AGENT_INKERNEL_BPF_H */
