/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Without sched_ext: roles, tool calls and phases are told as ever, but nothing
 * is scheduled, so what the scheduler's callbacks see otherwise - which tasks
 * there are, forks, CPU time, ends - is told by tracepoints. Loaded with
 * `observing` set and instead of the scheduler's callbacks.
 *
 * A task that changes its cgroup is placed anew when it next runs; who runs
 * for how long is told at its next tick or switch, so that what it did before
 * an exec may count, by one tick, to what it is after it.
 */
#ifndef SCX_AGENT_OBSERVE_BPF_H
#define SCX_AGENT_OBSERVE_BPF_H

#include "state.bpf.h"
#include "roles.bpf.h"
#include "service.bpf.h"
#include "tick.bpf.h"

/* Called by the user half, before observe_tasks. */
SEC("?syscall")
int observe_start(void *ctx)
{
	nr_cpus_online = nr_cpu_ids;
	return state_start();
}

/* The tasks that are there already. */
SEC("?iter/task")
int observe_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;

	if (p)
		task_begins(p, NULL);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(observe_fork, struct task_struct *parent, struct task_struct *p)
{
	/* Not seen itself: both are placed by observe_tasks, the parent first. */
	if (task_ctx(parent))
		task_begins(p, parent);
	return 0;
}

/* @p, which runs, has had @runtime_ns more. */
SEC("?tp_btf/sched_stat_runtime")
int BPF_PROG(observe_runtime, struct task_struct *p, u64 runtime_ns)
{
	struct task_ctx *tctx = task_ctx(p);
	u64 now;

	if (!tctx)
		return 0;
	now = scx_bpf_now();
	/* Another CPU may ask for its time: whoever looks at its role must be the task itself. */
	if (p == bpf_get_current_task_btf())
		role_refresh(p, tctx, now);
	tctx->running_at_ns = now - runtime_ns;
	service_charge(p, tctx, now);
	tctx->running_at_ns = 0;
	return 0;
}

#endif /* SCX_AGENT_OBSERVE_BPF_H */
