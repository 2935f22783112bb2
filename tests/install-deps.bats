#!/usr/bin/env bats
# scripts/install-deps, with a package manager that only writes down what it is
# asked to do.

load helper

# prepare INSTALLED…: stubs in $BIN; there all is called that was called.
prepare() {
	BIN=$BATS_TEST_TMPDIR/bin
	CALLS=$BATS_TEST_TMPDIR/calls
	mkdir "$BIN"
	: >"$CALLS"
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/installed"
	for tool in sh sed grep tr printf sleep env cat; do
		ln -s "$(command -v $tool)" "$BIN/$tool"
	done
	stub dpkg-query "shift 2; shift; grep -qxF -- \"\$1\" \
		$BATS_TEST_TMPDIR/installed && echo installed"
	stub apt-get "echo \"apt-get \$* \$DEBIAN_FRONTEND\" >>$CALLS"
	stub id 'echo 0'
}

stub() {
	rm -f "$BIN/$1"
	printf '#!/bin/sh\n%s\n' "$2" >"$BIN/$1"
	chmod +x "$BIN/$1"
}

install_deps() {
	run --separate-stderr env -i PATH="$BIN" AGENTRUX_RETRY_SLEEP=0 \
		"$ROOT/scripts/install-deps" "$@"
	printf '%s\n' "$status" "$output" "$stderr"
	cat "$CALLS"
}

# The names of all packages, by asking where none is installed.
all_of() {
	prepare
	install_deps "$@" >/dev/null
	sed -n 's/ noninteractive$//; s/.*--no-install-recommends //p' "$CALLS"
	rm -r "$BIN"
}

@test "where all is installed nothing is asked for" {
	read -ra names <<<"$(all_of --test)"
	[ "${#names[@]}" -gt 15 ]
	prepare "${names[@]}"
	install_deps --test
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	[ ! -s "$CALLS" ]
}

@test "only what is missing is installed, after one update" {
	read -ra names <<<"$(all_of)"
	prepare "${names[@]}"
	sed -i '/^jq$/d; /^make$/d' "$BATS_TEST_TMPDIR/installed"
	install_deps
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(wc -l <"$CALLS")" -eq 2 ]
	[[ $(sed -n 1p "$CALLS") == apt-get*" update noninteractive" ]]
	[[ $(sed -n 2p "$CALLS") == \
		*" --no-install-recommends make jq noninteractive" ]]
}

@test "an alternative that is there will do" {
	read -ra names <<<"$(all_of)"
	prepare "${names[@]}" libcurl4-gnutls-dev
	sed -i '/^libcurl4-openssl-dev$/d' "$BATS_TEST_TMPDIR/installed"
	install_deps
	[ "$status" -eq 0 ]
	[ ! -s "$CALLS" ]
}

@test "the tests' packages come with --test only" {
	[[ $(all_of) != *bats* ]]
	[[ $(all_of --test) == *bats* ]]
}

@test "a failure is tried once more, then reported with 75" {
	prepare
	stub apt-get "echo \"\$*\" >>$CALLS; exit 100"
	install_deps
	[ "$status" -eq 75 ]
	[ "$(grep -c update "$CALLS")" -eq 2 ]
	[[ $stderr == *"apt-get install --no-install-recommends gcc "* ]]
	rm -r "$BIN"
	prepare
	stub apt-get "echo \"\$*\" >>$CALLS; [ \$(grep -c . $CALLS) -gt 1 ]"
	install_deps
	[ "$status" -eq 0 ]
}

@test "without root it takes sudo, and without sudo it says what to do" {
	prepare
	stub id 'echo 1000'
	install_deps
	[ "$status" -eq 78 ]
	[[ $stderr == *"as root, run: apt-get install"*" gcc make "* ]]
	[ ! -s "$CALLS" ]
	stub sudo "echo sudo >>$CALLS; exec \"\$@\""
	install_deps
	[ "$status" -eq 0 ]
	[ "$(grep -cx sudo "$CALLS")" -eq 2 ]
	[ "$(grep -c '^apt-get' "$CALLS")" -eq 2 ]
}

@test "a system that is not Debian is told so, with 78" {
	prepare
	rm "$BIN/apt-get"
	install_deps --test
	[ "$status" -eq 78 ]
	[[ $stderr == *"no Debian system"*" gcc make "*" bats "* ]]
}

@test "wrong use is 64" {
	prepare
	install_deps --all
	[ "$status" -eq 64 ]
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
}
