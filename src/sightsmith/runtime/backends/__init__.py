"""One backend is one file; the file name is the backend's name.

A backend's file has:

- `RANK`: backends with a lower rank are preferred;
- `EXPORTED`: whether it needs files of its own in the bundle (`compile` makes them), or runs from the weights;
- `missing() -> str | None`: why it cannot run here and what to install, or None;
- `precisions() -> tuple[str, ...]`: of this machine, best first;
- `compile(onnx_file, folder)`: from an exported graph, named as the file is, to its own files, if `EXPORTED`;
- `load(bundle, folder, graph, precision, threads) -> Session`: `folder` holds its files, `graph` is the graph's name;
  threads 0 is as many as are usable.

Importing it is fast and imports no optional package.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

BACKENDS = Catalogue("sightsmith.runtime.backends", "backend")
