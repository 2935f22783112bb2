#!/usr/bin/env bats
# agentrux-publish: what is said arrives, byte for byte, or the exit code says
# why not.

load helper

# A hub, the topics $T and $R (for replies), and us with every grant.
prepare() {
	start_hub
	T=$(new_topic work)
	R=$(new_topic replies)
	new_agent writer "$T:read" "$T:write" "$R:read" "$R:write"
}

# The topic as the service shows it, by curl alone.
topic() {
	events_after "$1" ""
}

# The fault server with a token to give and these further rules, and
# credentials for it; $T is a topic.
prepare_faults() {
	T=$(by_dialect '' top_)11111111-2222-4333-8444-555555555555
	{
		echo "$TOKEN_RULE"
		printf '%s\n' "$@"
	} >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	put_credentials
}

outbox() {
	find "$HOME/.agentrux/outbox" -name '*.json' 2>/dev/null | sort
}

waiting() {
	outbox | wc -l
}

EVENTS="POST /topics/*/events"
OK="body='{\"event_id\":\"e-1\"}'"

@test "stdin, --data, --message and --file are four ways to say the same" {
	prepare
	echo '{"message":"hi"}' >"$HOME/payload"
	run -0 agentrux-publish "$T" <"$HOME/payload"
	[[ $output == '{"event_id":"'*'"}' ]]
	agentrux-publish "$T" -d '{"message":"hi"}'
	agentrux-publish "$T" -m hi
	agentrux-publish "$T" -f "$HOME/payload" -t report
	topic "$T" >"$HOME/page"
	[ "$(jq -c '[.items[].payload]|unique' "$HOME/page")" = '[{"message":"hi"}]' ]
	[ "$(jq -c '[.items[].type]' "$HOME/page")" = \
		'["message","message","message","report"]' ]
	[ "$(jq '.items|length' "$HOME/page")" = 4 ]
}

@test "awkward payloads arrive byte for byte" {
	prepare
	printf '%s' '{"n":9007199254740993, "x" : 1.0 ,"e":1e400,"z":"a\u0000b",' \
		'"s":"\ud800","q":"\u00e9\/","d":1,"d":2, "E":-0,"k":{ }}' \
		>"$HOME/odd"
	{
		printf '"'
		yes 漢字かな交じり文 | head -c 262140 | tr -d '\n' | iconv -c -t UTF-8
		printf '"'
	} >"$HOME/japanese"
	{
		head -c 100000 /dev/zero | tr '\0' '['
		head -c 100000 /dev/zero | tr '\0' ']'
	} >"$HOME/deep"
	for f in odd japanese deep; do
		agentrux-publish "$T" -f "$HOME/$f" >/dev/null
		agentrux-publish "$T" <"$HOME/$f" >/dev/null
		{
			printf '"payload":'
			cat "$HOME/$f"
			printf ',\n'
		} >"$HOME/want"
		topic "$T" | grep -oF -f "$HOME/want" >"$HOME/found"
		[ "$(wc -l <"$HOME/found")" = 2 ]
	done
}

@test "any JSON value is a payload" {
	prepare
	for v in null true '"text"' 3.140 '[]' '  {"a":1}  '; do
		agentrux-publish "$T" -d "$v" >/dev/null
	done
	topic "$T" | grep -F '"payload":3.140,'
	[ "$(topic "$T" | jq -c '[.items[].payload]')" = \
		'[null,true,"text",3.140,[],{"a":1}]' ] ||
		[ "$(topic "$T" | jq -c '[.items[].payload]')" = \
			'[null,true,"text",3.14,[],{"a":1}]' ]
}

@test "--message takes any text and makes JSON of it" {
	prepare
	agentrux-publish "$T" -m $'-"\\\n\t\x01 é'
	[ "$(topic "$T" | jq -r .items[0].payload.message)" = $'-"\\\n\t\x01 é' ]
	run -65 --separate-stderr agentrux-publish "$T" -m $'\xff'
	[[ $stderr == *UTF-8* ]]
}

@test "invalid JSON is 65 with line and column, and nothing is sent" {
	prepare_faults
	for bad in '{"a":1}x' '{"a":01}' "{'a':1}" '{"a":1,}' $'"\x01"' $'"\xff"' \
		'' ' ' '[1' '"\ud8"' 'nul' $'\xef\xbb\xbf1' '{"a" 1}'; do
		run -65 --separate-stderr agentrux-publish "$T" < <(printf %s "$bad")
		[ -z "$output" ]
		[[ $stderr == *"standard input"* ]]
	done
	run -65 --separate-stderr agentrux-publish "$T" < <(printf '{\n  "é": x\n}')
	[[ $stderr == *"line 2, column 8"* ]]
	[ "$(requests .)" = 0 ]
}

@test "JSON is checked even where nothing is set up" {
	run -65 agentrux-publish some-topic -d '{'
	run -78 agentrux-publish some-topic -d '{}'
}

@test "more than 10 MiB is 65, exactly 10 MiB is published" {
	classic_only # else an object stands for it: oauth.bats
	prepare
	{
		printf '"'
		head -c 10485758 /dev/zero | tr '\0' a
		printf '"\n'
	} >"$HOME/max"
	agentrux-publish "$T" -f "$HOME/max"
	sed -i 's/"$/b"/' "$HOME/max"
	run -65 --separate-stderr agentrux-publish "$T" -f "$HOME/max"
	[[ $stderr == *"larger than 10485760 bytes"* ]]
	run -65 --separate-stderr agentrux-publish --spool "$T" -f "$HOME/max"
	[ "$(waiting)" = 0 ]
}

@test "wrong use is 64" {
	for args in "" "$HOME/../x -d 1" "t -d 1 -m 2" "t --lines -d 1" \
		"t --wait 5 -d 1" "t --wait 5 --reply-topic r --lines" \
		"t -j 2 -d 1" "t --keep-going -d 1" "--flush t" "--flush -m x" \
		"t --lines --attach x" "t --wait 5 --reply-topic r --spool" \
		"t --reply-topic a/b -d 1" "t -d 1 -t ''" "t u -d 1" \
		"t --idempotency-key '' -d 1" "t --idempotency-key 'a b' -d 1" \
		"t --idempotency-key k --lines" "--flush --metadata {}" \
		"t -d {} --attach -"; do
		eval "run -64 agentrux-publish $args"
	done
}

@test "a file that is not there is 66" {
	run -66 agentrux-publish topic -f "$HOME/nothing"
	run -66 agentrux-publish topic -f "$HOME"
}

@test "correlation id and reply topic are fields of the event, or in its metadata" {
	prepare
	agentrux-publish "$T" -m hi --correlation-id 'c "1"' --reply-topic "$R"
	[ "$(topic "$T" | jq -r ".items[0]$(by_dialect '' .metadata)|.correlation_id,.reply_topic")" = \
		"c \"1\"
$R" ]
}

@test "/dev/full is 74, a reader that closed is quiet" {
	prepare
	run -74 --separate-stderr bash -c "agentrux-publish $T -m hi >/dev/full"
	[[ $stderr == *"No space left"* ]]
	run -0 --separate-stderr bash -c "seq 100000 |
		agentrux-publish $T --lines | head -n 2 | wc -l
		exit \${PIPESTATUS[1]}"
	[ "$output" = 2 ]
	[ -z "$stderr" ]
}

@test "an unreachable server is 75, after --retry-time" {
	prepare_faults
	export AGENTRUX_BASE_URL=http://127.0.0.1:1
	run -75 agentrux-publish "$T" -m hi --retry-time 0
	start=$SECONDS
	run -75 agentrux-publish "$T" -m hi --retry-time 2
	[ $((SECONDS - start)) -le 20 ]
}

@test "what the service answers becomes the documented exit code" {
	local code want
	for pair in 400:65 403:77 404:66 409:65 413:65 422:65 429:75 500:75 \
		503:75 302:1 418:1; do
		code=${pair%:*} want=${pair#*:}
		prepare_faults "$EVENTS status=$code body='{\"detail\":\"no\"}'"
		run "-$want" --separate-stderr agentrux-publish "$T" -m hi \
			--retry-time 0
		[ -z "$output" ]
		[[ $stderr == *"answered $code"* ]]
		[ "$(requests "POST /topics/")" = 1 ]
		stop_faults
	done
}

@test "HTML, half an answer and one without event_id are temporary" {
	local answer
	for answer in "body='<html>hello</html>'" "body='{\"event_id\":' " \
		"body='{}'" "body='{\"event_id\":7}'" "$OK cut=5" reset close; do
		prepare_faults "$EVENTS $answer"
		run -75 agentrux-publish "$T" -m hi --retry-time 0
		stop_faults
	done
}

@test "temporary trouble is retried, never before Retry-After" {
	prepare_faults "$EVENTS status=500" \
		"$EVENTS status=429 header='Retry-After: 1'" "$EVENTS $OK"
	start=$(date +%s%N)
	run -0 agentrux-publish "$T" -m hi
	[ "$output" = '{"event_id":"e-1"}' ]
	[ "$(requests "POST /topics/")" = 3 ]
	[ $(($(date +%s%N) - start)) -ge 1000000000 ]
}

@test "Retry-After beyond --retry-time fails at once" {
	prepare_faults "$EVENTS status=429 header='Retry-After: 900'"
	start=$SECONDS
	run -75 agentrux-publish "$T" -m hi
	[ $((SECONDS - start)) -le 20 ]
}

@test "one 401 costs a new token and no more" {
	prepare_faults "$EVENTS status=401" "$EVENTS $OK"
	run -0 agentrux-publish "$T" -m hi
	[ "$(requests "POST $TOKEN_PATH")" = 2 ]
	[ "$(requests "POST /topics/")" = 2 ]
}

@test "a 401 to a new token is 77, not a loop" {
	prepare_faults "$EVENTS status=401"
	run -77 --separate-stderr agentrux-publish "$T" -m hi
	[[ $stderr == *"activate again"* ]]
	[ "$(requests "POST /topics/")" = 2 ]
}

@test "SIGTERM ends it within a second, with 0 and no answer" {
	prepare_faults "$EVENTS hang"
	background "$HOME/out" agentrux-publish "$T" -m hi
	wait_for 5 test -e "$FAULTS_LOG/0002.req"
	start=$(date +%s%N)
	kill "$LAST_PID"
	wait "$LAST_PID"
	[ $(($(date +%s%N) - start)) -lt 10000000000 ]
	[ ! -s "$HOME/out" ]
}

@test "an acknowledgement that is on its way is taken in spite of SIGTERM" {
	prepare_faults "$EVENTS $OK until=$HOME/go"
	background "$HOME/out" agentrux-publish "$T" -m hi
	wait_for 5 test -e "$FAULTS_LOG/0002.req"
	kill "$LAST_PID"
	: >"$HOME/go"
	wait "$LAST_PID"
	[ "$(cat "$HOME/out")" = '{"event_id":"e-1"}' ]
}

@test "the request holds what it must and nothing of the secret is shown" {
	prepare_faults "$EVENTS $OK"
	run -0 --separate-stderr agentrux-publish -vv "$T" -d '{"a": 1.0}' -t x/y
	req=$(cat "$FAULTS_LOG/0002.req")
	[[ $req == *"Authorization: Bearer tok"* ]]
	[[ $req == *"User-Agent: agentrux/"* ]]
	[[ $req == *"{\"$(by_dialect '' event_)type\":\"x/y\",\"payload\":{\"a\": 1.0}}" ]]
	[[ $stderr != *tok[!e]* ]]
	[[ $stderr != *hush* ]]
}

# --- --lines ---

@test "--lines publishes each line in order and passes over blank ones" {
	prepare
	printf '1\n\n"two"\r\n  \n{"x": 3}' >"$HOME/in"
	agentrux-publish "$T" --lines <"$HOME/in" >"$HOME/out"
	topic "$T" >"$HOME/page"
	[ "$(jq -c '[.items[].payload]' "$HOME/page")" = '[1,"two",{"x":3}]' ]
	[ "$(jq -r .event_id "$HOME/out")" = \
		"$(jq -r '.items[].event_id' "$HOME/page")" ]
}

@test "an answer comes while the input stays open" {
	prepare
	mkfifo "$HOME/in"
	background "$HOME/out" bash -c \
		"exec agentrux-publish $T --lines <'$HOME/in'"
	exec 9>"$HOME/in"
	echo 1 >&9
	wait_for 5 test -s "$HOME/out"
	echo 2 >&9
	exec 9>&-
	wait "$LAST_PID"
	[ "$(wc -l <"$HOME/out")" = 2 ]
}

@test "a reader that closes ends it at once, even while it waits for input" {
	prepare
	mkfifo "$HOME/in"
	background "$HOME/status" bash -c "
		agentrux-publish $T --lines <'$HOME/in' | head -n 1 >/dev/null
		echo \${PIPESTATUS[0]}"
	exec 9>"$HOME/in"
	echo 1 >&9
	wait_for 3 test -s "$HOME/status"
	exec 9>&-
	[ "$(cat "$HOME/status")" = 0 ]
	[ ! -s "$HOME/status.err" ]
}

@test "a reader that does not read does not keep it from ending" {
	prepare
	mkfifo "$HOME/out"
	exec 9<>"$HOME/out"
	agentrux-publish "$T" --lines -j 4 < <(yes 1) >"$HOME/out" 3>&- &
	pid=$!
	sleep 1
	start=$(date +%s%N)
	kill "$pid"
	wait "$pid"
	[ $(($(date +%s%N) - start)) -lt 15000000000 ]
	exec 9>&-
}

@test "--lines -j answers in input order" {
	prepare
	seq 500 | agentrux-publish "$T" --lines -j 8 >"$HOME/out"
	all_of "$T" | jq -r '.items[]|"\(.payload) \(.event_id)"' | sort -n |
		cut -d' ' -f2 >"$HOME/want"
	jq -r .event_id "$HOME/out" | cmp - "$HOME/want"
}

@test "a bad line ends it, naming the line, and nothing behind is sent" {
	prepare
	run -65 --separate-stderr agentrux-publish "$T" --lines -j 4 \
		< <(printf '1\n\n2\n{"x":\n4\n5\n')
	[ "${#lines[@]}" = 2 ]
	[[ $stderr == *"line 4, column 6"* ]]
	[ "$(topic "$T" | jq -c '[.items[].payload]|sort')" = '[1,2]' ]
}

@test "--keep-going answers for a bad line and a refusal and goes on" {
	prepare_faults "$EVENTS status=422 body='{\"detail\":\"too odd\"}'" \
		"$EVENTS $OK"
	run -65 --separate-stderr agentrux-publish "$T" --lines --keep-going \
		< <(printf '1\n[\n3\n')
	[ "${#lines[@]}" = 3 ]
	[[ ${lines[0]} == '{"event_id":null,"error":"line 1: '*'too odd"}' ]]
	[[ ${lines[1]} == '{"event_id":null,"error":"'*'line 2, column 2"}' ]]
	[ "${lines[2]}" = '{"event_id":"e-1"}' ]
}

@test "--keep-going gives the first failure's code" {
	prepare_faults "$EVENTS status=403" "$EVENTS $OK"
	run -77 agentrux-publish "$T" --lines --keep-going < <(printf '1\n[\n3\n')
	[ "${#lines[@]}" -ge 3 ]
}

@test "--keep-going does not go on where no line would fare better" {
	prepare_faults "$EVENTS status=401"
	run -77 --separate-stderr agentrux-publish "$T" --lines --keep-going \
		< <(seq 100)
	[ -z "$output" ]
	[ "$(requests "POST /topics/")" = 2 ]
	[ "$(requests "POST $TOKEN_PATH")" -le 3 ]
}

@test "temporary trouble ends --lines with 75" {
	prepare_faults "$EVENTS $OK" "$EVENTS status=500"
	run -75 --separate-stderr agentrux-publish "$T" --lines --keep-going \
		--retry-time 0 < <(seq 100)
	[ "$output" = '{"event_id":"e-1"}' ]
	[[ $stderr == *"line 2"* ]]
	[ "$(requests "POST /topics/")" = 2 ]
}

@test "what was sent beside a refused line is reported" {
	prepare_faults "$EVENTS status=422 delay=500" "$EVENTS $OK"
	run -65 --separate-stderr agentrux-publish "$T" --lines -j 2 \
		< <(printf '1\n2\n')
	# Whichever of the two came first is the one that was refused.
	if [ -z "$output" ]; then
		[[ $stderr == *"line 2 had been sent before: it is event e-1"* ]]
	else
		[[ $stderr == *"line 2:"*422* ]]
	fi
}

@test "--lines keeps little in memory, however long its input" {
	! grep -qE "__[at]san_init" "$BUILD/bin/agentrux-publish" ||
		skip "a sanitizer takes memory of its own"
	prepare_faults "$EVENTS $OK"
	# As long as a line may be that is sent as it is.
	head -c "$(by_dialect 1000000 250000)" /dev/zero | tr '\0' 1 >"$HOME/line"
	echo >>"$HOME/line"
	for _ in $(seq 150); do cat "$HOME/line"; done >"$HOME/in"
	# shellcheck disable=SC2016
	run -0 bash -c 'ulimit -v 400000; agentrux-publish "$0" --lines -j 2 \
		<"$HOME/in" | wc -l' "$T"
	[ "$output" = 150 ]
}

# --- an answer that does not arrive ---

# A proxy in front of the hub: while there is a file drop, the answer to an event is
# not passed on, but the end of the connection; that takes the file away.
start_proxy() {
	cat >"$HOME/proxy" <<-'EOF'
		use IO::Socket::INET;
		my ($to, $drop) = @ARGV;
		my $in = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1");
		$| = 1;
		$SIG{CHLD} = "IGNORE";
		print "http://127.0.0.1:" . $in->sockport . "\n";
		sub message {
			my ($s, $head, $body) = (shift, "", "");
			while ($head !~ /\r\n\r\n/) {
				sysread($s, $head, 1, length $head) or return;
			}
			my $n = $head =~ /^content-length: *(\d+)/im ? $1 : 0;
			while (length $body < $n) {
				sysread($s, $body, $n - length $body, length $body)
					or return;
			}
			return $head . $body;
		}
		while (my $c = $in->accept) {
			next if fork;
			my $hub = IO::Socket::INET->new(PeerAddr => $to) or exit;
			while (defined(my $asked = message($c))) {
				syswrite $hub, $asked;
				my $answer = message($hub);
				exit if $asked =~ m{^POST \S+/events } && unlink $drop;
				defined $answer or exit;
				syswrite $c, $answer;
			}
			exit;
		}
	EOF
	background "$HOME/proxy.out" perl "$HOME/proxy" "${HUB_URL#http://}" \
		"$HOME/drop"
	wait_for 10 test -s "$HOME/proxy.out"
	AGENTRUX_BASE_URL=$(cat "$HOME/proxy.out")
}

@test "committed, but not acknowledged: one event with a key, two of one request without" {
	prepare
	start_proxy
	n=0
	for how in "" --lines --spool "--lines --spool" "--lines -j 4"; do
		: >"$HOME/drop"
		n=$((n + 1))
		# shellcheck disable=SC2086 # words
		run -0 agentrux-publish "$T" $how <<<"{\"request_id\":\"r-$n\"}"
		[ ! -e "$HOME/drop" ]
		[ "${#lines[@]}" = 1 ]
		topic "$T" | jq -c ".items[] | select(.payload.request_id == \"r-$n\")" \
			>"$HOME/events"
		want=2
		[ "$DIALECT" = classic ] || want=1
		[ "$(wc -l <"$HOME/events")" = "$want" ]
		[ "$(jq -r .event_id <<<"$output")" = \
			"$(tail -n 1 "$HOME/events" | jq -r .event_id)" ]
	done
	[ "$(waiting)" = 0 ]
}

# --- the outbox ---

@test "--spool prints the event id and leaves nothing behind" {
	prepare
	run -0 agentrux-publish --spool "$T" -m hi
	[[ $output == '{"event_id":"'*'"}' ]]
	[ "$(waiting)" = 0 ]
	[ "$(stat -c %a "$HOME/.agentrux/outbox")" = 700 ]
}

@test "--spool writes and syncs before the first attempt" {
	prepare_faults "$EVENTS hang"
	background "$HOME/out" agentrux-publish --spool "$T" -d '{"a": 1.0}' \
		-t x --correlation-id c --reply-topic r
	wait_for 5 test -e "$FAULTS_LOG/0002.req"
	[ "$(waiting)" = 1 ]
	f=$(outbox)
	[ "$(stat -c %a "$f")" = 600 ]
	grep -F '"payload":{"a": 1.0}}' "$f"
	[ "$(jq -r '.topic,.type,.correlation_id,.reply_topic' "$f" |
		paste -sd' ')" = "$T x c r" ]
	# A flush leaves an entry alone that somebody is sending.
	run -0 agentrux-publish --flush
	[ -z "$output" ]
	kill -9 "$LAST_PID"
	[ "$(waiting)" = 1 ]
}

@test "what cannot be sent for now waits, exit 0, and --flush sends it" {
	prepare
	run -0 --separate-stderr agentrux-publish --spool --retry-time 0 \
		--base-url http://127.0.0.1:1 "$T" -d '{"z": 9007199254740993}' \
		-t x --correlation-id c
	[ "$(jq -r .spooled <<<"$output")" = "$(outbox)" ]
	[[ $stderr == *"waits in the outbox"* ]]
	spooled=$(outbox)
	run -0 agentrux-publish --flush
	[ "$(jq -r .spooled <<<"$output")" = "$spooled" ]
	[ "$(waiting)" = 0 ]
	topic "$T" | grep -F '"payload":{"z": 9007199254740993},'
	topic "$T" | grep -F '"correlation_id":"c"'
	[ "$(topic "$T" | jq -r '.items[0].event_id')" = \
		"$(jq -r .event_id <<<"$output")" ]
	run -0 agentrux-publish --flush
	[ -z "$output" ]
}

@test "SIGTERM leaves the event in the outbox and says so" {
	prepare_faults "$EVENTS hang"
	background "$HOME/out" agentrux-publish --spool "$T" -m hi
	wait_for 5 test -e "$FAULTS_LOG/0002.req"
	kill "$LAST_PID"
	wait "$LAST_PID"
	[ "$(jq -r .spooled "$HOME/out")" = "$(outbox)" ]
}

@test "a refused event goes to dead/outbox with the reason" {
	prepare_faults "$EVENTS status=422 body='{\"detail\":\"too odd\"}'"
	run -65 --separate-stderr agentrux-publish --spool "$T" -m hi
	[ -z "$output" ]
	[[ $stderr == *dead/outbox/* ]]
	[ "$(waiting)" = 0 ]
	dead=("$HOME"/.agentrux/dead/outbox/*.json)
	[[ $(jq -r .reason "${dead[0]}") == *"too odd"* ]]
	[ "$(jq -c .payload "${dead[0]}")" = '{"message":"hi"}' ]
	# Moved back, it is sent again.
	mv "${dead[0]}" "$HOME/.agentrux/outbox/"
	stop_faults
	prepare_faults "$EVENTS $OK"
	run -0 agentrux-publish --flush
	[ "$(jq -r .event_id <<<"$output")" = e-1 ]
}

@test "credentials that are refused condemn no event" {
	prepare_faults "$EVENTS status=401"
	run -77 --separate-stderr agentrux-publish --spool "$T" -m hi
	[[ $stderr == *"the event is in"*/outbox/* ]]
	[ "$(waiting)" = 1 ]
	agentrux-token --forget
	run -77 agentrux-publish --flush
	[ "$(waiting)" = 1 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "--flush keeps the order, puts refused and damaged entries aside" {
	prepare_faults "POST /topics/bad/events status=403" "$EVENTS $OK"
	mkdir -m 700 "$HOME/.agentrux/outbox"
	cd "$HOME/.agentrux/outbox"
	umask 077
	for n in 1 2 3 4; do
		echo "{\"topic\":\"t\",\"type\":\"m\",\"payload\":$n}" >"0$n.json"
	done
	echo '{"topic":"bad","type":"m","payload":0}' >01b.json
	echo '{"topic":"t","type":"m","payl' >02b.json
	echo '{"topic":"../x","type":"m","payload":1}' >02c.json
	cp 01.json 03b.json
	chmod 644 03b.json
	run -77 --separate-stderr agentrux-publish --flush
	[ "${#lines[@]}" = 4 ]
	grep -hoE '"payload":[0-9]' "$FAULTS_LOG"/*.req | grep -v 0 >"$HOME/sent"
	[ "$(tr -dc 0-9 <"$HOME/sent")" = 1234 ]
	[ "$(ls ../dead/outbox)" = "01b.json
02b.json
02c.json" ]
	# One that others could have written is not trusted, and not touched.
	[ "$(ls)" = 03b.json ]
	[[ $stderr == *"chmod 600"* ]]
}

@test "--flush holds up a topic in temporary trouble, but not the others" {
	prepare_faults "POST /topics/sick/events status=500" "$EVENTS $OK"
	mkdir -m 700 "$HOME/.agentrux/outbox"
	cd "$HOME/.agentrux/outbox"
	umask 077
	for n in 1 2 3; do
		echo '{"topic":"sick","type":"m","payload":1}' >"1$n.json"
		echo '{"topic":"well","type":"m","payload":1}' >"2$n.json"
	done
	run -75 agentrux-publish --flush --retry-time 0
	[ "$(requests "POST /topics/sick/")" = 1 ]
	[ "$(requests "POST /topics/well/")" = 3 ]
	[ "$(waiting)" = 3 ]
}

@test "two flushes at once: the second is told to come later" {
	prepare_faults "$EVENTS hang"
	mkdir -m 700 "$HOME/.agentrux/outbox"
	(umask 077 && echo '{"topic":"t","type":"m","payload":1}' \
		>"$HOME/.agentrux/outbox/1.json")
	background "$HOME/out" agentrux-publish --flush
	wait_for 5 test -e "$FAULTS_LOG/0002.req"
	run -75 --separate-stderr agentrux-publish --flush
	[[ $stderr == *"another flush"* ]]
}

@test "many flushes at once, over and over, send each event once" {
	prepare
	seq 60 | agentrux-publish --spool --retry-time 0 --lines \
		--base-url http://127.0.0.1:1 "$T" >/dev/null 2>&1
	[ "$(waiting)" = 60 ]
	for n in 1 2 3 4; do
		# shellcheck disable=SC2016 # the shell's own
		background "$HOME/out$n" bash -c 'code=75
			while [ "$code" = 75 ]; do
				code=0
				agentrux-publish --flush || code=$?
			done; exit "$code"'
		pids[n]=$LAST_PID
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	[ "$(waiting)" = 0 ]
	[ "$(cat "$HOME"/out[1-4] | wc -l)" = 60 ]
	[ "$(all_of "$T" | jq '.items[].payload' | sort -n)" = "$(seq 60)" ]
}

@test "--lines --spool keeps the order once a line had to wait" {
	prepare_faults "$EVENTS $OK" "$EVENTS status=500" "$EVENTS $OK"
	run -0 --separate-stderr agentrux-publish --lines --spool --retry-time 0 \
		"$T" < <(seq 5)
	[ "${lines[0]}" = '{"event_id":"e-1"}' ]
	[ "$(printf '%s\n' "${lines[@]:1}" | jq -r .spooled)" = "$(outbox)" ]
	[ "$(outbox | xargs jq .payload | paste -sd' ')" = "2 3 4 5" ]
	[ "$(requests "POST /topics/")" = 2 ]
}

@test "a disk that takes no more is 74, and the line is not sent" {
	prepare_faults "$EVENTS $OK"
	mkdir -m 700 "$HOME/.agentrux/outbox"
	run -74 --separate-stderr bash -c "ulimit -f 0; trap '' XFSZ
		agentrux-publish --spool --home '$HOME/.agentrux' $T -m hi 2>&1 |
		cat; exit \${PIPESTATUS[0]}"
	[ "$(requests "POST /topics/")" = 0 ]
}

# published ROUND: the second elements of payloads [ROUND, N], as they lie there.
published() {
	all_of "$T" | jq -r ".items[].payload | select(.[0] == $1) | .[1]"
}

# kill_and_flush ROUND -j N: 2000 lines [ROUND, N], killed somewhere, flushed; what
# is published is in all, its numbers in once, how many had been answered in
# $answered.
kill_and_flush() {
	local round=$1 pid
	shift
	: >"$HOME/out"
	(
		seq 2000 | sed "s/.*/[$round,&]/" |
			agentrux-publish "$T" --lines --spool "$@" >"$HOME/out"
	) 3>&- &
	pid=$!
	wait_for 10 test -s "$HOME/out"
	sleep "0.0$round"
	pkill -9 -P "$pid" agentrux-publi || true
	wait "$pid" || true
	answered=$(grep -c event_id "$HOME/out" || true)
	agentrux-publish --flush >/dev/null
	[ "$(waiting)" = 0 ]
	published "$round" >"$HOME/all"
	sort -nu "$HOME/all" >"$HOME/once"
	# No hole, and at least what had been answered.
	[ "$(wc -l <"$HOME/once")" -ge "$answered" ]
	seq "$(wc -l <"$HOME/once")" | cmp - "$HOME/once"
}

@test "kill -9 of --lines --spool and a flush lose nothing and leave no hole" {
	prepare
	for round in 1 2 3 4 5 6; do
		kill_and_flush $round
		uniq "$HOME/all" | cmp - "$HOME/once"
		# At most the one in flight was sent twice, and that was not
		# answered; with a key it was not even that one.
		twice=$(uniq -d "$HOME/all")
		[ "$DIALECT" = classic ] || [ -z "$twice" ]
		[ "$(wc -w <<<"$twice")" -le 1 ]
		[ -z "$twice" ] || [ "$twice" -gt "$answered" ]
		[ "$(sort "$HOME/all" | uniq -c | awk '$1 > 2')" = "" ]
	done
	for round in 7 8 9; do
		kill_and_flush $round -j 4
		twice=$(sort -n "$HOME/all" | uniq -d)
		[ "$DIALECT" = classic ] || [ -z "$twice" ]
		[ "$(wc -w <<<"$twice")" -le 4 ]
		for n in $twice; do [ "$n" -gt "$answered" ]; done
	done
}

# One run of publish --spool for payload N, as the variables before it say; the
# exit code goes to $code.
spool_one() {
	code=0
	LD_PRELOAD=$BUILD/tests/abort-at.so ABORT_PROGRAM=agentrux-publish \
		ASAN_OPTIONS=verify_asan_link_order=0 agentrux-publish \
		--spool --retry-time 0 "$T" -d "$1" >"$HOME/out" 2>"$HOME/err" ||
		code=$?
}

# The payloads of $T, sorted.
payloads() {
	topic "$T" | jq -c '.items[].payload' | sort -n
}

@test "killed before each of its state changes, it loses nothing it had kept" {
	prepare
	agentrux-token >/dev/null
	for ((n = 1; ; n++)); do
		ABORT_AT=$n spool_one "$n"
		kept=$(waiting)
		agentrux-publish --flush >"$HOME/flushed"
		[ "$(waiting)" = 0 ]
		[ "$(wc -l <"$HOME/flushed")" = "$kept" ]
		[ "$kept" = 0 ] || payloads | grep -qx "$n"
		[ "$code" = 137 ] || break
		# It answers only when the entry is gone, for good.
		[ ! -s "$HOME/out" ] || [ "$kept" = 0 ]
	done
	[ "$code" = 0 ]
	[ "$n" -gt 6 ]
	[ ! -e "$HOME/.agentrux/dead" ]
}

@test "where any of its state changes fails, it says so and loses nothing" {
	prepare
	agentrux-token >/dev/null
	for ((n = 1; n < 20; n++)); do
		FAIL_AT=$n FAIL_ERRNO=EIO spool_one "$n"
		# Published, or kept, or reported; never in silence.
		if [ "$code" = 0 ]; then
			grep -qE 'event_id|spooled' "$HOME/out"
		else
			[ "$code" = 74 ]
			[ -s "$HOME/err" ]
		fi
		agentrux-publish --flush >/dev/null
		[ "$(waiting)" = 0 ]
		[ "$code" != 0 ] || payloads | grep -qx "$n"
	done
}

# --- --wait ---

@test "--wait prints the reply with our correlation id" {
	prepare
	: >"$HOME/out"
	(
		wait_for 10 grep -q event_id "$HOME/out"
		c=$(topic "$T" | jq -r ".items[0]$(by_dialect '' .metadata).correlation_id")
		agentrux-publish "$R" -d '{"not":"it"}' --correlation-id other
		agentrux-publish "$R" -d '{"n": 1.0}' --correlation-id "$c"
		agentrux-publish "$R" -d '{"n": 2}' --correlation-id "$c"
	) >/dev/null 3>&- &
	replier=$!
	agentrux-publish "$T" -m hi --reply-topic "$R" --wait 60 >"$HOME/out"
	wait "$replier"
	[ "$(wc -l <"$HOME/out")" = 2 ]
	tail -n 1 "$HOME/out" | grep -F '"payload":{"n": 1.0}'
	[ "$(tail -n 1 "$HOME/out" | jq -r .topic_id)" = "$R" ]
}

@test "--wait knows a reply by the payload's request_id, and is woken by a hint" {
	prepare
	# A poll alone would take two seconds; a busy machine gets more tries.
	for n in 1 2 3 4 5; do
		: >"$HOME/out"
		(
			wait_for 10 grep -q event_id "$HOME/out"
			sleep 0.3
			agentrux-publish "$R" -d "{\"request_id\":\"r-\\u003$n\"}"
		) >/dev/null 3>&- &
		replier=$!
		start=$(date +%s%N)
		agentrux-publish "$T" -d "{\"request_id\":\"r-$n\"}" \
			--reply-topic "$R" --wait 60 >"$HOME/out"
		took=$(($(date +%s%N) - start))
		wait "$replier"
		[ "$took" -ge 1800000000 ] || return 0
	done
	false
}

@test "a reply that was there before is none, nor is our own request" {
	prepare
	agentrux-publish "$R" -d '{"request_id":"r-1"}' --correlation-id c
	run -124 --separate-stderr agentrux-publish "$R" -d '{"request_id":"r-1"}' \
		--correlation-id c --reply-topic "$R" --wait 1
	[ "${#lines[@]}" = 1 ]
	[[ ${lines[0]} == '{"event_id":"'* ]]
	[[ $stderr == *"none came within 1 s"* ]]
}

@test "a reply behind 500 other events is found" {
	prepare
	: >"$HOME/out"
	(
		wait_for 10 grep -q event_id "$HOME/out"
		seq 500 | agentrux-publish "$R" --lines -j 8
		agentrux-publish "$R" -d 1 --correlation-id mine
	) >/dev/null 3>&- &
	replier=$!
	agentrux-publish "$T" -m hi --correlation-id mine --reply-topic "$R" \
		--wait 90 >"$HOME/out"
	wait "$replier"
	[ "$(tail -n 1 "$HOME/out" | jq -r "$(by_dialect '' .metadata).correlation_id")" = mine ]
}

@test "a reply is found across tokens that expire and a hub that comes back" {
	start_hub --token-ttl 1s
	T=$(new_topic work)
	R=$(new_topic replies)
	new_agent writer "$T:read" "$T:write" "$R:read" "$R:write"
	background "$HOME/out" agentrux-publish -v "$T" -m hi \
		--correlation-id mine --reply-topic "$R" --wait 120
	pid=$LAST_PID
	wait_for 20 grep -q event_id "$HOME/out"
	stop_hub KILL
	rm "$BATS_TEST_TMPDIR/hub.out"
	HUB_PORT=${HUB_URL##*:} start_hub --token-ttl 1s
	sleep 1.1 # so that the token has expired
	agentrux-publish "$R" -d '{"n":1}' --correlation-id other
	agentrux-publish "$R" -d '{"n":2}' --correlation-id mine
	wait "$pid"
	[ "$(tail -n 1 "$HOME/out" | jq -c .payload)" = '{"n":2}' ]
}

@test "a reply topic that we may not read is found out before publishing" {
	prepare
	hub grant remove writer "$R:read"
	agentrux-token --forget
	run -77 agentrux-publish "$T" -m hi --reply-topic "$R" --wait 5
	[ "$(topic "$T" | jq '.items|length')" = 0 ]
}

@test "trouble while waiting does not end the wait, nor prolong it" {
	prepare_faults "GET /topics/*/events/stream* status=503" \
		"GET /topics/*/events[?]* body='{\"$(by_dialect items events)\":[]}'" \
		"GET /topics/*/events[?]* status=500" \
		"GET /topics/*/events[?]* hang" "$EVENTS $OK"
	start=$SECONDS
	run -124 agentrux-publish "$T" -m hi --reply-topic "$T" --wait 4
	[ $((SECONDS - start)) -le 25 ]
	[ "$output" = '{"event_id":"e-1"}' ] || [ "${lines[0]}" = '{"event_id":"e-1"}' ]
}

# --- --attach ---

@test "--attach adds to what is attached and keeps the rest as it is" {
	prepare
	echo one >"$HOME/a.txt"
	echo '{}' >"$HOME/b.json"
	cd "$HOME"
	agentrux-publish "$T" -d '{"x" : 1e400,"attachments":[ {"name":"old"} ], "y":1.0}' \
		--attach a.txt --attach b.json
	agentrux-publish "$T" -d '{ }' --attach a.txt
	topic "$T" >page
	grep -F '"payload":{"x" : 1e400,"attachments":[ {"name":"old"} ,{"name":"a.txt",' page
	grep -F '], "y":1.0},' page
	[ "$(jq -c '[.items[].payload|select(.)|.attachments[].name]' page)" = \
		'["old","a.txt","b.json","a.txt"]' ]
}

@test "--attach to what is no object is 65, and nothing is uploaded" {
	prepare_faults
	echo one >"$HOME/a.txt"
	for payload in 3 '[]' '{"attachments":1}'; do
		run -65 agentrux-publish "$T" -d "$payload" --attach "$HOME/a.txt"
	done
	[ "$(requests .)" = 0 ]
}

@test "an attachment that is not there is 66, and nothing is published" {
	prepare
	run -66 agentrux-publish "$T" -d '{}' --attach "$HOME/nothing"
	[ "$(topic "$T" | jq '.items|length')" = 0 ]
}
