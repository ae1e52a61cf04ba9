"""1,797 handwritten digits of 8×8 grey pixels that come inside scikit-learn: real data with no download.

Origin: UCI "Optical Recognition of Handwritten Digits", the test part (E. Alpaydin, C. Kaynak). The values 0…16 are
counts of set pixels in 4×4 blocks; here they are scaled to 0…255. The data has no split of its own.
"""

import numpy as np

from sightsmith.core.errors import DataError
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import Part, array_samples

NAMES = ("digits",)
_LEVELS = 16


def open_source(location: str, options: SourceOptions) -> Source:
    """Load the digits. Raises DataError: scikit-learn is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits: they come with scikit-learn. Run: pip install 'sightsmith[train]'") from error
    raw = load_digits()
    pictures_NHW = np.round(raw.images * (255 / _LEVELS)).astype(np.uint8)
    classes, samples = array_samples({None: Part(pictures_NHW, raw.target, "digits")}, [*"0123456789"])
    return build_source(
        format="digits", location=location, names=classes, samples=samples, options=options, licence="CC BY 4.0 (UCI)"
    )
