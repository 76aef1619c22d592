# SPDX-License-Identifier: GPL-2.0-only
# Budgets of CPU time, and what a reload changes of what agents have.
. /tests/lib.sh

mkdir -p $cg/agents/metered $cg/agents/night $cg/agents/by_hand /etc/scx_agent
settings() { cat >/etc/scx_agent/config.toml; }
reload() {
	scx_agent reload >/out/"$1".out 2>&1
	fact "$1" $?
	scx_agent top --batch 1 --interval 0.1 >/out/"$1".top
}
said() { grep -q "$1" /out/budgets.err; }

settings <<'END'
agent_cgroups = ["agents/*"]
agent_qos = ["agents/night=background"]
cpu_budget_window = "10s"
[agents.metered]
cgroups = ["agents/metered"]
cpu_budget_s = 2
END
enter agents/night sleep 1000 &
enter agents/by_hand sleep 1000 &
enter agents/metered /tests/claude hogs 1 &
metered=$!
start_scheduler budgets -v --no-memory --events /out/budgets.jsonl
wait_for 10 sh -c 'scx_agent calls >/dev/null 2>&1'

### over it: in the background, once for a window, and nobody is killed
wait_for 20 said '"metered" has used'
fact over $?
scx_agent top --batch 1 --interval 0.1 >/out/over.top
scx_agent status >/out/over.status
scx_agent status --json >/out/over.json
wget -q -O /out/over.metrics http://127.0.0.1:9855/metrics
wait_for 30 said '"metered" has a budget of 2 s'
fact again $?
fact told "$(grep -c '"metered" has used' /out/budgets.err)"

### an operator's word stays
scx_agent set metered qos=interactive >/dev/null
scx_agent set by_hand qos=interactive >/dev/null
wait_for 30 said 'has set it to interactive, which stays'
fact operator $?
scx_agent top --batch 1 --interval 0.1 >/out/operator.top
fact lives "$(kill -0 $metered && echo yes)"

### reloads
settings <<'END'
agent_cgroups = ["agents/*"]
agent_qos = ["agents/night=interactive", "agents/by_hand=background"]
agent_weights = ["agents/night=300"]
background_cpus = "0"
END
reload changed
settings <<'END'
agent_qos = ["agents/night=fast"]
END
reload wrong
settings <<'END'
background_cpus = "900-910"
END
reload nowhere
settings </dev/null
reload nothing
stop_scheduler TERM
fact status $status
