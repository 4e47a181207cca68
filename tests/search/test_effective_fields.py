"""Effective receptive fields: kernels, a plain loop, and sizes that can be counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipeline.analysis.field_maps import effective_sizes
from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.weights import seeded
from pipeline.search.effective_fields import (
    NoiseImages,
    map_effective_fields,
    with_effective_sizes,
)


def test_the_effective_field_of_a_linear_unit_is_its_kernel():
    with seeded(0):
        module = nn.Sequential(nn.Conv2d(3, 4, (5, 8))).requires_grad_(False)
    graph = Graph(module, (12, 12))
    maps = map_effective_fields(graph, find_layers(graph, "all", "net")[0], [3, 1]).maps
    mean = module[0].weight[[3, 1]].double().mean(1).numpy()
    np.testing.assert_allclose(maps[:, 0], mean.clip(min=0), atol=1e-7)
    np.testing.assert_allclose(maps[:, 1], (-mean).clip(min=0), atol=1e-7)


def test_the_effective_field_is_the_mean_over_the_noise():
    with seeded(1):
        module = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Conv2d(6, 40, 3))
    graph = Graph(module.requires_grad_(False), (20, 20), 1)
    layer = find_layers(graph, "all", "net")[1]
    noise = NoiseImages(count=3, seed=7)
    maps = map_effective_fields(graph, layer, [2, 31], images=noise).maps
    for row, unit in enumerate([2, 31]):
        gradients = []
        for number in range(3):
            image = noise.draw(number, (1, 7, 7)).requires_grad_()
            module(image[None])[0, unit, 0, 0].backward()
            gradients.append(image.grad[0].numpy())
        np.testing.assert_allclose(
            maps[row, 0], np.mean([g.clip(min=0) for g in gradients], axis=0), atol=1e-6
        )
        np.testing.assert_allclose(maps[row].sum(axis=0), np.abs(gradients).mean(axis=0), atol=1e-6)
    every = map_effective_fields(graph, layer, range(40), images=noise).maps
    np.testing.assert_array_equal(every[[2, 31]], maps)


def test_noise_has_mean_zero_and_deviation_one_and_differs_by_number_and_seed():
    image = NoiseImages(2, 5).draw(1, (3, 60, 60))
    assert abs(float(image.mean())) < 5 / 10800**0.5
    assert float(image.std()) == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(image, NoiseImages(20, 5).draw(1, (3, 60, 60)), rtol=0, atol=0)
    for other in (NoiseImages(2, 5).draw(0, (3, 60, 60)), NoiseImages(2, 6).draw(1, (3, 60, 60))):
        assert abs(np.corrcoef(image.ravel().numpy(), other.ravel().numpy())[0, 1]) < 0.05
    with pytest.raises(ConfigError, match=r"^count: 0 images of noise are too few; use 1 or more$"):
        NoiseImages(0)


def test_the_size_counts_pixels_above_the_fraction_left_by_two_deviations():
    maps = np.zeros((3, 10, 10))
    maps[0, 2:5, 3:6] = -0.0456 + 2 * 0.0456  # 9 pixels above 0.0455 of the maximum, and itself
    maps[0, 8, 8] = 1
    maps[1] = 1
    maps[2, 0, 0] = np.nan
    np.testing.assert_allclose(effective_sizes(maps), [10**0.5, np.nan, np.nan])
    # A Gaussian of deviation s is above 0.0455 of its peak within s sqrt(2 ln 21.98) = 2.486 s.
    y, x = np.indices((81, 81)) - 40
    bump = np.exp(-(x**2 + y**2) / (2 * 6.0**2))[None]
    side = np.pi**0.5 * 6 * (2 * np.log(1 / 0.0455)) ** 0.5
    assert effective_sizes(bump)[0] == pytest.approx(side, rel=0.01)


def test_sizes_are_joined_by_unit():
    with seeded(0):
        module = nn.Sequential(nn.Conv2d(3, 4, 5)).requires_grad_(False)
    graph = Graph(module, (12, 12))
    mapped = map_effective_fields(graph, find_layers(graph, "all", "net")[0], [3, 1])
    sizes = effective_sizes(mapped.maps.astype(np.float64).sum(axis=1))
    table = pd.DataFrame({"unit": [1, 3, 1], "x": [0.0, 1.0, 2.0]})
    joined = with_effective_sizes(table, mapped, [3, 1])
    assert joined["effective_size"].tolist() == [sizes[1], sizes[0], sizes[1]]
    assert sizes[0] != sizes[1]
