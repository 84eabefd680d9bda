"""The scripts that make a shell complete `swiss`, and where they are installed."""

import os
from enum import StrEnum
from pathlib import Path

from swisscli.core.errors import ConfigurationError

_BASH = """\
_swiss() {
    local name
    COMPREPLY=()
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(_SWISS_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _swiss swiss
"""
_ZSH = """\
#compdef swiss
local -a found
found=("${(@f)$(_SWISS_COMPLETE=zsh "$words[1]" "${(@)words[2,CURRENT]}" 2>/dev/null)}")
if [[ -n "$found[1]" ]]; then
    compadd -- "${found[@]}"
else
    _files
fi
"""
_FISH = """\
function __swiss_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l found (env _SWISS_COMPLETE=fish $words[1] $words[2..] "$last" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path "$last"
    end
end
complete --command swiss --no-files --arguments '(__swiss_complete)'
"""


class Shell(StrEnum):
    """A shell with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def running_shell() -> Shell:
    """Find the shell that the program was started from.

    Raises:
        ConfigurationError: if it is not found, or has no completion.
    """
    import shellingham

    try:
        return Shell(shellingham.detect_shell()[0])
    except (shellingham.ShellDetectionFailure, RuntimeError, ValueError):
        raise ConfigurationError(
            "--install-completion: could not detect bash, zsh or fish as your shell",
            hint="name it: swiss --install-completion bash",
        ) from None


def install(shell: Shell) -> Path:
    """Write the script of a shell, and make the shell load it.

    Returns:
        The script's path.

    Raises:
        OSError: if a file cannot be written.
    """
    home = Path.home()
    match shell:
        case Shell.BASH:
            path = _written(home / ".bash_completions" / "swiss.sh", _BASH)
            _add_line(home / ".bashrc", f"source '{path}'")
        case Shell.ZSH:
            path = _written(home / ".zfunc" / "_swiss", _ZSH)
            settings = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
            _add_line(settings, "fpath+=~/.zfunc; autoload -Uz compinit; compinit")
        case Shell.FISH:
            settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
            path = _written(settings / "fish" / "completions" / "swiss.fish", _FISH)
    return path


def _written(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    return path


def _add_line(path: Path, line: str) -> None:
    held = path.read_text(errors="surrogateescape") if path.exists() else ""
    if line not in held.splitlines():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(("" if not held or held.endswith("\n") else "\n") + line + "\n")
