"""The report and the comparison of generators.

Shapes: N pictures, H W C height, width and channels.
"""

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.core.pages import data_uri
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.sections import (
    Cell,
    Chart,
    Column,
    Evaluated,
    Finding,
    Note,
    Pick,
    Piece,
    Section,
    Table,
    Tile,
)
from sightsmith.kinds.pictures.figures import TITLES, Figures, Recognised, measured_with
from sightsmith.kinds.pictures.marks import grid, to_image
from sightsmith.kinds.pictures.value import Made
from sightsmith.kinds.pictures.walks import STEPS

_COLLAPSED = 0.1  # Recall or coverage below this means that only few kinds of pictures are made
_COPIED = 0.05  # Share of copies beyond that of unseen real pictures from which it is reported
_FEW = 2048  # Pictures below which FD is mostly bias
_SIDE = 480  # Longest side of a grid, in pixels
_PAIRS_ACROSS = 12  # Pictures in a row of reconstructions and the real ones beside them


def lead(evaluated: Evaluated) -> Markup:
    """Return the first paragraph."""
    return Markup(
        "The features of {:,} generated pictures are at a Fréchet distance of <b>{}</b> from those of as many real "
        "ones that the model was not trained with. 0 is the same distribution."
    ).format(evaluated.counts["evaluated"], _worded("fd", evaluated.overall["fd"] or 0.0, ""))


def tiles(evaluated: Evaluated) -> list[Tile]:
    """Return the headline figures."""
    shown = {
        "fd": ("FD", "Fréchet distance of the features; lower is better"),
        "fd_infinite": ("FD∞", "what it would be with infinitely many pictures"),
        "kid": ("KID", "kernel distance of the features, without bias"),
        "precision": ("Precision", "generated pictures that are like a real one"),
        "recall": ("Recall", "real pictures that are like a generated one"),
        "density": ("Density", "real pictures around a generated one; about 1 is right"),
        "coverage": ("Coverage", "real pictures with a generated one beside them"),
        "copies": ("Copies", "generated pictures that are far nearer to one training picture than to others"),
        "copies_of_real": ("Copies, real", "the same of real pictures that were not trained with"),
        "consistency": ("As asked", "generated pictures that another model takes for the class they were asked for"),
        "consistency_of_real": ("As asked, real", "the same of real pictures: what it can reach"),
        "psnr": ("PSNR", "of unseen pictures and their reconstructions; higher is better"),
    }
    return summary.tiles(evaluated, shown, _worded)


def findings(evaluated: Evaluated) -> list[Finding]:
    """Return the findings, each by a stated rule."""
    found = []
    if min(evaluated.overall["recall"] or 0.0, evaluated.overall["coverage"] or 0.0) < _COLLAPSED:
        text = "Few kinds of pictures are made: most real pictures have no generated one like them."
        found.append(Finding("warning", text))
    made, real = (evaluated.overall.get(name) for name in ("copies", "copies_of_real"))
    if made is not None and real is not None and made > real + _COPIED:
        text = f"{made:.1%} of the pictures are copies of training pictures; of real unseen pictures {real:.1%} are."
        found.append(Finding("warning", text))
    if evaluated.counts["evaluated"] < _FEW:
        text = (
            f"With {evaluated.counts['evaluated']:,} pictures FD is too high by its bias; compare it only with models "
            "that were measured on the same pictures, or read KID, which has none."
        )
        found.append(Finding("note", text))
    return found


def sections(evaluated: Evaluated, *, kept: bool) -> list[Section]:
    """Return the parts of the report."""
    figures: Figures = evaluated.figures
    net = Note(f"Figures are of the features of {measured_with(figures)['features']}: {figures.about}.")
    missing = [Note(f"Left out: {figures.no_coder}")] if figures.no_coder else []
    last = [*_by_class(figures.recognised), Section(title="How it was measured", blocks=[net, *missing])]
    if not figures.made:
        return last
    sides = (("Generated, of seed 0", figures.made), ("Real", figures.real))
    columns = [Column(title=title, blocks=[_drawn(pictures)]) for title, pictures in sides]
    shown = [Section(title="Pictures", columns=columns), *_beside(figures), *_between(figures), *_coded(figures)]
    return [*shown, *last]


def _between(figures: Figures) -> list[Section]:
    """Return the generated pictures between seeds."""
    if not figures.between:
        return []
    note = "In each row from one seed to another, along the shortest arc between their random numbers."
    return [Section(title="Between seeds", note=note, blocks=[_drawn(figures.between, STEPS)])]


def _coded(figures: Figures) -> list[Section]:
    """Return real pictures through the encoder: their reconstructions, those between them, and single latents."""
    coded = figures.coded
    if coded is None:
        return []
    order = ", ".join(map(str, coded.latents))
    pairs = "Real pictures that the model was not trained with, each with its reconstruction to the right."
    between = "In each row from one real picture to another, in equal steps of their latents."
    along = (
        f"Each row moves one latent of the first real picture above from −3 to 3. From above, numbers {order}: those "
        "that tell most of a picture (largest KL divergence)."
    )
    parts = (
        ("Reconstructions", pairs, coded.pairs, _PAIRS_ACROSS),
        ("Between real pictures", between, coded.between, STEPS),
        ("Single latents", along, coded.along, STEPS),
    )
    return [
        Section(title=title, note=note, blocks=[_drawn(pictures, across)])
        for title, note, pictures, across in parts
        if pictures
    ]


def _by_class(recognised: Recognised | None) -> list[Section]:
    """Return the classes that another model was asked about."""
    if recognised is None:
        return []
    header = [Cell("class", "name"), Cell("pictures"), Cell("generated"), Cell("real")]
    rows = [
        [
            Cell(one.name, "name"),
            Cell(f"{one.count:,}", value=one.count),
            summary.meter(one.made),
            summary.meter(one.real),
        ]
        for one in recognised.per_class
    ]
    note = (
        f"The share of the pictures that {recognised.by} takes for the class they were asked for, and the same of as "
        "many real pictures of the class, which is as much as can be expected."
    )
    table = Table(header=header, rows=rows, sortable=True)
    return [Section(title="Are they of the class that was asked for?", note=note, blocks=[table])]


def _beside(figures: Figures) -> list[Section]:
    """Return the generated pictures beside the training pictures that are most like them."""
    rows = [[made, *near] for made, near in zip(figures.made, figures.nearest, strict=False)]
    if not rows:
        return []
    half = -(-len(rows) // 2)
    columns = [
        Column(blocks=[_drawn([picture for row in part for picture in row], len(rows[0]))])
        for part in (rows[:half], rows[half:])
        if part
    ]
    note = "Left in each row a generated picture, then the training pictures whose features are nearest to its own."
    return [Section(title="Is it copied?", note=note, columns=columns)]


def _drawn(pictures: list[NDArray[np.uint8]], across: int = 0) -> Chart:
    sheet = to_image(grid(pictures, across))
    times = max(1, _SIDE // max(sheet.size))
    uri = data_uri(sheet)
    width, height = sheet.width * times, sheet.height * times
    style = "max-width:100%;height:auto;image-rendering:pixelated"
    return Chart(
        svg=Markup('<img src="{}" width="{}" height="{}" style="{}" alt="">').format(uri, width, height, style)
    )


def picks(evaluated: Evaluated, each: int) -> list[Pick]:
    """Return no rows of pictures: there is no truth to each."""
    return []


def said(evaluated: Evaluated, sample: int) -> list[Piece]:
    return []


def heats(
    answer: Made,
    evaluated: Evaluated,
    sample: int,
    input_settings: Any,
    size: tuple[int, int],
) -> list[tuple[str, NDArray[np.float32]]]:
    return []


def side_by_side(evaluated: Evaluated) -> dict[str, str]:
    """Return a row a figure for a comparison."""
    figures = {title: text for title, text in summary.rows(evaluated, TITLES, _worded).items() if text != "–"}
    return {**figures, **measured_with(evaluated.figures)}


def _worded(name: str, value: float, unit: str) -> str:
    if name == "psnr":
        return f"{value:.2f} dB"
    return f"{value:.2f}" if name.startswith("fd") else f"{value:.4f}" if name == "kid" else f"{value:.3f}"
