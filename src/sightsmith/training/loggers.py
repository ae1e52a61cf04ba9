"""Loggers of curves and settings besides metrics.csv: TensorBoard files in the bundle, or an MLflow server."""

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger

from sightsmith.core.errors import SettingsError
from sightsmith.core.files import write_text
from sightsmith.core.settings import to_mapping
from sightsmith.training.run import Run

_RUN_ID = "mlflow_run"
_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no usage data is sent
    "MLFLOW_ALLOW_FILE_STORE": "true",  # ./mlruns, unless MLFLOW_TRACKING_URI is set
}


def make_logger(run: Run) -> Logger | bool:
    """Make the logger that the settings ask for, False for none; the settings and choices are its hyperparameters.

    A resumed training goes on in the records that the work folder has or names.

    Raises SettingsError: the logger's package is not installed, or the place of its records cannot be used.
    """
    kind = run.settings.logger
    if kind == "csv":
        return False
    parameters = {**to_mapping(run.settings), **{name: one["value"] for name, one in run.plan.to_json().items()}}
    try:
        if kind == "mlflow":
            return _mlflow(run, parameters)
        logger = TensorBoardLogger(str(run.work.path), name="tensorboard", version="", default_hp_metric=False)
        logger.log_hyperparams(parameters)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"logger {kind!r} needs a package that is not installed ({error}). "
            f"Install it: pip install 'sightsmith[{kind}]'."
        ) from error
    return logger


def _mlflow(run: Run, parameters: dict[str, Any]) -> Logger:
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)
    kept, place = run.work.path / _RUN_ID, os.environ.get("MLFLOW_TRACKING_URI")
    try:
        before = kept.read_text(encoding="utf-8") if kept.is_file() else None
        title = run.settings.bundle_path.name
        logger = _LosableLogger("sightsmith", run_name=title, tracking_uri=place, run_id=before)
        if before is None:
            logger.log_hyperparams(parameters)  # MLflow lets no parameter change, so only once
        write_text(kept, str(logger.run_id))
    except ModuleNotFoundError:
        raise
    except Exception as error:  # MLflow's stores raise plain ones too
        raise SettingsError(
            f"logger mlflow: {place or './mlruns'} cannot be used ({error}). Set MLFLOW_TRACKING_URI to a tracking "
            "server or a folder, or leave --logger out: metrics.csv is always written."
        ) from error
    return logger


class _LosableLogger(MLFlowLogger):
    """MLflow's logger; training goes on without it, and warns once, if its server or disk is lost."""

    lost = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._try(super().log_metrics, metrics, step)

    def finalize(self, status: str = "success") -> None:
        self._try(super().finalize, status)

    def _try(self, log: Callable[..., None], *given: Any) -> None:
        if self.lost:
            return
        try:
            log(*given)
        except Exception as error:  # noqa: BLE001 - MLflow's stores raise plain ones too
            self.lost = True
            warnings.warn(f"MLflow failed ({error}): the curve continues in metrics.csv only.", stacklevel=1)
