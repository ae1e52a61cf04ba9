"""One rule of the gate is one file: its conclusions from the scan of the pictures and the facts of the samples.

A rule's file has:

- `ORDER`: rules run in this order, since later rules do not see samples that earlier ones left out;
- `find(data, verdict)`: adds problems to the verdict, and leaves samples out of training;
- optionally `KINDS`: the kinds of answer that it is about; without, it holds for all; `INPUTS` likewise;
- optionally `mend(source) -> (source, changes)`: the source without the faults that need no decision, for `check --fix`
  (`data/changes.py`);
- optionally `FATAL`: codes of its errors with which training is impossible, and `BAD`: codes of its errors of single
  pictures that count against `max_bad`.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

RULES = Catalogue("sightsmith.data.rules", "rule")
