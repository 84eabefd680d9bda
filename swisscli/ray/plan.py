"""The parts of a job, cut the same each time, and the reports of those that are done.

A folder of results holds `part-00000.parquet` and so on. In its folder `_swiss` are the plan, which
a resumed job must share, and the report of each part, written after its results.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.model.directory import MANIFEST
from swisscli.inference.readers import Source
from swisscli.inference.shards import cut, is_divisible
from swisscli.inference.writers.formats import OutputFormat
from swisscli.ray.folder import Folder

PART_BYTES = 16 << 20
_STATE = "_swiss"
_PLAN = "plan.json"
_MASK = (1 << 64) - 1


@dataclass
class Count:
    """The number of records, and a sum of hashes of their ids in any order.

    The id of a record is its input and its line.
    """

    records: int = 0
    checksum: int = 0

    def add(self, source: str, line: int) -> None:
        """Count one record."""
        digest = hashlib.blake2b(f"{line}:{source}".encode(), digest_size=8).digest()
        self.records += 1
        self.checksum = (self.checksum + int.from_bytes(digest, "little")) & _MASK

    def __add__(self, other: "Count") -> "Count":
        return Count(self.records + other.records, (self.checksum + other.checksum) & _MASK)


@dataclass
class Report:
    """What became of a part.

    Attributes:
        count: Records written.
        num_failed: Records that failed.
        num_blank: Records with a blank text.
        num_truncated: Records that were truncated.
        num_out_of_domain: Records that do not look like English.
        failures: Descriptions of the first of them.
        warnings: Warnings about the columns.
        pid: Process that predicted it.
    """

    count: Count = field(default_factory=Count)
    num_failed: int = 0
    num_blank: int = 0
    num_truncated: int = 0
    num_out_of_domain: int = 0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pid: int = 0


@dataclass(frozen=True)
class Job:
    """What a worker needs to predict a part.

    Attributes:
        tasks: Names of the tasks.
        columns: Columns to read.
        choice: The user's choice of columns.
        model: Model directory.
        options: Further options of `Predictor`.
        folder: The folder of the results.
        format: Format of the results, Parquet or JSONL.
        directory: Folder to which paths of inputs are relative.
        parts: The parts: sources, each reduced to some of its records.
        num_sources: Number of inputs that they are parts of.
        versions: What changes when the inputs do, by file; see `find_versions`.
    """

    tasks: tuple[str, ...]
    columns: InputColumns
    choice: ColumnChoice
    model: Path
    options: dict[str, Any]
    folder: Folder
    format: OutputFormat
    directory: Path
    parts: tuple[Source, ...]
    num_sources: int
    versions: dict[str, list[Any]]

    def output(self, number: int) -> str:
        """Name of the results of a part."""
        return f"part-{number:05}.{self.format}"

    @staticmethod
    def _report(number: int) -> str:
        return f"part-{number:05}.json"

    def save(self, number: int, report: Report) -> None:
        """Record that a part is done, after its results are written."""
        with self.folder.write(f"{_STATE}/{self._report(number)}") as write:
            write(json.dumps(asdict(report)).encode())

    def report(self, number: int) -> Report:
        """Read the report of a part that is done."""
        values = json.loads(self.folder.read(f"{_STATE}/{self._report(number)}"))
        return Report(**values | {"count": Count(**values["count"])})

    def finished_reports(self) -> dict[int, Report]:
        """Reports of the parts that are done, by number."""
        written, reported = self.folder.names(), self.folder.names(_STATE)
        return {
            number: self.report(number)
            for number in range(len(self.parts))
            if self.output(number) in written and self._report(number) in reported
        }

    def check(self, *, resume: bool) -> None:
        """Check that the folder can be made, or that one that exists has the same plan.

        Raises:
            ConfigurationError: if the folder holds other things than results of the same plan.
        """
        self.folder.check()
        has_files, has_plan = bool(self.folder.names()), self._has_plan()
        if has_files and not resume:
            raise ConfigurationError(
                f"{self.folder}: is not empty",
                hint="add `resume=True` to add the missing parts, or name another folder",
            )
        if has_files and not has_plan:
            raise ConfigurationError(
                f"{self.folder}: has no {_STATE}/{_PLAN}, so it cannot be resumed",
                hint="name another folder",
            )
        if has_plan:
            plan = self._plan()
            try:
                before = json.loads(self.folder.read(f"{_STATE}/{_PLAN}"))
            except ValueError:
                before = {}
            differ = [name for name in plan if before.get(name) != plan[name]]
            if differ:
                raise ConfigurationError(
                    f"{self.folder}: was started with other {', '.join(differ)}",
                    hint="resume with what it was started with, or name another folder",
                )

    def _has_plan(self) -> bool:
        return _PLAN in self.folder.names(_STATE)

    def begin(self) -> None:
        """Make the folder and write the plan, unless it exists."""
        if self._has_plan():
            return
        self.folder.make(_STATE)
        with self.folder.write(f"{_STATE}/{_PLAN}") as write:
            write(json.dumps(self._plan(), indent=1).encode())

    def end(self) -> None:
        """Remove the partial files of killed workers."""
        self.folder.clean()
        self.folder.clean(_STATE)

    def _plan(self) -> dict[str, Any]:
        manifest = (self.model / MANIFEST).read_bytes()
        plan = {
            "version": 1,
            "tasks": self.tasks,
            "model": hashlib.sha256(manifest).hexdigest(),
            "options": {
                name: value
                for name, value in self.options.items()
                if name not in ("device", "threads")
            },
            "columns": asdict(self.choice),
            "format": self.format,
            "inputs": self.versions,
            "parts": [
                [part.path, part.format, part.part and asdict(part.part)] for part in self.parts
            ],
        }
        return json.loads(json.dumps(plan))


def cut_into_parts(
    sources: Sequence[Source], columns: InputColumns, choice: ColumnChoice, part_bytes: int
) -> tuple[Source, ...]:
    """Cut inputs into parts of about the same size; one that is not divisible is one part.

    Args:
        sources: The inputs.
        columns: Columns to read.
        choice: The user's choice of columns.
        part_bytes: Size of a part; one of Parquet has whole row groups.

    Raises:
        DataError: if an input cannot be read.
    """
    parts: list[Source] = []
    for source in sources:
        if not is_divisible(source):
            parts.append(source)
            continue
        size = source.size() or 0
        ranges = cut(source, [*range(0, size, part_bytes), size], columns, choice)
        filled = [part for part in ranges if part.first < part.stop]
        # A table without a record still has columns.
        parts += [replace(source, part=part) for part in filled] or [source]
    return tuple(parts)


def default_format(sources: Sequence[Source]) -> OutputFormat:
    """Parquet, except for JSON, whose records may each have other keys."""
    is_json = any(source.format in (InputFormat.JSON, InputFormat.JSONL) for source in sources)
    return OutputFormat.JSONL if is_json else OutputFormat.PARQUET
