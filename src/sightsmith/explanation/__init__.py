"""Showing why a model answered as it did, and judging the explanation."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
