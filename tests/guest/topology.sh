# SPDX-License-Identifier: GPL-2.0-only
# Work that shares a core, while others are idle: two hogs held on the threads of one, and two elsewhere.
. /tests/lib.sh

hog() { # hog CPU
	taskset -c $1 sh -c 'while :; do :; done' </dev/null &
	hogs="$hogs $!"
}
# cores: on how many of them the hogs are, in $cores; without a process of its own, which would take one.
cores() {
	seen='' cores=0
	for pid in $hogs; do
		read -r stat </proc/$pid/stat
		set -- $stat
		case "$seen" in
		*" $((${39} / 2)) "*) continue ;;
		esac
		seen="$seen $((${39} / 2)) " cores=$((cores + 1))
	done
}
pause() { read -r -t "$1" _ <>/tmp/never; }

mkfifo /tmp/never
fact threads "$(cat /sys/devices/system/cpu/cpu0/topology/thread_siblings_list)"
start_scheduler topology --no-memory
hog 0
hog 1
hog 2
hog 4
sleep 2
cores
fact held $cores
for pid in $hogs; do taskset -p ff $pid >/dev/null; done
sleep 1
n=0 apart=0
while [ $n -lt 20 ]; do
	cores
	[ $cores != 4 ] || apart=$((apart + 1))
	looks="$looks $cores"
	pause 0.2
	n=$((n + 1))
done
fact apart $apart
fact looks "$looks"
fact state "$(state)"
kill $hogs
stop_scheduler TERM
fact status $status
