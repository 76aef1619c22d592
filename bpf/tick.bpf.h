/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done once in tick_ns and not on every event.
 */
#ifndef SCX_AGENT_TICK_BPF_H
#define SCX_AGENT_TICK_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "groups.bpf.h"
#include "rank.h"
#include "sandbox.h"
#include "bound.bpf.h"
#include "brake.bpf.h"
#include "hotplug.bpf.h"
#include "inkernel.bpf.h"

struct tick_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tick_timer);
} tick_timers SEC(".maps");

/* Ticks from one count of what is untold to the next. */
#define TICKS_TO_COUNT	10

/* Levels of cgroups with a weight above each other, as deep as we look. */
#define SHARE_DEPTH	16

/* CPU time of @grp since the last tick. */
static __always_inline u64 tick_ran_ns(const struct group *grp)
{
	return (grp->clock_ns - grp->clock_tick_ns) * SHARE_PACE / (grp->pace ? grp->pace : 1);
}

/*
 * True if @grp competes for CPU time: it could have used more and no cpu.max
 * held it back, or it had more than its share.
 */
static __always_inline bool tick_competes(const struct group *grp)
{
	u64 ran = tick_ran_ns(grp);

	if (ran * SHARE_CPU > grp->rate * tick_ns)
		return true;
	return grp->nr_runnable * tick_ns > ran + tick_ns / 8 && grp->throttled_tick + 1 < tick.nr;
}

/*
 * First pass: the weight of the group in @slot counts with its parent, and so
 * on upwards, if it competes.
 */
__noinline int tick_count(u32 slot)
{
	struct group *grp = group_at(slot), *parent;
	u32 depth, n;

	if (!grp)
		return 0;
	n = grp->nr_runnable;
	if (n || tick_ran_ns(grp) > tick_ns / 20)
		tick.active++;
	/* An agent's tasks take turns as calls, others by themselves. */
	tick.competitors += (grp->flags & GROUP_AGENT) && grp->nr_calls < n ? grp->nr_calls : n;
	grp->competes = tick_competes(grp);
	if (!grp->competes)
		return 0;
	tick.nr_competing++;
	bpf_for(depth, 0, SHARE_DEPTH) {
		grp = group_at(slot);
		if (!grp || grp->path_tick == tick.nr)
			break;
		grp->path_tick = tick.nr;
		parent = group_at(grp->parent);
		if (!parent)
			break;
		if (parent->sum_tick != tick.nr) {
			parent->sum_tick = tick.nr;
			parent->sum = 0;
		}
		parent->sum += share_weight_of(grp->weight, grp->own_weight);
		slot = grp->parent;
	}
	return 0;
}

/* Second pass: the share of the group in @slot, that which it would have if it does not compete. */
__noinline int tick_share(u32 slot)
{
	u64 rate = nr_cpus_online * SHARE_CPU, sum;
	struct group *grp = group_at(slot), *at, *parent;
	u32 depth, weight;

	if (!grp)
		return 0;
	__sink(rate);
	bpf_for(depth, 0, SHARE_DEPTH) {
		at = group_at(slot);
		if (!at)
			break;
		parent = group_at(at->parent);
		if (!parent)
			break;
		sum = parent->sum_tick == tick.nr ? parent->sum : 0;
		weight = share_weight_of(at->weight, at->own_weight);
		if (at->path_tick != tick.nr)
			sum += weight;
		rate = share_of(rate, weight, sum);
		slot = at->parent;
		if (!slot)
			break;
	}
	grp->rate = rate;
	if (!grp->competes)
		return 0;
	tick.rates += rate;
	tick.ran_ns += tick_ran_ns(grp);
	if (!tick.lowest_clock_ns || rank_before(grp->clock_ns, tick.lowest_clock_ns))
		tick.lowest_clock_ns = grp->clock_ns;
	return 0;
}

/*
 * Third pass: the pace of the clock of the group in @slot. What competing
 * groups had together is divided among them by their rates, so that their
 * clocks go at the speed of real time on the whole; where they do not quite,
 * they are set back together. Nobody saves up: only those that wait for CPU
 * time are behind, and not by much.
 */
static __always_inline void tick_pace(struct group *grp)
{
	u64 now = tick.now, clock = grp->clock_ns, least = now, back;

	grp->toll = SHARE_TOLL;
	if (grp->competes) {
		least = now - credit_ns;
		grp->toll = share_toll(grp->rate, tick.rates, tick.nr_competing);
		grp->rate = share_of(tick.capacity, grp->rate, tick.rates);
	}
	/* Added and subtracted, not stored: others add meanwhile. */
	if (rank_before(clock, least)) {
		__sync_fetch_and_add(&grp->clock_ns, least - clock);
	} else if (rank_before(now, clock)) {
		/* If nobody is short of CPU time, nobody is ahead at the cost of others. */
		back = clock - now;
		if (tick.lowest_clock_ns && rank_before(tick.lowest_clock_ns, clock))
			back = rank_before(now, tick.lowest_clock_ns) ?
				tick.lowest_clock_ns - now : 0;
		__sync_fetch_and_sub(&grp->clock_ns, back);
	}
	grp->pace = share_pace(grp->rate);
	grp->clock_tick_ns = grp->clock_ns;
}

/* Forgive the group in @slot its share of CPU time, and end a framework phase that has gone quiet. */
__noinline int tick_forgive(u32 slot)
{
	u64 framework_leak = tick_ns * framework_rate_pct / 100, leak, debt, used;
	struct group *grp = group_at(slot);

	if (!grp)
		return 0;
	if (grp->flags & GROUP_OPAQUE)
		phase_set(grp, slot,
			  sandbox_phase(grp->phase, tick_ran_ns(grp), tick_ns, &grp->quiet_ticks),
			  tick.now);
	tick_pace(grp);
	events_refill(grp, slot, tick.now, tick.nr % TICKS_TO_COUNT == 0);
	leak = share_time_ns(tick_ns, grp->rate);
	debt = grp->debt_ns;
	if (debt)
		__sync_fetch_and_sub(&grp->debt_ns, debt < leak ? debt : leak);
	debt = grp->framework_debt_ns;
	if (debt)
		__sync_fetch_and_sub(&grp->framework_debt_ns,
				     debt < framework_leak ? debt : framework_leak);
	/* Out of debt: the next time begins with a turn of its own. */
	if (grp->debt_ns < knobs.debt_burst_ns)
		grp->quantum_end_ns = 0;
	used = grp->framework_tick_ns;
	if (used)
		__sync_fetch_and_sub(&grp->framework_tick_ns, used);
	if (grp->phase == PHASE_FRAMEWORK && !grp->nr_calls && used < tick_ns / 10 &&
	    time_delta(tick.now, grp->phase_since_ns) >= tick_ns)
		phase_set(grp, slot, PHASE_LLM_WAIT, tick.now);
	return 0;
}

/* Off the hot path, once in tick_ns. */
static int on_tick(void *map, int *key, struct bpf_timer *timer)
{
	u32 i;

	tick.now = scx_bpf_now();
	tick.nr++;
	tick.active = tick.competitors = tick.nr_competing = 0;
	tick.rates = tick.ran_ns = tick.lowest_clock_ns = 0;
	if (groups_stale) {
		groups_stale = 0;
		__sync_fetch_and_add(&groups_seq, 1);
		__sync_fetch_and_add(&placement_seq, 1);
	}
	bpf_for(i, 0, groups_top)
		tick_count(i);
	bpf_for(i, 0, groups_top)
		tick_share(i);
	tick.capacity = share_capacity(tick.ran_ns, tick_ns, nr_cpus_online);
	bpf_for(i, 0, groups_top)
		tick_forgive(i);
	nr_active_groups = tick.active ? tick.active : 1;
	round_quantum_ns = round_target_ns * nr_cpus_online /
			   (tick.competitors ? tick.competitors : 1);
	if (!observing && tick.nr % TICKS_TO_LOOK == 0)
		bound_waits(tick.now);
	if (!observing && tick.nr % TICKS_TO_KERNEL == 0)
		kernel_look(tick.now);
	if (braked)
		brakes_tick(tick.now);
	/* Functions of sched_ext, which a kernel for observing may lack. */
	if (!observing)
		leaving_tick();
	bpf_timer_start(timer, tick_ns, 0);
	return 0;
}

static __always_inline s32 tick_start(void)
{
	struct bpf_timer *timer;
	u32 key = 0;

	timer = bpf_map_lookup_elem(&tick_timers, &key);
	if (!timer)
		return -ENOENT;
	bpf_timer_init(timer, &tick_timers, CLOCK_MONOTONIC);
	bpf_timer_set_callback(timer, on_tick);
	return bpf_timer_start(timer, tick_ns, 0);
}

/* What is to be done once, before the first task. */
static __always_inline s32 state_start(void)
{
	u32 i;

	group_reset(group_at(0), scx_bpf_now());
	/* The lowest slots come off the stack first. */
	bpf_for(i, 1, AGENT_MAX_CALLS) {
		u32 slot = AGENT_MAX_CALLS - i;

		bpf_map_push_elem(&free_calls, &slot, 0);
	}
	return tick_start();
}

#endif /* SCX_AGENT_TICK_BPF_H */
