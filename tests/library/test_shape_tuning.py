from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

import pipeline
from pipeline.analysis.curvature_models import ModelBank
from pipeline.analysis.curvature_tuning import fit_models
from pipeline.analysis.shape_tuning import ShapeResponses, tuning
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network
from pipeline.networks.unit_networks import layer_network
from pipeline.search.shape_responses import shape_elements
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.shapes import outlines, v4_shapes
from tests.conftest import few_models

PARAMETERS = ["mu_angle", "mu_curvature", "spread_angle", "spread_curvature"]


@pytest.fixture(scope="module")
def oracle(reference_data: Path) -> Any:
    return np.load(reference_data / "oracles" / "shapes_apc.npz")


@pytest.fixture(scope="module")
def miniature() -> Network:
    return pipeline.network("miniature")


@pytest.fixture
def _few_models() -> Iterator[None]:
    with few_models():
        yield


def blob(width: int = 31) -> Network:
    """Return a network with one unit that averages its field, and one that does nothing."""
    module = nn.Conv2d(1, 2, width)
    with torch.no_grad():
        module.weight[0], module.weight[1] = 1 / width**2, 0.0
        module.bias.copy_(torch.tensor([0.0, 0.3]))
    return pipeline.network(nn.Sequential(module), input_size=(1, 70, 70), mean=[0.5], std=[0.25])


def test_fits_of_the_responses_of_independent_code(oracle: Any):
    found = fit_models(oracle["conv2_responses"].astype(float), shape_elements())
    expected = oracle["conv2_r_derived"][oracle["conv2_units"]]
    np.testing.assert_allclose(found["r"], expected, rtol=0, atol=5e-4)


def test_alexnet_conv2_as_independent_code_has_it(oracle: Any, reference_data: Path):
    weights = reference_data / "weights" / "alexnet_conv1-3.safetensors"
    table = pipeline.shape_tuning(pipeline.network("alexnet", weights=weights), "conv2")
    assert (table["reason"] == "").all()
    assert table["apc_r"].median() == pytest.approx(0.508, abs=0.01)
    assert table["translation_invariance"].median() == pytest.approx(0.617, abs=0.01)
    # Its shapes are filled a sixteenth of a pixel further (see the next test), and its table was
    # measured by hand.
    assert np.corrcoef(table["apc_r"], oracle["conv2_r_derived"])[0, 1] > 0.995
    assert np.corrcoef(table["apc_r"], oracle["conv2_r_table"])[0, 1] > 0.87
    np.testing.assert_array_equal(table["positions_inside"], oracle["conv2_positions_in_field"])
    ti = oracle["conv2_ti"]
    np.testing.assert_allclose(table["translation_invariance"], ti, rtol=0, atol=0.04)
    np.testing.assert_allclose(table["kurtosis"], oracle["conv2_kurtosis"], rtol=0.15)


def touched(outline: np.ndarray, side: int) -> np.ndarray:
    """Return the share of each pixel's 8 x 8 samples that an outline holds or touches."""
    picture = Image.new("L", (8 * side, 8 * side))
    x, y = (32 / 3.80515 * outline * [1, -1] + side / 2).T * 8 - 0.5
    ImageDraw.Draw(picture).polygon(list(zip(x, y, strict=True)), fill=1, outline=1)
    return np.asarray(picture, np.float32).reshape(side, 8, side, 8).mean((1, 3))


def test_alexnet_conv2_with_shapes_filled_as_in_independent_code(oracle: Any, reference_data: Path):
    """The fill alone makes the difference: there shapes hold the samples that outlines touch."""
    weights = reference_data / "weights" / "alexnet_conv1-3.safetensors"
    net = pipeline.network("alexnet", weights=weights)
    conv2, seen = layer_network(net.graph, net.layer("conv2")), net.preprocessing
    filled = torch.from_numpy(np.stack([touched(each, 51) for each in outlines(centered=True)]))
    white = (1 - torch.tensor(seen.mean)) / torch.tensor(seen.std)
    images = filled[:, None] * white[:, None, None]
    with torch.inference_mode():
        found = torch.cat([conv2(images[n : n + 40]) for n in range(0, 362, 40)])
    r = fit_models(found.numpy().astype(float).T, shape_elements())["r"]
    assert r.median() == pytest.approx(0.508, abs=5e-4)
    assert np.corrcoef(r, oracle["conv2_r_derived"])[0, 1] > 0.9999
    assert np.corrcoef(r, oracle["conv2_r_table"])[0, 1] > 0.88


@pytest.mark.usefixtures("_few_models")
def test_a_unit_that_averages_responds_to_area_and_wherever_the_shape_is():
    net = blob(width=61)
    table = pipeline.shape_tuning(net, "conv1", width=12.0).set_index("unit")
    shapes = v4_shapes(Field(61, 61, 1, Colors.bounds([0.5], [0.25])), 12.0)
    area = shapes.planes(range(shapes.geometries)).sum((1, 2, 3))
    largest = shapes.table.loc[int(area.argmax()), ["shape", "rotation"]].tolist()
    assert table.loc[0, ["best_shape", "best_rotation"]].tolist() == largest
    assert table.loc[0, "translation_invariance"] == pytest.approx(1, abs=1e-4)
    # The shapes, 12 pixels wide together, reach the field at |x| < 36.5 and no further: all
    # positions within 12 pixels must respond.
    assert table.loc[0, "positions_inside"] == pytest.approx(2 * ((36 - 12) // 2) + 1, abs=2)


@pytest.mark.usefixtures("_few_models")
def test_a_unit_that_does_not_respond_has_a_reason_and_no_numbers():
    table = pipeline.shape_tuning(blob(), "conv1", width=12.0, shuffles=2).set_index("unit")
    assert table.loc[1, "reason"] == "responses are constant"
    numbers = table.loc[1].drop(["layer", "reason", "positions_inside"])
    assert numbers.isna().all()
    assert table.loc[1, "positions_inside"] == 0
    assert table.loc[0].drop("reason").notna().all()


@pytest.mark.usefixtures("_few_models")
def test_why_there_is_no_translation_invariance(miniature: Network):
    small = pipeline.shape_tuning(miniature, "conv1", units=[0, 1])
    assert set(small["reason"]) == {
        "no translation invariance: the field, 9 pixels wide, is smaller than shapes of 32"
    }
    few = pipeline.shape_tuning(miniature, "conv2", units=[0], width=12, positions=[-2, 0, 2])
    assert few["reason"].tolist() == [
        "no translation invariance: the shapes lie inside the field at 0 of 3 positions, and 3 are"
        " needed"
    ]
    for table in (small, few):
        assert table["translation_invariance"].isna().all()
        assert table["apc_r"].notna().all()


def test_a_unit_that_is_a_model_is_recovered_and_others_are_left_out():
    bank, elements = ModelBank(), shape_elements()
    numbers = np.array([12345, 54321])
    tuned = bank.predictions(elements, numbers)
    one_hot = np.zeros((1, 362))
    one_hot[0, 7] = 1
    gains = np.array([0.0, 1, 2, 3, 2, 1, 0])
    central = np.concatenate([tuned / tuned.max(1, keepdims=True), one_hot]).T
    shown = ShapeResponses(
        (gains[:, None, None] * central - 5).astype(np.float32),
        np.full(3, -5, np.float32),
        np.arange(-6.0, 7.0, 2.0),
        2.0,
        40,
    )
    table = tuning(shown, elements, [4, 9, 2], shuffles=4)
    np.testing.assert_allclose(table["apc_r"][:2], 1, atol=1e-6)
    found = table.loc[[0, 1], PARAMETERS].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, bank.parameters(numbers), check_exact=False)
    np.testing.assert_allclose(table["translation_invariance"][:2], 1, atol=1e-5)
    assert table["positions_inside"].tolist() == [3, 3, 0]
    assert (table["null_r_95"][:2] < 0.35).all()
    assert table["reason"][2] == (
        "kurtosis of 360.0 is 42 or more: the unit responds to few shapes"
    )
    assert table.loc[2, ["apc_r", *PARAMETERS, "null_r", "translation_invariance"]].isna().all()
    assert table["best"].tolist() == [*tuned.argmax(1), 7]


def test_inhibited_units_are_described_but_for_their_sparseness():
    responses = -np.random.default_rng(0).random((1, 362, 1)).astype(np.float32) - 1
    inhibited = ShapeResponses(responses, np.zeros(1, np.float32), np.zeros(1), 32.0, 51)
    row = tuning(inhibited, shape_elements(), [0]).iloc[0]
    assert np.isnan(row["sparseness"])
    assert row["kurtosis"] == pytest.approx(1.8, abs=0.2)  # of a uniform distribution
    assert (row["best"], row["worst"]) == (responses.argmax(), responses.argmin())
    assert row["reason"].startswith("no translation invariance: the shapes lie inside the field")


@pytest.mark.usefixtures("_few_models")
def test_the_null_of_a_unit_depends_on_no_other_unit(miniature: Network):
    settings: dict[str, Any] = {"width": 12.0, "positions": [0], "shuffles": 3, "seed": 1}
    both = pipeline.shape_tuning(miniature, "conv2", units=[3, 17], **settings)
    alone = pipeline.shape_tuning(miniature, "conv2", units=[17], **settings)
    columns = ["apc_r", "null_r", "null_r_95"]
    np.testing.assert_allclose(both.loc[[1], columns], alone[columns], atol=1e-9)
    other = pipeline.shape_tuning(miniature, "conv2", units=[17], **settings | {"seed": 2})
    assert other["null_r"][0] != alone["null_r"][0]
    assert (both["null_r_95"] >= both["null_r"]).all()


@pytest.mark.usefixtures("_few_models")
def test_figure_and_background(miniature: Network):
    settings: dict[str, Any] = {"units": [3], "width": 12.0, "positions": [0]}
    white = [(1 - m) / s for m, s in zip(*vars_of(miniature), strict=True)]
    default = pipeline.shape_tuning(miniature, "conv2", **settings)
    same = pipeline.shape_tuning(miniature, "conv2", figure=white, background=[0, 0, 0], **settings)
    pd.testing.assert_frame_equal(default, same)
    black = pipeline.shape_tuning(miniature, "conv2", figure=[-x for x in white], **settings)
    assert abs(black["apc_r"][0] - default["apc_r"][0]) > 0.01


def vars_of(net: Network) -> tuple[Any, Any]:
    return net.preprocessing.mean, net.preprocessing.std


@pytest.mark.usefixtures("_few_models")
def test_elements_of_ones_own(miniature: Network):
    values = shape_elements()
    stimulus, rank = np.nonzero(np.isfinite(values.angle))
    angle, curvature = (part[stimulus, rank] for part in values)
    own = pd.DataFrame({"stimulus": stimulus, "angle": np.rad2deg(angle), "curvature": curvature})
    settings: dict[str, Any] = {"units": [3, 4], "width": 12.0, "positions": [0]}
    default = pipeline.shape_tuning(miniature, "conv2", **settings)
    given = pipeline.shape_tuning(miniature, "conv2", elements=own, **settings)
    pd.testing.assert_frame_equal(default, given)
    with pytest.raises(ConfigError, match=r"^elements: the table has elements of 361 stimuli"):
        pipeline.shape_tuning(miniature, "conv2", elements=own[own["stimulus"] < 361], **settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 0.0}, "width: 0.0 is not a positive number of pixels"),
        (
            {"positions": [1, 2]},
            "positions: [1.0, 2.0] must be pixels in ascending order with 0, where models are"
            " fitted, among them; as in positions=[-4,-2,0,2,4]",
        ),
        ({"background": []}, "background: [] is not a list of numbers, one per channel"),
        (
            {"figure": [1, 1]},
            "figure: (1.0, 1.0) is not a color of the network; give one finite number for each of"
            " its 3 channels",
        ),
        ({"figure": ["white"]}, "figure: ['white'] is not a list of numbers, one per channel"),
        ({"shuffles": -1}, "shuffles: -1 is not at least 0; use 0 or more"),
        ({"seed": -1}, "seed: -1 is not at least 0; use 0 or more"),
    ],
)
def test_what_is_refused(miniature: Network, untyped: None, given: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        pipeline.shape_tuning(miniature, "conv1", **given)


@pytest.mark.usefixtures("_few_models")
@pytest.mark.parametrize("width", [1e4, 1e-2])
def test_units_that_all_respond_alike_have_reasons(width: float):
    table = pipeline.shape_tuning(pipeline.network("miniature"), "conv1", units=[0, 1], width=width)
    assert table["apc_r"].isna().all()
    assert (table["reason"] != "").all()
