# SPDX-License-Identifier: GPL-2.0-only
# $AGENTS agents come and go and make $CALLS tool calls, in $PARTS parts; what the daemon and the kernel have
# after each.
. /tests/lib.sh

echo "+cpu +memory" >$cg/cgroup.subtree_control
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
meminfo() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }
none_dying() { grep -q '^nr_dying_descendants 0$' $cg/cgroup.stat; }
no_agents() { scx_agent status --json | grep -q '"agents": 0,'; }
# fds: the fewest of some looks, as whoever asks is connected for a moment.
fds() {
	for _ in 1 2 3 4 5 6 7 8; do
		ls /proc/$scheduler/fd | wc -l
		sleep 0.2
	done | sort -n | head -n 1
}
# sample NAME: once all of the agents is gone.
sample() {
	wait_for 60 no_agents || fact left "$(scx_agent status --json | grep '"agents"')"
	echo 3 >/proc/sys/vm/drop_caches
	wait_for 30 none_dying
	wget -q -O /tmp/metrics.txt http://127.0.0.1:9855/metrics
	fact "$1_rss_kb" "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$scheduler/status)"
	fact "$1_fds" "$(fds)"
	fact "$1_threads" "$(ls /proc/$scheduler/task | wc -l)"
	fact "$1_maps" "$(scx_agent status --json | sed -n 's/.*"maps_bytes": \([0-9]*\).*/\1/p')"
	fact "$1_metrics_lines" "$(wc -l </tmp/metrics.txt)"
	fact "$1_kernel_kb" $(($(meminfo SUnreclaim) + $(meminfo Percpu)))
	fact "$1_dying" "$(sed -n 's/^nr_dying_descendants //p' $cg/cgroup.stat)"
	fact "$1_journal" "$(ls /run/scx_agent | grep -c journal)"
}

start_scheduler week --agent-cgroup 'agents/*' --mem-settle-ms 100
sample 0
part=1
while [ $part -le $PARTS ]; do
	crowd week $((part * AGENTS)) $((AGENTS / PARTS)) $((CALLS / PARTS)) >/out/crowd 2>/out/crowd.err ||
		fact crowd_failed "$(cat /out/crowd.err)"
	sample $part
	part=$((part + 1))
done
fact made "$(sed -n 's/^calls=//p' /out/crowd)"
fact seen "$(scx_agent status --json | sed -n 's/.*"calls_ended": \([0-9]*\).*/\1/p')"
fact untold "$(scx_agent status --json | sed -n 's/.*"untold": \([0-9]*\).*/\1/p')"
fact lost "$(scx_agent status --json | sed -n 's/.*"lost_events": \([0-9]*\).*/\1/p')"
fact state "$(state)"
fact uptime "$(cut -d' ' -f1 /proc/uptime)"
stop_scheduler TERM
fact status $status
