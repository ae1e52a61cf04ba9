"""Brightness by least squares."""

from dataclasses import dataclass

import numpy as np
import torch
from sightsmith.kinds.level.value import r2
from torch import nn

from sightsmith.inputs import bands
from sightsmith.nets.build import build_net
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Facts, Learner

INPUT, KIND, PROGRAMS = "bands", "level", ("once",)
NETS = {"net": "classifier"}
OUTPUTS = ("level",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class LevelLearner(Learner):
    def answer(self, feeds):
        return self.nets["net"](feeds["bands"][:, None, None]).float()

    def loss(self, batch, optimiser):
        return nn.functional.mse_loss(self.answer(batch[0])[:, 0], batch[1])


class Graph(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, bands_NB):
        return (self.net(bands_NB[:, None, None]).float(),)


def check(settings, *, balanced):
    pass


def sizes(names, input_settings):
    return {"channels": 1, "classes": 1, "height": 1, "width": input_settings.count}


def learner(nets, facts, settings):
    return LevelLearner(nets)


def validation(answers, targets, settings):
    return {"r2": r2(answers[:, 0], targets), "loss": float(np.square(answers[:, 0] - targets).mean())}


def graph(nets, input_settings, name, outputs, settings):
    return Graph(nets["net"]).eval()


def score(levels_B1, aspect):
    return levels_B1[:, 0]


def example(rng):
    spec = bands.Settings()
    built = build_net("scale", {}, **sizes((), spec))
    levels = np.linspace(0.1, 0.9, 6, dtype=np.float32)
    feeds = {"bands": torch.from_numpy(levels[:, None].repeat(spec.count, axis=1))}
    facts = Facts(names=(), input_settings=spec)
    return Example({"net": built.module}, facts, Settings(), (feeds, torch.from_numpy(levels)))
