#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# The guest's init: sets the machine up, starts the scheduler, runs the workload, hands results out.
# Under systemd it is a service, and the machine is set up already.
#
# Three virtio ports lead to files of the host, so nothing is parsed from the console and a megabyte
# costs a few thousand instructions of driver work: p1 the report (key=value lines, each written when
# it becomes true), p2 a tar of /out, p3 the scheduler's log. /etc/agentvm holds our inputs.

export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb
if [ $$ = 1 ]; then
	/bin/busybox mount -t proc proc /proc
	/bin/busybox --install -s 2>/dev/null
	mount -t sysfs sysfs /sys
	mount -t devtmpfs dev /dev
else # behind the system's own programs
	mkdir /usr/lib/agentvm/bin
	/usr/lib/agentvm/busybox --install -s /usr/lib/agentvm/bin
	PATH=$PATH:/usr/lib/agentvm/bin
fi
while [ ! -e /dev/vport0p1 ] || [ ! -e /dev/vport0p2 ] || [ ! -e /dev/vport0p3 ]; do sleep 0.01; done
exec 8>/dev/vport0p1
say() { echo "$1=$2" >&8; }
uptime() { read -r up _ </proc/uptime; echo "$up"; }

say phase "setting up the guest"
. /etc/agentvm/settings # cpus, lockstep, scheduler_wait, modules
if [ $$ = 1 ]; then
	mkdir -p /dev/shm /dev/pts
	for m in "tmpfs /tmp" "tmpfs /run" "tmpfs /dev/shm" "devpts /dev/pts" "cgroup2 /sys/fs/cgroup" \
		"bpf /sys/fs/bpf" "debugfs /sys/kernel/debug" "tracefs /sys/kernel/tracing"; do
		mount -t ${m% *} none ${m#* } || say warning "cannot mount $m"
	done
	ln -s /run /var/run
	ln -s /proc/self/fd /dev/fd
	for c in cpu memory pids cpuset; do # one at a time: a missing one must not keep the others out
		echo +$c >/sys/fs/cgroup/cgroup.subtree_control || say warning "no cgroup controller $c"
	done
	hostname agentvm
	ip link set lo up
fi
mkdir /run/agentvm
for m in $modules; do
	insmod /lib/modules/$m.ko || say warning "cannot load module $m"
done
if [ "$lockstep" = 1 ]; then # booted with one: bringing all up during boot is slow here
	for c in /sys/devices/system/cpu/cpu[1-9]*/online; do echo 1 >$c; done
fi
say release "$(uname -r)"
online=$(grep -c ^processor /proc/cpuinfo)
[ "$online" = "$cpus" ] || say warning "$online of $cpus CPUs came online"

ext=/sys/kernel/sched_ext
run=/run/agentvm
state() {
	s=unsupported
	[ -r $ext/state ] && read -r s <$ext/state
	echo $s
}

finish() {
	[ -r $ext/nr_rejected ] && say nr_rejected "$(cat $ext/nr_rejected)"
	say tainted "$(cat /proc/sys/kernel/tainted)"
	say phase "handing out files"
	if [ -e $run/scheduler.log ]; then cat $run/scheduler.log >/dev/vport0p3; fi
	say out_sha256 "$(tar -cf - -C /out . | tee /dev/vport0p2 | sha256sum | cut -d' ' -f1)"
	stty -echo </dev/console # waits until the console's output has drained
	say end "$(uptime)"
	exec 8>&-
	echo 0 >/proc/sys/kernel/printk # the console is the workload's
	poweroff -f
}

stop_scheduler() { # within 60 s, else by force
	kill -TERM -"$(cat $run/pid)"
	i=0
	while [ ! -e $run/exit ] && [ $i -lt 300 ]; do
		sleep 0.2
		i=$((i + 1))
	done
	if [ ! -e $run/exit ]; then
		say scheduler_killed 1
		kill -KILL -"$(cat $run/pid)"
		while [ ! -e $run/exit ]; do sleep 0.2; done
	fi
	say scheduler_status "$(cat $run/exit)"
}

if [ -e /etc/agentvm/scheduler ]; then
	say phase "waiting for the scheduler"
	start=$(uptime)
	say scheduler_started_at "$start"
	# The command's shell leads the session, outlives the SIGTERM to the group, and gives its status.
	(
		setsid sh -c 'echo $$ >/run/agentvm/pid; trap : TERM; eval "$1"' sh \
			"$(cat /etc/agentvm/scheduler)" >$run/scheduler.log 2>&1 </dev/null 8>&-
		echo $? >$run/exit.new
		mv $run/exit.new $run/exit
	) &
	while [ "$(state)" != enabled ]; do
		if [ -e $run/exit ]; then
			say scheduler_status "$(cat $run/exit)"
			say scheduler_failed "exited before it was enabled"
			finish
		fi
		now=$(uptime)
		if [ $((${now%.*} - ${start%.*})) -ge "$scheduler_wait" ]; then
			say scheduler_failed "was not enabled within $scheduler_wait s (state $(state))"
			stop_scheduler
			finish
		fi
		sleep 0.2
	done
	say scheduler_ops "$(cat $ext/root/ops 2>/dev/null)"
	say scheduler_enabled_at "$(uptime)"
fi

say phase "running the workload"
say workload_start "$(uptime)"
sh -c "$(cat /etc/agentvm/command)" </dev/null 8>&-
status=$?
say workload_end "$(uptime)"
say workload_status $status

if [ -e /etc/agentvm/scheduler ]; then
	say phase "stopping the scheduler"
	say state_at_end "$(state)"
	say ops_at_end "$(cat $ext/root/ops 2>/dev/null)"
	[ -e $run/exit ] || stop_scheduler
	say scheduler_status "$(cat $run/exit)"
	i=0
	while [ "$(state)" != disabled ] && [ $i -lt 50 ]; do
		sleep 0.2
		i=$((i + 1))
	done
	say state_after "$(state)"
fi
finish
