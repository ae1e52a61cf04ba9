"""Latents of pictures, of a model whose task has an encoder.

The encoder is no part of the exported graph, so it runs in PyTorch, in fp32, from the weights of the bundle. This file
imports torch, and is imported by what needs it alone.

Shapes: N pictures, D latents, H W C height, width and channels of the pictures that the model makes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.core.files import new_file, refuse_existing, told
from sightsmith.core.images import Picture
from sightsmith.core.progress import track
from sightsmith.runtime.torch_session import rebuild
from sightsmith.tasks import TASKS

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """The distributions of the latents of pictures, q(z|x) = N(μ, diag σ²)."""

    mean_ND: NDArray[np.float32]  # μ
    log_variance_ND: NDArray[np.float32]  # ln σ²

    @property
    def kl_ND(self) -> NDArray[np.float32]:
        """The KL divergence of each from N(0, 1), in nats."""
        kl_ND: NDArray[np.float32] = 0.5 * (self.mean_ND**2 + np.expm1(self.log_variance_ND) - self.log_variance_ND)
        return kl_ND

    def save(self, path: Path, paths: Sequence[str], label: Sequence[str], *, overwrite: bool) -> None:
        """Write them as .npz, whole or not at all: `mean`, `log_variance`, `path` and `label` of each picture.

        Raises OutputExistsError, OutputError: there is a file already, or the disk has no room.
        """
        refuse_existing(path, overwrite=overwrite)
        path_N, label_N = np.array(paths, dtype=np.str_), np.array(label, dtype=np.str_)
        with told(path), new_file(path) as partial, partial.open("wb") as file:
            np.savez(file, mean=self.mean_ND, log_variance=self.log_variance_ND, path=path_N, label=label_N)


def has_encoder(manifest: Manifest) -> bool:
    """Tell whether a bundle has the encoder of its task."""
    task = TASKS.module(manifest.task.name)
    return hasattr(task, "coder") and task.NETS.keys() <= manifest.nets.keys()


class Encoder:
    """The encoder of a bundle, and the decoder of its latents.

    Raises SettingsError: the model has no encoder.
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        if not has_encoder(manifest):
            raise SettingsError(
                f"{manifest.name} has no encoder: the task {manifest.task.name!r} keeps none, so there are no latents "
                "of pictures. `sightsmith train DATA --task vae` trains a model that has one."
            )
        self.definition, self._name = manifest.definition, manifest.name
        self._coder = TASKS.module(manifest.task.name).coder(rebuild(bundle), manifest.definition.graph.settings)

    def encode(self, pictures: Sequence[Picture], targets: Sequence[int] = (), *, quiet: bool = True) -> Latents:
        """Return the latents of pictures, which are fitted to the model's input as in its training.

        Args:
            pictures: paths, encoded bytes, arrays or PIL images.
            targets: the index of each one's class, for a model that knows classes; others need none.
            quiet: show no progress.

        Raises:
            PictureError: one cannot be decoded.
            SettingsError: classes are missing, or not as many as pictures.
        """
        targets_N = self._given(targets, len(pictures))
        read, tracked = self.definition.input_settings.real, track(pictures, "Encoding", quiet=quiet)
        coded = []
        for start in range(0, len(pictures), _BATCH):
            pixels_BHWC = np.stack([read.apply(picture) for picture in islice(tracked, _BATCH)])
            with torch.inference_mode():
                given_B = None if targets_N is None else targets_N[start : start + _BATCH]
                coded.append(self._coder.encode(torch.from_numpy(pixels_BHWC), given_B))
        mean_ND, log_variance_ND = (torch.cat(parts).numpy() for parts in zip(*coded, strict=True))
        return Latents(mean_ND=mean_ND, log_variance_ND=log_variance_ND)

    def decode(self, latents_ND: NDArray[np.float32], targets: Sequence[int] = ()) -> Iterator[NDArray[np.uint8]]:
        """Yield the pictures of latents, (H, W, C) each; the arguments are as of `encode`."""
        targets_N = self._given(targets, len(latents_ND))
        for start in range(0, len(latents_ND), _BATCH):
            part = slice(start, start + _BATCH)
            with torch.inference_mode():
                given_B = None if targets_N is None else targets_N[part]
                made_BHWC = self._coder.decode(torch.from_numpy(latents_ND[part]), given_B)
            yield from made_BHWC.round().clamp(0, 255).byte().numpy()

    def _given(self, targets: Sequence[int], count: int) -> Tensor | None:
        if not self.definition.names:
            return None
        if len(targets) != count:
            raise SettingsError(
                f"{self._name} knows {len(self.definition.names)} classes, and its encoder needs the class of each "
                f"picture: give {count} labels, not {len(targets)}. A model that was trained with --task.labels no "
                "needs none."
            )
        return torch.tensor(targets, dtype=torch.int64)
