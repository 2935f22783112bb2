# C source for the checkers' awk programs: code(line) is the line without
# comments; after it, `bare` is the same with empty string literals, and
# literal[1..literals] are the texts of those. To be called for every line.

function code(line,    i, n, c, two, out, quote, text) {
	if (FNR == 1)
		in_comment = 0
	bare = out = quote = ""
	literals = 0
	n = length(line)
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1)
		two = substr(line, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			}
			continue
		}
		if (quote != "") {
			out = out c
			if (c == "\\") {
				out = out substr(line, ++i, 1)
				text = text substr(line, i - 1, 2)
			} else if (c == quote) {
				if (c == "\"")
					literal[++literals] = text
				bare = bare c
				quote = ""
			} else
				text = text c
			continue
		}
		if (two == "/*") {
			in_comment = 1
			i++
			c = " "
		} else if (two == "//")
			break
		else if (c == "\"" || c == "'") {
			quote = c
			text = ""
		}
		out = out c
		bare = bare c
	}
	return out
}

# The name in an #include line, "" if it is none.
function included(line,    s) {
	s = code(line)
	if (s !~ /^[ \t]*#[ \t]*include[ \t]*["<]/)
		return ""
	sub(/^[^"<]*["<]/, "", s)
	sub(/[">].*/, "", s)
	return s
}

function offence(rule) {
	print FILENAME ":" FNR ": " rule
}
