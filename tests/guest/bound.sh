# SPDX-License-Identifier: GPL-2.0-only
# Endless long calls under short ones that want every CPU: does each of them go on?
. /tests/lib.sh

mkdir $cg/agents
# Long calls wait for 0.2 s for shorter ones, and for half a second at most.
start_scheduler bound --no-memory --agent-cgroup 'agents/*' --delay-cap-ms 200 --long-call-ms 200 --stats 1
agentload run --plan /plan.jsonl --mem off --work-per-ms "$WORK_PER_MS" >/dev/null &
load=$!
wait_for 60 [ -e $cg/agents/short-0/cpu.stat ]
sleep 5
# used: a line for each long call, with its CPU time so far.
used() {
	for a in $cg/agents/long-*; do
		read -r _ usage <$a/cpu.stat
		echo "${a##*/} $usage"
	done
}
used >/out/before
# all_went_on: each has had 5 ms or more since.
all_went_on() {
	used >/out/after
	awk 'NR == FNR { before[$1] = $2; next } $2 < before[$1] + 5000 { exit 1 }' /out/before /out/after
}
wait_for 60 all_went_on
fact all_went_on $?
put_in_front() { grep -q 'overdue [1-9]' /out/bound.out; }
wait_for 60 put_in_front
fact put_in_front $?
kill -TERM $load
wait $load
stop_scheduler TERM
fact status $status
fact nr_rejected "$(cat $ext/nr_rejected)"
