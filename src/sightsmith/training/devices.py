"""The device and the arithmetic that training takes unless told otherwise, each with the reason."""

import torch

from sightsmith.core.machine import Machine


def best_device() -> tuple[str, str]:
    """Return the fastest device that torch can use here: cuda, mps or cpu."""
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "mps", "the graphics of this machine"
    return "cpu", "no GPU found"


def best_precision(device: str, machine: Machine) -> tuple[str, str]:
    """Return bf16 where a device multiplies it itself, else fp32."""
    if device.startswith("cuda"):
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bf16", "the GPU multiplies it itself") if able else ("fp32", "the GPU has no bf16")
    if device == "cpu" and machine.bf16:
        return "bf16", f"the processor multiplies it itself ({'AMX' if machine.amx else 'AVX512-BF16'})"
    return "fp32", "no bf16 in hardware"
