# SPDX-License-Identifier: GPL-2.0-only
# What is refused, each with one sentence and nothing changed.
. /tests/lib.sh

echo 'user:x:1000:1000::/:/bin/sh' >>/etc/passwd
refused not_root su user -c scx_agent
refused bad_glob scx_agent --agent-cgroup 'agents/[ab]'
refused root_glob scx_agent --agent-cgroup /
refused bad_stats scx_agent --stats 0
refused no_number scx_agent --stats soon
refused long_comm scx_agent --framework-comm sixteen-bytes-ab
refused bad_slice scx_agent --slice-us 1
refused bad_log scx_agent --events /nowhere/events.jsonl
globs=$(for i in $(seq 25); do echo --agent-cgroup g$i; done)
refused many_globs scx_agent $globs
fact nr_enabled "$(cat $ext/enable_seq)"

config=/boot/config-$(uname -r)
mv "$config" /tmp/config
refused no_config scx_agent
mv /tmp/config "$config"

start_scheduler first
refused second scx_agent
fact first_alive "$(kill -0 $scheduler && echo yes)"
stop_scheduler TERM
fact first_status $status
refused no_scheduler scx_agent --monitor 0

good='{"agent":"a","comm":"claude","start_ms":0,"turns":[]}'
printf '%s\n%s\n' "$good" '{"agent":"b","comm":3,"start_ms":0,"turns":[]}' >/tmp/type.jsonl
refused plan_type agentload run --plan /tmp/type.jsonl
printf '%s\n\n%s\n' "$good" '{"agent":"b/../c","comm":"x","start_ms":0,"turns":[]}' >/tmp/name.jsonl
refused plan_name agentload run --plan /tmp/name.jsonl
refused plan_missing agentload run --plan /tmp/nowhere.jsonl
printf '{"task":1}\n' >/tmp/traces.jsonl
refused traces agentload plan --traces /tmp/traces.jsonl
fact cgroups_left "$(ls -d $cg/agents 2>/dev/null)"
