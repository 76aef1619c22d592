/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which group a cgroup belongs to: the agent whose cgroup it is or is below,
 * else a group of its own. Told once for each cgroup, when it is made or when
 * the first task is seen in it, and kept with the cgroup.
 *
 * Membership follows the default hierarchy, not the CPU controller's groups:
 * a container whose parent does not enable the cpu controller is a container
 * all the same.
 */
#ifndef SCX_AGENT_GROUPS_BPF_H
#define SCX_AGENT_GROUPS_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "classify.h"

/* To match one cgroup's name. */
struct name_buf {
	char name[AGENT_NAME_LEN];
	struct glob_state state;
};

/*
 * True if component @depth of glob @idx matches buf->name. Not static: the
 * verifier then checks it once, and not again for each caller and iteration.
 */
__noinline int glob_part_matches(u32 idx, u32 depth, struct name_buf *buf)
{
	int matched = 0;
	u32 i;

	if (!buf || idx >= AGENT_MAX_GLOBS || depth >= AGENT_GLOB_DEPTH)
		return false;
	__builtin_memset(&buf->state, 0, sizeof(buf->state));
	bpf_for(i, 0, GLOB_MAX_STEPS) {
		struct glob_state *s = &buf->state;
		enum glob_result r = glob_step(
			glob_parts[idx][depth][s->glob_at & (AGENT_GLOB_LEN - 1)],
			buf->name[s->name_at & (AGENT_NAME_LEN - 1)], s);

		if (r != GLOB_GO_ON) {
			matched = r == GLOB_MATCH;
			break;
		}
	}
	return matched;
}

static __always_inline void group_reset(struct group *grp, u64 now)
{
	if (!grp)
		return;
	__builtin_memset(grp, 0, sizeof(*grp));
	grp->weight = share_weight(100, false);
	grp->pace = SHARE_PACE;
	grp->toll = SHARE_TOLL;
	grp->clock_ns = grp->clock_tick_ns = now;
	grp->phase_since_ns = grp->told_since_ns = now;
	grp->event_tokens = EVENTS_BURST;
}

/* A slot for cgroup @id, 0 if there is none left: it then shares slot 0. */
__noinline u32 group_alloc(u64 id, u32 flags, u64 now)
{
	struct group *grp;
	u32 slot = 0;

	if (bpf_map_pop_elem(&free_groups, &slot)) {
		/* Never used before: hand out the next. */
		slot = __sync_fetch_and_add(&groups_top, 1);
		if (slot >= AGENT_MAX_GROUPS) {
			__sync_fetch_and_sub(&groups_top, 1);
			stat_inc(STAT_NO_GROUP_SLOT);
			return 0;
		}
	}
	grp = group_at(slot);
	if (!grp)
		return 0;
	group_reset(grp, now);
	grp->cgroup_id = id;
	grp->flags = flags;
	return slot;
}

/* Nobody is in @slot any more. */
static __always_inline void group_free(u32 slot)
{
	struct group *grp = group_at(slot);

	if (grp)
		grp->flags = 0;
	bpf_map_push_elem(&free_groups, &slot, 0);
}

/* glob_mask of a cgroup that is an agent or a container, or below one. */
#define GLOB_INSIDE (~0U)

/* The attribute by which a cgroup says that it is an agent, whatever its value. */
const char mark_name[] = "user.scx_agent";
/* Its value: several CPUs may read at once, and nobody looks at it. */
char mark_value[64];

extern int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str,
				 struct bpf_dynptr *value_p) __ksym __weak;

/* True if @cgrp has the attribute, and the kernel can read it (from 6.17). */
__noinline int cgroup_marked(struct cgroup *cgrp __arg_trusted)
{
	struct bpf_dynptr value;
	long len;

	if (!bpf_ksym_exists(bpf_cgroup_read_xattr))
		return false;
	if (bpf_dynptr_from_mem(mark_value, sizeof(mark_value), 0, &value))
		return false;
	len = bpf_cgroup_read_xattr(cgrp, mark_name, &value);
	return len >= 0 || len == -ERANGE;
}

/* True if the group in @slot is an agent. */
static __always_inline bool group_is_agent(u32 slot)
{
	struct group *grp = group_at(slot);

	return grp && (grp->flags & GROUP_AGENT);
}

/*
 * The group of cgroup @at is @slot from now on. One of its own that it had
 * keeps its slot until the cgroup is gone: its runnable tasks are counted there.
 */
__noinline int group_join(struct cgroup_ctx *ctx, struct cgroup *at __arg_trusted, u32 slot, u64 now)
{
	struct group *grp;
	u32 own;

	if (!ctx)
		return 0;
	own = ctx->group;
	/* One of several CPUs that try at once wins. */
	if (own == slot || __sync_val_compare_and_swap(&ctx->group, own, slot) != own || !own)
		return 0;
	grp = group_at(own);
	if (!grp || grp->cgroup_id != BPF_CORE_READ(at, kn, id))
		return 0;
	if (grp->flags & GROUP_AGENT)
		event_agent(grp, own, EVENT_AGENT_GONE, NULL, now);
	grp->flags = 0;
	ctx->retired = own;
	return 0;
}

/*
 * Place cgroup @at on @level: its group, and the globs that match down to it,
 * from those that match down to its parent (@above) and the parent's @group.
 * If it is placed again, it keeps a group of its own unless it is inside now.
 */
__noinline int group_place(struct cgroup_ctx *ctx, struct cgroup *at __arg_trusted, u32 level,
			   u32 above, u32 group)
{
	u64 now = scx_bpf_now();
	u32 i, mask = 0, flags = 0, slot;
	struct name_buf buf = {};
	bool first, by_glob;

	if (!ctx)
		return 0;
	if (above == GLOB_INSIDE) {
		group_join(ctx, at, group, now);
		ctx->glob_mask = GLOB_INSIDE;
		ctx->placed = groups_seq;
		return 0;
	}
	if (ctx->placed && ctx->group) {
		ctx->placed = groups_seq;
		return 0;
	}
	bpf_probe_read_kernel_str(buf.name, sizeof(buf.name), BPF_CORE_READ(at, kn, name));
	__sink(mask);
	__sink(flags);
	bpf_for(i, 0, nr_globs) {
		if (i >= AGENT_MAX_GLOBS)
			break;
		if (!(above & (1U << i)) || !glob_part_matches(i, level - 1, &buf))
			continue;
		if (glob_depth[i] == level)
			flags |= glob_flags[i];
		else
			mask |= 1U << i;
	}
	/* Named outright: no need to wait for a framework to show up. */
	by_glob = flags & GROUP_AGENT;
	if (by_glob || ctx->named || cgroup_marked(at))
		flags = GROUP_AGENT;
	slot = group_alloc(BPF_CORE_READ(at, kn, id), flags, now);
	/* Several CPUs may place it at once: all take the slot of the first. */
	first = !slot || !__sync_val_compare_and_swap(&ctx->group, 0, slot);
	if (!first)
		group_free(slot);
	/* Its weight and its place in the tree are looked up with the first task. */
	ctx->tree_seq = 0;
	ctx->glob_mask = flags ? GLOB_INSIDE : mask;
	ctx->placed = groups_seq;
	if (first && (flags & GROUP_AGENT))
		event_agent(group_at(slot), slot, EVENT_AGENT, by_glob ? buf.name : NULL, now);
	return 0;
}

/*
 * Group of @cgrp, a cgroup of the default hierarchy; 0 if it has no slot,
 * SLOT_UNKNOWN if that cannot be told now.
 *
 * Goes down from the top, since which globs match is told of each level from
 * the one above it.
 */
__noinline u32 group_of(struct cgroup *cgrp __arg_trusted)
{
	u32 above = (1U << (nr_globs & 31)) - 1, slot = 0;
	struct cgroup_ctx *ctx;
	int level, depth;

	if (!cgrp)
		return 0;
	ctx = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0);
	if (ctx && ctx->placed == groups_seq)
		return ctx->group;
	depth = cgrp->level;
	/* Unknown to the verifier, so that it need not tell the levels apart. */
	__sink(slot);
	__sink(above);
	bpf_for(level, 1, depth + 1) {
		struct cgroup *at = bpf_cgroup_ancestor(cgrp, level);

		if (!at)
			break;
		ctx = bpf_cgrp_storage_get(&cgroup_ctxs, at, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!ctx) {
			bpf_cgroup_release(at);
			return SLOT_UNKNOWN;
		}
		if (ctx->placed != groups_seq)
			group_place(ctx, at, level, above, slot);
		slot = ctx->group;
		above = ctx->glob_mask;
		bpf_cgroup_release(at);
	}
	return slot;
}

/* A framework showed up in container @slot, or it is named: from now on it is an agent. */
static __noinline void group_becomes_agent(struct group *grp, u32 slot)
{
	u32 old;

	if (!grp)
		return;
	old = grp->flags;
	if ((old & GROUP_AGENT) ||
	    __sync_val_compare_and_swap(&grp->flags, old,
					(old & ~GROUP_CANDIDATE) | GROUP_AGENT) != old)
		return;
	grp->phase_since_ns = grp->told_since_ns = scx_bpf_now();
	event_agent(grp, slot, EVENT_AGENT, NULL, grp->phase_since_ns);
	__sync_fetch_and_add(&placement_seq, 1);
}

#endif /* SCX_AGENT_GROUPS_BPF_H */
