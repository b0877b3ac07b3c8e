"""The completion scripts of bash, zsh and fish, and how each exchanges words with the program.

They differ from those of click in four ways: a value after `=` is completed, a value that goes on gets no
space, files are offered beside values, and values may contain commas.
"""

from __future__ import annotations

import os
import re

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

PART = "part"  # type of a value that goes on, so that no space follows it

_BASH = """\
_va_completion() {
    local response type value has_files= has_folders= current="${COMP_WORDS[COMP_CWORD]}"
    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
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
"""

_ZSH = """\
#compdef va

_va_completion() {
    local -a plain described part response
    local type key descr has_files has_folders
    (( ! $+commands[va] )) && return 1

    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _VA_COMPLETE=zsh_complete va)}")

    for type key descr in "${(@)response}"; do
        if [[ $type == part ]]; then
            part+=("$key")
        elif [[ $type == plain && $descr == _ ]]; then
            plain+=("$key")
        elif [[ $type == plain ]]; then
            described+=("$key:$descr")
        elif [[ $type == dir ]]; then
            has_folders=1
        elif [[ $type == file ]]; then
            has_files=1
        fi
    done

    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    (( $#part )) && compadd -U -S '' -V unsorted -a part
    if [[ -n $has_files$has_folders ]]; then
        [[ $PREFIX == *=* && ! -e ${(Q)PREFIX} ]] && compset -P '*='
        if [[ -n $has_files ]]; then _path_files -f; else _path_files -/; fi
    fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _va_completion "$@"
else
    compdef _va_completion va
fi
"""

_FISH = """\
function _va_completion
    set -l words (commandline -cp)
    set -l word (commandline -ct)
    set -l response (env _VA_COMPLETE=fish_complete COMP_WORDS="$words" COMP_CWORD="$word" va)
    for line in $response
        set -l field (string split \\t -- $line)
        switch $field[1]
            case plain part
                printf '%s\\t%s\\n' $field[2] $field[3]
            case dir
                for path in (__fish_complete_directories $field[2])
                    printf '%s%s\\n' $field[3] $path
                end
            case file
                for path in (__fish_complete_path $field[2])
                    printf '%s%s\\n' $field[3] $path
                end
        end
    end
end

complete --no-files --command va --arguments "(_va_completion)"
"""


class _WholeWords(ShellComplete):
    """Completes whole words: a value of `--option=` keeps the option before it."""

    def source(self) -> str:
        return self.source_template

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        items = super().get_completions(args, incomplete)
        option = re.match(r"--[\w-]+=", incomplete)
        for item in items:
            if item.type in ("plain", PART) and option and not item.value.startswith("--"):
                item.value = option[0] + item.value
        return items


class Bash(_WholeWords, BashComplete):
    """bash: it replaces what follows the last character of COMP_WORDBREAKS in a word, such as `=`."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the word at it."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        self._is_quoted = bool(re.search(r"(^|\s)['\"][^'\"]*$", line))
        if not self._is_quoted and re.search(r"(?<!\\)\s$", line):
            words.append("")
        *args, self._incomplete = words or [""]
        return args, self._incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """One line of the answer, as the script of the shell reads it."""
        breaks = set(os.environ.get("COMP_BREAKS", "=:")) & set("=:")
        start = 0 if self._is_quoted else max((self._incomplete.rfind(c) + 1 for c in breaks), default=0)
        return f"{item.type},{item.value[start:]}"


class Zsh(_WholeWords, ZshComplete):
    """zsh: it has a help text beside a value."""

    source_template = _ZSH


class Fish(_WholeWords, FishComplete):
    """fish: a line has the type, the value, and its help text or, for files, the text before the path."""

    source_template = _FISH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the word at it."""
        args, self._incomplete = super().get_completion_args()
        return args, self._incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """One line of the answer, as the script of the shell reads it."""
        if item.type in ("plain", PART):
            return f"{item.type}\t{item.value}\t{' '.join((item.help or '').split())}"
        return f"{item.type}\t{item.value}\t{self._incomplete.removesuffix(item.value)}"


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
for name, kind in SHELLS.items():
    add_completion_class(kind, name)


def script(shell: str) -> str:
    """The completion script of a shell."""
    return SHELLS[shell].source_template
