# SPDX-License-Identifier: GPL-2.0-only
# Agents with short calls, one with long ones, and a container that does $HOSTILE (see
# tests/src/bin/hostile.rs) beside them all the time.
. /tests/lib.sh

usage() { sed -n 's/usage_usec //p' $cg/agents/$1/cpu.stat; }
mkdir $cg/agents
echo "+cpu" >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/evil $cg/agents/evil/a $cg/agents/evil/b $cg/agents/long
start_scheduler hostile --no-memory --agent-cgroup 'agents/*'
enter agents/long hostile plain 8 &
long=$!
enter agents/evil hostile $HOSTILE 8 >/out/evil &
evil=$!
sleep 1
e0=$(usage evil) l0=$(usage long)
read -r t0 _ </proc/uptime
agentload run --plan /plan.jsonl --mem off --work-per-ms "$WORK_PER_MS" --out /out/records.jsonl
fact load_status $?
read -r t1 _ </proc/uptime
e1=$(usage evil) l1=$(usage long)
fact evil_us $((e1 - e0))
fact long_us $((l1 - l0))
fact from_s $t0
fact to_s $t1
scx_agent status >/out/status 2>&1
fact state "$(state)"
kill $evil
wait $evil
kill $long
wait $long
echo 1 >$cg/agents/evil/cgroup.kill
echo 1 >$cg/agents/long/cgroup.kill
stop_scheduler TERM
fact scheduler_status $status
