#!/usr/bin/env bats
# Programs, help, manual pages and README say the same. Each test goes through
# all programs and names every one that fails.

load helper

# Ours in the build. A name with two dashes is a part of another program.
programs() {
	local path name
	for path in "$BUILD"/bin/agentrux*; do
		name=${path##*/}
		case $name in
		agentrux-*-*) ;;
		*) [ ! -x "$path" ] || printf '%s\n' "$name" ;;
		esac
	done
}

# fault TEXT…: notes one and goes on.
faults=0
fault() {
	echo "$*"
	faults=$((faults + 1))
}

# The rows of a program's --list-options: long, short, value, help.
options_of() {
	"$1" --list-options </dev/null
}

# The page of a program, without mdoc's escaped dashes.
page_of() {
	sed 's/\\-/-/g' "$ROOT/man/$1.1"
}

@test "there are programs" {
	[ "$(programs | wc -l)" -gt 0 ]
	programs | grep -qx agentrux
}

@test "--help and -h print to stdout and end with 0" {
	for p in $(programs); do
		for flag in --help -h; do
			run --separate-stderr "$p" "$flag"
			[ "$status" -eq 0 ] || fault "$p $flag: $status"
			[ -z "$stderr" ] || fault "$p $flag: stderr: $stderr"
			[[ $output == *[Uu]sage:\ "$p"* ]] ||
				fault "$p $flag: no usage in: $output"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "--version and -V print NAME VERSION and end with 0" {
	version=$(sed -n 's/^VERSION *:= *//p' "$ROOT/Makefile")
	for p in $(programs); do
		for flag in --version -V; do
			run --separate-stderr "$p" "$flag"
			[ "$status:$output:$stderr" = "0:$p $version:" ] ||
				fault "$p $flag: $status: $output: $stderr"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "a wrong option ends with 64, one line on stderr and nothing on stdout" {
	for p in $(programs); do
		for flag in --no-such-option -%; do
			run --separate-stderr "$p" "$flag" </dev/null
			[ "$status" -eq 64 ] || fault "$p $flag: $status"
			[ -z "$output" ] || fault "$p $flag: stdout: $output"
			# shellcheck disable=SC2154 # from run
			[ "${#stderr_lines[@]}" -eq 1 ] &&
				[[ $stderr == "$p: "* ]] ||
				fault "$p $flag: stderr: $stderr"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "--list-options is well formed, with --help and --version in it" {
	for p in $(programs); do
		options_of "$p" >"$BATS_TEST_TMPDIR/options"
		awk -F '\t' '
			NF != 4 || $1 !~ /^--[a-z0-9][a-z0-9-]+$/ ||
			$2 !~ /^-[A-Za-z0-9]?$/ || $3 == "" || $4 == "" ||
			seen[$1]++ || ($2 != "-" && seen[$2]++) { print; bad = 1 }
			END { exit bad }
		' "$BATS_TEST_TMPDIR/options" || fault "$p: these rows"
		for name in --help --version; do
			grep -q -- "^$name	" "$BATS_TEST_TMPDIR/options" ||
				fault "$p: $name is not listed"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "every option is in the program's --help, with its letter and value" {
	for p in $(programs); do
		"$p" --help >"$BATS_TEST_TMPDIR/help"
		while IFS=$'\t' read -r long short value _; do
			pattern="$long"
			[ "$value" = - ] || pattern="${long}[= ]$value"
			[ "$short" = - ] || pattern="$short, *$pattern"
			# The umbrella's help is its commands.
			[ "$p" = agentrux ] || grep -qE -- \
				"(^| )$pattern( |$)" "$BATS_TEST_TMPDIR/help" ||
				fault "$p: $long is not in --help: $pattern"
		done < <(options_of "$p")
	done
	[ "$faults" -eq 0 ]
}

@test "every option is in the manual page, and none that is not there" {
	for p in $(programs); do
		if [ ! -f "$ROOT/man/$p.1" ]; then
			fault "$p: no manual page"
			continue
		fi
		page_of "$p" >"$BATS_TEST_TMPDIR/page"
		options_of "$p" >"$BATS_TEST_TMPDIR/options"
		while IFS=$'\t' read -r long short _; do
			grep -E "Fl ${long#-}( |\$)" "$BATS_TEST_TMPDIR/page" \
				>"$BATS_TEST_TMPDIR/lines" ||
				fault "$p: $long is not in man/$p.1"
			[ "$short" = - ] ||
				grep -qE "Fl ${short#-}( |\$)" \
					"$BATS_TEST_TMPDIR/lines" ||
				fault "$p: no $short beside $long in man/$p.1"
		done <"$BATS_TEST_TMPDIR/options"
		# What the page lists or shows in its synopsis is an option.
		grep -E '^\.(It|Op|Oo|Fl)( |$)' "$BATS_TEST_TMPDIR/page" |
			grep -oE 'Fl -[a-z0-9][a-z0-9-]*' | sort -u |
			while read -r _ long; do
				grep -q -- "^-$long	" \
					"$BATS_TEST_TMPDIR/options" ||
					echo "$p: -$long is in man/$p.1 only"
			done >"$BATS_TEST_TMPDIR/more"
		[ ! -s "$BATS_TEST_TMPDIR/more" ] ||
			fault "$(cat "$BATS_TEST_TMPDIR/more")"
	done
	[ "$faults" -eq 0 ]
}

@test "every manual page has the sections a user looks for" {
	for p in $(programs); do
		[ -f "$ROOT/man/$p.1" ] || continue # that is another test's
		for section in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES \
			'SEE ALSO'; do
			grep -qx "\.Sh $section" "$ROOT/man/$p.1" ||
				fault "man/$p.1: no $section"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "every program is named in README.md and in agentrux(7)" {
	for f in README.md man/agentrux.7; do
		[ -f "$ROOT/$f" ] || fault "$f is not there"
		for p in $(programs); do
			[ ! -f "$ROOT/$f" ] || sed 's/\\-/-/g' "$ROOT/$f" |
				grep -qE "(^|[^a-z-])$p([^a-z-]|\$)" ||
				fault "$f does not name $p"
		done
	done
	[ "$faults" -eq 0 ]
}

@test "every exit code of err.h is in agentrux(7)" {
	# The comment's "EX_USAGE 64," and the enum's "EX_FAILED = 1,".
	codes=$(tr -s '\n\t* ' ' ' <"$ROOT/lib/err.h" |
		grep -oE 'EX_[A-Z]+ (= )?[0-9]+' | grep -oE '[0-9]+$')
	[ "$(wc -l <<<"$codes")" -ge 11 ]
	[ -f "$ROOT/man/agentrux.7" ]
	for code in $codes; do
		grep -qE "^\.It .*\b$code\b" "$ROOT/man/agentrux.7" ||
			fault "agentrux(7) has no $code"
	done
	[ "$faults" -eq 0 ]
}
