"""The main job on real AlexNet weights against an independent computation of the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
import pipeline.errors
from pipeline.store.runs import Run
from tests.conftest import RunPipeline

WIDTH = {"conv1": 56, "conv2": 27, "conv3": 13}  # positions along a side of each map


def _options(reference_data: Path) -> list[str]:
    return [
        "model=alexnet",
        f"model.weights={reference_data}/weights/alexnet_conv1-3.safetensors",
        "images=folder",
        f"images.root={reference_data}/images",
        "images.resize=null",
        "images.crop=227",
    ]


@pytest.fixture(scope="module")
def reference(reference_data: Path) -> Mapping[str, np.ndarray]:
    return np.load(reference_data / "alexnet_reference.npz")


@pytest.fixture(scope="module")
def run(
    reference_data: Path, run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Patches of conv1 to conv3, and ascents of conv1 and of the first 24 units of conv2."""
    out = tmp_path_factory.mktemp("reference")
    options = [*_options(reference_data), f"out={out}"]
    run_pipeline(*options, "layers=[conv1,conv2,conv3]", "stages=[top_patches]", "name=search")
    stages = "stages=[top_patches,ascent,correlations]"
    run_pipeline(*options, "layers=[conv1]", stages, "name=conv1")
    run_pipeline(*options, "layers=[conv2]", "units=0:24", stages, "name=conv2")
    return pipeline.open_run(out / "runs" / "search")


def _ranked(run: Run, layer: str, sign: int, column: str) -> np.ndarray:
    """Return a column of the table of patches as [units, ranks]."""
    rows = run.top_patches.query("layer == @layer and sign == @sign and rank < 10")
    return rows[column].to_numpy().reshape(-1, 10)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
@pytest.mark.parametrize(("sign", "name"), [(1, "top"), (-1, "bot")])
def test_patches_agree(run: Run, reference, layer: str, sign: int, name: str):
    files = list(reference["files"])
    images = np.vectorize(files.index)(_ranked(run, layer, sign, "image"))
    positions = _ranked(run, layer, sign, "row") * WIDTH[layer] + _ranked(
        run, layer, sign, "column"
    )
    first = (images[:, 0] == reference[f"{layer}_{name}_img"][:, 0]) & (
        positions[:, 0] == reference[f"{layer}_{name}_pos"][:, 0]
    )
    expected = reference[f"{layer}_{name}_img"]
    same_ten = [set(a) == set(b) for a, b in zip(images, expected, strict=True)]
    # Of conv1's 64 units one has two equal bottom patches.
    assert first.mean() >= (0.995 if sign > 0 else 0.98)
    assert np.mean(same_ten) >= 0.99
    responses = _ranked(run, layer, sign, "response")
    np.testing.assert_allclose(responses, reference[f"{layer}_{name}_resp"], rtol=1e-4)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_receptive_fields_lie_inside_the_same_images(run: Run, reference, layer: str):
    inside = _ranked(run, layer, 1, "inside")[:, 0]
    np.testing.assert_array_equal(inside.astype(bool), reference[f"{layer}_inside"])


def _other(run: Run, name: str) -> Run:
    return pipeline.open_run(run.paths.folder.parents[1] / name)


def test_correlation_of_every_first_layer_unit_is_one(run: Run):
    table = _other(run, "conv1").correlations
    assert len(table) == 64
    assert (table["r"] > 1 - 1e-6).all()


def test_second_layer_correlations_agree_unit_by_unit(run: Run, reference):
    r = _other(run, "conv2").correlations["r"].to_numpy()
    close = np.abs(r - reference["conv2_rho"][:24]) < 0.02
    assert close.mean() >= 0.9


def test_second_layer_responses_agree(run: Run, reference):
    ascents = _other(run, "conv2").ascents
    by_init = dict(list(ascents.groupby("init")["final_response"]))
    for init, name in (("zeros", "conv2_zero_resp"), ("top_patch", "conv2_top_resp_final")):
        reached = by_init[init].to_numpy()
        agree = np.isclose(reached, reference[name][:24], rtol=0.01)
        assert agree.mean() >= 0.9


def test_climbed_images_agree(run: Run, reference):
    for layer in ("conv1", "conv2"):
        climbed = _other(run, layer).images(layer, "zeros").image[:8]
        expected = reference[f"{layer}_zero_first8"]
        scale = np.abs(expected).max(axis=(1, 2, 3))
        difference = np.abs(climbed - expected).max(axis=(1, 2, 3)) / scale
        assert np.median(difference) < 1e-3


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_cut_patch_drives_the_unit_as_in_the_reference(run: Run, reference, layer: str):
    other = _other(run, layer)
    starts = other.ascents.query("init == 'top_patch'")
    expected = reference[f"{layer}_patch_resp"][starts["unit"]]
    np.testing.assert_allclose(starts["start_response"], expected, rtol=1e-4, atol=1e-4)
    recorded = other.top_patches.query("sign == 1 and rank == 0")
    both = recorded.merge(starts, on="unit").query("inside")
    np.testing.assert_allclose(both["start_response"], both["response"], rtol=1e-4)


def test_layer_without_weights_is_refused_by_name(
    reference_data: Path, run_pipeline: RunPipeline, tmp_path: Path
):
    with pytest.raises(pipeline.errors.NetworkError) as caught:
        run_pipeline(*_options(reference_data), "layers=[conv3,conv4]", f"out={tmp_path}")
    assert str(caught.value) == (
        "layers: conv4 (features.8) of alexnet cannot be used, as"
        f" '{reference_data}/weights/alexnet_conv1-3.safetensors' does not hold all the weights"
        " they need; it covers conv1, conv2, conv3"
    )


def test_the_labs_arrays_can_be_searched(
    reference_data: Path, run_pipeline: RunPipeline, tmp_path: Path
):
    session = run_pipeline(
        *_options(reference_data)[:2],
        "images=arrays",
        f"images.root={reference_data}/images_bair",
        "layers=conv1",
        "stages=[top_patches]",
        f"out={tmp_path}",
    )
    table = pipeline.open_run(session.paths.folder).top_patches
    assert set(table["image"]) <= {f"{number}.npy" for number in range(16)}
    assert len(table) == 64 * 2 * 16  # every image has one top and one bottom patch


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_job_agrees_with_the_reference(
    reference_data: Path, reference, run_pipeline: RunPipeline, tmp_path: Path
):
    """All 640 units, both inits, 100 steps: medians as published by the reference."""
    session = run_pipeline(
        *_options(reference_data),
        "layers=[conv1,conv2,conv3]",
        "stages=[top_patches,ascent,correlations]",
        f"out={tmp_path}",
    )
    run = pipeline.open_run(session.paths.folder)
    summary: pd.DataFrame = run.correlation_summary.set_index("layer")
    assert summary.loc["conv1", "median"] == pytest.approx(1, abs=1e-6)
    assert summary.loc["conv2", "median"] == pytest.approx(0.1106, abs=0.01)
    assert summary.loc["conv3", "median"] == pytest.approx(0.0318, abs=0.006)
    r = run.correlations.query("layer == 'conv2'")["r"].to_numpy()
    assert (np.abs(r - reference["conv2_rho"]) < 0.02).mean() >= 0.9
    assert (run.correlations.query("layer == 'conv1'")["r"] > 1 - 1e-6).all()
