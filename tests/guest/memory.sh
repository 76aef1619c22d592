# SPDX-License-Identifier: GPL-2.0-only
# Memory by phase, and every end of the daemon.
. /tests/lib.sh

swap_on_zram
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control

MB=256 # pages
high() { cat $cg/agents/$1/memory.high; }
current() { cat $cg/agents/$1/memory.current; }
is() { [ "$(high $1)" = "$2" ]; }
isnt() { [ "$(high $1)" != "$2" ]; }
below() { [ "$(current $1)" -lt "$2" ]; }
said() { grep -q "$2" /out/$1.err; }
# framework AGENT MB: a process that holds memory and sleeps, as one that waits for its model.
framework() {
	[ -d $cg/agents/$1 ] || mkdir $cg/agents/$1
	enter agents/$1 agentload burn --stages 3000000000:0:1:$(($2 * MB)) &
}
# tool AGENT COMMAND: from outside, which is a call.
tool() { (enter agents/$1 sh -c "$2"); }
run() { start_scheduler "$1" -v --stats 1 --agent-cgroup 'agents/*'; }

framework a 100
mkdir $cg/agents/limited
echo 1G >$cg/agents/limited/memory.high
framework limited 20

### phases
run phases
wait_for 60 isnt a max
fact wait_limited $?
fact wait_high "$(high a)"
fact wait_current "$(current a)"
before=$(high_events a)
tool a 'dd if=/dev/zero of=/dev/shm/left bs=1M count=300 2>/dev/null; cat '$cg/agents/a/memory.high' >/tmp/in_call; exit 0'
fact call_high "$(cat /tmp/in_call)"
fact call_peak "$(current a)"
fact call_high_events $(($(high_events a) - before))
wait_for 120 below a $((260 * 1048576))
fact reclaimed $?
wait_for 20 isnt a max
sleep 3
fact after_high "$(high a)"
fact after_current "$(current a)"
fact after_swap "$(cat $cg/agents/a/memory.swap.current)"
fact after_high_events $(($(high_events a) - before))

# What a call leaves running grows while the agent waits, beyond its limit: it gets room.
framework grows 20
wait_for 60 isnt grows max
tool grows "(sleep 6; agentload burn --stages 2000000:0:1:$((300 * MB))) </dev/null >/dev/null 2>&1 & exit 0"
wait_for 60 isnt grows max
above() { [ "$(current $1)" -gt "$2" ]; }
wait_for 60 above grows $((300 * 1048576))
fact grown $?
fact grown_high_events "$(high_events grows)"

# Somebody else's value, and a cgroup that goes away.
framework foreign 20
framework removed 20
removed=$!
wait_for 60 isnt foreign max
wait_for 60 isnt removed max
fact removed_limited $?
echo 734003200 >$cg/agents/foreign/memory.high
echo 1 >$cg/agents/removed/cgroup.kill
wait $removed
rmdir $cg/agents/removed
wait_for 20 said phases '"foreign".*left alone'
fact foreign_said $?
tool foreign 'sleep 0.2; exit 0'
sleep 2
fact foreign_high "$(high foreign)"
wait_for 60 isnt limited 1073741824
fact limited_high "$(high limited)"
stop_scheduler TERM
fact term_status $status
fact term_a "$(high a)"
fact term_limited "$(high limited)"
fact term_foreign "$(high foreign)"
fact term_left "$(ls /run/scx_agent | tr '\n' ' ')"
echo max >$cg/agents/foreign/memory.high
rm /dev/shm/left

### kill -9
all_back() { is a max && is limited 1073741824; }
no_daemon() { ! pidof scx_agent >/dev/null; }
run killed
wait_for 60 isnt a max
wait_for 60 isnt limited 1073741824
fact killed_limited "$(high a) $(high limited)"
stop_scheduler KILL
wait_for 20 all_back
fact killed_back $?
wait_for 20 no_daemon
fact killed_guard_gone $?
fact killed_left "$(ls /run/scx_agent | tr '\n' ' ')"

### the guard is killed with it: the next start finds the journal, and so does what units of earlier versions have
run nobody
wait_for 60 isnt a max
wait_for 60 isnt limited 1073741824
kill -9 $(pidof scx_agent)
wait $scheduler
wait_for 20 state_is disabled
fact nobody_limited "$(high a) $(high limited)"
run next
wait_for 60 isnt a max
kill -9 $(pidof scx_agent)
wait $scheduler
wait_for 20 state_is disabled
scx_agent --restore-memory >/out/restore.out 2>&1
fact restore_status $?
fact restore_back "$(high a) $(high limited)"

### two at once: the first has the lock
run sysrq
wait_for 60 isnt a max
scx_agent restore >/out/second.out 2>/out/second.err
fact second_status $?
fact second_high "$(high a)"

### SysRq-S
echo 1 >/proc/sys/kernel/sysrq
echo S >/proc/sysrq-trigger
wait $scheduler
wait_for 20 all_back
fact sysrq_back $?
fact sysrq_left "$(ls /run/scx_agent | tr '\n' ' ')"

### --no-memory
start_scheduler without --no-memory --agent-cgroup 'agents/*'
sleep 4
fact without_high "$(high a)"
stop_scheduler TERM
fact guards_left "$(pidof scx_agent)"
for a in a limited foreign grows; do echo 1 >$cg/agents/$a/cgroup.kill; done
wait
