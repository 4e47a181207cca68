"""Perturbed images: cut, compressed, with noise, shifted; each by a stated amount.

What is moved or cut away leaves the gray of network-input space, zeros.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.images.patches import cut_patch
from pipeline.images.preprocessing import Preprocessing

CLEAN = "clean"


class Perturbation(NamedTuple):
    """One kind of change, and how much of it.

    Attributes:
        kind: ``clean`` (none), ``crop``, ``clip``, ``jpeg``, ``noise`` or ``shift``.
        level: of ``crop``, the share of height and width that is left; of ``jpeg``, the quality; of
            ``noise``, the standard deviation in pixel space (black is 0, white 1); of ``shift``,
            pixels.
    """

    kind: str
    level: float


def perturbations(
    crops: Sequence[SupportsFloat] = (0.9, 0.75, 0.5),
    jpeg: Sequence[SupportsFloat] = (90, 50, 20),
    noise: Sequence[SupportsFloat] = (0.05, 0.1, 0.2),
    shifts: Sequence[SupportsFloat] = (1, 2, 4),
    prefix: str = "",
) -> list[Perturbation]:
    """Return the clean image first, and then each perturbation at each level.

    ``clip`` cuts pixels to 0..1 in steps of 1/255, as a file or a screen does: what JPEG does is
    the difference to it. It is there if ``jpeg`` has a quality.

    Args:
        crops: shares of height and width, above 0 and up to 1.
        jpeg: qualities, 1 to 95.
        noise: standard deviations in pixel space, above 0.
        shifts: pixels, 1 or more.
        prefix: of the names of these, in messages.

    Raises:
        ConfigError: a level is not allowed.

    >>> [one.kind for one in perturbations((), (90, 50), (), ())]
    ['clean', 'clip', 'jpeg', 'jpeg']
    """
    allowed: dict[str, tuple[Sequence[Any], Callable[[float], bool], str]] = {
        "crops": (crops, lambda x: 0 < x <= 1, "a share above 0 and up to 1"),
        "jpeg": (jpeg, lambda x: 1 <= x <= 95 and x == int(x), "a quality from 1 to 95"),
        "noise": (noise, lambda x: 0 < x < math.inf, "a standard deviation above 0"),
        "shifts": (shifts, lambda x: 1 <= x == int(x), "a whole number of pixels, 1 or more"),
    }
    for name, (levels, fits, words) in allowed.items():
        for level in levels:
            number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
            if not number or not fits(float(level)):
                raise ConfigError(f"{prefix}{name}: {level!r} is not {words}")
    kinds = {"crop": crops, "clip": [0] * bool(len(jpeg)), "jpeg": jpeg, "noise": noise}
    kinds["shift"] = shifts
    found = [Perturbation(kind, float(x)) for kind, levels in kinds.items() for x in levels]
    return [Perturbation(CLEAN, 0.0), *found]


def perturbed(
    image: Float[Tensor, "c height width"],
    change: Perturbation,
    preprocessing: Preprocessing,
    identity: Sequence[object] = (),
) -> Float[Tensor, "versions c height width"]:
    """Return the versions of an image that a perturbation makes: of a shift four, else one.

    Args:
        image: network input.
        change: the perturbation; a shift goes up, down, left and right.
        preprocessing: of the network that the image is for.
        identity: what the noise is drawn from, such as a seed, a layer and a unit: the same for the
            same, whatever is computed before or beside it.

    Raises:
        ImageError: JPEG knows no image of these channels.
    """
    kind, level = change
    height, width = image.shape[1:]
    if kind == "crop":
        return _cropped(image, level)[None]
    if kind == "shift":
        by = int(level)
        ways = ((by, 0), (-by, 0), (0, by), (0, -by))
        boxes = [(down, right, down + height, right + width) for down, right in ways]
        return torch.stack([cut_patch(image, box) for box in boxes])
    if kind == "noise":
        drawn = torch.from_numpy(_normal(identity, tuple(image.shape)))
        pixels = preprocessing.pixels(image) + level * drawn.to(image)
        return preprocessing.normalize(pixels)[None]
    if kind in ("clip", "jpeg"):
        bytes_ = (preprocessing.pixels(image).clamp(0, 1) * 255).round().to(torch.uint8)
        stored = bytes_ if kind == "clip" else _jpeg(bytes_, int(level))
        return preprocessing.normalize(stored.to(image.dtype) / 255).to(image)[None]
    return image[None]


def _cropped(image: Tensor, share: float) -> Tensor:
    """Return the image with gray around its center."""
    height, width = image.shape[1:]
    rows, columns = (max(1, round(share * side)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    kept = torch.zeros_like(image)
    area = (slice(None), slice(top, top + rows), slice(left, left + columns))
    kept[area] = image[area]
    return kept


def _normal(identity: Sequence[object], shape: tuple[int, ...]) -> Float[np.ndarray, "c h w"]:
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, "<u4"))
    return rng.standard_normal(shape, np.float32)


def _jpeg(picture: Tensor, quality: int) -> Tensor:
    if len(picture) not in (1, 3):
        raise ImageError(
            f"jpeg: an image of {len(picture)} channels cannot be compressed; leave it out, as in"
            " jpeg=[]"
        )
    array = picture.permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if len(picture) == 1 else array).save(
        file, "JPEG", quality=quality
    )
    read = np.array(Image.open(file))
    return torch.from_numpy(read.reshape(array.shape)).permute(2, 0, 1)
