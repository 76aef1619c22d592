# SPDX-License-Identifier: GPL-2.0-only
# The unit under systemd, from its installation to its end.
. /tests/lib.sh
. /tests/units.sh

### nothing runs yet
refused status_none /src/scx_agent status
(cd /src && scripts/install --program /src/scx_agent) >/out/install.out 2>/out/install.err
fact install $?
fact installed_state "$(state)"
fact unit_verified "$(systemd-analyze verify --man=no /usr/local/lib/systemd/system/scx_agent.service >/out/verify.err 2>&1; echo $?)"
fact start_limit "$(show StartLimitBurst) $(show StartLimitIntervalUSec)"
generated
fact not_installed "$({
	for page in scx_agent.1 scx_agent-status.1 $(cd /tmp/generated && ls -- *.1); do
		same "$page" "/usr/local/share/man/man1/$page"
	done
	same scx_agent.bash /usr/local/share/bash-completion/completions/scx_agent
	same _scx_agent /usr/local/share/zsh/site-functions/_scx_agent
	same scx_agent.fish /usr/local/share/fish/vendor_completions.d/scx_agent.fish
} | tr '\n' ' ')"
echo 'slice_us = 9000' >>/etc/scx_agent/config.toml
(cd /src && scripts/install --program /src/scx_agent) >/out/again.out 2>/out/again.err
fact install_again $?
fact settings_kept "$(grep -c '^slice_us = 9000$' /etc/scx_agent/config.toml)"
fact check "$(scx_agent check >/out/check.out 2>/out/check.err; echo $?)"

printf 'agent_cgroups = ["agents/*"]\nverbose = 1\ncall_log = "/var/log/scx_agent/calls.jsonl"\n' >/etc/scx_agent/conf.d/10-agents.toml
agent_that_waits a 100

### active only when enabled
systemctl start --no-block scx_agent
early=no
until [ "$(systemctl is-active scx_agent)" = active ]; do
	[ "$(systemctl is-failed scx_agent)" != failed ] || break
	sleep 0.05
done
state_is enabled || early=yes
fact active_before_enabled $early
scx_agent status --json >/out/status.json 2>/out/status.err
fact status $?
scx_agent status >/out/status.out
fact status_state "$(state)"
wait_for 60 isnt a max
fact limited $?
# On a terminal: it draws, takes keys and gives the terminal back.
drawn() { wait_for 30 grep -q "$1" /out/pty.out; }
(drawn AGENT && printf s && drawn 'MEM\*' && printf q && drawn 'status 0') |
	TERM=xterm timeout 120 script -qefc 'stty rows 24 cols 80; scx_agent top; echo "status $?"' /out/pty.out >/dev/null 2>/out/pty.err
# What the unit's hardening must not prevent.
fact metrics "$(bash -c 'exec 3<>/dev/tcp/127.0.0.1/9855 && printf "GET /metrics HTTP/1.1\r\n\r\n" >&3 && grep -c "^scx_agent_scheduling 1" <&3')"
fact log_modes "$(stat -c '%a:%U' /var/log/scx_agent /var/log/scx_agent/calls.jsonl | tr '\n' ' ')"
scx_agent pause a --for 100 >/dev/null
fact paused "$(cat $cg/agents/a/cgroup.freeze)"
scx_agent resume a >/dev/null
fact resumed "$(cat $cg/agents/a/cgroup.freeze)"
journalctl --sync
journalctl -u scx_agent -o json SCX_AGENT_AGENT=a >/out/decisions.jsonl

### reload
echo 'mem_slack_pct = 50' >/etc/scx_agent/conf.d/20-mem.toml
systemctl reload scx_agent
fact reload $?
scx_agent reload >/out/reload.out 2>/out/reload.err
fact reload_unchanged "$(cat /out/reload.out)"
echo 'slice_us = 8000' >>/etc/scx_agent/conf.d/20-mem.toml
scx_agent reload >/out/reload2.out
echo 'mem_slack_pct = "much"' >/etc/scx_agent/conf.d/20-mem.toml
systemctl reload scx_agent
fact reload_wrong $?
scx_agent reload >/out/wrong.out 2>/out/wrong.err
fact reload_wrong_cli $?
fact wrong_active "$(systemctl is-active scx_agent) $(state)"
scx_agent status >/out/unhealthy.out 2>/out/unhealthy.err
fact unhealthy $?
rm /etc/scx_agent/conf.d/20-mem.toml
systemctl reload scx_agent
fact reload_mended $?
scx_agent status >/dev/null
fact healthy_again $?
fact one_enable "$(cat $ext/enable_seq)"

### stop
systemctl stop scx_agent
fact stopped_state "$(state)"
fact stopped_high "$(high a)"
fact stopped_result "$(systemctl show -P Result scx_agent)"
fact left_behind "$(pgrep -c scx_agent)"

### kill -9, again and again
systemctl start scx_agent
wait_for 60 isnt a max
for i in 1 2 3; do
	pid=$(systemctl show -P MainPID scx_agent)
	kill -9 "$pid"
	wait_for 90 restarted "$pid" || break
done
fact restarts "$(systemctl show -P NRestarts scx_agent)"
fact restarted_state "$(state)"
wait_for 60 isnt a max
fact restarted_limited $?
kill -9 "$(systemctl show -P MainPID scx_agent)"
wait_for 90 failed
fact limit_result "$(systemctl show -P ActiveState,Result scx_agent | tr '\n' ' ')"
sleep 5
fact limit_state "$(state)"
fact limit_high "$(high a)"
fact agent_lives "$(kill -0 $waits && echo yes)"
systemctl reset-failed scx_agent

### a hang is noticed
systemctl start scx_agent
wait_for 60 isnt a max
kill -STOP "$(systemctl show -P MainPID scx_agent)"
wait_for 90 watchdog_fired
fact watchdog $?
systemctl stop scx_agent
fact watchdog_state "$(state)"
fact watchdog_high "$(high a)"
systemctl reset-failed scx_agent

### other schedulers make way for it, and it for them
for other in scx scx_loader; do
	printf '[Service]\nExecStart=/bin/sleep 100000\n' >/run/systemd/system/$other.service
done
systemctl daemon-reload
others() { systemctl is-active scx scx_loader | tr '\n' ' '; }
systemctl start scx scx_loader
fact others_before "$(others)"
systemctl start scx_agent
fact others_after "$(others)$(systemctl is-active scx_agent) $(state)"
systemctl start scx
fact others_again "$(others)$(systemctl is-active scx_agent) $(state)"
systemctl stop scx
rm /run/systemd/system/scx.service /run/systemd/system/scx_loader.service
systemctl daemon-reload
systemctl reset-failed scx_agent

### ejected by the kernel
systemctl start scx_agent
echo S >/proc/sysrq-trigger
wait_for 60 journal_has 'disabled by sysrq-S'
fact ejected_said $?
wait_for 90 active_and_enabled
fact ejected_restarted $?

### away
(cd /src && scripts/uninstall --purge) >/out/uninstall.out 2>/out/uninstall.err
fact uninstall $?
fact uninstalled_state "$(state)"
fact uninstalled_high "$(high a)"
fact left "$(find /usr/local /var/log /etc/scx_agent /run/scx_agent /run/scx /etc/systemd -name 'scx' -o -name '*scx_agent*' -o -name memory.journal 2>/dev/null | tr '\n' ' ')"
(cd /src && scripts/uninstall) >/dev/null 2>&1
fact uninstall_again $?
journalctl -u scx_agent --no-pager -o short-monotonic >/out/journal.err

### a person's first minutes, as README has them, with an agent of Docker's shape
cd /src || exit 1
container=docker-4fd1c2aa0011.scope
# container_that_works: its framework, in $held, has a tool call.
container_that_works() {
	mkdir -p $cg/system.slice/$container
	enter system.slice/$container /tests/claude works &
	held=$!
}
container_that_works
settings() { printf '%s\n' "$2" >"$1"; }
# minute FILE:LINE COMMAND...
minute() {
	place=$1
	shift
	fact "minute_$place" "$(timeout 60 "$@" >"/out/${place%:*}.${place#*:}" 2>&1 </dev/null; echo $?)"
	fact "state_$place" "$(systemctl is-active scx_agent) $(state)"
}
. /tests/minutes.sh
kill $held
fact minutes_left "$(find /usr/local /run/scx_agent/memory.journal -name '*scx_agent*' -o -name memory.journal 2>/dev/null | tr '\n' ' ')"
