/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forks, and moves between cgroups. A fork stops every move, and a move stops
 * every fork on the machine, by cgroup_threadgroup_rwsem. If the one that has
 * it ranks low, all others wait for its turn, which may be seconds away, and
 * who does both all the time holds up everybody. So a task that has it ranks
 * first until it lets go: what it does with it is the kernel's to say, and
 * takes less than a system call. It has INSIDE_MAX_NS for it, for the end may go
 * unseen: the kernel skips a program that is under way on the CPU already.
 *
 * Other locks of the kernel are not known here; a task that holds one waits for
 * its turn like any other.
 */
#ifndef SCX_AGENT_INSIDE_BPF_H
#define SCX_AGENT_INSIDE_BPF_H

#include "state.bpf.h"

#define INSIDE_MAX_NS	1000000000ULL

extern const void cgroup_threadgroup_rwsem __ksym __weak;

static __always_inline void inside_move(const void *sem, bool begins)
{
	struct task_ctx *tctx;

	if (sem != &cgroup_threadgroup_rwsem)
		return;
	tctx = task_ctx(bpf_get_current_task_btf());
	if (tctx)
		tctx->moves_ns = begins ? scx_bpf_now() : 0;
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

static __always_inline void inside_fork(bool begins)
{
	struct task_ctx *tctx = task_ctx(bpf_get_current_task_btf());

	if (tctx)
		tctx->forks_ns = begins ? scx_bpf_now() : 0;
}

/*
 * A fork has it from here until the child is woken for the first time. Who has
 * to wait for it has it when it is woken, and not only when it runs.
 */
SEC("?fentry/cgroup_can_fork")
int BPF_PROG(on_fork_begins)
{
	inside_fork(true);
	return 0;
}

SEC("?fexit/cgroup_can_fork")
int BPF_PROG(on_fork_refused, struct task_struct *child, struct kernel_clone_args *args, int error)
{
	if (error)
		inside_fork(false);
	return 0;
}

/* The current task has woken the child @tctx that it has forked, or given it up. */
static __always_inline void fork_ends(struct task_ctx *tctx)
{
	tctx->born = 1;
	inside_fork(false);
}

/* So has a task that begins to exit, for a moment. */
SEC("?fentry/exit_signals")
int BPF_PROG(on_exit_begins)
{
	inside_fork(true);
	return 0;
}

SEC("?fexit/exit_signals")
int BPF_PROG(on_exit_begun)
{
	inside_fork(false);
	return 0;
}

/* True if @tctx, which has stopped or has been woken up, has others wait for it. */
static __always_inline bool inside(const struct task_ctx *tctx, u64 now)
{
	return (tctx->moves_ns && time_delta(now, tctx->moves_ns) < INSIDE_MAX_NS) ||
	       (tctx->forks_ns && time_delta(now, tctx->forks_ns) < INSIDE_MAX_NS);
}

#endif /* SCX_AGENT_INSIDE_BPF_H */
