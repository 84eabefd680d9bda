"""The buckets, by name. A new bucket is a function with a decorator and a file of templates."""

from collections.abc import Callable
from dataclasses import dataclass

from swiss_training.synthesis.example import ContrastSet, Example
from swiss_training.synthesis.scene import Scene

Compose = Callable[[Scene], ContrastSet]
Rewrite = Callable[[Scene, Example], ContrastSet]


@dataclass(frozen=True)
class Bucket:
    """A kind of error, and how its examples are made.

    Attributes:
        name: Its name, on the command line and in the files.
        summary: What error it addresses, in one line.
        compose: Makes one contrast set from the words of a scene; None for a rewriting.
        rewrite: Makes one contrast set from a labelled row; None for a composed one.
        reads: The task whose rows are rewritten; None for a composed one.
    """

    name: str
    summary: str
    compose: Compose | None = None
    rewrite: Rewrite | None = None
    reads: str | None = None


BUCKETS: dict[str, Bucket] = {}
"""All buckets, in the order in which `buckets/` lists them."""


def _describe(function: Callable[..., ContrastSet]) -> tuple[str, str]:
    name = function.__name__.replace("_", "-")
    assert name not in BUCKETS, f"the bucket {name} exists twice"
    return name, (function.__doc__ or "").splitlines()[0]


def bucket(compose: Compose) -> Compose:
    """Register a bucket made from templates, under the function's name and docstring."""
    name, summary = _describe(compose)
    BUCKETS[name] = Bucket(name, summary, compose=compose)
    return compose


def rewriting(reads: str) -> Callable[[Rewrite], Rewrite]:
    """Register a bucket made by rewriting rows of a task.

    Args:
        reads: The task's name.
    """

    def register(rewrite: Rewrite) -> Rewrite:
        name, summary = _describe(rewrite)
        BUCKETS[name] = Bucket(name, summary, rewrite=rewrite, reads=reads)
        return rewrite

    return register
