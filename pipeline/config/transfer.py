"""The settings of transfer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import nearest

KINDS = ("ascent", "top_patch")
AT = ("center", "max")
SCALES = ("pixels", "field")
ITSELF = "itself"
# Allowed levels of perturbations: least, most, and in words.
LEVELS = {
    "crops": (0.0, 1.0, "a share above 0 and up to 1"),
    "noise": (0.0, 1e6, "a standard deviation above 0"),
    "jpeg": (0.5, 95.0, "a quality from 1 to 95"),
    "shifts": (0.5, 1e4, "a number of pixels, 1 or more"),
}


@dataclass
class TransferConfig:
    """Whose images other networks see, and how.

    Attributes:
        to: networks that see them, by a name of your own, such as ``alexnet`` or ``seed1``. Add one
            with ``+model@transfer.to.NAME=alexnet``, and set its arguments as in
            ``transfer.to.NAME.weights=FILE`` or ``transfer.to.NAME.seed=1``. Without any, the
            network sees its own images.
        layers: layers of these networks, by the same names, as in
            ``+transfer.layers.NAME=[conv1,conv2]``; by default all convolutions.
        kinds: images that are shown, a list: ``ascent`` (those of the stage ``ascent``, from every
            init) and ``top_patch`` (the strongest patch of every unit).
        at: ``center``, the response of the units whose field has the image at its center; or
            ``max``, the largest response anywhere on the map. The image set is taken likewise.
        scale: ``pixels`` shows the same pixels, on gray or cut to the field; ``field`` resizes the
            image to the field of the units that see it.
        contrast: root mean square about gray to which every image is scaled within pixels of 0..1,
            in the network-input space of the run, where photographs have about 1; ``null`` shows
            images as they are, however strong.
        keep: best matches per image and layer in the table.
        crops: shares of height and width that are left of an image, for robustness.
        jpeg: qualities, 1 to 95.
        noise: standard deviations of Gaussian noise on pixels (black is 0, white is 1).
        shifts: pixels.
        robust: units per layer whose images are changed, the first of the run; 0 for none.
    """

    to: dict[str, Any] = field(default_factory=dict[str, Any])
    layers: dict[str, Any] = field(default_factory=dict[str, Any])
    kinds: list[str] = field(default_factory=lambda: [*KINDS])
    at: str = "center"
    scale: str = "pixels"
    contrast: float | None = 1.0
    keep: int = 3
    crops: list[float] = field(default_factory=lambda: [0.9, 0.75, 0.5])
    jpeg: list[int] = field(default_factory=lambda: [90, 50, 20])
    noise: list[float] = field(default_factory=lambda: [0.05, 0.1, 0.2])
    shifts: list[int] = field(default_factory=lambda: [1, 2, 4])
    robust: int = 8

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        yield from self._network_faults()
        for name, given, known in (
            ("kinds", self.kinds, KINDS),
            ("at", [self.at], AT),
            ("scale", [self.scale], SCALES),
        ):
            for value in given:
                if value not in known:
                    yield (
                        f"transfer.{name}: '{value}' is not one of {', '.join(known)}"
                        f"{nearest(value, known)}"
                    )
        if not self.kinds:
            yield f"transfer.kinds: the list is empty; choose from {', '.join(KINDS)}"
        yield from self._number_faults()

    def _number_faults(self) -> Iterator[str]:
        if self.contrast is not None and not 0 < self.contrast < math.inf:
            yield (
                f"transfer.contrast: {self.contrast} is not a positive number; photographs have"
                " about 1, and null shows images as they are"
            )
        if self.keep < 1:
            yield f"transfer.keep: {self.keep} is not positive; use 1 or more"
        if self.robust < 0:
            yield f"transfer.robust: {self.robust} is negative; use 0 or more"
        for name, (least, most, words) in LEVELS.items():
            for level in getattr(self, name):
                if not least < level <= most:
                    yield f"transfer.{name}: {level} is not {words}"

    def _network_faults(self) -> Iterator[str]:
        for name, group in self.to.items():
            if not isinstance(group, Mapping) or "_target_" not in group:
                known = [other for other in self.to if other != name]
                yield (
                    f"transfer.to.{name}: has settings, but no network is chosen for it; choose"
                    f" one, as in +model@transfer.to.{name}=alexnet{nearest(name, known)}"
                )
            if not name.replace("_", "").replace("-", "").isalnum():
                yield f"transfer.to.{name}: use letters, digits, - and _ for the name"
            if name == ITSELF:
                yield f"transfer.to.{name}: the network itself has this name; choose another"
        for name in self.layers:
            if name not in self.to:
                yield (
                    f"transfer.layers.{name}: no network of transfer.to has this name"
                    f"{nearest(name, self.to)}"
                )
