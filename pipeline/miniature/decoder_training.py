"""Training of the embedded generator on drawings, determined by a seed.

It learns to draw a picture from the embedded network's features of it, so that pixels and features
of the two are close. Every training image is a new drawing; test images are drawn on photographs
that are not in any training image.

Source: the loss of Dosovitskiy & Brox (2016), without its discriminator.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from jaxtyping import Float, Int64
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional

from pipeline.miniature.decoder import SLOPE, Decoder, centered, features, shipped_network
from pipeline.miniature.lightning_trainer import quiet_lightning, trainer
from pipeline.miniature.network import Miniature, miniature, normalized
from pipeline.miniature.training import (
    TRAINING,
    WEIGHTS,
    Drawings,
    facts,
    held_out_drawings,
    split_photographs,
    stream,
)
from pipeline.networks.loading.weights import digest_weights

# Weights of the mean squared errors, each as a share of the variance. Layers are positions of ReLUs
# in the network's features.
LAYER_LOSSES = {4: 0.15, 7: 0.25, 11: 0.5}
LARGEST_SHIFT = 3  # pixels by which pictures are moved before features are compared
STATISTICS_IMAGES = 2000  # over which features are standardized
SILENT = 0.05  # share of the median standard deviation below which a feature counts as silent


class DecoderTraining(lightning.LightningModule):
    """Errors of pixels and features by AdamW with a cosine decay to zero.

    Args:
        decoder: decoder with the statistics of its codes.
        network: embedded network, whose features are compared.
        steps: number of training steps.
        learning_rate: its start.
        generator: random numbers for the shifts.
    """

    def __init__(
        self,
        decoder: Decoder,
        network: Miniature,
        steps: int,
        learning_rate: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.network = network
        self.steps = steps
        self.learning_rate = learning_rate
        self.generator = generator
        self.losses: list[float] = []

    def training_step(
        self, batch: tuple[Float[Tensor, "batch 3 size size"], Int64[Tensor, " batch"]]
    ) -> Float[Tensor, ""]:
        """Return the weighted sum of the batch's errors, and keep it in ``losses``."""
        images = centered(batch[0])
        with torch.no_grad():
            codes = self.decoder.standardized(features(self.network, images))
        drawn = normalized(self.decoder(codes))
        down, right = torch.randint(2 * LARGEST_SHIFT + 1, (2,), generator=self.generator).tolist()
        loss = _error(drawn, images)
        layers = zip(
            self._layers(_shifted(drawn, down, right)),
            self._layers(_shifted(images, down, right)),
            LAYER_LOSSES.values(),
            strict=True,
        )
        loss = loss + sum(weight * _error(own, wanted) for own, wanted, weight in layers)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW and its schedule by step."""
        optimizer = torch.optim.AdamW(self.decoder.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _layers(self, images: Float[Tensor, "batch 3 size size"]) -> list[Tensor]:
        found: list[Tensor] = []
        for position, part in enumerate(self.network.features):
            images = part(images)
            if position in LAYER_LOSSES:
                found.append(images)
        return found


@dataclass(frozen=True)
class DecoderSettings:
    """What tells one training from another.

    Attributes:
        seed: of the weights and of all images.
        steps: number of training steps.
        batch: images per step.
        learning_rate: its start.
        test_images: number of images that the errors are measured on.
        accelerator: Lightning's name of one device.
    """

    seed: int = 0
    steps: int = 2400
    batch: int = 16
    learning_rate: float = 3e-3
    test_images: int = 500
    accelerator: str = "cpu"


def train_decoder(settings: DecoderSettings) -> tuple[Decoder, dict[str, Any]]:
    """Return the trained decoder, and the record of its training with the errors on test images.

    The same settings give the same weights on the same kind of device and number of threads. The
    default ones take less than ten minutes of one CPU core.
    """
    seed = settings.seed
    network = shipped_network().to(memory_format=torch.channels_last)
    photographs = list(split_photographs()[0].values())
    generator = torch.Generator().manual_seed(stream(seed, WEIGHTS))
    decoder = Decoder().to(memory_format=torch.channels_last)
    initialize(decoder, generator)
    set_statistics(
        decoder,
        network,
        Drawings(photographs, 100, STATISTICS_IMAGES // 100, stream(seed, TRAINING)),
    )
    module = DecoderTraining(decoder, network, settings.steps, settings.learning_rate, generator)
    drawings = Drawings(photographs, settings.batch, settings.steps, stream(seed, TRAINING))
    begin = time.perf_counter(), time.process_time()
    with quiet_lightning():
        trainer(settings.steps, settings.accelerator).fit(module, drawings)
    seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]

    round_to_half(decoder.cpu())
    images, _ = held_out_drawings(settings.test_images, seed)
    return decoder, {
        **facts(decoder),
        "weights": digest_weights(decoder),
        "network": miniature().identity,
        "settings": asdict(settings),
        "training_images": settings.steps * settings.batch,
        "training_seconds": round(seconds[0], 1),
        "training_cpu_seconds": round(seconds[1], 1),
        "last_losses": [round(loss, 4) for loss in module.losses[-5:]],
        "test_r2": explained(decoder, network.cpu(), images),
    }


def initialize(decoder: Decoder, generator: torch.Generator) -> None:
    """Set biases to zero and kernels to normal noise of He et al.'s (2015) variance."""
    for layer in decoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, SLOPE, generator=generator)
            layer.bias.data.zero_()  # pyright: ignore[reportOptionalMemberAccess]


@torch.no_grad()
def round_to_half(decoder: Decoder) -> None:
    """Round all weights to half precision, in which they are written."""
    for tensor in decoder.state_dict().values():
        tensor.copy_(tensor.half())


@torch.no_grad()
def set_statistics(decoder: Decoder, network: Miniature, drawings: Drawings) -> None:
    """Set the mean and the standard deviation of the features over some drawings."""
    found = torch.cat([features(network, centered(images)) for images, _ in drawings]).double()
    std = found.std(0)
    decoder.code_mean.copy_(found.mean(0))
    decoder.code_std.copy_(torch.where(std > SILENT * std.median(), std, 0.0))


@torch.no_grad()
def explained(
    decoder: Decoder, network: Miniature, images: Float[Tensor, "count 3 size size"]
) -> dict[str, float]:
    """Return the explained share of the variance, on images in pixels 0..1.

    Keys: ``pixels`` (of what differs from mid-gray) and ``codes`` (of the codes of pictures that
    were drawn from codes).
    """
    images = centered(normalized(images))
    codes = torch.cat([decoder.standardized(features(network, some)) for some in images.split(100)])
    drawn = normalized(torch.cat([decoder(some) for some in codes.split(100)]))
    again = torch.cat([decoder.standardized(features(network, some)) for some in drawn.split(100)])
    return {
        name: 1 - _error(own.double(), wanted.double()).item()
        for name, own, wanted in (("pixels", drawn, images), ("codes", again, codes))
    }


def _error(values: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
    """Return the mean squared error as a share of the variance."""
    return functional.mse_loss(values, wanted) / wanted.var(unbiased=False)


def _shifted(
    images: Float[Tensor, "batch 3 size size"], down: int, right: int
) -> Float[Tensor, "batch 3 size size"]:
    """Return images moved over mid-gray, by -``LARGEST_SHIFT`` for 0."""
    height, width = images.shape[2:]
    padded = functional.pad(images, [LARGEST_SHIFT] * 4)
    return padded[:, :, down : down + height, right : right + width]
