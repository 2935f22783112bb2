# agentrux-watch: a line whenever it is time to read.
# shellcheck disable=SC2154 # $output and $stderr come from run

load helper

STREAM='header="Content-Type: text/event-stream"'
UP=/topics/up/events/stream

# plan LINE…: the fault server with these rules and one that grants tokens,
# and credentials for it.
plan() {
	OUT=$BATS_TEST_TMPDIR/watch
	printf '%s\n' "$@" \
		"POST /auth/token body='{\"access_token\":\"tok-1\"}'" \
		"POST /auth/token body='{\"access_token\":\"tok-2\"}'" \
		"POST /auth/token body='{\"access_token\":\"tok-3\"}'" \
		>"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	[ -d "$HOME/.agentrux" ] || mkdir -m 700 "$HOME/.agentrux"
	(umask 077 && printf '{"script_id":"scr_1","client_secret":"the-secret-of-this-test"}' \
		>"$HOME/.agentrux/credentials.json")
}

stop_faults() {
	kill -TERM "$FAULTS_PID"
	wait "$FAULTS_PID" 2>/dev/null || true
	rm -f "$FAULTS_LOG"/*.req "$BATS_TEST_TMPDIR/faults.out"
}

# stream TOPIC BODY [MORE…]: a rule for its stream, which ends behind the body.
stream() {
	local topic=$1 body=$2
	shift 2
	echo "GET /topics/$topic/events/stream* $STREAM body=\"$body\" $*"
}

# watch OPTIONS…: in the background; its pid in $WATCH, stdout in $OUT.
watch() {
	background "$OUT" agentrux-watch "$@"
	WATCH=$LAST_PID
}

# hints [TOPIC]: the kinds of hint printed so far, on one line.
hints() {
	jq -r --arg t "${1:-}" 'select($t == "" or .topic_id == $t) | .hint' \
		"$OUT" | paste -s -d ' '
}

# has_hints TEXT [TOPIC]
has_hints() {
	[ "$(hints "${2:-}")" = "$1" ]
}

# had_hints TEXT [TOPIC]: these came first; more may have come since.
had_hints() {
	[[ "$(hints "${2:-}") " == "$1 "* ]]
}

# ends WITHIN STATUS: watch ends by itself so soon, with this exit code.
ends() {
	local status=0
	wait_for "$1" dead "$WATCH"
	wait "$WATCH" || status=$?
	[ "$status" -eq "$2" ] || {
		cat "$OUT.err" >&2
		echo "exit code $status, not $2" >&2
		return 1
	}
}

dead() {
	! kill -0 "$1" 2>/dev/null || grep -q ') Z ' "/proc/$1/stat"
}

# saw N REGEX: at least so many requests came.
saw() {
	[ "$(requests "$2")" -ge "$1" ]
}

# arrived N REGEX: when the Nth of those requests came, in ms.
arrived() {
	local file
	file=$(grep -lE "$2" "$FAULTS_LOG"/*.req | sed -n "$1p")
	stat -c %.3Y "$file" | tr -d .
}

errs() {
	grep -qE "$1" "$OUT.err"
}

# asleep_for SECONDS: watch was not woken in so long.
asleep_for() {
	local before
	before=$(grep '^voluntary' "/proc/$WATCH/status")
	sleep "$1"
	[ "$(grep '^voluntary' "/proc/$WATCH/status")" = "$before" ]
}

# A hub with one topic that may be read and written.
one_topic() {
	OUT=$BATS_TEST_TMPDIR/watch
	start_hub "$@"
	TOPIC=$(new_topic commands)
	new_agent agent-1 "$TOPIC:read" "$TOPIC:write"
}

publish() {
	agentrux-publish "$TOPIC" -m "$1" >/dev/null
}

# --- the lines ---

@test "prints connected, and event with the newest number for what is published" {
	one_topic
	watch "$TOPIC"
	wait_for 5 has_hints connected
	publish one
	wait_for 5 has_hints "connected event"
	[ "$(cat "$OUT")" = "{\"topic_id\":\"$TOPIC\",\"hint\":\"connected\"}
{\"topic_id\":\"$TOPIC\",\"hint\":\"event\"$(by_dialect ',"latest":1' '')}" ]
	[ ! -s "$OUT.err" ]
}

@test "a reader of a pipe has each line at once" {
	one_topic
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	agentrux-watch "$TOPIC" >"$BATS_TEST_TMPDIR/pipe" 3>&- 4>&- &
	PIDS+=($!)
	exec 5<"$BATS_TEST_TMPDIR/pipe"
	read -r -t 50 -u 5 line
	[[ $line == *connected* ]]
	publish one
	read -r -t 10 -u 5 line
	[[ $line == *event* ]]
	exec 5<&-
}

@test "frames with data and no name, message or hint are events, whatever they hold" {
	plan "$(stream up 'data: {\"latest_sequence_no\":5}\n\n' hold)"
	watch --once up
	ends 5 0
	[ "$(tail -n 1 "$OUT")" = '{"topic_id":"up","hint":"event","latest":5}' ]
	stop_faults
	for frame in 'data: no JSON' 'event: message\ndata:' \
		'event: hint\r\ndata: []' 'data' '\ndata: {\"latest_sequence_no\":\"x\"}'; do
		plan "$(stream up "$frame\\n\\n" hold)"
		watch --once up
		ends 5 0
		[ "$(tail -n 1 "$OUT")" = '{"topic_id":"up","hint":"event"}' ]
		stop_faults
	done
}

@test "comments, heartbeats, ready and unknown frames are no hints" {
	plan "$(stream up ': hi\n\nevent: heartbeat\ndata: 1\n\nevent: ready\ndata: {}\n\nevent: news\ndata: 2\n\nevent: hint\n\nid: 9\n\n' hold)"
	watch --poll 1 up
	wait_for 5 has_hints "connected poll"
}

@test "resync_required is a hint of its own" {
	plan "$(stream up 'event: resync_required\ndata: {\"reason\":\"replay_gap\",\"next_action\":\"other\"}\n\n' hold)"
	watch --once up
	ends 5 0
	has_hints "connected resync"
}

@test "a line of more than a mebibyte is a hint as well" {
	{
		printf 'data: '
		head -c 1200000 /dev/zero | tr '\0' x
		printf '\n\ndata: {"latest_sequence_no":8}\n\n'
	} >"$BATS_TEST_TMPDIR/long"
	plan "GET $UP $STREAM file=$BATS_TEST_TMPDIR/long hold"
	watch up
	wait_for 10 grep -q '"latest":8' "$OUT"
}

@test "a topic that is named twice is watched once" {
	plan "$(stream up 'data: 1\n\n' hold)"
	watch up up
	wait_for 5 has_hints "connected event"
	[ "$(requests "^GET $UP")" -eq 1 ]
}

@test "poll hints come every --poll seconds, first one period after the start" {
	plan "$(stream up ': hi\n\n' hold)"
	start=$(date +%s%3N)
	watch --poll 1 up
	three() { [ "$(grep -c '"poll"' "$OUT")" -ge 3 ]; }
	wait_for 5 three
	[ $(($(date +%s%3N) - start)) -ge 2990 ]
}

@test "poll hints come while there is no stream" {
	plan "GET $UP close"
	watch --poll 1 -q up
	wait_for 5 had_hints "poll"
	[ ! -s "$OUT.err" ]
}

@test "--poll 0 is never" {
	plan "$(stream up ': hi\n\n' hold)" "$(stream other ': hi\n\n' hold=1200)" \
		"$(stream other ': hi\n\n' hold)"
	watch --poll 0 --max-backoff 1 up other
	wait_for 8 has_hints "connected connected" other
	has_hints connected up
}

@test "--once ends with the first hint other than connected" {
	plan "$(stream up 'data: 1\n\ndata: 2\n\n' hold)"
	watch --once up
	ends 5 0
	has_hints "connected event"
	watch -1 --poll 1 up
	ends 5 0
}

@test "a reader that does not read gets one hint per topic, the most telling, later" {
	for i in $(seq 2000); do
		printf 'id: %d\ndata: {"latest_sequence_no":%d}\n\n' "$i" "$i"
	done >"$BATS_TEST_TMPDIR/many"
	plan "GET $UP $STREAM file=$BATS_TEST_TMPDIR/many" \
		"GET $UP* $STREAM body=\"event: resync_required\\ndata: 1\\n\\n\" hold" \
		"$(stream other ': hi\n\n' hold)"
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec 5<>"$BATS_TEST_TMPDIR/pipe"
	agentrux-watch --poll 1 -v --max-backoff 1 up other \
		>"$BATS_TEST_TMPDIR/pipe" 2>"$OUT.err" 3>&- 4>&- 5>&- &
	WATCH=$!
	PIDS+=("$WATCH")
	# The stream went on all the time: it ended, and was opened again.
	wait_for 10 saw 2 "^GET $UP"
	again() { [ "$(grep -c ': connected' "$OUT.err")" -ge 3 ]; }
	wait_for 10 again
	sleep 1.2 # a poll hint more
	while read -r -t 20 -u 5 line && echo "$line" >>"$OUT"; do
		[[ $line != *poll* ]] || break
	done
	exec 5<&-
	ends 2 0
	cat "$OUT"
	# The first line was taken by the pipe; then the event stayed.
	[ "$(head -n 1 "$OUT" | jq -r .hint)" = connected ]
	[ "$(jq -c 'select(.hint == "event") | [.topic_id, .latest]' "$OUT")" = '["up",2000]' ]
	[ "$(wc -l <"$OUT")" -le 5 ]
}

# --- the stream comes and goes ---

@test "resumes behind the last position" {
	plan "$(stream up 'id: 7\ndata: 1\n\n')" \
		"$(stream up 'id: 8\ndata: 1\n\n')" "$(stream up ': hi\n\n' hold)"
	watch --max-backoff 1 up
	wait_for 8 saw 3 "^GET $UP"
	file=$(grep -l "^GET $UP?after_sequence_no=7 " "$FAULTS_LOG"/*.req)
	grep -qi '^Last-Event-ID: 7$' "$file"
	grep -q "^GET $UP?after_sequence_no=8 " "$FAULTS_LOG"/*.req
	wait_for 5 has_hints "connected event connected event connected"
}

@test "an id that is no position is not sent back" {
	plan "$(stream up 'id: x&y\ndata: 1\n\n')" "$(stream up ': hi\n\n' hold)"
	watch --max-backoff 1 up
	wait_for 8 saw 2 "^GET $UP HTTP"
	run ! grep -qi '^Last-Event-ID' "$FAULTS_LOG"/*.req
}

@test "a position that the service does not know is forgotten" {
	plan "GET $UP?after_sequence_no=7 status=404 body='{\"detail\":{\"error\":\"RETENTION_MISS\"}}'" \
		"$(stream up 'id: 7\ndata: 1\n\n')" \
		"$(stream up ': hi\n\n' hold)"
	watch --max-backoff 1 up
	wait_for 8 has_hints "connected event connected"
	[ "$(requests "^GET $UP HTTP")" -eq 2 ]
}

@test "a hub that was killed and is back is heard again, nothing being missed" {
	one_topic
	watch "$TOPIC"
	wait_for 5 has_hints connected
	publish one
	wait_for 5 has_hints "connected event"
	stop_hub KILL
	wait_for 5 errs 'trying again'
	HUB_PORT=${HUB_URL##*:}
	start_hub
	wait_for 20 has_hints "connected event connected"
	errs 'connected again'
	publish two
	wait_for 5 has_hints "connected event connected event"
	[ "$(tail -n 1 "$OUT" | jq .latest)" = "$(by_dialect 2 null)" ]
}

@test "goes on through refused connections, resets, cuts, bad answers and 5xx" {
	# shellcheck disable=SC2016 # nothing here is the shell's
	plan "GET $UP reset" "GET $UP close" \
		"GET $UP status=500 body='<html>down</html>'" \
		"GET $UP status=200 body='<html>log in</html>' header=\"Content-Type: text/html\"" \
		"GET $UP status=302 header='Location: \$URL/elsewhere'" \
		"GET $UP $STREAM body=\": hi there\\n\\n\" cut=3" \
		"GET $UP $STREAM body=\"data: 1\\n\\n\" chunked cut=3" \
		"GET $UP $STREAM body=\"data: 1\\n\\n\" hold"
	watch --max-backoff 1 up
	wait_for 15 has_hints "connected connected connected event"
	[ "$(requests elsewhere)" -eq 0 ]
	[ "$(grep -c 'trying again' "$OUT.err")" -ge 1 ]
}

@test "a service that is not there at the start is waited for" {
	plan "$(stream up 'data: 1\n\n' hold)"
	stop_faults
	watch --max-backoff 1 --once up
	wait_for 5 errs 'trying again'
	kill -0 "$WATCH"
	background "$BATS_TEST_TMPDIR/back" "$BUILD/tests/faults" \
		"$BATS_TEST_TMPDIR/plan" "$FAULTS_LOG" "${FAULTS_URL##*:}"
	ends 15 0
}

@test "comes back no sooner than retry: says" {
	plan "$(stream up 'retry: 1500\n\n')" "$(stream up ': hi\n\n' hold)"
	watch --max-backoff 1 up
	wait_for 8 saw 2 "^GET $UP"
	ms=$(($(arrived 2 "^GET $UP") - $(arrived 1 "^GET $UP")))
	[ "$ms" -ge 1490 ]
	[ "$ms" -lt 35000 ]
}

@test "comes back no sooner than Retry-After says, in seconds or as a date" {
	now=$(date +%s)
	plan "GET /topics/a/* status=429 header=\"Retry-After: 2\"" \
		"$(stream a ': hi\n\n' hold)" \
		"GET /topics/b/* status=503 header=\"Retry-After: $(LC_ALL=C date -u -d "@$((now - 4998))" '+%a, %d %b %Y %H:%M:%S GMT')\" header=\"Date: $(LC_ALL=C date -u -d "@$((now - 5000))" '+%a, %d %b %Y %H:%M:%S GMT')\"" \
		"$(stream b ': hi\n\n' hold)"
	sed -i 's,^\(GET /topics/.\)/\S*,\1/*,' "$BATS_TEST_TMPDIR/plan"
	stop_faults
	start_faults "$BATS_TEST_TMPDIR/plan"
	watch --max-backoff 1 a b
	wait_for 8 saw 2 '^GET /topics/a/'
	wait_for 8 saw 2 '^GET /topics/b/'
	for topic in a b; do
		ms=$(($(arrived 2 "/topics/$topic/") - $(arrived 1 "/topics/$topic/")))
		[ "$ms" -ge 1990 ]
		[ "$ms" -lt 40000 ]
	done
}

@test "tries for ever, --max-backoff being the longest random wait" {
	plan "GET $UP close"
	watch --max-backoff 1 -v up
	wait_for 12 saw 6 "^GET $UP"
	run ! grep -qE 'again in [0-9]{4,} ms' "$OUT.err"
}

# waits REGEX: the ms of the waits that came after it in the messages.
waits() {
	sed -n "s/.*$1.* again in \([0-9]*\) ms\$/\1/p" "$OUT.err"
}

@test "waits grow while streams end early, and start over once one stood for 30 s" {
	plan "GET $UP* status=500" "GET $UP* status=500" "$(stream up ': a\n\n')" \
		"$(stream up ': b\n\n')" "GET $UP* status=500" "$(stream up ': c\n\n')" \
		"GET $UP* status=500" "$(stream up ': d\n\n')" "GET $UP* status=500" \
		"$(stream up ':::::::::::::::\nevent: error\ndata: {\"code\":\"RATE_LIMITED\",\"reason\":\"stood\"}\n\n' drip=25)"
	export LD_PRELOAD=$BUILD/tests/wrong-clock.so CLOCK_SPEED=20 \
		ASAN_OPTIONS=verify_asan_link_order=0
	watch -v --poll 0 --max-backoff 30 up
	unset LD_PRELOAD
	wait_for 20 errs 'RATE_LIMITED: stood'
	waits ''
	[ "$(waits '' | sort -n | tail -n 1)" -ge 4000 ]
	[ "$(waits 'RATE_LIMITED: stood' | head -n 1)" -lt 2000 ]
}

@test "204 means that there is no stream: polls only" {
	plan "GET $UP status=204" "$(stream up 'data: 1\n\n')"
	watch --poll 1 --max-backoff 1 up
	wait_for 8 had_hints "poll poll"
	[ "$(requests "^GET $UP")" -eq 1 ]
	errs 'no stream'
}

@test "a stream without a byte for --idle seconds is opened anew" {
	plan "$(stream up ': hi\n\n' hold)"
	watch --idle 1 --max-backoff 1 up
	wait_for 8 saw 2 "^GET $UP"
	[ $(($(arrived 2 "^GET $UP") - $(arrived 1 "^GET $UP"))) -ge 990 ]
	errs 'no byte came within 1 s'
}

@test "a stream that never begins is given up and opened anew" {
	plan "GET $UP hang"
	watch --idle 1 --max-backoff 1 up
	wait_for 8 saw 2 "^GET $UP"
}

@test "a byte now and then keeps a stream" {
	plan "$(stream up '::::::::::::::::::::::::::::::\n' drip=300)"
	watch --idle 3 --poll 4 up
	wait_for 8 had_hints "connected poll"
	[ "$(requests "^GET $UP")" -eq 1 ]
}

@test "heartbeats tell how long silence may last: two and a half of them" {
	one_topic --heartbeat 1s
	watch --idle 60 --max-backoff 1 "$TOPIC"
	wait_for 5 has_hints connected
	sleep 3.3 # three heartbeats
	kill -STOP "$HUB_PID"
	wait_for 4 errs 'no byte came within [1-4]?[0-9](\.[0-9]+)? s'
	kill -CONT "$HUB_PID"
	wait_for 15 has_hints "connected connected"
}

@test "what arrived while watch was stopped counts first" {
	one_topic --heartbeat 1s
	watch --idle 3 --max-backoff 1 "$TOPIC"
	wait_for 5 has_hints connected
	kill -STOP "$WATCH"
	sleep 4
	publish one
	kill -CONT "$WATCH"
	wait_for 1 has_hints "connected event"
	[ ! -s "$OUT.err" ]
}

@test "what was stopped while the service went and came back is soon there again" {
	one_topic
	watch "$TOPIC"
	wait_for 5 has_hints connected
	kill -STOP "$WATCH"
	stop_hub KILL
	HUB_PORT=${HUB_URL##*:}
	start_hub
	kill -CONT "$WATCH"
	wait_for 5 has_hints "connected connected"
	publish one
	wait_for 5 has_hints "connected connected event"
}

# --- refusals ---

@test "403 and 404 drop a topic, and the others go on" {
	plan "GET /topics/a/* status=403 body='{\"error\":{\"code\":\"FORBIDDEN\",\"message\":\"not yours\"}}'" \
		"GET /topics/b/* status=404" "$(stream up 'data: 1\n\n' hold)"
	watch --poll 1 --max-backoff 1 a b up
	wait_for 8 has_hints "connected event poll" up
	errs 'watching a: .*403 FORBIDDEN: not yours'
	errs 'watching b: .*404'
	has_hints "" a
	[ "$(requests /topics/a/)" -eq 1 ]
	[ "$(requests /topics/b/)" -eq 1 ]
}

@test "no topic left is 77 if any was forbidden, else 66" {
	plan "GET /topics/a/* status=404" "GET /topics/b/* status=403"
	watch a
	ends 5 66
	watch a b
	ends 5 77
}

@test "after a 401 one new token serves all topics" {
	for topic in a b up; do
		echo "GET /topics/$topic/* status=401"
		stream $topic ': hi\n\n' hold
	done | sed 's,^\(GET /topics/[a-z]*\)/\S*,\1/*,' >"$BATS_TEST_TMPDIR/rules"
	plan "$(cat "$BATS_TEST_TMPDIR/rules")"
	watch a b up
	wait_for 8 has_hints connected a
	wait_for 8 has_hints connected b
	wait_for 8 has_hints connected up
	[ "$(requests '^POST /auth/token')" -eq 2 ]
	[ "$(grep -lis 'Authorization: Bearer tok-2' "$FAULTS_LOG"/*.req | wc -l)" -eq 3 ]
	[ ! -s "$OUT.err" ]
}

@test "a token that another program has renewed meanwhile is taken, and none asked for" {
	go=$BATS_TEST_TMPDIR/go
	plan "GET $UP status=401 until=$go" "$(stream up 'data: 1\n\n' hold)"
	sed -i "s,^\(GET $UP\)\S*,\1*," "$BATS_TEST_TMPDIR/plan"
	stop_faults
	start_faults "$BATS_TEST_TMPDIR/plan"
	watch --once up
	wait_for 5 saw 1 "^GET $UP"
	agentrux-token --rejected <<<tok-1
	[ "$(agentrux-token)" = tok-2 ]
	touch "$go"
	ends 5 0
	[ "$(requests '^POST /auth/token')" -eq 2 ]
	[ "$(agentrux-token)" = tok-2 ]
}

@test "a new token that is refused as well is 77, and costs no third" {
	plan "GET /topics/* status=401"
	watch a b up
	ends 8 77
	[ "$(requests '^POST /auth/token')" -eq 2 ]
}

@test "refused credentials are 77 after one question, none at all are 78" {
	plan "POST /auth/token status=401 body='{\"error\":\"invalid_client\"}'" \
		"POST /auth/token status=401"
	watch a b up
	ends 5 77
	errs 'invalid_client'
	[ "$(requests .)" -eq 1 ]
	rm "$HOME/.agentrux/credentials.json"
	watch up
	ends 5 78
}

@test "trouble with the token passes" {
	plan "POST /auth/token status=500" "POST /auth/token body=nonsense" \
		"POST /auth/token body='{\"access_token\":\"tok-9\"}'" \
		"$(stream up 'data: 1\n\n' hold)"
	watch --once --max-backoff 1 up
	ends 10 0
	errs 'token.*trying again'
}

@test "an error frame UNAUTHORIZED brings a new token" {
	plan "$(stream up 'event: error\ndata: {\"code\":\"UNAUTHORIZED\",\"reason\":\"revoked\"}\n\n' hold)" \
		"$(stream up 'data: 1\n\n' hold)"
	watch --once up
	ends 8 0
	[ "$(requests '^POST /auth/token')" -eq 2 ]
}

@test "characters of several bytes come whole from reads that cut them" {
	reason='支払いが要る 🐟 naïve'
	# Each byte arrives by itself.
	plan "$(stream up "id: ü→漢\\ndata: 1\\n\\n" drip=1)" \
		"$(stream up "event: error\\ndata: {\\\"code\\\":\\\"SUSPENDED\\\",\\\"reason\\\":\\\"$reason\\\"}\\n\\n" drip=1 hold)"
	(umask 077 && printf '{"client_id":"crd_1","client_secret":"aks_of-this-test"}' \
		>"$HOME/.agentrux/credentials.json")
	echo "POST /oauth/token body='{\"access_token\":\"tok-1\"}'" >>"$BATS_TEST_TMPDIR/plan"
	sed 's,/up/,/top_up/,' -i "$BATS_TEST_TMPDIR/plan"
	stop_faults
	start_faults "$BATS_TEST_TMPDIR/plan"
	watch --max-backoff 1 top_up
	ends 8 77
	errs "SUSPENDED: $reason"
	grep -qx 'Last-Event-ID: ü→漢' "$FAULTS_LOG"/*.req
}

@test "error frames FORBIDDEN, SUSPENDED and NOT_FOUND drop the topic" {
	plan "$(stream a 'event: error\ndata: {\"code\":\"FORBIDDEN\"}\n\n' hold)" \
		"$(stream b 'event: error\ndata: {\"code\":\"SUSPENDED\",\"reason\":\"unpaid\"}\n\n' hold)" \
		"$(stream up 'event: error\ndata: {\"code\":\"NOT_FOUND\"}\n\n' hold)"
	watch a
	ends 5 77
	watch b
	ends 5 77
	errs 'SUSPENDED: unpaid'
	watch up
	ends 5 66
	[ "$(requests '^POST /auth/token')" -eq 1 ]
}

@test "error frames RATE_LIMITED and unknown ones pass" {
	plan "$(stream up 'event: error\ndata: {\"code\":\"RATE_LIMITED\"}\n\n' hold)" \
		"$(stream up 'event: error\ndata: what\n\n' hold)" \
		"$(stream up 'data: 1\n\n' hold)"
	watch --once --max-backoff 1 up
	ends 10 0
}

# --- the end ---

@test "ends with 0 within a second of SIGTERM, idle, connecting or waiting" {
	plan "$(stream up ': hi\n\n' hold)" "GET /topics/a/* hang" \
		"GET /topics/b/* status=503 header=\"Retry-After: 60\""
	watch up
	wait_for 5 has_hints connected
	kill -TERM "$WATCH"
	ends 1 0
	watch a
	wait_for 5 saw 1 /topics/a/
	kill -INT "$WATCH" 2>/dev/null # ignored by what a shell puts behind
	kill -TERM "$WATCH"
	ends 1 0
	watch b
	wait_for 5 errs 'trying again'
	kill -TERM "$WATCH"
	ends 1 0
}

@test "ends with 0 within a second of its reader, idle, connecting or waiting" {
	plan "$(stream up ': hi\n\n' hold)" "GET /topics/a/* hang" \
		"GET /topics/b/* status=503 header=\"Retry-After: 60\""
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	for topic in up a b; do
		agentrux-watch "$topic" >"$BATS_TEST_TMPDIR/pipe" 2>"$OUT.err" \
			3>&- 4>&- &
		WATCH=$!
		PIDS+=("$WATCH")
		exec 5<"$BATS_TEST_TMPDIR/pipe"
		wait_for 5 saw 1 "/topics/$topic/"
		exec 5<&-
		ends 1 0
	done
}

@test "a full disk on stdout is 74" {
	plan "$(stream up ': hi\n\n' hold)"
	agentrux-watch up >/dev/full 2>"$OUT.err" && status=0 || status=$?
	[ "$status" -eq 74 ]
	errs 'No space left'
}

@test "wrong use is 64" {
	run -64 agentrux-watch
	run -64 agentrux-watch ../up
	run -64 agentrux-watch --poll soon up
	run -64 agentrux-watch --idle 0 up
	run -64 agentrux-watch --max-backoff 0 up
	plan "$(stream up ': hi\n\n' hold)"
	run -64 agentrux-watch --exclude-self up
	[[ $output == *oauth* ]]
	run -64 agentrux-watch --base-url http://example.org up
}

@test "sleeps while nothing happens" {
	plan "$(stream up ': hi\n\n' hold)"
	watch --poll 0 --idle 1h up
	wait_for 5 has_hints connected
	# It may act once more when what it asked for was bounded.
	wait_for 30 asleep_for 5
}

@test "shows with -vv what is said, but no secret" {
	plan "$(stream up 'data: 1\n\n' hold)"
	watch -vv --once up
	ends 5 0
	errs 'GET .*/topics/up/events/stream'
	run ! grep -qE 'tok-1|the-secret' "$OUT.err"
}

# --- many ---

# thousand: watches so many topics until each has its first line.
thousand() {
	local topics
	mapfile -t topics < <(seq -f 'topic-%g' 1 1000)
	watch --poll 0 "${topics[@]}"
	all() { [ "$(wc -l <"$OUT")" -ge 1000 ]; }
	wait_for 15 all
	[ "$(jq -r .topic_id "$OUT" | sort -u | wc -l)" -eq 1000 ]
	[ "$(requests '^POST /auth/token')" -eq 1 ]
}

under_30_mib() {
	local kib
	kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$WATCH/status")
	echo "$kib KiB"
	[ "$kib" -lt 30720 ] || grep -q __asan_init "$BUILD/bin/agentrux-watch"
}

# How many sockets watch has; one or two are no connection.
sockets() {
	find "/proc/$WATCH/fd" -lname 'socket:*' | wc -l
}

@test "a thousand topics fit in one process, beside each other, under 30 MiB" {
	plan "GET /topics/* $STREAM body=\": hi\\n\\n\" hold"
	ulimit -Sn 256
	thousand
	[ "$(sockets)" -ge 1000 ]
	under_30_mib
	kill -TERM "$WATCH"
	ends 1 0
}

# --- HTTP/2 over TLS ---

# front [OPTIONS…]: a front end before the server, at $AGENTRUX_BASE_URL from
# then on. Its pid is in $FRONT_PID.
front() {
	local dir=$BATS_TEST_TMPDIR
	PATH=$PATH:/usr/sbin
	command -v nghttpx >/dev/null || skip "no nghttpx"
	BACK_PORT=${AGENTRUX_BASE_URL##*:}
	[ -e "$dir/cert.pem" ] || openssl req -x509 -newkey ec -pkeyopt \
		ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost \
		-keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
	export CURL_CA_BUNDLE=$dir/cert.pem
	wait_for 10 fronted "" "$@"
	AGENTRUX_BASE_URL=https://localhost:$FRONT_PORT
}

# front_again [OPTIONS…]: one more, at the same address.
front_again() {
	wait_for 10 fronted "$FRONT_PORT" "$@"
}

# fronted PORT [OPTIONS…]: is the port, or one that is free, ours now?
fronted() {
	FRONT_PORT=${1:-$(free_port)}
	shift
	background "$BATS_TEST_TMPDIR/front" nghttpx --conf=/dev/null \
		--frontend="127.0.0.1,$FRONT_PORT" \
		--backend="127.0.0.1,$BACK_PORT" --workers=1 --no-ocsp \
		--rlimit-nofile=4096 "$@" \
		"$BATS_TEST_TMPDIR/key.pem" "$BATS_TEST_TMPDIR/cert.pem"
	FRONT_PID=$LAST_PID
	wait_for 10 grep -qE 'worker thread|FATAL' "$BATS_TEST_TMPDIR/front.err"
	run ! grep FATAL "$BATS_TEST_TMPDIR/front.err"
}

# One that the kernel gave to a server which has ended.
free_port() {
	background "$BATS_TEST_TMPDIR/free" \
		"$BUILD/tests/faults" /dev/null "$BATS_TEST_TMPDIR"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/free"
	kill "$LAST_PID"
	wait "$LAST_PID" || true
	sed 's/.*://' "$BATS_TEST_TMPDIR/free"
}

@test "HTTP/2: a thousand topics share few connections, under 30 MiB" {
	plan "GET /topics/* $STREAM body=\": hi\\n\\n\" hold"
	front --frontend-http2-max-concurrent-streams=100
	thousand
	[ "$(sockets)" -lt 100 ]
	under_30_mib
	kill -TERM "$WATCH"
	ends 1 0
}

@test "HTTP/2: topics beyond what a connection may carry get further ones" {
	plan "GET /topics/* $STREAM body=\"data: 1\\n\\n\" hold"
	front --frontend-http2-max-concurrent-streams=1
	watch --poll 0 a b c d e
	for topic in a b c d e; do
		wait_for 5 has_hints "connected event" "$topic"
	done
	[ "$(sockets)" -ge 5 ]
}

@test "HTTP/2: a stream that falls silent is opened anew, those beside it stay" {
	plan "$(stream quiet ': hi\n\n' hold)" \
		"$(stream up "$(printf ':%.0s' {1..900})" drip=300)"
	front
	watch --idle 3 --max-backoff 1 up quiet
	wait_for 8 has_hints "connected connected" quiet
	errs 'watching quiet: .*no byte came within 3 s'
	has_hints connected up
	[ "$(requests "^GET $UP")" -eq 1 ]
}

@test "HTTP/2: a front end that goes lets its streams end, then they go elsewhere" {
	plan "$(stream up 'data: 1\n\n' hold)" "$(stream a '::::::::::\n' drip=300)" \
		"$(stream a ': hi\n\n' hold)"
	front
	watch -v --max-backoff 1 --poll 0 a up
	wait_for 5 has_hints connected a
	wait_for 5 has_hints "connected event" up
	old=$FRONT_PID
	kill -QUIT "$old" # GOAWAY
	front_again
	wait_for 10 has_hints "connected connected" a
	[ "$(requests "^GET $UP")" -eq 1 ]
	errs 'watching a: the stream ended'
	kill -KILL "$old"
	wait_for 10 has_hints "connected event connected event" up
}

@test "HTTP/2: a hub behind a front end is heard" {
	one_topic --heartbeat 1s
	front
	watch "$TOPIC"
	wait_for 5 has_hints connected
	publish one
	wait_for 5 has_hints "connected event"
	kill -KILL "$FRONT_PID"
	wait_for 5 errs 'trying again'
	AGENTRUX_BASE_URL=$HUB_URL publish two
	front_again
	wait_for 20 had_hints "connected event connected"
	publish three
	last() { [ "$(tail -n 1 "$OUT" | jq -r "[.hint, .latest // 3] | @tsv")" = "event	3" ]; }
	wait_for 5 last
}
