/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scx_agent, kernel half: a scheduler for hosts full of AI coding agents.
 *
 * An agent is a cgroup. In it runs a framework, which waits for its language
 * model most of the time, and tool calls: each a tree of processes that the
 * framework starts by an exec. The scheduler tells them apart by itself, at
 * fork and exec (roles.bpf.h), and ranks runnable tasks:
 *
 *   1. frameworks, within a CPU budget: they are small, and a person waits;
 *   2. tool calls, least attained service first, so that a new or short call
 *      does not wait behind long ones; long ones first come, first served
 *      (rank.h); with a debt per agent, so that splitting work into many
 *      calls buys nothing;
 *   3. tasks outside agents take part in 2 as if each were a call of its own,
 *      and each cgroup an agent;
 *   4. what an agent left running, while it waits for its model.
 *
 * A task that wakes up goes to an idle CPU at once. If there is none, it is
 * put on a queue of the CPUs that share its last-level cache, ordered by rank, and
 * takes the CPU that runs the lowest-ranked task. Long calls have a second queue
 * there, which runs when the first is empty or its head has waited for long, and
 * agents in the background one for the whole machine. Tasks that can run on one CPU
 * only have a queue for that CPU. What shares a core with other work moves at the end
 * of a slice, and what waits elsewhere and ranks better is run here (domains.bpf.h).
 *
 * Trade-offs and known limits
 * - cpu.weight is for the machine as a whole, and not for cgroups inside an
 *   agent; cpu.max is for all.
 * - Ranking by attained service lets long calls wait while short ones keep
 *   coming; knobs.delay_cap_ns bounds that.
 */
#include "weak.bpf.h"
#include <scx/common.bpf.h>
#include <scx/compat.bpf.h>
#include "intf.h"
#include "rank.h"
#include "classify.h"
#include "state.bpf.h"
#include "events.bpf.h"
#include "groups.bpf.h"
#include "naming.bpf.h"
#include "burst.bpf.h"
#include "calls.bpf.h"
#include "domains.bpf.h"
#include "cpus.bpf.h"
#include "balance.bpf.h"
#include "inside.bpf.h"
#include "limits.bpf.h"
#include "roles.bpf.h"
#include "queues.bpf.h"
#include "service.bpf.h"
#include "release.bpf.h"
#include "smt.bpf.h"
#include "bound.bpf.h"
#include "hotplug.bpf.h"
#include "inkernel.bpf.h"
#include "brake.bpf.h"
#include "tick.bpf.h"
#include "setting.bpf.h"
#include "ask.bpf.h"
#include "observe.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

s32 BPF_STRUCT_OPS(agent_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 slice = slice_ns, now;
	struct bpf_cpumask *mask;
	s32 cpu;

	if (tctx && is_limited(tctx)) {
		now = scx_bpf_now();
		if (limit_blocks(tctx, now))
			return prev_cpu;
		slice = limited_slice_ns(tctx);
	}
	if (background_confined && tctx && tctx->qos == QOS_BACKGROUND && task_is_confined(p, tctx)) {
		bpf_rcu_read_lock();
		mask = background_mask;
		cpu = mask ? scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, cast_mask(mask), 0) : -1;
		bpf_rcu_read_unlock();
	} else {
		cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, p->cpus_ptr, 0);
	}
	if (cpu < 0)
		return prev_cpu;
	stat_inc(STAT_DIRECT);
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice, 0);
	return cpu;
}

void BPF_STRUCT_OPS(agent_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 now = scx_bpf_now(), key, dsq;
	u32 blocked;

	/* Kernel threads of one CPU serve everything else on it: no queueing. */
	if ((p->flags & PF_KTHREAD) && is_pinned(p)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags | SCX_ENQ_PREEMPT);
		return;
	}
	if (!tctx || (leaving_cpu >= 0 && scx_bpf_task_cpu(p) == leaving_cpu)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags);
		return;
	}
	tctx->asked = 0;
	blocked = limit_blocks(tctx, now);
	if (blocked) {
		limit_park(p, tctx, blocked, now, enq_flags);
		return;
	}
	/* Held back when dispatch() looked, but not now: nothing else wants this CPU. */
	if ((enq_flags & SCX_ENQ_LAST) && cpu_fits(p, tctx, scx_bpf_task_cpu(p)) &&
	    !core_is_crowded(p, scx_bpf_task_cpu(p))) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, limited_slice_ns(tctx), enq_flags);
		return;
	}
	dsq = task_queue(p, tctx, now, &key);
	scx_bpf_dsq_insert_vtime(p, dsq, limited_slice_ns(tctx), queue_place(tctx, dsq, key),
				 enq_flags);
	queue_wake_cpu(p, tctx, key);
}

/*
 * True if @prev, a runnable task, keeps its CPU although something is queued.
 * The heads may be barred from this CPU: then the slice is a little short.
 */
static __always_inline bool keeps_cpu(struct task_struct *prev, struct task_ctx *tctx,
				      struct cpu_ctx *cctx, u64 now, u64 best,
				      const struct head *longs, const struct head *background)
{
	u64 key = task_key(prev, tctx, now, true);
	const struct head *same = tctx->qos == QOS_BACKGROUND ? background : longs;

	if (!rank_before(key, best))
		return false;
	if (tctx->is_long && !time_before(now, tctx->aged_until_ns)) {
		/* What is in the background lets long tasks run before it. */
		if (tctx->qos == QOS_BACKGROUND && longs->there)
			return false;
		/* Between long tasks their places decide. */
		if (same->there && rank_before(same->key, tctx->key))
			return false;
	}
	if (cctx)
		cctx->key = key;
	return true;
}

void BPF_STRUCT_OPS(agent_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_ctx *tctx = prev ? task_ctx(prev) : NULL;
	struct cpu_ctx *cctx = cpu_ctx(cpu);
	bool runnable = prev && (prev->scx.flags & SCX_TASK_QUEUED);
	u32 domain = cpu_domain(cpu);
	struct head shared, longs, own, background = {};
	u64 now = scx_bpf_now(), best = now + background_delay_ns * 2, due;
	bool serves = background_seen && cpu_for_background(cpu);
	bool blocked = false, crowded = false, shorter;
	u64 first = DSQ_LONG(domain);

	if (nr_domains > 1)
		domains_look(cpu, runnable && tctx ? (tctx->is_long ? RUNS_LONG : RUNS_SHORT) : RUNS_NONE,
			     tctx ? tctx->key : 0);
	shared = dsq_head(DSQ_SHARED(domain));
	longs = dsq_head(DSQ_LONG(domain));
	own = dsq_head(cpu);
	shorter = shared.there || own.there || (runnable && tctx && !tctx->is_long);
	/* Whoever asked for this CPU has its answer now. */
	if (cctx)
		cctx->claimed = 0;
	if (longs.there && !shorter &&
	    time_delta(now, long_free_ns[domain]) > knobs.delay_cap_ns / 16)
		long_free_ns[domain] = now;
	due = rank_waits_since_ns(longs.queued_at_ns, long_free_ns[domain]) + knobs.delay_cap_ns;
	if (longs.there && !rank_before(now, due)) {
		best = due;
		stat_inc(STAT_AGED);
	}
	if (serves)
		background = dsq_head(DSQ_BACKGROUND);
	due = background.queued_at_ns + knobs.qos_wait_ns;
	if (background.there && !rank_before(now, due) && rank_before(due, best)) {
		best = due;
		first = DSQ_BACKGROUND;
		stat_inc(STAT_AGED);
	}
	if (shared.there && rank_before(shared.key, best)) {
		best = shared.key;
		first = DSQ_SHARED(domain);
	}
	if (own.there && rank_before(own.key, best)) {
		best = own.key;
		first = cpu;
	}
	if (runnable && tctx) {
		/* A task that is kept does not stop: what it has had so far counts now. */
		service_charge(prev, tctx, now);
		blocked = limit_blocks(tctx, now) != 0;
		/* Nothing waits for this CPU, and enqueue() finds a better one. */
		crowded = smt && !shared.there && !longs.there && !own.there &&
			  core_is_crowded(prev, cpu);
		if (!blocked && !crowded && !tctx->yielded && cpu_fits(prev, tctx, cpu) &&
		    keeps_cpu(prev, tctx, cctx, now, best, &longs, &background)) {
			stat_inc(STAT_KEPT);
			scx_bpf_task_set_slice(prev, limited_slice_ns(tctx));
			return;
		}
	}
	/* The first choice may be gone or barred from this CPU; others may have come since. */
	if (scx_bpf_dsq_move_to_local(first, 0))
		return;
	if (own.there && scx_bpf_dsq_move_to_local(cpu, 0))
		return;
	if (scx_bpf_dsq_move_to_local(DSQ_SHARED(domain), 0))
		return;
	if (scx_bpf_dsq_move_to_local(DSQ_LONG(domain), 0))
		return;
	if (nr_domains > 1 && domains_serve(domain))
		return;
	if (serves && scx_bpf_dsq_move_to_local(DSQ_BACKGROUND, 0))
		return;
	/* What is held back is parked by enqueue(), which is next. */
	if (runnable && !blocked && !crowded && (!tctx || cpu_fits(prev, tctx, cpu))) {
		stat_inc(STAT_KEPT);
		scx_bpf_task_set_slice(prev, tctx ? limited_slice_ns(tctx) : slice_ns);
	}
}

void BPF_STRUCT_OPS(agent_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 now;

	if (!tctx)
		return;
	now = scx_bpf_now();
	if (!tctx->born)
		fork_ends(tctx);
	role_refresh(p, tctx, now);
	if (!tctx->call) {
		/* Service is forgiven at the rate of a whole CPU while it sleeps. */
		u64 slept = time_delta(now, tctx->slept_at_ns);

		tctx->service_ns = tctx->service_ns > slept ? tctx->service_ns - slept : 0;
		tctx->base_ns = group_turn(group_at(tctx->group), now);
		tctx->quantum_end_ns = tctx->service_ns +
			rank_quantum_ns(tctx->service_ns, false, round_quantum_ns,
					(void *)&knobs);
	}
	runnable_count(tctx, now);
	tctx->runnable_at_ns = now;
}

void BPF_STRUCT_OPS(agent_running, struct task_struct *p)
{
	struct task_ctx *tctx = task_ctx(p);
	struct cpu_ctx *cctx = cpu_ctx(scx_bpf_task_cpu(p));
	u32 domain = cpu_domain(scx_bpf_task_cpu(p));
	u64 now = scx_bpf_now();
	struct call *c;

	if (!tctx || !cctx)
		return;
	/* Some never sleep: those are found here. */
	role_refresh(p, tctx, now);
	if (check_roles)
		role_check(p, tctx);
	tctx->running_at_ns = now;
	cctx->since_ns = now;
	tctx->yielded = 0;
	/*
	 * Queued before its cgroup used up its budget: it is parked as soon as it
	 * lets go. Asked once, for the kernel puts tasks that are exiting or may
	 * not migrate back here without asking enqueue(): those go on.
	 */
	if (is_limited(tctx) && !tctx->released && !tctx->asked && limit_blocks(tctx, now)) {
		tctx->asked = 1;
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);
	}
	tctx->released = 0;
	c = call_at(tctx->call);
	if (c)
		__sync_fetch_and_add(&c->wait_ns, time_delta(now, tctx->runnable_at_ns));
	if ((p->flags & PF_KTHREAD) && is_pinned(p)) {
		cctx->takeable = 0;
	} else {
		/* Waited for as long as it may: it now keeps the CPU for a while. */
		if (tctx->is_long && tctx->queued_at_ns &&
		    rank_has_aged(now, tctx->queued_at_ns, long_free_ns[domain], tctx->qos,
				  (void *)&knobs))
			tctx->aged_until_ns = now +
				rank_aged_turn_ns(tctx->qos == QOS_BACKGROUND ?
						  aged_background_run_ns : aged_run_ns,
						  round_quantum_ns, (void *)&knobs);
		tctx->queued_at_ns = 0;
		cctx->key = task_key(p, tctx, now, false);
		if (tctx->kernel_turn)
			cctx->key = now - framework_lead_ns;
		tctx->in_kernel = tctx->kernel_turn = 0;
		cctx->takeable = 1;
	}
	cctx->claimed = 0;
}

void BPF_STRUCT_OPS(agent_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *tctx = task_ctx(p);
	struct cpu_ctx *cctx = cpu_ctx(scx_bpf_task_cpu(p));
	u64 now = scx_bpf_now();

	if (!tctx || !cctx)
		return;
	cctx->takeable = 0;
	service_charge(p, tctx, now);
	tctx->running_at_ns = 0;
	tctx->runnable_at_ns = now;
	tctx->slept_at_ns = now;
	if (!runnable && tctx->limit)
		limit_pass_on(tctx->limit);
	if (!runnable && brake_of(tctx))
		limit_pass_on(brake_of(tctx));
}

void BPF_STRUCT_OPS(agent_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *tctx = task_ctx(p);
	struct group *grp;
	struct call *c;

	if (!tctx)
		return;
	if (p->__state & TASK_UNINTERRUPTIBLE)
		tctx->in_kernel = 1;
	if (!tctx->counted_runnable)
		return;
	tctx->counted_runnable = 0;
	grp = group_at(tctx->group);
	if (grp)
		__sync_fetch_and_sub(&grp->nr_runnable, 1);
	c = call_at(tctx->call);
	if (c)
		call_task_sleeps(c, scx_bpf_now());
}

bool BPF_STRUCT_OPS(agent_yield, struct task_struct *from, struct task_struct *to)
{
	struct task_ctx *tctx = task_ctx(from);

	if (tctx) {
		tctx->yielded = 1;
		tctx->base_ns = group_turn(group_at(tctx->group), scx_bpf_now());
	}
	return false;
}

s32 BPF_STRUCT_OPS(agent_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return task_begins(p, args->fork ? bpf_get_current_task_btf() : NULL);
}

void BPF_STRUCT_OPS(agent_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct task_ctx *tctx = task_ctx(p);

	if (tctx && args->cancelled)
		fork_ends(tctx);
	/* It has run for the last time, or its fork failed; else the scheduler ends, and not the task. */
	if (tctx && (args->cancelled || (p->flags & PF_EXITING)))
		role_drop(tctx, scx_bpf_now());
}

/* @p, the current task, has exec'd. */
__noinline int exec_seen(struct task_struct *p __arg_trusted)
{
	struct task_ctx *tctx = task_ctx(p);
	struct cpu_ctx *cctx;
	struct group *grp;
	u64 now;
	u32 call;

	/* Seen already, see on_exec_again(). */
	if (!tctx || tctx->exec_id == (u32)p->self_exec_id)
		return 0;
	now = scx_bpf_now();
	role_refresh(p, tctx, now);
	grp = group_at(tctx->group);
	if (!grp)
		goto out;
	if ((grp->flags & GROUP_CANDIDATE) && framework_shows(p)) {
		group_becomes_agent(grp, tctx->group);
		role_place(p, tctx, now);
		roles_above(p, tctx->group);
		goto out;
	}
	if (!(grp->flags & GROUP_AGENT) || !role_asks(tctx)) {
		if (tctx->leads_call)
			call_exec(p, tctx->call, now);
		goto out;
	}
	call = tctx->call;
	role_exec(p, tctx, now);
	/* It began its call by entering, or as a job: the program is known only now. */
	if (tctx->leads_call && tctx->call == call)
		call_exec(p, call, now);
	/* It runs now, and no longer ranks as it did when it was put here. */
	cctx = cpu_ctx(bpf_get_smp_processor_id());
	if (cctx)
		cctx->key = task_key(p, tctx, now, false);
out:
	tctx->forked = 0;
	tctx->exec_id = p->self_exec_id;
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, s32 old_pid, struct linux_binprm *bprm)
{
	return exec_seen(p);
}

/*
 * The kernel does not run a program while the same one is under way on that
 * CPU, and where tracepoints are preemptible (7.2 is so) a task that preempts
 * one in the middle of an exec would exec unseen. Another program is run.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec_again, struct task_struct *p, s32 old_pid, struct linux_binprm *bprm)
{
	return exec_seen(p);
}

/* Before a task changes its process group, or another's; see role_job(). */
SEC("?fentry/security_task_setpgid")
int BPF_PROG(on_setpgid, struct task_struct *p, s32 pgid)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct task_ctx *tctx = p == current ? task_ctx(current) : NULL;

	if (tctx)
		role_job(current, tctx, pgid, scx_bpf_now());
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 now = scx_bpf_now();

	if (!tctx)
		return 0;
	service_charge(p, tctx, now);
	role_exit(tctx, now, p->exit_code);
	/* Nobody tells when it has run for the last time. */
	if (observing)
		role_drop(tctx, now);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgrp, const char *path)
{
	group_of(cgrp);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgrp, const char *path)
{
	struct cgroup_ctx *cg = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0);
	struct group *grp;
	u32 slot;

	if (!cg || !cg->placed || !cg->group)
		return 0;
	if (cg->retired)
		group_free(cg->retired);
	cg->retired = 0;
	slot = cg->group;
	grp = group_at(slot);
	/* Below an agent the slot is the agent's. */
	if (!grp || grp->cgroup_id != cgrp->kn->id)
		return 0;
	if (grp->flags & GROUP_AGENT)
		event_agent(grp, slot, EVENT_AGENT_GONE, NULL, scx_bpf_now());
	/*
	 * Tasks on their last steps may still point here, and will charge a
	 * slot that serves another cgroup by then: some us, once.
	 */
	cg->group = 0;
	group_free(slot);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *dst, const char *path, struct task_struct *leader,
	     bool threadgroup)
{
	struct task_ctx *tctx = task_ctx(leader);
	u32 slot;

	group_look(dst);
	slot = group_of(dst);
	/* Within its container it is nobody else's business: an agent could keep all busy with it. */
	if (tctx && tctx->group == slot)
		roles_stale(leader);
	else
		__sync_fetch_and_add(&placement_seq, 1);
	/* Whoever moves itself may fork before it sleeps. Others are placed when they next run. */
	if (tctx && leader == bpf_get_current_task_btf())
		role_refresh(leader, tctx, scx_bpf_now());
	return 0;
}

/* @cgrp has this weight now. */
static __noinline void cgroup_weigh(struct cgroup *cgrp, struct cgroup_ctx *cg, u32 weight)
{
	struct group *grp;

	if (!cg)
		return;
	cg->weight = weight;
	grp = group_at(cg->group);
	if (grp && cg->placed && cg->group && grp->cgroup_id == cgrp->kn->id)
		grp->weight = weight;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(agent_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	struct cgroup_ctx *cg;
	bool idle = false;

	/* The root has neither weight nor limit. */
	if (!cgrp->level)
		return 0;
	cg = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!cg)
		return -ENOMEM;
	if (!cg->own_limit)
		cg->own_limit = limit_alloc();
	/* Older kernels do not tell. */
	if (bpf_core_field_exists(args->sched_idle))
		idle = args->sched_idle;
	cgroup_weigh(cgrp, cg, share_weight(args->weight, idle));
	if (bpf_core_field_exists(args->bw_quota_us))
		limit_set(cg, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
	/* It was there before, and the CPU controller was enabled for it just now. */
	if (cg->placed)
		tree_changed();
	return 0;
}

void BPF_STRUCT_OPS(agent_cgroup_exit, struct cgroup *cgrp)
{
	struct cgroup_ctx *cg = bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0);

	if (!cg)
		return;
	cg->weight = 0;
	if (cg->own_limit)
		limit_free(cg->own_limit);
	cg->own_limit = 0;
}

void BPF_STRUCT_OPS(agent_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	cgroup_weigh(cgrp, bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0),
		     share_weight(weight, false));
}

void BPF_STRUCT_OPS(agent_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	/* When it ends, the kernel sets the weight to 100. */
	cgroup_weigh(cgrp, bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0),
		     share_weight(100, idle));
}

void BPF_STRUCT_OPS(agent_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
	limit_set(bpf_cgrp_storage_get(&cgroup_ctxs, cgrp, NULL, 0), period_us, quota_us, burst_us);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(agent_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	u32 i;
	s32 err;

	nr_cpus_online = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);
	err = background_confine(-1);
	if (err) {
		scx_bpf_error("cannot make a set of CPUs for the background: %d", err);
		return err;
	}
	bpf_for(i, 0, queues_count()) {
		err = scx_bpf_create_dsq(queue_at(i), NUMA_NO_NODE);
		if (err) {
			scx_bpf_error("cannot create queue %llu: %d", queue_at(i), err);
			return err;
		}
	}
	err = brakes_start();
	return err ? err : state_start();
}

void BPF_STRUCT_OPS(agent_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(agent_ops,
	       .select_cpu	= (void *)agent_select_cpu,
	       .enqueue		= (void *)agent_enqueue,
	       .dispatch	= (void *)agent_dispatch,
	       .runnable	= (void *)agent_runnable,
	       .running		= (void *)agent_running,
	       .stopping	= (void *)agent_stopping,
	       .quiescent	= (void *)agent_quiescent,
	       .yield		= (void *)agent_yield,
	       .init_task	= (void *)agent_init_task,
	       .exit_task	= (void *)agent_exit_task,
	       .cgroup_init	= (void *)agent_cgroup_init,
	       .cgroup_exit	= (void *)agent_cgroup_exit,
	       .cgroup_set_weight = (void *)agent_cgroup_set_weight,
	       .cgroup_set_idle	= (void *)agent_cgroup_set_idle,
	       .cgroup_set_bandwidth = (void *)agent_cgroup_set_bandwidth,
	       .cpu_online	= (void *)agent_cpu_online,
	       .cpu_offline	= (void *)agent_cpu_offline,
	       .init		= (void *)agent_init,
	       .exit		= (void *)agent_exit,
	       .timeout_ms	= 30000,
	       .flags		= SCX_OPS_ALLOW_QUEUED_WAKEUP | SCX_OPS_ENQ_LAST,
	       .name		= "agent");
