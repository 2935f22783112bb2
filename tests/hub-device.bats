#!/usr/bin/env bats
# agentrux-hub: programs that join without a code, by curl.

# shellcheck disable=SC2030,SC2031,SC2153 # a test is a subshell, and so it should be
load helper
load hub

GRANT=urn:ietf:params:oauth:grant-type:device_code

# register: sets CLIENT.
register() {
	request 201 /oauth/register -d '{"client_name":"a test",
		"token_endpoint_auth_method":"none","redirect_uris":[]}'
	CLIENT=$(jq -r .client_id "$BODY")
}

# authorize: sets DEVICE and CODE.
authorize() {
	request 200 /oauth/device/authorize -d "client_id=$CLIENT"
	DEVICE=$(jq -r .device_code "$BODY")
	CODE=$(jq -r .user_code "$BODY")
}

# poll STATUS [ERROR]: asks whether it was approved.
poll() {
	request "$1" /oauth/token --data-urlencode "grant_type=$GRANT" \
		-d "client_id=$CLIENT&device_code=$DEVICE"
	[ -z "${2-}" ] || [ "$(jq -r .error "$BODY")" = "$2" ]
	[ "$1" != 200 ] || take_tokens
}

refresh() {
	request "$1" /oauth/token -d grant_type=refresh_token \
		-d "client_id=$CLIENT&refresh_token=$2"
	[ "$1" != 200 ] || take_tokens
}

take_tokens() {
	TOKEN=$(jq -r .access_token "$BODY")
	REFRESH=$(jq -r .refresh_token "$BODY")
}

# start_limited: as it is without --no-rate-limits.
start_limited() {
	background "$BATS_TEST_TMPDIR/out" \
		agentrux-hub --db "$HUB_DB" serve --listen 127.0.0.1:0
	wait_for 5 test -s "$BATS_TEST_TMPDIR/out"
	HUB_URL=$(jq -r .listening "$BATS_TEST_TMPDIR/out")
}

start() {
	new_topic commands >/dev/null
	SCRIPT=$(hub script add agent-1 --grant commands:read)
	start_hub "$@"
	register
	authorize
}

@test "a program registers, waits, and is let in as a script" {
	start
	[ "$(jq -r .verification_uri "$BODY")" = "$HUB_URL/device" ]
	[ "$(jq -c '[.expires_in, .interval]' "$BODY")" = '[900,1]' ]
	[[ $CODE =~ ^[B-Z]{4}-[B-Z]{4}$ ]]
	request 200 "$(jq -r .verification_uri "$BODY")"
	grep -q 'device approve' "$BODY"
	poll 400 authorization_pending
	run -66 hub device approve "$CODE" nobody
	run -66 hub device approve AAAA-AAAA agent-1
	# In any spelling.
	hub device approve "$(tr -d - <<<"${CODE,,}")" agent-1
	run -66 hub device approve "$CODE" agent-1
	run -66 hub device deny "$CODE"
	poll 200
	[[ $TOKEN =~ ^aat_ ]]
	[ "$(jq -c '[.token_type, .expires_in]' "$BODY")" = '["Bearer",600]' ]
	[ "$(jq -r .script_id "$BODY")" = "$SCRIPT" ]
	grep -qi '^cache-control: no-store' "$HEADERS"
	api 200 /topics
	[ "$(jq -r '.items[0].display_name' "$BODY")" = commands ]
	poll 400 invalid_grant
}

@test "a program that was denied, or asks too often, hears so" {
	hub script add agent-1 >/dev/null
	start_limited
	register
	authorize
	[ "$(jq .interval "$BODY")" = 5 ]
	poll 400 authorization_pending
	poll 400 slow_down
	# An answer to one that is too fast counts all the same.
	hub device deny "$CODE"
	poll 400 access_denied
	poll 400 access_denied
	authorize
	local own=$CLIENT
	# Only who began it can ask.
	register
	poll 400 invalid_grant
	CLIENT=$own
	poll 400 authorization_pending
	hub device approve "$CODE" agent-1
	hub script remove agent-1
	poll 400
	DEVICE=dvc_none poll 400 invalid_grant
}

@test "refresh tokens rotate, and one that comes twice ends its family" {
	start
	hub device approve "$CODE" agent-1
	poll 200
	local first=$REFRESH old=$TOKEN
	refresh 200 "$first"
	[ "$REFRESH" != "$first" ]
	api 200 /topics
	refresh 400 "$first"
	[ "$(jq -r .error "$BODY")" = invalid_grant ]
	refresh 400 "$REFRESH"
	api 401 /topics
	TOKEN=$old
	api 401 /topics
	refresh 400 art_none
	# Another family is not touched; another client cannot use it.
	authorize
	hub device approve "$CODE" agent-1
	poll 200
	api 200 /topics
	local own=$CLIENT
	register
	refresh 400 "$REFRESH"
	CLIENT=$own
	restart_hub KILL
	refresh 200 "$REFRESH"
}

@test "a script's new secret, or its end, ends what was let in as it" {
	start
	hub device approve "$CODE" agent-1
	poll 200
	local first=$TOKEN
	request 200 /auth/redeem-activation-code \
		-d "{\"code\":\"$(hub code issue agent-1 --oauth)\"}"
	api 401 /topics
	refresh 400 "$REFRESH"
	authorize
	hub device approve "$CODE" agent-1
	poll 200
	api 200 /topics
	hub script remove agent-1
	api 401 /topics
	refresh 400 "$REFRESH"
	TOKEN=$first
	api 401 /topics
}

@test "the console lets programs in as well" {
	local file=$BATS_TEST_TMPDIR/admin
	(umask 077 && echo the-admin-token-of-this-test >"$file")
	start --admin-token-file "$file"
	request 401 "/console/devices/$CODE/approval" -d '{"script":"agent-1"}'
	TOKEN=$(cat "$file")
	api 404 "/console/devices/$CODE/approval" -d '{"script":"nobody"}'
	api 422 "/console/devices/$CODE/approval" -d '{}'
	api 404 /console/devices/AAAA-AAAA/approval -d '{"script":"agent-1"}'
	api 200 "/console/devices/$CODE/approval" -d '{"script":"agent-1"}'
	[ "$(jq -r .script_id "$BODY")" = "$SCRIPT" ]
	poll 200
	authorize
	TOKEN=$(cat "$file")
	api 200 "/console/devices/$CODE/denial" -X POST
	poll 400 access_denied
}

@test "what is no registration and no request of a device is refused" {
	start
	request 400 /oauth/register -d '['
	[ "$(jq -r .error "$BODY")" = invalid_client_metadata ]
	request 400 /oauth/register -d '{"client_name":5}'
	request 400 /oauth/register \
		-d "{\"client_name\":\"$(head -c 300 /dev/zero | tr '\0' x)\"}"
	request 201 /oauth/register -d '{}'
	request 400 /oauth/device/authorize -d ''
	[ "$(jq -r .error "$BODY")" = invalid_request ]
	request 401 /oauth/device/authorize -d client_id=cli_none
	[ "$(jq -r .error "$BODY")" = invalid_client ]
	request 400 /oauth/token -d "grant_type=$GRANT"
	request 400 /oauth/token -d "grant_type=refresh_token&client_id=$CLIENT"
	run -64 hub device approve "$CODE"
	run -64 hub device deny
}

@test "who may join without being known is limited, all together" {
	start_limited
	local urls=() i
	for i in {1..60}; do
		urls+=(-o /dev/null "$HUB_URL/oauth/register")
	done
	curl -s -w '%{http_code}\n' -d '{}' "${urls[@]}" | sort -u |
		cmp - <(echo 201)
	request 429 /oauth/register -d '{}'
	grep -qi '^retry-after: ' "$HEADERS"
}
