"""Claims: FD on our net's features rises with noise, blur, tint and missing classes; ≥ 1,000 pictures/s on a core.

    python -m benchmarks.feature_net          measures the net that ships in the package
    python -m benchmarks.feature_net train    trains it anew and writes its weights into the package

Training: the net classifies the pictures of each data set (a linear head a set), and estimates how a picture was
changed by noise, blur and tint (one more head; the idea is that of Zhang et al., "AET vs. AED", CVPR 2019,
arXiv:1901.04596). So its features see both contents and flaws. Batch normalisation is folded into the convolutions, and
each feature is scaled to a standard deviation of 1 on the unchanged training pictures. Data without a clear licence
(CIFAR-10, GTSRB, ORL) is not used.

Shapes: N pictures, B batch, C H W channels, height and width, O channels of the next map, K = 9 × C, D features.
"""

import gzip
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.boxes_to_table import tested
from benchmarks.common import claim, data, machine
from sightsmith.kinds.pictures import features
from sightsmith.kinds.pictures.features import resized
from sightsmith.kinds.pictures.frechet import bias, fd, fd_infinite

Pixels = NDArray[np.uint8]

_CHANNELS = (3, 16, 32, 48, 64, 96, 128)
_STEPS, _BATCH, _RATE, _DECAY = 1800, 128, 3e-3, 0.02
_NOISE, _TINT, _SHIFT = 0.25, 0.3, 2  # Largest standard deviation in 0…1, standard deviation of log gains, pixels
_CHANGES = 5  # Noise, blur and the tint of three channels
_SEED = 0
_SPLITS = 12  # Random pairs of samples for the bias of FD
_LEAST = 8  # Sides of boxes in pixels; smaller ones show nothing


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures (N, 32, 32, 3) with one label each, and how often they are drawn."""

    pixels_NHWC: Pixels
    labels_N: NDArray[np.int64]
    weight: float


def fashion(part: str) -> tuple[Pixels, NDArray[np.int64]]:
    """Read the pictures (N, 28, 28, 1) and labels of a part of Fashion-MNIST, "train" or "t10k"."""
    folder = data("fashion_mnist")
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    return np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1), np.frombuffer(labels, np.uint8).astype(np.int64)


def training_sets(rng: np.random.Generator) -> list[Labelled]:
    """Return the training data of the net; `features.TRAINED_ON` has the names and licences."""
    clothes, kinds = fashion("train")
    digits = load_digits()
    strokes = (digits.images * (255 / 16)).round().astype(np.uint8)[..., None]
    lungs = np.load(data("pneumoniamnist") / "pneumoniamnist.npz")
    return [
        Labelled(_all_resized(clothes), kinds, 0.4),
        Labelled(_all_resized(strokes), digits.target.astype(np.int64), 0.1),
        _nouns("1-bodies", rng),
        _nouns("3-heads", rng),
        _crops(_cells(), 0.12),
        _crops(_road(), 0.1),
        Labelled(_all_resized(lungs["train_images"][..., None]), lungs["train_labels"][:, 0].astype(np.int64), 0.08),
    ]


def _all_resized(pictures: Pixels) -> Pixels:
    return np.stack([resized(picture) for picture in pictures])


def _nouns(labelled: str, rng: np.random.Generator) -> Labelled:
    """Return 3,000 combinations of random parts, with the number of one part as label."""
    layers = [sorted(folder.glob("*.png")) for folder in sorted(data("nouns_parts").iterdir()) if folder.is_dir()]
    parts = [[Image.open(file).convert("RGBA") for file in files] for files in layers]
    place = [files[0].parent.name for files in layers].index(labelled)
    drawn_NP = np.stack([rng.integers(len(files), size=3000) for files in layers], axis=1)
    whole = []
    for drawn_P in drawn_NP:
        image = parts[0][drawn_P[0]].copy()
        for layer, number in zip(parts[1:], drawn_P[1:], strict=True):
            image.alpha_composite(layer[number])
        whole.append(np.asarray(image.convert("RGB")))
    return Labelled(_all_resized(np.stack(whole)), drawn_NP[:, place], 0.1)


def _cells() -> Iterator[tuple[Path, str, list[float]]]:
    """Yield the picture, class and corners of each blood cell outside the test part."""
    folder = data("bccd_voc")
    for file in sorted((folder / "Annotations").glob("*.xml")):
        if file.stem not in tested(folder):
            for one in ET.parse(file).iterfind("object"):
                corners = [float(one.findtext(f"bndbox/{side}") or 0) for side in ("xmin", "ymin", "xmax", "ymax")]
                yield (folder / "JPEGImages" / file.name).with_suffix(".jpg"), str(one.findtext("name")), corners


def _road() -> Iterator[tuple[Path, str, list[float]]]:
    """Yield the picture, class and corners of each object in the training part of the road scenes."""
    folder = data("coad_driving_coco") / "train"
    raw = json.loads(next(folder.glob("*.json")).read_text(encoding="utf-8"))
    files = {one["id"]: folder / one["file_name"] for one in raw["images"]}
    for one in raw["annotations"]:
        left, top, width, height = one["bbox"]
        yield files[one["image_id"]], str(one["category_id"]), [left, top, left + width, top + height]


def _crops(boxes: Iterator[tuple[Path, str, list[float]]], weight: float) -> Labelled:
    opened: dict[Path, Image.Image] = {}
    cut, names = [], []
    for file, name, (left, top, right, bottom) in boxes:
        if not file.exists() or min(right - left, bottom - top) < _LEAST:
            continue
        if file not in opened:
            opened[file] = Image.open(file).convert("RGB")
        cut.append(resized(np.asarray(opened[file].crop((round(left), round(top), round(right), round(bottom))))))
        names.append(name)
    return Labelled(np.stack(cut), np.unique(names, return_inverse=True)[1].astype(np.int64), weight)


class Net(nn.Module):
    """The net of `features`, with batch normalisation and the heads that training needs."""

    def __init__(self, classes: list[int]) -> None:
        super().__init__()
        pairs = zip(_CHANNELS[:-1], _CHANNELS[1:], features.STRIDES, strict=True)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, stride, 1, bias=False) for a, b, stride in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in _CHANNELS[1:])
        self.heads = nn.ModuleList(nn.Linear(features.DIMENSIONS, count) for count in classes)
        self.changes = nn.Linear(features.DIMENSIONS, _CHANGES)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the features (B, D) of images in -1…1."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            images_BCHW = F.relu(norm(convolution(images_BCHW)))
        return images_BCHW.mean(dim=(2, 3))

    def layers(self) -> features.Layers:
        """Return the weights and biases with the normalisation folded in."""
        folded = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            gain_C = norm.weight / (norm.running_var + norm.eps).sqrt()
            weights = convolution.weight * gain_C[:, None, None, None]
            biases = norm.bias - norm.running_mean * gain_C
            weights_KO = weights.permute(2, 3, 1, 0).reshape(-1, len(gain_C))
            folded.append((weights_KO.detach().numpy(), biases.detach().numpy()))
        return tuple(folded)


def changed(images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return images in 0…1 after a shift, tint, blur and noise, and their amounts, (B, 5), half of which are 0."""
    count = len(images_BCHW)
    amount_B5 = torch.cat([torch.rand(count, 2), torch.randn(count, 3)], dim=1)
    amount_B5 *= (torch.rand(count, 3) < 0.5).float()[:, [0, 1, 2, 2, 2]]
    noise_B, blur_B, tint_B3 = amount_B5[:, 0], amount_B5[:, 1], amount_B5[:, 2:]
    down, right = torch.randint(0, 2 * _SHIFT + 1, (2,)).tolist()
    wide_BCHW = F.pad(images_BCHW, (_SHIFT,) * 4, mode="replicate")
    images_BCHW = wide_BCHW[:, :, down : down + features.SIDE, right : right + features.SIDE]
    images_BCHW = (images_BCHW * torch.exp(_TINT * tint_B3)[:, :, None, None]).clamp(0, 1)
    row = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    kernel = torch.outer(row, row).expand(3, 1, 5, 5)
    soft_BCHW = F.conv2d(F.pad(images_BCHW, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    images_BCHW = torch.lerp(images_BCHW, soft_BCHW, blur_B[:, None, None, None])
    noise_BCHW = torch.randn_like(images_BCHW)
    noise_BCHW[::2] = noise_BCHW[::2, :1]  # equal in all channels, as in grey pictures
    noisy_BCHW = images_BCHW + _NOISE * noise_B[:, None, None, None] * noise_BCHW
    return noisy_BCHW.clamp(0, 1), amount_B5


def trained(sets: list[Labelled], rng: np.random.Generator) -> Net:
    """Train the net for a fixed number of steps."""
    net = Net([int(one.labels_N.max()) + 1 for one in sets])
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_STEPS)
    shares = np.array([one.weight for one in sets])
    counts = (shares / shares.sum() * _BATCH).round().astype(int)
    start = time.perf_counter()
    for step in range(_STEPS):
        picked = [rng.integers(len(one.labels_N), size=count) for one, count in zip(sets, counts, strict=True)]
        pixels = np.concatenate([one.pixels_NHWC[at] for one, at in zip(sets, picked, strict=True)])
        images_BCHW, amount_B5 = changed(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        with torch.autocast("cpu", torch.bfloat16):
            features_BD = net((images_BCHW * 2 - 1).contiguous(memory_format=torch.channels_last))
        features_BD = features_BD.float()
        losses = [F.mse_loss(net.changes(features_BD), amount_B5)]
        for head, part_BD, one, at in zip(net.heads, features_BD.split(counts.tolist()), sets, picked, strict=True):
            losses.append(F.cross_entropy(head(part_BD), torch.from_numpy(one.labels_N[at])) * len(at) / _BATCH)
        loss = losses[0] + sum(losses[1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            each = ", ".join(f"{one.item():.3f}" for one in losses)
            print(f"step {step + 1}, {time.perf_counter() - start:.0f} s: changes and classes {each}", flush=True)
    return net.eval()


def scaled(layers: features.Layers, sets: list[Labelled]) -> features.Layers:
    """Scale the last layer so that each feature has a standard deviation of 1 on the pictures of all sets alike."""
    found = [features.computed(layers, pixels) for one in sets for pixels in np.array_split(one.pixels_NHWC[:1024], 16)]
    spread_C = np.concatenate(found).std(axis=0)
    weights_KO, biases_O = layers[-1]
    gain_C = 1 / np.where(spread_C > 0, spread_C, 1)
    return (*layers[:-1], (weights_KO * gain_C, biases_O * gain_C))


def train() -> None:
    """Train the net and write its weights into the package."""
    torch.manual_seed(_SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(_SEED)
    sets = training_sets(rng)
    print(", ".join(f"{len(one.labels_N)} pictures of {one.labels_N.max() + 1} classes" for one in sets), flush=True)
    net = trained(sets, rng)
    layers = scaled(net.layers(), sets)
    halves = {f"weights_{at}": weights_KO.astype(np.float16) for at, (weights_KO, _) in enumerate(layers)}
    halves |= {f"biases_{at}": biases_O.astype(np.float16) for at, (_, biases_O) in enumerate(layers)}
    save_file({name: np.ascontiguousarray(halves[name]) for name in sorted(halves)}, features.WEIGHTS)
    pictures, labels_N = fashion("t10k")
    test_NHWC = _all_resized(pictures)
    full_ND = np.concatenate([features.computed(layers, pixels) for pixels in np.array_split(test_NHWC, 100)])
    half_ND = np.concatenate([features.computed(features.load_layers(), one) for one in np.array_split(test_NHWC, 100)])
    with torch.inference_mode():
        answers_N = net.heads[0](net_features(net, test_NHWC)).argmax(dim=1).numpy()
    print(f"Fashion-MNIST test accuracy of the head: {(answers_N == labels_N).mean():.4f}")
    exact, rounded = (fd(one_ND[:5000], one_ND[5000:][labels_N[5000:] > 0]) for one_ND in (full_ND, half_ND))
    claim("FD, change by weights in float16", abs(rounded / exact - 1), 0.001, unit="", at_most=True)
    digest = hashlib.sha256(features.WEIGHTS.read_bytes()).hexdigest()
    print(f"{features.WEIGHTS.stat().st_size} bytes; set SHA256 in features.py to {digest}")


def net_features(net: Net, pixels_NHWC: Pixels) -> Tensor:
    """Return the unscaled features (N, D) from torch."""
    parts = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).split(500)
    return torch.cat([net(part.float() / 127.5 - 1) for part in parts])


def measure() -> bool:
    """Print FD under changes of the Fashion-MNIST test pictures, and the speed; tell whether the claims hold."""
    pictures, labels_N = fashion("t10k")
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(pictures))
    real, made, labels_M = pictures[order[:5000]], pictures[order[5000:]], labels_N[order[5000:]]
    real_ND = features.features_of(real)
    blurred = {radius: [_blurred(one, radius) for one in made] for radius in (0, 0.5, 1, 2)}
    steps = {
        "noise, standard deviation in levels": {sigma: _noisy(made, sigma, rng) for sigma in (0, 8, 16, 32, 64)},
        "blur, radius in pixels": blurred,
        "tint, red × and blue ÷": {gain: _tinted(made, gain) for gain in (1, 1.1, 1.25, 1.5)},
        "missing classes": {missing: made[labels_M >= missing] for missing in (0, 1, 3, 5, 9)},
    }
    reached = unbiased(features.features_of(pictures), rng)
    for name, levels in steps.items():
        found = {level: fd(real_ND, features.features_of(several)) for level, several in levels.items()}
        print(f"{name}: " + ", ".join(f"{level}: {value:.3g}" for level, value in found.items()), flush=True)
        rises = np.diff(list(found.values()))
        reached.append(claim(f"{name}: least rise of FD", float(rises.min()), 0, unit=""))
    start = time.process_time()
    features.features_of(made)
    rate = len(made) / (time.process_time() - start)
    reached.append(claim("pictures of 28×28 in a second of one core", rate, 1000, unit="pictures/s"))
    return all(reached)


def unbiased(features_ND: NDArray[np.float32], rng: np.random.Generator) -> list[bool]:
    """Compare FD of pairs of samples from one set, whose true value is 0, with its bias by the formula and with FD∞."""
    reached = []
    for count in (1024, 2500, 5000):
        orders = [rng.permutation(len(features_ND)) for _ in range(_SPLITS)]
        pairs = [(features_ND[order[:count]], features_ND[order[count : 2 * count]]) for order in orders]
        plain, extrapolated = (np.array([function(*pair) for pair in pairs]) for function in (fd, fd_infinite))
        expected = bias(features_ND, [count, count])
        print(
            f"{count} pictures each: FD {plain.mean():.3f} ± {plain.std():.3f}, bias by the formula {expected:.3f}, ",
            end="",
        )
        print(f"FD∞ {extrapolated.mean():.3f} ± {extrapolated.std():.3f}", flush=True)
        reached.append(claim("FD of two samples against its bias", plain.mean() / expected, 1.2, at_most=True))
    return reached


def _noisy(pictures: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    return (pictures + rng.normal(0, sigma, pictures.shape)).clip(0, 255).round().astype(np.uint8)


def _blurred(picture: Pixels, radius: float) -> Pixels:
    return np.asarray(Image.fromarray(picture[:, :, 0]).filter(ImageFilter.GaussianBlur(radius)))[..., None]


def _tinted(pictures: Pixels, gain: float) -> Pixels:
    return (pictures * np.array([gain, 1, 1 / gain])).clip(0, 255).round().astype(np.uint8)


if __name__ == "__main__":
    print(machine())
    if sys.argv[1:] == ["train"]:
        train()
    sys.exit(not measure())
