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

/* A comm of at most 7 characters as the kernel keeps it, in the first of its two words. */
#define COMM_WORD(a, b, c, d, e, f, g)                                                   \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 |   \
	 (u64)(f) << 40 | (u64)(g) << 48)

/* True if a comm, as two words, is that of a shell. */
static inline bool comm_is_shell(u64 first, u64 second)
{
	if (second)
		return false;
	switch (first) {
	case COMM_WORD('s', 'h', 0, 0, 0, 0, 0):
	case COMM_WORD('b', 'a', 's', 'h', 0, 0, 0):
	case COMM_WORD('d', 'a', 's', 'h', 0, 0, 0):
	case COMM_WORD('z', 's', 'h', 0, 0, 0, 0):
	case COMM_WORD('f', 'i', 's', 'h', 0, 0, 0):
	case COMM_WORD('k', 's', 'h', 0, 0, 0, 0):
	case COMM_WORD('m', 'k', 's', 'h', 0, 0, 0):
	case COMM_WORD('a', 's', 'h', 0, 0, 0, 0):
	case COMM_WORD('c', 's', 'h', 0, 0, 0, 0):
	case COMM_WORD('t', 'c', 's', 'h', 0, 0, 0):
	case COMM_WORD('p', 'w', 's', 'h', 0, 0, 0):
	case COMM_WORD('r', 'b', 'a', 's', 'h', 0, 0):
	case COMM_WORD('b', 'u', 's', 'y', 'b', 'o', 'x'):
		return true;
	}
	return false;
}

/* As COMM_WORD(), of all 8 characters. */
#define COMM_WORD8(a, b, c, d, e, f, g, h) (COMM_WORD(a, b, c, d, e, f, g) | (u64)(h) << 56)

/* True if a comm, as two words, is that of a container's init, whose children are what the container is for. */
static inline bool comm_is_init(u64 first, u64 second)
{
	switch (first) {
	case COMM_WORD('t', 'i', 'n', 'i', 0, 0, 0):
		return !second;
	case COMM_WORD8('d', 'o', 'c', 'k', 'e', 'r', '-', 'i'):
		return second == COMM_WORD('n', 'i', 't', 0, 0, 0, 0);
	case COMM_WORD8('d', 'u', 'm', 'b', '-', 'i', 'n', 'i'):
	case COMM_WORD8('c', 'a', 't', 'a', 't', 'o', 'n', 'i'):
		return second == 't';
	}
	return false;
}

/* True if a comm, as two words, is that of a program whose arguments say what it runs. */
static inline bool comm_is_interpreter(u64 first, u64 second)
{
	/* python, python3, python3.13 */
	if ((first & 0xffffffffffffULL) == COMM_WORD('p', 'y', 't', 'h', 'o', 'n', 0))
		return true;
	switch (first) {
	case COMM_WORD('n', 'o', 'd', 'e', 0, 0, 0):
	case COMM_WORD('n', 'o', 'd', 'e', 'j', 's', 0):
	case COMM_WORD('b', 'u', 'n', 0, 0, 0, 0):
	case COMM_WORD('d', 'e', 'n', 'o', 0, 0, 0):
		return !second;
	}
	return false;
}

/*
 * The words of an argument are what is between slashes and dots: names of
 * folders, files and modules. They are compared by a hash (FNV-1a), since the
 * kernel half sees one character after the other.
 */
#define WORD_HASH_EMPTY 0xcbf29ce484222325ULL

static inline bool word_ends(char c)
{
	return !c || c == '/' || c == '.';
}

/* The hash of a word so far, with one character more. */
static inline u64 word_hash(u64 hash, char c)
{
	return (hash ^ (u8)c) * 0x100000001b3ULL;
}

/* True if @text, of at least @len characters, begins with @prefix, of @len. */
static inline bool begins_with(const char *text, const char *prefix, u32 len)
{
	for (u32 i = 0; i < len; i++) {
		if (text[i] != prefix[i])
			return false;
	}
	return true;
}

/* Arguments and variables are looked at in pieces of this size, with their NUL; a multiple of 8. */
#define PIECE_LEN 64

/* What a shell is asked to do, as far as its arguments have been looked at. Starts as all zeroes. */
struct shell_args {
	bool value;		/* the next one is the value of an option */
	bool from_stdin;	/* -s */
	bool command;		/* it has a command or a script, and ends with that */
	bool done;
};

/* Take the next argument, @arg of PIECE_LEN characters. */
static inline void shell_arg(struct shell_args *s, const char *arg)
{
	if (s->done)
		return;
	if (s->value) {
		s->value = false;
		return;
	}
	if (arg[0] != '-' && arg[0] != '+') {
		/* A script, or the positional parameters of what comes from the standard input. */
		s->command = !s->from_stdin;
		s->done = true;
		return;
	}
	if (arg[0] == '-' && arg[1] == '-') {
		s->value = begins_with(arg, "--rcfile", 9) || begins_with(arg, "--init-file", 12);
		s->command = s->done = begins_with(arg, "--command", 9);
		return;
	}
	for (u32 i = 1; i < 8 && arg[i]; i++) {
		if (arg[i] == 'c' && arg[0] == '-')
			s->command = s->done = true;
		else if (arg[i] == 's' && arg[0] == '-')
			s->from_stdin = true;
		else if (arg[i] == 'o' || arg[i] == 'O')
			s->value = true;
	}
}

/* True if @text, the @len characters of a piece, ends with @suffix, of @suffix_len. */
static inline bool ends_with(const char *text, u32 len, const char *suffix, u32 suffix_len)
{
	for (u32 i = 0; i < suffix_len; i++) {
		/* The verifier does not follow @len. */
		if (text[(len - suffix_len + i) & (PIECE_LEN - 1)] != suffix[i])
			return false;
	}
	return len >= suffix_len;
}

/* What a framework says of a program in the program's environment. */
enum exec_mark {
	MARK_NONE,
	MARK_TOOL,	/* a tool call */
	MARK_OWN,	/* something of the framework's own: a hook, a probe */
};

/* True if a variable that begins with @c may say something. */
static inline bool env_may_mark(char c)
{
	return c == 'A' || c == 'C';
}

/*
 * What the variable @var says, of which @len characters (without a NUL) are in
 * a piece. Codex CLI names the call; Claude Code says for whom a program runs.
 */
static inline u32 env_mark(const char *var, u32 len)
{
	if (var[0] == 'C' && begins_with(var, "CODEX_TOOL_CALL_ID=", 19))
		return MARK_TOOL;
	if (var[0] != 'A' || !begins_with(var, "AI_AGENT=claude-code", 20) || len >= PIECE_LEN)
		return MARK_NONE;
	if (ends_with(var, len, "_agent", 6))
		return MARK_TOOL;
	if (ends_with(var, len, "_harness", 8))
		return MARK_OWN;
	return MARK_NONE;
}

/*
 * Unmarked shells that an agent may have before its first marked one, if its
 * framework is known to mark its calls (Codex CLI takes a snapshot of the
 * user's shell environment with two). More of them: it does not mark them.
 */
#define UNMARKED_MAX 4

/* What is known of a task that execs. */
struct exec_facts {
	u32 role;		/* enum agent_role, before the exec */
	u32 mark;		/* enum exec_mark */
	bool forked;		/* forked with that role, and has not exec'd since */
	bool direct;		/* helper: forked by the framework itself */
	bool entered;		/* leads a call that began by entering or as a job, not by a program */
	bool known_comm;	/* its comm is a framework's */
	bool parent_known;	/* and so is its parent's */
	bool generic_comm;	/* but others have that comm, too */
	bool same_program;	/* executable and script are its parent's */
	bool shell;
	bool command;		/* shell: with a command or script */
	bool new_session;	/* in a session that its parent is not in */
	bool parent_init;	/* its parent is the container's init */
	bool of_commands;	/* it is a shell that reads commands; if forked: its parent is */
	bool expect_mark;	/* its framework marks its calls */
};

/* What an exec makes of a task of an agent. */
struct exec_verdict {
	u32 role;	/* enum agent_role */
	u32 rule;	/* enum agent_rule */
	bool new_call;	/* the task is the first of a new tool call */
	bool commands;	/* it is a shell that reads commands */
};

static inline struct exec_verdict exec_is(u32 role, u32 rule)
{
	struct exec_verdict v = {
		.role = role,
		.rule = rule,
		.new_call = role == ROLE_TOOL,
		.commands = rule == RULE_COMMANDS,
	};

	return v;
}

/*
 * What an exec makes of a task.
 *
 * Descendants of a tool call stay in it whatever they exec: a `claude` run by
 * a test suite is part of the test. A framework that execs itself again (its
 * comm may then be a version number) stays the framework, and so is a child
 * that is the same program in its session (gemini-cli relaunches itself).
 *
 * Of the other children of a framework, what it marks is what it says, shells
 * are tool calls, and all else are helpers: git, language servers, MCP
 * servers. A helper that execs on in the same process may have been on its way
 * to a call (setsid, env, a sandbox), so it is asked again. A shell that reads
 * commands is no call, but each of its jobs is.
 */
static inline struct exec_verdict classify_exec(const struct exec_facts *f)
{
	struct exec_verdict inherit = { .role = f->role, .rule = RULE_INHERIT };
	bool first = (f->role == ROLE_FRAMEWORK && f->forked) ||
		     (f->role == ROLE_HELPER && f->direct && !f->forked);

	if (f->role == ROLE_TOOL && f->entered) {
		if (f->known_comm && !f->generic_comm)
			return exec_is(ROLE_FRAMEWORK, RULE_COMM);
		return f->shell && !f->command ? exec_is(ROLE_HELPER, RULE_COMMANDS) : inherit;
	}
	if (f->role == ROLE_FRAMEWORK && !f->forked) {
		inherit.rule = RULE_REEXEC;
		return inherit;
	}
	if (f->role != ROLE_FRAMEWORK && f->role != ROLE_HELPER)
		return inherit;
	if (f->mark == MARK_TOOL)
		return exec_is(ROLE_TOOL, RULE_MARK);
	if (first) {
		if (f->parent_init)
			return exec_is(ROLE_FRAMEWORK, RULE_ENTRY);
		if (!f->new_session && f->same_program)
			return exec_is(ROLE_FRAMEWORK, RULE_RELAUNCH);
		/* `node` under `claude` is an MCP server; under an init it is the framework. */
		if (!f->new_session && f->known_comm && !(f->generic_comm && f->parent_known))
			return exec_is(ROLE_FRAMEWORK, RULE_COMM);
		if (f->mark == MARK_OWN)
			return exec_is(ROLE_HELPER, RULE_UNMARKED);
		if (!f->shell)
			return exec_is(ROLE_HELPER, RULE_PROGRAM);
		if (!f->command)
			return exec_is(ROLE_HELPER, RULE_COMMANDS);
		if (f->expect_mark)
			return exec_is(ROLE_HELPER, RULE_UNMARKED);
		return exec_is(ROLE_TOOL, f->new_session ? RULE_SESSION : RULE_SHELL);
	}
	if (f->of_commands && f->forked)
		return exec_is(ROLE_TOOL, RULE_JOB);
	/* A terminal multiplexer's pane. */
	if (f->shell && !f->command && f->new_session)
		return exec_is(ROLE_HELPER, RULE_COMMANDS);
	inherit.commands = f->of_commands && f->shell && !f->command;
	return inherit;
}

/* What is known of a process whose beginnings were not seen. */
struct found_facts {
	u32 parent_role;	/* enum agent_role; ROLE_NONE for a parent outside the agent */
	u32 frameworks;		/* framework processes that the agent has already */
	bool known_comm;	/* its comm is a framework's */
	bool shell;
	bool like_parent;	/* its parent's comm and session: forked from it, most likely, and nothing exec'd */
	bool new_session;	/* in a session that its parent is not in */
	bool parent_init;	/* its parent is the container's init */
};

/* Role of a process that was there before the scheduler, or moved into the agent's cgroup. */
static inline struct exec_verdict classify_found(const struct found_facts *f)
{
	struct exec_verdict v = { .role = f->parent_role, .rule = RULE_PARENT };

	if (f->parent_role == ROLE_TOOL || f->parent_role == ROLE_HELPER)
		return v;
	if (f->known_comm && !(f->parent_role == ROLE_FRAMEWORK && f->new_session))
		return exec_is(ROLE_FRAMEWORK, RULE_COMM);
	if (f->parent_role == ROLE_FRAMEWORK) {
		if (f->like_parent)
			return v;
		if (f->parent_init)
			return exec_is(ROLE_FRAMEWORK, RULE_ENTRY);
		return exec_is(f->shell ? ROLE_TOOL : ROLE_HELPER, RULE_PARENT);
	}
	if (!f->frameworks)
		return exec_is(ROLE_FRAMEWORK, RULE_ENTRY);
	return exec_is(ROLE_TOOL, RULE_OUTSIDE);
}

#endif /* SCX_AGENT_CLASSIFY_H */
