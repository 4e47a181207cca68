"""Cropping: only the part of a network that one unit, or a region of a map, depends on.

Every node is computed only on the interval of its map that is needed: windows slide without padding
over that interval, branches are cropped to align, and padding is added only where the interval
extends beyond the edge of the whole map. For operations that mix all positions (attention,
squeeze-and-excitation), the whole map is computed, as in the network itself.
"""

from pipeline.networks.cropping.building import crop_network
from pipeline.networks.cropping.crop import Crop, UncroppableError

__all__ = ["Crop", "UncroppableError", "crop_network"]
