// SPDX-License-Identifier: GPL-2.0-only
/*
 * memcg_bpf_ops: programs that protect a cgroup from reclaim and that delay its
 * charges. A stand-in, written for scx_agent's tests, for an interface that no
 * released kernel has; the members, CONFIG_MEMCG_BPF_OPS_V6, and the ways to
 * attach, memcg_bpf_attach= at boot, are those of its proposed variants.
 *
 * A cgroup's ops hold for all below it that have none of their own.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/memcg_bpf.h>
#include <linux/memcontrol.h>
#include <linux/psi.h>
#include <linux/sched/signal.h>

#define BPF_F_CGROUP_FD		(1U << 7)
#define MEMCG_BPF_DELAY_MAX_MS	2000
#define MEMCG_BPF_DELAY_MIN_MS	10

struct memcg_bpf_ops {
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	void (*handle_cgroup_online)(struct mem_cgroup *memcg);
	void (*handle_cgroup_offline)(struct mem_cgroup *memcg);
	bool (*below_low)(struct mem_cgroup *memcg);
	bool (*below_min)(struct mem_cgroup *memcg);
	unsigned int (*get_high_delay_ms)(struct mem_cgroup *memcg);
#else
	bool (*below_low)(struct mem_cgroup *memcg, unsigned long elow, unsigned long usage);
	bool (*below_min)(struct mem_cgroup *memcg, unsigned long emin, unsigned long usage);
	unsigned int (*memcg_charged)(struct mem_cgroup *memcg, unsigned int nr_pages);
	void (*memcg_uncharged)(struct mem_cgroup *memcg, unsigned int nr_pages);
#endif
};

/* How a link names its cgroup. */
static enum { ATTACH_RELATIVE, ATTACH_FLAG, ATTACH_PLAIN } attach_form =
	IS_ENABLED(CONFIG_MEMCG_BPF_OPS_V6) ? ATTACH_RELATIVE : ATTACH_FLAG;

static int __init attach_setup(char *form)
{
	if (!strcmp(form, "relative"))
		attach_form = ATTACH_RELATIVE;
	else if (!strcmp(form, "flag"))
		attach_form = ATTACH_FLAG;
	else if (!strcmp(form, "plain"))
		attach_form = ATTACH_PLAIN;
	else
		return 0;
	return 1;
}
__setup("memcg_bpf_attach=", attach_setup);

int memcg_bpf_get_target(const union bpf_attr *attr, struct memcg_bpf_target *target)
{
	u32 fd = attr->link_create.target_fd;
	struct cgroup *cgroup;

	target->flags = attr->link_create.flags;
	if (attach_form == ATTACH_RELATIVE)
		fd = attr->link_create.cgroup.relative_fd;
	else if (attach_form == ATTACH_FLAG && !(target->flags & BPF_F_CGROUP_FD))
		fd = 0;
	if (attach_form != ATTACH_FLAG && (target->flags & BPF_F_CGROUP_FD))
		return -EINVAL;
	if (!fd)
		return 0;
	cgroup = cgroup_get_from_fd(fd);
	if (IS_ERR(cgroup))
		return PTR_ERR(cgroup);
	target->cgroup = cgroup;
	return 0;
}

void memcg_bpf_put_target(struct memcg_bpf_target *target)
{
	if (target->cgroup)
		cgroup_put(target->cgroup);
	target->cgroup = NULL;
}

/* The cgroup at or above @memcg that has ops. */
static struct mem_cgroup *ops_owner(struct mem_cgroup *memcg)
{
	while (memcg && !READ_ONCE(memcg->bpf_ops))
		memcg = parent_mem_cgroup(memcg);
	return memcg;
}

/* Under rcu_read_lock(), which also keeps the programs. */
static const struct memcg_bpf_ops *ops_of(struct mem_cgroup *memcg)
{
	memcg = ops_owner(memcg);
	return memcg ? READ_ONCE(memcg->bpf_ops) : NULL;
}

bool memcg_bpf_below_low(struct mem_cgroup *memcg, bool below)
{
	const struct memcg_bpf_ops *ops;

	guard(rcu)();
	ops = ops_of(memcg);
	if (!ops || !ops->below_low)
		return below;
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	return below || ops->below_low(memcg);
#else
	return ops->below_low(memcg, READ_ONCE(memcg->memory.elow),
			      page_counter_read(&memcg->memory));
#endif
}

bool memcg_bpf_below_min(struct mem_cgroup *memcg, bool below)
{
	const struct memcg_bpf_ops *ops;

	guard(rcu)();
	ops = ops_of(memcg);
	if (!ops || !ops->below_min)
		return below;
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	return below || ops->below_min(memcg);
#else
	return ops->below_min(memcg, READ_ONCE(memcg->memory.emin),
			      page_counter_read(&memcg->memory));
#endif
}

unsigned long memcg_bpf_charged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
	const struct memcg_bpf_ops *ops;
	unsigned int ms = 0;

	guard(rcu)();
	ops = ops_of(memcg);
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	if (ops && ops->get_high_delay_ms)
		ms = ops->get_high_delay_ms(memcg);
#else
	if (ops && ops->memcg_charged)
		ms = ops->memcg_charged(memcg, nr_pages);
#endif
	if (ms <= MEMCG_BPF_DELAY_MIN_MS)
		return 0;
	return msecs_to_jiffies(min_t(unsigned int, ms, MEMCG_BPF_DELAY_MAX_MS));
}

void memcg_bpf_sleep(unsigned long delay, unsigned long begin)
{
	unsigned long spent = jiffies - begin;
	unsigned long pflags;

	if (spent >= delay)
		return;
	psi_memstall_enter(&pflags);
	schedule_timeout_killable(delay - spent);
	psi_memstall_leave(&pflags);
}

void memcg_bpf_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages)
{
#ifndef CONFIG_MEMCG_BPF_OPS_V6
	const struct memcg_bpf_ops *ops;

	guard(rcu)();
	ops = ops_of(memcg);
	if (ops && ops->memcg_uncharged)
		ops->memcg_uncharged(memcg, nr_pages);
#endif
}

void memcg_bpf_online(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	const struct memcg_bpf_ops *ops;

	guard(rcu)();
	ops = ops_of(memcg);
	if (ops && ops->handle_cgroup_online)
		ops->handle_cgroup_online(memcg);
#endif
}

void memcg_bpf_offline(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG_BPF_OPS_V6
	const struct memcg_bpf_ops *ops;

	guard(rcu)();
	ops = ops_of(memcg);
	if (ops && ops->handle_cgroup_offline)
		ops->handle_cgroup_offline(memcg);
#endif
}

static int memcg_ops_reg(void *kdata, struct bpf_link *link)
{
	struct memcg_bpf_target *target;
	struct cgroup_subsys_state *css;
	struct mem_cgroup *memcg, *owner;
	int err = 0;

	if (!link)
		return -EOPNOTSUPP;
	target = memcg_bpf_target(link);
	if (!target->cgroup)
		return -ENOENT;
	if (target->flags & ~(BPF_F_ALLOW_OVERRIDE | BPF_F_CGROUP_FD))
		return -EINVAL;
	css = cgroup_get_e_css(target->cgroup, &memory_cgrp_subsys);
	memcg = mem_cgroup_from_css(css);
	if (css->cgroup != target->cgroup) {
		css_put(css);
		return -EOPNOTSUPP; /* no memory controller there */
	}
	cgroup_lock();
	owner = ops_owner(memcg);
	if (owner && (owner == memcg || !(owner->bpf_flags & BPF_F_ALLOW_OVERRIDE))) {
		err = -EBUSY;
	} else {
		memcg->bpf_flags = target->flags;
		smp_store_release(&memcg->bpf_ops, (const struct memcg_bpf_ops *)kdata);
		target->memcg = memcg;
	}
	cgroup_unlock();
	if (err)
		css_put(css);
	return err;
}

static void memcg_ops_unreg(void *kdata, struct bpf_link *link)
{
	struct memcg_bpf_target *target = memcg_bpf_target(link);
	struct mem_cgroup *memcg = target->memcg;

	WRITE_ONCE(memcg->bpf_ops, NULL);
	target->memcg = NULL;
	mem_cgroup_put(memcg);
}

static int memcg_ops_init(struct btf *btf)
{
	return 0;
}

static int memcg_ops_check_member(const struct btf_type *t, const struct btf_member *member,
				  const struct bpf_prog *prog)
{
	return prog->sleepable ? -EINVAL : 0;
}

static int memcg_ops_init_member(const struct btf_type *t, const struct btf_member *member,
				 void *kdata, const void *udata)
{
	return 0;
}

static bool memcg_ops_is_valid_access(int off, int size, enum bpf_access_type type,
				      const struct bpf_prog *prog,
				      struct bpf_insn_access_aux *info)
{
	return bpf_tracing_btf_ctx_access(off, size, type, prog, info);
}

static const struct bpf_verifier_ops memcg_ops_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= memcg_ops_is_valid_access,
};

/* What programs are checked against; called only where there are none. */
#ifdef CONFIG_MEMCG_BPF_OPS_V6
static void stub_line(struct mem_cgroup *memcg) {}
static bool stub_below(struct mem_cgroup *memcg) { return false; }
static unsigned int stub_delay(struct mem_cgroup *memcg) { return 0; }

static struct memcg_bpf_ops memcg_ops_stubs = {
	.handle_cgroup_online	= stub_line,
	.handle_cgroup_offline	= stub_line,
	.below_low		= stub_below,
	.below_min		= stub_below,
	.get_high_delay_ms	= stub_delay,
};
#else
static bool stub_below(struct mem_cgroup *memcg, unsigned long limit, unsigned long usage)
{
	return false;
}
static unsigned int stub_charged(struct mem_cgroup *memcg, unsigned int nr_pages) { return 0; }
static void stub_uncharged(struct mem_cgroup *memcg, unsigned int nr_pages) {}

static struct memcg_bpf_ops memcg_ops_stubs = {
	.below_low		= stub_below,
	.below_min		= stub_below,
	.memcg_charged		= stub_charged,
	.memcg_uncharged	= stub_uncharged,
};
#endif

static struct bpf_struct_ops bpf_memcg_bpf_ops = {
	.verifier_ops	= &memcg_ops_verifier_ops,
	.init		= memcg_ops_init,
	.check_member	= memcg_ops_check_member,
	.init_member	= memcg_ops_init_member,
	.reg		= memcg_ops_reg,
	.unreg		= memcg_ops_unreg,
	.cfi_stubs	= &memcg_ops_stubs,
	.name		= "memcg_bpf_ops",
	.owner		= THIS_MODULE,
};

static int __init memcg_bpf_init(void)
{
	return register_bpf_struct_ops(&bpf_memcg_bpf_ops, memcg_bpf_ops);
}
late_initcall(memcg_bpf_init);
