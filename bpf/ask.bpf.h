/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the user half asks on behalf of `scx_agent explain` and `calls`: run
 * with bpf_prog_test_run(), with the question and the answer as context.
 */
#ifndef SCX_AGENT_ASK_BPF_H
#define SCX_AGENT_ASK_BPF_H

#include "state.bpf.h"
#include "queues.bpf.h"

SEC("syscall")
int ask_task(struct agent_task_state *a)
{
	struct task_struct *p = bpf_task_from_pid(a->pid);
	u64 now = scx_bpf_now();
	struct task_ctx *tctx, copy;
	struct group *grp;
	struct call *c;

	a->found = 0;
	a->now_ns = now;
	if (!p)
		return 0;
	tctx = task_ctx(p);
	grp = tctx ? group_at(tctx->group) : NULL;
	if (!grp)
		goto out;
	a->found = 1;
	a->tgid = p->tgid;
	a->role = tctx->role;
	a->rule = tctx->rule;
	a->evidence = tctx->why;
	a->group = tctx->group;
	a->group_flags = grp->flags;
	a->group_cgroup_id = grp->cgroup_id;
	a->phase = grp->phase;
	a->service_ns = tctx->service_ns;
	a->debt_ns = tctx->role == ROLE_FRAMEWORK ? grp->framework_debt_ns : grp->debt_ns;
	/* On a copy: the task's own is written by the scheduler alone. */
	copy = *tctx;
	a->key_ns = task_key(p, &copy, now, false) - now;
	a->is_long = copy.is_long;
	c = call_at(tctx->call);
	if (c) {
		a->call_slot = tctx->call;
		a->call = c->id;
		a->call_pid = c->pid;
		a->call_rule = c->rule;
		a->detached = c->detached;
		a->hook = c->hook;
		a->service_ns = c->service_ns;
	}
out:
	bpf_task_release(p);
	return 0;
}

SEC("syscall")
int ask_call(struct agent_call_state *a)
{
	struct call *c = call_at(a->slot);

	a->now_ns = scx_bpf_now();
	a->call = 0;
	if (!c)
		return 0;
	a->detached = c->detached;
	a->cpu_ns = c->cpu_ns;
	a->wait_ns = c->wait_ns;
	a->processes = c->nr_processes;
	a->peak_width = c->peak_width;
	/* Last: what was read before is of this one or an earlier one, that the asker does not want. */
	a->call = c->id;
	return 0;
}

#endif /* SCX_AGENT_ASK_BPF_H */
