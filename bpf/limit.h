/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of cpu.max: pure functions, compiled into the BPF object and,
 * by the unit tests, for the host.
 *
 * As the kernel's own (Documentation/admin-guide/cgroup-v2.rst, "cpu.max"): a
 * cgroup may use its quota of CPU time in each period, and with cpu.max.burst
 * up to that much more, saved in periods before. Here the budget may fall below
 * zero, since a CPU is taken from a task only at its next tick; what was used
 * too much is missing from the periods that follow, so that the average holds.
 */
#ifndef SCX_AGENT_LIMIT_H
#define SCX_AGENT_LIMIT_H

#include "intf.h"

/* A quota from here on is none; the kernel says U64_MAX or that in us. */
#define LIMIT_NONE_NS	(1ULL << 60)

/* @us as ns, LIMIT_NONE_NS for what does not fit. */
static inline u64 limit_ns(u64 us)
{
	return us >= LIMIT_NONE_NS / 1000 ? LIMIT_NONE_NS : us * 1000;
}

/* Periods that have begun by @now since the last refill, of which the next was due at @next_ns. */
static inline u64 limit_periods(u64 now, u64 next_ns, u64 period_ns)
{
	if ((s64)(now - next_ns) < 0)
		return 0;
	return (now - next_ns) / (period_ns ? period_ns : 1) + 1;
}

/*
 * What @periods refills add to @budget_ns: up to a quota and the burst in all.
 * Never negative, and 0 once the budget is full.
 */
static inline u64 limit_refill_ns(s64 budget_ns, u64 periods, u64 quota_ns, u64 burst_ns)
{
	u64 full = quota_ns + burst_ns, room;

	if (budget_ns >= (s64)full)
		return 0;
	room = full - (u64)budget_ns; /* wraps to the sum below zero */
	/* Compare before multiplying: it may have slept for days. */
	if (quota_ns && periods > room / quota_ns)
		return room;
	return periods * quota_ns < room ? periods * quota_ns : room;
}

/* Longest a task of a cgroup with @budget_ns left runs before that is looked at again. */
static inline u64 limit_slice_ns(s64 budget_ns, u64 slice_ns)
{
	/* Others of the cgroup may use it up at the same time, on other CPUs. */
	u64 part = budget_ns > 0 ? (u64)budget_ns / 4 : 0;

	if (part < 1000000)
		part = 1000000;
	return part < slice_ns ? part : slice_ns;
}

/* How many tasks a refill to @budget_ns is for. */
static inline u64 limit_released(s64 budget_ns, u64 slice_ns)
{
	return budget_ns > 0 ? (u64)budget_ns / limit_slice_ns(budget_ns, slice_ns) + 1 : 0;
}

#endif /* SCX_AGENT_LIMIT_H */
