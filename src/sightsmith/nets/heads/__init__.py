"""One fitted head is one file: `Settings` and `build(settings, classes) -> Head`."""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

HEADS = Catalogue("sightsmith.nets.heads", "head")
