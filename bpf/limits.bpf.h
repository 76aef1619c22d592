/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cpu.max: the CPU time that a cgroup may use in each period, with that of
 * every cgroup above it.
 *
 * Each cgroup of the CPU controller has a slot with a budget, a queue for tasks
 * that wait until there is budget again, and a timer that releases them. A task
 * knows the slot of the nearest cgroup that has a limit; slots know the next
 * one above. Tasks without any limit cost one comparison.
 */
#ifndef SCX_AGENT_LIMITS_BPF_H
#define SCX_AGENT_LIMITS_BPF_H

#include "state.bpf.h"
#include "inside.bpf.h"
#include "limit.h"

/* Cgroups above each other that all have a limit, as deep as we look. */
#define LIMIT_DEPTH	16
/*
 * A task that has waited for its cgroup's budget for this long has a turn all
 * the same: it may hold a lock of the kernel's, and the kernel ejects a scheduler
 * that leaves a task waiting for longer than ops.timeout_ms.
 */
#define LIMIT_MAX_WAIT_NS	5000000000ULL
/* Tasks released in one go of the timer; the others follow at once in the next. */
#define LIMIT_BATCH	256

struct limit {
	struct bpf_timer timer;
	u64 quota_ns;		/* LIMIT_NONE_NS: no limit */
	u64 period_ns;
	u64 burst_ns;
	u32 up;			/* slot of the next limited cgroup above, 0: none */
	u32 ready;		/* timer and queue are there; they stay for the slot's next owner */

	/* Written on context switches of this cgroup's tasks. */
	s64 budget_ns __attribute__((aligned(CACHELINE)));
	u64 next_ns;		/* when the next refill is due */
	u32 armed;		/* the timer is running */
	u32 released;		/* tasks, in the timer's last go */
} __attribute__((aligned(CACHELINE)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_MAX_LIMITS);
	__type(key, u32);
	__type(value, struct limit);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, AGENT_MAX_LIMITS);
	__type(value, u32);
} free_limits SEC(".maps");

static u32 limits_top = 1;

/* Some agent's tool calls have a limit of their own for a while, see brake.bpf.h. */
bool braked;

/* Queue of the tasks that wait for the budget of @slot. */
static __always_inline u64 dsq_parked(u32 slot)
{
	return (1ULL << 20) + slot;
}

/* The limit in @slot, NULL for slot 0. */
static __always_inline struct limit *limit_at(u32 slot)
{
	return slot ? bpf_map_lookup_elem(&limits, &slot) : NULL;
}

/* Refills that are due; of several CPUs that try at once the one that moves next_ns on does it. */
static __always_inline void limit_refill(struct limit *l, u64 now)
{
	u64 next = l->next_ns, n = limit_periods(now, next, l->period_ns);

	if (!n || __sync_val_compare_and_swap(&l->next_ns, next, next + n * l->period_ns) != next)
		return;
	__sync_fetch_and_add(&l->budget_ns,
			     limit_refill_ns(l->budget_ns, n, l->quota_ns, l->burst_ns));
}

/*
 * The functions over a chain of limits are not static: the verifier then checks
 * them once, and not again for each caller.
 */

/* Slot of a limit, of @slot and those above it, that has no budget left; 0 if all have. */
__noinline u32 limit_blocker(u32 slot, u64 now)
{
	u32 depth;

	bpf_for(depth, 0, LIMIT_DEPTH) {
		struct limit *l = limit_at(slot);

		if (!l)
			break;
		if (l->quota_ns < LIMIT_NONE_NS) {
			limit_refill(l, now);
			if (l->budget_ns <= 0)
				return slot;
		}
		slot = l->up;
	}
	return 0;
}

/* A slice for a task under the limit in @slot, which has budget left. */
__noinline u64 limit_chain_slice_ns(u32 slot)
{
	u64 slice = slice_ns;
	u32 depth;

	__sink(slice);
	bpf_for(depth, 0, LIMIT_DEPTH) {
		struct limit *l = limit_at(slot);

		if (!l)
			break;
		if (l->quota_ns < LIMIT_NONE_NS)
			slice = limit_slice_ns(l->budget_ns, slice);
		slot = l->up;
	}
	return slice;
}

/* @delta_ns of CPU time were used in the cgroup of @slot. */
__noinline u32 limit_charge(u32 slot, u64 delta_ns)
{
	u32 depth;

	bpf_for(depth, 0, LIMIT_DEPTH) {
		struct limit *l = limit_at(slot);

		if (!l)
			break;
		__sync_fetch_and_sub(&l->budget_ns, delta_ns);
		slot = l->up;
	}
	return slot;
}

/* A task of @slot sleeps: what it leaves of the budget is for those that wait. */
__noinline u32 limit_pass_on(u32 slot)
{
	u32 depth;

	bpf_for(depth, 0, LIMIT_DEPTH) {
		struct limit *l = limit_at(slot);

		if (!l)
			break;
		if (l->budget_ns > 0 && l->armed && scx_bpf_dsq_nr_queued(dsq_parked(slot)) > 0)
			bpf_timer_start(&l->timer, 0, 0);
		slot = l->up;
	}
	return slot;
}

/* Slot of the brake on @tctx, a limit like any other but that it is nobody's cpu.max; 0: none. */
static __always_inline u32 brake_of(const struct task_ctx *tctx)
{
	struct group *grp;

	if (!braked || !tctx->call)
		return 0;
	grp = group_at(tctx->group);
	return grp ? grp->brake : 0;
}

static __always_inline bool is_limited(const struct task_ctx *tctx)
{
	return tctx->limit || brake_of(tctx);
}

/* The slot that holds back @tctx now, 0 if none does. */
static __always_inline u32 limit_blocks(const struct task_ctx *tctx, u64 now)
{
	u32 brake = brake_of(tctx), slot = 0;

	if ((!tctx->limit && !brake) || inside(tctx, now))
		return 0;
	if (brake)
		slot = limit_blocker(brake, now);
	if (!slot && tctx->limit)
		slot = limit_blocker(tctx->limit, now);
	return slot;
}

/* A slice for @tctx, which nothing holds back. */
static __always_inline u64 limited_slice_ns(const struct task_ctx *tctx)
{
	u64 slice = tctx->limit ? limit_chain_slice_ns(tctx->limit) : slice_ns;
	u32 brake = brake_of(tctx);
	u64 braked_slice = brake ? limit_chain_slice_ns(brake) : slice;

	return braked_slice < slice ? braked_slice : slice;
}

/* Have the timer of @l look at those that wait after @delay_ns, unless it runs already. */
static __always_inline void limit_arm(struct limit *l, u64 delay_ns)
{
	if (!__sync_val_compare_and_swap(&l->armed, 0, 1))
		bpf_timer_start(&l->timer, delay_ns, 0);
}

/* Keep @p waiting for the budget of @slot. */
static __always_inline void limit_park(struct task_struct *p, struct task_ctx *tctx, u32 slot,
				       u64 now, u64 enq_flags)
{
	struct group *grp = group_at(tctx->group);
	struct limit *l = limit_at(slot);

	if (grp && grp->throttled_tick != tick.nr)
		grp->throttled_tick = tick.nr;
	tctx->queued_at_ns = now;
	scx_bpf_dsq_insert(p, dsq_parked(slot), slice_ns, enq_flags);
	stat_inc(slot <= AGENT_MAX_BRAKES ? STAT_BRAKED : STAT_THROTTLED);
	if (l)
		limit_arm(l, time_delta(l->next_ns, now));
}

/*
 * Slot of the nearest limit of @cgrp, its own or of a cgroup above it. When
 * something has changed on the way up, it is looked up along the path, where
 * the links of groups are mended, too; else it is kept with the cgroup.
 * SLOT_UNKNOWN if it cannot be told now.
 */
__noinline u32 limit_of(struct cgroup *cgrp __arg_trusted)
{
	u32 seq = tree_seq, nearest = 0, parent = 0;
	struct cgroup_ctx *ctx;
	int level, depth;

	if (!cgrp->level)
		return 0;
	ctx = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0);
	if (!ctx)
		return SLOT_UNKNOWN;
	if (ctx->tree_seq == seq)
		return ctx->limit;
	depth = cgrp->level;
	__sink(nearest);
	__sink(parent);
	bpf_for(level, 1, depth + 1) {
		struct cgroup *at = bpf_cgroup_ancestor(cgrp, level);
		struct cgroup_ctx *above;
		struct group *grp;
		struct limit *l;
		u64 id;

		if (!at)
			break;
		id = BPF_CORE_READ(at, kn, id);
		above = bpf_cgrp_storage_get(&cgroup_ctxs, at, NULL, 0);
		bpf_cgroup_release(at);
		if (!above)
			return SLOT_UNKNOWN;
		grp = group_at(above->group);
		/* Below an agent the group is the agent's. */
		if (grp && above->group && grp->cgroup_id == id) {
			grp->parent = parent;
			if (above->weight) {
				grp->weight = above->weight;
				parent = above->group;
			}
		}
		l = limit_at(above->own_limit);
		if (l && l->quota_ns < LIMIT_NONE_NS) {
			l->up = nearest;
			nearest = above->own_limit;
		}
	}
	ctx->limit = nearest;
	ctx->tree_seq = seq;
	return nearest;
}

/* What cgroups and tasks keep of the cgroups above them may be wrong from now on. */
static __always_inline void tree_changed(void)
{
	__sync_fetch_and_add(&tree_seq, 1);
	__sync_fetch_and_add(&placement_seq, 1);
}

/* Set what @ctx, of a cgroup of the CPU controller, may use. */
static __noinline void limit_set(struct cgroup_ctx *ctx, u64 period_us, u64 quota_us, u64 burst_us)
{
	u64 quota = limit_ns(quota_us), now = scx_bpf_now();
	struct limit *l;
	bool was;

	if (!ctx)
		return;
	l = limit_at(ctx->own_limit);
	if (!l) {
		if (quota < LIMIT_NONE_NS)
			stat_inc(STAT_NO_LIMIT_SLOT);
		return;
	}
	was = l->quota_ns < LIMIT_NONE_NS;
	l->period_ns = limit_ns(period_us);
	l->burst_ns = limit_ns(burst_us);
	l->budget_ns = quota;
	l->next_ns = now + l->period_ns;
	l->quota_ns = quota;
	if (was != (quota < LIMIT_NONE_NS))
		tree_changed();
	/* Whoever waits may go on. */
	if (l->armed)
		bpf_timer_start(&l->timer, 0, 0);
}

#endif /* SCX_AGENT_LIMITS_BPF_H */
