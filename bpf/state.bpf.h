/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State of the kernel half: knobs, maps, and the contexts of tasks, tool
 * calls, groups (agents, and cgroups outside agents), and CPUs.
 *
 * Calls and groups live in preallocated arrays, so that a context switch finds
 * them with one bounds check; their slots are handed out from stacks when a
 * call or a cgroup begins, which is the slow path.
 */
#ifndef SCX_AGENT_STATE_BPF_H
#define SCX_AGENT_STATE_BPF_H

#include "rank.h"
#include "share.h"
#include "task.bpf.h"

#define CACHELINE 64

/* Knobs, set once by the user half before the load. Times in ns. */
const volatile struct rank_knobs knobs = {
	.delay_slope	= 4,
	.delay_cap_ns	= 6000000000ULL,
	.long_service_ns = 1500000000,
	.width_bonus_ns	= 200000000,
	.quantum_min_ns	= 20000000,
	.quantum_max_ns	= 8000000000ULL,
	.debt_knee_ns	= 100000000,
	.debt_burst_ns	= 500000000,
	.qos_lead_ns	= 1000000000,
	.qos_wait_ns	= 8000000000ULL,
};
/* How long a long call that waited for delay_cap_ns runs before shorter ones may take its CPU. */
const volatile u64 aged_run_ns = 250000000;
/* The same of background work: little, for there may be a lot of it. */
const volatile u64 aged_background_run_ns = 50000000;
/* Longest time on a CPU before the queue is looked at again. */
const volatile u64 slice_ns = 10000000;
/* A task takes a CPU from another only if its key is better by this. */
const volatile u64 preempt_margin_ns = 200000000;
/*
 * What is outside agents takes a CPU only from a task that has run for this
 * long: tasks that wake each other would else switch at every message.
 */
const volatile u64 preempt_min_run_ns = 1000000;
/* How far a framework ranks before a new tool call. */
const volatile u64 framework_lead_ns = 6000000000ULL;
/* CPU time at a stretch, and percent of a core for ever, that a framework has first rank for. */
const volatile u64 framework_burst_ns = 500000000;
const volatile u64 framework_rate_pct = 50;
/* Delay of what an agent left running while it waits for its model. */
const volatile u64 background_delay_ns = 8000000000ULL;
/* Longest time that one round of quanta over all that is runnable should take. */
const volatile u64 round_target_ns = 8000000000ULL;
/* Quantum of long tasks outside tool calls, and of those that are bound to one CPU. */
const volatile u64 task_quantum_ns = 100000000;
/* CPU time by which an agent may be ahead of its share before it waits: a long call or two. */
const volatile u64 agent_slack_ns = 8000000000ULL;
/* What other cgroups that are behind their share catch up on at most. */
const volatile u64 credit_ns = 2000000000;
/* Period of the tick that forgives debt and ends framework phases. */
const volatile u64 tick_ns = 100000000;

/* Nothing is scheduled, see observe.bpf.h. */
const volatile bool observing;
/* Count what contradicts the roles that were told: for tests. */
const volatile bool check_roles;

const volatile u32 nr_globs;
const volatile u32 nr_comms;
const volatile u32 nr_generic_comms;
/* Globs of cgroups, split into path components. */
const volatile char glob_parts[AGENT_MAX_GLOBS][AGENT_GLOB_DEPTH][AGENT_GLOB_LEN];
const volatile u32 glob_depth[AGENT_MAX_GLOBS];
const volatile u32 glob_flags[AGENT_MAX_GLOBS]; /* GROUP_AGENT or GROUP_CANDIDATE */
/* Comms of agent frameworks, padded with NULs, as two words each; the last ones are not theirs alone. */
const volatile u64 comms[AGENT_MAX_COMMS][AGENT_COMM_LEN / 8];
/* Words that mark a framework in the arguments of an interpreter, as word_hash(). */
const volatile u32 nr_words;
const volatile u64 words[AGENT_MAX_WORDS];
const volatile u32 nr_cpu_ids = 1;
/* The CPUs that work in the background keeps to, a bit each, if it is confined. */
const volatile bool background_confined;
const volatile u64 background_cpus[AGENT_MAX_CPUS / 64];

/* Online CPUs. */
static u32 nr_cpus_online = 1;

/* The CPU that went last, -1: none has, and for how many ticks it may still be on its way; see hotplug.bpf.h. */
static s32 leaving_cpu = -1;
static u32 leaving_ticks;

/* An agent, or a cgroup outside every agent. Slot 0 takes what has no slot. */
struct group {
	u64 cgroup_id;
	u32 flags;		/* enum agent_group_flags */
	u32 phase;		/* enum agent_phase */
	u64 phase_since_ns;
	u32 nr_calls;		/* calls whose first process is alive */
	u32 nr_frameworks;	/* framework processes */
	u32 nr_marked;		/* programs that its frameworks marked as tool calls */
	u32 nr_unmarked;	/* shells that were not, of frameworks known to mark their calls */
	u32 qos;		/* enum agent_qos, see setting.bpf.h */
	u32 quiet_ticks;	/* see sandbox_phase() */
	u32 brake;		/* slot of the limit that its calls have for a while, see brake.bpf.h */
	u64 brake_until_ns;
	s32 nr_slots;		/* calls that something is left of */

	/* What the user half has been told, see events.bpf.h. */
	s32 event_tokens;
	u32 untold;		/* since it was last told how many */
	u32 no_slot;		/* of those, calls that got no slot */
	u32 told_phase;
	u64 told_since_ns;
	u32 kernel_tick;	/* see inkernel.bpf.h */
	u32 kernel_turns;
	u64 over_high_ns;	/* when it was last told that it ran into memory.high */

	/* cpu.weight, see share.h; rates and sums are of the last tick. */
	u32 parent;		/* slot of the nearest cgroup above that has a weight, 0: the root */
	u32 weight;		/* in share_weight() units */
	u32 own_weight;		/* as in cpu.weight, instead of the cgroup's; 0: none */
	u32 path_tick;		/* tick in which something at or below it was active */
	u32 sum_tick;		/* tick of sum */
	u32 competes;
	u32 throttled_tick;	/* tick in which cpu.max held a task of it back */
	u64 sum;		/* weights of its active children */
	u64 rate;		/* its share of the CPUs */
	u64 pace;		/* of clock_ns */
	u64 toll;		/* of service */
	u64 clock_tick_ns;	/* clock_ns at the last tick */

	/* Written on context switches of this group's tasks. */
	u64 debt_ns __attribute__((aligned(CACHELINE)));
	u64 framework_debt_ns;
	u64 framework_tick_ns;	/* framework CPU time since the last tick */
	u32 in_model;		/* told that it waits for its model, see tags.bpf.h */
	/* While its debt makes its calls long, they have turns as if they were one. */
	u64 calls_cpu_ns;
	u64 base_ns;
	u64 quantum_end_ns;	/* calls_cpu_ns at which base_ns moves on; 0: not in debt */
	u32 nr_runnable;
	u64 clock_ns;		/* CPU time, on the group's clock */
} __attribute__((aligned(CACHELINE)));

/* A tool call, from the exec that began it to the exit of its last task. */
struct call {
	u64 id;			/* 0: free */
	u64 start_ns;
	u32 group;
	u32 pid;		/* tgid of the first process */
	u32 rule;
	u32 detached;		/* first process has exited, something is left running */
	u32 nr_tasks;
	u32 nr_processes;	/* ever */
	u32 nr_leaders;		/* first processes that are alive: several in a pipeline */
	u16 hook;		/* tagged as a helper, see tags.bpf.h */
	u16 nr_execs;		/* of the first process since it began, as far as they are told */
	u8 told;		/* the user half knows of it */
	char comm[AGENT_COMM_LEN];

	/* Written on context switches of this call's tasks. */
	u64 service_ns __attribute__((aligned(CACHELINE))); /* see rank.h */
	u64 cpu_ns;
	u64 wait_ns;
	u64 base_ns;		/* see rank.h */
	u64 slept_at_ns;	/* since when none of its tasks is runnable, 0: some is */
	u64 quantum_end_ns;	/* cpu_ns at which base_ns moves on */
	u32 nr_runnable;
	u32 peak_width;
} __attribute__((aligned(CACHELINE)));

/* What a CPU runs, read by others that look for a CPU to take. */
struct cpu_ctx {
	u64 key;
	u64 since_ns;		/* since when that task runs */
	u32 takeable;		/* runs a task of ours that may be preempted */
	u32 claimed;		/* somebody is about to take it */
	u32 asked_by;		/* its domain, plus one, until something waits there */
	u32 looked_at;		/* the other domain that this CPU looked at last for a task */
	u32 took_at;		/* and for a CPU to take */
	u32 gone;		/* it went offline, see hotplug.bpf.h */
} __attribute__((aligned(CACHELINE)));

struct cgroup_ctx {
	u32 group;		/* slot, 0: none yet */
	u32 glob_mask;		/* globs whose components match down to here */
	u32 placed;		/* groups_seq at which it was placed; 0: not yet */
	u32 named;		/* an agent by name, see naming.bpf.h */
	u32 retired;		/* slot that was its own before it was found to be inside an agent */
	u32 weight;		/* in share_weight() units, 0: not in the CPU controller */
	u32 own_limit;		/* slot of its cpu.max */
	u32 limit;		/* slot of the nearest one in force, as of tree_seq */
	u32 tree_seq;
};

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct cgroup_ctx);
} cgroup_ctxs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_MAX_GROUPS);
	__type(key, u32);
	__type(value, struct group);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_MAX_CALLS);
	__type(key, u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, AGENT_MAX_GROUPS);
	__type(value, u32);
} free_groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, AGENT_MAX_CALLS);
	__type(value, u32);
} free_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENT_MAX_CPUS);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpu_ctxs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAT_NR);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULE_NR);
	__type(key, u32);
	__type(value, u64);
} rule_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Slots ever handed out, so that scans end early. */
static u32 groups_top = 1;
/* Moved on whenever cgroup membership or an agent's existence changes: tasks check theirs. */
static u32 placement_seq = 1;
/* Moved on with the tick if cgroups may be in other groups than they were placed in. */
static u32 groups_seq = 1;
/* Not static: clang would make them bits, and not their type information. */
u32 groups_stale;
u32 background_seen;	/* some agent is or was in the background */
/* Moved on whenever what cgroups keep of those above them may be wrong. */
static u32 tree_seq = 1;
static u64 next_call_id = 1;
/* Groups with demand in the last tick, and the longest quantum that leaves. */
u32 nr_active_groups = 1;
u64 round_quantum_ns = 8000000000ULL;

/* What the passes of a tick over the groups find out together, see tick.bpf.h. */
struct tick {
	u64 now;
	u32 nr;			/* number of this tick */
	u32 active;		/* groups with demand */
	u32 competitors;	/* calls, and tasks outside calls */
	u32 nr_competing;	/* groups that compete for CPU time */
	u64 rates;		/* theirs */
	u64 ran_ns;		/* what they had */
	u64 capacity;		/* rate of all of them together */
	u64 lowest_clock_ns;	/* of theirs */
};
/* Not static: clang would take it apart, and not its type information. */
struct tick tick = { .nr = 2 };

/*
 * What is kept with a cgroup cannot be had now: the kernel refuses whoever has
 * preempted somebody who just looks at such on this CPU.
 */
#define SLOT_UNKNOWN (~0U)

static __always_inline void stat_inc(u32 idx)
{
	u64 *v = bpf_map_lookup_elem(&stats, &idx);

	if (v)
		(*v)++;
}

static __always_inline void stat_add(u32 idx, u64 more)
{
	u64 *v = bpf_map_lookup_elem(&stats, &idx);

	if (v)
		*v += more;
}

static __always_inline void rule_inc(u32 idx)
{
	u64 *v = bpf_map_lookup_elem(&rule_stats, &idx);

	if (v)
		(*v)++;
}

static __always_inline struct task_ctx *task_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&task_ctxs, p, NULL, 0);
}

static __always_inline struct group *group_at(u32 slot)
{
	return bpf_map_lookup_elem(&groups, &slot);
}

/* The call in @slot, NULL for slot 0. */
static __always_inline struct call *call_at(u32 slot)
{
	return slot ? bpf_map_lookup_elem(&calls, &slot) : NULL;
}

/* When a task of @grp, NULL for none, that has to wait for its turn has it, see share.h. */
static __always_inline u64 group_turn(const struct group *grp, u64 now)
{
	bool agent;

	if (!grp)
		return now;
	agent = grp->flags & GROUP_AGENT;
	return share_turn(now, grp->clock_ns, grp->pace, agent ? agent_slack_ns : 0,
			  knobs.delay_cap_ns, agent ? 0 : credit_ns);
}

static __always_inline struct cpu_ctx *cpu_ctx(s32 cpu)
{
	u32 idx = cpu;

	return bpf_map_lookup_elem(&cpu_ctxs, &idx);
}

#endif /* SCX_AGENT_STATE_BPF_H */
