"""Any module of PyTorch as a generator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError, first_line
from pipeline.networks.loading.targets import made
from pipeline.networks.loading.weights import digest_weights
from pipeline.store.code import code_digest, is_own
from pipeline.synthesis.constraints.constraint import is_finite, is_whole
from pipeline.synthesis.evolution.generators.fitting import check_fit
from pipeline.synthesis.evolution.generators.generator import Generator
from pipeline.synthesis.evolution.generators.networks import GeneratorNetwork, load
from pipeline.synthesis.evolution.generators.priors import Genes, given_prior

KEY = "generator.module"


def module(
    target: str | nn.Module,
    code_shape: Sequence[int],
    arguments: Mapping[str, Any] | None = None,
    weights: str | None = None,
    mean: Genes = 0.0,
    std: Genes = 1.0,
    low: Genes | None = None,
    high: Genes | None = None,
    black: float = 0.0,
    white: float = 1.0,
    encode: str | None = None,
    fit: str = "crop",
) -> Generator:
    """Generate pictures by any module that maps codes to pictures.

    It is called with codes [batch, *code_shape] in float32 and must return pictures
    [batch, 3, rows, columns], each of which depends on its own code alone. It is used in eval mode.

    A module whose attribute ``draws_middle`` is true is called with a second argument where only
    the middle of pictures is shown: how many pixels along each side. It may then leave out an even
    number of pixels on every side of its pictures.

    Args:
        target: a module (of which a copy is used), or the dotted name of a class or function that
            returns one, such as ``mylab.generators.Generator``.
        code_shape: shape of one code.
        arguments: of the class or function.
        weights: path or URL of weights that are loaded into the module; by default, it has them.
        mean: mean of random genes: a number, the name of one of the module's tensors (attributes)
            that holds one for each gene, or the path of a .npy file that does.
        std: their standard deviation, likewise.
        low: smallest value of genes, likewise; ``None`` if there is none.
        high: largest value of genes, likewise.
        black: value of black in the module's pictures.
        white: value of white, such as 1 where ``black`` is -1.
        encode: name of a method of the module that maps pictures in pixels 0..1 to codes, for
            starting from images; ``None`` if there is none.
        fit: ``crop`` shows the middle of pictures, ``resize`` the whole (``fitting``).

    Raises:
        ConfigError: the module cannot be made, its pictures have another shape or depend on other
            codes, or the distribution cannot be used.
        NetworkError: the weights cannot be read or do not fit.

    >>> gray = nn.Sequential(nn.Linear(5, 3), nn.Unflatten(1, (3, 1, 1)), nn.Upsample((8, 8)))
    >>> module(gray, code_shape=[5]).digest == module(gray, code_shape=[5]).digest
    True
    """
    check_fit(KEY, fit)
    shape = _shape(code_shape)
    for name, value in (("black", black), ("white", white)):
        if not is_finite(value):
            raise ConfigError(f"{KEY}.{name}: {value!r} is not a number")
    if black == white:
        raise ConfigError(f"{KEY}: black and white are both {black}; they must differ")
    network = _made(target, dict(arguments or {}))
    network.eval().requires_grad_(False).float()
    if weights is not None:
        load(KEY, network, weights)
    prior = given_prior(KEY, shape, {"mean": mean, "std": std, "low": low, "high": high}, network)
    encoder = None if encode is None else _encoder(network, encode)
    size = _checked(network, shape)
    ranged, middle = Ranged(network, black, white), bool(getattr(network, "draws_middle", False))
    network_made = GeneratorNetwork(KEY, ranged, prior, shape, fit, encoder, size, middle)
    own = isinstance(target, str) and is_own(target)
    code = code_digest([target]) if isinstance(target, str) and own else ""
    return Generator(network_made.build, digest=digest_weights(network) + code)


class Ranged(nn.Module):
    """A module whose pictures have 0 as black and 1 as white.

    Args:
        network: the module.
        black: value of black in its pictures.
        white: value of white.
    """

    def __init__(self, network: nn.Module, black: float, white: float) -> None:
        super().__init__()
        self.network, self.black, self.white = network, black, white

    def forward(self, codes: Tensor, *shown: int) -> Tensor:
        """Return the pictures of codes; of their middle alone, if its size is given."""
        return (self.network(codes, *shown) - self.black) / (self.white - self.black)


def _shape(code_shape: Any) -> tuple[int, ...]:
    several = isinstance(code_shape, Sequence) and not isinstance(code_shape, str)
    lengths = list(code_shape) if several else []
    if not lengths or not all(is_whole(length, 1) for length in lengths):
        raise ConfigError(
            f"{KEY}.code_shape: {code_shape!r} is not a list of one or more positive whole numbers"
        )
    return tuple(map(int, lengths))


def _made(target: Any, arguments: dict[str, Any]) -> nn.Module:
    if isinstance(target, nn.Module):
        return copy.deepcopy(target)
    if not isinstance(target, str):
        raise ConfigError(
            f"{KEY}.target: {type(target).__name__} is neither a torch.nn.Module nor the dotted"
            " name of a class or function that returns one"
        )
    return made(target, arguments, KEY)


def _encoder(network: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    method = getattr(network, name, None)
    if not callable(method):
        raise ConfigError(f"{KEY}.encode: {type(network).__name__} has no method '{name}'")
    return cast("Callable[[Tensor], Tensor]", method)


def _checked(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of the pictures of a module.

    Raises:
        ConfigError: what it returns is not one picture per code.
    """
    codes = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    name = type(network).__name__
    try:
        with torch.no_grad():
            pictures, alone = network(codes), network(codes[:1])
    except Exception as error:  # a user's own code may raise anything
        raise ConfigError(
            f"{KEY}: {name} cannot draw codes of shape [2, {', '.join(map(str, shape))}]"
            f" ({first_line(error)}); is code_shape right?"
        ) from error
    found = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
    if not isinstance(found, tuple) or len(found) != 4 or found[:2] != (2, 3):
        raise ConfigError(
            f"{KEY}: {name} returns {found} for two codes, and pictures of shape"
            " (2, 3, rows, columns) are needed"
        )
    if not torch.allclose(pictures[:1], alone, 1e-3, 1e-3 * float(alone.abs().max()), True):
        raise ConfigError(
            f"{KEY}: a picture of {name} depends on the other codes in the batch or on chance; each"
            " must depend on its own code alone"
        )
    return found[2], found[3]
