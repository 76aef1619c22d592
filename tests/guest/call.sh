# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the shell of call $1, first of all: notes its pid and what it has used so far, and moves
# to a cgroup of its own, so that the kernel bills the call.
read -r used _ </proc/$$/schedstat
mkdir /sys/fs/cgroup/agents/$CLI/call$1
echo "call$1=$$ $used" >>/out/calls
echo 0 >/sys/fs/cgroup/agents/$CLI/call$1/cgroup.procs
