#!/usr/bin/env bats
# agentrux-drain --resident: handlers that stay, and answer line by line.

load helper

# A hub, the topic $T with N events {"n":1}…, and us with a grant to read it.
prepare() {
	start_hub
	T=$(new_topic work)
	new_agent reader "$T:read" "$T:write"
	publish_n 1 "${1:-0}"
}

publish_n() {
	[ "$2" -lt "$1" ] || seq "$1" "$2" | sed 's/.*/{"n":&}/' |
		agentrux-publish "$T" --lines >/dev/null
}

position() {
	saved "$T"
}

# A resident that says in $HOME/begun that it was started, notes the n of each
# event in $HOME/seen, runs $1, answers $status and runs $3; $2 at the end.
resident() {
	cat >"$HOME/handler" <<-EOF
		#!/bin/bash
		echo \$\$ >>"$HOME/begun"
		while IFS= read -r event; do
			[[ \$event =~ \\"event_id\\":\\"([^\\"]*)\\" ]] && id=\${BASH_REMATCH[1]}
			[[ \$event =~ \\"n\\":([0-9]+) ]] && n=\${BASH_REMATCH[1]}
			echo "\$n" >>"$HOME/seen"
			status=0
			$1
			echo "\$id \$status"
			${3:-}
		done
		${2:-exit 0}
	EOF
	chmod +x "$HOME/handler"
}

drain() {
	agentrux-drain --from oldest --resident "$@" "$T" -- "$HOME/handler" \
		</dev/null
}

seen() {
	paste -sd' ' "$HOME/seen"
}

dead_events() {
	jq -s 'map(.event.payload.n) | sort' -c "$HOME/.agentrux/dead/$T"/*.json
}

@test "one process has all events, in order, each once" {
	prepare 300
	resident ''
	drain
	[ "$(wc -l <"$HOME/begun")" -eq 1 ]
	[ "$(seen)" = "$(seq -s' ' 300)" ]
	[ "$(position)" = 300 ]
	drain
	[ "$(wc -l <"$HOME/seen")" -eq 300 ]
}

@test "it stays over many hints, and finds the end of its input at the end" {
	prepare 1
	resident '' 'touch "$HOME/end"'
	mkfifo "$HOME/hints"
	agentrux-drain --from oldest --resident "$T" -- "$HOME/handler" \
		<"$HOME/hints" 3>&- &
	PIDS+=("$!")
	exec 5>"$HOME/hints"
	for n in 2 3 4; do
		wait_for 10 grep -qx $((n - 1)) "$HOME/seen"
		publish_n "$n" "$n"
		echo '{}' >&5
	done
	wait_for 10 grep -qx 4 "$HOME/seen"
	exec 5>&-
	wait "${PIDS[-1]}"
	[ "$(wc -l <"$HOME/begun")" -eq 1 ]
	[ -e "$HOME/end" ]
	[ "$(seen)" = "1 2 3 4" ]
}

@test "a status means what the exit status of a handler does" {
	prepare 5
	resident 'case $n in
		2) status=65 ;;
		3) status=42; echo "said by three" >&2 ;;
		4) [ -e "$HOME/mended" ] || status=75 ;;
		esac'
	run -75 drain --attempts 2
	[ "$(sort -n "$HOME/seen" | paste -sd' ')" = "1 2 3 3 4 5" ]
	[ "$(dead_events)" = "[2,3]" ]
	[ "$(jq -s 'map([.event.payload.n, .attempts, .status]) | sort' -c \
		"$HOME/.agentrux/dead/$T"/*.json)" = '[[2,1,"answer 65"],[3,2,"answer 42"]]' ]
	[ "$(position)" = "$(by_dialect 3 0)" ] # in oauth: before the page
	touch "$HOME/mended"
	drain
	[ "$(tail -n 1 "$HOME/seen")" = 4 ]
	[ "$(position)" = 5 ]
}

@test "an answer 78, an end with 127 and one that is not there stop with 78" {
	prepare 3
	resident '[ "$n" != 2 ] || status=78'
	run -78 drain
	[ "$(position)" = "$(by_dialect 1 0)" ]
	resident 'exit 127'
	run -78 drain
	printf '#!/none/such\n' >"$HOME/handler"
	run -78 drain
	rm "$HOME/handler"
	run -78 drain
	[ "$(position)" = "$(by_dialect 1 0)" ]
	[ ! -e "$HOME/.agentrux/dead" ]
	resident ''
	drain --attempts 1
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(position)" = 3 ]
}

@test "one that dies has failed at what it had, is started again, and spares the others" {
	prepare 60
	# At full speed, so that lines are sent ahead.
	resident '[ "$n" != 40 ] || exit 3'
	drain --attempts 2
	[ "$(dead_events)" = "[40]" ]
	[ "$(jq -r .status "$HOME/.agentrux/dead/$T"/*.json)" = "exit status 3" ]
	[ "$(sort -n "$HOME/seen" | uniq | wc -l)" -eq 60 ]
	[ "$(grep -cx 40 "$HOME/seen")" -eq 2 ]
	[ "$(wc -l <"$HOME/begun")" -ge 2 ]
	[ "$(position)" = 60 ]
}

@test "one that reads ahead and dies takes nobody along for good" {
	prepare 200
	# What perl has read by the block counts as had; alone it is had out.
	cat >"$HOME/handler" <<-EOF
		#!/usr/bin/perl
		\$| = 1;
		open my \$done, ">>", "$HOME/done";
		while (<STDIN>) {
			my (\$id) = /"event_id":"([^"]*)"/;
			my (\$n) = /"n":([0-9]+)/;
			exit 3 if \$n == 70 or \$n == 140;
			syswrite \$done, "\$n\n";
			print "\$id 0\n";
		}
	EOF
	chmod +x "$HOME/handler"
	drain --attempts 2
	[ "$(dead_events)" = "[70,140]" ]
	[ "$(sort -n "$HOME/done" | uniq | wc -l)" -eq 198 ]
	[ -z "$(sort -n "$HOME/done" | uniq -d)" ]
	[ "$(position)" = 200 ]
}

@test "with --attempts 1 as well only the one that killed it is given up" {
	prepare 20
	resident '[ "$n" != 10 ] || kill -KILL $$'
	drain --attempts 1
	[ "$(dead_events)" = "[10]" ]
	[ "$(jq -r .status "$HOME/.agentrux/dead/$T"/*.json)" = "signal 9" ]
	[ "$(sort -n "$HOME/seen" | uniq | wc -l)" -eq 20 ]
	[ "$(position)" = 20 ]
}

@test "one that ends now and then, with nothing open, is no failure" {
	prepare 30
	resident '' '' '[ $((++count % 7)) -ne 0 ] || exit 0'
	drain --attempts 1
	[ "$(seen)" = "$(seq -s' ' 30)" ]
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(wc -l <"$HOME/begun")" -eq 5 ]
}

@test "one that ends with 75 puts off what it had" {
	prepare 2
	resident '[ -e "$HOME/mended" ] || exit 75'
	run -75 drain --attempts 1
	[ ! -e "$HOME/.agentrux/dead" ]
	touch "$HOME/mended"
	drain --attempts 1
	[ "$(position)" = 2 ]
}

@test "three that die at different events without an answer are broken: 78" {
	prepare 10
	resident 'exit 1'
	run -78 drain
	[[ $output == *broken* ]]
	[ "$(seen)" = "1 2 3" ]
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(position)" = 0 ]
}

@test "a single event that kills it again and again is given up" {
	prepare 1
	resident 'exit 1'
	drain --attempts 3
	[ "$(dead_events)" = "[1]" ]
	[ "$(position)" = 1 ]
}

@test "--timeout is for the event at hand, and those sent ahead do not suffer" {
	prepare 40
	resident '[ "$n" != 30 ] || sleep 60'
	drain --timeout 1 --attempts 1
	[ "$(dead_events)" = "[30]" ]
	[ "$(jq -r .status "$HOME/.agentrux/dead/$T"/*.json)" = timeout ]
	[ "$(sort -n "$HOME/seen" | uniq | wc -l)" -eq 40 ]
	[ "$(position)" = 40 ]
}

@test "answers in any order count; what names no event is told once and passed over" {
	prepare 4
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/bash
		echo "ready"
		head -c 100000 /dev/zero | tr '\0' x
		echo
		while read -r event; do
			[[ $event =~ \"event_id\":\"([^\"]*)\" ]]
			echo "no-such-event 0"
			echo "${BASH_REMATCH[1]}extra 0"
			printf '%s 0\r\n' "${BASH_REMATCH[1]}"
			echo "${BASH_REMATCH[1]} 1"
		done
	EOF
	chmod +x "$HOME/handler"
	run drain
	[ "$status" -eq 0 ]
	[ "$(grep -c 'passed over' <<<"$output")" -eq 1 ]
	[ "$(position)" = 4 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "an answer without a status that is one is a failed attempt" {
	prepare 4
	resident 'case $n in 1) status=done ;; 2) status= ;; 3) status=256 ;; 4) status=-1 ;; esac'
	drain --attempts 1
	[ "$(dead_events)" = "[1,2,3,4]" ]
	grep -q "answer 'done'" "$HOME/.agentrux/dead/$T"/*.json
}

@test "-j residents work beside each other, and --key keeps conversations in order" {
	prepare
	for n in 1 2 3 4 5; do
		for who in a b c; do
			echo "{\"n\":$n,\"who\":\"$who\"}"
		done
	done | agentrux-publish "$T" --lines >/dev/null
	resident '[[ $event =~ \"who\":\"(.)\" ]] && who=${BASH_REMATCH[1]}
		mkdir "$HOME/busy.$who" || status=65
		ls "$HOME" | grep -c "^busy" >>"$HOME/counts"
		sleep 0.1
		echo "$n" >>"$HOME/seen.$who"
		rmdir "$HOME/busy.$who"'
	drain -j 8 --key who
	for who in a b c; do
		[ "$(paste -sd' ' "$HOME/seen.$who")" = "1 2 3 4 5" ]
	done
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(sort -n "$HOME/counts" | tail -n 1)" -eq 3 ]
	[ "$(wc -l <"$HOME/begun")" -le 8 ]
}

@test "a slow event does not hold up more than its own process" {
	prepare 200
	resident '[ "$n" != 1 ] || while [ ! -e "$HOME/go" ]; do sleep 0.05; done'
	drain -j 2 3>&- &
	PIDS+=("$!")
	others() { [ "$(wc -l <"$HOME/seen")" -ge 199 ]; }
	wait_for 20 others
	touch "$HOME/go"
	wait "${PIDS[-1]}"
	[ "$(position)" = 200 ]
}

@test "told to end, it ends them with all that they started; what was done counts" {
	prepare 3
	resident 'if [ "$n" = 2 ] && [ ! -e "$HOME/mended" ]; then
			trap "" TERM; setsid sleep 981 & sleep 981; fi'
	agentrux-drain --from oldest --resident --attempts 1 "$T" -- \
		"$HOME/handler" </dev/null 3>&- &
	PIDS+=("$!")
	wait_for 10 pgrep -f "sleep 981"
	kill -TERM "${PIDS[-1]}"
	wait "${PIDS[-1]}"
	run pgrep -f "sleep 981"
	[ "$status" -ne 0 ]
	[ ! -e "$HOME/.agentrux/dead" ]
	[ "$(position)" = "$(by_dialect 1 0)" ]
	touch "$HOME/mended"
	drain --attempts 1
	[ "$(seen)" = "1 2 2 3" ]
}

@test "with --grace what they have may be finished" {
	prepare 5
	resident '[ "$n" != 2 ] || { touch "$HOME/two"; sleep 1; }'
	agentrux-drain --from oldest --resident --grace 20 "$T" -- \
		"$HOME/handler" </dev/null 3>&- &
	PIDS+=("$!")
	wait_for 10 test -e "$HOME/two"
	kill -TERM "$!"
	wait "$!"
	[ "$(position)" -ge "$(by_dialect 2 0)" ]
	drain
	[ "$(seen)" = "1 2 3 4 5" ]
}

@test "kill -9 of drain ends them, loses nothing, and repeats only what one commit held" {
	prepare 400
	resident 'sleep 0.01; echo "$n" >>"$HOME/done"'
	local tries=0 code=1
	while [ "$code" -ne 0 ] && [ "$tries" -lt 60 ]; do
		tries=$((tries + 1))
		code=0
		timeout -s KILL 0.$((RANDOM % 5 + 3)) agentrux-drain --from oldest \
			--resident -j 4 --lock-wait 20 "$T" -- "$HOME/handler" \
			</dev/null 3>&- || code=$?
		[ "$tries" -lt 20 ] || { drain -j 4 --lock-wait 20 && code=0; }
	done
	[ "$code" -eq 0 ]
	[ "$(sort -n "$HOME/done" | uniq | wc -l)" -eq 400 ]
	[ "$(position)" = 400 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "large events reach them whole" {
	prepare
	for n in 1 2 3; do
		printf '{"n":%d,"text":"%0250000d"}\n' "$n" 0
	done | agentrux-publish "$T" --lines >/dev/null
	cat >"$HOME/handler" <<-'EOF'
		#!/bin/sh
		exec jq --unbuffered -r '.event_id + (if .payload.text == "0" * 250000 then " 0" else " 65" end)'
	EOF
	chmod +x "$HOME/handler"
	drain
	[ "$(position)" = 3 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "their descriptors are 0, 1 and 2" {
	prepare 1
	resident 'ls /proc/self/fd >"$HOME/fds"'
	drain
	# 3 is the folder that ls itself reads.
	[ "$(paste -sd' ' "$HOME/fds")" = "0 1 2 3" ]
}

@test "--resident without a handler is wrong use" {
	prepare 1
	run -64 agentrux-drain --resident "$T" </dev/null
}

@test "a kill before any change loses nothing: lines, handler, resident, acknowledged" {
	prepare 3
	mkfifo "$HOME/acks"
	resident 'echo "$n" >>"$HOME/out"'
	printf '#!/bin/sh\njq -r .payload.n >>"%s"\n' "$HOME/out" >"$HOME/each"
	chmod +x "$HOME/each"
	export LD_PRELOAD="" ABORT_PROGRAM=agentrux-drain
	for way in lines handler resident acks; do
		local n=0 code=137
		while [ "$code" -eq 137 ]; do
			n=$((n + 1))
			agentrux-waterline oldest "$T"
			: >"$HOME/out"
			code=0
			LD_PRELOAD=$BUILD/tests/abort-at.so ABORT_AT=$n way "$way" ||
				code=$?
			way "$way"
			[ "$(sort -u "$HOME/out" | paste -sd' ')" = "1 2 3" ]
			[ "$(position)" = 3 ]
		done
		[ "$code" -eq 0 ]
		[ "$n" -gt 2 ]
	done
}

# Drains in one of the ways; the n of each event ends up in $HOME/out.
way() {
	local status=0 drain=(agentrux-drain -1 --lock-wait 20 "$T")
	case $1 in
	lines) "${drain[@]}" >"$HOME/lines" || status=$? ;;
	handler) "${drain[@]}" -- "$HOME/each" || status=$? ;;
	resident) "${drain[@]}" --resident -- "$HOME/handler" || status=$? ;;
	acks)
		rm -f "$HOME/pipe"
		mkfifo "$HOME/pipe"
		"${drain[@]}" --ack-fd 5 5<"$HOME/acks" >"$HOME/pipe" &
		PIDS+=("$!")
		LD_PRELOAD='' tee -a "$HOME/lines" <"$HOME/pipe" |
			LD_PRELOAD='' jq --unbuffered -r .event_id >"$HOME/acks"
		wait "${PIDS[-1]}" || status=$?
		;;
	esac
	[ ! -e "$HOME/lines" ] ||
		LD_PRELOAD='' jq -r .payload.n "$HOME/lines" >>"$HOME/out"
	rm -f "$HOME/lines"
	return "$status"
}
