"""One architecture family is one file; the file name is the net's name."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
