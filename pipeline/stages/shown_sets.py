"""The stimulus sets that a run shows to its layers: large, and built only when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

from pipeline.config.build import complete
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stimuli.field import Field
from pipeline.stimuli.sets import BUILDERS
from pipeline.stimuli.stimulus_set import StimulusSet

# Sets of this package that are drawn in pixels: how large the screen is seen does not change them.
IN_PIXELS = (
    "bars_4a", "bars_4b", "bars_4c7o", "bars_on_stride", "sin1", "sine_1", "sine_2", "shapes",
    "v4_shapes", "blocks", "sparse_noise", "dense_noise", "checkerboards", "drifting_edges",
    "pictures",
)  # fmt: skip


@dataclass(frozen=True)
class SetFacts:
    """What can be said of a stimulus set once it is built.

    Attributes:
        count: number of stimuli.
        passes: forward passes of the layer on its field that show them all.
        columns: of its table.
    """

    count: int
    passes: float
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A stimulus set that is shown to a layer.

    Attributes:
        name: of the set in this run.
        field: the canvas.
        kind: what the set calls itself: the name of the function that draws it.
        contents: digest of the files that are shown, of a set that reads files.
        in_pixels: whether it is known to be the same however large the screen is seen.
        build: returns the set.
    """

    name: str
    field: Field
    kind: str
    contents: str | None
    in_pixels: bool
    build: Callable[[], StimulusSet]

    @cached_property
    def facts(self) -> SetFacts:
        """The facts, for which the set is built once.

        Raises:
            ArtiphysError: it cannot be drawn.
        """
        made = self.build()
        return SetFacts(len(made), _passes(made), tuple(map(str, made.table)))

    @property
    def settings(self) -> dict[str, Any]:
        """What determines the stimuli beside the arguments of the set, as plain data."""
        colors = self.field.colors
        shown = {"colors": [list(color) for color in (colors.black, colors.white, colors.gray)]}
        if self.in_pixels or self.field.screen is None:
            return shown
        return shown | {"screen": asdict(self.field.screen), "shift": list(self.field.shift)}

    @property
    def count(self) -> int:
        """The number of stimuli."""
        return self.facts.count

    @property
    def passes(self) -> float:
        """How many forward passes of the layer on its field show the set."""
        return self.facts.passes


def shown_set(run: ActiveRun, layer: Layer, name: str) -> Shown:
    """Return a stimulus set of the run as it is shown to a layer.

    Of sets of this package that read no files, arguments say everything; others have to be built to
    be known.

    Raises:
        ArtiphysError: such another set cannot be drawn.
    """
    field, option = run.parts.field(layer), run.parts.config.stimulus[name]
    build = partial(build_set, run, name, field)
    kind = drawn_by(option)
    in_pixels = kind in IN_PIXELS  # others may give what they draw any name
    if kind and not reads_files(option):
        return Shown(name, field, kind, None, in_pixels, build)
    made = build()
    return Shown(name, field, made.name, made.contents, in_pixels, build)


def drawn_by(option: Mapping[str, Any]) -> str:
    """Return the name of the function of this package that draws a set, or an empty string.

    >>> drawn_by({"_target_": "pipeline.stimuli.bars.bars_4b", "divider": 4.0})
    'bars_4b'
    >>> drawn_by({"_target_": "my_lab.stimuli.bars_4b"})
    ''
    """
    targets = {f"{made.__module__}.{name}": name for name, made in BUILDERS.items()}
    return targets.get(str(option["_target_"]), "")


def reads_files(option: Mapping[str, Any]) -> bool:
    """Return whether an argument of a set is the path of a file or a folder.

    >>> reads_files({"_target_": "a.b", "size": 3}), reads_files({"_target_": "a.b", "table": "c"})
    (False, True)
    """
    return any(isinstance(value, str) for name, value in option.items() if name[:1] != "_")


def build_set(run: ActiveRun, name: str, field: Field) -> StimulusSet:
    """Return a stimulus set of the run on a field.

    Raises:
        ArtiphysError: it cannot be drawn.
    """
    key = f"stimulus.{name}"
    made = complete(run.parts.stimulus(name), key, field)
    if not isinstance(made, StimulusSet):
        raise ConfigError(
            f"{key}: returned a {type(made).__name__}, not a"
            " pipeline.stimuli.stimulus_set.StimulusSet, as compose there makes one"
        )
    return made


def _passes(stimuli: StimulusSet) -> float:
    """Return how many passes on the field a set takes; a wider pass counts by its pixels."""
    if stimuli.shifts is None:
        return float(len(stimuli))
    figures, looks = stimuli.shifts.rows.shape[:2]
    sides = zip(stimuli.size, stimuli.shifts.margin, strict=True)
    wider = [(side + 2 * margin) / side for side, margin in sides]
    return figures * looks * wider[0] * wider[1]
