/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a task has its role, and what a call runs: noted when it is decided, for
 * `scx_agent explain` and `scx_agent calls`. Nothing here decides anything.
 */
#ifndef SCX_AGENT_EVIDENCE_BPF_H
#define SCX_AGENT_EVIDENCE_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"

void bpf_preempt_disable(void) __ksym;
void bpf_preempt_enable(void) __ksym;

/*
 * Room for one record: too long for the stack. Programs may be preempted, and
 * another on that CPU has it then, so not while it is in use.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct agent_call_event);
} call_events SEC(".maps");

/* Note that @p has its role by @rule, and what it looked like then. */
__noinline int evidence_note(struct task_struct *p __arg_trusted, struct task_ctx *tctx, u32 rule,
			     u64 now)
{
	struct agent_evidence *why;

	if (!tctx)
		return 0;
	why = &tctx->why;
	tctx->rule = rule;
	why->at_ns = now;
	why->cgroup_id = BPF_CORE_READ(p, cgroups, dfl_cgrp, kn, id);
	why->parent = BPF_CORE_READ(p, real_parent, tgid);
	why->session = BPF_CORE_READ(p, signal, pids[PIDTYPE_SID], numbers[0].nr);
	bpf_probe_read_kernel_str(why->parent_comm, sizeof(why->parent_comm),
				  BPF_CORE_READ(p, real_parent, comm));
	bpf_probe_read_kernel_str(why->comm, sizeof(why->comm), p->comm);
	return 0;
}

/*
 * The command line of @p as it is in its memory, at most AGENT_ARGS_LEN bytes;
 * returns how many. Only of the running task, and right after an exec, when
 * nobody but the kernel has written there yet.
 */
static __noinline u32 args_read(struct task_struct *p, char *to)
{
	struct mm_struct *mm = BPF_CORE_READ(p, mm);
	u64 start, len;

	if (!mm || p != bpf_get_current_task_btf())
		return 0;
	start = BPF_CORE_READ(mm, arg_start);
	len = BPF_CORE_READ(mm, arg_end) - start;
	if (len > AGENT_ARGS_LEN)
		len = AGENT_ARGS_LEN;
	if (bpf_probe_read_user(to, len, (void *)start))
		return 0;
	return len;
}

/* Tell the user half that call @c, in @slot, runs what @p, its first process, was started with. */
__noinline int event_call_args(struct task_struct *p __arg_trusted, struct call *c, u32 slot,
			       u32 type, u64 now)
{
	struct task_ctx *tctx = task_ctx(p);
	struct agent_call_event *rec;
	struct group *grp;
	u32 key = 0, len;

	if (!c || !tctx)
		return 0;
	grp = group_at(c->group);
	rec = bpf_map_lookup_elem(&call_events, &key);
	if (!grp || !rec)
		return 0;
	bpf_preempt_disable();
	event_fill(&rec->event, type, c->group, grp->cgroup_id, now);
	event_fill_call(&rec->event, c, slot, now);
	rec->evidence = tctx->why;
	len = args_read(p, rec->args);
	rec->args_len = len;
	if (len <= AGENT_ARGS_LEN &&
	    bpf_ringbuf_output(&events, rec, offsetof(struct agent_call_event, args) + len, 0))
		stat_inc(STAT_LOST_EVENTS);
	bpf_preempt_enable();
	return 0;
}

#endif /* SCX_AGENT_EVIDENCE_BPF_H */
