# SPDX-License-Identifier: GPL-2.0-only
# `scx_agent ci`, with a scheduler of its own and under one that runs; and `scx_agent top`.
. /tests/lib.sh

# run NAME ARGUMENT...: its exit status, and what it leaves.
run() {
	name=$1
	shift
	scx_agent ci "$@" </dev/null >/out/"$name".out 2>/out/"$name".err
	fact "$name" $?
	fact "${name}_left" "$(state) $(ls -d $cg/scx_agent.ci 2>/dev/null) $(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sleep$')"
}

echo "+cpu +memory +io" >$cg/cgroup.subtree_control

### one of its own, each loaded and unloaded
run own --json /out/own.json -- sh -c 'echo out; /tests/busy.sh; exit 7'
run left --json /out/left.json -- sh -c 'setsid sleep 600 & exit 0'
# Killed, it leaves no scheduler; what it ran is there still, in its cgroup.
scx_agent ci -- sh -c 'echo ready >/tmp/ready; exec sleep 700' 2>/out/kill.err &
pid=$!
wait_for 60 [ -e /tmp/ready ]
kill -KILL $pid
wait $pid 2>/dev/null
wait_for 20 state_is disabled
fact kill_state "$(state)"
echo 1 >$cg/scx_agent.ci/cgroup.kill
wait_for 10 rmdir $cg/scx_agent.ci/*/
rmdir $cg/scx_agent.ci

### under one that runs
mkdir $cg/agents
start_scheduler daemon -v --agent-cgroup 'agents/*'
run running --json /out/running.json -- sh -c '/tests/busy.sh'
run killed --json /out/killed.json -- sh -c 'kill -9 $$'
run framework --json /out/framework.json --framework -- /tests/hooked counted
run claude --json /out/claude.json -- /tests/claude call
run gate --json /out/gate.json --fail-if 'wall_s>0.001' --fail-if 'oom_kills>0' -- true
run gate_open --fail-if 'wall_s>600' --fail-if 'wall_s<0' -- true
run missing -- /no/such/program
run bad_name --name ../x -- true
run bad_gate --fail-if nonsense -- true
run unwritable --json /no/such/file -- true
# Ended by a signal of its own, the command is told.
rm /tmp/ready
scx_agent ci -- sh -c 'trap "exit 9" TERM; echo ready >/tmp/ready; while :; do sleep 0.1; done' 2>/out/term.err &
pid=$!
wait_for 60 [ -e /tmp/ready ]
kill -TERM $pid
wait $pid
fact term $?

### as the documents have it
# Not through the link to busybox, whose own knows no users.
rm -f /bin/setpriv /usr/bin/setpriv
cat >/bin/setpriv <<'END'
#!/bin/sh
while case $1 in -*) true ;; *) false ;; esac; do shift; done
exec "$@"
END
printf '#!/bin/sh\n[ "$1" = test ]\n' >/bin/make
chmod +x /bin/setpriv /bin/make
cd /tmp || exit 1
run_documented

### top, on the way
scx_agent ci --name shown -- sh -c 'echo ready >/tmp/ready2; sh /tests/spin.sh 1 100000000' 2>/out/shown.err &
shown=$!
wait_for 30 [ -e /tmp/ready2 ]
COLUMNS=100 LINES=20 scx_agent top --batch 2 --interval 0.5 >/out/top.out 2>/out/top.err
fact top $?
refused top_no_terminal scx_agent top
scx_agent record --interval 0.2 --for 2 /tmp/recording 2>/out/record.err
fact record $?
scx_agent replay --at 1.5 --print /tmp/recording >/out/replay.out 2>/out/replay.err
fact replay $?
fact recording_mode "$(stat -c %a /tmp/recording)"
refused replay_none scx_agent replay --print /tests/ci.sh
kill -TERM $shown
wait $shown
stop_scheduler TERM
fact daemon_status $status
refused top_alone scx_agent top --batch 1

### where scx_agent cannot schedule, the command runs all the same
agent_config=/tmp/bad.toml
echo 'slice_us = "x"' >$agent_config
run without --config $agent_config --json /out/without.json -- sh -c 'exit 3'
run required --config $agent_config --require-scheduler -- sh -c 'exit 3'
