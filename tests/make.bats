#!/usr/bin/env bats
# The Makefile's targets that no other test needs.

load helper

# target WORD…: make, as a user has it, on what is built already.
target() {
	env -u MAKEFLAGS -u MAKELEVEL -u CFLAGS -u CPPFLAGS -u LDFLAGS -u CI \
		make -s -C "$ROOT" BUILD="$BUILD" "$@"
}

@test "install puts everything where PREFIX and DESTDIR say, for all to read" {
	umask 077
	target install DESTDIR="$HOME/root" PREFIX=/opt/x
	bin=$HOME/root/opt/x/bin share=$HOME/root/opt/x/share
	[ "$(ls "$HOME/root")" = opt ]
	for path in "$BUILD"/bin/agentrux*; do
		cmp "$path" "$bin/${path##*/}"
	done
	for page in "$ROOT"/man/*.[157]; do
		cmp "$page" "$share/man/man${page##*.}/${page##*/}"
	done
	# Nothing of the build is needed to run them.
	PATH=$bin:/usr/bin:/bin
	run -0 agentrux help
	[[ $output == *" token "*" watch "* ]]
	run -0 agentrux token --version
	[ -z "$(find "$HOME/root/opt" ! -perm -o=r)" ]
	[ -z "$(find "$HOME/root/opt" -type d ! -perm -o=x)" ]
	# Each program that people start is completed, in each shell.
	for path in "$bin"/agentrux*; do
		name=${path##*/}
		case $name in agentrux-*-*) continue ;; esac
		grep -q . "$share/bash-completion/completions/$name"
		grep -q . "$share/fish/vendor_completions.d/$name.fish"
	done
	[ -e "$share/zsh/site-functions/_agentrux" ]
	[ -z "$(find "$share" -name 'agentrux-*-*')" ]
	# Once more, over what is there.
	target install DESTDIR="$HOME/root" PREFIX=/opt/x
}

@test "builds of their own: sanitizers, and what BUILD says" {
	run make -s -C "$ROOT" -n -B SAN=address,undefined all
	[[ $output == *"-fsanitize=address,undefined"* ]]
	[[ $output == *" -o build-address-undefined/bin/agentrux-token "* ]]
	run make -s -C "$ROOT" -n -B CI=1 CC=clang BUILD=elsewhere all
	[[ $output == *"clang "*" -Werror "*" -o elsewhere/"* ]]
	run env -u CI make -s -C "$ROOT" -n -B all
	[[ $output != *-Werror* ]]
	[[ $output == *-D_FORTIFY_SOURCE=2*-z,relro,-z,now* ]]
}

@test "clean removes builds and nothing else" {
	mkdir -p "$HOME/tree/build/bin" "$HOME/tree/build-clang" "$HOME/tree/lib"
	make -s -f "$ROOT/Makefile" -C "$HOME/tree" clean
	[ "$(ls "$HOME/tree")" = lib ]
}
