#!/usr/bin/env bats
# agentrux-drain: everything new, once, in order; nothing lost.

load helper

# How many events the long form of a test has; setup() takes the variable away.
SOAK=${AGENTRUX_SOAK:-}

# A hub, the topic $T with N events {"n":1}…, and us with a grant to read it.
prepare() {
	start_hub
	T=$(new_topic work)
	new_agent reader "$T:read" "$T:write"
	publish_n 1 "${1:-0}"
}

# publish_n FROM TO
publish_n() {
	[ "$2" -lt "$1" ] || seq "$1" "$2" | sed 's/.*/{"n":&}/' |
		agentrux-publish "$T" --lines >/dev/null
}

position() {
	saved "$T"
}

# The n of each line of FILE, on one line.
numbers() {
	jq -r .payload.n "$1" | paste -sd' ' -
}

# A handler that appends the event's n to $HOME/seen; then runs the rest.
handler() {
	cat >"$HOME/handler" <<-EOF
		#!/bin/sh
		n=\$(jq -r .payload.n)
		echo "\$n" >>"$HOME/seen"
		$1
	EOF
	chmod +x "$HOME/handler"
}

@test "first contact delivers nothing and sets the position to the newest event" {
	prepare 5
	run agentrux-drain "$T" </dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(position)" = 5 ]
}

@test "first contact in a topic of many pages still finds the newest" {
	prepare 350
	run agentrux-drain "$T" </dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(position)" = 350 ]
}

@test "--from oldest delivers all that is retained, in order, once" {
	prepare 250
	agentrux-drain --from oldest "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "$(seq -s' ' 250)" ]
	[ "$(position)" = 250 ]
	run agentrux-drain --from oldest "$T" </dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "--from latest skips the backlog at every start" {
	prepare 3
	agentrux-drain "$T" </dev/null
	publish_n 4 6
	run agentrux-drain --from latest "$T" </dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(position)" = 6 ]
}

@test "each event is one line, the service's own JSON with topic_id in front" {
	prepare
	agentrux-drain "$T" </dev/null
	agentrux-publish "$T" -t odd -d '{"a":9007199254740993, "b" : 1.0}' >/dev/null
	agentrux-drain "$T" </dev/null >"$HOME/out"
	[ "$(wc -l <"$HOME/out")" -eq 1 ]
	grep -q "$(by_dialect ^ '')[{,]\"topic_id\":\"$T\"," "$HOME/out"
	grep -qF '9007199254740993' "$HOME/out"
	grep -qF '1.0' "$HOME/out"
	[ "$(jq -r ".$(by_dialect type event_type)" "$HOME/out")" = odd ]
}

@test "a hint on stdin leads to a drain; at the end of the input there is a last one" {
	prepare 2
	agentrux-drain "$T" </dev/null
	mkfifo "$HOME/hints"
	agentrux-drain "$T" <"$HOME/hints" >"$HOME/out" 3>&- &
	PIDS+=("$!")
	exec 5>"$HOME/hints"
	publish_n 3 4
	echo "{\"topic_id\":\"$T\",\"hint\":\"event\"}" >&5
	wait_for 5 grep -q '"n":4' "$HOME/out"
	publish_n 5 5
	echo '{"topic_id":"someone-elses","hint":"event"}' >&5
	exec 5>&-
	wait "${PIDS[-1]}"
	[ "$(numbers "$HOME/out")" = "3 4 5" ]
}

@test "topics may come with the hints" {
	prepare 1
	run agentrux-drain --from oldest <<<"{\"topic_id\":\"$T\"}"
	[ "$status" -eq 0 ]
	[ "$(jq -r .payload.n <<<"$output")" = 1 ]
}

@test "no topic and no hints is wrong use" {
	prepare
	run -64 agentrux-drain --once </dev/null
}

@test "-n ends after so many events and the rest comes next time" {
	prepare 10
	agentrux-drain --from oldest -n 4 "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 3 4" ]
	agentrux-drain "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "5 6 7 8 9 10" ]
}

@test "-t delivers only that type" {
	prepare 2
	agentrux-publish "$T" -t other -d '{"n":3}' >/dev/null
	publish_n 4 4
	agentrux-drain --from oldest -t other "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = 3 ]
}

@test "--peek prints and saves nothing" {
	prepare 3
	agentrux-drain "$T" </dev/null
	publish_n 4 5
	agentrux-drain --peek "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "4 5" ]
	[ "$(position)" = 3 ]
	agentrux-drain --peek "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "4 5" ]
}

@test "a reader that ends after three lines leaves the position at three or less" {
	prepare 10
	agentrux-drain --from oldest "$T" </dev/null | {
		read -r _
		read -r _
		read -r _
	} || true
	[ "$(position)" -le 3 ]
	agentrux-drain "$T" </dev/null >"$HOME/out"
	[ "$(jq -r .payload.n "$HOME/out" | head -n 1)" -le 4 ]
	[ "$(jq -r .payload.n "$HOME/out" | tail -n 1)" -eq 10 ]
}

@test "told to end with a slow reader, it leaves whole lines only" {
	prepare 2000
	mkfifo "$HOME/lines"
	agentrux-drain --from oldest "$T" </dev/null >"$HOME/lines" 3>&- &
	PIDS+=("$!")
	exec 5<"$HOME/lines"
	wait_for 5 test -s "$HOME/.agentrux/waterline.json"
	sleep 0.5 # until the pipe is full, for which there is no sign
	kill -TERM "$!"
	wait "$!"
	jq -c .payload.n <&5 >"$HOME/got"
	[ "$(tail -n 1 "$HOME/got")" -ge 100 ]
	[ "$(position)" = 0 ]
}

@test "a full disk on stdout is an error, and nothing counts as delivered" {
	prepare 3
	run -74 bash -c "agentrux-drain --from oldest '$T' </dev/null >/dev/full"
	[ "$(position)" = 0 ]
}

@test "an event counts once its handler exited 0, and gets the event on stdin" {
	prepare 3
	handler 'exit 0'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	[ "$(paste -sd' ' "$HOME/seen")" = "1 2 3" ]
	[ "$(position)" = 3 ]
}

@test "the handler's environment names topic, event, type, position and attempt" {
	prepare 1
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/sh
		id=$(jq -r .event_id)
		[ "$id" = "$AGENTRUX_EVENT_ID" ] || exit 1
		echo "$AGENTRUX_TOPIC_ID $AGENTRUX_EVENT_TYPE $AGENTRUX_POSITION $AGENTRUX_ATTEMPT"
	EOF
	chmod +x "$HOME/handler"
	agentrux-drain --peek --from oldest "$T" </dev/null >"$HOME/out"
	run agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	[ "$status" -eq 0 ]
	position=$(jq -r ".$(by_dialect sequence_no cursor)" "$HOME/out")
	[ "$output" = "$T message $position 1" ]
}

@test "a handler has no descriptors but 0, 1 and 2" {
	prepare 1
	printf '#!/bin/sh\nls /proc/self/fd | paste -sd" " - >"%s"\n' \
		"$HOME/fds" >"$HOME/handler"
	chmod +x "$HOME/handler"
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	# 3 is the folder that ls itself reads.
	[ "$(cat "$HOME/fds")" = "0 1 2 3" ]
}

@test "a failed event is not lost when a later one succeeds" {
	prepare 3
	handler '[ "$n" != 2 ] || [ -e "$HOME/mended" ] || { touch "$HOME/mended"; exit 1; }'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	[ "$(paste -sd' ' "$HOME/seen")" = "1 2 3 2" ]
	[ "$(position)" = 3 ]
}

@test "after --attempts an event goes to dead/ with what its handler said" {
	prepare 2
	handler '[ "$n" != 1 ] || { echo "no way: 日本" >&2; exit 42; }'
	run agentrux-drain --from oldest --attempts 2 "$T" -- "$HOME/handler" </dev/null
	[ "$status" -eq 0 ]
	[ "$(paste -sd' ' "$HOME/seen")" = "1 2 1" ]
	[ "$(position)" = 2 ]
	local letter
	letter=$(echo "$HOME/.agentrux/dead/$T"/*.json)
	[ "$(jq -r .event.payload.n "$letter")" = 1 ]
	[ "$(jq -r .attempts "$letter")" = 2 ]
	[ "$(jq -r .status "$letter")" = "exit status 42" ]
	[ "$(jq -r .stderr "$letter")" = "no way: 日本" ]
	jq -e .failed_at "$letter" >/dev/null
	[ "$(stat -c %a "$letter")" = 600 ]
}

@test "exit 65 sends an event to dead/ at once" {
	prepare 1
	handler 'exit 65'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	[ "$(wc -l <"$HOME/seen")" -eq 1 ]
	[ "$(jq -r .attempts "$HOME/.agentrux/dead/$T"/*.json)" = 1 ]
}

@test "exit 75 keeps the event, counts no attempt, and a single pass ends with 75" {
	prepare 2
	handler '[ "$n" != 1 ] || [ -e "$HOME/mended" ] || exit 75'
	run -75 agentrux-drain --from oldest --attempts 1 "$T" -- "$HOME/handler" </dev/null
	[ "$(position)" = 0 ]
	touch "$HOME/mended"
	agentrux-drain --attempts 1 "$T" -- "$HOME/handler" </dev/null
	# 2 was done beyond the position, and is not run again.
	[ "$(paste -sd' ' "$HOME/seen")" = "1 2 1" ]
	[ "$(position)" = 2 ]
}

@test "a broken handler stops the drain with 78 and eats nothing" {
	prepare 2
	printf '#!/none/such\n' >"$HOME/handler"
	chmod +x "$HOME/handler"
	run -78 agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	[ "$(position)" = 0 ]
	chmod -x "$HOME/handler"
	run -78 agentrux-drain "$T" -- "$HOME/handler" </dev/null
	run -78 agentrux-drain "$T" -- "$HOME/none-such" </dev/null
	run -78 agentrux-drain "$T" -- sh -c 'exit 127' </dev/null
	[ "$(position)" = 0 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "a handler over its time is ended with all that it started, and the next event is handled" {
	prepare 2
	cat >"$HOME/handler" <<-EOF
		#!/bin/sh
		n=\$(jq -r .payload.n)
		echo "\$n" >>"$HOME/seen"
		[ "\$n" = 1 ] || exit 0
		trap '' TERM
		setsid sleep $NAP &
		sleep $NAP
	EOF
	chmod +x "$HOME/handler"
	agentrux-drain --from oldest --attempts 1 --timeout 3 "$T" -- \
		"$HOME/handler" </dev/null
	[ "$(paste -sd' ' "$HOME/seen")" = "1 2" ]
	[ "$(jq -r .status "$HOME/.agentrux/dead/$T"/*.json)" = timeout ]
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
}

@test "what a handler leaves running is ended when it has ended" {
	prepare 1
	handler 'setsid sleep $NAP & exit 0'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
}

@test "told to end, drain ends its handlers, counts no attempt, and loses nothing" {
	prepare 1
	handler '[ -e "$HOME/mended" ] || exec sleep $NAP'
	agentrux-drain --from oldest --attempts 1 "$T" -- "$HOME/handler" </dev/null 3>&- &
	local pid=$!
	PIDS+=("$pid")
	wait_for 5 pgrep -f "sleep $NAP"
	kill -TERM "$pid"
	wait "$pid"
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
	[ ! -e "$HOME/.agentrux/dead" ]
	touch "$HOME/mended"
	agentrux-drain --attempts 1 "$T" -- "$HOME/handler" </dev/null
	[ "$(paste -sd' ' "$HOME/seen")" = "1 1" ]
}

@test "kill -9 of drain ends its handlers, and the event is run again" {
	prepare 1
	handler '[ -e "$HOME/mended" ] || exec sleep $NAP'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null 3>&- &
	local pid=$!
	PIDS+=("$pid")
	wait_for 5 pgrep -f "sleep $NAP"
	kill -KILL "$pid"
	wait "$pid" || true
	touch "$HOME/mended"
	agentrux-drain --lock-wait 100 "$T" -- "$HOME/handler" </dev/null
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
	[ "$(paste -sd' ' "$HOME/seen")" = "1 1" ]
}

@test "with --grace a running handler may finish" {
	prepare 1
	handler 'sleep 1; touch "$HOME/finished"'
	agentrux-drain --from oldest --grace 10 "$T" -- "$HOME/handler" </dev/null 3>&- &
	local pid=$!
	PIDS+=("$pid")
	wait_for 5 test -s "$HOME/seen"
	kill -TERM "$pid"
	wait "$pid"
	[ -e "$HOME/finished" ]
	[ "$(position)" = 1 ]
}

@test "-j runs so many handlers at once and no more" {
	prepare 12
	cat >"$HOME/handler" <<-EOF
		#!/bin/sh
		touch "$HOME/now.\$AGENTRUX_EVENT_ID"
		# The first four wait for each other.
		until [ -e "$HOME/full" ]; do
			[ "\$(ls "$HOME" | grep -c '^now')" -lt 4 ] ||
				touch "$HOME/full"
			sleep 0.1
		done
		ls "$HOME" | grep -c '^now' >>"$HOME/counts"
		sleep 0.1
		rm "$HOME/now.\$AGENTRUX_EVENT_ID"
	EOF
	chmod +x "$HOME/handler"
	agentrux-drain --from oldest -j 4 "$T" -- "$HOME/handler" </dev/null
	[ "$(sort -n "$HOME/counts" | tail -n 1)" -eq 4 ]
	[ "$(position)" = 12 ]
}

@test "a page that would be too large is asked for in smaller ones" {
	classic_only # where payloads of that size stand in the events
	prepare
	{
		printf '"'
		head -c 9000000 /dev/zero | tr '\0' x
		printf '"'
	} >"$HOME/large"
	for _ in 1 2 3 4 5 6 7 8; do
		agentrux-publish "$T" -f "$HOME/large" >/dev/null
	done
	agentrux-drain --from oldest "$T" </dev/null | wc -lc >"$HOME/out"
	[ "$(awk '{ print $1, ($2 > 72000000) }' "$HOME/out")" = "8 1" ]
	[ "$(position)" = 8 ]
}

@test "behind large events the pages grow again" {
	classic_only # as above
	prepare
	{
		printf '"'
		head -c 5000000 /dev/zero | tr '\0' x
		printf '"'
	} >"$HOME/large"
	agentrux-publish "$T" -f "$HOME/large" >/dev/null
	agentrux-publish "$T" -f "$HOME/large" >/dev/null
	publish_n 1 400
	agentrux-drain -vv --from oldest "$T" </dev/null 2>"$HOME/said" | wc -l >"$HOME/out"
	[ "$(cat "$HOME/out")" -eq 402 ]
	[ "$(grep -c '> GET .*/events?' "$HOME/said")" -le 40 ]
}

@test "--key and --dedup print as well: what waits for one that was taken follows" {
	local i
	prepare
	for i in {1..90}; do echo "{\"n\":$i,\"k\":\"a\"}"; done |
		agentrux-publish "$T" --lines >/dev/null
	timeout 20 agentrux-drain --from oldest --key k "$T" </dev/null |
		cat >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "$(seq -s' ' 90)" ]
	agentrux-waterline oldest "$T"
	timeout 20 agentrux-drain --dedup k "$T" </dev/null | cat >"$HOME/out"
	[ "$(numbers "$HOME/out")" = 1 ]
	[ "$(position)" = 90 ]
}

@test "--key keeps a conversation in order and lets others run beside it" {
	prepare
	for n in 1 2 3; do
		for who in a b c; do
			echo "{\"n\":$n,\"who\":\"$who\"}"
		done
	done | agentrux-publish "$T" --lines >/dev/null
	cat >"$HOME/handler" <<-EOF
		#!/bin/sh
		event=\$(cat)
		who=\$(echo "\$event" | jq -r .payload.who)
		mkdir "$HOME/busy.\$who" || exit 65
		# The first three wait for each other.
		until [ -e "$HOME/full" ]; do
			[ "\$(ls "$HOME" | grep -c '^busy')" -lt 3 ] ||
				touch "$HOME/full"
			sleep 0.1
		done
		ls "$HOME" | grep -c '^busy' >>"$HOME/counts"
		sleep 0.1
		echo "\$event" | jq -r .payload.n >>"$HOME/seen.\$who"
		rmdir "$HOME/busy.\$who"
	EOF
	chmod +x "$HOME/handler"
	agentrux-drain --from oldest -j 8 --key who "$T" -- "$HOME/handler" </dev/null
	for who in a b c; do
		[ "$(paste -sd' ' "$HOME/seen.$who")" = "1 2 3" ]
	done
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(sort -n "$HOME/counts" | tail -n 1)" -eq 3 ]
}

@test "one drain per topic: a second ends with 75, or 0 with --skip-busy, or waits" {
	prepare 1
	handler 'until [ -e "$HOME/mended" ]; do sleep 0.1; done'
	agentrux-drain --from oldest "$T" -- "$HOME/handler" </dev/null 3>&- &
	PIDS+=("$!")
	wait_for 5 test -s "$HOME/seen"
	run -75 agentrux-drain "$T" </dev/null
	[[ "$output" == *"another drain"* ]]
	run -0 agentrux-drain --skip-busy "$T" </dev/null
	touch "$HOME/mended"
	run -0 agentrux-drain --lock-wait 100 "$T" </dev/null
	[ "$(position)" = 1 ]
}

@test "--dedup passes over a payload field's value that was done, also in a later run" {
	prepare
	for n in 1 2 3 4; do
		echo "{\"n\":$n,\"request_id\":\"r$((n % 2))\"}"
	done | agentrux-publish "$T" --lines >/dev/null
	publish_n 5 6 # these have none
	agentrux-drain --from oldest --dedup request_id "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 5 6" ]
	[ "$(position)" = 6 ]
	agentrux-publish "$T" -d '{"n":7,"request_id":"r1"}' >/dev/null
	agentrux-publish "$T" -d '{"n":8,"request_id":"r2"}' >/dev/null
	agentrux-drain --dedup request_id "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = 8 ]
	agentrux-waterline oldest "$T"
	agentrux-drain --dedup request_id "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 5 6 8" ]
}

@test "--dedup: a repetition waits for the first one, and is run if that is given up" {
	prepare
	for n in 1 2 3; do
		echo "{\"n\":$n,\"request_id\":\"same\"}"
	done | agentrux-publish "$T" --lines >/dev/null
	handler '[ "$n" != 1 ] || exit 1'
	agentrux-drain --from oldest --attempts 2 -j 3 --dedup request_id "$T" -- \
		"$HOME/handler" </dev/null
	[ "$(paste -sd' ' "$HOME/seen")" = "1 1 2" ]
	[ "$(position)" = 3 ]
	[ "$(find "$HOME/.agentrux/dead/$T" -type f | wc -l)" -eq 1 ]
}

# acks COMMAND…: drains with --ack-fd; COMMAND gets the ids, and what it prints
# goes back. Exit code in $STATUS, lines in $HOME/out.
acks() {
	[ -p "$HOME/acks" ] || mkfifo "$HOME/acks"
	# Nobody but drain may hold the pipe open: its reader waits for its end.
	mkfifo "$HOME/lines"
	agentrux-drain "${DRAIN[@]}" --from oldest --ack-fd 3 "$T" </dev/null \
		3<"$HOME/acks" >"$HOME/lines" 2>"$HOME/err" &
	PIDS+=("$!")
	tee "$HOME/out" <"$HOME/lines" 3>&- | jq --unbuffered -r .event_id |
		timeout 60 "$@" >"$HOME/acks"
	STATUS=0
	wait "${PIDS[-1]}" || STATUS=$?
	rm "$HOME/lines"
}

@test "--ack-fd: an event counts once its id comes back, in any order, at the end too" {
	prepare 300
	acks tac
	[ "$STATUS" -eq 0 ]
	[ "$(numbers "$HOME/out")" = "$(seq -s' ' 300)" ]
	[ "$(position)" = 300 ]
	publish_n 301 302
	acks cat
	[ "$STATUS" -eq 0 ]
	[ "$(numbers "$HOME/out")" = "301 302" ]
	[ "$(position)" = 302 ]
}

@test "--ack-fd: what is not acknowledged stays, and the exit code is 75" {
	prepare 10
	acks sed 3d
	[ "$STATUS" -eq 75 ]
	[ "$(position)" = "$(by_dialect 2 0)" ] # in oauth: before the page
	acks sed 's/$/ done/; 1s/.*/&\n\n/'
	[ "$STATUS" -eq 75 ]
	[ "$(numbers "$HOME/out")" = 3 ]
	[ "$(grep -c 'waits for one' "$HOME/err")" -eq 1 ]
	acks sed 's/$/\r/'
	[ "$STATUS" -eq 0 ]
	[ "$(numbers "$HOME/out")" = 3 ]
	[ "$(position)" = 10 ]
}

@test "--ack-fd: when all that it may hold is acknowledged at once, it reads on" {
	prepare 1500
	# shellcheck disable=SC2016 # of the inner shell
	acks sh -c 'head -n 1000 >"$HOME/thousand"; sleep 1.5; cat "$HOME/thousand"; exec cat'
	[ "$STATUS" -eq 0 ]
	[ "$(numbers "$HOME/out")" = "$(seq -s' ' 1500)" ]
	[ "$(position)" = 1500 ]
}

@test "--ack-fd: what the reader cannot have read yet is not acknowledged" {
	local first id
	prepare 0
	seq 500 | jq -c '{n: ., x: ("x" * 1000)}' |
		agentrux-publish "$T" --lines >/dev/null
	# One that waits behind a full pipe.
	id=$(agentrux-drain --peek --from oldest "$T" </dev/null |
		awk '{ n += length($0) + 1 } n > 300000' | jq -rn 'input.event_id')
	mkfifo "$HOME/acks" "$HOME/lines"
	agentrux-drain --from oldest --ack-fd 3 "$T" </dev/null \
		3<"$HOME/acks" >"$HOME/lines" 2>"$HOME/err" &
	PIDS+=("$!")
	exec 6>"$HOME/acks" 7<"$HOME/lines"
	IFS= read -r first <&7
	sleep 0.5
	echo "$id" >&6
	wait_for 10 grep -q 'waits for one' "$HOME/err"
	{ printf '%s\n' "$first" && cat; } <&7 | tee "$HOME/out" |
		jq --unbuffered -r .event_id >&6
	exec 6>&- 7>&-
	wait "${PIDS[-1]}"
	[ "$(numbers "$HOME/out")" = "$(seq -s' ' 500)" ]
	[ "$(position)" = 500 ]
}

@test "--ack-fd: a reader may close before it has acknowledged" {
	prepare 2000
	mkfifo "$HOME/acks" "$HOME/lines"
	agentrux-drain --from oldest --ack-fd 3 "$T" </dev/null \
		3<"$HOME/acks" >"$HOME/lines" 2>"$HOME/err" &
	PIDS+=("$!")
	exec 6>"$HOME/acks"
	head -n 5 <"$HOME/lines" 6>&- >"$HOME/out"
	jq -r .event_id "$HOME/out" >&6
	exec 6>&-
	local status=0
	wait "${PIDS[-1]}" || status=$?
	[ "$status" -eq 75 ]
	[ "$(position)" = "$(by_dialect 5 0)" ]
}

@test "--ack-fd follows hints, and ends when told to with what was acknowledged" {
	prepare 3
	mkfifo "$HOME/acks" "$HOME/hints"
	agentrux-drain --from oldest --ack-fd 3 "$T" <"$HOME/hints" \
		3<"$HOME/acks" >"$HOME/out" &
	PIDS+=("$!")
	exec 5>"$HOME/hints" 6>"$HOME/acks"
	wait_for 10 grep -q '"n":3' "$HOME/out"
	jq -r .event_id "$HOME/out" | tail -n 2 >&6
	publish_n 4 4
	echo '{}' >&5
	wait_for 10 grep -q '"n":4' "$HOME/out"
	jq -r .event_id "$HOME/out" | head -n 1 >&6
	at_3() { [ "$(position)" = 3 ]; }
	wait_for 10 at_3
	kill -TERM "${PIDS[-1]}"
	wait "${PIDS[-1]}"
	at_3
}

@test "--ack-fd: wrong use is 64" {
	prepare 1
	run -64 agentrux-drain --ack-fd 1 "$T" </dev/null
	run -64 agentrux-drain --ack-fd 0 "$T" </dev/null
	run -64 agentrux-drain --ack-fd 77 "$T" </dev/null
	run -64 agentrux-drain --ack-fd x "$T" </dev/null
	run -64 agentrux-drain --ack-fd 0 --once "$T" -- true </dev/null
	run -64 agentrux-drain --ack-fd 0 --once --peek "$T" </dev/null
}

@test "--exclude-self leaves out what this script published" {
	prepare 2
	run agentrux-drain --from oldest --exclude-self "$T" </dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(position)" = 2 ]
}

# repeated: how many events of $HOME/done ("RUN ID" a line) were done again though
# the run that did them first had done many more since. (A kill may cost the 8 that
# have just ended, and 8 whose commit is under way; a handler may be slow to end
# behind its line.)
repeated() {
	awk '
		{ at[NR] = ++n[$1]; run[NR] = $1; id[NR] = $2 }
		END {
			for (i = 1; i <= NR; i++) {
				before = was[id[i]]
				if (before && at[before] <= n[run[before]] - 64)
					bad++
				was[id[i]] = i
			}
			print bad + 0
		}' "$HOME/done"
}

# `make soak` has more of them.
@test "--exclude-self gets past any number of one's own" {
	start_hub
	T=$(new_topic work)
	AGENTRUX_HOME=$HOME/other new_agent other "$T:write"
	new_agent reader "$T:read" "$T:write"
	AGENTRUX_HOME=$HOME/other publish_n 1 2
	publish_n 3 2502
	AGENTRUX_HOME=$HOME/other publish_n 2503 2504
	agentrux-drain --from oldest --exclude-self "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "1 2 2503 2504" ]
}

@test "kill -9 every now and then loses no event and repeats none that was done" {
	local all=${SOAK:-200} code=1 RUN=0
	export RUN
	prepare "$all"
	cat >"$HOME/handler" <<-EOF
		#!/bin/bash
		[ \$((RANDOM % 10)) -ne 0 ] || exit 1
		echo "\$RUN \$AGENTRUX_EVENT_ID" >>"$HOME/done"
	EOF
	chmod +x "$HOME/handler"
	while [ "$code" -ne 0 ] && [ "$RUN" -lt "$all" ]; do
		RUN=$((RUN + 1))
		code=0
		timeout -s KILL 0.$((RANDOM % 5 + 2)) agentrux-drain \
			--from oldest -j 8 --lock-wait 5 "$T" -- \
			"$HOME/handler" </dev/null || code=$?
		# On a machine too slow for such short lives the last one is long.
		[ "$RUN" -lt 100 ] || [ -n "$SOAK" ] || {
			RUN=$((RUN + 1))
			agentrux-drain --lock-wait 5 -j 8 "$T" -- \
				"$HOME/handler" </dev/null && code=0
		}
	done
	[ "$code" -eq 0 ]
	cut -d' ' -f2 "$HOME/done" | sort >"$HOME/ids"
	find "$HOME/.agentrux/dead" -name '*.json' -exec jq -r .event.event_id {} + \
		2>/dev/null | sort >"$HOME/dead"
	all_of "$T" | jq -r '.items[].event_id' | sort | cmp - <(sort -u "$HOME/ids" "$HOME/dead")
	echo "$RUN runs, $(uniq -d "$HOME/ids" | wc -l) done twice, $(wc -l <"$HOME/dead") dead"
	[ "$(repeated)" -eq 0 ]
	[ "$(uniq -d "$HOME/ids" | wc -l)" -le $((RUN * 16)) ]
	[ "$(position)" = "$all" ]
}

@test "without credentials it ends with 78 and says what to do" {
	run -78 agentrux-drain some-topic </dev/null
	[[ "$output" == *agentrux-activate* ]]
}

@test "a topic without a grant ends with 77, an unknown one with 66 or 77" {
	prepare
	local other
	other=$(new_topic other)
	run -77 agentrux-drain "$other" </dev/null
	run agentrux-drain 00000000-0000-4000-8000-000000000000 </dev/null
	[ "$status" -eq 66 ] || [ "$status" -eq 77 ]
}

@test "a hub that is gone ends a single pass with 75 after --retry-time" {
	prepare 1
	agentrux-drain "$T" </dev/null
	stop_hub
	run -75 agentrux-drain --retry-time 1 "$T" </dev/null
}

@test "a damaged waterline stops it with 78 and is not overwritten" {
	prepare 1
	agentrux-drain "$T" </dev/null
	: >"$HOME/.agentrux/waterline.json"
	run -78 agentrux-drain "$T" </dev/null
	[ ! -s "$HOME/.agentrux/waterline.json" ]
	printf '\0\0\0' >"$HOME/.agentrux/waterline.json"
	run -78 agentrux-drain "$T" </dev/null
}

@test "the plugin's waterline is read, and the first save writes our form" {
	classic_only # the other forms: oauth.bats
	prepare 5
	mkdir -p "$HOME/.agentrux"
	(umask 077 && echo "{\"$T\":3,\"another\":7}" >"$HOME/.agentrux/waterline.json")
	agentrux-drain "$T" </dev/null >"$HOME/out"
	[ "$(numbers "$HOME/out")" = "4 5" ]
	[ "$(position)" = 5 ]
	[ "$(jq .another "$HOME/.agentrux/waterline.json")" = 7 ]
}

@test "more events than are held behind one that is put off do not hang a single pass" {
	prepare 1300
	handler true
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/sh
		case $(cat) in *'"n":1}'*) exit 75 ;; esac
	EOF
	run -75 timeout 200 agentrux-drain --from oldest -j 8 "$T" -- "$HOME/handler" </dev/null
	[ "$(position)" = 0 ]
}

# The same with a topic $other that is empty yet, and 8 for hints in $HOME/hints.
prepare_two() {
	start_hub
	T=$(new_topic work)
	other=$(new_topic other)
	new_agent reader "$T:read" "$T:write" "$other:read" "$other:write"
	publish_n 1 "$1"
	mkfifo "$HOME/hints"
	exec 8<>"$HOME/hints"
}

@test "a long backlog lets another topic in" {
	prepare_two 3000
	# Once the first line is here there is news in the other topic.
	agentrux-drain --from oldest "$T" "$other" <"$HOME/hints" 8>&- | {
		IFS= read -r line
		echo "$line"
		echo '{"n":"other"}' | agentrux-publish "$other" >/dev/null
		jq -nc --arg t "$other" '{topic_id: $t}' >&8
		exec 8>&-
		cat
	} >"$HOME/out" &
	pid=$!
	exec 8>&-
	wait "$pid"
	[ "$(wc -l <"$HOME/out")" -eq 3001 ]
	head -n 2501 "$HOME/out" | jq -r .payload.n | grep -qx other
}

@test "a topic that is full lets another one in" {
	prepare_two 1800
	handler '[ "$n" != 1 ] || exit 75'
	touch "$HOME/seen"
	# One conversation, which is put off: more is read than is held.
	agentrux-drain --from oldest --key none "$T" "$other" -- "$HOME/handler" \
		<"$HOME/hints" 3>&- 8>&- &
	pid=$!
	PIDS+=("$pid")
	wait_for 20 grep -qx 1 "$HOME/seen"
	sleep 0.3
	echo '{"n":"other"}' | agentrux-publish "$other" >/dev/null
	jq -nc --arg t "$other" '{topic_id: $t}' >&8
	wait_for 20 grep -qx other "$HOME/seen"
	exec 8>&-
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 75 ]
}

@test "hints that pour in without end keep it from nothing, and it can be ended" {
	prepare 3
	yes '{}' 3>&- | agentrux-drain --from oldest "$T" >"$HOME/out" 3>&- &
	PIDS+=("$!")
	wait_for 5 grep -q '"n":3' "$HOME/out"
	kill -TERM "$!"
	wait_for 2 not_running "$!"
}

not_running() {
	! kill -0 "$1" 2>/dev/null
}

@test "a stderr that is full and not read disables neither the timeout nor SIGTERM" {
	prepare 1
	mkfifo "$HOME/stuck"
	exec 7<>"$HOME/stuck" # there is a reader, which reads nothing
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/sh
		head -c 300000 /dev/zero | tr '\0' x >&2
		exec sleep 600
	EOF
	chmod +x "$HOME/handler"
	timeout -k 1 200 agentrux-drain --from oldest --timeout 1 --attempts 1 "$T" -- \
		"$HOME/handler" </dev/null 2>"$HOME/stuck" 7>&-
	exec 7>&-
	[ "$(jq -r .status "$HOME/.agentrux/dead/$T"/*.json)" = timeout ]
}

@test "told to end while handlers are being started, it ends" {
	prepare 64
	handler 'exec sleep $NAP'
	for _ in 1 2 3 4 5; do
		agentrux-drain --from oldest -j 32 "$T" -- "$HOME/handler" </dev/null 3>&- &
		PIDS+=("$!")
		sleep "0.0$((RANDOM % 9 + 1))"
		kill -TERM "$!"
		wait_for 8 not_running "$!"
	done
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
}

@test "a keeper that is killed takes its handler along" {
	prepare 1
	handler 'exec sleep $NAP'
	agentrux-drain --from oldest --attempts 1 "$T" -- "$HOME/handler" </dev/null 3>&- &
	PIDS+=("$!")
	wait_for 5 pgrep -f "sleep $NAP"
	kill -KILL "$(pgrep -P "$!")"
	wait "${PIDS[-1]}"
	run pgrep -f "sleep $NAP"
	[ "$status" -ne 0 ]
}

@test "with -n a failing event is tried to its end, one put off leaves 75" {
	prepare 2
	agentrux-drain --from oldest -n 1 --attempts 2 "$T" -- false </dev/null
	[ "$(position)" = "$(by_dialect 1 0)" ]
	[ "$(jq -r .attempts "$HOME/.agentrux/dead/$T"/*.json)" = 2 ]
	run -75 agentrux-drain -n 1 "$T" -- sh -c 'exit 75' </dev/null
	[ "$(position)" = "$(by_dialect 1 0)" ]
}

@test "an input that was silent and ends still leads to a last drain" {
	prepare 1
	agentrux-drain "$T" </dev/null
	mkfifo "$HOME/hints"
	agentrux-drain "$T" <"$HOME/hints" >"$HOME/out" 3>&- &
	PIDS+=("$!")
	exec 5>"$HOME/hints"
	wait_for 5 drain_waits "$!"
	publish_n 2 2
	exec 5>&-
	wait "${PIDS[-1]}"
	[ "$(numbers "$HOME/out")" = 2 ]
}

# Has it read what there was, and does it wait for its input?
drain_waits() {
	grep -q poll "/proc/$1/wchan" 2>/dev/null || grep -q "^State:.S" "/proc/$1/status"
}

@test "a refused topic that came with a hint shows in the exit code" {
	prepare 1
	local other
	other=$(new_topic other)
	run -77 agentrux-drain <<<"{\"topic_id\":\"$other\"}"
	stop_hub
	run -75 agentrux-drain --retry-time 1 <<<"{\"topic_id\":\"$other\"}"
}

@test "a pipe of another user's counts what its reader has taken" {
	prepare 10
	[ "$(id -u)" -eq 0 ] || skip "only root can be another user"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
	chown -R 65534 "$HOME" "$AGENTRUX_RUNTIME_DIR"
	setpriv --reuid 65534 --clear-groups "$(command -v agentrux-drain)" \
		--from oldest "$T" </dev/null | {
		read -r _
		read -r _
		read -r _
	} || true
	[ "$(position)" -le 3 ]
}
