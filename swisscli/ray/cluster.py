"""Runs the parts of a job over a pool of actors, on an embedded or a real cluster."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swisscli.core.errors import (
    ConfigurationError,
    DataError,
    DeviceError,
    MissingExtraError,
    ModelError,
    SwissError,
)
from swisscli.core.processor import allowed_cores
from swisscli.inference.readers import Source
from swisscli.ray.plan import Count, Job, Report
from swisscli.ray.worker import PartWorker, count_records

if TYPE_CHECKING:
    import ray.data

_EMBEDDED_STORE_BYTES = 100 << 20
_KINDS = {kind.exit_code: kind for kind in (ConfigurationError, ModelError, DeviceError)}


@dataclass(frozen=True)
class Resources:
    """What the pool of actors may use.

    Attributes:
        concurrency: Number of actors; None for as many as the cluster has room for.
        threads: CPU cores of an actor.
        gpus: Share of a GPU of an actor, such as 0.5; 0 for none.
        memory: Bytes of memory that Ray reserves for an actor; None reserves none.
    """

    concurrency: int | None = None
    threads: int = 1
    gpus: float = 0
    memory: int | None = None


def require_ray() -> None:
    """Check that Ray Data is installed.

    Raises:
        MissingExtraError: if it is not.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"`engine=ray` needs the package {error.name or 'ray'!r}, which is not installed",
            hint="pip install 'swissbert[ray]'",
        ) from None


def predict_parts(
    job: Job,
    sources: Sequence[Source],
    resources: Resources,
    *,
    resume: bool,
    show: Callable[[int, float], object],
) -> list[Report]:
    """Predict all parts that are not done, and prove that each record was answered once.

    The cluster is that of `RAY_ADDRESS`, or of this process's `ray.init`, or an embedded one.

    Args:
        job: The job.
        sources: The whole inputs.
        resources: What the pool may use.
        resume: Whether to keep the parts that are done in a folder that exists.
        show: Called with the number of further records done, and the share of parts done.

    Returns:
        The report of each part.

    Raises:
        ConfigurationError: if the folder holds something else.
        DataError: if a part cannot be read, or records were lost or doubled.
        SwissError: if a part cannot be predicted for another reason.
    """
    job.check(resume=resume)
    done = job.finished_reports()
    missing = [number for number in range(len(job.parts)) if number not in done]
    show(sum(report.count.records for report in done.values()), len(done) / len(job.parts))
    with _connect(resources) as ray:
        job.begin()
        size = min(
            resources.concurrency or _count_free_actors(ray, resources), max(1, len(missing))
        )
        # Needs no core of its own: reading is a small share of predicting.
        count = ray.remote(num_cpus=0)(count_records)
        counts = [count.remote(job, sources[start::size]) for start in range(size)]
        if missing:
            for refused in _predict_in_pool(ray, job, missing, size, resources).iter_rows():
                if refused["refusal"]:
                    raise _make_error(refused["refusal"])
                report = job.report(int(refused["part"]))
                done[int(refused["part"])] = report
                show(report.count.records, len(done) / len(job.parts))
        expected = sum(ray.get(counts), Count())
    job.end()
    reports = [done[number] for number in range(len(job.parts))]
    found = sum((report.count for report in reports), Count())
    if found != expected:
        raise DataError(
            f"{job.folder}: the {found.records:,} answered records are not the"
            f" {expected.records:,} of the inputs: an input changed during the run",
            hint="predict again, to another folder",
        )
    return reports


def _predict_in_pool(
    ray: Any, job: Job, missing: Sequence[int], size: int, resources: Resources
) -> "ray.data.Dataset":
    parts = [{"part": number} for number in missing]
    return ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
        PartWorker,
        fn_constructor_args=(job,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=size),
        num_cpus=resources.threads,
        num_gpus=resources.gpus or None,
        memory=resources.memory,
    )


def _count_free_actors(ray: Any, resources: Resources) -> int:
    have = ray.cluster_resources()
    by_core = int(have.get("CPU", 1)) // resources.threads
    by_gpu = int(have.get("GPU", 0) / resources.gpus) if resources.gpus else by_core
    return max(1, min(by_core, by_gpu))


@contextmanager
def _connect(resources: Resources) -> Iterator[Any]:
    # Ray's own log goes past every stream to the terminal.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    is_ours = not ray.is_initialized()
    if is_ours:
        embedded: dict[str, Any] = {
            "address": "local",
            "num_cpus": max(allowed_cores(), resources.threads * (resources.concurrency or 1)),
            "object_store_memory": _EMBEDDED_STORE_BYTES,
            "include_dashboard": False,
        }
        settings = {} if os.environ.get("RAY_ADDRESS") else embedded
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
        except ConnectionError as error:
            reason = str(error).partition("\n")[0]
            raise ConfigurationError(
                f"RAY_ADDRESS={os.environ.get('RAY_ADDRESS')}: {reason}",
                hint="start the cluster, set RAY_AUTH_TOKEN if it asks for a token, or unset"
                " RAY_ADDRESS for an embedded one",
            ) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        # Ray prints what happens to workers; standard output is for results.
        with redirect_stdout(sys.stderr):
            yield ray
    finally:
        if is_ours:
            ray.shutdown()


def _make_error(refusal: str) -> SwissError:
    code, hint, message = refusal.split("\n", 2)
    return _KINDS.get(int(code), DataError)(message, hint=hint or None)


def with_device(job: Job, resources: Resources) -> Job:
    """Let the actors use the GPUs that Ray gives them, and otherwise the CPU."""
    device = "cuda" if resources.gpus else "cpu"
    return replace(job, options=job.options | {"device": device, "threads": resources.threads})
