"""Fetching what a command needs, with a bar, for every command that begins from an encoder."""

from swiss_training.downloads.needs import Needs, Progress, fetch_needs
from swisscli import console


def fetch(needs: Needs, *, offline: bool = False) -> None:
    """Fetch what is missing, and show it on standard error.

    Raises:
        SwissError: if something cannot be fetched; it lists everything that is missing.
    """
    with console.transfer() as show:

        def show_progress(progress: Progress) -> None:
            show(progress.name, progress.number, progress.count, progress.done, progress.size)

        def wait() -> None:
            console.status("another process fetches into the cache: waiting for it")

        try:
            fetch_needs(needs, show_progress, offline=offline, wait=wait)
        except KeyboardInterrupt:
            console.status("interrupted; what has come is kept, the same command fetches the rest")
            raise
