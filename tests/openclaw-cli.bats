#!/usr/bin/env bats
# agentrux-openclaw where the gateway's HTTP endpoint is off: OpenClaw's command
# line, which lies; and what setup makes of OpenClaw's settings.

load helper
load openclaw

# cli SCRIPT: what the fake openclaw does for a turn; it is given a prompt as
# $PROMPT and its arguments are in $HOME/argv. Its --help has OPTIONS.
cli() {
	mkdir -p "$HOME/bin" "$HOME/.openclaw"
	{
		printf '#!/bin/sh\n[ "$2" != --help ] || { echo "%s"; exit; }\n' \
			"${OPTIONS---session-key --message-file}"
		printf 'printf "%%s\\n" "$@" >"%s"\necho x >>"%s"\n' "$HOME/argv" "$HOME/calls"
		printf '%s\n' "$1"
	} >"$HOME/bin/openclaw"
	chmod +x "$HOME/bin/openclaw"
	[[ $PATH == "$HOME/bin":* ]] || PATH=$HOME/bin:$PATH
	echo '{"tools": {"deny": ["exec"]}}' >"$HOME/.openclaw/openclaw.json"
	rm -f "$A"/turns/gateway-*
	configure '{"agentCommand": null}'
}

ok='{"payloads":[{"text":"fine"}],"meta":{"aborted":false,"stopReason":"stop"}}'
through="{\"runId\":\"r\",\"status\":\"ok\",\"summary\":\"completed\",\"result\":$ok}"

@test "a turn by the command line: the prompt in a file, the session by its key" {
	prepare
	cli "echo '$through'; cp \"\${5#*=}\" \"$HOME/prompt\" || cp \"\$(printf '%s\\n' \"\$@\" | sed -n 's/^--message-file=//p')\" \"$HOME/prompt\""
	one '{"request_id":"r","conversation_key":"k","message":"--local $(id)"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "completed|fine" ]
	grep -qx -- '--agent=main' "$HOME/argv"
	grep -qx -- '--json' "$HOME/argv"
	grep -qx -- "--session-key=agent:main:agentrux:$(printf '%s:k' "$CMD" | sha256sum | cut -c 1-16)" "$HOME/argv"
	grep -qx -- '--local $(id)' "$HOME/prompt"
	! grep -q -- '^--local' "$HOME/argv" || false
}

@test "only a parsed, finished result is a reply, whatever the exit code and the log say" {
	prepare
	local n=0 script
	for script in \
		"echo '$ok'" \
		"echo '$through'" \
		"echo '[gateway] connected {x}'; echo '$through'; echo '[diag] bye }'" \
		"echo '$ok' | jq ." \
		"echo '{\"level\":\"info\",\"payloads\":1}'; echo '$through' | jq .; echo '{\"level\":\"warn\"}'" \
		"echo '[plugins] up' >&2; echo '$ok' >&2"; do
		n=$((n + 1))
		cli "$script"
		one "{\"request_id\":\"g$n\",\"message\":\"x\"}"
		[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "completed|fine" ] ||
			{ echo "$script: $output" && false; }
	done
	for script in \
		"echo '$ok'; exit 1" \
		"echo '${through/\"ok\"/\"error\"}'" \
		"echo '${through/\"ok\"/\"timeout\"}'" \
		"echo '${through/false/true}'" \
		"echo '${through/\"stop\"/\"error\"}'" \
		"echo '${ok/\"text\"/\"isError\":true,\"text\"}'" \
		"echo 'sk-123 at /var/x'" \
		"echo 'Error: sk-123' >&2; exit 1" \
		"echo '${through%?}'" \
		"echo '{\"payloads\":\"fine\"}'" \
		": nothing at all" \
		"kill -9 \$\$"; do
		n=$((n + 1))
		cli "$script"
		one "{\"request_id\":\"g$n\",\"message\":\"x\"}"
		[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = \
			"failed|The agent could not complete this request." ] ||
			{ echo "$script: $output" && false; }
	done
	[ "$(answers | wc -l)" -eq $n ]
}

@test "silence of the command line is no_reply; several payloads are one reply" {
	prepare
	cli "echo '${ok/fine/NO_REPLY}'"
	one '{"request_id":"a","message":"x"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "no_reply|" ]
	cli "echo '{\"payloads\":[]}'"
	one '{"request_id":"b","message":"x"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "no_reply|" ]
	cli "echo '{\"payloads\":[{\"text\":\"one\"},{\"text\":null},{\"text\":\"two\"}]}'"
	one '{"request_id":"c","message":"x"}'
	[ "$(jq -c .message <<<"$output")" = '"one\n\ntwo"' ]
}

@test "a command line that hangs: timeout, and nothing of it is left" {
	prepare
	cli 'sleep 77.375'
	configure '{"agentCommand": null, "subagentTimeoutMs": 500}'
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r .status <<<"$output")" = timeout ]
	! pgrep -f '^sleep 77\.375$' || false
}

@test "files that a reply shows come with it, from the agent's folders only" {
	prepare
	mkdir -p "$HOME/.openclaw/workspace" "$HOME/.openclaw/media/out"
	printf '\0pie' >"$HOME/.openclaw/workspace/chart.bin"
	head -c 60000 /dev/zero | tr '\0' z >"$HOME/.openclaw/workspace/long.txt"
	echo short >"$HOME/.openclaw/media/out/a.txt"
	ln -s "$A/credentials.json" "$HOME/.openclaw/workspace/link.txt"
	cli "echo '{\"payloads\":[{\"text\":\"see\",\"mediaUrl\":\"$HOME/.openclaw/workspace/chart.bin\",\"mediaUrls\":[\"$HOME/.openclaw/workspace/long.txt\",\"$HOME/.openclaw/media/out/a.txt\",\"$HOME/.openclaw/workspace/link.txt\",\"$HOME/.openclaw/openclaw.json\",\"/etc/passwd\",\"$HOME/.openclaw/workspace/../openclaw.json\",\"https://example.com/x\"]}]}'"
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r '.attachments | map(.name) | sort | join(" ")' <<<"$output")" = "chart.bin long.txt" ]
	[ "$(jq -r .message <<<"$output")" = "see

[file a.txt]
short

[end of a.txt]" ]
}

@test "where the prompt is an argument, one that does not fit is rejected" {
	prepare
	OPTIONS=--session-key
	cli "printf '%s\n' \"\$@\" | grep -c 'request .* begins' >\"\$LOG\"; echo '$through'"
	one '{"request_id":"a","message":"x"}'
	[ "$(jq -r .status <<<"$output")" = completed ]
	grep -q '^--message=You answer' "$HOME/argv"
	head -c 140000 /dev/zero | tr '\0' z >"$HOME/text"
	jq -n --rawfile m "$HOME/text" '{request_id: "b", message: $m}' |
		agentrux-publish --home "$CLIENT" -t openclaw.request "$CMD"
	agentrux-openclaw poll 2>/dev/null
	[ "$(answers b | jq -r '.status, .message' | paste -sd'|')" = \
		"rejected|The request is too large for this agent's command line." ]
}

@test "a command line that would mix conversations is not used" {
	prepare
	OPTIONS=--session-id
	cli "echo '$ok'"
	run agentrux-openclaw poll
	[ "$status" -eq 78 ]
	[[ $output == *"cannot keep conversations apart"*"setup --apply"* ]]
	rm "$HOME/bin/openclaw"
	run agentrux-openclaw poll
	[ "$status" -eq 78 ]
	[[ $output == *"no openclaw on PATH"* ]]
}

# The settings as setup left them.
setting() { jq -c "$1" "$HOME/.openclaw/openclaw.json"; }

@test "setup imports the plugin's settings, shows what has to change, and changes it when told" {
	prepare
	rm "$A/config.json"
	mkdir -p "$HOME/.openclaw"
	jq -n --arg c "$CMD" --arg r "$RES" '{gateway: {port: 1},
		agents: {list: [{id: "a"}, {id: "Main", tools: {deny: ["write"], allow: ["read"]}}]},
		plugins: {entries: {"agentrux-openclaw-plugin": {enabled: true, config: {
		commandTopicId: $c, resultTopicId: $r, agentId: "main", maxConcurrency: 2,
		execPolicy: {enabled: false}, messagingTopics: []}}}},
		channels: {agentrux: {agentId: "old", subagentTimeoutMs: 5000}}}' \
		>"$HOME/.openclaw/openclaw.json"
	cp "$HOME/.openclaw/openclaw.json" "$HOME/before"
	run --separate-stderr agentrux-openclaw setup
	[ "$(jq -c 'del(.commandTopicId, .resultTopicId)' "$A/config.json")" = '{"agentId":"main","subagentTimeoutMs":5000,"maxConcurrency":2,"execPolicy":{"enabled":false}}' ]
	[ "$(stat -c %a "$A/config.json")" = 600 ]
	cmp "$HOME/before" "$HOME/.openclaw/openclaw.json"
	grep -qx 'gateway.http.endpoints.chatCompletions.enabled = true' <<<"$output"
	grep -q '^agents.list.1.tools.deny = \["write","exec","process"' <<<"$output"
	grep -q '^mcp.servers.agentrux = {"command":"/.*/agentrux-mcp","args":\["--home"' <<<"$output"
	grep -qx 'channels.agentrux = null' <<<"$output"
	grep -qx 'plugins.entries.agentrux-openclaw-plugin.enabled = false' <<<"$output"
	[[ $stderr == *"channels.agentrux makes OpenClaw refuse"* ]]
	run --separate-stderr agentrux-openclaw setup --apply
	[ "$status" -eq 0 ]
	[ "$(setting '[.gateway, .agents.list[0], .channels, .mcp.servers.agentrux.args[-1]]')" = '[{"port":1,"http":{"endpoints":{"chatCompletions":{"enabled":true}}}},{"id":"a"},{},"agentrux_upload,agentrux_download"]' ]
	[ "$(setting '.agents.list[1].tools.deny | index("exec")')" -ge 0 ]
	cmp "$HOME/before" "$HOME"/.openclaw/openclaw.json.before-agentrux-*
	run --separate-stderr agentrux-openclaw setup
	[ "$status" -eq 0 ]
	[[ $output == '* * * * * '*'agentrux-openclaw -q poll' ]]
	[[ $stderr == *"may run no commands by itself"* ]]
}

@test "setup writes for either form of the settings, and for none" {
	prepare
	mkdir -p "$HOME/.openclaw"
	configure '{"agentCommand": null, "execPolicy": {"enabled": true, "allowedCommands": ["df( -h)?"]}}'
	echo '{"agents": {"ownership": "explicit", "entries": {"main": {}}}}' >"$HOME/.openclaw/openclaw.json"
	agentrux-openclaw setup --apply >/dev/null 2>&1
	[ "$(setting '.agents.entries.main.tools.deny | index("exec") != null')" = true ]
	[ "$(setting '.mcp.servers.agentrux.args[-1]')" = '"agentrux_upload,agentrux_download,exec"' ]
	rm "$HOME/.openclaw/openclaw.json"
	agentrux-openclaw setup --apply >/dev/null 2>&1
	[ "$(setting '.tools.deny | index("exec") != null')" = true ]
	echo '{"agents": {"list": [{"id": "other"}]}}' >"$HOME/.openclaw/openclaw.json"
	run agentrux-openclaw setup --apply
	[ "$status" -eq 78 ]
	[[ $output == *'no agent "main"'* ]]
}

@test "setup keeps the tools that the agent was given, and exec as the policy says" {
	prepare
	mkdir -p "$HOME/.openclaw"
	configure '{"agentCommand": null, "execPolicy": {"enabled": true}}'
	echo '{"mcp": {"servers": {"agentrux": {"command": "old", "args": ["--tools", "agentrux_publish,agentrux_upload"]}}}}' >"$HOME/.openclaw/openclaw.json"
	agentrux-openclaw setup --apply >/dev/null 2>&1
	[ "$(setting '.mcp.servers.agentrux.args[-1]')" = '"agentrux_upload,agentrux_download,exec,agentrux_publish"' ]
	run --separate-stderr agentrux-openclaw setup
	[[ $stderr == *"says all that it has to"* ]]
	configure '{"agentCommand": null, "execPolicy": {"enabled": false}}'
	agentrux-openclaw setup --apply >/dev/null 2>&1
	[ "$(setting '.mcp.servers.agentrux.args[-1]')" = '"agentrux_upload,agentrux_download,agentrux_publish"' ]
	local args
	for args in '"x"' '["--tools"]' '["--tools", 7]' '[]'; do
		echo "{\"mcp\": {\"servers\": {\"agentrux\": {\"args\": $args}}}}" >"$HOME/.openclaw/openclaw.json"
		agentrux-openclaw setup --apply >/dev/null 2>&1
		[ "$(setting '.mcp.servers.agentrux.args[-1]')" = '"agentrux_upload,agentrux_download"' ]
	done
}

@test "setup needs the topics from somewhere, and leaves a config.json alone" {
	prepare
	cp "$A/config.json" "$HOME/config"
	run agentrux-openclaw setup --command-topic other
	[ "$status" -eq 0 ]
	cmp "$HOME/config" "$A/config.json"
	rm "$A/config.json"
	run agentrux-openclaw setup
	[ "$status" -eq 64 ]
	[[ $output == *--command-topic* ]]
	[ ! -e "$A/config.json" ]
	run agentrux-openclaw setup --command-topic "$CMD" --result-topic "$RES" --agent main
	[ "$(jq -c '[.commandTopicId, .resultTopicId, .agentId]' "$A/config.json")" = "[\"$CMD\",\"$RES\",\"main\"]" ]
	[ -z "$(find "$A" -name 'config.json.*')" ]
}

@test "setup writes units that systemd takes, for OpenClaw and for any other agent" {
	prepare
	agentrux-openclaw setup --service >"$HOME/out" 2>/dev/null
	grep -q '^systemctl --user enable' "$HOME/out"
	local units=$HOME/.config/systemd/user
	! grep -q ProtectSystem "$units/agentrux-openclaw.service" || false
	mkdir -p "$HOME/.openclaw"
	echo '{"gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": true}}}}, "tools": {"deny": ["exec"]}}' >"$HOME/.openclaw/openclaw.json"
	configure '{"agentCommand": null}'
	agentrux-openclaw setup --service --apply >/dev/null 2>&1
	grep -qx 'ProtectSystem=strict' "$units/agentrux-openclaw.service"
	grep -qx 'Persistent=true' "$units/agentrux-openclaw-poll.timer"
	grep -q '^RandomizedDelaySec=' "$units/agentrux-openclaw-poll.timer"
	command -v systemd-analyze >/dev/null || skip "no systemd here"
	SYSTEMD_LOG_LEVEL=warning XDG_RUNTIME_DIR=$HOME systemd-analyze --user \
		--man=no verify "$units"/* >"$HOME/said" 2>&1 || true
	! grep "agentrux" "$HOME/said" || false
}
