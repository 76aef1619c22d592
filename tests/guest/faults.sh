# SPDX-License-Identifier: GPL-2.0-only
# What can fail under the memory controller: the cgroup file system, its journal's disk, a second one.
# No watches of inotify: see burst.sh.
. /tests/lib.sh

mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
MB=256 # pages
high() { cat $cg/agents/$1/memory.high; }
is() { [ "$(high $1)" = "$2" ]; }
isnt() { [ "$(high $1)" != "$2" ]; }
said() { grep -q "$2" /out/$1.err; }
framework() {
	mkdir $cg/agents/$1
	enter agents/$1 agentload burn --stages 3000000000:0:1:$((20 * MB)) &
}
run() { start_scheduler "$1" -v --agent-cgroup 'agents/*'; }
# cgroupfs ro|rw: refused while somebody has one of its files open to write.
cgroupfs() {
	wait_for 20 mount -o "remount,$1" $cg 2>/dev/null && return
	echo "$cg cannot be remounted $1"
	exit 1
}

framework a
framework limited
echo 1G >$cg/agents/limited/memory.high

### read-only from the beginning: nothing is changed
cgroupfs ro
run readonly
wait_for 20 said readonly 'Read-only'
fact readonly_said $?
sleep 3
fact readonly_high "$(high a) $(high limited)"
stop_scheduler TERM
fact readonly_status $status
fact readonly_files "$(ls /run/scx_agent | tr '\n' ' ')"
cgroupfs rw

### read-only at the end: said, and put back later
run ends
wait_for 60 isnt a max
wait_for 60 isnt limited 1073741824
cgroupfs ro
stop_scheduler TERM
fact ends_status $status
fact ends_high "$([ "$(high a)" != max ] && echo limited)"
fact ends_files "$(ls /run/scx_agent | tr '\n' ' ')"
no_guard() { ! pidof scx_agent >/dev/null; }
wait_for 20 no_guard
cgroupfs rw
scx_agent restore >/out/restore.out 2>&1
fact restore_status $?
fact restore_high "$(high a) $(high limited)"

### no room for the journal: nothing is changed that could not be put back
mkdir -p /run/scx_agent
mount -t tmpfs -o size=16k none /run/scx_agent
dd if=/dev/zero of=/run/scx_agent/fill bs=4k 2>/dev/null
run full
wait_for 20 said full 'No space left'
fact full_said $?
sleep 3
fact full_high "$(high a) $(high limited)"
stop_scheduler TERM
fact full_status $status
rm /run/scx_agent/fill

### none any more: what is in it comes back all the same, also after kill -9
for how in TERM KILL; do
	run fills$how
	wait_for 60 isnt a max
	wait_for 60 isnt limited 1073741824
	dd if=/dev/zero of=/run/scx_agent/fill bs=4k 2>/dev/null
	framework late$how
	wait_for 20 said fills$how "late$how.*No space left"
	fact fills_said_$how $?
	fact fills_late_$how "$(high late$how)"
	stop_scheduler $how
	back() { is a max && is limited 1073741824; }
	wait_for 20 back
	fact fills_back_$how $?
	wait_for 20 no_guard
	rm /run/scx_agent/fill
	fact fills_files_$how "$(ls /run/scx_agent | tr '\n' ' ')"
done
umount /run/scx_agent

### two at once
run first
wait_for 60 isnt a max
was=$(high a)
scx_agent --no-sched </dev/null >/out/second.out 2>/out/second.err
fact second_watch $?
scx_agent </dev/null >/out/third.out 2>/out/third.err
fact second_sched $?
fact second_high "$([ "$(high a)" = "$was" ] && echo kept)"
stop_scheduler TERM
fact first_status $status
fact first_high "$(high a) $(high limited)"
fact first_files "$(ls /run/scx_agent | tr '\n' ' ')"
for a in $(ls -d $cg/agents/*/); do echo 1 >$a/cgroup.kill; done
wait
