"""The settings of stimuli: how they are seen, which are exported, and what is mapped with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import nearest

STORED_IMAGES = ("ascent", "top_patches", "bottom_patches")


@dataclass
class ScreenConfig:
    """How large images are seen, and in which colors stimuli are shown.

    Attributes:
        visual_degrees: width of the network's input in degrees of visual angle, by which sizes in
            pixels are given in degrees, too.
        colors: black and white of stimuli: -1 and 1 in network-input space, as ``published``, or
            the ``bounds`` of what pixels can be after the network's preprocessing.
        background: pixel value of the gray of ``bounds``, from 0 to 1; by default the mean color of
            the network's preprocessing. The ``published`` gray is 0 in network-input space.
        center: where stimuli in degrees are centered: degrees right of and below the center of the
            input, seen by the unit whose field is nearest, as in [0.5,0.5] of Brain-Score; null: on
            the center of each unit's own field.
    """

    visual_degrees: float = 8.0
    colors: str = "published"
    background: float | None = None
    center: list[float] | None = None

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        from pipeline.stimuli.field import COLORS  # with NumPy, which help does not need

        if not 0 < self.visual_degrees <= 180:
            yield f"screen.visual_degrees: {self.visual_degrees} is not above 0 and at most 180"
        if self.colors not in COLORS:
            yield (
                f"screen.colors: '{self.colors}' is not one of {', '.join(COLORS)}"
                f"{nearest(self.colors, COLORS)}"
            )
        if self.center is not None and not (
            len(self.center) == 2 and all(abs(place) <= 90 for place in self.center)
        ):
            yield (
                f"screen.center: {list(self.center)} is not a place on the screen; give degrees to"
                " the right and down, as in screen.center=[0.5,0.5], or null"
            )
        if self.background is not None and not 0 <= self.background <= 1:
            yield f"screen.background: {self.background} is not a pixel value from 0 to 1"
        elif self.background is not None and self.colors == "published":
            yield (
                "screen.background: the published colors have a gray of their own; leave it null,"
                " or use screen.colors=bounds"
            )


@dataclass
class StimuliConfig:
    """Which stimuli and images are written as pictures, and how large.

    Attributes:
        limit: largest number of pictures of each set and layer, drawn at random by ``seed``; by
            default all, which is refused for sets of more than 10000.
        magnify: whole number of pixels of the picture, on either axis, for a pixel of the network.
        margin: gray around the receptive field, or around the canvas of images, in pixels of the
            network.
        images: images of each unit that are written, too, a list: ``ascent`` (the final images of
            ascents, from every init), ``top_patches`` and ``bottom_patches``. They need the stages
            ``ascent`` and ``top_patches``. ``stimulus=[]`` writes nothing else.
        ranks: which patches are written, a list; 0 is the most extreme.
        canvas: height and width of the gray canvas with an image at its center, in pixels of the
            network; null: those of the network's input, or of the receptive field where that is
            larger.
        scaling: how images are brought into the range of pixels: ``clip`` (as they are, and what is
            beyond black or white as black or white) or ``contrast`` (the contrast of each image
            about the gray of the canvas is multiplied by the largest factor at which nothing is
            clipped).
    """

    limit: int | None = None
    magnify: int = 1
    margin: int = 0
    images: list[str] = field(default_factory=list[str])
    ranks: list[int] = field(default_factory=lambda: [0])
    canvas: list[int] | None = None
    scaling: str = "clip"

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        yield from self._faults_of_images()
        if self.limit is not None and self.limit < 1:
            yield f"stimuli.limit: {self.limit} is not positive; use 1 or more, or null"
        if not 1 <= self.magnify <= 64:
            yield f"stimuli.magnify: {self.magnify} is not a whole number from 1 to 64"
        if not 0 <= self.margin <= 4096:
            yield f"stimuli.margin: {self.margin} is not a number of pixels from 0 to 4096"

    def _faults_of_images(self) -> Iterator[str]:
        from pipeline.stimuli.gray_canvas import SCALINGS  # with NumPy, which help does not need

        for name in self.images:
            if name not in STORED_IMAGES:
                yield (
                    f"stimuli.images: '{name}' is not one of {', '.join(STORED_IMAGES)}"
                    f"{nearest(name, STORED_IMAGES)}"
                )
        if len(set(self.images)) < len(self.images):
            yield f"stimuli.images: {list(self.images)} names images twice"
        if not self.ranks or min(self.ranks) < 0 or len(set(self.ranks)) < len(self.ranks):
            yield (
                f"stimuli.ranks: {list(self.ranks)} is not a list of different ranks from 0, as in"
                " stimuli.ranks=[0,1,2]"
            )
        sides = self.canvas
        if sides is not None and not (len(sides) == 2 and all(1 <= n <= 4096 for n in sides)):
            yield (
                f"stimuli.canvas: {list(sides)} is not a height and a width from 1 to 4096 pixels,"
                " as in stimuli.canvas=[224,224]; or null"
            )
        if self.scaling not in SCALINGS:
            yield (
                f"stimuli.scaling: '{self.scaling}' is not one of {', '.join(SCALINGS)}"
                f"{nearest(self.scaling, SCALINGS)}"
            )


@dataclass
class ShapeTuningConfig:
    """How shapes are shown, and how the null of the tuning to them is made.

    Attributes:
        width: pixels that all shapes together are wide.
        positions: pixels to the right of the center, ascending, with 0 among them; null: steps of 2
            from -50 to 50, less those that lie outside the field.
        figure: color of the shapes in network-input space, one number per channel; null: white.
        background: color around them; null: 0, the mean color of the preprocessing.
        elements: CSV file of boundary elements that were measured elsewhere, with the columns
            ``stimulus`` (0 to 361, in the order of the table ``shape_stimuli``), ``angle``
            (degrees counterclockwise from the right) and ``curvature`` (squashed, -1 to 1); null:
            the extrema of curvature along the outlines.
        shuffles: how often the responses of each unit are shuffled and fitted again, for the null.
    """

    width: float = 32.0
    positions: list[float] | None = None
    figure: list[float] | None = None
    background: list[float] | None = None
    elements: str | None = None
    shuffles: int = 10

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if not 0 < self.width < float("inf"):
            yield f"shape_tuning.width: {self.width} is not a positive number of pixels"
        places = self.positions
        if places is not None and (
            not all(map(math.isfinite, places))
            or 0 not in places
            or list(places) != sorted(set(places))
        ):
            yield (
                f"shape_tuning.positions: {list(places)} must be pixels in ascending order with 0,"
                " where models are fitted, among them; as in shape_tuning.positions=[-2,0,2]"
            )
        if self.shuffles < 0:
            yield f"shape_tuning.shuffles: {self.shuffles} is negative; use 0 or more"


@dataclass
class OpponencyConfig:
    """How hues and gratings are shown.

    Attributes:
        where: ``image``: they fill the network's input, and the unit is at the center of its map,
            with zero padding as the network has it, as published; or ``field``: they fill the
            receptive field, without padding.
        gray_hues: whether hues are shown in gray of the same luminance, as a null.
    """

    where: str = "image"
    gray_hues: bool = False

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if self.where not in ("image", "field"):
            yield f"opponency.where: '{self.where}' is not one of image, field"


@dataclass
class BestGaborConfig:
    """How the best Gabor of each unit is searched, and at which contrast it is compared.

    Attributes:
        rms: contrast of all images, the root mean square of network input over pixels and channels
            of the receptive field; null: that of each unit's top patch, which is then shown as it
            is and needs the stage ``top_patches``.
        color: ``gray`` (the same change of all pixels' channels), or ``free`` to climb the color,
            too.
        displayable: whether Gabors keep to values that pixels can have. A small Gabor then has less
            contrast, and all images are compared at that.
        steps: of Adam.
    """

    rms: float | None = 1.0
    color: str = "gray"
    displayable: bool = False
    steps: int = 100

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if self.rms is not None and not 0 < self.rms < float("inf"):
            yield (
                f"best_gabor.rms: {self.rms} is not a positive number; photographs have about 1,"
                " and null stands for that of each unit's top patch"
            )
        if self.color not in ("gray", "free"):
            yield (
                f"best_gabor.color: '{self.color}' is not one of gray, free"
                f"{nearest(self.color, ('gray', 'free'))}"
            )
        if self.steps < 1:
            yield f"best_gabor.steps: {self.steps} is not positive; use 1 or more"


@dataclass
class ReceptiveFieldsConfig:
    """By which methods receptive fields are mapped, besides the sets of ``stimulus``.

    Attributes:
        methods: methods that start from the top and bottom patches of each unit, a list:
            ``gradient``, ``guided_backprop``, ``integrated_gradient``, ``occlusion`` (slow) and
            ``effective``. They need the stage ``top_patches``.
        patches: top patches, and as many bottom patches, of each unit that these methods use; null:
            10, or as many as the search keeps.
        keep_responses: whether the responses of each unit to all stimuli are stored, rather than
            the 100 highest and lowest.
    """

    methods: list[str] = field(default_factory=list[str])
    patches: int | None = None
    keep_responses: bool = False

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if len(set(self.methods)) < len(self.methods):
            yield f"receptive_fields.methods: {list(self.methods)} names a method twice"
        if self.patches is not None and self.patches < 1:
            yield (
                f"receptive_fields.patches: {self.patches} is not positive; use 1 or more, or null"
            )


@dataclass
class TuningConfig:
    """Which properties of tuning are measured, and how.

    Attributes:
        properties: a list of properties or of their groups: ``receptive_field``, ``orientation``,
            ``spatial_frequency``, ``size``, ``contrast``, ``texture``, ``hue`` and ``cones``;
            [all] for all. Only the sets that these need are shown.
        rate_maps: how responses become rates, a list: ``identity`` (as they are), ``marques2020``
            (spikes per second, by which the median unit of a layer is as active as a cell of
            macaque V1; Marques, Schrimpf & DiCarlo 2021).
        keep_flagged: whether stimuli that are finer than pixels can show, or that leave the screen,
            are kept, and best stimuli flagged as such, rather than dropped.
        draws: of the bootstrap for 95 % intervals; 0 for none.
        noise: of the rates of ``marques2020`` that is drawn: ``poisson``, ``gaussian`` (a standard
            deviation of 1) or ``fano`` (a Fano factor of 1), mean of 20 presentations. Samples of
            textures are drawn again instead.
    """

    properties: list[str] = field(default_factory=lambda: ["all"])
    rate_maps: list[str] = field(default_factory=lambda: ["identity", "marques2020"])
    keep_flagged: bool = False
    draws: int = 0
    noise: str = "poisson"

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        known = ("identity", "marques2020")
        for name in self.rate_maps:
            if name not in known:
                yield (
                    f"tuning.rate_maps: '{name}' is not one of {', '.join(known)}"
                    f"{nearest(name, known)}"
                )
        if not self.rate_maps:
            yield f"tuning.rate_maps: the list is empty; choose from {', '.join(known)}"
        if self.draws < 0 or self.draws == 1:
            yield (
                f"tuning.draws: {self.draws} is too few for an interval; use 2 or more, or 0 for"
                " none"
            )
