"""Training of the embedded network on drawings, determined by a seed.

Every training image is a new drawing, so the network never sees one twice. Test images use another
stream of random numbers, and photographs that are not in any training image.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float, Int64
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pipeline.images.bundled import bundled_photographs
from pipeline.miniature.labeled import labeled_drawings
from pipeline.miniature.lightning_trainer import quiet_lightning, trainer
from pipeline.miniature.network import (
    CLASSES,
    COLORS,
    INPUT_SIZE,
    KINDS,
    MEAN,
    ORIENTATIONS,
    STD,
    Miniature,
    normalized,
)

# One colored photograph and one texture.
HELD_OUT = ("chelsea", "gravel")
WARM_UP = 0.1  # share of steps in which the learning rate rises to its peak
# Kernels of the first layer start near zero and decay faster than the others, so that the final
# kernels are learned and smooth: initial noise would fade too slowly.
FIRST_LAYER_SCALE = 0.05
FIRST_LAYER_DECAY = 5.0
# The streams of random numbers derived from one seed.
WEIGHTS, TRAINING, TEST = range(3)


class Drawings:
    """Batches of normalized drawings and class indices, the same in every iteration."""

    def __init__(
        self, photographs: Sequence[Float[Tensor, "3 _ _"]], batch: int, batches: int, seed: int
    ) -> None:
        self.photographs = photographs
        self.batch = batch
        self.batches = batches
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "batch 3 size size"], Tensor]]:
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.batches):
            images, labels = labeled_drawings(self.photographs, self.batch, INPUT_SIZE, generator)
            yield normalized(images), labels

    def __len__(self) -> int:
        return self.batches


class MiniatureTraining(lightning.LightningModule):
    """Cross-entropy by AdamW with a short warm-up and a cosine decay to zero."""

    def __init__(
        self, network: nn.Module, steps: int, learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__()
        self.network = network
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.losses: list[float] = []

    def training_step(
        self, batch: tuple[Float[Tensor, "batch 3 size size"], Int64[Tensor, " batch"]]
    ) -> Float[Tensor, ""]:
        """Return the batch's mean cross-entropy in nats, and keep it in ``losses``."""
        images, labels = batch
        loss = cross_entropy(self.network(images), labels)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW, with weight decay on the kernels only, and its schedule by step."""
        first, *kernels = [p for p in self.network.parameters() if p.ndim > 1]
        biases = [p for p in self.network.parameters() if p.ndim == 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": [first], "weight_decay": FIRST_LAYER_DECAY * self.weight_decay},
                {"params": kernels, "weight_decay": self.weight_decay},
                {"params": biases, "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _learning_rate_factor(self, step: int) -> float:
        warm_up = max(1, round(WARM_UP * self.steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, self.steps - warm_up))


@dataclass(frozen=True)
class TrainingSettings:
    """What tells one training from another.

    Attributes:
        seed: of the weights and of all images.
        steps: number of training steps.
        batch: images per step.
        learning_rate: its peak.
        weight_decay: AdamW's, decoupled.
        test_images: number of images that the accuracies are measured on.
        accelerator: Lightning's name of one device.
    """

    seed: int = 0
    steps: int = 2500
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.2
    test_images: int = 3000
    accelerator: str = "cpu"


def train_miniature(settings: TrainingSettings) -> tuple[Miniature, dict[str, Any]]:
    """Return the trained network, and the record of its training with the test accuracies.

    The same settings give the same weights on the same kind of device and number of threads. The
    default ones take about ten minutes on two CPU cores.
    """
    seed = settings.seed
    # On CPUs, channels-last convolutions take two thirds of the time.
    network = Miniature().to(memory_format=torch.channels_last)
    initialize(network, torch.Generator().manual_seed(stream(seed, WEIGHTS)))
    module = MiniatureTraining(
        network, settings.steps, settings.learning_rate, settings.weight_decay
    )
    photographs, _ = split_photographs()
    drawings = Drawings(
        list(photographs.values()), settings.batch, settings.steps, stream(seed, TRAINING)
    )
    begin = time.perf_counter()
    with quiet_lightning():
        trainer(settings.steps, settings.accelerator).fit(module, drawings)
    seconds = time.perf_counter() - begin

    images, labels = held_out_drawings(settings.test_images, seed)
    return network, {
        **facts(network),
        **_task(),
        "settings": asdict(settings),
        "training_images": settings.steps * settings.batch,
        "training_seconds": round(seconds, 1),
        "last_losses": [round(loss, 4) for loss in module.losses[-5:]],
        "test_accuracy": accuracies(network.cpu(), images, labels),
    }


def split_photographs() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the bundled photographs for training and those for testing, by name.

    Each is a float32 [3, height, width] in pixels 0..1; no photograph is in both.
    """
    pixels = {
        # Copied, since torch warns about read-only arrays.
        name: torch.from_numpy(photograph.copy()).permute(2, 0, 1).float() / 255
        for name, photograph in bundled_photographs().items()
    }
    test = {name: pixels.pop(name) for name in HELD_OUT}
    return pixels, test


def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Set biases to zero and kernels to normal noise of He et al.'s (2015) variance.

    The first layer's kernels are smaller by ``FIRST_LAYER_SCALE``.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layers[0].weight.mul_(FIRST_LAYER_SCALE)


def held_out_drawings(
    count: int, seed: int
) -> tuple[Float[Tensor, "count 3 size size"], Int64[Tensor, " count"]]:
    """Return test images (pixels 0..1) on the held-out photographs, and their class indices."""
    _, photographs = split_photographs()
    generator = torch.Generator().manual_seed(stream(seed, TEST))
    return labeled_drawings(list(photographs.values()), count, INPUT_SIZE, generator)


@torch.no_grad()
def accuracies(
    network: nn.Module,
    images: Float[Tensor, "count 3 size size"],
    labels: Int64[Tensor, " count"],
) -> dict[str, float]:
    """Return the share of images (pixels 0..1) whose class is predicted, overall and by factor.

    Keys: ``class`` (all factors right), ``kind``, ``orientation`` and ``color``.
    """
    network.eval()
    predicted = torch.cat([network(normalized(some)).argmax(1) for some in images.split(250)])
    right = torch.stack(_factors(predicted)) == torch.stack(_factors(labels))
    scores = {"class": right.all(0).double().mean().item()}
    for factor, hits in zip(("kind", "orientation", "color"), right, strict=True):
        scores[factor] = hits.double().mean().item()
    return scores


def _factors(
    labels: Int64[Tensor, " count"],
) -> tuple[Int64[Tensor, " count"], Int64[Tensor, " count"], Int64[Tensor, " count"]]:
    """Return the indices of kind, orientation and color for a class index."""
    return (
        labels // (len(ORIENTATIONS) * len(COLORS)),
        labels // len(COLORS) % len(ORIENTATIONS),
        labels % len(COLORS),
    )


def facts(network: nn.Module) -> dict[str, Any]:
    """Return facts about every training run of a network."""
    return {
        "architecture": str(network).splitlines(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "input_size": INPUT_SIZE,
        "mean": MEAN,
        "std": STD,
        "held_out_photographs": HELD_OUT,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "pytorch-lightning", "scikit-image")},
        },
    }


def _task() -> dict[str, Any]:
    return {
        "classes": CLASSES,
        "chance": {
            "class": 1 / len(CLASSES),
            "kind": 1 / len(KINDS),
            "orientation": 1 / len(ORIENTATIONS),
            "color": 1 / len(COLORS),
        },
    }


def stream(seed: int, purpose: int) -> int:
    """Return the seed for one purpose, unique for each seed and purpose."""
    return 3 * seed + purpose
