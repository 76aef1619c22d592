# SPDX-License-Identifier: GPL-2.0-only
# An agent's memory runs out while a tool call grows beside a framework that holds more than it.
. /tests/lib.sh

mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
MB=256 # pages
adj() { cat /proc/$1/oom_score_adj; }
is_adj() { [ "$(adj $1)" = "$2" ]; }
said() { grep -q "$2" /out/$1.err; }
# agent NAME: 300 MB, of which its framework, $framework, has 160.
agent() {
	mkdir $cg/agents/$1
	echo 300M >$cg/agents/$1/memory.max
	enter agents/$1 agentload burn --stages 3000000000:0:1:$((160 * MB)) &
	framework=$!
	sleep 2
}
# call NAME: a tool call whose two processes grow to 90 MB each, more than there is, once a busy host
# has had time to see that it has begun.
call() {
	enter agents/$1 sh -c "
		sleep 2
		agentload burn --stages 1000000:0:1:$((60 * MB)),3000000:0:1:$((90 * MB)) &
		first=\$!
		agentload burn --stages 1000000:0:1:$((60 * MB)),3000000:0:1:$((90 * MB)); s=\$?
		wait \$first || s=\$?
		exit \$s"
}

### left to the kernel, the largest goes: the framework
start_scheduler without -v --mem-oom-adj 0 --agent-cgroup 'agents/*'
agent plain
(call plain)
fact without_call $?
wait $framework
fact without_framework $?
stop_scheduler TERM

### calls die first
start_scheduler calls -vv --agent-cgroup 'agents/*'
agent a
fact framework_adj "$(adj $framework)"
(call a)
fact call_status $?
fact framework_alive "$(kill -0 $framework && echo yes)"
fact framework_adj_after "$(adj $framework)"
wait_for 20 said calls 'ended by that'
fact said $?
# What a call leaves running keeps its value until the scheduler ends, and then has its own again.
enter agents/a sh -c 'sleep 1000 & exit 0' &
wait $!
stays=$(grep -vx $framework $cg/agents/a/cgroup.procs)
wait_for 20 is_adj $stays 500
fact left_adj "$(adj $stays)"
stop_scheduler TERM
fact term_status $status
fact term_adj "$(adj $stays) $(adj $framework)"
fact term_files "$(ls /run/scx_agent | tr '\n' ' ')"

### kill -9
start_scheduler killed -v --agent-cgroup 'agents/*'
(
	echo 300 >/proc/self/oom_score_adj
	enter agents/a sh -c 'tail -f /dev/null & exit 0'
)
had=$(grep -vx -e $framework -e $stays $cg/agents/a/cgroup.procs)
wait_for 20 is_adj $had 800
fact had_adj "$(adj $had)"
stop_scheduler KILL
wait_for 20 is_adj $had 300
fact killed_adj "$(adj $had) $(adj $stays) $(adj $framework)"
for a in plain a; do echo 1 >$cg/agents/$a/cgroup.kill; done
wait
