/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What operators set for an agent: its class and its weight.
 */
#ifndef SCX_AGENT_SETTING_BPF_H
#define SCX_AGENT_SETTING_BPF_H

#include "events.bpf.h"
#include "groups.bpf.h"

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
