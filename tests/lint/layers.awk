# Line 1 of each lib/*.h names its layer. No #include goes up a layer, or round
# in a circle; the hub and the fault server use the base layer only. A lib/*.c
# without a header of its own is in the layer of the first header it includes.

BEGIN {
	n = split("base format state net service", name, " ")
	for (i = 1; i <= n; i++)
		rank[name[i]] = i
}

FNR == 1 {
	module = dir = FILENAME
	sub(/^.*\//, "", module)
	sub(/[^\/]*$/, "", dir)
	sub(/\.[ch]$/, "", module)
	kind = "any"
	if (FILENAME ~ /^lib\//)
		kind = "lib"
	else if (FILENAME ~ /^cmd\/hub\// || FILENAME == "tests/faults.c")
		kind = "base"
}

FNR == 1 && FILENAME ~ /^lib\/.*\.h$/ {
	word = $2
	if ($1 != "/*" || !sub(/:$/, "", word) || !(word in rank))
		offence("line 1 does not name the layer (/* base: and so on)")
	else
		layer[module] = rank[word]
}

{
	what = included($0)
	if (what == "")
		next
	quoted = $0 ~ /"/
	if (quoted && kind != "lib" && exists(dir what))
		next
	sub(/^(\.\.\/)*lib\//, "", what)
	if (what ~ /\// || !exists("lib/" what)) {
		if (kind == "lib" && quoted)
			offence("there is no lib/" what)
		next
	}
	target = what
	sub(/\.h$/, "", target)
	if (kind == "lib" && !(module in layer) && !(module in first))
		first[module] = target
	edges++
	from[edges] = module
	to[edges] = target
	where[edges] = FILENAME ":" FNR
	of[edges] = kind
}

function exists(path,    line) {
	if (!(path in there)) {
		there[path] = (getline line < path) >= 0
		close(path)
	}
	return there[path]
}

function visit(m,    e) {
	seen[m] = 1
	for (e = 1; e <= edges; e++) {
		if (of[e] != "lib" || from[e] != m || to[e] == m)
			continue
		if (seen[to[e]] == 1)
			print where[e] ": include cycle, back to " to[e] ".h"
		else if (!seen[to[e]])
			visit(to[e])
	}
	seen[m] = 2
}

END {
	for (m in first)
		layer[m] = layer[first[m]]
	for (e = 1; e <= edges; e++) {
		up = layer[to[e]]
		if (of[e] == "base" && up > 1)
			print where[e] ": " to[e] ".h is not of the base layer"
		if (of[e] == "lib" && layer[from[e]] && up > layer[from[e]])
			print where[e] ": layer " name[layer[from[e]]] \
				" includes " to[e] ".h of layer " name[up]
	}
	for (e = 1; e <= edges; e++)
		if (of[e] == "lib" && !seen[from[e]])
			visit(from[e])
}
