# SPDX-License-Identifier: GPL-2.0-only
# The daemon ends again and again while agents work: /tests.plan has a line `HOW SINCE MS NEXT` for each
# time. It ends so MS after its start (`start`) or since it schedules (`enabled`); then the host is looked
# at (`alone`, `last`), or the next one starts at once, as a service manager has it (`again`).
. /tests/lib.sh
swap_on_zram

MB=256 # pages
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control

# A framework whose tool calls never end: each takes memory, forks, leaves something running, and says
# by its status that nobody has ended it.
cat >/tmp/worker <<'END'
#!/bin/sh
n=0
while [ ! -e /tmp/stop ]; do
	n=$((n + 1))
	/bin/sh -c "sleep 20 & dd if=/dev/zero of=/dev/shm/$1 bs=1M count=24 2>/dev/null
		for i in 1 2 3 4 5 6; do /bin/true; done; sleep 0.1; exit 7"
	s=$?
	[ $s = 7 ] || echo "call $n of $1 ended with $s" >>/tmp/faults
	echo $n >/tmp/$1.calls
	rm -f /dev/shm/$1
	sleep 2
done
END
# A framework with one call that works all the time.
cat >/tmp/spinner <<'END'
#!/bin/sh
/bin/sh -c 'sh /tests/spin.sh 1 1000000000; exit 0'
echo "the call of the spinner ended" >>/tmp/faults
END
chmod +x /tmp/worker /tmp/spinner

frameworks=''
# agent NAME ADJ COMMAND...: its framework, with this oom_score_adj.
agent() {
	mkdir -p $cg/agents/$1
	(
		echo $2 >/proc/self/oom_score_adj
		name=$1
		shift 2
		enter agents/$name "$@"
	) </dev/null >/dev/null 2>&1 &
	frameworks="$frameworks $!"
}
mkdir $cg/agents/limited
echo 1G >$cg/agents/limited/memory.high
agent waits 0 agentload burn --stages 3000000000:0:1:$((50 * MB))
agent limited 0 agentload burn --stages 3000000000:0:1:$((20 * MB))
agent held 0 agentload burn --stages 3000000000:0:1:$((20 * MB))
agent spins 0 setsid /tmp/spinner
agent works 0 setsid /tmp/worker works
agent works300 300 setsid /tmp/worker works300
agent apart 0 setsid /tmp/worker apart # divided, see --delegated-cgroup

fault() {
	echo "round $round ($how $since $ms $next): $1"
	echo "round $round ($how $since $ms $next): $1" >>/tmp/faults
}

### what the host is to be again
high() { cat $cg/agents/$1/memory.high; }
high_is() { [ "$(high $1)" = "$2" ] || differs="memory.high of $1 is $(high $1)"; }
# adj_is AGENT ADJ: of all its processes.
adj_is() {
	for pid in $(cat $cg/agents/$1/cgroup.procs $cg/agents/$1/*/cgroup.procs 2>/dev/null); do
		read -r adj 2>/dev/null </proc/$pid/oom_score_adj || continue
		[ "$adj" = $2 ] || differs="oom_score_adj of process $pid of $1 is $adj"
	done
}
is_as_before() {
	differs=''
	for a in waits held spins works works300 apart; do
		high_is $a max
		adj_is $a $([ $a = works300 ] && echo 300 || echo 0)
		[ "$(cat $cg/agents/$a/cgroup.freeze)" = 0 ] || differs="$a is frozen"
	done
	high_is limited 1073741824
	[ -z "$(cat $cg/agents/apart/cgroup.subtree_control)" ] || differs="apart is divided"
	[ "$(find $cg -type d | sort)" = "$cgroups" ] || differs="other cgroups: $(find $cg -type d | tr '\n' ' ')"
	[ -z "$(ls -A /sys/fs/bpf)" ] || differs="in bpffs: $(ls -A /sys/fs/bpf)"
	files=$(cd /run && find scx_agent scx ! -type d 2>/dev/null | tr '\n' ' ')
	[ "$files" = "scx_agent/lock " ] || differs="in /run: $files"
	[ -z "$differs" ]
}
cgroups=$(find $cg -type d | sort)
changed() {
	[ "$(high waits)" != max ] || [ "$(high limited)" != 1073741824 ] ||
		[ "$(cat $cg/agents/held/cgroup.freeze)" = 1 ]
}
programs() { grep -c '\[bpf\]$' /proc/kallsyms; }
no_daemon() { ! pidof scx_agent >/dev/null; }
gone() { [ ! -e /proc/$scheduler/status ] || grep -q "^State:.Z" /proc/$scheduler/status 2>/dev/null; }
not_enabled() { ! state_is enabled; }

### the daemon, and its ends
start() {
	scx_agent -v --agent-cgroup 'agents/*' --mem-settle-ms 100 --mem-slack-min-mb 16 --tool-cgroups \
		--delegated-cgroup agents/apart </dev/null >>/out/kills.out 2>>/out/kills.err &
	scheduler=$!
	# So that it does not take minutes to get past the agents.
	renice -n -19 -p $scheduler >/dev/null
	# An operator pauses an agent as soon as there is somebody to tell.
	(
		wait_for 120 state_is enabled && scx_agent pause held --for 1000
	) >/dev/null 2>&1 &
	operator=$!
}
ended() { # ended STATUS...: it ends by itself now, with one of these.
	wait_for 60 gone || fault "the daemon does not end"
	wait $scheduler
	status=$?
	for s in "$@"; do
		if [ $status = $s ]; then return; fi
	done
	fault "the daemon's exit status is $status"
}
# A real-time task keeps the last CPU from one that may run nowhere else: the kernel's own watchdog for
# sched_ext ends the scheduler after 30 s.
stall() {
	server=/sys/kernel/debug/sched/ext_server/cpu3/runtime
	had=$(cat $server 2>/dev/null)
	[ -z "$had" ] || echo 0 >$server
	crowd hog 3 &
	hog=$!
	sleep 0.5
	# The kernel's report names it, and names are no text.
	sh -c 'printf "\377\033[2J\303" >/proc/$$/comm; while :; do :; done' &
	victim=$!
	# Moved while it computes: in the kernel it might be a reader of RCU, whose stall is told earlier.
	sleep 1
	taskset -p 8 $victim >/dev/null
	wait_for 90 not_enabled || fault "the watchdog does nothing"
	kill -9 $hog $victim
	[ -z "$had" ] || echo "$had" >$server
	wait $hog $victim
}
end_it() {
	case $how in
	TERM)
		kill -TERM $scheduler
		# Before it has come as far as to handle signals: 143.
		if [ $was = enabled ]; then ended 0; else ended 0 143; fi
		;;
	KILL) kill -KILL $scheduler && ended 137 ;;
	HANG) # a service manager's watchdog
		kill -STOP $scheduler
		sleep 0.5
		kill -ABRT $scheduler
		kill -CONT $scheduler
		ended 134
		;;
	BOTH) # its guard as well, and then what ExecStopPost does
		kill -KILL $(pidof scx_agent)
		ended 137
		wait_for 20 no_daemon
		scx_agent restore >>/out/kills.out 2>>/out/kills.err || fault "restore fails"
		;;
	SYSRQ | STALL)
		if [ $how = SYSRQ ]; then echo S >/proc/sysrq-trigger; else stall; fi
		if [ $was = enabled ]; then
			ended 1
		else # there was none yet
			wait_for 3 gone || kill -TERM $scheduler
			ended 0 1 143
		fi
		;;
	esac
}

before=$(programs)
loaded=0
round=0
echo 1 >/proc/sys/kernel/sysrq
touch /tmp/faults
start
while read -r how since ms next <&3; do
	round=$((round + 1))
	[ $since = start ] || wait_for 120 state_is enabled || fault "it is not enabled"
	sleep $((ms / 1000)).$(printf %03d $((ms % 1000)))
	was=$(state)
	knobs=$(changed && echo changed || echo same)
	[ $was != enabled ] || [ $loaded != 0 ] || loaded=$(programs)
	end_it
	kill $operator 2>/dev/null
	wait $operator 2>/dev/null
	echo "$how $since $ms $next $was $knobs $(cut -d' ' -f1 /proc/uptime)" >>/out/rounds
	tail -n 1 /out/rounds
	if [ $next != again ]; then
		wait_for 10 state_is disabled || fault "the scheduler is $(state)"
		wait_for 20 no_daemon || fault "processes are left: $(pidof scx_agent)"
		wait_for 10 is_as_before || fault "$differs"
	fi
	for pid in $frameworks; do
		kill -0 $pid 2>/dev/null || fault "the framework $pid is gone"
	done
	[ $next = last ] || start
done 3</tests.plan

fact calls "$(cat /tmp/works.calls) $(cat /tmp/works300.calls) $(cat /tmp/apart.calls)"
touch /tmp/stop
as_before() { [ "$(programs)" -le $before ]; }
wait_for 20 as_before
fact programs_left $(($(programs) - before))
fact programs_loaded $((loaded - before))
for a in $cg/agents/*/; do echo 1 >$a/cgroup.kill; done
wait
cp /tmp/faults /out/faults
