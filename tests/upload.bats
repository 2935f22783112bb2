#!/usr/bin/env bats
# agentrux-upload: files become payload objects; the presigned request is exactly
# what the storage has signed.

load helper

# A hub, the topic $T, and us with every grant.
prepare() {
	start_hub "$@"
	T=$(new_topic work)
	new_agent writer "$T:read" "$T:write"
	cd "$HOME" || return
}

# The bytes of the object of an attachment line, by curl alone.
object() {
	local id
	id=$(jq -r '.object_id // .payload_object_id' <<<"$1")
	curl -sf "$(curl -sf -H @<(agentrux-token --header) \
		"$HUB_URL/topics/$T/payloads/$id" |
		jq -r '.download_url // .presigned_get_url')"
}

# reservation [URL]: what is answered to one.
reservation() {
	# shellcheck disable=SC2016 # $URL is the server's to fill in
	local url=${1:-'$URL/put/a%2Fb/../c?sig=x%2By&e=1'}
	by_dialect "{\"object_id\":\"obj_1\",\"upload_url\":\"$url\"}" \
		"{\"payload_object_id\":\"obj_1\",\"presigned_put_url\":\"$url\",\"required_headers\":{\"Content-Type\":\"text/plain\"}}"
}

# The fault server with a token, a reservation to give, and these further rules
# (before the ones that serve well); credentials for it; $T is a topic.
prepare_faults() {
	T=$(by_dialect '' top_)11111111-2222-4333-8444-555555555555
	{
		echo "$TOKEN_RULE"
		printf '%s\n' "$@"
		echo "POST /topics/*/payloads body='$(reservation)'"
		echo "PUT * status=200"
		echo "POST /topics/*/events body='{\"event_id\":\"evt_1\"}'"
	} >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	put_credentials
	cd "$HOME" || return
	echo hello >hello.txt
}

# The logged request number N of those whose first line matches REGEX.
request() {
	grep -lE -m1 "$2" "$FAULTS_LOG"/*.req | sed -n "$1p" | xargs cat
}

# Waits for the background program, which has to end with CODE.
ends() {
	local code=0
	wait "$LAST_PID" || code=$?
	[ "$code" = "$1" ]
}

@test "a file arrives bit for bit, with name, type and size in its line" {
	prepare
	for size in 0 1 51199 51200 51201 3000000; do
		head -c $size /dev/urandom >"f $size"
		run -0 agentrux-upload "$T" "f $size"
		[ "$(jq -r '.name,.size' <<<"$output" | paste -sd/)" = \
			"f $size/$size" ]
		[ "$(jq -r 'keys_unsorted|join(" ")' <<<"$output")" = \
			"$(by_dialect 'name object_id content_type size download_url' \
				'name payload_object_id content_type size checksum_sha256')" ]
		object "$output" | cmp - "f $size"
	done
}

@test "many files: one line each in the order of the operands, with -j too" {
	prepare
	for n in $(seq 30); do echo "$n" >"$n.txt"; done
	run -0 agentrux-upload -j 5 "$T" {1..30}.txt
	[ "$(printf '%s\n' "${lines[@]}" | jq -r .name | paste -sd' ')" = \
		"$(echo {1..30}.txt)" ]
	object "${lines[16]}" | cmp - 17.txt
}

@test "the type comes from the bytes, and from the name where they say little" {
	prepare
	printf '# T\n' >a.md
	printf 'a,b\n1,2\n' >a.csv
	printf '{"a":1}\n' >a.json
	printf 'plain\n' >a.txt
	printf 'plain\n' >noname
	printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0' >lie.txt
	printf '%%PDF-1.4\n' >a.pdf
	: >empty
	: >empty.md
	printf '\1\2\3\0' >bin
	agentrux-upload "$T" a.md a.csv a.json a.txt noname lie.txt a.pdf empty \
		empty.md bin | jq -r '"\(.name) \(.content_type)"' >out
	diff - out <<-EOF
		a.md text/markdown
		a.csv text/csv
		a.json application/json
		a.txt text/plain
		noname text/plain
		lie.txt image/png
		a.pdf application/pdf
		empty application/octet-stream
		empty.md text/markdown
		bin application/octet-stream
	EOF
	run -0 agentrux-upload --content-type 'text/x-own; charset=utf-8' "$T" bin
	[ "$(jq -r .content_type <<<"$output")" = 'text/x-own; charset=utf-8' ]
}

@test "the presigned request: these headers, the bytes, the URL as given, no token" {
	prepare_faults
	run -0 --separate-stderr agentrux-upload -vv "$T" hello.txt
	request 1 '^PUT ' | sed 's/:[0-9]*$//' >got
	diff - got <<-EOF
		PUT /put/a%2Fb/../c?sig=x%2By&e=1 HTTP/1.1
		Host: 127.0.0.1
		User-Agent: agentrux/$(agentrux-upload --version | cut -d' ' -f2)
		Content-Type: text/plain
		Content-Length: 6

		hello
	EOF
	[ "$(request 1 '^POST /topics' | tail -n 1)" = "$(by_dialect \
		'{"content_type":"text/plain","filename":"hello.txt","size":6}' \
		'{"size_bytes":6,"content_type":"text/plain","checksum_sha256":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="}')" ]
	# A presigned URL is a key: it is not for a log.
	[[ $stderr != *sig=* ]]
	# The reservation named no URL to fetch it from: the object's stands in.
	[ "$(jq -r .download_url <<<"$output")" = \
		"$(by_dialect "$FAULTS_URL/topics/$T/payloads/obj_1" null)" ]
}

@test "a storage on another host gets the bytes, and never the token" {
	mkdir "$BATS_TEST_TMPDIR/other"
	printf 'PUT /put* status=307 header="Location: /moved"\n' \
		>"$BATS_TEST_TMPDIR/other.plan"
	background "$BATS_TEST_TMPDIR/other.out" "$BUILD/tests/faults" \
		"$BATS_TEST_TMPDIR/other.plan" "$BATS_TEST_TMPDIR/other"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/other.out"
	other=$(cat "$BATS_TEST_TMPDIR/other.out")
	prepare_faults "POST /topics/*/payloads body='$(reservation "$other/put?x")'"
	run -1 agentrux-upload "$T" hello.txt
	[ "$(cat "$BATS_TEST_TMPDIR"/other/*.req | grep -c '^PUT ')" = 1 ]
	grep -qx hello "$BATS_TEST_TMPDIR"/other/*.req
	[ "$(cat "$BATS_TEST_TMPDIR"/other/* | grep -ciE 'authorization|tok')" = 0 ]
}

@test "an empty file has a Content-Length too" {
	prepare_faults
	: >empty
	agentrux-upload "$T" empty
	request 1 '^PUT ' | grep -x 'Content-Length: 0'
	[ "$(request 1 '^PUT ' | grep -ciE '^(transfer-encoding|expect|authorization)')" = 0 ]
}

@test "a redirect of the presigned request is not followed" {
	prepare_faults 'PUT /put/* status=307 header="Location: $URL/elsewhere"'
	run -1 --separate-stderr agentrux-upload "$T" hello.txt
	[[ $stderr == *"answered 307"* ]]
	[ "$(requests '^PUT ')" = 1 ]
}

@test "an expired URL leads to a new reservation, a bounded number of times" {
	prepare_faults "PUT /put/* status=403 body='Request has expired'" \
		"PUT /put/* status=200"
	run -0 agentrux-upload "$T" hello.txt
	[ "$(requests '^POST /topics/.*/payloads')" = 2 ]
}

@test "a URL that keeps expiring is 75, one that is always refused 77" {
	prepare_faults "PUT /put/* status=403 body='Request has expired'"
	run -75 agentrux-upload --retry-time 0 "$T" hello.txt
	[ "$(requests '^POST /topics/.*/payloads')" = 3 ]
	[ "$(requests '^PUT ')" = 3 ]
}

@test "a storage that refuses is 77" {
	prepare_faults "PUT /put/* status=403 body='<Error><Code>SignatureDoesNotMatch</Code></Error>'"
	run -77 --separate-stderr agentrux-upload "$T" hello.txt
	[[ $stderr == *"answered 403 SignatureDoesNotMatch"* ]]
	[ "$(requests '^PUT ')" = 3 ]
}

@test "temporary trouble of the storage is retried with the same URL" {
	prepare_faults "PUT /put/* status=503" "PUT /put/* reset" \
		"PUT /put/* status=200"
	run -0 agentrux-upload "$T" hello.txt
	[ "$(requests '^POST /topics/.*/payloads')" = 1 ]
	[ "$(requests '^PUT ')" = 3 ]
}

@test "--retry-time 0 is one attempt" {
	prepare_faults "PUT /put/* status=503"
	run -75 agentrux-upload --retry-time 0 "$T" hello.txt
	[ "$(requests '^PUT ')" = 1 ]
}

@test "a reservation that is refused has the documented code" {
	for pair in 403:77 404:66 413:65 422:65 500:75; do
		prepare_faults "POST /topics/*/payloads status=${pair%:*}"
		run "-${pair#*:}" agentrux-upload --retry-time 0 "$T" hello.txt
		[ "$(requests '^PUT ')" = 0 ]
		stop_faults
	done
}

@test "a file that grows, shrinks, is written to or replaced meanwhile is 65" {
	prepare_faults "PUT /put/* status=200 until=$HOME/go"
	for change in 'echo more >>big' 'truncate -s 5 big' \
		'printf x | dd of=big conv=notrunc status=none' \
		'cp big new; mv new big'; do
		head -c 100000 /dev/zero >big
		sleep 0.02
		background out agentrux-upload "$T" big
		n=$(requests '^PUT ')
		while [ "$(requests '^PUT ')" = "$n" ]; do sleep 0.02; done
		eval "$change"
		: >"$HOME/go"
		ends 65
		rm "$HOME/go"
		[ ! -s out ]
		grep -E 'meanwhile' out.err
	done
}

@test "a file that shrinks in the middle of the transfer fails cleanly" {
	prepare_faults "PUT /put/* until=$HOME/go no-read"
	truncate -s 300M big
	background out agentrux-upload "$T" big
	wait_for 5 test -e "$FAULTS_LOG/0003.req"
	truncate -s 1000 big
	touch "$HOME/go"
	ends 65
	[ ! -s out ]
}

@test "the checksum is that of the bytes, however often they were sent" {
	prepare_faults "PUT /put/* no-read reset" "PUT /put/* status=503" \
		"PUT /put/* status=403" "PUT /put/* status=200"
	head -c 3000000 /dev/urandom >big
	run -0 agentrux-upload --checksum "$T" big
	[ "$(jq -r .checksum_sha256 <<<"$output")" = \
		"$(sha256sum big | cut -d' ' -f1)" ]
	: >empty
	run -0 agentrux-upload --checksum "$T" empty
	[ "$(jq -r .checksum_sha256 <<<"$output")" = \
		"$(sha256sum empty | cut -d' ' -f1)" ]
}

@test "a storage that says yes before it has all is not believed" {
	early='no-read header="Connection: close"'
	prepare_faults "PUT /put/* status=201 $early" "PUT /put/* status=200"
	truncate -s 30M big
	run -0 agentrux-upload "$T" big
	[ "$(requests '^PUT ')" = 2 ]
	stop_faults
	# Nor where an earlier attempt, which failed, had brought it all.
	prepare_faults "PUT /put/* status=503 no-log" "PUT /put/* $early" \
		"PUT /put/* no-log"
	run -0 agentrux-upload --checksum "$T" big
	[ "$(requests '^PUT ')" = 3 ]
	stop_faults
	# One that reads on behind its answer has it all in the end.
	prepare_faults "PUT /put/* no-read"
	run -0 agentrux-upload "$T" big
	[ "$(requests '^PUT ')" = 1 ]
}

@test "a storage that refuses before it has all, and closes, is heard" {
	for pair in 403:77 400:65 413:65; do
		prepare_faults "PUT /put/* status=${pair%:*} no-read header='Connection: close' body='<Code>TooMuch</Code>'"
		truncate -s 300M big
		run "-${pair#*:}" --separate-stderr agentrux-upload "$T" big
		[[ $stderr == *"answered ${pair%:*} TooMuch"* ]]
		stop_faults
	done
}

@test "a storage that stalls is given up after half a minute: 75" {
	prepare_faults "PUT /put/* no-read hang"
	truncate -s 30M big
	run -75 --separate-stderr env CLOCK_SPEED=40 \
		LD_PRELOAD="$BUILD/tests/wrong-clock.so" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		agentrux-upload --retry-time 0 "$T" big
	[[ $stderr == *"no byte came within 30 s"* ]]
	[ "$(requests '^PUT ')" = 1 ]
}

@test "standard input of unknown length, under a name of its own" {
	prepare
	head -c 200000 /dev/urandom >random
	run -0 agentrux-upload --name data.bin --checksum "$T" - \
		< <(cat random)
	[ "$(jq -r .name <<<"$output")" = data.bin ]
	[ "$(jq .size <<<"$output")" = 200000 ]
	object "$output" | cmp - random
	run -64 agentrux-upload "$T" - <random
}

@test "what is no regular file is copied first" {
	prepare
	run -0 agentrux-upload "$T" <(echo from a pipe)
	object "$output" | grep -x 'from a pipe'
}

@test "a symbolic link is followed" {
	prepare
	echo here >there
	ln -s there link
	run -0 agentrux-upload "$T" link
	[ "$(jq -r .name <<<"$output")" = link ]
	object "$output" | cmp - there
}

@test "--checksum adds the SHA-256 in hex" {
	prepare
	head -c 1000000 /dev/urandom >f
	run -0 agentrux-upload --checksum "$T" f
	[ "$(jq -r .checksum_sha256 <<<"$output")" = \
		"$(sha256sum f | cut -d' ' -f1)" ]
}

@test "--turn keeps the lines under the home, oldest first" {
	prepare
	for n in 1 2 3; do echo "$n" >"$n.txt"; done
	agentrux-upload --turn turn-7 -j 3 "$T" 1.txt 2.txt 3.txt >out
	cat .agentrux/turns/turn-7/*.json | cmp - out
	[ "$(stat -c %a .agentrux/turns .agentrux/turns/turn-7 | sort -u)" = 700 ]
	[ "$(stat -c %a .agentrux/turns/turn-7/* | sort -u)" = 600 ]
	for id in ../x a/b . -x ''; do
		run -64 agentrux-upload --turn="$id" "$T" 1.txt
	done
}

@test "what is not there is 66, and the other files are stored" {
	prepare
	echo 1 >one
	run -66 --separate-stderr agentrux-upload "$T" nothing . one
	[ "$(jq -r .name <<<"$output")" = one ]
	[[ $stderr == *nothing* ]]
	run -66 agentrux-upload "$T" nothing
}

@test "awkward names stay what they are, and steer no terminal" {
	prepare_faults
	for n in '-rf' ' ' 'é漢' $'a"b\\c' '$(x)' $'esc\e[2Jape'; do
		echo 1 >"./$n"
		run -0 --separate-stderr agentrux-upload "$T" -- "./$n"
		[ "$(jq -r .name <<<"$output")" = "$n" ]
	done
	echo 1 >$'bad\xff'
	run -65 --separate-stderr agentrux-upload "$T" $'bad\xff'
	[[ $stderr == *--name* ]]
	run -66 --separate-stderr agentrux-upload "$T" $'no\e[2J'
	[[ $stderr != *$'\e'* ]]
	run -0 agentrux-upload --name good "$T" $'bad\xff'
	[ "$(jq -r .name <<<"$output")" = good ]
}

@test "wrong use is 64" {
	for args in "" "t" "a/b x" "t - " "t x y --name n" "t x --name ''" \
		"t x --content-type text" "t x --content-type \$'a/b\\r\\nX: y'" \
		"t x -j 0" "t x -j 65"; do
		eval "run -64 agentrux-upload $args"
	done
	run -78 agentrux-upload t x
}

@test "SIGTERM ends an upload within a second, with 0" {
	prepare_faults 'PUT /put/* hang'
	background out agentrux-upload -j 2 "$T" hello.txt hello.txt hello.txt
	wait_for 5 test -e "$FAULTS_LOG/0005.req"
	start=$(date +%s%N)
	kill "$LAST_PID"
	wait "$LAST_PID"
	[ $(($(date +%s%N) - start)) -lt 10000000000 ]
	[ ! -s out ]
}

@test "/dev/full is 74, a reader that closed is quiet" {
	prepare
	echo 1 >one
	run -74 bash -c "agentrux-upload $T one >/dev/full"
	run -0 --separate-stderr bash -c "agentrux-upload $T one one one one one |
		head -n 1 >/dev/null; exit \${PIPESTATUS[0]}"
	[ -z "$stderr" ]
}

@test "256 MiB in little memory" {
	! grep -qE "__[at]san_init" "$BUILD/bin/agentrux-upload" ||
		skip "a sanitizer takes memory of its own"
	prepare
	truncate -s 256M big
	"$BUILD/tests/peak" mem agentrux-upload --checksum "$T" big
	[ "$(cat mem)" -lt 16384 ]
	"$BUILD/tests/peak" mem agentrux-upload "$T" - --name b <big
	[ "$(cat mem)" -lt 16384 ]
}

@test "a progress bar is for a terminal only" {
	prepare
	head -c 1000000 /dev/zero >f
	run -0 --separate-stderr agentrux-upload "$T" f
	[ -z "$stderr" ]
}

@test "on a terminal the bar shows share and rate, and goes away" {
	script -qec true /dev/null || skip "no terminal can be made here"
	prepare_faults 'PUT /put/* delay=900'
	run -0 script -qec "agentrux-upload $T hello.txt >out" /dev/null
	[[ $output == *"%"*"/s"* ]]
	[[ $output == *$'\r\e[K' ]]
	run -0 script -qec "agentrux-upload -q $T hello.txt >out" /dev/null
	[ -z "$output" ]
}
