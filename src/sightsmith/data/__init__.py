"""From files on a disk to batches: sources, the gate, splits, augmentation, loading."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
