# What lib/ and the programs may call and say.

# Is `word` in the line, as a word by itself?
function has(line, word) {
	return (" " line " ") ~ ("[^A-Za-z0-9_]" word "[^A-Za-z0-9_]")
}

function calls(line, word) {
	return (" " line) ~ ("[^A-Za-z0-9_]" word "[ \t]*\\(")
}

BEGIN {
	prints = split("printf vprintf puts putchar perror exit", print_, " ")
	unsafe = split("sprintf vsprintf strcpy strcat gets system popen", \
		unsafe_, " ")
	reads = split("getenv secure_getenv", read_, " ")
}

FILENAME !~ /^(lib|cmd)\// {
	next
}

{
	code($0)
	for (i = 1; i <= unsafe; i++)
		if (calls(bare, unsafe_[i]))
			offence(unsafe_[i] "() is not used here")
	if (FILENAME !~ /^lib\//)
		next
	if (FILENAME !~ /^lib\/(err|opt)\./) {
		for (i = 1; i <= prints; i++)
			if (calls(bare, print_[i]))
				offence(print_[i] "() in lib/: only err.c and " \
					"opt.c print or exit")
		if (has(bare, "stdout") || has(bare, "stderr"))
			offence("stdout or stderr in lib/: only err.c and " \
				"opt.c print")
	}
	for (i = 1; FILENAME != "lib/home.c" && i <= reads; i++)
		if (calls(bare, read_[i]))
			offence(read_[i] "() in lib/: only home.c reads the " \
				"environment")
	for (i = 1; FILENAME !~ /^lib\/(classic|oauth)\.c$/ && i <= literals; i++)
		if (literal[i] ~ /^(%s)?\/(auth|oauth|topics)\//)
			offence("endpoint paths are the dialects': \"" \
				literal[i] "\"")
}
