"""Best Gabors: known units are recovered, images have one contrast, and what is missing is said."""

from __future__ import annotations

import re
from typing import Any, no_type_check

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network
from pipeline.stimuli.gabors import PARAMETERS, gabor_patterns, in_radians

SIDE = 21
CELLS = pd.DataFrame(
    [
        (1.6, -2.3, 37.0, 0.15, 250.0, 2.5, 2.1),
        (-2.2, 0.9, 161.5, 0.21, 20.0, 1.8, 2.6),
        (0.4, 1.7, 92.0, 0.11, 115.0, 2.6, 2.9),
    ],
    columns=list(PARAMETERS),
)


def linear() -> Network:
    """Return a network whose units are the Gabors of ``CELLS``, and a dead one."""
    module = nn.Conv2d(3, 4, SIDE)
    filters = gabor_patterns(in_radians(CELLS), (SIDE, SIDE)).float() / 50
    with torch.no_grad():
        module.weight[:3] = filters[:, None]
        module.weight[3] = 0.0
        module.bias.copy_(torch.tensor([0.0, -2.0, 1.0, 0.3]))
    return pipeline.network(
        nn.Sequential(module), input_size=(3, 40, 40), mean=[0.5] * 3, std=[0.25] * 3
    )


@pytest.fixture(scope="module")
def net() -> Network:
    return linear()


@pytest.fixture(scope="module")
def photographs() -> torch.Tensor:
    return torch.rand(4, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 3 - 1.5


@pytest.fixture(scope="module")
def found(net: Network, photographs: torch.Tensor) -> Any:
    return pipeline.best_gabor(net, "conv1", units=[2, 0, 1, 3], images=photographs)


def test_linear_gabor_units_are_recovered(found: Any):
    table = found.table.set_index("unit").loc[[0, 1, 2]]
    apart = {name: (table[name] - CELLS[name]).to_numpy() for name in CELLS}
    assert np.abs((apart["orientation"] + 90) % 180 - 90).max() < 0.2
    assert np.abs((apart["phase"] + 180) % 360 - 180).max() < 3
    assert np.abs([apart["x"], apart["y"]]).max() < 0.05
    for name in ("frequency", "sigma_along", "sigma_across"):
        assert np.abs(apart[name] / CELLS[name]).max() < 0.01, name
    assert (table["at_bound"] == "").all()
    assert table["improved"].all()
    # A kernel in its own direction is the optimum, which ascents from zero follow exactly.
    np.testing.assert_allclose(table["gabor_over_ascent"], 1.0, atol=1e-3)
    assert (table["gabor_over_patch"] > 1).all()
    assert table["blank"].tolist() == pytest.approx([0, -2, 1])


def test_lengths_are_in_degrees_too(found: Any):
    table = found.table[found.table["reason"] == ""]
    density = 40 / 8.0
    np.testing.assert_allclose(table["x"], table["x_degrees"] * density)
    np.testing.assert_allclose(table["sigma_along"], table["sigma_along_degrees"] * density)
    np.testing.assert_allclose(table["frequency_per_degree"], table["frequency"] * density)
    np.testing.assert_allclose(table["nx"], table["sigma_along"] * table["frequency"])


def test_all_images_have_the_contrast_of_the_top_patch(
    found: Any, net: Network, photographs: torch.Tensor
):
    rms = found.table["rms"].to_numpy()[:3]
    for images in (found.images, found.patches, found.ascents):
        shown = images["conv1"][:3].double().square().mean((1, 2, 3)).sqrt()
        np.testing.assert_allclose(shown, rms, rtol=1e-5)
    searched = pipeline.top_patches(net, photographs, "conv1")
    assert torch.equal(found.patches["conv1"][:3], searched.patches("conv1", [2, 0, 1]))
    network = net.unit_network("conv1")
    for name, images in (("", found.images), ("patch_", found.patches)):
        with torch.no_grad():
            again = network(images["conv1"][:3], torch.tensor([2, 0, 1]))
        np.testing.assert_allclose(found.table[f"{name}response"][:3], again, rtol=1e-4)


def test_index_of_a_linear_unit_is_the_cosine_with_its_kernel(net: Network):
    noise = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    kernel = net.module[0].weight[1].detach()
    index = pipeline.best_gabor(
        net, "conv1", units=[1], ascents={"conv1": noise}, rms=0.5, steps=60
    )
    cosine = torch.cosine_similarity(noise.flatten(), kernel.flatten(), dim=0)
    ratio = index.table["gabor_over_ascent"].item()
    if cosine > 0:
        assert ratio == pytest.approx(1 / cosine.item(), rel=2e-3)
    else:
        assert "its ascent image evokes no more" in index.table["reason"].item()
    assert index.table["rms"].item() == 0.5


def test_no_bit_depends_on_which_units_are_asked_for(net: Network, photographs: torch.Tensor):
    alone, among = (
        pipeline.best_gabor(net, "conv1", units=units, images=photographs, steps=8)
        for units in ([1], [2, 3, 1])
    )
    assert torch.equal(alone.images["conv1"][0], among.images["conv1"][2])
    one, other = alone.table.iloc[0], among.table.iloc[2]
    pd.testing.assert_series_equal(one, other, check_names=False, check_exact=True)


def test_units_without_a_gabor_say_why(found: Any, net: Network, photographs: torch.Tensor):
    dead = found.table.set_index("unit").loc[3]
    assert dead["reason"] == "its responses to all Gabors of the grid are the same"
    numbers = ["x", "orientation", "frequency", "response", "gain", "gabor_over_patch", "peak"]
    assert dead[numbers].isna().all()
    assert found.images["conv1"][3].isnan().all()
    module = nn.Conv2d(1, 2, 5)
    with torch.no_grad():
        module.weight[1] = torch.nan
    broken = pipeline.network(nn.Sequential(module), input_size=(1, 9, 9))
    reasons = pipeline.best_gabor(broken, "conv1", rms=1.0, steps=2).table["reason"]
    assert reasons.tolist() == ["", "its responses to Gabors are not finite"]
    black = pipeline.best_gabor(net, "conv1", units=[0], images=torch.zeros(2, 3, 40, 40), steps=2)
    assert "its top patch has the mean color alone" in black.table["reason"].item()
    assert black.table["response"].isna().all()


def test_fields_too_small_for_a_gabor_say_so():
    net = pipeline.network(nn.Sequential(nn.Conv2d(3, 2, 1)), input_size=(3, 8, 8))
    table = pipeline.best_gabor(net, "conv1").table
    assert table["reason"].tolist() == ["its field is smaller than 3 pixels"] * 2
    assert table["gabor_over_ascent"].isna().all()


class Energy(nn.Module):
    """Sums of squares of two filters in quadrature, for each unit."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 4, SIDE, bias=False)
        self.sums = nn.Conv2d(4, 2, 1, bias=False)
        turned = CELLS[:2].assign(phase=CELLS["phase"][:2] + 90)
        both = torch.cat([gabor_patterns(in_radians(t), (SIDE, SIDE)) for t in (CELLS[:2], turned)])
        with torch.no_grad():
            self.filters.weight.copy_(both[:, None])
            self.sums.weight.copy_(torch.tensor([[1.0, 0, 1, 0], [0, 1.0, 0, 1]])[:, :, None, None])

    @no_type_check
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.sums(self.filters(images).square())


def test_energy_units_respond_as_the_best_image_of_their_plane():
    module = Energy()
    net = pipeline.network(module, input_size=(1, 40, 40), mean=[0.5], std=[0.25])
    noise = torch.randn(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = pipeline.best_gabor(net, "conv2", ascents={"conv2": noise}, rms=0.6, steps=60)
    table = found.table
    filters = module.filters.weight.detach().flatten(1).double().numpy()
    for unit in range(2):
        # The largest sum of squares over all images of one length, which is that of a Gabor.
        largest = np.linalg.svd(filters[[unit, unit + 2]], compute_uv=False)[0] ** 2
        best = largest * 0.6**2 * SIDE**2
        assert table["response"][unit] == pytest.approx(best, rel=0.01)
    turn = (table["orientation"] - CELLS["orientation"][:2] + 90) % 180 - 90
    assert np.abs(turn).max() < 1
    assert np.abs(table["frequency"] / CELLS["frequency"][:2] - 1).max() < 0.02


def test_displayable_gabors_keep_to_pixels_and_are_compared_at_their_contrast(net: Network):
    found = pipeline.best_gabor(net, "conv1", units=[0, 1], rms=1.5, displayable=True, steps=25)
    pixels = net.preprocessing.pixels(found.images["conv1"])
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert ((found.table["peak"] > 0.9) & (found.table["peak"] <= 1)).all()
    assert (found.table["rms"] < 1.5).all()
    for images in (found.images, found.ascents):
        shown = images["conv1"].double().square().mean((1, 2, 3)).sqrt()
        np.testing.assert_allclose(shown, found.table["rms"], rtol=1e-5)
    with torch.no_grad():
        again = net.unit_network("conv1")(found.images["conv1"], torch.tensor([0, 1]))
    np.testing.assert_allclose(found.table["response"], again, rtol=1e-4)
    high = pipeline.best_gabor(net, "conv1", units=[0, 1], rms=1.5, steps=2)
    assert (high.table["peak"] > 1).all()


def test_colors_are_found_where_they_are_free():
    module = nn.Conv2d(3, 1, SIDE)
    pattern = gabor_patterns(in_radians(CELLS[:1]), (SIDE, SIDE)).float() / 50
    with torch.no_grad():
        module.weight.copy_(pattern[:, None] * torch.tensor([1.0, -0.7, 0.1])[:, None, None])
        module.bias.zero_()
    net = pipeline.network(nn.Sequential(module), input_size=(3, 40, 40), std=[0.2, 0.3, 0.25])
    gray = pipeline.best_gabor(net, "conv1", rms=1.0, steps=10).table
    table = pipeline.best_gabor(net, "conv1", rms=1.0, color="free", steps=70).table
    assert gray["gabor_over_ascent"].item() < 0.5 < 0.999 < table["gabor_over_ascent"].item()
    color = table[["color_0", "color_1", "color_2"]].to_numpy()[0]
    expected = np.array([1.0, -0.7, 0.1]) / np.sqrt(np.mean([1.0, 0.49, 0.01]))
    np.testing.assert_allclose(color * np.sign(color[0]), expected, atol=0.02)


def test_the_patch_lies_inside_its_image_if_one_of_the_best_does():
    module = nn.Conv2d(1, 1, 5, padding=2, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
    net = pipeline.network(nn.Sequential(module), input_size=(1, 16, 16), mean=[0.5], std=[0.25])
    images = torch.zeros(2, 1, 16, 16)
    images[0, 0, :3, :3] = 2.0  # the highest response, at the corner
    images[0, 0, 1, 1] = 9.0
    images[1, 0, 8, 8] = 3.0
    found = pipeline.best_gabor(net, "conv1", images=images, steps=2)
    assert found.table[["patch_rank", "patch_inside"]].to_numpy().tolist() == [[1, True]]
    assert found.patches["conv1"].max() == 3.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "fre"}, "color: 'fre' is not one of gray, free; nearest: free"),
        ({"rms": -1}, "rms: -1 is not a positive number; photographs have about 1"),
        ({"steps": 0}, "steps: 0 is not positive; use 1 or more"),
        ({"visual_degrees": 0.0}, "visual_degrees: 0.0 is not above 0 and at most 180"),
        ({"units": [9]}, "units: "),
        ({"displayable": True}, "displayable: the mean color of the preprocessing is as dark"),
        ({"ascents": {}}, "ascents: lacks the images of conv1; give those of all layers"),
        (
            {"ascents": {"conv1": torch.zeros(2, 3, 5, 5)}},
            "ascents: images of conv1 have the shape (2, 3, 5, 5); units, channels, height and"
            " width must be (4, 3, 21, 21)",
        ),
    ],
)
def test_arguments_that_cannot_be(net: Network, options: dict[str, Any], message: str):
    if "displayable" in options:
        net = pipeline.network(net.module, input_size=(3, 40, 40))
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        pipeline.best_gabor(net, "conv1", **options)
