#!/usr/bin/env bats
# Bad input, no set-up and bad servers: every program ends with the documented
# exit code and one helpful line.

load helper

# The programs that talk to the service, each as it is used.
TALKERS=(
	"agentrux-token --retry-time 0"
	"agentrux-drain --retry-time 0 topic-1"
	"agentrux-publish --retry-time 0 topic-1 -m hello"
	"agentrux-upload --retry-time 0 topic-1 $BATS_TEST_DIRNAME/helper.bash"
	"agentrux-download --retry-time 0 topic-1 obj_1"
	"agentrux-waterline --retry-time 0 latest topic-1"
)

# Credentials as activation leaves them, for a server at $1.
credentials() {
	mkdir -p -m 700 "$HOME/.agentrux"
	(umask 077 && jq -n --arg url "$1" --argjson client "{${CLIENT%,}}" \
		'{base_url: $url, script_id: "scr_1",
		client_secret: "not-a-real-one"} + $client' \
		>"$HOME/.agentrux/credentials.json")
}

# ends CODE COMMAND…: it ends so, with one line on stderr that begins with its
# name, and nothing on stdout.
ends() {
	local code=$1 status=0
	shift
	"$@" >"$HOME/out" 2>"$HOME/err" </dev/null || status=$?
	echo "$* → $status: $(cat "$HOME/err")"
	[ "$status" -eq "$code" ]
	[ ! -s "$HOME/out" ]
	[ "$(wc -l <"$HOME/err")" -eq 1 ]
	grep -q "^$1: " "$HOME/err"
}

@test "no operands where some are needed is 64" {
	ends 64 agentrux-watch
	ends 64 agentrux-publish
	ends 64 agentrux-upload
	ends 64 agentrux-download
	ends 64 agentrux-drain --once
	ends 64 agentrux-hub
	ends 64 agentrux-hub --db "$HUB_DB"
}

@test "an unknown option is 64, and so is a value that is not one" {
	for program in activate token watch drain publish upload download hub; do
		ends 64 "agentrux-$program" --no-such-option
	done
	ends 64 agentrux-drain --limit 0 topic-1
	ends 64 agentrux-drain --limit lots topic-1
	ends 64 agentrux-drain --from elsewhere topic-1
	ends 64 agentrux-watch --poll soon topic-1
	ends 64 agentrux-drain --timeout
}

@test "something that is no topic id is 64" {
	credentials http://127.0.0.1:1
	ends 64 agentrux-drain --once ../../etc
	ends 64 agentrux-publish '' -m hello
	ends 64 agentrux-upload 'a b' "$BATS_TEST_FILENAME"
	ends 64 agentrux-watch '?x'
}

@test "no credentials is 78, and the line says how to get some" {
	for talker in "${TALKERS[@]}" "agentrux-watch --once topic-1"; do
		# shellcheck disable=SC2086
		ends 78 $talker
		grep -q agentrux-activate "$HOME/err"
	done
	ends 66 agentrux-activate
}

@test "neither HOME nor AGENTRUX_HOME still finds the home, or says what to set" {
	# Without HOME the password database tells it: no crash, a clean end.
	run env -u HOME agentrux-token --home "$BATS_TEST_TMPDIR/none"
	[ "$status" -eq 78 ]
	[[ "$output" == *agentrux-activate* ]]
}

@test "a base URL that is none is 64 from an option and 78 from a file" {
	credentials https://127.0.0.1
	unset AGENTRUX_BASE_URL
	for url in "not a url" ftp://127.0.0.1 http://192.0.2.1 \
		https://user:pw@127.0.0.1; do
		ends 64 agentrux-token --base-url "$url"
	done
	credentials http://192.0.2.1
	ends 78 agentrux-token
}

@test "a server that is not there, or has no address, is 75" {
	credentials https://name.invalid
	ends 75 agentrux-token --retry-time 0
	credentials http://127.0.0.1:1
	for talker in "${TALKERS[@]}"; do
		# shellcheck disable=SC2086
		ends 75 $talker
	done
}

# answers CODE RULE: each talker ends so against a server of that rule, once it
# has a token.
answers() {
	local talker
	cat >"$HOME/plan" <<-EOF
		POST $TOKEN_PATH status=200 body="{\"access_token\":\"t\",\"expires_at\":\"2099-01-01T00:00:00Z\"}"
		POST /topics/* $2
		GET /topics/* $2
	EOF
	start_faults "$HOME/plan"
	credentials "$FAULTS_URL"
	for talker in "${TALKERS[@]:1}"; do
		# shellcheck disable=SC2086
		ends "$1" $talker
	done
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	rm -rf "$FAULTS_LOG" "$BATS_TEST_TMPDIR/faults.out"
}

@test "a server that answers HTML is 75" {
	answers 75 'status=200 header="Content-Type: text/html" body="<html>Bad gateway</html>"'
	answers 75 'status=502 header="Content-Type: text/html" body="<html>Bad gateway</html>"'
}

@test "a server that answers 500, nothing, half an answer or a reset is 75" {
	answers 75 'status=500 body="{\"error\":{\"code\":\"INTERNAL\",\"message\":\"oops\"}}"'
	answers 75 'close'
	answers 75 'status=200 body="{\"items\":[" cut=5'
	answers 75 'reset'
}

@test "400, 409, 413 and 422 are 65, 403 is 77, 404 is 66, 429 is 75" {
	for status in 400 409 413 422; do
		answers 65 "status=$status body=\"{\\\"detail\\\":\\\"no\\\"}\""
	done
	answers 77 'status=403 body="{}"'
	answers 66 'status=404 body="\"none\""'
	answers 75 'status=429 header="Retry-After: 9" body="{}"'
	answers 1 'status=302 header="Location: http://127.0.0.1:1/" body=""'
}

# breaks CODE RULE: the same in mid-life, once a page was read and an event was
# published. What was done is told, and never is the end a 0.
breaks() {
	local page
	page=$(by_dialect '"items":[{"event_id":"e-1","sequence_no":1,"type":"t"' \
		'"next":{"has_more":true},"events":[{"event_id":"e-1","cursor":"1","event_type":"t"')
	cat >"$HOME/plan" <<-EOF
		POST $TOKEN_PATH body='{"access_token":"t"}'
		POST $TOKEN_PATH body='{"access_token":"u"}'
		GET /topics/* body='{$page,"payload":1}]}'
		GET /topics/* $2
		POST /topics/*/events body='{"event_id":"e-2"}'
		POST /topics/*/events $2
	EOF
	start_faults "$HOME/plan"
	credentials "$FAULTS_URL"
	rm -f "$HOME"/.agentrux/waterline.json "$HOME"/.agentrux/ledger.db*
	run "-$1" --separate-stderr agentrux-drain --retry-time 0 \
		--from oldest --once topic-1
	echo "$stderr"
	[[ $output == *'"event_id":"e-1"'* ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[ "$(jq -r '."topic-1"' "$HOME/.agentrux/waterline.json")" = 1 ]
	run "-$1" --separate-stderr agentrux-publish --retry-time 0 --lines \
		topic-1 < <(seq 2)
	echo "$stderr"
	[ "$output" = '{"event_id":"e-2"}' ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	rm -rf "$FAULTS_LOG" "$BATS_TEST_TMPDIR/faults.out"
}

@test "the same trouble in mid-life has the same codes, and what was done is told" {
	for status in 400 409 413 422; do
		breaks 65 "status=$status"
	done
	breaks 77 'status=401'
	breaks 77 'status=403'
	breaks 66 'status=404'
	for rule in 'status=429 header="Retry-After: 9"' status=500 status=503 \
		close reset 'body="{\"items\":[" cut=5' 'body="<html>"'; do
		breaks 75 "$rule"
	done
	breaks 1 'status=302 header="Location: http://127.0.0.1:1/"'
}

@test "a token that is refused for ever is 77 after one new one" {
	answers 77 'status=401 body="{\"error\":{\"code\":\"UNAUTHORIZED\",\"message\":\"expired\"}}"'
}

@test "a secret that was rotated is 77, and the line says so" {
	echo "POST $TOKEN_PATH"' status=401 body="{\"error\":\"invalid_client\"}"' \
		>"$HOME/plan"
	start_faults "$HOME/plan"
	credentials "$FAULTS_URL"
	for talker in "${TALKERS[@]}"; do
		# shellcheck disable=SC2086
		ends 77 $talker
		grep -q "activate again" "$HOME/err"
	done
	[ "$(requests "POST $TOKEN_PATH")" -ge 4 ]
}

@test "where no token is to be had for now, every program says so at once, with 75" {
	echo "POST $TOKEN_PATH"' status=429 header="Retry-After: 50" body="{}"' \
		>"$HOME/plan"
	start_faults "$HOME/plan"
	credentials "$FAULTS_URL"
	local t0=$SECONDS talker
	for talker in "${TALKERS[@]//--retry-time 0/}"; do
		# shellcheck disable=SC2086
		ends 75 $talker
	done
	[ $((SECONDS - t0)) -lt 45 ]
	[ "$(requests "POST $TOKEN_PATH")" -eq 1 ]
}
