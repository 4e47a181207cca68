"""What the playground computes in the browser is what PyTorch computes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from playwright.sync_api import Page, expect
from torch import Tensor

from pipeline.images.pictures import chosen_picture, cover
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.top_patches.results import read_patches
from pipeline.store.runs import read_images
from tests.conftest import RunPipeline

pytestmark = pytest.mark.browser
LAYERS = ("conv1", "conv2", "conv3")
UNITS = list(range(20))
# Arrays pass between browser and Python as base64 of their bytes.
COMMON = """
const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const unpacked = (text) => new Float32Array(bytesOf(text).buffer);
const packed = (values) => {
  const { buffer, byteOffset, byteLength } = values;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};
const { playground } = artiphys;
"""


@pytest.fixture(scope="module")
def session(
    run_pipeline: RunPipeline, reference_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> ActiveRun:
    return run_pipeline(
        "stages=[top_patches,ascent,correlations,export,pages]",
        "model=alexnet",
        f"model.weights={reference_data}/weights/alexnet_conv1-3.safetensors",
        f"layers=[{','.join(LAYERS)}]",
        "units=0:20",
        "images.limit=30",
        "optimizer.steps=20",
        f"out={tmp_path_factory.mktemp('agreement')}",
    )


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest, session: ActiveRun) -> Layer:
    return next(layer for layer in session.parts.layers if layer.name == request.param)


@pytest.fixture
def opened(page: Page, serve: Callable[[Path], str], session: ActiveRun, layer: Layer) -> Page:
    page.goto(f"{serve(session.paths.site)}/playground.html#alexnet/{layer.name}/0")
    expect(page.locator("#response")).to_contain_text(".")
    return page


def ask(page: Page, body: str, *arguments: object) -> object:
    return page.evaluate(f"async (given) => {{ {COMMON} {body} }}", list(arguments))


def packed(values: Tensor) -> str:
    return base64.b64encode(values.detach().float().contiguous().numpy().tobytes()).decode()


def unpacked(text: object) -> Float[np.ndarray, " values"]:
    return np.frombuffer(base64.b64decode(str(text)), np.float32)


def inputs_of(session: ActiveRun, layer: Layer, page: Page, unit: int) -> dict[str, Tensor]:
    """Five images of the unit's own size, in network-input space."""
    height, width = session.parts.image_size(layer)
    picture, _ = chosen_picture("test", None)
    photograph = cover(picture, (height, width))
    page.fill("#diameter", "3")
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    page.mouse.up()
    drawing = unpacked(ask(page, "return packed(playground.values());"))
    assert drawing.std() > 0
    found = read_images(find_climb(session, layer, "top_patch").result)
    return {
        "zeros": torch.zeros(3, height, width),
        "drawing": torch.from_numpy(drawing.copy()).view(3, height, width),
        "photograph": session.parts.network.preprocessing.normalize(photograph / 255),
        "top patch": read_patches(session, layer, [unit], 0, 1)[0],
        "ascended": torch.from_numpy(found.image[found.of(unit)[0]]),
    }


def test_responses_and_a_gradient_agree(opened: Page, session: ActiveRun, layer: Layer):
    network = unit_network(session.parts.graph, layer)
    units = torch.tensor(UNITS)
    for name, values in inputs_of(session, layer, opened, unit=7).items():
        with torch.no_grad():
            expected = network(values.expand(len(UNITS), -1, -1, -1), units).numpy()
        asked = ask(
            opened,
            "return packed(await playground.respond(unpacked(given[0])));",
            packed(values),
        )
        found = unpacked(asked)[UNITS]
        # Where a response is a small sum of large terms, rounding is relative to the layer's scale.
        np.testing.assert_allclose(
            found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max(), err_msg=name
        )
    top = inputs_of(session, layer, opened, unit=7)["top patch"].clone().requires_grad_()
    response = network(top[None], torch.tensor([7]))
    response.sum().backward()
    body = """
      const found = await playground.gradient(unpacked(given[0]), given[1]);
      return [packed(found.gradient), found.response];
    """
    gradient, at = ask(opened, body, packed(top), 7)  # type: ignore[misc]
    assert at == pytest.approx(response.item(), rel=1e-4)
    wanted = top.grad.flatten().numpy()
    assert np.abs(unpacked(gradient) - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_fifty_steps_of_ascent_reach_what_pytorch_reaches(
    opened: Page, session: ActiveRun, layer: Layer
):
    network = unit_network(session.parts.graph, layer)
    start = read_patches(session, layer, [3], 0, 1)[0]
    body = """
      const how = {optimizer: "sgd", lr: 0.1, steps: 50};
      const found = await playground.ascend(unpacked(given[0]), 3, how);
      return found.response;
    """
    found = ask(opened, body, packed(start))
    assert found == pytest.approx(_climbed(network, start, 3), rel=0.01)


def _climbed(network: UnitNetwork, start: Tensor, unit: int) -> float:
    image = start.clone()[None].requires_grad_()
    for _ in range(50):
        (gradient,) = torch.autograd.grad(network(image, torch.tensor([unit])).sum(), image)
        image = (image + 0.1 * gradient).detach().requires_grad_()
    return network(image, torch.tensor([unit])).item()
