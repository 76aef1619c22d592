/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel half and the user half of scx_agent share: sizes, numbers of
 * roles, phases and events, and the layout of ring buffer records. Plain C, so
 * that bindgen reads it for Rust and the host compiler for the unit tests.
 */
#ifndef SCX_AGENT_INTF_H
#define SCX_AGENT_INTF_H

#ifndef __VMLINUX_H__
#include <stdbool.h>
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
#endif

enum agent_consts {
	AGENT_COMM_LEN		= 16,	/* TASK_COMM_LEN */
	AGENT_NAME_LEN		= 128,	/* longest cgroup name kept, with its NUL; a power of two */
	AGENT_MAX_GLOBS		= 24,
	AGENT_GLOB_DEPTH	= 8,	/* components of a glob */
	AGENT_GLOB_LEN		= 64,	/* longest component of a glob, with its NUL; a power of two */
	AGENT_MAX_COMMS		= 24,	/* comms that mark an agent framework */
	AGENT_MAX_GROUPS	= 8192,	/* agents plus cgroups outside agents, 0 is "the rest" */
	AGENT_MAX_LIMITS	= 8192,	/* cgroups of the CPU controller, 0 is "none" */
	AGENT_MAX_CALLS		= 32768,/* tool calls alive at once, 0 is "none" */
	AGENT_MAX_CPUS		= 1024,
};

/* What a task is to its agent. */
enum agent_role {
	ROLE_NONE	= 0,	/* outside every agent */
	ROLE_FRAMEWORK	= 1,
	ROLE_TOOL	= 2,
	ROLE_HELPER	= 3,	/* MCP and language servers, hooks, the framework's own git, what a call left running */
};

/* What an agent is doing. */
enum agent_phase {
	PHASE_LLM_WAIT	= 0,
	PHASE_FRAMEWORK	= 1,
	PHASE_TOOL	= 2,
};

/* Why a task has its role; also the index of a counter. */
enum agent_rule {
	RULE_INHERIT	= 0,	/* fork of a task of the same role */
	RULE_ENTRY	= 1,	/* first task that enters the agent's cgroup: its framework */
	RULE_COMM	= 2,	/* known framework comm, not under a tool call */
	RULE_REEXEC	= 3,	/* a framework process that execs again */
	RULE_SESSION	= 4,	/* shell in a new session under a framework: tool call */
	RULE_SHELL	= 5,	/* shell under a framework, in its session: tool call */
	RULE_OUTSIDE	= 6,	/* entered the cgroup while a framework was there: tool call */
	RULE_PARENT	= 7,	/* found at start or on a move, placed by its parent */
	RULE_MARK	= 8,	/* its framework says so in its environment: tool call */
	RULE_JOB	= 9,	/* job of a shell that reads commands: tool call */
	RULE_PROGRAM	= 10,	/* no shell, under a framework: helper */
	RULE_UNMARKED	= 11,	/* shell that its framework does not mark as it marks calls: helper */
	RULE_COMMANDS	= 12,	/* shell that reads commands, whose jobs are calls: helper */
	RULE_RELAUNCH	= 13,	/* same executable and script as the framework, in its session: framework */
	RULE_LEFT	= 14,	/* still there after the end of its call: helper */
	RULE_NR,
};

/* Group flags. */
enum agent_group_flags {
	GROUP_AGENT	= 1,	/* an agent: its tasks have roles */
	GROUP_CANDIDATE	= 2,	/* a container: becomes an agent when a framework shows up */
};

enum agent_event_type {
	EVENT_AGENT	= 1,	/* a cgroup became an agent */
	EVENT_PHASE	= 2,	/* an agent went from one phase to another */
	EVENT_CALL_BEGIN = 3,
	EVENT_CALL_END	= 4,
	EVENT_AGENT_GONE = 5,	/* an agent's cgroup was removed */
	EVENT_HELPER	= 8,	/* a program under a framework is a helper */
};

/* Ring buffer record. Times are CLOCK_MONOTONIC ns as the scheduler reads it. */
struct agent_event {
	u32 type;
	u32 group;		/* slot of the agent */
	u64 cgroup_id;		/* of the agent's cgroup */
	u64 at_ns;
	/* EVENT_PHASE */
	u32 phase_from;
	u32 phase_to;
	u64 phase_ns;		/* how long the old phase lasted */
	/* EVENT_CALL_BEGIN, EVENT_CALL_END; pid, rule and name also of EVENT_HELPER */
	u64 call;		/* number of the call, never used again */
	u64 cpu_ns;		/* attained service over all tasks */
	u64 wall_ns;
	u64 wait_ns;		/* runnable but not running, over all tasks */
	u32 pid;		/* tgid of the call's first process */
	u32 rule;
	u32 processes;
	u32 peak_width;		/* most tasks runnable at once */
	u32 exit_code;		/* wait status of the first process */
	u32 __pad;
	char name[AGENT_NAME_LEN]; /* cgroup name, or comm of the call */
};

/* Counters, one per CPU each. */
enum agent_stat {
	STAT_DIRECT,		/* wake-ups put on an idle CPU at once */
	STAT_QUEUED,		/* tasks put on a shared queue */
	STAT_PREEMPT,		/* CPUs taken from lower-ranked work */
	STAT_KEPT,		/* slices renewed: nothing queued ranked higher */
	STAT_CALLS,		/* tool calls begun */
	STAT_CALLS_ENDED,
	STAT_NO_CALL_SLOT,	/* tool calls without a slot of their own */
	STAT_NO_GROUP_SLOT,	/* cgroups without a slot of their own */
	STAT_LOST_EVENTS,	/* ring buffer full */
	STAT_PHASES,		/* phase transitions */
	STAT_AGED,		/* dispatches at which the first long task had waited long enough */
	STAT_THROTTLED,		/* tasks held back because their cgroup has used up its cpu.max */
	STAT_ROLE_LATE,		/* tasks that ran a program before their role was told; only with check_roles */
	/* CPU time of tasks in cgroups below their agent's, where tests keep calls; only with check_roles */
	STAT_BELOW_CALL_NS,	/* charged to a tool call */
	STAT_BELOW_OTHER_NS,	/* charged to anything else */
	STAT_NO_LIMIT_SLOT,	/* cgroups whose cpu.max is not applied, for want of a slot */
	STAT_NR,
};

#endif /* SCX_AGENT_INTF_H */
