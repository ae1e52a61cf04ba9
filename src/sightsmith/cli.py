"""The command line: one function a verb. It parses, calls and prints; the work is elsewhere.

Heavy parts are imported inside the verb that needs them, so that help and errors are quick.
"""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from sightsmith import __version__
from sightsmith.bundle.settings import CardSettings
from sightsmith.core.command import exit_code_of, fail, json_text, say, share_cores, stoppable
from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError, SettingsError
from sightsmith.core.files import next_free
from sightsmith.core.flags import flags_of, given, merged
from sightsmith.core.machine import require_training
from sightsmith.core.settings import from_mapping, read_toml, to_toml
from sightsmith.data.settings import SourceOptions
from sightsmith.evaluation.settings import EncodeSettings, EvaluateSettings
from sightsmith.explanation.settings import ExplainSettings
from sightsmith.kinds import KINDS, part_of
from sightsmith.runtime.settings import ExportSettings, GenerateSettings, LoadSettings, PredictSettings
from sightsmith.serving.settings import ServeSettings
from sightsmith.training.settings import TrainSettings, with_task_named

app = App(
    name="sightsmith",
    help="From a folder of pictures to a vision model that people can trust, behind an API.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative_iterable=()),
)
_LOOK = Group("Look", sort_key=1)
_MAKE = Group("Make", sort_key=2)
_USE = Group("Use", sort_key=3)

TrainFlags = flags_of(TrainSettings, leave_out=("data",), over_file=True)
ServeFlags = flags_of(ServeSettings)
SourceFlags = flags_of(SourceOptions)
CardFlags = flags_of(CardSettings)
LoadFlags = flags_of(LoadSettings, leave_out=("threads",))
EvaluateFlags = flags_of(EvaluateSettings)
EncodeFlags = flags_of(EncodeSettings)
PredictFlags = flags_of(PredictSettings, leave_out=("options",), form="--as")
GenerateFlags = flags_of(GenerateSettings)
OptionFlags = flags_of(*(part_of(kind, "options").Options for kind in KINDS.names()))
ExplainFlags = flags_of(ExplainSettings)
ExportFlags = flags_of(ExportSettings)

ModelPath = Annotated[Path, Parameter(help="The model.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON.", negative=(), show_default=False)]
Overwrite = Annotated[bool, Parameter(help="Replace an existing output.", negative=(), show_default=False)]
Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
Several = Parameter(consume_multiple=True)


@app.command(group=_LOOK)
def check(
    data: str,
    /,
    *,
    source: SourceFlags | None = None,  # type: ignore[valid-type]
    size: int | None = None,
    html: Path | None = None,
    fix: Path | None = None,
    strict: Switch = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> int:
    """Check pictures before training: broken, duplicate, contradictory, leaking or unbalanced ones.

    Args:
        data: A folder per class, a table (CSV, TSV), COCO, VOC, YOLO, idx, npz, CIFAR binaries, or a name such as
            `digits`.
        size: Side of the net's input that training will use, at which objects too small to see are named.
        html: Write a page with the pictures concerned.
        fix: Write a repaired copy into this folder, with a list of every change; of boxes.
        strict: Exit with 1 on warnings too.
    """
    from sightsmith import model

    settings = given(source) | ({} if size is None else {"input_size": size})
    report = model.check(data, html=html, fix=fix, overwrite=overwrite, **settings)
    print(json_text(report.to_json(), 2) if as_json else report.to_text())
    if html:
        say(f"Page: {html}")
    return int(report.failed(strict))


@app.command(group=_LOOK)
def convert(
    data: str,
    /,
    *,
    to: str,
    out: Path,
    source: SourceFlags | None = None,  # type: ignore[valid-type]
    overwrite: Overwrite = False,
) -> int:
    """Write data in another format: truths, names, negatives and splits are kept, pictures are linked.

    Args:
        data: Data with boxes in one of the formats: COCO, Pascal VOC, YOLO.
        to: The format: coco, voc or yolo.
        out: Folder for it.
    """
    from sightsmith import model

    done = model.convert(data, to, out, **given(source), overwrite=overwrite)
    for line in done.to_text().splitlines():
        say(line)
    print(done.out)
    return 0


@app.command(group=_MAKE)
def train(
    data: str | None = None,
    /,
    *,
    config: Path | None = None,
    print_config: Switch = False,
    settings: TrainFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Train a model on pictures and write it as a bundle.

    Settings of the net are given as --net.NAME VALUE (`sightsmith models NET` lists them), settings of the task as
    --task.NAME VALUE (`sightsmith models --task classify`); --task NAME is short for --task.name NAME.

    Args:
        data: A folder per class, a table (CSV, TSV), COCO, VOC, YOLO, idx, npz, CIFAR binaries, or a name such as
            `digits`.
        config: TOML file with settings; flags win over it.
        print_config: Print the resolved settings as TOML, and do nothing else.
    """
    raw = with_task_named(read_toml(config) if config else {})
    over = given(settings) | ({"data": data} if data else {})
    asked = merged(raw, over)
    resolved = from_mapping(TrainSettings, asked, where=str(config or "train"))
    if print_config:
        print(to_toml(resolved), end="")
        return 0
    require_training("train")
    from sightsmith.inputs import from_files
    from sightsmith.training.train import train as run_training

    result = run_training(resolved)
    steps = [f"sightsmith evaluate {result.path}"] if result.manifest.data["counts"]["test"] else []
    if not from_files(result.manifest.definition.input):
        steps += [f"sightsmith generate {result.path} --out pictures"]
    say("Next: " + "    ".join([*steps, f"sightsmith export {result.path} --to openvino"]))
    print(result.path)
    return 0


@app.command(group=_LOOK)
def evaluate(
    bundle: ModelPath,
    /,
    *,
    settings: EvaluateFlags | None = None,  # type: ignore[valid-type]
    loading: LoadFlags | None = None,  # type: ignore[valid-type]
    as_json: AsJson = False,
) -> int:
    """Measure a model on pictures it has not seen, and write a report with pictures.

    The model's own data is read, labelled and grouped as at its training; --group-by draws its intervals by other
    groups. Other data is labelled as at the training too; --format folder takes its labels from the folders' names.
    """
    from sightsmith import model

    with model.load(bundle, **given(loading)) as loaded:
        done = loaded.evaluate(**given(settings))
    print(json_text(done.to_json(), 2) if as_json else done.to_text())
    for skipped in done.skipped:
        say(f"skipped {skipped.key}: {skipped.why}")
    if done.report:
        inside = bundle.is_file() and done.report.is_relative_to(bundle)
        say(f"Report: {f'in {bundle}; --report FILE writes it outside' if inside else done.report}")
    if done.not_kept:
        return fail(f"the figures are not in the bundle. {done.not_kept}", 2)
    return int(bool(done.skipped))


@app.command(group=_LOOK)
def compare(
    bundles: Annotated[list[Path], Several],
    /,
    *,
    html: Path | None = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> int:
    """Put evaluated models side by side: metrics with the uncertainty of their difference, size, speed.

    Args:
        bundles: Two models or more, each evaluated on the same split.
        html: Write a page.
    """
    from sightsmith import model

    done = model.compare(bundles, html=html, overwrite=overwrite)
    print(json_text(done.to_json(), 2) if as_json else done.to_text())
    return 0


@app.command(group=_USE)
def predict(
    bundle: ModelPath,
    pictures: Annotated[list[str] | None, Parameter(consume_multiple=True, allow_leading_hyphen=True)] = None,
    /,
    *,
    options: OptionFlags | None = None,  # type: ignore[valid-type]
    settings: PredictFlags | None = None,  # type: ignore[valid-type]
    loading: LoadFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Predict files, folders, patterns, or standard input (`-`); with --stream one long video, camera or address.

    Pictures that cannot be read are reported and skipped; the exit code is then 1.

    Args:
        pictures: Files, folders, patterns such as 'more/*.jpg', `-`, or addresses with --urls; with --stream one video
            or an address such as rtsp://HOST/PATH.
    """
    from sightsmith import model

    asked = from_mapping(PredictSettings, {**given(settings), "options": given(options)}, where="predict")
    if asked.stream:
        return _predict_stream(bundle, pictures or [], asked, given(loading))
    if not pictures:
        raise SettingsError("predict: name what to predict: files, folders, patterns, or - for standard input.")
    with model.load(bundle, **given(loading)) as loaded:
        failed = loaded.predict_to(pictures, asked)
    for why in failed:
        say(f"skipped {why}")
    return int(bool(failed))


def _predict_stream(bundle: Path, inputs: list[str], asked: PredictSettings, loading: dict[str, Any]) -> int:
    from sightsmith import model
    from sightsmith.runtime.live import find_source  # nothing else may open cameras and addresses

    source = find_source(inputs, asked.camera)
    with model.load(bundle, **loading) as loaded, stoppable() as stop:
        ended = loaded.stream_to(source, asked, stop)
    say(f"{many(ended.answers, 'answer')}, up to {ended.seconds:.1f} s of {source.name}.")
    if ended.problem:
        return fail(ended.problem, 1)
    return 130 if ended.stopped and not ended.live else 0


@app.command(group=_USE)
def generate(
    bundle: ModelPath,
    /,
    *,
    out: Path,
    settings: GenerateFlags | None = None,  # type: ignore[valid-type]
    loading: LoadFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Make pictures from a seed and write them as PNG files, each marked as generated, and a grid of them.

    Args:
        out: Folder for the files.
    """
    from sightsmith import model

    with model.load(bundle, **given(loading)) as loaded:
        written = loaded.generate(out=out, **given(settings))
    print(written[-1])
    return 0


@app.command(group=_USE)
def encode(
    bundle: ModelPath,
    data: str,
    /,
    *,
    out: Path,
    settings: EncodeFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Write the latents of pictures as .npz, if the model has an encoder: mean, log_variance, path and label of each.

    Args:
        data: The pictures, as of `evaluate --data`: a folder per class, a table …; train, val and test are the model's
            own splits.
        out: File for the latents.
    """
    from sightsmith import model

    with model.load(bundle, backend="torch") as loaded:
        skipped = loaded.encode_to(data, out, **given(settings))
    print(out)
    for one in skipped:
        say(f"skipped {one.key}: {one.why}")
    return int(bool(skipped))


@app.command(group=_LOOK)
def explain(
    bundle: ModelPath,
    item: str,
    /,
    *,
    settings: ExplainFlags | None = None,  # type: ignore[valid-type]
    out: Path | None = None,
    loading: LoadFlags | None = None,  # type: ignore[valid-type]
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> int:
    """Show which parts of a picture or a clip support a class: an overlay (PNG) and the raw map (NPY).

    A model that can be read also writes why, as SVG: the path in a tree, the rule that holds, the nearest training
    pictures.

    Args:
        item: The picture, or the video.
        out: File of the overlay; the others are written beside it. By default ITEM.MODEL.METHOD.png here, or the
            next free name.
    """
    from sightsmith import model
    from sightsmith.explanation.record import REASON, output_paths

    if out is not None:
        output_paths(out, overwrite=overwrite)  # refuses before the work
    with model.load(bundle, **given(loading)) as loaded:
        done = loaded.explain(item, **given(settings))
        stem = f"{Path(item).stem}.{loaded.manifest.name}.{done.method}"
    target = out or (Path(f"{stem}.png") if overwrite else next_free(Path(f"{stem}.png"), ".npy", REASON))
    written = done.save(target, overwrite=overwrite)
    for path in written.values():
        say(f"Wrote {path}")
    files = {name: str(path) for name, path in written.items()}
    print(json_text({**done.to_json(), "files": files}, 2) if as_json else done.to_text())
    return 0


@app.command(group=_MAKE)
def export(
    bundle: ModelPath,
    /,
    *,
    to: Annotated[list[str], Several],
    settings: ExportFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Compile a model for a backend and prove that its answers stay the same; beyond the tolerance nothing is written.

    Args:
        to: One backend or more: openvino, onnx.
    """
    from sightsmith import model

    with model.load(bundle, backend="torch") as loaded:
        done = loaded.export([name for names in to for name in names.split(",")], **given(settings))
    print(done)
    for key, why in done.skipped:
        say(f"skipped {key}: {why}")
    return int(bool(done.skipped))


@app.command(group=_USE)
def serve(
    bundles: Annotated[list[str], Several],
    /,
    *,
    settings: ServeFlags | None = None,  # type: ignore[valid-type]
) -> int:
    """Put models behind HTTP, with a page to try them.

    Args:
        bundles: The models, each as PATH or NAME=PATH.
    """
    from sightsmith import model

    model.serve(bundles, **given(settings))
    return 0


@app.command(group=_LOOK)
def models(
    name: str | None = None,
    /,
    *,
    search: str | None = None,
    task: str | None = None,
    limit: int = 50,
    as_json: AsJson = False,
) -> int:
    """List the nets that `train --model` takes, or show one with its settings.

    Args:
        name: Show this net: settings, paper, licence.
        search: Only names that contain this, or match it as a pattern (`resnet*`).
        task: Show the settings of a task, such as classify.
        limit: How many names at the most.
    """
    from sightsmith import overview

    shown = overview.task(task) if task else overview.net(name) if name else overview.nets(search, limit)
    print(json_text(shown.facts, 2) if as_json else shown.text)
    return 0


@app.command(group=_LOOK)
def doctor(*, port: int | None = None, host: str = "127.0.0.1", as_json: AsJson = False) -> int:
    """Show the machine, the precision chosen on it and why, the backends and the versions.

    Args:
        port: Also tell whether a service could listen on this port.
        host: The address of that port.
    """
    from sightsmith import overview

    found = overview.doctor(host, port)
    print(json_text(found.facts, 2) if as_json else found.text)
    return int(found.failed)


@app.command(group=_LOOK)
def inspect(bundle: ModelPath, /, *, as_json: AsJson = False) -> int:
    """Show the facts of a bundle."""
    from sightsmith.bundle.inspect import inspect_text
    from sightsmith.bundle.store import Bundle

    with Bundle.open(bundle, verify=False) as opened:
        print(json_text(opened.manifest.to_json(), 2) if as_json else inspect_text(opened))
    return 0


@app.command(group=_MAKE)
def card(
    bundle: ModelPath,
    /,
    *,
    papers: CardFlags | None = None,  # type: ignore[valid-type]
    source: Annotated[Path | None, Parameter(name="--from")] = None,
) -> int:
    """Print a model's card, after filling in the statements of its makers.

    Args:
        source: TOML file with the texts: intended_use, limits, licence; flags win over it.
    """
    from sightsmith import model

    texts = merged(read_toml(source) if source else {}, given(papers))
    with model.load(bundle) as loaded:
        print(loaded.card(**texts), end="")
    if texts:
        say(f"Wrote the card of {bundle}.")
    return 0


@app.command(group=_LOOK)
def verify(bundle: ModelPath, /, *, loading: LoadFlags | None = None) -> int:  # type: ignore[valid-type]
    """Check every byte of a bundle, and that it still reproduces its witnesses."""
    from sightsmith import model
    from sightsmith.bundle.store import Bundle
    from sightsmith.bundle.store import verify as problems_of

    with Bundle.open(bundle, verify=False) as opened:
        problems = problems_of(opened)
    if problems:
        found = "\n  ".join(problems)
        raise BundleError(f"{bundle}: {found}. Do not trust this bundle: copy it again from where it was made.")
    with model.load(bundle, **given(loading)) as loaded:
        proof = loaded.replay()
    print(f"{bundle}: every file is as it was written; {proof}, {loaded.why}.")
    return 0


def main() -> None:
    """Run the command line."""
    share_cores()
    words = _with_task_named(sys.argv[1:])
    sys.exit(exit_code_of(lambda: app(words, exit_on_error=False, print_error=False, result_action="return_value")))


def _with_task_named(words: list[str]) -> list[str]:
    """Write `train … --task gan` out as `--task.name gan`: a table of settings takes no word of its own."""
    if words[:1] != ["train"]:
        return words
    return [re.sub(r"^--task(?==|$)", "--task.name", word) for word in words]


if __name__ == "__main__":
    main()
