/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tool calls: begun by an exec, joined by forks, ended by the exit of their
 * first process. What is left running after that is a helper of its agent, and
 * background while the agent waits for its model ("detached"); the slot is
 * given back by the last task.
 */
#ifndef SCX_AGENT_CALLS_BPF_H
#define SCX_AGENT_CALLS_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "evidence.bpf.h"
#include "tags.bpf.h"

/*
 * A call with @p, of group @slot, as its first process; untold until call_tell(),
 * before which whoever is told could find nobody in it.
 */
__noinline u32 call_begin(struct task_struct *p __arg_trusted, u32 group_slot, u32 rule, u64 now)
{
	struct group *grp = group_at(group_slot);
	struct call *c;
	u32 slot = 0;

	if (!grp)
		return 0;
	/* One agent does not take the slots of all; two at once: one too many. */
	if (grp->nr_slots >= AGENT_CALLS_EACH || bpf_map_pop_elem(&free_calls, &slot)) {
		stat_inc(STAT_NO_CALL_SLOT);
		__sync_fetch_and_add(&grp->no_slot, 1);
		__sync_fetch_and_add(&grp->untold, 1);
		return 0;
	}
	c = call_at(slot);
	if (!c)
		return 0;
	__builtin_memset(c, 0, sizeof(*c));
	c->start_ns = now;
	c->base_ns = now;
	c->quantum_end_ns = knobs.quantum_min_ns;
	c->group = group_slot;
	c->pid = p->tgid;
	c->rule = rule;
	c->nr_tasks = 1;
	c->nr_processes = 1;
	c->nr_leaders = 1;
	bpf_probe_read_kernel_str(c->comm, sizeof(c->comm), p->comm);
	c->id = __sync_fetch_and_add(&next_call_id, 1);
	stat_inc(STAT_CALLS);
	__sync_fetch_and_add(&grp->nr_slots, 1);
	__sync_fetch_and_add(&grp->nr_calls, 1);
	return slot;
}

/* The call in @slot has begun, and its first process @p is in it. */
__noinline int call_tell(struct task_struct *p __arg_trusted, u32 slot, u64 now)
{
	struct call *c = call_at(slot);
	struct group *grp = c ? group_at(c->group) : NULL;

	if (!grp)
		return 0;
	grp->in_model = 0;
	phase_set(grp, c->group, PHASE_TOOL, now);
	c->told = event_allowed_or_counted(grp);
	if (c->told)
		event_call_args(p, c, slot, EVENT_CALL_BEGIN, now);
	return 0;
}

/* A first process of call @slot is gone; with the last of them the agent has its answer. */
__noinline int call_end(u32 slot, u32 exit_code, u64 now)
{
	struct call *c = call_at(slot);
	struct group *grp;

	if (!c || __sync_fetch_and_sub(&c->nr_leaders, 1) != 1)
		return 0;
	/* It may be tagged as a helper meanwhile: whoever is first sees to the rest. */
	if (__sync_val_compare_and_swap(&c->detached, 0, 1))
		return 0;
	stat_inc(STAT_CALLS_ENDED);
	event_call(c, slot, EVENT_CALL_END, now, exit_code);
	grp = group_at(c->group);
	if (grp && __sync_fetch_and_sub(&grp->nr_calls, 1) == 1)
		phase_set(grp, c->group, phase_after_calls(grp), now);
	return 0;
}

/* Programs that a call's first process execs after the first, of which the user half is told. */
#define CALL_EXECS_MAX	4

/* @p, the first process of call @slot, runs another program now. */
__noinline int call_exec(struct task_struct *p __arg_trusted, u32 slot, u64 now)
{
	struct call *c = call_at(slot);

	if (!c || !c->told || c->nr_execs >= CALL_EXECS_MAX)
		return 0;
	c->nr_execs++;
	bpf_probe_read_kernel_str(c->comm, sizeof(c->comm), p->comm);
	event_call_args(p, c, slot, EVENT_CALL_EXEC, now);
	return 0;
}

/* A task joins call @slot: a fork of a task that is in it. */
static __always_inline void call_join(u32 slot, bool process)
{
	struct call *c = call_at(slot);

	if (!c)
		return;
	__sync_fetch_and_add(&c->nr_tasks, 1);
	if (process)
		__sync_fetch_and_add(&c->nr_processes, 1);
}

/*
 * A task leaves call @slot. The forker of a task is in the call until after
 * the fork, so nobody joins once the count is zero.
 */
static __always_inline void call_leave(u32 slot)
{
	struct call *c = call_at(slot);
	struct group *grp;

	if (!c || __sync_fetch_and_sub(&c->nr_tasks, 1) != 1)
		return;
	c->id = 0;
	/* Its agent may be gone, and the slot another's: that one may have a call more. */
	grp = group_at(c->group);
	if (grp)
		__sync_fetch_and_sub(&grp->nr_slots, 1);
	bpf_map_push_elem(&free_calls, &slot, 0);
}

#endif /* SCX_AGENT_CALLS_BPF_H */
