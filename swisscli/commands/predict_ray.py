"""`swiss predict --engine ray`: a folder of results, predicted in parts over a pool of actors."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from swisscli import console
from swisscli.commands.inputs import (
    AnswerOptions,
    InputOptions,
    ModelOptions,
    OutputOptions,
    RayOptions,
)
from swisscli.commands.prediction import (
    MAX_WARNINGS,
    Tally,
    announce,
    check_model_options,
    find_inputs,
)
from swisscli.core.errors import ConfigurationError
from swisscli.core.tasks import input_columns
from swisscli.inference.writers.formats import OutputFormat
from swisscli.ray.cluster import Resources, predict_parts, require_ray, with_device
from swisscli.ray.folder import find_folder
from swisscli.ray.plan import PART_BYTES, Job, Report, cut_into_parts, default_format
from swisscli.ray.remote import find_files, find_versions

_FORMATS = (OutputFormat.PARQUET, OutputFormat.JSONL)


def predict_on_ray(
    reading: InputOptions,
    model: ModelOptions,
    answers: AnswerOptions,
    target: OutputOptions,
    ray: RayOptions,
    unfit: Mapping[str, bool],
) -> int:
    """Predict on Ray. Return the number of records that failed.

    Args:
        reading: The tasks and the inputs.
        model: The model.
        answers: How it answers.
        target: Folder of the results, and their format.
        ray: What the pool of actors may use.
        unfit: Flags that have no meaning on Ray, and whether they are given.
    """
    inputs, problems = find_inputs(reading, model.model, find_files)
    with problems.collect():
        require_ray()
    with problems.collect():
        check_model_options(model, answers, inputs.tasks)
    output, output_format = target.output, target.output_format
    for flag, is_given in unfit.items():
        if is_given:
            problems.add(ConfigurationError(f"{flag} does not apply to --engine ray"))
    if output is None:
        problems.add(ConfigurationError("--engine ray writes a folder", hint="add -o FOLDER"))
    if output_format not in (None, *_FORMATS):
        problems.add(
            ConfigurationError(
                f"--format {output_format}: --engine ray writes parquet or jsonl",
                hint="leave it out",
            )
        )
    problems.check()
    assert output is not None
    assert inputs.model is not None
    columns = input_columns(inputs.tasks)
    options = {"batch_tokens": model.batch_tokens, **asdict(answers)}
    resources = Resources(
        ray.concurrency,
        model.threads or 1,
        ray.actor_gpus or 0,
        None if ray.actor_memory is None else ray.actor_memory << 20,
    )
    job = Job(
        tasks=tuple(task.name for task in inputs.tasks),
        columns=columns,
        choice=inputs.choice,
        model=inputs.model.path,
        options=options,
        folder=find_folder(output),
        format=output_format or default_format(inputs.sources),
        directory=Path.cwd(),
        parts=cut_into_parts(inputs.sources, columns, inputs.choice, PART_BYTES),
        num_sources=len(inputs.sources),
        versions=find_versions(inputs.sources),
    )
    for source in inputs.sources:
        announce(source)
    tally = Tally("texts" if columns.arity == 1 else "pairs", answers.strict_language)
    try:
        with console.progress("records") as show:
            reports = predict_parts(
                with_device(job, resources), inputs.sources, resources, resume=ray.resume, show=show
            )
    except KeyboardInterrupt:
        console.warning(f"stopped; to resume {output}, add --resume to the same command")
        raise
    tally.counts.update(
        read=sum(report.count.records for report in reports),
        failed=sum(report.num_failed for report in reports),
        blank=sum(report.num_blank for report in reports),
        truncated=sum(report.num_truncated for report in reports),
        out_of_domain=sum(report.num_out_of_domain for report in reports),
    )
    _report_outcome(output, reports, tally, inputs.model.config.max_length)
    return tally.counts["failed"]


def _report_outcome(output: str, reports: list[Report], tally: Tally, max_length: int) -> None:
    for warning in dict.fromkeys(warning for report in reports for warning in report.warnings):
        console.warning(warning)
    for failure in [failure for report in reports for failure in report.failures][:MAX_WARNINGS]:
        console.warning(failure)
    tally.report("Ray", max_length)
    console.status(
        f"{output}: parts: {len(reports):,}; records in and out: {tally.counts['read']:,}, each"
        f" once, by count and checksum of their ids; failed: {tally.counts['failed']:,}"
    )
