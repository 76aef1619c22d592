# SPDX-License-Identifier: GPL-2.0-only
# A machine whose CPUs have two last-level caches: twelve hogs begin on the CPUs of the first, and may then run on all.
. /tests/lib.sh

ticks() {
	read -r stat </proc/$1/stat
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}
# had PID...: the CPU time of each so far, in 1/100 s.
had() { for pid in "$@"; do ticks $pid; done | tr '\n' ' '; }

fact caches "$(cat /sys/devices/system/cpu/cpu[0-9]*/cache/index3/shared_cpu_list | sort -u | tr '\n' ' ')"
start_scheduler domains --no-memory $OPTIONS
hogs=''
i=0
while [ $i -lt 12 ]; do
	taskset -c 0-3 sh -c 'while :; do :; done' </dev/null &
	hogs="$hogs $!"
	i=$((i + 1))
done
sleep 3
for pid in $hogs; do taskset -p ff $pid >/dev/null; done
sleep 2
fact before "$(had $hogs)"
sleep 12
fact after "$(had $hogs)"
fact elsewhere "$(scx_agent status --json | sed -n 's/.*"elsewhere": \([0-9]*\).*/\1/p')"
fact state "$(state)"
kill $hogs
stop_scheduler TERM
fact status $status
