"""An explanation: a map over the original picture, the raw evidence behind it, and its scores.

Shapes: H and W the picture's height and width, h and w the evidence's, T frames of a clip.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core import notebooks
from sightsmith.core.errors import OutputExistsError
from sightsmith.core.files import new_file, refuse_existing, told, write_text
from sightsmith.core.images import Picture
from sightsmith.core.overlay import overlay
from sightsmith.core.placement import Box
from sightsmith.explanation.drawing import Drawing
from sightsmith.explanation.sheet import Frame, falls
from sightsmith.kinds.parts.shapes import Shape, draw

REASON = ".reason.svg"  # Ending of the file with the drawn reason
_NAMED = 3  # Frames named in a line
_SHOWN = 480  # Longest side of an overlay in a notebook, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanity:
    """How well a map tells which parts the model used; the definitions are in `sanity.py`.

    Attributes:
        deletion: mean probability of the class while the picture is erased, strongest places first; lower is better.
        insertion: mean probability while it is filled in, strongest places first; higher is better.
        random_deletion: of maps of random numbers of the same coarseness.
        random_insertion: likewise.
        randomised: rank correlation, -1…1, with the map of the same net with random weights; near 0 is right.
        not_randomised: why `randomised` is None; else empty.
    """

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    randomised: float | None = None
    not_randomised: str = ""

    @property
    def better_than_random(self) -> bool:
        """Whether the map beats random maps by both scores."""
        return self.deletion < self.random_deletion and self.insertion > self.random_insertion


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why a model gave a class its score.

    Attributes:
        method: name of the method's file.
        label: the class that is explained.
        score: its probability, 0…1.
        top: the best classes and their probabilities, best first.
        map_HW: float32 in 0…1 over the picture, 1 at the strongest place, 0 without evidence for the class or outside
            the model's input.
        raw: float32, the method's own values over the model's input, (h, w), of a clip (T, h, w), positive for the
            class.
        unit: of those values.
        box: (left, top, right, bottom) of the part of the original that the input shows, in its pixels.
        object_box: the same of the object that is explained, if the answer has objects; else None.
        picture: the upright original; of a clip a sheet of the frames of the input, each with its importance below it.
        frames: of a clip, the importance of each frame of the input.
        sanity: the scores of the map, if asked for.
        reasons: why in words, for nets that can be read: a tree's path, a rule, the nearest training pictures.
        reason_picture: the same drawn, as the text of an SVG file; None if there is nothing to draw.
    """

    method: str
    label: str
    score: float
    top: tuple[tuple[str, float], ...]
    map_HW: NDArray[np.float32]
    raw: NDArray[np.float32]
    unit: str
    box: Box
    picture: Picture
    frames: tuple[Frame, ...] = ()
    object_box: Box | None = None
    sanity: Sanity | None = None
    reasons: tuple[str, ...] = ()
    reason_picture: Drawing | None = None

    def __repr__(self) -> str:
        return f"<Explanation of {self.label} {self.score:.4g} by {self.method}>"

    def _repr_html_(self) -> str:
        """Return the overlay, scaled down for a notebook, with its text and the drawn reason below it."""
        shown = self.overlay()
        shown.thumbnail((_SHOWN, _SHOWN))
        drawn = notebooks.drawing(self.reason_picture) if self.reason_picture else ""
        return notebooks.picture(shown, self.to_text()) + drawn

    def overlay(self) -> Image.Image:
        """Return the picture with the map laid over it, and the box of an explained object around that.

        A picture with a box is enlarged to at least 320 pixels, so that the object's name can be read.
        """
        shown = overlay(self.picture, self.map_HW)
        if self.object_box is None:
            return shown
        return draw(shown, [Shape(shape="box", name=self.label, text=f"{self.score:.0%}", box=self.object_box)])

    def save(self, target: Path, *, overwrite: bool = False) -> dict[str, Path]:
        """Write the overlay (PNG) and, beside it, the raw values (NPY) and the drawn reason (SVG), if there is one.

        Args:
            target: file of the overlay; the endings become .png, .npy and .reason.svg.
            overwrite: replace these files; a drawn reason of before is removed if there is none now.

        Returns:
            The paths by what they hold: `overlay`, `raw` and, if it was written, `reason`.

        Raises OutputExistsError: one of them exists and `overwrite` is false, or `target` is a folder.
        """
        paths = output_paths(target, overwrite=overwrite)
        with told(paths["overlay"]), new_file(paths["overlay"]) as partial:
            self.overlay().save(partial, "PNG")
        with told(paths["raw"]), new_file(paths["raw"]) as partial, partial.open("wb") as file:
            np.save(file, self.raw, allow_pickle=False)
        with told(paths["reason"]):
            if self.reason_picture is None:
                paths.pop("reason").unlink(missing_ok=True)
            else:
                write_text(paths["reason"], self.reason_picture)
        return paths

    def to_text(self) -> str:
        """Return the explained answer in a line, and the scores of the map in another."""
        others = ", ".join(f"{label} {score:.4f}" for label, score in self.top if label != self.label)
        beside = f" ({others})" if others else ""
        lines = [
            f"{self.label} {self.score:.4f}{beside}: {self.method}, {self.unit}",
            *self._told_frames(),
            *self.reasons,
        ]
        if self.sanity is not None:
            judged = self.sanity
            than = "better" if judged.better_than_random else "not better"
            random = (
                f"rank correlation with random weights {judged.randomised:.2f}"
                if judged.randomised is not None
                else f"not compared with random weights: {judged.not_randomised}"
            )
            lines.append(
                f"Deletion {judged.deletion:.3f} (random maps {judged.random_deletion:.3f}), insertion "
                f"{judged.insertion:.3f} ({judged.random_insertion:.3f}): {than} than random maps; {random}."
            )
        return "\n".join(lines)

    def _told_frames(self) -> list[str]:
        """Return a line with the frames without which the answer gets weakest, if it is of a clip."""
        if not self.frames:
            return []
        told = zip(self.frames, falls(self.frames), strict=True)
        first = sorted((one for one in told if one[0].matters), key=lambda one: -one[0].fall)[:_NAMED]
        if not first:
            return ["No frame matters by itself: with any one of them frozen the answer is as strong."]
        return [f"Frames that matter most, by the fall when frozen: {', '.join(f'{one} ({by})' for one, by in first)}."]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the arrays and the picture as plain JSON."""
        judged = None
        if self.sanity is not None:
            judged = {
                key: round(value, 6) if isinstance(value, float) else value
                for key, value in asdict(self.sanity).items()
            }
            judged["better_than_random"] = self.sanity.better_than_random
        return {
            "method": self.method,
            "label": self.label,
            "score": round(self.score, 6),
            "top": [{"label": label, "score": round(score, 6)} for label, score in self.top],
            "size": [self.map_HW.shape[1], self.map_HW.shape[0]],
            "raw_shape": list(self.raw.shape),
            "unit": self.unit,
            "box": [round(side, 2) for side in self.box],
            **({} if self.object_box is None else {"object_box": [round(edge, 2) for edge in self.object_box]}),
            **({"frames": [one.to_json() for one in self.frames]} if self.frames else {}),
            "sanity": judged,
            **({"reasons": list(self.reasons)} if self.reasons else {}),
        }


def output_paths(target: Path, *, overwrite: bool) -> dict[str, Path]:
    """Return the files that `Explanation.save` writes for a target.

    Raises OutputExistsError: as `Explanation.save`.
    """
    target = Path(target)
    if target.is_dir():
        raise OutputExistsError(f"{target}: is a folder; name a picture to write, such as {target / 'why.png'}")
    endings = {"overlay": ".png", "raw": ".npy", "reason": REASON}
    paths = {name: target.with_suffix(ending) for name, ending in endings.items()}
    for path in paths.values():
        refuse_existing(path, overwrite=overwrite)
    return paths
