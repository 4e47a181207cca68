"""A small site for the playground, with networks whose responses and gradients are known by hand.

The response of unit k to an image x is ``weights[k] . x + biases[k] - bends[k] * |x|^2``, so its
gradient is ``weights[k] - 2 bends[k] x``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from jaxtyping import Float, UInt8
from onnx import TensorProto, helper, numpy_helper

from pipeline.pages.contents import Layer, Networks, Picture, ShownAscent, ShownPreprocessing, Site
from pipeline.pages.site import build_site
from pipeline.stages.pages.contents import CHOICES

SIZE = (5, 4)
UNITS = 12
# Black enters as (-1, -1, 0), white as (1, 3, 1).
PREPROCESSING = ShownPreprocessing(None, 8, "bilinear", (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
COLOR, COLOR_IN_INPUT = "#336699", (-0.6, 0.6, 0.6)  # bytes 51, 102, 153

FACTS = (
    *("title", "name", "run", "version", "model", "weights", "images", "seed", "precision"),
    *("created", "steps", *CHOICES),
)
rng = np.random.default_rng(0)
WEIGHTS = rng.normal(size=(UNITS, 3, *SIZE)).astype(np.float32)
BIASES = np.linspace(-0.5, 0.6, UNITS).astype(np.float32)
BENDS = np.where(np.arange(UNITS) < 6, 0, 0.25).astype(np.float32)
# Added to black by the ascent of each unit; beyond what a screen shows.
ADDED = rng.normal(size=(UNITS, 3, *SIZE)).astype(np.float32) * 3


def response(x: Float[np.ndarray, "3 height width"], unit: int) -> float:
    """Return the response by hand."""
    return float((WEIGHTS[unit] * x).sum() + BIASES[unit] - BENDS[unit] * (x**2).sum())


def networks() -> Networks:
    """Return the networks of units that are known by hand."""
    return Networks(_forward(), _gradient(), UNITS, SIZE)


def _stored(**tensors: Float[np.ndarray, "*_"]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.asarray(x), name) for name, x in tensors.items()]


def _model(
    nodes: list[onnx.NodeProto],
    stored: list[onnx.TensorProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> bytes:
    graph = helper.make_graph(nodes, "units", inputs, outputs, stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def _value(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


SQUARED = [
    helper.make_node("Flatten", ["images"], ["flat"]),
    helper.make_node("Mul", ["flat", "flat"], ["squares"]),
    helper.make_node("ReduceSum", ["squares", "axis"], ["squared"], keepdims=1),
]
AXIS = np.array([1], np.int64)


def _forward() -> bytes:
    nodes = [
        *SQUARED,
        helper.make_node("Gemm", ["flat", "weights", "biases"], ["linear"], transB=1),
        helper.make_node("Mul", ["squared", "bends"], ["bent"]),
        helper.make_node("Sub", ["linear", "bent"], ["responses"]),
    ]
    stored = _stored(weights=WEIGHTS.reshape(UNITS, -1), biases=BIASES, bends=BENDS, axis=AXIS)
    return _model(nodes, stored, [_value("images", 1, 3, *SIZE)], [_value("responses", 1, UNITS)])


def _gradient() -> bytes:
    nodes = [
        *SQUARED,
        *(
            helper.make_node("Gather", [name, "unit"], [f"{name}_k"])
            for name in ("w", "b", "bends")
        ),
        helper.make_node("Mul", ["w_k", "flat"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["linear"], keepdims=0),
        helper.make_node("Reshape", ["squared", "one"], ["length"]),
        helper.make_node("Mul", ["length", "bends_k"], ["bent"]),
        helper.make_node("Add", ["linear", "b_k"], ["shifted"]),
        helper.make_node("Sub", ["shifted", "bent"], ["response"]),
        helper.make_node("Mul", ["flat", "bends_k"], ["half"]),
        helper.make_node("Add", ["half", "half"], ["slope"]),
        helper.make_node("Sub", ["w_k", "slope"], ["flat_gradient"]),
        helper.make_node("Reshape", ["flat_gradient", "shape"], ["gradient"]),
    ]
    stored = _stored(
        w=WEIGHTS.reshape(UNITS, -1),
        b=BIASES,
        bends=BENDS,
        axis=AXIS,
        one=np.array([1], np.int64),
        shape=np.array([1, 3, *SIZE], np.int64),
    )
    inputs = [_value("images", 1, 3, *SIZE), _value("unit", 1, kind=TensorProto.INT64)]
    return _model(nodes, stored, inputs, [_value("response", 1), _value("gradient", 1, 3, *SIZE)])


def black() -> Float[np.ndarray, "3 height width"]:
    return np.broadcast_to(np.array([-1, -1, 0], np.float32)[:, None, None], (3, *SIZE)).copy()


def _ascent(unit: int) -> ShownAscent:
    climbed = black() + ADDED[unit]
    responses = np.array([response(black(), unit), response(climbed, unit)])
    return ShownAscent("black", 0, climbed, black(), responses, "ok")


def _layer(name: str, units: range) -> Layer:
    box = {"top": 1, "left": 2, "bottom": 6, "right": 6, "inside": True, "row": 0, "column": 0}
    patches = [
        {"unit": unit, "sign": sign, "rank": 0, "image": "a.png", "response": sign * (2.0 + unit)}
        for unit in units
        for sign in (1, -1)
    ]
    ascents = [
        {
            "unit": unit,
            "init": "black",
            "start_response": response(black(), unit),
            "final_response": response(_ascent(unit).image, unit),
            "status": "ok",
        }
        for unit in units
    ]
    return Layer(
        name=name,
        module=f"modules.{name}",
        units=list(units),
        field=SIZE,
        image=SIZE,
        searched=True,
        climbed={"black": True},
        correlated=False,
        top_patches=pd.DataFrame(patches).assign(**box),
        ascents=pd.DataFrame(ascents),
        correlations=pd.DataFrame(
            columns=["unit", "init_a", "init_b", "copy", "r", "null_r", "status"]
        ),
        correlation_summary=pd.DataFrame(columns=["init_a", "init_b"]),
        read=lambda: [{unit: [_ascent(unit)] for unit in units}],
    )


def picture_pixels() -> UInt8[np.ndarray, "8 8 3"]:
    """Return the only source image, a ramp that differs at every pixel."""
    return np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


def site(*names: str, units: range = range(8)) -> Site:
    """Return a site with layers of these names, of which some units were climbed."""
    facts = dict.fromkeys(FACTS, "x") | {"title": "by hand", "run": "hand/1", "model": "hand"}
    return Site(
        facts=facts,
        preprocessing=PREPROCESSING,
        inits=["black"],
        copies=1,
        layers=[_layer(name, units) for name in names],
        picture=lambda _: Picture(picture_pixels()),
        numbers={"a.png": 0},
    )


def build(folder: Path, with_network: tuple[str, ...], *without: str) -> Path:
    """Build a site whose first layers have networks."""
    found = {name: networks() for name in with_network} | dict.fromkeys(without)
    build_site(site(*with_network, *without), found, folder)
    return folder


def titled(made: Site, title: str) -> Site:
    return replace(made, facts={**made.facts, "title": title, "run": title, "model": title})
