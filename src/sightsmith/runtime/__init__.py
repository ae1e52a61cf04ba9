"""Running a bundle: backends, and the predictor in front of them."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
