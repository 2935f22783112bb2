# A foreign library's header appears in one .c file of lib/ and in no program;
# the hub has its own.

BEGIN {
	home["curl"] = "lib/http.c"
	home["cjson"] = "lib/json.c"
	home["sqlite3"] = "lib/ledger.c"
	home["openssl"] = "lib/hash.c"
	home["pcre2"] = "lib/pattern.c"
	home["magic"] = "" # whichever is the first
}

FILENAME ~ /^cmd\/hub\// || FILENAME !~ /^(lib|cmd)\// {
	next
}

{
	what = tolower(included($0))
	if (what == "")
		next
	sub(/[\/.].*/, "", what)
	if (!(what in home))
		next
	if (home[what] == "" && FILENAME ~ /^lib\/.*\.c$/)
		home[what] = FILENAME
	if (home[what] == "")
		offence("a header of " what " belongs into one lib/*.c")
	else if (FILENAME != home[what])
		offence("a header of " what " belongs into " home[what])
}
