#!/usr/bin/env bats
# The oauth dialect on the wire: what its requests carry, and what every program
# makes of its answers. A server by plan stands in for the service.

load helper

ID=0b0e7c1a-1111-4222-8333-0123456789ab
T=top_$ID
TOKEN='POST /oauth/token status=200 body="{\"access_token\":\"aat_1\",\"token_type\":\"Bearer\",\"expires_in\":600}"'

# serve RULE…: a server with these rules, and oauth credentials for it.
serve() {
	printf '%s\n' "$@" "$TOKEN" >"$HOME/plan"
	start_faults "$HOME/plan"
	mkdir -p -m 700 "$HOME/.agentrux"
	(
		umask 077
		jq -n --arg url "$FAULTS_URL" '{base_url: $url,
			client_id: "crd_1", client_secret: "aks_not+a/real=one",
			script_id: "scr_1"}' >"$HOME/.agentrux/credentials.json"
	)
}

# position [JSON]: the saved one, or makes it so.
position() {
	if [ $# -gt 0 ]; then
		(umask 077 && echo "$1" >"$HOME/.agentrux/waterline.json")
	else
		jq -r ".\"$T\"" "$HOME/.agentrux/waterline.json"
	fi
}

# page NAME NEXT ID…: a file with a page of events, NEXT being its `next`. An
# event is ID or ID:CURSOR.
page() {
	local name=$1 next=$2
	shift 2
	printf '%s\n' "$@" | jq -Rsc --arg topic "$T" --argjson next "$next" '
		{events: (split("\n") | map(select(. != "") | split(":") |
			{event_id: .[0], topic_id: $topic, event_type: "m",
			 stored_at: "2026-06-13T00:00:01+00:00",
			 payload: {n: .[0]}, metadata: {}} +
			if .[1] then {cursor: .[1]} else {} end)),
		 next: $next}' >"$HOME/$name"
	echo "$HOME/$name"
}

EMPTY='GET */events?* status=200 body="{\"events\":[],\"next\":{\"has_more\":false}}"'

# The request lines that were seen, in order, of those that match.
asked() {
	head -qn 1 "$FAULTS_LOG"/*.req | cut -d' ' -f2 | grep -E -- "$1"
}

# drain [ARG…]: event ids that came, on one line.
drain() {
	local status=0
	agentrux-drain "$@" "$ID" </dev/null >"$HOME/out" 2>"$HOME/err" ||
		status=$?
	cat "$HOME/err" >&2
	jq -r .event_id "$HOME/out" | paste -sd' ' -
	return "$status"
}

# --- activation and tokens ---

@test "an act_ code becomes credentials with a client_id" {
	serve 'POST /auth/redeem-activation-code body="{\"client_id\":\"crd_9\",\"client_secret\":\"aks_9\",\"script_id\":\"scr_9\",\"issued_at\":\"2026-06-13T00:00:00Z\"}"'
	rm "$HOME/.agentrux/credentials.json"
	(umask 077 && echo "act_ABCDEFGHIJKLMNOPQRSTUVWX" >"$HOME/.agentrux/BOOTSTRAP.md")
	agentrux-activate --json >"$HOME/result"
	[ "$(jq -r '.outcome + " " + .client_id + " " + .script_id' "$HOME/result")" = "ok crd_9 scr_9" ]
	run ! grep -q aks_9 "$HOME/result"
	[ "$(jq -r '.client_id + .client_secret' "$HOME/.agentrux/credentials.json")" = crd_9aks_9 ]
	[ "$(jq -r .code <(tail -n 1 "$FAULTS_LOG/0001.req"))" = act_ABCDEFGHIJKLMNOPQRSTUVWX ]
}

@test "a token is asked for by a form, shared, and not refreshed" {
	serve
	[ "$(agentrux-token)" = aat_1 ]
	[ "$(agentrux-token)" = aat_1 ]
	[ "$(requests '^POST /oauth/token ')" -eq 1 ]
	grep -qi '^Content-Type: application/x-www-form-urlencoded$' "$FAULTS_LOG/0001.req"
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = "grant_type=client_credentials&client_id=crd_1&client_secret=aks_not%2Ba%2Freal%3Done" ]
	agentrux-token --json | jq -e '.expires_at'
	agentrux-token --forget
	agentrux-token >/dev/null
	[ "$(requests '^POST /oauth/token ')" -eq 2 ]
}

@test "invalid_client is 77 and says that the secret was rotated, quoting none" {
	for status in 401 400; do
		serve "POST /oauth/token status=$status body='{\"error\":\"invalid_client\",\"error_description\":\"no aks_not+a/real=one here\"}'"
		run -77 agentrux-token
		[[ $output == *"the secret was rotated or revoked: activate again"* ]]
		[[ $output != *"aks_not"* ]]
		kill "$FAULTS_PID"
	done
}

@test "rotation and invites are the classic dialect's: 64" {
	serve
	run -64 agentrux-activate --rotate
	[[ $output == *"the oauth dialect has no rotation"* ]]
	run -64 agentrux-activate --invite <<<"inv_ABCDEFGHIJKLMNOPQRSTUVWX"
}

# --- reading ---

@test "first contact starts behind the newest event, asked for alone" {
	serve "GET */events?order=desc* file=$(page newest '{"after":"old","has_more":true}' evt_9:c9)" "$EMPTY"
	[ -z "$(drain)" ]
	[ "$(position)" = c9 ]
	asked 'order=desc' | grep -Fx "/topics/$T/events?order=desc&limit=1"
	asked 'order=asc' | grep -Fx "/topics/$T/events?order=asc&limit=100&after=c9"
}

@test "first contact with an empty topic delivers whatever comes" {
	serve "GET */events?order=desc* file=$(page newest '{"has_more":false}')" \
		"GET */events?* file=$(page one '{"has_more":false}' evt_1:c1)" "$EMPTY"
	[ "$(drain)" = evt_1 ]
	[ "$(position)" = c1 ]
	[ "$(asked order=asc | head -n 1)" = "/topics/$T/events?order=asc&limit=100" ]
}

@test "--from oldest asks for everything, without a position" {
	serve "GET */events?* file=$(page one '{"after":"n2","has_more":true}' evt_1:c1 evt_2:c2)" \
		"GET */events?* file=$(page two '{"after":"n3","has_more":false}' evt_3:c3)" "$EMPTY"
	[ "$(drain --from oldest)" = "evt_1 evt_2 evt_3" ]
	[ "$(asked /events)" = "/topics/$T/events?order=asc&limit=100
/topics/$T/events?order=asc&limit=100&after=n2" ]
	[ "$(position)" = n3 ]
}

@test "a page goes on from the last cursor, or its event's id, where next says nothing" {
	serve "GET */events?* file=$(page one null evt_1:c1 evt_2:c2)" \
		"GET */events?* file=$(page two '{"has_more":true}' evt_3)" "$EMPTY"
	[ "$(drain --from oldest)" = "evt_1 evt_2 evt_3" ]
	[ "$(asked 'after=' | sed 's/.*after=//' | paste -sd' ')" = "c2 evt_3" ]
}

@test "a cursor travels as it is, whatever is in it" {
	local cursor='a/b+c=&d%20"\é{}'
	position_json=$(jq -nc --arg t "$T" --arg c "$cursor" '{($t): $c}')
	serve "$EMPTY"
	position "$position_json"
	[ -z "$(drain)" ]
	[ "$(asked after= | sed 's/.*after=//')" = 'a%2Fb%2Bc%3D%26d%2520%22%5C%C3%A9%7B%7D' ]
	[ "$(agentrux-waterline get "$T")" = "$cursor" ]
}

@test "the frontier is saved after an empty page" {
	serve "GET */events?* body='{\"events\":[],\"next\":{\"after\":\"a1\",\"has_more\":false,\"frontier_cursor\":\"f1\"}}'"
	position "{\"$T\":\"a1\"}"
	[ -z "$(drain)" ]
	[ "$(position)" = f1 ]
}

@test "an empty page with more behind it is passed over" {
	serve "GET */events?* file=$(page one '{"after":"n1","has_more":true,"frontier_cursor":"f9"}')" \
		"GET */events?* file=$(page two '{"after":"n2","has_more":false}' evt_1:c1)" "$EMPTY"
	[ "$(drain --from oldest)" = evt_1 ]
	[ "$(position)" = n2 ]
}

@test "events out of order, and a kill in the middle, lose and repeat nothing" {
	serve "GET */events?order=asc&limit=100&after=c0 file=$(page one '{"after":"c4","has_more":false}' evt_1:c1 evt_3:c3 evt_4:c4 evt_2:c2)" \
		"$EMPTY"
	position "{\"$T\":\"c0\"}"
	# shellcheck disable=SC2016 # the handler's own
	background "$HOME/out" agentrux-drain --once "$ID" -- sh -c '
		jq -r .event_id >>"$HOME/done"
		if [ "$(wc -l <"$HOME/done")" -eq 2 ]; then sleep 100; fi'
	second() { [ "$(grep -c . "$HOME/done")" -eq 2 ]; }
	wait_for 20 second
	kill -KILL "$LAST_PID"
	wait "$LAST_PID" || true
	[ "$(position)" = c0 ]
	# shellcheck disable=SC2016
	agentrux-drain --lock-wait 20 --once "$ID" -- sh -c 'jq -r .event_id >>"$HOME/done"'
	[ "$(paste -sd' ' "$HOME/done")" = "evt_1 evt_3 evt_3 evt_4 evt_2" ]
	[ "$(position)" = c4 ]
}

@test "an event that comes again is not delivered again" {
	serve "GET */events?* file=$(page one '{"after":"n1","has_more":true}' evt_1:c1 evt_2:c2 evt_1:c1)" \
		"GET */events?* file=$(page two '{"after":"n2","has_more":true}' evt_2:c2b evt_3:c3)" "$EMPTY"
	[ "$(drain --from oldest)" = "evt_1 evt_2 evt_3" ]
	position "{\"$T\":\"n0\"}"
	[ -z "$(drain)" ]
}

@test "pages that lead nowhere end the reading" {
	serve "GET */events?* file=$(page one '{"after":"n1","has_more":true}' evt_1:c1)"
	[ "$(drain --from oldest)" = evt_1 ]
	grep -q 'repeats itself' "$HOME/err"
	[ "$(requests '^GET')" -le 3 ]
}

@test "--exclude-self and --type are asked of the service" {
	serve "$EMPTY"
	drain --from oldest --exclude-self -t 'a b'
	asked /events | grep -Fx "/topics/$T/events?order=asc&limit=100&exclude_self=true&type=a%20b"
}

# --- retention ---

@test "every form of an aged-out position goes on with the oldest, and says so" {
	local body
	for body in '{"detail":{"error":"NOT_FOUND","details":{"reason":"ttl_expired","oldest_available_evt_id":"evt_5"},"next_action":"cursor_advance"}}' \
		'{"detail":{"error":"RETENTION_MISS"}}' \
		'{"error":"RETENTION_MISS"}' '{"error":{"code":"RETENTION_MISS"}}'; do
		rm -rf "$HOME/.agentrux" "$BATS_TEST_TMPDIR/faults.log"
		serve "GET *after=c1 status=404 body='$body'" \
			"GET */events?order=asc&limit=100 file=$(page one '{"has_more":false}' evt_5:c5 evt_6:c6)" "$EMPTY"
		position "{\"$T\":\"c1\"}"
		[ "$(drain)" = "evt_5 evt_6" ]
		grep -q 'lost to retention' "$HOME/err"
		[ "$(position)" = c6 ]
		kill "$FAULTS_PID"
	done
}

@test "an aged-out position of a topic that is empty is said once" {
	serve "GET *after=c1 status=404 body='{\"error\":\"RETENTION_MISS\"}'" "$EMPTY"
	position "{\"$T\":\"c1\"}"
	[ -z "$(drain)" ]
	grep -q 'lost to retention' "$HOME/err"
	[ -z "$(drain)" ]
	run ! grep -q 'lost to retention' "$HOME/err"
}

@test "a topic that is not there is 66, whatever its position" {
	serve 'GET */events?* status=404 body="{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no\"}}"'
	position "{\"$T\":\"c1\"}"
	run -66 drain
}

# --- positions of another dialect ---

@test "a classic position is said, and read from only when the user has decided" {
	serve "$EMPTY" "GET */events?order=desc* file=$(page newest null evt_9:c9)"
	position "{\"$ID\":42}"
	run -78 drain
	[[ $output == *"'42' is another dialect's"*"agentrux-waterline latest $T"* ]]
	[ "$(jq -c . "$HOME/.agentrux/waterline.json")" = "{\"$ID\":42}" ]
	run agentrux-waterline get "$ID"
	[[ $output == *"cannot carry over"* ]]
	agentrux-waterline oldest "$ID"
	drain
	[ "$(agentrux-waterline get "$ID")" = "" ]
}

@test "a cursor under the bare id counts for the topic" {
	serve "$EMPTY"
	position "{\"$ID\":\"c7\"}"
	drain
	asked after= | grep -q 'after=c7$'
}

@test "a classic topic of which nothing was read starts at the oldest here too" {
	serve "$EMPTY"
	position "{\"$ID\":0}"
	drain
	[ "$(asked /events)" = "/topics/$T/events?order=asc&limit=100" ]
}

@test "the plugin's waterline is read, and the first save writes our form" {
	serve "GET *after=evt_7 file=$(page one '{"after":"n1","has_more":false}' evt_8:c8)" "$EMPTY"
	position "{\"v\":3,\"w\":{\"$T\":{\"event_id\":\"evt_7\"},\"top_x\":{\"event_id\":\"\"}}}"
	[ "$(drain)" = evt_8 ]
	[ "$(jq -c . "$HOME/.agentrux/waterline.json")" = "{\"top_x\":\"\",\"$T\":\"n1\"}" ]
}

@test "activating says which positions cannot carry over" {
	serve 'POST /auth/redeem-activation-code body="{\"client_id\":\"crd_9\",\"client_secret\":\"aks_9\"}"'
	position "{\"$ID\":42,\"other\":0}"
	mv "$HOME/.agentrux/credentials.json" "$HOME/.agentrux/credentials.json.classic"
	run -0 agentrux-activate --stdin <<<"act_ABCDEFGHIJKLMNOPQRSTUVWX"
	[[ $output == *"positions of 1 topics cannot carry over"* ]]
}

# --- hints ---

# frames NAME TEXT: a file with the frames of a stream (\n is a line's end).
frames() {
	printf %b "$2" >"$HOME/$1"
	echo "file=$HOME/$1"
}

SSE='header="Content-Type: text/event-stream"'

# The Last-Event-ID of the Nth stream, or nothing.
resumed() {
	local file
	file=$(grep -lE '^GET .*/stream' "$FAULTS_LOG"/*.req | sed -n "$1p")
	sed -n 's/^Last-Event-ID: //p' "$file"
}

@test "a stream resumes by Last-Event-ID alone, and not behind a gap" {
	serve "GET */stream* $SSE $(frames one 'retry: 1\nevent: ready\ndata: {}\n\nevent: hint\nid: c/1\ndata: {"cursor":"c/1"}\n\n')" \
		"GET */stream* $SSE $(frames two 'event: resync_required\ndata: {"reason":"replay_gap","next_action":"who knows"}\n\n')" \
		"GET */stream* $SSE $(frames three 'event: hint\nid: c/3\ndata: {}\n\n')" \
		"GET */stream* $SSE $(frames four 'event: heartbeat\ndata: {}\n\n') hold"
	background "$HOME/lines" agentrux-watch --poll 0 --max-backoff 1 "$ID"
	seen() { [ "$(requests '^GET .*/stream')" -ge 4 ]; }
	wait_for 30 seen
	[ "$(asked /stream | sort -u)" = "/topics/$T/events/stream" ]
	[ -z "$(resumed 1)" ]
	[ "$(resumed 2)" = c/1 ]
	[ -z "$(resumed 3)" ]
	[ "$(resumed 4)" = c/3 ]
	jq -se --arg t "$T" 'map(select(.hint != "connected")) ==
		[{topic_id: $t, hint: "event"}, {topic_id: $t, hint: "resync"},
		 {topic_id: $t, hint: "event"}]' "$HOME/lines"
}

@test "error frames end a stream by their code" {
	serve "GET */stream* $SSE $(frames one 'event: error\ndata: {"code":"UNAUTHORIZED"}\n\n')" \
		"GET */stream* $SSE $(frames two 'event: error\ndata: {"code":"SUSPENDED","reason":"by an admin"}\n\n')"
	run -77 agentrux-watch --poll 0 "$ID"
	[[ $output == *"403 SUSPENDED: by an admin"* ]]
	[ "$(requests '^POST /oauth/token ')" -eq 2 ]
	serve "GET */stream* $SSE $(frames one 'event: error\ndata: {"code":"NOT_FOUND"}\n\n')"
	run -66 agentrux-watch --poll 0 "$ID"
}

@test "--exclude-self is asked of the stream" {
	serve "GET */stream* $SSE $(frames one 'data: x\n\n')"
	agentrux-watch --once --exclude-self "$ID" >/dev/null
	[ "$(asked /stream)" = "/topics/$T/events/stream?exclude_self=true" ]
}

# --- publishing ---

OK='body="{\"event_id\":\"evt_1\"}"'

# The values of a header in requests whose first line matches, in order.
header() {
	local file
	for file in "$FAULTS_LOG"/*.req; do
		if head -n 1 "$file" | grep -qE -- "$2"; then
			sed -n "/^\$/q; s/^$1: //Ip" "$file"
		fi
	done
}

# The body of the Nth request that matches.
body() {
	local file
	file=$(for file in "$FAULTS_LOG"/*.req; do
		if head -n 1 "$file" | grep -qE -- "$2"; then
			echo "$file"
		fi
	done | sed -n "$1p")
	sed '1,/^$/d' "$file"
}

@test "one key goes with all attempts of an event, another with the next" {
	serve 'POST */events status=500' 'POST */events reset' "POST */events $OK"
	agentrux-publish "$ID" -m x
	agentrux-publish "$ID" -m x
	header Idempotency-Key '^POST /topics/.*/events' >"$HOME/keys"
	[ "$(wc -l <"$HOME/keys")" -eq 4 ]
	[ "$(head -n 3 "$HOME/keys" | sort -u | wc -l)" -eq 1 ]
	[ "$(sort -u "$HOME/keys" | wc -l)" -eq 2 ]
	run ! grep -vE '^idk_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' "$HOME/keys"
}

@test "the key waits in the outbox with its event" {
	serve 'POST */events status=503' "POST */events $OK"
	agentrux-publish --spool --retry-time 0 "$ID" -m x --metadata '{"a": 1.0}'
	seq 3 | agentrux-publish --spool --lines "$ID" >/dev/null
	agentrux-publish --flush >/dev/null
	header Idempotency-Key '^POST /topics/.*/events' >"$HOME/keys"
	[ "$(wc -l <"$HOME/keys")" -eq 5 ]
	[ "$(sort -u "$HOME/keys" | wc -l)" -eq 4 ]
	[ "$(head -n 1 "$HOME/keys")" = "$(tail -n 1 "$HOME/keys")" ]
	[ "$(body 5 /events)" = '{"event_type":"message","payload":{"message":"x"},"metadata":{"a":1.0}}' ]
	[ "$(body 5 /events)" = "$(body 1 /events)" ]
}

@test "--idempotency-key and --metadata are what they say, and no more than that" {
	serve "POST */events header='Idempotent-Replayed: true' $OK"
	run -0 agentrux-publish -v "$ID" -m x --idempotency-key my-key \
		--metadata '{"n":9007199254740993}' --correlation-id c
	[[ $output == *"Idempotent-Replayed"* ]]
	[ "$(header Idempotency-Key /events)" = my-key ]
	[ "$(body 1 /events)" = '{"event_type":"message","payload":{"message":"x"},"metadata":{"n":9007199254740993,"correlation_id":"c"}}' ]
	run -65 agentrux-publish "$ID" -m x --metadata '{'
	run -65 agentrux-publish "$ID" -m x --metadata '[1]'
	[ "$(requests '^POST /topics')" -eq 1 ]
}

@test "a key that was used for something else is 65" {
	serve 'POST */events status=409 body="{\"error\":{\"code\":\"CONFLICT\",\"message\":\"other body\"}}"'
	run -65 agentrux-publish "$ID" -m x --idempotency-key k
	[[ $output == *"409 CONFLICT: other body"* ]]
}

# A storage behind the reservation, which wants its own headers.
storage() {
	RESERVE='POST */payloads body="{\"payload_object_id\":\"pob_1\",\"presigned_put_url\":\"$URL/put/a%2fb?X-Sig=a%3d&b=+\",\"required_headers\":{\"Content-Type\":\"text/x-own\",\"x-amz-checksum-sha256\":\"as said\"}}"'
	PUT='PUT /put/* status=200'
}

@test "a file goes with its checksum, the required headers and nothing else" {
	storage
	serve "$RESERVE" "$PUT" "POST */events $OK"
	printf hello >"$HOME/a.txt"
	agentrux-upload "$ID" "$HOME/a.txt" >"$HOME/line"
	sum=$(printf hello | sha256sum | cut -d' ' -f1)
	[ "$(jq -c . "$HOME/line")" = "{\"name\":\"a.txt\",\"payload_object_id\":\"pob_1\",\"content_type\":\"text/plain\",\"size\":5,\"checksum_sha256\":\"$sum\"}" ]
	[ "$(body 1 /payloads | jq -r .checksum_sha256 | base64 -d | od -An -tx1 | tr -d ' \n')" = "$sum" ]
	[ "$(body 1 /payloads | jq -c 'del(.checksum_sha256)')" = '{"size_bytes":5,"content_type":"text/plain"}' ]
	[ "$(asked ^/put)" = '/put/a%2fb?X-Sig=a%3d&b=+' ]
	file=$(grep -lE '^PUT ' "$FAULTS_LOG"/*.req)
	[ "$(sed '1d; /^$/,$d; s/:.*//' "$file" | sort | paste -sd' ')" = "Content-Length Content-Type Host User-Agent x-amz-checksum-sha256" ]
	[ "$(header x-amz-checksum-sha256 '^PUT')" = "as said" ]
	# Others see it once this event names it.
	[ "$(body 1 /events)" = '{"event_type":"composer.upload","payload_object_id":"pob_1","metadata":{"filename":"a.txt","content_type":"text/plain","size_bytes":5}}' ]
}

@test "--pending leaves the event to the user" {
	storage
	serve "$RESERVE" "$PUT" "POST */events $OK"
	printf hello >"$HOME/a.txt"
	agentrux-upload --pending "$ID" "$HOME/a.txt" >/dev/null
	[ "$(requests '^POST /topics/.*/events')" -eq 0 ]
}

@test "--attach publishes the file's event, and then the one that lists it" {
	storage
	serve "$RESERVE" "$PUT" "POST */events $OK"
	printf hello >"$HOME/a.txt"
	agentrux-publish "$ID" -m x --attach "$HOME/a.txt" >/dev/null
	[ "$(body 1 /events | jq -r .event_type)" = composer.upload ]
	[ "$(body 2 /events | jq -c '.payload | .message, .attachments[0].payload_object_id' | paste -sd' ')" = '"x" "pob_1"' ]
}

# A payload of N bytes.
large() {
	printf '"%*s"' $(($1 - 2)) '' >"$HOME/large"
}

@test "a payload over 256 KiB is stored and referred to, without being asked" {
	storage
	serve "$RESERVE" "$PUT" "POST */events $OK"
	large 262144
	agentrux-publish "$ID" -f "$HOME/large" >/dev/null
	[ "$(requests '^POST /topics/.*/payloads')" -eq 0 ]
	large 262145
	agentrux-publish "$ID" -f "$HOME/large" -t big --metadata '{"a":1}' >/dev/null
	[ "$(body 2 /events)" = '{"event_type":"big","payload_object_id":"pob_1","metadata":{"a":1}}' ]
	body 1 ^PUT | cmp - "$HOME/large"
	agentrux-publish --lines "$ID" <"$HOME/large" >/dev/null
	[ "$(body 3 /events | jq -r .payload_object_id)" = pob_1 ]
}

@test "what stands for a large payload is kept before the event is sent" {
	storage
	serve "$RESERVE" "$PUT" 'POST */events status=503' "POST */events $OK"
	large 300000
	agentrux-publish --spool --retry-time 0 "$ID" -f "$HOME/large"
	[ "$(jq -r .payload_object_id "$HOME"/.agentrux/outbox/*.json)" = pob_1 ]
	agentrux-publish --flush >/dev/null
	[ "$(requests '^POST /topics/.*/payloads')" -eq 1 ]
	[ "$(body 1 /events)" = "$(body 2 /events)" ]
	[ "$(header Idempotency-Key /events | sort -u | wc -l)" -eq 1 ]
	[ -z "$(find "$HOME/.agentrux/outbox" -name '*.json')" ]
}

@test "an object that has gone meanwhile is stored anew, under the same key" {
	storage
	serve "$RESERVE" "$PUT" 'POST */events status=503' 'POST */events status=404' "POST */events $OK"
	large 300000
	agentrux-publish --spool --retry-time 0 "$ID" -f "$HOME/large"
	agentrux-publish --flush >/dev/null
	[ "$(requests '^POST /topics/.*/payloads')" -eq 2 ]
	[ "$(header Idempotency-Key /events | sort -u | wc -l)" -eq 1 ]
}
