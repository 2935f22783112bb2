# What the hub's own test files share: requests by curl, and nothing of the
# client. The token is in $TOKEN.

# request STATUS PATH [curl options…]: fails unless it is answered so. The
# answer is in $BODY, its headers in $HEADERS.
request() {
	local want=$1 url=$2 got
	shift 2
	BODY=$BATS_TEST_TMPDIR/body
	HEADERS=$BATS_TEST_TMPDIR/headers
	case $url in http*) ;; *) url=$HUB_URL$url ;; esac
	: >"$BODY"
	got=$(curl -s -m 100 -o "$BODY" -D "$HEADERS" -w '%{http_code}' \
		"$@" "$url") || true
	if [ "$got" != "$want" ]; then
		echo "$url: $got instead of $want" >&2
		head -c 2000 "$BODY" >&2
		return 1
	fi
}

# The same with the token.
api() {
	local want=$1 url=$2
	shift 2
	request "$want" "$url" -H "Authorization: Bearer $TOKEN" "$@"
}

# restart_hub [SIGNAL]: the same database, another process.
restart_hub() {
	stop_hub "${1:-TERM}"
	rm "$BATS_TEST_TMPDIR/hub.out"
	start_hub
}
