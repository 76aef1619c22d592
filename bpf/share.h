/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of cpu.weight: pure functions, compiled into the BPF object
 * and, by the unit tests, for the host.
 *
 * Each group has a rate, its share of the CPUs by the weights of its cgroup and
 * those above it among what is active, and a clock that its CPU time moves on:
 * by as much as real time if it gets just its share, and by more if it gets
 * more. A group whose clock is ahead of real time has had what is ahead of it,
 * and its next turn is at that time, so that in the long run each gets its
 * share, while calls that are not ahead by much stay first come, first served.
 */
#ifndef SCX_AGENT_SHARE_H
#define SCX_AGENT_SHARE_H

#include "intf.h"

/* Fixed point of rates: 1 CPU. */
#define SHARE_CPU	(1ULL << 20)
/* Fixed point of ns on the clock per ns of CPU time. */
#define SHARE_PACE	(1ULL << 16)

/* @weight of cpu.weight, 1..10000, in the units of shares; @idle as cpu.idle. */
static inline u32 share_weight(u32 weight, bool idle)
{
	/* The kernel's WEIGHT_IDLEPRIO is 3 where the weight 100 is 1024. */
	return idle ? 3 : weight * 10;
}

/* @weight in the units of shares, or @own in those of cpu.weight if that is set. */
static inline u32 share_weight_of(u32 weight, u32 own)
{
	return own ? share_weight(own, false) : weight;
}

/* The part of @rate that what has @weight has beside others, with @sum of weights in all. */
static inline u64 share_of(u64 rate, u64 weight, u64 sum)
{
	return sum ? rate * weight / sum : rate;
}

/* CPU time that @rate is in @elapsed_ns, some seconds at most. */
static inline u64 share_time_ns(u64 elapsed_ns, u64 rate)
{
	return elapsed_ns * rate / SHARE_CPU;
}

/*
 * Rate of all competing groups together, which had @ran_ns of CPU time in the
 * last @elapsed_ns: as much again. At least half of @cpus, for they may have
 * been bound to few of them, and a clock that is much too fast is worse than
 * one that is slow.
 */
static inline u64 share_capacity(u64 ran_ns, u64 elapsed_ns, u32 cpus)
{
	u64 least = elapsed_ns * cpus / 2;

	return (ran_ns > least ? ran_ns : least) * SHARE_CPU / (elapsed_ns ? elapsed_ns : 1);
}

/* Fixed point of tolls. */
#define SHARE_TOLL	1024ULL

/*
 * What one ns of CPU time counts as service in the ranking, times SHARE_TOLL,
 * for a group with @rate among @nr groups that have @rates together: 1 for an
 * equal share, less for one that is to have more.
 */
static inline u64 share_toll(u64 rate, u64 rates, u32 nr)
{
	u64 toll = rates / (nr ? nr : 1) * SHARE_TOLL / (rate ? rate : 1);

	if (toll > SHARE_TOLL * 64)
		return SHARE_TOLL * 64;
	return toll < SHARE_TOLL / 64 ? SHARE_TOLL / 64 : toll;
}

/* @quantum_ns of CPU time as service at @toll, and less for a group that is to have little. */
static inline u64 share_quantum_ns(u64 quantum_ns, u64 toll)
{
	return toll < SHARE_TOLL ? quantum_ns * toll / SHARE_TOLL : quantum_ns;
}

/* @quantum_ns of CPU time of a call, less for a group that is to have little. */
static inline u64 share_call_quantum_ns(u64 quantum_ns, u64 toll)
{
	return toll > SHARE_TOLL ? quantum_ns * SHARE_TOLL / toll : quantum_ns;
}

/* How far one ns of CPU time moves the clock of a group with @rate, times SHARE_PACE. */
static inline u64 share_pace(u64 rate)
{
	u64 pace = SHARE_CPU * SHARE_PACE / (rate ? rate : 1);

	/* At most 1/4096 of a CPU, so that seconds of CPU time fit. */
	return pace < SHARE_PACE << 12 ? pace : SHARE_PACE << 12;
}

/* @delta_ns of CPU time, at most some seconds, on a clock of @pace. */
static inline u64 share_clock_ns(u64 delta_ns, u64 pace)
{
	return delta_ns * pace / SHARE_PACE;
}

/*
 * When a task of a group with @clock has its next turn: @now, or later if the
 * group is ahead of its share by more than @slack_ns of CPU time, or earlier if
 * it is behind. At most @longest_ns later, for nobody starves, and at most
 * @credit_ns earlier.
 */
static inline u64 share_turn(u64 now, u64 clock, u64 pace, u64 slack_ns, u64 longest_ns,
			     u64 credit_ns)
{
	s64 ahead = (s64)(clock - now);

	if (ahead > 0) {
		u64 slack = share_clock_ns(slack_ns, pace);

		if ((u64)ahead <= slack)
			return now;
		ahead -= slack;
		return now + ((u64)ahead < longest_ns ? (u64)ahead : longest_ns);
	}
	return now - ((u64)-ahead < credit_ns ? (u64)-ahead : credit_ns);
}

#endif /* SCX_AGENT_SHARE_H */
