# SPDX-License-Identifier: GPL-2.0-only
# cpu.max of cgroups with hogs in them: what they get is the kernel's own account.
. /tests/lib.sh

usage() { sed -n 's/usage_usec //p' $cg/$1/cpu.stat; }
hogs() {
	i=0
	while [ $i -lt $2 ]; do
		enter $1 sh -c 'while :; do :; done' &
		i=$((i + 1))
	done
}
# measure NAME SECONDS: CPUs that box/a and box/b have, in thousandths.
measure() {
	sleep 1
	a=$(usage box/a) b=$(usage box/b)
	read -r t0 _ </proc/uptime
	sleep $2
	a=$(($(usage box/a) - a)) b=$(($(usage box/b) - b))
	read -r t1 _ </proc/uptime
	for of in a b; do
		eval "us=\$$of"
		fact "$1_$of" "$(awk "BEGIN { printf \"%.4f\", $us / 1e6 / ($t1 - $t0) }")"
	done
}

echo +cpu >$cg/cgroup.subtree_control
mkdir $cg/box
echo +cpu >$cg/box/cgroup.subtree_control
mkdir $cg/box/a $cg/box/b
hogs box/a 4
hogs box/b 4

echo 50000 100000 >$cg/box/a/cpu.max
measure half 5
# The limit above holds for both together.
echo 30000 100000 >$cg/box/cpu.max
measure above 5
echo max >$cg/box/a/cpu.max
echo 10000 10000 >$cg/box/cpu.max
measure fast 5
echo 200000 100000 >$cg/box/cpu.max
measure two 5
echo max >$cg/box/cpu.max
measure none 2
kill $(cat $cg/box/a/cgroup.procs $cg/box/b/cgroup.procs)
wait_for 20 sh -c "! grep -q . $cg/box/a/cgroup.procs $cg/box/b/cgroup.procs"
# A limited cgroup that goes away, and its slot with it.
mkdir $cg/gone
echo 5000 100000 >$cg/gone/cpu.max
hogs gone 2
sleep 1
kill -9 $(cat $cg/gone/cgroup.procs)
wait_for 20 rmdir $cg/gone
fact gone $?
fact state "$(state)"
