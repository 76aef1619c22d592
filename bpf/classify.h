/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decisions of the classification as pure functions: which cgroup is an
 * agent, which comm marks a framework, what an exec makes of a task. Compiled
 * into the BPF object and, by the unit tests, for the host.
 *
 * Everything compared here is chosen by a container and so hostile: nothing it
 * can say buys more than its own agent's share (see rank.h).
 */
#ifndef SCX_AGENT_CLASSIFY_H
#define SCX_AGENT_CLASSIFY_H

#include "intf.h"

/* Where a match of one path component stands. Starts as all zeroes. */
struct glob_state {
	u32 glob_at;
	u32 name_at;
	u32 star_glob;	/* behind the last '*' seen, 0: none seen */
	u32 star_name;	/* where that '*' ends for now */
};

enum glob_result {
	GLOB_GO_ON,
	GLOB_MATCH,
	GLOB_NO_MATCH,
};

/* More steps than a match of these lengths takes: at most about length by length. */
#define GLOB_MAX_STEPS (AGENT_NAME_LEN * AGENT_GLOB_LEN)

/*
 * One step of matching a name against a glob, one path component each, both
 * NUL-terminated: `*` stands for any run of characters, `?` for one. @g and @n
 * are the characters at s->glob_at and s->name_at. Greedy, with one level of
 * backtracking. In steps, because the kernel half loops with bpf_for() and the
 * host with a plain loop.
 */
static inline enum glob_result glob_step(char g, char n, struct glob_state *s)
{
	if (n && g == '*') {
		s->glob_at++;
		s->star_glob = s->glob_at;
		s->star_name = s->name_at;
		return GLOB_GO_ON;
	}
	if (n && g && (g == '?' || g == n)) {
		s->glob_at++;
		s->name_at++;
		return GLOB_GO_ON;
	}
	if (n && s->star_glob) {
		/* Let the last '*' take one more character and try again. */
		s->star_name++;
		s->name_at = s->star_name;
		s->glob_at = s->star_glob;
		return GLOB_GO_ON;
	}
	if (n)
		return GLOB_NO_MATCH;
	if (g == '*') {
		s->glob_at++;
		return GLOB_GO_ON;
	}
	return g ? GLOB_NO_MATCH : GLOB_MATCH;
}

/* True if two comms are the same. */
static inline bool comm_equal(const char *a, const char *b)
{
	for (u32 i = 0; i < AGENT_COMM_LEN; i++) {
		if (a[i] != b[i])
			return false;
		if (!a[i])
			return true;
	}
	return true;
}

/* What an exec makes of a task of an agent. */
struct exec_verdict {
	u32 role;	/* enum agent_role */
	u32 rule;	/* enum agent_rule */
	bool new_call;	/* the task is the first of a new tool call */
};

/*
 * @role: the task's role before the exec. @forked: it was forked with that
 * role and has not exec'd since. @known_comm: its new comm is a framework's.
 * @new_session: it leads a session that its parent is not in.
 *
 * Descendants of a tool call stay in it whatever they exec: a `claude` run by
 * a test suite is part of the test. A framework that execs itself again (its
 * comm may then be a version number) stays the framework. A child with a
 * framework's comm in the parent's session is the framework relaunching
 * itself (gemini-cli does). Every other program under a framework is a call.
 */
static inline struct exec_verdict classify_exec(u32 role, bool forked, bool known_comm,
						bool new_session)
{
	struct exec_verdict v = { .role = role, .rule = RULE_INHERIT, .new_call = false };

	if (role != ROLE_FRAMEWORK)
		return v;
	if (!forked) {
		v.rule = RULE_REEXEC;
		return v;
	}
	if (known_comm && !new_session) {
		v.rule = RULE_COMM;
		return v;
	}
	v.role = ROLE_TOOL;
	v.rule = new_session ? RULE_SESSION : RULE_EXEC;
	v.new_call = true;
	return v;
}

/*
 * Role of a process whose beginnings were not seen: it was there before the
 * scheduler, or moved into the agent's cgroup. @parent_role is ROLE_NONE for a
 * parent outside the agent. @like_parent: it has its parent's comm and
 * session, so it was most likely forked from it and has not exec'd.
 * @frameworks: framework processes that the agent has already.
 */
static inline struct exec_verdict classify_found(u32 parent_role, bool known_comm,
						 bool like_parent, bool new_session,
						 u32 frameworks)
{
	struct exec_verdict v = { .role = ROLE_FRAMEWORK, .rule = RULE_COMM, .new_call = false };

	if (parent_role == ROLE_TOOL) {
		v.role = ROLE_TOOL;
		v.rule = RULE_PARENT;
		return v;
	}
	if (known_comm && !(parent_role == ROLE_FRAMEWORK && new_session))
		return v;
	if (parent_role == ROLE_FRAMEWORK) {
		v.rule = RULE_PARENT;
		if (like_parent)
			return v;
		v.role = ROLE_TOOL;
		v.new_call = true;
		return v;
	}
	if (!frameworks) {
		v.rule = RULE_ENTRY;
		return v;
	}
	v.role = ROLE_TOOL;
	v.rule = RULE_OUTSIDE;
	v.new_call = true;
	return v;
}

#endif /* SCX_AGENT_CLASSIFY_H */
