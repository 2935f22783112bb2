#!/usr/bin/env bats
# Whatever a server does wrong, at whatever request of those who read: the time
# until the next attempt is bounded, the exit code is the documented one, the one
# line on stderr says what was tried, what went wrong and what to do; and once
# the server is well again, every event comes out, once and in order.
# shellcheck disable=SC2016 # $URL is the fault server's word

load helper

# NAME, the exit code of a single attempt, and what the server does. Those in
# SLOW end by our own clock, which is hurried for them.
FAULTS='
reset      75 reset
close      75 close
cut        75 body="{\"items\":[],\"events\":[],\"access_token\":\"t\"}" cut=9
cut-chunk  75 body="{\"items\":[],\"events\":[],\"access_token\":\"t\"}" chunked cut=9
html       75 header="Content-Type: text/html" body="<html>Log in</html>"
html-502   75 status=502 header="Content-Type: text/html" body="<html>Bad</html>"
401        77 status=401 body="{\"detail\":\"expired\"}"
403        77 status=403 body="{\"error\":{\"code\":\"FORBIDDEN\",\"message\":\"no\"}}"
404        66 status=404 body="\"none\""
429        75 status=429 header="Retry-After: 30" body="{}"
429-date   75 status=429 header="Date: Fri, 02 Jan 2026 00:00:00 GMT" header="Retry-After: Fri, 02 Jan 2026 00:00:30 GMT"
500        75 status=500 body="{\"error\":{\"code\":\"INTERNAL\",\"message\":\"oops\"}}"
503        75 status=503 header="Retry-After: 30"
malformed  75 body="{\"items\":[{],\"events\":[{],\"access_token\":\"t\"]"
no-fields  75 body="{}"
empty      75 body=""
hang       75 hang
head-only  75 headers-only body="{\"items\":[]}"
drip       75 drip=200 body="{\"items\":[],                                                  \"events\":[]}"
'
SLOW=' hang head-only drip '

# Where our minute is 0.6 s.
hurried() {
	env LD_PRELOAD="$BUILD/tests/wrong-clock.so" CLOCK_SPEED=100 \
		ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}

# each COMMAND…: with NAME, CODE and RULE of each fault.
each() {
	local NAME CODE RULE
	while read -r NAME CODE RULE; do
		[ -z "$NAME" ] || "$@"
	done <<<"$FAULTS"
}

# What is asked for: a token, the page behind N, the newest events, and (classic)
# whether those were the newest.
token() { by_dialect /auth/token /oauth/token; }
behind() {
	case $DIALECT.$1 in
	classic.*) echo "/topics/t/events?limit=2&after_sequence_no=$1" ;;
	oauth.0) echo '/topics/t/events?order=asc&limit=2' ;;
	*) echo "/topics/t/events?order=asc&limit=2&after=c$1" ;;
	esac
}
newest() {
	by_dialect '/topics/t/events?limit=100' \
		'/topics/t/events?order=desc&limit=1'
}

# page FROM TO [FILTER]: a file with these events, as the dialect has them.
page() {
	local file=$HOME/page.$1-$2
	seq "$1" "$2" | jq -cs --arg d "$DIALECT" --arg to "$2" '
		map({event_id: "e\(.)", payload: {n: .}} +
			if $d == "classic" then {sequence_no: ., type: "m"}
			else {cursor: "c\(.)", event_type: "m"} end) |
		if $d == "classic" then {items: ., next_cursor: null}
		else {events: .,
			next: {after: "c\($to)", has_more: (length > 0)}} end |
		'"${3:-.}" >"$file"
	echo "$file"
}

OK='body="{\"access_token\":\"t\",\"expires_in\":86400}"'

# The rules of a server that is well, at any base URL: five events, two a page,
# and one that came later.
well() {
	cat <<-EOF
		POST *$(token) $OK
		GET *$(newest) file=$(page "$(by_dialect 1 5)" 5)
		# Nothing is behind the newest when that is made sure of.
		GET */topics/t/events?limit=100&after_sequence_no=5 file=$(page 6 5)
		GET *$(behind 0) file=$(page 1 2)
		GET *$(behind 2) file=$(page 3 4)
		GET *$(behind 4) file=$(page 5 5)
		GET *$(behind 5) file=$(page 6 6)
		GET *$(behind 6) file=$(page 7 6)
		GET */events/stream* header="Content-Type: text/event-stream" body="data: 1\n\n" hold
	EOF
}

# The server: at $URL/KIND.NAME it has the fault at that request, for ever; at
# $URL/well it has none. Reads more rules, which come first.
serve() {
	{
		cat
		well
	} >"$HOME/plan"
	start_faults "$HOME/plan"
	URL=$FAULTS_URL
	unset AGENTRUX_BASE_URL
}

# home NAME [POSITION]: a home of its own, in $H.
home() {
	H=$HOME/home.$1
	mkdir -m 700 "$H"
	(
		umask 077
		by_dialect '{"script_id":"s","client_secret":"not-a-real-one"}' \
			'{"script_id":"s","client_id":"c","client_secret":"not-a-real-one"}' \
			>"$H/credentials.json"
		[ $# -eq 1 ] || by_dialect '{"t":0}' '{"t":""}' >"$H/waterline.json"
	)
}

numbers() {
	cat "$@" | jq -r .payload.n | paste -sd' ' -
}

# says PROGRAM FILE: that one line is there, and complete.
says() {
	cat "$2"
	[ "$(wc -l <"$2")" -eq 1 ]
	grep -qE "^$1: [a-z][^:]*: .+; .+$" "$2"
}

# run_at URL COMMAND…: its status in $STATUS, what it says in $H/out and $H/err.
run_at() {
	local url=$1 pace=
	shift
	[[ $SLOW != *" $NAME "* || $url == */well ]] || pace=hurried
	STATUS=0
	$pace "$@" --home "$H" --base-url "$url" </dev/null >"$H/out" \
		2>"$H/err" || STATUS=$?
	echo "$url: $* → $STATUS"
}

rule_for() { # KIND PATH…
	echo "$2 /$1.$NAME$3 $RULE"
}

# sick KIND FIRST ALL [POSITION]: one attempt where the request has the fault
# brings the events FIRST, the exit code and the line; the next, at a server that
# is well, the rest.
sick() {
	local kind=$1 first=$2 all=$3
	home "$kind.$NAME" ${4:+"$4"}
	[ "$kind" = token ] || agentrux-token --home "$H" --base-url "$URL/$kind.$NAME" >/dev/null
	run_at "$URL/$kind.$NAME" agentrux-drain -1 --retry-time 0 --limit 2 t
	[ "$STATUS" -eq "$CODE" ]
	says agentrux-drain "$H/err"
	# A hurried one may have been too late for what went before.
	[[ $SLOW == *" $NAME "* || $(numbers "$H/out") == "$first" ]]
	mv "$H/out" "$H/before"
	run_at "$URL/well" agentrux-drain -1 --retry-time 0 --limit 2 t
	[ "$STATUS" -eq 0 ]
	[ ! -s "$H/err" ]
	[ "$(numbers "$H/before" "$H/out")" = "$all" ]
}

@test "a token that cannot be had: the code, the line, and then all events" {
	serve < <(each rule_for token POST "$(token)")
	each sick token "" "1 2 3 4 5 6" at
}

@test "a page that cannot be had: what lies before it is delivered, then the rest" {
	serve < <(each rule_for page GET "$(behind 2)")
	each sick page "1 2" "1 2 3 4 5 6" at
}

@test "a first contact that fails sets no position; the next one does" {
	serve < <(each rule_for first GET "$(newest)")
	each sick first "" 6
}

@test "so it is where the newest events could not be made sure of" {
	classic_only # the other dialect says which is the newest
	serve < <(each rule_for second GET '/topics/t/events?limit=100&after_sequence_no=5')
	each sick second "" 6
}
