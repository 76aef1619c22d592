# SPDX-License-Identifier: GPL-2.0-only
# Agents of different classes and weights on a machine that is too small for them, and what each gets.
. /tests/lib.sh

usage() { sed -n 's/usage_usec //p' $cg/agents/$1/cpu.stat; }
# measure NAME SECONDS AGENT...: the CPUs that each has, as fact NAME_AGENT in thousandths.
measure() {
	name=$1 seconds=$2
	shift 2
	for a in "$@"; do eval "u_$a=$(usage $a)"; done
	sleep $seconds
	for a in "$@"; do eval "fact ${name}_$a \$((($(usage $a) - u_$a) / seconds / 1000))"; done
}
# hogs AGENT N [COMMAND...]: N calls that never end.
hogs() {
	mkdir $cg/agents/$1
	name=$1 n=$2
	shift 2
	enter agents/$name "$@" /tests/claude hogs $n &
}
end() {
	kill -9 $(cat $cg/agents/$1/cgroup.procs)
	wait_for 20 rmdir $cg/agents/$1
}
# ticks: a line for each task of night, with its CPU time so far.
ticks() {
	for pid in $(cat $cg/agents/night/cgroup.procs); do
		read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system _ </proc/$pid/stat
		echo "$pid $((user + system))"
	done
}
mkdir $cg/agents
# Quanta of seconds would make shares a matter of minutes.
start_scheduler qos -v --quantum-max-ms 1000 --no-memory --agent-cgroup 'agents/*' --agent-qos 'agents/night*=background' \
	--agent-qos 'agents/bound=background' --background-cpus 0-1 --events /out/qos.jsonl

# Work in the background keeps to its CPUs, though others are idle; what is bound elsewhere goes on.
hogs night 6
hogs bound 1 taskset 8
sleep 1
for pid in $(cat $cg/agents/night/cgroup.procs); do
	for i in 1 2 3; do
		read -r stat </proc/$pid/stat
		set -- $stat
		[ "$3" != R ] || echo ${39}
		sleep 0.02
	done
done >/out/cpus
measure confined 2 night bound
end bound

hogs web 4
sleep 3 # its calls are long now
ticks >/out/before
measure beside 16 night web
# As many as web has: by turns, and then before it.
hogs desk 4
sleep 3
measure standard 6 web desk
scx_agent set desk qos=interactive >/out/set.out
fact set $?
measure interactive 6 web desk
ticks >/out/after
end night

end desk
end web

# Weights count once one is ahead of its share by a long call, which takes some seconds.
hogs light 4
hogs late 4
sleep 0.5
scx_agent set late weight=400
sleep 24
measure weighed 12 light late
scx_agent set late weight=0 >/out/bad.out 2>/out/bad.err
fact bad $?
scx_agent set nobody qos=standard >/out/nobody.out 2>/out/nobody.err
fact nobody $?
fact state "$(state)"
end light
end late
stop_scheduler TERM
fact nr_rejected "$(cat $ext/nr_rejected)"
