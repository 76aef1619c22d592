# SPDX-License-Identifier: GPL-2.0-only
# $AGENTS agents of $TASKS tasks, each with up to 25 execs a second for $RUN_S s; then more cgroups
# than there is room for.
. /tests/lib.sh

mkdir $cg/agents
start_scheduler scale -v --check-roles --no-memory --agent-cgroup 'agents/*' --events /out/scale.jsonl
scx_agent status >/out/status0
crowd agents $AGENTS $TASKS 25 $RUN_S >/out/crowd 2>/out/crowd.err &
crowd=$!
sleep $((RUN_S / 2))
scx_agent status >/out/status1
wait $crowd
fact crowd_status $?
sleep 1
stop_scheduler TERM
fact scheduler_status $status

start_scheduler full --no-memory --agent-cgroup 'agents/*' -v
crowd cgroups $cg/fill 8300
mkdir $cg/agents/late
sleep 11 # the daemon looks every ten seconds
scx_agent status >/out/status2
fact full_status $?
crowd remove $cg/fill
mkdir $cg/agents/later
(enter agents/later /tests/claude call)
sleep 1
fact state "$(state)"
stop_scheduler TERM
