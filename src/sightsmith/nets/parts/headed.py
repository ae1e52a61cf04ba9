"""The base of nets that are a backbone and a head: fine-tuning tells the two apart."""

from abc import abstractmethod
from collections.abc import Iterator

from torch import nn


class HeadedNet(nn.Module):
    """A net whose head depends on the classes, and whose backbone does not."""

    @abstractmethod
    def head_parts(self) -> tuple[str, ...]:
        """Return the names of the sub-modules that learn while the backbone is frozen, such as `("head",)`."""

    def class_parts(self) -> tuple[str, ...]:
        """Return the names of those sub-modules of the head that fit no other classes."""
        return self.head_parts()

    def published(self) -> nn.Module:
        """Return the module whose parameter names are those of the net's published weights."""
        return self

    def feature_net(self) -> nn.Module | None:
        """Return the part that may start from the weights of a net of another family; None if there is none."""
        return None

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the head, which fine-tuning trains while the backbone is frozen."""
        return (parameter for name, parameter in self.named_parameters() if self._in_head(name))

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        return (parameter for name, parameter in self.named_parameters() if not self._in_head(name))

    def class_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that start from random numbers if weights are of a net for other classes."""
        names = _beginnings(self.class_parts())
        return (parameter for name, parameter in self.named_parameters() if name.startswith(names))

    def resting_modules(self) -> Iterator[nn.Module]:
        """Yield the largest parts of the backbone, which are in evaluation mode while it is frozen.

        Parts without parameters between those and the head, such as its dropout, are not among them.
        """
        heads = {self.get_submodule(name) for name in self.head_parts()}
        return _outside(self, heads)

    def _in_head(self, parameter: str) -> bool:
        return parameter.startswith(_beginnings(self.head_parts()))


def _outside(module: nn.Module, heads: set[nn.Module]) -> Iterator[nn.Module]:
    """Yield the largest parts of a module that have parameters, none of them of the heads."""
    for child in module.children():
        if child in heads or next(child.parameters(), None) is None:
            continue
        if heads.isdisjoint(child.modules()):
            yield child
        else:
            yield from _outside(child, heads)


def _beginnings(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{part}." for part in parts)
