"""One kind of answer is one file: from raw arrays to a typed prediction, its JSON and its drawing.

A kind's file has `PREDICTION` (the class), `METRIC`, `TOLERANCES` and the functions `decode`, `differences`,
`same_answers`, `measure` and `calibrate`; labels.py is the one to copy.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

KINDS = Catalogue("sightsmith.predictions", "kind of prediction")
