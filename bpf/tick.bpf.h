/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done once in tick_ns and not on every event.
 */
#ifndef SCX_AGENT_TICK_BPF_H
#define SCX_AGENT_TICK_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "rank.h"

struct tick_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tick_timer);
} tick_timers SEC(".maps");

/*
 * Forgive each group its share of CPU time, end framework phases that have
 * gone quiet, and count competitors. Off the hot path, once in tick_ns.
 */
static int on_tick(void *map, int *key, struct bpf_timer *timer)
{
	u64 now = scx_bpf_now();
	u64 leak = rank_leak_ns(tick_ns, nr_cpus_online, nr_active_groups);
	u64 framework_leak = tick_ns * framework_rate_pct / 100;
	u32 active = 0, competitors = 0, i;

	/* Unknown to the verifier, so that every turn of the loop looks alike. */
	__sink(active);
	__sink(competitors);
	bpf_for(i, 0, groups_top) {
		struct group *grp = group_at(i);
		u64 debt, used;

		if (!grp)
			break;
		if (grp->nr_runnable || grp->ran_ns > tick_ns / 20) {
			u32 n = grp->nr_runnable;

			active++;
			/* An agent's tasks take turns as calls, others by themselves. */
			competitors += (grp->flags & GROUP_AGENT) && grp->nr_calls < n ?
				grp->nr_calls : n;
		}
		grp->ran_ns = 0;
		/* Subtracted, not stored: others add meanwhile. */
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
		    time_delta(now, grp->phase_since_ns) >= tick_ns)
			phase_set(grp, i, PHASE_LLM_WAIT, now);
	}
	nr_active_groups = active ? active : 1;
	round_quantum_ns = round_target_ns * nr_cpus_online / (competitors ? competitors : 1);
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

#endif /* SCX_AGENT_TICK_BPF_H */
