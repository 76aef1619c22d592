# SPDX-License-Identifier: GPL-2.0-only
# Runs the rounds of /rounds, a line each: NAME|AVAILABLE_MB|SWAP_MB|DAEMON|OPTIONS of agentload run.
# A round has AVAILABLE_MB (10^6 bytes) of free memory for its agents: huge pages, which
# nobody may use and nobody can swap out, take the rest. Free, not available: MemAvailable leaves out what
# the kernel would rather keep, on a small machine a tenth of it, and gives it out all the same. DAEMON is the command that controls memory, if any; it stays for
# the rounds after it that have the same.

cg=/sys/fs/cgroup
free_kb() { sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
vmstat() { sed -n "s/^$1 //p" /proc/vmstat; }
fact() { echo "$1=$2" >>/out/$name.facts; }
fail() {
	echo "$name: $1"
	exit 3
}
swap() {
	swapoff /dev/zram0 2>/dev/null
	echo 1 >/sys/block/zram0/reset
	[ "$1" = 0 ] && return
	echo "${1}000000" >/sys/block/zram0/disksize
	mkswap /dev/zram0 >/dev/null
	swapon /dev/zram0
}
# run_daemon COMMAND: it, and no other. It is ready when it says so; at most 300 s.
running=
run_daemon() {
	[ "$running" = "$1" ] && return
	if [ -n "$running" ]; then
		kill -TERM $daemon_pid
		wait $daemon_pid || fail "$running ended with status $?: $(tail -n 5 $log.err)"
	fi
	running=$1
	[ -n "$running" ] || return 0
	log=/out/$name.daemon
	eval "exec $running" </dev/null >$log.out 2>$log.err 9<&- &
	daemon_pid=$!
	n=3000
	until grep -q 'scheduling\|watching' $log.out; do
		kill -0 $daemon_pid 2>/dev/null || fail "$running ended: $(cat $log.err)"
		n=$((n - 1))
		[ $n -gt 0 ] || fail "$running is not ready after 300 s"
		sleep 0.1
	done
}

# take_all_but MB: huge pages, of which the kernel at first finds less than it is asked for.
take_all_but() {
	pages=0
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		[ $i -lt 6 ] || [ $(($(free_kb) * 1024 / 10000)) -gt $(($1 * 102)) ] || break
		echo 1 >/proc/sys/vm/drop_caches
		pages=$((pages + ($(free_kb) - $1 * 1000000 / 1024) / 2048))
		[ $pages -gt 0 ] || fail "the guest has less than $1 MB"
		echo 1 >/proc/sys/vm/compact_memory
		echo $pages >/proc/sys/vm/nr_hugepages
		pages=$(cat /proc/sys/vm/nr_hugepages)
	done
}

while IFS='|' read -r name available swap daemon options <&9; do
	echo 0 >/proc/sys/vm/nr_hugepages
	swap $swap
	run_daemon "$daemon"
	echo 3 >/proc/sys/vm/drop_caches
	take_all_but $available
	fact free_kb "$(free_kb)"
	for counter in pswpin pswpout oom_kill; do eval "$counter=$(vmstat $counter)"; done
	agentload run $options --out /out/$name.jsonl >/out/$name.txt 2>&1 9<&-
	status=$?
	for counter in pswpin pswpout oom_kill; do
		eval "before=\$$counter"
		fact $counter $(($(vmstat $counter) - before))
	done
	echo "$name: $(sed -n "s/^pswpout=\(.*\)/\1 pages swapped, /p" /out/$name.facts)$(tail -n 1 /out/$name.txt)"
	# Its own status is 1 where calls failed, which is counted.
	[ $status -le 1 ] || fail "agentload ended with status $status: $(cat /out/$name.txt)"
done 9</rounds
run_daemon ''
