"""Draw the figures of `docs/algorithms.md`: `python docs/figures.py`, or with the names of some and `--out FOLDER`.

Every figure is computed by the functions of Sightsmith on real data that come inside scikit-learn: handwritten digits
(UCI, CC BY 4.0) and a photograph by danielbuechele (CC BY 2.0).

Shapes: N pictures, C channels, H W height and width, K classes or orientations, h w cells of a map.
"""

import argparse
import csv
import io
import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

import sightsmith as ss
from sightsmith.kinds.boxes.matching import RIGHT, WRONG
from sightsmith.kinds.boxes.metrics import RECALLS, average_precision, f1_curve
from sightsmith.nets import smallcnn
from sightsmith.nets.build import build_net
from sightsmith.nets.features import hog, measure
from sightsmith.nets.heads import svm, tree
from sightsmith.nets.parts.assignment import Seen, assign, objects_of
from sightsmith.nets.parts.box_losses import complete_iou
from sightsmith.nets.parts.fitted import Names
from sightsmith.nets.parts.grid import Grid
from sightsmith.nets.parts.tree_head import stepped
from sightsmith.tasks.parts import elbo
from sightsmith.tasks.parts.adversarial import generator_loss

IMAGES = Path(__file__).parent / "images"
BLUE, ORANGE, GREEN, GREY = "#3949ab", "#ef6c00", "#2e7d32", "#616161"
SCENE_CLASSES, SCENES, EPOCHS = (0, 1, 4, 7), 720, 8  # digits, pictures and epochs of the training
WAYS = ("left", "right", "up", "down")  # in which digits move
SIGNED = "RdBu_r"  # a map of numbers of both signs; white is 0

mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "image.cmap": "gray",
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.08,
    }
)


def panels(count: int, height: float, widths: tuple[float, ...] | None = None) -> tuple[Figure, list[Axes]]:
    """Return a figure of 7.4 inches' width with axes side by side."""
    figure = Figure(figsize=(7.4, height))
    axes = figure.subplots(1, count, squeeze=False, width_ratios=widths)[0]
    return figure, list(axes)


def show(axis: Axes, image_HW: NDArray | torch.Tensor, title: str, **options) -> None:
    """Draw an array as a picture without axes."""
    axis.imshow(np.asarray(image_HW), **options)
    axis.set_title(title)
    axis.set_axis_off()


def photograph(top: int, left: int, height: int, width: int) -> torch.Tensor:
    """Return a part of the photograph, grey in 0…1, (1, 1, H, W)."""
    pixels_HW3 = load_sample_image("china.jpg")[top : top + height, left : left + width]
    grey_HW = np.asarray(Image.fromarray(pixels_HW3).convert("L"), dtype=np.float32) / 255
    return torch.from_numpy(grey_HW)[None, None]


def digits(*classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the digits of some classes, (N, 1, 8, 8) in 0…1, and their positions in `classes`, (N,)."""
    raw = load_digits()
    chosen_N = np.isin(raw.target, classes)
    targets_N = np.searchsorted(classes, raw.target[chosen_N])
    return torch.from_numpy(raw.images[chosen_N] / 16).float()[:, None], torch.from_numpy(targets_N)


def convolution() -> Figure:
    """A photograph, its cross-correlation with one kernel, and its convolution, which flips the kernel."""
    image_11HW = photograph(110, 240, 88, 104)
    kernel_33 = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    figure, axes = panels(3, 2.2)
    show(axes[0], image_11HW[0, 0, 1:-1, 1:-1], "photograph x")
    for axis, title, weight_33 in (
        (axes[1], "y of nn.Conv2d: cross-correlation", kernel_33),
        (axes[2], "y with the kernel flipped", kernel_33.flip(0, 1)),
    ):
        layer = torch.nn.Conv2d(1, 1, 3, bias=False)
        layer.weight.data = weight_33[None, None]
        with torch.inference_mode():
            show(axis, layer(image_11HW)[0, 0], title, cmap=SIGNED, vmin=-3, vmax=3)
    figure.colorbar(axes[2].images[0], ax=axes[2], shrink=0.8, ticks=[-3, 0, 3])
    return figure


def pooling() -> Figure:
    """A digit, and its maximum and average pooling by the layers of `smallcnn`."""
    image_11HW = digits(4)[0][2:3]
    figure, axes = panels(3, 2.6)
    drawn = [("digit x", image_11HW)]
    for pool, title in (("max", "max pooling 2×2"), ("avg", "average pooling 2×2")):
        net = smallcnn.build(smallcnn.Settings(pool=pool), channels=1, classes=10, height=8, width=8)
        drawn.append((title, net.pool(image_11HW)))
    for axis, (title, values_11hw) in zip(axes, drawn, strict=True):
        values_hw = 16 * values_11hw[0, 0].numpy()
        show(axis, values_hw, title, vmin=0, vmax=16)
        for (row, column), value in np.ndenumerate(values_hw):
            colour = "black" if value > 8 else "white"
            axis.text(column, row, f"{value:.4g}", ha="center", va="center", color=colour, fontsize=8)
        for line in range(2, 8, 2):
            if len(values_hw) == 8:
                axis.axhline(line - 0.5, color=ORANGE, linewidth=0.8)
                axis.axvline(line - 0.5, color=ORANGE, linewidth=0.8)
    return figure


def scenes(folder: Path, count: int) -> None:
    """Write pictures of 40×40 pixels: a digit at a random place among pieces of others, a folder a class."""
    rng = np.random.default_rng(0)
    images_N1HW, targets_N = digits(*SCENE_CLASSES)
    larger_N1HW = F.interpolate(images_N1HW, size=16, mode="bilinear")
    for number in range(count):
        canvas_HW = np.zeros((40, 40), dtype=np.float32)
        for _ in range(10):
            piece = int(rng.integers(len(larger_N1HW)))
            top, left, y, x = *rng.integers(0, 11, 2), *rng.integers(0, 36, 2)
            canvas_HW[y : y + 5, x : x + 5] = larger_N1HW[piece, 0, top : top + 5, left : left + 5]
        y, x = rng.integers(0, 25, 2)
        place_HW = canvas_HW[y : y + 16, x : x + 16]
        np.maximum(place_HW, larger_N1HW[number, 0].numpy(), out=place_HW)
        path = folder / str(SCENE_CLASSES[int(targets_N[number])]) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * canvas_HW).astype(np.uint8)).save(path)


@cache
def learned() -> tuple[list[dict[str, float]], list[tuple[NDArray, NDArray, NDArray]]]:
    """Train the net `attention` on the scenes.

    Returns:
        the figures of each epoch, and of one picture of each class the picture, its attention and its heat over it.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "scenes")
        scenes(pictures, SCENES)
        model = ss.train(
            pictures,
            out=Path(folder, "model"),
            model="attention",
            net={"width": 16},
            task={"label_smoothing": 0.0},
            epochs=EPOCHS,
            size=40,
            flip="none",
            precision="fp32",
            workers=0,
            quiet=True,
        )
        with Path(folder, "model/report/metrics.csv").open(encoding="utf-8") as file:
            epochs = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        tested = model.bundle.splits()["test"]
        attended = []
        for label in map(str, SCENE_CLASSES):
            path = pictures / next(key for key in sorted(tested) if key.startswith(f"{label}/"))
            found = model.explain(path, method="attention")
            attended.append((np.asarray(Image.open(path)), found.raw, np.asarray(found.overlay())))
    return epochs, attended


def cross_entropy() -> Figure:
    """The loss of one picture by the probability of its class, and the mean loss of a real training."""
    epochs, _ = learned()
    figure, axes = panels(2, 2.6)
    share_N = np.linspace(0.005, 1, 300)
    axes[0].plot(share_N, -np.log(share_N), color=BLUE)
    axes[0].set(
        xlabel="softmax probability of the true class", ylabel="loss in nats", title="one picture: −ln p", ylim=0
    )
    number_E = [row["epoch"] for row in epochs]
    for key, colour, label in (("train_loss", BLUE, "training"), ("val_loss", ORANGE, "validation")):
        axes[1].plot(number_E, [row[key] for row in epochs], color=colour, marker="o", markersize=3, label=label)
    guess = math.log(len(SCENE_CLASSES))
    axes[1].axhline(guess, color=GREY, linestyle="--", linewidth=0.8)
    axes[1].text(number_E[-1], guess, "all classes alike: ln 4", ha="right", va="bottom", color=GREY)
    axes[1].set(xlabel="epoch", ylabel="mean loss in nats", title="training the net attention", ylim=(0, 1.6))
    axes[1].legend(loc="center right")
    return figure


def attention() -> Figure:
    """Scenes, and the attention weights of the trained net over their positions."""
    _, attended = learned()
    figure = Figure(figsize=(7.4, 3.9))
    axes = figure.subplots(2, len(attended), squeeze=False)
    for digit, (above, below), (image_HW, weights_hw, overlay_HW3) in zip(SCENE_CLASSES, axes.T, attended, strict=True):
        show(above, image_HW, f"digit {digit} among pieces")
        show(below, overlay_HW3, f"largest weight {weights_hw.max():.2f}\nof {weights_hw.size} positions")
    return figure


def moving(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return clips of digits that move left, right, up or down on black, (N, 8, 1, 24, 24), and which way, (N,)."""
    rng = np.random.default_rng(seed)
    digits_N1HW, _ = digits(*range(10))
    ways_N = rng.integers(0, len(WAYS), count)
    clips_NT1HW = torch.zeros(count, 8, 1, 24, 24)
    for clip_T1HW, way in zip(clips_NT1HW, ways_N, strict=True):
        step = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)][way]) * rng.uniform(1, 2)
        reach = step * 7
        start = rng.uniform(np.maximum(0, -reach), 16 - np.maximum(0, reach))
        digit_1HW = digits_N1HW[rng.integers(len(digits_N1HW))]
        for moment, frame_1HW in enumerate(clip_T1HW):
            row, column = np.rint(start + step * moment).astype(int)
            frame_1HW[:, row : row + 8, column : column + 8] = digit_1HW
    return clips_NT1HW, torch.from_numpy(ways_N)


def recurrent() -> Figure:
    """The answers of a trained LSTM after each frame of a clip, and of the same frames in the opposite order."""
    torch.manual_seed(0)
    net = build_net("lstm", channels=1, classes=len(WAYS), height=24, width=24).module
    clips_NT1HW, ways_N = moving(SCENES, seed=0)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for batch_B in torch.randperm(len(ways_N)).split(20):
            optimiser.zero_grad()
            F.cross_entropy(net(clips_NT1HW[batch_B]), ways_N[batch_B]).backward()
            optimiser.step()
    net.eval()
    test_NT1HW, test_N = moving(40, seed=1)
    clip_1T1HW = test_NT1HW[test_N == 1][:1]
    figure = Figure(figsize=(7.4, 2.9))
    axes = figure.subplots(2, 2, height_ratios=(1, 3))
    for (above, below), frames_1T1HW, title in zip(
        axes.T, (clip_1T1HW, clip_1T1HW.flip(1)), ("frames in order", "the same frames backwards"), strict=True
    ):
        show(above, torch.cat(list(frames_1T1HW[0, :, 0]), dim=1), title)
        for place in range(1, 8):
            above.axvline(24 * place - 0.5, color="white", linewidth=0.8)
        answers, state = [], net.begin(batch=1)
        with torch.no_grad():
            for moment in range(8):
                logits_1K, state = net.step(frames_1T1HW[:, moment], state)
                answers.append(logits_1K.softmax(dim=1)[0].numpy())
        for share_T, way, colour in zip(np.transpose(answers), WAYS, (BLUE, ORANGE, GREEN, GREY), strict=True):
            below.plot(range(1, 9), share_T, color=colour, marker="o", markersize=3, label=way)
        below.set(xlabel="frames seen", ylim=(-0.03, 1.03))
    axes[1, 0].set_ylabel("probability")
    axes[1, 0].legend(loc="center right")
    return figure


def hog_cells() -> Figure:
    """A photograph and the histogram of each cell as strokes along the edges."""
    image_11HW = photograph(100, 170, 128, 192)
    settings = hog.Settings(cell=8, orientations=9, signed=False)
    with torch.inference_mode():
        cells_Khw = hog.build(settings, channels=1, height=128, width=192).histograms(image_11HW)[0].numpy()
    figure, axes = panels(2, 2.7)
    show(axes[0], image_11HW[0, 0], "photograph, cells of 8×8 pixels")
    show(axes[1], np.ones((128, 192)), "edges of each cell, 9 orientations", vmin=0, vmax=1)
    for line in range(8, 192, 8):
        axes[0].axvline(line - 0.5, color=ORANGE, linewidth=0.3)
        if line < 128:
            axes[0].axhline(line - 0.5, color=ORANGE, linewidth=0.3)
    k, row, column = np.indices(cells_Khw.shape).reshape(3, -1)
    length_S = np.sqrt(cells_Khw / cells_Khw.max()).ravel()
    along_S = k * math.pi / settings.orientations + math.pi / 2  # an edge is square to its gradient
    centre_S2 = np.stack([8 * column + 3.5, 8 * row + 3.5], axis=1)
    half_S2 = 4 * length_S[:, None] * np.stack([np.cos(along_S), np.sin(along_S)], axis=1)
    strokes_S22 = np.stack([centre_S2 - half_S2, centre_S2 + half_S2], axis=1)
    axes[1].add_collection(LineCollection(strokes_S22, colors=BLUE, alpha=length_S, linewidths=1))
    return figure


def decision(head: svm.RbfSvm, features_ND: torch.Tensor) -> NDArray:
    """Return the decision for the second of two classes, (N,): the votes of the head hide its size."""
    apart_NS = torch.cdist(features_ND, head.support_SD).square()
    kernel_NS = torch.exp(-head.gamma * apart_NS)
    return -(kernel_NS @ head.dual_KS[0] + head.intercept_P).numpy()


def svm_boundary() -> Figure:
    """Two measures of the digits 1 and 3, and the boundary of an RBF machine at a good γ and at one too large."""
    images_N1HW, targets_N = digits(1, 3)
    names = ("middle", "top")
    measured_ND = measure.build(measure.Settings(), channels=1, height=8, width=8)(images_N1HW)
    features_N2 = measured_ND[:, [measure.Measures.NAMES.index(name) for name in names]]
    x, y = np.meshgrid(np.linspace(-0.15, 0.55, 160), np.linspace(-0.25, 0.25, 160))
    plane_P2 = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1)).float()
    figure, axes = panels(2, 3.2)
    for axis, gamma in zip(axes, (20.0, 2000.0), strict=True):
        head = svm.RbfSvm(svm.Settings(c=10, gamma=gamma))
        head.fit(features_N2, targets_N, Names(names, ("1", "3")))
        values = decision(head, plane_P2).reshape(x.shape)
        axis.contourf(x, y, values, levels=[-99, 0, 99], colors=[BLUE, ORANGE], alpha=0.12)
        axis.contour(x, y, values, levels=[-1, 0, 1], colors=GREY, linestyles=["--", "-", "--"], linewidths=1)
        for label, (name, colour) in enumerate((("digit 1", BLUE), ("digit 3", ORANGE))):
            axis.scatter(*features_N2[targets_N == label].T.numpy(), s=6, color=colour, label=name)
        axis.scatter(*head.support_SD.T.numpy(), s=22, facecolors="none", edgecolors="black", linewidths=0.5)
        axis.set_title(f"γ = {gamma:g}: {len(head.support_SD)} support vectors (ringed)")
        axis.set_xlabel(names[0])
    axes[0].set_ylabel(names[1])
    axes[0].legend(loc="lower right", markerscale=2)
    return figure


def decision_tree() -> Figure:
    """A tree of depth 2 on measures of the digits 0, 1 and 6, each node with its share of each digit."""
    classes = (0, 1, 6)
    images_N1HW, targets_N = digits(*classes)
    features_ND = measure.build(measure.Settings(), channels=1, height=8, width=8)(images_N1HW)
    names = Names(measure.Measures.NAMES, tuple(map(str, classes)))
    head = tree.Tree(tree.Settings(depth=2))
    head.fit(features_ND, targets_N, names)
    figure, (axis,) = panels(1, 2.4)
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(-2.4, 0.4))
    reached = {0: torch.ones(len(targets_N), dtype=torch.bool)}

    def draw(node: int, x: float, depth: int) -> None:
        share_K = head.share_TMK[0, node]
        feature, threshold = int(head.feature_TM[0, node]), float(head.threshold_TM[0, node])
        children = int(head.left_TM[0, node]), int(head.right_TM[0, node])
        leaf = children[0] == node
        says = [f"{int(reached[node].sum())} pictures, Gini {1 - float(share_K.square().sum()):.3f}"]
        says.append(
            "digit " + names.classes[int(share_K.argmax())] if leaf else f"{names.features[feature]} ≤ {threshold:.3f}?"
        )
        colour = (BLUE, ORANGE, GREEN)[int(share_K.argmax())]
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": colour if leaf else GREY}
        axis.text(x, -depth, "\n".join(says), ha="center", va="center", fontsize=8, bbox=box, zorder=2)
        if leaf:
            return
        goes_left_N = stepped(features_ND)[:, feature] <= threshold
        for child, goes_N, word, step in zip(
            children, (goes_left_N, ~goes_left_N), ("yes", "no"), (-1, 1), strict=True
        ):
            reached[child] = reached[node] & goes_N
            to = x + step * 2.0 ** -(depth + 2)
            axis.plot([x, to], [-depth, -depth - 1], color=GREY, linewidth=1, zorder=1)
            axis.text((x + to) / 2, -depth - 0.5, word, ha="center", va="center", fontsize=8, backgroundcolor="white")
            draw(child, to, depth + 1)

    draw(0, 0.5, 0)
    return figure


def vae_divergence() -> Figure:
    """The KL divergence of a latent from N(0, 1), by its mean and by its standard deviation."""
    means_N, deviations_N = torch.linspace(-2.5, 2.5, 201), torch.linspace(0.05, 2.5, 201)
    zeros_N = torch.zeros(201)

    def divergence(mean_N: torch.Tensor, log_variance_N: torch.Tensor) -> torch.Tensor:
        return elbo.kl_divergence(mean_N[:, None], log_variance_N[:, None])[:, 0]

    figure, axes = panels(2, 2.3)
    curves = (
        (means_N, divergence(means_N, zeros_N), "mean μ, for σ = 1", 0.0),
        (deviations_N, divergence(zeros_N, 2 * deviations_N.log()), "standard deviation σ, for μ = 0", 1.0),
    )
    for axis, (at_N, divergence_N, title, best) in zip(axes, curves, strict=True):
        axis.plot(at_N, divergence_N, color=BLUE)
        axis.plot([best], [0], "o", color=ORANGE)
        axis.set(xlabel=title, ylabel="KL divergence, nats", ylim=(-0.1, 3.2))
    return figure


def gan_losses() -> Figure:
    """What the generator may lower, by the logit of a made picture, and how fast each falls."""
    logits_N = torch.linspace(-6, 6, 241, requires_grad=True)
    curves = (
        ("softplus(−D): does not saturate", torch.stack([generator_loss(one[None]) for one in logits_N]), BLUE),
        ("−softplus(D): the game's formula", -F.softplus(logits_N), ORANGE),
    )
    figure, axes = panels(2, 2.5)
    for name, losses_N, colour in curves:
        (slopes_N,) = torch.autograd.grad(losses_N.sum(), logits_N)
        axes[0].plot(logits_N.detach(), losses_N.detach(), color=colour, label=name)
        axes[1].plot(logits_N.detach(), slopes_N, color=colour)
    axes[0].set(xlabel="logit D of a made picture", ylabel="loss of the generator")
    axes[1].set(xlabel="logit D of a made picture", ylabel="slope", ylim=(-1.1, 0.1))
    axes[0].legend(loc="lower left", fontsize=7)
    axes[1].text(-6, -0.15, "known as made:\nnothing is learned", fontsize=7, color=ORANGE, va="top")
    return figure


def yolo_points() -> Figure:
    """The points that learn an object in the first steps, and the losses of a box by how far it is off."""
    grid, box_14 = Grid(96, 96, (8, 16, 32)), torch.tensor([[18.0, 26.0, 66.0, 74.0]])
    objects, _ = objects_of(torch.cat([box_14, torch.zeros(1, 2)], dim=1)[None])
    learn = assign(objects, grid, Seen(grid.squares(6.0)[None], None), reach=15.0)
    chosen_A = torch.zeros(len(grid), dtype=torch.bool)
    chosen_A[learn.points_P] = True
    figure, axes = panels(2, 2.9, (1.0, 1.4))
    left, top, right, bottom = box_14[0].tolist()
    axes[0].add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=ORANGE, linewidth=1.5))
    for stride, size in ((8, 6), (16, 22), (32, 60)):
        own_A = grid.strides_A == stride
        axes[0].scatter(
            *grid.points_A2[own_A & ~chosen_A].T, s=size, facecolors="none", edgecolors=GREY, linewidths=0.5
        )
        axes[0].scatter(*grid.points_A2[own_A & chosen_A].T, s=size, color=BLUE)
    axes[0].set(xlim=(0, 96), ylim=(96, 0), aspect="equal", title="strides 8, 16, 32; blue points learn the box")
    moves_N = torch.linspace(0, 100, 101)
    moved_N4 = box_14 + moves_N[:, None] * torch.tensor([1.0, 0.0, 1.0, 0.0])
    overlaps_N = complete_iou(moved_N4, box_14.expand(101, -1))
    shared_N = (48 - moves_N).clamp(min=0)
    axes[1].plot(moves_N, 1 - shared_N / (96 - shared_N), color=ORANGE, label="1 − IoU: flat once the boxes are apart")
    axes[1].plot(moves_N, 1 - overlaps_N, color=BLUE, label="1 − CIoU")
    axes[1].set(xlabel="pixels that a box of 48 is off", ylabel="loss")
    axes[1].legend(loc="lower right", fontsize=7)
    return figure


def precision_recall() -> Figure:
    """The precision over the recall of ten answers to five objects, and what the average precision reads."""
    right_D = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
    states_D = np.where(right_D == 1, RIGHT, WRONG).astype(np.int8)
    scores_D = np.linspace(0.95, 0.1, len(right_D))
    _, precision_S, recall_S, f1_S = f1_curve(scores_D, states_D, 5)
    largest_R = [precision_S[recall_S >= level].max(initial=0) for level in RECALLS]
    area = average_precision(states_D, np.zeros(len(right_D), int), np.array([5.0]), np.ones((1, 1)))[0]
    figure, axes = panels(2, 2.6)
    axes[0].fill_between(RECALLS, largest_R, step="mid", color=BLUE, alpha=0.15)
    axes[0].plot(RECALLS, largest_R, ".", markersize=2.5, color=BLUE, label=f"read at 101 recalls: AP {area:.2f}")
    axes[0].plot(
        recall_S, precision_S, "o-", markersize=3, linewidth=1, color=ORANGE, label="ten answers, surest first"
    )
    axes[0].set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
    axes[0].legend(loc="lower left", fontsize=7)
    axes[1].plot(scores_D, f1_S, "o-", markersize=3, linewidth=1, color=BLUE)
    best = int(f1_S.argmax())
    axes[1].plot(scores_D[best], f1_S[best], "o", markersize=8, fillstyle="none", color=ORANGE)
    axes[1].set(xlabel="score from which an answer counts", ylabel="F1", title="the threshold with the best F1")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG of at most 256 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    picture = (
        Image.open(buffer).convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    )
    palette, ground = picture.getpalette(), picture.getpixel((0, 0))
    palette[3 * ground : 3 * ground + 3] = 255, 255, 255  # quantising greys the white a little
    picture.putpalette(palette)
    picture.save(path, optimize=True)


FIGURES: dict[str, Callable[[], Figure]] = {
    "convolution": convolution,
    "pooling": pooling,
    "cross-entropy": cross_entropy,
    "attention": attention,
    "recurrent": recurrent,
    "hog": hog_cells,
    "svm": svm_boundary,
    "tree": decision_tree,
    "vae": vae_divergence,
    "gan": gan_losses,
    "yolo": yolo_points,
    "average-precision": precision_recall,
}


def main() -> None:
    """Draw the figures that are asked for."""
    parser = argparse.ArgumentParser(description="Draw the figures of docs/algorithms.md.")
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []], help="figures; all by default")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder to write to")
    asked = parser.parse_args()
    for name in asked.names or FIGURES:
        save(FIGURES[name](), asked.out / f"algorithm-{name}.png")


if __name__ == "__main__":
    main()
