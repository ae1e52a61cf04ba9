"""Brightness by least squares."""

from dataclasses import dataclass

import numpy as np
import torch
from sightsmith.kinds.level import r2
from torch import nn

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.nets.build import build_net
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Facts, Learner
from sightsmith.tasks.parts.normalise import Normalise

INPUT, KIND, PROGRAMS = "picture", "level", ("once",)
NETS = {"net": "classifier"}
OUTPUTS = ("level",)
METRIC = "r2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class LevelLearner(Learner):
    def __init__(self, nets, facts):
        super().__init__(nets)
        self.normalise = Normalise(facts.input_settings)

    def answer(self, images_BCHW):
        net = self.nets["net"]
        return net(self.normalise(images_BCHW)).float()

    def loss(self, batch, optimiser):
        return nn.functional.mse_loss(self.answer(batch[0])[:, 0], batch[1])


class Graph(nn.Module):
    def __init__(self, net, input_settings):
        super().__init__()
        self.net, self.normalise = net, Normalise(input_settings)

    def forward(self, pixels_NHWC):
        return (self.net(self.normalise(pixels_NHWC.permute(0, 3, 1, 2))).float(),)


def check(settings, *, balanced):
    pass


def sizes(names, input_settings):
    height, width, channels = input_settings.shape
    return {"channels": channels, "classes": 1, "height": height, "width": width}


def learner(nets, facts, settings):
    return LevelLearner(nets, facts)


def validation(answers, targets, settings):
    return {"r2": r2(answers[:, 0], targets), "loss": float(np.square(answers[:, 0] - targets).mean())}


def graph(nets, input_settings, name, outputs, settings):
    return Graph(nets["net"], input_settings).eval()


def example(rng):
    spec = Preprocessing(height=8, width=8, colour="grey", mean=(0.5,), std=(0.25,))
    built = build_net("smallresnet", {"width": 8}, **sizes((), spec))
    levels = np.linspace(0.1, 0.9, 6, dtype=np.float32)
    pixels = (levels[:, None, None, None] * 255 * np.ones((6, 1, 8, 8))).astype(np.uint8)
    facts = Facts(names=(), input_settings=spec)
    return Example({"net": built.module}, facts, Settings(), (torch.from_numpy(pixels), torch.from_numpy(levels)))
