# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the shell of call $1, first of all: moves it to a cgroup of its own, so that the kernel
# bills the call, and notes its pid and what it has used before (the move brings that up to date).
echo 0 >/sys/fs/cgroup/agents/$CLI/call$1/cgroup.procs
read -r used _ </proc/$$/schedstat
echo "call$1=$$ $used" >>/out/calls
