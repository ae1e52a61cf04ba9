import numpy as np
from markupsafe import Markup

from sightsmith.kinds.parts.charts import Series, line_chart
from sightsmith.kinds.parts.sections import Cell, Chart, Finding, Pick, Piece, Section, Table, Tile


def lead(evaluated):
    return Markup("Off by <b>{:.3f}</b> on average.").format(evaluated.overall["mean_error"])


def tiles(evaluated):
    return [Tile(name="R²", value=f"{evaluated.overall['r2']:.3f}", explains="share of the variance explained")]


def findings(evaluated):
    return [Finding(level="note", text=f"Largest error {evaluated.figures['largest_error']:.3f}.")]


def sections(evaluated, *, kept):
    order = np.argsort(evaluated.rows.truths_N)
    points = [(float(evaluated.rows.truths_N[at]), float(evaluated.rows.answers_N[at])) for at in order]
    chart = Chart(svg=line_chart([Series(name="answer", points=points)], "truth", "answer"))
    rows = [[Cell(evaluated_key, "name")] for evaluated_key in ("brightness",)]
    return [Section(title="Answer over truth", blocks=[chart, Table(header=[Cell("of", "")], rows=rows)])]


def picks(evaluated, each):
    off_N = np.abs(evaluated.rows.answers_N - evaluated.rows.truths_N)
    return [Pick(title="Furthest off", explains="Look here first.", samples_N=np.argsort(-off_N)[:each])]


def said(evaluated, sample):
    rows = evaluated.rows
    return [Piece(f"{rows.answers_N[sample]:.3f}", "bold"), Piece(f", is {rows.truths_N[sample]:.3f}")]


def heats(answer, evaluated, sample, input_settings, size):
    return []


def side_by_side(evaluated):
    return {name: f"{value:.4f}" for name, value in evaluated.overall.items()}
