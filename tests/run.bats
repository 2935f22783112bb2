#!/usr/bin/env bats
# tests/run counts right: what fails, crashes, hangs or is not there is never
# taken for a success. bats itself is a stub that prints what a file holds.

load helper

prepare() {
	TREE=$BATS_TEST_TMPDIR/tree
	mkdir -p "$TREE/tests/unit" "$TREE/build/tests/unit" "$TREE/bin"
	cp "$ROOT/tests/run" "$TREE/tests"
	cat >"$TREE/bin/bats" <<-'END'
		#!/bin/sh
		for file; do :; done
		. "./$file"
	END
	printf '#!/bin/sh\nexit 1\n' >"$TREE/bin/parallel"
	chmod +x "$TREE"/bin/*
}

# unit NAME LINE…: a unit test that is this shell script.
unit() {
	local name=$1
	shift
	: >"$TREE/tests/unit/$name.c"
	printf '%s\n' '#!/bin/sh' "$@" >"$TREE/build/tests/unit/$name"
	chmod +x "$TREE/build/tests/unit/$name"
}

file() {
	local name=$1
	shift
	printf '%s\n' "$@" >"$TREE/tests/$name.bats"
}

tests() {
	run env PATH="$TREE/bin:$PATH" AGENTRUX_TEST_LIMIT="${LIMIT:-60}" \
		AGENTRUX_FILE_LIMIT="${LIMIT:-60}" "$TREE/tests/run" "$TREE/build" "$@"
	printf '%s\n' "$output"
}

# counts STATUS LAST-LINE
counts() {
	[ "$status" -eq "$1" ]
	[ "${lines[-1]}" = "$2" ]
}

@test "unit tests and bats tests are summed up, skipped ones listed" {
	prepare
	unit a 'echo 1..2; echo ok 1 - x; echo "not ok 2 # SKIP y"' \
		'echo 1..1; echo ok 1 - z'
	file b 'echo 1..3; echo ok 1 p; echo ok 2 q "# skip" why; echo ok 3 r'
	tests
	counts 0 '4 passed, 0 failed'
	[[ $output == *'2 skipped'* ]]
	[[ $output == *'not ok 2 # SKIP y'* ]]
	[[ $output == *'ok 2 q # skip why'* ]]
	[[ $output != *'ok 3 r'* ]]
}

@test "failures are counted and shown in full, with stderr" {
	prepare
	unit a 'echo 1..2; echo not ok 1 - x; echo "# why"; echo ok 2 - y' \
		'echo words >&2; exit 1'
	file b 'echo 1..2; echo not ok 1 p; echo "# reason"; echo ok 2 q; exit 1'
	tests
	counts 1 '2 passed, 2 failed'
	[[ $output == *'not ok 1 - x'*'# why'*'stderr: words'* ]]
	[[ $output == *'not ok 1 p'*'# reason'* ]]
}

@test "a group's set-up that fails is a failure" {
	prepare
	unit a 'echo 1..1; echo "not ok 0 - g [  FAILED  ] GROUP SETUP"; exit 1'
	tests
	counts 1 '0 passed, 1 failed'
}

@test "what the code under test prints is no result" {
	prepare
	unit a 'echo 1..2; echo ok 7 - noise; echo ok 1 - x; echo ok 2 - y'
	tests
	counts 0 '2 passed, 0 failed'
}

@test "a unit test that crashes is a failure, whatever it said before" {
	prepare
	# shellcheck disable=SC2016 # the inner shell's words
	unit a 'echo 1..1; echo ok 1 - x; kill -SEGV $$'
	tests
	counts 1 '1 passed, 1 failed'
	[[ $output == *'ended by signal 11'* ]]
}

@test "a test that ends early, or badly, or ran nothing is a failure" {
	prepare
	unit a 'echo 1..3; echo ok 1 - x'
	tests
	counts 1 '1 passed, 1 failed'
	unit a 'echo 1..1; echo ok 1 - x; exit 3'
	tests
	counts 1 '1 passed, 1 failed'
	unit a 'exit 0'
	tests
	counts 1 '0 passed, 1 failed'
	rm "$TREE/tests/unit/a.c"
	file b 'echo 1..2; echo ok 1 p; exit 1'
	tests
	counts 1 '1 passed, 1 failed'
	file b 'echo syntax error >&2; exit 1'
	tests
	counts 1 '0 passed, 1 failed'
	[[ $output == *'stderr: syntax error'* ]]
}

@test "a unit test that was not built is a failure" {
	prepare
	: >"$TREE/tests/unit/a.c"
	tests
	counts 1 '0 passed, 1 failed'
}

@test "what does not end is ended, and a failure" {
	prepare
	unit a 'echo 1..1; sleep 600'
	file b 'echo 1..1; echo ok 1 p; sleep 600'
	LIMIT=3 tests
	counts 1 '1 passed, 2 failed'
	[ "$(grep -c 'did not end within' <<<"$output")" -eq 2 ]
}

@test "nothing at all is a failure" {
	prepare
	tests
	counts 1 '0 passed, 0 failed'
}

@test "names choose, and one that is not there is a failure" {
	prepare
	unit a 'echo 1..1; echo ok 1 - x'
	unit b 'echo 1..1; echo ok 1 - x'
	file a 'echo 1..2; echo ok 1 p; echo ok 2 q'
	file c 'exit 1'
	tests b
	counts 0 '1 passed, 0 failed'
	tests a
	counts 0 '3 passed, 0 failed'
	tests a.bats tests/unit/b.c
	counts 0 '3 passed, 0 failed'
	tests a gone
	counts 1 '3 passed, 1 failed'
}

@test "the build's place is handed to the tests, and wrong use is 64" {
	prepare
	# shellcheck disable=SC2016 # the inner shell's words
	file a 'echo 1..1; [ -d "$AGENTRUX_BUILD/tests/unit" ] && echo ok 1 p'
	tests
	counts 0 '1 passed, 0 failed'
	run "$TREE/tests/run"
	[ "$status" -eq 64 ]
	run "$TREE/tests/run" /nonexistent
	[ "$status" -eq 64 ]
}
