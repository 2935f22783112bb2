#!/usr/bin/env bats
# The fault server's promises, seen through curl.

load helper

# plan LINE…: starts the server with these rules.
plan() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
}

# get PATH [curl options…]: the body on stdout, curl's status.
get() {
	local path=$1
	shift
	curl -sS --max-time 100 "$@" "$FAULTS_URL$path"
}

# Milliseconds since boot.
now_ms() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

@test "says its URL when it is ready and ends on SIGTERM with 0" {
	plan 'GET / body=hello'
	[[ $FAULTS_URL =~ ^http://127\.0\.0\.1:[0-9]+$ ]]
	[ "$(get /)" = hello ]
	kill -TERM "$FAULTS_PID"
	wait "$FAULTS_PID"
}

@test "takes a port, also one that was just in use" {
	plan 'GET / body=hello'
	port=${FAULTS_URL##*:}
	get / >/dev/null
	kill -TERM "$FAULTS_PID"
	wait "$FAULTS_PID"
	background "$BATS_TEST_TMPDIR/again" "$BUILD/tests/faults" \
		"$BATS_TEST_TMPDIR/plan" "$FAULTS_LOG" "$port"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/again"
	[ "$(cat "$BATS_TEST_TMPDIR/again")" = "$FAULTS_URL" ]
	[ "$(get /)" = hello ]
}

@test "ends when its parent dies" {
	: >"$BATS_TEST_TMPDIR/plan"
	# shellcheck disable=SC2016 # the inner shell's own words
	background "$BATS_TEST_TMPDIR/pid" bash -c \
		'"$1" "$2" "$3" >"$4" & echo $!; sleep 600 & wait $!' - \
		"$BUILD/tests/faults" "$BATS_TEST_TMPDIR/plan" \
		"$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/url"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/url"
	pid=$(cat "$BATS_TEST_TMPDIR/pid")
	sleep_pid=$(pgrep -P "$LAST_PID" -x sleep)
	PIDS+=("$sleep_pid")
	kill -KILL "$LAST_PID"
	gone() { ! kill -0 "$1" 2>/dev/null || grep -q ') Z ' "/proc/$1/stat"; }
	wait_for 10 gone "$pid"
}

@test "a wrong plan is named by file and line, with 65" {
	local bad
	for bad in 'GET' 'get / body=x' 'GET / colour=red' 'GET / status=99' 'GET / body="x' \
		'GET / body="\q"' 'GET / delay=' 'GET / body="x"y' \
		'GET / body=x file=/dev/null' 'GET / file=/nonexistent' \
		'GET / header=nocolon' 'GET / cut=-1' 'GET / close=1'; do
		printf '# comment\n\n%s\n' "$bad" >"$BATS_TEST_TMPDIR/plan"
		run --separate-stderr "$BUILD/tests/faults" \
			"$BATS_TEST_TMPDIR/plan" "$BATS_TEST_TMPDIR"
		echo "$bad: $status $output $stderr"
		[ "$status" -eq 65 ]
		[ -z "$output" ]
		[[ $stderr == "faults: $BATS_TEST_TMPDIR/plan:3: "* ]]
	done
}

@test "no plan and no folder are reported" {
	run "$BUILD/tests/faults" /nonexistent "$BATS_TEST_TMPDIR"
	[ "$status" -eq 74 ]
	: >"$BATS_TEST_TMPDIR/plan"
	run "$BUILD/tests/faults" "$BATS_TEST_TMPDIR/plan" /nonexistent
	[ "$status" -eq 66 ]
	run "$BUILD/tests/faults"
	[ "$status" -eq 64 ]
}

@test "the first rule answers first, the second second, the last for ever" {
	plan 'GET /x body=1' 'POST /x body=post' 'GET /x body=2' \
		'GET /* body=other' 'GET /x body=3'
	[ "$(get /x)$(get /x)$(get /x)$(get /x)" = 1233 ]
	[ "$(get /y)$(get /z/a)" = otherother ]
	[ "$(get /x -X POST)" = post ]
}

@test "a glob matches the path, or the path with its query" {
	plan 'GET /e?after=7 body=seven' 'GET /e body=any' '* /any body=method'
	[ "$(get '/e?after=7')" = seven ]
	[ "$(get '/e?after=8')" = any ]
	[ "$(get /e)" = any ]
	[ "$(get /any -X PATCH)" = method ]
}

@test "what no rule matches is a 404 in the service's shape" {
	plan 'GET /x body=1'
	run get /nothing -w '\n%{http_code}'
	[ "$output" = '{"error":{"code":"NOT_FOUND","message":"no rule"}}
404' ]
}

@test "values may be quoted, and \$URL is the server's own" {
	# shellcheck disable=SC2016 # it is the server that puts $URL in
	plan 'GET /a body="a \"b\" \\ c\r\nd"' "GET /b body='{\"u\":\"\$URL/p\"}'" \
		'GET /c status=302 header="Location: $URL/a"' 'GET /d body=""'
	[ "$(get /a)" = $'a "b" \\ c\r\nd' ]
	[ "$(get /b)" = "{\"u\":\"$FAULTS_URL/p\"}" ]
	[ "$(get /c -o /dev/null -w '%{redirect_url}')" = "$FAULTS_URL/a" ]
	[ "$(get /d -w '%{http_code} %{size_download}')" = "200 0" ]
}

@test "status and headers are sent; a header of the rule replaces our own" {
	local epoch='Thu, 01 Jan 1970 00:00:00 GMT' html='Content-Type: text/html'
	plan 'GET /a status=429 header="Retry-After: 7" header="X-A: b" body=x' \
		"GET /b $(printf 'header="%s" ' "Date: $epoch" "$html") body=x" \
		'GET /c header="Date:" header="Content-Type:" body=x'
	run get /a -D - -o /dev/null
	[[ $output == "HTTP/1.1 429 Too Many Requests"* ]]
	[[ $output == *"Retry-After: 7"* && $output == *"X-A: b"* ]]
	[[ $output == *"Content-Type: application/json"* ]]
	[[ $output == *"Content-Length: 1"* && $output == *"Date: "* ]]
	run get /b -D - -o /dev/null
	[ "$(grep -c '^Date: Thu, 01 Jan 1970' <<<"$output")" -eq 1 ]
	[ "$(grep -ci '^date:' <<<"$output")" -eq 1 ]
	[ "$(grep -ci '^content-type:' <<<"$output")" -eq 1 ]
	run get /c -D - -o /dev/null
	[ "$(grep -ciE '^(date|content-type):' <<<"$output")" -eq 0 ]
}

@test "a 204 and an answer to HEAD have no body" {
	plan 'GET /a status=204' 'HEAD /b body=12345' 'GET /c body=c'
	run get /a -D -
	[[ $output == "HTTP/1.1 204"* ]]
	[ "$(grep -ci content-length <<<"$output")" -eq 0 ]
	run get /b -I
	[[ $output == *"Content-Length: 5"* ]]
	[ "$(get /c)" = c ]
}

@test "a request is logged whole, before its answer" {
	plan 'POST /p delay=60000' 'GET / body=x'
	background "$BATS_TEST_TMPDIR/out" curl -s -H 'X-Is: there' \
		-A agent --data-binary $'{"a":\n1}' "$FAULTS_URL/p?q=1"
	wait_for 10 test -e "$FAULTS_LOG/0001.req"
	cat "$FAULTS_LOG/0001.req"
	[ "$(head -n 1 "$FAULTS_LOG/0001.req")" = 'POST /p?q=1 HTTP/1.1' ]
	grep -qx 'X-Is: there' "$FAULTS_LOG/0001.req"
	grep -qx 'User-Agent: agent' "$FAULTS_LOG/0001.req"
	[ "$(sed '1,/^$/d' "$FAULTS_LOG/0001.req")" = $'{"a":\n1}' ]
	get / >/dev/null
	[ -e "$FAULTS_LOG/0002.req" ]
	[ "$(requests '^GET / ')" -eq 1 ]
	[ "$(requests '^(GET|POST) /')" -eq 2 ]
	[ "$(find "$FAULTS_LOG" -name '.*' -type f | wc -l)" -eq 0 ]
}

@test "a chunked request body is logged as what it carries" {
	plan 'PUT /p status=201'
	seq 1 20000 >"$BATS_TEST_TMPDIR/body"
	run get /p -T - -w '%{http_code}' <"$BATS_TEST_TMPDIR/body"
	[ "$output" = 201 ]
	grep -q 'Transfer-Encoding: chunked' "$FAULTS_LOG/0001.req"
	sed '1,/^$/d' "$FAULTS_LOG/0001.req" | cmp - "$BATS_TEST_TMPDIR/body"
}

@test "a request that breaks off in its body is a .part" {
	plan 'POST /p body=x'
	exec {sock}<>"/dev/tcp/127.0.0.1/${FAULTS_URL##*:}"
	printf 'POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc' >&"$sock"
	exec {sock}>&-
	wait_for 10 test -e "$FAULTS_LOG/0001.part"
	[ "$(tail -n 1 "$FAULTS_LOG/0001.part")" = abc ]
	[ ! -e "$FAULTS_LOG/0001.req" ]
}

@test "what is no HTTP is a 400 and the end of the connection" {
	plan 'GET / body=x'
	exec {sock}<>"/dev/tcp/127.0.0.1/${FAULTS_URL##*:}"
	printf 'rubbish\r\n\r\n' >&"$sock"
	run timeout 50 cat <&"$sock"
	exec {sock}>&-
	[ "$status" -eq 0 ]
	[[ $output == "HTTP/1.1 400"* ]]
}

@test "one connection serves many requests, and pipelined ones" {
	plan 'GET /a body=a' 'POST /b body=b' \
		'GET /c body=c header="Connection: close"'
	run curl -sSv -d data "$FAULTS_URL/b" --next -s "$FAULTS_URL/a" \
		--next -s "$FAULTS_URL/a"
	[ "$(grep -c 'Connected to' <<<"$output")" -eq 1 ]
	[ "$(grep -c 'Re-using existing' <<<"$output")" -eq 2 ]
	exec {sock}<>"/dev/tcp/127.0.0.1/${FAULTS_URL##*:}"
	printf 'GET /%s HTTP/1.1\r\nHost: x\r\n\r\n' a a c >&"$sock"
	run timeout 50 cat <&"$sock"
	exec {sock}>&-
	[ "$status" -eq 0 ]
	[ "$(grep -c '^HTTP/1.1 200' <<<"${output//HTTP/$'\n'HTTP}")" -eq 3 ]
}

@test "an HTTP/1.0 client gets its answer and the end of the connection" {
	plan 'GET /a body=a'
	run get /a -0 -v
	[ "$status" -eq 0 ]
	[[ $output == *"Closing connection"* ]]
}

@test "Expect: 100-continue is answered before the body" {
	plan 'PUT /p body=done'
	head -c 300000 /dev/zero >"$BATS_TEST_TMPDIR/body"
	start=$(now_ms)
	run get /p -T "$BATS_TEST_TMPDIR/body" -H 'Expect: 100-continue' -v \
		--expect100-timeout 80
	[ "$status" -eq 0 ]
	[[ $output == *"HTTP/1.1 100 Continue"* ]]
	[ $(($(now_ms) - start)) -lt 50000 ]
}

@test "a file is the body, as it is, up to 64 MiB" {
	head -c 67108864 /dev/urandom >"$BATS_TEST_TMPDIR/big"
	plan "GET /f file=$BATS_TEST_TMPDIR/big" \
		"GET /c chunked file=$BATS_TEST_TMPDIR/big"
	get /f | cmp - "$BATS_TEST_TMPDIR/big"
	get /c | cmp - "$BATS_TEST_TMPDIR/big"
}

@test "delay holds back the whole answer" {
	plan 'GET /a delay=400 body=x'
	start=$(now_ms)
	[ "$(get /a)" = x ]
	[ $(($(now_ms) - start)) -ge 390 ]
}

@test "close ends the connection without an answer" {
	plan 'GET /a close' 'GET /a body=x'
	run get /a
	[ "$status" -eq 52 ] # empty reply
	[ -e "$FAULTS_LOG/0001.req" ]
	[ "$(get /a)" = x ]
}

@test "reset is an RST, without an answer or behind one" {
	plan 'GET /a reset' 'GET /b reset cut=3 body=abcdef'
	run get /a
	[ "$status" -eq 56 ]
	[[ $output == *"reset by peer"* ]]
	run get /b
	[ "$status" -eq 56 ] || [ "$status" -eq 18 ]
}

@test "hang never answers" {
	plan 'GET /a hang'
	run get /a --max-time 0.5
	[ "$status" -eq 28 ]
	[ -e "$FAULTS_LOG/0001.req" ]
}

@test "headers-only announces a body that never comes" {
	plan 'GET /a headers-only body=12345' 'GET /b headers-only'
	run get /a --max-time 0.5 -D -
	[ "$status" -eq 28 ]
	[[ $output == *"Content-Length: 5"* ]]
	[[ $output == *"0 out of 5 bytes received"* ]]
	run get /b --max-time 0.5
	[ "$status" -eq 28 ]
}

@test "drip sends one byte at a time" {
	plan 'GET /a drip=50 body=abcdefghij' \
		'GET /b drip=50 chunked body=abcdefghij' 'GET /c drip=0 body=abcd'
	start=$(now_ms)
	[ "$(get /a)" = abcdefghij ]
	[ $(($(now_ms) - start)) -ge 440 ]
	[ "$(get /b)" = abcdefghij ]
	[ "$(get /c)" = abcd ]
	[ "$(get /b --raw | grep -c $'^1\r$')" -eq 10 ]
}

@test "cut ends the connection inside the body" {
	plan 'GET /a cut=3 body=abcdef' 'GET /b cut=0 body=abcdef' \
		'GET /c cut=3 chunked body=abcdef' 'GET /d cut=3 body=abc'
	run --separate-stderr get /a
	[ "$status" -eq 18 ]
	[ "$output" = abc ]
	run get /b
	[ "$status" -eq 18 ]
	run --separate-stderr get /c
	[ "$status" -eq 18 ]
	[ "$output" = abc ]
	run get /d
	[ "$status" -eq 18 ]
}

@test "chunked is chunked, and the connection goes on" {
	plan 'GET /a chunked body=abc'
	run curl -sSv --raw "$FAULTS_URL/a" "$FAULTS_URL/a"
	[[ $output == *"Transfer-Encoding: chunked"* ]]
	[[ $output != *"Content-Length"* ]]
	[[ $output == *$'3\r\nabc\r\n0'* ]]
	[ "$(grep -c 'Re-using existing' <<<"$output")" -eq 1 ]
}

@test "hold keeps the stream open behind the body, without a length" {
	plan 'GET /s header="Content-Type: text/event-stream" body="data: 1\n\n" hold' \
		'GET /t hold=300 body=x' 'GET /u hold=100 reset chunked body=x'
	background "$BATS_TEST_TMPDIR/stream" curl -sSN -D "$BATS_TEST_TMPDIR/h" \
		"$FAULTS_URL/s"
	wait_for 10 grep -q 'data: 1' "$BATS_TEST_TMPDIR/stream"
	sleep 0.3
	kill -0 "$LAST_PID"
	run grep -ciE 'content-length|transfer-encoding' "$BATS_TEST_TMPDIR/h"
	[ "$output" -eq 0 ]
	start=$(now_ms)
	run get /t
	[ "$status" -eq 0 ]
	[ "$output" = x ]
	[ $(($(now_ms) - start)) -ge 290 ]
	run get /u
	[ "$status" -eq 56 ]
}

@test "a length that lies is sent as it is" {
	plan 'GET /a header="Content-Length: 2" body=abcdef' \
		'GET /b header="Content-Length: 9" body=abc' \
		'GET /c header="Content-Length:" body=abc'
	run get /a
	[ "$output" = ab ]
	run get /b
	[ "$status" -eq 18 ]
	run get /c
	[ "$status" -eq 0 ]
	[ "$output" = abc ]
}

@test "no-read leaves the request's body where it is" {
	plan 'PUT /a no-read hang' 'PUT /b no-read status=413 body=full'
	head -c 20000000 /dev/zero >"$BATS_TEST_TMPDIR/body"
	run get /a -T "$BATS_TEST_TMPDIR/body" -H 'Expect:' --max-time 2
	[ "$status" -eq 28 ]
	[ -e "$FAULTS_LOG/0001.req" ]
	run get /b -T "$BATS_TEST_TMPDIR/body" -H 'Expect:' -w '%{http_code}'
	[[ $output == *413* ]]
}

@test "a hundred clients at once are served and logged, each once" {
	plan 'GET /n* delay=600 body=x'
	start=$(now_ms)
	run --separate-stderr curl -sS -Z --parallel-max 100 "$FAULTS_URL/n[1-100]"
	[ "$output" = "$(printf 'x%.0s' {1..100})" ]
	[ $(($(now_ms) - start)) -lt 50000 ]
	[ "$(find "$FAULTS_LOG" -name '*.req' | wc -l)" -eq 100 ]
	[ "$(cat "$FAULTS_LOG"/*.req | grep -c '^GET /n')" -eq 100 ]
}
