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
no-event   75 body="{\"items\":[7],\"events\":[7]}"
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

# each TABLE COMMAND…: with NAME, CODE and RULE of each fault.
each() {
	local table=$1 NAME CODE RULE
	shift
	while read -r NAME CODE RULE; do
		[ -z "$NAME" ] || "$@"
	done <<<"$table"
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
	local file=$HOME/page.$1-$2.${#3}
	a_page "$1" "$2" | jq -c "${3:-.}" >"$file"
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
	serve < <(each "$FAULTS" rule_for token POST "$(token)")
	each "$FAULTS" sick token "" "1 2 3 4 5 6" at
}

@test "a page that cannot be had: what lies before it is delivered, then the rest" {
	serve < <(each "$FAULTS" rule_for page GET "$(behind 2)")
	each "$FAULTS" sick page "1 2" "1 2 3 4 5 6" at
}

@test "a first contact that fails sets no position; the next one does" {
	serve < <(each "$FAULTS" rule_for first GET "$(newest)")
	each "$FAULTS" sick first "" 6
}

@test "so it is where the newest events could not be made sure of" {
	classic_only # the other dialect says which is the newest
	serve < <(each "$FAULTS" rule_for second GET '/topics/t/events?limit=100&after_sequence_no=5')
	each "$FAULTS" sick second "" 6
}

# Its refresh token is of no use: then the secret brings a token.
refreshed() {
	local pace=()
	home "refresh.$NAME" at
	agentrux-token --home "$H" --base-url "$URL/refresh.$NAME" >/dev/null
	[[ $SLOW != *" $NAME "* ]] || pace=(CLOCK_SPEED=100)
	# The machine has slept for an hour.
	run_at "$URL/refresh.$NAME" env LD_PRELOAD="$BUILD/tests/wrong-clock.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 CLOCK_BOOT=3600 "${pace[@]}" \
		agentrux-drain -1 --retry-time 1h --limit 2 t
	case $NAME in
	429*)
		[ "$STATUS" -eq 75 ]
		says agentrux-drain "$H/err"
		;;
	*)
		[ "$STATUS" -eq 0 ]
		[ ! -s "$H/err" ]
		[ "$(numbers "$H/out")" = "1 2 3 4 5 6" ]
		;;
	esac
}

@test "a refresh that fails costs no more than a token; where it may not be asked, 75" {
	classic_only # the other dialect has none
	serve < <(
		each "$FAULTS" rule_for refresh POST /auth/refresh
		echo 'POST /refresh*/auth/token body="{\"access_token\":\"t\",\"refresh_token\":\"r\"}"'
	)
	each "$FAULTS" refreshed
	[ "$(requests 'POST .*/auth/refresh')" -eq "$(grep -c . <<<"$FAULTS")" ]
}

# The others that look for the end of a topic.
at_first() {
	home "first.$NAME"
	run_at "$URL/first.$NAME" agentrux-waterline --retry-time 0 latest t
	[ "$STATUS" -eq "$CODE" ]
	[ ! -s "$H/out" ]
	says agentrux-waterline "$H/err"
	run_at "$URL/first.$NAME" agentrux-publish --retry-time 0 t -m hello \
		--reply-topic t --wait 60
	[ "$STATUS" -eq "$CODE" ]
	[ ! -s "$H/out" ]
	says agentrux-publish "$H/err"
}

@test "waterline latest and publish --wait: the same, and nothing is published" {
	serve < <(each "$FAULTS" rule_for first GET "$(newest)")
	each "$FAULTS" at_first
	[ "$(requests 'POST .*/events')" -eq 0 ]
}

@test "newest events without a position are not an empty topic" {
	local NAME=no-position CODE=75 filter
	filter="del(.$(by_dialect 'items[].sequence_no' 'events[] | .cursor, .event_id'))"
	serve < <(echo "GET /first.$NAME$(newest) file=$(page 1 5 "$filter")")
	sick first "" 6
}

# What is wrong with the two events behind 2 (where @ is `items` or `events`, and
# # the position's name), and which events come out in the end.
CONTENTS='
no-id       1,2,4,5,6      del(.@[0].event_id)
number-id   1,2,4,5,6      .@[0].event_id=7
long-id     1,2,3,4,5,6    .@[0].event_id=("x"*300)
twice       1,2,3,4,5,6    .@+=.@
old-ones    1,2,3,4,5,6    .@=[.@[0]*{event_id:"e1",#:1}]+.@
no-position 1,2,3,4,5,6    del(.@[0].#)
no-payload  1,2,null,4,5,6 del(.@[0].payload)
strange     1,2,3,4,5,6    .@[0]+={more:[{}],topic_id:"t"}|.more=1
'

content_rule() {
	local filter=${RULE//@/$(by_dialect items events)}
	filter=${filter//#/$(by_dialect sequence_no cursor)}
	echo "GET /page.$NAME$(behind 2) file=$(page 3 4 "$filter")"
}

comes_out() {
	home "page.$NAME" at
	run_at "$URL/page.$NAME" agentrux-drain -1 --limit 2 t
	cat "$H/err"
	[ "$STATUS" -eq 0 ]
	[ "$(numbers "$H/out")" = "${CODE//,/ }" ]
	case $NAME in
	*-id) [ "$NAME" = long-id ] ||
		[ "$(jq -r .event.payload.n "$H"/dead/t/*.json)" = 3 ] ;;
	no-position) ;; # among numbers it looks like a gap
	*) [ ! -s "$H/err" ] ;;
	esac
	[ "$(jq -r .t "$H/waterline.json")" = "$(by_dialect 6 c6)" ]
}

@test "whatever is wrong with events: each comes out once, or lies in dead/" {
	serve < <(each "$CONTENTS" content_rule)
	each "$CONTENTS" comes_out
}

# A body that has no end.
endless() {
	head -c 65536 /dev/zero | tr '\0' ' ' >"$HOME/blanks"
	echo "file=$HOME/blanks endless"
}

# heavy FROM TO: that page, with a payload of 256 KiB in each event.
heavy() {
	local file=$HOME/heavy.$1-$2 n
	[ -e "$HOME/x" ] || head -c 262140 /dev/zero | tr '\0' x >"$HOME/x"
	{
		by_dialect '{"items":[' '{"events":['
		for n in $(seq "$1" "$2"); do
			[ "$n" -eq "$1" ] || echo ,
			printf '{"event_id":"e%s","%s":%s,"payload":{"n":%s,"x":"' "$n" \
				"$(by_dialect sequence_no cursor)" \
				"$(by_dialect "$n" "\"c$n\"")" "$n"
			cat "$HOME/x"
			echo '"}}'
		done
		by_dialect ']}' "],\"next\":{\"after\":\"c$2\",\"has_more\":true}}"
	} >"$file"
	echo "$file"
}

# asks N LIMIT: the path of the page of that size behind N.
asks() {
	behind "$1" | sed "s/limit=2/limit=$2/"
}

@test "pages that are too large become smaller ones, and memory stays under 64 MiB" {
	home huge at
	serve < <(
		echo "GET /huge$(asks 0 100) $(endless)"
		echo "GET /huge$(asks 0 50) file=$(heavy 1 50)"
		for n in 0 25 50 75; do
			echo "GET /huge$(asks "$n" 25) file=$(heavy $((n + 1)) $((n + 25)))"
		done
		echo "GET /huge$(asks 100 '*') file=$(page 101 100)"
	)
	"$BUILD/tests/peak" "$HOME/peak" agentrux-drain -1 --home "$H" \
		--base-url "$URL/huge" t |
		jq -r .payload.n | paste -sd' ' >"$HOME/numbers"
	[ "$(cat "$HOME/numbers")" = "$(seq -s' ' 100)" ]
	cat "$HOME/peak"
	grep -q __asan_init "$BUILD/bin/agentrux-drain" ||
		[ "$(cat "$HOME/peak")" -lt 65536 ]
	# No more attempts than it takes to find the size.
	[ "$(requests 'limit=(100|50)&')" -le 3 ]
}

@test "an event that is too large by itself is 65, and the line says what to do" {
	local NAME=huge
	home huge at
	serve < <(
		echo "GET /huge$(asks 0 2) file=$(page 1 2)"
		echo "GET /huge$(asks 2 '*') $(endless)"
	)
	run_at "$URL/huge" agentrux-drain -1 --limit 2 t
	[ "$STATUS" -eq 65 ]
	[ "$(numbers "$H/out")" = "1 2" ]
	says agentrux-drain "$H/err"
	grep -q "the event behind '$(by_dialect 2 c2)' takes more than 64 MiB; .*agentrux-waterline" "$H/err"
	[ "$(jq -r .t "$H/waterline.json")" = "$(by_dialect 2 c2)" ]
	# Hints make no difference: nobody can help but a person.
	mkfifo "$HOME/hints"
	run -65 timeout 100 agentrux-drain --home "$H" --base-url "$URL/huge" t \
		<>"$HOME/hints"
}

# --- programs that go on by themselves: our minute is 0.6 s in all of these ---

# passing [MORE]: the faults that pass, and a minute of 500s.
passing() {
	grep ' 75 ' <<<"$FAULTS"
	echo '500s 75 status=500'
	[ $# -eq 0 ] || printf '%s\n' "$@"
}
ONCE='401-once 75 status=401 body="{}"'

# rules_for KIND METHOD PATH THEN: the fault some times, and then no more.
rules_for() {
	local n=2
	case $NAME in
	401-once) n=1 ;;
	500s) n=7 ;; # with the pauses that grow, about a minute
	esac
	for _ in $(seq "$n"); do
		rule_for "$@"
	done
	echo "$2 /$1.$NAME$3 $4"
}

# start KIND COMMAND…: in the background, at a home of its own.
start() {
	local url=$URL/$1.$NAME
	H=$HOME/home.$1.$NAME
	shift
	hurried "$@" --home "$H" --base-url "$url" <"$HOME/hints" \
		>"$H/out" 2>"$H/err" 3>&- 4>&- 5>&- &
	PIDS+=("$!")
	echo "$!" >"$H/pid"
}

start_drain() {
	home "$1.$NAME" ${2:+"$2"}
	start "$1" agentrux-drain --limit 2 t
}

# ends KIND STATUS: it does, by itself.
ends() {
	local status=0
	H=$HOME/home.$1.$NAME
	wait "$(cat "$H/pid")" || status=$?
	echo "$1.$NAME: $status"
	cat "$H/err"
	[ "$status" -eq "$2" ]
}

last_came() {
	wait_for 20 grep -q '"e6"' "$HOME/home.$1.$NAME/out"
}

# goes_on KIND EVENTS: these came, once and in order, and whatever was said is
# complete and no end.
goes_on() {
	ends "$1" 0
	[ "$(numbers "$H/out")" = "$2" ]
	run ! grep -vE '^agentrux-[a-z]*: [a-z][^:]*: .+; trying again( in [0-9]+ ms)?$' "$H/err"
	[ "$NAME" = 401-once ] || [ -s "$H/err" ]
}

# follow KIND EVENTS TABLE [POSITION]: drains that follow hints do so.
follow() {
	mkfifo "$HOME/hints"
	exec 5<>"$HOME/hints"
	each "$3" start_drain "$1" ${4:+"$4"}
	each "$3" last_came "$1"
	exec 5>&-
	each "$3" goes_on "$1" "$2"
}

# spaced KIND PATH: it was not asked again before the time that was named.
spaced() {
	local at=()
	case $NAME in
	429* | 503)
		mapfile -t at < <(grep -lF " /$1.$NAME$2 " "$FAULTS_LOG"/*.req |
			xargs stat -c %.3Y | tr -d .)
		echo "$1.$NAME: ${at[*]}"
		[ "${#at[@]}" -ge 3 ]
		[ $((at[1] - at[0])) -ge 290 ]
		[ $((at[2] - at[1])) -ge 290 ]
		;;
	esac
}

@test "following hints, drain goes on through every fault of a page" {
	local table
	table=$(passing "$ONCE")
	serve < <(each "$table" rules_for page GET "$(behind 2)" "file=$(page 3 4)")
	follow page "1 2 3 4 5 6" "$table" at
	each "$table" spaced page "$(behind 2)"
}

@test "so it does through those of a first contact" {
	local table
	table=$(passing "$ONCE")
	serve < <(each "$table" rules_for first GET "$(newest)" \
		"file=$(page "$(by_dialect 1 5)" 5)")
	follow first 6 "$table"
	each "$table" spaced first "$(newest)"
}

@test "so it does where no token is to be had for a while" {
	local table
	table=$(passing)
	serve < <(each "$table" rules_for token POST "$(token)" "$OK")
	follow token "1 2 3 4 5 6" "$table" at
	each "$table" spaced token "$(token)"
}

start_watch() {
	home "$1.$NAME"
	start "$1" agentrux-watch --once --poll 0 --max-backoff 2 t
}

# finds KIND: a hint came in spite of it.
finds() {
	ends "$1" 0
	[ "$(tail -n 1 "$H/out" | jq -r .hint)" = event ]
	run ! grep -vE '^agentrux-watch: ([a-z][^:]*: .+; trying again( in [0-9]+ ms)?|watching t: connected again)$' "$H/err"
	[ "$NAME" = 401-once ] || [ -s "$H/err" ]
}

@test "watch goes on through every fault of a stream and of its token" {
	local table streams
	table=$(passing)
	streams=$(passing "$ONCE")
	serve < <(
		each "$streams" rules_for stream GET /topics/t/events/stream \
			'header="Content-Type: text/event-stream" body="data: 1\n\n" hold'
		each "$table" rules_for token POST "$(token)" "$OK"
	)
	ln -s /dev/null "$HOME/hints"
	each "$streams" start_watch stream
	each "$streams" finds stream
	each "$table" start_watch token
	each "$table" finds token
	each "$streams" spaced stream /topics/t/events/stream
	each "$table" spaced token "$(token)"
}

# gives_up KIND: the reason is told, and there is no topic left.
gives_up() {
	ends "$1" "$CODE"
	[ ! -s "$H/out" ]
	head -n 1 "$H/err" >"$H/why"
	says agentrux-watch "$H/why"
}

@test "watch gives up where it is refused, with the code and the line" {
	local final
	final=$(grep -v ' 75 ' <<<"$FAULTS")
	serve < <(
		each "$final" rule_for stream GET /topics/t/events/stream
		each "$final" rule_for token POST "$(token)"
	)
	ln -s /dev/null "$HOME/hints"
	each "$final" start_watch stream
	each "$final" gives_up stream
	each "$final" start_watch token
	each "$final" gives_up token
}

start_publish() {
	home "$1.$NAME"
	start "$1" agentrux-publish t -m hello --reply-topic t \
		--correlation-id c1 --wait 1h
}

# hears KIND: it was published, and answered.
hears() {
	ends "$1" 0
	[ "$(jq -r .event_id "$H/out" | paste -sd' ')" = "p1 e6" ]
	run ! grep -v ': watching t: ' "$H/err"
}

# refused KIND: it says that it was published, and why no answer was heard.
refused() {
	ends "$1" "$CODE"
	[ "$(cat "$H/out")" = '{"event_id":"p1"}' ]
	says agentrux-publish "$H/err"
}

@test "publish --wait hears its reply through every fault of the reading" {
	local table final path reply
	table=$(passing "$ONCE")
	final=$(grep -v ' 75 ' <<<"$FAULTS")
	path=$(by_dialect '/topics/t/events?limit=100&after_sequence_no=5' \
		'/topics/t/events?order=asc&limit=100&after=c5')
	reply=$(page 6 6 "$(by_dialect '.items[0].correlation_id' \
		'.events[0].metadata.correlation_id') = \"c1\"")
	# In classic it is asked once more whether nothing is behind the newest.
	before() { by_dialect "GET /$1.$NAME$path body=\"{\\\"items\\\":[]}\"" ""; }
	serve < <(
		each "$table" before reply
		each "$table" rules_for reply GET "$path" "file=$reply"
		each "$final" before refused
		each "$final" rule_for refused GET "$path"
		echo 'POST */topics/t/events body="{\"event_id\":\"p1\"}"'
	)
	ln -s /dev/null "$HOME/hints"
	each "$table" start_publish reply
	each "$table" hears reply
	each "$final" start_publish refused
	each "$final" refused refused
}
