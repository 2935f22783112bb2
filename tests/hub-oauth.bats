#!/usr/bin/env bats
# agentrux-hub in the oauth dialect, by curl: nothing of the client is used here.

# shellcheck disable=SC2016,SC2030,SC2031,SC2153 # a test is a subshell, and so it should be
load helper
load hub

# agent NAME GRANT…: a script that is activated and has a token. Sets SCRIPT,
# CLIENT, SECRET and TOKEN.
agent() {
	local name=$1 grants=() grant
	shift
	for grant; do
		grants+=(--grant "$grant")
	done
	SCRIPT=$(hub script add "$name" "${grants[@]}")
	redeem "$(hub code issue "$name" --oauth)"
	new_token
}

redeem() {
	request 200 /auth/redeem-activation-code -d "{\"code\":\"$1\"}"
	CLIENT=$(jq -r .client_id "$BODY")
	SECRET=$(jq -r .client_secret "$BODY")
}

new_token() {
	token_request 200 client_id="$CLIENT" client_secret="$SECRET"
	TOKEN=$(jq -r .access_token "$BODY")
}

# token_request STATUS FIELD…: client_credentials.
token_request() {
	local want=$1 fields=() field
	shift
	for field; do
		fields+=(--data-urlencode "$field")
	done
	request "$want" /oauth/token -d grant_type=client_credentials \
		"${fields[@]}"
}

publish() {
	api 201 "/topics/$TOPIC/events" "$@"
	EVENT=$(jq -r .event_id "$BODY")
}

start_with_topic() {
	UUID=$(new_topic commands)
	TOPIC=top_$UUID
	start_hub "$@"
	agent agent-1 commands:read commands:write
}

# events QUERY [JQ]: a page, through jq.
events() {
	api 200 "/topics/$TOPIC/events$1"
	jq -c "${2:-[.events[].payload]}" "$BODY"
}

# What an error says: its code.
code() {
	jq -r '.detail.error' "$BODY"
}

# stream FILE QUERY [curl options…]: a hint stream into FILE. Sets LAST_PID.
stream() {
	local file=$1 query=$2
	shift 2
	background "$file" curl -sN -H "Authorization: Bearer $TOKEN" "$@" \
		"$HUB_URL/topics/$TOPIC/events/stream$query"
	wait_for 10 grep -q 'event: ready' "$file"
}

# frames FILE NAME: the data of the frames of a name, one a line.
frames() {
	awk -v name="$2" '
		/^event: / { event = substr($0, 8) }
		/^data: / && event == name { print substr($0, 7) }' "$1"
}

has_frames() {
	[ "$(frames "$1" "$2" | wc -l)" -ge "$3" ]
}

### Joining

@test "a code is redeemed once, and its secret is exchanged for tokens" {
	start_hub
	local id code
	id=$(hub script add one)
	code=$(hub code issue one --oauth)
	[[ $code =~ ^act_[A-Za-z0-9_-]{43}$ ]]
	# A code belongs to its dialect.
	request 404 /auth/activate -d "{\"activation_code\":\"$code\"}"
	request 404 /auth/redeem-activation-code \
		-d "{\"code\":\"$(hub code issue one)\"}"
	redeem "$code"
	[[ $CLIENT =~ ^crd_ && $SECRET =~ ^aks_ ]]
	[ "$(jq -r .script_id "$BODY")" = "$id" ]
	jq -r .issued_at "$BODY" | grep -Eq '^20..-..-..T..:..:..Z$'
	request 422 /auth/redeem-activation-code -d "{\"code\":\"$code\"}"
	[ "$(code)" = INVALID ]
	[ "$(jq -r .detail.message "$BODY")" = "Token has expired" ]
	request 404 /auth/redeem-activation-code -d '{"code":"act_none"}'
	request 422 /auth/redeem-activation-code -d '{"code":1}'
	request 400 /auth/redeem-activation-code -d '<html>'
	new_token
	[[ $TOKEN =~ ^aat_ ]]
	[ "$(jq -c '[.token_type,.expires_in]' "$BODY")" = '["Bearer",600]' ]
	[ "$(jq -c 'has("refresh_token")' "$BODY")" = false ]
	grep -qi '^cache-control: no-store' "$HEADERS"
	api 200 /topics
}

@test "the token endpoint answers as RFC 6749 has it" {
	start_hub
	agent one
	token_request 401 client_id="$CLIENT" client_secret=wrong
	[ "$(jq -r .error "$BODY")" = invalid_client ]
	token_request 401 client_id=crd_none client_secret="$SECRET"
	token_request 400 client_id="$CLIENT"
	[ "$(jq -r .error "$BODY")" = invalid_request ]
	token_request 400 client_id="$CLIENT" client_id="$CLIENT" \
		client_secret="$SECRET"
	token_request 400 client_id="$(head -c 2000 /dev/zero | tr '\0' x)" \
		client_secret="$SECRET"
	request 400 /oauth/token -d grant_type=password
	[ "$(jq -r .error "$BODY")" = unsupported_grant_type ]
	request 400 /oauth/token -d ''
	request 400 /oauth/token -d 'grant_type=%zz'
	request 400 /oauth/token -H 'Content-Type: application/json' \
		-d '{"grant_type":"client_credentials"}'
	[ "$(jq -r .error "$BODY")" = invalid_request ]
	request 405 /oauth/token
	request 413 /oauth/token --data-binary @<(head -c 9000 /dev/zero)
	[ "$(jq -r .error "$BODY")" = invalid_request ]
	# Decoded as a form is.
	request 200 /oauth/token -d 'grant%5Ftype=client%5fcredentials' \
		-d "client_id=$CLIENT&&client_secret=$SECRET&scope=a+b"
	# Not for the other dialect's way in.
	request 401 /auth/token \
		-d "{\"script_id\":\"$SCRIPT\",\"client_secret\":\"$SECRET\"}"
}

@test "a new activation ends the old secret and its tokens, in any dialect" {
	start_hub
	agent one
	local old=$TOKEN
	request 200 /auth/activate \
		-d "{\"activation_code\":\"$(hub code issue one)\"}"
	api 401 /topics
	[ "$(code)" = UNAUTHORIZED ]
	token_request 401 client_id="$CLIENT" client_secret="$SECRET"
	redeem "$(hub code issue one --oauth)"
	new_token
	api 200 /topics
	TOKEN=$old
	api 401 /topics
	hub script remove one
	token_request 401 client_id="$CLIENT" client_secret="$SECRET"
}

@test "sixty tokens an hour for a script, then 429 with Retry-After" {
	background "$BATS_TEST_TMPDIR/out" \
		agentrux-hub --db "$HUB_DB" serve --listen 127.0.0.1:0
	wait_for 10 test -s "$BATS_TEST_TMPDIR/out"
	HUB_URL=$(jq -r .listening "$BATS_TEST_TMPDIR/out")
	agent one
	local fields urls=() i
	fields="grant_type=client_credentials&client_id=$CLIENT"
	for i in {2..60}; do
		urls+=(-o /dev/null "$HUB_URL/oauth/token")
	done
	curl -s -w '%{http_code}\n' -d "$fields&client_secret=$SECRET" \
		"${urls[@]}" | sort -u | cmp - <(echo 200)
	token_request 429 client_id="$CLIENT" client_secret="$SECRET"
	grep -Eqi '^retry-after: 3[0-9]{3}' "$HEADERS"
	agent two
}

### Topics and events

@test "topics are listed with their names and actions" {
	start_with_topic
	new_topic other >/dev/null
	new_topic third >/dev/null
	hub grant add agent-1 other:read
	api 200 /topics
	[ "$(jq -c '[.items[] | [.display_name, .actions]]' "$BODY")" = \
		'[["commands",["read","write"]],["other",["read"]]]' ]
	[ "$(jq -r '.items[0].topic_id' "$BODY")" = "$TOPIC" ]
	api 403 "/topics/top_$(hub topic list |
		jq -r 'select(.name == "third").topic_id')/events"
	[ "$(code)" = FORBIDDEN ]
	api 404 /topics/top_00000000-0000-4000-8000-000000000000/events
	[ "$(code)" = NOT_FOUND ]
	# A bare UUID serves as well.
	TOPIC=$UUID
	publish -d '{"event_type":"t","payload":1}'
	[ "$(events '' '.events[0].topic_id')" = "\"top_$UUID\"" ]
}

@test "an event comes back with its fields, its payload byte for byte" {
	start_with_topic
	local p
	publish -d '{"event_type":"a\"\u65e5", "payload": [ 1.0,9007199254740993 ],
		"metadata": { "k":1e400 }}'
	[[ $EVENT =~ ^evt_[0-9a-f-]{36}$ ]]
	api 200 "/topics/$TOPIC/events"
	grep -qF '"payload":[ 1.0,9007199254740993 ],' "$BODY"
	grep -qF '"metadata":{ "k":1e400 }' "$BODY"
	jq -e --arg id "$EVENT" --arg t "$TOPIC" --arg s "$SCRIPT" '.events[0] |
		.event_id == $id and .topic_id == $t and
		.producer_script == $s and .event_type == "a\"日" and
		.payload_object_id == null' "$BODY"
	jq -r '.events[0].stored_at' "$BODY" |
		grep -Eq '^20..-..-..T..:..:..\....\+00:00$'
	api 200 "/topics/$TOPIC/events/$EVENT"
	[ "$(jq -r .event_id "$BODY")" = "$EVENT" ]
	api 404 "/topics/$TOPIC/events/evt_00000000-0000-4000-8000-000000000000"
	for p in null '""' 0 false '[]'; do
		publish -d "{\"event_type\":\"t\",\"payload\":$p}"
		api 200 "/topics/$TOPIC/events/$EVENT"
		grep -qF "\"payload\":$p,\"payload_object_id\":null,\"metadata\":{}" "$BODY"
	done
}

@test "what is no event is refused" {
	start_with_topic
	local body
	for body in '{}' '{"event_type":"t"}' '{"type":"t","payload":1}' \
		'{"event_type":"","payload":1}' '{"event_type":1,"payload":1}' \
		'{"event_type":"t","payload":1,"metadata":[]}' \
		'{"event_type":"t","payload":1,"payload_object_id":"pob_x"}'; do
		api 422 "/topics/$TOPIC/events" -d "$body"
		[ "$(code)" = INVALID ]
	done
	api 400 "/topics/$TOPIC/events" -d '{'
	api 404 "/topics/$TOPIC/events" \
		-d '{"event_type":"t","payload_object_id":"pob_x"}'
	{ printf '{"event_type":"t","metadata":{"x":"'
		head -c 70000 /dev/zero | tr '\0' x
		printf '"},"payload":1}'; } >"$BATS_TEST_TMPDIR/m"
	api 422 "/topics/$TOPIC/events" -d @"$BATS_TEST_TMPDIR/m"
}

@test "256 KiB is the most that goes inline" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f n
	body() {
		printf '{"event_type":"t","payload":"'
		head -c $(($1 - 2)) /dev/zero | tr '\0' x
		printf '"}'
	}
	body 262144 >"$f"
	publish -d @"$f"
	for n in 262145 500000 5000000; do
		body $n >"$f"
		api 413 "/topics/$TOPIC/events" -d @"$f" -H Expect:
		jq -e .detail.message "$BODY"
	done
	[ "$(events '' '.events | length')" = 1 ]
}

@test "a topic is read by cursor, in both orders, by type and without one's own" {
	start_with_topic
	local i a b cursors=()
	for i in {1..10}; do
		publish -d "{\"event_type\":\"t$((i % 2))\",\"payload\":$i}"
	done
	a=$TOKEN
	agent agent-2 commands:read commands:write
	b=$TOKEN
	publish -d '{"event_type":"t1","payload":11}'
	[ "$(events '?limit=3')" = '[1,2,3]' ]
	mapfile -t cursors < <(events '' '.events[].cursor' | tr -d '"')
	[ "${#cursors[@]}" = 11 ]
	# Opaque: no number, no order, and the same each time.
	[ "$(printf '%s\n' "${cursors[@]}" | sort -u | wc -l)" = 11 ]
	[ "$(events '' '.events[2].cursor')" = "\"${cursors[2]}\"" ]
	run -1 grep -qE '^[0-9]+$' <(printf '%s\n' "${cursors[@]}")
	[ "$(events "?after=${cursors[2]}&limit=2")" = '[4,5]' ]
	[ "$(jq -c '.next.has_more' "$BODY")" = true ]
	[ "$(jq -r '.next.after' "$BODY")" = "${cursors[4]}" ]
	[ "$(events "?after=${cursors[8]}&limit=2")" = '[10,11]' ]
	[ "$(jq -c '.next.has_more' "$BODY")" = false ]
	[ "$(events "?after=${cursors[10]}")" = '[]' ]
	[ "$(jq -c '.next | has("after"), .has_more' "$BODY" | xargs)" = \
		'false false' ]
	[ "$(events '?order=desc&limit=2')" = '[11,10]' ]
	[ "$(events "?order=desc&limit=2&after=${cursors[9]}")" = '[9,8]' ]
	[ "$(events '?type=t1&limit=3')" = '[1,3,5]' ]
	[ "$(events '?type=t1&order=desc&limit=2')" = '[11,9]' ]
	[ "$(events '?exclude_self=true' '.events | length')" = 10 ]
	TOKEN=$a
	[ "$(events '?exclude_self=true')" = '[11]' ]
	[ "$(events '?exclude_self=false' '.events | length')" = 11 ]
	TOKEN=$b
	for i in '?limit=0' '?limit=101' '?order=up' '?after=5' '?after=cur_x' \
		'?after=evt_x'; do
		api 422 "/topics/$TOPIC/events$i"
	done
	api 400 "/topics/$TOPIC/events?limit=x"
	# Nor is another topic's cursor one.
	new_topic other >/dev/null
	hub grant add agent-2 other:read
	TOPIC=top_$(hub topic list | jq -r 'select(.name == "other").topic_id')
	api 422 "/topics/$TOPIC/events?after=${cursors[3]}"
}

# publish_many N: events of type t.
publish_many() {
	local n=$1
	yes "next
url = \"$HUB_URL/topics/$TOPIC/events\"
header = \"Authorization: Bearer $TOKEN\"
data = \"{\\\"event_type\\\":\\\"t\\\",\\\"payload\\\":1}\"
output = \"/dev/null\"
silent" | head -n "$((6 * n))" | tail -n +2 >"$BATS_TEST_TMPDIR/load"
	curl -ZK "$BATS_TEST_TMPDIR/load"
}

@test "leaving out one's own events takes a bounded look at a time" {
	start_with_topic
	local after
	publish_many 1005
	agent agent-2 commands:write
	publish -d '{"event_type":"t","payload":2}'
	redeem "$(hub code issue agent-1 --oauth)"
	new_token
	[ "$(events '?exclude_self=true' '[.events, .next.has_more]')" = \
		'[[],true]' ]
	after=$(jq -r .next.after "$BODY")
	[ "$(events "?exclude_self=true&after=$after")" = '[2]' ]
	[ "$(events '?exclude_self=true&order=desc&limit=1')" = '[2]' ]
	[ "$(events '?exclude_self=true&limit=1&type=t' .next.has_more)" = true ]
}

@test "an event's id serves as a position, and one survives a restart" {
	start_with_topic
	publish -d '{"event_type":"t","payload":1}'
	local first=$EVENT cursor
	publish -d '{"event_type":"t","payload":2}'
	[ "$(events "?after=$first")" = '[2]' ]
	cursor=$(events '?limit=1' '.events[0].cursor' | tr -d '"')
	restart_hub KILL
	[ "$(events "?after=$cursor")" = '[2]' ]
	[ "$(events '?limit=1' '.events[0].cursor')" = "\"$cursor\"" ]
}

@test "a position that aged out says so, and a frontier does not age" {
	start_with_topic --retention-count 3
	local old frontier oldest i
	publish -d '{"event_type":"t","payload":1}'
	old=$(events '' '.events[0].cursor' | tr -d '"')
	frontier=$(events "?after=$old" '.next.frontier_cursor' | tr -d '"')
	[ "$(events "?after=$frontier")" = '[]' ]
	for i in {2..4}; do
		publish -d "{\"event_type\":\"t\",\"payload\":$i}"
	done
	is_gone() {
		api 404 "/topics/$TOPIC/events?after=$1"
	}
	wait_for 20 is_gone "$old"
	# Nothing behind the frontier is lost yet.
	[ "$(events "?after=$frontier")" = '[2,3,4]' ]
	for i in {5..8}; do
		publish -d "{\"event_type\":\"t\",\"payload\":$i}"
	done
	wait_for 20 is_gone "$frontier"
	# Deleting may have begun before the last one was there.
	is_trimmed() {
		[ "$(events '')" = '[6,7,8]' ]
	}
	wait_for 20 is_trimmed
	oldest=$(events '' '.events[0].event_id')
	is_gone "$old"
	[ "$(jq -c '.detail | [.error, .details.reason, .next_action]' "$BODY")" = \
		'["NOT_FOUND","ttl_expired","cursor_advance"]' ]
	[ "$(jq '.detail.details.oldest_available_evt_id' "$BODY")" = "$oldest" ]
	is_gone evt_00000000-0000-4000-8000-000000000000
}

@test "an idempotency key makes one event of many attempts" {
	start_with_topic
	local key='Idempotency-Key: idk_1' body='{"event_type":"t","payload":1}'
	publish -d "$body" -H "$key"
	local first=$EVENT
	run -1 grep -qi '^idempotent-replayed' "$HEADERS"
	api 200 "/topics/$TOPIC/events" -d "$body" -H "$key"
	[ "$(jq -r .event_id "$BODY")" = "$first" ]
	grep -qi '^idempotent-replayed: true' "$HEADERS"
	api 409 "/topics/$TOPIC/events" -d '{"event_type":"t","payload":2}' \
		-H "$key"
	[ "$(code)" = CONFLICT ]
	restart_hub KILL
	api 200 "/topics/$TOPIC/events" -d "$body" -H "$key"
	# Another key, another script: another event.
	publish -d "$body" -H 'Idempotency-Key: idk_2'
	agent agent-2 commands:read commands:write
	publish -d "$body" -H "$key"
	api 400 "/topics/$TOPIC/events" -d "$body" -H 'Idempotency-Key: a b'
	api 400 "/topics/$TOPIC/events" -d "$body" \
		-H "Idempotency-Key: $(head -c 256 /dev/zero | tr '\0' x)"
	# At once: one of them makes it, the others get its id.
	local urls=() i
	for i in {1..20}; do
		urls+=(-o "$BATS_TEST_TMPDIR/at-once.$i"
			"$HUB_URL/topics/$TOPIC/events")
	done
	curl -sZ --no-progress-meter --parallel-immediate -w '%{http_code}\n' \
		-H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: idk_3' \
		-d "$body" "${urls[@]}" | sort | uniq -c | xargs |
		cmp - <(echo '19 200 1 201')
	[ "$(jq -r .event_id "$BATS_TEST_TMPDIR"/at-once.* | sort -u | wc -l)" = 1 ]
	[ "$(events '' '.events | length')" = 4 ]
}

# keyed_load FILE: requests of 150 events, each with a key of its own.
keyed_load() {
	local i
	for i in {1..150}; do
		printf '%s\n' next "url = \"$HUB_URL/topics/$TOPIC/events\"" \
			"header = \"Authorization: Bearer $TOKEN\"" silent \
			"header = \"Idempotency-Key: idk_${1##*.}-$i\"" \
			'write-out = "\n"' \
			"data = \"{\\\"event_type\\\":\\\"t\\\",\\\"payload\\\":$i}\""
	done | tail -n +2 >"$1"
}

@test "what is sent again after a SIGKILL, under its key, is there once" {
	start_with_topic
	local load=$BATS_TEST_TMPDIR/load acked=$BATS_TEST_TMPDIR/acked i pids=()
	for i in 1 2 3 4; do
		keyed_load "$load.$i"
		background "$acked.$i" curl -K "$load.$i"
		pids+=("$LAST_PID")
	done
	some_acked() { [ "$(cat "$acked".? | wc -l)" -gt 20 ]; }
	wait_for 10 some_acked
	HUB_PORT=${HUB_URL##*:} restart_hub KILL
	wait "${pids[@]}" || true
	for i in 1 2 3 4; do
		curl -K "$load.$i" | jq -r .event_id >>"$acked"
	done
	# Each key has its event, those acknowledged before the end the same.
	[ "$(sort -u "$acked" | wc -l)" = 600 ]
	cat "$acked".? | jq -rR 'fromjson? | .event_id' | sort |
		comm -23 - <(sort "$acked") | cmp - /dev/null
	count() {
		api 200 "/topics/$TOPIC/events?limit=100${1:+&after=$1}"
		jq '.events | length' "$BODY"
		[ "$(jq .next.has_more "$BODY")" = false ] ||
			count "$(jq -r .next.after "$BODY")"
	}
	[ "$(count | jq -s add)" = 600 ]
}

@test "one topic, one event: a classic script and an oauth one talk" {
	start_with_topic
	local oauth=$TOKEN classic secret
	hub script add old --grant commands:read --grant commands:write >/dev/null
	request 200 /auth/activate \
		-d "{\"activation_code\":\"$(hub code issue old)\"}"
	request 200 /auth/token -d "$(jq '{script_id, client_secret}' "$BODY")"
	classic=$(jq -r .access_token "$BODY")
	publish -d '{"event_type":"a","payload":{"x":1.0},
		"metadata":{"correlation_id":"c-1","reply_topic":"r","k":2}}'
	TOKEN=$classic
	api 200 "/topics/$UUID/events?after_sequence_no=0"
	[ "evt_$(jq -r '.items[0].event_id' "$BODY")" = "$EVENT" ]
	[ "$(jq -c '.items[0] | [.type,.correlation_id,.reply_topic]' "$BODY")" = \
		'["a","c-1","r"]' ]
	grep -qF '"payload":{"x":1.0}' "$BODY"
	api 201 "/topics/$UUID/events" -d '{"type":"b","payload":2,
		"correlation_id":"c-1"}'
	TOKEN=$oauth
	[ "$(events '?type=b' '.events[0] | [.payload,.metadata]')" = \
		'[2,{"correlation_id":"c-1"}]' ]
	# Sequence numbers are of the other dialect, and so is what reads by them.
	api 404 "/topics/$TOPIC/events/by-sequence?start_seq=1&end_seq=2"
}

### Payload objects

# announce FIELDS: sets OBJECT, URL and REQUIRED (curl options).
announce() {
	local name value
	api 201 "/topics/$TOPIC/payloads" -d "$1"
	OBJECT=$(jq -r .payload_object_id "$BODY")
	URL=$(jq -r .presigned_put_url "$BODY")
	REQUIRED=()
	while IFS=$'\t' read -r name value; do
		REQUIRED+=(-H "$name: $value")
	done < <(jq -r '.required_headers | to_entries[] |
		[.key, .value] | @tsv' "$BODY")
}

put() {
	request "$1" "$URL" -X PUT -T "$2" -H Expect: "${REQUIRED[@]}" "${@:3}"
}

@test "an object is put, named by an event, and got" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f get
	head -c 1000000 /dev/urandom >"$f"
	announce '{"size_bytes":1000000,"content_type":"image/png"}'
	[[ $OBJECT =~ ^pob_[0-9a-f-]{36}$ ]]
	[ "$(jq -r '.required_headers."Content-Type"' "$BODY")" = image/png ]
	name_it() {
		api "$1" "/topics/$TOPIC/events" -d "{\"event_type\":\"t\",
			\"payload_object_id\":\"$OBJECT\",\"payload\":null}"
	}
	name_it 422
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
	put 200 "$f"
	# Naming it inside a payload is not enough.
	publish -d "{\"event_type\":\"t\",\"payload\":{\"id\":\"$OBJECT\"}}"
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
	[ "$(code)" = NOT_FOUND ]
	name_it 201
	api 200 "/topics/$TOPIC/payloads/$OBJECT"
	[ "$(jq -c '[.payload_object_id,.content_type,.size_bytes]' "$BODY")" = \
		"[\"$OBJECT\",\"image/png\",1000000]" ]
	get=$(jq -r .presigned_get_url "$BODY")
	request 200 "$get"
	cmp "$BODY" "$f"
	request 400 "$get" -H "Authorization: Bearer $TOKEN"
	[ "$(events '?order=desc&limit=1' '.events[0] |
		[.payload,.payload_object_id]')" = "[null,\"$OBJECT\"]" ]
	# To the other dialect it is the same object.
	hub script add old --grant commands:read >/dev/null
	request 200 /auth/activate \
		-d "{\"activation_code\":\"$(hub code issue old)\"}"
	request 200 /auth/token -d "$(jq '{script_id, client_secret}' "$BODY")"
	TOKEN=$(jq -r .access_token "$BODY")
	api 200 "/topics/$UUID/events?type=t"
	[ "$(jq -r '.items[-1].payload_ref' "$BODY")" = "obj_${OBJECT#pob_}" ]
	api 200 "/topics/$UUID/payloads/obj_${OBJECT#pob_}"
}

@test "an announced checksum comes back verbatim and is checked" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f hex base64 sum
	echo hello >"$f"
	hex=$(sha256sum <"$f" | cut -d' ' -f1)
	base64=$(openssl dgst -sha256 -binary <"$f" | base64)
	for sum in "$hex" "${hex^^}" "$base64"; do
		announce "{\"size_bytes\":6,\"checksum_sha256\":\"$sum\"}"
		jq -r '.required_headers[]' "$BODY" | grep -qxF "$sum"
		request 400 "$URL" -X PUT -T "$f" \
			-H 'Content-Type: application/octet-stream'
		echo HELLO >"$f.other"
		put 400 "$f.other"
		put 200 "$f"
		publish -d "{\"event_type\":\"t\",\"payload_object_id\":\"$OBJECT\"}"
		api 200 "/topics/$TOPIC/payloads/$OBJECT"
		[ "$(jq -r .checksum_sha256 "$BODY")" = "$sum" ]
	done
	for sum in x "${hex}0" "${base64%?}" "${base64/[a-zA-Z]/_}" ""; do
		api 422 "/topics/$TOPIC/payloads" \
			-d "{\"size_bytes\":6,\"checksum_sha256\":\"$sum\"}"
	done
}

@test "an upload has to be as announced" {
	start_with_topic
	local f=$BATS_TEST_TMPDIR/f bad
	echo hello >"$f"
	announce '{"size_bytes":5}'
	put 400 "$f"
	announce '{"size_bytes":6,"content_type":"text/plain"}'
	put 411 "$f" -H 'Transfer-Encoding: chunked'
	put 400 "$f" -H "Authorization: Bearer $TOKEN"
	request 400 "$URL" -X PUT -T "$f" -H 'Content-Type: text/html'
	URL=${URL/signature=/signature=0} put 403 "$f"
	put 200 "$f"
	for bad in '{}' '{"size":6}' '{"size_bytes":"6"}' '{"size_bytes":-1}' \
		'{"size_bytes":6,"content_type":"a\r\nb: c"}'; do
		api 422 "/topics/$TOPIC/payloads" -d "$bad"
	done
	api 413 "/topics/$TOPIC/payloads" -d '{"size_bytes":99999999999999}'
	# Neither another topic's event nor its readers get at the object.
	new_topic other >/dev/null
	hub grant add agent-1 other:read other:write
	TOPIC=top_$(hub topic list | jq -r 'select(.name == "other").topic_id')
	api 404 "/topics/$TOPIC/events" \
		-d "{\"event_type\":\"t\",\"payload_object_id\":\"$OBJECT\"}"
	api 404 "/topics/$TOPIC/payloads/$OBJECT"
}

### Hints

@test "a stream says ready, tells of each event, and beats" {
	start_with_topic --heartbeat 1s
	local s=$BATS_TEST_TMPDIR/s
	stream "$s" ''
	[ "$(frames "$s" ready | jq -r .topic_id)" = "$TOPIC" ]
	publish -d '{"event_type":"a\nb","payload":1}'
	wait_for 10 has_frames "$s" hint 1
	api 200 "/topics/$TOPIC/events"
	[ "$(frames "$s" hint | jq -c '[.topic_id,.event_id,.cursor,.event_type]')" = \
		"$(jq -c '.events[0] |
			[.topic_id,.event_id,.cursor,.event_type]' "$BODY")" ]
	grep -qx "id: $(jq -r '.events[0].cursor' "$BODY")" "$s"
	publish -d '{"event_type":"b","payload":1}'
	publish -d '{"event_type":"c","payload":1}'
	wait_for 10 has_frames "$s" hint 3
	[ "$(frames "$s" hint | jq -r .event_type | tail -2 | xargs)" = 'b c' ]
	wait_for 10 has_frames "$s" heartbeat 2
}

@test "a stream that resumes is told of each event that it missed, once" {
	start_with_topic
	local s=$BATS_TEST_TMPDIR/s i cursor
	for i in {1..4}; do
		publish -d "{\"event_type\":\"t$i\",\"payload\":1}"
	done
	cursor=$(events '' '.events[1].cursor' | tr -d '"')
	stream "$s.1" '' -H "Last-Event-ID: $cursor"
	stream "$s.2" '' -H "Last-Event-ID: $(events '' '.events[2].event_id' |
		tr -d '"')"
	stream "$s.3" ''
	publish -d '{"event_type":"t5","payload":1}'
	for i in 1 2 3; do
		wait_for 10 grep -q t5 "$s.$i"
	done
	[ "$(frames "$s.1" hint | jq -r .event_type | xargs)" = 't3 t4 t5' ]
	[ "$(frames "$s.2" hint | jq -r .event_type | xargs)" = 't4 t5' ]
	[ "$(frames "$s.3" hint | jq -r .event_type | xargs)" = t5 ]
}

@test "a stream that cannot be told all of it is told to read" {
	start_with_topic --retention-count 80
	local s=$BATS_TEST_TMPDIR/s i first
	publish -d '{"event_type":"t","payload":1}'
	first=$(events '' '.events[0].cursor' | tr -d '"')
	stream "$s.slow" ''
	kill -STOP "$LAST_PID"
	publish_many 79
	kill -CONT "$LAST_PID"
	stream "$s.1" '' -H "Last-Event-ID: $first"
	wait_for 10 has_frames "$s.1" resync_required 1
	[ "$(frames "$s.1" resync_required | jq -c '[.reason,.next_action]')" = \
		'["replay_gap","pull_resync"]' ]
	[ "$(frames "$s.1" hint | wc -l)" = 0 ]
	stream "$s.2" '' -H 'Last-Event-ID: 42'
	wait_for 10 has_frames "$s.2" resync_required 1
	for i in {1..10}; do
		publish -d '{"event_type":"last","payload":1}'
	done
	wait_for 10 grep -q last "$s.1"
	is_gone() { api 404 "/topics/$TOPIC/events?after=$first"; }
	wait_for 20 is_gone
	stream "$s.3" '' -H "Last-Event-ID: $first"
	wait_for 10 has_frames "$s.3" resync_required 1
	[ "$(frames "$s.3" resync_required | jq -r .reason)" = retention_miss ]
}

@test "a stream without one's own events is not told of them" {
	start_with_topic
	local s=$BATS_TEST_TMPDIR/s
	stream "$s" '?exclude_self=true'
	publish -d '{"event_type":"mine","payload":1}'
	publish -d '{"event_type":"mine","payload":1}'
	agent agent-2 commands:write
	publish -d '{"event_type":"theirs","payload":1}'
	wait_for 10 grep -q theirs "$s"
	[ "$(frames "$s" hint | jq -r .event_type)" = theirs ]
}

@test "a stream ends with its grant or its token, and says why" {
	start_with_topic --heartbeat 1s --token-ttl 10s
	local s=$BATS_TEST_TMPDIR/s
	gone() { ! kill -0 "$LAST_PID" 2>/dev/null; }
	stream "$s" ''
	hub grant remove agent-1 commands:read
	wait_for 20 gone
	[ "$(frames "$s" error | jq -r .code)" = FORBIDDEN ]
	hub grant add agent-1 commands:read
	new_token
	stream "$s.2" ''
	wait_for 20 gone
	[ "$(frames "$s.2" error | jq -r .code)" = UNAUTHORIZED ]
	api 401 "/topics/$TOPIC/events/stream"
}

@test "a database of the first version is taken along" {
	# It has a topic, commands, with an event, and agent-1 with its grants.
	(umask 077 && gzip -dc "$BATS_TEST_DIRNAME/hub-version-1.db.gz" \
		>"$HUB_DB")
	TOPIC=top_$(hub topic list | jq -r .topic_id)
	start_hub
	redeem "$(hub code issue agent-1 --oauth)"
	new_token
	[ "$(events '')" = '[1]' ]
	publish -d '{"event_type":"t","payload":2,"metadata":{}}'
	[ "$(events '')" = '[1,2]' ]
}
