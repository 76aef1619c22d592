/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains: CPUs that share a last-level cache. Each has queues of its own, so that
 * the machine does not share their locks, and what waits has its turn near to what it
 * has in caches. A machine with one such cache has one domain.
 *
 * No domain is an island (balance.bpf.h). A CPU looks at one other domain whenever it
 * looks for a task, each time at the next, and fetches what is first there if it ranks
 * better than all of its own, by the margin for which it would also take a CPU; one that
 * has nothing of its own looks at all. So what a task waits for is bounded as with one queue.
 */
#ifndef SCX_AGENT_DOMAINS_BPF_H
#define SCX_AGENT_DOMAINS_BPF_H

#include "state.bpf.h"

/* Domains other than its own in which a task that wakes up looks for a CPU to take. */
#define DOMAINS_TO_TAKE	2

const volatile u32 nr_domains = 1;
/* Each CPU's, and the CPUs by domain with the place where each domain begins. */
const volatile u16 domain_of[AGENT_MAX_CPUS];
const volatile u16 domain_cpus[AGENT_MAX_CPUS];
const volatile u16 domain_start[AGENT_MAX_DOMAINS + 1];

/*
 * When a long call last had a CPU of the domain that nothing shorter wanted, see
 * rank_waits_since_ns(). Written some times a second at most.
 */
static u64 long_free_ns[AGENT_MAX_DOMAINS];

/* Less than AGENT_MAX_DOMAINS. */
static __always_inline u32 cpu_domain(s32 cpu)
{
	return domain_of[cpu & (AGENT_MAX_CPUS - 1)] & (AGENT_MAX_DOMAINS - 1);
}

/* The next domain after *@at but @domain, in turns; only if there are several. */
static __always_inline u32 domain_next(u32 *at, u32 domain)
{
	u32 next = *at + 1;

	if (next == domain)
		next++;
	if (next >= nr_domains)
		next = !domain;
	*at = next;
	return next & (AGENT_MAX_DOMAINS - 1);
}

#endif /* SCX_AGENT_DOMAINS_BPF_H */
