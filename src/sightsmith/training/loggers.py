"""Loggers of curves and settings besides metrics.csv: TensorBoard files in the bundle, or an MLflow server."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger

from sightsmith.core.errors import SettingsError
from sightsmith.core.files import write_text
from sightsmith.core.settings import to_mapping
from sightsmith.training.plan import Plan
from sightsmith.training.settings import TrainSettings

_RUN_ID = "mlflow_run"
_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no usage data is sent
    "MLFLOW_ALLOW_FILE_STORE": "true",  # ./mlruns, unless MLFLOW_TRACKING_URI is set
}


def make_logger(settings: TrainSettings, plan: Plan, folder: Path) -> Logger | bool:
    """Make the logger that the settings ask for, False for none; the settings and choices are its hyperparameters.

    Args:
        folder: in which the training works; a resumed one finds its records there.

    Raises SettingsError: the logger's package is not installed, or the place of its records cannot be used.
    """
    if settings.logger == "csv":
        return False
    try:
        return (
            _tensorboard(settings, plan, folder)
            if settings.logger == "tensorboard"
            else _mlflow(settings, plan, folder)
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"logger {settings.logger!r} needs a package that is not installed ({error}). "
            f"Install it: pip install 'sightsmith[{settings.logger}]'."
        ) from error


def _tensorboard(settings: TrainSettings, plan: Plan, folder: Path) -> Logger:
    logger = TensorBoardLogger(str(folder), name="tensorboard", version="", default_hp_metric=False)
    logger.log_hyperparams(_parameters(settings, plan))
    return logger


def _mlflow(settings: TrainSettings, plan: Plan, folder: Path) -> Logger:
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)
    kept, place = folder / _RUN_ID, os.environ.get("MLFLOW_TRACKING_URI")
    try:
        before = kept.read_text(encoding="utf-8") if kept.is_file() else None
        logger = _LosableLogger("sightsmith", run_name=settings.bundle_path.name, tracking_uri=place, run_id=before)
        if before is None:
            logger.log_hyperparams(_parameters(settings, plan))  # MLflow lets no parameter change, so only once
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
    """MLflow's logger; training goes on without it if its server or disk is lost."""

    lost = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics; warn once if logging has failed."""
        if not self.lost:
            with self._losing():
                super().log_metrics(metrics, step)

    def finalize(self, status: str = "success") -> None:
        if not self.lost:
            with self._losing():
                super().finalize(status)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - MLflow's stores raise plain ones too
            self.lost = True
            warnings.warn(f"MLflow failed ({error}): the curve continues in metrics.csv only.", stacklevel=1)


def _parameters(settings: TrainSettings, plan: Plan) -> dict[str, Any]:
    chosen = {name: one["value"] for name, one in plan.to_json().items()}
    return {**to_mapping(settings), **chosen}
