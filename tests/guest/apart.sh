# SPDX-License-Identifier: GPL-2.0-only
# Tool calls in cgroups of their own: who gets them, what is in them, who dies when memory runs out, and
# what is left of them, whatever ends the daemon.
. /tests/lib.sh

mkdir $cg/agents $cg/docker
for d in agents docker; do echo "+cpu +memory" >$cg/$d/cgroup.subtree_control; done
MB=256 # pages
cgroup_of() { sed -n 's/^0:://p' /proc/$1/cgroup; }
ours() { ls -d $cg/$1/scx_agent.* 2>/dev/null | sed 's/.*\///' | tr '\n' ' '; }
none_of_ours() { [ -z "$(ours $1)" ]; }
role() { scx_agent explain --json "$1" | sed -n 's/^ *"role": "\(.*\)",*$/\1/p'; }
call_of() { sed -n 's/.*\/scx_agent.call-//p' /proc/$1/cgroup; }
has_call() { [ -n "$(call_of $1)" ]; }
ended() { [ -s /tmp/$1.status ]; }
run() {
	start_scheduler "$@" -vv --agent-cgroup 'agents/*' --agent-cgroup 'docker/*' \
		--tool-cgroups --delegated-cgroup 'agents/a*' --delegated-cgroup 'docker/*'
}

# A framework that runs what it finds in /tmp/NAME.1, /tmp/NAME.2 and so on, each a tool call.
cat >/tmp/framework <<'END'
#!/bin/sh
agentload burn --stages 3000000000:0:1:25600 &
n=1
while :; do
	until [ -e /tmp/$1.$n ]; do sleep 0.2; done
	(/bin/sh -c ". /tmp/$1.$n"; echo $? >/tmp/$1.$n.status) &
	n=$((n + 1))
done
END
chmod +x /tmp/framework
# agent CGROUP NAME: its framework, in $framework.
agent() {
	mkdir $cg/$1
	enter $1 setsid /tmp/framework $2 </dev/null >/dev/null 2>&1 &
	framework=$!
}
# In a call: until it has its cgroup, as memory counts where it is first touched.
apart='until grep -q call- /proc/$$/cgroup; do sleep 0.1; done'
# call NAME.N COMMANDS: the next tool call of a framework, with its process in /tmp/NAME.N.pid.
call() {
	echo "echo \$\$ >/tmp/$1.pid; $2" >/tmp/$1.new
	mv /tmp/$1.new /tmp/$1
}
pid_of() { cat /tmp/$1.pid; }
begun() { [ -s /tmp/$1.pid ] && has_call "$(pid_of $1)"; }

### who gets them
run apart
agent agents/b b
agent agents/d d
agent docker/c c
agent agents/a a
framework_a=$framework
crowd delegate $cg/agents/d
call d.1 'sleep 3'
wait_for 60 begun d.1
fact delegated $?
call b.1 'sleep 1'
call c.1 'sleep 1'
wait_for 60 ended b.1
wait_for 60 ended c.1
fact others "$(ours agents/b)$(ours docker/c)"

### what is in them
call a.1 'for i in $(seq 30); do sleep 8 & done; sleep 1000 & echo $! >/tmp/left; '"$apart"'; agentload burn --stages 4000000:0:1:38400'
wait_for 60 begun a.1
fact begun $?
first=$(pid_of a.1)
sleep 2
fact in_call $(($(wc -l <$cg/agents/a/scx_agent.call-$(call_of $first)/cgroup.procs) >= 33))
fact framework_cgroup "$(cgroup_of $framework_a)"
fact oom_group "$(cat $cg$(cgroup_of $first)/memory.oom.group)"
fact role_first "$(role $first)"
fact role_child "$(role "$(cat /tmp/left)")"
fact role_framework "$(role $framework_a)"
wait_for 60 ended a.1
fact status "$(cat /tmp/a.1.status)"
none_left() { [ "$(ours agents/a)" = "scx_agent.framework " ]; }
wait_for 20 none_left
fact after_call $?
fact left_cgroup "$(cgroup_of "$(cat /tmp/left)")"
fact left_role "$(role "$(cat /tmp/left)")"

### memory runs out
echo 330M >$cg/agents/a/memory.max
call a.2 'sleep 1000'
wait_for 60 begun a.2
call a.3 'sleep 1001 & echo $! >/tmp/with; '"$apart"'; agentload burn --stages 1000000:0:1:25600,3000000000:0:1:76800'
wait_for 60 begun a.3
fact third_begun $?
wait_for 60 ended a.3
fact killed_status "$(cat /tmp/a.3.status)"
fact killed_with "$([ -d /proc/$(cat /tmp/with) ] && echo alive)"
fact other_call "$([ -d /proc/$(pid_of a.2) ] && echo alive)"
fact framework "$([ -d /proc/$framework_a ] && echo alive)"
wait_for 20 grep -q 'killed it for want of memory' /out/apart.err
fact said $?
echo max >$cg/agents/a/memory.max

### an agent that ends: its cgroup can be removed
echo 1 >$cg/agents/d/cgroup.kill
removed() { rmdir $cg/agents/d 2>/dev/null; }
wait_for 20 removed
fact removed $?

### its end
together() { none_of_ours agents/a && [ -z "$(cat $cg/agents/a/cgroup.subtree_control)" ]; }
stop_scheduler TERM
fact term_status $status
together
fact term_together $?
fact term_cgroup "$(cgroup_of $framework_a) $(cgroup_of "$(pid_of a.2)")"
fact term_files "$(ls /run/scx_agent | tr '\n' ' ')"

### kill -9 of it and its guard
run nobody
call a.4 'sleep 1000'
wait_for 60 begun a.4
kill -9 $(pidof scx_agent)
wait $scheduler
wait_for 20 state_is disabled
fact nobody_left "$(ours agents/a)"
scx_agent restore >/out/restore.out 2>&1
fact restore_status $?
together
fact restore_together $?

### a host that runs short: calls are held, and not their agent; then kill -9
run pressed --mem-reserve-mb 1000000
call a.5 'agentload burn --stages 1000000:0:1:5120,1000000:0:1:10240,1000000:0:1:15360; exit 3'
wait_for 60 begun a.5
fifth=$(cgroup_of "$(pid_of a.5)")
held() { [ "$(cat $cg$fifth/memory.high)" != max ]; }
wait_for 60 held
fact held $?
fact held_agent "$(cat $cg/agents/a/memory.high)"
wait_for 120 ended a.5
fact held_status "$(cat /tmp/a.5.status)"
fact held_others "$([ -d /proc/$(pid_of a.4) ] && echo alive)"
call a.6 'sleep 1000'
wait_for 60 begun a.6
stop_scheduler KILL
wait_for 20 together
fact killed_together $?
fact killed_cgroup "$(cgroup_of $framework_a) $(cgroup_of "$(pid_of a.6)")"
no_daemon() { ! pidof scx_agent >/dev/null; }
wait_for 20 no_daemon
fact killed_files "$(ls /run/scx_agent | tr '\n' ' ')"
for a in agents/a agents/b docker/c; do echo 1 >$cg/$a/cgroup.kill; done
wait
