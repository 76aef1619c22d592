# SPDX-License-Identifier: GPL-2.0-only
# Every kind of task at once for $SOAK_S seconds, agents among them.
. /tests/lib.sh

stress-ng --cpu 4 --fork 4 --affinity 4 --sock 2 --switch 2 --timer 1 --yield 2 --sched-prio 1 \
	--timeout "${SOAK_S}s" --metrics-brief --temp-path /tmp >/out/stress.out 2>&1 &
stress=$!
rounds=0
end=$(($(date +%s) + SOAK_S))
while [ "$(date +%s)" -lt $end ]; do
	timeout $((SOAK_S + 60)) agentload run --plan /plan.jsonl --mem off --window $SOAK_S \
		--work-per-ms 100000 --out /out/records.jsonl || exit 1
	rounds=$((rounds + 1))
done
wait $stress
fact stress_status $?
fact rounds $rounds
fact state "$(state)"
fact nr_rejected "$(cat $ext/nr_rejected)"
dmesg >/out/dmesg
