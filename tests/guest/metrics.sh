# SPDX-License-Identifier: GPL-2.0-only
# Metrics over HTTP, and the log of tool calls.
. /tests/lib.sh

now_ms() { echo "$(cut -d' ' -f1 /proc/uptime | tr -d .)0"; }

# get NAME URL: what is there, its head included, and that it came soon.
get() {
	began=$(now_ms)
	wget -q -S -O /out/"$1" "$2" 2>/out/"$1".head
	fact "$1" $?
	fact "${1}_ms" $(($(now_ms) - began))
}

echo "+cpu +memory" >$cg/cgroup.subtree_control
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
evil=$(printf 'evil"} 1 \\\033[2J') # the kernel refuses a newline
start_scheduler metrics -v --agent-cgroup 'agents/*' --metrics-agents 3 \
	--call-log /out/calls.jsonl --call-log-mb 1 --call-log-files 1
for name in one "$evil" two three four; do
	mkdir "$cg/agents/$name"
	enter "agents/$name" setsid /tests/hooked counted &
	pids="$pids $!"
	sleep 0.5 # one after the other: the first three have metrics of their own
done

# Who connects and says nothing holds nobody up for long.
(sleep 30 | nc 127.0.0.1 9855 >/dev/null) &
silent=$!
sleep 0.2
get stalled http://127.0.0.1:9855/metrics
head -c 100000 /dev/urandom | timeout 10 nc 127.0.0.1 9855 >/dev/null
kill $silent
# shellcheck disable=SC2086
wait $pids
wait_for 10 sh -c "! scx_agent calls --running --json | grep -q '\"agent\"'"
get first http://127.0.0.1:9855/metrics
get second http://127.0.0.1:9855/metrics
get none http://127.0.0.1:9855/other
scx_agent calls --json >/out/calls.json
scx_agent status --json >/out/status.json

stop_scheduler TERM
fact status $status
fact log_mode "$(stat -c %a /out/calls.jsonl)"

# The port is taken: if it was asked for, that is an error; else it is told.
nc -l -p 9855 </dev/null >/dev/null 2>&1 &
taken=$!
sleep 0.3
refused taken scx_agent --agent-cgroup 'agents/*' --metrics 127.0.0.1:9855
start_scheduler without --agent-cgroup 'agents/*'
stop_scheduler TERM
fact without_status $status
kill $taken
start_scheduler off --agent-cgroup 'agents/*' --metrics off
get off http://127.0.0.1:9855/metrics
stop_scheduler TERM
