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
	AGENT_MAX_GLOBS		= 25,
	AGENT_GLOB_DEPTH	= 8,	/* components of a glob */
	AGENT_GLOB_LEN		= 64,	/* longest component of a glob, with its NUL; a power of two */
	AGENT_MAX_COMMS		= 24,	/* comms that mark an agent framework */
	AGENT_MAX_WORDS		= 24,	/* words that mark one in the arguments of an interpreter */
	AGENT_MAX_GROUPS	= 8192,	/* agents plus cgroups outside agents, 0 is "the rest" */
	AGENT_MAX_LIMITS	= 8192,	/* cgroups of the CPU controller, 0 is "none" */
	AGENT_MAX_CALLS		= 32768,/* tool calls alive at once, 0 is "none" */
	AGENT_CALLS_EACH	= 4096,	/* of one agent */
	AGENT_MAX_CPUS		= 1024,
	AGENT_MAX_DOMAINS	= 64,	/* of CPUs, see domains.bpf.h; a power of two */
	AGENT_ARGS_LEN		= 1024,	/* of a command line, what is kept */
};

/* What a task is to its agent. */
enum agent_role {
	ROLE_NONE	= 0,	/* outside every agent */
	ROLE_FRAMEWORK	= 1,
	ROLE_TOOL	= 2,
	ROLE_HELPER	= 3,	/* MCP and language servers, hooks, the framework's own git, what a call left running */
	ROLE_SANDBOX	= 4,	/* of a sandbox that shows nothing of what runs in it, see sandbox.h */
};

/* What an agent is doing. */
enum agent_phase {
	PHASE_LLM_WAIT	= 0,
	PHASE_FRAMEWORK	= 1,
	PHASE_TOOL	= 2,
};

/* Up to where reclaim passes by an agent, see memory.h. */
enum agent_protection {
	PROTECT_NONE	= 0,
	PROTECT_LOW	= 1,	/* as memory.low: unless there is nothing else */
	PROTECT_MIN	= 2,	/* as memory.min: always */
};

/* An agent's memory, as the user half tells the programs of memory.bpf.c. */
struct agent_room {
	u64 kept_pages;		/* it is protected while it uses no more */
	u64 budget_pages;	/* its charges are delayed while it uses more */
	u32 protection;		/* enum agent_protection */
	u32 unused;		/* 0 */
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
	RULE_SANDBOX	= 15,	/* in a sandbox that shows nothing */
	RULE_NR,
};

/* What an agent's work is worth beside that of others. */
enum agent_qos {
	QOS_STANDARD	= 0,
	QOS_INTERACTIVE	= 1,	/* a person waits: before what is standard */
	QOS_BACKGROUND	= 2,	/* nobody waits: when nothing else wants the CPU, or has waited for long */
	QOS_NR,
};

/* Group flags. */
enum agent_group_flags {
	GROUP_AGENT	= 1,	/* an agent: its tasks have roles */
	GROUP_CANDIDATE	= 2,	/* a container: becomes an agent when a framework shows up */
	GROUP_OPAQUE	= 4,	/* an agent in a sandbox that shows nothing of it */
};

enum agent_event_type {
	EVENT_AGENT	= 1,	/* a cgroup became an agent */
	EVENT_PHASE	= 2,	/* an agent went from one phase to another */
	EVENT_CALL_BEGIN = 3,
	EVENT_CALL_END	= 4,
	EVENT_AGENT_GONE = 5,	/* an agent's cgroup was removed */
	EVENT_CALL_EXEC	= 6,	/* the first process of a call runs another program now */
	EVENT_CALL_HELPER = 7,	/* what began as a call is tagged as a helper, see tags.bpf.h */
	EVENT_HELPER	= 8,	/* a program under a framework is a helper */
	EVENT_UNTOLD	= 9,	/* calls and helpers of which nothing was told: too many at once */
	EVENT_OPAQUE	= 10,	/* an agent is in a sandbox that shows nothing of it */
	EVENT_OVER_HIGH	= 11,	/* a task of an agent runs into memory.high, see burst.bpf.h */
	EVENT_SET	= 12,	/* an agent has another class or weight, see setting.bpf.h */
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
	u32 call_slot;		/* where the call is kept while it lives */
	/* EVENT_UNTOLD */
	u32 untold;		/* how many since the last such event */
	u32 no_slot;		/* of those, calls without a slot, see AGENT_CALLS_EACH */
	/* EVENT_OVER_HIGH; also pid, and at_ns is exactly CLOCK_MONOTONIC */
	u64 over_id;		/* of the cgroup whose limit it is: the agent's, one in it, or above it */
	u64 usage_pages;
	u64 high_pages;
	/* EVENT_SET */
	u32 qos;		/* enum agent_qos */
	u32 weight;		/* as in cpu.weight; 0: that of its cgroup */
	char name[AGENT_NAME_LEN]; /* cgroup name, or comm of the call */
};

/* What a decision on a task's role was made from, for `scx_agent explain`. */
struct agent_evidence {
	u64 at_ns;		/* 0: nothing was decided, the role was inherited */
	u64 cgroup_id;
	u32 parent;		/* tgid */
	u32 session;
	char parent_comm[AGENT_COMM_LEN];
	char comm[AGENT_COMM_LEN];
};

/* Ring buffer record of EVENT_CALL_BEGIN and EVENT_CALL_EXEC; ends with what there is of args. */
struct agent_call_event {
	struct agent_event event;
	struct agent_evidence evidence;
	u32 args_len;		/* 0: could not be read */
	u32 __pad;
	char args[AGENT_ARGS_LEN]; /* the command line, a NUL behind each word */
};

/* What there is to know of a task, see ask.bpf.h. */
struct agent_task_state {
	u32 pid;		/* asked for */
	u32 found;		/* 0: there is none, or the scheduler does not know it */
	u32 tgid;
	u32 role;
	u32 rule;
	u32 group;
	u32 group_flags;
	u32 phase;
	u64 group_cgroup_id;
	u64 now_ns;
	s64 key_ns;		/* its rank now: before (less than 0) or behind a new tool call */
	u64 service_ns;		/* of its call, or its own outside calls */
	u64 debt_ns;		/* of its agent: of the framework's budget for frameworks */
	u32 is_long;
	u32 call_slot;
	u64 call;
	u32 call_pid;
	u32 call_rule;
	u32 detached;		/* its call is over */
	u32 hook;		/* tagged as a helper */
	struct agent_evidence evidence;
};

/* How far a running call is, see ask.bpf.h. */
struct agent_call_state {
	u32 slot;		/* asked for */
	u32 detached;
	u64 call;		/* what is in the slot; 0: nothing */
	u64 now_ns;
	u64 cpu_ns;
	u64 wait_ns;
	u32 processes;
	u32 peak_width;
};

/* What somebody says of the agent that a task is in, see tags.bpf.h. */
struct agent_tag {
	u32 pid;		/* who says so */
	u32 found;		/* set to 1 if that is a task of an agent */
	u32 helper;		/* 1: it is a helper, and no tool call */
	u32 model;		/* enum agent_model_tag */
	u32 __pad;
	u64 cgroup_id;		/* of its agent, as far as the speaker has been made out */
};

/* A cgroup that the user half names an agent, see naming.bpf.h. */
struct agent_naming {
	u64 cgroup_id;
	u32 outcome;		/* enum agent_naming_outcome */
	u32 __pad;
};

enum agent_naming_outcome {
	NAMING_GONE	= 0,	/* there is no such cgroup */
	NAMING_DONE	= 1,	/* it is an agent */
	NAMING_INSIDE	= 2,	/* it is a part of another agent, or of a container */
	NAMING_NO_SLOT	= 3,	/* there are too many cgroups */
	NAMING_LATER	= 4,	/* the kernel has no memory for it now */
};

/* What somebody sets for an agent, see setting.bpf.h. */
struct agent_setting {
	u64 cgroup_id;
	u32 qos;		/* enum agent_qos */
	u32 weight;		/* 1..10000 as in cpu.weight; 0: that of its cgroup */
	u32 found;		/* set to 1 if that cgroup has a group of its own */
	u32 later;		/* set to 1 if that cannot be told now */
};

/* Agents whose calls are braked at a time, the least important: see brake.bpf.h. A power of two. */
#define AGENT_MAX_BRAKES	16

/* Have the tool calls of an agent dispatched less, or as ever. */
struct agent_brake {
	u64 cgroup_id;
	u32 on;
	u32 done;		/* set to 1 if it is so now */
};

enum agent_model_tag {
	MODEL_UNSAID	= 0,
	MODEL_ASKED	= 1,	/* the agent waits for its model from now on */
	MODEL_ANSWERED	= 2,
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
	STAT_OVERDUE,		/* long tasks put in front because none may wait for longer */
	STAT_AGED,		/* dispatches at which the first long task had waited long enough */
	STAT_IN_KERNEL,		/* tasks put in front as they waited in the kernel */
	STAT_ELSEWHERE,		/* tasks run by another domain than that in which they waited */
	STAT_BRAKED,		/* tasks held back because their agent takes too much memory */
	STAT_THROTTLED,		/* tasks held back because their cgroup has used up its cpu.max */
	STAT_ROLE_LATE,		/* tasks that ran a program before their role was told; only with check_roles */
	/* CPU time of tasks in cgroups below their agent's, where tests keep calls; only with check_roles */
	STAT_BELOW_CALL_NS,	/* charged to a tool call */
	STAT_BELOW_OTHER_NS,	/* charged to anything else */
	STAT_NO_LIMIT_SLOT,	/* cgroups whose cpu.max is not applied, for want of a slot */
	STAT_UNTOLD,		/* calls and helpers that the user half is not told of, see events.bpf.h */
	STAT_NR,
};

#endif /* SCX_AGENT_INTF_H */
