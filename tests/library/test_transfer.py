"""Transfer between networks whose units are known to be the same, permuted, or shuffled."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ConfigError, ImageError
from pipeline.images.conversion import LUMINANCE, on_gray
from pipeline.images.photographs import photographs
from pipeline.library.ascent import Ascents
from pipeline.networks.loading.network import Network
from pipeline.synthesis.optimizers import sgd
from tests.library.conftest import plain_module

ORDER = [4, 2, 0, 5, 1, 3]  # unit of A by unit of B
PICTURES = torch.randn(12, 1, 20, 30, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def climbed(own: Network) -> Ascents:
    return pipeline.ascend(own, "conv2", optimizer=sgd(steps=10), start="zeros")


def permuted() -> nn.Sequential:
    module = plain_module()
    last = module[3]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.copy_(last.weight[ORDER].clone())
        last.bias.copy_(last.bias[ORDER].clone())
    return module


def same(module: nn.Module, mean: float = 0.5, std: float = 0.25) -> Network:
    return pipeline.network(module, input_size=(1, 20, 30), mean=mean, std=std)


def test_units_in_another_order_are_found_with_the_same_numbers(own: Network, climbed: Ascents):
    a, b = (
        pipeline.transfer(climbed, net, "conv2", image_set=PICTURES, contrast=None)
        for net in (own, same(permuted()))
    )
    renamed = b.table.assign(unit_b=np.array(ORDER)[b.table["unit_b"]])
    pd.testing.assert_frame_equal(renamed, a.table, check_exact=False, rtol=1e-4, atol=1e-5)
    of_self = a.table.query("unit == unit_b").set_index("unit")
    assert np.allclose(of_self["response"], climbed.responses[:, -1], rtol=1e-4)
    assert of_self["drop"].abs().max() < 1e-5
    assert a.best["percentile"].min() == 100
    (cell,) = a.layers.to_dict("records")
    assert (cell["images"], cell["percentile_median"]) == (6, 100)


def test_another_normalization_changes_nothing_that_is_seen(own: Network, climbed: Ascents):
    module = plain_module()
    first = module[0]
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():  # the same function of pixels, of input (pixel - 0.1) / 2
        first.bias.add_(first.weight.sum((1, 2, 3)) * (0.1 - 0.5) / 0.25)
        first.weight.mul_(2.0 / 0.25)
    other = same(module, 0.1, 2.0)
    pixels = (own.preprocessing.pixels(PICTURES) * 255).round().clamp(0, 255).to(torch.uint8)
    shown = pixels.permute(0, 2, 3, 1)
    found = pipeline.transfer(climbed, other, "conv2", image_set=shown, contrast=None)
    of_self = found.table.query("unit == unit_b")
    assert np.allclose(of_self["response"], climbed.responses[:, -1], rtol=1e-3)
    assert of_self["drop"].abs().max() < 1e-3  # the image set is shown to both


def test_gray_and_color_see_each_other(own: Network):
    """Of a network that sees the luminance alone, all is known from the gray one."""
    module = plain_module(3)
    with torch.no_grad():
        module.load_state_dict(
            {
                name: tensor * torch.tensor(LUMINANCE)[:, None, None]
                if tensor.ndim == 4 and name == "0.weight"
                else tensor
                for name, tensor in own.module.state_dict().items()
            }
        )
    color = pipeline.network(module, input_size=(3, 20, 30), mean=[0.5] * 3, std=[0.25] * 3)
    gray = (own.preprocessing.pixels(PICTURES) * 255).round().clamp(0, 255).to(torch.uint8)
    for made_for, shown_to in ((own, color), (color, own)):
        made = pipeline.ascend(made_for, "conv2", optimizer=sgd(steps=5), start="noise")
        pictures = gray.permute(0, 2, 3, 1).expand(-1, -1, -1, len(shown_to.preprocessing.mean))
        found = pipeline.transfer(made, shown_to, "conv2", image_set=pictures, contrast=None)
        of_self = found.table.query("unit == unit_b")
        assert np.allclose(of_self["response"], made.responses[:, -1], rtol=1e-3, atol=1e-4)
        assert found.table["drop"].isna().all()  # its own network cannot see these pictures


def test_readouts_see_and_are_seen(own: Network, climbed: Ascents):
    found = pipeline.transfer(
        climbed, own, "conv2:channel_mean", image_set=PICTURES, contrast=None, at="max"
    )
    whole = on_gray(climbed.images, (20, 30))
    means = pipeline.responses(own, whole, "conv2", at="mean")["conv2"]
    shown = found.table.sort_values(["unit", "unit_b"])["response"].to_numpy()
    assert np.allclose(shown, means.ravel(), rtol=1e-4, atol=1e-5)
    made = pipeline.ascend(own, "conv2:channel_mean", [1, 4], optimizer=sgd(steps=5))
    back = pipeline.transfer(made, own, "conv2", image_set=PICTURES, contrast=None)
    assert (back.table["layer"] == "conv2:channel_mean").all()


def test_all_forms_of_images_give_the_same_numbers(own: Network, climbed: Ascents):
    one = pipeline.transfer(climbed, own, "conv2", image_set=PICTURES, keep=2)
    array = pipeline.transfer(climbed.images, own, "conv2", source=own, image_set=PICTURES, keep=2)
    columns = ["unit_b", "rank", "response", "z", "percentile"]
    pd.testing.assert_frame_equal(one.table[columns], array.table[columns])
    assert array.table["drop"].isna().all()  # whose images they are is not known
    assert set(array.table["kind"]) == {"given"}
    top = pipeline.top_patches(own, PICTURES, "conv2", keep=1)
    both = pipeline.transfer(
        [climbed, top], own, ["conv1", "conv2"], image_set=PICTURES, keep=1, contrast=None
    )
    assert both.layers[["kind", "layer_b"]].to_numpy().tolist() == [
        ["ascent", "conv1"], ["ascent", "conv2"], ["top_patch", "conv1"], ["top_patch", "conv2"]
    ]  # fmt: skip
    patches = both.table.query("kind == 'top_patch' and layer_b == 'conv2' and unit == unit_b")
    known = top.table.query("sign == 1").set_index("unit")["response"]
    inside = top.table.query("sign == 1").set_index("unit")["inside"]
    for unit, response in patches.set_index("unit")["response"].items():
        assert response == pytest.approx(known[unit], rel=1e-4) or not inside[unit]


def test_at_one_contrast_a_stronger_image_is_the_same_image(own: Network, climbed: Ascents):
    one, strong = (
        pipeline.transfer(factor * climbed.images, own, "conv2", source=own, image_set=PICTURES)
        for factor in (1, 1000)
    )
    pd.testing.assert_frame_equal(one.table, strong.table, rtol=1e-4)
    assert one.table["z"].abs().max() < 100


def test_anywhere_on_the_map_the_response_is_at_least_that_at_the_center(
    own: Network, climbed: Ascents
):
    centered, anywhere = (
        pipeline.transfer(climbed, own, "conv2", image_set=PICTURES, at=at).table.sort_values(
            ["unit", "unit_b"]
        )["response"].to_numpy()
        for at in ("center", "max")
    )  # fmt: skip
    assert (anywhere >= centered - 1e-4).all()
    fitted = pipeline.transfer(climbed, own, "conv1", image_set=PICTURES, scale="field").table
    assert len(fitted) == 6 * 4


def test_units_of_shuffled_weights_are_matched_by_chance():
    net, control = pipeline.network("miniature"), pipeline.network("miniature", shuffled=True)
    found = pipeline.ascend(net, "conv2", range(16), optimizer=sgd(steps=60))
    images = photographs(net.preprocessing, limit=40)
    ranks = {
        shown.digest: pipeline.transfer(found, shown, "conv2", image_set=images).table.query(
            "unit == unit_b"
        )["rank"]
        for shown in (net, control)
    }
    units = net.layer("conv2").units
    assert ranks[net.digest].median() == 0
    assert 0.25 * units < ranks[control.digest].mean() < 0.75 * units  # (units - 1) / 2 by chance


def test_changes_take_more_of_the_response_the_stronger_they_are():
    net = pipeline.network("miniature")
    found = pipeline.ascend(net, "conv1", range(2, 8), optimizer=sgd(steps=15))
    images = photographs(net.preprocessing, limit=4)
    settings = {
        "image_set": images,
        "crops": [1, 0.5],
        "jpeg": [95, 5],
        "noise": [0.05, 0.4],
        "shifts": [1],
    }
    table = pipeline.robustness(found, **settings)
    share = table.groupby(["perturbation", "level"])["share"].median()
    unchanged = table.query("perturbation == 'clean' or level == 1 and perturbation == 'crop'")
    assert (unchanged["share"].dropna() == 1).all()
    assert share["crop", 0.5] < 0.9
    assert share["shift", 1] < 0.9
    assert share["jpeg", 5] < share["jpeg", 95] <= share["clip", 0] + 0.02
    noisy = table.query("perturbation == 'noise'").set_index(["unit", "level"])["share"]
    again = pipeline.robustness(
        pipeline.ascend(net, "conv1", [6], optimizer=sgd(steps=15)), net, "conv1", **settings
    )
    # The same noise for the same image, whichever others there are.
    alone = again.query("perturbation == 'noise'").set_index(["unit", "level"])["share"]
    assert np.allclose(alone, noisy.loc[[6]], rtol=1e-4)
    spread = (noisy - 1).abs().groupby("level").mean()
    assert spread[0.05] < spread[0.4]


def test_what_is_refused(own: Network, climbed: Ascents, untyped: None):
    cases = [
        (lambda: pipeline.transfer(climbed, own.module), "net_b: Sequential is not what"),
        (lambda: pipeline.transfer(climbed, own, at="middle"), "at: 'middle' is not one of center"),
        (lambda: pipeline.transfer(climbed, own, scale="fields"), "; nearest: field"),
        (lambda: pipeline.transfer(climbed.images, own), "source: must be given for an array"),
        (lambda: pipeline.transfer("images", own), "images: str is no images made for units; give"),
        (lambda: pipeline.transfer([], own), "images: there are none"),
        (lambda: pipeline.transfer(climbed, own, contrast=0), "contrast: 0 is not a positive numb"),
        (lambda: pipeline.transfer(climbed, own, keep=0), "keep: 0 is not positive"),
        (lambda: pipeline.robustness(climbed.images, source=own), "net_b: must be given for"),
        (
            lambda: pipeline.transfer(torch.zeros(2, 3, 4, 4), own, source=own),
            "images: torch.float32 of shape (2, 3, 4, 4) is no network input",
        ),
        (
            lambda: pipeline.transfer(climbed, own, image_set=PICTURES[:1]),
            "image_set: 1 image has no spread",
        ),
        (lambda: pipeline.unit_similarity(own, PICTURES), "ascents: must be of units, as in"),
        (lambda: pipeline.unit_facets(own, climbed), "images: 1 per unit cannot form groups; use"),
    ]
    for call, message in cases:
        with pytest.raises((ConfigError, ImageError), match=re.escape(message)):
            call()


def test_similar_units_are_similar_by_all_three(own: Network):
    """Units 0 and 1 have the same weights, and the others their own."""
    module = plain_module()
    last = module[3]
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():
        last.weight[1] = 2 * last.weight[0]
    net = same(module)
    found = pipeline.ascend(net, "conv2", optimizer=sgd(steps=5), start="zeros")
    alike = pipeline.unit_similarity(
        net, found, image_set=PICTURES, shift=0, groups=5, permutations=9
    )
    for name, matrix in alike.matrices.items():
        above = np.triu(matrix, 1)
        assert above.argmax() == 1, name  # of row 0 and column 1
        assert above.max() > 0.99, name
    assert len(alike.agreement) == 3
    assert (alike.clusters.loc[:1, ["images", "weights", "responses"]] == 0).to_numpy().all()
