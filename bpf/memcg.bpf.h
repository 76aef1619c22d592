/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory cgroups, as far as they are read. */
#ifndef SCX_AGENT_MEMCG_BPF_H
#define SCX_AGENT_MEMCG_BPF_H

/* Levels of the hierarchy that are looked at, from a task's upwards. */
#define MEMCG_DEPTH	16

/* The types that we are compiled with may lack what is read. */
struct mem_cgroup___agent {
	struct cgroup_subsys_state css;
	struct page_counter memory;
} __attribute__((preserve_access_index));

static __always_inline struct mem_cgroup___agent *memcg_of(struct cgroup_subsys_state *css)
{
	return (void *)css - bpf_core_field_offset(struct mem_cgroup___agent, css);
}

/* In pages. */
static __always_inline u64 memcg_usage(struct cgroup_subsys_state *css)
{
	return BPF_CORE_READ(memcg_of(css), memory.usage.counter);
}

#endif /* SCX_AGENT_MEMCG_BPF_H */
