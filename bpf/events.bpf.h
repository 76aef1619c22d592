/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records for the user half: agents found, phases, tool calls. A full ring
 * buffer loses the record, never the classification; losses are counted.
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

/* Move @grp, an agent, to @phase; one of several CPUs that try at once wins. */
static __noinline void phase_set(struct group *grp, u32 slot, u32 phase, u64 now)
{
	struct agent_event *e;
	u32 old;
	u64 since;

	if (!grp || !(grp->flags & GROUP_AGENT))
		return;
	old = grp->phase;
	if (old == phase || __sync_val_compare_and_swap(&grp->phase, old, phase) != old)
		return;
	since = grp->phase_since_ns;
	grp->phase_since_ns = now;
	stat_inc(STAT_PHASES);
	e = event_reserve(EVENT_PHASE, slot, grp->cgroup_id, now);
	if (!e)
		return;
	e->phase_from = old;
	e->phase_to = phase;
	e->phase_ns = now - since;
	bpf_ringbuf_submit(e, 0);
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

static __noinline void event_call(struct call *c, u32 slot, u32 type, u64 now, u32 exit_code)
{
	struct agent_event *e;
	struct group *grp;

	if (!c)
		return;
	grp = group_at(c->group);
	if (!grp)
		return;
	e = event_reserve(type, c->group, grp->cgroup_id, now);
	if (!e)
		return;
	event_fill_call(e, c, slot, now);
	e->exit_code = exit_code;
	bpf_ringbuf_submit(e, 0);
}

/* @p is a helper of agent @slot, by @rule. */
static __noinline void event_helper(struct task_struct *p, u32 slot, u32 rule, u64 now)
{
	struct group *grp = group_at(slot);
	struct agent_event *e;

	if (!grp)
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
