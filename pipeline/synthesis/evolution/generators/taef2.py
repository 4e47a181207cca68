"""TAEF2: the decoder of a small autoencoder of photographs, with weights from a file."""

from __future__ import annotations

from math import ceil

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.networks.loading.weights import digest_weights, seeded
from pipeline.synthesis.evolution.generators.fitting import check_fit
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.networks import GeneratorNetwork, check_colors, load
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting

KEY = "generator.taef2"
SCALE = 8  # pixels per place of a code, along each side
LATENTS, WIDTH, POOLED = 32, 64, 256  # channels
STD = 0.9  # standard deviation of codes of photographs, whose mean is about 0
BOUND = 3.0  # codes are squashed into -3..3


def taef2(
    weights: str, encoder: str | None = None, side: int | None = None, fit: str = "crop"
) -> Generator:
    """Generate pictures by the decoder of TAEF2, an autoencoder of photographs.

    A code has 32 values for every 8 x 8 pixels.

    Source: madebyollin/taesd.

    Args:
        weights: path or URL of the decoder's weights.
        encoder: path or URL of the encoder's weights, for starting from images.
        side: rows and columns of a code, whose picture is 8 times as large; by default, as many as
            cover the image.
        fit: ``crop`` shows the middle of pictures, ``resize`` the whole (``fitting``).

    Raises:
        ConfigError: ``side`` is not positive.
        NetworkError: the weights cannot be read or do not fit.
    """
    if side is not None and side < 1:
        raise ConfigError(f"{KEY}.side: {side} is not positive; use 1 or more, or null")
    check_fit(KEY, fit)
    with seeded(0):
        drawing, encoding = Decoder(), Encoder()
    load(KEY, drawing.layers, weights)
    if encoder is not None:
        load(KEY, encoding.layers, encoder)

    def build(setting: Setting) -> BuiltGenerator:
        check_colors(KEY, setting)
        height, width = (side or ceil(length / SCALE) for length in setting.size)
        made = GeneratorNetwork(
            KEY,
            drawing,
            normal_prior(LATENTS * height * width, std=STD),
            (LATENTS, height, width),
            fit,
            None if encoder is None else encoding,
            (SCALE * height, SCALE * width),
        )
        return made.build(setting)

    digest = digest_weights(drawing)
    return Generator(build, digest=digest if encoder is None else digest + digest_weights(encoding))


class Decoder(nn.Module):
    """Maps codes to pictures."""

    def __init__(self) -> None:
        super().__init__()
        first = [Block(pools=True) for _ in range(3)]
        stages: list[nn.Module] = []
        for blocks in (first, _blocks(), _blocks()):
            stages += [*blocks, nn.Upsample(scale_factor=2), _convolution(bias=False)]
        self.layers = nn.Sequential(
            Squash(),
            nn.Conv2d(LATENTS, WIDTH, 3, padding=1),
            nn.ReLU(),
            *stages,
            Block(),
            nn.Conv2d(WIDTH, 3, 3, padding=1),
        )

    def forward(
        self, codes: Float[Tensor, "batch 32 h w"]
    ) -> Float[Tensor, "batch 3 rows columns"]:
        """Return pictures, where 0 is black and 1 is white."""
        return self.layers(codes)


class Encoder(nn.Module):
    """Maps pictures to codes."""

    def __init__(self) -> None:
        super().__init__()
        last = [Block(pools=True) for _ in range(3)]
        stages: list[nn.Module] = []
        for blocks in (_blocks(), _blocks(), last):
            stages += [_convolution(stride=2, bias=False), *blocks]
        self.layers = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, padding=1),
            Block(),
            *stages,
            nn.Conv2d(WIDTH, LATENTS, 3, padding=1),
        )

    def forward(
        self, pictures: Float[Tensor, "batch 3 rows columns"]
    ) -> Float[Tensor, "batch 32 h w"]:
        """Return codes of pictures in pixels 0..1."""
        return self.layers(pictures)


class Squash(nn.Module):
    """Squashes codes into a range."""

    def forward(self, codes: Tensor) -> Tensor:
        """Return codes within -3..3."""
        return (codes / BOUND).tanh() * BOUND


class Block(nn.Module):
    """A residual block, at first with a branch that normalizes over all places."""

    def __init__(self, pools: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _convolution(), nn.ReLU(), _convolution(), nn.ReLU(), _convolution()
        )
        self.pool = (
            nn.Sequential(
                nn.Conv2d(WIDTH, POOLED, 1, bias=False),
                nn.GroupNorm(4, POOLED),
                nn.ReLU(),
                nn.Conv2d(POOLED, WIDTH, 1, bias=False),
            )
            if pools
            else None
        )

    def forward(self, values: Float[Tensor, "batch 64 h w"]) -> Float[Tensor, "batch 64 h w"]:
        """Return the values of the next layer."""
        if self.pool is not None:
            values = values + self.pool(values)
        return (self.conv(values) + values).relu()


def _blocks() -> list[nn.Module]:
    return [Block() for _ in range(3)]


def _convolution(stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(WIDTH, WIDTH, 3, stride=stride, padding=1, bias=bias)
