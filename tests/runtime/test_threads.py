"""PyTorch's number of threads follows the machine, in predictions and the service."""

import logging
import time

import numpy as np
import pytest

from sightsmith.runtime.predictor import Predictor

torch = pytest.importorskip("torch")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Slow(torch.nn.Module):
    """Answers in a time that depends on the number of threads, as on a machine that others use too."""

    seconds = {1: 0.002, 2: 0.02}  # noqa: RUF012

    def forward(self, pixels):
        time.sleep(self.seconds[torch.get_num_threads()])
        return (torch.full((len(pixels), 10), 0.1),)


def test_predictions_take_the_quickest_number_and_tell_each_change(digits_bundle, two_threads, monkeypatch, caplog):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("sightsmith.runtime.torch_session.usable_cores", lambda: 2)
    caplog.set_level(logging.INFO, "sightsmith.runtime")
    with Predictor.open(digits_bundle, backend="torch", precision="fp32") as predictor:
        session = predictor.sessions["model"]
        session._modules["logits",] = Slow()
        feeds = {"pixels": np.zeros((8, *session.ports["pixels"].shape), np.uint8)}
        policies = session._policies
        while not caplog.messages:
            session.run(feeds, ("logits",))
        assert policies[8, ("logits",)].threads == 1
        assert caplog.messages[0].startswith("batches of 8: compute threads: 1 (tried at the start: ")
        session.run(feeds, ("logits",))
        assert torch.get_num_threads() == 1


def test_a_number_that_was_asked_for_stays(digits_bundle, two_threads):
    with Predictor.open(digits_bundle, backend="torch", precision="fp32", threads=1) as predictor:
        for _ in range(5):
            predictor.run({"pixels": np.zeros((8, 16, 16, 1), np.uint8)})
        assert torch.get_num_threads() == 1
        assert predictor.sessions["model"]._policies == {}
