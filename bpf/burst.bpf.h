/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who runs into memory.high, told before the kernel reclaims for it and makes
 * it wait: a limit that is opened soon enough costs the task nothing. Attached
 * only where memory is controlled and the kernel has the function; elsewhere
 * the user half learns of it from memory.events, up to 10 ms later.
 */
#ifndef SCX_AGENT_BURST_BPF_H
#define SCX_AGENT_BURST_BPF_H

#include "state.bpf.h"
#include "events.bpf.h"
#include "memcg.bpf.h"

/* The types that we are compiled with may lack it. */
enum cgroup_subsys_id___agent {
	memory_cgrp_id___agent,
};

/* Shortest time between two records of one agent. */
#define BURST_EVERY_NS	10000000ULL

/* A cgroup that uses more than its memory.high. */
struct over_high {
	u64 cgroup_id;		/* 0: there is none */
	u64 usage_pages;
	u64 high_pages;
};

/* The innermost cgroup of @p that is over its limit now. */
static __always_inline void over_high_find(struct task_struct *p, struct over_high *over)
{
	u32 idx = bpf_core_enum_value(enum cgroup_subsys_id___agent, memory_cgrp_id___agent);
	void *subsys = (void *)BPF_CORE_READ(p, cgroups) +
		       bpf_core_field_offset(struct css_set, subsys);
	struct cgroup_subsys_state *css;
	u32 i;

	if (bpf_probe_read_kernel(&css, sizeof(css), subsys + idx * sizeof(css)))
		return;
	bpf_for(i, 0, MEMCG_DEPTH) {
		u64 usage, high;

		if (!css)
			break;
		usage = memcg_usage(css);
		high = BPF_CORE_READ(memcg_of(css), memory.high);
		if (usage > high) {
			over->cgroup_id = BPF_CORE_READ(css, cgroup, kn, id);
			over->usage_pages = usage;
			over->high_pages = high;
			break;
		}
		css = BPF_CORE_READ(css, parent);
	}
}

/*
 * Called on the way back to user space, and at the end of large charges, by a
 * task that has charged while its cgroup or one above was over the limit; it
 * may be preempted here. If what is kept with it cannot be had for that
 * reason, the record is left to the next task, and to memory.events.
 */
SEC("?fentry/__mem_cgroup_handle_over_high")
int BPF_PROG(on_over_high)
{
	struct task_struct *p = bpf_get_current_task_btf();
	struct task_ctx *tctx = task_ctx(p);
	struct over_high over = {};
	struct agent_event *e;
	struct group *grp;
	u64 now, last;
	u32 slot;

	if (!tctx)
		return 0;
	slot = tctx->group;
	grp = group_at(slot);
	if (!grp || !(grp->flags & GROUP_AGENT))
		return 0;
	/* The user half's clock: it says how long it took to hear of this. */
	now = bpf_ktime_get_ns();
	last = grp->over_high_ns;
	if (time_delta(now, last) < BURST_EVERY_NS)
		return 0;
	over_high_find(p, &over);
	/* It may have given memory back meanwhile; of several at once, one tells. */
	if (!over.cgroup_id ||
	    __sync_val_compare_and_swap(&grp->over_high_ns, last, now) != last)
		return 0;
	e = event_reserve(EVENT_OVER_HIGH, slot, grp->cgroup_id, now);
	if (!e)
		return 0;
	e->pid = p->tgid;
	e->over_id = over.cgroup_id;
	e->usage_pages = over.usage_pages;
	e->high_pages = over.high_pages;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

#endif /* SCX_AGENT_BURST_BPF_H */
