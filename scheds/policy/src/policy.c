/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy headers of the kernel half, compiled for the host: each pure
 * function once more as an extern one, for lib.rs.
 */
#include <stddef.h>

/* In the kernel half these two come from vmlinux.h. */
enum { false, true };

#include <string.h>

#include "rank.h"
#include "classify.h"
#include "sandbox.h"
#include "share.h"
#include "limit.h"
#include "memory.h"

/* lib.rs has a struct of the same layout: a knob more is one more there. */
_Static_assert(sizeof(struct rank_knobs) == 10 * sizeof(u64), "struct Knobs");
_Static_assert(offsetof(struct rank_knobs, width_bonus_ns) == 3 * sizeof(u64), "struct Knobs");
_Static_assert(offsetof(struct rank_knobs, debt_burst_ns) == 7 * sizeof(u64), "struct Knobs");
_Static_assert(offsetof(struct rank_knobs, qos_wait_ns) == 9 * sizeof(u64), "struct Knobs");

u64 policy_delay_ns(u64 service_ns, const struct rank_knobs *k)
{
	return rank_delay_ns(service_ns, k);
}

u64 policy_quantum_ns(u64 cpu_ns, bool is_long, u64 round_ns, const struct rank_knobs *k)
{
	return rank_quantum_ns(cpu_ns, is_long, round_ns, k);
}

u64 policy_wide_ns(u64 weighted_ns, u32 nr_runnable)
{
	return rank_wide_ns(weighted_ns, nr_runnable);
}

u64 policy_long_place(u64 base_ns, u32 nr_runnable, const struct rank_knobs *k)
{
	return rank_long_place(base_ns, nr_runnable, k);
}

bool policy_is_long(u64 service_ns, const struct rank_knobs *k)
{
	return rank_is_long(service_ns, k);
}

u64 policy_qos_key(u64 key, u32 qos, const struct rank_knobs *k)
{
	return rank_qos_key(key, qos, k);
}

u64 policy_qos_place(u64 place, u32 qos, const struct rank_knobs *k)
{
	return rank_qos_place(place, qos, k);
}

u64 policy_long_key(u64 now, u32 qos, const struct rank_knobs *k)
{
	return rank_long_key(now, qos, k);
}

u64 policy_long_wait_ns(u32 qos, const struct rank_knobs *k)
{
	return rank_long_wait_ns(qos, k);
}

u64 policy_wait_bound_ns(const struct rank_knobs *k)
{
	return rank_wait_bound_ns(k);
}

u64 policy_waits_since_ns(u64 queued_ns, u64 free_ns)
{
	return rank_waits_since_ns(queued_ns, free_ns);
}

bool policy_has_aged(u64 now, u64 queued_ns, u64 free_ns, u32 qos, const struct rank_knobs *k)
{
	return rank_has_aged(now, queued_ns, free_ns, qos, k);
}

u64 policy_aged_turn_ns(u64 turn_ns, u64 round_ns, const struct rank_knobs *k)
{
	return rank_aged_turn_ns(turn_ns, round_ns, k);
}

u64 policy_aged_base(u64 base_ns, u64 now, u64 wait_ns)
{
	return rank_aged_base(base_ns, now, wait_ns);
}

const u32 policy_max_width = RANK_MAX_WIDTH;

u64 policy_charge_ns(u64 delta_ns, u64 service_ns, u32 nr_parallel, const struct rank_knobs *k)
{
	return rank_charge_ns(delta_ns, service_ns, nr_parallel, k);
}

u64 policy_service_ns(u64 service_ns, u64 debt_ns, const struct rank_knobs *k)
{
	return rank_service_ns(service_ns, debt_ns, k);
}

u64 policy_weighted_ns(u64 delta_ns, u32 weight)
{
	return rank_weighted_ns(delta_ns, weight);
}

u64 policy_time_ns(u64 elapsed_ns, u64 rate)
{
	return share_time_ns(elapsed_ns, rate);
}

const u64 policy_cpu = SHARE_CPU;

u32 policy_share_weight(u32 weight, bool idle)
{
	return share_weight(weight, idle);
}

u32 policy_share_weight_of(u32 weight, u32 own)
{
	return share_weight_of(weight, own);
}

u64 policy_share_of(u64 rate, u64 weight, u64 sum)
{
	return share_of(rate, weight, sum);
}

u64 policy_capacity(u64 ran_ns, u64 elapsed_ns, u32 cpus)
{
	return share_capacity(ran_ns, elapsed_ns, cpus);
}

u64 policy_toll_service_ns(u64 service_ns, u64 rate, u64 rates, u32 nr)
{
	return service_ns * share_toll(rate, rates, nr) / SHARE_TOLL;
}

u64 policy_call_quantum_ns(u64 quantum_ns, u64 rate, u64 rates, u32 nr)
{
	return share_call_quantum_ns(quantum_ns, share_toll(rate, rates, nr));
}

u64 policy_clock_ns(u64 delta_ns, u64 rate)
{
	return share_clock_ns(delta_ns, share_pace(rate));
}

u64 policy_turn(u64 now, u64 clock, u64 rate, u64 slack_ns, u64 longest_ns, u64 credit_ns)
{
	return share_turn(now, clock, share_pace(rate), slack_ns, longest_ns, credit_ns);
}

u64 policy_limit_ns(u64 us)
{
	return limit_ns(us);
}

const u64 policy_limit_none_ns = LIMIT_NONE_NS;

u64 policy_limit_periods(u64 now, u64 next_ns, u64 period_ns)
{
	return limit_periods(now, next_ns, period_ns);
}

u64 policy_limit_refill_ns(s64 budget_ns, u64 periods, u64 quota_ns, u64 burst_ns)
{
	return limit_refill_ns(budget_ns, periods, quota_ns, burst_ns);
}

u64 policy_limit_slice_ns(s64 budget_ns, u64 slice_ns)
{
	return limit_slice_ns(budget_ns, slice_ns);
}

u64 policy_limit_released(s64 budget_ns, u64 slice_ns)
{
	return limit_released(budget_ns, slice_ns);
}

bool policy_before(u64 a, u64 b)
{
	return rank_before(a, b);
}

bool policy_comm_equal(const char *a, const char *b)
{
	return comm_equal(a, b);
}

/*
 * The loop of the kernel half's glob_part_matches(), with a bound of the
 * caller's choice. Both strings are in buffers of the kernel half's sizes.
 * Returns an enum glob_result: GLOB_GO_ON if the bound was too low.
 */
u32 policy_glob(const char *glob, const char *name, u32 max_steps, u32 *steps)
{
	struct glob_state s = { 0 };

	for (*steps = 1; *steps <= max_steps; (*steps)++) {
		enum glob_result r = glob_step(glob[s.glob_at & (AGENT_GLOB_LEN - 1)],
					       name[s.name_at & (AGENT_NAME_LEN - 1)], &s);

		if (r != GLOB_GO_ON)
			return r;
	}
	return GLOB_GO_ON;
}

const u32 policy_glob_max_steps = GLOB_MAX_STEPS;
const u32 policy_glob_len = AGENT_GLOB_LEN;
const u32 policy_name_len = AGENT_NAME_LEN;

void policy_exec(const struct exec_facts *f, struct exec_verdict *v)
{
	*v = classify_exec(f);
}

void policy_found(const struct found_facts *f, struct exec_verdict *v)
{
	*v = classify_found(f);
}

/* @comm: AGENT_COMM_LEN bytes. 1: a shell, 2: an init, 4: an interpreter. */
u32 policy_comm_is(const char *comm)
{
	u64 words[2];

	memcpy(words, comm, sizeof(words));
	return comm_is_shell(words[0], words[1]) | comm_is_init(words[0], words[1]) << 1 |
	       comm_is_interpreter(words[0], words[1]) << 2;
}

/* The hash of the word that @text, with a NUL, begins with. */
u64 policy_word_hash(const char *text)
{
	u64 hash = WORD_HASH_EMPTY;

	for (; !word_ends(*text); text++)
		hash = word_hash(hash, *text);
	return hash;
}

/* @args: @nr pieces. True if a shell with these arguments has a command or a script. */
bool policy_shell_command(const char *args, u32 nr)
{
	struct shell_args s = {};

	for (u32 i = 0; i < nr; i++)
		shell_arg(&s, args + i * PIECE_LEN);
	return s.command;
}

/* @var: a piece. */
u32 policy_env_mark(const char *var, u32 len)
{
	return env_mark(var, len);
}

const u32 policy_piece_len = PIECE_LEN;

/* @name: of SANDBOX_NAME_LEN. */
bool policy_sandbox_executable(const char *name)
{
	return sandbox_executable(name);
}

u32 policy_sandbox_phase(u32 phase, u64 ran_ns, u64 tick_ns, u32 *quiet)
{
	return sandbox_phase(phase, ran_ns, tick_ns, quiet);
}

const u32 policy_sandbox_name_len = SANDBOX_NAME_LEN;
const u32 policy_sandbox_quiet_ticks = SANDBOX_QUIET_TICKS;

bool policy_memory_protects(const struct agent_room *room, u64 usage_pages, u32 level)
{
	return memory_protects(room, usage_pages, level);
}

u32 policy_memory_delay_ms(const struct agent_room *room, u64 usage_pages)
{
	return memory_delay_ms(room, usage_pages);
}

const u32 policy_memory_delay_min_ms = MEMORY_DELAY_MIN_MS;
const u32 policy_memory_delay_max_ms = MEMORY_DELAY_MAX_MS;
