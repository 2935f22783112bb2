#!/usr/bin/env bats
# agentrux-drain against a server that misbehaves: bounded, and nothing lost.

load helper

# serve RULE…: a server with these rules, and credentials for it. The topic is
# `t`, and its position the oldest.
serve() {
	printf '%s\n' "$TOKEN_RULE" "$@" >"$HOME/plan"
	start_faults "$HOME/plan"
	put_credentials
	start_at "$OLDEST"
}

OLDEST=$(by_dialect 0 '""')
start_at() {
	(umask 077 && echo "{\"t\":$1}" >"$HOME/.agentrux/waterline.json")
}

page() { # NAME JSON: a file for file=
	printf '%s' "$2" >"$HOME/$1"
	echo "$HOME/$1"
}

EMPTY="GET */events* status=200 body='{\"$LIST\":[]}'"

# behind N: the end of a request for what is behind the position N.
behind() {
	case $DIALECT.$1 in
	classic.*) echo "after_sequence_no=$1" ;;
	oauth.0) echo 'limit=100' ;;
	*) echo "after=c$1" ;;
	esac
}

# The number of the position; 0 where it is the oldest.
position() {
	jq -r '.t | if type == "string" then ltrimstr("c") else . end |
		if . == "" then 0 else . end' "$HOME/.agentrux/waterline.json"
}

numbers() {
	jq -r .payload.n "$HOME/out" | paste -sd' ' -
}

drain() {
	local status=0
	agentrux-drain "$@" t </dev/null >"$HOME/out" 2>"$HOME/err" || status=$?
	cat "$HOME/err"
	return "$status"
}

@test "a token refused once is renewed, and nothing is lost" {
	serve 'GET */events* status=401 body="{}"' \
		"GET */events* file=$(page one "$(a_page 1 2)")" "$EMPTY"
	drain
	[ "$(numbers)" = "1 2" ]
	[ "$(requests "POST $TOKEN_PATH")" -eq 2 ]
}

@test "500, a reset, a cut body and malformed JSON are tried again" {
	serve 'GET */events* status=500' 'GET */events* reset' \
		"GET */events* file=$(page one "$(a_page 1 2)") cut=50" \
		"GET */events* status=200 body='{\"$LIST\":[{]}'" \
		"GET */events* status=200 body='{\"$LIST\":7}'" \
		"GET */events* file=$(page one "$(a_page 1 2)")" "$EMPTY"
	drain
	[ "$(numbers)" = "1 2" ]
	[ "$(position)" = 2 ]
}

@test "Retry-After longer than --retry-time ends a single pass with 75 at once" {
	serve 'GET */events* status=429 header="Retry-After: 3000"'
	local t0=$SECONDS
	run -75 agentrux-drain --retry-time 30 t </dev/null
	[ $((SECONDS - t0)) -lt 25 ]
}

@test "an answer is not asked for again before Retry-After" {
	serve 'GET */events* status=429 header="Retry-After: 2"' \
		"GET */events* file=$(page one "$(a_page 1 1)")" "$EMPTY"
	local t0=${EPOCHREALTIME/./}
	drain
	[ $((${EPOCHREALTIME/./} - t0)) -ge 2000000 ]
	[ "$(numbers)" = 1 ]
}

@test "connections that died between requests cost no attempt, however many" {
	local i rules=()
	for i in {0..11}; do
		rules+=("GET */events* file=$(page "p$i" \
			"$(a_page $((2 * i + 1)) $((2 * i + 2)))")" 'GET */events* close')
	done
	serve "${rules[@]}" "$EMPTY"
	drain --limit 2 --retry-time 0
	[ "$(numbers)" = "$(seq -s' ' 24)" ]
}

@test "an event twice in a page, and again in the next, is delivered once" {
	local twice
	twice=$(a_page 1 3 | jq -c ".$LIST += [.${LIST}[1]]")
	serve "GET */events* file=$(page one "$twice")" \
		"GET */events* file=$(page two "$(a_page 2 5)")" "$EMPTY"
	drain
	[ "$(numbers)" = "1 2 3 4 5" ]
}

@test "a page that comes again and again ends, and is delivered once" {
	serve "GET */events* file=$(page one "$(a_page 1 3)")"
	run timeout 120 agentrux-drain t </dev/null
	[ "$status" -eq 0 ]
	[ "$(grep -c '"event_id"' <<<"$output")" -eq 3 ]
}

@test "an event without an id goes to dead/, and the others are delivered" {
	local page
	page=$(a_page 1 3 | jq -c "del(.${LIST}[1].event_id)")
	serve "GET */events* file=$(page one "$page")" "$EMPTY"
	drain
	[ "$(numbers)" = "1 3" ]
	[ "$(position)" = 3 ]
	[ "$(jq -r .event.payload.n "$HOME/.agentrux/dead/t"/*.json)" = 2 ]
}

@test "an event that is not UTF-8 goes to dead/, and the others are delivered" {
	a_page 1 3 | sed 's/"n":2/"n":2,"bad":"\xff\xfe"/' >"$HOME/one"
	serve "GET */events* file=$HOME/one" "$EMPTY"
	drain
	[ "$(numbers)" = "1 3" ]
	[ -e "$HOME/.agentrux/dead/t/e2.json" ]
}

@test "a hint that comes while an empty page is on its way is not lost" {
	serve "GET */events* until=$HOME/go body='{\"$LIST\":[]}'" \
		"GET */events* file=$(page one "$(a_page 1 2)")" "$EMPTY"
	(
		wait_for 10 test -e "$FAULTS_LOG/0002.req"
		echo '{"topic_id":"t","hint":"event"}'
		touch "$HOME/go"
	) | agentrux-drain t >"$HOME/out"
	[ "$(numbers)" = "1 2" ]
}

@test "an event that brings no way on does not make it ask for ever" {
	local page
	page=$(a_page 1 2 | jq -c "del(.${LIST}[].$POSITION, .next)")
	serve "GET */events* file=$(page one "$page")"
	run timeout 120 agentrux-drain t </dev/null
	[ "$status" -eq 0 ]
	[ "$(requests 'GET .*events')" -le 3 ]
}

@test "one topic in trouble does not hold up another" {
	serve 'GET /topics/a/events* status=503' \
		"GET /topics/b/events* file=$(page one "$(a_page 1 1)")" "$EMPTY"
	(umask 077 && echo "{\"a\":$OLDEST,\"b\":$OLDEST}" \
		>"$HOME/.agentrux/waterline.json")
	agentrux-drain a b </dev/null >"$HOME/out" 2>"$HOME/err" 3>&- &
	PIDS+=("$!")
	wait_for 3 test -s "$HOME/out"
	kill "$!"
}

@test "a jump in sequence_no is reported with the range that was lost" {
	classic_only "positions are numbers there"
	serve "GET */events* file=$(page one "$(a_page 1 2)")" \
		"GET */events* file=$(page two "$(a_page 7 8)")" "$EMPTY"
	drain
	[ "$(numbers)" = "1 2 7 8" ]
	grep -q '3 to 6' "$HOME/err"
}

@test "--on-gap stop delivers what lies before a gap, ends with 65, and stays there" {
	classic_only "positions are numbers there"
	serve "GET */events?limit=100&after_sequence_no=0 file=$(page one "$(a_page 1 3 | jq -c 'del(.items[2])')")" \
		"GET */events?limit=100&after_sequence_no=2 file=$(page two "$(a_page 7 8)")" "$EMPTY"
	run -65 drain --on-gap stop
	[ "$(numbers)" = "1 2" ]
	[ "$(position)" = 2 ]
	grep -q '3 to 6' "$HOME/err"
	run -65 drain --on-gap stop
	[ ! -s "$HOME/out" ]
	drain --on-gap oldest
	[ "$(numbers)" = "7 8" ]
	run -64 drain --on-gap else
	run -64 drain --on-gap stop -t m
}

@test "--on-gap stop ends a drain that follows hints, too" {
	classic_only "positions are numbers there"
	serve "GET */events* file=$(page one "$(a_page 1 2 | jq -c '.items[1].sequence_no = 5')")" "$EMPTY"
	mkfifo "$HOME/hints"
	exec 5<>"$HOME/hints"
	run -65 timeout 200 agentrux-drain --on-gap stop t <"$HOME/hints" 5>&-
	exec 5>&-
	[ "$(position)" = 1 ]
}

@test "values pass as they are: large numbers, NUL escapes, lone surrogates, depth" {
	local deep odd
	deep=$(printf '[%.0s' $(seq 5000))$(printf ']%.0s' $(seq 5000))
	odd='{"a":9007199254740993,"b":1.0,"c":1e400,"d":"a\u0000b","e":"\ud800","f":"日本語"}'
	serve "GET */events* file=$(page one "{\"$LIST\":[{\"event_id\":\"e1\",\"$POSITION\":1,\"type\":\"m\",\"payload\":[$odd,$deep]}]}")" "$EMPTY"
	drain
	grep -qF "\"payload\":[$odd,$deep]" "$HOME/out"
}

@test "a page of more events than anybody asks for is not taken" {
	serve "GET */events* file=$(page many "{\"$LIST\":[{}$(printf ',{}%.0s' $(seq 10000))]}")"
	run -75 --separate-stderr agentrux-drain --retry-time 0 --from oldest t </dev/null
	[ -z "$output" ]
	[[ $stderr == *"has more than 10000 events"* ]]
	[ "$(position)" = 0 ]
}

@test "a kill before the position is saved repeats nothing, however many events were our own" {
	classic_only "the other service leaves them out itself"
	local at rules=() n status=0 log=$HOME/changes
	for ((at = 0; at < 14000; at += 1000)); do
		page "at-$at" "$(a_page $((at + 1)) $((at + 1000)) | jq -c '.items |=
			map(.producer_script = if .sequence_no <= 11000 then "scr_1"
				else "scr_2" end)')" >/dev/null
		rules+=("GET *after_sequence_no=$at file=$HOME/at-$at")
	done
	serve "${rules[@]}" "$EMPTY"
	agentrux-token >/dev/null # which a later run finds at hand
	env ABORT_LOG="$log" LD_PRELOAD="$BUILD/tests/abort-at.so" \
		agentrux-drain --exclude-self t </dev/null >"$HOME/out"
	[ "$(wc -l <"$HOME/out")" -eq 3000 ]
	n=$(grep -n 'openat waterline.json.new' "$log" | head -1 | cut -d: -f1)
	rm "$HOME/.agentrux"/ledger.db*
	start_at 0
	env ABORT_AT="$n" LD_PRELOAD="$BUILD/tests/abort-at.so" \
		agentrux-drain --exclude-self t </dev/null >"$HOME/out" || status=$?
	[ "$status" -eq 137 ]
	[ "$(wc -l <"$HOME/out")" -eq 3000 ]
	[ "$(position)" = 0 ]
	drain --exclude-self
	[ ! -s "$HOME/out" ]
	[ "$(position)" = 14000 ]
}

# long_topic [JQ]: rules for a topic of 430 events in pages of 100, each event
# changed by JQ.
long_topic() {
	local at
	for at in 0 100 200 300 400; do
		page "at-$at" "$(a_page $((at + 1)) $((at < 400 ? at + 100 : 430)) |
			jq -c ".$LIST |= map(${1:-.})")" >/dev/null
		echo "GET *$(behind "$at") file=$HOME/at-$at"
	done
}

# Positions that pages were asked for from.
asked() {
	sed -snE "1s/.*[?&]limit=.*(after_sequence_no=|after=c)([0-9]+) .*/\\2/p
		1s/.*order=asc&limit=[0-9]+ .*/0/p" "$FAULTS_LOG"/*.req |
		sort -n | paste -sd' ' -
}

@test "pages are asked for once, and none that is not wanted" {
	mapfile -t rules < <(long_topic)
	serve "${rules[@]}" "$EMPTY"
	drain
	[ "$(numbers)" = "$(seq -s' ' 430)" ]
	[ "$(asked)" = "0 100 200 300 400 430" ]
}

@test "a reader that pauses and then hurries does not leave drain asleep" {
	local i pids=()
	mapfile -t rules < <(long_topic '.payload.x = "y" * 6000')
	serve "${rules[@]}" "$EMPTY"
	agentrux-token >/dev/null
	for i in {1..8}; do
		timeout 15 agentrux-drain --peek --from oldest t </dev/null |
			(sleep 1 && cat) >"$HOME/out.$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
	[ "$(cat "$HOME"/out.* | wc -l)" -eq $((8 * 430)) ]
}

@test "what waits for a slow reader takes no more memory than it counts for" {
	classic_only "the other service leaves them out itself"
	local i rules=()
	head -c 700000 /dev/zero | tr '\0' x >"$HOME/x"
	# Of ten events of 700 KB each nine are our own.
	for i in {0..9}; do
		seq $((10 * i + 1)) $((10 * i + 10)) | jq -cs --rawfile x "$HOME/x" \
			'{items: map({event_id: "e\(.)", topic_id: "t",
			sequence_no: ., type: "m", producer_script:
			(if . % 10 == 0 then "scr_2" else "scr_1" end),
			payload: {n: ., x: (if . % 10 == 0 then "" else $x end)}})}' \
			>"$HOME/page.$i"
		rules+=("GET *after_sequence_no=${i/#0/}0 file=$HOME/page.$i")
	done
	serve "${rules[@]}" "$EMPTY"
	"$BUILD/tests/peak" "$HOME/peak" agentrux-drain --limit 10 --exclude-self \
		t </dev/null | (sleep 1.5 && cat) >"$HOME/out"
	[ "$(numbers)" = "$(seq -s' ' 10 10 100)" ]
	cat "$HOME/peak"
	grep -q __asan_init "$BUILD/bin/agentrux-drain" ||
		[ "$(cat "$HOME/peak")" -lt 65536 ]
}

@test "a full page that turns out to be broken is asked for again, and what is behind it, too" {
	mapfile -t rules < <(long_topic)
	sed "s/\"$LIST\":\[/&[/" "$HOME/at-100" >"$HOME/broken"
	serve "GET *$(behind 100) file=$HOME/broken" "${rules[@]}" "$EMPTY"
	drain
	[ "$(numbers)" = "$(seq -s' ' 430)" ]
	# What is behind it was asked for before it was looked at.
	[ "$(asked)" = "0 100 100 200 200 300 400 430" ]
}

@test "a payload that looks like a position costs one request, and nothing else" {
	mapfile -t rules < <(long_topic ".payload.$(by_dialect \
		'sequence_no = 7' 'after = "c7"')")
	serve "${rules[@]}" "$EMPTY"
	drain
	[ "$(numbers)" = "$(seq -s' ' 430)" ]
	# In oauth where the next page starts stands behind all payloads.
	[ "$(asked)" = "$(by_dialect '0 7 100' '0 100') 200 300 400 430" ]
}

@test "white space between tokens cannot break a line" {
	serve "GET */events* file=$(page one "$(a_page 1 2 | jq .)")" "$EMPTY"
	drain
	[ "$(wc -l <"$HOME/out")" -eq 2 ]
	[ "$(numbers)" = "1 2" ]
}

@test "where the oldest events are listed first, the end is still found in few requests" {
	classic_only "the other service says which is the newest"
	# 1,000 events of a server that begins with the oldest.
	local rules
	rules=$(seq 0 999 | sed 's#.*#GET */events?limit=1\&after_sequence_no=& body="{\\"items\\":[{\\"event_id\\":\\"e\\",\\"sequence_no\\":NEXT&}]}"#' |
		awk '{ match($0, /NEXT[0-9]+/); n = substr($0, RSTART + 4, RLENGTH - 4) + 1
			sub(/NEXT[0-9]+/, n); print }')
	serve "GET */events?limit=100 file=$(page one "$(a_page 1 100)")" \
		"GET */events?limit=100&after_sequence_no=100 file=$(page two "$(a_page 101 200)")" \
		"$rules" "$EMPTY"
	rm "$HOME/.agentrux/waterline.json"
	drain
	[ "$(position)" = 1000 ]
	[ ! -s "$HOME/out" ]
	[ "$(requests 'GET ')" -le 25 ]
}
