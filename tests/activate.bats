# agentrux-activate: every outcome, its exit code and the files it leaves.

load helper

AC=$(by_dialect ac act)
CODE=${AC}_0123456789abcdefghijklmnopqrstuvwxyzABCDEF
GRANTED=$(by_dialect \
	'"grants":[{"grant_id":"grt_1","topic_id":"t1","action":"read"}]' \
	'"client_id":"crd_1","issued_at":"2026-06-13T00:00:00Z"')
GRANTED="{\"script_id\":\"scr_1\",\"client_secret\":\"the-secret-of-this-test\",$GRANTED}"

# home [TEXT]: an empty home, or one with TEXT in BOOTSTRAP.md. Sets H.
home() {
	H=$HOME/.agentrux
	rm -rf "$H"
	mkdir -m 700 "$H"
	if [ $# -gt 0 ]; then
		(umask 077 && printf '%s\n' "$1" >"$H/BOOTSTRAP.md")
	fi
}

# plan LINE…: the fault server with these rules.
plan() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
}

# files NAME…: these are all the files of the home, but for the lock.
files() {
	diff <(find "$H" -mindepth 1 -maxdepth 1 ! -name credentials.json.lock \
		-printf '%f\n' | sort) <(printf '%s\n' "$@" | grep . | sort)
}

creds() {
	printf '{"base_url":"%s","script_id":"scr_0",%s"client_secret":"an-older-secret"}' \
		"${AGENTRUX_BASE_URL:-https://api.agentrux.com}" "$CLIENT"
}

put_creds() {
	(umask 077 && creds >"$H/credentials.json")
}

# outcome NAME EXIT [ARG…]: runs it with --json and checks both; $output is the
# object, $stderr what people see.
outcome() {
	local name=$1 code=$2
	shift 2
	run -"$code" --separate-stderr agentrux-activate --json "$@"
	[ "$(jq -r .outcome <<<"$output")" = "$name" ]
}

@test "a code becomes credentials, and nothing else is left" {
	start_hub
	hub topic add commands >/dev/null
	id=$(hub script add agent-1 --grant commands:read)
	home "$(issue_code agent-1)"
	outcome ok 0
	files credentials.json
	[ "$(stat -c %a "$H/credentials.json")" = 600 ]
	[ "$(jq -r .script_id <<<"$output")" = "$id" ]
	[ "$(jq -r .script_id "$H/credentials.json")" = "$id" ]
	[ "$(jq -r .base_url "$H/credentials.json")" = "$HUB_URL" ]
	[ "$(jq -r '.grants[0].action' <<<"$output")" = "$(by_dialect read null)" ]
	[ "$(jq 'has("client_secret")' <<<"$output")" = false ]
	[ "$(jq -r .client_secret "$H/credentials.json" | wc -c)" -gt 20 ]
	agentrux-token
}

@test "without --json nothing is printed on stdout" {
	home "$CODE"
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	run -0 --separate-stderr agentrux-activate
	[ -z "$output" ]
	[[ $stderr == *"scr_1 is set up$(by_dialect ', with 1 grant' '; agentrux-topics lists what it may do')" ]]
	run -0 --separate-stderr agentrux-activate -q
	[ -z "$output$stderr" ]
}

@test "the code is sent once, in one request" {
	home "$CODE"
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	outcome ok 0
	[ "$(requests .)" = 1 ]
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = "{\"$(by_dialect activation_code code)\":\"$CODE\"}" ]
}

@test "no BOOTSTRAP.md: 66, or 0 beside credentials" {
	H=$HOME/.agentrux
	outcome no-file 66
	[ ! -e "$H" ]
	home
	outcome no-file 66
	files ""
	put_creds
	outcome no-file 0
	[ "$(jq -r .script_id <<<"$output")" = scr_0 ]
	files credentials.json
}

@test "no BOOTSTRAP.md: an orphaned inflight is left alone and named" {
	home
	echo "$CODE" >"$H/BOOTSTRAP.md.inflight"
	outcome no-file 66
	[[ $stderr == *"agentrux-activate --recover"* ]]
	files BOOTSTRAP.md.inflight
	[ "$(cat "$H/BOOTSTRAP.md.inflight")" = "$CODE" ]
}

@test "credentials are there already: 73, quarantined, no request" {
	plan "* * status=500"
	home "$CODE"
	put_creds
	outcome creds-already-present 73
	[ "$(requests .)" = 0 ]
	file=$(jq -r .failed_file <<<"$output")
	[[ $file == /*/BOOTSTRAP.md.failed-[0-9]*-[0-9]* ]]
	[ "$(cat "$file")" = "$CODE" ]
	[ "$(jq -r .client_secret "$H/credentials.json")" = an-older-secret ]
	files credentials.json "${file##*/}" "${file##*/}.json"
	[ "$(jq -c 'keys_unsorted' "$file.json")" = \
		'["reason","http_status","error_code","error_message","failed_at"]' ]
	[ "$(jq -c '[.http_status,.error_code,.error_message]' "$file.json")" = \
		'[null,null,null]' ]
	[[ $(jq -r .reason "$file.json") == creds-already-present* ]]
	[[ $(jq -r .failed_at "$file.json") =~ ^[0-9-]{10}T[0-9:]{8}Z$ ]]
	[ "$(stat -c %a "$file" "$file.json" | sort -u)" = 600 ]
}

@test "what is no code is quarantined unsent: 65" {
	plan "* * status=500"
	for text in "" "no code here" "${AC}_short" "${AC}_$(printf 'x%.0s' {1..201})" \
		"$CODE with words behind it" "${AC}_0123456789012345678\$" \
		"x${AC}_0123456789abcdefghijklmnop" "${AC^^}_0123456789abcdefghijklmnop"; do
		home "$text"
		outcome validation-failure 65
		[[ $(jq -r .failed_file <<<"$output") == "$H"/BOOTSTRAP.md.failed-* ]]
		[ ! -e "$H/BOOTSTRAP.md" ] && [ ! -e "$H/BOOTSTRAP.md.inflight" ]
		[ "$(jq -r .reason "$H"/BOOTSTRAP.md.failed-*.json | cut -d: -f1)" = \
			validation-failure ]
	done
	[ "$(requests .)" = 0 ]
}

@test "what is no file of ours is quarantined unread: 65" {
	plan "* * status=500"
	home
	mkdir "$H/BOOTSTRAP.md"
	outcome validation-failure 65
	home
	mkfifo "$H/BOOTSTRAP.md"
	outcome validation-failure 65
	home
	echo "$CODE" >"$HOME/elsewhere"
	ln -s "$HOME/elsewhere" "$H/BOOTSTRAP.md"
	outcome validation-failure 65
	[ -L "$(jq -r .failed_file <<<"$output")" ]
	[ "$(cat "$HOME/elsewhere")" = "$CODE" ]
	home "$CODE"
	head -c 65536 /dev/zero >>"$H/BOOTSTRAP.md"
	outcome validation-failure 65
	if [ "$(id -u)" = 0 ]; then
		home "$CODE"
		chown 1 "$H/BOOTSTRAP.md"
		outcome validation-failure 65
	fi
	[ "$(requests .)" = 0 ]
}

@test "a BOM, CRLF, backticks and words around the code are forgiven" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	n=0
	for text in $'\xef\xbb\xbf'"$CODE" "$CODE"$'\r' "\`$CODE\`" \
		$'\t '"$CODE"$' \t' \
		"# Welcome"$'\r\n\r\n'"Your code:"$'\r\n\r\n'"    \`$CODE\`"$'\r\n' \
		"$CODE"$'\n'"${AC}_another_code_that_does_not_count_at_all"; do
		home "$text"
		outcome ok 0
		files credentials.json
		n=$((n + 1))
		[ "$(requests "$CODE\"")" = "$n" ]
	done
	[ "$(requests .)" = "$n" ]
}

@test "4xx but 429: 77, quarantined with what the service said" {
	plan "POST $ACTIVATE_PATH"' status=400 body={"detail":"bad"}' \
		"POST $ACTIVATE_PATH"' status=401 body={"error":"invalid_client","error_description":"no"}' \
		"POST $ACTIVATE_PATH"' status=403 body="<html>a proxy</html>"' \
		"POST $ACTIVATE_PATH"' status=404' \
		"POST $ACTIVATE_PATH"' status=410' \
		"POST $ACTIVATE_PATH"' status=422 body={"error":{"code":"INVALID","message":"Token\u0020has\u0020expired"}}'
	for want in '400 INVALID bad' '401 invalid_client no' '403 FORBIDDEN null' \
		'404 NOT_FOUND null' '410 null null' '422 INVALID Token has expired'; do
		home "$CODE"
		outcome permanent-failure 77
		file=$(jq -r .failed_file <<<"$output")
		[ "$(cat "$file")" = "$CODE" ]
		files "${file##*/}" "${file##*/}.json"
		said=$(jq -r '"\(.http_status) \(.error_code) \(.error_message)"' "$file.json")
		[ "$said" = "$want" ]
		[[ $(jq -r .reason "$file.json") == permanent-failure* ]]
		[ "$(jq -r '"\(.http_status) \(.error_code) \(.error_message)"' <<<"$output")" = "$want" ]
		# No words about credentials that are not there yet.
		[[ $stderr != *"ask for a grant"* && $stderr != *"activate again"* ]]
	done
	[ "$(requests .)" = 6 ]
}

@test "any other answer or none: 75, the code is back, one request" {
	n=0
	for rule in "status=429" "status=429 header='Retry-After: 1'" "status=500" \
		"status=503" "status=302 header='Location: \$URL$ACTIVATE_PATH'" \
		"body='not json'" "body='{\"script_id\":\"scr_1\"}'" \
		"body='{\"client_secret\":\"s\"}'" "body='[]'" "body=''" "status=204" \
		"close" "reset" "cut=5 body='$GRANTED'"; do
		plan "POST $ACTIVATE_PATH $rule"
		home "$CODE"
		outcome transient-failure 75
		[[ $rule != *"not json"* || $stderr == *"is $FAULTS_URL the service's address?"* ]]
		files BOOTSTRAP.md
		[ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
		[ "$(requests .)" = 1 ]
		kill "$FAULTS_PID"
		rm -rf "$FAULTS_LOG" "$BATS_TEST_TMPDIR/faults.out"
	done
}

@test "no service at all: 75, the code is back" {
	home "$CODE"
	AGENTRUX_BASE_URL=http://127.0.0.1:9 outcome transient-failure 75
	files BOOTSTRAP.md
	plan "* * status=500"
	# TLS with one that speaks none.
	AGENTRUX_BASE_URL=${FAULTS_URL/http:/https:} outcome transient-failure 75
	files BOOTSTRAP.md
	AGENTRUX_BASE_URL=http://localhost.invalid outcome not-set-up 64
	files BOOTSTRAP.md
}

@test "SIGTERM while the service thinks: 75 within a second, the code is back" {
	plan "POST $ACTIVATE_PATH hang"
	home "$CODE"
	background "$BATS_TEST_TMPDIR/out" agentrux-activate --json
	pid=$LAST_PID
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	[ -e "$H/BOOTSTRAP.md.inflight" ] && [ ! -e "$H/BOOTSTRAP.md" ]
	run -0 agentrux-activate --status
	[[ $output == *"under way" ]]
	start=$(date +%s%N)
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" = 75 ]
	# Ten seconds on a machine that is as slow or busy as this.
	[ $((($(date +%s%N) - start) / 1000000)) -lt 10000 ]
	[ "$(jq -r .outcome "$BATS_TEST_TMPDIR/out")" = transient-failure ]
	files BOOTSTRAP.md
}

@test "SIGTERM while the answer is on its way does not lose the secret" {
	plan "POST $ACTIVATE_PATH until=$HOME/go body='$GRANTED'"
	home "$CODE"
	background "$BATS_TEST_TMPDIR/out" agentrux-activate --json
	pid=$LAST_PID
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	kill -TERM "$pid"
	: >"$HOME/go"
	wait "$pid"
	[ "$(jq -r .outcome "$BATS_TEST_TMPDIR/out")" = ok ]
	files credentials.json
}

@test "a newer BOOTSTRAP.md that was written meanwhile wins" {
	newer=${AC}_a_newer_code_that_came_in_between
	for rule in "status=500" "status=404" "body='$GRANTED'"; do
		plan "POST $ACTIVATE_PATH until=$HOME/go $rule"
		home "$CODE"
		background "$BATS_TEST_TMPDIR/out" agentrux-activate --json
		pid=$LAST_PID
		wait_for 5 test -s "$FAULTS_LOG/0001.req"
		echo "$newer" >"$H/BOOTSTRAP.md"
		: >"$HOME/go"
		wait "$pid" || true
		rm "$HOME/go"
		[ "$(cat "$H/BOOTSTRAP.md")" = "$newer" ]
		[ ! -e "$H/BOOTSTRAP.md.inflight" ]
		kill "$FAULTS_PID"
		rm -rf "$FAULTS_LOG" "$BATS_TEST_TMPDIR/faults.out"
	done
}

@test "a file that others may read is consumed with a warning" {
	plan "POST $ACTIVATE_PATH status=500" "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	chmod 644 "$H/BOOTSTRAP.md"
	outcome transient-failure 75
	[[ $stderr == *"others could read"* ]]
	[ "$(stat -c %a "$H/BOOTSTRAP.md")" = 600 ]
	chmod 644 "$H/BOOTSTRAP.md"
	outcome ok 0
	[[ $stderr == *"others could read"* ]]
}

@test "an orphaned inflight gives way to a live claim" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	echo "${AC}_an_older_code_that_was_left_behind" >"$H/BOOTSTRAP.md.inflight"
	outcome ok 0
	files credentials.json
	[ "$(requests "$CODE")" = 1 ]
}

@test "an inflight that is a folder does not hold up a claim" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	mkdir "$H/BOOTSTRAP.md.inflight"
	outcome ok 0
	[ -d "$(echo "$H"/BOOTSTRAP.md.failed-*)" ]
}

@test "a kill between link and unlink: both names on one file are no trap" {
	plan "POST $ACTIVATE_PATH status=500" "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	ln "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"
	outcome transient-failure 75
	files BOOTSTRAP.md
	ln "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"
	run -0 agentrux-activate --recover
	files BOOTSTRAP.md
	ln "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"
	outcome ok 0
	files credentials.json
}

@test "quarantined files never share a name, and carry local time" {
	home
	put_creds
	export TZ=ABC-5
	for turn in 1 2 3 4; do
		echo "$CODE$turn" >"$H/BOOTSTRAP.md"
		outcome creds-already-present 73
		name=$(jq -r '.failed_file' <<<"$output")
		[ "$(cat "$name")" = "$CODE$turn" ]
		[ -s "$name.json" ]
		# Five hours ahead of the UTC in the sidecar, give or take.
		stamp=${name##*failed-}
		local_s=$(TZ=UTC date -d "${stamp:0:8} ${stamp:9:2}:${stamp:11:2}:${stamp:13:2}" +%s)
		utc_s=$(date -d "$(jq -r .failed_at "$name.json")" +%s)
		[ $((local_s - utc_s - 18000)) -ge -60 ]
		[ $((local_s - utc_s - 18000)) -le 60 ]
	done
	[ "$(find "$H" -name '*failed-*[0-9]' | wc -l)" = 4 ]
}

@test "a name that is taken is passed over with -2, -3" {
	home
	put_creds
	# Whatever second it will be, on a machine as slow as it likes to be.
	for ((t = EPOCHSECONDS - 1; t < EPOCHSECONDS + 120; t++)); do
		printf -v name '%s/BOOTSTRAP.md.failed-%(%Y%m%d-%H%M%S)T' "$H" "$t"
		: >"$name"
		: >"$name-2.json"
	done
	echo "$CODE" >"$H/BOOTSTRAP.md"
	outcome creds-already-present 73
	[[ $(jq -r .failed_file <<<"$output") == *-[0-9]*-3 ]]
}

@test "a home that is not safe, or damaged credentials: 78, nothing touched" {
	plan "* * status=500"
	home "$CODE"
	chmod 770 "$H"
	outcome not-set-up 78
	[[ $stderr == *"chmod 700 '$H'"* ]]
	files BOOTSTRAP.md
	chmod 700 "$H"
	for text in "" "{}" "garbage" '{"script_id":"x"}' '{"script_id":1,"client_secret":"x"}'; do
		(umask 077 && printf '%s' "$text" >"$H/credentials.json")
		outcome not-set-up 78
		[[ $stderr == *"mv '$H/credentials.json'"* ]]
		[ "$(cat "$H/credentials.json")" = "$text" ]
		files BOOTSTRAP.md credentials.json
	done
	creds >"$H/credentials.json"
	chmod 640 "$H/credentials.json"
	outcome not-set-up 78
	[[ $stderr == *"chmod 600 '$H/credentials.json'"* ]]
	files BOOTSTRAP.md credentials.json
	[ "$(requests .)" = 0 ]
	rm -rf "$H" && touch "$H"
	outcome not-set-up 78
}

@test "a bad base URL: 64 where it was said, nothing touched" {
	home "$CODE"
	for url in http://example.com ftp://127.0.0.1 nonsense https://u:p@example.com; do
		outcome not-set-up 64 --base-url "$url"
		AGENTRUX_BASE_URL=$url outcome not-set-up 64
	done
	files BOOTSTRAP.md
	put_creds
	sed -i 's|https://api|http://api|' "$H/credentials.json"
	run -78 agentrux-activate --rotate
}

@test "--base-url is kept with the credentials, without a slash at its end" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	unset AGENTRUX_BASE_URL
	home "$CODE"
	outcome ok 0 --base-url "$FAULTS_URL///"
	[ "$(jq -r .base_url "$H/credentials.json")" = "$FAULTS_URL" ]
}

@test "--stdin: the same outcomes, no files moved" {
	plan "POST $ACTIVATE_PATH status=503" "POST $ACTIVATE_PATH status=422" \
		"POST $ACTIVATE_PATH body='$GRANTED'"
	H=$HOME/.agentrux
	printf '%s' "$CODE" >"$HOME/code"
	outcome transient-failure 75 --stdin <"$HOME/code"
	home "something else"
	outcome permanent-failure 77 --stdin <"$HOME/code"
	outcome validation-failure 65 --stdin <<<"${AC}_"
	outcome validation-failure 65 --stdin </dev/null
	files BOOTSTRAP.md
	rm -r "$H"
	outcome ok 0 --stdin <"$HOME/code"
	[ "$(stat -c %a "$H")" = 700 ]
	files credentials.json
	outcome creds-already-present 73 --stdin <"$HOME/code"
	files credentials.json
	[ "$(requests .)" = 3 ]
}

@test "--recover: a secret that was not put in place comes first" {
	home
	echo "$CODE" >"$H/BOOTSTRAP.md.inflight"
	(creds && head -c 60000 /dev/zero) >"$H/credentials.json.new"
	chmod 600 "$H/credentials.json.new"
	run -0 agentrux-activate --status
	[[ $output == *--recover ]]
	# Nothing overwrites it before that, and no code is spent.
	plan "* * status=500"
	echo "$CODE" >"$H/BOOTSTRAP.md"
	outcome secret-rescued 73
	[[ $stderr == *--recover* ]]
	[ "$(requests .)" = 0 ]
	[ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
	rm "$H/BOOTSTRAP.md"
	echo "$CODE" >"$H/BOOTSTRAP.md.inflight"
	outcome ok 0 --recover
	files credentials.json
	jq -e . "$H/credentials.json"
	[ "$(tail -c 1 "$H/credentials.json")" = "}" ]
	outcome no-file 66 --recover
	files credentials.json
}

@test "--recover: an orphaned inflight goes back, but not over a newer one" {
	home
	outcome no-file 66 --recover
	echo "$CODE" >"$H/BOOTSTRAP.md.inflight"
	head -c 65536 /dev/zero >"$H/credentials.json.new"
	chmod 600 "$H/credentials.json.new"
	outcome restored 0 --recover
	files BOOTSTRAP.md
	[ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
	echo older >"$H/BOOTSTRAP.md.inflight"
	run -73 agentrux-activate --recover
	files BOOTSTRAP.md BOOTSTRAP.md.inflight
	[ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
}

@test "--recover: what is not whole, or another script's, is left for people" {
	home
	(umask 077 && printf '{"script_id":"scr_1","client_sec' >"$H/credentials.json.new")
	outcome not-set-up 78 --recover
	files credentials.json.new
	creds | sed 's/scr_0/scr_9/; s/crd_1/crd_9/' >"$H/credentials.json.new"
	put_creds
	run -73 agentrux-activate --recover
	files credentials.json credentials.json.new
	[ "$(jq -r .script_id "$H/credentials.json")" = scr_0 ]
}

@test "--rotate: a new secret under the name that was there, the rest untouched" {
	classic_only
	plan "POST /auth/rotate-key body='{\"client_secret\":\"the-next-secret\",\"access_token\":\"tok-2\",\"refresh_token\":\"ref-2\"}'"
	home
	(umask 077 && printf '{ "note" : 12345678901234567890 ,"clientSecret":"old-secret",\n "base_url":"%s/","script_id":"scr_0","x":{"y":[1.50]}}\n' \
		"$FAULTS_URL" >"$H/credentials.json")
	sed 's/old-secret/the-next-secret/' "$H/credentials.json" >"$HOME/want"
	outcome ok 0 --rotate
	cmp "$HOME/want" "$H/credentials.json"
	files credentials.json
	[ "$(tail -n 1 "$FAULTS_LOG/0001.req")" = '{"script_id":"scr_0","client_secret":"old-secret"}' ]
	# The token that came along serves all.
	run -0 --separate-stderr agentrux-token
	[ "$output" = tok-2 ]
	[ "$(requests .)" = 1 ]
}

@test "--rotate: refused, unanswered, not set up" {
	classic_only
	home
	run -78 agentrux-activate --rotate
	plan "POST /auth/rotate-key status=401" "POST /auth/rotate-key status=503" \
		"POST /auth/rotate-key hang"
	put_creds
	run -77 agentrux-activate --rotate
	run -75 agentrux-activate --rotate
	background "$BATS_TEST_TMPDIR/out" agentrux-activate --rotate
	wait_for 5 test -s "$FAULTS_LOG/0003.req"
	kill -TERM "$LAST_PID"
	code=0
	wait "$LAST_PID" || code=$?
	[ "$code" = 75 ]
	files credentials.json
	[ "$(jq -r .client_secret "$H/credentials.json")" = an-older-secret ]
}

@test "--rotate against a real hub: the old secret is dead, the new one works" {
	classic_only
	start_hub
	hub topic add commands >/dev/null
	new_agent agent-1 commands:read
	H=$HOME/.agentrux
	cp -p "$H/credentials.json" "$HOME/old.json"
	agentrux-activate --rotate
	agentrux-token --forget
	agentrux-token
	mkdir -m 700 "$HOME/other"
	cp -p "$HOME/old.json" "$HOME/other/credentials.json"
	run -77 agentrux-token --home "$HOME/other"
}

@test "--invite: one request, one line, and the cached token is forgotten" {
	classic_only
	start_hub
	hub topic add commands >/dev/null
	topic=$(hub topic add extra)
	new_agent agent-1 commands:read
	first=$(agentrux-token)
	hub invite issue extra:read >"$HOME/invite"
	run -0 --separate-stderr agentrux-activate --invite <"$HOME/invite"
	[ "$output" = "{\"topic_id\":\"$topic\",\"action\":\"read\"}" ]
	[ "$(agentrux-token --status)" = none ]
	[ "$(agentrux-token)" != "$first" ]
	run --separate-stderr agentrux-activate --invite <"$HOME/invite"
	[ "$status" != 0 ] && [ -z "$output" ]
	run -65 agentrux-activate --invite <<<"not an invite"
	run -65 agentrux-activate --invite <<<"$CODE"
}

@test "--status tells every state" {
	H=$HOME/.agentrux
	state() {
		run -"$2" --separate-stderr agentrux-activate --status --json
		[ "$(jq -r .state <<<"$output")" = "$1" ]
		run -"$2" --separate-stderr agentrux-activate --status
		[ "${#lines[@]}" -le 1 ]
	}
	state empty 0
	home
	state empty 0
	home "$CODE"
	state waiting 0
	mv "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"
	state interrupted 0
	rm "$H/BOOTSTRAP.md.inflight"
	put_creds
	state ready 0
	[ "$(agentrux-activate --status --json | jq 'has("client_secret")')" = false ]
	files credentials.json
	chmod 644 "$H/credentials.json"
	state not-set-up 78
}

@test "two homes know nothing of each other" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	mkdir -m 700 "$HOME/b"
	echo "$CODE" >"$HOME/b/BOOTSTRAP.md"
	outcome ok 0 --home "$HOME/b"
	files BOOTSTRAP.md
	[ -e "$HOME/b/credentials.json" ]
	cd "$HOME/b"
	echo "$CODE" >BOOTSTRAP.md
	outcome creds-already-present 73 --home .
	[[ $(jq -r .failed_file <<<"$output") == "$(pwd -P)"/BOOTSTRAP.md.failed-* ]]
}

@test "stdout that is full does not undo an activation" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	home "$CODE"
	code=0
	agentrux-activate --json >/dev/full || code=$?
	[ "$code" = 74 ]
	files credentials.json
}

@test "wrong use: 64" {
	run -64 agentrux-activate --recover --rotate
	run -64 agentrux-activate --stdin --status
	run -64 agentrux-activate "$CODE"
	run -64 agentrux-activate --code "$CODE"
}
