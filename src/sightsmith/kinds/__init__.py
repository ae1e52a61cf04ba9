"""One kind of answer is one folder: what is true and what is answered, from raw outputs to the report.

A kind's folder has, in `__init__.py`, what running a model needs (NumPy and Pillow alone):

- `PREDICTION`: the class of an answer, with `to_json(top)`, `to_rows(top)` under `COLUMNS`, `to_text(top)`, and
  `shapes(top)`: what is drawn of it (`parts/shapes.py`);
- `NOUNS`: what the names are of, one and several; `METRIC`: the headline; `HUB_TASK`: what model hubs call the task;
- `TOLERANCES`: by precision, the largest `differences` of each part of an answer from what the trained model gave;
- `decode(outputs, names, calibrated) -> list`: the answers to a batch;
- `differences(expected, got)`, `same_answers(expected, got, tolerance)`: how far answers are apart;
- of truths `strata(truths) -> (N,)`: which of them to spread over the splits alike, -1 for unknown; `truth_text(truth,
  names)`; `targets(truths) -> (N, …)`: what training learns from; `translate(truth, names, model_names)`;
- `headline(answers, truths) -> float`: the headline metric, higher is better;
- `calibrate(outputs, targets) -> (values, figures)`: what is fitted after training, and the figures that it leads to;
- for explanations `EVIDENCE`: the output that shows where an aspect is seen, None for a kind without;
  `aspect_of(answer, name)`, `best_aspects(answer, count)`, `scores_of(answers, aspect)`, `evidence_of(answer, aspect)`,
  `raw_evidence_of(answer, aspect)` and `heat_of(answer, aspect, input_settings, size)`.

`schema.py` has `ANSWER`, the type of an answer's JSON, for the service's documentation.

`figures.py` measures; it is loaded when a model is evaluated:

- `measure(answers, truths, names, groups_N) -> Measured`, and `load(raw, rows) -> figures`, `save(evaluated) -> dict`
  for what the kind adds to evaluation.json;
- `to_table(rows, names) -> (header, lead, cells)` and `from_table(header, cells, names)`: columns of predictions.csv,
  of which every row fills the first `lead`;
- `compare(first, second, names_of_both, groups_N) -> Paired`: two models on the same samples;
- `brief(evaluated) -> dict[str, float]`: further figures for the bundle's metrics; `text(evaluated) -> list[str]`.

`report.py` tells people; it is loaded when a page is made:

- `lead`, `tiles`, `findings`, `sections`: of an evaluation (`parts/sections.py`);
- `picks(evaluated, each) -> list[Pick]`, `said(evaluated, sample) -> list[Piece]`, and
  `heats(answer, evaluated, sample, input_settings, size)`: which
  pictures to show, what to say of them, and what to draw over them;
- `side_by_side(evaluated) -> dict[str, str]`: the rows of a comparison.
"""

from importlib import import_module
from pkgutil import extend_path
from types import ModuleType

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

FIRST = "labels"
"""The kind of what was written before kinds had names, and of sources that name none."""

KINDS = Catalogue("sightsmith.kinds", "kind of answer", folders=True)


def part_of(kind: str, part: str) -> ModuleType:
    """Import `figures` or `report` of a kind."""
    return import_module(f"{KINDS.module(kind).__name__}.{part}")
