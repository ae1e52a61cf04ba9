"""One on-disk format is one file; the file name is the format's name."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
