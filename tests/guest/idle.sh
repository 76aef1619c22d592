# SPDX-License-Identifier: GPL-2.0-only
# Idle agents on a host that runs short, which is told by the settings: who is idle longest gives first, who
# works gives nothing, and with the pressure it ends.
. /tests/lib.sh
swap_on_zram

mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
MB=256 # pages
used() { echo $(($(cat $cg/agents/$1/memory.current) / 1048576)); }
less_than() { [ "$(used $1)" -lt "$2" ]; }
framework() {
	mkdir $cg/agents/$1
	enter agents/$1 agentload burn --stages 3000000000:0:1:$(($2 * MB)) &
}
steps() { grep -c 'idle under pressure' /out/idle.err; }
# The reserve, in MB, from which on the host runs short.
reserve() { echo "mem_reserve_mb = $1" >/tmp/config.toml; }
reserve 16
# An agent that waits, while what its call has left running works: it has been there longest.
framework works 150
start_scheduler idle -v --config /tmp/config.toml --agent-cgroup 'agents/*' --idle-after 4s
(enter agents/works sh -c 'sh /tests/spin.sh 1 1000000000 & exit 0') &
sleep 1
framework older 150
sleep 3
framework younger 150
sleep 8
fact quiet_steps "$(steps)"
fact quiet_older "$(used older)"

reserve 1000000
scx_agent reload >/out/reload.out
wait_for 90 less_than older 40
fact older_gives $?
fact younger_meanwhile "$(used younger)"
wait_for 90 less_than younger 120
fact younger_gives $?
fact works "$(used works)"

reserve 16
scx_agent reload >/out/reload.out
sleep 1
before=$(steps)
sleep 6
fact after_steps $(($(steps) - before))
fact younger_after "$(used younger)"
fact frozen "$(cat $cg/agents/*/cgroup.freeze | tr '\n' ' ')"
fact alive "$(pidof agentload | wc -w)"
stop_scheduler TERM
fact status $status
fact left "$(cat $cg/agents/*/memory.high | tr '\n' ' ')"
for a in works older younger; do echo 1 >$cg/agents/$a/cgroup.kill; done
wait
