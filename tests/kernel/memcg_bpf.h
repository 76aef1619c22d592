/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory policy of cgroups in BPF, for scx_agent's tests: see mm/memcg_bpf.c. */
#ifndef _LINUX_MEMCG_BPF_H
#define _LINUX_MEMCG_BPF_H

#include <linux/types.h>

struct bpf_link;
struct cgroup;
struct mem_cgroup;
union bpf_attr;

/* What a struct_ops link is for. */
struct memcg_bpf_target {
	struct cgroup *cgroup;		/* NULL: for none */
	struct mem_cgroup *memcg;	/* whose ops it has set, with a reference */
	u32 flags;
};

int memcg_bpf_get_target(const union bpf_attr *attr, struct memcg_bpf_target *target);
void memcg_bpf_put_target(struct memcg_bpf_target *target);
struct memcg_bpf_target *memcg_bpf_target(struct bpf_link *link);

/* Jiffies that a charge of @nr_pages has to wait. */
unsigned long memcg_bpf_charged(struct mem_cgroup *memcg, unsigned int nr_pages);
/* Waits until @delay jiffies have passed since @begin. */
void memcg_bpf_sleep(unsigned long delay, unsigned long begin);
void memcg_bpf_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages);
void memcg_bpf_online(struct mem_cgroup *memcg);
void memcg_bpf_offline(struct mem_cgroup *memcg);

#endif /* _LINUX_MEMCG_BPF_H */
