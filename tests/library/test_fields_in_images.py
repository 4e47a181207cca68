"""Maps of receptive fields by images and by gradients: fields that are known, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pipeline
from pipeline.analysis.gaussian_fit import fit_gaussians
from pipeline.analysis.indices import fnat
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network
from tests.benchmarks.known_fields import SIDE, gabor, network_of

PLACES = [(-3.0, 2.0), (4.0, -1.0), (0.0, 0.0)]
TURNS = [30.0, 120.0, 75.0]
METHODS = ["gradient", "integrated_gradient", "occlusion", "effective"]


def known(period: float = np.inf) -> Network:
    """Return units with Gabors at PLACES, and one that is constant."""
    kernels = [gabor(*xy, turn, period) for xy, turn in zip(PLACES, TURNS, strict=True)]
    return network_of([*kernels, np.zeros((SIDE, SIDE))])


def bright(count: int, side: int = 41) -> torch.Tensor:
    """Return images of white and some noise, so that every pixel has something to take away."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return 1 + noise / 5


@pytest.mark.parametrize("method", METHODS)
def test_place_size_and_orientation_of_gaussians_are_recovered(method: str):
    found = pipeline.map_receptive_fields(
        known(), "all", method, images=bright(4), patches=4, units="0:3"
    )
    table = found.summary.query("sign == 1").set_index("unit")
    for unit, ((x, y), turn) in enumerate(zip(PLACES, TURNS, strict=True)):
        row = table.loc[unit]
        assert np.hypot(row["gauss_x"] - x, row["gauss_y"] - y) < 0.5
        assert row["sigma_long"] == pytest.approx(3.5, rel=0.1)
        assert row["sigma_short"] == pytest.approx(2.0, rel=0.1)
        assert row["orientation"] == pytest.approx(turn, abs=2)


@pytest.mark.parametrize("method", METHODS)
def test_displaced_gabors_are_found_within_half_a_pixel(method: str):
    found = pipeline.map_receptive_fields(
        known(7.0), "all", method, images=bright(12), patches=12, units="0:3"
    )
    # The two parts of an effective field are the light and the dark stripes of a Gabor.
    maps = next(iter(found.maps.values()))[method].sum(axis=1)
    centers = fit_gaussians(maps)[["gauss_x", "gauss_y"]].to_numpy()
    assert np.hypot(*(centers - PLACES).T).max() < 0.5


def test_the_reply_to_a_set_is_compared_with_that_to_images():
    net = pipeline.network("miniature")
    images = 40 * torch.randn(12, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    methods = ["sparse_noise", "gradient"]
    found = pipeline.map_receptive_fields(
        net, "conv1", methods, images=images, patches=2, frames=200, units="0:8"
    )
    table = found.summary
    assert table.loc[table["method"] == "gradient", "fnat"].isna().all()
    every = pipeline.responses(net, images, "conv1", at="all")["conv1"][:, :8]
    for sign in (1, -1):
        natural = (every * sign).max(axis=(2, 3)).T * sign
        best = found.responses.query("sign == @sign and rank == 0")["response"].to_numpy()
        expected = fnat(best, natural, sign)
        rows = table.query("method == 'sparse_noise' and sign == @sign")
        np.testing.assert_allclose(rows["fnat"], expected, rtol=1e-4)
        assert np.isfinite(expected).any()
        assert rows["fnat_reason"][np.isfinite(expected)].eq("").all()


def test_with_few_images_the_comparison_says_how_many_are_needed():
    table = pipeline.map_receptive_fields(
        known(), "all", "sparse_noise", units=[1], images=bright(9), frames=50
    ).summary
    assert table["fnat"].isna().all()
    assert set(table["fnat_reason"]) == {"10 photographs are needed, and there are 9"}


def test_sizes_are_given_in_degrees_of_the_input_and_beside_the_effective_field():
    methods = ["gradient", "effective"]
    found = pipeline.map_receptive_fields(
        known(), "all", methods, images=bright(1, 50), patches=1, visual_degrees=5
    )
    table = found.summary  # 10 pixels of the images are a degree
    for column in ("x", "radius_50", "gauss_y", "sigma_long", "effective_size", "field_width"):
        np.testing.assert_allclose(table[f"{column}_degrees"], table[column] / 10)
    np.testing.assert_allclose(table["half_area_square_degrees"], table["half_area"] / 100)
    sizes = table.pivot_table(index="unit", columns=["method", "sign"], values="effective_size")
    assert sizes.shape == (3, 4)  # of the constant unit there is none
    assert (sizes.nunique(axis=1) == 1).all()
    # A Gaussian is above 1 - 0.9545 of its peak within 2.486 deviations: an ellipse.
    side = (np.pi * 3.5 * 2.0) ** 0.5 * 2.486
    assert sizes.loc[2].to_numpy() == pytest.approx(side, rel=0.03)
    agreement = found.agreement().query("unit < 3 and sign == 1")
    assert (agreement["correlation"] > 0.999).all()


def test_only_what_shows_stimuli_lists_them():
    found = pipeline.map_receptive_fields(known(), "all", "effective", units=[0])
    assert found.responses.empty
    assert {"layer", "method", "unit", "sign", "stimulus", "response"} <= {*found.responses}
    assert found.patches is None


def test_images_and_degrees_that_do_not_do_are_refused(untyped: None):
    net = known()
    with pytest.raises(ConfigError, match=r"^images: occlusion maps fields by the patches of imag"):
        pipeline.map_receptive_fields(net, "all", ["effective", "occlusion"])
    with pytest.raises(ConfigError, match=r"^patches: 5 of each sign are needed, .* 3 can be read"):
        pipeline.map_receptive_fields(net, "all", "gradient", images=bright(3), patches=5)
    with pytest.raises(ConfigError, match=r"^patches: 0 is not positive"):
        pipeline.map_receptive_fields(net, "all", "gradient", images=bright(3), patches=0)
    with pytest.raises(ConfigError, match=r"^visual_degrees: 0 is not above 0 and at most 180"):
        pipeline.map_receptive_fields(net, "all", visual_degrees=0)
    with pytest.raises(ConfigError, match=r"^visual_degrees: 'wide' is not a number of degrees"):
        pipeline.map_receptive_fields(net, "all", visual_degrees="wide")


def test_a_unit_that_is_constant_gives_a_reason():
    found = pipeline.map_receptive_fields(
        known(), "all", METHODS, images=bright(2), patches=2, units=3
    )
    assert set(found.summary["reason"]) == {"the map is flat"}
