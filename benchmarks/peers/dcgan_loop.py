"""The usual DCGAN loop of tutorials: binary cross-entropy, batch normalisation in both nets, fp32, no running average.

    python dcgan_loop.py ARCHIVE.npz OUT.npz SECONDS SEED

It trains for SECONDS, then makes pictures with the statistics of its own batches and with those of the training.
Each minute 2,000 pictures are kept for the curve; their time does not count.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

from sightsmith.nets import dcgan

BATCH, MINUTE, CURVE, PICTURES = 64, 60.0, 2_000, 10_000


def as_published(discriminator: dcgan.Discriminator) -> dcgan.Discriminator:
    """Normalise by batches, and start from the weights of the paper (arXiv:1511.06434, sections 3 and 4)."""
    for position, layer in enumerate(discriminator.features):
        if isinstance(layer, nn.InstanceNorm2d):
            norm = nn.BatchNorm2d(layer.num_features)
            nn.init.normal_(norm.weight, 1.0, 0.02)
            discriminator.features[position] = norm
    for layer in discriminator.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return discriminator


@torch.inference_mode()
def made(generator: nn.Module, count: int, *, own: bool) -> np.ndarray:
    """Return pictures (count, 28, 28) uint8; `own`: normalised by the statistics of the batches they are made in."""
    generator.train(own)
    momenta = {norm: norm.momentum for norm in generator.modules() if isinstance(norm, nn.BatchNorm2d)}
    for norm in momenta:
        norm.momentum = 0.0  # making pictures must not change the statistics of the training
    parts = [generator(torch.randn(min(250, count - at), 100)) for at in range(0, count, 250)]
    for norm, momentum in momenta.items():
        norm.momentum = momentum
    generator.train()
    return ((torch.cat(parts)[:, 0] + 1) * 127.5).round().clamp(0, 255).byte().numpy()


def main() -> None:
    archive, out, seconds, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    images_N1HW = torch.from_numpy(np.load(archive)["train_images"])[:, None]
    size = {"channels": 1, "classes": 0, "height": 28, "width": 28}
    generator = dcgan.build(dcgan.Settings(), role="generator", **size)
    discriminator = as_published(dcgan.build(dcgan.Settings(), role="discriminator", **size))
    adams = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (discriminator, generator)]
    criterion = nn.BCEWithLogitsLoss()
    real_B, fake_B = torch.ones(BATCH), torch.zeros(BATCH)
    spent, steps, curve, order = 0.0, 0, [], torch.empty(0)
    while spent < seconds:
        started = time.perf_counter()
        if len(order) < BATCH:
            order = torch.randperm(len(images_N1HW))
        batch_B, order = order[:BATCH], order[BATCH:]
        real_B1HW = images_N1HW[batch_B].float() / 127.5 - 1
        discriminator.zero_grad()
        criterion(discriminator(real_B1HW), real_B).backward()
        fake_B1HW = generator(torch.randn(BATCH, 100))
        criterion(discriminator(fake_B1HW.detach()), fake_B).backward()
        adams[0].step()
        generator.zero_grad()
        criterion(discriminator(fake_B1HW), real_B).backward()
        adams[1].step()
        steps += 1
        before, spent = spent, spent + time.perf_counter() - started
        if spent // MINUTE > before // MINUTE:
            curve.append((spent, made(generator, CURVE, own=True)))
            print(f"dcgan loop: {spent:.0f} s, {steps} steps", flush=True)
    np.savez(
        out,
        seconds=spent,
        steps=steps,
        curve_seconds=np.array([at for at, _ in curve]),
        curve=np.stack([pictures for _, pictures in curve]) if curve else np.empty((0, CURVE, 28, 28), np.uint8),
        **{
            "batch statistics": made(generator, PICTURES, own=True),
            "running statistics": made(generator, PICTURES, own=False),
        },
    )


main()
