#!/usr/bin/env bats
# agentrux-openclaw with OpenClaw: turns over the gateway's HTTP endpoint, its
# command line as the fallback, and what has to be in force before any turn.

load helper
load openclaw

# gateway RULES…: the stand-in answers /v1/chat/completions by these rules (see
# tests/faults.c); the adapter is set up for it.
gateway() {
	local hub=$HUB_URL
	[ $# -eq 0 ] || printf 'POST /v1/chat/completions %s\n' "$@" >"$HOME/plan"
	start_faults "$HOME/plan"
	export AGENTRUX_BASE_URL=$hub
	settings
	configure '{"agentCommand": null}'
}

# settings [JQ]: OpenClaw's own configuration, changed by this program.
settings() {
	mkdir -p "$HOME/.openclaw"
	jq -n --arg url "${FAULTS_URL-:1}" '{gateway: {port: ($url | split(":")[-1] | tonumber),
		auth: {mode: "token", token: "tok-4711\"\\x"},
		http: {endpoints: {chatCompletions: {enabled: true}}}},
		agents: {list: [{id: "main", tools: {deny: ["exec", "process"]}}]}}
		| '"${1:-.}" >"$HOME/.openclaw/openclaw.json"
}

# says TEXT [JQ]: the rule of a reply, changed by this program.
says() {
	printf "status=200 body='%s'" "$(jq -nc --arg t "$1" '{id: "chatcmpl_1",
		choices: [{index: 0, message: {role: "assistant", content: $t}}],
		usage: {total_tokens: 7}} | '"${2:-.}")"
}

# The body of the stand-in's Nth request, or the last one's.
body() {
	sed '1,/^$/d' "$(printf '%s\n' "$FAULTS_LOG"/*.req | sed -n "${1:-\$}p")"
}

# fails_with RULE…: each makes one answer, whose status and text are $output.
fails_with() {
	local n=0 rule
	gateway "$@"
	for rule; do
		n=$((n + 1))
		one "{\"request_id\":\"f$n\",\"message\":\"x\"}"
		[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = \
			"failed|The agent could not complete this request." ] ||
			{ echo "$rule: $output" && false; }
	done
}

@test "a turn over HTTP: the gateway gets the agent, the session and the request" {
	prepare
	gateway "$(says 'Disk is 41% full.')"
	one '{"request_id":"req-1","conversation_key":"chat-7","message":"Check \"disk\"\nüsage"}'
	[ "$(jq -c . <<<"$output")" = '{"request_id":"req-1","conversation_key":"chat-7","status":"completed","message":"Disk is 41% full.","attachments":[]}' ]
	grep -qx 'Authorization: Bearer tok-4711"\\x' "$FAULTS_LOG/0001.req"
	grep -qx 'x-openclaw-agent-id: main' "$FAULTS_LOG/0001.req"
	grep -qx 'x-openclaw-scopes: operator.write' "$FAULTS_LOG/0001.req"
	grep -qx "x-openclaw-session-key: agent:main:agentrux:$(printf '%s:chat-7' "$CMD" | sha256sum | cut -c 1-16)" "$FAULTS_LOG/0001.req"
	[ "$(body | jq -r '.model, (.messages | length)' | paste -sd' ')" = "openclaw/main 1" ]
	body | jq -j '.messages[0].content' >"$HOME/prompt"
	grep -qx 'Check "disk"' "$HOME/prompt"
	grep -qx 'üsage' "$HOME/prompt"
	head -n 1 "$HOME/prompt" | grep -q '^You answer requests'
	tail -n 1 "$HOME/prompt" | grep -qE '^----- request [0-9a-f]{24} ends -----$'
	one '{"request_id":"req-1","message":"again"}'
	[ "$(jq -r .message <<<"$output")" = "Disk is 41% full." ]
	[ "$(requests .)" -eq 1 ]
	! grep -rq tok-4711 "$HOME/run.err" "$A/answers" || false
}

@test "whatever way a turn fails: one answer, and nothing internal in it" {
	prepare
	local error='body={"error":{"message":"sk-123_/var/x"}}'
	fails_with "status=500 $error" "status=502 $error" "status=408 $error" \
		"status=400 $error" "status=429 $error" "status=200 body=not_json" \
		"status=200 body={}" "status=200 body=[]" "status=200" \
		"status=200 body='{\"choices\":[{\"message\":{\"content\":null}}]}' cut=9" \
		close reset "status=302 header='Location: http://127.0.0.1:1/'"
	! answers | grep -qE 'sk-123|/var' || false
	[ "$(answers | wc -l)" -eq 13 ]
	[ "$(requests .)" -eq 13 ]
}

@test "an error that comes as a reply is one, a reply that speaks of errors is none" {
	prepare
	fails_with "$(says '500 sk-123 /var/x' '.usage.total_tokens = 0')" \
		"$(says 'HTTP 429: sk-123' '.usage = {}')" \
		"$(says '⚠️ API rate limit reached. Please try again later.')" \
		"$(says 'LLM request timed out.')"
	gateway "$(says '404 is the code for it')" \
		"$(says '⚠️ The disk is nearly full.')"
	one '{"request_id":"a","message":"x"}'
	[ "$(jq -r .message <<<"$output")" = "404 is the code for it" ]
	one '{"request_id":"b","message":"x"}'
	[ "$(jq -r .message <<<"$output")" = "⚠️ The disk is nearly full." ]
}

@test "silence in any form is no_reply, without a text" {
	prepare
	local n=0 text
	gateway "$(says '')" "$(says NO_REPLY)" "$(says ' HEARTBEAT_OK ')" \
		"$(says NO_ANSWER)" "$(says 'No response from OpenClaw.')"
	while [ $((n += 1)) -le 5 ]; do
		one "{\"request_id\":\"s$n\",\"message\":\"x\"}"
		[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "no_reply|" ]
	done
}

@test "a reply of a megabyte, of any bytes, with local paths: bounded and clean" {
	prepare
	head -c 1000000 /dev/zero | tr '\0' '#' >"$HOME/text"
	jq -n --rawfile t "$HOME/text" '{choices: [{message: {content: $t}}]}' >"$HOME/big"
	printf '{"choices":[{"message":{"content":"caf\351 %s/a/b.txt"}}]}' "$HOME" >"$HOME/bytes"
	gateway "status=200 file=$HOME/big" "status=200 file=$HOME/bytes"
	one '{"message":"x"}'
	[ "$(jq '.message | length <= 50000 and endswith("more than 50,000 characters]")' <<<"$output")" = true ]
	one '{"message":"x"}'
	[ "$(jq -r .message <<<"$output")" = "caf� b.txt" ]
}

@test "a gateway that does not answer in time: timeout" {
	prepare
	gateway hang
	configure '{"agentCommand": null, "subagentTimeoutMs": 700}'
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "timeout|The agent did not finish within 0.700 s." ]
}

@test "a gateway that is down: the requester hears, and may ask again" {
	prepare
	gateway "$(says up)"
	kill "$FAULTS_PID" && wait "$FAULTS_PID" || true
	configure '{"agentCommand": null, "subagentTimeoutMs": 5000}'
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "failed|The agent is not running at the moment; try again later." ]
	background "$HOME/again" "$BUILD/tests/faults" "$HOME/plan" "$FAULTS_LOG" "${FAULTS_URL##*:}"
	wait_for 10 test -s "$HOME/again"
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "completed|up" ]
}

@test "a gateway that is being restarted is waited for" {
	prepare
	gateway "$(says up)"
	kill "$FAULTS_PID" && wait "$FAULTS_PID" || true
	agentrux-openclaw poll
	post '{"request_id":"r","message":"x"}'
	background "$HOME/poll" agentrux-openclaw poll
	wait_for 20 sh -c 'ls "$1"/turns/work.*/body' sh "$A"
	background "$HOME/again" "$BUILD/tests/faults" "$HOME/plan" "$FAULTS_LOG" "${FAULTS_URL##*:}"
	wait_for 30 is_answered r
	[ "$(answers r | jq -r .message)" = up ]
}

@test "a gateway that refuses our token, or has no endpoint: an answer, and a word to its operator" {
	prepare
	gateway status=401 status=403 status=404
	for id in a b c; do
		one "{\"request_id\":\"$id\",\"message\":\"x\"}"
		[ "$(jq -r '.status, .message' <<<"$output" | paste -sd'|')" = "failed|The agent cannot be reached; its operator has to look." ]
	done
	grep -q 'the gateway answered 401' "$HOME/run.err"
	grep -q 'the gateway answered 404' "$HOME/run.err"
}

@test "the gateway's token: of whichever form, and never where others see it" {
	prepare
	gateway "$(says ok)"
	bearer() { # JQ EXPECTED
		settings "$1"
		rm -f "$A"/answers/*
		one '{"message":"x"}'
		[ "$(sed -n 's/^Authorization: Bearer //p' "$(printf '%s\n' "$FAULTS_LOG"/*.req | tail -n 1)")" = "$2" ]
	}
	export TOKEN_4712=from-env OPENCLAW_GATEWAY_TOKEN=fallback
	bearer '.gateway.auth.token = "${TOKEN_4712}"' from-env
	bearer '.gateway.auth.token = {source: "env", provider: "default", id: "TOKEN_4712"}' from-env
	bearer '.gateway.auth = {mode: "password", password: "pass"}' pass
	bearer 'del(.gateway.auth)' fallback
	bearer '.gateway.auth.mode = "none"' ''
	(umask 077 && echo own-token >"$A/gateway.token")
	bearer '.gateway.auth.token = "old"' own-token
	[ "$(stat -c %a "$A"/turns/gateway-*)" = 600 ]
}

@test "an image reaches the agent as an image and as a file, too many as references" {
	prepare
	gateway "$(says seen)"
	printf '\211PNG\r\n\032\n\000 not much of one' >"$HOME/a.png"
	head -c 9000000 /dev/zero >"$HOME/large.jpg"
	attach "$HOME/a.png" image/png && png=$ATTACHED
	attach "$HOME/large.jpg" image/jpeg && large=$ATTACHED
	attach "$HOME/a.png" image/svg+xml && svg=$ATTACHED
	one "$(jq -n --arg a "$png" --arg b "$large" --arg c "$svg" '{message: "look", attachments: [
		{name: "../../e v\"il", object_id: $a}, {name: "l", object_id: $b}, {object_id: $c}]}')"
	[ "$(jq -r .message <<<"$output")" = seen ]
	[ "$(body | jq -r '.messages[0].content | map(.type) | join(" ")')" = "text image_url" ]
	body | jq -r '.messages[0].content[1].image_url.url' |
		sed 's/^data:image\/png;base64,//' | base64 -d | cmp - "$HOME/a.png"
	body | jq -r '.messages[0].content[0].text' >"$HOME/prompt"
	grep -qE "^\[attachment 1: .*; an image, 25 bytes, in the file $A/turns/work\.[A-Za-z0-9]+/media/1-e_v_il\.png\]$" "$HOME/prompt"
	grep -qE '^\[attachment 2: .*; 9000000 bytes, for some minutes at http' "$HOME/prompt"
	grep -qE '^\[attachment 3: .*; 25 bytes, for some minutes at http' "$HOME/prompt"
	[ -z "$(find "$A/turns" -name media)" ]
}

@test "a sender's URL is fetched from a host in attachmentHosts, and no other" {
	prepare
	printf 'GET /* status=200 body=fetched-4711\n' >"$HOME/plan"
	printf 'POST /v1/chat/completions %s\n' "$(says ok)" >>"$HOME/plan"
	gateway
	host=${FAULTS_URL#http://}
	urls='["a", "b@\($h)/b", "\($h).example.com/c"] | map("http://" + if . == "a" then "\($h)/a" else . end)'
	one "$(jq -n --arg h "$host" "{message: \"see\", attachments: ($urls | map({url: ., content_type: \"text/plain\"}))}")"
	[ "$(requests '^GET')" -eq 0 ]
	configure "$(jq -n --arg h "$host" '{agentCommand: null, attachmentHosts: [$h]}')"
	one "$(jq -n --arg h "$host" "{message: \"see\", attachments: ($urls | map({url: ., content_type: \"text/plain\"}))}")"
	[ "$(requests '^GET')" -eq 1 ]
	! grep -q '^Authorization' "$(grep -l '^GET' "$FAULTS_LOG"/*.req)" || false
	body | jq -r '.messages[0].content[0].text // .messages[0].content' | grep -qx fetched-4711
}

@test "without a policy that denies exec the adapter does not start, nor go on" {
	prepare
	gateway "$(says ok)"
	agentrux-openclaw poll
	refused() {
		settings "$1"
		run agentrux-openclaw "${2:-poll}"
		[ "$status" -eq 78 ] || { echo "$1: $status $output" && false; }
		[[ $output == *"${3:-run any command}"* ]] || { echo "$output" && false; }
	}
	post '{"request_id":"r","message":"x"}'
	refused 'del(.agents.list[0].tools)' run
	refused '.agents.list[0].tools = {deny: ["write"]}'
	refused '.agents.list[0].tools = {allow: ["*"]}'
	refused '.agents.list[0].tools = {allow: ["read", "exec"]}'
	refused '.agents.list[0].tools = {allow: ["read", "bash"]}'
	refused '.agents.list[0].tools = {allow: ["read"], alsoAllow: ["exec"]}'
	refused '.agents.list[0].tools = {allow: ["some_plugin_tool"]}'
	refused '.agents.list[0].tools = {exec: {host: "gateway", security: "allowlist"}}'
	refused '.agents.list[0].tools = {exec: {security: "deny"}}'
	refused '.tools.exec = {host: "gateway", security: "deny"} | .agents.list[0].tools = {exec: {security: "full"}}'
	refused '.agents = {entries: {main: {tools: {exec: {host: "gateway", security: "deny"}}}}}'
	refused '.tools.codeMode = {enabled: "auto"}' poll codeMode
	refused '.agents.list[0].id = "other"' poll 'no agent "main", only other'
	refused '. + {"$include": "x"}' poll include
	[ "$(requests .)" -eq 0 ]
	settings
	agentrux-openclaw poll
	[ "$(answers r | jq -r .status)" = completed ]
	# What is loosened under a running adapter ends it, and takes no request.
	run_adapter
	settings 'del(.agents.list[0].tools)'
	post '{"request_id":"r2","message":"x"}'
	status=0
	wait "$RUN" || status=$?
	[ "$status" -eq 78 ]
	[ "$(requests .)" -eq 1 ]
}

@test "every way to deny exec is taken, of every version" {
	prepare
	gateway "$(says ok)"
	for policy in \
		'.agents.list[0].tools = {deny: ["group:runtime"]}' \
		'.agents.list[0].tools = {allow: ["read"]}' \
		'.agents.list = [] | .tools.deny = ["exec"]' \
		'.agents.list[0].tools = {exec: {host: "gateway", security: "deny"}}' \
		'.agents = {ownership: "explicit", entries: {main: {tools: {exec: {host: "gateway", mode: "deny"}}}}}' \
		'.agents = {entries: {Main: {tools: {deny: ["Exec"]}}}}'; do
		settings "$policy"
		agentrux-openclaw poll || { echo "$policy" && false; }
	done
}

@test "settings in JSON5 are read by OpenClaw's own parser" {
	prepare
	gateway "$(says ok)"
	mkdir -p "$HOME/bin"
	printf '#!/bin/sh\n' >"$HOME/bin/openclaw"
	printf '#!/bin/sh\nexec sed "/^\\/\\//d" "$4"\n' >"$HOME/bin/node"
	chmod +x "$HOME/bin/"*
	{ echo '// a comment'; cat "$HOME/.openclaw/openclaw.json"; } >"$HOME/5"
	cp "$HOME/5" "$HOME/.openclaw/openclaw.json"
	run agentrux-openclaw poll
	[ "$status" -eq 78 ]
	[[ $output == *"no openclaw on PATH"* ]]
	PATH=$HOME/bin:$PATH
	one '{"request_id":"r","message":"x"}'
	[ "$(jq -r .status <<<"$output")" = completed ]
	printf '#!/bin/sh\nexit 1\n' >"$HOME/bin/node"
	echo >>"$HOME/.openclaw/openclaw.json"
	run agentrux-openclaw poll
	[ "$status" -eq 78 ]
}

@test "progress is told while the turn lasts, and nothing behind the answer" {
	prepare
	gateway "$(says ok) delay=2500"
	configure '{"agentCommand": null, "progressSeconds": 1}'
	one '{"request_id":"r","message":"x","conversation_key":"k"}'
	agentrux-drain --home "$CLIENT" --peek --from oldest --once "$RES" |
		jq -r '.type + " " + .payload.status' >"$HOME/told"
	[ "$(sed -n 1p "$HOME/told")" = "openclaw.progress accepted" ]
	[ "$(sed -n 2p "$HOME/told")" = "openclaw.progress working" ]
	[ "$(tail -n 1 "$HOME/told")" = "openclaw.response completed" ]
	[ "$(agentrux-drain --home "$CLIENT" --peek --from oldest --once "$RES" |
		jq -c .payload | head -n 1)" = '{"request_id":"r","conversation_key":"k","status":"accepted"}' ]
	wait_for 30 no_process_of_ours
}

@test "events of the other dialect are requests, too" {
	prepare
	gateway "$(says ok)"
	echo note >"$HOME/note"
	attach "$HOME/note" text/plain
	jq -nc --arg t "$CMD" --arg o "$ATTACHED" '{event_id: "evt_1", topic_id: $t,
		event_type: "composer.text", cursor: "c", metadata: {correlation_id: "corr-1"},
		payload: {content: "see", format: "markdown", attachments: [
		{name: "n", payload_object_id: $o, content_type: "text/plain", size_bytes: 5}]}}' |
		agentrux-openclaw handle
	[ "$(answers | jq -c '[.content, .request_id, .status]')" = '["ok","evt_1","completed"]' ]
	body | jq -r '.messages[0].content[0].text' | grep -qx note
	[ "$(agentrux-drain --home "$CLIENT" --peek --from oldest --once "$RES" |
		jq -r .correlation_id)" = corr-1 ]
	# An answer in that form is no request: nothing says there whose it is.
	echo '{"event_id":"evt_2","event_type":"composer.text","payload":{"content":"ok","request_id":"evt_1","status":"completed"}}' |
		agentrux-openclaw handle
	[ "$(requests .)" -eq 1 ]
}

@test "half a character is none: in a request, in a reply" {
	prepare
	printf '{"choices":[{"message":{"content":"a \\ud800 b \\ude00 c \\ud83d\\ude00"}}],"usage":{"total_tokens":1}}' >"$HOME/reply"
	gateway "status=200 file=$HOME/reply"
	echo '{"event_id":"e1","type":"openclaw.request","payload":{"request_id":"r","message":"x \ud83d y \ud83d\ude00"}}' |
		agentrux-openclaw handle
	[ "$(answers r | jq -r .message)" = "a � b � c 😀" ]
	body | jq -r '.messages[0].content' | grep -qx 'x � y 😀'
}
