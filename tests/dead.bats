#!/usr/bin/env bats
# agentrux-drain --dead: what was given up, once more.

load helper

# A topic $T with N events that were all given up, and no hub any more; $AT is
# where they are.
prepare() {
	start_hub
	T=$(new_topic work)
	new_agent us "$T:read" "$T:write"
	seq "$1" | sed 's/.*/{"n":&}/' | agentrux-publish "$T" --lines >/dev/null
	agentrux-drain --from oldest "$T" -- sh -c 'echo no >&2; exit 65' \
		</dev/null 2>/dev/null
	mapfile -t AT < <(all_of "$T" |
		jq -r ".items[].$(by_dialect sequence_no cursor)")
	stop_hub
	DEAD=$HOME/.agentrux/dead/$T
	[ "$(letters)" -eq "$1" ]
}

letters() {
	find "$DEAD" -name '*.json' | wc -l
}

numbers() {
	jq -r .payload.n "$1" | paste -sd' ' -
}

@test "prints the events, oldest letter first, and a file goes when its line was taken" {
	prepare 3
	agentrux-drain --dead "$T" >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 3" ]
	grep -q "$(by_dialect ^ '')[{,]\"topic_id\":\"$T\"," "$HOME/out"
	[ "$(letters)" -eq 0 ]
	agentrux-drain --dead "$T" >"$HOME/out"
	[ ! -s "$HOME/out" ]
	agentrux-drain --dead never-heard-of >"$HOME/out"
	[ ! -s "$HOME/out" ]
}

@test "a handler gets them as before; a file goes with a 0, else it stays, and the end is 75" {
	prepare 3
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/sh
		n=$(jq -r .payload.n)
		echo "$n $AGENTRUX_EVENT_TYPE $AGENTRUX_POSITION $AGENTRUX_ATTEMPT" >>"$HOME/seen"
		case $n in 1) exit 1 ;; 2) exit 75 ;; esac
	EOF
	chmod +x "$HOME/handler"
	run -75 agentrux-drain --dead "$T" -- "$HOME/handler"
	[ "$(paste -sd, "$HOME/seen")" = \
		"1 message ${AT[0]} 2,2 message ${AT[1]} 2,3 message ${AT[2]} 2" ]
	[ "$(letters)" -eq 2 ]
	[ "$(jq -s 'map([.event.payload.n, .attempts, .status]) | sort' -c "$DEAD"/*.json)" = \
		'[[1,2,"exit status 1"],[2,1,"exit status 65"]]' ]
	agentrux-drain --dead -j 2 "$T" -- true
	[ "$(letters)" -eq 0 ]
	[ "$(agentrux-waterline get "$T")" = "${AT[2]}" ]
}

@test "a reader that takes two of them leaves the others, and --peek all" {
	prepare 5
	agentrux-drain --dead --peek "$T" >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 3 4 5" ]
	agentrux-drain --dead -n 2 "$T" >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2" ]
	[ "$(letters)" -eq 3 ]
	agentrux-drain --dead "$T" | read -r _
	[ "$(letters)" -ge 2 ]
}

@test "residents and acknowledgements serve as well" {
	prepare 4
	# shellcheck disable=SC2016 # jq's
	run -75 agentrux-drain --dead --resident "$T" -- jq --unbuffered -r \
		'.event_id + (if .payload.n == 2 then " 9" else " 0" end)'
	[ "$(letters)" -eq 1 ]
	mkfifo "$HOME/acks"
	# shellcheck disable=SC2094 # a pipe
	agentrux-drain --dead --ack-fd 3 "$T" 3<"$HOME/acks" |
		jq --unbuffered -r .event_id >"$HOME/acks"
	[ "$(letters)" -eq 0 ]
}

@test "-t picks, and what is no letter, or has no id, is dealt with" {
	prepare 1
	jq ".event.$(by_dialect type event_type) = \"other\"" "$DEAD"/*.json >"$HOME/other"
	(
		umask 077
		cp "$HOME/other" "$DEAD/other.json"
		echo nonsense >"$DEAD/broken.json"
		jq -c '.event |= del(.event_id)' "$HOME/other" >"$DEAD/0abc.json"
	)
	run -75 --separate-stderr agentrux-drain --dead -t message "$T"
	[ "$(wc -l <<<"$output")" -eq 1 ]
	[[ $stderr == *"broken.json: it is no letter"* ]]
	# shellcheck disable=SC2016 # the handler's
	run -75 agentrux-drain --dead "$T" -- sh -c 'echo "$AGENTRUX_EVENT_ID" >>"$HOME/ids"'
	grep -qx 0abc "$HOME/ids"
	[ "$(letters)" -eq 1 ]
}

@test "it needs no credentials, but a topic, and its lock" {
	prepare 1
	rm "$HOME/.agentrux/credentials.json"
	run -64 agentrux-drain --dead
	run -64 agentrux-drain --dead --from oldest "$T"
	background "$HOME/slow" agentrux-drain --dead "$T" -- \
		sh -c "touch '$HOME/begun'; while [ ! -e '$HOME/go' ]; do sleep 0.05; done"
	wait_for 10 test -e "$HOME/begun"
	run -75 agentrux-drain --dead "$T"
	touch "$HOME/go"
	wait "$LAST_PID"
	[ "$(letters)" -eq 0 ]
}

@test "a kill before any change loses no letter" {
	prepare 2
	cp -r "$HOME/.agentrux" "$HOME/was"
	local n=0 code=137
	while [ "$code" -eq 137 ]; do
		n=$((n + 1))
		rm -rf "$HOME/.agentrux" "$HOME/seen"
		cp -r "$HOME/was" "$HOME/.agentrux"
		code=0
		LD_PRELOAD=$BUILD/tests/abort-at.so ABORT_AT=$n \
			ABORT_PROGRAM=agentrux-drain agentrux-drain --dead "$T" \
			>"$HOME/out" </dev/null || code=$?
		agentrux-drain --dead "$T" >>"$HOME/out"
		[ "$(jq -r .payload.n "$HOME/out" | sort -u | paste -sd' ')" = "1 2" ]
		[ "$(letters)" -eq 0 ]
	done
	[ "$code" -eq 0 ]
	[ "$n" -gt 2 ]
}
