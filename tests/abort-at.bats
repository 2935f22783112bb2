#!/usr/bin/env bats
# The preload shim's promises, shown on programs of the system.

load helper

# shim NAME=VALUE… PROGRAM…: runs it under the shim, here.
shim() {
	(cd "$BATS_TEST_TMPDIR" &&
		exec env "LD_PRELOAD=$BUILD/tests/abort-at.so" "$@")
}

log() {
	cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/log" | tr '\n' ' '
}

fresh() {
	rm -rf "$BATS_TEST_TMPDIR/to" "$BATS_TEST_TMPDIR/log"
	echo contents >"$BATS_TEST_TMPDIR/from"
}

@test "the program is killed right before the Nth change, for each N" {
	local n=0
	while :; do
		n=$((n + 1))
		fresh
		echo old >"$BATS_TEST_TMPDIR/old"
		run shim ABORT_AT=$n ABORT_LOG="$BATS_TEST_TMPDIR/log" \
			perl -e 'open F, ">", "to"; syswrite F, "contents\n";
				close F; rename "to", "old"; unlink "from";'
		echo "$n: $status: $(log)"
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 137 ]
		case $n in
		1) [ ! -e "$BATS_TEST_TMPDIR/to" ] ;;
		2) [ ! -s "$BATS_TEST_TMPDIR/to" ] ;;
		3) [ "$(cat "$BATS_TEST_TMPDIR/old")" = old ] ;;
		4) [ "$(cat "$BATS_TEST_TMPDIR/old")" = contents ] &&
			[ -e "$BATS_TEST_TMPDIR/from" ] ;;
		esac
		[ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq "$n" ]
	done
	[ "$n" -eq 5 ]
	[ "$(log)" = 'open write rename unlink total ' ]
	[ ! -e "$BATS_TEST_TMPDIR/from" ]
	[ "$(cat "$BATS_TEST_TMPDIR/old")" = contents ]
}

@test "without a number it only counts, and says what and how many" {
	fresh
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" cp from to
	[ "$status" -eq 0 ]
	cat "$BATS_TEST_TMPDIR/log"
	cmp "$BATS_TEST_TMPDIR/from" "$BATS_TEST_TMPDIR/to"
	n=$(grep -cv '^total ' "$BATS_TEST_TMPDIR/log")
	[ "$n" -ge 2 ]
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/log")" = "total $n" ]
	grep -qx 'open[a-z0-9]* to' "$BATS_TEST_TMPDIR/log"
}

@test "each kind of call is counted once" {
	fresh
	# one PROGRAM:CALLS… a line
	while IFS=: read -r program calls; do
		rm -f "$BATS_TEST_TMPDIR/log"
		# shellcheck disable=SC2086 # words
		run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" $program
		echo "$program: $status $output: $(log)"
		[ "$status" -eq 0 ]
		[[ $(log) =~ ^${calls}\ total\ $ ]]
	done <<-'END'
		touch new:open(at)?
		mv new newer:rename(at2?)?
		ln newer newest:link(at)?
		ln -s newer soft:symlink(at)?
		rm newest:unlink(at)?
		mkdir folder:mkdir
		rmdir folder:rmdir
		chmod 600 newer:fchmodat
		truncate -s 7 newer:open(at)? ftruncate
		sync newer:fsync
		sync -d newer:fdatasync
		dd if=from of=newer conv=fsync status=none:open(at)? write fsync
		fallocate -l 10 newer:open(at)? (posix_)?fallocate fsync
	END
}

@test "reading, pipes, stderr and /dev/null are not changes" {
	fresh
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" ABORT_AT=1 \
		dd if=from of=/dev/null status=none
	[ "$status" -eq 0 ]
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" ABORT_AT=1 cat from
	[ "$output" = contents ]
	run shim ABORT_AT=1 perl -e 'syswrite STDERR, "x"'
	[ "$output" = x ]
	run shim ABORT_AT=1 perl -e 'syswrite STDERR, "x"' \
		2>"$BATS_TEST_TMPDIR/stderr"
	[ "$status" -eq 0 ]
	[ "$(log)" = 'total total ' ]
}

@test "SQLite's files are left out unless they are asked for" {
	local f
	fresh
	for f in a.db a.db-wal a.db-shm a.db-journal; do
		run shim ABORT_AT=1 cp from $f
		[ "$status" -eq 0 ]
		run shim ABORT_AT=1 dd if=from of=$f conv=notrunc,fsync
		[ "$status" -eq 0 ]
		run shim ABORT_AT=1 rm $f
		[ "$status" -eq 0 ]
		run shim ABORT_AT=1 ABORT_SQLITE=1 cp from $f
		[ "$status" -eq 137 ]
	done
	run shim ABORT_AT=1 cp from a.dbx
	[ "$status" -eq 137 ]
}

@test "a name restricts it to processes of that name" {
	fresh
	run shim ABORT_PROGRAM=mv ABORT_AT=1 cp from to
	[ "$status" -eq 0 ]
	run shim ABORT_PROGRAM=mv ABORT_AT=1 sh -c 'cp to to2 && mv to to3'
	[ "$status" -eq 137 ]
	[ -e "$BATS_TEST_TMPDIR/to2" ]
	[ ! -e "$BATS_TEST_TMPDIR/to3" ]
}

@test "the Nth change fails with the error that was named" {
	local name text
	while IFS=: read -r name text; do
		fresh
		run shim FAIL_AT=1 FAIL_ERRNO="$name" cp from to
		echo "$name: $status $output"
		[ "$status" -eq 1 ]
		[[ $output == *"$text"* ]]
		[ ! -e "$BATS_TEST_TMPDIR/to" ]
	done <<-'END'
		EIO:Input/output error
		ENOSPC:No space left on device
		EROFS:Read-only file system
		EACCES:Permission denied
	END
	run shim FAIL_AT=1 FAIL_ERRNO=EWHAT cp from to
	[ "$status" -eq 70 ]
}

@test "FAIL_AT is one change, FAIL_FROM all from there on" {
	fresh
	touch "$BATS_TEST_TMPDIR"/{a,b,c}
	run shim FAIL_AT=2 chmod 600 a b c
	[ "$status" -eq 1 ]
	[ "$(grep -c 'Input/output error' <<<"$output")" -eq 1 ]
	run shim FAIL_FROM=2 chmod 600 a b c
	[ "$(grep -c 'Input/output error' <<<"$output")" -eq 2 ]
}

@test "a full disk lets go of files, a read-only one does not" {
	fresh
	run shim FAIL_FROM=1 FAIL_ERRNO=EROFS rm -f from
	[ "$status" -eq 1 ]
	[ -e "$BATS_TEST_TMPDIR/from" ]
	run shim FAIL_FROM=1 FAIL_ERRNO=ENOSPC rm -f from
	[ "$status" -eq 0 ]
	[ ! -e "$BATS_TEST_TMPDIR/from" ]
}

@test "posix_fallocate hands the error back as its result" {
	cat >"$BATS_TEST_TMPDIR/t.c" <<-'END'
		#include <errno.h>
		#include <fcntl.h>
		int main(void)
		{
			int fd = open("f", O_RDWR | O_CREAT, 0600), r;

			errno = 0;
			r = posix_fallocate(fd, 0, 100);
			return r == ENOSPC && errno == 0 ? 42 : r == 0 ? 0 : 1;
		}
	END
	cc -D_GNU_SOURCE -o "$BATS_TEST_TMPDIR/t" "$BATS_TEST_TMPDIR/t.c"
	run shim FAIL_AT=2 FAIL_ERRNO=ENOSPC ./t
	[ "$status" -eq 42 ]
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" ./t
	[ "$status" -eq 0 ]
	[ "$(log)" = 'open posix_fallocate total ' ]
}

@test "the first send of each connection counts, and is never sent" {
	printf 'GET /a body=a\nGET /b body=b header="Connection: close"\n' \
		>"$BATS_TEST_TMPDIR/plan"
	start_faults "$BATS_TEST_TMPDIR/plan"
	a=$FAULTS_URL/a b=$FAULTS_URL/b
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" curl -sS "$a" "$a" "$a"
	[ "$output" = aaa ]
	[ "$(log)" = 'send total ' ]
	rm "$BATS_TEST_TMPDIR/log"
	run shim ABORT_LOG="$BATS_TEST_TMPDIR/log" curl -sS "$b" "$b"
	[ "$(log)" = 'send send total ' ]
	rm "$BATS_TEST_TMPDIR/log"
	run shim ABORT_SENDS=1 ABORT_LOG="$BATS_TEST_TMPDIR/log" \
		curl -sS "$a" "$a"
	[ "$(log)" = 'send send total ' ]
	[ "$(requests '^GET')" -eq 7 ]
	run shim ABORT_AT=1 curl -sS "$a"
	[ "$status" -eq 137 ]
	[ "$(requests '^GET')" -eq 7 ]
	run shim FAIL_AT=1 FAIL_ERRNO=ECONNRESET curl -sS "$a"
	[ "$status" -ne 0 ]
	[ "$(requests '^GET')" -eq 7 ]
	# The disk's trouble is not the network's.
	run shim FAIL_AT=1 FAIL_ERRNO=ENOSPC curl -sS "$a"
	[ "$status" -eq 0 ]
}
