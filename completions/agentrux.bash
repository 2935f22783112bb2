# bash completion for agentrux and every agentrux-* program. The programs are
# asked for their options, and agentrux for its commands, each time.

# The options of a program: long, short or -, value or -, help.
_agentrux_options() {
	"$1" --list-options 2>/dev/null </dev/null
}

_agentrux_commands() {
	"$1" help 2>/dev/null </dev/null |
		sed -n '/^Commands:$/,/^$/s/^  *\([a-z][a-z0-9-]*\).*/\1/p'
}

# Offers what begins as the word does.
_agentrux_offer() {
	local cur=$1 word
	while IFS= read -r word; do
		if [[ $word == "$cur"* ]]; then
			COMPREPLY+=("$word")
		fi
	done
}

_agentrux_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_agentrux() {
	local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]}
	local at=$COMP_CWORD first=1 i prev long short value
	COMPREPLY=()

	# "--name=value" is three words to readline.
	if [[ $cur == '=' ]]; then
		cur=
		at=$((at + 1))
	fi
	if [[ ${COMP_WORDS[at - 1]} == '=' ]]; then
		at=$((at - 1))
	fi
	prev=${COMP_WORDS[at - 1]}
	program=${program/#\~\//$HOME/}

	if [[ ${program##*/} == agentrux ]]; then
		if ((COMP_CWORD == 1)) && [[ $cur != -* ]] ||
			{ ((COMP_CWORD == 2)) && [[ $prev == help ]]; }; then
			_agentrux_offer "$cur" < <(_agentrux_commands "$program")
			return
		fi
		if ((COMP_CWORD > 1)); then
			program=$program-${COMP_WORDS[1]}
			first=2
		fi
	fi

	for ((i = first; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			compopt -o default 2>/dev/null
			return
		fi
	done

	if ((at > first)) && [[ $prev == -* ]]; then
		while IFS=$'\t' read -r long short value _; do
			[[ $prev == "$long" || $prev == "$short" ]] || continue
			case $value in
			-) break ;;
			FILE) _agentrux_files -f "$cur" ;;
			DIR) _agentrux_files -d "$cur" ;;
			esac
			return
		done < <(_agentrux_options "$program")
	fi
	if [[ $cur == -* ]]; then
		_agentrux_offer "$cur" \
			< <(_agentrux_options "$program" | cut -f 1)
	else
		compopt -o default 2>/dev/null
	fi
}

# shellcheck disable=SC2046 # command names
complete -F _agentrux agentrux $(compgen -c agentrux- | sort -u)
