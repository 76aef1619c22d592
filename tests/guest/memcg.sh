# SPDX-License-Identifier: GPL-2.0-only
# Control of memory by the kernel's memcg_bpf_ops: what is protected, who is delayed, and that all ends with
# the daemon. With PART=attach, only that it is attached, and leaves alone what is there already.
. /tests/lib.sh

swap_on_zram
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
mb() { echo $(($(cat $cg/agents/$1/memory.current) >> 20)); }
have() { [ -s "$1" ]; }
alive() { kill -0 "$1" 2>/dev/null; }
# cgroup NAME: one with another in it, in which its processes are.
cgroup() {
	mkdir $cg/agents/$1
	echo "+memory" >$cg/agents/$1/cgroup.subtree_control
	mkdir $cg/agents/$1/inner
}
# hold NAME CGROUP MB THEN: a process that has memory.
hold() {
	enter agents/$2 grow $3 $4 /tmp/$1 &
	wait_for 60 have /tmp/$1
}
# run NAME RESERVE_MB
run() {
	start_scheduler "$1" -vv --agent-cgroup 'agents/a-*' --mem-reserve-mb "$2"
	wait_for 60 grep -q 'memcg_bpf_ops' /out/$1.err
}
settled() { [ "$(cat $cg/agents/a-waits/memory.high)" != max ]; }
# take NAME MB: reclaims from all at once, and says what each has then.
take() {
	echo "$2M" >$cg/agents/memory.reclaim 2>/dev/null
	for a in a-waits a-works other; do fact "$1_$a" "$(mb $a)"; done
}
# links PID: how many struct_ops it has attached.
links() { grep -l 'struct_ops' /proc/$1/fdinfo/* 2>/dev/null | wc -l; }

scx_agent check >/out/check.out 2>&1
cgroup a-waits
mkdir $cg/agents/a-works $cg/agents/other
hold waits a-waits/inner 100 sleep
hold works a-works 100 work
hold other other 100 sleep

### what waits for its model and a framework that works are passed by
run protect 64
wait_for 60 settled
fact settled $?
# Of the scheduler's own there is one.
fact links "$(links $scheduler)"
sleep 2
take before 0
take some 60
[ "$PART" = attach ] && {
	# Another daemon, which does not see that there is one, finds every place taken.
	unshare -m sh -c "mount -t tmpfs none /run; exec scx_agent --no-sched -v --metrics off --agent-cgroup 'agents/a-*'" \
		</dev/null >/out/busy.out 2>/out/busy.err &
	busy=$!
	wait_for 60 grep -q 'somebody else are attached' /out/busy.err
	fact busy $?
	wait_for 60 grep -q 'agent "a-works" found' /out/busy.err
	sleep 2
	fact busy_links "$(links $busy)"
	kill -TERM $busy
	wait $busy
	fact busy_status $?
	stop_scheduler TERM
	fact status $status
	for a in $cg/agents/*/; do echo 1 >$a/cgroup.kill; done
	exit 0
}
take most 240
stop_scheduler TERM
fact status $status
take ended 60

### killed: the links end with it
mkdir $cg/agents/a-killed
hold killed a-killed 100 work
run killed 64
sleep 2
fact killed_links "$(links $scheduler)"
fact killed_before "$(mb a-killed)"
echo 40M >$cg/agents/memory.reclaim 2>/dev/null
fact killed_kept "$(mb a-killed)"
stop_scheduler KILL
echo 90M >$cg/agents/memory.reclaim 2>/dev/null
fact killed_after "$(mb a-killed)"
for a in a-waits a-works a-killed other; do
	echo 1 >$cg/agents/$a/cgroup.kill
done

### a burst over its budget is delayed, and its framework is not
cgroup a-new
mkdir $cg/agents/a-old
# Those who are all worth the same share only when the host has no swap left.
echo 200 >$cg/agents/a-old/cpu.weight
enter agents/a-old grow 20 sleep /tmp/old &
enter agents/a-new/inner grow 20 sleep /tmp/new /tmp/go 10 /tmp/framework &
wait_for 60 have /tmp/old
wait_for 60 have /tmp/new
# call NAME: its time, in ms.
call() {
	enter agents/a-new/inner grow 80 exit /tmp/$1 &
	call=$!
}
call free
wait $call
fact free_ms "$(cat /tmp/free)"
run delay 3000
sleep 5
# The oldest goes on as long as it grows, and the next one gives way.
enter agents/a-old grow 1 creep /tmp/first &
sleep 1
call delayed
wait_for 60 grep -q 'agent "a-new".*calls are delayed over' /out/delay.err
fact budget $?
over_budget() { [ "$(mb a-new)" -gt 86 ]; }
wait_for 60 over_budget
sleep 2
alive $call
fact still $?
fact new_mb "$(mb a-new)"
fact new_high "$(cat $cg/agents/a-new/memory.high)"
touch /tmp/go
wait_for 60 have /tmp/framework
fact framework_ms "$(cat /tmp/framework)"
alive $call
fact still_then $?
wait $call
fact delayed_ms "$(cat /tmp/delayed)"
fact high_events "$(high_events a-new)"
fact oom_kills "$(sed -n 's/^oom_kill //p' $cg/agents/memory.events)"
# The daemon's end is the end of the delay.
call ends
sleep 5
stop_scheduler TERM
wait $call
fact ends_ms "$(cat /tmp/ends)"
fact left "$(cat $cg/agents/*/memory.high | tr '\n' ' ')"
for a in $cg/agents/*/; do echo 1 >$a/cgroup.kill; done
wait
