# SPDX-License-Identifier: GPL-2.0-only
# What happens to a host happens under the scheduler: a killed daemon, ejection, bad neighbours.
. /tests/lib.sh

hog() { # hog NAME COMMAND...: burns CPU behind it until killed, pid in $pid
	"$@" sh -c 'while :; do :; done' </dev/null &
	pid=$!
}
# ticks PID: its CPU time, in $ticks; without a fork, which would wait for a CPU itself.
ticks() {
	read -r stat </proc/$1/stat
	set -- $stat
	ticks=$((${14} + ${15})) on=${39}
}

mkdir $cg/agents $cg/agents/a $cg/agents/b

### the daemon is killed
start_scheduler killed --agent-cgroup 'agents/*'
enter agents/a /tests/claude idle 4 &
survivor=$!
hog
hog_pid=$pid
sleep 0.5
stop_scheduler KILL
fact killed_state "$(state)"
ticks $hog_pid
before=$ticks
sleep 1
ticks $hog_pid
fact killed_hog_ticks $((ticks - before))
kill $hog_pid
wait $survivor
fact killed_survivor_status $?

### SysRq-S
start_scheduler sysrq --agent-cgroup 'agents/*'
echo 1 >/proc/sys/kernel/sysrq
echo S >/proc/sysrq-trigger
wait_for 10 state_is disabled
fact sysrq_state $?
wait_for 10 [ ! -e /proc/$scheduler ]
fact sysrq_gone $?
kill -0 $scheduler 2>/dev/null && kill -9 $scheduler
wait $scheduler
fact sysrq_status $?

### affinity, outside agents
start_scheduler affinity --agent-cgroup 'agents/*'
hog taskset 4
first=$pid
hog taskset 4
second=$pid
hog taskset 8
other=$pid
pinned() {
	ticks $first
	[ $on = 2 ] || return 1
	ticks $other
	[ $on = 3 ]
}
wait_for 20 pinned
strays=0
i=0
while [ $i -lt 40 ]; do
	ticks $first
	[ $on = 2 ] || strays=$((strays + 1))
	ticks $other
	[ $on = 3 ] || strays=$((strays + 1))
	sleep 0.2
	i=$((i + 1))
done
fact strays $strays
kill $first $second $other

stop_scheduler TERM

### nobody starves: 40 hogs in agents, and two outside who look at the clock
start_scheduler starve --agent-cgroup 'agents/*'
mkdir $cg/cron.service $cg/ssh.service
mkfifo /tmp/never
cat >/tmp/watch.sh <<'W'
# watch.sh FILE PAUSE: longest time in ms that a turn of a loop took beyond its pause, in 25 s.
now_ms() { read -r up _ </proc/uptime; now=$((${up%.*} * 1000 + 1${up#*.} % 100 * 10)); }
now_ms
last=$now end=$((now + 25000)) longest=0
while [ "$now" -lt $end ]; do
	[ "$2" = 0 ] || read -r -t "$2" _ <>/tmp/never
	now_ms
	took=$((now - last - ${2#0.} * 100))
	[ $took -gt $longest ] && longest=$took
	last=$now
done
echo $longest >"$1"
W
# One who computes all the time, and one who sleeps in between, each in a cgroup of its own.
enter cron.service sh /tmp/watch.sh /tmp/busy_wait 0 &
busy=$!
enter ssh.service sh /tmp/watch.sh /tmp/sleeper_wait 0.1 &
sleeper=$!
sleep 0.5
hogs=
for i in $(seq 20); do
	for a in a b; do
		enter agents/$a sh -c 'while :; do :; done' &
		hogs="$hogs $!"
	done
done
wait $busy $sleeper
starved=0
for p in $hogs; do # each of the 40 has had a turn in 24 s x 4 CPUs
	ticks $p
	[ $ticks -gt 0 ] || starved=$((starved + 1))
done
kill $hogs
fact starved $starved
fact longest_busy_ms "$(cat /tmp/busy_wait)"
fact longest_sleeper_ms "$(cat /tmp/sleeper_wait)"
fact starve_state "$(state)"
sleep 0.5
stop_scheduler TERM
fact nice_status $status
fact nr_rejected "$(cat $ext/nr_rejected)"
