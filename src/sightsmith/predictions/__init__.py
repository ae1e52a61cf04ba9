"""One kind of answer is one file: from raw arrays to a typed prediction, its JSON and its drawing."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
