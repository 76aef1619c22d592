# SPDX-License-Identifier: GPL-2.0-only
# Life of the daemon: load, serve, end.
. /tests/lib.sh

scx_agent --version >/out/version.out 2>&1
fact version $?
scx_agent --help-stats >/out/help-stats.out 2>&1
fact help_stats $?
fact state_before "$(state)"

mkdir $cg/agents $cg/agents/early
enter agents/early sleep 1000 &
wait_for 60 grep -q . $cg/agents/early/cgroup.procs
start_scheduler first -v --stats 0.5 --events /out/events.jsonl \
	--agent-cgroup 'agents/*' --agent-cgroup 'nowhere/*.scope'
fact ops "$(cat $ext/root/ops)"
mkdir $cg/agents/late
(enter agents/late sleep 0.3)
timeout 3 scx_agent --monitor 0.5 >/out/monitor.out 2>/out/monitor.err
rmdir $cg/agents/late
wait_for 20 grep -q agent_gone /out/events.jsonl
stop_scheduler TERM
fact term_status $status
fact term_state "$(state)"
fact term_ops "$(cat $ext/root/ops 2>/dev/null)"

start_scheduler second -vv
stop_scheduler INT
fact int_status $status
fact int_state "$(state)"
fact nr_rejected "$(cat $ext/nr_rejected)"
fact enable_seq "$(cat $ext/enable_seq)"
