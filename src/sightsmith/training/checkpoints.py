"""Checkpoints without pickle: one safetensors file, the tensors in its body and the rest as JSON in its header.

Lightning's state is a tree of dicts (with text or integer keys), lists, tuples, numbers, text, None and
tensors; it comes back equal, bit for bit and in the same memory layout (fused optimisers walk a parameter and its
state side by side in memory, so the layout is part of the state).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sightsmith.core.errors import TrainingError
from sightsmith.core.files import new_file

_TREE = "sightsmith.tree"


def save_tree(tree: Mapping[str, Any], path: Path) -> None:
    """Write a tree whole or not at all; an existing file stays until the new one is complete.

    Raises TrainingError: the disk is full or cannot be written, or the tree holds something else than data.
    """
    packer = _Packer()
    text = json.dumps(packer.pack(tree))
    try:
        with new_file(path) as partial:
            save_file(packer.tensors, partial, metadata={_TREE: text})
    except (OSError, SafetensorError) as error:
        kept = "The one before it is whole: make room on the disk, then go on with --resume."
        way_out = kept if path.exists() else "Make room on the disk, then train again."
        raise TrainingError(f"{path}: the checkpoint cannot be written ({error}). {way_out}") from error


def load_tree(path: Path) -> dict[str, Any]:
    """Read a file of `save_tree`; tensors are on the CPU.

    Raises TrainingError: there is none, or it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_TREE]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        tree: dict[str, Any] = _unpack(json.loads(text), tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{path}: not a whole checkpoint ({error}). Delete the folder {path.parent} and train again."
        ) from error
    return tree


class SafeCheckpointIO(CheckpointIO):
    """Lightning's checkpoints through `save_tree` and `load_tree`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        save_tree(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:  # noqa: ARG002
        return load_tree(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class _Packer:
    """Converts a tree to JSON and collects its tensors under names that the JSON refers to."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._memory: set[int] = set()

    def pack(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._pack_tensor(value)
        if isinstance(value, Mapping):
            if odd := [key for key in value if type(key) not in {str, int}]:
                raise TrainingError(f"keys in a checkpoint are text or integers; {odd[0]!r} is neither")
            return {"dict": [[key, self.pack(item)] for key, item in value.items()]}
        if isinstance(value, (list, tuple)):
            return {"tuple" if isinstance(value, tuple) else "list": [self.pack(item) for item in value]}
        if value is None or type(value) in {bool, int, float, str}:
            return value
        raise TrainingError(f"a checkpoint holds numbers, text and tensors; {type(value).__name__} is none of them")

    def _pack_tensor(self, tensor: Tensor) -> dict[str, Any]:
        kept = tensor.detach().cpu().contiguous()
        memory = kept.untyped_storage().data_ptr()
        if memory in self._memory:  # safetensors stores each tensor by itself, so shared memory is copied
            kept = kept.clone()
        self._memory.add(memory)
        name = str(len(self.tensors))
        self.tensors[name] = kept
        return {"tensor": name, "channels_last": tensor.dim() == 4 and not tensor.is_contiguous()}


def _unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(packed, dict):
        return packed
    if "tensor" in packed:
        tensor = tensors[packed["tensor"]]
        return tensor.contiguous(memory_format=torch.channels_last) if packed["channels_last"] else tensor
    if "dict" in packed:
        return {key: _unpack(item, tensors) for key, item in packed["dict"]}
    if "tuple" in packed:
        return tuple(_unpack(item, tensors) for item in packed["tuple"])
    return [_unpack(item, tensors) for item in packed["list"]]
