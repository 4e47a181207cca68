"""Which stimuli are written for each layer and set, their 8-bit pixels, and their table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8

from pipeline.config.screen import StimuliConfig
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.stages.shown_sets import build_set
from pipeline.stages.stage import Plan
from pipeline.stages.stimuli import SETS
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.parameters import in_degrees
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.store.identity import chosen

MOST = 10_000  # pictures of a set, unless a limit is given


@dataclass(frozen=True)
class Export:
    """The pictures of one set for one layer.

    Attributes:
        layer: the layer.
        name: of the set in this run.
        field: the receptive field, and the colors.
        stimuli: the set.
        numbers: stimulus numbers that are written, rising.
    """

    layer: Layer
    name: str
    field: Field
    stimuli: StimulusSet
    numbers: Int[np.ndarray, " n"]

    @property
    def folder(self) -> str:
        """Where the pictures are, below the folder of all stimuli of a run."""
        return f"{self.layer.name}/{self.name}"

    @property
    def files(self) -> list[str]:
        """The names of the pictures."""
        digits = len(str(len(self.stimuli) - 1))
        return [f"{number:0{digits}d}.png" for number in self.numbers]


def exports(run: ActiveRun) -> Iterator[Export]:
    """Yield the sets of every layer, one at a time, since tables can be large.

    Raises:
        ArtiphysError: a set cannot be drawn for a layer, or has too many pictures.
    """
    parts = run.parts
    for layer in parts.layers:
        field = parts.field(layer)
        for name in chosen(parts.config.stimulus):
            yield _export(run, layer, field, name)


def _export(run: ActiveRun, layer: Layer, field: Field, name: str) -> Export:
    config = run.parts.config
    stimuli = build_set(run, name, field)
    if field.colors.channels not in (1, 3):
        raise ConfigError(
            f"stimuli: pictures have 1 or 3 channels, and {run.parts.network.name} has"
            f" {field.colors.channels}; draw its stimuli with pipeline.stimulus_set"
        )
    numbers = chosen_numbers(len(stimuli), config.stimuli, config.seed, f"{name} for {layer.name}")
    return Export(layer, name, field, stimuli, numbers)


def chosen_numbers(
    count: int, settings: StimuliConfig, seed: int, what: str
) -> Int[np.ndarray, " n"]:
    """Return which stimuli are written: all, or some at random; fewer are among more.

    Args:
        count: of stimuli in the set.
        settings: of the stage.
        seed: of the run.
        what: the set, for the message.

    Raises:
        ConfigError: there are too many to be written unasked.
    """
    if settings.limit is None and count > MOST:
        raise ConfigError(
            f"stimuli: {what} has {count} pictures, more than {MOST}; choose some at random with"
            f" stimuli.limit=1000, or all with stimuli.limit={count}"
        )
    limit = count if settings.limit is None else settings.limit
    return np.sort(np.random.default_rng(seed).permutation(count)[:limit])


def set_faults(run: ActiveRun, _plan: Plan) -> Iterator[str]:
    """Yield what is wrong with every set and layer."""
    faults, parts = Faults(), run.parts
    names = chosen(parts.config.stimulus)
    if not names and not parts.config.stimuli.images:
        yield (
            "stimulus: the list is empty; choose one or more, as in stimulus=[bars_4a], or images"
            " of units, as in stimuli.images=[ascent]"
        )
    for layer in parts.layers:
        field = faults.attempt(partial(parts.field, layer))
        if field is None:
            continue
        for name in names:
            faults.attempt(partial(_export, run, layer, field, name))
    yield from faults.found


def eight_bits(
    stimuli: Float[np.ndarray, "n channels height width"], colors: Colors
) -> UInt8[np.ndarray, "n channels height width"]:
    """Return stimuli with black as 0 and white as 255 in each channel, rounded and clipped.

    >>> eight_bits(np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1), Colors.published(1)).ravel()
    array([  0, 128, 255], dtype=uint8)
    """
    black, white = (
        np.asarray(color)[:, None, None].astype(np.float64)
        for color in (colors.black, colors.white)
    )
    share = (stimuli - black) / (white - black)
    return np.rint(share.clip(0, 1) * 255).astype(np.uint8)


def gray_level(colors: Colors) -> list[int]:
    """Return the 8-bit value of gray in each channel.

    >>> gray_level(Colors.published(1))
    [128]
    """
    gray = np.asarray(colors.gray, dtype=np.float64)[None, :, None, None]
    return eight_bits(gray, colors).ravel().tolist()


def parameters(export: Export, degrees: float) -> pd.DataFrame:
    """Return the table of the pictures of a set: every parameter in pixels and in degrees.

    The columns of a folder of pictures, whose units are its own, stay as they are.

    Args:
        export: the set.
        degrees: of a pixel of the network.
    """
    table = export.stimuli.table.loc[export.numbers]
    if "file" in table:
        table = table.rename(columns={"file": "source", "number": "source_number"})
    else:
        table = in_degrees(table, 1 / degrees)
    table.insert(0, "number", export.numbers)
    table.insert(0, "file", export.files)
    return table


def stimulus_sets(run: ActiveRun, _plan: Plan) -> pd.DataFrame:
    """Return what was written of every set."""
    settings, degrees = run.parts.config.stimuli, degrees_of_a_pixel(run)
    rows = []
    for each in exports(run):
        flags = each.stimuli.table.loc[each.numbers]
        shown = [side + 2 * settings.margin for side in each.field.size]
        rows.append(
            (
                *(run.parts.network.name, each.layer.name, each.name),
                *(f"stimuli/{each.folder}", len(each.stimuli), len(each.numbers)),
                *(int(flags["aliased"].sum()), int(flags["clipped"].sum())),
                *each.field.size,
                *(side * settings.magnify for side in shown),
                *(side * degrees for side in shown),
                " ".join(map(str, gray_level(each.field.colors))),
            )
        )
    return pd.DataFrame(rows, columns=list(SETS.columns))


def degrees_of_a_pixel(run: ActiveRun) -> float:
    """Return the visual angle of a pixel of the network, by the width of its input."""
    return run.parts.config.screen.visual_degrees / run.parts.images.size[1]
