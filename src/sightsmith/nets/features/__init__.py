"""One kind of features is one file: `Settings` and `build(settings, channels, height, width) -> Extractor`."""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

FEATURES = Catalogue("sightsmith.nets.features", "kind of features")
