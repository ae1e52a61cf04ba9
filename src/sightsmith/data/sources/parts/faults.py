"""The faults that reading annotations finds, each with the picture and the line, and what to do about it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from sightsmith.core.counts import many
from sightsmith.core.names import shortened
from sightsmith.data.problem import Problem, Severity, Spot, problem_of_each


class _Fault(NamedTuple):
    severity: Severity
    lost: bool  # the pictures never become samples
    one: str  # what is counted, with its verb
    more: str
    text: str


_LISTED = 10  # Properties that a message names
_PICTURE = ("picture is", "pictures are")
_BOX = ("box has", "boxes have")
_OBJECT = ("object is", "objects are")
_FAULTS = {
    "missing-file": _Fault(
        "error", True, *_PICTURE, "annotated and not there. Put back what is missing, or delete the annotations."
    ),
    "outside-folder": _Fault(
        "error",
        True,
        "file name leads",
        "file names lead",
        "out of the folder of the data. Nothing there is opened: move the pictures into the folder.",
    ),
    "unreadable": _Fault("error", True, "picture", "pictures", "cannot be opened: export again or delete."),
    "unreadable-annotation": _Fault(
        "error", True, "file of annotations", "files of annotations", "cannot be read. Export again."
    ),
    "missing-annotation": _Fault(
        "error", True, *_PICTURE, "listed without an annotation. Annotate what is missing, or shorten the list."
    ),
    "orphan-label": _Fault(
        "error",
        True,
        "file of labels has",
        "files of labels have",
        "no picture. Put the pictures back, or delete the files.",
    ),
    "orphan-object": _Fault(
        "error", False, *_OBJECT, "of pictures that are not listed. List the pictures, or delete the objects."
    ),
    "unreadable-object": _Fault(
        "error", False, *_OBJECT, "left out: not a box of a class. Correct or delete the lines."
    ),
    "unknown-class": _Fault(
        "error", False, *_OBJECT, "left out, of a class that has no name. Correct the number, or add the name."
    ),
    "not-finite": _Fault("error", False, *_BOX, "numbers that are not finite: left out. Draw again or delete."),
    "empty-box": _Fault("error", False, *_BOX, "no width or no height: left out. Draw again or delete."),
    "outside-box": _Fault(
        "error", False, "box is", "boxes are", "outside of the picture: left out. Draw again or delete."
    ),
    "pixels-not-shares": _Fault(
        "error",
        False,
        *_BOX,
        "numbers far above 1 (pixels?), and shares of the picture are due: left out. Divide by its width and height.",
    ),
    "shares-not-pixels": _Fault(
        "error",
        False,
        *_BOX,
        "numbers below 1 (shares of the picture?), and pixels are due: left out. Multiply by its width and height.",
    ),
    "two-splits": _Fault("error", False, *_PICTURE, "listed in two splits. Each is used in test, else in val, alone."),
    "clipped-box": _Fault("warning", False, "box was", "boxes were", "cut at the edge of the picture."),
    "wrong-size": _Fault(
        "warning",
        False,
        "picture has",
        "pictures have",
        "another size than the annotation says. The real size counts: look whether the boxes fit.",
    ),
    "exif-rotation": _Fault(
        "warning",
        False,
        "picture was",
        "pictures were",
        "annotated as stored, not upright by the EXIF orientation. The boxes are turned with the picture.",
    ),
    "misplaced-label": _Fault(
        "error",
        True,
        "picture is left out: its file of labels lies",
        "pictures are left out: their files of labels lie",
        "where they belong to no picture. Move them: images/a/1.jpg has labels/a/1.txt.",
    ),
    "unlisted-picture": _Fault(
        "warning",
        True,
        *_PICTURE,
        "left out: without annotation, and in no list. Annotate, list as without objects, or delete.",
    ),
    "missing-split": _Fault("warning", False, "split is", "splits are", "named without pictures."),
    "exif-unclear": _Fault(
        "info",
        False,
        "picture has",
        "pictures have",
        "an EXIF orientation, and no size tells whether the boxes were drawn before or after turning. They are read as "
        "of the upright picture: look at one.",
    ),
    "negative": _Fault("info", False, "picture has", "pictures have", "no object: counted as negative."),
    "mask": _Fault("info", False, *_PICTURE, "of masks, which are not read."),
    "ignored": _Fault("info", False, *_OBJECT, "marked as difficult: neither learnt from nor measured."),
    "crowd": _Fault("info", False, "box is", "boxes are", "around a crowd: neither learnt from nor measured."),
}
"""By code, the errors first."""
_REPAIRS = {
    "two-splits": "in one split",
    "clipped-box": "cut at the edge",
    "wrong-size": "the real size",
    "exif-rotation": "turned",
    "mask": "left out",
}
"""What reading does, if it does not leave out what is wrong or does something about what is not."""


@dataclass(slots=True)
class Faults:
    """Faults of a source while it is read."""

    outlines: int = 0  # of objects, which are not read
    unread: Counter[str] = field(default_factory=Counter)  # other properties of objects, likewise
    _of_each: dict[str, list[tuple[str, str, tuple[Spot, ...]]]] = field(default_factory=lambda: defaultdict(list))
    _said: list[Problem] = field(default_factory=list)

    def add(self, code: str, key: str, note: str = "", *spots: Spot) -> None:
        """Name a picture, or a file if there is no picture, with the places of the fault, in the file and in it."""
        self._of_each[code].append((key, note, spots))

    def say(self, code: str, message: str, severity: Severity = "error") -> None:
        """Name a fault of all of the data."""
        repair = "" if severity == "info" else "written as read"
        self._said.append(Problem(code=code, severity=severity, message=message, repair=repair))

    def of(self, code: str) -> list[tuple[str, str]]:
        """Return the keys and notes of a code."""
        return [(key, note) for key, note, _ in self._of_each.get(code, ())]

    def problems(self) -> tuple[Problem, ...]:
        found = list(self._said)
        if self.outlines:
            message = f"{many(self.outlines, 'object has', 'objects have')} an outline, of which the box alone is read."
            found.append(Problem(code="outline", severity="info", message=message, repair="left out"))
        if self.unread:
            told = ", ".join(f"{shortened(name)} ({count:,})" for name, count in self.unread.most_common(_LISTED))
            message = f"properties of objects that are not read: {told}."
            found.append(Problem(code="unread-property", severity="info", message=message, repair="left out"))
        for code, fault in _FAULTS.items():
            each = self._of_each.get(code, [])
            message = f"{many(len(each), fault.one, fault.more)} {fault.text}"
            found += problem_of_each(
                code,
                fault.severity,
                message,
                [key for key, _, _ in each],
                [note for _, note, _ in each],
                spots=[spots for _, _, spots in each] if any(spots for _, _, spots in each) else (),
                repair=_REPAIRS.get(code, "" if fault.severity == "info" else "left out"),
                lost=fault.lost,
            )
        return tuple(found)
