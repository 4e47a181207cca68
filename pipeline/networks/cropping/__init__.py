"""Cropping: the part of a network that one unit, or a region of a map, can see, and nothing else.

Every node is computed on just the interval of its map that is seen: windows slide without
padding over exactly what they need, branches are cut to align, and padding is added only where
the interval really hangs over the edge of the whole map. Where everything reaches everything
(attention, squeeze-and-excitation) the whole map is computed, as in the network itself.
"""

from pipeline.networks.cropping.building import crop_network
from pipeline.networks.cropping.crop import Crop, UncroppableError

__all__ = ["Crop", "UncroppableError", "crop_network"]
