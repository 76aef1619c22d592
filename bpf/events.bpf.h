/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records for the user half: agents found, phases, tool calls. A full ring
 * buffer loses the record, never the classification; losses are counted.
 *
 * What an agent does makes work for the user half, which is not of the agent's
 * share. So each has a number of records, refilled with the tick; calls and
 * helpers beyond it are ranked as ever, and only their number is told. Phases
 * are told with the tick then.
 */
#ifndef SCX_AGENT_EVENTS_BPF_H
#define SCX_AGENT_EVENTS_BPF_H

#include "state.bpf.h"

static __always_inline void event_fill(struct agent_event *e, u32 type, u32 slot, u64 cgroup_id,
				       u64 now)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->type = type;
	e->group = slot;
	e->cgroup_id = cgroup_id;
	e->at_ns = now;
}

static __always_inline void event_fill_call(struct agent_event *e, const struct call *c, u32 slot,
					    u64 now)
{
	e->call = c->id;
	e->cpu_ns = c->cpu_ns;
	e->wall_ns = now - c->start_ns;
	e->wait_ns = c->wait_ns;
	e->pid = c->pid;
	e->rule = c->rule;
	e->processes = c->nr_processes;
	e->peak_width = c->peak_width;
	e->call_slot = slot;
	__builtin_memcpy(e->name, c->comm, AGENT_COMM_LEN);
}

static __always_inline struct agent_event *event_reserve(u32 type, u32 slot, u64 cgroup_id,
							 u64 now)
{
	struct agent_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		stat_inc(STAT_LOST_EVENTS);
		return NULL;
	}
	event_fill(e, type, slot, cgroup_id, now);
	return e;
}

/* Records that an agent may cause at once, and how many more with each tick: 100 a second. */
#define EVENTS_BURST	256
#define EVENTS_PER_TICK	10

/* True if the user half is to be told of one more thing that @grp does. */
static __always_inline bool event_allowed(struct group *grp)
{
	/* Several at once: a few more than allowed. */
	if (grp->event_tokens <= 0)
		return false;
	__sync_fetch_and_sub(&grp->event_tokens, 1);
	return true;
}

/* As event_allowed(), for a call or a helper, which is counted if not. */
static __always_inline bool event_allowed_or_counted(struct group *grp)
{
	if (event_allowed(grp))
		return true;
	__sync_fetch_and_add(&grp->untold, 1);
	stat_inc(STAT_UNTOLD);
	return false;
}

/* Tell the phase that @grp is in, if it is another than was last told. */
static __noinline void phase_tell(struct group *grp, u32 slot, u64 now)
{
	struct agent_event *e;
	u32 from, to;
	u64 since;

	if (!grp)
		return;
	from = grp->told_phase;
	to = grp->phase;
	if (from == to || __sync_val_compare_and_swap(&grp->told_phase, from, to) != from)
		return;
	since = grp->told_since_ns;
	grp->told_since_ns = now;
	e = event_reserve(EVENT_PHASE, slot, grp->cgroup_id, now);
	if (!e)
		return;
	e->phase_from = from;
	e->phase_to = to;
	e->phase_ns = now - since;
	bpf_ringbuf_submit(e, 0);
}

/* Move @grp, an agent, to @phase; one of several CPUs that try at once wins. */
__noinline int phase_set(struct group *grp, u32 slot, u32 phase, u64 now)
{
	u32 old;

	if (!grp || !(grp->flags & GROUP_AGENT))
		return 0;
	old = grp->phase;
	if (old == phase || __sync_val_compare_and_swap(&grp->phase, old, phase) != old)
		return 0;
	grp->phase_since_ns = now;
	stat_inc(STAT_PHASES);
	if (event_allowed(grp))
		phase_tell(grp, slot, now);
	return 0;
}

/* Once a tick: what the agent @grp is told of again, and how much has not been. */
static __always_inline void events_refill(struct group *grp, u32 slot, u64 now, bool count)
{
	s32 tokens = grp->event_tokens;
	struct agent_event *e;
	u32 untold, no_slot;

	if (!(grp->flags & GROUP_AGENT))
		return;
	if (tokens < EVENTS_BURST)
		__sync_fetch_and_add(&grp->event_tokens, EVENTS_PER_TICK);
	phase_tell(grp, slot, now);
	untold = grp->untold;
	if (!count || !untold)
		return;
	no_slot = grp->no_slot;
	e = event_reserve(EVENT_UNTOLD, slot, grp->cgroup_id, now);
	if (!e)
		return;
	e->untold = untold;
	e->no_slot = no_slot;
	bpf_ringbuf_submit(e, 0);
	__sync_fetch_and_sub(&grp->untold, untold);
	__sync_fetch_and_sub(&grp->no_slot, no_slot);
}

static __noinline void event_agent(struct group *grp, u32 slot, u32 type, const char *name, u64 now)
{
	struct agent_event *e;

	if (!grp)
		return;
	e = event_reserve(type, slot, grp->cgroup_id, now);
	if (!e)
		return;
	if (name)
		bpf_probe_read_kernel_str(e->name, sizeof(e->name), name);
	bpf_ringbuf_submit(e, 0);
}

/* The agent @grp has the class and the weight that it has now. */
static __noinline void event_set(struct group *grp, u32 slot, u64 now)
{
	struct agent_event *e = event_reserve(EVENT_SET, slot, grp->cgroup_id, now);

	if (!e)
		return;
	e->qos = grp->qos;
	e->weight = grp->own_weight;
	bpf_ringbuf_submit(e, 0);
}

__noinline int event_call(struct call *c, u32 slot, u32 type, u64 now, u32 exit_code)
{
	struct agent_event *e;
	struct group *grp;

	if (!c || !c->told)
		return 0;
	grp = group_at(c->group);
	if (!grp)
		return 0;
	e = event_reserve(type, c->group, grp->cgroup_id, now);
	if (!e)
		return 0;
	event_fill_call(e, c, slot, now);
	e->exit_code = exit_code;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* @p is a helper of agent @slot, by @rule. */
static __noinline void event_helper(struct task_struct *p, u32 slot, u32 rule, u64 now)
{
	struct group *grp = group_at(slot);
	struct agent_event *e;

	if (!grp || !event_allowed_or_counted(grp))
		return;
	e = event_reserve(EVENT_HELPER, slot, grp->cgroup_id, now);
	if (!e)
		return;
	e->pid = p->tgid;
	e->rule = rule;
	bpf_probe_read_kernel_str(e->name, AGENT_COMM_LEN, p->comm);
	bpf_ringbuf_submit(e, 0);
}

#endif /* SCX_AGENT_EVENTS_BPF_H */
