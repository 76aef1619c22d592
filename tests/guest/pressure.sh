# SPDX-License-Identifier: GPL-2.0-only
# A host that runs short: two tool calls grow, one after the other, beside a framework that works. What their
# limits do by themselves: a call that is braked as well runs into its limit less often (brake.sh).
. /tests/lib.sh

swap_on_zram
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/old $cg/agents/new $cg/agents/busy
# Those who are all worth the same share only when the host has no swap left.
echo 200 >$cg/agents/busy/cpu.weight

MB=256 # pages
said() { grep -q "$1" /out/pressure.err; }
# growing N MB MS: stages of a call that grows N times by MB, one step in MS.
growing() {
	i=1
	while [ $i -le $1 ]; do
		echo "$(($3 * 1000)):0:1:$((i * $2 * MB)),"
		i=$((i + 1))
	done | tr -d '\n'
}

enter agents/old agentload burn --stages 3000000000:0:1:$((20 * MB)) &
enter agents/new agentload burn --stages 3000000000:0:1:$((20 * MB)) &
# The framework works in turns and waits in between, and grows a little each time.
turns=
for i in $(seq 40); do turns="$turns,1500000:$WORK:1:$(((50 + i) * MB))"; done
enter agents/busy agentload burn --stages "$turns" &

start_scheduler pressure -v --agent-cgroup 'agents/*' --mem-reserve-mb 250 --mem-no-brake
sleep 5
enter agents/old sh -c "agentload burn --stages $(growing 20 20 300); exit 0" &
old=$!
sleep 2.5
had=$(high_events new)
enter agents/new sh -c "agentload burn --stages $(growing 20 20 300); exit 0" &
new=$!
is_held() { [ "$(high_events new)" -gt "$had" ]; }
wait_for 60 is_held
fact new_held $?
wait $old
fact old_status $?
fact new_at_end_of_old "$(cat $cg/agents/new/memory.current)"
fact new_events_at_end_of_old "$(high_events new)"
fact old_events "$(high_events old)"
wait $new
fact new_status $?
wait_for 60 said 'no longer under pressure'
fact over $?
fact busy_events "$(high_events busy)"
fact busy_oom "$(sed -n 's/^oom_kill //p' $cg/agents/busy/memory.events)"
stop_scheduler TERM
fact status $status
fact left "$(cat $cg/agents/*/memory.high | tr '\n' ' ')"
for a in old new busy; do echo 1 >$cg/agents/$a/cgroup.kill; done
wait
