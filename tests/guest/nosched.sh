# SPDX-License-Identifier: GPL-2.0-only
# Phases and memory without a scheduler.
. /tests/lib.sh

mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
mkdir $cg/agents/a
high() { cat $cg/agents/a/memory.high; }
is() { [ "$(high)" = "$1" ]; }
isnt() { [ "$(high)" != "$1" ]; }
role() { scx_agent explain --json "$1" | sed -n 's/^ *"role": "\(.*\)",*$/\1/p'; }
role_is() { [ "$(role "$1")" = "$2" ]; }
# Where there is no sched_ext it needs not to be told.
how=--no-sched
[ -d $ext ] || how=
# watch NAME: scx_agent in the background, as $watcher.
watch() {
	scx_agent $how -vv --agent-cgroup 'agents/*' </dev/null >/out/$1.out 2>/out/$1.err &
	watcher=$!
	wait_for 60 grep -q 'watching' /out/$1.out
}

# Holds 100 MB; has a call, and a helper that stays.
cat >/tmp/framework <<END
#!/bin/sh
agentload burn --stages 3000000000:0:1:25600 &
until [ -e /tmp/go ]; do sleep 1; done
/bin/sh -c 'sh /tests/spin.sh 2 60000; times >/tmp/times; cat $cg/agents/a/memory.high >/tmp/in_call; sleep 4; exit 3'
sleep 1000 &
echo \$! >/tmp/helper
wait
END
chmod +x /tmp/framework
enter agents/a setsid /tmp/framework &
framework=$!

fact sched_ext "$(cat $ext/state 2>/dev/null)"
[ -d $ext ] || {
	scx_agent --no-memory </dev/null >/out/refused.out 2>/out/refused.err
	fact refused $?
}
scx_agent check >/out/check.out 2>&1
watch watch
wait_for 60 isnt max
fact wait_limited $?
fact wait_high "$(high)"
fact role "$(role $framework)"
touch /tmp/go
wait_for 60 sh -c 'scx_agent calls --running --json | grep -q spin.sh'
call=$(scx_agent calls --running --json | sed -n 's/^ *"pid": \(.*\),$/\1/p')
fact call "$(role $call)"
wait_for 60 [ -s /tmp/helper ]
fact call_high "$(cat /tmp/in_call)"
wait_for 10 role_is "$(cat /tmp/helper)" helper
fact helper "$(role "$(cat /tmp/helper)")"
wait_for 60 isnt max
fact settled $?
fact spun_s "$(awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); s += 60 * t[1] + t[2] } print s }' /tmp/times)"
scx_agent calls >/out/calls.out
scx_agent status >/out/status.out
fact healthy $?
kill -TERM $watcher
wait $watcher
fact term_status $?
fact term_high "$(high)"

watch killed
wait_for 60 isnt max
fact limited $?
kill -KILL $watcher
wait $watcher
wait_for 20 is max
fact killed_restored $?
echo 1 >$cg/agents/a/cgroup.kill
wait
