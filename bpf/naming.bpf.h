/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Agents that somebody names outright, wherever their cgroups are: the user
 * half, which knows containers by their names and labels, and whoever gives a
 * cgroup the attribute user.scx_agent. That may be a container that owns its
 * cgroups: it is an agent then and no more, as if it called itself `claude`.
 */
#ifndef SCX_AGENT_NAMING_BPF_H
#define SCX_AGENT_NAMING_BPF_H

#include "groups.bpf.h"

/*
 * @cgrp, of the default hierarchy, is named: it becomes an agent unless it is
 * inside of one. What is placed below it already is placed again, with the next tick.
 */
__noinline u32 group_name(struct cgroup *cgrp __arg_trusted)
{
	struct cgroup_ctx *ctx;
	struct group *grp;
	u32 slot;

	slot = group_of(cgrp);
	ctx = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0);
	if (slot == SLOT_UNKNOWN || !ctx)
		return NAMING_LATER;
	grp = group_at(slot);
	if (!slot || !grp)
		return NAMING_NO_SLOT;
	if (grp->cgroup_id != BPF_CORE_READ(cgrp, kn, id))
		return NAMING_INSIDE;
	if (grp->flags & GROUP_AGENT)
		return NAMING_DONE;
	ctx->named = 1;
	ctx->glob_mask = GLOB_INSIDE;
	group_becomes_agent(grp, slot);
	if (BPF_CORE_READ(cgrp, nr_descendants))
		groups_stale = 1;
	return NAMING_DONE;
}

/* A task is about to be in @cgrp: a good time to look whether it, or one above it, is marked. */
static __noinline void group_look(struct cgroup *cgrp)
{
	int level, depth = cgrp->level;
	struct cgroup_ctx *ctx;

	if (!bpf_ksym_exists(bpf_cgroup_read_xattr))
		return;
	bpf_for(level, 1, depth + 1) {
		struct cgroup *at = bpf_cgroup_ancestor(cgrp, level);
		bool inside, marked = false;

		if (!at)
			break;
		ctx = bpf_cgrp_storage_get(&cgroup_ctxs, at, NULL, 0);
		inside = ctx && ctx->placed && ctx->glob_mask == GLOB_INSIDE &&
			 group_is_agent(ctx->group);
		if (!inside)
			marked = cgroup_marked(at);
		if (marked)
			group_name(at);
		bpf_cgroup_release(at);
		if (inside || marked)
			break;
	}
}

/* Called by the user half. */
SEC("syscall")
int name_agent(struct agent_naming *n)
{
	struct cgroup *cgrp = bpf_cgroup_from_id(n->cgroup_id);

	n->outcome = NAMING_GONE;
	if (!cgrp)
		return 0;
	n->outcome = group_name(cgrp);
	bpf_cgroup_release(cgrp);
	return 0;
}

#endif /* SCX_AGENT_NAMING_BPF_H */
