# SPDX-License-Identifier: GPL-2.0-only
# Cgroups that say by an attribute of theirs that they are agents.
. /tests/lib.sh

mkdir -p $cg/apps/before $cg/apps/after $cg/apps/below/inner $cg/apps/other
mark $cg/apps/before
(enter apps/before sleep 1000) &
(enter apps/below/inner sh -c 'while true; do sleep 0.2; done') &
inner=$!
(enter apps/other sleep 1000) &
other=$!
sleep 0.5
start_scheduler naming -v --no-memory --events /out/naming.jsonl
agents() { grep -c '"event":"agent"' /out/naming.jsonl; }
agents_are() { [ "$(agents)" -ge "$1" ]; }
wait_for 20 agents_are 1
# Before its first process, and while we look.
mark $cg/apps/after
(enter apps/after sleep 1000) &
after=$!
wait_for 20 agents_are 2
# In an agent it says nothing.
mkdir $cg/apps/after/sub
mark $cg/apps/after/sub
(enter apps/after/sub true)
# Above one that has been placed by itself: with its next process that is a part of it.
mark $cg/apps/below
wait_for 2 agents_are 3
fact too_early $?
(enter apps/below true)
wait_for 20 agents_are 3
(enter apps/below/inner sh -c 'while true; do sleep 0.2; done') &
second=$!
sleep 1
scx_agent explain $after >/out/after.out 2>&1
fact after $?
scx_agent explain $second >/out/second.out 2>&1
fact second $?
scx_agent explain $inner >/out/inner.out 2>&1
fact inner $?
refused other scx_agent explain $other
fact agents "$(agents)"
stop_scheduler TERM
fact scheduler_status $status
kill $(jobs -p)
