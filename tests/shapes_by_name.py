"""Checks the shapes that names promise: `boxes_N4` is (N, 4), and N is one number within a call.

Functions of the package are wrapped when their module is imported by a test process. jaxtyping compares the shapes;
a name is the only declaration of a shape.
"""

import functools
import importlib.machinery
import inspect
import re
import sys
from typing import Any

from jaxtyping import Shaped, jaxtyped

_SUFFIX = re.compile(r"_((?=[A-Z0-9]*[A-Z])[A-Z0-9]+[a-z]{0,2}|hw)$")
_PACKAGE = "sightsmith"


def shape_of(name: str) -> str | None:
    """Return jaxtyping's spelling of the shape in a name, None if it has none.

    `map_Khw` is "K h w", `hashes_N32` is "N 32", and `shift_C11` is "C 1 1".
    """
    found = _SUFFIX.search(name)
    return " ".join(re.findall(r"[A-Za-z]|1(?=1*\D|1*$)|\d+", found[1])) if found else None


def checked(function: Any) -> Any:
    """Return the function with its array arguments checked, or itself if no name promises a shape."""
    signature = inspect.signature(function)
    shapes = {name: shape for name in signature.parameters if (shape := shape_of(name))}
    if not shapes:
        return function

    @jaxtyped(typechecker=None)
    def misfit(arguments: dict[str, Any]) -> str:
        for name, shape in shapes.items():
            value = arguments.get(name)
            if _is_array(value) and not isinstance(value, Shaped[type(value), shape]):
                sizes = {key: tuple(arguments[key].shape) for key in shapes if _is_array(arguments.get(key))}
                return f"{function.__qualname__}: {name} is no ({shape}) beside the others: {sizes}"
        return ""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        wrong = misfit(signature.bind(*args, **kwargs).arguments)
        answer = function(*args, **kwargs)  # its own error for such an argument comes first
        assert not wrong, wrong
        return answer

    return wrapper


def _is_array(value: Any) -> bool:
    """Tell whether it is an array with a known shape: an exporter's symbols must not be compared."""
    shape = getattr(value, "shape", None)
    return hasattr(value, "dtype") and shape is not None and all(type(size) is int for size in shape)


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: Any) -> None:
        super().exec_module(module)
        owners = [module, *(one for one in vars(module).values() if inspect.isclass(one))]
        for owner in owners:
            for name, one in list(vars(owner).items()):
                if inspect.isfunction(one) and one.__module__ == module.__name__:
                    wrapped = checked(one)
                    if wrapped is not one:
                        setattr(owner, name, wrapped)


class _Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] != _PACKAGE:
            return None
        spec = super().find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    sys.meta_path.insert(0, _Finder)
