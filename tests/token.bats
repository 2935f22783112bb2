# agentrux-token: one token for all processes of a user, in memory only.

load helper

OK='{"access_token":"tok-%s","refresh_token":"ref-%s"}'

# plan LINE…: the fault server with these rules, and credentials for it.
plan() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	H=$HOME/.agentrux
	[ -d "$H" ] || mkdir -m 700 "$H"
	(umask 077 && printf '{"base_url":"%s","script_id":"scr_1",%s"client_secret":"the-secret-of-this-test"}' \
		"$FAULTS_URL" "$CLIENT" >"$H/credentials.json")
	unset AGENTRUX_BASE_URL
}

# token N [MORE…]: a rule's body that grants tok-N, and ref-N.
token() {
	printf "body='{\"access_token\":\"tok-%s\",\"refresh_token\":\"ref-%s\"%s}'" "$1" "$1" \
		"${2-,\"expires_in\":3600}"
}

# Where the next token comes from. In the oauth dialect that is where the first
# one came from: what is called a refresh token in its answer is not looked at.
REFRESH_PATH=$(by_dialect /auth/refresh /oauth/token)

# ref N: what the cache holds of it.
ref() {
	by_dialect "ref-$1" null
}

# cache: the name of the one token file.
cache() {
	find "$AGENTRUX_RUNTIME_DIR" -name 'token-*' ! -name '*.lock' ! -name '*.new'
}

# edit FILTER: changes the cached token as jq says.
edit() {
	local file
	file=$(cache)
	jq -c "$1" "$file" >"$file.edited"
	chmod 600 "$file.edited"
	mv "$file.edited" "$file"
}

# Waits for all pids given; fails if one did.
all_well() {
	local pid
	for pid; do
		wait "$pid"
	done
}

@test "prints a token, a header, or an object" {
	plan "POST $TOKEN_PATH $(token 1)"
	run -0 --separate-stderr agentrux-token
	[ "$output" = tok-1 ] && [ -z "$stderr" ]
	run -0 agentrux-token --header
	[ "$output" = "Authorization: Bearer tok-1" ]
	run -0 agentrux-token --json
	[ "$(jq -c keys_unsorted <<<"$output")" = '["access_token","expires_at"]' ]
	end=$(date -d "$(jq -r .expires_at <<<"$output")" +%s)
	left=$((end - $(date +%s)))
	[ "$left" -gt 3500 ] && [ "$left" -le 3600 ]
	[ "$(requests .)" = 1 ]
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = "$(by_dialect \
		'{"script_id":"scr_1","client_secret":"the-secret-of-this-test"}' \
		'grant_type=client_credentials&client_id=crd_1&client_secret=the-secret-of-this-test')" ]
}

@test "a fresh cached token needs no network, no lock and no change to a file" {
	plan "POST $TOKEN_PATH $(token 1)"
	agentrux-token
	kill "$FAULTS_PID"
	rm "$AGENTRUX_RUNTIME_DIR"/*.lock
	export ABORT_LOG=$BATS_TEST_TMPDIR/log ABORT_PROGRAM=agentrux-token
	run -0 env LD_PRELOAD="$BUILD/tests/abort-at.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 agentrux-token
	[ "$output" = tok-1 ]
	[ "$(cat "$ABORT_LOG")" = "total 0" ]
	[ "$(ls -A "$AGENTRUX_RUNTIME_DIR")" = "$(basename "$(cache)")" ]
}

@test "100 cold starts, half of them as from cron: one request, one token" {
	plan "POST $TOKEN_PATH delay=100 $(token 1)" "POST $TOKEN_PATH $(token 2)"
	dir=$BATS_TEST_TMPDIR/out
	mkdir "$dir"
	pids=()
	for n in {1..50}; do
		background "$dir/a$n" agentrux-token
		pids+=("$LAST_PID")
		background "$dir/b$n" env -i HOME="$HOME" PATH="$PATH" \
			AGENTRUX_RUNTIME_DIR="$AGENTRUX_RUNTIME_DIR" agentrux-token
		pids+=("$LAST_PID")
	done
	all_well "${pids[@]}"
	[ "$(requests .)" = 1 ]
	[ "$(cat "$dir"/a[0-9]* "$dir"/b[0-9]* | sort | uniq -c | xargs)" = "100 tok-1" ]
}

@test "the place is the same without any variable, and mode 700" {
	plan "POST $TOKEN_PATH $(token 1)"
	agentrux-token
	name=$(basename "$(cache)")
	default=/dev/shm/agentrux-$(id -u)
	run -0 env -u AGENTRUX_RUNTIME_DIR agentrux-token
	run -0 env -i HOME="$HOME" PATH="$PATH" XDG_RUNTIME_DIR="$HOME" agentrux-token
	[ "$(requests .)" = 2 ]
	[ "$(stat -c '%a %u' "$default")" = "700 $(id -u)" ]
	[ "$(stat -c %a "$default/$name")" = 600 ]
	rm "$default/$name" "$default/$name.lock"
}

@test "in its last minute: 50 starts, one refresh" {
	plan "POST $TOKEN_PATH $(token 1)" \
		"POST $REFRESH_PATH delay=100 $(token 2)" "POST $REFRESH_PATH status=401"
	agentrux-token
	edit '.stale_ms = 0'
	[ "$(agentrux-token --status --json | jq -r .state)" = stale ]
	pids=()
	for n in {1..50}; do
		background "$BATS_TEST_TMPDIR/t$n" agentrux-token
		pids+=("$LAST_PID")
	done
	all_well "${pids[@]}"
	[ "$(cat "$BATS_TEST_TMPDIR"/t? "$BATS_TEST_TMPDIR"/t?? | sort -u)" = tok-2 ]
	[ "$(requests .)" = 2 ]
	[ "$(jq -r .refresh_token "$(cache)")" = "$(ref 2)" ]
	[ "$(tail -n 1 "$FAULTS_LOG/0002.req")" = "$(by_dialect \
		'{"refresh_token":"ref-1"}' "$(tail -n 1 "$FAULTS_LOG/0001.req")")" ]
}

@test "a refused refresh token is never sent again, by any process" {
	classic_only "no refresh tokens"
	plan "POST $TOKEN_PATH $(token 1)" "POST $TOKEN_PATH $(token 2)" \
		"POST $TOKEN_PATH $(token 3)" "POST $REFRESH_PATH status=401"
	agentrux-token
	edit '.stale_ms = 0'
	run -0 agentrux-token
	[ "$output" = tok-2 ]
	[ "$(requests 'ref-1')" = 1 ]
	edit '.stale_ms = 0 | del(.refresh_token)'
	run -0 agentrux-token
	[ "$output" = tok-3 ]
	[ "$(requests 'ref-1')" = 1 ]
}

@test "a refresh token is forgotten before it is sent" {
	classic_only "no refresh tokens"
	plan "POST $TOKEN_PATH $(token 1)" "POST $TOKEN_PATH $(token 2)" \
		"POST $REFRESH_PATH hang"
	agentrux-token
	edit '.stale_ms = 0'
	background "$BATS_TEST_TMPDIR/out" agentrux-token
	wait_for 5 test -s "$FAULTS_LOG/0002.req"
	[ "$(jq 'has("refresh_token")' "$(cache)")" = false ]
	kill -KILL "$LAST_PID"
	run -0 agentrux-token
	[ "$output" = tok-2 ]
	[ "$(requests /auth/refresh)" = 1 ]
}

@test "SIGKILL of the one that asks: one more request, nobody hangs" {
	plan "POST $TOKEN_PATH hang" "POST $TOKEN_PATH $(token 2)"
	background "$BATS_TEST_TMPDIR/first" agentrux-token
	first=$LAST_PID
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	pids=()
	for n in {1..20}; do
		background "$BATS_TEST_TMPDIR/t$n" agentrux-token
		pids+=("$LAST_PID")
	done
	kill -KILL "$first"
	all_well "${pids[@]}"
	[ "$(cat "$BATS_TEST_TMPDIR"/t? "$BATS_TEST_TMPDIR"/t?? | sort -u)" = tok-2 ]
	[ "$(requests .)" = 2 ]
}

@test "a damaged cache heals itself with one request" {
	plan "POST $TOKEN_PATH $(token 1)"
	agentrux-token
	file=$(cache)
	n=1
	for damage in ': >"$file"' 'head -c 300 /dev/zero >"$file"' \
		'echo garbage >"$file"' 'truncate -s 20 "$file"' 'echo "[]" >"$file"' \
		'echo "{\"access_token\":1}" >"$file"' 'head -c 100000 /dev/urandom >"$file"' \
		'chmod 644 "$file"' 'ln -sf /etc/passwd "$file"' \
		'printf "{\"access_token\":\"x\",\"expires_ms\":9e99,\"stale_ms\":\"1\"}" >"$file"'; do
		eval "$damage"
		n=$((n + 1))
		run -0 agentrux-token
		[ "$output" = tok-1 ]
		run -0 agentrux-token
		[ "$(requests .)" = "$n" ]
		[ "$(stat -c '%a %F' "$file")" = "600 regular file" ]
	done
}

@test "times that cannot be in the cache hold up nobody" {
	plan "POST $TOKEN_PATH $(token 1)"
	agentrux-token
	edit '{blocked_ms: 9000000000000000}'
	[ "$(agentrux-token)" = tok-1 ]
	edit '{failed: "x", failed_code: 75, failed_ms: 9000000000000000}'
	[ "$(agentrux-token)" = tok-1 ]
	[ "$(requests .)" = 3 ]
}

@test "a 429 is remembered for all until its end" {
	plan "POST $TOKEN_PATH status=429 header='Retry-After: 900'" \
		"POST $TOKEN_PATH $(token 2)"
	run -75 agentrux-token
	for n in 1 2 3; do
		run -75 --separate-stderr agentrux-token
		[[ $stderr == *"try again in "[89][0-9][0-9]" s" ]]
		[ -z "$output" ]
	done
	[ "$(agentrux-token --status --json | jq '.blocked_for <= 900')" = true ]
	[ "$(requests .)" = 1 ]
	# To forget the token is not to forget that.
	agentrux-token --forget
	run -75 agentrux-token
	[ "$(requests .)" = 1 ]
	edit '.blocked_ms = 1'
	[ "$(agentrux-token)" = tok-2 ]
	[ "$(requests .)" = 2 ]
}

@test "a 429 without Retry-After lasts a minute, one with a long one an hour" {
	plan "POST $TOKEN_PATH status=429" \
		"POST $TOKEN_PATH status=429 header='Retry-After: 999999'"
	run -75 agentrux-token
	left=$(agentrux-token --status --json | jq .blocked_for)
	[ "$left" -gt 30 ] && [ "$left" -le 60 ]
	rm "$(cache)"
	run -75 agentrux-token
	left=$(agentrux-token --status --json | jq .blocked_for)
	[ "$left" -gt 3500 ] && [ "$left" -le 3600 ]
}

@test "those who waited share a failure, too" {
	plan "POST $TOKEN_PATH until=$HOME/go status=503" \
		"POST $TOKEN_PATH status=500"
	background "$BATS_TEST_TMPDIR/first" agentrux-token --retry-time 0
	first=$LAST_PID
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	pids=()
	for n in {1..10}; do
		background "$BATS_TEST_TMPDIR/t$n" env ABORT_LOG="$HOME/log" \
			LD_PRELOAD="$BUILD/tests/abort-at.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			ABORT_PROGRAM=agentrux-token agentrux-token --retry-time 0
		pids+=("$LAST_PID")
	done
	all_wait() { [ "$(grep -cs 'open.*\.lock$' "$HOME/log")" = 10 ]; }
	wait_for 10 all_wait
	: >"$HOME/go"
	for pid in "$first" "${pids[@]}"; do
		code=0
		wait "$pid" || code=$?
		[ "$code" = 75 ]
	done
	[ "$(requests .)" = 1 ]
}

@test "temporary trouble is tried again, for as long as --retry-time" {
	plan "POST $TOKEN_PATH status=503" "POST $TOKEN_PATH close" \
		"POST $TOKEN_PATH body=garbage" "POST $TOKEN_PATH $(token 4)"
	run -75 agentrux-token --retry-time 0
	[ "$(requests .)" = 1 ]
	run -0 --separate-stderr agentrux-token
	[ "$output" = tok-4 ]
	[ "$(requests .)" = 4 ]
}

@test "what the service answers becomes an exit code" {
	plan "POST $TOKEN_PATH status=401 body='{\"error\":\"invalid_client\"}'" \
		"POST $TOKEN_PATH status=403" "POST $TOKEN_PATH status=404" \
		"POST $TOKEN_PATH status=422" "POST $TOKEN_PATH status=302"
	for code in 77 77 66 65 1; do
		run "-$code" --separate-stderr agentrux-token
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
	[ "$(requests .)" = 5 ]
}

@test "a wrong wall clock makes no extra request" {
	# The server lives in 2020, and so does the end it names.
	plan "POST $TOKEN_PATH header='Date: Wed, 01 Apr 2020 12:00:00 GMT' $(token 1 ',"expires_at":"2020-04-01T13:00:00Z"')" \
		"POST $TOKEN_PATH header='Date: Fri, 01 Apr 2039 12:00:00 GMT' $(token 2 ',"expires_at":2185272000000')" \
		"POST $TOKEN_PATH header=Date: $(token 3 ',"expires_at":"2001-01-01T00:00:00Z"')" \
		"POST $TOKEN_PATH header=Date: $(token 4 ',"expires_at":"2044-01-01T00:00:00Z"')" \
		"POST $TOKEN_PATH header='Date: Wed, 01 Apr 2020 12:00:00 GMT' $(token 5 ',"expires_at":"2020-04-01T11:00:00Z"')"
	for n in 1 2 3 4 5; do
		run -0 agentrux-token
		[ "$output" = "tok-$n" ]
		run -0 agentrux-token
		[ "$output" = "tok-$n" ]
		[ "$(requests .)" = "$n" ]
		left=$(agentrux-token --status --json | jq .expires_in)
		[ "$left" -gt 3500 ] && [ "$left" -le 3600 ]
		agentrux-token --forget
	done
}

@test "a clock that is a year off, or jumps, makes no extra request; a sleep does" {
	plan "POST $TOKEN_PATH $(token 1 ",\"expires_at\":\"$(date -u -d '+1 hour' +%FT%TZ)\"")" \
		"POST $TOKEN_PATH $(token 1)" "POST $REFRESH_PATH $(token 2)"
	at() {
		[ "$(env LD_PRELOAD="$BUILD/tests/wrong-clock.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 "${@:2}" \
			agentrux-token)" = "$1" ]
	}
	at tok-1 CLOCK_WALL=31536000
	at tok-1 CLOCK_WALL=0
	at tok-1 CLOCK_WALL=-31536000
	at tok-1 CLOCK_WALL=31536000 CLOCK_JUMPS=1
	at tok-1 CLOCK_WALL=-1500000000
	[ "$(requests .)" = 1 ]
	left=$(agentrux-token --status --json | jq .expires_in)
	[ "$left" -gt 3000 ] && [ "$left" -le 3600 ]
	# Got while the clock jumps, it lasts as long.
	agentrux-token --forget
	at tok-1 CLOCK_WALL=31536000 CLOCK_JUMPS=1
	at tok-1 CLOCK_WALL=0
	[ "$(requests .)" = 2 ]
	# The machine slept for an hour.
	at tok-2 CLOCK_BOOT=3600
	at tok-2 CLOCK_BOOT=3600 CLOCK_WALL=31536000
	[ "$(requests .)" = 3 ]
}

@test "a token that lives shortly is used for half its life" {
	lives() {
		by_dialect ",\"expires_at\":\"$(date -u -d "2020-04-01T12:00:00Z + $1 seconds" +%FT%TZ)\"" \
			",\"expires_in\":$1"
	}
	plan "POST $TOKEN_PATH header='Date: Wed, 01 Apr 2020 12:00:00 GMT' $(token 1 "$(lives 100)")" \
		"POST $REFRESH_PATH header='Date: Wed, 01 Apr 2020 12:00:00 GMT' $(token 2 "$(lives 2)")" \
		"POST $REFRESH_PATH $(token 3)"
	[ "$(agentrux-token)" = tok-1 ]
	[ "$(jq '.expires_ms - .stale_ms' "$(cache)")" = 50000 ]
	[ "$(agentrux-token)" = tok-1 ]
	edit '.stale_ms = 0'
	[ "$(agentrux-token)" = tok-2 ]
	three() { [ "$(agentrux-token)" = tok-3 ]; }
	wait_for 4 three
	[ "$(requests .)" = 3 ]
}

@test "--rejected drops the token only if it is still that one" {
	plan "POST $TOKEN_PATH $(token 1)" "POST $REFRESH_PATH $(token 2)"
	agentrux-token
	run -0 agentrux-token --rejected <<<"tok-0"
	[ -z "$output" ]
	[ "$(agentrux-token)" = tok-1 ]
	run -0 agentrux-token --rejected <<<"tok-1"
	[ "$(agentrux-token --status)" = none ]
	[ "$(jq -r .refresh_token "$(cache)")" = "$(ref 1)" ]
	[ "$(agentrux-token)" = tok-2 ]
	# Somebody else's late complaint about the old one.
	run -0 agentrux-token --rejected <<<"tok-1"
	[ "$(agentrux-token)" = tok-2 ]
	[ "$(requests .)" = 2 ]
}

@test "a 401 whose token was replaced meanwhile does not drop the new one" {
	plan "POST $TOKEN_PATH $(token 1)" \
		"POST /topics/t/events until=$HOME/go status=401" \
		"POST /topics/t/events body='{\"event_id\":\"e1\"}'"
	agentrux-token
	background "$BATS_TEST_TMPDIR/out" agentrux-publish t -d 1
	wait_for 5 test -s "$FAULTS_LOG/0002.req"
	edit '.access_token = "tok-9"'
	: >"$HOME/go"
	wait "$LAST_PID"
	[ "$(requests 'Bearer tok-1')" = 1 ]
	[ "$(requests 'Bearer tok-9')" = 1 ]
	[ "$(agentrux-token)" = tok-9 ]
	[ "$(requests "$TOKEN_PATH")" = 1 ]
}

@test "a 401 costs one new token and one repeat, not a loop" {
	plan "POST $TOKEN_PATH $(token 1)" "POST $REFRESH_PATH $(token 2)" \
		"POST /topics/t/events status=401"
	run -77 agentrux-publish t -d 1
	[ "$(requests 'Bearer tok-1')" = 1 ]
	[ "$(requests 'Bearer tok-2')" = 1 ]
	[ "$(requests .)" = 4 ]
}

@test "--forget drops both, and an empty cache is fine with all of them" {
	plan "POST $TOKEN_PATH $(token 1)"
	run -0 agentrux-token --forget
	run -0 agentrux-token --rejected <<<"tok-1"
	run -0 agentrux-token --status
	[ "$output" = none ]
	[ "$(requests .)" = 0 ]
	agentrux-token
	run -0 agentrux-token --forget
	[ -z "$output" ]
	[ -z "$(cache)" ]
	agentrux-token
	[ "$(requests "$TOKEN_PATH")" = 2 ]
	[ "$(requests /auth/refresh)" = 0 ]
}

@test "--status shows the state and never the token" {
	plan "POST $TOKEN_PATH $(token 1)"
	agentrux-token
	run -0 agentrux-token --status
	[[ $output == "fresh; ends in 3"* ]]
	run -0 agentrux-token --status --json
	[ "$(jq -r .state <<<"$output")" = fresh ]
	[[ $output != *tok-1* ]] && [[ $output != *ref-1* ]]
}

@test "two homes with the same credentials share the token, others do not" {
	plan "POST $TOKEN_PATH $(token 1)" "POST $TOKEN_PATH $(token 2)" "POST $TOKEN_PATH $(token 3)"
	cp -a "$H" "$HOME/b"
	cp -a "$H" "$HOME/c"
	cp -a "$H" "$HOME/d"
	sed -i 's/the-secret-of-this-test/another/' "$HOME/c/credentials.json"
	sed -i 's/scr_1/scr_2/; s/crd_1/crd_2/' "$HOME/d/credentials.json"
	[ "$(agentrux-token)" = tok-1 ]
	[ "$(agentrux-token --home "$HOME/b")" = tok-1 ]
	[ "$(AGENTRUX_HOME=$HOME/c agentrux-token)" = tok-2 ]
	[ "$(AGENTRUX_HOME=$HOME/d agentrux-token)" = tok-3 ]
	[ "$(agentrux-token --base-url "$FAULTS_URL/")" = tok-1 ]
	[ "$(requests .)" = 3 ]
}

@test "credentials as the plugin wrote them are read" {
	classic_only "so wrote the plugin"
	plan "POST $TOKEN_PATH $(token 1)"
	printf '{"base_url":"%s/","script_id":"scr_1","clientSecret":"the-secret-of-this-test"}' \
		"$FAULTS_URL" >"$H/credentials.json"
	[ "$(agentrux-token)" = tok-1 ]
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = \
		'{"script_id":"scr_1","client_secret":"the-secret-of-this-test"}' ]
}

@test "without a place in memory the token stays in the process, with a warning" {
	plan "POST $TOKEN_PATH $(token 1)"
	mkdir -m 700 "$HOME/disk"
	case $(stat -f -c %T "$HOME/disk") in
	tmpfs | ramfs) skip "everything here is in memory" ;;
	esac
	AGENTRUX_RUNTIME_DIR=$HOME/disk run -0 --separate-stderr agentrux-token
	[ "$output" = tok-1 ]
	[[ $stderr == *"not in memory"* ]]
	[ -z "$(ls -A "$HOME/disk")" ]
	mkdir -m 755 "$AGENTRUX_RUNTIME_DIR/open"
	AGENTRUX_RUNTIME_DIR=$AGENTRUX_RUNTIME_DIR/open run -0 --separate-stderr agentrux-token
	[[ $stderr == *"others may look"* ]]
	ln -s "$AGENTRUX_RUNTIME_DIR" "$HOME/link"
	AGENTRUX_RUNTIME_DIR=$HOME/link run -0 --separate-stderr agentrux-token
	[[ $stderr == *"symbolic link"* ]]
	[ "$(requests .)" = 3 ]
}

@test "a token that is no header value is refused" {
	plan "POST $TOKEN_PATH body='{\"access_token\":\"a\\nX: b\"}'"
	run -75 --separate-stderr agentrux-token --retry-time 0
	[ -z "$output" ]
	[[ $stderr != *"X: b"* ]]
}

@test "not set up: 78, with the command that mends it" {
	mkdir -m 700 "$HOME/.agentrux"
	run -78 agentrux-token
	[[ $output == *agentrux-activate* ]]
	run -78 agentrux-token --home "$HOME/nowhere"
	plan "* * status=500"
	chmod 604 "$H/credentials.json"
	run -78 agentrux-token
	[[ $output == *"chmod 600 '$H/credentials.json'"* ]]
	chmod 600 "$H/credentials.json"
	chmod 702 "$H"
	run -78 agentrux-token
	[[ $output == *"chmod 700 '$H'"* ]]
	chmod 700 "$H"
	mv "$H/credentials.json" "$H/other"
	ln -s other "$H/credentials.json"
	run -78 agentrux-token
	rm "$H/credentials.json"
	mkdir "$H/credentials.json"
	run -78 agentrux-token
	rmdir "$H/credentials.json"
	mkfifo -m 600 "$H/credentials.json"
	run -78 timeout 60 agentrux-token
	rm "$H/credentials.json"
	(umask 077 && truncate -s 100M "$H/credentials.json")
	run -78 agentrux-token
	[[ $output == *larger* ]]
	rm "$H/credentials.json"
	if [ "$(id -u)" = 0 ]; then
		cp -p "$H/other" "$H/credentials.json"
		chown 1 "$H/credentials.json"
		run -78 agentrux-token
		[[ $output == *"chown 0 '$H/credentials.json'"* ]]
	fi
	[ "$(requests .)" = 0 ]
}

@test "SIGTERM ends one that asks, and one that waits, within a second: 0" {
	plan "POST $TOKEN_PATH hang"
	background "$BATS_TEST_TMPDIR/a" agentrux-token
	a=$LAST_PID
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	background "$BATS_TEST_TMPDIR/b" agentrux-token
	b=$LAST_PID
	start=$(date +%s%N)
	sleep 0.1
	kill -TERM "$b" "$a"
	wait "$a"
	wait "$b"
	[ $((($(date +%s%N) - start) / 1000000)) -lt 11000 ]
	[ ! -s "$BATS_TEST_TMPDIR/a" ] && [ ! -s "$BATS_TEST_TMPDIR/b" ]
}

@test "a full disk on stdout is 74, a closed reader is quiet" {
	plan "POST $TOKEN_PATH $(token 1)"
	code=0
	agentrux-token >/dev/full 2>"$HOME/err" || code=$?
	[ "$code" = 74 ]
	run -0 --separate-stderr bash -c \
		'set -o pipefail; { sleep 0.2; agentrux-token; } | true'
	[ -z "$stderr" ]
}

@test "the place in memory may vanish under a running program" {
	plan "POST $TOKEN_PATH until=$HOME/go status=503" "POST $TOKEN_PATH $(token 2)"
	background "$BATS_TEST_TMPDIR/out" agentrux-token
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	rm -r "$AGENTRUX_RUNTIME_DIR"
	: >"$HOME/go"
	wait "$LAST_PID"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = tok-2 ]
	[ "$(agentrux-token)" = tok-2 ]
	[ "$(requests .)" = 2 ]
}

@test "wrong use: 64" {
	run -64 agentrux-token --header --json
	run -64 agentrux-token --rejected --forget
	run -64 agentrux-token tok-1
	run -64 agentrux-token --token tok-1
}
