/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Roles of tasks: set at fork and at exec, before the first user instruction
 * that follows; looked at again only after some cgroup membership changed.
 */
#ifndef SCX_AGENT_ROLES_BPF_H
#define SCX_AGENT_ROLES_BPF_H

#include "state.bpf.h"
#include "groups.bpf.h"
#include "calls.bpf.h"
#include "limits.bpf.h"

/* The comm of @p as two words; the kernel pads it with NULs. */
static __always_inline void comm_of(struct task_struct *p, u64 words[2])
{
	words[0] = words[1] = 0;
	bpf_probe_read_kernel(words, AGENT_COMM_LEN, p->comm);
}

/* True if @p's comm is one that agent frameworks have. */
static __noinline bool known_comm(struct task_struct *p)
{
	bool found = false;
	u64 words[2];
	u32 i;

	comm_of(p, words);
	bpf_for(i, 0, nr_comms) {
		if (i >= AGENT_MAX_COMMS)
			break;
		if (words[0] == comms[i][0] && words[1] == comms[i][1]) {
			found = true;
			break;
		}
	}
	return found;
}

/* Session of @p, as the address of its struct pid: only good for comparing. */
static __always_inline u64 session_of(struct task_struct *p)
{
	return (u64)BPF_CORE_READ(p, signal, pids[PIDTYPE_SID]);
}

/* A task of @c, of several maybe, is not runnable any more. */
static __always_inline void call_task_sleeps(struct call *c, u64 now)
{
	if (__sync_fetch_and_sub(&c->nr_runnable, 1) == 1)
		c->slept_at_ns = now;
}

/* Take @p out of what it was; its CPU time so far stays where it was charged. */
static __noinline void role_drop(struct task_ctx *tctx, u64 now, u32 exit_code)
{
	struct group *grp = group_at(tctx->group);
	struct call *c = call_at(tctx->call);

	if (tctx->counted_runnable) {
		tctx->counted_runnable = 0;
		if (grp)
			__sync_fetch_and_sub(&grp->nr_runnable, 1);
		if (c)
			call_task_sleeps(c, now);
	}
	if (tctx->counted_framework) {
		tctx->counted_framework = 0;
		if (grp)
			__sync_fetch_and_sub(&grp->nr_frameworks, 1);
	}
	if (tctx->leads_call) {
		tctx->leads_call = 0;
		call_end(tctx->call, exit_code, now);
	}
	if (tctx->call) {
		call_leave(tctx->call);
		tctx->call = 0;
	}
	tctx->role = ROLE_NONE;
}

/* Count a runnable task where it belongs. */
static __always_inline void runnable_count(struct task_ctx *tctx, u64 now)
{
	struct group *grp = group_at(tctx->group);
	struct call *c = call_at(tctx->call);

	if (tctx->counted_runnable)
		return;
	tctx->counted_runnable = 1;
	if (grp)
		__sync_fetch_and_add(&grp->nr_runnable, 1);
	if (c) {
		u32 width = __sync_fetch_and_add(&c->nr_runnable, 1) + 1;

		if (width > c->peak_width)
			c->peak_width = width; /* two at once: off by one, for once */
		/* Time asleep is not time it waited for a CPU. */
		if (width == 1 && c->slept_at_ns) {
			c->base_ns += time_delta(now, c->slept_at_ns);
			c->slept_at_ns = 0;
		}
	}
}

static __always_inline void framework_count(struct task_struct *p, struct task_ctx *tctx)
{
	struct group *grp = group_at(tctx->group);

	if (grp && p->pid == p->tgid && !tctx->counted_framework) {
		tctx->counted_framework = 1;
		__sync_fetch_and_add(&grp->nr_frameworks, 1);
	}
}

/* Make @p, of an agent, what @v says. */
static __noinline void role_apply(struct task_struct *p, struct task_ctx *tctx,
				  const struct exec_verdict *v, u64 now)
{
	rule_inc(v->rule);
	evidence_note(p, tctx, v->rule, now);
	if (v->new_call) {
		bool runnable = tctx->counted_runnable;

		role_drop(tctx, now, 0);
		tctx->role = ROLE_TOOL;
		tctx->call = call_begin(p, tctx->group, v->rule, now);
		tctx->leads_call = tctx->call != 0;
		tctx->service_ns = 0;
		if (runnable)
			runnable_count(tctx, now);
		return;
	}
	tctx->role = v->role;
	if (v->role == ROLE_FRAMEWORK)
		framework_count(p, tctx);
}

/*
 * Place @p anew: told from its cgroup, and if that is an agent's, from its
 * parent and comm. For tasks that were there before the scheduler and for
 * those that changed their cgroup.
 */
static __noinline void role_place(struct task_struct *p, struct task_ctx *tctx, u64 now)
{
	struct task_struct *parent, *leader;
	struct task_ctx *pctx, *lctx;
	struct exec_verdict v;
	struct cgroup *cgrp;
	struct group *grp;
	u64 own[2], theirs[2];
	u32 slot, parent_role = ROLE_NONE, parent_call = 0;
	bool runnable, known, like_parent = false, new_session = true;

	tctx->placed_seq = placement_seq;
	/* It has left its call in on_exit() and must not join again. */
	if (p->flags & PF_EXITING)
		return;
	if (tctx->tagged)
		tag_helper(p, tctx, now);
	cgrp = p->cgroups->dfl_cgrp;
	if (!cgrp)
		return;
	slot = group_of(cgrp);
	tctx->limit = limit_of(cgrp);
	grp = group_at(slot);
	if (!grp)
		return;
	/* Nothing changed for this task: the same group, and its role is told. */
	if (slot == tctx->group && tctx->role != ROLE_NONE)
		return;
	if (slot == tctx->group && !(grp->flags & GROUP_AGENT) &&
	    !(grp->flags & GROUP_CANDIDATE))
		return;

	runnable = tctx->counted_runnable;
	role_drop(tctx, now, 0);
	tctx->group = slot;
	if (p->flags & PF_KTHREAD)
		goto out;
	known = known_comm(p);
	if ((grp->flags & GROUP_CANDIDATE) && known)
		group_becomes_agent(grp, slot, NULL);
	if (!(grp->flags & GROUP_AGENT))
		goto out;

	leader = p->group_leader;
	if (leader && p->pid != p->tgid) {
		lctx = task_ctx(leader);
		if (lctx && lctx->group == slot && lctx->role != ROLE_NONE) {
			tctx->role = lctx->role;
			tctx->call = lctx->call;
			call_join(tctx->call, false);
			rule_inc(RULE_INHERIT);
			goto out;
		}
	}
	parent = p->real_parent;
	pctx = parent ? task_ctx(parent) : NULL;
	if (pctx && pctx->group == slot) {
		parent_role = pctx->role;
		parent_call = pctx->call;
		new_session = session_of(parent) != session_of(p);
		comm_of(parent, theirs);
		comm_of(p, own);
		like_parent = !new_session && own[0] == theirs[0] && own[1] == theirs[1];
	}
	v = classify_found(parent_role, known, like_parent, new_session, grp->nr_frameworks);
	if (v.role == ROLE_TOOL && !v.new_call) {
		tctx->role = ROLE_TOOL;
		tctx->call = parent_call;
		call_join(parent_call, p->pid == p->tgid);
		rule_inc(v.rule);
		evidence_note(p, tctx, v.rule, now);
	} else {
		role_apply(p, tctx, &v, now);
	}
out:
	if (runnable)
		runnable_count(tctx, now);
}

/* Place the running task @p anew if some membership has changed since it was placed. */
static __always_inline void role_refresh(struct task_struct *p, struct task_ctx *tctx, u64 now)
{
	if (tctx->placed_seq != placement_seq)
		role_place(p, tctx, now);
}

/* A fork: @tctx of the child @p from @pctx of the forking task, @parent. */
static __always_inline void role_fork(struct task_struct *p, struct task_ctx *tctx,
				      struct task_struct *parent, struct task_ctx *pctx)
{
	bool process = p->pid == p->tgid;

	tctx->group = pctx->group;
	tctx->limit = pctx->limit;
	tctx->role = pctx->role;
	tctx->call = pctx->call;
	tctx->service_ns = pctx->service_ns;
	tctx->why.parent = parent->tgid;
	tctx->forked = process || pctx->forked;
	if (tctx->call)
		call_join(tctx->call, process);
	if (tctx->role != ROLE_NONE)
		rule_inc(RULE_INHERIT);
	/* The child's cgroup may differ (CLONE_INTO_CGROUP); its first wake-up checks. */
	tctx->placed_seq = 0;
}

#endif /* SCX_AGENT_ROLES_BPF_H */
