/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The object is opened, as an observer, on kernels without sched_ext as well
 * (observe.bpf.h). There its functions are missing, or have prototypes that do
 * not fit; libbpf minds that of all functions that an object names, loaded or
 * not, unless they are weak. Those that scx/common.bpf.h does not declare weak,
 * before it does:
 */
#ifndef SCX_AGENT_WEAK_BPF_H
#define SCX_AGENT_WEAK_BPF_H

/* As scx/common.bpf.h has it. */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym __weak;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data_len) __ksym __weak;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym __weak;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym __weak;
const struct cpumask *scx_bpf_get_idle_cpumask(void) __ksym __weak;
const struct cpumask *scx_bpf_get_idle_smtmask(void) __ksym __weak;
void scx_bpf_put_idle_cpumask(const struct cpumask *cpumask) __ksym __weak;
s32 scx_bpf_pick_idle_cpu(const cpumask_t *cpus_allowed, u64 flags) __ksym __weak;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym __weak;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym __weak;

#endif /* SCX_AGENT_WEAK_BPF_H */
