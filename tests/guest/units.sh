# SPDX-License-Identifier: GPL-2.0-only
# What the scripts that run under systemd share.

PATH=$PATH:/usr/local/bin
high() { cat "$cg/agents/$1/memory.high"; }
isnt() { [ "$(high "$1")" != "$2" ]; }
show() { systemctl show -P "$1" scx_agent; }
failed() { [ "$(show ActiveState)" = failed ]; }
active_and_enabled() { [ "$(show ActiveState)" = active ] && state_is enabled; }
restarted() { active_and_enabled && [ "$(show MainPID)" != "$1" ]; }
journal_has() { journalctl -u scx_agent --no-pager | grep -q "$1"; }
watchdog_fired() { journal_has 'Watchdog timeout'; }

# generated: makes what a package ships beside the program, for `same`.
generated() { scx_agent generate /tmp/generated; }

# same NAME FILE: says FILE unless it is what was generated as NAME.
same() { cmp -s "/tmp/generated/$1" "$2" || echo "$2"; }

# agent_that_waits NAME MB: an agent in a cgroup of its own, whose framework holds memory and
# sleeps, as one that waits for its model; its process in $waits.
agent_that_waits() {
	echo "+cpu +memory" >$cg/cgroup.subtree_control
	mkdir -p "$cg/agents"
	echo "+cpu +memory" >$cg/agents/cgroup.subtree_control
	mkdir "$cg/agents/$1"
	enter "agents/$1" agentload burn --stages "3000000000:0:1:$(($2 * 256))" &
	waits=$!
}
