# SPDX-License-Identifier: GPL-2.0-only
# Hogs in cgroups of weights 1:2:4 in each other, three levels deep, and what each of them gets.
. /tests/lib.sh

usage() { sed -n 's/usage_usec //p' $cg/$1/cpu.stat; }
make() {
	mkdir $cg/$1
	echo ${1##*w}00 >$cg/$1/cpu.weight
}
open() { echo +cpu >$cg/$1/cgroup.subtree_control; }

open .
for a in 1 2 4; do
	make w$a
	open w$a
	for b in 1 2 4; do
		make w$a/w$b
		[ $a = 2 ] || {
			leaves="$leaves w$a/w$b"
			continue
		}
		open w$a/w$b
		for c in 1 2 4; do
			make w$a/w$b/w$c
			leaves="$leaves w$a/w$b/w$c"
		done
	done
done
for leaf in $leaves; do
	for i in 1 2; do
		enter $leaf sh -c 'while :; do :; done' &
	done
done
sleep "$WARM_S"
for leaf in $leaves; do
	eval "u$(echo $leaf | tr / _)=$(usage $leaf)"
done
sleep "$RUN_S"
for leaf in $leaves; do
	eval "before=\$u$(echo $leaf | tr / _)"
	fact $leaf $(($(usage $leaf) - before))
done
kill $(for leaf in $leaves; do cat $cg/$leaf/cgroup.procs; done)
fact state "$(state)"
