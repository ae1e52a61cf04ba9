"""The VAE of `pythae` with its own trainer and samplers, in an environment of its own.

    python pythae_vae.py ARCHIVE.npz OUT.npz SECONDS SEED mlp|conv

`mlp` is its default net; `conv` has the layers of Sightsmith's `vae` (its own convolutions for MNIST make 25 steps a
minute on a core). Pictures come from its normal sampler and from its mixture of ten normal distributions fitted to the
latents. Each minute 2,000 pictures of the normal sampler are kept for the curve; their time does not count.
"""

import sys
import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

MINUTE, CURVE, PICTURES = 60.0, 2_000, 10_000


class Encoder(BaseEncoder):
    """Two convolutions that halve the sides, each with batch normalisation."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()),
        )
        self.mean, self.log_variance = nn.Linear(64 * 49, latents), nn.Linear(64 * 49, latents)

    def forward(self, images_B1HW: Tensor) -> ModelOutput:
        features_BF = self.features(images_B1HW)
        return ModelOutput(embedding=self.mean(features_BF), log_covariance=self.log_variance(features_BF))


class Decoder(BaseDecoder):
    """Two transposed convolutions that double the sides."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(latents, 64 * 49, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid()),
        )

    def forward(self, latents_BD: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(latents_BD))


class TimeIsUpError(Exception):
    """Ends the training."""


class Clock(TrainingCallback):
    """Ends the training after some seconds, and keeps pictures each minute."""

    def __init__(self, model: VAE, seconds: float) -> None:
        self.model, self.seconds = model, seconds
        self.spent, self.steps, self.curve, self.started = 0.0, 0, [], 0.0

    def on_train_step_begin(self, *_, **__) -> None:
        self.started = self.started or time.perf_counter()

    def on_train_step_end(self, *_, **__) -> None:
        self.steps += 1
        now = time.perf_counter()
        before, self.spent = self.spent, self.spent + now - self.started
        if self.spent // MINUTE > before // MINUTE:
            self.model.eval()
            self.curve.append((self.spent, levels(NormalSampler(model=self.model), CURVE)))
            self.model.train()
            print(f"pythae: {self.spent:.0f} s, {self.steps} steps", flush=True)
        if self.spent >= self.seconds:
            raise TimeIsUpError
        self.started = time.perf_counter()


def levels(sampler, count: int) -> np.ndarray:
    """Return pictures (count, 28, 28) uint8."""
    images_N1HW = sampler.sample(num_samples=count, batch_size=250, return_gen=True)
    return (255 * images_N1HW[:, 0]).round().clamp(0, 255).byte().cpu().numpy()


def main() -> None:
    archive, out, seconds, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    nets = sys.argv[5]
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    images_N1HW = torch.from_numpy(np.load(archive)["train_images"])[:, None].float() / 255
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce")
    own = {"encoder": Encoder(16), "decoder": Decoder(16)} if nets == "conv" else {}
    model = VAE(config, **own)
    clock = Clock(model, seconds)
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=10_000,
            learning_rate=1e-3,
            per_device_train_batch_size=64,
            seed=seed,
            no_cuda=True,
        )
        dataset = BaseDataset(images_N1HW, torch.ones(len(images_N1HW)))
        trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=training, callbacks=[clock])
        try:
            trainer.train()
        except TimeIsUpError:
            model.eval()
        mixture = GaussianMixtureSampler(model=model, sampler_config=GaussianMixtureSamplerConfig(n_components=10))
        mixture.fit(images_N1HW)
        curve = [pictures for _, pictures in clock.curve]
        np.savez(
            out,
            seconds=clock.spent,
            steps=clock.steps,
            curve_seconds=np.array([at for at, _ in clock.curve]),
            curve=np.stack(curve) if curve else np.empty((0, CURVE, 28, 28), np.uint8),
            **{
                "normal prior": levels(NormalSampler(model=model), PICTURES),
                "mixture prior": levels(mixture, PICTURES),
            },
        )


main()
