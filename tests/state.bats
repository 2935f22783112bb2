# What survives: many at once, kills at every step, full and broken disks; and
# that secrets are nowhere but in their files.

# Set-ups and checks are handed on by name.
# shellcheck disable=SC2317
load helper

AC=$(by_dialect ac act)
CODE=${AC}_0123456789abcdefghijklmnopqrstuvwxyzABCDEF
SECRET=the-secret-that-must-not-be-lost
GRANTED="{\"script_id\":\"scr_1\",$CLIENT\"client_secret\":\"$SECRET\"}"
SHIM=$BUILD/tests/abort-at.so
# The shim before a sanitizer is fine.
export ASAN_OPTIONS=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

plan() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	H=$HOME/.agentrux
}

home() {
	rm -rf "$H"
	mkdir -m 700 "$H"
}

put_code() {
	home
	(umask 077 && echo "${1:-$CODE}" >"$H/BOOTSTRAP.md")
}

put_creds() {
	(umask 077 && printf '{"base_url":"%s","script_id":"scr_1",%s"client_secret":"an-older-secret"}' \
		"$AGENTRUX_BASE_URL" "$CLIENT" >"$H/credentials.json")
}

# Everything of the home but the lock.
files() {
	find "$H" -mindepth 1 -maxdepth 1 ! -name credentials.json.lock \
		-printf '%f\n' | sort
}

has_secret() {
	grep -qs "$1" "$H/credentials.json" "$H/credentials.json.new"
}

has_code() {
	grep -qsF "$1" "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight" "$H"/BOOTSTRAP.md.failed-*
}

# What the manual tells to do after a crash, as --status does.
next_step() {
	if [[ $(agentrux-activate --status) == *--recover* ]]; then
		agentrux-activate --recover >/dev/null 2>&1 || return 1
	fi
	agentrux-activate >/dev/null 2>&1 || true
}

# No half-written file, no leftover of a ritual.
whole() {
	local file
	for file in "$H"/*.json; do
		[ ! -e "$file" ] || jq -e . "$file" >/dev/null || return 1
	done
	[ ! -e "$H/credentials.json.new" ] && [ ! -e "$H/BOOTSTRAP.md.failed.new" ]
}

# kill_each MIN SETUP CHECK [ARG…]: runs agentrux-activate ARG… after SETUP,
# killed before its 1st, 2nd, 3rd … change; CHECK after each. At least MIN.
kill_each() {
	local min=$1 setup=$2 check=$3 n code
	shift 3
	for ((n = 1; ; n++)); do
		"$setup"
		code=0
		ABORT_AT=$n ABORT_PROGRAM=agentrux-activate LD_PRELOAD=$SHIM \
			agentrux-activate "$@" >/dev/null 2>&1 <<<"$CODE" || code=$?
		[ "$code" = 137 ] || break
		"$check" || { echo "killed before change $n: $(ls -A "$H")" && return 1; }
	done
	[ "$n" -gt "$min" ]
}

ok_check() {
	has_code "$CODE" || has_secret "$SECRET" || return 1
	next_step
	whole && grep -q "$SECRET" "$H/credentials.json" || return 1
	# Killed after all was done, a spent inflight may stay; nothing else.
	! files | grep -qvx -e credentials.json -e BOOTSTRAP.md.inflight
}

@test "200 at once on one BOOTSTRAP.md: one request, all end well, nothing else left" {
	plan "POST $ACTIVATE_PATH delay=200 body='$GRANTED'" "POST $ACTIVATE_PATH status=422"
	put_code
	pids=()
	for n in {1..200}; do
		background "$BATS_TEST_TMPDIR/p$n" agentrux-activate --json
		pids+=("$LAST_PID")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	[ "$(requests .)" = 1 ]
	[ "$(files)" = credentials.json ]
	[ "$(jq -r .client_secret "$H/credentials.json")" = "$SECRET" ]
	[ "$(cat "$BATS_TEST_TMPDIR"/p*[0-9] | jq -r .outcome | sort | uniq -c | xargs)" = \
		"199 no-file 1 ok" ]
}

@test "killed at every step of an activation" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	kill_each 14 put_code ok_check
}

@test "killed at every step, beside an orphaned inflight" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	twins() { put_code && ln "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"; }
	kill_each 15 twins ok_check
}

@test "killed at every step with a code from standard input" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	check() {
		agentrux-activate --recover >/dev/null 2>&1 || true
		agentrux-activate --stdin <<<"$CODE" >/dev/null 2>&1 || true
		whole && [ "$(files)" = credentials.json ]
	}
	kill_each 12 home check --stdin
}

@test "killed at every step of a refusal" {
	plan "POST $ACTIVATE_PATH status=422"
	check() {
		has_code "$CODE" || return 1
		next_step
		whole && has_code "$CODE" && [ ! -e "$H/credentials.json" ] &&
			[ ! -e "$H/BOOTSTRAP.md" ]
	}
	kill_each 14 put_code check
}

@test "killed at every step of a temporary failure" {
	plan "POST $ACTIVATE_PATH status=503"
	check() {
		has_code "$CODE" || return 1
		next_step
		whole && [ "$(files)" = BOOTSTRAP.md ] && [ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
	}
	kill_each 12 put_code check
}

@test "killed at every step where nothing is sent" {
	plan "* * status=500"
	kept() {
		has_code "$WHAT" || return 1
		next_step
		whole && has_code "$WHAT"
	}
	WHAT="no code"
	nonsense() { put_code "$WHAT"; }
	kill_each 9 nonsense kept
	WHAT=${AC}_short
	kill_each 9 nonsense kept
	WHAT=$CODE
	beside() { put_code && put_creds; }
	kill_each 9 beside kept
	[ "$(requests .)" = 0 ]
}

@test "killed at every step of a recovery" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	rescued() {
		home
		echo "$CODE" >"$H/BOOTSTRAP.md.inflight"
		(umask 077 && { echo "$GRANTED" && head -c 60000 /dev/zero; } >"$H/credentials.json.new")
	}
	check() {
		has_secret "$SECRET" || return 1
		next_step
		grep -q "$SECRET" "$H/credentials.json" && whole
	}
	kill_each 6 rescued check --recover
	orphan() { put_code && mv "$H/BOOTSTRAP.md" "$H/BOOTSTRAP.md.inflight"; }
	kill_each 5 orphan ok_check --recover
}

@test "killed at every step of a rotation" {
	classic_only
	plan "POST /auth/rotate-key body='{\"client_secret\":\"$SECRET\"}'"
	H=$HOME/.agentrux
	start() { home && put_creds; }
	check() {
		local before
		before=$(requests .)
		jq -e .client_secret "$H/credentials.json" >/dev/null || return 1
		agentrux-activate --recover >/dev/null 2>&1 || true
		[ "$(requests .)" = "$before" ] && whole && [ "$(files)" = credentials.json ]
	}
	kill_each 12 start check --rotate
}

@test "killed at every step of getting a token: none hangs, no refresh token is sent twice" {
	plan "POST $TOKEN_PATH body='{\"access_token\":\"tok\",\"refresh_token\":\"ref\"}'" \
		"POST /auth/refresh body='{\"access_token\":\"tok\",\"refresh_token\":\"ref\"}'"
	home
	put_creds
	for ((n = 1; ; n++)); do
		agentrux-token >/dev/null
		file=$(find "$AGENTRUX_RUNTIME_DIR" -name 'token-*' ! -name '*.lock' ! -name '*.new')
		printf '{"access_token":"old","refresh_token":"ref-%s","expires_ms":1,"stale_ms":1}' "$n" >"$file"
		code=0
		ABORT_AT=$n ABORT_PROGRAM=agentrux-token LD_PRELOAD=$SHIM agentrux-token \
			>/dev/null 2>&1 || code=$?
		[ "$code" = 137 ] || break
		run -0 agentrux-token
		[ "$output" = tok ]
		[ "$(requests "ref-$n\"")" -le 1 ]
	done
	[ "$n" -gt "$(by_dialect 10 7)" ]
}

# fail_each MIN SETUP CHECK [ARG…]: like kill_each, but the 1st, 2nd, 3rd …
# change fails (FAIL_AT), or all from there on (FAIL_FROM). CHECK gets the exit
# code and how many requests were made.
fail_each() {
	local min=$1 setup=$2 check=$3 how errno n code before
	shift 3
	for how in FAIL_AT:EIO FAIL_FROM:EIO FAIL_FROM:ENOSPC FAIL_FROM:EROFS; do
		errno=${how#*:}
		for ((n = 1; ; n++)); do
			"$setup"
			before=$(requests .)
			code=0
			rm -f "$BATS_TEST_TMPDIR/log"
			env "${how%:*}=$n" FAIL_ERRNO="$errno" ABORT_PROGRAM=agentrux-activate \
				ABORT_LOG="$BATS_TEST_TMPDIR/log" LD_PRELOAD="$SHIM" \
				agentrux-activate "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/said" || code=$?
			"$check" "$code" $(($(requests .) - before)) || {
				echo "$how at change $n, exit $code: $(ls -A "$H")"
				cat "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/log"
				return 1
			}
			[ "$n" -le "$(sed -n 's/^total //p' "$BATS_TEST_TMPDIR/log")" ] || break
		done
		[ "$n" -gt "$min" ]
	done
}

@test "a disk that fails at any step: no code and no secret is lost" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	check() {
		case $1 in
		0) grep -q "$SECRET" "$H/credentials.json" || return 1 ;;
		74) ;;
		*) return 1 ;;
		esac
		if [ "$2" = 0 ]; then
			has_code "$CODE" || return 1
		else
			has_secret "$SECRET" || return 1
		fi
		next_step
		whole && grep -q "$SECRET" "$H/credentials.json"
	}
	fail_each 15 put_code check
}

@test "the same by the kernel: EIO before the request costs nothing, after it no secret" {
	strace -o /dev/null true 2>/dev/null || skip "nothing can be traced here"
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	n=0
	for fault in fsync:error=EIO fsync:error=EIO:when=2 fallocate:error=ENOSPC \
		renameat:error=EROFS ftruncate:error=EIO renameat2:error=EIO \
		fsync:error=EIO:when=3+; do
		put_code
		before=$(requests .)
		code=0
		ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e inject="$fault" \
			agentrux-activate || code=$?
		echo "$fault: $code"
		[ "$code" = 74 ] || { [ "$code" = 0 ] && [ -e "$H/credentials.json" ]; }
		if [ "$(requests .)" = "$before" ]; then
			n=$((n + 1))
			[ "$(cat "$H/BOOTSTRAP.md")" = "$CODE" ]
		else
			has_secret "$SECRET"
		fi
		next_step
		whole && grep -q "$SECRET" "$H/credentials.json"
	done
	[ "$n" = 4 ]
}

@test "a disk that fails at any step of a rotation: the new secret is not lost" {
	classic_only
	plan "POST /auth/rotate-key body='{\"client_secret\":\"$SECRET\"}'"
	start() { home && put_creds; }
	check() {
		local secret=an-older-secret
		[ "$2" = 0 ] || secret=$SECRET
		has_secret "$secret" || return 1
		agentrux-activate --recover >/dev/null 2>&1 || true
		whole && grep -q "$secret" "$H/credentials.json"
	}
	fail_each 12 start check --rotate
}

@test "a disk that fails while a useless code is set aside: the code is still there" {
	plan "POST $ACTIVATE_PATH status=422"
	check() {
		[ "$1" = 77 ] || [ "$1" = 74 ] || return 1
		has_code "$CODE"
	}
	fail_each 14 put_code check
}

# The command that the message of $* ends with: run it as a user would.
mend() {
	run -78 --separate-stderr "$@"
	[ -z "$output" ]
	echo "$stderr"
	eval "${stderr##*: }"
}

@test "what is unsafe is refused in every shape, and the message's command mends it" {
	plan "POST $TOKEN_PATH body='{\"access_token\":\"tok\"}'" \
		"POST $ACTIVATE_PATH body='$GRANTED'"
	export AGENTRUX_HOME="$HOME/it's a home" H="$HOME/it's a home"
	file=$H/credentials.json
	works() { [ "$(agentrux-token)" = tok ]; }
	for unsafe in 'chmod 640 "$file"' 'chmod 602 "$file"' 'chmod 720 "$H"' \
		'chmod 777 "$H"' 'mv "$file" "$HOME/elsewhere"; ln -s "$HOME/elsewhere" "$file"' \
		'chown 1 "$file"' 'chown 1 "$H"'; do
		[[ $unsafe != chown* || $(id -u) = 0 ]] || continue
		home
		put_creds
		eval "$unsafe"
		mend agentrux-token
		works
		[ "$(requests "$ACTIVATE_PATH")" = 0 ]
	done
	# What can only be put aside: a new start is possible then.
	for unsafe in 'mkdir "$file"' 'mkfifo "$file"' 'truncate -s 100M "$file"' \
		': >"$file"' 'head -c 300 /dev/zero >"$file"' 'echo garbage >"$file"' \
		'mkdir "$file"; touch "$file/x"' 'mkdir "$file.lock"' 'mkfifo "$file.new"' \
		'mkdir "$file.new"'; do
		put_code
		(umask 077 && eval "$unsafe")
		mend agentrux-activate
		agentrux-activate
		works
	done
	put_code
	(umask 077 && echo '{"script' >"$file.new")
	run -73 agentrux-activate
	[[ $output == *"agentrux-activate --recover" ]]
	mend agentrux-activate --recover
	agentrux-activate
	rm -r "$H"
	: >"$H"
	mend agentrux-activate
	put_code
	agentrux-activate
}

@test "the same of positions and the ledger: never overwritten, never 'the oldest'" {
	start_hub
	export AGENTRUX_HOME="$HOME/it's a home" H="$HOME/it's a home"
	T=$(new_topic work)
	new_agent us "$T:read" "$T:write"
	agentrux-publish "$T" -m before >/dev/null
	agentrux-drain --once "$T"
	for file in waterline.json ledger.db; do
		for unsafe in ': >"$H/$file"' 'head -c 4096 /dev/zero >"$H/$file"' \
			'echo garbage >"$H/$file"' 'chmod 644 "$H/$file"' \
			'rm "$H/$file"; mkdir "$H/$file"' \
			'mv "$H/$file" "$H/real"; ln -s real "$H/$file"'; do
			# An empty SQLite file is a database without tables.
			[[ $unsafe != :*  || $file != *.db ]] || continue
			rm -rf "$H/$file.aside" "$H/$file.damaged" "$H/real"
			eval "$unsafe"
			before=$(sha256sum "$H/$file" 2>&1 || true)
			run -78 agentrux-drain --once "$T"
			[ "$(sha256sum "$H/$file" 2>&1 || true)" = "$before" ]
			mend agentrux-drain --once "$T"
			run -0 --separate-stderr agentrux-drain --once "$T"
			[ -z "$output" ]
		done
	done
}

# In the shim's log: what is renamed was synced after its last write, and its
# folder is synced after that.
synced_in_order() {
	awk '
	{ name = $2; sub(/.*\//, "", name) }
	$1 ~ /^(write|pwrite|ftruncate)/ { torn[name] = 1 }
	$1 ~ /^f(data)?sync$/ { torn[name] = 0; if (name !~ /\./ || name == ".agentrux") open = 0 }
	$1 ~ /^rename/ { if (torn[name]) bad = 1; open = 1; n++ }
	END { exit bad || open || n == 0 }' "$1" || { cat "$1" && return 1; }
}

@test "what is put in place was synced before, and its folder after" {
	start_hub
	T=$(new_topic work)
	H=$HOME/.agentrux
	hub script add us --grant "$T:read" --grant "$T:write" >/dev/null
	put_code "$(issue_code us)"
	for command in agentrux-activate "agentrux-activate --rotate" \
		"agentrux-drain --once $T" "agentrux-waterline set $T 0"; do
		[[ $DIALECT = classic || $command != *--rotate ]] || continue
		rm -f "$HOME/log"
		# shellcheck disable=SC2086 # words
		env LD_PRELOAD="$SHIM" ABORT_LOG="$HOME/log" $command
		sed -i '/token-/d' "$HOME/log" # in memory
		synced_in_order "$HOME/log"
	done
}

# drain_each SETTING…: three new events are drained through a handler, the shim
# acting at the 1st, 2nd, 3rd … change, SQLite's included; then drained again in
# peace. Every event is handled, and twice at most the one in hand and the one
# that had ended just then.
drain_each() {
	local n code total
	H=$HOME/.agentrux
	start_hub
	T=$(new_topic work)
	new_agent us "$T:read" "$T:write"
	agentrux-drain --once "$T"
	printf '#!/bin/sh\necho "$AGENTRUX_EVENT_ID" >>"%s"\n' "$HOME/seen" >"$HOME/handler"
	chmod +x "$HOME/handler"
	for ((n = 1; ; n++)); do
		printf '1\n2\n3\n' | agentrux-publish "$T" --lines | jq -r .event_id |
			sort >"$HOME/new"
		: >"$HOME/seen"
		rm -f "$BATS_TEST_TMPDIR/log"
		code=0
		env "${@//@/$n}" ABORT_SQLITE=1 ABORT_PROGRAM=agentrux-drain \
			ABORT_LOG="$BATS_TEST_TMPDIR/log" LD_PRELOAD="$SHIM" \
			agentrux-drain --once --retry-time 0 "$T" -- "$HOME/handler" \
			2>"$HOME/said" || code=$?
		echo "change $n: $code $(cat "$HOME/said")"
		case $* in
		ABORT*) [ "$code" = 137 ] || [ "$code" = 0 ] ;;
		*) [ "$code" = 74 ] || [ "$code" = 0 ] ;;
		esac
		# A handler that was just being started holds the lock as well.
		agentrux-drain --lock-wait 60 --once "$T" -- "$HOME/handler"
		sort -u "$HOME/seen" | cmp - "$HOME/new"
		[ "$(wc -l <"$HOME/seen")" -le 5 ]
		[ -z "$(find "$H/dead" -type f 2>/dev/null)" ]
		total=$(sed -n 's/^total //p' "$BATS_TEST_TMPDIR/log")
		[ "$code" = 137 ] || [ "$total" -ge "$n" ] || break
	done
	[ "$n" -gt 10 ]
}

@test "killed at every step of a drain: no event is lost, and what is recorded does not come again" {
	drain_each ABORT_AT=@
}

@test "a disk that fails at any step of a drain: 74, and no event is lost" {
	classic_only "a disk knows no dialects"
	drain_each FAIL_AT=@ FAIL_ERRNO=EIO
}

@test "a disk that is full from any step of a drain on: 74, and no event is lost" {
	classic_only "a disk knows no dialects"
	drain_each FAIL_FROM=@ FAIL_ERRNO=ENOSPC
}

# A small file system of its own on $H.
mount_home() {
	home
	mount -t tmpfs -o "size=$1,mode=700" tmpfs "$H" 2>/dev/null ||
		skip "mounting a tmpfs is not possible here"
	MOUNTED=$H
}

teardown_mount() {
	[ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED"
	MOUNTED=
}

fill() {
	dd if=/dev/zero of="$H/filler" bs=4096 2>/dev/null || true
}

@test "a full disk: 74, no request, the code is still there" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'"
	mount_home 256k
	(umask 077 && echo "$CODE" >"$H/BOOTSTRAP.md")
	fill
	code=0
	agentrux-activate --json >"$BATS_TEST_TMPDIR/out" 2>/dev/null || code=$?
	left=$(files | xargs)
	n=$(requests .)
	rm "$H/filler"
	run agentrux-activate
	all=$(files)
	teardown_mount
	[ "$code" = 74 ] && [ "$left" = "BOOTSTRAP.md filler" ] && [ "$n" = 0 ]
	[ "$(jq -r .outcome "$BATS_TEST_TMPDIR/out")" = transient-failure ]
	[ "$status" = 0 ] && [ "$all" = credentials.json ]
}

@test "a disk that fills up during the request: room was made before" {
	plan "POST $ACTIVATE_PATH until=$HOME/go body='$GRANTED'"
	mount_home 256k
	(umask 077 && echo "$CODE" >"$H/BOOTSTRAP.md")
	background "$BATS_TEST_TMPDIR/out" agentrux-activate
	wait_for 5 test -s "$FAULTS_LOG/0001.req"
	fill
	: >"$HOME/go"
	code=0
	wait "$LAST_PID" || code=$?
	secret=$(jq -r .client_secret "$H/credentials.json")
	teardown_mount
	[ "$code" = 0 ] && [ "$secret" = "$SECRET" ]
}

@test "a read-only home: 74 and no request; complete, it is fine" {
	plan "POST $ACTIVATE_PATH body='$GRANTED'" "POST $TOKEN_PATH body='{\"access_token\":\"tok\"}'"
	mount_home 256k
	(umask 077 && echo "$CODE" >"$H/BOOTSTRAP.md")
	mount -o remount,ro "$H"
	first=0
	agentrux-activate || first=$?
	n=$(requests .)
	mount -o remount,rw "$H"
	agentrux-activate
	mount -o remount,ro "$H"
	second=0
	agentrux-activate || second=$?
	run agentrux-token
	teardown_mount
	[ "$first" = 74 ] && [ "$n" = 0 ] && [ "$second" = 0 ]
	[ "$status" = 0 ] && [ "$output" = tok ]
}

@test "rotations at once: one after the other, and the last secret works" {
	classic_only
	start_hub
	hub topic add commands >/dev/null
	new_agent agent-1 commands:read
	pids=()
	for n in {1..10}; do
		background "$BATS_TEST_TMPDIR/r$n" agentrux-activate --rotate
		pids+=("$LAST_PID")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	agentrux-token --forget
	agentrux-token
}

@test "secrets are in their files and nowhere else" {
	# Not those of other tests, which are words of their greps.
	code=${AC}_canary_code_0123456789abcdef_$$
	secret=canary-secret-0123456789abcdef-$$
	token=canary-token-0123456789abcdef-$$
	refresh=canary-refresh-0123456789abcdef-$$
	invite=inv_canary_0123456789abcdef_$$
	printf '%s\n' "$code" "$secret" "$token" "$refresh" "$invite" \
		>"$BATS_TEST_TMPDIR/canaries"
	export TMPDIR=$HOME/tmp
	mkdir "$TMPDIR"
	items=$(by_dialect items events)
	# The service quotes all it was sent in its refusals.
	plan "POST $ACTIVATE_PATH delay=100 status=422 body='{\"error\":{\"code\":\"$code\",\"message\":\"bad code $code!\"}}'" \
		"POST $ACTIVATE_PATH delay=100 body='{\"script_id\":\"scr_1\",$CLIENT\"client_secret\":\"$secret\"}'" \
		"POST $TOKEN_PATH delay=100 status=500 body='{\"detail\":\"no: $secret\"}'" \
		"POST $TOKEN_PATH delay=100 body='{\"access_token\":\"$token\",\"refresh_token\":\"$refresh\"}'" \
		"POST /auth/refresh delay=100 status=401 body='{\"detail\":\"$refresh is dead\"}'" \
		"POST /auth/redeem-invite-code delay=100 status=409 body='{\"detail\":\"$invite $secret\"}'" \
		"POST /auth/rotate-key delay=100 status=409 body='{\"detail\":\"$secret\"}'" \
		"GET /topics/t/events/stream* delay=100 header='Content-Type: text/event-stream' body=\"data: 1\\n\\n\" hold" \
		"GET /topics/t/events* body='{\"$items\":[{\"event_id\":\"e\",\"sequence_no\":1,\"type\":\"t\",\"payload\":1}]}'" \
		"GET /topics/t/events* body='{\"$items\":[]}'" \
		"POST /topics/t/events delay=100 status=401 body='{\"detail\":\"Bearer $token\"}'" \
		"POST /topics/t/events delay=100 status=403 body='{\"detail\":\"Bearer $token\"}'"
	(
		while [ ! -e "$BATS_TEST_TMPDIR/end" ]; do
			grep -alsFf "$BATS_TEST_TMPDIR/canaries" \
				/proc/[0-9]*/cmdline /proc/[0-9]*/environ \
				>>"$BATS_TEST_TMPDIR/found" || true
			sleep 0.01
		done
	) 3>&- &
	sampler=$!
	PIDS+=("$sampler")
	put_code "$code"
	{
		agentrux-activate -vv --json || true
		(umask 077 && echo "$code" >"$H/BOOTSTRAP.md")
		agentrux-activate -vv --json
		agentrux-activate --status --json
		agentrux-token -vv --status
		agentrux-token -vv --retry-time 0 || true
		agentrux-token -vv >"$HOME/token"
		agentrux-token -vv --status --json
		agentrux-watch -vv --once t
		agentrux-drain -vv --from oldest --once t -- \
			sh -c 'env; cat; sleep 0.1'
		agentrux-publish -vv t -m x --retry-time 0 || true
		agentrux-upload -vv --retry-time 0 t "$BATS_TEST_FILENAME" || true
		sed -i 's/"stale_ms":[0-9]*/"stale_ms":1/' "$AGENTRUX_RUNTIME_DIR"/token-*[0-9a-f]
		agentrux-token -vv >"$HOME/token"
		agentrux-token -vv --rejected <"$HOME/token"
		agentrux-activate -vv --invite <<<"$invite" || true
		agentrux-activate -vv --rotate || true
	} >"$BATS_TEST_TMPDIR/said" 2>&1
	touch "$BATS_TEST_TMPDIR/end"
	wait "$sampler"
	[ "$(cat "$HOME/token")" = "$token" ]
	run grep -cE '> (POST|GET)|< [0-9]+' "$BATS_TEST_TMPDIR/said"
	[ "$output" -ge "$(by_dialect 30 20)" ]
	grep -q '^AGENTRUX_EVENT_ID=e' "$BATS_TEST_TMPDIR/said"
	run -1 grep -Ff "$BATS_TEST_TMPDIR/canaries" "$BATS_TEST_TMPDIR/said"
	run -1 grep -Ff "$BATS_TEST_TMPDIR/canaries" "$H"/BOOTSTRAP.md.failed-*.json
	cat "$BATS_TEST_TMPDIR/found"
	[ ! -s "$BATS_TEST_TMPDIR/found" ]
	# On the disk: the secret in one file, the refused code in another.
	rm "$HOME/token"
	[ "$(grep -rlFf "$BATS_TEST_TMPDIR/canaries" "$HOME" | sed 's/-[0-9]*-[0-9]*$//' | sort | xargs -n1 basename | xargs)" = \
		"BOOTSTRAP.md.failed credentials.json" ]
}

@test "a crash leaves no core dump" {
	plan "POST $TOKEN_PATH hang"
	home
	put_creds
	ulimit -c unlimited || skip "core dumps cannot be allowed here"
	cd "$HOME"
	cat >crash <<-'END'
		agentrux-token &
		until [ -s "$1" ]; do sleep 0.02; done
		kill -ABRT $!
		wait $!
		echo "$?"
	END
	run -0 timeout 100 bash crash "$FAULTS_LOG/0001.req" 3>&-
	[[ $output == *134 ]]
	[[ $output != *"core dumped"* ]]
	[ -z "$(find . -name '*core*')" ]
}
