#!/usr/bin/env bats
# The programs in pipes, and every script in examples/.

load helper

# A hub with the topics $T and $RES and us, who may do everything.
prepare() {
	start_hub
	T=$(new_topic work)
	RES=$(new_topic results)
	new_agent us "$T:read" "$T:write" "$RES:read" "$RES:write"
	PATH=$ROOT/examples:$PATH
}

publish() {
	agentrux-publish -q "$T" -m "$1" >/dev/null
}

# Every event of topic $1 that there is, one a line.
events() {
	agentrux-drain -q --peek --from oldest --once "$1"
}

serves() { # does a drain have the topic?
	! flock -n "$HOME/.agentrux/topic-$T.lock" true
}

@test "watch | drain | while read: each event once, over two runs" {
	prepare
	agentrux-drain --once "$T"
	publish one
	background "$HOME/out" follow "$T" 2
	wait_for 10 grep -qx one "$HOME/out"
	publish two
	wait "$LAST_PID"
	publish three
	follow "$T" 1 >>"$HOME/out"
	[ "$(paste -sd' ' "$HOME/out")" = "one two three" ]
}

@test "awkward payloads come out of publish, hub and drain byte for byte" {
	local odd deep japanese payload event
	prepare
	cd "$HOME"
	odd='{"a":9007199254740993,"b":1.0,"c":1e400,"d":"a\u0000b","e":"\ud800","a":-0.0}'
	deep=$(printf '[%.0s' $(seq 100000))$(printf ']%.0s' $(seq 100000))
	japanese=$(printf '日本語のテキスト。%.0s' $(seq 9700)) # 256 KiB
	printf '%s\n%s\n{"text":"%s"}\n"bare"\n' "$odd" "$deep" "$japanese" \
		>payloads
	agentrux-drain --once "$T"
	agentrux-publish "$T" --lines <payloads >answers
	[ "$(wc -l <answers)" -eq 4 ]
	agentrux-drain --once "$T" >events
	[ "$(wc -l <events)" -eq 4 ]
	while IFS= read -r -u 5 payload && IFS= read -r -u 6 event; do
		[[ $event == *'"payload":'"$payload",* ]]
	done 5<payloads 6<events
}

@test "a reader that closes ends watch and drain before it, at once" {
	prepare
	agentrux-drain --once "$T"
	publish one
	ended() {
		echo "$? $1" >>"$HOME/codes"
		date +%s%3N >>"$HOME/times"
	}
	(agentrux-watch "$T"; ended watch) | (agentrux-drain "$T"; ended drain) |
		(head -n 1 >"$HOME/out"; ended head)
	[ "$(jq -r .payload.message "$HOME/out")" = one ]
	[ "$(sort "$HOME/codes" | paste -sd,)" = "0 drain,0 head,0 watch" ]
	cat "$HOME/times"
	# Nothing is printed for a minute that would fail; so they noticed.
	[ $(($(tail -n 1 "$HOME/times") - $(head -n 1 "$HOME/times"))) -lt 10000 ]
}

@test "characters of several bytes come whole from pages that are cut in them" {
	local page='"type":"message","payload":{"text":"漢字とかな 🐟 naïve ﷽ \u00e9"}}'
	printf '{"event_id":"e%d","sequence_no":%d,%s\n' 1 1 "$page" 2 2 "$page" \
		>"$HOME/events"
	page="{\"items\":[$(paste -sd, "$HOME/events")]}"
	# Each byte arrives by itself, the second time with a chunk's head between.
	cat >"$HOME/plan" <<-END
		GET /topics/t/events* body='$page' drip=1
		GET /topics/t/events* body='{"items":[]}'
		GET /topics/t/events* body='$page' drip=1 chunked
		GET /topics/t/events* body='{"items":[]}'
		POST /auth/token body='{"access_token":"tok-1"}'
	END
	start_faults "$HOME/plan"
	mkdir -m 700 "$HOME/.agentrux"
	(umask 077 && printf '{"script_id":"scr_1","client_secret":"none"}' \
		>"$HOME/.agentrux/credentials.json")
	for _ in length chunks; do
		agentrux-drain --once --from oldest t </dev/null >"$HOME/out"
		jq -r .payload.text "$HOME/out"
		cmp <(sed 's/^{/{"topic_id":"t",/' "$HOME/events") "$HOME/out"
		rm "$HOME/.agentrux"/{waterline.json,ledger.db*}
	done
}

@test "what was not taken from the pipe is delivered again" {
	prepare
	agentrux-drain --once "$T"
	for i in 1 2 3; do publish "$i"; done
	# `read` takes a line, byte by byte; head would take all that is there.
	agentrux-drain --once "$T" | {
		read -r line
		jq -r .payload.message <<<"$line"
	} >"$HOME/out"
	agentrux-drain --once "$T" | jq -r .payload.message >>"$HOME/out"
	[ "$(paste -sd' ' "$HOME/out")" = "1 2 3" ]
}

@test "a full disk on stdout is an error of every program that prints" {
	prepare
	agentrux-drain --once "$T"
	publish one
	for command in "agentrux-token" "agentrux-drain --once $T" \
		"agentrux-publish -m x $T" "agentrux-token --help"; do
		# shellcheck disable=SC2086 # words
		run bash -c '"$@" >/dev/full' - $command
		[ "$status" -eq 74 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	# The event was not counted.
	[ "$(agentrux-drain --once "$T" | jq -r .payload.message | paste -sd' ')" = "one x" ]
}

@test "df | jq | publish and back" {
	prepare
	report-df "$T"
	[ "$(events "$T" | jq -r ".$(by_dialect type event_type)")" = report ]
	events "$T" | jq -e '.payload.message | test("Filesystem")'
}

@test "append-log keeps a log, each event once" {
	prepare
	agentrux-drain --once "$T"
	publish one
	publish 'two	and
a line'
	for _ in 1 2; do
		agentrux-drain --once "$T" -- append-log "$HOME/log"
	done
	[ "$(cut -f2- "$HOME/log" | paste -sd'|')" = 'message	one|message	two\tand\na line' ]
}

@test "safety-poll from cron's environment: once, and content when busy" {
	prepare
	agentrux-drain --once "$T"
	publish one
	for _ in 1 2; do
		env -i HOME="$HOME" PATH="$PATH" \
			AGENTRUX_RUNTIME_DIR="$AGENTRUX_RUNTIME_DIR" \
			safety-poll "$T" "$ROOT/examples/append-log" "$HOME/log" \
			</dev/null
	done
	[ "$(wc -l <"$HOME/log")" -eq 1 ]
	background "$HOME/drain" \
		bash -c "sleep 60 | agentrux-drain --lock-wait 5 '$T'"
	wait_for 10 serves
	run safety-poll "$T" false
	[ "$status" -eq 0 ]
	pkill -P "$LAST_PID"
}

@test "ask and pong: request and reply over two topics" {
	prepare
	agentrux-drain --once "$T"
	background "$HOME/drain" bash -c \
		"agentrux-watch $T | agentrux-drain -n 1 $T -- pong $RES"
	run --separate-stderr ask "$T" "$RES" hello
	[ "$status" -eq 0 ]
	[ "$output" = "pong: hello" ]
	wait "$LAST_PID"
}

@test "two agents with credentials of their own" {
	prepare
	hub script add other --grant "$T:read" --grant "$RES:write" >/dev/null
	hub code issue other | agentrux-activate --home "$HOME/b" --stdin
	run --separate-stderr two-agents "$HOME/.agentrux" "$HOME/b" "$T" "$RES"
	[ "$status" -eq 0 ]
	[ "$output" = "pong: ping from A" ]
}

@test "demo-agent answers by itself what the adapter would give it" {
	PATH=$ROOT/examples:$PATH
	prompt() {
		printf 'Look at the disk.\n----- request m begins -----\n%s\n----- request m ends -----\n' "$1"
	}
	[ "$(prompt hello | AGENTRUX_MARK=m demo-agent)" = "You wrote: hello" ]
	prompt "Check disk usage" | AGENTRUX_MARK=m demo-agent | grep -q Filesystem
}

@test "every example is run by these tests" {
	for path in "$ROOT"/examples/*; do
		grep -q "${path##*/}" "$ROOT"/tests/{pipes,openclaw,mcp}.bats
	done
}

# The commands in README.md that stand, indented, behind the line that begins so,
# up to the next line at the margin that is not empty.
commands_behind() {
	awk -v from="$1" 'found && /^[^ ]/ && block { exit }
		index($0, from) == 1 { found = 1 }
		found && sub(/^    /, "") { block = 1; print }
		found && block && /^$/ { print }' "$ROOT/README.md"
}

@test "a request with a file, by curl, as README.md has it" {
	start_hub
	T=$(new_topic commands)
	new_agent us "$T:read" "$T:write"
	cd "$HOME" || return
	yes trouble | head -c 3000000 >error.log
	{
		echo 'token() { agentrux-token --header; }'
		commands_behind "$(by_dialect 'With a file attached' \
			"In the dialect of \`act_")"
	} >commands
	[ "$(grep -c 'curl' commands)" -eq "$(by_dialect 3 4)" ]
	BASE=$HUB_URL COMMANDS=$T bash -euo pipefail commands
	agentrux-drain --from oldest "$T" </dev/null |
		jq -c 'select((.type // .event_type) == "openclaw.request") |
			.payload.attachments[0]' >line
	mkdir in
	agentrux-download -o in "$T" <line
	cmp in/error.log error.log
}
