#!/usr/bin/env bats
# agentrux: the umbrella.

load helper

@test "the umbrella runs programs, lists them and passes exit codes on" {
	run agentrux
	[ "$status" -eq 64 ]
	run agentrux frob
	[ "$status" -eq 64 ]
	run agentrux ../../bin/true
	[ "$status" -eq 64 ]
	run agentrux help
	[ "$status" -eq 0 ]
	for name in activate token watch drain publish upload download hub openclaw; do
		grep -q "^  $name " <<<"$output"
	done
	[[ $output != *openclaw-* ]]
	run agentrux help token
	[[ ${lines[0]} == "Usage: agentrux-token"* ]]
	run agentrux token
	[ "$status" -eq 78 ]
	run --separate-stderr agentrux status
	[ "$status" -eq 78 ]
	[ "$output" = "not set up: get an activation code" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	start_hub
	new_agent us "$(new_topic work):read"
	run agentrux status
	[ "$status" -eq 0 ]
}
