/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What operators set for an agent: its class, its weight, and the CPUs that
 * all work in the background keeps to.
 */
#ifndef SCX_AGENT_SETTING_BPF_H
#define SCX_AGENT_SETTING_BPF_H

#include "events.bpf.h"
#include "groups.bpf.h"
#include "cpus.bpf.h"

/* Take note of those of the CPUs for work in the background that are @online, once. */
static __always_inline s32 background_confine(const struct cpumask *online)
{
	struct bpf_cpumask *mask;
	u32 cpu;

	if (!background_confined)
		return 0;
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	bpf_for(cpu, 0, nr_cpu_ids)
		if (cpu_for_background(cpu) && bpf_cpumask_test_cpu(cpu, online))
			bpf_cpumask_set_cpu(cpu, mask);
	mask = bpf_kptr_xchg(&background_mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

/* Called by the user half. */
SEC("syscall")
int set_agent(struct agent_setting *s)
{
	struct cgroup *cgrp = bpf_cgroup_from_id(s->cgroup_id);
	struct group *grp;
	u32 slot;

	s->found = s->later = 0;
	if (!cgrp)
		return 0;
	slot = group_of(cgrp);
	bpf_cgroup_release(cgrp);
	s->later = slot == SLOT_UNKNOWN;
	if (!slot || s->later || s->qos >= QOS_NR)
		return 0;
	grp = group_at(slot);
	/* Inside an agent the slot is the agent's, and what is in there is not told apart. */
	if (!grp || grp->cgroup_id != s->cgroup_id)
		return 0;
	s->found = 1;
	if (s->qos == QOS_BACKGROUND)
		background_seen = 1;
	grp->qos = s->qos;
	grp->own_weight = s->weight;
	if (grp->flags & GROUP_AGENT)
		event_set(grp, slot, scx_bpf_now());
	return 0;
}

#endif /* SCX_AGENT_SETTING_BPF_H */
