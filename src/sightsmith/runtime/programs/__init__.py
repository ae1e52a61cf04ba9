"""One program is one file: in which order the graphs of a bundle run to make an answer.

A program's file has:

- `GRAPH`: the graph that it runs; a bundle without that graph does not have the program;
- `step(sessions, feeds, outputs, state) -> (arrays, state)`: one answer to a batch; `state` is None at the start, and
  the state that a program with several steps (a stream of frames, a sampler) hands to its next step;
- `stream(sessions, batches, outputs)`: answers to many batches, in order, none of which depends on another. The batches
  are those of the first graph, whatever the program, so that its answers can be compared with the recorded ones.

`sessions` are the bundle's graphs by name, loaded in one backend.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

PROGRAMS = Catalogue("sightsmith.runtime.programs", "program")
