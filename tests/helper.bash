# What every bats file loads: a hermetic environment, our own hub on a port of
# the kernel's choice, waiting with a limit. Each test file has
#   load helper
# and gets setup() and teardown() from here.

bats_require_minimum_version 1.5.0

BUILD=${AGENTRUX_BUILD:-$BATS_TEST_DIRNAME/../build}
BUILD=$(cd "$BUILD" && pwd)
ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

setup() {
	PATH="$BUILD/bin:/usr/local/bin:/usr/bin:/bin"
	HOME=$BATS_TEST_TMPDIR/home
	export PATH HOME LC_ALL=C.UTF-8 TZ=UTC
	mkdir -m 700 "$HOME"
	while IFS='=' read -r name _; do
		case $name in
		AGENTRUX_* | *_proxy | *_PROXY | CURL_*) unset "$name" ;;
		esac
	done < <(env)
	# Tokens live in memory, in a place of this test's own.
	AGENTRUX_RUNTIME_DIR=$(mktemp -d /dev/shm/agentrux-test.XXXXXX)
	export AGENTRUX_RUNTIME_DIR
	# How long to sleep so that pgrep tells this sleep from any other test's.
	export NAP=600.$$
	PIDS=()
	HUB_DB=$BATS_TEST_TMPDIR/hub.db
}

teardown() {
	local pid
	for pid in "${PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$AGENTRUX_RUNTIME_DIR"
}

# wait_for SECONDS COMMAND…: until it succeeds. SECONDS is what an idle machine
# takes at most; a busy or slow one may take ten times as long.
wait_for() {
	local end=$((SECONDS + 10 * $1 + 1))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "waited in vain for: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# Starts COMMAND… in the background, stdout to FILE and stderr to FILE.err;
# bats' own descriptors are closed to it. Its pid is in $LAST_PID.
background() {
	local file=$1
	shift
	rm -f "$file" # of an earlier one: it would pass for this one's
	"$@" >"$file" 2>"$file.err" </dev/null 3>&- 4>&- &
	LAST_PID=$!
	PIDS+=("$LAST_PID")
}

# start_hub [serve options…]: sets HUB_URL and HUB_PID.
start_hub() {
	background "$BATS_TEST_TMPDIR/hub.out" agentrux-hub --db "$HUB_DB" \
		serve --listen "127.0.0.1:${HUB_PORT:-0}" --no-rate-limits "$@"
	HUB_PID=$LAST_PID
	wait_for 10 test -s "$BATS_TEST_TMPDIR/hub.out"
	HUB_URL=$(jq -r .listening "$BATS_TEST_TMPDIR/hub.out")
	export AGENTRUX_BASE_URL=$HUB_URL
}

# SIGNAL to the hub, and wait until it is gone.
stop_hub() {
	kill -"${1:-TERM}" "$HUB_PID"
	wait "$HUB_PID" 2>/dev/null || true
}

hub() {
	agentrux-hub --db "$HUB_DB" "$@"
}

# The dialect that the tests speak where it makes no difference to them.
DIALECT=${AGENTRUX_TEST_DIALECT:-classic}

# classic_only [WHY]
classic_only() {
	[ "$DIALECT" = classic ] || skip "classic only${1:+: $1}"
}

# issue_code NAME: an activation code of that dialect.
issue_code() {
	local option=()
	[ "$DIALECT" = classic ] || option=(--oauth)
	hub code issue "$1" --ttl 1h "${option[@]}"
}

# new_topic NAME: prints the id, as the dialect has it.
new_topic() {
	local id
	id=$(hub topic add "$1")
	[ "$DIALECT" = classic ] || id=top_$id
	echo "$id"
}

# The object's id in an attachment line, for jq.
export OBJECT='.object_id // .payload_object_id'

# by_dialect CLASSIC OAUTH: the one that goes here.
by_dialect() {
	if [ "$DIALECT" = classic ]; then echo "$1"; else echo "$2"; fi
}

# For a plan of the fault server: where a code is redeemed and a token asked for,
# the rule that it gets one; and what credentials hold besides.
ACTIVATE_PATH=$(by_dialect /auth/activate /auth/redeem-activation-code)
CLIENT=$(by_dialect '' '"client_id":"crd_1",')
TOKEN_PATH=$(by_dialect /auth/token /oauth/token)
TOKEN_RULE="POST $TOKEN_PATH body='{\"access_token\":\"tok-canary\",\"expires_in\":600}'"

# a_page FROM TO: a page of the events N with the id eN and the payload {"n":N} at
# position N, which all name their topic t in oauth, and every other in classic. What
# is in it is called $LIST, and its position $POSITION.
LIST=$(by_dialect items events)
POSITION=$(by_dialect sequence_no cursor)
a_page() {
	seq "$1" "$2" | jq -cs --arg d "$DIALECT" --arg to "$2" '
		map({event_id: "e\(.)"} +
			if $d == "classic" then {sequence_no: ., type: "m"}
			else {cursor: "c\(.)", event_type: "m"} end +
			(if $d == "oauth" or . % 2 == 0 then {topic_id: "t"}
			else {} end) +
			{payload: {n: .}}) |
		if $d == "classic" then {items: ., next_cursor: null}
		else {events: .,
			next: {after: "c\($to)", has_more: (length > 0)}} end'
}

# put_credentials: such as an activation leaves, for whatever server.
put_credentials() {
	mkdir -p -m 700 "$HOME/.agentrux"
	(umask 077 && echo "{\"script_id\":\"scr_1\",$CLIENT\"client_secret\":\"hush\"}" \
		>"$HOME/.agentrux/credentials.json")
}

# events_after TOPIC POSITION: the events behind it (from the oldest on without one), as
# the service shows them, by curl alone, with the classic names of what is around
# the payloads.
events_after() {
	local url=$HUB_URL/topics/$1/events
	if [ "$DIALECT" = classic ]; then
		curl -sfG -H @<(agentrux-token --header) "$url" \
			-d limit=100 -d "after_sequence_no=${2:-0}"
	else
		curl -sfG -H @<(agentrux-token --header) "$url" \
			-d limit=100 -d order=asc \
			${2:+--data-urlencode "after=$2"} |
			sed 's/"events":\[/"items":[/; s/"event_type":/"type":/g'
	fi
}

# all_of TOPIC [POSITION]: all of them, as pages.
all_of() {
	local after=${2-} page
	while page=$(events_after "$1" "$after") &&
		[ "$(jq '.items | length' <<<"$page")" -gt 0 ]; do
		printf '%s\n' "$page"
		after=$(jq -r '.next.after // .items[-1].sequence_no' <<<"$page")
	done
}

count_after() {
	all_of "$@" | jq -s 'map(.items | length) | add // 0'
}

# saved TOPIC: the saved position as a number: how many events lie before it.
saved() {
	local file=$HOME/.agentrux/waterline.json at
	at=$(jq -r --arg t "$1" '.[$t]' "$file")
	if [ "$DIALECT" = oauth ] && [ "$at" != null ]; then
		at=$(($(count_after "$1") - $(count_after "$1" "$at")))
	fi
	echo "$at"
}

# position_at TOPIC N: the position behind the N-th event.
position_at() {
	all_of "$1" | jq -rs --argjson n "$2" \
		"[.[].items[]][\$n - 1] | .$(by_dialect sequence_no cursor)"
}

# new_agent NAME TOPIC:ACTION…: a script with grants, activated into the home
# ~/.agentrux (or $AGENTRUX_HOME).
new_agent() {
	local name=$1 home=${AGENTRUX_HOME:-$HOME/.agentrux} grants=() grant
	shift
	for grant; do
		grants+=(--grant "$grant")
	done
	hub script add "$name" "${grants[@]}" >/dev/null
	mkdir -p -m 700 "$home"
	(umask 077 && issue_code "$name" >"$home/BOOTSTRAP.md")
	agentrux-activate >/dev/null
}

# start_faults PLAN: the misbehaving server (see tests/faults.c); its requests
# are logged under $FAULTS_LOG. Sets FAULTS_URL and FAULTS_PID.
start_faults() {
	FAULTS_LOG=$BATS_TEST_TMPDIR/faults.log
	mkdir -p "$FAULTS_LOG"
	background "$BATS_TEST_TMPDIR/faults.out" \
		"$BUILD/tests/faults" "$1" "$FAULTS_LOG"
	FAULTS_PID=$LAST_PID
	wait_for 10 test -s "$BATS_TEST_TMPDIR/faults.out"
	FAULTS_URL=$(cat "$BATS_TEST_TMPDIR/faults.out")
	export AGENTRUX_BASE_URL=$FAULTS_URL
}

stop_faults() {
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	rm -r "$FAULTS_LOG" "$BATS_TEST_TMPDIR/faults.out"
}

# How many requests the fault server saw whose first line matches REGEX.
requests() {
	grep -lEs -m1 "$1" "$FAULTS_LOG"/*.req | wc -l
}
