# SPDX-License-Identifier: GPL-2.0-only
# A real agent CLI ($CLI), which the stand-in for its model asks for the calls of calls.txt.
# What each call used is billed by the kernel to a cgroup of its own: see call.sh.
. /tests/lib.sh

me=$cg/agents/$CLI
export HOME=/tmp/home CLI SHELL=/bin/bash LANG=C
mkdir -p $HOME /tmp/work $me
echo "+cpu" >$cg/agents/cgroup.subtree_control
cd /tmp/work
git init -q . 2>/dev/null
cp /tests/calls.txt /tmp/script
for n in 0 1 2 3 4 5; do mkdir $me/call$n; done # before, so that no call pays for it
agentmodel --script /tmp/script --log /out/model.jsonl --think-ms 300 2>/out/model.err &
model=$!
url=http://127.0.0.1:8123

case $CLI in
codex)
	mkdir $HOME/.codex
	cat >$HOME/.codex/config.toml <<-END
		model = "scripted"
		model_provider = "standin"
		approval_policy = "never"
		sandbox_mode = "danger-full-access"
		[model_providers.standin]
		name = "standin"
		base_url = "$url/v1"
		wire_api = "responses"
		[analytics]
		enabled = false
	END
	set -- node /cli/node_modules/@openai/codex/bin/codex.js exec --skip-git-repo-check
	;;
gemini)
	mkdir $HOME/.gemini
	cat >$HOME/.gemini/settings.json <<-END
		{"security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": false},
		 "privacy": {"usageStatisticsEnabled": false}, "general": {"disableAutoUpdate": true}}
	END
	export GEMINI_API_KEY=none GOOGLE_GEMINI_BASE_URL=$url
	set -- node /cli/node_modules/@google/gemini-cli/bundle/gemini.js --yolo --skip-trust \
		--model gemini-2.5-pro -p
	;;
opencode)
	mkdir -p $HOME/.config/opencode
	cat >$HOME/.config/opencode/opencode.json <<-END
		{"autoupdate": false, "share": "disabled", "model": "standin/scripted", "small_model": "standin/scripted",
		 "permission": {"edit": "allow", "bash": "allow"},
		 "provider": {"standin": {"npm": "@ai-sdk/openai-compatible", "name": "standin",
		  "options": {"baseURL": "$url/v1", "apiKey": "none"},
		  "models": {"scripted": {"name": "scripted", "limit": {"context": 100000, "output": 10000}}}}}}
	END
	# Nothing that needs a network.
	export OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_DEFAULT_PLUGINS=1
	export OPENCODE_DISABLE_LSP_DOWNLOAD=1 OPENCODE_DISABLE_SHARE=1
	set -- opencode run
	;;
claude)
	export ANTHROPIC_API_KEY=none ANTHROPIC_BASE_URL=$url CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
	export DISABLE_AUTOUPDATER=1 IS_SANDBOX=1
	set -- claude --dangerously-skip-permissions -p
	;;
esac

start_scheduler $CLI -v --check-roles --no-memory --agent-cgroup 'agents/*' --events /out/events.jsonl
(enter agents/$CLI "$@" "do what is asked" >/out/cli.out 2>/out/cli.err)
fact cli_status $?
sleep 1.5
for dir in $me/call*; do
	fact used_${dir##*/} "$(sed -n 's/usage_usec //p' $dir/cpu.stat)"
done
fact used_all "$(sed -n 's/usage_usec //p' $me/cpu.stat)"
stop_scheduler TERM
fact scheduler_status $status
kill $model
