"""One adaptor a library of published nets."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
