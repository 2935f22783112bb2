#!/usr/bin/env bats
# agentrux-activate --device: joining without a code, and the login that it
# brings. A server by plan stands in for the service, but for one test.

# shellcheck disable=SC2030,SC2031 # a test is a subshell, and so it should be
load helper

# A preloaded library comes before the sanitizer's.
export ASAN_OPTIONS=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

REGISTER='POST /oauth/register status=201 body="{\"client_id\":\"cli_1\"}"'
AUTHORIZE='POST /oauth/device/authorize body="{\"device_code\":\"dvc_not-for-any-log-1\",\"user_code\":\"ABCD-EFGH\",\"verification_uri\":\"$URL/device\",\"verification_uri_complete\":\"$URL/device?c=1\\u001b[2J\",\"expires_in\":900,\"interval\":1}"'
CREDENTIALS=.agentrux/credentials.json
LOGIN=.agentrux/login.json

# no WORD: a refusal to whoever waits; token N: the Nth token.
no() {
	echo "POST /oauth/token status=400 body='{\"error\":\"$1\"}'"
}

token() {
	echo "POST /oauth/token body='{\"access_token\":\"aat_$1\",\"refresh_token\":\"art_not-for-any-log-$1\",\"expires_in\":${2-600},\"script_id\":\"scr_1\"}'"
}

# serve RULE…
serve() {
	printf '%s\n' "$@" "$REGISTER" "$AUTHORIZE" >"$HOME/plan"
	start_faults "$HOME/plan"
}

# logged_in RULE…: a home with a login, whose token is not in the cache, and a
# server with these rules.
logged_in() {
	serve "$@"
	mkdir -m 700 "$HOME/.agentrux"
	(
		umask 077
		jq -n --arg url "$FAULTS_URL" '{base_url: $url,
			client_id: "cli_1"}' >"$HOME/$CREDENTIALS"
		echo '{"client_id":"cli_1","refresh_token":"art_first"}' \
			>"$HOME/$LOGIN"
	)
}

refreshes() {
	grep -ls 'grant_type=refresh_token' "$FAULTS_LOG"/*.req | wc -l
}

# No refresh token was sent twice.
once_each() {
	[ -z "$(grep -hso 'refresh_token=.*' "$FAULTS_LOG"/*.req | sort | uniq -d)" ]
}

# left FILE…: the files in the home, but for locks, are these.
left() {
	[ "$(cd "$HOME/.agentrux" && find . -type f ! -name '*.lock' -printf '%f\n' | sort | xargs)" = "$*" ]
}

# --- joining ---

@test "it shows an address and a code, waits, and says who it is" {
	serve "$(no authorization_pending)" "$(no slow_down)" "$(token 1)"
	agentrux-activate --device --json -vv >"$HOME/out" 2>"$HOME/err"
	[ "$(jq -c '[.outcome, .script_id, .client_id, .base_url]' "$HOME/out")" = \
		"[\"ok\",\"scr_1\",\"cli_1\",\"$FAULTS_URL\"]" ]
	grep -F "open $FAULTS_URL/device and enter the code ABCD-EFGH" "$HOME/err"
	grep -F "or open $FAULTS_URL/device?c=1" "$HOME/err"
	run ! grep -q $'\033' "$HOME/err"
	run ! grep -q 'not-for-any-log' "$HOME/err" "$HOME/out"
	grep -F 'scr_1 is set up' "$HOME/err"
	[ "$(requests '^POST /oauth/token ')" -eq 3 ]
	grep -qF 'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=cli_1&device_code=dvc_not-for-any-log-1' "$FAULTS_LOG/0003.req"
	jq -e '.token_endpoint_auth_method == "none"' <(tail -n 1 "$FAULTS_LOG/0001.req")
	left clients.json credentials.json login.json
	[ "$(stat -c %a "$HOME/$LOGIN" "$HOME/$CREDENTIALS" "$HOME/.agentrux/clients.json" | sort -u)" = 600 ]
	[ "$(jq -c keys "$HOME/$CREDENTIALS")" = '["base_url","client_id","script_id"]' ]
	# The token that came with it serves.
	[ "$(agentrux-token)" = aat_1 ]
	[ "$(refreshes)" -eq 0 ]
	run -0 agentrux-activate --status
	[ "$output" = "set up" ]
}

@test "a home that is set up is left alone, and asks nobody" {
	logged_in
	run -73 --separate-stderr agentrux-activate --device --json
	[ "$(jq -r .outcome <<<"$output")" = creds-already-present ]
	echo '{"script_id":"s","client_secret":"x"}' >"$HOME/$CREDENTIALS"
	run -73 agentrux-activate --device
	[ "$(requests .)" -eq 0 ]
	for other in --stdin --invite --rotate --recover --status; do
		run -64 agentrux-activate --device "$other" </dev/null
	done
}

@test "who is denied, or not let in in time, hears so: 77, and nothing is left" {
	local rule
	for rule in access_denied expired_token invalid_grant; do
		serve "$(no "$rule")"
		run -77 --separate-stderr agentrux-activate --device --json
		[ "$(jq -r '.outcome + " " + .error_code' <<<"$output")" = "permanent-failure $rule" ]
		left clients.json
		kill "$FAULTS_PID"
	done
	# Of its own, where the service does not say it.
	AUTHORIZE=${AUTHORIZE/900/2} serve "$(no authorization_pending)"
	run -77 agentrux-activate --device
	[[ $output == *"nobody did so in time"* ]]
}

@test "trouble while it waits is waited out" {
	serve "POST /oauth/token status=503" "POST /oauth/token body='<html>'" \
		"POST /oauth/token close" "POST /oauth/token body='{}'" "$(token 1)"
	agentrux-activate --device
	[ "$(requests '^POST /oauth/token ')" -eq 5 ]
	left clients.json credentials.json login.json
}

@test "a service that lets nobody join, or is in trouble, is told" {
	REGISTER='POST /oauth/register status=404' serve
	run -77 agentrux-activate --device
	[[ $output == *"lets nobody join this way; get an activation code"* ]]
	left
	kill "$FAULTS_PID"
	AUTHORIZE='POST /oauth/device/authorize body="<html>"' serve
	run -75 --separate-stderr agentrux-activate --device --json
	[ "$(jq -r .outcome <<<"$output")" = transient-failure ]
	left clients.json
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	run -75 agentrux-activate --device
}

@test "a client is registered once, and again if the service has forgotten it" {
	serve "$(no access_denied)"
	run -77 agentrux-activate --device
	run -77 agentrux-activate --device
	[ "$(requests '^POST /oauth/register ')" -eq 1 ]
	kill "$FAULTS_PID"
	(umask 077 && jq -n --arg url "$FAULTS_URL" '{($url): "cli_old"}' >"$HOME/.agentrux/clients.json")
	printf '%s\n' 'POST /oauth/device/authorize status=401 body={"error":"invalid_client"}' \
		"$AUTHORIZE" "$REGISTER" "$(token 1)" >"$HOME/plan"
	start_faults "$HOME/plan"
	(umask 077 && jq -n --arg url "$FAULTS_URL" '{($url): "cli_old"}' >"$HOME/.agentrux/clients.json")
	agentrux-activate --device
	[ "$(jq -r '.[]' "$HOME/.agentrux/clients.json")" = cli_1 ]
	[ "$(jq -r .client_id "$HOME/$LOGIN" "$HOME/$CREDENTIALS" | uniq)" = cli_1 ]
}

@test "told to end while it waits, it ends: 75, and nothing is left" {
	serve "$(no authorization_pending)"
	background "$HOME/out" agentrux-activate --device --json
	local pid=$LAST_PID status=0
	wait_for 10 grep -qs device_code "$FAULTS_LOG"/0003.req
	kill "$pid"
	wait "$pid" || status=$?
	[ "$status" -eq 75 ]
	[ "$(jq -r .outcome "$HOME/out")" = transient-failure ]
	left clients.json
	# As it does where it was killed; the next one works.
	background "$HOME/out" agentrux-activate --device
	wait_for 10 test -s "$HOME/.agentrux/credentials.json.new"
	kill -KILL "$LAST_PID"
	wait "$LAST_PID" || true
	kill "$FAULTS_PID"
	serve "$(token 1)"
	agentrux-activate --device
	left clients.json credentials.json login.json
}

# --- the login ---

@test "a refresh token is spent before it is sent, and the next one kept" {
	logged_in "$(token 2)" "$(token 3)"
	[ "$(agentrux-token)" = aat_2 ]
	[ "$(jq -r .refresh_token "$HOME/$LOGIN")" = art_not-for-any-log-2 ]
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = "grant_type=refresh_token&client_id=cli_1&refresh_token=art_first" ]
	agentrux-token --forget
	[ "$(agentrux-token)" = aat_3 ]
	[ "$(agentrux-token)" = aat_3 ]
	[ "$(refreshes)" -eq 2 ]
	once_each
	run ! grep -rq art_ "$AGENTRUX_RUNTIME_DIR"
}

@test "many at once refresh once, with a shared cache or without" {
	logged_in "$(token 2)"
	local i pids=()
	for i in 1 2 3 4; do
		background "$HOME/out$i" agentrux-token
		pids+=("$LAST_PID")
	done
	wait "${pids[@]}"
	[ "$(cat "$HOME"/out?)" = "$(printf 'aat_2\n%.0s' 1 2 3 4)" ]
	[ "$(refreshes)" -eq 1 ]
	pids=()
	for i in 1 2 3 4; do
		AGENTRUX_RUNTIME_DIR=$HOME/not-in-memory \
			background "$HOME/out$i" agentrux-token
		pids+=("$LAST_PID")
	done
	wait "${pids[@]}"
	# The plan gives the same token for ever: what was sent is what counts.
	[ "$(refreshes)" -eq 5 ]
}

@test "after a refresh without an answer people log in again" {
	local rule
	logged_in
	for rule in "status=500" "close" "body='<html>'" "status=429" \
		"status=400 body='{\"error\":\"invalid_grant\"}'"; do
		kill "$FAULTS_PID"
		echo '{"client_id":"cli_1","refresh_token":"art_first"}' >"$HOME/$LOGIN"
		rm -rf "$FAULTS_LOG" "$AGENTRUX_RUNTIME_DIR"/token-*
		serve "POST /oauth/token $rule"
		run -77 agentrux-token
		[[ $output == *"run agentrux-activate --device"* ]]
		[[ $output != *art_first* ]]
		rm -f "$AGENTRUX_RUNTIME_DIR"/token-*
		run -77 agentrux-token
		[[ $output == *"has ended; run agentrux-activate --device"* ]]
		[ "$(refreshes)" -eq 1 ]
	done
	run -0 agentrux-activate --status
	[[ $output == "the login has ended"* ]]
	kill "$FAULTS_PID"
	serve "$(token 7)"
	agentrux-activate --device
	[ "$(agentrux-token)" = aat_7 ]
	[ "$(jq -r .refresh_token "$HOME/$LOGIN")" = art_not-for-any-log-7 ]
}

@test "killed in the middle of a refresh, it does not send the token again" {
	logged_in "POST /oauth/token until=$HOME/never"
	background "$HOME/out" agentrux-token
	wait_for 10 test -e "$FAULTS_LOG/0001.req"
	kill -KILL "$LAST_PID"
	wait "$LAST_PID" || true
	run -77 agentrux-token
	[ "$(refreshes)" -eq 1 ]
	left credentials.json login.json
}

@test "a kill at any change loses the login at most, and sends nothing twice" {
	logged_in "$(token 2)"
	local n status
	for ((n = 1; ; n++)); do
		echo "{\"client_id\":\"cli_1\",\"refresh_token\":\"art_$n\"}" >"$HOME/$LOGIN"
		rm -f "$AGENTRUX_RUNTIME_DIR"/token-*
		status=0
		ABORT_AT=$n LD_PRELOAD=$BUILD/tests/abort-at.so \
			agentrux-token >"$HOME/out" || status=$?
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 137 ]
		rm -f "$AGENTRUX_RUNTIME_DIR"/token-*
		status=0
		agentrux-token >"$HOME/out" 2>&1 || status=$?
		[ "$status" -eq 0 ] || [ "$status" -eq 77 ]
	done
	[ "$n" -gt 5 ]
	[ "$(grep -hso 'refresh_token=art_[0-9][0-9]*' "$FAULTS_LOG"/*.req | sort | uniq -d)" = "" ]
}

# preloaded SHIM… : for LD_PRELOAD.
preloaded() {
	local shims=("${@/#/$BUILD/tests/}")
	echo "${shims[@]/%/.so}"
}

@test "killed at every step of joining: it is in, or another start lets it in" {
	serve "$(token 1)"
	local n status
	# The second between two looks is long.
	export CLOCK_SPEED=50
	for ((n = 1; ; n++)); do
		rm -rf "$HOME/.agentrux"
		status=0
		ABORT_AT=$n ABORT_PROGRAM=agentrux-activate \
			LD_PRELOAD=$(preloaded abort-at wrong-clock) \
			agentrux-activate --device || status=$?
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 137 ]
		case $(agentrux-activate --status) in
		*"run agentrux-activate --recover") agentrux-activate --recover ;;
		"set up") ;;
		*) LD_PRELOAD=$(preloaded wrong-clock) agentrux-activate --device ;;
		esac
		left clients.json credentials.json login.json
		rm -f "$AGENTRUX_RUNTIME_DIR"/token-*
		[ "$(agentrux-token)" = aat_1 ]
	done
	[ "$n" -gt 25 ]
}

# failing HOW N PROGRAM…: its Nth change fails, HOW being FAIL_AT:ERRNO, or all
# from there on, FAIL_FROM:ERRNO. The exit code is in $status, what it said in
# ~/err. False where there were not so many.
failing() {
	rm -f "$HOME/log"
	status=0
	env "${1%:*}=$2" FAIL_ERRNO="${1#*:}" ABORT_PROGRAM="$3" \
		ABORT_LOG="$HOME/log" LD_PRELOAD="$(preloaded abort-at wrong-clock)" \
		CLOCK_SPEED=50 "${@:3}" >"$HOME/out" 2>"$HOME/err" || status=$?
	echo "$1 $2: $status $(cat "$HOME/err")"
	[ "$2" -le "$(sed -n 's/^total //p' "$HOME/log")" ]
}

@test "a disk that fails at any step of joining is 74, and another start lets it in" {
	serve "$(token 1)"
	local how n status
	for how in FAIL_AT:EIO FAIL_FROM:ENOSPC; do
		rm -rf "$HOME/.agentrux"
		for ((n = 1; ; n++)); do
			failing "$how" "$n" agentrux-activate --device || break
			[ "$status" -eq 74 ] || [ "$status" -eq 0 ]
			[ "$status" -eq 0 ] || [ -s "$HOME/err" ]
			case $(agentrux-activate --status) in
			*"run agentrux-activate --recover") agentrux-activate --recover ;;
			"set up") ;;
			*) LD_PRELOAD=$(preloaded wrong-clock) CLOCK_SPEED=50 \
				agentrux-activate --device ;;
			esac
			left clients.json credentials.json login.json
			rm -rf "$AGENTRUX_RUNTIME_DIR"/token-* "$HOME/.agentrux"
		done
		[ "$n" -gt 15 ]
	done
}

@test "a disk that fails at any step of a refresh costs no login, or says so" {
	logged_in "$(token 2)"
	local how n status before
	for how in FAIL_AT:EIO FAIL_FROM:EIO FAIL_FROM:ENOSPC; do
		for ((n = 1; ; n++)); do
			echo "{\"client_id\":\"cli_1\",\"refresh_token\":\"art_$n\"}" >"$HOME/$LOGIN"
			rm -f "$AGENTRUX_RUNTIME_DIR"/token-*
			before=$(refreshes)
			failing "$how" "$n" agentrux-token --retry-time 0 || break
			[ "$status" -eq 74 ] || [ "$status" -eq 0 ]
			cat "$HOME/$LOGIN"
			if [ "$(refreshes)" -eq "$before" ]; then
				grep -q "\"art_$n\"" "$HOME/$LOGIN" ||
					grep -q 'is lost; run agentrux-activate --device' "$HOME/err"
			elif ! grep -q '"art_not-for-any-log-2"' "$HOME/$LOGIN"; then
				[[ $how = FAIL_FROM* && $status -eq 74 ]]
				grep -q 'this login ends with its present token' "$HOME/err"
			fi
		done
		[ "$n" -gt 5 ]
	done
}

@test "a service that is not there costs no login" {
	logged_in "$(token 2)"
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	run -75 agentrux-topics --retry-time 0
	[ "$(jq -r .refresh_token "$HOME/$LOGIN")" = art_first ]
	serve "$(token 2)"
	[ "$(agentrux-token --base-url "$FAULTS_URL")" = aat_2 ]
}

@test "a login that others can read, or that is damaged, is 78" {
	logged_in "$(token 2)"
	chmod 644 "$HOME/$LOGIN"
	run -78 agentrux-token
	[[ $output == *"chmod 600"* ]]
	chmod 600 "$HOME/$LOGIN"
	echo '{"client_id' >"$HOME/$LOGIN"
	run -78 agentrux-token
	[ "$(requests .)" -eq 0 ]
}

@test "end to end: let in beside it, published, drained, refreshed" {
	local topic code
	topic=top_$(hub topic add commands)
	hub script add agent-1 --grant commands:read --grant commands:write >/dev/null
	start_hub --token-ttl 4
	background "$HOME/out" agentrux-activate --device --json
	local pid=$LAST_PID
	wait_for 10 grep -qs 'enter the code' "$HOME/out.err"
	code=$(grep -o 'code [A-Z-]*' "$HOME/out.err" | cut -d' ' -f2)
	hub device approve "$code" agent-1
	wait "$pid"
	[ "$(jq -r .script_id "$HOME/out")" = "$(hub script list | jq -r .script_id)" ]
	agentrux-drain --from oldest "$topic" </dev/null
	local first last
	first=$(jq -r .refresh_token "$HOME/$LOGIN")
	agentrux-publish "$topic" -m hello
	# Its own words come back, with token after token.
	[ "$(agentrux-drain "$topic" </dev/null | jq -r .payload.message)" = hello ]
	refreshed() {
		agentrux-publish "$topic" -m again >/dev/null
		[ "$(jq -r .refresh_token "$HOME/$LOGIN")" != "$1" ]
	}
	wait_for 10 refreshed "$first"
	last=$(jq -r .refresh_token "$HOME/$LOGIN")
	wait_for 10 refreshed "$last"
	[ "$(agentrux-drain "$topic" </dev/null | jq -r .payload.message | sort -u)" = again ]
}
