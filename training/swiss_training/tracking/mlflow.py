"""MLflow: a run in the store of MLFLOW_TRACKING_URI, else in `mlflow.db` in the run's folder."""

import os
from dataclasses import asdict
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import RunStatus

from swiss_training.config import RunConfig

EXPERIMENT = "swiss"
DATABASE = "mlflow.db"
ID_FILE = "mlflow-run"
"""File in the run's folder with the id of its MLflow run, which a resumed run continues."""
_MAX_PARAMETER = 500


class MLflow:
    """Writes to an MLflow store; see `Tracker`."""

    def __init__(self, folder: Path, config: RunConfig, step: int) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / DATABASE).absolute()}"
        self._client = MlflowClient(uri)
        id_file = folder / ID_FILE
        if id_file.is_file():
            self._id = id_file.read_text(encoding="utf-8").strip()
            self._client.update_run(self._id, RunStatus.to_string(RunStatus.RUNNING))
            return
        known = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT)
        run = self._client.create_run(experiment, run_name=folder.name)
        self._id = run.info.run_id
        id_file.write_text(self._id + "\n", encoding="utf-8")
        for key, value in asdict(config).items():
            self._client.log_param(self._id, key, str(value)[:_MAX_PARAMETER])

    def log(self, figures: dict[str, float], step: int) -> None:
        """Write the figures of a step."""
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=step)

    def close(self, *, is_finished: bool) -> None:
        """Mark the run as finished, or as killed, which a resumed run undoes."""
        status = RunStatus.FINISHED if is_finished else RunStatus.KILLED
        self._client.set_terminated(self._id, RunStatus.to_string(status))
