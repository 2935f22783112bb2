# What holds for every request that a program makes: bounds and policy.
# shellcheck disable=SC2154 # $output and $stderr come from run

load helper

# plan LINE…: the fault server with these rules, and credentials.
plan() {
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	credentials
}

credentials() {
	[ -d "$HOME/.agentrux" ] || mkdir -m 700 "$HOME/.agentrux"
	(umask 077 && printf '{"script_id":"scr_1",%s"client_secret":"the-secret-of-this-test"%s}' \
		"$CLIENT" "${1:-}" >"$HOME/.agentrux/credentials.json")
}

OK="POST $TOKEN_PATH body='{\"access_token\":\"tok-1\"}'"

# A certificate for this machine's loopback, and a hub that shows it.
tls_hub() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
		-keyout "$BATS_TEST_TMPDIR/key.pem" \
		-out "$BATS_TEST_TMPDIR/cert.pem" 2>/dev/null
	chmod 600 "$BATS_TEST_TMPDIR/key.pem"
	start_hub --cert "$BATS_TEST_TMPDIR/cert.pem" \
		--key "$BATS_TEST_TMPDIR/key.pem"
	HUB_URL=${HUB_URL/#http:/https:}
	export AGENTRUX_BASE_URL=$HUB_URL
}

@test "every request carries a User-Agent" {
	plan "$OK" 'POST /topics/t/events body={"event_id":"e"}'
	agentrux-publish t -m hello >/dev/null
	[ "$(requests .)" -eq 2 ]
	[ "$(grep -liE '^User-Agent: agentrux/[0-9.]+' "$FAULTS_LOG"/*.req | wc -l)" -eq 2 ]
}

@test "a connection that is refused, reset, closed or cut is 75" {
	plan "POST $TOKEN_PATH reset" "POST $TOKEN_PATH close" \
		"$OK cut=5" "$OK chunked cut=5" "POST $TOKEN_PATH no-read reset"
	for _ in 1 2 3 4 5; do
		run -75 --separate-stderr agentrux-token --retry-time 0
		[ -z "$output" ]
	done
	kill "$FAULTS_PID"
	wait "$FAULTS_PID" || true
	run -75 agentrux-token --retry-time 0
	[[ $output == *"$FAULTS_URL"* ]]
}

@test "an answer that is too large is 75, not more memory" {
	head -c 3000000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/large"
	plan "POST $TOKEN_PATH file=$BATS_TEST_TMPDIR/large"
	run -75 agentrux-token --retry-time 0
	[[ $output == *"larger than"* ]]
}

@test "no redirect is followed" {
	# shellcheck disable=SC2016 # $URL is the fault server's word
	plan "$OK" 'POST /topics/t/events status=307 header="Location: $URL/elsewhere"' \
		'* /elsewhere body={"event_id":"e"}'
	run -1 agentrux-publish t -m hello --retry-time 0
	[ "$(requests elsewhere)" -eq 0 ]
}

@test "plain http is for loopback only, wherever the URL comes from" {
	plan "$OK"
	run -64 agentrux-token --base-url http://example.org
	[[ $output == *AGENTRUX_ALLOW_HTTP* ]]
	AGENTRUX_BASE_URL=http://example.org run -64 agentrux-token
	unset AGENTRUX_BASE_URL
	credentials ',"base_url":"http://example.org"'
	run -78 agentrux-token
	[ "$(requests .)" -eq 0 ]
	# At one's own risk it goes out, here through a proxy.
	AGENTRUX_ALLOW_HTTP=1 http_proxy=$FAULTS_URL \
		run -66 agentrux-token --retry-time 0
	[ "$(requests "^POST http://example.org$TOKEN_PATH ")" -eq 1 ]
	AGENTRUX_ALLOW_HTTP=1 http_proxy="" \
		run -0 agentrux-token --base-url "$FAULTS_URL" --retry-time 0
}

@test "a proxy serves other hosts, and never loopback" {
	plan "$OK"
	http_proxy=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1 \
		all_proxy=http://127.0.0.1:1 run -0 agentrux-token --retry-time 0
	[ "$output" = tok-1 ]
	AGENTRUX_BASE_URL=https://example.org HTTPS_PROXY=$FAULTS_URL \
		run -75 agentrux-token --retry-time 0
	[ "$(requests '^CONNECT example.org:443 ')" -eq 1 ]
}

@test "TLS: a certificate that CURL_CA_BUNDLE vouches for is accepted" {
	tls_hub
	export CURL_CA_BUNDLE=$BATS_TEST_TMPDIR/cert.pem
	topic=$(new_topic commands)
	new_agent agent-1 "$topic:read" "$topic:write"
	agentrux-publish "$topic" -m hello >/dev/null
	background "$BATS_TEST_TMPDIR/out" agentrux-watch --once --poll 1 "$topic"
	wait "$LAST_PID"
	[ "$(jq -r .hint "$BATS_TEST_TMPDIR/out" | head -n 1)" = connected ]
	unset CURL_CA_BUNDLE
	SSL_CERT_FILE=$BATS_TEST_TMPDIR/cert.pem run -0 agentrux-publish "$topic" -m hello
}

@test "TLS: a certificate that nobody vouches for is refused before anything is said" {
	tls_hub
	credentials
	run -75 agentrux-token --retry-time 0
	[[ $output == *certificate* ]]
}

@test "TLS: a certificate for another name is refused" {
	tls_hub
	credentials
	export CURL_CA_BUNDLE=$BATS_TEST_TMPDIR/cert.pem
	AGENTRUX_BASE_URL=${HUB_URL/127.0.0.1/127.0.0.2} \
		run -75 agentrux-token --retry-time 0
}

@test "TLS: a bundle that is not there is 78" {
	tls_hub
	credentials
	CURL_CA_BUNDLE=$BATS_TEST_TMPDIR/missing run -78 agentrux-token
	[[ $output == *CURL_CA_BUNDLE* ]]
}

@test "TLS: what the system trusts is read once, whether variables name it or not" {
	strace -o /dev/null true 2>/dev/null || skip "nothing can be traced here"
	certs=/etc/ssl/certs
	[ -r $certs/ca-certificates.crt ] || skip "no such system"
	tls_hub
	credentials
	refused() { [ "$(grep -cs certificate "$BATS_TEST_TMPDIR/out.err")" -ge 3 ]; }
	for set in "" "SSL_CERT_DIR=$certs CURL_CA_BUNDLE=$certs/ca-certificates.crt"; do
		rm -f "$BATS_TEST_TMPDIR/out.err" # of the one before
		# shellcheck disable=SC2086 # words are meant
		background "$BATS_TEST_TMPDIR/out" env -u CURL_CA_BUNDLE \
			-u SSL_CERT_FILE -u SSL_CERT_DIR $set \
			ASAN_OPTIONS=detect_leaks=0 \
			strace -f -e openat -o "$BATS_TEST_TMPDIR/opened" \
			agentrux-watch -v --max-backoff 1 up
		wait_for 8 refused # on three connections
		pkill -P "$LAST_PID"
		wait "$LAST_PID"
		[ "$(grep -c 'ca-certificates.crt' "$BATS_TEST_TMPDIR/opened")" -eq 1 ]
	done
}

@test "SIGTERM ends a request that nobody answers within a second" {
	plan "POST $TOKEN_PATH hang"
	background "$BATS_TEST_TMPDIR/out" agentrux-token
	wait_for 5 test -e "$FAULTS_LOG/0001.req"
	kill -TERM "$LAST_PID"
	start=$(date +%s%3N)
	wait "$LAST_PID"
	[ $(($(date +%s%3N) - start)) -lt 10000 ]
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "SIGTERM ends the search for a host's address within a second" {
	command -v "${CC:-cc}" >/dev/null || skip "no compiler"
	cat >"$BATS_TEST_TMPDIR/slow.c" <<-'END'
		#include <netdb.h>
		#include <unistd.h>
		int getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **res)
		{
			(void)node, (void)service, (void)hints, (void)res;
			sleep(600);
			return EAI_AGAIN;
		}
	END
	"${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/slow.so" \
		"$BATS_TEST_TMPDIR/slow.c"
	credentials
	for program in agentrux-token "agentrux-watch up"; do
		# shellcheck disable=SC2086 # words are meant
		AGENTRUX_BASE_URL=https://example.invalid \
			background "$BATS_TEST_TMPDIR/out" \
			env LD_PRELOAD="$BATS_TEST_TMPDIR/slow.so" \
			ASAN_OPTIONS=verify_asan_link_order=0 $program
		pid=$LAST_PID
		threads() { [ "$(find "/proc/$pid/task" -maxdepth 1 -mindepth 1 | wc -l)" -ge 2 ]; }
		wait_for 5 threads
		kill -TERM "$pid"
		start=$(date +%s%3N)
		wait "$pid"
		[ $(($(date +%s%3N) - start)) -lt 10000 ]
	done
}

@test "-vv shows requests and answers without secrets, tokens and signatures" {
	plan "$OK" 'POST /topics/t/events body={"event_id":"e"}'
	run -0 --separate-stderr agentrux-publish -vv t -m hello
	[[ $stderr == *"> POST "*"$TOKEN_PATH"* ]]
	[[ $stderr == *"Authorization: Bearer ***"* ]]
	[[ $stderr == *'"message":"hello"'* ]]
	[[ $stderr == *"< 200"* ]]
	[[ $stderr != *tok-1* && $stderr != *the-secret* ]]
}
