"""A folder of pictures per class, with or without folders for train, val and test.

```
photos/cats/1.jpg                  class cats
photos/birds/owl/2.png             class birds/owl: every depth is kept
photos/train/cats/1.jpg            class cats, split train (also training, val, valid, validation, test …)
photos/1.jpg                       class photos, if there are no folders and no table in it
```
Classes are in natural order: `2` before `10`. Data of one class is for tasks that need none.
"""

import os
from pathlib import Path

from sightsmith.core.errors import DataError
from sightsmith.core.images import printable
from sightsmith.data.source import Source, SourceOptions
from sightsmith.data.sources.parts.class_folders import Layout, open_folder
from sightsmith.data.sources.parts.listing import list_pictures, refuse_mixture
from sightsmith.data.sources.parts.other_tasks import other_task

GENERAL = True  # Any folder may be of this format: it is chosen if no special one fits
HAS_PATHS = True  # Labels may be parts of the files' paths


def detect(path: Path) -> bool:
    return path.is_dir()


def open_source(location: str, options: SourceOptions) -> Source:
    """List the folder.

    Raises DataError: not a folder, no picture in a folder of its class, videos among the pictures, or data of boxes or
        masks.
    """
    if not Path(location).is_dir():
        raise DataError(f"{printable(location)}: the format 'folder' needs a folder, this is a file.")
    listing = list_pictures(location)
    refuse_mixture(location, listing, options)
    layout = Layout(
        format="folder",
        input="picture",
        noun="picture",
        item=lambda key: os.path.join(location, key),  # noqa: PTH118 - a Path takes ten times the memory
    )
    known = () if options.label_by is not None else other_task(location, listing, asked=options.format is not None)
    return open_folder(location, options, listing, layout, known)
