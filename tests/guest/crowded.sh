# SPDX-License-Identifier: GPL-2.0-only
# Many tasks in a cgroup that may have next to nothing: each has a turn before the watchdog's 30 s
# are over.
. /tests/lib.sh

echo +cpu >$cg/cgroup.subtree_control
mkdir $cg/crowd
i=0
while [ $i -lt 60 ]; do
	enter crowd sh -c 'while :; do :; done' &
	i=$((i + 1))
done
sleep 2
echo 1000 100000 >$cg/crowd/cpu.max
# Those outside do not wait for them.
sleep 1
began=$(date +%s)
n=0
while [ $n -lt 20000 ]; do n=$((n + 1)); done
fact outside_s $(($(date +%s) - began))
sleep 45
fact state "$(state)"
fact waiting "$(grep -c . $cg/crowd/cgroup.procs)"
idle=0
for pid in $(cat $cg/crowd/cgroup.procs); do
	read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system _ </proc/$pid/stat
	[ $((user + system)) -gt 0 ] || idle=$((idle + 1))
done
fact never_ran $idle
kill -9 $(cat $cg/crowd/cgroup.procs)
wait_for 30 sh -c "! grep -q . $cg/crowd/cgroup.procs"
fact gone $?
