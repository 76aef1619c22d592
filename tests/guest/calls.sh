# SPDX-License-Identifier: GPL-2.0-only
# What `scx_agent calls`, `explain` and `call` say of agents whose calls are known.
. /tests/lib.sh

mkdir $cg/agents
start_scheduler calls -v --agent-cgroup 'agents/*' --events /out/calls.jsonl
for s in kinds tags model; do
	mkdir $cg/agents/$s
	enter agents/$s setsid /tests/hooked $s &
	eval "$s=$!"
done

# A tag for another agent's process, while both are there.
wait_for 20 [ -s /tmp/long.pid ]
wait_for 20 [ -s /tmp/tags.pid ]
explain() {
	name=$1
	shift
	scx_agent explain "$@" >/out/$name.out 2>/out/$name.err
	fact "$name" $?
}
long=$(cat /tmp/long.pid)
wait_for 20 grep -q . "/proc/$long/task/$long/children"
read -r child _ </proc/"$long"/task/"$long"/children
fact long_pid "$long"
fact child_pid "$child"
fact kinds_pid $kinds
explain explain_framework --json $kinds
explain explain_text "$child"
explain explain_tool --json "$long"
explain explain_child --json "$child"
explain explain_init 1
explain explain_gone 99999999
scheduler_thread=$(ls /proc/$scheduler/task | tail -n 1)
explain explain_thread "$scheduler_thread"
scx_agent calls --running --json >/out/running.json
fact outside_tag "$(scx_agent call begin --id o --command x 2>&1 >/dev/null)"
touch /tmp/looked

wait $kinds
wait $tags
wait $model
wait_for 10 sh -c "! scx_agent calls --running --json | grep -q '\"agent\"'"
scx_agent calls --json >/out/calls.json
scx_agent calls --json --agent 'kin*' >/out/kinds.json
scx_agent calls >/out/table.out
fact socket_mode "$(stat -c %a:%u /run/scx_agent/tags/tag.sock)"
fact folder_mode "$(stat -c %a /run/scx_agent)"
stop_scheduler TERM
fact calls_status $status
fact socket_left "$(ls /run/scx_agent/tags)"

# Without a daemon: a hook goes on, a person is told.
echo '{"hook_event_name":"BeforeModel"}' | scx_agent call begin 2>/out/alone.err
fact alone_hook $?
refused alone_calls scx_agent calls
refused alone_call scx_agent call begin --id 1
