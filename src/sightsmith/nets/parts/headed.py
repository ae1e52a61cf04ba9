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

    def _in_head(self, parameter: str) -> bool:
        return parameter.startswith(_beginnings(self.head_parts()))


def _beginnings(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{part}." for part in parts)
