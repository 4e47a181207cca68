"""MaCo as its authors' libraries do it, beside a plain loop of PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.loop import ascend
from pipeline.synthesis.optimizers import named
from pipeline.synthesis.parameterizations import Setting, compose, decorrelated, maco, sigmoid
from pipeline.synthesis.transforms import boxes, noise
from pipeline.synthesis.treatment import Treatment

SIZE, SIDE, COUNT, STEPS = 20, 9, 3, 4
SEEDS = (4, 5)
UNITS = torch.tensor([0, 1])
HALF = Preprocessing(resize=None, crop=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
COLORS = torch.tensor(  # as printed in Horama: rgb = p @ COLORS
    [
        [0.56282854, 0.58447580, 0.58447580],
        [0.19482528, 0.00000000, -0.19482528],
        [0.04329450, -0.10823626, 0.06494176],
    ],
    dtype=torch.float64,
)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


KERNELS = drawn(2, 3, SIDE, SIDE, seed=1)
PICTURES = drawn(5, 3, SIZE, SIZE, seed=2).clamp(-1.9, 1.9)


def score(images: Tensor, units: Tensor) -> Tensor:
    along = (images * KERNELS[units]).sum((1, 2, 3)) if images.shape[-1] == SIDE else 0
    return along + (images**3).mean((1, 2, 3))


def standardized(values: Tensor) -> Tensor:
    return (values - values.mean()) / (values.std() + 1e-4)


def image_of(phases: Tensor, magnitudes: Tensor) -> Tensor:
    """Return network input from -2 to 2, which is what pixels from 0 to 1 are here."""
    turned = standardized(phases)
    waves = torch.complex(turned.cos() * magnitudes, turned.sin() * magnitudes)
    image = standardized(torch.fft.irfft2(waves, s=(SIZE, SIZE)))
    mixed = (image.permute(1, 2, 0) @ COLORS).permute(2, 0, 1)
    return mixed.sigmoid() * 4 - 2


def cropped(image: Tensor, center: Tensor, side: Tensor) -> Tensor:
    """Return a box of an image, resampled: bilinear from corner to corner, and 0 beyond."""
    steps = torch.arange(SIDE, dtype=torch.float64) / (SIDE - 1) - 0.5
    rows, columns = ((0.5 + middle + side * steps) * (SIZE - 1) for middle in center)
    found = torch.zeros(3, SIDE, SIDE, dtype=torch.float64)
    for y, row in enumerate(rows.tolist()):
        for x, column in enumerate(columns.tolist()):
            if 0 <= row <= SIZE - 1 and 0 <= column <= SIZE - 1:
                top, left = min(int(row), SIZE - 2), min(int(column), SIZE - 2)
                down, right = row - top, column - left
                found[:, y, x] = (
                    image[:, top, left] * (1 - down) * (1 - right)
                    + image[:, top + 1, left] * down * (1 - right)
                    + image[:, top, left + 1] * (1 - down) * right
                    + image[:, top + 1, left + 1] * down * right
                )
    return found


def by_hand(phases: Tensor, unit: int, magnitudes: Tensor, source: torch.Generator) -> Tensor:
    phases = phases.clone().requires_grad_()
    optimizer = torch.optim.NAdam([phases], lr=1.0)
    for size in torch.linspace(0.5, 0.05, STEPS, dtype=torch.float64):
        optimizer.zero_grad()
        image = image_of(phases, magnitudes)
        scores: list[Tensor] = []
        for _ in range(COUNT):
            side, down, right = torch.randn(3, generator=source).double()
            side = (size + 0.05 * side).clamp(0.05, 1)
            crop = cropped(image, 0.15 * torch.stack((down, right)), side)
            crop = crop + 0.1 * torch.randn(3, SIDE, SIDE, generator=source).double()
            scores.append(score(crop[None], torch.tensor([unit]))[0])
        (-torch.stack(scores).mean()).backward()
        optimizer.step()
    return image_of(phases.detach(), magnitudes)


def mean_magnitudes(back: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([torch.fft.rfft2(back(picture)).abs() for picture in PICTURES]).mean(0)


def test_whole_ascent_is_that_of_the_authors_libraries():
    pieces = {"maco": maco(standardize=True), "decorrelated": decorrelated(), "sigmoid": sigmoid()}
    space = compose(pieces, Setting((SIZE, SIZE), HALF, lambda: PICTURES))
    (phases,) = space.draw([torch.Generator().manual_seed(seed) for seed in (1, 2)], 0.01)
    treatment = Treatment(
        space, transforms=[boxes(pixels=SIDE, count=COUNT), noise(0.1)], seeds=SEEDS, fits=False
    )
    optimizer = named("NAdam", steps=STEPS, lr=1.0)
    done = ascend(score, UNITS, [phases.double()], optimizer, treatment)

    def back(picture: Tensor) -> Tensor:
        values = (picture / 4 + 0.5).clamp(0.01, 0.99).logit()
        return (values.permute(1, 2, 0) @ COLORS.inverse()).permute(2, 0, 1)

    magnitudes = mean_magnitudes(back)
    for unit, seed in enumerate(SEEDS):
        source = torch.Generator().manual_seed(seed)
        expected = by_hand(phases[unit].double(), unit, magnitudes, source)
        torch.testing.assert_close(done.images[unit], expected, rtol=0, atol=1e-5)
    assert ((done.images - done.starts).abs().mean((1, 2, 3)) > 0.1).all()
