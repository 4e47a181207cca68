from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pipeline.images.bundled import bundled_photographs
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.parameterizations import Setting

IMAGENET = Preprocessing(
    resize=None, crop=24, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)

MakeSetting = Callable[..., Setting]


def no_pictures() -> Tensor:
    raise AssertionError("this piece must not ask for pictures")


@pytest.fixture(scope="session")
def photographs() -> Callable[[tuple[int, int]], Tensor]:
    """Four color photographs cut to a size, as network input in float64."""

    def cut(size: tuple[int, int]) -> Tensor:
        names = ("astronaut", "chelsea", "coffee", "rocket")
        pictures = []
        for name in names:
            pixels = torch.tensor(bundled_photographs()[name]).permute(2, 0, 1)
            pictures.append(pixels[:, 100 : 100 + size[0], 200 : 200 + size[1]])
        return IMAGENET.normalize(torch.stack(pictures).double() / 255)

    return cut


@pytest.fixture
def setting(photographs) -> MakeSetting:
    def make(size: tuple[int, int] = (24, 17), *, with_pictures: bool = True) -> Setting:
        pictures = (lambda: photographs(size)) if with_pictures else no_pictures
        return Setting(size, IMAGENET, pictures)

    return make
