"""Opening, writing and extending bundles; a bundle is a folder or its zip archive.

It holds manifest.json, weights.safetensors, README.md, splits.json, witnesses/, report/ and backends/NAME/.
"""

import hashlib
import json
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_weights
from safetensors.numpy import save_file

from sightsmith.bundle import witnesses as witness_files
from sightsmith.bundle.card import model_card
from sightsmith.bundle.folder import Content, files_of, link, new_unpacked, oddities_of, put
from sightsmith.bundle.location import MANIFEST, SPLITS, refuse_taken, staged
from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.witnesses import Witnesses
from sightsmith.core.errors import BundleError
from sightsmith.core.files import open_regular, readable, sha256, unzip
from sightsmith.core.locks import alone_in

__all__ = ["Bundle", "Content", "add_files", "verify", "write_bundle"]

CARD, WITNESSES = "README.md", "witnesses"
_NO_MANIFEST = f"{{}}: not a bundle (no {MANIFEST} in it). `sightsmith train` makes bundles."
_MAX_MANIFEST = 64 * 2**20  # Bytes of a manifest; one with the names of 100,000 classes has 3 MiB


class Bundle:
    """An opened bundle.

    Attributes:
        path: the folder or archive that was opened, as it was named.
        place: the absolute path with links resolved, so that writing replaces the bundle, not a link to it.
        folder: of its files; a temporary one for an archive, removed at `close` and at exit.
        manifest: its manifest.
    """

    def __init__(self, path: Path, place: Path, folder: Path, remove: Callable[[], None] | None = None) -> None:
        self.path, self.place, self.folder = path, place, folder
        try:
            with open_regular(folder / MANIFEST) as file:
                self.manifest = _parsed(file.read(_MAX_MANIFEST + 1), path)
        except FileNotFoundError:
            raise BundleError(_NO_MANIFEST.format(path)) from None
        self._remove = weakref.finalize(self, remove) if remove else None

    @classmethod
    def open(cls, path: Path | str, verify: bool = True) -> Self:
        """Open a bundle.

        Args:
            path: a folder, or a .zip archive of one.
            verify: compare every file with its SHA-256 in the manifest.

        Raises BundleError: it is missing, damaged, changed or from a newer version.
        """
        path = Path(path)
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise BundleError(f"{path}: no such bundle. `sightsmith train … --out {path}` makes one.") from None
        except OSError as error:
            raise _unreadable(path, error) from error
        return cls._open(path, path.resolve(), verify)

    def again(self, verify: bool = True) -> Self:
        """Open the current bundle at `place`, even if a link or the working folder has changed since."""
        if not self.place.exists():
            raise BundleError(f"{self.path}: does not exist any more. It was moved or deleted since it was opened.")
        return self._open(self.path, self.place, verify)

    @classmethod
    def _open(cls, path: Path, place: Path, verify: bool) -> Self:
        try:
            if place.is_dir():
                bundle = cls(path, place, path if path.is_dir() and path.samefile(place) else place)
            else:
                bundle = cls._unpack(path, place)
            problems = _problems(bundle) if verify else []
        except OSError as error:
            raise _unreadable(path, error) from error
        if problems:
            bundle.close()
            raise BundleError(_first_of(path, problems))
        return bundle

    @classmethod
    def _unpack(cls, path: Path, place: Path) -> Self:
        try:
            top, remove = new_unpacked()
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be unpacked ({error}). Make room, or name a folder in TMPDIR."
            ) from error
        try:
            unzip(path, top, partial(_members_of, path))
            inner = next(top.glob(f"*/{MANIFEST}"), top / MANIFEST)
            return cls(path, place, top if (top / MANIFEST).exists() else inner.parent, remove)
        except BaseException:
            remove()
            raise

    @property
    def zipped(self) -> bool:
        return self._remove is not None

    def file(self, relative: str) -> Path:
        """Return the path of a file of the bundle. Raises BundleError: the bundle has no such file."""
        if relative not in self.manifest.files:
            raise BundleError(f"{self.path}: has no file {relative!r}")
        return self.folder / relative

    def content(self, path: Path) -> bytes:
        """Return the bytes of a file, checked against its SHA-256 if it is in the bundle.

        A model that is loaded from these bytes is the checked one, even if the file changes on the disk.

        Raises BundleError: the file is missing, is not listed, or changed since it was written.
        """
        try:
            with open_regular(path) as file:
                content = file.read()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if path.is_relative_to(self.folder):
            name = path.relative_to(self.folder).as_posix()
            if hashlib.sha256(content).hexdigest() != self.manifest.files.get(name):
                raise BundleError(f"{self.path}: {name} changed after it was written. Copy the bundle again.")
        return content

    def weights(self, role: str) -> dict[str, NDArray[Any]]:
        """Return the parameters and buffers of a net by name."""
        name = self.manifest.nets[role].file
        try:
            return load_weights(self.content(self.file(name)))
        except SafetensorError as error:
            raise BundleError(f"{self.path}: {name} cannot be read ({error}). Copy the bundle again.") from error

    def weights_bytes(self) -> int:
        """Return the size of the weights' files."""
        return sum(self.file(net.file).stat().st_size for net in self.manifest.nets.values())

    def witnesses(self) -> Witnesses:
        """Return the witnesses, their outputs in the definition's order."""
        return witness_files.load(self.folder / WITNESSES, self.manifest.definition.outputs)

    def splits(self) -> dict[str, Any]:
        """Return the content of splits.json: which sample was in which split."""
        return json.loads(self.file(SPLITS).read_text(encoding="utf-8"))

    def close(self) -> None:
        """Remove the files unpacked from an archive; a folder stays as it is. May be called twice."""
        if self._remove is not None:
            self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}, {self.manifest.net.name}, {self.manifest.definition.kind})"


def write_bundle(
    path: Path | str,
    manifest: Manifest,
    *,
    weights: Mapping[str, Mapping[str, NDArray[Any]]],
    witnesses: Witnesses,
    splits: Mapping[str, Any],
    files: Mapping[str, Content],
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle whole or not at all.

    Args:
        path: folder to make, or the .zip archive.
        manifest: its list of files is made here.
        weights: the parameters and buffers of each net by name, by role.
        witnesses: real inputs with every output of the trained nets in fp32.
        splits: from `Splits.to_json`.
        files: further files by path relative to the bundle, such as `report/gate.html`.
        overwrite: replace an existing bundle or empty folder.

    Raises:
        OutputExistsError: the path exists and `overwrite` is false, or it is not a bundle.
        BundleError: the disk cannot be written.
    """
    path = Path(path)
    place = path.resolve()
    with _writing(path), alone_in(place.parent):
        refuse_taken(path, overwrite=overwrite)
        with staged(place, zipped=path.suffix == ".zip") as folder:
            for role, arrays in weights.items():
                file = folder / manifest.nets[role].file
                save_file({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}, file)
                readable(file)
            put(folder / SPLITS, json.dumps(splits, ensure_ascii=False, separators=(",", ":"), sort_keys=True))
            witness_files.save(witnesses, folder / WITNESSES, manifest.definition)
            _put_further(folder, files)
            _put_manifest(folder, manifest, {})
    return Bundle.open(path, verify=False)


def add_files(bundle: Bundle, files: Mapping[str, Content], *, remove: Iterable[str] = (), **changes: Any) -> Bundle:
    """Add files to a bundle, or replace them, and change entries of its manifest; all of it or nothing.

    The model card is written again from the new manifest.

    Args:
        bundle: the bundle; it is replaced on the disk.
        files: content by path relative to the bundle, such as `report/index.html`.
        remove: prefixes of paths to remove first, such as `backends/openvino/`.
        changes: entries of the manifest to replace, such as `metrics` or `backends`.

    Returns:
        The bundle as it is now.

    Raises:
        BundleError: a path leads out of the bundle or would replace a file of the bundle itself, the bundle was changed
            by another process since it was opened, or the disk cannot be written.
    """
    gone, replaced, known = tuple(remove), {CARD, *files}, bundle.manifest.files
    kept = [name for name in known if name not in replaced and not name.startswith(gone)]
    with _writing(bundle.path), alone_in(bundle.place.parent), bundle.again(verify=False) as now:
        if now.manifest != bundle.manifest:
            raise BundleError(
                f"{bundle.path}: was changed since it was opened, and this would undo it; nothing was written. "
                "Open it again, or repeat the command."
            )
        with staged(bundle.place, zipped=bundle.zipped) as folder:
            for name in kept:
                link(now.folder / name, folder / name)
            _put_further(folder, files)
            _put_manifest(folder, replace(bundle.manifest, **changes), {name: known[name] for name in kept})
    return bundle.again(verify=False)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f"{path}: cannot be written ({error}). The previous content is unchanged; "
            "make room on the disk, or name a place that you may write to."
        ) from error


def verify(bundle: Bundle) -> list[str]:
    """Return all problems of a bundle's files as messages; empty if there are none."""
    problems = _problems(bundle)
    if not problems:
        try:
            bundle.witnesses()
            for role in bundle.manifest.nets:
                bundle.weights(role)
            bundle.splits()
        except (BundleError, ValueError) as error:
            problems.append(f"{error}")
    return problems


def _problems(bundle: Bundle) -> list[str]:
    listed, present = bundle.manifest.files, files_of(bundle.folder)
    odd = oddities_of(bundle.folder, listed)
    whole = [name for name in listed if name in present and name not in odd]
    changed = [name for name in whole if sha256(bundle.folder / name) != listed[name]]
    needed = (*(net.file for net in bundle.manifest.nets.values()), SPLITS)
    return [
        *(f"{name}: listed in the manifest but missing" for name in listed if name not in present),
        *(f"{name}: not listed in the manifest" for name in sorted(present - {*listed, *odd, MANIFEST})),
        *(f"{name}: {why}" for name, why in odd.items()),
        *(f"{name}: changed after it was written (its SHA-256 does not match)" for name in changed),
        *(f"{name}: a bundle needs this file" for name in needed if name not in listed),
    ]


def _unreadable(path: Path, error: OSError) -> BundleError:
    where = "" if error.filename is None else f"{error.filename}: "
    return BundleError(f"{path}: cannot be read ({where}{error.strerror or error}). Check that this user may read it.")


def _first_of(path: Path, problems: list[str]) -> str:
    more = f" (and {len(problems) - 3} more problems)" if len(problems) > 3 else ""
    return (
        f"{path}: {'; '.join(problems[:3])}{more}. Do not trust this bundle: "
        "copy it again from where it was made. `sightsmith verify` lists everything."
    )


def _parsed(raw: bytes, path: Path) -> Manifest:
    if len(raw) > _MAX_MANIFEST:
        raise BundleError(f"{path}: {MANIFEST} is larger than {_MAX_MANIFEST >> 20} MiB. This is not a bundle.")
    try:
        return Manifest.from_text(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: {MANIFEST} is not UTF-8 text ({error}). Copy the bundle again.") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def _members_of(path: Path, zipped: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members of an archive that its manifest lists; hidden files of other tools are skipped.

    Raises BundleError: the archive has no manifest, or a member that the manifest does not list.
    """
    visible = [one for one in zipped.infolist() if not one.is_dir() and not _hidden(one.filename)]
    marked = [one for one in visible if one.filename.rpartition("/")[2] == MANIFEST and one.filename.count("/") < 2]
    if not marked:
        raise BundleError(_NO_MANIFEST.format(path))
    marker = min(marked, key=lambda one: one.filename.count("/"))
    with zipped.open(marker) as file:
        listed = _parsed(file.read(_MAX_MANIFEST + 1), path).files
    known = {marker.filename.removesuffix(MANIFEST) + name for name in (*listed, MANIFEST)}
    strange = [one.filename for one in visible if one.filename not in known]
    if strange:
        raise BundleError(_first_of(path, [f"{name}: not listed in the manifest" for name in strange]))
    return visible


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _put_further(folder: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        parts = name.replace("\\", "/").split("/")
        if name.startswith("/") or any(part.startswith(".") or not part for part in parts) or ":" in name:
            raise BundleError(f"{name!r}: files of a bundle have relative paths without `..` and hidden names")
        if parts[0] in {MANIFEST, CARD, SPLITS, WITNESSES} or parts[0].endswith(".safetensors"):
            raise BundleError(f"{name!r}: this file is the bundle's own. Put additions under report/ or backends/.")
        put(folder / name, content)


def _put_manifest(folder: Path, manifest: Manifest, digests: Mapping[str, str]) -> None:
    """Write the card and the manifest; `digests` are the known ones by file."""
    put(folder / CARD, model_card(Manifest.from_json(manifest.to_json())))
    files = {name: digests.get(name) or sha256(folder / name) for name in sorted(files_of(folder))}
    put(folder / MANIFEST, replace(manifest, files=files).to_text())
