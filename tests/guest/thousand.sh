# SPDX-License-Identifier: GPL-2.0-only
# A host with a thousand agents at rest: what the daemon costs, and how fast it answers.
. /tests/lib.sh

ms() { echo "$(cut -d' ' -f1 /proc/uptime | tr -d .)0"; }
# rest NAME: CPU time of the daemon in ms over 10 s, and its memory in KB.
rest() {
	before=$(cut -d' ' -f14,15 /proc/$scheduler/stat)
	sleep 10
	after=$(cut -d' ' -f14,15 /proc/$scheduler/stat)
	# shellcheck disable=SC2086
	set -- "$1" $before $after
	fact "${1}_cpu_ms" $((($4 + $5 - $2 - $3) * 10))
	fact "${1}_rss_kb" "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$scheduler/status)"
}
# took NAME COMMAND...: the fastest of five, in ms.
took() {
	name=$1
	shift
	best=999999
	for _ in 1 2 3 4 5; do
		began=$(ms)
		"$@" >/out/"$name".out 2>&1
		took=$(($(ms) - began))
		[ $took -ge $best ] || best=$took
	done
	fact "$name" $best
}

echo "+cpu +memory" >$cg/cgroup.subtree_control
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
start_scheduler thousand --agent-cgroup 'agents/*'
rest none
i=0
while [ $i -lt 1000 ]; do
	mkdir $cg/agents/agent-$i
	(echo 0 >$cg/agents/agent-$i/cgroup.procs && exec sleep 10000) &
	i=$((i + 1))
done
all_found() { scx_agent status --json | grep -q '"agents": 1000,'; }
wait_for 60 all_found
fact found $?
sleep 15
rest rest
took nothing scx_agent --version
took status scx_agent status
took scrape wget -q -O /tmp/metrics.txt http://127.0.0.1:9855/metrics
took fork wget -q -O /dev/null http://127.0.0.1:9855/
COLUMNS=80 LINES=24 took top scx_agent top --batch 1 --interval 0.01
cp /tmp/metrics.txt /out/
stop_scheduler TERM
fact status_code $status
