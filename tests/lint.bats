#!/usr/bin/env bats
# Each rule of the lint catches an offence that is planted in a small tree.

load helper

# A tree without offence, and the place we stand in.
prepare() {
	mkdir -p "$BATS_TEST_TMPDIR/tree"
	cd "$BATS_TEST_TMPDIR/tree" || return
	mkdir -p lib cmd/hub man tests scripts examples .ci
	cp "$ROOT/.clang-format" .
	header base err 'int err_set(void);'
	header format json '#include "err.h"'
	header state ledger '#include "err.h"'
	header net http '#include "err.h"'
	header service dialect '#include "err.h"'
	for m in err json ledger http dialect; do
		source_of "$m" "#include \"$m.h\""
	done
	source_of classic '#include "dialect.h"'
	printf '#include "err.h"\n#include "http.h"\n' >cmd/agentrux-x.c
	printf '#include "err.h"\n' >cmd/hub/web.c
	printf '#include "err.h"\n' >tests/faults.c
	for p in agentrux-x agentrux-hub; do
		page "$p"
		printf '@test "a" {\n\ttrue\n}\n' >"tests/${p#agentrux-}.bats"
	done
	printf '#!/bin/sh\necho "$1"\n' >scripts/demo
}

# header LAYER NAME LINE…
header() {
	local layer=$1 name=$2
	shift 2
	printf '/* %s: about it. */\n#ifndef %s_H\n#define %s_H\n\n' \
		"$layer" "${name^^}" "${name^^}" >"lib/$name.h"
	printf '%s\n' "$@" '' '#endif' >>"lib/$name.h"
}

# source_of NAME LINE…
source_of() {
	local name=$1
	shift
	printf '%s\n' "$@" >"lib/$name.c"
}

page() {
	printf '.Dd January 1, 2026\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n' \
		"${1^^}" "$1" >"man/$1.1"
	printf '.Nd about it\n.Sh DESCRIPTION\nText.\n' >>"man/$1.1"
}

# $only: by this checker alone, where a test lints often.
only=
lint() {
	run --separate-stderr "$ROOT/tests/lint/run" . ${only:+"check-$only"}
	printf '%s\n' "$output" "$stderr"
}

# Exactly this one offence is found (a pattern for the whole line).
finds() {
	lint
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
	# shellcheck disable=SC2053 # a pattern
	[[ ${lines[0]} == $1 ]]
}

# FUNCTION… in a C file of its own.
code() {
	printf '#include "json.h"\n\nvoid f(void);\n\nvoid f(void)\n{\n' >"$1"
	printf '\t%s\n}\n' "$2" >>"$1"
}

@test "a tree without offence passes in silence" {
	prepare
	lint
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a header that does not name its layer" {
	prepare
	sed -i '1s/.*/\/* about it. *\//' lib/json.h
	finds 'lib/json.h:1: line 1 does not name the layer*'
}

@test "a header that includes a higher layer" {
	prepare
	header format other '#include "ledger.h"'
	finds 'lib/other.h:5: layer format includes ledger.h of layer state'
}

@test "a source that includes a higher layer, also by another spelling" {
	prepare
	source_of json '#include "json.h"' '' '#include "http.h"'
	finds 'lib/json.c:3: layer format includes http.h of layer net'
	source_of json '#include "json.h"' '' '#include "../lib/http.h"'
	finds 'lib/json.c:3: layer format includes http.h of layer net'
	source_of json '#include "json.h"' '' '#include <http.h>'
	finds 'lib/json.c:3: layer format includes http.h of layer net'
	source_of json '#include "json.h"' '' '/* #include "http.h" */'
	lint
	[ "$status" -eq 0 ]
}

@test "a source without a header is in the layer of its first include" {
	prepare
	source_of extra '#include "json.h"' '#include "http.h"'
	finds 'lib/extra.c:2: layer format includes http.h of layer net'
}

@test "includes that go round in a circle" {
	prepare
	header state token '#include "json.h"'
	source_of token '#include "token.h"' '' '#include "ledger.h"'
	source_of ledger '#include "ledger.h"' '' '#include "token.h"'
	lint
	[ "$status" -eq 1 ]
	[[ ${lines[0]} == lib/*.c:3:\ include\ cycle,\ back\ to\ *.h ]]
}

@test "a header that is not there" {
	prepare
	source_of json '#include "json.h"' '' '#include "gone.h"'
	finds 'lib/json.c:3: there is no lib/gone.h'
}

@test "the hub and the fault server know the base layer only" {
	prepare
	printf '#include "json.h"\n' >cmd/hub/web.c
	finds 'cmd/hub/web.c:1: json.h is not of the base layer'
	# The hub's own header of that name is another.
	printf 'extern int json;\n' >cmd/hub/json.h
	lint
	[ "$status" -eq 0 ]
	printf '#include "json.h"\n' >tests/faults.c
	finds 'tests/faults.c:1: json.h is not of the base layer'
}

@test "a foreign header outside its one file" {
	local header file
	only=source
	prepare
	while read -r header file; do
		source_of "$file" "#include \"$file.h\"" '' "#include <$header>"
		lint
		[ "$status" -eq 0 ]
		source_of classic '#include "dialect.h"' '' "#include <$header>"
		finds "lib/classic.c:3: a header of * belongs into lib/$file.c"
		source_of classic '#include "dialect.h"'
		printf '#include <%s>\n' "$header" >cmd/agentrux-x.c
		finds "cmd/agentrux-x.c:1: a header of * belongs into *"
		printf '#include "err.h"\n' >cmd/agentrux-x.c
	done <<-'END'
		curl/curl.h http
		cjson/cJSON.h json
		cJSON.h json
		sqlite3.h ledger
	END
	header format hash 'int hash_it(void);'
	source_of hash '#include "hash.h"' '' '#include <openssl/evp.h>'
	source_of http '#include "http.h"' '' '#include <openssl/ssl.h>'
	finds 'lib/http.c:3: a header of openssl belongs into lib/hash.c'
	source_of http '#include "http.h"' '' '#include <magic.h>'
	lint
	[ "$status" -eq 0 ]
	source_of ledger '#include "ledger.h"' '' '#include <magic.h>'
	finds 'lib/ledger.c:3: a header of magic belongs into lib/http.c'
}

@test "lib/ that prints or ends the process" {
	local call
	only=source
	prepare
	for call in 'printf("x");' 'puts("x");' 'putchar(1);' 'perror("x");' \
		'exit (1);' 'fputs("x", stdout);' 'fputs("x", stderr);'; do
		code lib/more.c "$call"
		[[ $call != 'exit '* ]] || sed -i 's/exit (/exit(/' lib/more.c
		finds 'lib/more.c:7: * in lib/: only err.c and opt.c print*'
		code lib/err.c "${call/exit (/exit(}"
		sed -i 's/json/err/' lib/err.c
		rm lib/more.c
		lint
		[ "$status" -eq 0 ]
	done
	code lib/more.c '_exit(snprintf(buf, 1, "printf(stdout) exit(1)"));'
	lint
	[ "$status" -eq 0 ]
}

@test "the environment read by other than home.c" {
	local f
	only=source
	prepare
	header state home 'int home_open(void);'
	for f in getenv secure_getenv; do
		code lib/home.c "$f(\"X\");"
		sed -i 's/json/home/' lib/home.c
		lint
		[ "$status" -eq 0 ]
		code lib/more.c "$f(\"X\");"
		finds "lib/more.c:7: $f() in lib/: only home.c *"
		rm lib/more.c
	done
}

@test "an endpoint path outside the dialects" {
	local path
	only=source
	prepare
	for path in /auth/token /oauth/token /topics/%s/events %s/topics/%s; do
		code lib/classic.c "f(\"$path\");"
		sed -i 's/json/dialect/' lib/classic.c
		lint
		[ "$status" -eq 0 ]
		code lib/more.c "f(\"$path\"); /* \"/auth/\" */"
		finds "lib/more.c:7: endpoint paths are the dialects*"
		rm lib/more.c
	done
}

@test "calls that are not used at all, in lib/, programs and hub" {
	local f file
	only=source
	prepare
	for f in sprintf vsprintf strcpy strcat gets system popen; do
		for file in lib/more.c cmd/agentrux-x.c cmd/hub/more.c; do
			code $file "$f(a, b);"
			sed -i 's/json/err/' $file
			finds "$file:7: $f() is not used here"
			sed -i 's/^\t.*/\tsn'"$f"'(a, b);/' $file
			lint
			[ "$status" -eq 0 ]
		done
	done
}

@test "a header that does not compile on its own" {
	prepare
	header format more 'size_t more(void);'
	finds "lib/more.h:5: does not compile on its own: *size_t*"
}

@test "a C file that is not formatted, tracked or not" {
	prepare
	printf 'int   x;\n' >lib/more.c
	finds 'lib/more.c:1: not as clang-format has it'
	git init -q .
	finds 'lib/more.c:1: not as clang-format has it'
	git add lib/more.c
	finds 'lib/more.c:1: not as clang-format has it'
	echo '/lib/more.c' >.gitignore
	git rm -q --cached lib/more.c
	lint
	[ "$status" -eq 0 ]
}

@test "scripts that shellcheck finds fault with, wherever they are" {
	local f
	prepare
	for f in scripts/agentrux-x-more examples/reader .ci/run tests/run; do
		printf '#!/bin/sh\necho $1\n' >$f
		finds "$f:2: Double quote *SC2086*"
		rm $f
	done
	mkdir completions
	for f in tests/helper.bash completions/agentrux.bash; do
		printf 'f() {\n\techo $1\n}\n' >$f
		finds "$f:2: Double quote *SC2086*"
		rm $f
	done
	printf '@test "a" {\n\techo $1\n}\n' >tests/x.bats
	finds 'tests/x.bats:2: Double quote *SC2086*'
}

@test "a manual page that mandoc warns of" {
	command -v mandoc >/dev/null || skip "mandoc is not there"
	prepare
	printf '.Sh NAME\nx\n.Sh NAME\n' >>man/agentrux-x.1
	lint
	[ "$status" -eq 1 ]
	[[ ${lines[0]} == man/agentrux-x.1:*:\ WARNING:\ * ]]
}

@test "places of one machine, registries, and what is unfinished" {
	local words
	only=words
	prepare
	# In pieces, for this file is linted too.
	for words in '/wo''rk/main' 'see /ho''me/joe/x' '"/ro''ot/.x"'; do
		echo "$words" >README.md
		finds 'README.md:1: names a path of one machine'
	done
	for words in 'http://deb.deb''ian.org/x' 'registry.npm''js.org' \
		'https://py''pi.org/simple'; do
		echo "$words" >README.md
		finds 'README.md:1: names a package registry'
	done
	for words in 'TO''DO: more' '(FIX''ME)' 'XX''X'; do
		echo "$words" >README.md
		finds 'README.md:1: says that it is unfinished'
	done
	# shellcheck disable=SC2088
	echo '~/work/x ${X}/home/y mktemp -d t.XXXXXX, https://x.example/work/y' \
		>README.md
	lint
	[ "$status" -eq 0 ]
}

@test "a program without a page or a test" {
	prepare
	rm man/agentrux-x.1
	finds 'cmd/agentrux-x.c:1: there is no man/agentrux-x.1'
	page agentrux-x
	mv tests/x.bats tests/agentrux-x.bats
	lint
	[ "$status" -eq 0 ]
	rm tests/agentrux-x.bats
	finds 'cmd/agentrux-x.c:1: there is no tests/x.bats'
	printf '@test "a" {\n\ttrue\n}\n' >tests/x.bats
	rm man/agentrux-hub.1
	finds 'cmd/hub/web.c:1: there is no man/agentrux-hub.1'
	page agentrux-hub
	printf '#!/bin/sh\n' | tee scripts/agentrux >scripts/agentrux-y-part
	page agentrux
	finds 'scripts/agentrux:1: there is no tests/agentrux.bats'
}
