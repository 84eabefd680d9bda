"""Completion in a shell.

`swiss --install-completion` writes a script into the shell's configuration (`scripts.py`). At Tab
the script calls the program with `_SWISS_COMPLETE` set to the shell's name and the words typed so
far as arguments. `candidates.py` answers before the program itself is loaded, to stay below 0.2 s.
"""
