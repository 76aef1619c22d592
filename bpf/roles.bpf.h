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
#include "service.bpf.h"
#include "program.bpf.h"

/* The comm of @p as two words; the kernel pads it with NULs. */
static __always_inline void comm_of(struct task_struct *p, u64 words[2])
{
	words[0] = words[1] = 0;
	bpf_probe_read_kernel(words, AGENT_COMM_LEN, p->comm);
}

enum comm_kind {
	COMM_OTHER,
	COMM_FRAMEWORK,
	COMM_GENERIC,	/* frameworks have it, and others */
};

/* Whose comm @p has. */
__noinline int comm_kind(struct task_struct *p __arg_trusted)
{
	enum comm_kind found = COMM_OTHER;
	u64 words[2];
	u32 i;

	comm_of(p, words);
	bpf_for(i, 0, nr_comms) {
		if (i >= AGENT_MAX_COMMS)
			break;
		if (words[0] == comms[i][0] && words[1] == comms[i][1]) {
			found = i + nr_generic_comms < nr_comms ? COMM_FRAMEWORK : COMM_GENERIC;
			break;
		}
	}
	return found;
}

/* True if @p's comm is one that agent frameworks have. */
static __always_inline bool known_comm(struct task_struct *p)
{
	return comm_kind(p) != COMM_OTHER;
}

/* True if @p, the current task, which has just exec'd, shows that an agent is here. */
__noinline int framework_shows(struct task_struct *p __arg_trusted)
{
	u64 own[2];

	if (known_comm(p))
		return true;
	comm_of(p, own);
	return comm_is_interpreter(own[0], own[1]) && program_has_word(p);
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

/*
 * The task of @tctx exits: who waits for it has its answer. It stays in its
 * call until it has run for the last time, for giving its memory back takes
 * CPU time, too.
 */
static __always_inline void role_exit(struct task_ctx *tctx, u64 now, u32 exit_code)
{
	struct group *grp = group_at(tctx->group);

	if (tctx->counted_framework) {
		tctx->counted_framework = 0;
		if (grp)
			__sync_fetch_and_sub(&grp->nr_frameworks, 1);
	}
	if (tctx->leads_call) {
		tctx->leads_call = 0;
		call_end(tctx->call, exit_code, now);
	}
}

/* Take @p out of what it was; its CPU time so far stays where it was charged. */
__noinline int role_drop(struct task_ctx *tctx, u64 now)
{
	struct group *grp;
	struct call *c;

	if (!tctx)
		return 0;
	grp = group_at(tctx->group);
	c = call_at(tctx->call);
	if (tctx->counted_runnable) {
		tctx->counted_runnable = 0;
		if (grp)
			__sync_fetch_and_sub(&grp->nr_runnable, 1);
		if (c)
			call_task_sleeps(c, now);
	}
	role_exit(tctx, now, 0);
	if (tctx->call) {
		call_leave(tctx->call);
		tctx->call = 0;
	}
	tctx->role = ROLE_NONE;
	tctx->direct = tctx->commands = tctx->job_control = 0;
	return 0;
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

/*
 * @p is of a sandbox, and so all of its agent @grp, of which no more will be
 * seen: told when it came first in that agent, or of one that is known for it.
 */
__noinline int role_sandboxed(struct task_struct *p __arg_trusted, struct task_ctx *tctx,
			      struct group *grp, u64 now)
{
	bool runnable;
	u32 old;

	if (!tctx || !grp)
		return 0;
	runnable = tctx->counted_runnable;
	role_drop(tctx, now);
	tctx->role = ROLE_SANDBOX;
	rule_inc(RULE_SANDBOX);
	evidence_note(p, tctx, RULE_SANDBOX, now);
	if (runnable)
		runnable_count(tctx, now);
	old = grp->flags;
	if ((old & GROUP_OPAQUE) ||
	    __sync_val_compare_and_swap(&grp->flags, old, old | GROUP_OPAQUE) != old)
		return 0;
	event_agent(grp, tctx->group, EVENT_OPAQUE, NULL, now);
	return 0;
}

/* Make @p, of an agent, what @v says. */
__noinline int role_apply(struct task_struct *p __arg_trusted, struct task_ctx *tctx,
			  const struct exec_verdict *v, u64 now)
{
	struct call *c;

	if (!tctx || !v)
		return 0;
	rule_inc(v->rule);
	if (v->rule != RULE_INHERIT)
		evidence_note(p, tctx, v->rule, now);
	if (v->new_call) {
		bool runnable = tctx->counted_runnable;

		role_drop(tctx, now);
		tctx->role = ROLE_TOOL;
		tctx->call = call_begin(p, tctx->group, v->rule, now);
		tctx->leads_call = tctx->call != 0;
		tctx->service_ns = 0;
		c = call_at(tctx->call);
		/* What it had on its way to the call, as setsid or a sandbox, is the call's. */
		if (c && v->rule != RULE_OUTSIDE && v->rule != RULE_PARENT)
			c->cpu_ns = c->service_ns = tctx->cpu_ns;
		if (runnable)
			runnable_count(tctx, now);
		call_tell(p, tctx->call, now);
		return 0;
	}
	/* Taken for the first process of a call until now. */
	if (tctx->call && v->rule != RULE_INHERIT) {
		bool runnable = tctx->counted_runnable;

		role_drop(tctx, now);
		if (runnable)
			runnable_count(tctx, now);
	}
	tctx->role = v->role;
	tctx->commands = v->commands;
	if (v->role == ROLE_FRAMEWORK)
		framework_count(p, tctx);
	else if (v->role == ROLE_HELPER && v->rule != RULE_INHERIT)
		event_helper(p, tctx->group, v->rule, now);
	return 0;
}

/*
 * True for whoever tells the role of a task that no fork has told: itself as
 * it runs, or a framework that it began, on another CPU maybe.
 */
static __always_inline bool role_claim(struct task_ctx *tctx)
{
	return __sync_val_compare_and_swap(&tctx->claimed, 0, 1) == 0;
}

/* Processes above a framework that are looked at. */
#define ROLES_ABOVE 16

/*
 * @p, the current task, is the first that is told to be of an agent: what
 * began it, an init or a shell that waits for it, has come before, and is no
 * call that entered later. They may exit meanwhile: then one that comes later
 * is taken for a call and not for the framework.
 */
__noinline int roles_above(struct task_struct *p __arg_trusted, u32 slot)
{
	struct task_struct *above = p;
	struct task_ctx *tctx;
	u32 i, told = 0, ours = 0;

	bpf_rcu_read_lock();
	bpf_for(i, 0, ROLES_ABOVE) {
		above = above->real_parent;
		tctx = above ? task_ctx(above) : NULL;
		if (!tctx || tctx->group != slot || tctx->role != ROLE_NONE ||
		    (above->flags & PF_EXITING))
			break;
		told = i + 1;
		/* It tells its own, and is no call that entered later either. */
		if (!role_claim(tctx))
			continue;
		tctx->role = ROLE_FRAMEWORK;
		tctx->rule = RULE_ENTRY;
		rule_inc(RULE_ENTRY);
		ours |= 1U << i;
	}
	/* Only now: one above that tells its own meanwhile sees none that has come before. */
	above = p;
	bpf_for(i, 0, told) {
		above = above->real_parent;
		tctx = above ? task_ctx(above) : NULL;
		if (!tctx || tctx->group != slot)
			break;
		if (ours & (1U << i))
			framework_count(above, tctx);
	}
	bpf_rcu_read_unlock();
	return 0;
}

/*
 * Place @p anew: told from its cgroup, and if that is an agent's, from its
 * parent and comm. For tasks that were there before the scheduler and for
 * those that changed their cgroup.
 */
__noinline int role_place(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now)
{
	struct task_struct *parent, *leader;
	struct task_ctx *pctx, *lctx;
	struct exec_verdict v;
	struct cgroup *cgrp;
	struct group *grp;
	u64 own[2], theirs[2];
	u32 slot, limit, frameworks, parent_call = 0;
	struct found_facts f = { .new_session = true };
	bool runnable;

	if (!tctx)
		return 0;
	tctx->placed_seq = placement_seq;
	/* What it is, it stays to its end. */
	if (p->flags & PF_EXITING)
		return 0;
	if (tctx->tagged)
		tag_helper(p, tctx, now);
	cgrp = p->cgroups->dfl_cgrp;
	if (!cgrp)
		return 0;
	slot = group_of(cgrp);
	limit = limit_of(cgrp);
	if (slot == SLOT_UNKNOWN || limit == SLOT_UNKNOWN) {
		/* It stays where it was until it runs or wakes up again. */
		tctx->placed_seq = 0;
		return 0;
	}
	tctx->limit = limit;
	grp = group_at(slot);
	if (!grp)
		return 0;
	/* Nothing changed for this task: the same group, and its role is told. */
	if (slot == tctx->group && tctx->role != ROLE_NONE)
		return 0;
	if (slot == tctx->group && !(grp->flags & GROUP_AGENT) &&
	    !(grp->flags & GROUP_CANDIDATE))
		return 0;

	runnable = tctx->counted_runnable;
	if (slot != tctx->group) {
		role_drop(tctx, now);
		tctx->claimed = 0;
		tctx->group = slot;
	}
	/* Nobody's of this group forked it, though it may not have run a program since its fork. */
	tctx->forked = 0;
	if (p->flags & PF_KTHREAD)
		goto out;
	f.known_comm = known_comm(p);
	comm_of(p, own);
	f.shell = comm_is_shell(own[0], own[1]);
	if ((grp->flags & GROUP_CANDIDATE) && f.known_comm)
		group_becomes_agent(grp, slot);
	if (!(grp->flags & GROUP_AGENT))
		goto out;
	/*
	 * Before anybody's role is looked at: what began a framework is told before that
	 * is counted, and so does not seem to have come later.
	 */
	frameworks = __sync_fetch_and_add(&grp->nr_frameworks, 0);
	if (!role_claim(tctx))
		goto out;
	role_drop(tctx, now);

	if ((grp->flags & GROUP_OPAQUE) || (!frameworks && executable_is_sandbox(p))) {
		role_sandboxed(p, tctx, grp, now);
		goto out;
	}
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
		/* Named when all of it was there: what began it has not run since, and has come first. */
		if (pctx->role == ROLE_NONE && !frameworks)
			roles_above(p, slot);
		f.parent_role = pctx->role;
		parent_call = pctx->call;
		f.new_session = session_of(parent) != session_of(p);
		comm_of(parent, theirs);
		f.like_parent = !f.new_session && own[0] == theirs[0] && own[1] == theirs[1];
		f.parent_init = comm_is_init(theirs[0], theirs[1]);
	}
	f.frameworks = frameworks;
	v = classify_found(&f);
	if (parent_call && !v.new_call) {
		tctx->role = v.role;
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
	return 0;
}

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable,
			     unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

/* The threads of @leader are to be placed anew: their limit may be another. */
static __always_inline void roles_stale(struct task_struct *leader)
{
	struct task_struct *t;
	struct task_ctx *tctx;

	bpf_rcu_read_lock();
	bpf_for_each(task, t, leader, BPF_TASK_ITER_PROC_THREADS) {
		tctx = task_ctx(t);
		if (tctx)
			tctx->placed_seq = 0;
	}
	bpf_rcu_read_unlock();
}

/* Place the running task @p anew if some membership has changed since it was placed. */
static __always_inline void role_refresh(struct task_struct *p, struct task_ctx *tctx, u64 now)
{
	if (tctx->placed_seq != placement_seq)
		role_place(p, tctx, now);
}

/*
 * @p, the current task, of an agent, has exec'd: what that makes of it. For
 * tasks outside tool calls, and for the first processes of calls that began
 * without a program of their own.
 */
__noinline int role_exec(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u64 now)
{
	struct exec_facts f = { .forked = false };
	struct task_struct *parent;
	struct exec_verdict v;
	struct task_ctx *pctx;
	struct program prog;
	enum comm_kind kind;
	struct group *grp;
	u64 own[2], theirs[2];
	struct call *c;

	if (!tctx)
		return 0;
	grp = group_at(tctx->group);
	if (!grp)
		return 0;
	c = call_at(tctx->call);
	/* Up to here it was what it was. */
	service_charge(p, tctx, now);
	program_read(p, &prog);
	kind = comm_kind(p);
	comm_of(p, own);
	f.role = tctx->role;
	f.mark = prog.mark;
	f.forked = tctx->forked;
	f.direct = tctx->direct;
	f.entered = c && tctx->leads_call && (c->rule == RULE_OUTSIDE || c->rule == RULE_JOB);
	f.known_comm = kind != COMM_OTHER;
	f.generic_comm = kind == COMM_GENERIC;
	f.shell = comm_is_shell(own[0], own[1]);
	f.command = prog.shell.command;
	f.of_commands = tctx->commands;
	f.new_session = true;
	bpf_rcu_read_lock();
	parent = p->real_parent;
	pctx = parent ? task_ctx(parent) : NULL;
	if (pctx && pctx->group == tctx->group) {
		f.new_session = session_of(parent) != session_of(p);
		f.same_program = prog.script && pctx->script == prog.script &&
				 executable_of(parent) == executable_of(p);
		if (tctx->forked)
			f.of_commands = pctx->commands && !pctx->job_control;
		f.expect_mark = grp->nr_marked ||
				(executable_marks(parent) && grp->nr_unmarked < UNMARKED_MAX);
		f.parent_known = known_comm(parent);
		comm_of(parent, theirs);
		f.parent_init = comm_is_init(theirs[0], theirs[1]);
	}
	bpf_rcu_read_unlock();
	v = classify_exec(&f);
	/* What came first has become a sandbox, on its way through a shell or a service manager maybe. */
	if ((v.rule == RULE_ENTRY || (v.rule == RULE_REEXEC && tctx->rule != RULE_COMM)) &&
	    executable_is_sandbox(p)) {
		role_sandboxed(p, tctx, grp, now);
		return 0;
	}
	if (v.rule == RULE_MARK)
		grp->nr_marked++; /* two at once: only whether there were any matters */
	else if (v.rule == RULE_UNMARKED && !f.mark)
		grp->nr_unmarked++;
	role_apply(p, tctx, &v, now);
	/* Whom it forks, and what it execs without a fork, is still the framework's own child. */
	tctx->direct = v.role == ROLE_HELPER &&
		       (f.direct || (f.role == ROLE_FRAMEWORK && f.forked));
	tctx->script = v.role == ROLE_FRAMEWORK ? prog.script : 0;
	return 0;
}

/*
 * @p, the current task, wants to be in process group @pgid, as it sees it: a
 * job of a shell that reads commands. The shell says so as well, of its child;
 * whoever looks at the child's role must be the child.
 */
static __always_inline void role_job(struct task_struct *p, struct task_ctx *tctx, s32 pgid, u64 now)
{
	struct exec_verdict v = exec_is(ROLE_TOOL, RULE_JOB);
	struct task_struct *parent;
	struct task_ctx *pctx;
	struct call *c;

	if (tctx->role != ROLE_HELPER || !tctx->forked || tctx->call)
		return;
	bpf_rcu_read_lock();
	parent = p->real_parent;
	pctx = parent ? task_ctx(parent) : NULL;
	if (!pctx || !pctx->commands || pctx->group != tctx->group) {
		bpf_rcu_read_unlock();
		return;
	}
	pctx->job_control = 1;
	service_charge(p, tctx, now);
	c = call_at(pctx->job_call);
	/* The next one of a pipeline; its call lives, for at most all of it has exited just now. */
	if (c && c->id == pctx->job_call_id && !c->detached && pctx->job_pgid == pgid) {
		bool runnable = tctx->counted_runnable;

		role_drop(tctx, now);
		tctx->role = ROLE_TOOL;
		tctx->call = pctx->job_call;
		tctx->leads_call = 1;
		__sync_fetch_and_add(&c->nr_leaders, 1);
		call_join(tctx->call, true);
		if (runnable)
			runnable_count(tctx, now);
	} else {
		role_apply(p, tctx, &v, now);
		c = call_at(tctx->call);
		pctx->job_pgid = pgid;
		pctx->job_call = tctx->call;
		pctx->job_call_id = c ? c->id : 0;
	}
	bpf_rcu_read_unlock();
}

/* True if an exec may change the role of a task that has this one: few do, and asking costs. */
static __always_inline bool role_asks(const struct task_ctx *tctx)
{
	struct call *c;

	if (tctx->role == ROLE_FRAMEWORK)
		return true;
	if (tctx->role == ROLE_HELPER)
		return !tctx->call;
	if (tctx->role != ROLE_TOOL || !tctx->leads_call)
		return false;
	c = call_at(tctx->call);
	return c && (c->rule == RULE_OUTSIDE || c->rule == RULE_JOB);
}

/*
 * Count a task of an agent that runs without a role, or runs a program that
 * its role was not told for. During the exec itself it still is in the kernel.
 */
static __always_inline void role_check(struct task_struct *p, const struct task_ctx *tctx)
{
	struct group *grp = group_at(tctx->group);

	if (!grp || !(grp->flags & GROUP_AGENT) || (p->flags & (PF_KTHREAD | PF_EXITING)) ||
	    BPF_CORE_READ_BITFIELD_PROBED(p, in_execve))
		return;
	if (tctx->role == ROLE_NONE || tctx->exec_id != p->self_exec_id)
		stat_inc(STAT_ROLE_LATE);
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
	/* A framework's own is its budget's; what it starts begins anew. */
	tctx->service_ns = pctx->role == ROLE_FRAMEWORK ? 0 : pctx->service_ns;
	tctx->why.parent = parent->tgid;
	tctx->forked = process || pctx->forked;
	tctx->script = process ? 0 : pctx->script;
	/* A thread is what its process is; a process of its own is nobody's shell yet. */
	tctx->direct = !process && pctx->direct;
	if (tctx->call)
		call_join(tctx->call, process);
	if (tctx->role != ROLE_NONE)
		rule_inc(RULE_INHERIT);
	/* The child's cgroup may differ (CLONE_INTO_CGROUP); its first wake-up checks. */
	tctx->placed_seq = 0;
}

/* @p is new: forked by @parent, the current task, or there before us if that is NULL. */
static __always_inline s32 task_begins(struct task_struct *p, struct task_struct *parent)
{
	struct task_ctx *tctx, *pctx;
	u64 now = scx_bpf_now();

	tctx = bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!tctx)
		return -ENOMEM;
	tctx->slept_at_ns = now;
	tctx->exec_id = p->self_exec_id;
	if (parent) {
		pctx = task_ctx(parent);
		if (pctx) {
			role_refresh(parent, pctx, now);
			role_fork(p, tctx, parent, pctx);
		}
	} else {
		role_place(p, tctx, now);
	}
	return 0;
}

#endif /* SCX_AGENT_ROLES_BPF_H */
