"""One task is one file: training of nets that give a kind of answer for an input.

A task's file has:

- `INPUT`, `KIND`, `PROGRAMS`: names in the catalogues of inputs, kinds of answer and programs, of the trained model;
- `READS`, optional, for a task whose training reads another input than the trained model takes: its name. It takes data
  of any kind of truth, and has besides `names(settings, names, kind) -> names`, those that the model knows of the names
  of data of a kind; `deployed(read, names, nets) -> Settings` of `INPUT`, from those of `READS`; and
  `witnesses(count, names) -> items` of `INPUT`. Its learner gives `measured(batch)` for batches of `READS`;
- `NETS`: the roles of its nets, each with its family; `KEPT`, optional: the roles that the trained model needs (all);
- `OUTPUTS`: of the exported graph, in order; the first is always computed;
- `Settings`: a frozen dataclass;
- `check(settings, balanced)`, optional: raises if the settings contradict each other or `--balanced`;
- `sizes(names, input_settings)`: arguments of `build_net` for the sizes of a net;
- `defaults(survey) -> dict`, optional: its own choice for settings of training that are open, by name; a net's `recipe`
  comes before it;
- `VALIDATED`, optional: how many validation pictures an epoch measures, at most (all);
- `VARIED`, optional: the augmentations that fit it, by the names of their settings (all);
- `learner(nets, facts, settings) -> Learner` (`parts/learner.py`);
- `validation(answers, targets, settings) -> dict[str, float]`: the figures of an epoch, from NumPy arrays of what the
  learner measured; they have the kind's `METRIC`, and repeat bit by bit for the same weights;
- `warning(answers, targets) -> str`, optional: what is wrong with the model by the same arrays; empty if nothing is.
  Training stops if it stays for several epochs without a better score;
- `calibration(settings, learner) -> Calibration`, optional: which samples calibrate, and how; before training the
  learner is None;
- `score(answers, aspect) -> (B,)`, if its kind can be explained: the explained score of the learner's answers (B, …),
  differentiable;
- `baselines(count)`, optional: nets to compare with (`train --baselines`), each with its settings, for `count` samples;
  `COMPARED`, optional: True if they are fitted unless `--no-baselines` says otherwise;
- `ALSO_TRY`, optional: a net that `train` tries too if it chooses the net itself: one fitted in one step, or one that
  learns by the same settings;
- `graph(nets, input_settings, name, outputs, settings) -> nn.Module`: the module that is exported and served;
- `further(nets, input_settings) -> dict[str, Signature]`, optional: the inputs and outputs of graphs beside `model`, by
  name, that the kept nets can have; `graph` makes them too. A trained model has those of `PROGRAMS` whose graph it has;
- `WHOLE_GRAPH`, optional: a file of `parts/` that appends to the exported graph what follows it
  (`export --with-nms`): `append(model, names, calibrated, size) -> model`, and `difference(…) -> str` from the answers;
- `coder(nets, settings) -> Coder` (`parts/coding.py`), optional: pictures to latents and back, of the kept nets and the
  learner's `graph_settings`, for a task of `READS` whose nets have an encoder;
- `example(rng) -> Example`: a tiny case for the contract tests, of what training reads.

`learner` and `graph` may be the classes themselves. `parts/pictures.py` has the ones for one net on pictures, and
`parts/making.py` what tasks that make pictures share.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

TASKS = Catalogue("sightsmith.tasks", "task")
