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
from swisscli.ray.filesystems import reason_of
from swisscli.ray.plan import Count, Job, Report
from swisscli.ray.remote import find_versions
from swisscli.ray.worker import PartWorker, count_records

if TYPE_CHECKING:
    import ray.data

_EMBEDDED_STORE_BYTES = 100 << 20
_KINDS = {
    kind.exit_code: kind
    for kind in (
        SwissError,
        ConfigurationError,
        DataError,
        ModelError,
        MissingExtraError,
        DeviceError,
    )
}


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
        room = _count_actors(ray, resources)
        job.begin()
        size = min(resources.concurrency or room, max(1, len(missing)))
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
    now = find_versions(sources)
    if changed := [path for path in now if now[path] != job.versions[path]]:
        raise DataError(
            f"{changed[0]}: changed during the run, so {job.folder} may hold answers to both its"
            " versions",
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


def _count_actors(ray: Any, resources: Resources) -> int:
    """How many actors the cluster has room for; at least 1, since a cluster may grow.

    Raises:
        DeviceError: if the cluster is this machine alone and has too few GPUs.
        ConfigurationError: if it has too little memory.
    """
    have = ray.cluster_resources()
    needs = {"CPU": resources.threads, "GPU": resources.gpus, "memory": resources.memory or 0}
    count = min(int(have.get(name, 0) / need) for name, need in needs.items() if need)
    if not count and not _address():
        if resources.gpus > have.get("GPU", 0):
            raise DeviceError(
                f"`actor_gpus` is {resources.gpus:g}, but this machine has"
                f" {have.get('GPU', 0):g} GPUs that Ray finds",
                hint="leave it out, or name a cluster with GPUs in RAY_ADDRESS",
            )
        raise ConfigurationError(
            f"`actor_memory` is {(resources.memory or 0) >> 20:,} MB, but Ray has"
            f" {int(have.get('memory', 0)) >> 20:,} MB to reserve here",
            hint="lower it, or leave it out",
        )
    return max(1, count)


def _address() -> str | None:
    """The address of the user's cluster; None for one that is started here."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") else address


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
        settings = {} if _address() else embedded
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
        except (ConnectionError, RuntimeError, ValueError) as error:
            if not _address():
                raise SwissError(f"Ray cannot start on this machine: {reason_of(error)}") from error
            raise ConfigurationError(
                f"RAY_ADDRESS={_address()}: {reason_of(error)}",
                hint="start the cluster, set RAY_AUTH_TOKEN if it asks for a token, or unset"
                " RAY_ADDRESS for an embedded one",
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        # Ray prints what happens to workers; standard output is for results.
        with redirect_stdout(sys.stderr):
            yield ray
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error  # of a task: what it raised
        if isinstance(cause, SwissError):
            raise cause from None
        raise SwissError(
            f"Ray gave up: {type(cause).__name__}: {reason_of(cause)}",
            hint="to add the missing parts, type the same command with `resume=True`",
        ) from error
    finally:
        if is_ours:
            ray.shutdown()


def _make_error(refusal: str) -> SwissError:
    code, hint, message = refusal.split("\n", 2)
    return _KINDS[int(code)](message, hint=hint or None)


def with_device(job: Job, resources: Resources) -> Job:
    """Let the actors use the GPUs that Ray gives them, and otherwise the CPU."""
    device = "cuda" if resources.gpus else "cpu"
    return replace(job, options=job.options | {"device": device, "threads": resources.threads})
