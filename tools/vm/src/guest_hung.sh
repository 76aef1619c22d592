# SPDX-License-Identifier: GPL-2.0-only
# For a guest that does not come to its end: says after so many seconds what it does, in lines that
# begin with "hung: ". Its time over, nobody could ask it any more.

# No process beside this shell: workloads count theirs.
mkfifo /run/agentvm/never
exec 9<>/run/agentvm/never
rm /run/agentvm/never
read -r -t "$1" _ <&9

# ticks TASK: CPU time of /proc/TASK so far, in 1/100 s. A name may have spaces and brackets.
ticks() {
	read -r stat <"$1/stat" || return
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}
said() { sed -n "s/^$2:\t*//p" "$1/status"; }

tell() {
	echo "load $(cat /proc/loadavg)"
	# One whose timer is long overdue has lost an interrupt.
	sed -n 's/^now at \([0-9]*\).*/now \1/p; s/^cpu: \(.*\)/cpu \1/p; s/^ *\.expires_next *: \([0-9]*\).*/next \1/p' \
		/proc/timer_list | while read -r what value; do
		case $what in
		now) now=$value ;;
		cpu) cpu=$value ;;
		next) [ "$value" = 9223372036854775807 ] || echo "cpu $cpu: next timer in $(((value - now) / 1000000)) ms" ;;
		esac
	done
	echo "sched_ext $(cat /sys/kernel/sched_ext/state) $(cat /sys/kernel/sched_ext/root/ops)"
	for task in /proc/[0-9]*/task/[0-9]*; do
		eval "before_${task##*/}=$(ticks "$task")"
	done
	sleep 2
	for task in /proc/[0-9]*/task/[0-9]*; do
		id=${task##*/}
		state=$(said "$task" State)
		# Of a process's threads the first, and those that run or are stuck; none of the kernel's but these.
		case $state in
		[RD]*) ;;
		*) [ "$task" = "/proc/$id/task/$id" ] && [ -n "$(cat "$task/cmdline")" ] || continue ;;
		esac
		eval "before=\$before_$id"
		echo "$id ($(said "$task" Name)) ${state%% *} +$(($(ticks "$task") - before)) ticks in 2 s" \
			"wchan $(cat "$task/wchan") $(sed -n 's/^0::/in /p' "$task/cgroup")"
		case $state in D*) sed 's/^[^ ]* /   /' "$task/stack" ;; esac
	done
	for group in $(find /sys/fs/cgroup -name cgroup.procs | sed 's,/cgroup.procs$,,'); do
		read -r _ <"$group/cgroup.procs" && [ -e "$group/memory.high" ] || continue
		echo "${group#/sys/fs/cgroup}: frozen $(cat "$group/cgroup.freeze")," \
			"memory $(cat "$group/memory.current") of high $(cat "$group/memory.high") max $(cat "$group/memory.max")," \
			"cpu.max $(cat "$group/cpu.max")"
	done
}
tell 2>/dev/null | head -n 120 | sed 's/^/hung: /'
