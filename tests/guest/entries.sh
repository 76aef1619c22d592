# SPDX-License-Identifier: GPL-2.0-only
# Agents whose calls no framework starts: jobs of shells that read commands (on a pty as SWE-ReX has
# it, in a terminal multiplexer, from a pipe), and what enters a container from outside.
. /tests/lib.sh

mkdir $cg/agents
echo "+cpu" >$cg/agents/cgroup.subtree_control
export SHELL=/bin/bash HOME=/tmp TERM=xterm
mkdir -p /dev/pts
start_scheduler entries -v --check-roles --no-memory --agent-cgroup 'agents/*' --events /out/entries.jsonl

# say FD COMMANDS...: types them, and gives each time to end.
say() {
	to=$1
	shift
	for line; do
		echo "$line" >&"$to"
		sleep 0.7
	done
}

# A framework that keeps a shell on a pty: script, by the name of one, forks, setsids and execs `bash -i`.
mkdir $cg/agents/pty
cp /bin/script /tmp/swerex-remote
mkfifo /tmp/pty
(enter agents/pty /tmp/swerex-remote -q /dev/null </tmp/pty >/out/pty.out 2>&1) &
exec 5>/tmp/pty
sleep 1.5
say 5 'sh /tests/job.sh pty_program' \
	'sh /tests/job.sh pty_left | sh /tests/job.sh pty_right' \
	'(echo pty_subshell=$BASHPID >>/out/jobs; i=0; while [ $i -lt 300 ]; do i=$((i + 1)); done; true)' \
	'echo no job' \
	'x=$(sh /tests/job.sh pty_substituted)' \
	'sh /tests/job.sh pty_background &' \
	exit
exec 5>&-

# The same in a terminal multiplexer, which makes a daemon of itself.
mkdir $cg/agents/tmux
(enter agents/tmux /tests/claude tmux >/out/tmux.out 2>&1)

# A shell that reads a pipe and has no job control: each program is a call.
mkdir $cg/agents/pipe
mkfifo /tmp/pipe
(enter agents/pipe /tests/claude pipe </tmp/pipe) &
exec 6>/tmp/pipe
sleep 0.7
say 6 'sh /tests/job.sh pipe_one' 'sh /tests/job.sh pipe_two' exit
exec 6>&-

# A container without a framework, in which commands are executed from outside.
mkdir $cg/agents/box
(enter agents/box unshare -p -f sleep 30) &
sleep 0.7
box=$(pidof sleep)
(enter agents/box /bin/bash -lc 'echo box_exec=$$ >>/out/jobs; sh /tests/spin.sh 1 300; true')
# Into its namespaces as well, where a pid is another.
(enter agents/box nsenter -t $box -p sh -c 'sh /tests/spin.sh 1 300; true') &
echo box_nsenter=$! >>/out/jobs
wait $!
# A shell for a person.
mkfifo /tmp/box
(enter agents/box /bin/bash </tmp/box) &
shell=$!
exec 7>/tmp/box
sleep 0.7
say 7 'sh /tests/job.sh box_typed'
exec 7>&-
fact box_shell $shell
# And an agent that is started by hand.
mkdir $cg/agents/late
(enter agents/late sleep 6) &
sleep 0.3
(enter agents/late /tests/claude call) &
fact late_framework $!
wait $!
sleep 0.5
stop_scheduler TERM
fact scheduler_status $status
kill $box
