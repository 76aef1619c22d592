# SPDX-License-Identifier: GPL-2.0-only
# Two agents that could each use the whole machine: one with a few long calls, one that splits its
# work into many short ones. What each gets is the kernel's own account of its cgroup.
. /tests/lib.sh

agentload run --plan /plan.jsonl --mem off --work-per-ms "$WORK_PER_MS" &
load=$!
usage() { sed -n 's/usage_usec //p' $cg/agents/$1/cpu.stat; }
wait_for 20 [ -e $cg/agents/splitter/cpu.stat ]
sleep 2 # both are at work
l0=$(usage long) s0=$(usage splitter)
read -r t0 _ </proc/uptime
sleep 8
l1=$(usage long) s1=$(usage splitter)
read -r t1 _ </proc/uptime
fact long_us $((l1 - l0))
fact splitter_us $((s1 - s0))
fact from_s $t0
fact to_s $t1
kill -TERM $load
wait $load
exit 0
