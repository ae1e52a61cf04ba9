"""One task is one file: training of nets that give a kind of answer for an input.

A task's file has:

- `INPUT`, `KIND`, `PROGRAMS`: names in the catalogues of inputs, kinds of answer and programs;
- `NETS`: the roles of its nets, each with its family;
- `OUTPUTS`: of the exported graph, in order; the first is always computed;
- `Settings`: a frozen dataclass;
- `check(settings, balanced)`, optional: raises if the settings contradict each other or `--balanced`;
- `sizes(names, input_settings)`: arguments of `build_net` for the sizes of a net;
- `learner(nets, facts, settings) -> Learner` (`parts/learner.py`);
- `validation(answers, targets, settings) -> dict[str, float]`: the figures of an epoch, from NumPy arrays;
- `calibration(settings, learner) -> Calibration`, optional: which samples calibrate, and how; before training the
  learner is None;
- `score(answers, aspect) -> (B,)`: the explained score of the learner's answers (B, …), differentiable;
- `baselines(count)`, optional: nets to compare with (`train --baselines`), each with its settings, for `count` samples;
- `ALSO_TRY`, optional: a net fitted in one step, which `train` tries too if it chooses the net itself;
- `graph(nets, input_settings, name, outputs, settings) -> nn.Module`: the module that is exported and served;
- `example(rng) -> Example`: a tiny case for the contract tests.

`learner` and `graph` may be the classes themselves. `parts/pictures.py` has the ones for one net on pictures.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

TASKS = Catalogue("sightsmith.tasks", "task")
