#!/usr/bin/env bats
# agentrux-topics: what these credentials know, in either dialect.

load helper

prepare() {
	start_hub
	T=$(new_topic commands)
	R=$(new_topic results)
	new_topic others >/dev/null
	new_agent us "$T:read" "$R:read" "$R:write"
}

@test "every topic with a grant is a line with its id, name and actions" {
	prepare
	agentrux-topics >"$HOME/lines"
	[ "$(wc -l <"$HOME/lines")" -eq 2 ]
	[ "$(jq -c 'select(.name == "commands") | [.topic_id, .actions]' "$HOME/lines")" = "[\"$T\",[\"read\"]]" ]
	[ "$(jq -c 'select(.name == "results") | [.topic_id, (.actions | sort)]' "$HOME/lines")" = "[\"$R\",[\"read\",\"write\"]]" ]
	run -0 agentrux-drain --once "$(jq -r 'select(.name == "commands") | .topic_id' "$HOME/lines")"
}

@test "without any grant there is nothing, and that is no failure" {
	start_hub
	new_agent us
	run -0 agentrux-topics
	[ -z "$output" ]
}

@test "trouble has the exit codes of all programs" {
	run -78 agentrux-topics
	run -64 agentrux-topics operand
	prepare
	run -74 sh -c 'agentrux-topics >/dev/full'
	stop_hub
	run -75 agentrux-topics --retry-time 0
}
