"""A learner with one net on pictures."""

from torch import Tensor

from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.tasks.parts.learner import Facts, Feeds, Learner
from sightsmith.tasks.parts.normalise import Normalise


class PictureLearner(Learner):
    """Normalises pictures as the exported graph does, and answers with the net's outputs."""

    def __init__(self, net: ClassifierNet, facts: Facts) -> None:
        super().__init__({"net": net})
        self.normalise = Normalise(facts.input_settings)

    def answer(self, feeds: Feeds) -> Tensor:
        """Return the net's outputs, (B, K) float32."""
        answers_BK: Tensor = self.nets["net"](self.normalise(feeds[PIXELS]))
        return answers_BK.float()
