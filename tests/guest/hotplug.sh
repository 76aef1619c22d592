# SPDX-License-Identifier: GPL-2.0-only
# CPUs go and come back under work of every kind.
. /tests/lib.sh

hog() { # hog NAME CGROUP COMMAND...: computes behind that command until killed
	name=$1 group=$2
	shift 2
	enter "$group" "$@" sh -c 'while :; do :; done' </dev/null &
	hogs="$hogs $name=$!"
}
# look FILE: CPU time and CPU of each hog.
look() {
	for hog in $hogs; do
		read -r stat </proc/${hog#*=}/stat
		set -- "$1" $stat
		echo "${hog%=*} $((${15} + ${16})) ${40}"
	done >$1
}
all_ran() {
	look /tmp/after
	waiting=$(awk 'NR == FNR { was[$1] = $2; next } $2 == was[$1] { print $1 }' /tmp/before /tmp/after | xargs)
	[ -z "$waiting" ]
}
# runs NAME: that all hogs have CPU time from now on, within the longest that any waits.
runs() {
	look /tmp/before
	wait_for 30 all_ran
	fact "$1_waiting" "$waiting"
}
# on NAME: its CPU as of the last look.
on() { sed -n "s/^$1 [0-9]* //p" /tmp/after; }
cpu() { echo "$2" >/sys/devices/system/cpu/cpu$1/online; }
# seconds COMMAND...: how long it takes, in $took.
seconds() {
	began=$(cut -d. -f1 /proc/uptime)
	"$@"
	failed=$?
	took=$(($(cut -d. -f1 /proc/uptime) - began))
}

echo +cpu >$cg/cgroup.subtree_control
mkdir $cg/agents
echo +cpu >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/web $cg/agents/desk $cg/agents/night $cg/agents/limited $cg/other
echo "20000 100000" >$cg/agents/limited/cpu.max
# Quanta of seconds would make this a matter of minutes.
start_scheduler hotplug --quantum-max-ms 100 --no-memory --agent-cgroup 'agents/*' --agent-qos 'agents/night=background' \
	--background-cpus 3 --events /out/hotplug.jsonl
seq=$(cat $ext/enable_seq)
for i in 1 2 3; do hog web$i agents/web; done
for i in 1 2; do hog limited$i agents/limited; done
for i in 1 2; do hog other$i other; done
hog night agents/night
hog bound other taskset 8
hog both agents/web taskset c
hog boundlimited agents/limited taskset 8
hog boundnight agents/night taskset 9
# In the kernel most of the time, and of RCU's readers often: a CPU goes when they all have let go.
for group in agents/web other agents/night; do
	enter $group sh -c 'while :; do cat /proc/uptime >/dev/null; done' </dev/null &
	forkers="$forkers $!"
done
runs all

# The last CPU, which is that of the background, and which some are bound to.
seconds cpu 3 0
fact gone_failed $failed
fact gone_s $took
runs gone
fact gone_strays "$(grep -c ' 3$' /tmp/after)"
(enter agents/desk /tests/claude call)
cpu 3 1
fact back_failed $?
runs back
back_home() {
	look /tmp/after
	[ "$(on night)" = 3 ]
}
wait_for 40 back_home
fact back_home $?

# Again and again, one of them or all but one.
n=0 wrong=0 longest=0
while [ $n -lt 6 ]; do
	seconds cpu 2 0
	wrong=$((wrong + failed))
	[ $took -le $longest ] || longest=$took
	cpu 3 0 || wrong=$((wrong + 1))
	sleep 0.$((n % 3))
	[ $n != 3 ] || cpu 1 0
	cpu 3 1 || wrong=$((wrong + 1))
	cpu 2 1 || wrong=$((wrong + 1))
	[ $n != 3 ] || cpu 1 1
	n=$((n + 1))
done
fact again_failed $wrong
fact again_s $longest
runs again
# A hog may have moved on from a CPU that runs something else just now.
for i in 1 2 3 4 5 6 7 8 9 10; do
	look /tmp/after
	echo "# look: $(cut -d' ' -f3 /tmp/after | sort | uniq -c | xargs)"
	cut -d' ' -f3 /tmp/after >>/tmp/used
	sleep 0.3
done
fact used "$(sort -u /tmp/used | xargs)"
fact restarts $(($(cat $ext/enable_seq) - seq))
fact state "$(state)"
kill $forkers $(for hog in $hogs; do echo ${hog#*=}; done)
stop_scheduler TERM
fact status $status
