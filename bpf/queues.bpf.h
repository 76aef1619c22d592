/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The queues of runnable tasks, and the place of a task in them.
 */
#ifndef SCX_AGENT_QUEUES_BPF_H
#define SCX_AGENT_QUEUES_BPF_H

#include "state.bpf.h"
#include "rank.h"
#include "domains.bpf.h"
#include "cpus.bpf.h"
#include "inside.bpf.h"

/*
 * Queues of a domain's tasks that may run on more than one CPU, by key, of what of
 * those is long, by base, and of the work of all agents in the background, by base.
 * A CPU's own queue has the CPU's number.
 */
#define DSQ_SHARED(domain)	((u64)AGENT_MAX_CPUS + (domain))
#define DSQ_LONG(domain)	((u64)AGENT_MAX_CPUS + AGENT_MAX_DOMAINS + (domain))
#define DSQ_BACKGROUND		((u64)AGENT_MAX_CPUS + 2 * AGENT_MAX_DOMAINS)

/* How many queues there are for what is ready to run, and the number of the one at @place among them. */
static __always_inline u32 queues_count(void)
{
	return 1 + 2 * nr_domains + nr_cpu_ids;
}

static __always_inline u64 queue_at(u32 place)
{
	if (!place)
		return DSQ_BACKGROUND;
	place--;
	if (place < nr_domains)
		return DSQ_SHARED(place);
	place -= nr_domains;
	return place < nr_domains ? DSQ_LONG(place) : place - nr_domains;
}

/* True if @p can run on one CPU only. */
static __always_inline bool is_pinned(const struct task_struct *p)
{
	return p->nr_cpus_allowed == 1;
}

/*
 * Key of @p as of @now; the lowest runs first. Sets tctx->qos, tctx->is_long
 * (which all background work is) and, for a long task, tctx->key to its place
 * among the long ones. With @requeue, a quantum that is used up puts it behind
 * its equals.
 *
 * Not static, as some others: the verifier then checks it once, and not again
 * for each caller.
 */
__noinline u64 task_key(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now,
			bool requeue)
{
	u64 service, cpu, debt, quantum, *base, *quantum_end;
	struct group *grp;
	struct call *c;
	u32 width = 1, qos;
	bool indebted;

	if (!tctx)
		return now;
	grp = group_at(tctx->group);
	c = call_at(tctx->call);
	tctx->is_long = 0;
	tctx->qos = QOS_STANDARD;
	/*
	 * Kernel threads serve everybody, and RCU or a lock may wait for one
	 * whatever its nice value: first rank, or that of a new call for those
	 * that compute for long.
	 */
	if (p->flags & PF_KTHREAD)
		return tctx->service_ns < framework_burst_ns ? now - framework_lead_ns : now;
	if (inside(tctx, now))
		return now - framework_lead_ns;
	if (!grp)
		return now;
	qos = grp->qos;
	if (tctx->role == ROLE_FRAMEWORK) {
		debt = grp->framework_debt_ns;
		if (debt <= framework_burst_ns)
			return qos == QOS_BACKGROUND ? now : now - framework_lead_ns;
		/* Beyond its budget it ranks as a call that has had that much. */
		service = debt - framework_burst_ns;
		cpu = tctx->service_ns;
		base = &tctx->base_ns;
		quantum_end = &tctx->quantum_end_ns;
	} else if (c) {
		/* What exits is not left running: it gives back what the call had. */
		bool left = c->detached && !(p->flags & PF_EXITING);

		if (left && tctx->role == ROLE_TOOL) {
			tctx->role = ROLE_HELPER;
			if (!c->hook)
				rule_inc(RULE_LEFT);
		}
		if (left && !c->hook && grp->phase == PHASE_LLM_WAIT)
			return now + background_delay_ns;
		service = c->service_ns;
		cpu = c->cpu_ns;
		/* Not how wide it is now: its last process is worth as much as its first. */
		width = c->peak_width;
		base = &c->base_ns;
		quantum_end = &c->quantum_end_ns;
	} else {
		service = cpu = tctx->service_ns;
		base = &tctx->base_ns;
		quantum_end = &tctx->quantum_end_ns;
	}
	/* Long only for its agent's debt: then the agent's calls are one long call together. */
	indebted = c && !rank_is_long(service, (void *)&knobs);
	service = rank_service_ns(service, grp->debt_ns, (void *)&knobs);
	tctx->is_long = qos == QOS_BACKGROUND || rank_is_long(service, (void *)&knobs);
	tctx->qos = qos;
	if (indebted && tctx->is_long) {
		base = &grp->base_ns;
		quantum_end = &grp->quantum_end_ns;
		cpu = grp->calls_cpu_ns;
	}
	/* Several CPUs may do this at once for one call: any of their times is as good. */
	if (requeue && cpu >= *quantum_end) {
		/* Short calls are no matter of shares; debt sees to it that they do not add up. */
		*base = c && !tctx->is_long ? now : group_turn(grp, now);
		/* On one CPU, and among tasks that may never end, there is nothing to gain from long turns. */
		if (is_pinned(p) || (!c && tctx->is_long))
			quantum = share_quantum_ns(task_quantum_ns, grp->toll);
		else
			quantum = share_call_quantum_ns(
				rank_quantum_ns(cpu, tctx->is_long, round_quantum_ns,
						(void *)&knobs), grp->toll);
		*quantum_end = cpu + quantum;
	}
	/* Not so for long calls: those that wait for each other would take turns in short pieces. */
	if (requeue && qos == QOS_BACKGROUND && tctx->aged_until_ns &&
	    !time_before(now, tctx->aged_until_ns)) {
		tctx->aged_until_ns = 0;
		*base = rank_aged_base(*base, now, knobs.qos_wait_ns);
	}
	if (tctx->is_long && is_pinned(p))
		return rank_long_key(*base, qos, (void *)&knobs);
	if (tctx->is_long) {
		tctx->key = rank_qos_place(rank_long_place(*base, width, (void *)&knobs), qos,
					   (void *)&knobs);
		return time_before(now, tctx->aged_until_ns) ? now :
			rank_long_key(now, qos, (void *)&knobs);
	}
	return rank_qos_key(*base + rank_delay_ns(service, (void *)&knobs), qos, (void *)&knobs);
}

/* Queue and key of @p, which is to wait for a CPU from @now on; see task_key(). */
static __always_inline u64 task_queue(struct task_struct *p, struct task_ctx *tctx, u64 now, u64 *key)
{
	u32 domain = cpu_domain(scx_bpf_task_cpu(p));

	*key = task_key(p, tctx, now, true);
	tctx->queued_at_ns = now;
	stat_inc(STAT_QUEUED);
	if (is_pinned(p))
		return scx_bpf_task_cpu(p);
	/* What is bound to other CPUs than those for the background waits with the long ones. */
	if (tctx->qos == QOS_BACKGROUND && (!background_confined || task_is_confined(p, tctx)))
		return DSQ_BACKGROUND;
	return tctx->is_long ? DSQ_LONG(domain) : DSQ_SHARED(domain);
}

/* Place of @p, with @key, in the queue @dsq: long tasks have their own order there. */
static __always_inline u64 queue_place(const struct task_ctx *tctx, u64 dsq, u64 key)
{
	return dsq >= DSQ_LONG(0) && dsq <= DSQ_BACKGROUND ? tctx->key : key;
}

/* Find a CPU for @p, which has just been put on a queue with @key. */
__noinline int queue_wake_cpu(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 key)
{
	u64 min_run_ns = 0;
	struct group *grp;
	s32 cpu;

	if (!tctx)
		return 0;
	if (is_pinned(p)) {
		cpu = scx_bpf_task_cpu(p);
		if (scx_bpf_test_and_clear_cpu_idle(cpu))
			scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		else
			cpu_take_one(cpu, key);
		return 0;
	}
	if (background_confined && task_is_confined(p, tctx)) {
		if (!cpu_wake_background(p))
			cpu_take(p, key, 0, true);
		return 0;
	}
	/*
	 * A CPU that went idle after select_cpu() looked, and looked at the
	 * queue before the insertion, would sleep on it: look once more.
	 */
	bpf_rcu_read_lock();
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	bpf_rcu_read_unlock();
	if (cpu >= 0) {
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return 0;
	}
	grp = group_at(tctx->group);
	if (grp && !(grp->flags & GROUP_AGENT) && !(p->flags & PF_KTHREAD))
		min_run_ns = preempt_min_run_ns;
	cpu_take(p, key, min_run_ns, false);
	return 0;
}

/* What the first task of a queue has to say; all zero if the queue is empty. */
struct head {
	bool there;
	u64 key;	/* its place in the queue */
	u64 queued_at_ns;
};

static __always_inline struct head dsq_head(u64 dsq)
{
	struct task_struct *p;
	struct head h = {};

	if (!scx_bpf_dsq_nr_queued(dsq))
		return h;
	bpf_rcu_read_lock();
	p = __COMPAT_scx_bpf_dsq_peek(dsq);
	if (p) {
		struct task_ctx *tctx = task_ctx(p);

		h.there = true;
		h.key = p->scx.dsq_vtime;
		h.queued_at_ns = tctx ? tctx->queued_at_ns : 0;
	}
	bpf_rcu_read_unlock();
	return h;
}

#endif /* SCX_AGENT_QUEUES_BPF_H */
