"""A trained model in the hand, and the verbs that work on data and on several models.

`import sightsmith as ss` offers these names, and the command line calls them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Self, overload

from sightsmith.bundle.inspect import inspect_text
from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.settings import CardSettings
from sightsmith.bundle.store import CARD, Bundle, add_files
from sightsmith.core import notebooks
from sightsmith.core.counts import many
from sightsmith.core.errors import SettingsError
from sightsmith.core.files import refuse_existing, told, write_text
from sightsmith.core.images import Picture
from sightsmith.core.machine import require_training
from sightsmith.core.names import did_you_mean
from sightsmith.core.progress import track
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.core.video import Clip
from sightsmith.data.settings import GateSettings, SourceOptions
from sightsmith.evaluation.settings import EncodeSettings, EvaluateSettings
from sightsmith.explanation.settings import ExplainSettings
from sightsmith.inputs import INPUTS, items_of
from sightsmith.runtime.annotation_writer import open_drawings
from sightsmith.runtime.file_source import file_source
from sightsmith.runtime.paths import Asked, find_items
from sightsmith.runtime.prediction_writer import open_writer
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.runner import Outcome
from sightsmith.runtime.runner import Value as Prediction
from sightsmith.runtime.settings import ExportSettings, GenerateSettings, LoadSettings, PredictSettings
from sightsmith.runtime.stream_output import Ended, open_stream, predict_stream
from sightsmith.runtime.streams import Source, Step
from sightsmith.runtime.tiles import predict_tiled, tiling_of
from sightsmith.serving.settings import ServeSettings

Item = Picture | Clip
"""What a model answers: a picture, or of a model of clips a clip; a path, bytes or an array may be either."""


class Model:
    """A trained model: predict, evaluate, explain, export.

    Opened by `load` and by `train`; close it, or use it in a `with` block, if its bundle is a zip archive.
    """

    def __init__(self, path: Path | str, **settings: Any) -> None:
        asked = from_mapping(LoadSettings, settings, where="load")
        self.path = Path(path)
        self._open = partial(Predictor.open, backend=asked.backend, precision=asked.precision, threads=asked.threads)
        self.predictor = self._open(self.path)
        """For batches and raw arrays."""

    @property
    def bundle(self) -> Bundle:
        return self.predictor.bundle

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes or tags, in the order of the scores."""
        return self.manifest.definition.names

    @property
    def why(self) -> str:
        """Which backend and precision compute, and why."""
        return self.predictor.why

    @overload
    def predict(self, pictures: Item, *, tiles: int | None = None, tile_overlap: float = ...) -> Prediction: ...
    @overload
    def predict(
        self, pictures: Sequence[Item], *, tiles: int | None = None, tile_overlap: float = ...
    ) -> list[Prediction]: ...

    def predict(
        self, pictures: Item | Sequence[Item], *, tiles: int | None = None, tile_overlap: float = 0.2
    ) -> Prediction | list[Prediction]:
        """Predict one picture, or of a model of clips one clip; or a list or a tuple of them.

        Args:
            pictures: a path, encoded bytes (bytes, bytearray, memoryview, BytesIO), an (H, W) or (H, W, 1|3|4) array or
                a PIL image; or a list of such. A clip is a path or the bytes of a video file, an array (T, H, W) or
                (T, H, W, 1|3), or a `sightsmith.Clip` of such a video or of a tuple of pictures in order.
            tiles: cut larger pictures into tiles of this many pixels a side and merge the answers, if they have places.
            tile_overlap: least overlap of neighbouring tiles, a share of the side, 0…0.9.

        Raises:
            PictureError: one cannot be decoded. `predict_each` goes on after it.
            SettingsError: tiles were asked for, and the answers have no places.
        """
        if tiling_of(tiles, tile_overlap) is None and not isinstance(pictures, (list, tuple)):
            return self.predictor.predict_one(pictures)
        several: Sequence[Any] = pictures if isinstance(pictures, (list, tuple)) else [pictures]
        predictions = []
        for outcome in self.predict_each(several, tiles=tiles, tile_overlap=tile_overlap):
            if outcome.error is not None:
                raise outcome.error
            predictions.append(outcome.prediction)
        return predictions if several is pictures else predictions[0]

    def predict_each(
        self,
        pictures: Iterable[Item],
        batch: int | None = None,
        *,
        tiles: int | None = None,
        tile_overlap: float = 0.2,
    ) -> Iterator[Outcome]:
        """Yield an outcome a picture, in order: its prediction, or the error that kept it from one; as `predict`."""
        tiling = tiling_of(tiles, tile_overlap)
        if tiling is None:
            return self.predictor.predict(pictures, batch=batch)
        return predict_tiled(self.predictor, pictures, tiling, batch)

    def predict_to(self, inputs: Sequence[str], settings: PredictSettings) -> list[str]:
        """Predict files, folders, patterns, `-` and addresses, and write a line each as it comes.

        Returns:
            Why pictures were skipped, one line each.
        """
        failed: list[str] = []
        definition = self.predictor.definition
        read = INPUTS.module(items_of(definition.input))
        moves = hasattr(read, "shown")
        if settings.frame_rate is not None and not moves:
            raise SettingsError(
                f"predict: frame_rate: this model takes {read.NOUNS[1]}, which have no frames. Leave it out."
            )
        rate = settings.rate(self.manifest.data) if moves else None
        drawing = open_drawings(settings.draw, definition.kind, settings.options, definition.input)
        with open_writer(settings, definition.kind, self.names, read.NOUNS[0]) as writer, drawing as draw:
            asked: deque[Asked] = deque()
            outcomes = self.predict_each(
                _pictures(inputs, settings.urls, asked, rate),
                settings.batch,
                tiles=settings.tiles,
                tile_overlap=settings.tile_overlap,
            )
            for outcome in track(outcomes, "Predicting", quiet=settings.out is None):
                one = asked.popleft()
                why = one.error or (f"{outcome.error}" if outcome.error else None)
                item: Any = b"" if one.item is None else one.item
                writer.write(one.name, outcome.prediction, why, item)
                draw(one.name, outcome.prediction, item)
                if why:
                    failed.append(why)
        return failed

    def stream(self, video: Any, *, every: float | None = None) -> Iterator[Step]:
        """Yield the answers along one long video as it is decoded, each with its time; memory stays bounded.

        Args:
            video: a path, encoded bytes, pictures in order, an array (T, H, W, 3) of uint8, or a `sightsmith.Clip` of
                such.
            every: least seconds between answers; None as `PredictSettings.every`.

        Raises:
            PictureError: it cannot be decoded; after the last answer if a part of it could not.
            SettingsError: the model takes no clips, or `every` is not above 0.
        """
        asked = from_mapping(PredictSettings, {"stream": True, "every": every}, where="stream")
        with open_stream(self.predictor, file_source(video), asked) as (arriving, _):
            yield from (step for _, step in arriving if step is not None)

    def stream_to(self, source: Source, settings: PredictSettings, stop: Event | None = None) -> Ended:
        """Answer along a source and write the answers, until it ends or `stop` is set; at the end the page too."""
        ended = predict_stream(self.predictor, source, settings, stop)
        if settings.html is not None:
            from sightsmith.evaluation.timeline_page import timeline_html

            with told(settings.html):
                write_text(settings.html, timeline_html(ended, self.predictor, source.name))
        return ended

    def generate(self, count: int = 16, *, out: str | Path | None = None, quiet: bool = False, **settings: Any) -> Any:
        """Make pictures from a seed: the same seed gives the same pictures, whatever their count.

        Args:
            count: how many.
            out: also write them to this folder, each as PNG with a note that it was generated, and a grid of them.
            quiet: show no progress.
            **settings: the further fields of `sightsmith.runtime.settings.GenerateSettings`, such as `seed=1`.

        Returns:
            The pictures, each with `pixels_HWC` (uint8) and `image`; with `out` the paths of the files instead.
        """
        from sightsmith.runtime import generation

        asked = from_mapping(GenerateSettings, {"count": count, **settings}, where="generate")
        if out is not None:
            return generation.write(self.predictor, asked, Path(out), quiet=quiet)
        return [made for _, made in generation.generate(self.predictor, asked, quiet=quiet)]

    def encode(self, pictures: Picture | Sequence[Picture], label: str | Sequence[str] | None = None) -> Any:
        """Return the latents of pictures, if the model has an encoder: `mean_ND` and `log_variance_ND`.

        Args:
            pictures: a picture or a list of them, as of `predict`.
            label: the class, or that of each picture, for a model that knows classes.

        Raises:
            BackendError: torch, which runs the encoder, is not installed.
            SettingsError: the model has no encoder, or classes are missing or unknown.
            PictureError: a picture cannot be decoded.
        """
        require_training("encode")
        from sightsmith.runtime.latents import Encoder

        encoder = Encoder(self.bundle)
        several: Sequence[Any] = pictures if isinstance(pictures, (list, tuple)) else [pictures]
        given = [label] if isinstance(label, str) else label or ()
        if unknown := [name for name in given if name not in self.names]:
            raise SettingsError(f"encode: unknown label {unknown[0]!r}. {did_you_mean(unknown[0], self.names)}")
        return encoder.encode(several, [self.names.index(name) for name in given])

    def encode_to(self, data: str | Path, out: Path, *, quiet: bool = False, **settings: Any) -> tuple[Any, ...]:
        """Write the latents of data to an .npz file, whole or not at all.

        Args:
            data: as of `evaluate`.
            out: the file; it has the arrays `mean`, `log_variance`, `path` and `label`.
            quiet: show no progress.
            **settings: the fields of `sightsmith.evaluation.settings.EncodeSettings`, such as `split="val"`.

        Returns:
            The samples that were left out because they have no label, each with `key` and `why`.
        """
        require_training("encode")
        from sightsmith.evaluation.test_data import open_evaluation_data
        from sightsmith.runtime.latents import Encoder

        asked = from_mapping(EncodeSettings, settings, where="encode")
        refuse_existing(out, overwrite=asked.overwrite)
        encoder = Encoder(self.bundle)
        chosen = open_evaluation_data(self.bundle, EvaluateSettings(data=data, missing_ok=True, **to_mapping(asked)))
        targets = [sample.target for sample in chosen.samples] if self.names else []
        latents = encoder.encode([sample.item for sample in chosen.samples], targets, quiet=quiet)
        texts = [self.names[target] for target in targets] or [""] * len(chosen.samples)
        latents.save(out, [sample.key for sample in chosen.samples], texts, overwrite=asked.overwrite)
        return tuple(chosen.skipped)

    def evaluate(self, data: str | Path | None = None, *, quiet: bool = False, **settings: Any) -> Any:
        """Measure the model on pictures it has not seen.

        On its own test split the figures and the page go into the bundle and its model card.

        Args:
            data: other data with the same classes, or a split of the model's own by name ("test"); None takes the
                model's own. A folder called like a split is `"./test"` or a `Path`.
            quiet: show no progress.
            **settings: the further fields of `sightsmith.evaluation.settings.EvaluateSettings`, such as `split="val"`.

        Returns:
            The evaluation: `overall`, `intervals`, `figures` (`per_class`, `calibration` …), `to_json()`.
        """
        from sightsmith.evaluation.evaluate import evaluate

        asked = from_mapping(EvaluateSettings, {"data": data, **settings}, where="evaluate")
        done = evaluate(self.predictor, asked, quiet=quiet)
        if not done.not_kept:
            self._reopen()
        return done

    def explain(self, item: Any, **settings: Any) -> Any:
        """Show which parts of a picture or a clip speak for a class: `.map_HW`, `.overlay()`, `.save(path)`.

        Args:
            item: the picture or the clip.
            **settings: the fields of `sightsmith.explanation.settings.ExplainSettings`, such as `method="occlusion"`.
        """
        from sightsmith.explanation.explain import explain

        return explain(self.predictor, item, **to_mapping(from_mapping(ExplainSettings, settings, where="explain")))

    def export(self, to: str | Sequence[str], *, quiet: bool = False, **settings: Any) -> Any:
        """Compile the model for backends and prove that the answers stay the same; else nothing is written.

        Args:
            to: openvino, onnx, or several.
            quiet: show no progress.
            **settings: the fields of `sightsmith.runtime.settings.ExportSettings`, such as `prove="test"`.
        """
        from sightsmith.evaluation.test_data import open_evaluation_data, turned
        from sightsmith.runtime.export import export

        asked = from_mapping(ExportSettings, settings, where="export")
        proving = EvaluateSettings(data=asked.prove, missing_ok=True)
        chosen = open_evaluation_data(self.bundle, proving) if asked.prove else None
        asked_of = turned(self.bundle.manifest.definition, chosen.samples if chosen else ())
        pairs = [*zip(asked_of.items, asked_of.truths, strict=True)]
        names = (to,) if isinstance(to, str) else tuple(to)
        done = export(self.bundle, names, precision=asked.precision, prove=pairs, whole=asked.with_nms, quiet=quiet)
        self._reopen()
        return replace(done, skipped=(*chosen.skipped, *asked_of.skipped)) if chosen else done

    def card(self, **papers: str) -> str:
        """Return the model card, after filling in the statements of its makers.

        Args:
            **papers: the fields of `sightsmith.bundle.settings.CardSettings`, such as `intended_use="…"`; an empty text
                makes a blank again.
        """
        from_mapping(CardSettings, papers, where="card")
        if papers:
            add_files(self.bundle, {}, papers={**self.manifest.papers, **papers})
            self._reopen()
        return self.bundle.file(CARD).read_text(encoding="utf-8")

    def replay(self) -> Any:
        """Answer the witnesses again and compare.

        Raises:
            ProofError: the answers differ by more than the tolerance.
        """
        proof = self.predictor.replay()
        proof.require(str(self.path))
        return proof

    def close(self) -> None:
        """Remove the files unpacked from an archive."""
        self.predictor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        counted = f", {many(len(self.names), *self.predictor.kind.NOUNS)}" if self.names else ""
        return f"<Model {self.manifest.name}: {self.manifest.net.name}{counted}, {self.why}>"

    def _repr_html_(self) -> str:
        """Return the facts of the bundle."""
        return notebooks.text(inspect_text(self.bundle))

    def _reopen(self) -> None:
        fresh = self._open(self.bundle.again())
        self.predictor.close()
        self.predictor = fresh


def load(path: Path | str, **settings: Any) -> Model:
    """Open a bundle, verified.

    Args:
        path: the bundle's folder or zip archive.
        **settings: the fields of `sightsmith.runtime.settings.LoadSettings`, such as `backend="openvino"`.

    Raises:
        BundleError: the bundle is missing, damaged, changed or from a newer version.
        BackendError: no backend can run it here, or the asked one cannot.
    """
    return Model(path, **settings)


def train(data: str | Path, *, out: str | Path | None = None, quiet: bool = False, **settings: Any) -> Model:
    """Train a model on pictures and write it as a bundle.

    Args:
        data: a folder per class, a table, idx, npz, CIFAR binaries, or a name such as "digits".
        out: path of the bundle; None takes the next free `runs/NAME`.
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
    from sightsmith.training.settings import TrainSettings, with_task_named
    from sightsmith.training.train import train as run_training

    raw = {"data": _data_setting(data), **({} if out is None else {"out": Path(out)}), **with_task_named(settings)}
    return load(run_training(from_mapping(TrainSettings, raw, where="train"), quiet=quiet).path)


def _data_setting(data: str | Path) -> str:
    """Return data as a setting: a path stays a path, even if a data set has that name."""
    return f"./{data}" if isinstance(data, Path) and len(data.parts) == 1 and not data.anchor else str(data)


def check(
    data: str | Path,
    *,
    html: str | Path | None = None,
    fix: str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Any:
    """Check pictures before training: broken, duplicate, contradictory, leaking or unbalanced ones.

    Args:
        data: as for `train`.
        html: also write a page with the pictures concerned.
        fix: also write a repaired copy into this folder, with a list of every change.
        overwrite: replace the page and the copy.
        quiet: show no progress.
        **settings: the fields of `SourceOptions` and `GateSettings` in `sightsmith.data.settings`.

    Returns:
        The report: `problems`, `kept`, `skipped`, `to_text()`, `to_json()`, `failed(strict)`.
    """
    from sightsmith.data import fixing, gate
    from sightsmith.data.gate_page import gate_html

    if html is not None:
        refuse_existing(Path(html), overwrite=overwrite)
    reading = {field.name: settings.pop(field.name) for field in fields(SourceOptions) if field.name in settings}
    source = open_source(data, **reading)
    if fix is not None:
        fixing.check_fixable(source, Path(fix), overwrite=overwrite)
    report = gate.check(source, from_mapping(GateSettings, settings, where="check"), quiet=quiet)
    if fix is not None:
        fixed = fixing.fix(source, report, Path(fix), quiet=quiet)
        report = replace(report, fixed=fixed)
    if html is not None:
        with told(html):
            write_text(Path(html), gate_html(report, source))
    return report


def convert(
    data: str | Path, to: str, out: str | Path, *, overwrite: bool = False, quiet: bool = False, **options: Any
) -> Any:
    """Write data in another format, with its truths, names and splits; pictures are hard-linked where that works.

    Args:
        data: as for `train`, of a kind that the format holds.
        to: "coco", "voc" or "yolo".
        out: folder that appears whole or not at all.
        overwrite: replace a folder that has data of such a format.
        quiet: show no progress.
        **options: the fields of `sightsmith.data.settings.SourceOptions`.

    Returns:
        The result: `out`, `pictures`, `problems` found while reading, `lost`: what the format cannot hold.
    """
    from sightsmith.data import converting

    asked = from_mapping(SourceOptions, options, where="convert")
    return converting.convert(data, to, Path(out), asked, overwrite=overwrite, quiet=quiet)


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


def open_source(data: str | Path, **options: Any) -> Any:
    """Open data as an index of samples, without checking it; see `check`.

    Args:
        data: as for `train`.
        **options: the fields of `sightsmith.data.settings.SourceOptions`, such as `group_by="patient"`.
    """
    from sightsmith.data.source import open_source as open_data

    return open_data(data, from_mapping(SourceOptions, options, where="open_source"))


def _pictures(inputs: Sequence[str], urls: bool, asked: deque[Asked], rate: float | None) -> Iterable[Any]:
    """Yield the pictures or clips of the inputs, remembering each item; one that is not there fails to decode."""
    for one in find_items(inputs, urls=urls, rate=rate):
        asked.append(one)
        yield one.item if one.item is not None else b""
