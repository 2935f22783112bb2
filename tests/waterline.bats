#!/usr/bin/env bats
# agentrux-waterline: positions, shown and moved.

load helper

prepare() {
	start_hub
	T=$(new_topic work)
	new_agent us "$T:read" "$T:write"
	seq 5 | agentrux-publish "$T" --lines >/dev/null
}

delivered() {
	agentrux-drain --once "$T" | jq -r .payload | paste -sd' ' -
}

@test "list shows every topic with its position, get one of them" {
	prepare
	[ -z "$(agentrux-waterline)" ]
	run -66 agentrux-waterline get "$T"
	agentrux-drain --once "$T"
	[ "$(saved "$T")" = 5 ]
	at=$(agentrux-waterline get "$T")
	at=$(by_dialect "$at" "\"$at\"")
	[ "$(agentrux-waterline)" = "{\"topic_id\":\"$T\",\"position\":$at}" ]
	[ "$(agentrux-waterline list)" = "{\"topic_id\":\"$T\",\"position\":$at}" ]
}

@test "list --lag asks how much lies behind each position" {
	classic_only # where positions are numbers
	prepare
	agentrux-waterline set "$T" 2
	[ "$(agentrux-waterline --lag)" = "{\"topic_id\":\"$T\",\"position\":2,\"lag\":3}" ]
	agentrux-waterline set "$T" 5
	[ "$(agentrux-waterline --lag list | jq .lag)" -eq 0 ]
	# Beside one that is not ours.
	agentrux-waterline set 00000000-0000-4000-8000-000000000000 7
	run --separate-stderr agentrux-waterline --lag
	[ "$status" -eq 66 ] || [ "$status" -eq 77 ]
	[ "$(jq -c .lag <<<"$output" | sort | paste -sd' ')" = "0 null" ]
	[[ $stderr == *"asking for the end of 00000000"* ]]
	run -64 agentrux-waterline --lag get "$T"
	stop_hub
	[ "$(agentrux-waterline | wc -l)" -eq 2 ]
}

@test "set, oldest and latest move a position, and what lies behind comes again" {
	prepare
	[ -z "$(delivered)" ]
	agentrux-waterline oldest "$T"
	[ "$(delivered)" = "1 2 3 4 5" ]
	agentrux-waterline set "$T" "$(position_at "$T" 3)"
	[ "$(delivered)" = "4 5" ]
	agentrux-waterline set "$T" "$(position_at "$T" 2)"
	agentrux-waterline latest "$T"
	[ "$(saved "$T")" = 5 ]
	[ -z "$(delivered)" ]
}

@test "forget makes the next drain a first contact" {
	prepare
	agentrux-drain --once "$T"
	agentrux-waterline forget "$T"
	run -66 agentrux-waterline get "$T"
	[ "$(agentrux-drain --once --from oldest "$T" | wc -l)" -eq 5 ]
	agentrux-waterline forget "$T"
	[ "$(cat "$HOME/.agentrux/waterline.json")" = "{}" ]
}

@test "a position is not moved while a drain has the topic, but with --lock-wait" {
	prepare
	agentrux-drain --once "$T"
	agentrux-publish "$T" -m x >/dev/null
	background "$HOME/drain" agentrux-drain --once "$T" -- \
		sh -c "touch '$HOME/begun'; until [ -e '$HOME/go' ]; do sleep 0.1; done"
	wait_for 5 test -e "$HOME/begun"
	run -75 agentrux-waterline set "$T" 1
	[[ $output == *"a drain of this topic is at work"* ]]
	touch "$HOME/go"
	agentrux-waterline --lock-wait 100 set "$T" 1
	[ "$(agentrux-waterline get "$T")" = 1 ]
}

@test "import reads what the plugin wrote, from a file or stdin" {
	prepare
	at=$(position_at "$T" 3)
	if [ "$DIALECT" = classic ]; then
		echo "{\"$T\":$at,\"other\":7}"
	else
		echo "{\"v\":3,\"w\":{\"${T#top_}\":{\"event_id\":\"$at\"},\"other\":{\"event_id\":\"7\"}}}"
	fi >"$HOME/old.json"
	agentrux-waterline -q import "$HOME/old.json"
	[ "$(agentrux-waterline get "$T")" = "$at" ]
	[ "$(agentrux-waterline get other)" = 7 ]
	at=$(position_at "$T" 4)
	echo "{\"v\":2,\"w\":{\"$T\":{\"seq\":4,\"event_id\":\"$at\"}}}" |
		agentrux-waterline -q import
	[ "$(agentrux-waterline get "$T")" = "$at" ]
	[ "$(delivered)" = 5 ]
}

@test "what is no file of positions is 65, and nothing is moved" {
	prepare
	agentrux-waterline set "$T" 2
	for text in '' '{' '[1]' "{\"$T\":true}" "{\"$T\":4,\"a/b\":1}" \
		"{\"$T\":4,\"b\":\"cursor\"}" "{\"$T\":1.5}" "{\"$T\":-1}"; do
		run -65 agentrux-waterline import <<<"$text"
		[ "$(agentrux-waterline get "$T")" = 2 ]
	done
	run -66 agentrux-waterline import "$HOME/none"
	if [ "$DIALECT" = classic ]; then
		run -65 agentrux-waterline set "$T" soon
		run -65 agentrux-waterline set "$T" ''
	fi
}

@test "many processes move many topics, and no update is lost" {
	prepare
	for k in $(seq 8); do
		(
			for n in $(seq 25); do
				agentrux-waterline set "topic-$k" "$n" || exit 1
			done
		) 3>&- &
		pids+=("$!")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	[ "$(agentrux-waterline | jq -s 'map(.position | tostring) == [range(8) | "25"]')" = true ]
}

@test "wrong use is 64" {
	prepare
	run -64 agentrux-waterline frob
	run -64 agentrux-waterline get
	run -64 agentrux-waterline set "$T"
	run -64 agentrux-waterline list "$T"
	run -64 agentrux-waterline get a/b
}
