"""Dreams as their sources make them: whole dreams beside plain loops of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from pipeline.images.pictures import chosen_picture, cover
from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream import STAGE as DREAM
from pipeline.stages.dream.results import read_frame
from pipeline.stages.dream.work import DreamWork
from pipeline.synthesis.dream.octaves import resized
from pipeline.synthesis.starts import TRANSFORMS
from tests.conftest import RunPipeline

SMALL = ("model=miniature", "images.limit=3", "figures.formats=[png]")


def dreamt(session: ActiveRun) -> Tensor:
    (dream,) = session.plan(DREAM)
    return torch.from_numpy(read_frame(dream, 0).image)[None]


def start_of(path: Path, size: tuple[int, int]) -> Tensor:
    """Return a picture as pixels from 0 to 1."""
    return cover(chosen_picture("init.image.path", str(path))[0], size)[None] / 255


def responses(session: ActiveRun, name: str) -> Callable[[Tensor], Tensor]:
    """Return the responses of a module to pixels, by a hook on the network itself."""
    module, normalize = session.parts.network.module, session.parts.network.preprocessing.normalize
    kept: list[Tensor] = []
    module.get_submodule(name).register_forward_hook(lambda *seen: kept.append(seen[2]))

    def respond(pixels: Tensor) -> Tensor:
        module(normalize(pixels))
        return kept.pop()

    return respond


def half_white(path: Path) -> Path:
    """Write a picture whose right half is almost white, and whose left half is gray noise.

    Where all is white, max pooling has no one maximum.
    """
    source = np.random.default_rng(0)
    pixels = source.integers(250, 256, (45, 60, 3)).astype(np.uint8)
    pixels[:, :30] = source.integers(60, 200, (45, 30, 3))
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("tile", ["null", "16"])
def test_the_original_deepdream(run_pipeline: RunPipeline, tmp_path: Path, tile: str):
    """img += 1.5 / mean|g| * g, clipped, and the details of each octave added to the next."""
    path = half_white(tmp_path / "half.png")
    session = run_pipeline(
        "experiment=google_deepdream", *SMALL, "layers=[conv2]", f"init.image.path={path}",
        "dream.size=[45,60]", "dream.levels=3", "optimizer.steps=4", "transform=[]",
        f"dream.tile={tile}", f"out={tmp_path}",
    )  # fmt: skip
    respond, picture = responses(session, "features.3"), start_of(path, (45, 60))
    details, pixels = torch.zeros(1, 3, 1, 1), picture
    for side in ((23, 31), (32, 43), (45, 60)):  # 45 / 1.4 = 32.1, / 1.4 = 23.0; 42.9, 30.6
        base = resized(picture, side)
        pixels = (base + resized(details, side)).clamp(0, 1)
        for _ in range(4):
            leaf = pixels.clone().requires_grad_()
            (g,) = torch.autograd.grad(respond(leaf).square().sum() / 2, leaf)
            pixels = (pixels + 1.5 / 255 / g.abs().mean() * g).clamp(0, 1)
        details = pixels - base
    found = dreamt(session) * 0.25 + 0.5  # the embedded network's normalization
    assert (pixels == 1).float().mean() > 0.1
    assert (pixels - picture).abs().mean() > 0.01
    torch.testing.assert_close(found, pixels, rtol=0, atol=2e-4)


def test_gordic_s_pyramid(run_pipeline: RunPipeline, tmp_path: Path):
    """Rolled, smoothed there, standardized, stepped, clipped and rolled back, at rising sizes."""
    path = half_white(tmp_path / "half.png")
    session = run_pipeline(
        "experiment=pyramid_dream", *SMALL, "layers=[features.4]", f"init.image.path={path}",
        "dream.size=[45,60]", "dream.levels=2", "optimizer.steps=3", f"out={tmp_path}",
    )  # fmt: skip
    respond = responses(session, "features.4")
    # Steps are in network input, (pixels - 0.5) / 0.25 for the embedded network.
    image = resized(start_of(path, (45, 60)), (25, 33)) * 4 - 2
    for octave, size in enumerate(((25, 33), (45, 60))):  # 45 / 1.8 = 25, 60 / 1.8 = 33.3
        image = resized(image, size)
        source = transform_source(session, octave)
        for step in range(3):
            shift = [int(torch.randint(65, (), generator=source)) - 32 for _ in range(2)]
            leaf = image.roll(shift, (2, 3)).requires_grad_()
            (g,) = torch.autograd.grad(respond(leaf / 4 + 0.5).square().mean(), leaf)
            sigmas = [each * (0.5 + 2 * (step + 1) / 3) for each in (0.5, 1.0, 2.0)]
            g = torch.stack([gaussian_blur(g, [9, 9], [sigma, sigma]) for sigma in sigmas]).mean(0)
            moved = leaf.detach() + 0.09 * (g - g.mean()) / g.std()
            image = moved.clamp(-2, 2).roll([-n for n in shift], (2, 3))
    # Where two responses of a pool are equal but for rounding, a machine may follow the other one.
    difference = (dreamt(session) - image).abs()
    assert difference.median() < 1e-5
    assert (difference < 2e-3).double().mean() > 0.95


def transform_source(session: ActiveRun, octave: int) -> torch.Generator:
    """Return the random numbers of an octave's transforms."""
    (dream,) = session.plan(DREAM)
    seed = DreamWork(session)._seed(dream, f"0/{octave}")
    return torch.Generator().manual_seed(seed ^ TRANSFORMS)


@pytest.mark.parametrize("carry", ["whole", "details"])
@pytest.mark.parametrize(
    ("init", "mean", "std"),
    [
        ("uniform", 0.55, 0.1 / 12**0.5),  # of pixels from 0.5 to 0.6
        ("noise", 0.5, 0.3 * 0.25),  # of network input, which is (pixels - 0.5) / 0.25
        ("parameters", 0.5, 0.01 * 0.25),
    ],
)
def test_noise_is_drawn_as_it_is_said_whatever_the_octaves(
    run_pipeline: RunPipeline, tmp_path: Path, carry: str, init: str, mean: float, std: float
):
    session = run_pipeline(
        *SMALL, "stages=[dream]", "layers=[conv2]", "objective=[layer_mean]", f"init=[{init}]",
        "optimizer.steps=1", "dream.size=[96,96]", "dream.levels=4", "dream.ratio=1.4",
        f"dream.carry={carry}", f"out={tmp_path}",
    )  # fmt: skip
    (dream,) = session.plan(DREAM)
    start = read_frame(dream, 0).start.astype(np.float64) * 0.25 + 0.5
    assert start.shape == (3, 35, 35)
    np.testing.assert_allclose(start.mean(), mean, atol=4 * std / start.size**0.5)
    np.testing.assert_allclose(start.std(), std, rtol=0.04)
    left, right = start[..., :-1] - start.mean(), start[..., 1:] - start.mean()
    assert abs((left * right).mean()) < 0.07 * std**2  # neighbors have nothing in common
