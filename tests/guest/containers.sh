# SPDX-License-Identifier: GPL-2.0-only
# Containers of Podman, which serves Docker's API: agents by their names and labels, and one in gVisor.
. /tests/lib.sh

api=/run/podman/podman.sock
# The guest's root is in memory, where overlays cannot be, and there is no D-Bus.
mkdir -p /etc/containers
printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' \
	>/etc/containers/storage.conf
printf '[engine]\ncgroup_manager = "cgroupfs"\n' >/etc/containers/containers.conf
mkdir -p /run/podman /roots
for root in early late label other gvisor; do
	mkdir -p /roots/$root/bin /roots/$root/proc /roots/$root/tmp
	cp /usr/lib/agentvm/busybox /roots/$root/bin/busybox
	ln -s busybox /roots/$root/bin/sh
done

# container NAME OPTION...: it waits for ever; its first process is $pid.
container() {
	name=$1
	shift
	podman run --detach --name "$name" --network none "$@" >>/out/podman.out 2>>/out/podman.err
	fact "run_$name" $? && [ -s /out/podman.out ] || exit 1
	pid=$(podman inspect --format '{{.State.Pid}}' "$name" 2>>/out/podman.err)
	fact "cgroup_$name" "$(sed -n s/^0::.//p "/proc/$pid/cgroup")"
}

# When it is named, its first process waits already, and will not run again.
container early --rootfs /roots/early /bin/busybox sh -c 'busybox sh -c "while true; do busybox sleep 0.2; done"; true'
early=$pid
start_scheduler containers -v --no-memory --agent-container ear* --agent-container 'late-?' \
	--agent-label example.role=agent --agent-container gvisor --container-socket $api \
	--events /out/containers.jsonl
# It was not there when the daemon began.
podman system service --time=0 unix://$api >/out/service.out 2>/out/service.err &
service=$!
agents() { grep -c '"event":"agent"' /out/containers.jsonl; }
agents_are() { [ "$(agents)" -ge "$1" ]; }
wait_for 60 agents_are 1
fact early_waits $?
wait_for 10 sh -c "scx_agent explain $early | tee /out/early.out | grep -q framework"
fact early $?
container late-1 --rootfs /roots/late /bin/busybox sleep 1000
wait_for 20 agents_are 2
fact late_waits $?
# Not where containers mostly are.
container labelled --label example.role=agent --cgroup-parent /bots --rootfs /roots/label /bin/busybox sleep 1000
wait_for 20 agents_are 3
fact label_waits $?
container other --label example.role=db --rootfs /roots/other /bin/busybox sleep 1000
other=$pid

# What works in a sandbox is seen from outside as CPU time alone.
container gvisor --runtime /usr/bin/runsc --runtime-flag platform=ptrace --runtime-flag network=none --rootfs /roots/gvisor \
	/bin/busybox sh -c 'while true; do busybox sleep 3; i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; done'
gvisor=$pid
wait_for 20 agents_are 4
fact gvisor_waits $?
sleep 15
scx_agent explain $gvisor >/out/gvisor.out 2>&1
fact gvisor $?
refused other scx_agent explain $other
fact agents "$(agents)"
# Settings by label may change while it runs.
mkdir -p /etc/scx_agent
set_to() { grep -q "\"event\":\"set\".*\"agent\":\"bots/.*\"qos\":\"$1\"" /out/containers.jsonl; }
echo 'agent_qos = ["label:example.role=agent=background"]' >/etc/scx_agent/config.toml
scx_agent reload >/out/reload.out 2>&1
wait_for 20 set_to background
fact set_by_label $?
echo 'agent_weights = ["label:example.role=agent=300"]' >/etc/scx_agent/config.toml
scx_agent reload >>/out/reload.out 2>&1
wait_for 20 set_to standard
fact set_no_more $?
ps -eo pid,ppid,comm,args,cgroup >/out/ps.out 2>&1
stop_scheduler TERM
fact scheduler_status $status
kill $service
podman rm --all --force --time 0 >>/out/podman.out 2>>/out/podman.err
