/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bound on every long call's wait. While shorter work never ends, the queue
 * of long calls runs by the age of its head alone, and whoever had a turn is
 * the head again: those behind it would never have one. So who has waited for
 * rank_wait_bound_ns() there goes to the queue of what is not long, in front of
 * all that comes later.
 */
#ifndef SCX_AGENT_BOUND_BPF_H
#define SCX_AGENT_BOUND_BPF_H

#include "state.bpf.h"
#include "queues.bpf.h"

/* Ticks from one look to the next. */
#define TICKS_TO_LOOK	10

__noinline int bound_waits_of(u32 domain, u64 now)
{
	u64 bound = rank_wait_bound_ns((void *)&knobs);
	struct task_ctx *tctx;
	struct task_struct *p;

	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, DSQ_LONG(domain), 0) {
		tctx = task_ctx(p);
		/* It may have been taken meanwhile: then it is not moved. */
		if (!tctx || !tctx->queued_at_ns ||
		    time_before(now, tctx->queued_at_ns + bound))
			continue;
		scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, now);
		if (scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p, DSQ_SHARED(domain), 0))
			stat_inc(STAT_OVERDUE);
	}
	bpf_rcu_read_unlock();
	return 0;
}

/* Called off the hot path, with no queue or run queue locked. */
static __always_inline void bound_waits(u64 now)
{
	u32 domain;

	bpf_for(domain, 0, nr_domains)
		bound_waits_of(domain, now);
}

#endif /* SCX_AGENT_BOUND_BPF_H */
