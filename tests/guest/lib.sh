# SPDX-License-Identifier: GPL-2.0-only
# What the guest scripts share.

ext=/sys/kernel/sched_ext
cg=/sys/fs/cgroup

# fact NAME VALUE: tells the test.
fact() {
	echo "$1=$2" >>/out/facts
	echo "# $1=$2"
}

state() { cat $ext/state; }

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
	left=$(($1 * 10))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}

state_is() { [ "$(state)" = "$1" ]; }

# start_scheduler NAME OPTION...: scx_agent in the background, as $scheduler; its output is in
# /out/NAME.out and NAME.err.
start_scheduler() {
	log=$1
	shift
	scx_agent "$@" </dev/null >/out/$log.out 2>/out/$log.err &
	scheduler=$!
	# Until it has looked at what there is: what is made later, it finds later.
	wait_for 60 state_is enabled && wait_for 60 grep -q 'is scheduling' /out/$log.out && return
	echo "scx_agent was not enabled:"
	cat /out/$log.err
	exit 1
}

# stop_scheduler SIGNAL: its exit status in $status.
stop_scheduler() {
	kill -"$1" $scheduler
	wait $scheduler
	status=$?
	wait_for 10 state_is disabled
}

# swap_on_zram: 1 GB of swap, so that what is reclaimed can go somewhere.
swap_on_zram() {
	echo 1G >/sys/block/zram0/disksize
	mkswap /dev/zram0 >/dev/null
	swapon /dev/zram0
}

# high_events AGENT: how often it has run into its memory.high.
high_events() { sed -n 's/^high //p' $cg/agents/$1/memory.events; }

# refused NAME COMMAND...: a command that should fail; its status and what it said.
refused() {
	name=$1
	shift
	timeout 120 "$@" </dev/null >/out/$name.out 2>/out/$name.err
	fact "$name" $?
	fact "${name}_state" "$(state)"
}

# enter CGROUP COMMAND...: a command whose process begins outside and moves into the cgroup. It
# takes the place of the calling shell: for `&`, or within parentheses.
enter() {
	group=$1
	shift
	exec sh -c 'echo 0 >"$0"; exec "$@"' "$cg/$group/cgroup.procs" "$@"
}

# documented FILE:LINE COMMAND...: one of /tests/documented.sh.
documented() {
	place=$1
	shift
	timeout 60 "$@" >/out/documented.out 2>&1 </dev/null || {
		echo "$place: $*: exit status $?"
		cat /out/documented.out
	} >>/out/documented.failed
	ran=$((ran + 1))
}

# run_documented: those that the documents name; how many they are, and in documented.failed which do not work.
run_documented() {
	ran=0
	: >/out/documented.failed
	. /tests/documented.sh
	fact documented $ran
}
