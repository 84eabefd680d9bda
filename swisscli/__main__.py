"""The entry point of the `swiss` program and of `python -m swisscli`."""

import os

try:
    import signal

    # An interrupt while modules are imported has nothing to undo, and must show no traceback.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
except KeyboardInterrupt:
    os._exit(130)


def main() -> None:
    """Run the program."""
    from swisscli.main import main as run

    run()


if __name__ == "__main__":
    main()
