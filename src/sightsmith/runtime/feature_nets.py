"""Features of pictures by a net that is at hand: of a trained bundle, Inception's or DINOv2's; imports torch.

The features are the input of the net's head. Those of Inception are 2,048 numbers at 299×299 pixels, squashed by an
antialiased bicubic filter (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022,
arXiv:2104.11222). FID (Heusel et al., NeurIPS 2017, arXiv:1706.08500) is of the same layer, but of other weights than
torchvision's, so an FD of these is no FID. Those of DINOv2 are the class token's at 224×224, resized alike (Stein et
al., "Exposing Flaws of Generative Model Evaluation Metrics", NeurIPS 2023, arXiv:2306.04675). Deviation: its small net.

Shapes: N pictures, B pictures of a batch, H W C height, width and channels, D features.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BundleError, DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.core.names import did_you_mean
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.progress import track
from sightsmith.kinds.parts.instruments import FeatureNet, Pixels
from sightsmith.nets.build import build_for_features, describe_net, fetch_weights
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.weights import read_state
from sightsmith.runtime.torch_session import rebuild
from sightsmith.tasks.parts.normalise import Normalise

_BATCH = 16
_SUFFIXES = (".safetensors", ".pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A net with published weights."""

    net: str  # name of `build_net`
    side: int  # of its input, in pixels
    file: str  # name of its weights as their makers publish them
    part: str  # name of a tensor that no other one has


PUBLISHED = {
    "inception": Published(
        net="inception_v3.tv_in1k",
        side=299,
        file="inception_v3_google-0cc3c7bd.pth",
        part="Mixed_7c.branch_pool.conv.weight",
    ),
    "dinov2": Published(
        net="vit_small_patch14_dinov2.lvd142m",
        side=224,
        file="dinov2_vits14_pretrain.pth",
        part="blocks.11.ls1.gamma",
    ),
}


def open_features(asked: str, *, quiet: bool = False) -> FeatureNet:
    """Return a net of features.

    Args:
        asked: "inception", "dinov2", a file of the weights of one of them, or the path of a bundle that sees pictures.
        quiet: show no progress.

    Raises:
        SettingsError: there is no such net or file.
        BundleError: the bundle cannot be used, or sees no pictures.
        DataError: the weights are not at hand; the message says where to put them.
    """
    if asked in PUBLISHED:
        return _published(PUBLISHED[asked], _weights(asked), quiet)
    path = Path(asked)
    if path.suffix in _SUFFIXES:
        state = read_state(path)
        found = next((one for one in PUBLISHED.values() if one.part in state), None)
        if found is None:
            raise DataError(
                f"{path}: its weights are neither those of {' nor those of '.join(PUBLISHED)}. Name others."
            )
        return _published(found, path, quiet)
    if not path.exists():
        raise SettingsError(
            f"features {asked!r}: no such bundle. {did_you_mean(asked, list(PUBLISHED))} Or name the path of a bundle."
        )
    with Bundle.open(path) as bundle:
        return _of_bundle(bundle, quiet)


def _of_bundle(bundle: Bundle, quiet: bool) -> FeatureNet:
    manifest, settings = bundle.manifest, bundle.manifest.definition.input_settings
    nets = rebuild(bundle)
    net = next(iter(nets.values()))
    if len(nets) != 1 or not isinstance(net, ClassifierNet) or not isinstance(settings, Preprocessing):
        raise BundleError(
            f"{bundle.path}: features are those of a net that sees pictures, and this one takes a "
            f"{manifest.definition.input}. Name a bundle that was trained to tell what is in pictures."
        )
    about = f"trained on {manifest.data.get('location') or 'data that is not recorded'} ({manifest.net.name})"
    weights = manifest.files[manifest.net.file]
    return _feature_net(f"the bundle {manifest.name}", weights, about, net, settings, quiet)


def _published(one: Published, path: Path, quiet: bool) -> FeatureNet:
    info = describe_net(one.net)
    if info.native is None:
        raise SettingsError(f"{one.net}: it has no published weights.")
    settings = Preprocessing(
        height=one.side,
        width=one.side,
        resize="squash",
        interpolation="bicubic",
        mean=info.native.mean,
        std=info.native.std,
    )
    built = build_for_features(one.net, height=one.side, width=one.side, weights=str(path))
    about = f"published weights, {info.pretrained[0][1]}; {info.paper}"
    return _feature_net(f"{one.net} at {one.side} px", sha256(path), about, built.module, settings, quiet)


def _weights(name: str) -> Path:
    """Return the file of published weights: in torch's cache, or where `train --weights pretrained` has them from."""
    one, folder = PUBLISHED[name], Path(torch.hub.get_dir(), "checkpoints")
    for path in (folder / one.file, folder / one.file.replace(".pth", ".safetensors")):
        if path.is_file():
            return path
    try:
        return fetch_weights(one.net)
    except DataError as error:
        why = str(error).partition(". ")[0]
        raise DataError(
            f"features {name!r}: {why}. Connect to the network, or put the file {one.file} (or its tensors as "
            f"{one.file.replace('.pth', '.safetensors')}) into {folder}, or name such a file: --features FILE."
        ) from error


def _feature_net(
    name: str, digest: str, about: str, net: nn.Module, settings: Preprocessing, quiet: bool
) -> FeatureNet:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net, normalise = net.eval().to(device), Normalise(settings).to(device)

    def features_of(pictures: Iterable[Pixels]) -> NDArray[np.float32]:
        shown = list(pictures)
        found = []
        with torch.inference_mode():
            for pixels_BHWC in _batches(track(shown, "Features", len(shown), quiet=quiet), settings):
                images_BCHW = normalise(torch.from_numpy(pixels_BHWC).to(device))
                found.append(net.head_input(images_BCHW).float().cpu().numpy())  # type: ignore[operator]
        return np.concatenate(found)

    return FeatureNet(name=name, sha256=digest, about=about, features_of=features_of)


def _batches(pictures: Iterable[Pixels], settings: Preprocessing) -> Iterator[NDArray[np.uint8]]:
    seen = (settings.apply(pixels_HWC) for pixels_HWC in pictures)
    while several := list(islice(seen, _BATCH)):
        yield np.stack(several)
