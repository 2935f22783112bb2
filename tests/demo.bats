#!/usr/bin/env bats
# scripts/demo: from a checkout to two answered requests, and nothing left.

load helper

# The demo installs and builds only what is missing; here nothing is.
demo() {
	mkdir -p "$HOME/tmp"
	TMPDIR=$HOME/tmp AGENTRUX_BUILD=$BUILD "$ROOT/scripts/demo" "$@"
}

of_the_demo() { # processes that have this test's folder in their environment
	grep -slF "TMPDIR=$HOME/tmp" /proc/[0-9]*/environ |
		cut -d/ -f3 | grep -vx $$ || true
}

nothing_runs() {
	[ -z "$(of_the_demo)" ]
}

@test "the demo shows two real answers and the time of each step" {
	run demo
	[ "$status" -eq 0 ]
	[[ $output == *"| Filesystem"*"| You wrote: What does this report say?"*"| disc 1: ok"* ]]
	[ "$(grep -cE ' [0-9]+\.[0-9]{3} s$' <<<"$output")" -ge 10 ]
	# Every line is a step with its time or part of an answer.
	! grep -vE ' [0-9]+\.[0-9]{3} s$|^    \|' <<<"$output" || false
}

@test "the demo leaves no process and no file" {
	demo >/dev/null
	nothing_runs
	[ -z "$(ls -A "$HOME/tmp")" ]
}

@test "Ctrl-C in the midst of it stops and clears everything" {
	mkdir "$HOME/tmp"
	background "$HOME/out" env --default-signal=INT TMPDIR="$HOME/tmp" \
		AGENTRUX_BUILD="$BUILD" "$ROOT/scripts/demo"
	wait_for 30 grep -q 'Start the adapter' "$HOME/out"
	kill -INT "$LAST_PID"
	wait "$LAST_PID" && false
	wait_for 10 nothing_runs
	[ -z "$(ls -A "$HOME/tmp")" ]
}

@test "--keep leaves it running, and what it says to do works" {
	demo --keep >"$HOME/out"
	sed -n 's/^    \(export\|agentrux-openclaw send "Check\)/\1/p' \
		"$HOME/out" >"$HOME/talk"
	sed -n '/^To stop it/,$ s/^    //p' "$HOME/out" >"$HOME/stop"
	run --separate-stderr env -i HOME="$HOME" PATH=/usr/bin:/bin \
		sh "$HOME/talk"
	sh "$HOME/stop"
	[ "$status" -eq 0 ]
	[[ $output == Filesystem* ]]
	wait_for 10 nothing_runs
	[ -z "$(ls -A "$HOME/tmp")" ]
}

@test "wrong use of the demo is 64" {
	run demo --frob
	[ "$status" -eq 64 ]
}
