"""What each parameterization reaches: responses and smoothness of the images of the same units.

Every row is one run of the pipeline, so that it can be repeated by its overrides. With reference
data (``ARTIPHYS_REFERENCE_DATA``) it is AlexNet's conv3, else conv3 of the embedded network.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from jaxtyping import Float
from torch import Tensor

import pipeline
from pipeline.cli.run import run_anew
from pipeline.config.build import typed
from pipeline.config.schema import register
from pipeline.config.search_path import conf_dir
from pipeline.figures.contact_sheet import contact_sheet
from pipeline.figures.scaling import to_display
from pipeline.run.active_run import ActiveRun
from pipeline.stages.top_patches.results import read_patches
from pipeline.synthesis.parameterizations.spectra import frequencies, spectrum_of

Row = dict[str, str | float]
LAYER = "conv3"
STEPS = 128
SAME = 0.05  # learning rate of Adam for all; lucent's
RATES = (0.01, 0.05, 0.25)  # of which the best is shown, too
FINE = 0.25  # cycles per pixel, above which power counts as fine: half the highest along an axis
SHOWN = 6  # units on the contact sheet
PIECES = [
    "pixel",
    "pixel,sigmoid",
    "low_resolution",
    "decorrelated",
    "fourier",
    "fourier,decorrelated",
    "fourier,decorrelated,sigmoid",
    "maco,sigmoid",
    "cppn,sigmoid",
]


@dataclass(frozen=True)
class Setting:
    """Under what else the parameterizations are compared."""

    constraint: str
    transforms: str

    def __str__(self) -> str:
        norm = "any norm" if self.constraint == "none" else "natural norm"
        return f"{norm}, {'robust' if self.transforms else 'plain'}"


SETTINGS = [Setting(*found) for found in product(("norm", "none"), ("", "standard"))]


def smoothness(images: Float[Tensor, "images 3 height width"]) -> tuple[Tensor, Tensor]:
    """Return the total variation per contrast and the share of fine power, one of each per image.

    Total variation is the mean size of the differences between neighbors, down and across added;
    the contrast is the standard deviation about the mean of each color. Fine is the power above
    ``FINE``; white noise has 80 % of its power there, and a total variation of 2.26.
    """
    images = images.double() - images.double().mean((2, 3), keepdim=True)
    down, across = images.diff(dim=2).abs(), images.diff(dim=3).abs()
    variation = down.mean((1, 2, 3)) + across.mean((1, 2, 3))
    size = (images.shape[2], images.shape[3])
    power = spectrum_of(images).abs().square().sum(1)
    power[:, :, 1 : (size[1] + 1) // 2] *= 2  # their conjugates
    fine = (power * (frequencies(size) > FINE)).sum((1, 2)) / power.sum((1, 2))
    return variation / images.square().mean((1, 2, 3)).sqrt(), fine


def compare(quick: bool, sheets: Path) -> Iterator[Row]:
    """Climb the same units under every parameterization and setting, and draw contact sheets.

    All are climbed with the same learning rate; under the natural norm also with the one that
    reaches most in the first setting, where that is another.

    Args:
        quick: two parameterizations of few units and steps.
        sheets: folder for one picture per setting: rows are units, columns parameterizations,
            responses below; the last column is the top patch.
    """
    logging.getLogger("pipeline").setLevel(logging.WARNING)
    pieces, settings = (PIECES[4::2], SETTINGS[:1]) if quick else (PIECES, SETTINGS)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as out:
        given = [*_options(quick), f"out={out}"]
        patches, tops = _top_patches(_run([*given, "stages=[top_patches]"]))
        yield _row("top patch", "", 0.0, tops / tops, patches)
        for setting in settings:
            columns, responses = [], []
            for piece in pieces:
                if not best.get(piece):
                    rates = (SAME,) if quick else RATES
                elif setting.constraint == "norm":
                    rates = tuple(dict.fromkeys([SAME, best[piece]]))
                else:
                    rates = (SAME,)
                climbed = {rate: _climb(given, piece, setting, rate) for rate in rates}
                best.setdefault(piece, _best(climbed, tops))
                for rate, (images, reached) in climbed.items():
                    yield _row(piece, str(setting), rate, reached / tops, images)
                images, reached = climbed.get(best[piece], climbed[SAME])
                columns.append(images[:SHOWN])
                responses.append(reached[:SHOWN])
            name = str(setting).replace(", ", "_").replace(" ", "_")
            _draw(
                sheets / f"vocabulary_{name}.png",
                [*columns, patches[:SHOWN]],
                np.stack([*responses, tops[:SHOWN]], 1),
                f"{LAYER}, {setting}: {'; '.join(pieces)}; top patch",
            )


def _options(quick: bool) -> list[str]:
    data = os.environ.get("ARTIPHYS_REFERENCE_DATA")
    options = ["tracking=none", "runner.accelerator=cpu", f"layers=[{LAYER}]"]
    options += ["units=0:2", "images.limit=16"] if quick else ["units=0:32"]
    options += ["optimizer=adam", f"optimizer.steps={2 if quick else STEPS}"]
    if data is None or quick:
        return options
    weights = f"model.weights={data}/weights/alexnet_conv1-3.safetensors"
    images = ["images=folder", f"images.root={data}/images", "images.resize=null"]
    return [*options, "model=alexnet", weights, *images, "images.crop=227"]


def _run(overrides: Sequence[str]) -> ActiveRun:
    register()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        return run_anew(typed(compose(config_name="config", overrides=list(overrides))))


def _top_patches(session: ActiveRun) -> tuple[Tensor, np.ndarray]:
    """Return the units' top patches and the responses to them in their images.

    A patch at the border of its image is cut with zeros around it, which the unit never saw.
    """
    (layer,) = session.parts.layers
    units = session.parts.units[layer.name]
    box = session.parts.canvas(layer).box
    patches = read_patches(session, layer, units, 0, 1, (box.height, box.width))
    table = pipeline.open_run(session.paths.folder).top_patches
    tops = table.query("sign == 1 and rank == 0").set_index("unit")["response"]
    return patches, tops.loc[units].to_numpy()


def _climb(
    given: Sequence[str], piece: str, setting: Setting, rate: float
) -> tuple[Tensor, np.ndarray]:
    """Return images and final responses."""
    init = "parameters" if piece.startswith("cppn") else "noise"
    session = _run(
        [
            *given,
            "stages=[ascent]",
            f"init=[{init}]",
            f"parameterization=[{piece}]",
            f"constraint={setting.constraint}",
            f"transform=[{setting.transforms}]",
            f"optimizer.lr={rate}",
        ]
    )
    run = pipeline.open_run(session.paths.folder)
    return torch.from_numpy(run.images(LAYER, init).image), run.ascents["final_response"].to_numpy()


def _best(climbed: dict[float, tuple[Tensor, np.ndarray]], tops: np.ndarray) -> float:
    """Return the learning rate that reaches most, by the median of the shares of the top patch."""
    return max(climbed, key=lambda rate: float(np.median(climbed[rate][1] / tops)))


def _row(piece: str, setting: str, rate: float, ratios: np.ndarray, images: Tensor) -> Row:
    variation, fine = smoothness(images)
    return {
        "parameterization": piece.replace(",", " + "),
        "setting": setting,
        "lr": rate,
        "of_top_patch": float(np.median(ratios)),
        "q25": float(np.quantile(ratios, 0.25)),
        "q75": float(np.quantile(ratios, 0.75)),
        "variation": float(variation.median()),
        "fine_share": float(fine.median()),
        "norm": float(images.flatten(1).norm(dim=1).median()),
    }


def _draw(path: Path, columns: Sequence[Tensor], responses: np.ndarray, title: str) -> None:
    grid = torch.stack(list(columns), 1).numpy()
    shown = np.stack([[to_display(image, "symmetric") for image in row] for row in grid])
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(shown, responses, range(len(grid)), title).save(path)
