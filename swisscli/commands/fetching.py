"""Fetches data and encoders, with a bar, for every command that starts from an encoder."""

from pathlib import Path

from swiss_training.config import RunConfig
from swiss_training.downloads import needs
from swiss_training.downloads.cache import cache_folder
from swiss_training.downloads.needs import FetchProgress, Needs, fetch_needs
from swiss_training.multitask.config import TrainConfig
from swisscli import console


def fetch(missing: Needs, *, offline: bool = False) -> None:
    """Fetch what is missing, and show it on standard error.

    Raises:
        SwissError: if something cannot be fetched; it lists everything that is missing.
    """

    def wait() -> None:
        console.status("waiting for another process that fetches into the cache")

    try:
        with console.transfer(cache_folder()) as show:

            def show_progress(progress: FetchProgress) -> None:
                show(progress.name, progress.number, progress.count, progress.done, progress.size)

            fetch_needs(missing, show_progress, offline=offline, wait=wait)
    except KeyboardInterrupt:
        console.status(
            "interrupted; the fetched data is kept, and the same command fetches the rest"
        )
        raise


def fetch_again(run: Path, kind: type[RunConfig], *, offline: bool) -> None:
    """Fetch what a resumed run needs, if the cache has lost it.

    Args:
        run: The run's folder.
        kind: The kind of its configuration.
        offline: Whether nothing may be fetched.
    """
    from swiss_training.run_folder import RunFolder

    file = RunFolder(run, kind).config
    if file.is_file():  # else there is no run, which is said when it is resumed
        fetch(needs.of_begun(kind.read(file)), offline=offline)


def check_inputs(config: TrainConfig, *, data_is_named: bool) -> tuple[TrainConfig, Needs]:
    """Check the inputs of a run before anything is fetched.

    Args:
        config: The configuration.
        data_is_named: Whether the user named the data folder, so that no data is fetched.

    Returns:
        The configuration, with the folder in the cache if the data is taken from there; and what is
        to be fetched.

    Raises:
        SwissError: if the device, the tracker's library or a data file is missing.
    """
    from swiss_training.devices import choose_device
    from swiss_training.multitask.examples import check_files
    from swiss_training.tracking import find_tracker

    choose_device(config.device)
    find_tracker(config.track)
    data = Needs()
    if not data_is_named and config.data == TrainConfig.defaults()["data"]:
        config = needs.use_cached_data(config)
        data = needs.of_cached_data(config)
    if not data:
        check_files(config)
    return config, data + needs.of_encoder(config)
