/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control of memory in the kernel, where it has memcg_bpf_ops: reclaim passes by
 * agents that wait for their model and by frameworks, and the charges of tool
 * calls over their agent's budget are delayed. An object of its own, for it is
 * loaded only there.
 *
 * The ops are attached to each agent's cgroup and hold for all cgroups below
 * it. What an agent may use is in rooms, which only the user half writes; whose
 * charge it is, the scheduler's task_ctxs tells. No released kernel has the
 * interface: both of its proposed variants are here, and the user half has the
 * one loaded that the kernel's types describe.
 */
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "intf.h"
#include "memcg.bpf.h"
#include "memory.h"
#include "task.bpf.h"

char _license[] SEC("license") = "GPL";

/* By the id of the agent's cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AGENT_MAX_GROUPS);
	__type(key, u64);
	__type(value, struct agent_room);
} rooms SEC(".maps");

/* The agent that @memcg belongs to, and what all of it uses, in pages. */
static __always_inline struct agent_room *room_of(struct mem_cgroup *memcg, u64 *usage_pages)
{
	struct cgroup_subsys_state *css =
		(void *)memcg + bpf_core_field_offset(struct mem_cgroup___agent, css);
	u32 i;

	bpf_for(i, 0, MEMCG_DEPTH) {
		struct agent_room *room;
		u64 id;

		if (!css)
			break;
		id = BPF_CORE_READ(css, cgroup, kn, id);
		room = bpf_map_lookup_elem(&rooms, &id);
		if (room) {
			*usage_pages = memcg_usage(css);
			return room;
		}
		css = BPF_CORE_READ(css, parent);
	}
	return NULL;
}

static __always_inline bool protects(struct mem_cgroup *memcg, u32 level)
{
	u64 usage_pages = 0;
	struct agent_room *room = room_of(memcg, &usage_pages);

	return room && memory_protects(room, usage_pages, level);
}

/* A framework never waits, nor does what is not an agent's and is charged to it. */
static __always_inline bool may_wait(void)
{
	struct task_ctx *tctx = bpf_task_storage_get(&task_ctxs, bpf_get_current_task_btf(), NULL, 0);

	return tctx && tctx->role != ROLE_FRAMEWORK && tctx->role != ROLE_NONE;
}

static __always_inline u32 delay_ms(struct mem_cgroup *memcg)
{
	u64 usage_pages = 0;
	struct agent_room *room = room_of(memcg, &usage_pages);
	u32 ms = room ? memory_delay_ms(room, usage_pages) : 0;

	return ms && may_wait() ? ms : 0;
}

/* The variant of February 2026, which asks beside the cgroup's own memory.low and memory.min. */
struct memcg_bpf_ops___v6 {
	bool (*below_low)(struct mem_cgroup *memcg);
	bool (*below_min)(struct mem_cgroup *memcg);
	unsigned int (*get_high_delay_ms)(struct mem_cgroup *memcg);
};

SEC("struct_ops/below_low")
bool BPF_PROG(below_low_v6, struct mem_cgroup *memcg)
{
	return protects(memcg, PROTECT_LOW);
}

SEC("struct_ops/below_min")
bool BPF_PROG(below_min_v6, struct mem_cgroup *memcg)
{
	return protects(memcg, PROTECT_MIN);
}

SEC("struct_ops/get_high_delay_ms")
unsigned int BPF_PROG(get_high_delay_ms_v6, struct mem_cgroup *memcg)
{
	return delay_ms(memcg);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops___v6 ops_v6 = {
	.below_low		= (void *)below_low_v6,
	.below_min		= (void *)below_min_v6,
	.get_high_delay_ms	= (void *)get_high_delay_ms_v6,
};

/* The variant of May 2026, which leaves the cgroup's own memory.low and memory.min to the program. */
struct memcg_bpf_ops___v7 {
	bool (*below_low)(struct mem_cgroup *memcg, unsigned long elow, unsigned long usage);
	bool (*below_min)(struct mem_cgroup *memcg, unsigned long emin, unsigned long usage);
	unsigned int (*memcg_charged)(struct mem_cgroup *memcg, unsigned int nr_pages);
};

SEC("struct_ops/below_low")
bool BPF_PROG(below_low_v7, struct mem_cgroup *memcg, unsigned long elow, unsigned long usage)
{
	return elow >= usage || protects(memcg, PROTECT_LOW);
}

SEC("struct_ops/below_min")
bool BPF_PROG(below_min_v7, struct mem_cgroup *memcg, unsigned long emin, unsigned long usage)
{
	return emin >= usage || protects(memcg, PROTECT_MIN);
}

SEC("struct_ops/memcg_charged")
unsigned int BPF_PROG(memcg_charged_v7, struct mem_cgroup *memcg, unsigned int nr_pages)
{
	return delay_ms(memcg);
}

SEC(".struct_ops.link")
struct memcg_bpf_ops___v7 ops_v7 = {
	.below_low	= (void *)below_low_v7,
	.below_min	= (void *)below_min_v7,
	.memcg_charged	= (void *)memcg_charged_v7,
};
