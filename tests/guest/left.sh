# SPDX-License-Identifier: GPL-2.0-only
# What a call leaves running: leaves the call's cgroup once the call is over, and works.
sleep 1
echo 0 >/sys/fs/cgroup/agents/$CLI/cgroup.procs
sh /tests/spin.sh 1 20000
sleep 600
