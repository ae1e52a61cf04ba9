"""One task is one file: its loss, its metrics, the outputs it exports, its kind of prediction."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
