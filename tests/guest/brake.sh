# SPDX-License-Identifier: GPL-2.0-only
# The memory brake: a call that takes more than its share on a host that runs short is dispatched less.
. /tests/lib.sh

swap_on_zram
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/old $cg/agents/new
# Those who are all worth the same share only when the host has no swap left.
echo 200 >$cg/agents/old/cpu.weight

MB=256 # pages
said() { grep -q "$1" /out/$log.err; }
is_held() { [ "$(high_events new)" -gt "$had" ]; }
used_us() { sed -n 's/^usage_usec //p' $cg/agents/new/cpu.stat; }
# share SECONDS: how much of one CPU the agent has meanwhile, in percent.
share() {
	before=$(used_us)
	sleep $1
	echo $((($(used_us) - before) / ($1 * 10000)))
}
# grow: stages of a call that grows by 4 MB every 200 ms for a minute.
grow=
for i in $(seq 300); do grow="$grow${grow:+,}200000:0:1:$((i * 4 * MB))"; done

# calls NAME OPTION...: with so large a reserve that the host always runs short, two that grow; the newer one has a
# process beside it that only computes. And a framework of the newer one, which sleeps.
calls() {
	start_scheduler "$@" -v --agent-cgroup 'agents/*' --mem-reserve-mb 4000 --mem-slack-min-mb 16
	enter agents/old agentload burn --stages 3000000000:0:1:$((20 * MB)) &
	enter agents/new agentload burn --stages 3000000000:0:1:$((20 * MB)) &
	sleep 3
	had=$(high_events new)
	enter agents/old sh -c "agentload burn --stages $grow; exit 0" &
	sleep 1
	enter agents/new sh -c "agentload burn --stages $grow & while :; do :; done" &
	wait_for 60 is_held
	fact $1_held $?
}
ends() {
	for a in old new; do echo 1 >$cg/agents/$a/cgroup.kill; done
	wait_for 20 grep -q 'populated 0' $cg/agents/new/cgroup.events
	stop_scheduler TERM
	fact $1_status $status
}

calls braked
wait_for 60 said 'agent "new".*brake on its calls off -> on'
fact on $?
sleep 1
fact braked_pct "$(share 8)"
# Nobody renews it.
kill -STOP $scheduler
sleep 2
fact unrenewed_pct "$(share 3)"
kill -CONT $scheduler
sleep 2
fact renewed_pct "$(share 5)"
fact old_braked "$(grep -c 'agent "old".*brake on its calls off -> on' /out/braked.err)"
ends braked

calls unbraked --mem-no-brake
sleep 1
fact unbraked_pct "$(share 5)"
ends unbraked
fact unbraked_on "$(grep -c 'brake on its calls' /out/unbraked.err)"
