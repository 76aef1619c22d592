# SPDX-License-Identifier: GPL-2.0-only
# What operators do to agents: pause and resume, the time limit of calls, and what was recorded.
. /tests/lib.sh
swap_on_zram

echo "+cpu +memory" >$cg/cgroup.subtree_control
mkdir $cg/agents
echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
freeze() { cat "$cg/agents/$1/cgroup.freeze"; }
frozen_is() { grep -q "^frozen $2$" "$cg/agents/$1/cgroup.events"; }
used() { echo $(($(cat "$cg/agents/$1/memory.current") / 1048576)); }
# cpu AGENT: ms of CPU time so far.
cpu() { sed -n 's/^usage_usec \(.*\)...$/\1/p' "$cg/agents/$1/cpu.stat"; }
less_than() { [ "$(used "$1")" -lt "$2" ]; }
# tell NAME COMMAND...: what scx_agent says, and its exit status.
tell() {
	name=$1
	shift
	scx_agent "$@" >/out/"$name".out 2>/out/"$name".err
	fact "$name" $?
}
begin() {
	umask 0
	start_scheduler "$1" -v --agent-cgroup 'agents/*' --agent-cgroup 'loaded/*' --call-limit-s 3 --call-grace-s 2
	umask 022
	# It answers a little later than the kernel runs it.
	wait_for 30 sh -c 'scx_agent calls --running >/dev/null 2>&1'
}

for a in held busy other; do mkdir $cg/agents/$a; done
enter agents/held agentload burn --stages "3000000000:0:1:$((100 * 256))" &
held=$!
enter agents/busy sh /tests/spin.sh 1 1000000000 &
busy=$!
enter agents/other sleep 1000 &
other=$!
begin first

fact socket_mode "$(stat -c %a /run/scx/root/stats)"

### paused: nothing runs, memory goes
grown() { [ "$(used held)" -ge 100 ]; }
wait_for 20 grown
fact used_before "$(used held)"
tell pause pause held --for 3000
wait_for 10 frozen_is held 1
fact frozen $?
wait_for 60 less_than held 30
fact used_paused "$(used held)"
tell again pause held --for 2000
tell pause_busy pause busy
wait_for 10 frozen_is busy 1
before=$(cpu busy)
sleep 2
fact cpu_paused $(($(cpu busy) - before))
scx_agent status >/out/status.out
fact journal "$(grep -c frozen /run/scx_agent/memory.journal)"

### resumed: it goes on, where it was
tell resume resume held
wait_for 10 frozen_is held 0
fact thawed $?
tell resume_again resume held
tell nobody pause nobody
tell too_long pause held --for 100000

### its time is over
tell short pause held --for 2
wait_for 10 frozen_is held 1
wait_for 10 frozen_is held 0
fact short_over $?

### somebody else's freezing and thawing are theirs
echo 1 >$cg/agents/other/cgroup.freeze
tell foreign pause other
fact foreign_left "$(freeze other)"
echo 0 >$cg/agents/other/cgroup.freeze
tell taken pause held
wait_for 10 frozen_is held 1
echo 0 >$cg/agents/held/cgroup.freeze
wait_for 10 grep -q 'somebody else lets it go on' /out/first.err
fact taken_left "$(freeze held)"

### what it may do
# capabilities NAME PID: each set of it in hexadecimal.
capabilities() {
	for set in Inh Prm Eff Bnd Amb; do
		fact "$1_$set" "$(sed -n "s/^Cap$set:\t0*\(.\)/\1/p" "/proc/$2/status")"
	done
	fact "$1_no_new_privs" "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$2/status")"
}
capabilities daemon $scheduler
read -r guard _ <<END
$(cat /proc/$scheduler/task/*/children)
END
capabilities guard "$guard"
for t in /proc/$scheduler/task/*; do
	echo "$(cat "$t/comm") $(sed -n 's/^Cap\(Prm\|Eff\):\t//p' "$t/status" | tr '\n' ' ')"
done >/out/threads

### ended, and killed: everybody goes on
tell last pause held
wait_for 10 frozen_is held 1
stop_scheduler TERM
fact first_status $status
fact after_term "$(freeze held) $(freeze busy) $(ls /run/scx_agent/memory.journal 2>/dev/null)"
begin second
tell second_pause pause held
wait_for 10 frozen_is held 1
kill -KILL $scheduler
wait $scheduler 2>/dev/null
wait_for 20 frozen_is held 0
fact after_kill "$(freeze held)"
wait_for 10 sh -c '! [ -e /run/scx_agent/memory.journal ]'
fact journal_left "$(ls /run/scx_agent/memory.journal 2>/dev/null)"
kill $held $busy $other
wait_for 20 state_is disabled

### the time limit of calls
begin limited
mkdir $cg/agents/calls
cp /tests/limited /tmp/claude
# Another user's: who ends its calls needs a capability for that.
echo nobody:x:65534:65534::/:/bin/sh >>/etc/passwd
chmod 1777 /tmp
enter agents/calls setsid start-stop-daemon -S -c nobody -x /tmp/claude &
calls=$!
wait_for 40 sh -c '[ -e /tmp/limited.done ]'
fact framework_lives "$(kill -0 $calls && echo yes)"
scx_agent calls --json >/out/calls.json
scx_agent calls >/out/calls.out
fact stubborn_left "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^stubborn$')"
fact daemon_lives "$(kill -0 "$(cat /tmp/server.pid)" && echo yes)"
kill $calls

### paused for longer than a call may take
mkdir $cg/agents/waits /tmp/waits
cat >/tmp/waits/claude <<'END'
#!/bin/sh
/bin/sh -c '>/tmp/waits/begun; sleep 2; exit 7'
echo $? >/tmp/waits/status
sleep 60
END
chmod +x /tmp/waits/claude
enter agents/waits setsid /tmp/waits/claude &
waits=$!
# It is to be paused within 2 s, so nothing is asked before.
wait_for 30 [ -e /tmp/waits/begun ]
tell waits_pause pause waits
sleep 7
fact waits_meanwhile "$(cat /tmp/waits/status 2>/dev/null)"
tell waits_resume resume waits
wait_for 20 [ -s /tmp/waits/status ]
fact waits_call "$(cat /tmp/waits/status)"
kill $waits

### recorded, shown again and reported on
agentload generate --agents 2 --turns 3 --seed 7 >/tmp/plan
enter agents/held agentload burn --stages "3000000000:0:1:$((100 * 256))" &
held=$!
scx_agent record --interval 0.5 /out/rec 2>/out/record.err &
recorder=$!
agentload run --plan /tmp/plan --cgroup loaded --speedup 2 --out /out/load.jsonl >/dev/null
fact load $?
sleep 1
kill -INT $recorder
wait $recorder
fact record $?
scx_agent calls --json >/out/loaded.json
tell replay replay --at 4 --print /out/rec
tell report report --json --html /out/report.html /out/rec
tell report_text report /out/rec
tell no_recording report /tests/operate.sh

### what the documents say can be typed
mkdir -p /var/log/scx_agent
export HOME=/tmp
cd /tmp || exit 1
agentload generate --as-traces --agents 2 >tasks.jsonl
run_documented
kill $held

stop_scheduler TERM
fact limited_status $status

### without the memory controller there is no pause
enter agents/held sleep 1000 &
held=$!
start_scheduler plain --agent-cgroup 'agents/*' --no-memory
tell no_memory pause held
stop_scheduler TERM
kill $held
