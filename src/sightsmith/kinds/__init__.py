"""One kind of answer is one folder: truths and answers, from raw outputs to the report.

`options.py` has `Options`, a frozen dataclass without slots: the options of an answer. A field is a flag of
`predict`, a query parameter, a field of the service's JSON, and a control on the page; its docstring is their help.
With `json_schema_extra={"page": value}` in its metadata the page has no control for it, but asks for that value and
filters the answer itself. It imports the standard library and `core.errors` alone, because the command line reads it.

`value.py` has everything that running a model needs (NumPy and Pillow alone):

- `PREDICTION`: the class of an answer, an `Answer` of `parts/answer.py` with `to_json(**options)`, `to_rows(**options)`
  under `COLUMNS`, `to_text(**options)`, and `shapes(**options)`, which are drawn (`parts/shapes.py`); if it can be
  explained also `aspect(name=None) -> Aspect`, `top(count)`: names and scores of the best aspects, `score_of(aspect)`
  and `strength_of(aspect)`: those of another answer's aspect, the second on the scale on which occlusion measures a
  fall; kinds with a score for each name inherit these from `parts/named.py`;
- `NOUNS`: the named thing, singular and plural; `METRIC`: the headline (`parts/metric.py`); by input, `TASKS`: the task
  that learns it unless another is named, and `HUB_TASKS`: its name on model hubs, if they have one;
- `WHOLE`: whether cropping the picture may change its label;
- `TOLERANCES`: by precision, the largest `differences` of each part of an answer from the trained model's;
- `decode(outputs, names, calibrated) -> list`: the answers to a batch;
- `differences(expected, got)`, `same_answers(expected, got, tolerance)`: how much answers differ;
- of truths `strata(truths) -> (N,)`: the stratum of each, -1 for unknown; `pairs(truths)`: which names they have, as
  positions of truths and indices of names; `spread(truths, details)`: for a kind without names, how they are spread, in
  words and by ranges; `truth_text(truth, names)`; `targets(truths, names) -> (N, …)`: the targets of training;
  `translate(truth, names, model_names)`; `unlike(details, calibrated)`: why truths with these details, such as a unit,
  cannot be compared with a model's answers, empty if they can. `parts/named.py` and `parts/unnamed.py` have those
  that say nothing for a kind with or without names;
- `truth_of(sample, input_settings)`, optional: the truth of a sample, if it is not its target; raises PictureError;
- `headline(answers, truths) -> float`: the headline metric, NaN if the truths do not define it;
- `calibrate(outputs, targets, **options) -> (values, figures)`: values fitted after training, and the figures that they
  lead to; the options are those of the task's `calibration`;
- if answers have places, such as boxes: `GEOMETRY`, how the targets move with the picture ("corners": rows of left,
  top, right, bottom, a label, and more), and `PADDING`, the label of rows that fill up; `to_input(targets, placement)
  -> targets` and `to_original(answer, placement) -> answer`, between pixels of the upright original, in which truths
  and answers are, and shares of the net's input, in which targets and the outputs of the graph are;
- if a source can write the truths (`write` of `sightsmith.data.sources`): `to_truth(size, **options)` of an answer;
- for explanations `METHOD`: the usual method; `EVIDENCE`: the output that shows where an aspect is seen, and
  `EVIDENCE_UNIT`; `STRENGTH`: unit of `strength_of`. The
  middle two are None for a kind without such an output; all four for one that cannot be explained: its answers have
  none of the aspects above, its tasks no `score`, and its report neither `picks` nor `heats`, which are empty.

`columns.py`, if a table may hold the truths (`parts/columns.py`): `REASONS` why a row cannot be used, by code;
`claims(columns, rows, target) -> bool`, asked with no rows first; `read(columns, rows, target, details) -> Truths`.

`contents.py`, if a truth holds several things with places, such as boxes, for the report on data:
`brief(truth, names)`, the truth in few words; `shapes(truth, names) -> list[Shape]`, to draw over its picture;
`written_at(truth, note, names)`, the thing in it that is written at the place with which a note begins, in words;
`counts(truths, names) -> list[Counted]` (`parts/counted.py`).

`timeline.py`, if answers along a video are drawn over time (`parts/timeline.py`): of each answer `levels(answer) ->
(K,)` in 0…1 and `chosen(answer) -> (K,)`, which of these it names, are kept; `EXPLAINS`, a sentence about the drawing;
`tracks(ranges, names) -> list[Track]`; `runs(ranges, names) -> list[Stretch]`, the times with one answer.

`marks.py`, if answers are pictures that a model made, for the verb `generate`: `to_png(pixels_HWC, facts) -> bytes`,
which says inside the file that it was generated, and `grid(pictures) -> (H, W, C)`. Such an answer has `pixels_HWC`.

`tiles.py`, if answers have places: `merge(parts, size, shared, reduction) -> answer`, one answer from those to the
overlapping tiles of a picture.

`schema.py` has `ANSWER`, the type of an answer's JSON, for the service's documentation.

`figures.py` measures; it is loaded when a model is evaluated. `evaluated` is `parts/sections.Evaluated`:

- `measure(answers, truths, names, groups_N) -> Measured`; of a kind with `truth_of` it also takes
  `parts/instruments.Instruments`: other nets, the model's encoder, and the truths of the training samples if the data
  is the model's own;
- `save(evaluated) -> dict`: the kind's part of evaluation.json; `load(raw) -> (names, figures)` reads it back;
- `to_table(rows, names) -> (header, lead, cells)`: columns of predictions.csv, the first `lead` before the sample's
  group; `from_table(header, cells, names) -> rows` reads them back;
- `compare(first, second, order_N, groups_N) -> Paired`: two models on the same samples; `order_N` is the position of
  each of the first's samples in the second;
- `TITLES`, optional: what a comparison calls the metrics of `Paired`, by name;
- `brief(evaluated) -> dict`: further figures for the bundle's metrics, and with which nets they are measured;
- `incomparable(first, second) -> str`, optional: why the figures of two models must not stand side by side;
- `text(evaluated)` and `further_text(evaluated)`: lines for a terminal; a data warning may be printed between them.

`report.py` writes the report; it is loaded when a page is made. `parts/summary.py` has what all reports say alike:

- `lead(evaluated) -> Markup`, `tiles(evaluated)`, `findings(evaluated)` and `sections(evaluated, kept=…)`, lists of the
  records of `parts/sections.py`;
- `picks(evaluated, each) -> list[Pick]`: the pictures to show; `said(evaluated, sample) -> list[Piece]`: the caption
  of one; `heats(answer, evaluated, sample, input_settings, size)`: the maps to lay over it, (name, (H, W) in 0…1);
- `drawn(evaluated, sample)`, optional: the shapes to draw over the picture, by caption, instead of maps;
- `along(evaluated, spans) -> list[Section]`, optional: the answers along the videos whose parts the samples are, by the
  `Span` of each (`core/records.py`), None for one that is no part; not only None;
- `side_by_side(evaluated) -> dict[str, str]`: the rows of a comparison.
"""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pkgutil import extend_path
from types import ModuleType
from typing import Any

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.settings import from_mapping

__path__ = extend_path(__path__, __name__)

FIRST = "labels"  # The default kind: of old files without a kind, and of sources that name none

KINDS = Catalogue("sightsmith.kinds", "kind of answer", inside="value")


def part_of(kind: str, part: str) -> ModuleType:
    """Import `options`, `figures`, `report` or `schema` of a kind."""
    return import_module(f"{KINDS.package}.{kind}.{part}")


def optional_part(kind: str, part: str) -> ModuleType | None:
    """Import a part that not every kind has, such as `columns`; None if it has none."""
    name = f"{KINDS.package}.{kind}.{part}"
    return import_module(name) if find_spec(name) else None


def options_of(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a kind's answers: the defaults, updated with `asked`.

    Raises SettingsError: the kind has no such option, or a value is of the wrong type or out of range.
    """
    return asdict(from_mapping(part_of(kind, "options").Options, asked, where=f"options of {kind}"))
