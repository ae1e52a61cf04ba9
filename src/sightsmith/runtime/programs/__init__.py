"""One program is one file: in which order the graphs of a bundle run to make an answer.

A program's file has:

- `step(sessions, feeds, outputs, state) -> (arrays, state)`: one answer to a batch; `state` is None at the start, and
  the state that a program with several steps (a stream of frames, a sampler) hands to its next step;
- `stream(sessions, batches, outputs)`: answers to many batches, in order, none of which depends on another.

`sessions` are the bundle's graphs by name, loaded in one backend.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

PROGRAMS = Catalogue("sightsmith.runtime.programs", "program")
