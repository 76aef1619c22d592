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
 * is the CPU time its tool call has had so far, times its width. New calls
 * have no service and so no delay: they run at once. A call that has had much
 * is put behind every call that starts within the next delay(service): least
 * attained service first. Between calls that have had about the same, base
 * decides: first come, first served, for one quantum each. A quantum is about
 * the service had so far: short calls are not cut into pieces, and equals do
 * not crawl side by side, which would delay them all.
 *
 * Width is the number of the call's tasks that are runnable at once. CPU time
 * counts that many times, because a call that has gone wide is rarely a short
 * one: the narrow ones are through sooner, and the wide one, which has several
 * CPUs to itself when its turn comes, loses little.
 *
 * A call that has had long_service_ns is long. Long calls have a queue of
 * their own, first come, first served by base with longer quanta: processor
 * sharing is the worst schedule for demands that are alike, and nothing is
 * known any more of which of them ends first; each process beyond the first is
 * worth width_bonus_ns there, since a wide call is out of the way soonest. The
 * queue runs when nothing shorter is there, or when its head has waited for
 * delay_cap_ns while no long call had a CPU that nothing shorter wanted: what
 * waits for its equals has no claim on shorter ones, however long their round is.
 *
 * So nothing waits for ever: what is not long gets ahead of everything that
 * starts delay_cap_ns after it, the first of what is long of everything shorter
 * after delay_cap_ns, a round of quanta among long calls takes a bounded time,
 * and whatever is long and has waited for rank_wait_bound_ns() is put in front.
 *
 * Calls of an interactive agent rank as if they had come qos_lead_ns earlier,
 * long ones delay_cap_ns earlier. Those of a background agent have a queue of
 * their own, first come, first served, which runs when the others are empty or
 * its head has waited for qos_wait_ns.
 */
#ifndef SCX_AGENT_RANK_H
#define SCX_AGENT_RANK_H

#include "intf.h"

struct rank_knobs {
	u64 delay_slope;	/* ns of delay per ns of service */
	u64 delay_cap_ns;	/* longest delay of a tool call */
	u64 long_service_ns;	/* service from which a call is long */
	u64 width_bonus_ns;	/* for each process of a long call beyond the first */
	u64 quantum_min_ns;
	u64 quantum_max_ns;
	u64 debt_knee_ns;	/* service that counts as the privilege of a new call */
	u64 debt_burst_ns;	/* debt that is forgiven */
	u64 qos_lead_ns;	/* how far an interactive agent's calls rank before others */
	u64 qos_wait_ns;	/* longest wait of background work while there is other work */
};

/* Delay of a call that has had @service_ns, in ns, at most delay_cap_ns. */
static inline u64 rank_delay_ns(u64 service_ns, const struct rank_knobs *k)
{
	/* Compare before multiplying: service may be days. */
	if (service_ns >= k->delay_cap_ns / (k->delay_slope ? k->delay_slope : 1))
		return k->delay_cap_ns;
	return service_ns * k->delay_slope;
}

/* Widths beyond this count as this: from here on more processes say nothing more. */
#define RANK_MAX_WIDTH 8

/* @weighted_ns of CPU time as service, for a call with @nr_runnable tasks runnable, in ns. */
static inline u64 rank_wide_ns(u64 weighted_ns, u32 nr_runnable)
{
	u32 width = nr_runnable < 1 ? 1 : nr_runnable;

	return weighted_ns * (width > RANK_MAX_WIDTH ? RANK_MAX_WIDTH : width);
}

/* Place among the long calls of one with @base_ns and at most @peak_width tasks runnable ever. */
static inline u64 rank_long_place(u64 base_ns, u32 peak_width, const struct rank_knobs *k)
{
	u32 width = peak_width < 1 ? 1 : peak_width;

	return base_ns - ((width > RANK_MAX_WIDTH ? RANK_MAX_WIDTH : width) - 1) * k->width_bonus_ns;
}

/* True if a call that has had @service_ns is long. */
static inline bool rank_is_long(u64 service_ns, const struct rank_knobs *k)
{
	return service_ns >= k->long_service_ns;
}

/*
 * CPU time that a call which has used @cpu_ns may use before it goes behind
 * its equals, in ns. @round_ns is the longest quantum for which a round over
 * all competitors is short enough. A long call gets all of that.
 */
static inline u64 rank_quantum_ns(u64 cpu_ns, bool is_long, u64 round_ns,
				  const struct rank_knobs *k)
{
	u64 q = is_long || cpu_ns > round_ns ? round_ns : cpu_ns;

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

/* @key of a call that is not long as that of an agent of class @qos. */
static inline u64 rank_qos_key(u64 key, u32 qos, const struct rank_knobs *k)
{
	return qos == QOS_INTERACTIVE ? key - k->qos_lead_ns : key;
}

/* @place among the long calls as that of an agent of class @qos. */
static inline u64 rank_qos_place(u64 place, u32 qos, const struct rank_knobs *k)
{
	return qos == QOS_INTERACTIVE ? place - k->delay_cap_ns : place;
}

/* Key as of @now of a long call, or of background work, of an agent of class @qos. */
static inline u64 rank_long_key(u64 now, u32 qos, const struct rank_knobs *k)
{
	u64 key = now + k->delay_cap_ns;

	return qos == QOS_BACKGROUND ? key + k->qos_wait_ns : rank_qos_key(key, qos, k);
}

/* How long a long call, or background work, of an agent of class @qos waits at most for others. */
static inline u64 rank_long_wait_ns(u32 qos, const struct rank_knobs *k)
{
	return qos == QOS_BACKGROUND ? k->qos_wait_ns : k->delay_cap_ns;
}

/* No bound on a wait is longer: the kernel ends a scheduler that has a task wait for 30 s. */
#define RANK_MAX_WAIT_BOUND_NS	20000000000ULL

/*
 * How long a long call waits at most before it is put in front of all that comes
 * later, in ns: longer than it waits for its turn as a rule.
 */
static inline u64 rank_wait_bound_ns(const struct rank_knobs *k)
{
	u64 bound = k->delay_cap_ns * 5 / 2;

	return bound < RANK_MAX_WAIT_BOUND_NS ? bound : RANK_MAX_WAIT_BOUND_NS;
}

/*
 * Since when a long call that was queued at @queued_ns waits for shorter ones, when a
 * long call last had a CPU that nothing shorter wanted at @free_ns.
 */
static inline u64 rank_waits_since_ns(u64 queued_ns, u64 free_ns)
{
	return (s64)(queued_ns - free_ns) < 0 ? free_ns : queued_ns;
}

/*
 * True if a long call, or background work, of an agent of class @qos that has its
 * turn @now has waited for that long that it is to have something of it; times as
 * above.
 */
static inline bool rank_has_aged(u64 now, u64 queued_ns, u64 free_ns, u32 qos,
				 const struct rank_knobs *k)
{
	u64 since = queued_ns;

	if (qos != QOS_BACKGROUND)
		since = rank_waits_since_ns(queued_ns, free_ns);
	return (s64)(now - since - rank_long_wait_ns(qos, k)) >= 0 ||
	       (s64)(now - queued_ns - rank_wait_bound_ns(k)) >= 0;
}

/*
 * How long a long call that is run for how long it has waited keeps its CPU, in
 * ns: @turn_ns, or less if a round over all competitors has to be shorter.
 */
static inline u64 rank_aged_turn_ns(u64 turn_ns, u64 round_ns, const struct rank_knobs *k)
{
	u64 turn = turn_ns < round_ns ? turn_ns : round_ns;

	return turn < k->quantum_min_ns ? k->quantum_min_ns : turn;
}

/*
 * Base of background work that had a turn because it had waited for @wait_ns, and
 * now waits again: behind all that has waited for as long, or it would be the
 * first of its queue for ever, but before what came later.
 */
static inline u64 rank_aged_base(u64 base_ns, u64 now, u64 wait_ns)
{
	return (s64)(base_ns - (now - wait_ns)) < 0 ? now - wait_ns : base_ns;
}

/* @delta_ns of CPU time in units of a task of weight 100. @weight: 1..10000. */
static inline u64 rank_weighted_ns(u64 delta_ns, u32 weight)
{
	if (!weight)
		weight = 1;
	return weight == 100 ? delta_ns : delta_ns * 100 / weight;
}

/* True if key @a runs before key @b; keys wrap around. */
static inline bool rank_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

#endif /* SCX_AGENT_RANK_H */
