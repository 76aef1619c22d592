/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is kept with a task: the scheduler's, and read by the programs of
 * memory.bpf.c, which are given the same map.
 */
#ifndef SCX_AGENT_TASK_BPF_H
#define SCX_AGENT_TASK_BPF_H

#include "intf.h"

struct task_ctx {
	u32 group;
	u32 call;		/* slot, 0: none */
	u32 role;		/* enum agent_role */
	u32 placed_seq;		/* placement_seq at which group and role were told */
	u32 claimed;		/* its role in this group is told, or about to be, see role_claim() */
	u32 limit;		/* slot of the nearest cpu.max, see limits.bpf.h; 0: none */
	u64 runnable_at_ns;
	u64 running_at_ns;
	u64 key;
	u64 queued_at_ns;	/* since when it waits, if it is long */
	u64 aged_until_ns;	/* keeps its CPU until then, see aged_run_ns */
	/* Outside tool calls each task has its own service, base and quantum. */
	u64 service_ns;
	u64 base_ns;
	u64 quantum_end_ns;
	u64 slept_at_ns;
	u64 cpu_ns;		/* since it was forked */
	u64 moves_ns;		/* since when it moves tasks between cgroups, see inside.bpf.h */
	u64 forks_ns;		/* since when it is in a fork, or begins to exit */
	u64 script;		/* of a framework: see struct program */
	u32 exec_id;		/* of the exec that its role was told at */
	/* A shell that reads commands: its last job. */
	s32 job_pgid;		/* as the shell sees it */
	u32 job_call;		/* slot */
	u64 job_call_id;
	u8 forked;		/* has not exec'd since it was forked */
	u8 direct;		/* helper that a framework itself forked */
	u8 commands;		/* a shell that reads commands */
	u8 job_control;		/* and gives its jobs process groups */
	u8 leads_call;		/* first process of its call */
	u8 counted_framework;	/* is in nr_frameworks */
	u8 counted_runnable;	/* is in nr_runnable of its group and call */
	u8 yielded;
	u8 is_long;		/* as of the last task_key() */
	u8 qos;			/* the same */
	u8 asked;		/* to let go of its CPU, as its cgroup has no budget left */
	u8 released;		/* has waited for its cgroup's budget, and runs next */
	u8 in_kernel;		/* stopped in the kernel, see inkernel.bpf.h */
	u8 kernel_turn;		/* and has a turn for that */
	u8 born;		/* has been woken for the first time */
	u8 tagged;		/* as a helper, see tags.bpf.h; taken note of by role_place() */
	u32 rule;		/* enum agent_rule by which it has its role */
	struct agent_evidence why;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

#endif /* SCX_AGENT_TASK_BPF_H */
