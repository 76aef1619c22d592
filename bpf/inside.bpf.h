/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forks, and moves between cgroups. A fork stops every move, and a move stops
 * every fork on the machine, by cgroup_threadgroup_rwsem. If the one that has
 * it ranks low, all others wait for its turn, which may be seconds away, and
 * who does both all the time holds up everybody. So a task that has it ranks
 * first until it lets go: what it does with it is the kernel's to say, and
 * takes less than a system call.
 */
#ifndef SCX_AGENT_INSIDE_BPF_H
#define SCX_AGENT_INSIDE_BPF_H

#include "state.bpf.h"

extern const void cgroup_threadgroup_rwsem __ksym __weak;

static __always_inline void inside_move(const void *sem, bool begins)
{
	struct task_ctx *tctx;

	if (sem != &cgroup_threadgroup_rwsem)
		return;
	tctx = task_ctx(bpf_get_current_task_btf());
	if (tctx)
		tctx->moves = begins;
}

/* From where it asks for it: to wait for the forks that are under way is a part of it. */
SEC("?fentry/percpu_down_write")
int BPF_PROG(on_move_begins, const void *sem)
{
	inside_move(sem, true);
	return 0;
}

SEC("?fexit/percpu_up_write")
int BPF_PROG(on_move_ends, const void *sem)
{
	inside_move(sem, false);
	return 0;
}

/* The current task has woken the child of @tctx that it has forked, or given it up. */
static __always_inline void fork_ends(struct task_ctx *tctx)
{
	struct task_ctx *pctx = task_ctx(bpf_get_current_task_btf());

	tctx->born = 1;
	if (pctx)
		pctx->forks = 0;
}

/* True if @tctx, which has stopped or has been woken up, has others wait for it. */
static __always_inline bool inside(const struct task_ctx *tctx)
{
	return tctx->moves || tctx->forks;
}

#endif /* SCX_AGENT_INSIDE_BPF_H */
