#!/usr/bin/env bats
# agentrux-mcp: the protocol, the tools, and what exec lets through.

load helper

# start_mcp [OPTION…]: a server whose messages are sent by `say` and whose
# answers are in $OUT.
start_mcp() {
	IN=$BATS_TEST_TMPDIR/in OUT=$BATS_TEST_TMPDIR/out
	rm -f "$IN"
	: >"$OUT"
	mkfifo "$IN"
	agentrux-mcp "$@" <"$IN" >"$OUT" 2>"$OUT.err" 3>&- 4>&- &
	MCP=$!
	PIDS+=("$MCP")
	exec 7>"$IN"
}

say() {
	printf '%s\n' "$1" >&7
}

# initialize [VERSION]
initialize() {
	say "$(jq -nc --arg v "${1:-2025-06-18}" '{jsonrpc: "2.0", id: "init",
		method: "initialize", params: {protocolVersion: $v,
		capabilities: {}, clientInfo: {name: "t", version: "1"}}}')"
	answered '"init"'
	say '{"jsonrpc":"2.0","method":"notifications/initialized"}'
}

has_answer() {
	jq -es --argjson id "$1" 'any(.[] | objects; .id == $id)' "$OUT" >/dev/null 2>&1
}

# answered ID: waits for the answer and puts it into $ANSWER.
answered() {
	wait_for 30 has_answer "$1" || { cat "$OUT.err"; return 1; }
	ANSWER=$(jq -c --argjson id "$1" 'objects | select(.id == $id)' "$OUT")
}

# call ID TOOL ARGUMENTS [META]
call() {
	say "{\"jsonrpc\":\"2.0\",\"id\":$1,\"method\":\"tools/call\",\"params\":{\"name\":\"$2\",\"arguments\":$3${4:+,\"_meta\":$4}}}"
}

# use TOOL ARGUMENTS: calls it, waits for the result and puts its text in $TEXT.
n=0
use() {
	n=$((n + 1))
	call "$n" "$@"
	answered "$n"
	TEXT=$(jq -r '.result.content[0].text' <<<"$ANSWER")
	echo "$1: $ANSWER"
}

# is FILTER: is it true of the answer?
is() {
	jq -e "$1" <<<"$ANSWER" >/dev/null || { echo "not $1: $ANSWER"; return 1; }
}

# error LINE CODE: this line is answered with that error, and serving goes on.
error() {
	local before after
	before=$(wc -l <"$OUT")
	say "$1"
	n=$((n + 1))
	say "{\"jsonrpc\":\"2.0\",\"id\":\"p$n\",\"method\":\"ping\"}"
	answered "\"p$n\""
	is '.result == {}'
	after=$(tail -n "+$((before + 1))" "$OUT" | head -n 1)
	[ "$(jq -c .error.code <<<"$after")" = "$2" ] ||
		{ echo "${1:0:200}: $after"; return 1; }
	ANSWER=$after
}

# policy PATTERN…: lets exec run what they match.
policy() {
	mkdir -p -m 700 "$HOME/.agentrux"
	(umask 077 && jq -nc '{execPolicy: {enabled: true,
		allowedCommands: $ARGS.positional}}' --args -- "$@" \
		>"$HOME/.agentrux/config.json")
}

running() {
	pgrep -f -- "$1" >/dev/null
}

gone() {
	! running "$1"
}

# Ends the server as a client does, and says how it ended.
finish() {
	exec 7>&-
	wait "$MCP"
}

@test "the version that the client asks for is spoken, or ours if it is new" {
	local asked
	for asked in 2025-06-18 2025-03-26 2024-11-05 2099-01-01; do
		start_mcp
		initialize "$asked"
		is ".result.serverInfo.name == \"agentrux-mcp\""
		is ".result.capabilities.tools"
		[ "$asked" != 2099-01-01 ] || asked=2025-06-18
		is ".result.protocolVersion == \"$asked\""
		finish
	done
}

@test "before initialize there is ping alone, and it comes once" {
	start_mcp
	error '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' -32600
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"agentrux_read"}}' -32600
	error '[{"jsonrpc":"2.0","id":1,"method":"ping"}]' -32600
	error '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}' -32602
	initialize
	error '{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}' -32600
	finish
}

@test "tools are listed with what the version has room for, exec only if allowed" {
	start_mcp
	initialize
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	answered 1
	is '[.result.tools[].name] == ["agentrux_activate", "agentrux_publish",
		"agentrux_read", "agentrux_send_message", "agentrux_topics",
		"agentrux_redeem_grant", "agentrux_upload", "agentrux_download"]'
	is 'all(.result.tools[]; .title and .description and
		(.annotations | .readOnlyHint != null and .destructiveHint != null
			and .idempotentHint != null and .openWorldHint != null) and
		.inputSchema.type == "object" and .outputSchema.type == "object" and
		(.inputSchema | (.required - (.properties | keys)) == []))'
	is '.result.tools[] | select(.name == "agentrux_read").annotations.readOnlyHint'
	error '{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":"x"}}' -32602
	error '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"exec","arguments":{"command":["true"]}}}' -32602
	finish
	start_mcp
	initialize 2025-03-26
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	answered 1
	is 'all(.result.tools[]; .annotations and (has("outputSchema") | not))'
	finish
	policy 'true' 'df .*'
	start_mcp --tools exec,agentrux_read,exec
	initialize 2024-11-05
	say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
	answered 1
	is '[.result.tools[].name] == ["exec", "agentrux_read"]'
	is 'all(.result.tools[]; has("annotations") or has("outputSchema") | not)'
	is '.result.tools[0].description | contains("\ntrue\ndf .*")'
	finish
}

@test "what is no message gets the right error, and serving goes on" {
	policy 'true'
	start_mcp
	initialize
	error '{' -32700
	error 'hello' -32700
	error '{"jsonrpc":"2.0","id":1,"method":"ping"} x' -32700
	error "$(printf '{"jsonrpc":"2.0","id":"\xff","method":"ping"}')" -32700
	is '.id == null'
	error '"ping"' -32600
	error '{}' -32600
	error '{"id":7,"method":"ping"}' -32600
	is '.id == 7'
	error '{"jsonrpc":"1.0","id":1,"method":"ping"}' -32600
	error '{"jsonrpc":"2.0","id":null,"method":"ping"}' -32600
	error '{"jsonrpc":"2.0","id":{},"method":"ping"}' -32600
	error '{"jsonrpc":"2.0","id":1,"method":5}' -32600
	error '{"jsonrpc":"2.0","id":1,"method":"ping","params":5}' -32600
	error '{"jsonrpc":"2.0","id":1}' -32600
	error '[]' -32600
	error '[{"jsonrpc":"2.0","id":1,"method":"ping"}]' -32600
	error '{"jsonrpc":"2.0","id":1,"method":"resources/list"}' -32601
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call"}' -32602
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}' -32602
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}' -32602
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}}' -32602
	error '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"exec","arguments":[]}}' -32602
	local arguments
	for arguments in '{}' '{"command":5}' '{"command":[]}' '{"command":[5]}' \
		'{"command":["true"],"x":1}' '{"command":["a\u0000b"]}' \
		'{"command":["true"],"timeout_seconds":61}' \
		'{"command":["true"],"timeout_seconds":"5"}' \
		'{"command":"a | b"}' '{"command":null}'; do
		call 99 exec "$arguments"
	done
	wait_for 30 eval '[ "$(grep -c "\"id\":99," "$OUT")" -eq 10 ]'
	jq -es 'map(select(.id == 99)) | all(.[]; .error.code == -32602)' "$OUT"
	# Blank lines, answers to nothing and notifications are passed over.
	say ''
	say '   '
	say '{"jsonrpc":"2.0","id":5,"result":{}}'
	say '{"jsonrpc":"2.0","method":"no/such"}'
	say '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"exec"}}'
	say '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}'
	error 'x' -32700
	finish
}

@test "a line over 16 MiB is refused, the next is read" {
	start_mcp
	initialize
	head -c 17000000 /dev/zero | tr '\0' 'x' >&7
	say ''
	answered null
	is '.error.code == -32600 and (.error.message | contains("16 MiB"))'
	{ printf '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"'
	head -c 16000000 /dev/zero | tr '\0' 'x'; } >&7
	say '"}}'
	answered 1
	finish
}

@test "ids come back byte for byte" {
	local id
	start_mcp
	for id in 0 -1 123456789012345678901234567890 1e2 1.50 '"x"' '""' '"é"' \
		'"\u00e9\ud83d\ude00\"\\"' '"\ud800"'; do
		say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"method\":\"ping\"}"
	done
	finish
	cut -d: -f3 "$OUT" >"$BATS_TEST_TMPDIR/ids"
	printf '%s,"result"\n' 0 -1 123456789012345678901234567890 1e2 1.50 \
		'"x"' '""' '"é"' '"\u00e9\ud83d\ude00\"\\"' '"\ud800"' |
		diff - "$BATS_TEST_TMPDIR/ids"
}

@test "batches are answered as one, under the version that has them" {
	policy 'echo .*' 'sleep .*'
	start_mcp
	initialize 2025-03-26
	say '[{"jsonrpc":"2.0","id":1,"method":"ping"},5,{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"exec","arguments":{"command":["echo","b"]}}},{"jsonrpc":"2.0","id":3,"method":"initialize"}]'
	wait_for 30 grep -q '^\[' "$OUT"
	ANSWER=$(grep '^\[' "$OUT")
	is 'length == 4 and (map(.id) | sort == [null, 1, 2, 3])'
	is '.[] | select(.id == 2).result.content[0].text | startswith("b\n")'
	is '.[] | select(.id == 3).error.code == -32600'
	is '.[] | select(.id == null).error.code == -32600'
	# Nothing but notifications, and a call that is cancelled: no answer.
	say '[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","method":"y"}]'
	say '[{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"exec","arguments":{"command":["sleep","55.5"]}}}]'
	wait_for 10 running 'sleep 55\.5'
	say '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}'
	wait_for 30 gone 'sleep 55\.5'
	error '[]' -32600
	[ "$(grep -c '^\[' "$OUT")" -eq 1 ]
	finish
}

# --- the tools, against a hub ---

# start_agent: a hub with topics T and R that we may read and write, and a server
# whose files are in $FILES.
start_agent() {
	start_hub
	T=$(new_topic t) R=$(new_topic r)
	new_agent a t:read t:write r:read r:write
	FILES=$BATS_TEST_TMPDIR/files
	mkdir "$FILES"
	start_mcp --root "$FILES" "$@"
	initialize
}

@test "activating tells what was granted and nothing more; calls work at once" {
	local code invite
	classic_only # tests/check-mcp has the other
	start_hub
	T=$(new_topic t)
	R=$(new_topic r)
	hub script add a --grant t:read --grant t:write >/dev/null
	code=$(hub code issue a --ttl 1h)
	invite=$(hub invite issue r:read)
	start_mcp -vv
	initialize
	use agentrux_publish "{\"topic_id\":\"$T\",\"payload\":1}"
	is '.result.isError'
	[[ $TEXT == *agentrux_activate* ]]
	use agentrux_activate '{}'
	is '.result.isError'
	use agentrux_activate '{"activation_code":"ac_short"}'
	is '.result.isError'
	use agentrux_activate "{\"activation_code\":\"$code\"}"
	is ".result.isError == false and (.result.structuredContent |
		keys == [\"grants\", \"outcome\"] and .outcome == \"ok\" and
		(.grants | map(.topic_id + \" \" + .action) | sort) ==
		[\"$T read\", \"$T write\"])"
	[[ $TEXT == "Activated. Granted:"* ]]
	use agentrux_activate "{\"activation_code\":\"$code\"}"
	is '.result.isError'
	use agentrux_activate '{}'
	is '.result.structuredContent.outcome == "no-file"'
	use agentrux_publish "{\"topic_id\":\"$T\",\"payload\":1}"
	is '.result.isError == false'
	use agentrux_read "{\"topic_id\":\"$R\"}"
	is '.result.isError'
	use agentrux_redeem_grant '{"invite_code":"inv_wrong"}'
	is '.result.isError'
	use agentrux_redeem_grant "{\"invite_code\":\"$invite\"}"
	is ".result.structuredContent == {topic_id: \"$R\", action: \"read\"}"
	use agentrux_read "{\"topic_id\":\"$R\"}"
	is '.result.isError == false'
	finish
	# Nothing that was said anywhere holds what is secret.
	local secret
	for secret in "$code" "$invite" "$(agentrux-token)" \
		"$(jq -r .client_secret "$HOME/.agentrux/credentials.json")"; do
		[ "${#secret}" -gt 20 ]
		run grep -rF -- "$secret" "$OUT" "$OUT.err"
		[ "$status" -eq 1 ]
	done
}

@test "a payload arrives byte for byte, and reading moves nothing" {
	local after payload='{"n":12345678901234567890.10,"e":1E+2,"s":"\u0000\ud83d\ude00é","a":[],"a":{}}'
	start_agent
	agentrux-waterline list >"$BATS_TEST_TMPDIR/before"
	use agentrux_publish "{\"topic_id\":\"$T\",\"event_type\":\"x\",\"payload\":$payload,\"correlation_id\":\"c-1\",\"reply_topic\":\"$R\"}"
	is '.result.structuredContent.event_id'
	use agentrux_publish "{\"topic_id\":\"$T\",\"payload\":[null,\"y\"]}"
	use agentrux_publish "{\"topic_id\":\"$T\",\"payload\":null}"
	use agentrux_read "{\"topic_id\":\"$T\"}"
	is '[.result.structuredContent.events[] | .type // .event_type] == ["x", "message", "message"]'
	is ".result.structuredContent.events[0] | .metadata // . |
		.correlation_id == \"c-1\" and .reply_topic == \"$R\""
	jq -r 'objects | select(.id == 4).result.content[0].text' "$OUT" |
		grep -F -- "\"payload\":$payload"
	grep '"id":4,' "$OUT" | grep -F -- "\"payload\":$payload"
	# The newest, from there on, by type.
	use agentrux_read "{\"topic_id\":\"$T\",\"limit\":2}"
	is '[.result.structuredContent.events[].payload] == [[null, "y"], null]'
	use agentrux_read "{\"topic_id\":\"$T\",\"limit\":2,\"after\":\"oldest\"}"
	is '.result.structuredContent | .has_more and (.events | length == 2) and
		.events[1].payload == [null, "y"]'
	after=$(jq -r .result.structuredContent.next <<<"$ANSWER")
	use agentrux_read "{\"topic_id\":\"$T\",\"limit\":2,\"after\":\"$after\"}"
	is '.result.structuredContent | (.has_more | not) and
		[.events[].payload] == [null]'
	after=$(jq -r .result.structuredContent.next <<<"$ANSWER")
	use agentrux_read "{\"topic_id\":\"$T\",\"after\":\"$after\"}"
	is '.result.structuredContent | .events == [] and .next and (.has_more | not)'
	use agentrux_read "{\"topic_id\":\"$T\",\"event_type\":\"x\"}"
	is '.result.structuredContent.events | length == 1'
	use agentrux_read "{\"topic_id\":\"$R\"}"
	is '.result.structuredContent == {events: [], has_more: false}'
	use agentrux_read "{\"topic_id\":\"$T\",\"after\":\"x y\"}"
	is '.result.isError'
	use agentrux_read '{"topic_id":"../x"}'
	is '.result.isError'
	use agentrux_read '{"topic_id":"00000000-0000-4000-8000-000000000000"}'
	is '.result.isError'
	agentrux-waterline list | diff "$BATS_TEST_TMPDIR/before" -
	finish
}

@test "what is too much for one result is read in parts" {
	local i after
	start_agent
	for i in 1 2 3 4 5; do
		printf '{"i":%d,"big":"%0200000d"}\n' "$i" 0
	done | agentrux-publish --lines "$T"
	use agentrux_read "{\"topic_id\":\"$T\"}" >/dev/null
	is '[.result.structuredContent.events[].payload.i] == [4, 5]'
	[[ $TEXT == *"3 older ones are left out for their size."* ]]
	after=oldest
	for i in '[1, 2]' '[3, 4]' '[5]'; do
		use agentrux_read "{\"topic_id\":\"$T\",\"after\":\"$after\"}" >/dev/null
		is "[.result.structuredContent.events[].payload.i] == $i"
		is ".result.structuredContent.has_more == ($i != [5])"
		after=$(jq -r .result.structuredContent.next <<<"$ANSWER")
	done
	finish
}

@test "a message gets its reply, or hears that none came" {
	start_agent
	background "$BATS_TEST_TMPDIR/pong" sh -c '
		agentrux-watch "$1" | agentrux-drain "$1" --from oldest |
		jq -c --unbuffered "{request_id: .payload.request_id, status: \"completed\",
			message: (\"re: \" + .payload.message), attachments: [{name: \"x\"}]}" |
		agentrux-publish --lines -t openclaw.response "$2"' - "$T" "$R" 7>&-
	local pong=$LAST_PID
	use agentrux_send_message "{\"topic_id\":\"$T\",\"message\":\"h\\\"i\",\"reply_topic\":\"$R\",\"timeout_seconds\":60,\"conversation_key\":\"k\"}"
	is '.result.structuredContent | .event_id and .request_id ==
		.reply.payload.request_id and .reply.payload.message == "re: h\"i"'
	[[ $TEXT == 'Reply (completed):'$'\n''re: h"i'$'\n''Attachments: [{'* ]]
	use agentrux_read "{\"topic_id\":\"$T\"}"
	is '.result.structuredContent.events[0] | (.type // .event_type) == "openclaw.request" and
		.payload.conversation_key == "k"'
	use agentrux_send_message "{\"topic_id\":\"$R\",\"message\":\"x\",\"reply_topic\":\"$T\",\"timeout_seconds\":1}"
	is '.result.isError'
	[[ $TEXT == "no reply within 1 s"*request_id* ]]
	pkill -P "$pong"
	finish
}

@test "files go up from the folder and come back into it, and from nowhere else" {
	local id path
	start_agent
	cd "$FILES"
	mkdir sub
	head -c 100000 /dev/urandom >sub/data.bin
	ln -s sub/data.bin link
	ln -s "$FILES/sub" through
	ln -s "$HOME" out
	ln -s /etc/hostname away
	mkfifo fifo
	mkdir ../files2
	echo x >../files2/x
	for path in sub/data.bin link through/data.bin "$FILES/sub/data.bin" \
		sub/../link; do
		use agentrux_upload "{\"topic_id\":\"$T\",\"path\":\"$path\"}"
		is '.result.structuredContent.attachment |
			.size == 100000 and (.object_id // .payload_object_id)'
	done
	id=$(jq -r '.result.structuredContent.attachment |
		.object_id // .payload_object_id' <<<"$ANSWER")
	for path in away out/.agentrux/credentials.json /etc/passwd ../files2/x \
		"$FILES/../files2/x" "$FILES"2/x . sub fifo none '' /proc/self/environ; do
		use agentrux_upload "{\"topic_id\":\"$T\",\"path\":\"$path\"}"
		is '.result.isError'
	done
	for path in '' ',"path":"sub"' ',"path":"sub/new"' ',"path":"link"'; do
		use agentrux_download "{\"topic_id\":\"$T\",\"object_id\":\"$id\"$path}"
		is '.result.isError == false'
		cmp sub/data.bin "$(jq -r .result.structuredContent.path <<<"$ANSWER")"
	done
	[ -f sub/new ]
	[ -L link ]
	for path in out /tmp "$HOME/x" ../x ../files2 none/x; do
		use agentrux_download "{\"topic_id\":\"$T\",\"object_id\":\"$id\",\"path\":\"$path\"}"
		is '.result.isError'
	done
	use agentrux_download "{\"topic_id\":\"$T\",\"object_id\":\"../x\"}"
	is '.result.isError'
	[ "$(ls ../files2)" = x ]
	[ ! -e "$HOME/x" ]
	[ ! -e ../x ]
	# What belongs to a turn is kept for its answer.
	use agentrux_upload "{\"topic_id\":\"$T\",\"path\":\"link\",\"turn\":\"turn-1\"}"
	is '.result.isError == false'
	[ "$(jq -r .name "$HOME"/.agentrux/turns/turn-1/*.json)" = link ]
	use agentrux_upload "{\"topic_id\":\"$T\",\"path\":\"link\",\"turn\":\"../x\"}"
	is '.result.isError'
	finish
}

@test "topics are listed with what may be done there" {
	start_agent
	use agentrux_topics '{}'
	is ".result.structuredContent.topics | length == 2 and
		(map(select(.topic_id == \"$T\")) | .[0].actions | sort == [\"read\", \"write\"])"
	[[ $TEXT == *"$T"*": read, write"* ]]
	finish
}

# --- exec ---

# runs COMMAND-JSON: it was let through.
runs() {
	use exec "{\"command\":$1}"
	is '.result.content[0].text | test("\\[exit status|\\[ended|cannot be run")'
}

# refuses COMMAND-JSON
refuses() {
	use exec "{\"command\":$1}"
	is '.error.code == -32602 or
		(.result.isError and (.result.content[0].text | startswith("not allowed")))'
}

@test "exec runs what a pattern allows, with little around it" {
	policy 'env' 'pwd|cat' 'sh -c .*' 'printf .*' 'false' 'no-such-program' \
		'./here' 'head .*'
	mkdir "$BATS_TEST_TMPDIR/r"
	printf '#!/bin/sh\necho here\n' >"$BATS_TEST_TMPDIR/r/here"
	chmod +x "$BATS_TEST_TMPDIR/r/here"
	export CANARY=canary
	start_mcp --root "$BATS_TEST_TMPDIR/r"
	initialize
	use exec '{"command":["env"]}'
	[ "$(grep -o '^[A-Z_]*=' <<<"$TEXT" | sort | xargs)" = \
		"HOME= LANG= PATH= TERM=" ]
	is '.result.structuredContent | .exit_status == 0 and .truncated == false'
	use exec '{"command":"pwd"}'
	[ "$TEXT" = "$BATS_TEST_TMPDIR/r"$'\n''[exit status 0]' ]
	use exec '{"command":["cat"]}'
	[ "$TEXT" = '[exit status 0]' ]
	use exec '{"command":["./here"]}'
	[ "$TEXT" = $'here\n[exit status 0]' ]
	use exec '{"command":"printf %s|%s \"a b\" c"}'
	[[ $TEXT == *"an unquoted |"* ]] || is '.error.message | contains("an unquoted |")'
	use exec '{"command":"printf \"%s+%s\" \"a b\" c"}'
	[ "$TEXT" = $'a b+c\n[exit status 0]' ]
	use exec '{"command":"false"}'
	is '.result.isError == false and .result.structuredContent.exit_status == 1'
	use exec '{"command":"no-such-program"}'
	is '.result.isError'
	use exec '{"command":["sh","-c","echo out; echo err >&2; kill -9 $$"]}'
	[ "$TEXT" = $'out\nerr\n[ended by signal 9]' ]
	use exec '{"command":["printf","\\000\\377x"]}'
	is '.result.structuredContent.output == "\u0000\ufffdx"'
	# No terminal to ask on, no descriptor of ours.
	use exec '{"command":["sh","-c","exec 2>&1; true </dev/tty; ls /proc/$$/fd"]}'
	[[ $TEXT == *"/dev/tty"*$'\n'0$'\n'1$'\n'2$'\n'* ]]
	finish
	grep -q "exec: env: exit status 0" "$OUT.err"
	grep -q "exec: no-such-program: it cannot be run" "$OUT.err"
}

@test "exec cuts the output at 64 KiB and says so" {
	policy 'sh -c .*'
	start_mcp
	initialize
	use exec '{"command":["sh","-c","yes é | head -c 3000000; echo end >&2"]}'
	is '.result.structuredContent | .truncated and .exit_status == 0 and
		(.output | utf8bytelength <= 65536 and utf8bytelength > 65532 and
		test("^(é\n)*é?$"))'
	[[ $TEXT == *"bytes]"$'\n'"[exit status 0]" ]]
	[[ $TEXT == *"of 3000004 bytes]"* ]]
	finish
}

@test "exec leaves nothing behind: not at its end, not when its time is up" {
	policy 'sh -c .*' 'setsid .*'
	start_mcp
	initialize
	use exec '{"command":["sh","-c","setsid sleep 8801 >/dev/null 2>&1 & trap \"\" TERM; sleep 8802 & echo ok"]}'
	[ "$TEXT" = $'ok\n[exit status 0]' ]
	use exec '{"command":["sh","-c","trap \"\" TERM; setsid sleep 8803 & sleep 8804; sleep 8805"],"timeout_seconds":1}'
	is '.result.isError'
	[[ $TEXT == *"[ended after 1 s, its time was up]" ]]
	wait_for 10 gone 'sleep 880[1-5]'
	finish
}

@test "exec: the corpus of escapes runs only what a pattern allows as a whole" {
	local dir=$BATS_TEST_TMPDIR/r one
	policy 'df( -h)?' 'git log' 'ls [a-z]+' 'uptime|date' '^true$' 'cat notes/.*'
	mkdir -p "$dir/bin" "$dir/notes"
	printf '#!/bin/sh\ntouch %s/escaped\n' "$dir" >"$dir/df"
	chmod +x "$dir/df"
	cp "$dir/df" "$dir/bin/df"
	start_mcp --root "$dir"
	initialize
	for one in '"df"' '["df","-h"]' '"df  -h"' '"\"df\" '"'-h'"'"' '"date"' '"true"'; do
		runs "$one"
	done
	for one in '"df; touch escaped"' '["df",";","touch","escaped"]' \
		'["df;","touch"]' '["df; touch escaped"]' '"df | sh"' \
		'["df","|","sh"]' '"df && touch escaped"' '["df","&&","true"]' \
		'"df $(touch escaped)"' '["df","$(touch escaped)"]' \
		'"df `touch escaped`"' '["df","`touch escaped`"]' \
		'"df\ntouch escaped"' '["df\ntouch escaped"]' '["df","\n"]' \
		'["df\n"]' '["df","-h\n"]' '["df",""]' '["","df"]' '["df -h"]' \
		'["git log"]' '["git","log","-o","x"]' '["git","log","--output=x"]' \
		'["git","-c","alias.log=!touch escaped","log"]' \
		'["ls","../etc"]' '["ls","a","b"]' '["ls","a b"]' '["ls","-la"]' \
		'["./df"]' '["bin/df"]' '["'"$dir"'/df"]' '["/bin/df"]' '["../bin/df"]' \
		'["DF"]' '["df\u00a0-h"]' '["df\t-h"]' '["df","-h "]' \
		'["df\u0000"]' '["df","\u0000"]' '["uptime","-p"]' '["rm","date"]' \
		'["sh","-c","df"]' '["true\n"]' '["env","df"]' '"PATH=. df"' \
		'"~/df"' '"df *"' '"df > x"' '"df < x"' '"df & "' '"(df)"' \
		'"df #"' '[["df"]]' '{"0":"df"}' '[]' '""' 'null' '"\\"' '"df \\\n-h"' \
		'["cat","notes/a\nb"]' '["cat notes/a"]' '["cat","/etc/passwd","notes/a"]'; do
		refuses "$one"
	done
	# 1 MB of it, in one word, in a line and in many words.
	jq -nc '"df " + ("a" * 1000000)' >"$dir/a"
	jq -nc '["df", "a" * 1000000]' >"$dir/b"
	jq -nc '["df"] + [range(200000) | "a"]' >"$dir/c"
	for one in a b c; do
		refuses "$(cat "$dir/$one")"
	done
	[ ! -e "$dir/escaped" ]
	finish
	[ "$(grep -c 'exec: refused: ' "$OUT.err")" -gt 30 ]
	run ! grep -q $'[\001-\010]' "$OUT.err"
}

@test "a pattern that never ends holds up nobody" {
	policy '(a+)+b' 'true'
	start_mcp
	initialize
	use exec "{\"command\":[\"$(printf '%050000d' 0 | tr 0 a)\"]}"
	is '.result.isError'
	[[ $TEXT == *"too long to match"* ]]
	runs '["true"]'
	finish
}

@test "without a policy, or with one that is off, there is no exec" {
	local config
	mkdir -m 700 "$HOME/.agentrux"
	for config in '{}' '{"execPolicy":{}}' \
		'{"execPolicy":{"enabled":false,"allowedCommands":[".*"]}}' \
		'{"execPolicy":{"enabled":"true","allowedCommands":[".*"]}}' \
		'{"execPolicy":{"allowedCommands":[".*"]}}'; do
		(umask 077 && echo "$config" >"$HOME/.agentrux/config.json")
		start_mcp --tools agentrux_read,exec
		initialize
		say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
		answered 1
		is '.result.tools | map(.name) == ["agentrux_read"]'
		error '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"exec","arguments":{"command":["true"]}}}' -32602
		finish
	done
}

@test "a policy that changes under a running server counts from then on" {
	policy 'echo one' 'echo two'
	start_mcp
	initialize
	runs '["echo","one"]'
	policy 'echo two'
	refuses '["echo","one"]'
	runs '["echo","two"]'
	echo '{"execPolicy":{"enabled":false}}' >"$HOME/.agentrux/config.json"
	refuses '["echo","two"]'
	echo '{' >"$HOME/.agentrux/config.json"
	use exec '{"command":["echo","two"]}'
	is '.result.isError'
	run ! grep -q '\[exit status' <<<"$TEXT"
	finish
}

@test "a policy that cannot be relied on stops the program with 78" {
	local config
	mkdir -m 700 "$HOME/.agentrux"
	for config in '' '{' '[]' '{"execPolicy":{"enabled":true,"allowedCommands":["("]}}' \
		'{"execPolicy":{"enabled":true,"allowedCommands":[5]}}' \
		'{"execPolicy":{"enabled":true,"allowedCommands":"df"}}'; do
		(umask 077 && printf '%s' "$config" >"$HOME/.agentrux/config.json")
		run --separate-stderr agentrux-mcp </dev/null
		[ "$status:$output" = 78: ]
	done
	policy 'df'
	chmod 644 "$HOME/.agentrux/config.json"
	run --separate-stderr agentrux-mcp </dev/null
	[ "$status:$output" = 78: ]
	[[ $stderr == *chmod* ]]
}

# --- side by side, and the end ---

@test "a call that waits holds up neither ping nor other calls" {
	policy 'sleep .*' 'true'
	start_agent
	call 1 exec '{"command":["sleep","58.25"]}'
	call 2 agentrux_send_message "{\"topic_id\":\"$T\",\"message\":\"x\",\"reply_topic\":\"$R\",\"timeout_seconds\":3000}"
	wait_for 20 running 'sleep 58\.25'
	n=2
	error '{' -32700
	use agentrux_read "{\"topic_id\":\"$T\"}"
	is '.result.isError == false'
	runs '["true"]'
	run ! has_answer 1
	run ! has_answer 2
	finish
	wait_for 10 gone 'sleep 58\.25'
}

@test "a call that is cancelled ends and is not answered" {
	policy 'sh -c .*' 'true'
	start_agent
	call '"x\u0031"' exec '{"command":["sh","-c","setsid sleep 8811 & sleep 8812"]}'
	call 2 agentrux_send_message "{\"topic_id\":\"$T\",\"message\":\"x\",\"reply_topic\":\"$R\",\"timeout_seconds\":3000}"
	wait_for 20 running 'sleep 8811'
	say '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2,"reason":"x"}}'
	say '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x1"}}'
	wait_for 20 gone 'sleep 881[12]'
	wait_for 20 eval '[ "$(pgrep -c -P $MCP)" = 0 ]'
	n=2
	runs '["true"]'
	run ! has_answer '"x1"'
	run ! has_answer 2
	finish
}

@test "a call that takes long is told of where the client asks for it" {
	policy 'sleep .*'
	start_mcp
	initialize
	call 1 exec '{"command":["sleep","8"]}' '{"progressToken":"tok"}'
	call 2 exec '{"command":["sleep","8"]}'
	answered 1
	answered 2
	ANSWER=$(jq -sc 'map(objects | select(.method))' "$OUT")
	is 'length >= 1 and all(.[]; .method == "notifications/progress" and
		.params.progressToken == "tok") and
		(map(.params.progress) | . == unique and .[0] > 0)'
	finish
}

@test "100 calls at once are answered, each by its id" {
	local i
	policy 'echo [0-9]+'
	start_agent
	for i in $(seq 100); do
		if [ $((i % 2)) -eq 0 ]; then
			call "$i" exec "{\"command\":[\"echo\",\"$i\"]}"
		else
			call "$i" agentrux_publish "{\"topic_id\":\"$T\",\"payload\":$i}"
		fi
	done
	all_answered() {
		[ "$(jq 'objects | select(.id | numbers) | .id' "$OUT" | sort -nu |
			wc -l)" -eq 100 ]
	}
	wait_for 60 all_answered
	[ "$(wc -l <"$OUT")" -eq 101 ]
	jq -es 'map(select(.id | numbers)) | all(.[]; .result.isError == false and
		(.id % 2 == 1 or .result.structuredContent.output == "\(.id)\n"))' "$OUT"
	[ "$(agentrux-drain --from oldest --peek --once "$T" | jq .payload |
		sort -n | xargs)" = "$(seq 1 2 100 | xargs)" ]
	finish
}

@test "a client that vanishes leaves no process behind" {
	policy 'sh -c .*'
	start_agent
	call 1 exec '{"command":["sh","-c","trap \"\" TERM; setsid sleep 8821 & sleep 8822; sleep 8823"]}'
	call 2 agentrux_send_message "{\"topic_id\":\"$T\",\"message\":\"x\",\"reply_topic\":\"$R\",\"timeout_seconds\":3000}"
	wait_for 20 running 'sleep 8821'
	local children
	children=$(pgrep -P "$MCP")
	finish
	wait_for 10 gone 'sleep 882[123]'
	for pid in $children; do
		wait_for 10 eval "! kill -0 $pid 2>/dev/null"
	done
	run ! has_answer 1
}

@test "what was asked before the input ended is answered" {
	start_agent
	finish
	printf '%s\n' \
		'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}' \
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"agentrux_read\",\"arguments\":{\"topic_id\":\"$T\"}}}" |
		agentrux-mcp >"$OUT"
	has_answer 1
}

@test "the reader going away ends it, and so does SIGTERM; kill -9 leaves nothing" {
	local how
	policy 'sh -c .*'
	for how in reader TERM KILL; do
		rm -f "$BATS_TEST_TMPDIR"/{in,from}
		mkfifo "$BATS_TEST_TMPDIR"/{in,from}
		agentrux-mcp <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/from" \
			2>/dev/null 3>&- 4>&- &
		MCP=$!
		PIDS+=("$MCP")
		exec 7>"$BATS_TEST_TMPDIR/in" 8<"$BATS_TEST_TMPDIR/from"
		say '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}'
		call 1 exec '{"command":["sh","-c","setsid sleep 8831 & sleep 8832"]}'
		wait_for 20 running 'sleep 8832'
		if [ "$how" = reader ]; then
			exec 8<&-
		else
			kill "-$how" "$MCP"
		fi
		status=0
		wait "$MCP" || status=$?
		[ "$how:$status" = "reader:0" ] || [ "$how:$status" = "TERM:0" ] ||
			[ "$how:$status" = "KILL:137" ]
		wait_for 10 gone 'sleep 883[12]'
		exec 7>&- 8<&-
	done
}

@test "a client that reads late gets everything" {
	policy 'head .*'
	mkfifo "$BATS_TEST_TMPDIR"/{to,from}
	agentrux-mcp <"$BATS_TEST_TMPDIR/to" >"$BATS_TEST_TMPDIR/from" \
		2>"$BATS_TEST_TMPDIR/err" 3>&- 4>&- &
	PIDS+=("$!")
	exec 7>"$BATS_TEST_TMPDIR/to" 8<"$BATS_TEST_TMPDIR/from"
	say '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}'
	for i in $(seq 100); do
		call "$i" exec '{"command":["head","-c","60000","/dev/zero"]}'
	done
	say '{"jsonrpc":"2.0","id":"last","method":"ping"}'
	timeout 60 head -n 102 <&8 >"$BATS_TEST_TMPDIR/all"
	[ "$(jq -s 'map(select(.result.structuredContent.output | length? == 60000)) |
		length' "$BATS_TEST_TMPDIR/all")" -eq 100 ]
	exec 7>&- 8<&-
}

@test "wrong use is 64, a folder that is not there 66" {
	run --separate-stderr agentrux-mcp --tools agentrux_read,rm </dev/null
	[ "$status:$output" = 64: ]
	run --separate-stderr agentrux-mcp operand </dev/null
	[ "$status:$output" = 64: ]
	run --separate-stderr agentrux-mcp --root "$HOME/none" </dev/null
	[ "$status:$output" = 66: ]
	run --separate-stderr agentrux-mcp --root /etc/passwd </dev/null
	[ "$status:$output" = 66: ]
	run --separate-stderr agentrux-mcp </dev/null
	[ "$status:$output:$stderr" = 0:: ]
}

@test "the examples for clients start a server that lists its tools" {
	local example
	cd "$HOME"
	for example in mcp-claude.json mcp-vscode.json; do
		mapfile -t command < <(jq -r '.mcpServers // .servers | .agentrux |
			select(.type // "stdio" == "stdio") | .command, .args[]' \
			"$ROOT/examples/$example" |
			sed "s,^\${workspaceFolder}$,.,")
		[ "${command[0]}" = agentrux-mcp ]
		start_mcp "${command[@]:1}"
		initialize
		say '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
		answered 1
		is '.result.tools | length > 5'
		finish
	done
}
