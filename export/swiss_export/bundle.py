"""Writes a verified graph into its run or into a separate directory."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from swiss_training.multitask.metrics import Metrics
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.io.atomic import check_folder
from swisscli.core.model.directory import (
    CONFIG,
    GRAPH,
    MANIFEST,
    METRICS,
    TOKENIZER,
    TRAIN_CONFIG,
    WEIGHTS,
    ModelDirectory,
    update_directory,
)
from swisscli.core.model.manifest import Manifest
from swisscli.core.model.schema import write_json

COPIED = (CONFIG, TOKENIZER, TRAIN_CONFIG)
_DEPLOYABLE = {*COPIED, GRAPH, METRICS, MANIFEST}


def check_output(output: Path, force: bool) -> None:
    """Check that the output can be written and replaces nothing but an earlier export.

    Raises:
        ConfigurationError: if the output exists and `force` is not set, if it holds a file that
            an export does not write (such as the weights of a run), or if it is not writable.
    """
    check_folder(output.absolute().parent)
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not output.is_dir():
        raise ConfigurationError(
            f"{output}: exists and is not a folder", hint="choose another folder"
        )
    foreign = sorted({path.name for path in output.iterdir()} - _DEPLOYABLE)
    if foreign:
        raise ConfigurationError(
            f"{output}: holds {foreign[0]}, which swiss export does not write",
            hint="choose another folder; to add the graph to a run, leave out `output`",
        )
    if not force:
        raise ConfigurationError(
            f"{output}: already exists", hint="choose another folder or add `force=True`"
        )


def describe(source: Manifest, export: dict[str, Any]) -> Manifest:
    """Return the manifest of a model with its graph.

    Args:
        source: The run's manifest.
        export: Precision, opset, parity and dev figures.
    """
    versions = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    return replace(source, versions=source.versions | versions, export=export)


def add_to_run(run: Path, graph: Path, manifest: Manifest, metrics: Metrics) -> None:
    """Move a graph into its run and write its metrics, all or nothing.

    Raises:
        ModelError: if the run's weights changed during the export.
    """
    _check_unchanged(run, manifest)
    with update_directory(run, manifest) as staging:
        graph.replace(staging / GRAPH)
        write_json(staging / METRICS, metrics.to_json())


def write_directory(
    output: Path, run: Path, graph: Path, manifest: Manifest, metrics: Metrics
) -> None:
    """Write the files that prediction needs, without float32 weights, all or nothing.

    The files are written into a temporary directory beside the output, which then takes its name.

    Raises:
        ModelError: if the run's weights changed during the export.
    """
    _check_unchanged(run, manifest)
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=output.parent) as folder:
        staged, replaced = Path(folder) / "new", Path(folder) / "old"
        with update_directory(staged, manifest) as staging:
            for name in COPIED:
                shutil.copyfile(run / name, staging / name)
            shutil.move(graph, staging / GRAPH)
            write_json(staging / METRICS, metrics.to_json())
        if output.exists():
            output.replace(replaced)
        try:
            staged.replace(output)
        except BaseException:
            if replaced.exists():
                replaced.replace(output)
            raise


def _check_unchanged(run: Path, manifest: Manifest) -> None:
    now = ModelDirectory.open(run).manifest.files.get(WEIGHTS)
    if now != manifest.files[WEIGHTS]:
        raise ModelError(
            f"{run}: training has written other weights since the export began",
            hint="export again",
        )
