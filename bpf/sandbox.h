/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Agents in sandboxes that show nothing of what runs in them: gVisor keeps its
 * tasks to itself, a virtual machine shows its virtual CPUs. Such an agent is
 * one class: no framework, no tool calls, and phases from CPU time alone. Pure
 * functions, compiled into the BPF object and, by the unit tests, for the host.
 */
#ifndef SCX_AGENT_SANDBOX_H
#define SCX_AGENT_SANDBOX_H

#include "classify.h"

/* Bytes of an executable's name that are looked at, with its NUL. */
#define SANDBOX_NAME_LEN 24

/*
 * True if an executable called @name, padded with NULs, is such a sandbox:
 * gVisor's runsc, Firecracker, and what Kata Containers run (QEMU, Cloud
 * Hypervisor, and the shim that has Dragonball in it). Asked only of what comes
 * first in an agent's cgroup: a QEMU that an agent starts is a tool call.
 */
static inline bool sandbox_executable(const char *name)
{
	return begins_with(name, "runsc", 6) || begins_with(name, "firecracker", 12) ||
	       begins_with(name, "qemu-system-", 12) || begins_with(name, "qemu-kvm", 9) ||
	       begins_with(name, "cloud-hypervisor", 17) ||
	       begins_with(name, "containerd-shim-kata", 20);
}

/* Percent of a CPU from which a sandbox works; idle ones have timers, and wait for a stream of tokens. */
#define SANDBOX_BUSY_PCT 20

/* Ticks in a row without work that are a wait for the model: tool calls pause, too. */
#define SANDBOX_QUIET_TICKS 5

/*
 * Phase of an agent in a sandbox that is in @phase, after a tick of @tick_ns in
 * which it had @ran_ns of CPU time. @quiet: ticks without work, kept by the
 * caller. What is work in it is a tool call for all that can be seen.
 */
static inline u32 sandbox_phase(u32 phase, u64 ran_ns, u64 tick_ns, u32 *quiet)
{
	if (ran_ns >= tick_ns * SANDBOX_BUSY_PCT / 100) {
		*quiet = 0;
		return PHASE_TOOL;
	}
	if (*quiet < SANDBOX_QUIET_TICKS)
		(*quiet)++;
	return *quiet < SANDBOX_QUIET_TICKS ? phase : PHASE_LLM_WAIT;
}

#endif /* SCX_AGENT_SANDBOX_H */
