"""The stage that writes ONNX: files that say what they mean, made once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import NetworkError
from pipeline.networks.onnx.export import ask_onnx, open_onnx
from pipeline.networks.unit_networks import unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.stages.export import work as export
from tests.conftest import RunPipeline

QUICK = ("stages=[export]", "layers=[conv1,conv2]", "images.limit=3")


@pytest.fixture(scope="module")
def exported(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    return run_pipeline(*QUICK, f"out={tmp_path_factory.mktemp('export')}")


def test_files_respond_as_the_units_do(exported: ActiveRun):
    layer = exported.parts.layers[1]
    folder = exported.paths.networks / "conv2"
    meaning = json.loads((folder / "meaning.json").read_text())
    field = meaning["receptive_field"]
    images = torch.randn(1, 3, field["height"], field["width"])
    expected = unit_network(exported.parts.graph, layer)(images, torch.tensor([5]))
    (responses,) = ask_onnx(
        open_onnx((folder / "forward.onnx").read_bytes()), {"images": images.numpy()}
    )
    assert responses.shape == (1, meaning["units"]) == (1, layer.units)
    assert responses[0, 5] == pytest.approx(float(expected), rel=1e-5)
    _, response, gradient = ask_onnx(
        open_onnx((folder / "gradient.onnx").read_bytes()),
        {"images": images.numpy(), "unit": np.array([5])},
    )
    assert response == pytest.approx(responses[0, 5], rel=1e-6)
    assert gradient.shape == images.shape


def test_files_say_what_they_mean(exported: ActiveRun):
    meaning = json.loads((exported.paths.networks / "conv2" / "meaning.json").read_text())
    preprocessing = exported.parts.network.preprocessing
    assert meaning["layer"] == "conv2"
    assert meaning["module"] == exported.parts.layers[1].module
    assert meaning["preprocessing"]["mean"] == list(preprocessing.mean)
    assert meaning["preprocessing"]["std"] == list(preprocessing.std)
    assert meaning["weights"]["sha256"] == exported.parts.network.digest
    assert max(meaning["deviations_from_pytorch"].values()) < 1e-5


def test_what_is_in_the_store_is_not_written_again(
    exported: ActiveRun, run_pipeline: RunPipeline, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(export, "export_onnx", lambda *_: pytest.fail("written again"))
    again = run_pipeline(*QUICK, f"out={exported.layout.out}", "name=again")
    assert again.paths.networks != exported.paths.networks
    for name in ("forward.onnx", "gradient.onnx", "meaning.json"):
        first, second = (run.paths.networks / "conv1" / name for run in (exported, again))
        assert first.read_bytes() == second.read_bytes()


def test_a_layer_that_cannot_be_written_is_named_and_the_others_go_on(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    write = export.export_onnx

    def some(network):
        if network.input_size == (9, 9):  # conv1
            raise NetworkError("the network cannot be written as ONNX (ONNX lacks aten.fft)")
        return write(network)

    monkeypatch.setattr(export, "export_onnx", some)
    session = run_pipeline(*QUICK, f"out={tmp_path}")
    assert [path.name for path in session.paths.networks.iterdir()] == ["conv2"]
    said = capsys.readouterr().out
    assert "export: conv1 is left out: the network cannot be written as ONNX" in said
