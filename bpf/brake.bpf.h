/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory brake. While the host runs short of memory, the tool calls of an
 * agent that takes more than its share are dispatched less: as if they had a
 * cpu.max of a tenth of a CPU. What is held back inside the kernel, perhaps with a
 * lock, has turns after 0.1 s (inkernel.bpf.h); frameworks go on. The user half
 * brakes, at each of its looks anew: a brake that is not renewed ends by itself.
 */
#ifndef SCX_AGENT_BRAKE_BPF_H
#define SCX_AGENT_BRAKE_BPF_H

#include "groups.bpf.h"
#include "limits.bpf.h"
#include "release.bpf.h"

/* What the calls of one agent may have together of each period. */
#define BRAKE_QUOTA_NS		5000000
#define BRAKE_PERIOD_NS		50000000
/* The longest that a brake lasts without being renewed. */
#define BRAKE_MAX_NS		1000000000ULL

/* The group that each brake is of, 0: none. A brake's slot of a limit is its number, plus one. */
static u32 brake_groups[AGENT_MAX_BRAKES];

/* The brake in @slot, of the group in @owner, is of no agent from now on, and whoever waits for it may go on. */
static __always_inline void brake_end(u32 slot, u32 owner)
{
	struct limit *l = limit_at(slot);
	u32 i, left = 0;

	if (!l || !slot || slot > AGENT_MAX_BRAKES ||
	    brake_groups[(slot - 1) & (AGENT_MAX_BRAKES - 1)] != owner)
		return;
	l->quota_ns = LIMIT_NONE_NS;
	if (l->armed)
		bpf_timer_start(&l->timer, 0, 0);
	brake_groups[(slot - 1) & (AGENT_MAX_BRAKES - 1)] = 0;
	bpf_for(i, 0, AGENT_MAX_BRAKES)
		left |= brake_groups[i & (AGENT_MAX_BRAKES - 1)];
	braked = left != 0;
}

/* Once in tick_ns: brakes that were not renewed, or whose agent is gone. */
static __always_inline void brakes_tick(u64 now)
{
	struct group *grp;
	u32 i, slot;

	bpf_for(i, 0, AGENT_MAX_BRAKES) {
		slot = brake_groups[i & (AGENT_MAX_BRAKES - 1)];
		if (!slot)
			continue;
		grp = group_at(slot);
		if (grp && grp->brake == i + 1) {
			if (rank_before(now, grp->brake_until_ns))
				continue;
			grp->brake = 0;
		}
		brake_end(i + 1, slot);
	}
}

/* Slots for brakes, the lowest: nobody else has one yet. */
static __always_inline s32 brakes_start(void)
{
	u32 i;

	bpf_for(i, 0, AGENT_MAX_BRAKES) {
		if (limit_alloc() != i + 1)
			return -ENOMEM;
	}
	return 0;
}

/* Called by the user half, by one of its threads. */
SEC("syscall")
int brake_agent(struct agent_brake *b)
{
	struct cgroup *cgrp = bpf_cgroup_from_id(b->cgroup_id);
	u64 now = scx_bpf_now();
	struct group *grp;
	struct limit *l;
	u32 slot, i;

	b->done = 0;
	if (!cgrp)
		return 0;
	slot = group_of(cgrp);
	bpf_cgroup_release(cgrp);
	if (!slot || slot == SLOT_UNKNOWN)
		return 0;
	grp = group_at(slot);
	if (!grp || grp->cgroup_id != b->cgroup_id)
		return 0;
	if (!b->on) {
		i = grp->brake;
		grp->brake = 0;
		brake_end(i, slot);
		b->done = 1;
		return 0;
	}
	grp->brake_until_ns = now + BRAKE_MAX_NS;
	if (grp->brake && brake_groups[(grp->brake - 1) & (AGENT_MAX_BRAKES - 1)] == slot) {
		braked = true;
		b->done = 1;
		return 0;
	}
	grp->brake = 0;
	bpf_for(i, 0, AGENT_MAX_BRAKES) {
		l = limit_at(i + 1);
		if (!l || !l->ready)
			break;
		/* Taken, or somebody waits there who was held back by its last owner's. */
		if (brake_groups[i & (AGENT_MAX_BRAKES - 1)] || l->armed)
			continue;
		l->period_ns = BRAKE_PERIOD_NS;
		l->burst_ns = 0;
		l->budget_ns = BRAKE_QUOTA_NS;
		l->next_ns = now + BRAKE_PERIOD_NS;
		l->quota_ns = BRAKE_QUOTA_NS;
		/* In this order: the tick ends what no group says is its own. */
		grp->brake = i + 1;
		brake_groups[i & (AGENT_MAX_BRAKES - 1)] = slot;
		braked = true;
		b->done = 1;
		break;
	}
	return 0;
}

#endif /* SCX_AGENT_BRAKE_BPF_H */
