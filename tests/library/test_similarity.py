"""Similarity in a notebook: of arrays, tensors, ascents and runs."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pipeline
from pipeline.errors import ConfigError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(6, 3, 9, 9)).astype(np.float32)
B = (A + RNG.normal(size=A.shape)).astype(np.float32)


def test_arrays_tensors_and_ascents_give_the_same_numbers():
    found = pipeline.similarity(A, torch.from_numpy(B), draws=3).table
    assert found["statistic"].nunique() == 8  # those that need no network
    a, b = (
        SimpleNamespace(added=x, units=np.arange(6), copies=np.zeros(6, int), status=["ok"] * 6)
        for x in (A, B)
    )
    assert pipeline.similarity(a, b, draws=3).table.equals(found)
    pearson = found[found["statistic"] == "pearson"]["value"]
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(A, B, strict=True)]
    np.testing.assert_allclose(pearson, expected, rtol=1e-5)


def test_ascents_that_failed_are_kept_as_undefined_and_serve_as_no_null():
    status = ["ok", "zero_gradient", "ok", "ok", "ok", "ok"]
    a = SimpleNamespace(added=A, units=np.arange(6), copies=np.zeros(6, int), status=status)
    found = pipeline.similarity(a, B, ["pearson", "cosine"], draws=99)
    assert found.table["status"].tolist() == status * 2
    assert found.table["value"].isna().sum() == 2
    assert found.draws["units"].shape == (2, 4, 6)  # four others are left
    assert found.summary[["units", "undefined"]].to_numpy().tolist() == [[6, 1]] * 2


def test_a_network_says_what_images_do_to_its_units():
    net = pipeline.network("miniature")
    images = pipeline.ascend(net, "conv1", range(6))
    names = ["field_weighted", "response_profile", "own_percentile", "d_prime"]
    found = pipeline.similarity(images, images, names, net=net, layer="conv1", draws=5)
    values = found.table.pivot(index="unit", columns="statistic", values="value")
    np.testing.assert_allclose(values[["field_weighted", "response_profile"]], 1, rtol=1e-6)
    responses = net.module.features[0](images.added)[:, :, 2, 2].numpy()[:, :6]
    others = np.where(np.eye(6, dtype=bool), np.nan, responses)
    d_prime = (np.diag(responses) - np.nanmean(others, 0)) / np.nanstd(others, 0, ddof=1)
    np.testing.assert_allclose(values["d_prime"], d_prime, rtol=1e-4)


def test_own_weights_replace_the_effective_field():
    weights = np.zeros((6, 9, 9))
    weights[:, :3] = 1.0
    found = pipeline.similarity(A, B, "field_weighted", weights=weights, nulls=[]).table
    top = pipeline.similarity(A[:, :, :3], B[:, :, :3], "pearson", nulls=[]).table
    np.testing.assert_allclose(found["value"], top["value"])


NET = {"net": "net", "layer": "conv1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b": B[:5]}, "b: images of shape (5, 3, 9, 9) are not those of a, (6, 3, 9, 9)"),
        ({"a": A[0]}, "a: an array of shape (3, 9, 9) is not [units, channels, height, width]"),
        ({"a": "conv1"}, "a: str holds no images"),
        ({"b": SimpleNamespace(added=B, units=range(1, 7))}, "b: its units are not those of a"),
        ({"nulls": "twin"}, "nulls: 'twin' is not one of units, phase, noise"),
        ({"statistics": "d_prime"}, "statistics: d_prime needs images of the receptive fields"),
        ({"draws": 0}, "draws: 0 is not positive; use 1 or more"),
        ({"window": 4}, "window: 4 is not an odd number of pixels from 3; use 7"),
        ({"weights": A}, "weights: an array of shape (6, 3, 9, 9) is not (6, 9, 9)"),
        ({"layer": "conv1"}, "layer: it goes with net; give both, or neither"),
        ({**NET, "net": 3}, "net: int is not what pipeline.network returns"),
        (
            {**NET, "layer": "conv2"},
            "net: units of conv2 see 29 x 29 pixels, and images are 9 x 9; leave net out",
        ),
    ],
)
def test_what_is_refused(arguments: dict, message: str):
    given = {"a": A, "b": B, **arguments}
    if given.get("net") == "net":
        given["net"] = pipeline.network("miniature")
    with pytest.raises(ConfigError, match=re.escape(message)):
        pipeline.similarity(**given)
