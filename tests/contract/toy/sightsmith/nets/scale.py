"""A weighted sum of what goes in."""

from dataclasses import dataclass

from torch import nn

from sightsmith.nets.parts.classifier import ClassifierNet

PAPER = "none: a test"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class Scale(ClassifierNet):
    def __init__(self, size, outputs):
        super().__init__()
        self.head = nn.Linear(size, outputs)

    def features(self, values):
        return values

    def classify(self, values):
        return self.head(values.flatten(1))

    def class_map(self, values):
        return self.classify(values)[..., None, None]

    def head_parts(self):
        return ("head",)


def build(settings, *, channels, classes, height, width):
    return Scale(channels * height * width, classes)
