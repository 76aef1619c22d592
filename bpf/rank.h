/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of the ranking: pure functions, compiled into the BPF object
 * and, by the unit tests, for the host.
 *
 * Every runnable task has a key, and the lowest key runs first:
 *
 *	key = base + delay(service)
 *
 * base is when the work became runnable (or last used up a quantum), service
 * is the CPU time its tool call has had so far. New calls have no service and
 * so no delay: they run at once. A call that has had much is put behind every
 * call that starts within the next delay(service) - least attained service
 * first - and since base stays put while it waits, a bound follows: once
 * delay(service) <= delay_cap has passed, nothing that starts later is ahead
 * of it.
 *
 * Between calls that have had about the same, base decides: first come, first
 * served, for one quantum each. A quantum grows with the service had so far:
 * short calls are not cut into pieces, and long ones do not crawl side by
 * side, which would delay them all (processor sharing is the worst schedule
 * for demands that are alike).
 */
#ifndef SCX_AGENT_RANK_H
#define SCX_AGENT_RANK_H

#include "intf.h"

struct rank_knobs {
	u64 delay_slope;	/* ns of delay per ns of service */
	u64 delay_cap_ns;	/* longest delay of a tool call */
	u64 quantum_min_ns;
	u64 quantum_max_ns;
	u64 debt_knee_ns;	/* service that counts as the privilege of a new call */
	u64 debt_burst_ns;	/* debt that is forgiven */
};

/*
 * delay of a call that has had @service_ns, in ns, at most delay_cap_ns.
 */
static inline u64 rank_delay_ns(u64 service_ns, const struct rank_knobs *k)
{
	/* Compare before multiplying: service may be days. */
	if (service_ns >= k->delay_cap_ns / (k->delay_slope ? k->delay_slope : 1))
		return k->delay_cap_ns;
	return service_ns * k->delay_slope;
}

/*
 * CPU time a call that has had @service_ns may use before it goes behind its
 * equals, in ns. @limit_ns is the longest quantum that the current number of
 * competitors allows.
 */
static inline u64 rank_quantum_ns(u64 service_ns, u64 limit_ns, const struct rank_knobs *k)
{
	u64 q = service_ns;

	if (limit_ns < q)
		q = limit_ns;
	if (q > k->quantum_max_ns)
		q = k->quantum_max_ns;
	return q < k->quantum_min_ns ? k->quantum_min_ns : q;
}

/*
 * Part of @delta_ns, CPU time that a call has just used, that is charged to
 * its agent, in ns.
 *
 * A new call ranks high because it is new. That is a privilege, and each agent
 * has only its share of it, or splitting work into many calls would pay: the
 * first debt_knee_ns of a call are charged, later service less and less
 * (knee / (knee + service)), for then the call's own service holds it back.
 * With @nr_parallel calls of the agent side by side, only one of them is held
 * back by its own service; the rest is charged.
 */
static inline u64 rank_charge_ns(u64 delta_ns, u64 service_ns, u32 nr_parallel,
				 const struct rank_knobs *k)
{
	u64 sum = service_ns + k->debt_knee_ns, own;

	if (!sum)
		return delta_ns;
	/* 1/1024ths of delta that the call's own service accounts for. */
	if (service_ns > (1ULL << 50))
		own = 1024;
	else
		own = service_ns * 1024 / sum;
	if (nr_parallel > 1)
		own /= nr_parallel;
	/* delta is at most seconds: no overflow. */
	return delta_ns - delta_ns * own / 1024;
}

/*
 * Service that decides the rank: the call's own plus what its agent has had
 * beyond its share of the privilege of new calls, in ns.
 */
static inline u64 rank_service_ns(u64 service_ns, u64 debt_ns, const struct rank_knobs *k)
{
	return service_ns + (debt_ns > k->debt_burst_ns ? debt_ns - k->debt_burst_ns : 0);
}

/* @delta_ns of CPU time in units of a task of weight 100. @weight: 1..10000. */
static inline u64 rank_weighted_ns(u64 delta_ns, u32 weight)
{
	if (!weight)
		weight = 1;
	return weight == 100 ? delta_ns : delta_ns * 100 / weight;
}

/* Debt of a group that is forgiven in @elapsed_ns: its equal share of @cpus. */
static inline u64 rank_leak_ns(u64 elapsed_ns, u32 cpus, u32 nr_active)
{
	return elapsed_ns * (cpus ? cpus : 1) / (nr_active ? nr_active : 1);
}

/* True if key @a runs before key @b; keys wrap around. */
static inline bool rank_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

#endif /* SCX_AGENT_RANK_H */
