"""Generators that are neural networks: their weights, and how they draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import ConfigError, NetworkError, listed
from pipeline.networks.loading.checkpoints import StateDict
from pipeline.networks.loading.weights import load_weights, read_weights
from pipeline.synthesis.evolution.generators.fitting import fitted, unfitted
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator
from pipeline.synthesis.evolution.searchers import Prior
from pipeline.synthesis.parameterizations import Setting


@dataclass(frozen=True)
class GeneratorNetwork:
    """A network that draws pictures of its own size.

    Attributes:
        key: of the configuration, for messages.
        module: maps codes [batch, *code_shape] to pictures [batch, 3, rows, columns], where 0 is
            black and 1 is white.
        prior: distribution of its codes.
        code_shape: shape of one code.
        fit: how its pictures are brought to the size that is shown (``fitting``).
        encoder: maps pictures of its own size, in pixels 0..1, to codes [batch, *code_shape].
        own_size: rows and columns of its pictures, needed by the encoder.
        draws_middle: whether the module takes the pixels along the sides of the middle that is
            shown beside codes, and may draw that alone.
    """

    key: str
    module: nn.Module
    prior: Prior
    code_shape: tuple[int, ...]
    fit: str
    encoder: Callable[[Tensor], Tensor] | None = None
    own_size: tuple[int, int] = (0, 0)
    draws_middle: bool = False

    def build(self, setting: Setting) -> BuiltGenerator:
        """Return the generator for images of one size.

        Raises:
            ConfigError: the images are not in color.
        """
        check_colors(self.key, setting)
        # In channels-last convolutions are about twice as fast.
        self.module.to(memory_format=torch.channels_last)
        side = max(setting.size)
        middle = self.draws_middle and self.fit == "crop" and side <= min(self.own_size)
        shown = (side,) if middle else ()

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch 3 height width"]:
            module = self.module.to(codes.device)
            pictures = module(codes.float().unflatten(1, self.code_shape), *shown)
            return fitted(pictures.clamp(0, 1), setting.size, self.fit).contiguous()

        encode = None if self.encoder is None else self._encode(self.encoder)
        return BuiltGenerator(self.prior, self.code_shape, draw, encode)

    def _encode(self, encoder: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        genes = math.prod(self.code_shape)

        def encode(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch genes"]:
            codes = encoder(unfitted(images.float(), self.own_size, self.fit))
            return codes.reshape(len(images), genes)

        return encode


def check_colors(key: str, setting: Setting) -> None:
    """Check that images have three channels.

    Raises:
        ConfigError: they have not.
    """
    if setting.channels != 3:
        raise ConfigError(
            f"{key}: it draws red, green and blue, and the images have {setting.channels} channels;"
            " use generator=grid, which draws any number"
        )


def load(
    key: str,
    module: nn.Module,
    source: str,
    renamed: Callable[[StateDict], StateDict] = lambda tensors: tensors,
) -> None:
    """Copy the weights of a file or URL into a module, which then needs no gradient.

    Args:
        key: of the configuration, for messages.
        module: the module, all of whose weights must be in the file.
        source: path or URL.
        renamed: maps the names in the file to those of the module.

    Raises:
        NetworkError: the file cannot be read, is of another network, or lacks weights.
    """
    with weights_named(key):
        found: Mapping[str, StateDict] = {
            where: renamed(tensors) for where, tensors in read_weights(source).items()
        }
        missing = load_weights(module, found, source)
    if missing:
        names = listed([f"'{name}'" for name in sorted(missing)], 3)
        raise NetworkError(
            f"{key}.weights: '{source}' lacks {names}; are they the weights of another network?"
        )
    module.eval().requires_grad_(False)


@contextmanager
def weights_named(key: str) -> Generator[None]:
    """Let errors of weights tell of a generator's, and not of the network that is examined.

    Raises:
        NetworkError: that of the weights, with the other key.
    """
    try:
        yield
    except NetworkError as error:
        raise NetworkError(str(error).replace("model.weights", f"{key}.weights")) from error
