/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program that has just been exec'd is told by its arguments and its
 * environment, read from its own memory: the kernel has just written it, so it
 * is there. Asked of the few programs that begin something - children of
 * frameworks and what those exec - and not of those inside a tool call.
 */
#ifndef SCX_AGENT_PROGRAM_BPF_H
#define SCX_AGENT_PROGRAM_BPF_H

#include "state.bpf.h"
#include "classify.h"
#include "sandbox.h"

/* Pieces of arguments, and of the environment, that are looked at: about 32 and 64 kB. */
#define ARG_PIECES 512
#define ENV_PIECES 1024

struct program {
	u64 script;		/* hash of the first argument that is no option, 0: there is none */
	u32 mark;		/* enum exec_mark */
	struct shell_args shell; /* as if it were one */
	bool nth;		/* the piece read next is not of its name */
	bool inside;		/* it goes on with the string before */
	bool hash;		/* which is the one that is hashed */
	bool hashed;
};

/* A string of the user's, or a part of it. Words, for the hash. */
union piece {
	u64 words[PIECE_LEN / 8];
	char text[PIECE_LEN];
};

/*
 * Read a piece at @addr over another. Return its length with its NUL, PIECE_LEN
 * if it goes on, 0 on failure.
 */
static __always_inline u32 piece_read_over(union piece *piece, u64 addr)
{
	long len = bpf_probe_read_user_str(piece->text, PIECE_LEN, (void *)addr);

	return len > 0 && len <= PIECE_LEN ? len : 0;
}

/* Read a piece at @addr, with zeroes behind its NUL. */
static __always_inline u32 piece_read(union piece *piece, u64 addr)
{
	__builtin_memset(piece, 0, sizeof(*piece));
	return piece_read_over(piece, addr);
}

/*
 * Take a piece of the arguments, of @len. Not static, as the next two: older
 * verifiers would follow the flags through every turn of the loops.
 */
__noinline int program_arg(struct program *prog, union piece *piece, u32 len)
{
	u32 i;

	if (!prog || !piece)
		return 0;
	if (prog->nth && !prog->inside) {
		shell_arg(&prog->shell, piece->text);
		prog->hash = !prog->hashed && piece->text[0] != '-';
	}
	if (prog->hash) {
		for (i = 0; i < PIECE_LEN / 8; i++)
			prog->script = (prog->script ^ piece->words[i]) * 0x100000001b3ULL;
	}
	prog->inside = len >= PIECE_LEN;
	if (!prog->inside) {
		prog->nth = true;
		prog->hashed |= prog->hash;
		prog->hash = false;
	}
	return 0;
}

/* Take the beginning of a variable, of @len with its NUL if that is in it. */
__noinline int program_var(struct program *prog, union piece *piece, u32 len)
{
	if (prog && piece)
		prog->mark = env_mark(piece->text, len - 1);
	return 0;
}

/* How far it is to the next piece, after one of @len. */
static __always_inline u32 piece_next(u32 len)
{
	return len < PIECE_LEN ? len : PIECE_LEN - 1;
}

/* Read what @p, the current task, is told. */
__noinline int program_read(struct task_struct *p __arg_trusted, struct program *prog)
{
	struct mm_struct *mm = p->mm;
	union piece piece = {};
	u64 addr, end;
	u32 i, len;

	if (!prog)
		return 0;
	__builtin_memset(prog, 0, sizeof(*prog));
	if (!mm)
		return 0;
	addr = mm->arg_start;
	end = mm->arg_end;
	bpf_for(i, 0, ARG_PIECES) {
		if (addr >= end || (prog->hashed && prog->shell.done))
			break;
		len = piece_read(&piece, addr);
		if (!len)
			break;
		program_arg(prog, &piece, len);
		addr += piece_next(len);
	}
	prog->inside = false;
	addr = mm->env_start;
	end = mm->env_end;
	bpf_for(i, 0, ENV_PIECES) {
		if (addr >= end || prog->mark)
			break;
		/* What is left behind the NUL of one that was longer is not looked at. */
		len = piece_read_over(&piece, addr);
		if (!len)
			break;
		/* Most are told by their first letter, and there are many. */
		if (!prog->inside && env_may_mark(piece.text[0]))
			program_var(prog, &piece, len);
		prog->inside = len >= PIECE_LEN;
		addr += piece_next(len);
	}
	return 0;
}

/* To look for words. */
struct word_buf {
	union piece piece;
	u64 hash;	/* of the word so far */
	u32 found;
};

/* Look for the known words in the first @len characters of the piece. */
__noinline int words_take(struct word_buf *buf, u32 len)
{
	u32 i, j;

	if (!buf)
		return 0;
	bpf_for(i, 0, PIECE_LEN) {
		char c = buf->piece.text[i & (PIECE_LEN - 1)];

		if (i >= len)
			break;
		if (!word_ends(c)) {
			buf->hash = word_hash(buf->hash, c);
			continue;
		}
		bpf_for(j, 0, nr_words) {
			if (j < AGENT_MAX_WORDS && words[j] == buf->hash)
				buf->found = 1;
		}
		buf->hash = WORD_HASH_EMPTY;
	}
	return 0;
}

/*
 * True if the first argument of @p, the current task, that is no option - a
 * script, or a module after -m - has a known word.
 */
__noinline int program_has_word(struct task_struct *p __arg_trusted)
{
	struct mm_struct *mm = p->mm;
	bool first = true, begins = true, script = false;
	struct word_buf buf = {};
	u32 i, len;
	u64 addr, end;

	if (!mm)
		return 0;
	addr = mm->arg_start;
	end = mm->arg_end;
	buf.hash = WORD_HASH_EMPTY;
	bpf_for(i, 0, ARG_PIECES) {
		if (addr >= end)
			break;
		len = piece_read(&buf.piece, addr);
		if (!len)
			break;
		if (begins)
			script = !first && buf.piece.text[0] != '-';
		begins = len < PIECE_LEN;
		/* The NUL of a piece that goes on is not the argument's. */
		len = begins ? len : PIECE_LEN - 1;
		if (script)
			words_take(&buf, len);
		addr += len;
		if (!begins)
			continue;
		if (script)
			break;
		first = false;
	}
	return buf.found;
}

/* The executable of @p, as the address of its inode: only good for comparing. */
static __always_inline u64 executable_of(struct task_struct *p)
{
	return (u64)BPF_CORE_READ(p, mm, exe_file, f_inode);
}

/* True if @p runs an executable whose name says that it marks its calls, see UNMARKED_MAX. */
static __always_inline bool executable_marks(struct task_struct *p)
{
	const unsigned char *name = BPF_CORE_READ(p, mm, exe_file, f_path.dentry, d_name.name);
	char text[8] = {};

	bpf_probe_read_kernel_str(text, sizeof(text), name);
	return begins_with(text, "codex", 6);
}

/* True if @p runs an opaque sandbox. */
__noinline int executable_is_sandbox(struct task_struct *p __arg_trusted)
{
	const unsigned char *name = BPF_CORE_READ(p, mm, exe_file, f_path.dentry, d_name.name);
	char text[SANDBOX_NAME_LEN] = {};

	bpf_probe_read_kernel_str(text, sizeof(text), name);
	return sandbox_executable(text);
}

#endif /* SCX_AGENT_PROGRAM_BPF_H */
