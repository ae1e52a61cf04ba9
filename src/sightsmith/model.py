"""A trained model in the hand, and the verbs that work on data and on several models.

This is what `import sightsmith as ss` offers and what the command line calls.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, overload

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import PictureError
from sightsmith.core.extras import require_training
from sightsmith.core.files import refuse_existing, told, write_text
from sightsmith.core.images import Picture
from sightsmith.core.progress import track
from sightsmith.core.records import Split
from sightsmith.core.settings import from_mapping
from sightsmith.data.settings import GateSettings, SourceOptions
from sightsmith.runtime.paths import Item, find_items
from sightsmith.runtime.prediction_writer import Form, open_writer
from sightsmith.runtime.predictor import Prediction, Predictor
from sightsmith.serving.settings import ServeSettings


class Model:
    """A trained model: predict, evaluate, explain, export.

    Opened by `load` and by `train`; close it, or use it in a `with` block, where its bundle is a zip archive.
    """

    def __init__(self, path: Path | str, *, backend: str = "auto", precision: str = "auto", threads: int = 0) -> None:
        self.path = Path(path)
        self._open = partial(Predictor.open, backend=backend, precision=precision, threads=threads)
        self._predictor = self._open(self.path)

    @property
    def predictor(self) -> Predictor:
        """The opened predictor, for batches and raw arrays."""
        return self._predictor

    @property
    def bundle(self) -> Bundle:
        """The opened bundle."""
        return self._predictor.bundle

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.bundle.manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return self.manifest.classes

    @property
    def why(self) -> str:
        """Which backend and precision compute, and why."""
        return self._predictor.why

    @overload
    def predict(self, pictures: Picture) -> Prediction: ...
    @overload
    def predict(self, pictures: Sequence[Picture]) -> list[Prediction]: ...

    def predict(self, pictures: Picture | Sequence[Picture]) -> Prediction | list[Prediction]:
        """Predict one picture, or a list of them.

        Args:
            pictures: a path, encoded bytes (bytes, bytearray, memoryview, BytesIO), an (H, W) or (H, W, 1|3|4) array or
                a PIL image; or a list of such.

        Raises:
            PictureError: one cannot be decoded. `predict_each` goes on after it.
        """
        if not isinstance(pictures, (list, tuple)):
            return self._predictor.predict_one(pictures)  # type: ignore[arg-type]  # a Picture, by the test above
        return [_prediction(outcome.prediction, outcome.error) for outcome in self._predictor.predict(pictures)]

    def predict_each(self, pictures: Iterable[Picture], batch: int | None = None) -> Any:
        """Yield an outcome a picture, in order: its prediction, or the error that kept it from one."""
        return self._predictor.predict(pictures, batch=batch)

    def predict_to(
        self,
        inputs: Sequence[str],
        *,
        out: Path | None = None,
        form: Form | None = None,
        top: int = 5,
        urls: bool = False,
        batch: int | None = None,
        overwrite: bool = False,
    ) -> list[str]:
        """Predict files, folders, patterns, `-` and addresses, and write a line each as it comes.

        Returns:
            Why pictures were skipped, one line each.
        """
        failed: list[str] = []
        with open_writer(out, form, top, overwrite=overwrite) as writer:
            asked: deque[Item] = deque()
            outcomes = self._predictor.predict(_pictures(inputs, urls, asked), batch=batch)
            for outcome in track(outcomes, "Predicting", quiet=out is None):
                item = asked.popleft()
                why = item.error or (str(outcome.error) if outcome.error else None)
                writer.write(item.name, outcome.prediction, why)
                if why:
                    failed.append(why)
        return failed

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        format: str | None = None,  # noqa: A002  # the name of the setting
        split: Split = "test",
        missing_ok: bool = False,
        group_by: str | None = None,
        label_by: str | None = None,
        names: str | Path | None = None,
        report: Path | None = None,
        overwrite: bool = False,
        quiet: bool = False,
    ) -> Any:
        """Measure the model on pictures it has not seen.

        On its own test split the figures and the page go into the bundle, where the model card shows them.

        Args:
            data: other data with the same classes, or a split of the model's own by name ("test"); None takes the
                model's own. A folder called like a split is `"./test"` or a `Path`.
            format: of that data, if it is not to be detected.
            split: which split.
            missing_ok: accept data that lacks some of the model's classes.
            group_by: column or pattern that names the group of a picture, of which the intervals then are; None takes
                what the model was trained with for its own data.
            label_by: pattern that takes the label from the path of a picture in a folder; None reads a folder as that
                of the training was, or by the names of its folders with `format="folder"`.
            names: file with names for numbered classes; None takes those of the training.
            report: where the page goes besides; for other data and other splits it goes there alone.
            overwrite: replace the page at `report`.
            quiet: show no progress.

        Returns:
            The evaluation: `overall`, `intervals`, `per_class`, `confusion_KK`, `calibration`, `to_json()` …
        """
        from sightsmith.evaluation.evaluate import evaluate

        if report:
            refuse_existing(report, overwrite=overwrite)
        done = evaluate(
            self._predictor,
            data=data,
            options=_options(format, group_by, label_by, names),
            split=split,
            missing_ok=missing_ok,
            report=report,
            quiet=quiet,
        )
        if not done.not_kept:
            self._reopen()
        return done

    def explain(
        self, picture: Picture, *, method: str = "class_map", label: str | None = None, sanity: bool = False
    ) -> Any:
        """Show which parts of a picture speak for a class: `.map_HW`, `.overlay()`, `.save(path)`.

        Args:
            picture: the picture.
            method: class_map, occlusion; gradcam, integrated_gradients and attention need torch.
            label: the class; None explains the predicted one.
            sanity: also score the map by deletion and insertion against random maps.
        """
        from sightsmith.explanation.explain import explain

        return explain(self._predictor, picture, method=method, label=label, sanity=sanity)

    def export(
        self,
        to: str | Sequence[str],
        *,
        prove: str | Path | None = None,
        precision: str = "auto",
        quiet: bool = False,
    ) -> Any:
        """Compile the model for backends and prove that each answers alike; else nothing is written.

        Args:
            to: openvino, onnx, or several.
            prove: also compare the accuracy on this data: as `data` of `evaluate`.
            precision: "auto" proves all that the backend computes in here; "fp32" or "bf16" that one, and fp32.
            quiet: show no progress.
        """
        from sightsmith.runtime.export import export

        names = (to,) if isinstance(to, str) else tuple(to)
        chosen = self._chosen(prove) if prove else None
        pairs = [(one.picture, one.target) for one in chosen.samples] if chosen else []
        done = export(self.bundle, names, precision=precision, prove=pairs, quiet=quiet)
        self._reopen()
        return replace(done, skipped=chosen.skipped) if chosen else done

    def replay(self) -> Any:
        """Answer the witnesses again and compare.

        Raises:
            ProofError: the answers differ by more than the tolerance.
        """
        proof = self._predictor.replay()
        proof.require(str(self.path))
        return proof

    def close(self) -> None:
        """Remove what an archive was unpacked to."""
        self._predictor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.manifest.name}: {self.manifest.net['name']}, {len(self.classes)} classes, {self.why}>"

    def _chosen(self, data: str | Path) -> Any:
        from sightsmith.evaluation.test_data import open_evaluation_data

        return open_evaluation_data(self.bundle, data, missing_ok=True)

    def _reopen(self) -> None:
        fresh = self._open(self.bundle.again())
        self._predictor.close()
        self._predictor = fresh


def load(path: Path | str, *, backend: str = "auto", precision: str = "auto", threads: int = 0) -> Model:
    """Open a bundle, verified.

    Args:
        path: the bundle's folder or zip archive.
        backend: "auto" picks the fastest that can run here; see `doctor`.
        precision: "auto", "bf16" or "fp32".
        threads: threads to compute with; 0 is as many as are usable.

    Raises:
        BundleError: the bundle is missing, damaged, changed or from a newer version.
        BackendError: no backend can run it here, or the asked one cannot.
    """
    return Model(path, backend=backend, precision=precision, threads=threads)


def train(data: str | Path, *, out: str | Path | None = None, quiet: bool = False, **settings: Any) -> Model:
    """Train a classifier on pictures and write it as a bundle.

    Args:
        data: a folder per class, a table, idx, npz, CIFAR binaries, or a name such as "digits".
        out: where the bundle goes; None takes the next free `runs/NAME`.
        quiet: print nothing.
        **settings: the fields of `sightsmith.training.settings.TrainSettings`, such as `model="resnet18"`,
            `epochs=30`, `net={"width": 48}`.

    Returns:
        The trained model.

    Raises:
        SettingsError: a setting is unknown or out of range.
        DataError: the data cannot be used.
        TrainingError: training had to stop; the message says how to go on.
    """
    require_training("train")
    from sightsmith.training.settings import TrainSettings
    from sightsmith.training.train import train as run_training

    raw = {"data": _data_setting(data), **({} if out is None else {"out": Path(out)}), **settings}
    return load(run_training(from_mapping(TrainSettings, raw, where="train"), quiet=quiet).path)


def _data_setting(data: str | Path) -> str:
    """Return data as a setting: a path stays a path, also where a data set is known by that name."""
    return f"./{data}" if isinstance(data, Path) and len(data.parts) == 1 and not data.anchor else str(data)


def check(
    data: str | Path,
    *,
    format: str | None = None,  # noqa: A002  # the name of the setting
    group_by: str | None = None,
    label_by: str | None = None,
    names: str | Path | None = None,
    html: str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Any:
    """Check pictures before training: what is broken, doubled, contradictory, leaking or out of balance.

    Args:
        data: as for `train`.
        format: read the data as this format.
        group_by: column or pattern that names the group of a picture.
        label_by: pattern that takes the label from the path of a picture in a folder.
        names: file with names for numbered classes, a line each.
        html: also write a page with the pictures concerned.
        overwrite: replace the page.
        quiet: show no progress.
        **settings: the fields of `sightsmith.data.settings.GateSettings`.

    Returns:
        The report: `problems`, `kept`, `skipped`, `to_text()`, `to_json()`, `failed(strict)`.
    """
    from sightsmith.data import gate
    from sightsmith.data.gate_page import gate_html

    if html is not None:
        refuse_existing(Path(html), overwrite=overwrite)
    source = open_source(data, format=format, group_by=group_by, label_by=label_by, names=names)
    report = gate.check(source, from_mapping(GateSettings, settings, where="check"), quiet=quiet)
    if html is not None:
        with told(html):
            write_text(Path(html), gate_html(report, source))
    return report


def compare(bundles: Sequence[str | Path], *, html: str | Path | None = None, overwrite: bool = False) -> Any:
    """Put evaluated models side by side.

    Args:
        bundles: two bundles or more, each evaluated on the same pictures.
        html: also write a page.
        overwrite: replace the page.
    """
    from sightsmith.evaluation.compare import compare as put_side_by_side

    if html is not None:
        refuse_existing(Path(html), overwrite=overwrite)
    done = put_side_by_side([Path(bundle) for bundle in bundles])
    if html is not None:
        with told(html):
            write_text(Path(html), done.to_html())
    return done


def serve(bundles: Mapping[str, str | Path] | Sequence[str | Path], **settings: Any) -> None:
    """Serve models over HTTP until SIGTERM or SIGINT.

    Args:
        bundles: bundles by the name to serve them under, or a list of `PATH` or `NAME=PATH`.
        **settings: the fields of `sightsmith.serving.settings.ServeSettings`, such as `port=8080`.
    """
    from sightsmith.serving.run import serve as run

    run(bundles, from_mapping(ServeSettings, settings, where="serve"))


def open_source(
    data: str | Path,
    *,
    format: str | None = None,  # noqa: A002  # the name of the setting
    group_by: str | None = None,
    label_by: str | None = None,
    names: str | Path | None = None,
) -> Any:
    """Open data as an index of samples, without checking it; see `check`."""
    from sightsmith.data.source import open_source as open_data

    return open_data(data, _options(format, group_by, label_by, names))


def _options(
    format: str | None,  # noqa: A002  # the name of the setting
    group_by: str | None,
    label_by: str | None,
    names: str | Path | None,
) -> SourceOptions:
    listed = None if names is None else Path(names)
    return SourceOptions(format=format, group_by=group_by, label_by=label_by, names=listed)


def _prediction(prediction: Prediction, error: PictureError | None) -> Prediction:
    if error is not None:
        raise error
    return prediction


def _pictures(inputs: Sequence[str], urls: bool, asked: deque[Item]) -> Iterable[Picture]:
    """Yield the pictures of the inputs, remembering each item; one that is not there fails to decode."""
    for item in find_items(inputs, urls=urls):
        asked.append(item)
        yield item.picture if item.picture is not None else b""
