# SPDX-License-Identifier: GPL-2.0-only
# What fork, exec and exit cost in cgroups outside agents, in a call, and under a framework. On the
# lock-step VM the CPU time that the kernel bills is the number of instructions.
. /tests/lib.sh

mkdir -p $cg/agents $cg/plain
echo "+cpu" >$cg/agents/cgroup.subtree_control
echo "+cpu" >$cg/plain/cgroup.subtree_control
# An environment as large as a CLI's.
i=0
while [ $i -lt 40 ]; do
	i=$((i + 1))
	export "VARIABLE_OF_AN_ENVIRONMENT_$i=and a value of some length"
done
start_scheduler cost --no-memory --agent-cgroup 'agents/*'
# Programs that a framework starts itself, programs in a call, and calls.
for round in 1 2; do
	for shape in helpers in_call calls; do
		for parent in plain agents; do
			group=$parent/$shape$round
			mkdir $cg/$group
			(enter $group /tests/claude $shape)
			fact ${parent}_$shape$round "$(sed -n 's/usage_usec //p' $cg/$group/cpu.stat)"
		done
	done
done
stop_scheduler TERM
fact scheduler_status $status
