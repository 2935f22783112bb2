# What the tests of agentrux-openclaw share; loaded after helper.

# A hub, the topics $CMD and $RES, the adapter's home ~/.agentrux, and a client
# with credentials of its own in $CLIENT.
prepare() {
	start_hub
	CMD=$(new_topic commands)
	RES=$(new_topic results)
	CLIENT=$HOME/client
	new_agent agent "$CMD:read" "$CMD:write" "$RES:read" "$RES:write"
	AGENTRUX_HOME=$CLIENT new_agent client "$CMD:read" "$CMD:write" \
		"$RES:read"
	A=$HOME/.agentrux
	AUTH=$(agentrux-token --home "$CLIENT" --header)
	agent 'cat >/dev/null; echo done'
}

# agent SCRIPT [JSON]: the agent is this sh script, the configuration has JSON
# besides. What it is given goes to $HOME/prompt.N, N counted in $HOME/calls.
agent() {
	{
		printf '#!/bin/sh\necho x >>"%s"\n' "$HOME/calls"
		printf 'n=$(wc -l <"%s")\n' "$HOME/calls"
		printf 'export LOG="%s/log"\n%s\n' "$HOME" "$1"
	} >"$HOME/agent"
	chmod 700 "$HOME/agent"
	configure "${2:-{\}}"
}

configure() {
	(umask 077 && jq -n --arg cmd "$CMD" --arg res "$RES" \
		--arg agent "$HOME/agent" --argjson more "$1" '
		{commandTopicId: $cmd, resultTopicId: $res, agentId: "main",
		agentCommand: [$agent]} + $more | with_entries(
		select(.value != null))' >"$A/config.json")
}

calls() {
	touch "$HOME/calls"
	wc -l <"$HOME/calls"
}

# post PAYLOAD [TYPE]: publishes it, as anyone would: curl and a token.
post() {
	jq -nc --argjson p "$1" --arg t "${2:-openclaw.request}" \
		"{$(by_dialect type event_type): \$t, payload: \$p}" >"$HOME/post"
	curl -sS --fail -o "$HOME/posted" -X POST -H "$AUTH" \
		--data-binary "@$HOME/post" "$HUB_URL/topics/$CMD/events"
}

# The payloads of all answers, one a line; those with a request_id only.
answers() {
	agentrux-drain --home "$CLIENT" --peek --from oldest --once "$RES" |
		jq -c --arg id "${1-}" '.payload
		| select($id == "" or .request_id == $id)'
}

is_answered() {
	[ "$(answers "$1" | wc -l)" -ge "${2:-1}" ]
}

# The adapter's position is set at the first contact; after that, run serves.
run_adapter() {
	[ -e "$A/waterline.json" ] || agentrux-openclaw poll
	# A shell lets what it starts in the background ignore SIGINT.
	background "$HOME/run" env --default-signal=INT agentrux-openclaw run
	RUN=$LAST_PID
}

stop_adapter() {
	kill -TERM "$RUN"
	wait "$RUN"
}

# one PAYLOAD [TYPE]: serves this one event without watch and drain; $output is
# its answer.
one() {
	agentrux-openclaw poll
	post "$@"
	agentrux-openclaw poll 2>>"$HOME/run.err"
	output=$(answers | tail -n 1)
}

# attach TEXT-FILE TYPE: stores it, as curl does; $ATTACHED is its id.
attach() {
	local topic=$HUB_URL/topics/$CMD
	curl -sS --fail -H "$AUTH" "$topic/payloads" -d "$(jq -n \
		--arg t "$2" --arg n "${1##*/}" --argjson s "$(wc -c <"$1")" \
		"$(by_dialect '{content_type: $t, filename: $n, size: $s}' \
			'{content_type: $t, size_bytes: $s}')")" >"$HOME/place"
	ATTACHED=$(jq -r "$OBJECT" "$HOME/place")
	jq -r '.required_headers // {} | to_entries[] | "\(.key): \(.value)"' \
		"$HOME/place" >"$HOME/headers"
	[ "$DIALECT" = oauth ] || echo "Content-Type: $2" >"$HOME/headers"
	curl -sS --fail -T "$1" -H "@$HOME/headers" \
		"$(jq -r '.upload_url // .presigned_put_url' "$HOME/place")"
	# There an object is to be had once an event is it.
	[ "$DIALECT" = classic ] || curl -sS --fail -o "$HOME/posted" \
		-H "$AUTH" "$topic/events" -d "$(jq -n --arg o "$ATTACHED" \
			'{event_type: "file", payload_object_id: $o}')"
}

all_answered() {
	[ "$(answers | jq -r .request_id | sort -u | wc -l)" -eq "$1" ]
}

# All that the adapter starts inherits where the tokens are; so does the hub.
no_process_of_ours() {
	local path
	for path in /proc/[0-9]*; do
		[ "$path" = "/proc/$HUB_PID" ] ||
			[ "$path" = "/proc/${FAULTS_PID-}" ] ||
			! grep -sqF "AGENTRUX_RUNTIME_DIR=$AGENTRUX_RUNTIME_DIR" \
				"$path/environ" 2>/dev/null ||
			[ "$(cat "$path/comm" 2>/dev/null)" = grep ] || return 1
	done
}
