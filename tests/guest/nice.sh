# SPDX-License-Identifier: GPL-2.0-only
# What nice values are worth among tasks outside of agents, each pair on a CPU of its own.
. /tests/lib.sh

hog() { # hog CPUS NICE: computes until killed, pid in $pid
	taskset "$1" sh -c 'while :; do :; done' </dev/null &
	pid=$!
	[ "$2" = 0 ] || renice -n "$2" -p $pid >/dev/null
}
# ran PID: its CPU time in ms, in $ran; without a fork.
ran() {
	read -r ns _ </proc/$1/schedstat
	ran=$((ns / 1000000))
}

hog 2 0 && a=$pid
hog 2 5 && b=$pid
hog 4 0 && c=$pid
hog 4 -5 && d=$pid
sleep 4 # new tasks have their turns at once
ran $a && a0=$ran && ran $b && b0=$ran && ran $c && c0=$ran && ran $d && d0=$ran
sleep 12
ran $a && fact nice_0 $((ran - a0))
ran $b && fact nice_5 $((ran - b0))
ran $c && fact equal_0 $((ran - c0))
ran $d && fact nice_m5 $((ran - d0))
kill $a $b $c $d
fact state "$(state)"
exit 0
