#!/usr/bin/env bats
# agentrux-download: what was stored comes back whole, under a harmless name, and
# from nowhere else than where it may come from.

load helper

export ASAN_OPTIONS=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

# A hub, the topic $T, and us with every grant.
prepare() {
	start_hub "$@"
	T=$(new_topic work)
	new_agent both "$T:read" "$T:write"
	cd "$HOME" && mkdir in
}

# object N URL [SIZE]: a rule that object obj_N is there.
object() {
	echo "GET /topics/*/payloads/obj_$1 body='{$(by_dialect \
		"${3:+\"size\":$3,}\"download_url\"" \
		"${3:+\"size_bytes\":$3,}\"presigned_get_url\""):\"$2\"}'"
}

# The fault server with a token and these further rules; object obj_1, of 6
# bytes, is at $URL/get/1?sig=x. Credentials for it; $T is a topic.
prepare_faults() {
	T=$(by_dialect '' top_)11111111-2222-4333-8444-555555555555
	LINE='{"object_id":"obj_1","name":"hello.txt"}'
	{
		echo "$TOKEN_RULE"
		printf '%s\n' "$@"
		# shellcheck disable=SC2016 # $URL is the server's to fill in
		object 1 '$URL/get/1?sig=x' 6
		# shellcheck disable=SC2016
		object 2 '$URL/get/2?sig=x'
		printf '%s\n' 'GET /get/* body="hello\n"'
	} >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	put_credentials
	cd "$HOME" && mkdir -p in
}

# download LINE [OPTION…]: into in/.
download() {
	local line=$1
	shift
	agentrux-download -o in "$@" "$T" <<<"$line"
}

# Nothing is in the folder, hidden or not.
nothing_in() {
	[ -z "$(ls -A "$1")" ]
}

# pretend NAMES PROGRAM…: with these names; attempts to connect, but to the
# fault server by its address, are in $BATS_TEST_TMPDIR/tried.
pretend() {
	local names=$1
	shift
	rm -f "$BATS_TEST_TMPDIR/log"
	: >"$BATS_TEST_TMPDIR/tried"
	LD_PRELOAD=$BUILD/tests/pretend.so PRETEND=$names \
		PRETEND_LOG=$BATS_TEST_TMPDIR/log "$@" || local code=$?
	grep -vxF "127.0.0.1 ${FAULTS_URL##*:}" "$BATS_TEST_TMPDIR/log" \
		>"$BATS_TEST_TMPDIR/tried" || true
	return "${code:-0}"
}

@test "what was uploaded comes back bit for bit, to a file and to stdout" {
	prepare
	for size in 0 1 51199 51200 51201 3000000; do
		head -c $size /dev/urandom >"f $size"
		agentrux-upload --checksum "$T" "f $size" >line
		run -0 --separate-stderr agentrux-download -o in "$T" <line
		[ -z "$stderr" ]
		[ "$output" = "$(jq -c --arg p "in/f $size" '.path=$p' line)" ]
		cmp "in/f $size" "f $size"
		agentrux-download "$T" "$(jq -r "$OBJECT" line)" | cmp - "f $size"
	done
}

@test "100 MiB go there and back, from either side, bit for bit" {
	prepare
	# Another agent, with a home of its own.
	AGENTRUX_HOME=$HOME/other new_agent other "$T:read" "$T:write"
	head -c 100M /dev/urandom >big
	agentrux-upload "$T" big >line
	agentrux-download --home other -o in "$T" <line >/dev/null
	cmp in/big big
	agentrux-upload --home other --checksum "$T" in/big >line
	rm in/big
	agentrux-download "$T" "$(jq -r "$OBJECT" line)" | cmp - big
	agentrux-download -o in "$T" <line >/dev/null
	cmp in/big big
}

@test "attachments go from one agent to the other and back, through events" {
	prepare
	head -c 200000 /dev/urandom >a.bin
	echo text >ü.txt
	agentrux-publish "$T" -m one --attach a.bin --attach ü.txt >/dev/null
	agentrux-drain --from oldest "$T" </dev/null |
		jq -c '.payload.attachments[]' | agentrux-download -o in "$T" >out
	[ "$(jq -r .path out | paste -sd' ')" = "in/a.bin in/ü.txt" ]
	cmp in/a.bin a.bin
	cmp in/ü.txt ü.txt
}

@test "a line keeps its bytes, and the folder is . unless said otherwise" {
	prepare_faults
	line='{ "name":"x.txt","n":1e400,"e":"\u00e9\ud800", "object_id" :"obj_1" }'
	run -0 agentrux-download "$T" <<<"$line"
	[ "$output" = "${line%'}'},\"path\":\"x.txt\"}" ]
	[ "$(cat x.txt)" = hello ]
	# A path of the sender's does not stay.
	run -0 download '{"path":"/etc/passwd","payload_object_id":"obj_1"}'
	[ "$output" = '{"payload_object_id":"obj_1","path":"in/obj_1"}' ]
	[ "$(cat in/obj_1)" = hello ]
}

@test "the presigned request has no token and no header of ours, and its URL is not shown" {
	prepare_faults
	run -0 --separate-stderr download "$LINE" -vv
	cat "$FAULTS_LOG"/*.req | sed 's/:[0-9]*$//' | sed -n '/^GET .get/,$p' >got
	diff - got <<-EOF
		GET /get/1?sig=x HTTP/1.1
		Host: 127.0.0.1
		User-Agent: agentrux/$(agentrux-download --version | cut -d' ' -f2)

	EOF
	[[ $stderr != *sig=* ]]
	[[ $stderr != *canary* ]]
}

@test "names from the wire become harmless files in the folder" {
	prepare_faults
	while IFS=$'\t' read -r name file; do
		run -0 --separate-stderr download \
			"{\"object_id\":\"obj_1\",\"name\":$name}"
		[ -z "$stderr" ]
		[[ $output != *$'\e'* ]]
		[ "$(jq -r .path <<<"$output")" = "in/$file" ]
		[ "$(ls -A in)" = "$file" ]
		rm -- "in/$file"
	done <<-'EOF'
		"../../etc/passwd"	passwd
		"/etc/shadow"	shadow
		"C:\\Windows\\win.ini"	win.ini
		"-rf"	rf
		"--help"	help
		".bashrc"	bashrc
		".."	obj_1
		"."	obj_1
		""	obj_1
		"/"	obj_1
		null	obj_1
		["x"]	obj_1
		"nul\u0000l"	obj_1
		"two\nlines"	two_lines
		"\u001b[2J\u001b]0;title\u0007ape"	_[2J_]0;title_ape
		"turned\u202efdp.exe"	turned_fdp.exe
		"日本語 の 名前.txt"	日本語 の 名前.txt
		"$(touch x) `touch y` ; *"	$(touch x) `touch y` ; *
	EOF
	nothing_in in
	long=$(printf '日%.0s' {1..1400})
	run -0 download "{\"object_id\":\"obj_1\",\"name\":\"$long.pdf\"}"
	file=$(ls -A in)
	[[ $file =~ ^日+\.pdf$ ]]
	[ "${#file}" -gt 60 ]
}

@test "nothing is overwritten: name, name-2, name-3" {
	prepare_faults
	echo mine >in/hello.txt
	ln -s /nowhere in/hello-2.txt
	mkdir in/hello-3.txt
	for n in 4 5; do
		run -0 download "$LINE"
		[ "$(jq -r .path <<<"$output")" = in/hello-$n.txt ]
		[ "$(cat in/hello-$n.txt)" = hello ]
	done
	[ "$(cat in/hello.txt)" = mine ]
	[ ! -e /nowhere ]
}

@test "many at once with the same name: each gets a file of its own, whole" {
	prepare_faults 'GET /get/1 chunked drip=20 body="hello\n"'
	pids=()
	for n in 1 2 3 4 5 6; do
		download "$LINE" >"out.$n" 3>&- 4>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	[ "$(jq -r .path out.? | sort | paste -sd' ')" = \
		"in/hello-2.txt in/hello-3.txt in/hello-4.txt in/hello-5.txt in/hello-6.txt in/hello.txt" ]
	[ "$(cat in/* | sort | uniq -c | tr -d ' ')" = 6hello ]
	[ "$(find in -type f | wc -l)" = 6 ]
}

@test "a kill leaves at most a .part, which the next download takes over" {
	prepare_faults 'GET /get/1 cut=5 hold body="hello\n"' \
		'GET /get/1 body="hello\n"'
	echo "$LINE" >line
	background out bash -c "exec agentrux-download -o in $T <line"
	wait_for 10 test -s in/.hello.txt.part
	kill -KILL "$LAST_PID"
	wait "$LAST_PID" || true
	[ "$(ls -A in)" = .hello.txt.part ]
	run -0 download "$LINE"
	[ "$(ls -A in)" = hello.txt ]
	[ "$(cat in/hello.txt)" = hello ]
}

@test "a .part that is a link or not ours is not written to" {
	prepare_faults
	echo precious >precious
	ln -s ../precious in/.hello.txt.part
	ln precious in/.hello-2.txt.part
	mkdir in/.hello-3.txt.part
	mkfifo in/.hello-4.txt.part
	run -0 download "$LINE"
	[ "$(jq -r .path <<<"$output")" = in/hello.txt ]
	[ "$(cat precious)" = precious ]
	[ "$(cat in/hello.txt)" = hello ]
}

@test "a kill before any change leaves no file, or a whole one" {
	prepare_faults
	n=0
	while :; do
		n=$((n + 1))
		code=0
		ABORT_AT=$n ABORT_PROGRAM=agentrux-download \
			LD_PRELOAD=$BUILD/tests/abort-at.so \
			download "$LINE" >out 2>/dev/null || code=$?
		[ ! -e in/hello.txt ] || [ "$(cat in/hello.txt)" = hello ]
		[ "$code" != 0 ] || break
		[ "$code" = 137 ]
		[ ! -s out ] || [ -e in/hello.txt ]
		rm -f in/hello.txt
		[ "$n" -lt 50 ]
	done
	[ "$n" -gt 4 ]
	[ "$(ls -A in)" = hello.txt ]
}

@test "disk trouble at any step is 74, and nothing is left" {
	prepare_faults
	for name in ENOSPC EIO; do
		n=0
		while :; do
			n=$((n + 1))
			code=0
			FAIL_FROM=$n FAIL_ERRNO=$name \
				ABORT_PROGRAM=agentrux-download \
				LD_PRELOAD=$BUILD/tests/abort-at.so \
				download "$LINE" >out 2>err || code=$?
			echo "$name $n: $code: $(cat err)"
			[ "$code" != 0 ] || break
			[ "$code" = 74 ] || [ "$code" = 75 ]
			[ ! -s out ]
			[ "$name" = EIO ] || nothing_in in || [ -e in/hello.txt ]
			rm -rf in
			mkdir in
			[ "$n" -lt 50 ]
		done
		rm -rf in
		mkdir in
	done
}

@test "size and checksum are checked: 65, and no file" {
	prepare_faults
	hex=$(printf 'hello\n' | sha256sum | cut -d' ' -f1)
	base64=$(printf 'hello\n' | openssl dgst -sha256 -binary | base64)
	for good in "\"$hex\"" "\"${hex^^}\"" "\"$base64\"" null; do
		run -0 download "{\"object_id\":\"obj_1\",\"checksum_sha256\":$good}"
	done
	rm in/*
	for bad in "\"checksum_sha256\":\"${hex/5/6}\"" '"size":5' '"size":7' \
		'"checksum_sha256":"x"' '"size":-1' '"size":"6"'; do
		run -65 --separate-stderr download "{\"object_id\":\"obj_1\",$bad}"
		[ -z "$output" ]
		nothing_in in
		# Where the service does not tell the size, too.
		run -65 download "{\"object_id\":\"obj_2\",$bad}"
		nothing_in in
	done
}

@test "an object that is not as large as the service says is 65" {
	# shellcheck disable=SC2016 # $URL is the server's to fill in
	prepare_faults "$(object 3 '$URL/get/3' 5)" "$(object 4 '$URL/get/4' 7)"
	for id in obj_3 obj_4; do
		run -65 download "{\"object_id\":\"$id\"}"
		nothing_in in
		run -65 agentrux-download "$T" "$id"
	done
}

@test "--max-size ends an endless body, and the file is gone" {
	prepare_faults 'GET /get/2 endless chunked body="0123456789"'
	run -65 --separate-stderr download '{"object_id":"obj_2"}' \
		--max-size 100K
	[[ $stderr == *"larger than 102400 bytes"* ]]
	nothing_in in
	run -65 bash -c "agentrux-download --max-size 100K $T obj_2 >out"
	[ "$(stat -c %s out)" -le 102400 ]
	# The announced size is enough to know.
	n=$(requests '^GET /get')
	run -65 download "$LINE" --max-size 5
	[ "$(requests '^GET /get')" = "$n" ]
	run -0 download "$LINE" --max-size 6
}

@test "an expired URL is asked for anew, a bounded number of times; then 75" {
	prepare_faults 'GET /get/1 status=403 body="Request has expired"' \
		'GET /get/1 status=404' 'GET /get/1 body="hello\n"' \
		'GET /get/2 status=403 body="Request has expired"'
	run -0 download "$LINE" --retry-time 0
	[ "$(requests '^GET /topics')" = 3 ]
	run -75 download '{"object_id":"obj_2"}' --retry-time 0
	[ "$(requests '^GET /get/2')" = 3 ]
	[ "$(ls -A in)" = hello.txt ]
}

@test "a storage that refuses or has nothing has its code" {
	for pair in 403:77 404:66 410:75 500:75 400:65 418:1; do
		prepare_faults "GET /get/1 status=${pair%:*}"
		run "-${pair#*:}" download "$LINE" --retry-time 0
		nothing_in in
		stop_faults
	done
}

@test "a transfer that breaks off goes on: no byte is lost or comes twice" {
	prepare_faults 'GET /get/1 cut=2 body="hello\n"' \
		'GET /get/1 reset cut=4 body="hello\n"' \
		'GET /get/1 status=503' 'GET /get/1 body="hello\n"'
	run -0 agentrux-download "$T" obj_1
	[ "$output" = hello ]
	[ "$(requests '^GET /get/1')" = 4 ]
	[ "$(requests '^GET /topics')" = 1 ]
}

@test "temporary trouble that lasts is 75" {
	prepare_faults 'GET /get/1 cut=2 body="hello\n"'
	run -75 download "$LINE" --retry-time 0
	nothing_in in
	run -75 agentrux-download --retry-time 0 "$T" obj_1
	prepare_faults 'GET /topics/*/payloads/* status=500'
	run -75 download "$LINE" --retry-time 0
}

@test "three redirects are followed, without the token; a fourth is not" {
	prepare_faults 'GET /get/1 status=302 header="Location: /r/1?a=b%2Fc"' \
		'GET /get/2 status=307 header="Location: /r/0"' \
		'GET /r/0 status=301 header="Location: /r/1?a=b%2Fc"' \
		'GET /r/1 status=308 header="Location: $URL/r/2" body="no"' \
		'GET /r/2 status=303 header="Location: r/../3"' \
		'GET /r/3 body="hello\n"' 'GET /r/r/../3 body="hello\n"'
	run -0 download "$LINE"
	[ "$(cat in/hello.txt)" = hello ]
	[ "$(requests '^GET /r/1[?]a=b%2Fc ')" = 1 ]
	[ "$(cat "$FAULTS_LOG"/*.req | grep -c '^Authorization: ')" = 1 ]
	run -1 --separate-stderr download '{"object_id":"obj_2"}'
	[[ $stderr == *"redirects more than 3 times"* ]]
	[ "$(cat "$FAULTS_LOG"/*.req | grep -c '^Authorization: ')" = 2 ]
}

@test "the token goes to no other host, nor back from there" {
	mkdir "$BATS_TEST_TMPDIR/other"
	prepare_faults
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	rm "$BATS_TEST_TMPDIR/faults.out"
	printf 'GET /get/3 status=302 header="Location: %s/get/4"\n' \
		"$FAULTS_URL" >"$BATS_TEST_TMPDIR/other.plan"
	background "$BATS_TEST_TMPDIR/other.out" "$BUILD/tests/faults" \
		"$BATS_TEST_TMPDIR/other.plan" "$BATS_TEST_TMPDIR/other"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/other.out"
	other=$(cat "$BATS_TEST_TMPDIR/other.out")
	{
		object 3 "$other/get/3"
		cat "$BATS_TEST_TMPDIR/plan"
	} >"$BATS_TEST_TMPDIR/new"
	background "$BATS_TEST_TMPDIR/faults.out" "$BUILD/tests/faults" \
		"$BATS_TEST_TMPDIR/new" "$FAULTS_LOG" "${FAULTS_URL##*:}"
	wait_for 10 test -s "$BATS_TEST_TMPDIR/faults.out"
	run -0 agentrux-download "$T" obj_3
	[ "$output" = hello ]
	[ "$(cat "$BATS_TEST_TMPDIR"/other/* | grep -ciE 'authorization|canary')" = 0 ]
	[ "$(cat "$FAULTS_LOG"/*.req | grep -c '^Authorization: ')" = 1 ]
}

@test "a redirect to what is no URL of the web is not followed" {
	echo secret >"$BATS_TEST_TMPDIR/secret"
	for to in "file://$BATS_TEST_TMPDIR/secret" ftp://127.0.0.1/x \
		gopher://127.0.0.1/x "http://user:pw@127.0.0.1/" \
		http://192.0.2.1/x 'data:,x'; do
		prepare_faults "GET /get/1 status=302 header=\"Location: $to\""
		run --separate-stderr download "$LINE" --retry-time 0
		[ "$status" -ne 0 ]
		nothing_in in
		[ "$(requests '^GET /get')" = 1 ]
		stop_faults
	done
}

@test "a URL that a line brings is not fetched: 77" {
	prepare_faults
	for member in download_url presigned_get_url; do
		run -77 --separate-stderr download \
			"{\"name\":\"x\",\"$member\":\"$FAULTS_URL/get/1\"}"
		[[ $stderr == *--allow-url* ]]
	done
	# Beside an object id it is no matter.
	run -0 download "{\"object_id\":\"obj_1\",\"download_url\":\"$FAULTS_URL/no\"}"
	[ "$(requests '/no')" = 0 ]
	[ "$(requests '^GET /get')" = 1 ]
}

@test "with --allow-url: no spelling of a private address is connected to" {
	prepare_faults
	port=${FAULTS_URL##*:}
	for host in 127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 \
		017700000001 127.0.0.1. localhost localhost. sub.localhost \
		0.0.0.0 0 0.0 10.0.0.1 10.255.255.255 172.16.0.1 192.168.1.1 \
		169.254.169.254 0xa9fea9fe 100.64.0.1 224.0.0.1 255.255.255.255 \
		198.18.0.1 192.0.2.1 '[::1]' '[::]' '[::ffff:127.0.0.1]' \
		'[::ffff:7f00:1]' '[0:0:0:0:0:ffff:127.0.0.1]' '[::127.0.0.1]' \
		'[fe80::1]' '[fd00::1]' '[ff02::1]' '[64:ff9b::7f00:1]' \
		'[2002:7f00:1::]' '①②⑦.0.0.1' '127。0。0。1' '%31%32%37.0.0.1' \
		ip6-localhost "$(hostname)"; do
		for scheme in http https; do
			printf '{"download_url":"%s://%s:%s/get/1"}\n' \
				"$scheme" "$host" "$port"
		done
	done >lines
	AGENTRUX_ALLOW_HTTP=1 pretend '' agentrux-download --allow-url \
		--retry-time 0 -o in "$T" <lines >out 2>err && false
	[ ! -s out ]
	# Every one was refused or could not be resolved, and nobody was asked.
	[ "$(grep -cE 'line [0-9]+: .*(not public|esolv|IDN|malformed|Bad|URL using|is not a URL)' err)" = \
		"$(wc -l <lines)" ]
	[ ! -s "$BATS_TEST_TMPDIR/log" ]
	[ "$(requests '^GET')" = 0 ]
	nothing_in in
}

@test "with --allow-url: what is no URL of the web is not opened" {
	prepare_faults
	echo secret >secret
	for url in "file://$PWD/secret" "FILE:///etc/passwd" /etc/passwd \
		"ftp://8.8.8.8/x" "gopher://8.8.8.8/x" "dict://8.8.8.8/x" \
		"scp://8.8.8.8/x" "data:,x" "http://8.8.8.8/" \
		"https://user:pw@8.8.8.8/" "javascript:x" "" "//8.8.8.8/x" \
		"https://" "unix:///run/x"; do
		jq -cn --arg u "$url" '{download_url: $u}'
	done >lines
	pretend '' agentrux-download --allow-url --retry-time 0 -o in "$T" \
		<lines >out 2>err && false
	[ ! -s out ]
	[ "$(grep -c 'line ' err)" = "$(wc -l <lines)" ]
	[ ! -s "$BATS_TEST_TMPDIR/log" ]
	nothing_in in
}

@test "with --allow-url: a public URL is fetched, without the token or a proxy" {
	prepare_faults
	port=${FAULTS_URL##*:}
	export AGENTRUX_ALLOW_HTTP=1 http_proxy=http://127.0.0.1:1 \
		all_proxy=http://127.0.0.1:1 no_proxy=127.0.0.1
	pretend 'files.example=8.8.8.8' agentrux-download --allow-url -o in "$T" \
		<<<"{\"name\":\"x\",\"download_url\":\"http://files.example:$port/get/1?k=%2f&x\"}"
	[ "$(cat in/x)" = hello ]
	[ "$(cat "$BATS_TEST_TMPDIR/tried")" = "8.8.8.8 $port" ]
	[ "$(requests '^GET /get/1[?]k=%2f&x ')" = 1 ]
	[ "$(cat "$FAULTS_LOG"/*.req | grep -c '^Authorization')" = 0 ]
}

@test "with --allow-url: a name that stands for a private address is not asked" {
	prepare_faults
	port=${FAULTS_URL##*:}
	export AGENTRUX_ALLOW_HTTP=1
	url="{\"name\":\"x\",\"download_url\":\"http://evil.example:$port/get/1\"}"
	for a in 127.0.0.1 10.1.2.3 169.254.169.254 ::1 fe80::1 \
		127.0.0.1,::1,10.0.0.1; do
		run -77 pretend "evil.example=$a" agentrux-download --allow-url \
			-o in "$T" <<<"$url"
		[[ $output == *"not public"* ]]
		[ ! -s "$BATS_TEST_TMPDIR/log" ]
	done
	# Of several addresses only the public ones.
	pretend "evil.example=127.0.0.1,::1,8.8.8.8" agentrux-download \
		--allow-url -o in "$T" <<<"$url"
	[ "$(cat "$BATS_TEST_TMPDIR/log")" = "8.8.8.8 $port" ]
}

@test "with --allow-url: no redirect leads to a private address, nor does a name that changes" {
	port=
	for to in '$URL/secret' http://localhost:1/x http://10.0.0.1/x \
		http://169.254.169.254/latest/meta-data/ 'http://[::1]:1/x' \
		http://evil.example:1/x file:///etc/passwd; do
		prepare_faults "GET /get/1 status=302 header=\"Location: $to\""
		port=${FAULTS_URL##*:}
		AGENTRUX_ALLOW_HTTP=1 run -77 pretend \
			"files.example=8.8.8.8 evil.example=127.0.0.1" \
			agentrux-download --allow-url -o in --retry-time 0 "$T" \
			<<<"{\"download_url\":\"http://files.example:$port/get/1\"}"
		[ "$(cat "$BATS_TEST_TMPDIR/log")" = "8.8.8.8 $port" ]
		nothing_in in
		stop_faults
	done
	# Rebinding: the same name at another port is another look-up.
	prepare_faults "GET /get/1 status=302 header=\"Location: http://files.example:1/x\""
	AGENTRUX_ALLOW_HTTP=1 run -77 pretend \
		"files.example=8.8.8.8;127.0.0.1" \
		agentrux-download --allow-url -o in --retry-time 0 "$T" \
		<<<"{\"download_url\":\"http://files.example:${FAULTS_URL##*:}/get/1\"}"
	[ "$(cat "$BATS_TEST_TMPDIR/log")" = "8.8.8.8 ${FAULTS_URL##*:}" ]
}

@test "with --allow-url: a connection to the service is not borrowed" {
	# The same address and port, and a connection that is open.
	prepare_faults
	printf '%s\n' "$LINE" "{\"download_url\":\"$FAULTS_URL/get/1\"}" "$LINE" |
		run -77 agentrux-download --allow-url -o in "$T"
	[ "$(requests '^GET /get/1 ')" = 0 ]
	[ "$(requests '^GET /get/1[?]sig')" = 2 ]
}

@test "a bad line is reported, the others go on, and the end is 65" {
	prepare_faults
	{
		echo '{"object_id":"obj_1","name":"a"}'
		echo 'no json'
		echo '{"name":"b"}'
		echo ''
		head -c 1100000 /dev/zero | tr '\0' x
		echo
		printf '{"object_id":"obj_1","name":"z"}'
	} >lines
	run -65 --separate-stderr agentrux-download -o in "$T" <lines
	[ "$(jq -r .path <<<"$output" | paste -sd' ')" = "in/a in/z" ]
	for n in 2 3 5; do [[ $stderr == *"line $n: "* ]]; done
	[[ $stderr != *"line 4: "* ]]
}

@test "the code is the first failure's, and what concerns all ends it" {
	prepare_faults 'GET /topics/*/payloads/gone status=404' \
		'GET /topics/*/payloads/never status=403'
	printf '{"object_id":"%s"}\n' gone never obj_1 >lines
	run -66 agentrux-download -o in "$T" <lines
	[ "$(ls -A in)" = obj_1 ]
	printf '{"object_id":"%s"}\n' never gone >lines
	run -77 agentrux-download -o in "$T" <lines
	run -66 agentrux-download "$T" gone
	run -77 agentrux-download "$T" never
	run -66 agentrux-download -o nowhere "$T" <lines
	run -66 agentrux-download -o lines "$T" </dev/null
}

@test "wrong use is 64" {
	for args in "" "t x y" "a/b" "t a/b" "t .." "t x -o d" "t x --allow-url" \
		"t -o ''" "t -o \$'bad\\xff'" "t --max-size -1" "t --max-size x"; do
		eval "run -64 agentrux-download $args"
	done
	run -78 agentrux-download t x
}

@test "/dev/full is 74, a reader that closed is quiet" {
	prepare
	head -c 300000 /dev/zero >f
	agentrux-upload "$T" f >line
	id=$(jq -r "$OBJECT" line)
	run -74 bash -c "agentrux-download -o in $T <line >/dev/full"
	run -74 bash -c "agentrux-download $T $id >/dev/full"
	run -0 --separate-stderr bash -c "agentrux-download $T $id | head -c 1 \
		>/dev/null; exit \${PIPESTATUS[0]}"
	[ -z "$stderr" ]
	run -0 bash -c "agentrux-download -o in $T <&-"
}

@test "SIGTERM ends a download within a second, with 0 and without a file" {
	prepare_faults 'GET /get/1 cut=3 hold body="hello\n"'
	echo "$LINE" >line
	background out bash -c "exec agentrux-download -o in $T <line"
	wait_for 10 test -s in/.hello.txt.part
	kill "$LAST_PID"
	wait "$LAST_PID"
	nothing_in in
	[ ! -s out ]
	# While it waits for a line, too.
	mkfifo fifo
	background out bash -c "exec agentrux-download -o in $T <fifo"
	exec 5>fifo
	echo '{"object_id":"obj_2"}' >&5
	wait_for 10 test -s out
	kill "$LAST_PID"
	wait "$LAST_PID"
	exec 5>&-
}

@test "256 MiB in little memory" {
	! grep -qE "__[at]san_init" "$BUILD/bin/agentrux-download" ||
		skip "a sanitizer takes memory of its own"
	prepare
	truncate -s 256M big
	id=$(agentrux-upload "$T" big | jq -r "$OBJECT")
	"$BUILD/tests/peak" mem agentrux-download "$T" "$id" | cmp - big
	[ "$(cat mem)" -lt 16384 ]
	echo "{\"object_id\":\"$id\"}" >line
	"$BUILD/tests/peak" mem agentrux-download -o in "$T" <line
	[ "$(cat mem)" -lt 16384 ]
	cmp big "in/$id"
}
