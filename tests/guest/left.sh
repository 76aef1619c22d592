# SPDX-License-Identifier: GPL-2.0-only
# What a call leaves running: works once the call is over, billed to a cgroup of its own.
mkdir /sys/fs/cgroup/agents/$CLI/left
echo 0 >/sys/fs/cgroup/agents/$CLI/left/cgroup.procs
sleep 1
i=0
while [ $i -lt 20000 ]; do i=$((i + 1)); done
sleep 600
