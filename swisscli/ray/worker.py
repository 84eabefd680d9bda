"""What an actor does: predicts a part and writes its results. Nothing here imports Ray."""

import os
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import cached_property
from typing import Any

from swisscli.core.errors import SwissError
from swisscli.core.records import failure_of
from swisscli.core.tasks import resolve_tasks
from swisscli.inference.chunks import chunks
from swisscli.inference.decision import Decision
from swisscli.inference.predictor import Predictor
from swisscli.inference.readers import RecordStream, Source
from swisscli.inference.writers.formats import Writer
from swisscli.inference.writers.make import make_writer
from swisscli.ray.plan import Count, Job, Report

_MAX_FAILURES = 20


class PartWorker:
    """Predicts parts of a job; the model is opened once.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(str(self._job.model), **self._job.options)

    @cached_property
    def _keeps_columns(self) -> bool:
        """Whether results have the columns of tables, as in one process if one input is a table."""
        return any(part.is_table for part in self._job.parts)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Predict parts by number.

        A part that is predicted again, because its worker was killed, replaces its results.

        Args:
            batch: Numbers of the parts under `part`.

        Returns:
            The numbers under `part`, and under `refusal` the error of each as text, or "".
        """
        numbers = [int(number) for number in batch["part"]]
        return {"part": numbers, "refusal": list(map(self._save_part, numbers))}

    def _save_part(self, number: int) -> str:
        # An exception would be tried again, on every worker.
        try:
            with chdir(self._job.directory):
                self._job.save(number, self._predict_part(number))
        except SwissError as error:
            return f"{error.exit_code}\n{error.hint or ''}\n{error.message}"
        except Exception as error:
            where = f"{self._job.parts[number].path}: part {number}"
            return f"{SwissError.exit_code}\n\n{where}: {type(error).__name__}: {error}"
        return ""

    def _predict_part(self, number: int) -> Report:
        job, source = self._job, self._job.parts[number]
        report = Report(pid=os.getpid())
        writer = self._writer(report)
        records = RecordStream(source, job.columns, job.choice, keep_fields=self._keeps_columns)
        with job.folder.write(job.output(number)) as write:
            write(writer.begin(records))
            for chunk in self._predictor.predict_chunks(job.tasks, chunks(records)):
                write(writer.rows(chunk))
                for predictions in chunk:
                    first, line = predictions[0], predictions[0].record.line
                    report.count.add(source.path, line)
                    report.num_blank += first.skipped == "empty"
                    report.num_truncated += first.truncated
                    report.num_out_of_domain += first.out_of_domain
                    if error := failure_of(predictions):
                        report.num_failed += 1
                        if len(report.failures) < _MAX_FAILURES:
                            where = f"{source.path}:{line}"
                            report.failures.append(f"{where}: {error.code}: {error.message}")
            write(writer.end())
        return report

    def _writer(self, report: Report) -> Writer:
        decision = Decision(self._job.options["classes"], self._job.options["threshold"])
        known = self._predictor.config.tasks
        tasks = [
            decision.with_answer_labels(task) for task in resolve_tasks(self._job.tasks, known)
        ]
        return make_writer(
            self._job.format,
            tasks,
            keep=self._keeps_columns,
            with_file=self._job.num_sources > 1,
            warn=report.warnings.append,
        )


def count_records(job: Job, sources: Sequence[Source]) -> Count:
    """Count the records of whole inputs, independently of how they are cut into parts."""
    count = Count()
    with chdir(job.directory):
        for source in sources:
            for record in RecordStream(source, job.columns, job.choice):
                count.add(source.path, record.line)
    return count
