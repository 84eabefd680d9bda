"""The benchmark's command line: `python -m benchmarks --help`."""

import argparse
import contextlib
import datetime
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report, workloads
from benchmarks.adapters import BATCH_SIZE
from benchmarks.ceiling import needed_operations, training_operations
from benchmarks.contenders import CONTENDERS, Spec, environment_of_run
from benchmarks.measure import (
    BenchmarkError,
    Measurements,
    Plan,
    measure_starts,
    measure_throughput,
)
from benchmarks.program import measure_program
from swisscli.core.errors import SwissError
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.processor import processor
from swisscli.core.tokenization import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = ("throughput", "start", "program")
QUICK_SHARE, QUICK_LINES, LINES = 8, 100_000, 1_000_000
ROUNDS, IDLE_LOAD = 5, 0.5
_PREDICTION, _TRAINING = ("sst", "quora", "cfimdb", "mix"), "training"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Returns:
        The exit status: 1 if the benchmark could not finish.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    _complete(options)
    specs = _choose(options)
    header = _header(given, options)
    if header["trial"]:
        print(f"a trial: {header['trial']}", file=sys.stderr)
    results = Measurements()
    with tempfile.TemporaryDirectory(prefix="swiss-benchmark-") as folder:
        models = options.work or Path(folder)
        try:
            _measure(options, specs, models, results)
        except (BenchmarkError, SwissError, subprocess.CalledProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    for path in report.write(options.output, header, results):
        print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    # Given to a process in another folder, a relative path would be lost.
    add(
        "--encoder",
        default="bert-base-uncased",
        type=lambda name: str(Path(name).absolute()) if Path(name).is_dir() else name,
        help="a BERT: directory or Hub name",
    )
    add("--data", type=Path, help="folder of CS224N files; without it texts are synthetic")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--threads", type=int, default=_cores(), help="threads of every library (%(default)s)")
    add("--rounds", type=int, default=ROUNDS, help="repetitions (%(default)s)")
    add("--quick", action="store_true", help="an eighth of the records, a tenth of the lines")
    add("--contenders", nargs="+", choices=tuple(CONTENDERS), metavar="NAME", help="default: all")
    add(
        "--workloads",
        nargs="+",
        choices=(*_PREDICTION, workloads.LENGTH_128, _TRAINING),
        help="default: the first four; on a CPU also training, of SST and of Quora; on a GPU also"
        f" {workloads.LENGTH_128}",
    )
    add(
        "--sections",
        nargs="+",
        choices=SECTIONS,
        help="default: all; for training only, throughput",
    )
    add("--share", type=int, help="keep one record in so many")
    add("--lines", type=int, help=f"lines of the larger file ({LINES:,})")
    add("--onnx-python", help="interpreter with the ONNX backend of sentence-transformers")
    add("--work", type=_absolute, help="folder for the models, which later runs use again")
    add("--output", type=Path, default=ROOT / "benchmarks", help="folder for the results")
    return parser


def _absolute(path: str) -> Path:
    return Path(path).absolute()


def _choose(options: argparse.Namespace) -> list[Spec]:
    """Return the contenders that the chosen workloads and sections need."""
    training = [name in workloads.TRAINING for name in options.workloads]
    works = {
        "training": any(training),
        "prediction": not all(training) or "start" in options.sections,
    }
    return [
        spec
        for spec in CONTENDERS.values()
        if options.device in spec.devices
        and works[spec.work]
        and (not options.contenders or spec.name in options.contenders)
    ]


def _measure(
    options: argparse.Namespace, specs: Sequence[Spec], models: Path, results: Measurements
) -> None:
    chosen: list[workloads.Workload] = []
    if "throughput" in options.sections:
        chosen = workloads.load(options.workloads, options.data, _share(options))
    pythons = {"main": sys.executable}
    if options.onnx_python:
        # Not resolved: a virtual environment is known by the path of its interpreter.
        pythons["onnx"] = str(Path(options.onnx_python).absolute())
    if chosen or "start" in options.sections:
        _build(options, specs, models, pythons, results)
    plan = Plan(
        models=models,
        names=[spec.name for spec in specs],
        rounds=options.rounds,
        threads=options.threads,
        device=options.device,
        pythons=pythons,
    )
    for workload in chosen:
        results.workloads[workload.name] = _describe(workload, models / "run")
        _show(measure_throughput(plan, workload, results))
    if "start" in options.sections:
        _show(measure_starts(plan, ("A man sings.", "A man is singing."), results))
    if "program" in options.sections:
        lines = options.lines or (QUICK_LINES if options.quick else LINES)
        _show(measure_program(options.rounds, options.threads, lines, results))


def _complete(options: argparse.Namespace) -> None:
    """Set what depends on other options."""
    more = workloads.LENGTH_128 if options.device == "cuda" else _TRAINING
    names = options.workloads or [*_PREDICTION, more]
    if not options.sections:
        options.sections = SECTIONS[:1] if names == [_TRAINING] else SECTIONS
    options.workloads = [name for name in names if name != _TRAINING]
    options.workloads += workloads.TRAINING if _TRAINING in names else ()


def _share(options: argparse.Namespace) -> int:
    return int(options.share or (QUICK_SHARE if options.quick else 1))


def _trial(options: argparse.Namespace, load: float) -> str:
    """Return why the figures are only a trial; empty if they are not."""
    reasons = {
        f"fewer than {ROUNDS} rounds": options.rounds < ROUNDS,
        "a part of the records": _share(options) > 1,
        f"a load of {load} before it began": load > IDLE_LOAD,
    }
    return ", ".join(reason for reason, applies in reasons.items() if applies)


def _build(
    options: argparse.Namespace,
    specs: Sequence[Spec],
    models: Path,
    pythons: dict[str, str],
    results: Measurements,
) -> None:
    """Write the weights in every form that is needed."""
    environment = environment_of_run(options.threads)
    ours = [spec for spec in specs if spec.side == "ours" and spec.work == "prediction"]
    precisions = sorted({"fp32"} | {spec.precision for spec in ours})
    if not all((models / f"swiss-{precision}").exists() for precision in precisions):
        print("building the models", file=sys.stderr)
        command = [sys.executable, "-m", "benchmarks.models", options.encoder, str(models)]
        # The one step that may need the network: the encoder can be a name on the Hub.
        online = {key: value for key, value in environment.items() if key != "HF_HUB_OFFLINE"}
        subprocess.run([*command, *precisions], check=True, cwd=ROOT, env=online)
    built = ModelDirectory.open(models / "run").manifest.source_encoder["name"]
    if built != options.encoder:
        raise BenchmarkError(f"{models} holds models of {built}, not of {options.encoder}")
    exported = [spec for spec in specs if spec.needs_export]
    if exported and (reason := _export(models, pythons, environment)):
        results.missing |= {spec.name: reason for spec in exported}


def _export(models: Path, pythons: dict[str, str], environment: dict[str, str]) -> str | None:
    """Let sentence-transformers write its graphs. Return the reason if it cannot."""
    for source in sorted((models / "hugging-face").iterdir()):
        target = models / "exported" / source.name
        if target.exists():
            continue
        if "onnx" not in pythons:
            return "--onnx-python names no interpreter: make bench installs one"
        print(f"exporting the graphs of sentence-transformers, {source.name}", file=sys.stderr)
        command = [pythons["onnx"], "-m", "benchmarks.peer_graphs", str(source), str(target)]
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            shutil.rmtree(target, ignore_errors=True)
            return f"the export failed: {run.stderr.strip().rpartition(chr(10))[2]}"
    return None


def _describe(workload: workloads.Workload, run: Path) -> dict[str, Any]:
    directory = ModelDirectory.open(run)
    tokenizer = Tokenizer.of(directory)
    lengths = [len(encoding) for encoding in tokenizer.encode(workload.texts)]
    encoder = directory.config.encoder
    count = needed_operations
    more = {}
    if workload.work == "training":
        count = training_operations
        rows = round(BATCH_SIZE * sum(lengths) / len(lengths))
        more = {"product_shape": [rows, encoder.hidden_size, encoder.intermediate_size]}
    return {
        "task": workload.task,
        "origin": workload.origin,
        "records": len(lengths),
        "tokens": sum(lengths),
        "longest": max(lengths),
        "operations": count(encoder, lengths),
        **more,
    }


def _show(steps: Any) -> None:
    for step in steps:
        print(step, file=sys.stderr, flush=True)


def _header(given: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    load = round(os.getloadavg()[0], 2)
    return {
        "command": f"python -m benchmarks {_without_folders(given)}".strip(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        "encoder": Path(options.encoder).name,
        "device": options.device,
        "gpu": _output(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
        if options.device == "cuda"
        else "none",
        "processor": _processor(),
        "threads": options.threads,
        "cores_allowed": _cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": load,
        "rounds": options.rounds,
        "trial": _trial(options, load),
    }


def _without_folders(given: Sequence[str]) -> str:
    """Return the command without the names of this machine's folders."""
    return shlex.join(
        Path(item).name if os.sep in item and not item.startswith("-") else item for item in given
    )


def _output(command: Sequence[str]) -> str:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return run.stdout.strip()
    return "unknown"


def _processor() -> str:
    """Return the processor's name and its instructions for integer and matrix products."""
    name, instruction_sets = processor()
    return f"{name or platform.machine()} ({', '.join(instruction_sets)})"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gb() -> float:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0.0
    return round(pages / 1e9, 1)


if __name__ == "__main__":
    sys.exit(main())
