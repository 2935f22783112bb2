#!/usr/bin/env bats
# The completions, against stub programs: what is offered is what a program says
# it takes, and nothing is typed in.

load helper

prepare() {
	mkdir -p "$HOME/bin" "$HOME/files/sub dir"
	touch "$HOME/files/a file" "$HOME/files/another"
	stub agentrux 'case $1 in
help) printf "Usage: agentrux\n\nCommands:\n  stub    do: it\n" &&
	printf "  status  say\n  other   [more]\n\n  nothing else\n" ;;
--list-options) printf "%s\t%s\t-\tshow [this]: help\n" --help -h ;;
esac'
	stub agentrux-stub '[ "$1" = --list-options ] &&
	printf -- "--%s\t%s\t%s\t%s\n" file -f FILE "the payload: [x]" \
	folder - DIR "where it'"'"'s put" type -t TYPE "its \$type" \
	flag - - "no value" || touch "$HOME/was-run"'
	stub agentrux-broken 'echo noise >&2; exit 1'
	PATH=$HOME/bin:/usr/bin:/bin
	cd "$HOME/files" || return
}

stub() {
	printf '#!/bin/sh\n%s\n' "$2" >"$HOME/bin/$1"
	chmod +x "$HOME/bin/$1"
}

# bash_offers WORD…: what is offered for the last word, one a line.
bash_offers() {
	# shellcheck disable=SC2016 # the inner shell's words
	bash --norc -c '
		source "$1"
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_agentrux "$1" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
		printf "%s\n" "${COMPREPLY[@]}"
	' - "$ROOT/completions/agentrux.bash" "$@"
}

# offers EXPECTED WORD…
offers() {
	local expected=$1
	shift
	run --separate-stderr bash_offers "$@"
	printf '%s\n' "$*: $output" "$stderr"
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "$(sort <<<"$output")" = "$(sort <<<"$expected")" ]
}

@test "no option's name is typed in" {
	local f
	for f in "$ROOT"/completions/*; do
		run grep -nE -- '--?(home|base-url|quiet|verbose|type|file|json)\b' \
			"$f"
		[ -z "$output" ]
	done
}

@test "bash: every program in PATH is completed" {
	prepare
	# shellcheck disable=SC2016 # the inner shell's words
	run bash --norc -c 'source "$1"; complete -p' - \
		"$ROOT/completions/agentrux.bash"
	for p in agentrux agentrux-stub agentrux-broken; do
		[[ $output == *" -F _agentrux $p"* ]]
	done
}

@test "bash: options are those that the program lists" {
	prepare
	offers $'--file\n--folder\n--type\n--flag' agentrux-stub --
	offers $'--file\n--folder\n--type\n--flag' agentrux-stub -
	offers $'--file\n--folder\n--flag' agentrux-stub --f
	offers '--type' agentrux-stub --flag x --t
	offers '' agentrux-stub --x
	offers '--type' "$HOME/bin/agentrux-stub" --t
	# shellcheck disable=SC2088 # as it is typed
	offers '--type' '~/bin/agentrux-stub' --t
}

@test "bash: agentrux CMD is completed as agentrux-CMD" {
	prepare
	offers $'stub\nstatus\nother' agentrux ''
	offers $'stub\nstatus' agentrux st
	offers $'stub\nstatus' agentrux help st
	offers '--type' agentrux stub --t
	offers '--help' agentrux --
	offers '' agentrux other --
	offers $'a file\nanother' agentrux stub -f a
}

@test "bash: a FILE is completed by files, a DIR by folders, others by nothing" {
	prepare
	offers $'a file\nanother' agentrux-stub --file a
	offers $'a file\nanother' agentrux-stub -f a
	offers 'another' agentrux-stub --file = an
	offers $'a file\nanother\nsub dir' agentrux-stub --file =
	offers 'sub dir' agentrux-stub --folder ''
	offers 'sub dir' agentrux-stub --folder = s
	offers '' agentrux-stub --type a
	offers '' agentrux-stub -t ''
}

@test "bash: operands and a handler's words are left to the shell" {
	prepare
	offers '' agentrux-stub --flag a
	offers '' agentrux-stub -- --f
}

@test "bash: a program that fails or is not there offers nothing" {
	prepare
	offers '' agentrux-broken --
	offers '' agentrux-gone --
	offers '' agentrux gone --
}

@test "bash: a program is asked for nothing but its options" {
	prepare
	offers '--type' agentrux-stub --t
	offers '' agentrux-stub -t x
	[ ! -e "$HOME/was-run" ]
}

# fish_offers LINE: what is offered, without the descriptions.
fish_offers() {
	# shellcheck disable=SC2016 # the inner shell's words
	XDG_CONFIG_HOME=$HOME/fish run --separate-stderr fish --no-config -c \
		'source $argv[1]; complete -C $argv[2]' \
		"$ROOT/completions/agentrux.fish" "$1"
	echo "$1: $output $stderr"
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	offered=$(cut -f 1 <<<"$output" | sort | tr '\n' ' ')
}

@test "fish: options, commands and files, as in bash" {
	command -v fish >/dev/null || skip "fish is not there"
	prepare
	fish_offers 'agentrux-stub --f'
	[ "$offered" = '--file --flag --folder ' ]
	[[ $output == *$'--file\tthe payload: [x]'* ]]
	fish_offers 'agentrux-stub -f a'
	[ "$offered" = 'a\ file another ' ] || [ "$offered" = 'a file another ' ]
	fish_offers 'agentrux-stub --file=an'
	[ "$offered" = '--file=another ' ]
	fish_offers 'agentrux-stub --folder '
	[[ $offered == 'sub'*'dir/ ' ]]
	fish_offers 'agentrux-stub --type '
	[ "$offered" = ' ' ]
	fish_offers 'agentrux st'
	[ "$offered" = 'status stub ' ]
	fish_offers 'agentrux stub --t'
	[ "$offered" = '--type ' ]
	fish_offers 'agentrux-broken --'
	[ "$offered" = ' ' ]
	[ ! -e "$HOME/was-run" ]
}

# zsh_offers LINE: the matches that an interactive zsh lists for it.
zsh_offers() {
	cat >"$HOME/ask.zsh" <<-'END'
		zmodload zsh/zpty
		zpty z zsh -f -i
		# Matches are written out, and the line is left alone.
		zpty -w z "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D"
		zpty -w z "zstyle ':completion:*' completer _complete"
		zpty -w z 'compadd() {
			local -a hits
			if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
				builtin compadd -A hits "$@"
				printf "<%s>\n" $hits >>$HOME/hits
			fi
			builtin compadd "$@"
		}'
		zpty -w z 'give-up() { zle -I; print >>$HOME/done; BUFFER= }'
		zpty -w z 'zle -N give-up; bindkey "^X" give-up; print ready >$HOME/ready'
		repeat 2000; do [[ -e $HOME/ready ]] && break; sleep 0.05; done
		zpty -n -w z "$2"$'\t\x18'
		repeat 1000; do [[ -e $HOME/done ]] && break; sleep 0.05; done
		zpty -d z
	END
	rm -f "$HOME/hits" "$HOME/ready" "$HOME/done"
	touch "$HOME/hits"
	TERM=xterm timeout 200 zsh -f "$HOME/ask.zsh" "$ROOT/completions" "$1" \
		</dev/null >"$HOME/zsh.out" 2>&1
	cat "$HOME/zsh.out"
	[ -e "$HOME/done" ]
	offered=$(sed -n 's/\\//g; s/^<\(..*\)>$/\1/p' "$HOME/hits" | sort -u | tr '\n' ' ')
	echo "$1: $offered"
}

@test "zsh: options, commands and files, as in bash" {
	command -v zsh >/dev/null || skip "zsh is not there"
	prepare
	zsh_offers 'agentrux-stub --f'
	[ "$offered" = '--file --flag --folder ' ]
	zsh_offers 'agentrux-stub -f a'
	[ "$offered" = 'a file another ' ]
	zsh_offers 'agentrux-stub --file=an'
	[ "$offered" = 'another ' ]
	zsh_offers 'agentrux-stub --folder s'
	[ "$offered" = 'sub dir ' ]
	zsh_offers 'agentrux st'
	[ "$offered" = 'status stub ' ]
	zsh_offers 'agentrux stub --t'
	[ "$offered" = '--type ' ]
	zsh_offers 'agentrux-broken --'
	[ "$offered" = '' ]
	[ ! -e "$HOME/was-run" ]
}
