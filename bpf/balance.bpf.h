/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between domains (domains.bpf.h): whoever looks for a task fetches what ranks better
 * elsewhere to the queues of its own domain, where it takes its place by rank.
 */
#ifndef SCX_AGENT_BALANCE_BPF_H
#define SCX_AGENT_BALANCE_BPF_H

#include "queues.bpf.h"

/* What runs on a CPU that looks. */
enum runs {
	RUNS_NONE,	/* nothing that could go on */
	RUNS_SHORT,
	RUNS_LONG,
};

/*
 * Fetch the first of queue @from to @to, of the domain of @cpu, if it may run on that
 * and ranks before @limit by the margin. Those behind it stay: another looks for them.
 */
static __always_inline void domain_fetch(u64 from, u64 to, s32 cpu, u64 limit)
{
	struct task_struct *p;
	u64 key;

	bpf_rcu_read_lock();
	bpf_for_each(scx_dsq, p, from, 0) {
		key = p->scx.dsq_vtime;
		if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr) ||
		    !rank_before(key + preempt_margin_ns, limit))
			break;
		scx_bpf_dsq_move_set_vtime(BPF_FOR_EACH_ITER, key);
		if (scx_bpf_dsq_move_vtime(BPF_FOR_EACH_ITER, p, to, 0))
			stat_inc(STAT_ELSEWHERE);
		break;
	}
	bpf_rcu_read_unlock();
}

/*
 * Look at the queues of domain @other for @cpu, on which a task with @runs and, if it is
 * long, with @place could go on. 1 if something waits there.
 */
__noinline int domain_look_at(u32 other, s32 cpu, u32 runs, u64 place)
{
	u32 domain = cpu_domain(cpu);
	struct cpu_ctx *cctx = cpu_ctx(cpu);
	struct head here = dsq_head(DSQ_SHARED(domain)), far = dsq_head(DSQ_SHARED(other));
	int found = far.there;
	u64 limit;

	if (!cctx)
		return 0;
	if (far.there) {
		/* Nothing to compare with: better than anything that might have been here. */
		limit = far.key + 2 * preempt_margin_ns;
		if (here.there)
			limit = here.key;
		if (runs != RUNS_NONE && (!here.there || rank_before(cctx->key, limit)))
			limit = cctx->key;
		if (rank_before(far.key + preempt_margin_ns, limit))
			domain_fetch(DSQ_SHARED(other), DSQ_SHARED(domain), cpu, limit);
	}
	/* Long tasks would only wait here for what is not. */
	if (here.there || runs == RUNS_SHORT || scx_bpf_dsq_nr_queued(cpu))
		return found;
	here = dsq_head(DSQ_LONG(domain));
	far = dsq_head(DSQ_LONG(other));
	if (far.there) {
		limit = far.key + 2 * preempt_margin_ns;
		if (here.there)
			limit = here.key;
		if (runs == RUNS_LONG && (!here.there || rank_before(place, limit)))
			limit = place;
		if (rank_before(far.key + preempt_margin_ns, limit))
			domain_fetch(DSQ_LONG(other), DSQ_LONG(domain), cpu, limit);
	}
	return found;
}

/* @cpu is about to look for a task, see domain_look_at(): it looks at another domain as well. */
__noinline int domains_look(s32 cpu, u32 runs, u64 place)
{
	struct cpu_ctx *cctx = cpu_ctx(cpu);
	u32 domain = cpu_domain(cpu), asked;

	if (!cctx)
		return 0;
	asked = cctx->asked_by;
	/* What asked for this CPU may not be in its queue yet: then it is looked at once more. */
	if (asked && domain_look_at((asked - 1) & (AGENT_MAX_DOMAINS - 1), cpu, runs, place))
		cctx->asked_by = 0;
	else
		domain_look_at(domain_next(&cctx->looked_at, domain), cpu, runs, place);
	return 0;
}

/* Run what waits in any other domain than @domain, which has nothing; false if there is none. */
__noinline int domains_serve(u32 domain)
{
	u32 i, at;

	bpf_for(i, 1, 2 * nr_domains) {
		/* First all that is not long. */
		at = (domain + i) % nr_domains;
		if (at == domain)
			continue;
		if (scx_bpf_dsq_move_to_local(i < nr_domains ? DSQ_SHARED(at) : DSQ_LONG(at), 0)) {
			stat_inc(STAT_ELSEWHERE);
			return 1;
		}
	}
	return 0;
}

#endif /* SCX_AGENT_BALANCE_BPF_H */
