"""The entry point of the `swiss` program and of `python -m swisscli`."""

import os
import sys

try:
    import signal

    # An interrupt while modules are imported has nothing to undo, and must show no traceback.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
except KeyboardInterrupt:
    os._exit(130)


def main() -> None:
    """Run the program, or answer a shell that asks what could be typed."""
    if shell := os.environ.get("_SWISS_COMPLETE"):
        from swisscli.completion.candidates import answer

        answer(shell, sys.argv[1:])
        return
    from swisscli.main import main as run

    run()


if __name__ == "__main__":
    main()
