"""Columns that several tables share, each described once."""

from __future__ import annotations

_SHARED = {
    "model": "name of the network",
    "layer": "name of the layer",
    "unit": "channel number of the unit; -1 for the layer as a whole",
    "copy": "number of the image among those of its unit, from 0",
    "init": "name of the init",
    "objective": "name of the objective",
    "optimizer": "name of the optimizer",
    "steps": "number of optimizer steps",
    "step": "number of optimizer steps taken so far, from 0",
    "transformed": "whether the score is that of a transformed image",
    "response": "the score at that step",
    "image": "name of the image in its set, whose columns follow the others as image_NAME",
    "status": "ok, zero_gradient or not_finite",
}


def shared(*names: str) -> dict[str, str]:
    """Return the meaning of some shared columns, by name, in the order given.

    >>> shared("layer", "unit")["layer"]
    'name of the layer'
    """
    return {name: _SHARED[name] for name in names}
