# SPDX-License-Identifier: GPL-2.0-only
# Frameworks of several shapes, one agent each, and containers that are found by themselves.
. /tests/lib.sh

mkdir $cg/agents
echo "+cpu" >$cg/agents/cgroup.subtree_control
# There before the scheduler: a framework with a call.
mkdir $cg/agents/early
enter agents/early /tests/claude early &
sleep 0.6
start_scheduler shapes -v --agent-cgroup 'agents/*' --events /out/shapes.jsonl
shapes="call session two relaunch reexec nested background busy work"
for s in $shapes; do
	mkdir $cg/agents/$s
	enter agents/$s /tests/claude $s &
	echo $! >/tmp/$s.pid
done
sleep 0.1 # all frameworks are in

# From outside while a framework is there, twice; what comes from outside execs on.
mkdir $cg/agents/outside
enter agents/outside /tests/claude idle 3 &
sleep 0.5
enter agents/outside /bin/sh -c 'sleep 0.2; exit 0' &
fact outside_pid $!
wait $!

# The agent's own sub-cgroup.
mkdir $cg/agents/nest $cg/agents/nest/sub
enter agents/nest /tests/claude idle 2 &
sleep 0.5
enter agents/nest/sub /bin/sh -c 'sleep 0.2; exit 0' &
fact sub_pid $!
for s in $shapes; do
	wait_for 20 [ ! -e /proc/$(cat /tmp/$s.pid) ]
done
sleep 2.5
stop_scheduler TERM
fact shapes_status $status

# Without globs: containers with a known framework.
id=$(for i in 1 2 3 4; do printf 0123456789abcdef; done)
with=system.slice/docker-$id.scope
without=system.slice/docker-f$id.scope
plain=system.slice/cron.service
mkdir -p $cg/$with $cg/$without $cg/$plain
mkdir /tmp/gemini-cli
cp /tests/claude /tmp/node
cp /tests/claude /tmp/gemini-cli/node
cp /bin/agentload /tmp/python3 # ends at once: only its arguments matter
cat >/tmp/init <<'INIT'
#!/bin/sh
# Begins the framework, and looks after it all the time.
/tests/claude call2 &
while kill -0 $! 2>/dev/null; do sleep 0.1; done
INIT
chmod +x /tmp/init
mv /out/facts /tmp/facts
start_scheduler auto -v --events /out/auto.jsonl --framework-arg my-agent
for c in $with $plain; do enter $c /tests/claude call2 & done
enter $without /tmp/node call2 &
# Told by script or module, or not.
container() { # container NAME COMMAND...: in a container of this name
	dir=system.slice/docker-$1.scope
	mkdir $cg/$dir
	shift
	enter $dir "$@" &
}
container script /tmp/gemini-cli/node call2
container module /tmp/python3 -m openhands.server
container mine /tmp/python3 -u /opt/my-agent/main.py
container other /tmp/python3 train.py aider
container named /tmp/python3 -m my_aider
container init /tmp/init
mkdir $cg/system.slice/docker-late.scope
# Found when the framework shows up, which may be late.
enter system.slice/docker-late.scope /bin/sh -c 'sleep 0.5; /tests/claude call2; exit 0' &
told() { # told EVENT MORE: how many such lines
	grep "\"event\":\"$1\"" /out/auto.jsonl | grep -c "$2"
}
all_told() {
	[ "$(told agent '')" -ge 6 ] || return 1
	for name in ${with##*/} docker-init docker-late docker-script; do
		[ "$(told call_end "$name")" -ge 1 ] || return 1
	done
}
wait_for 60 all_told
sleep 1 # others are not found
stop_scheduler TERM
mv /tmp/facts /out/facts
fact auto_status $status
fact nr_rejected "$(cat $ext/nr_rejected)"
fact container $with
