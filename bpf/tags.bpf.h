/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exact tags: what an agent's own hooks say of it, over the user half's tag
 * socket (scx_agent/src/tags/). The user half sees to it that nobody speaks
 * for another agent.
 *
 * A hook is a program under the framework and so a tool call at first sight;
 * once it has said that it is a hook it is a helper: its agent is in no tool
 * phase for it. It keeps its call's rank, so saying so buys nothing.
 *
 * Whether it waits for its model, an agent mostly shows by its CPU use; one
 * that says so is believed until it says otherwise or a tool call begins.
 */
#ifndef SCX_AGENT_TAGS_BPF_H
#define SCX_AGENT_TAGS_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"

/* Phase of an agent that has no tool call any more. */
static __always_inline u32 phase_after_calls(const struct group *grp)
{
	return grp->in_model ? PHASE_LLM_WAIT : PHASE_FRAMEWORK;
}

/*
 * @p is tagged as a helper: so is its call, if @p or its parent is the call's
 * first process; a hook is not more than that. By the task itself, so that its
 * call is still its own.
 */
__noinline int tag_helper(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now)
{
	struct group *grp;
	struct call *c;
	u32 slot;

	if (!tctx)
		return 0;
	slot = tctx->call;
	c = call_at(slot);
	tctx->tagged = 0;
	if (!c || (c->pid != p->tgid && c->pid != BPF_CORE_READ(p, real_parent, tgid)))
		return 0;
	if (__sync_val_compare_and_swap(&c->detached, 0, 1))
		return 0;
	c->hook = 1;
	stat_inc(STAT_CALLS_ENDED);
	event_call(c, slot, EVENT_CALL_HELPER, now, 0);
	grp = group_at(c->group);
	if (grp && __sync_fetch_and_sub(&grp->nr_calls, 1) == 1)
		phase_set(grp, c->group, phase_after_calls(grp), now);
	return 0;
}

/* Called by the user half, with what a process of an agent says. */
SEC("syscall")
int tag_agent(struct agent_tag *tag)
{
	struct task_struct *p = bpf_task_from_pid(tag->pid);
	u64 now = scx_bpf_now();
	struct task_ctx *tctx;
	struct group *grp;

	tag->found = 0;
	if (!p)
		return 0;
	tctx = task_ctx(p);
	grp = tctx ? group_at(tctx->group) : NULL;
	if (!grp || !(grp->flags & GROUP_AGENT) || grp->cgroup_id != tag->cgroup_id)
		goto out;
	tag->found = 1;
	if (tag->model) {
		grp->in_model = tag->model == MODEL_ASKED;
		/* With a call there, its end decides. */
		if (!grp->nr_calls)
			phase_set(grp, tctx->group, phase_after_calls(grp), now);
	}
	if (tag->helper) {
		/* It waits for our answer, and is placed anew when that wakes it. */
		tctx->tagged = 1;
		tctx->placed_seq = 0;
	}
out:
	bpf_task_release(p);
	return 0;
}

#endif /* SCX_AGENT_TAGS_BPF_H */
