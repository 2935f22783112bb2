#!/usr/bin/env bats
# agentrux: the umbrella.

load helper

@test "the umbrella runs programs, lists them and passes exit codes on" {
	run agentrux
	[ "$status" -eq 64 ]
	run agentrux frob
	[ "$status" -eq 64 ]
	run agentrux ../../bin/true
	[ "$status" -eq 64 ]
	run agentrux help
	[ "$status" -eq 0 ]
	for name in activate token watch drain publish upload download hub openclaw; do
		grep -q "^  $name " <<<"$output"
	done
	[[ $output != *openclaw-* ]]
	run agentrux help token
	[[ ${lines[0]} == "Usage: agentrux-token"* ]]
	run agentrux token
	[ "$status" -eq 78 ]
	run --separate-stderr agentrux status
	[ "$status" -eq 78 ]
	[ "$output" = "not set up: get an activation code" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	start_hub
	new_agent us "$(new_topic work):read"
	run agentrux status
	[ "$status" -eq 0 ]
}

@test "the skill names programs and options that there are" {
	local program option
	run --separate-stderr agentrux skill
	[ "$status" -eq 0 ]
	[[ $output == "---"$'\n'"name: agentrux"$'\n'* ]]
	grep -o 'agentrux-[a-z]*[^|#]*' <<<"$output" | while read -r line; do
		program=${line%%[^a-z-]*}
		[ "$program" = agentrux- ] || command -v "$program"
		grep -oE -- ' --?[a-z-]+' <<<"$line" | while read -r option; do
			"$program" --list-options | cut -f 1,2 | grep -qw -- "$option" ||
				{ echo "$program $option" && exit 1; }
		done
	done
	run agentrux skill more
	[ "$status" -eq 64 ]
	make -C "$ROOT" BUILD="$BUILD" DESTDIR="$BATS_TEST_TMPDIR/d" PREFIX=/usr \
		-s install >/dev/null 2>&1 3>&- 4>&-
	"$BATS_TEST_TMPDIR/d/usr/bin/agentrux" skill | diff - "$ROOT/scripts/skill.md"
}
