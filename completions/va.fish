function _va_completion
    set -l words (commandline -cp)
    set -l word (commandline -ct)
    set -l response (env _VA_COMPLETE=fish_complete COMP_WORDS="$words" COMP_CWORD="$word" va)
    for line in $response
        set -l field (string split \t -- $line)
        switch $field[1]
            case plain part
                printf '%s\t%s\n' $field[2] $field[3]
            case dir
                for path in (__fish_complete_directories $field[2])
                    printf '%s%s\n' $field[3] $path
                end
            case file
                for path in (__fish_complete_path $field[2])
                    printf '%s%s\n' $field[3] $path
                end
        end
    end
end

complete --no-files --command va --arguments "(_va_completion)"
