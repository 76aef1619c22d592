/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an agent's memory is worth to the kernel: pure functions, compiled into
 * memory.bpf.c and, by the unit tests, for the host.
 */
#ifndef SCX_AGENT_MEMORY_H
#define SCX_AGENT_MEMORY_H

#include "intf.h"

/*
 * Delay of a charge, which is of 64 pages as a rule. The kernel ignores one of
 * 10 ms or less and takes 2 s for a longer one. Whoever waits may hold locks of
 * its process: far less than that.
 */
#define MEMORY_DELAY_MIN_MS	20
#define MEMORY_DELAY_MAX_MS	500
/* Least excess, in pages, at which a charge is delayed for the longest time. */
#define MEMORY_SPAN_MIN		1024

/* True if reclaim at @level, an agent_protection, is to pass by an agent that uses @usage_pages. */
static inline bool memory_protects(const struct agent_room *room, u64 usage_pages, u32 level)
{
	return room->protection >= level && usage_pages <= room->kept_pages;
}

/*
 * How long a charge is delayed that leaves its agent with @usage_pages: not at
 * all within the budget, and from an eighth above it on for the longest time.
 */
static inline u32 memory_delay_ms(const struct agent_room *room, u64 usage_pages)
{
	u64 budget = room->budget_pages, over, span;

	if (usage_pages <= budget)
		return 0;
	over = usage_pages - budget;
	span = budget / 8;
	if (span < MEMORY_SPAN_MIN)
		span = MEMORY_SPAN_MIN;
	if (over >= span)
		return MEMORY_DELAY_MAX_MS;
	/* A number of pages has 52 bits at most. */
	return MEMORY_DELAY_MIN_MS + over * (MEMORY_DELAY_MAX_MS - MEMORY_DELAY_MIN_MS) / span;
}

#endif /* SCX_AGENT_MEMORY_H */
