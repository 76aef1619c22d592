/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where CPU time goes: to the tool call, to the framework's budget, to a task
 * outside agents, and to the debt of the group.
 */
#ifndef SCX_AGENT_SERVICE_BPF_H
#define SCX_AGENT_SERVICE_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "limits.bpf.h"
#include "rank.h"

/* Weight of @p, from its nice value; kernels without sched_ext do not keep it for us. */
static __always_inline u32 task_weight(const struct task_struct *p)
{
	return !observing && bpf_core_field_exists(p->scx.weight) ? p->scx.weight : 100;
}

/* Charge what @p has used since it was last charged; it runs on this CPU or has just stopped. */
__noinline int service_charge(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now)
{
	u64 delta, weighted, service, charge;
	struct group *grp;
	struct call *c;
	u32 brake;

	if (!tctx)
		return 0;
	grp = group_at(tctx->group);
	c = call_at(tctx->call);
	/* Zero: not run by us, as a real-time task that execs or exits. */
	if (!grp || !tctx->running_at_ns)
		return 0;
	delta = time_delta(now, tctx->running_at_ns);
	tctx->running_at_ns = now;
	tctx->cpu_ns += delta;
	if (p->flags & PF_KTHREAD) {
		/* It worked for others: its own business, and not its group's. */
		tctx->service_ns += delta;
		return 0;
	}
	if (check_roles && (grp->flags & GROUP_AGENT) &&
	    BPF_CORE_READ(p, cgroups, dfl_cgrp, kn, id) != grp->cgroup_id)
		stat_add(c && tctx->role == ROLE_TOOL ? STAT_BELOW_CALL_NS : STAT_BELOW_OTHER_NS,
			 delta);
	if (tctx->limit)
		limit_charge(tctx->limit, delta);
	brake = brake_of(tctx);
	if (brake)
		limit_charge(brake, delta);
	__sync_fetch_and_add(&grp->clock_ns, share_clock_ns(delta, grp->pace));
	weighted = rank_weighted_ns(delta, task_weight(p));
	if (tctx->role == ROLE_FRAMEWORK) {
		tctx->service_ns += weighted;
		/* What its budget does not cover is its agent's debt, as that of calls is. */
		if (__sync_fetch_and_add(&grp->framework_debt_ns, weighted) > framework_burst_ns)
			__sync_fetch_and_add(&grp->debt_ns, weighted);
		__sync_fetch_and_add(&grp->framework_tick_ns, delta);
		if (grp->phase == PHASE_LLM_WAIT && !grp->in_model &&
		    grp->framework_tick_ns > tick_ns / 10)
			phase_set(grp, tctx->group, PHASE_FRAMEWORK, now);
		return 0;
	}
	service = weighted * grp->toll / SHARE_TOLL;
	if (c) {
		charge = rank_charge_ns(weighted, c->cpu_ns, grp->nr_calls, (void *)&knobs);
		__sync_fetch_and_add(&c->cpu_ns, delta);
		__sync_fetch_and_add(&grp->calls_cpu_ns, delta);
		__sync_fetch_and_add(&c->service_ns, rank_wide_ns(service, c->nr_runnable));
	} else {
		charge = rank_charge_ns(weighted, tctx->service_ns, grp->nr_runnable,
					(void *)&knobs);
		tctx->service_ns += service;
	}
	__sync_fetch_and_add(&grp->debt_ns, charge);
	return 0;
}

#endif /* SCX_AGENT_SERVICE_BPF_H */
