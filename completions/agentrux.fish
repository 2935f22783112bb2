# fish completion for agentrux and every agentrux-* program. The programs are
# asked for their options, and agentrux for its commands, each time.

function __agentrux_commands
    $argv[1] help 2>/dev/null </dev/null | sed -n '/^Commands:$/,/^$/s/^  *\([a-z][a-z0-9-]*\)  *\(.*\)/\1\t\2/p'
end

function __agentrux_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l first 2

    if string match -qr '(^|/)agentrux$' -- $program
        if test (count $words) -eq 1; and not string match -q -- '-*' $current
            or test (count $words) -eq 2 -a "$words[2]" = help
            __agentrux_commands $program
            return
        end
        if test (count $words) -gt 1
            set program $program-$words[2]
            set first 3
        end
    end
    if contains -- -- $words
        __fish_complete_path $current
        return
    end

    set -l rows ($program --list-options 2>/dev/null </dev/null)
    set -l option
    set -l prefix
    if test (count $words) -ge $first
        set option $words[-1]
    end
    # --name=value
    set -l parts (string match -r -- '^(--[^=]+)=(.*)$' $current)
    if set -q parts[2]
        set option $parts[2]
        set prefix $parts[2]=
        set current $parts[3]
    end
    for row in $rows
        set -l field (string split \t -- $row)
        if test "$field[3]" != -; and contains -- "$option" $field[1] $field[2]
            switch $field[3]
                case FILE
                    printf "$prefix%s\n" (__fish_complete_path $current)
                case DIR
                    printf "$prefix%s\n" (__fish_complete_directories $current '')
            end
            return
        end
    end
    if string match -q -- '-*' $current
        for row in $rows
            set -l field (string split \t -- $row)
            printf '%s\t%s\n' $field[1] $field[4]
        end
    else
        __fish_complete_path $current
    end
end

complete -c agentrux -f -a '(__agentrux_complete)'
for dir in $PATH
    for file in $dir/agentrux-*
        complete -c (basename $file) -f -a '(__agentrux_complete)'
    end
end
