/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy headers of the kernel half, compiled for the host: each pure
 * function once more as an extern one, for lib.rs.
 */
#include <stddef.h>

/* In the kernel half these two come from vmlinux.h. */
enum { false, true };

#include "rank.h"
#include "classify.h"

/* lib.rs has a struct of the same layout: a knob more is one more there. */
_Static_assert(sizeof(struct rank_knobs) == 8 * sizeof(u64), "struct Knobs");
_Static_assert(offsetof(struct rank_knobs, width_bonus_ns) == 3 * sizeof(u64), "struct Knobs");
_Static_assert(offsetof(struct rank_knobs, debt_burst_ns) == 7 * sizeof(u64), "struct Knobs");

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

u64 policy_leak_ns(u64 elapsed_ns, u32 cpus, u32 nr_active)
{
	return rank_leak_ns(elapsed_ns, cpus, nr_active);
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

void policy_exec(u32 role, bool forked, bool known_comm, bool new_session, struct exec_verdict *v)
{
	*v = classify_exec(role, forked, known_comm, new_session);
}

void policy_found(u32 parent_role, bool known_comm, bool like_parent, bool new_session,
		  u32 frameworks, struct exec_verdict *v)
{
	*v = classify_found(parent_role, known_comm, like_parent, new_session, frameworks);
}
