/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Releases tasks that waited for their cgroup's CPU time, and hands out the
 * slots of limits. See limits.bpf.h.
 */
#ifndef SCX_AGENT_RELEASE_BPF_H
#define SCX_AGENT_RELEASE_BPF_H

#include "limits.bpf.h"
#include "queues.bpf.h"

/* Where @p goes, which waited for a limit: the queue of the next, or that of its rank. */
__noinline u64 release_queue(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now,
			     bool overdue, u64 *key)
{
	struct limit *l;
	u32 blocked;

	if (!tctx || !key)
		return DSQ_SHARED(0);
	blocked = limit_blocks(tctx, now);
	l = limit_at(blocked);
	if (l && !overdue) {
		*key = now;
		limit_arm(l, time_delta(l->next_ns, now));
		return dsq_parked(blocked);
	}
	tctx->released = 1;
	return task_queue(p, tctx, now, key);
}

/* Refill the budget of the slot and release as many tasks as it is for. */
static int on_refill(void *map, u32 *slot_p, struct bpf_timer *timer)
{
	u64 now = scx_bpf_now(), key, dsq, n, waiting;
	u32 slot = *slot_p;
	struct limit *l = limit_at(slot);
	struct task_struct *p;

	if (!l)
		return 0;
	/* Before the look at the queue: who parks after it starts the timer again. */
	__sync_lock_test_and_set(&l->armed, 0);
	waiting = scx_bpf_dsq_nr_queued(dsq_parked(slot));
	n = waiting;
	if (l->quota_ns < LIMIT_NONE_NS) {
		limit_refill(l, now);
		n = limit_released(l->budget_ns, slice_ns);
	}
	/* Counted in memory, so that every turn of the loop looks alike to the verifier. */
	l->released = 0;
	/* Older kernels take the callback of a sleepable program for sleepable, too. */
	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, dsq_parked(slot), 0) {
		struct task_ctx *tctx = task_ctx(p);
		bool overdue = tctx &&
			time_delta(now, tctx->queued_at_ns) > LIMIT_MAX_WAIT_NS;

		/* First come, first served: if the first is not overdue, none is. */
		if (l->released >= LIMIT_BATCH || (l->released >= n && !overdue))
			break;
		l->released++;
		if (!tctx)
			continue;
		dsq = release_queue(p, tctx, now, overdue, &key);
		scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, limited_slice_ns(tctx));
		if (dsq >= dsq_parked(0)) {
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, dsq, 0);
			continue;
		}
		scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, queue_place(tctx, dsq, key));
		if (scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p, dsq, 0))
			queue_wake_cpu(p, tctx, key);
	}
	bpf_rcu_read_unlock();
	if (waiting > l->released)
		limit_arm(l, l->released < n ? 0 : time_delta(l->next_ns, now));
	return 0;
}

/* A slot for a cgroup, 0 if there is none left. Its queue and timer are made once. */
static __noinline u32 limit_alloc(void)
{
	struct limit *l;
	u32 slot = 0;

	if (bpf_map_pop_elem(&free_limits, &slot)) {
		slot = __sync_fetch_and_add(&limits_top, 1);
		if (slot >= AGENT_MAX_LIMITS) {
			__sync_fetch_and_sub(&limits_top, 1);
			return 0;
		}
	}
	l = limit_at(slot);
	if (!l)
		return 0;
	if (!l->ready) {
		l->quota_ns = LIMIT_NONE_NS;
		if (scx_bpf_create_dsq(dsq_parked(slot), NUMA_NO_NODE))
			return 0;
		bpf_timer_init(&l->timer, &limits, CLOCK_MONOTONIC);
		bpf_timer_set_callback(&l->timer, on_refill);
		l->ready = 1;
	}
	l->up = 0;
	return slot;
}

/* The cgroup of @slot is gone. Tasks on their last steps may still wait there: let them go on. */
static __noinline void limit_free(u32 slot)
{
	struct limit *l = limit_at(slot);

	if (!l)
		return;
	if (l->quota_ns < LIMIT_NONE_NS) {
		l->quota_ns = LIMIT_NONE_NS;
		tree_changed();
	}
	if (l->armed)
		bpf_timer_start(&l->timer, 0, 0);
	bpf_map_push_elem(&free_limits, &slot, 0);
}

#endif /* SCX_AGENT_RELEASE_BPF_H */
