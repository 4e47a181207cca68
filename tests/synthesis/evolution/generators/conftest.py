from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.parameterizations import Setting

MakeSetting = Callable[..., Setting]


def no_pictures() -> Tensor:
    raise AssertionError("this generator must not ask for pictures")


@pytest.fixture(scope="session")
def setting() -> MakeSetting:
    """Settings of any size and number of channels, with pixels 0..1 as their pictures."""

    def make(
        size: tuple[int, int] = (24, 17), channels: int = 3, pixels: Tensor | None = None
    ) -> Setting:
        preprocessing = Preprocessing(None, 24, mean=(0.4,) * channels, std=(0.2,) * channels)
        if pixels is None:
            return Setting(size, preprocessing, no_pictures)
        return Setting(size, preprocessing, lambda: (pixels - 0.4) / 0.2)

    return make


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)
