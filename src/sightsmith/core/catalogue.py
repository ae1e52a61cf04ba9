"""A catalogue lists a folder of modules without importing them: the file name is the registry."""

import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean

SHARED = "parts"  # Name of the folder beside the entries that holds their shared code


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The modules of one package, by file name."""

    package: str  # full name of the package whose files are the entries
    noun: str  # name of one entry in messages, such as "net" or "backend"
    inside: str = ""  # module to import from an entry's folder; empty if entries are single files
    besides: str = ""  # a file of the folder that is no entry

    def names(self) -> list[str]:
        path = import_module(self.package).__path__
        found = [one.name for one in pkgutil.iter_modules(path) if one.ispkg is bool(self.inside)]
        return sorted(name for name in found if name[0] != "_" and name not in (SHARED, self.besides))

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an entry of that name (`fashion-mnist` is the file fashion_mnist.py)."""
        return isinstance(name, str) and name.replace("-", "_") in self.names()

    def module(self, name: str) -> ModuleType:
        """Import one entry. Raises SettingsError: the name is unknown; the message suggests the nearest."""
        return import_module(_path_of(self, name))


@cache  # listing a folder takes half a millisecond, and `module` is called for each sample
def _path_of(catalogue: Catalogue, name: str) -> str:
    if name not in catalogue:
        raise SettingsError(f"unknown {catalogue.noun} {name!r}. {did_you_mean(name, catalogue.names())}")
    return ".".join(filter(None, (catalogue.package, name.replace("-", "_"), catalogue.inside)))
