_va_completion() {
    local response type value has_files= has_folders= current="${COMP_WORDS[COMP_CWORD]}"
    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \
        _VA_COMPLETE=bash_complete $1)
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            part) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
            dir) has_folders=1 ;;
            file) has_files=1 ;;
        esac
    done <<< "$response"
    if [[ -n $has_files && ${#COMPREPLY[@]} -gt 0 ]]; then
        while IFS= read -r value; do
            [[ -n $value ]] && COMPREPLY+=("$value")
        done < <(compgen -f -- "${current#[=:]}")
        compopt -o filenames
    elif [[ -n $has_files ]]; then
        compopt -o default
    elif [[ -n $has_folders ]]; then
        compopt -o dirnames
    fi
}

complete -o nosort -F _va_completion va
