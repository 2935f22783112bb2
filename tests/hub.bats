#!/usr/bin/env bats
# agentrux-hub, by curl: nothing of the client is used here.

# shellcheck disable=SC2016,SC2030,SC2031,SC2153 # a test is a subshell, and so it should be
load helper
load hub

# agent NAME GRANT…: a script that is activated and has a token. Sets SCRIPT,
# SECRET, TOKEN and REFRESH.
agent() {
	local name=$1 grants=() grant
	shift
	for grant; do
		grants+=(--grant "$grant")
	done
	SCRIPT=$(hub script add "$name" "${grants[@]}")
	activate "$(hub code issue "$name")"
	new_token
}

activate() {
	request 200 /auth/activate -d "{\"activation_code\":\"$1\"}"
	SECRET=$(jq -r .client_secret "$BODY")
}

new_token() {
	request 200 /auth/token \
		-d "{\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
	TOKEN=$(jq -r .access_token "$BODY")
	REFRESH=$(jq -r .refresh_token "$BODY")
}

publish() {
	api 201 "/topics/$TOPIC/events" -d "$1"
}

start_with_topic() {
	TOPIC=$(new_topic commands)
	start_hub "$@"
	agent agent-1 commands:read commands:write
}

# stream FILE [curl options…]: a hint stream into FILE. Sets LAST_PID.
stream() {
	local file=$1 query=${2:-}
	shift 2 || shift
	background "$file" curl -sN -H "Authorization: Bearer $TOKEN" "$@" \
		"$HUB_URL/topics/$TOPIC/events/stream$query"
	wait_for 5 grep -q connected "$file"
}

hub_lives() {
	request 404 /nothing
}

# The time the hub has worked, in hundredths of a second.
cpu() {
	awk '{print $14 + $15}' "/proc/$HUB_PID/stat"
}

# open_streams N: sets FDS, all connected.
open_streams() {
	local i fd line
	ulimit -n "$(ulimit -Hn)"
	FDS=()
	for ((i = 0; i < $1; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/${HUB_URL##*:}"
		printf 'GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n' \
			"/topics/$TOPIC/events/stream" \
			"Authorization: Bearer $TOKEN" >&"$fd"
		FDS+=("$fd")
	done
	for fd in "${FDS[@]}"; do
		until [[ ${line-} == ': connected'* ]]; do
			IFS= read -r -t 50 -u "$fd" line
		done
		line=
	done
}

### The command line

@test "the help names every command and the options are listed" {
	run -0 agentrux-hub --help
	for word in serve topic script grant code invite --retention-count; do
		[[ $output == *"$word"* ]]
	done
	run -0 agentrux-hub --list-options
	[[ $output == *--admin-token-file* ]]
	run -0 agentrux-hub topic add --list-options
	[[ $output == --db* && $output != *--heartbeat* ]]
}

@test "wrong use is 64" {
	run -64 agentrux-hub
	run -64 agentrux-hub --db "$HUB_DB" fly
	run -64 agentrux-hub topic add without-a-database
	run -64 hub topic add
	run -64 hub topic add 'not a name'
	run -64 hub topic add 00000000-0000-4000-8000-000000000000
	run -64 hub topic add fine --heartbeat 5s
	run -64 hub serve --listen nowhere
	run -64 hub serve --cert only
	hub topic add fine
	run -64 hub script add one --grant fine:admin
	run -64 hub grant add one
}

@test "what is not there is 66 and what is there already is 73" {
	run -66 hub topic list
	[ ! -e "$HUB_DB" ]
	hub topic add fine
	run -73 hub topic add fine
	run -66 hub script add one --grant missing:read
	run -66 hub code issue one
	hub script add one
	run -73 hub script add one
	run -66 hub grant add one missing:read
	run -66 hub grant remove one fine:read
	run -66 hub invite issue missing:read
}

@test "a database that others can read, or that is none, is 78" {
	HUB_DB="$BATS_TEST_TMPDIR/the hub's.db"
	hub topic add fine
	[ "$(stat -c %a "$HUB_DB")" = 600 ]
	chmod 644 "$HUB_DB"
	run -78 hub topic list
	[[ $output == *"chmod 600"* ]]
	eval "${output##*: }"
	hub topic list
	head -c 8192 /dev/urandom >"$BATS_TEST_TMPDIR/x.db"
	chmod 600 "$BATS_TEST_TMPDIR/x.db"
	run -78 agentrux-hub --db "$BATS_TEST_TMPDIR/x.db" topic list
	run -78 agentrux-hub --db "$BATS_TEST_TMPDIR/x.db" topic add fine
}

@test "a full standard output is 74" {
	hub topic add fine
	run -74 sh -c 'agentrux-hub --db "$1" topic list >/dev/full' - "$HUB_DB"
}

@test "a database is the file it is named after, whatever its name" {
	cd "$BATS_TEST_TMPDIR"
	agentrux-hub --db :memory: topic add one
	run -0 agentrux-hub --db :memory: topic list
	[ "$(jq -r .name <<<"$output")" = one ]
	[ -s ./:memory: ]
}

@test "many commands at once all take effect" {
	local i pids=()
	for i in {1..20}; do
		hub topic add "t$i" >/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	[ "$(hub topic list | wc -l)" = 20 ]
}

@test "a name serves wherever an id does, and lists are JSON lines" {
	local topic script
	topic=$(hub topic add commands)
	script=$(hub script add one --grant "$topic:read")
	hub grant add "$script" commands:write
	hub grant remove one "$topic:read"
	run -0 hub topic list
	[ "$(jq -r .topic_id <<<"$output")" = "$topic" ]
	run -0 hub script list
	[ "$(jq -r '.grants[] | .topic_id + .action' <<<"$output")" = \
		"${topic}write" ]
	hub script remove one
	run -0 hub script list
	[ -z "$output" ]
}

### Serving

@test "it says where it listens and ends quietly when told to" {
	start_hub
	[ "$(jq .pid "$BATS_TEST_TMPDIR/hub.out")" = "$HUB_PID" ]
	request 404 /
	kill -TERM "$HUB_PID"
	wait "$HUB_PID"
	[ ! -s "$BATS_TEST_TMPDIR/hub.out.err" ]
}

@test "one server at a time has a database" {
	start_hub
	run -75 hub serve --listen 127.0.0.1:0
	[[ $output == *"another"* ]]
}

@test "an address in use is 75" {
	start_hub
	run -75 agentrux-hub --db "$HUB_DB.2" serve --listen "${HUB_URL#*//}"
}

@test "plain http beyond this machine is warned of" {
	background "$BATS_TEST_TMPDIR/wide" \
		agentrux-hub --db "$HUB_DB" serve --listen 0.0.0.0:0
	wait_for 5 test -s "$BATS_TEST_TMPDIR/wide"
	grep -q WARNING "$BATS_TEST_TMPDIR/wide.err"
}

@test "with a certificate it speaks TLS, and the key must be closed to others" {
	cd "$BATS_TEST_TMPDIR"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
		-days 2 -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 2>/dev/null
	chmod 644 key.pem
	run -78 hub serve --listen 127.0.0.1:0 --cert cert.pem --key key.pem
	chmod 600 key.pem
	TOPIC=$(new_topic commands)
	start_hub --cert cert.pem --key key.pem
	[[ $HUB_URL == https://* ]]
	export CURL_CA_BUNDLE=$PWD/cert.pem
	agent agent-1 commands:read commands:write
	publish '{"type":"t","payload":1}'
	stream s '?after_sequence_no=0'
	wait_for 5 grep -q '^id: 1' s
	unset CURL_CA_BUNDLE
}

@test "addresses and methods that are not there are 404 and 405, with a date" {
	start_with_topic
	request 404 /nothing
	grep -qi '^date: ' "$HEADERS"
	[ "$(jq -r .error.code "$BODY")" = NOT_FOUND ]
	request 405 /auth/token
	grep -qi '^allow: POST' "$HEADERS"
	request 405 "/topics/$TOPIC/events" -X DELETE
	request 405 /topics -I
	request 404 "/topics/$TOPIC/events/"
	api 200 /topics -X GET --data-binary @<(head -c 500000 /dev/zero)
	api 404 "/topics/00000000-0000-4000-8000-000000000000/events"
	api 404 "/topics/commands/events"
}

@test "a request without a User-Agent is refused if asked for" {
	start_hub --require-user-agent
	request 403 / -H 'User-Agent:'
	request 404 /
}

@test "noise on the wire does not hurt it" {
	start_with_topic
	local i junk=$BATS_TEST_TMPDIR/junk fd
	for i in {1..20}; do
		head -c 3000 /dev/urandom >"$junk"
		request 000 / -X $'\x01\x02' --data-binary @"$junk" || true
		exec {fd}<>"/dev/tcp/127.0.0.1/${HUB_URL##*:}"
		cat "$junk" >&"$fd" || true
		exec {fd}>&-
		request 400 /auth/activate --data-binary @"$junk"
		api 400 "/topics/$TOPIC/events" --data-binary @"$junk"
	done
	request 400 /auth/token -d '<html><body>502 Bad Gateway</body></html>'
	request 400 /auth/token -d ''
	request 422 /auth/token -d '{}'
	request 422 /auth/token -d '{"script_id":1,"client_secret":[]}'
	request 400 /auth/token -d \
		'{"script_id":"a","script_id":"b","client_secret":"c"}'
	request 422 /auth/token -d '{"script_id":"a\u0000","client_secret":"c"}'
	request 401 /auth/token -d '{"script_id":"a","client_secret":"c"}'
	request 413 /auth/token --data-binary @<(head -c 100000 /dev/zero)
	request 404 "/$(head -c 6000 /dev/zero | tr '\0' a)"
	request 404 "/topics/%00/../../etc/passwd" --path-as-is
	api 400 "/topics/$TOPIC/events?limit=99999999999999999999"
	hub_lives
}

### Codes, secrets and tokens

@test "an activation code works once and brings the grants" {
	start_hub
	new_topic commands >/dev/null
	local id code
	id=$(hub script add one --grant commands:read)
	code=$(hub code issue one)
	[[ $code =~ ^ac_[A-Za-z0-9_-]{43}$ ]]
	activate "$code"
	[ "$(jq -r .script_id "$BODY")" = "$id" ]
	[ "$(jq -r '.grants[0].action' "$BODY")" = read ]
	request 422 /auth/activate -d "{\"activation_code\":\"$code\"}"
	[ "$(jq -r .error.code "$BODY")" = INVALID ]
	[ "$(jq -r .error.message "$BODY")" = "Token has expired" ]
	request 404 /auth/activate -d "{\"activation_code\":\"${code}x\"}"
	# What is secret is nowhere on disk.
	run -1 grep -qaF -e "$code" -e "$SECRET" "$HUB_DB" "$HUB_DB-wal"
}

@test "of many who bring one code at once exactly one is activated" {
	start_hub
	hub script add one >/dev/null
	local code out=$BATS_TEST_TMPDIR/codes urls=() i
	code=$(hub code issue one)
	for i in {1..20}; do
		urls+=(-o /dev/null "$HUB_URL/auth/activate")
	done
	curl -sZ --no-progress-meter --parallel-immediate \
		-w '%{http_code}\n' -d "{\"activation_code\":\"$code\"}" \
		"${urls[@]}" >"$out"
	[ "$(grep -c '^200$' "$out")" = 1 ]
	[ "$(grep -c '^422$' "$out")" = 19 ]
}

@test "an expired code is refused" {
	start_hub
	hub script add one >/dev/null
	local code
	code=$(hub code issue one --ttl 1s)
	sleep 1.1
	request 422 /auth/activate -d "{\"activation_code\":\"$code\"}"
}

@test "a refresh token works once, also when two bring it at once" {
	start_hub
	agent one
	local first=$REFRESH
	request 200 /auth/refresh -d "{\"refresh_token\":\"$first\"}"
	[ "$(jq -r .refresh_token "$BODY")" != "$first" ]
	jq -r .expires_at "$BODY" | grep -Eq '^20..-..-..T..:..:..Z$'
	request 401 /auth/refresh -d "{\"refresh_token\":\"$first\"}"
	request 401 /auth/refresh -d '{"refresh_token":"art_made-up"}'
	new_token
	curl -sZ --no-progress-meter --parallel-immediate \
		-w '%{http_code}\n' -d "{\"refresh_token\":\"$REFRESH\"}" \
		-o /dev/null "$HUB_URL/auth/refresh" \
		-o /dev/null "$HUB_URL/auth/refresh" |
		sort | cmp - <(printf '200\n401\n')
}

@test "the service's rate limits hold, per script, with Retry-After" {
	background "$BATS_TEST_TMPDIR/out" \
		agentrux-hub --db "$HUB_DB" serve --listen 127.0.0.1:0
	wait_for 5 test -s "$BATS_TEST_TMPDIR/out"
	HUB_URL=$(jq -r .listening "$BATS_TEST_TMPDIR/out")
	agent one
	local i who
	who="{\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
	for i in {2..10}; do
		request 200 /auth/token -d "$who"
	done
	request 429 /auth/token -d "$who"
	[ "$(jq -r .error.code "$BODY")" = RATE_LIMITED ]
	grep -Eqi '^retry-after: 3[56]..' "$HEADERS"
	for i in {1..20}; do
		request 200 /auth/refresh -d "{\"refresh_token\":\"$REFRESH\"}"
		REFRESH=$(jq -r .refresh_token "$BODY")
	done
	request 429 /auth/refresh -d "{\"refresh_token\":\"$REFRESH\"}"
	agent two
}

@test "tokens survive a restart and die with the secret's rotation" {
	start_with_topic
	local old=$TOKEN new
	restart_hub
	api 200 /topics
	request 401 /auth/rotate-key \
		-d "{\"script_id\":\"$SCRIPT\",\"client_secret\":\"wrong\"}"
	request 200 /auth/rotate-key \
		-d "{\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
	TOKEN=$(jq -r .access_token "$BODY")
	new=$(jq -r .refresh_token "$BODY")
	api 200 /topics
	request 200 /auth/refresh -d "{\"refresh_token\":\"$new\"}"
	request 401 /auth/refresh -d "{\"refresh_token\":\"$REFRESH\"}"
	request 401 /auth/token \
		-d "{\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
	TOKEN=$old
	api 401 /topics
}

@test "a token that was touched, has expired or is another hub's is 401" {
	start_with_topic --token-ttl 4s
	local good=$TOKEN
	api 200 /topics
	request 401 /topics
	grep -qi '^www-authenticate: bearer' "$HEADERS"
	TOKEN=${good%?}; api 401 /topics
	TOKEN=${good}A; api 401 /topics
	TOKEN=atk_${good:5}; api 401 /topics
	TOKEN=garbage; api 401 /topics
	TOKEN=$good
	sleep 4.1
	api 401 /topics
	[ "$(jq -r .error.message "$BODY")" = "The access token has expired" ]
}

@test "every topic and action needs its grant, and grants count at once" {
	start_with_topic
	local other
	other=$(new_topic other)
	api 403 "/topics/$other/events"
	[ "$(jq -r .error.code "$BODY")" = FORBIDDEN ]
	hub grant add agent-1 other:read
	api 200 "/topics/$other/events"
	api 403 "/topics/$other/events" -d '{"type":"t","payload":1}'
	api 403 "/topics/$other/payloads" -d '{"size":1}'
	api 200 /topics
	[ "$(jq -c '[.items[] | [.name, .actions]]' "$BODY")" = \
		'[["commands",["read","write"]],["other",["read"]]]' ]
	hub grant remove agent-1 other:read
	api 403 "/topics/$other/events"
	api 403 "/topics/$other/events/stream"
	hub script remove agent-1
	api 401 /topics
}

@test "an invite code gives its grant once" {
	start_with_topic
	local other code
	other=$(new_topic other)
	code=$(hub invite issue other:read)
	[[ $code =~ ^inv_ ]]
	local body="{\"invite_code\":\"$code\",\"script_id\":\"$SCRIPT\""
	request 401 /auth/redeem-invite-code \
		-d "$body,\"client_secret\":\"wrong\"}"
	request 200 /auth/redeem-invite-code \
		-d "$body,\"client_secret\":\"$SECRET\"}"
	[ "$(jq -r .topic_id "$BODY")" = "$other" ]
	[ "$(jq -r .action "$BODY")" = read ]
	api 200 "/topics/$other/events"
	request 422 /auth/redeem-invite-code \
		-d "$body,\"client_secret\":\"$SECRET\"}"
	request 404 /auth/redeem-invite-code -d "{\"invite_code\":\"inv_none\",
		\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
}

@test "the console issues codes to who has the admin token" {
	local file=$BATS_TEST_TMPDIR/admin
	echo the-admin-token-of-this-test >"$file"
	chmod 644 "$file"
	run -78 hub serve --listen 127.0.0.1:0 --admin-token-file "$file"
	chmod 600 "$file"
	start_hub --admin-token-file "$file"
	SCRIPT=$(hub script add one)
	local path=/console/scripts/$SCRIPT/activation-codes
	request 401 "$path" -d '{"ttl_hours":1}'
	TOKEN=wrong; api 401 "$path" -d '{"ttl_hours":1}'
	TOKEN=$(cat "$file")
	api 422 "$path" -d '{"ttl_hours":2}'
	api 404 /console/scripts/scr_none/activation-codes -d '{"ttl_hours":6}'
	api 201 "$path" -d '{"ttl_hours":24}'
	activate "$(jq -r .activation_code "$BODY")"
	TOKEN=$(cat "$file")
	api 201 "$path" -d '{"ttl_hours":1,"oauth":true}'
	request 200 /auth/redeem-activation-code \
		-d "{\"code\":\"$(jq -r .activation_code "$BODY")\"}"
	restart_hub
	api 404 "$path" -d '{"ttl_hours":1}'
}

### Events

@test "a payload comes back byte for byte" {
	start_with_topic
	local i payloads=(9007199254740993 1.0 1e400 -0 '"a\u0000b"' '"\ud800"'
		null true '[ 1,	2 , {"b":1,"a":2} ]' '{"a":1,"a":2}' '""'
		'"日本語 \u65e5\/"' '123456789012345678901234567890.5E+10')
	for i in "${!payloads[@]}"; do
		publish "{\"payload\": ${payloads[i]} ,\"type\":\"t\"}"
		api 200 "/topics/$TOPIC/events/$(jq -r .event_id "$BODY")"
		grep -qF "\"payload\":${payloads[i]},\"payload_ref\"" "$BODY"
		api 200 "/topics/$TOPIC/events?after_sequence_no=$i"
		grep -qF "\"payload\":${payloads[i]},\"payload_ref\"" "$BODY"
	done
}

@test "large, deep and foreign payloads come back byte for byte" {
	start_with_topic
	local p=$BATS_TEST_TMPDIR/p i=0
	make_payload() {
		{ printf '{"type":"t","payload":'; cat "$p"; printf '}'; } \
			>"$p.body"
	}
	{ printf '"'; yes 日本語のメッセージ | head -n 9709 |
		tr -d '\n'; printf '"'; } >"$p.1"
	{ head -c 100000 /dev/zero | tr '\0' '['
		head -c 100000 /dev/zero | tr '\0' ']'; } >"$p.2"
	{ yes '{"a":' | head -100000 | tr -d '\n'; printf 1
		head -c 100000 /dev/zero | tr '\0' '}'; } >"$p.3"
	{ printf '"'; head -c 10485758 /dev/zero | tr '\0' x
		printf '"'; } >"$p.4"
	for i in 1 2 3 4; do
		cp "$p.$i" "$p"
		make_payload
		publish "@$p.body"
		api 200 "/topics/$TOPIC/events?after_sequence_no=$((i - 1))"
		# The bytes between the two members around it.
		tail -c "+$(($(grep -abo '"payload":' "$BODY" | head -1 |
			cut -d: -f1) + 11))" "$BODY" |
			head -c "$(wc -c <"$p")" | cmp - "$p"
	done
}

@test "a payload over 10 MiB is 413, asked for before or sent at once" {
	start_with_topic
	local big=$BATS_TEST_TMPDIR/big
	{ printf '{"type":"t","payload":"'
		head -c 10485760 /dev/zero | tr '\0' x; printf '"}'; } >"$big"
	api 413 "/topics/$TOPIC/events" --data-binary @"$big"
	api 413 "/topics/$TOPIC/events" --data-binary @"$big" -H Expect:
	api 413 "/topics/$TOPIC/events" --data-binary @"$big" -H Expect: \
		-H 'Transfer-Encoding: chunked'
	{ cat "$big"; cat "$big"; } >"$big.2"
	api 413 "/topics/$TOPIC/events" --data-binary @"$big.2" -H Expect:
	api 413 "/topics/$TOPIC/events" --data-binary @"$big.2" -H Expect: \
		-H 'Transfer-Encoding: chunked'
	api 200 "/topics/$TOPIC/events"
	[ "$(jq '.items | length' "$BODY")" = 0 ]
}

@test "what is not JSON, or not an event, is refused" {
	start_with_topic
	local body bad=('' '{' '[]' '1' 'null' '{}}' '{"a":1,}' "{'a':1}" '{"a" 1}'
		'{"a":01}' '{"a":1.}' '{"a":.5}' '{"a":+1}' '{"a":1e}' '{"a":-}'
		'{"a":tru}' '{"a":"\x"}' '{"a":"\u12g4"}' '{"a":"' '{"a":[1,]}'
		'{"a":[1}' '{"a":{]}' '{"a":NaN}' $'{"a":"\t"}' $'{"a":"\xff"}'
		$'{"a":"\xed\xa0\x80"}' $'{"a":"\xc0\xaf"}' $'\xef\xbb\xbf{}'
		'{"type":"t","payload":1} x' '{"type":"t","payload":1'
		'{"type":"t","payload":1,"payload":2}'
		'{"type":"t","payload":1,"p\u0061yload":2}')
	for body in "${bad[@]}"; do
		api 400 "/topics/$TOPIC/events" --data-binary "$body"
		[ "$(jq -r .error.code "$BODY")" = INVALID ]
	done
	local wrong=('{}' '{"type":"t"}' '{"payload":1}' '{"type":"","payload":1}'
		'{"type":1,"payload":1}' '{"type":"a\u0000","payload":1}'
		"{\"type\":\"$(printf 'x%.0s' {1..257})\",\"payload\":1}"
		'{"type":"t","payload":1,"correlation_id":5}'
		'{"type":"t","payload":1,"reply_topic":{}}')
	for body in "${wrong[@]}"; do
		api 422 "/topics/$TOPIC/events" --data-binary "$body"
	done
	publish "{\"type\":\"$(printf '語%.0s' {1..256})\",\"payload\":1}"
}

@test "the fields beside the payload are carried as given" {
	start_with_topic
	publish '{"type":"a\"\u65e5","payload":1,"correlation_id":"c\u0000\/",
		"reply_topic":"r","payload_ref":null,"unknown":[{}]}'
	publish '{"type":"t","payload_ref":"obj_1"}'
	api 200 "/topics/$TOPIC/events"
	grep -qF '"correlation_id":"c\u0000\/","reply_topic":"r"' "$BODY"
	[ "$(jq -r '.items[0].type' "$BODY")" = 'a"日' ]
	[ "$(jq -r '.items[0].producer_script' "$BODY")" = "$SCRIPT" ]
	[ "$(jq -r '.items[0].payload_mode' "$BODY")" = inline ]
	[ "$(jq -c '.items[1] | [.payload, .payload_ref]' "$BODY")" = \
		'[null,"obj_1"]' ]
	jq -r '.items[0].timestamp' "$BODY" |
		grep -Eq '^20..-..-..T..:..:..\....Z$'
}

@test "a topic is read by position, newest, type, number and id" {
	start_with_topic
	local i
	for i in {1..30}; do
		publish "{\"type\":\"t$((i % 3))\",\"payload\":$i}"
	done
	numbers() {
		api 200 "/topics/$TOPIC/events$1"
		jq -c '[.items[].sequence_no]' "$BODY"
	}
	[ "$(numbers '?limit=3')" = '[28,29,30]' ]
	[ "$(numbers '?after_sequence_no=0&limit=3')" = '[1,2,3]' ]
	[ "$(numbers '?after_sequence_no=28&limit=100')" = '[29,30]' ]
	[ "$(numbers '?after_sequence_no=30')" = '[]' ]
	[ "$(numbers '?after_sequence_no=0' | jq length)" = 20 ]
	[ "$(numbers '?type=t0&limit=2')" = '[27,30]' ]
	[ "$(numbers '?type=t0&after_sequence_no=5&limit=2')" = '[6,9]' ]
	[ "$(numbers '?type=none')" = '[]' ]
	[ "$(numbers '/by-sequence?start_seq=7&end_seq=9')" = '[7,8,9]' ]
	[ "$(numbers '/by-sequence?start_seq=29&end_seq=500')" = '[29,30]' ]
	for i in '?limit=0' '?limit=101' '?limit=x' '?after_sequence_no=-1' \
		'?after_sequence_no=' '/by-sequence?start_seq=2&end_seq=1' \
		'/by-sequence?start_seq=1&end_seq=501' '/by-sequence'; do
		api 400 "/topics/$TOPIC/events$i"
	done
	api 200 "/topics/$TOPIC/events?limit=1"
	local id
	id=$(jq -r '.items[0].event_id' "$BODY")
	api 200 "/topics/$TOPIC/events/$id"
	[ "$(jq .payload "$BODY")" = 30 ]
	api 404 "/topics/$TOPIC/events/00000000-0000-4000-8000-000000000000"
	api 404 "/topics/$TOPIC/events/none"
	# Another topic's event is not here.
	TOPIC=$(new_topic other)
	hub grant add agent-1 other:read
	api 404 "/topics/$TOPIC/events/$id"
}

@test "a long page of large events costs little memory" {
	start_with_topic
	local big=$BATS_TEST_TMPDIR/big i
	{ printf '{"type":"t","payload":"'
		head -c 8000000 /dev/zero | tr '\0' x; printf '"}'; } >"$big"
	for i in {1..20}; do
		publish "@$big"
	done
	api 200 "/topics/$TOPIC/events?after_sequence_no=0&limit=100"
	[ "$(wc -c <"$BODY")" -gt 160000000 ]
	[ "$(tail -c 21 "$BODY")" = '}],"next_cursor":null}' ] ||
		tail -c 30 "$BODY" | grep -qF '],"next_cursor":null}'
	[ "$(awk '/VmHWM/ {print $2}' "/proc/$HUB_PID/status")" -lt 120000 ] ||
		grep -qaE '__[at]san_init' "$BUILD/bin/agentrux-hub" # it hoards
}

# Publishes until the hub is gone, 4 at a time; what was acknowledged is in
# acked.N, one answer a line. Sets LOADERS.
publish_until_killed() {
	local i
	LOADERS=()
	for i in 1 2 3 4; do
		yes "next
url = \"$HUB_URL/topics/$TOPIC/events\"
header = \"Authorization: Bearer $TOKEN\"
data = \"{\\\"type\\\":\\\"t\\\",\\\"payload\\\":$i}\"
write-out = \"\\n\"
silent" | head -n 30000 | tail -n +2 >"$BATS_TEST_TMPDIR/load.$i"
		background "$BATS_TEST_TMPDIR/acked.$i" \
			curl -K "$BATS_TEST_TMPDIR/load.$i"
		LOADERS+=("$LAST_PID")
	done
}

@test "what was acknowledged survives a SIGKILL, once and in order" {
	start_with_topic
	local all=$BATS_TEST_TMPDIR/all
	: >"$all"
	for _ in 1 2 3; do
		rm -f "$BATS_TEST_TMPDIR"/acked.?
		publish_until_killed
		wait_for 20 sh -c "[ \$(cat '$BATS_TEST_TMPDIR'/acked.? |
			wc -l) -gt 200 ]"
		restart_hub KILL
		wait "${LOADERS[@]}" || true
		cat "$BATS_TEST_TMPDIR"/acked.? |
			jq -rR 'fromjson? | .event_id' >>"$all"
	done
	local after=0 got=$BATS_TEST_TMPDIR/got
	: >"$got"
	while api 200 "/topics/$TOPIC/events?limit=100&after_sequence_no=$after" &&
		[ "$(jq '.items | length' "$BODY")" -gt 0 ]; do
		jq -r '.items[] | "\(.sequence_no) \(.event_id)"' "$BODY" >>"$got"
		after=$(tail -1 "$got" | cut -d' ' -f1)
	done
	[ "$(wc -l <"$all")" -gt 600 ]
	# All of them are there, each once, and the numbers have no gap.
	[ -z "$(comm -23 <(sort "$all") <(cut -d' ' -f2 "$got" | sort))" ]
	[ -z "$(cut -d' ' -f2 "$got" | sort | uniq -d)" ]
	cut -d' ' -f1 "$got" | cmp - <(seq "$(wc -l <"$got")")
}

@test "retention by age deletes, and no number is given twice" {
	start_with_topic --retention 1s
	publish '{"type":"t","payload":1}'
	publish '{"type":"t","payload":2}'
	is_empty() {
		api 200 "/topics/$TOPIC/events"
		[ "$(jq '.items | length' "$BODY")" = 0 ]
	}
	wait_for 5 is_empty
	publish '{"type":"t","payload":3}'
	api 200 "/topics/$TOPIC/events"
	[ "$(jq '.items[0].sequence_no' "$BODY")" = 3 ]
}

@test "retention by count keeps the newest of each topic" {
	start_with_topic --retention-count 5
	local i
	for i in {1..12}; do
		publish "{\"type\":\"t\",\"payload\":$i}"
	done
	has_five() {
		api 200 "/topics/$TOPIC/events/by-sequence?start_seq=1&end_seq=500"
		[ "$(jq -c '[.items[].payload]' "$BODY")" = '[8,9,10,11,12]' ]
	}
	wait_for 5 has_five
}

@test "commands work while publishers keep the database busy" {
	start_with_topic
	local i
	publish_until_killed
	for i in {1..5}; do
		hub topic add "more-$i" >/dev/null
		hub grant add agent-1 "more-$i:read"
	done
	api 200 /topics
	[ "$(jq '.items | length' "$BODY")" = 6 ]
}

### Hints

@test "a stream speaks at once, hints, and beats" {
	start_with_topic --heartbeat 1s
	local s=$BATS_TEST_TMPDIR/s
	stream "$s"
	publish '{"type":"t","payload":1}'
	wait_for 2 grep -q '^id: 1$' "$s"
	[ "$(sed -n 's/^data: //p' "$s" | jq -c .)" = \
		"{\"topic_id\":\"$TOPIC\",\"latest_sequence_no\":1}" ]
	wait_for 4 sh -c "[ \$(grep -c '^: heartbeat' '$s') -ge 2 ]"
}

@test "a stream that resumes is told at once what it missed" {
	start_with_topic
	local s=$BATS_TEST_TMPDIR/s i
	for i in 1 2 3; do
		publish '{"type":"t","payload":1}'
	done
	stream "$s.1" '?after_sequence_no=2'
	wait_for 2 grep -q '^id: 3$' "$s.1"
	stream "$s.2" '' -H 'Last-Event-ID: 1'
	wait_for 2 grep -q '^id: 3$' "$s.2"
	stream "$s.3" '?after_sequence_no=3'
	stream "$s.4" '' -H 'Last-Event-ID: 3'
	stream "$s.5"
	publish '{"type":"t","payload":1}'
	for i in 3 4 5; do
		wait_for 2 grep -q '^id: 4$' "$s.$i"
		run -1 grep -q '^id: 3$' "$s.$i"
	done
	api 400 "/topics/$TOPIC/events/stream?after_sequence_no=x"
}

@test "a revoked grant ends the stream, and so does an expired token" {
	start_with_topic --heartbeat 1s --token-ttl 3s
	local s=$BATS_TEST_TMPDIR/s first
	stream "$s"
	first=$LAST_PID
	hub grant remove agent-1 commands:read
	gone() { ! kill -0 "$1" 2>/dev/null; }
	wait_for 3 gone "$first"
	hub grant add agent-1 commands:read
	new_token
	stream "$s.2"
	wait_for 6 gone "$LAST_PID"
}

@test "a thousand idle streams cost little, and end with the hub in a second" {
	start_with_topic
	local before after fd hinted=0 line
	open_streams 1000
	before=$(cpu)
	sleep 2
	after=$(cpu)
	echo "ticks: $((after - before))"
	[ $((after - before)) -lt 20 ]
	publish '{"type":"t","payload":1}'
	for fd in "${FDS[@]}"; do
		until [[ $line == 'id: 1' ]]; do
			IFS= read -r -t 50 -u "$fd" line
		done
		line=
		hinted=$((hinted + 1))
	done
	[ "$hinted" = 1000 ]
	before=$(date +%s%N)
	kill -TERM "$HUB_PID"
	wait "$HUB_PID"
	[ $((($(date +%s%N) - before) / 1000000)) -lt 10000 ]
}

@test "streams that come and go under load leave nothing behind" {
	start_with_topic --heartbeat 1s
	publish_until_killed
	for _ in {1..10}; do
		for _ in {1..10}; do
			curl -sN -m 0.2 -H "Authorization: Bearer $TOKEN" \
				"$HUB_URL/topics/$TOPIC/events/stream" \
				>/dev/null 3>&- &
		done
		sleep 0.05
	done
	hub_lives
	kill "${LOADERS[@]}"
	# No connection (01) or half of one (08) of the hub's port is left.
	are_closed() {
		! awk -v port="$(printf '%04X' "${HUB_URL##*:}")" '
			$2 ~ ":" port "$" && ($4 == "01" || $4 == "08") {
				found = 1
			}
			END { exit !found }' /proc/net/tcp
	}
	wait_for 8 are_closed
	hub_lives
}

### Payload objects

# announce SIZE: sets OBJECT and URL.
announce() {
	api 201 "/topics/$TOPIC/payloads" -d "{\"content_type\":\"text/plain\",
		\"filename\":\"f.txt\",\"size\":$1}"
	OBJECT=$(jq -r .object_id "$BODY")
	URL=$(jq -r .upload_url "$BODY")
}

put() {
	local status=$1 url=$2 file=$3
	shift 3
	request "$status" "$url" -X PUT -T "$file" -H Expect: \
		-H 'Content-Type: text/plain' "$@"
}

@test "an object goes up and comes down, and its file is closed to others" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f
	head -c 5000000 /dev/urandom >"$f"
	announce 5000000
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
	put 200 "$URL" "$f"
	put 200 "$URL" "$f"
	api 200 "/topics/$TOPIC/payloads/$OBJECT"
	[ "$(jq -c '[.object_id,.content_type,.size]' "$BODY")" = \
		"[\"$OBJECT\",\"text/plain\",5000000]" ]
	request 200 "$(jq -r .download_url "$BODY")"
	cmp "$BODY" "$f"
	grep -qi '^content-type: text/plain' "$HEADERS"
	[ "$(stat -c %a "$HUB_DB.objects")" = 700 ]
	[ "$(stat -c %a "$HUB_DB.objects/$OBJECT")" = 600 ]
	[ "$(stat -c %a "$HUB_DB-wal")" = 600 ]
	announce 0
	: >"$f"
	put 200 "$URL" "$f"
	api 200 "/topics/$TOPIC/payloads/$OBJECT"
	request 200 "$(jq -r .download_url "$BODY")"
	[ ! -s "$BODY" ]
	TOPIC=$(new_topic other)
	hub grant add agent-1 other:read
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
}

@test "an upload that is not what was announced is refused" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f
	head -c 1000 /dev/urandom >"$f"
	announce 999
	put 400 "$URL" "$f"
	announce 1001
	put 400 "$URL" "$f"
	announce 1000
	put 411 "$URL" "$f" -H 'Transfer-Encoding: chunked'
	put 400 "$URL" "$f" -H "Authorization: Bearer $TOKEN"
	request 400 "$URL" -X PUT -T "$f" -H 'Content-Type: image/png'
	put 403 "${URL%?}$(tr 0-9a-f 1-9a-f0 <<<"${URL: -1}")" "$f"
	put 403 "${URL/expires=/expires=1}" "$f"
	put 403 "${URL%%\?*}" "$f"
	put 403 "${URL/obj_/obj_0}" "$f"
	request 403 "$URL"
	[ -z "$(ls "$HUB_DB.objects")" ]
	put 200 "$URL" "$f"
	local bad
	for bad in '{}' '{"size":-1}' '{"size":1.5}' '{"size":"1"}' \
		'{"size":1,"content_type":"a\r\nb"}' '{"size":1,"filename":1}'; do
		api 422 "/topics/$TOPIC/payloads" -d "$bad"
	done
	api 413 "/topics/$TOPIC/payloads" -d '{"size":99999999999999}'
}

@test "signed URLs expire" {
	start_with_topic --presign-ttl 4s
	local f=$BATS_TEST_TMPDIR/f
	echo hello >"$f"
	announce 6
	put 200 "$URL" "$f"
	api 200 "/topics/$TOPIC/payloads/$OBJECT"
	local down
	down=$(jq -r .download_url "$BODY")
	request 200 "$down"
	sleep 4.1
	put 403 "$URL" "$f"
	request 403 "$down"
}

@test "an upload that breaks off leaves nothing, nor does a killed hub" {
	start_with_topic
	announce 1000000
	local fd
	begin_upload() {
		exec {fd}<>"/dev/tcp/127.0.0.1/${HUB_URL##*:}"
		printf '%s\r\n' "PUT /${URL#*://*/} HTTP/1.1" 'Host: h' \
			'Content-Type: text/plain' \
			'Content-Length: 1000000' '' 'a part of it' >&"$fd"
	}
	begin_upload
	has_part() { compgen -G "$HUB_DB.objects/part-*" >/dev/null; }
	no_part() { ! has_part; }
	wait_for 5 has_part
	exec {fd}>&-
	wait_for 5 no_part
	begin_upload
	wait_for 5 has_part
	restart_hub KILL
	exec {fd}>&-
	no_part
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
}

@test "a path cannot lead out of the objects' folder" {
	start_with_topic
	local id
	for id in ../hub.db ..%2fhub.db ..%2f..%2fetc%2fpasswd .. . %00; do
		run -0 curl -s -o /dev/null -w '%{http_code}' --path-as-is \
			"$HUB_URL/objects/$id?expires=99999999999999&signature=00"
		[[ $output == 40[34] ]]
	done
	hub_lives
}

@test "objects age out with their files" {
	start_with_topic --retention 2s
	local f=$BATS_TEST_TMPDIR/f
	echo hello >"$f"
	announce 6
	put 200 "$URL" "$f"
	[ -e "$HUB_DB.objects/$OBJECT" ]
	aged() { [ ! -e "$HUB_DB.objects/$OBJECT" ]; }
	wait_for 5 aged
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
}
