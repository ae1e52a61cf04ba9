"""The predictor: one object from pictures to predictions, whatever backend computes.

Pictures are decoded in a few threads while the backend works on those before; only a bounded number is held at once.
Importing this file imports no torch; neither does opening a bundle that an installed backend has an export in.

Shapes: N pictures of a batch, H, W, C height, width and channels of the net's input.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.bundle.witnesses import Proof, Witnesses, pixel_difference
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.core.images import Picture, describe
from sightsmith.core.machine import usable_cores
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.predictions import KINDS
from sightsmith.runtime.selection import Selection, select
from sightsmith.runtime.session import Arrays, Session, default_batch

Prediction = Any
"""What the bundle's kind of prediction makes, such as `predictions.labels.Labels`."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one picture: its prediction, or why there is none.

    Attributes:
        index: its place among the pictures given, from 0.
        name: what to call it in a message: its path where it has one.
        prediction: the prediction, or None.
        error: why it could not be decoded, or None.
    """

    index: int
    name: str
    prediction: Prediction | None = None
    error: PictureError | None = None


@dataclass(slots=True)
class _Group:
    """Pictures that go through the net together, with those between them that could not be decoded."""

    rows: list[tuple[int, str, PictureError | None]] = field(default_factory=list)
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)


class Predictor:
    """A bundle opened in a backend; safe to use from several threads.

    Attributes:
        bundle: the bundle.
        backend: name of the backend that computes.
        why: which backend and precision were picked, and why.
        session: the loaded model.
    """

    def __init__(self, bundle: Bundle, choice: Selection, session: Session) -> None:
        self.bundle, self.backend, self.session = bundle, choice.backend, session
        self.why = f"{session.describe()}: {choice.why}"
        self._tolerance = choice.tolerance
        self._kind = KINDS.module(bundle.manifest.kind)

    @classmethod
    def open(
        cls, bundle: Bundle | Path | str, backend: str = "auto", precision: str = "auto", threads: int = 0
    ) -> Self:
        """Open a bundle in a backend.

        Args:
            bundle: the bundle or where it lies.
            backend: a backend's name; "auto" picks the fastest that can run here.
            precision: "fp32", "bf16" …; "auto" picks the fastest that was proved at export.
            threads: threads to compute with; 0 is as many as are usable.

        Raises:
            BundleError: the bundle cannot be used.
            BackendError: no backend can run it here, or the asked one cannot.
            SettingsError: there is no such backend or precision.
        """
        if threads < 0:
            raise SettingsError(f"threads must be ≥ 0 (0 is as many as are usable), got {threads}")
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        try:
            choice = select(opened, backend, precision)
            session = choice.module.load(opened, opened.folder / "backends" / choice.backend, choice.precision, threads)
            return cls(opened, choice, session)
        except BaseException:
            if opened is not bundle:
                opened.close()
            raise

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the net's input."""
        return self.bundle.manifest.preprocessing

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return self.bundle.manifest.classes

    @property
    def precision(self) -> str:
        return self.session.precision

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the model can answer; the first is what predictions need at least."""
        return self.bundle.manifest.outputs

    def predict(
        self, pictures: Iterable[Picture], batch: int | None = None, outputs: Sequence[str] = ()
    ) -> Iterator[Outcome]:
        """Predict pictures, in order, as they come; a picture that cannot be decoded does not stop the rest.

        Args:
            pictures: paths, encoded bytes, arrays or PIL images; read only a few batches ahead.
            batch: pictures a step; None chooses by the size of the input.
            outputs: further outputs, such as `("class_map",)`.
        """
        if batch is not None and batch < 1:
            raise SettingsError(f"batch must be ≥ 1, got {batch}")
        return self._predict(
            iter(pictures), batch or default_batch(self.preprocessing.shape), self._with_first(outputs)
        )

    def predict_one(self, picture: Picture, outputs: Sequence[str] = ()) -> Prediction:
        """Predict one picture.

        Raises:
            PictureError: it cannot be decoded.
        """
        pixels_HWC = self.preprocessing.apply(picture)
        return self.from_outputs(self.run(pixels_HWC[None], self._with_first(outputs)))[0]

    def run(self, pixels_NHWC: NDArray[np.uint8], outputs: Sequence[str] = ()) -> Arrays:
        """Answer one batch of inputs, made by `preprocessing.apply`; all outputs where none is asked.

        Returns:
            float32 by name, first axis N.
        """
        return self.session.run(pixels_NHWC, outputs)

    def from_outputs(self, outputs: Mapping[str, NDArray[Any]]) -> list[Prediction]:
        """Make the predictions of a batch from what `run` returned."""
        made: list[Prediction] = self._kind.from_outputs(outputs, self.classes)
        return made

    def replay(self, witnesses: Witnesses | None = None) -> Proof:
        """Decode and answer the witnesses again and compare with what the trained model gave, as `Session.replay`.

        Args:
            witnesses: those of the bundle, where they have been read already; read anew where None.
        """
        witnesses = witnesses or self.bundle.witnesses()
        pixels = pixel_difference(witnesses, self.preprocessing)
        return self.session.replay(witnesses, self._tolerance, kind=self.manifest.kind, pixels=pixels)

    def close(self) -> None:
        """Remove what an archive was unpacked to."""
        self.bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _with_first(self, outputs: Sequence[str]) -> tuple[str, ...]:
        return self.session.chosen((self.outputs[0], *outputs))

    def _predict(self, pictures: Iterator[Picture], batch: int, outputs: tuple[str, ...]) -> Iterator[Outcome]:
        waiting: deque[_Group] = deque()
        with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as pool:
            groups = _grouped(_decoded(pictures, self.preprocessing, pool, ahead=2 * batch), batch)
            for arrays in self.session.stream(_stacked(groups, waiting), outputs):
                yield from self._outcomes(waiting, arrays)
            yield from self._outcomes(waiting, None)

    def _outcomes(self, waiting: deque[_Group], arrays: Arrays | None) -> Iterator[Outcome]:
        """Yield what became of the oldest group, whose answers `arrays` are; groups without pixels have none."""
        while waiting and (arrays is None or not waiting[0].pixels):
            yield from _told(waiting.popleft(), iter(()))
        if arrays is not None:
            yield from _told(waiting.popleft(), iter(self.from_outputs(arrays)))


def _told(group: _Group, predictions: Iterator[Prediction]) -> Iterator[Outcome]:
    for index, name, error in group.rows:
        yield Outcome(index, name, error=error) if error else Outcome(index, name, next(predictions))


def _stacked(groups: Iterator[_Group], waiting: deque[_Group]) -> Iterator[NDArray[np.uint8]]:
    for group in groups:
        waiting.append(group)
        if group.pixels:
            yield np.stack(group.pixels)


def _grouped(decoded: Iterator[tuple[int, str, NDArray[np.uint8] | PictureError]], batch: int) -> Iterator[_Group]:
    group = _Group()
    for index, name, found in decoded:
        if isinstance(found, PictureError):
            group.rows.append((index, name, found))
        else:
            group.rows.append((index, name, None))
            group.pixels.append(found)
        if len(group.pixels) == batch or len(group.rows) == 4 * batch:
            yield group
            group = _Group()
    if group.rows:
        yield group


def _decoded(
    pictures: Iterator[Picture], preprocessing: Preprocessing, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[tuple[int, str, NDArray[np.uint8] | PictureError]]:
    """Decode in the pool, at most `ahead` pictures before they are taken; in order."""
    under_way: deque[tuple[int, str, Future[NDArray[np.uint8] | PictureError]]] = deque()
    numbered = enumerate(pictures)
    try:
        while True:
            for index, picture in islice(numbered, ahead - len(under_way)):
                under_way.append((index, describe(picture), pool.submit(_decode, picture, preprocessing)))
            if not under_way:
                return
            index, name, future = under_way.popleft()
            yield index, name, future.result()
    finally:
        for _, _, future in under_way:
            future.cancel()


def _decode(picture: Picture, preprocessing: Preprocessing) -> NDArray[np.uint8] | PictureError:
    try:
        return preprocessing.apply(picture)
    except PictureError as error:
        return error
