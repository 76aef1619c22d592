# SPDX-License-Identifier: GPL-2.0-only
# What a call leaves running grows, again and again, beyond the limit of an agent that waits; the
# system has no inotify watches left, so that only the kernel half can tell.
. /tests/lib.sh

swap_on_zram
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/grows
MB=256 # pages
high() { cat $cg/agents/grows/memory.high; }
isnt() { [ "$(high)" != "$1" ]; }
# switches COMM: how often threads of that name of the scheduler have gone to sleep.
switches() {
	for t in /proc/$scheduler/task/*; do
		[ "$(cat $t/comm)" = "$1" ] && sed -n 's/^voluntary_ctxt_switches:\t//p' $t/status
	done
}

enter agents/grows agentload burn --stages 3000000000:0:1:$((20 * MB)) &
framework=$!
watches=$(cat /proc/sys/fs/inotify/max_user_watches)
echo 0 >/proc/sys/fs/inotify/max_user_watches
start_scheduler burst -vv --stats 1 --agent-cgroup 'agents/*'
scx_agent check >/out/check.out 2>&1
wait_for 60 isnt max
fact limited $?

# Nothing happens: the controller's thread wakes up for its timer, once a second.
before=$(switches memory)
sleep 10
fact idle_switches $(($(switches memory) - before))

stages=2500000:0:1:$((20 * MB))
for i in 1 2 3 4 5; do stages="$stages,2500000:0:1:$((i * 150 * MB))"; done
(enter agents/grows sh -c "agentload burn --stages $stages </dev/null >/dev/null 2>&1 & echo \$! >/tmp/left; exit 0")
grower=$(cat /tmp/left)
gone() { [ ! -d /proc/$grower ]; }
wait_for 120 gone
fact grown $?
fact peak "$(cat $cg/agents/grows/memory.peak)"
fact throttled "$(high_events grows)"
stop_scheduler TERM
fact status $status
fact high "$(high)"
fact files "$(ls /run/scx_agent | tr '\n' ' ')"
echo $watches >/proc/sys/fs/inotify/max_user_watches
kill $framework
wait
