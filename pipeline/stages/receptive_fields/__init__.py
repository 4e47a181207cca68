"""Stage: maps of the receptive fields of all units, by drawn stimuli, photographs and gradients."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_METHOD = (
    "name of the stimulus set or method; bars and other figures give a second map,"
    " NAME_non_overlapping, of the pixels that they cover at all"
)
_SIGN = (
    "1 for what raises the response, -1 for what lowers it; of noise for light and dark, of methods"
    " by patches for the top and the bottom patches"
)
# Columns in pixels of the network, which are also given in degrees.
LENGTHS = {
    "x": "center of mass to the right of the center of the field, in pixels",
    "y": "center of mass below the center of the field, in pixels",
    "radius_10": "radius around the center of mass that holds 10 percent of the mass, in pixels",
    "radius_50": "radius that holds 50 percent, in pixels",
    "radius_90": "radius that holds 90 percent, in pixels",
    "hot_x": "highest pixel, to the right of the center, in pixels",
    "hot_y": "highest pixel, below the center, in pixels",
    "gauss_x": "center of the fitted Gaussian, to the right of the center, in pixels",
    "gauss_y": "center of the fitted Gaussian, below the center, in pixels",
    "sigma_long": "standard deviation of the Gaussian along its long axis, in pixels",
    "sigma_short": "standard deviation along its short axis, in pixels",
    "tb1_x": "place of the strongest figure, to the right of the center, in pixels",
    "tb1_y": "the same below the center, in pixels",
    "tb20_x": "mean place of the 20 strongest figures, to the right of the center, in pixels",
    "tb20_y": "the same below the center, in pixels",
    "tb100_x": "mean place of the 100 strongest figures, to the right of the center, in pixels",
    "tb100_y": "the same below the center, in pixels",
    "diameter": "diameter of a disc with the area above half height, in pixels",
    "effective_size": "side of a square as large as the effective field, if the method was chosen,"
    " in pixels",
    "field_height": "height of the theoretical receptive field, in pixels",
    "field_width": "width of the theoretical receptive field, in pixels",
}
FNAT = {
    "fnat": "best response to the set as a fraction of the mean response to the best 10 images;"
    " missing for methods without a set",
    "fnat_reason": "why it is missing, where it could be there",
}
_IN_DEGREES = {f"{name}_degrees": f"{name} in degrees of visual angle" for name in LENGTHS}
FIELDS = Table(
    "receptive_fields",
    "one row per layer, method, sign and unit: where its receptive field is, and how large",
    {
        **shared("model", "layer"),
        "method": _METHOD,
        "sign": _SIGN,
        "unit": "number of the unit, its channel",
        **LENGTHS,
        "half_area": "area above half height of the map, in square pixels",
        "half_area_square_degrees": "half_area in square degrees of visual angle",
        "amplitude": "height of the fitted Gaussian, in units of the map",
        "offset": "offset of the fitted Gaussian, in units of the map",
        "orientation": "direction of its long axis, degrees counterclockwise from the right",
        "fxvar": "share of the variance of the map that the Gaussian explains",
        "leaves_map": "whether the Gaussian reaches beyond the map",
        "reason": "why some or all numbers are missing; empty where none is",
        **FNAT,
        **_IN_DEGREES,
    },
    later("pipeline.stages.receptive_fields.tables.receptive_fields"),
    csv=True,
)
# Parameters of the sets of this package; those in pixels are also given in degrees.
PARAMETERS = {
    "x": "place of the figure, to the right of the center of the field, in pixels",
    "y": "place of the figure, below the center, in pixels",
    "length": "length of a bar, in pixels",
    "width": "width of a bar, in pixels",
    "diameter": "diameter of a grating, in pixels",
    "size": "size of a shape, in pixels",
    "side": "side of a square, in pixels",
    "check": "side of a check, in pixels",
    "frequency": "spatial frequency, in cycles per pixel",
    "orientation": "orientation, in degrees; of bars from vertical, counterclockwise",
    "phase": "phase of a grating, in degrees",
    "polarity": "1 for white on black, -1 for black on white",
    "color": "color of the figure",
    "shape": "number of the shape",
    "rotation": "rotation of the shape, degrees counterclockwise",
    "aliased": "whether the figure is finer than pixels can show",
    "clipped": "whether the figure leaves the receptive field",
}
_PIXELS = ("x", "y", "length", "width", "diameter", "size", "side", "check")
STIMULI = Table(
    "receptive_field_stimuli",
    "one row per layer, set, unit, sign and rank: the 100 strongest stimuli of each sign",
    {
        **shared("model", "layer"),
        "method": "name of the stimulus set",
        "unit": "number of the unit, its channel",
        "sign": "1 for the highest responses, -1 for the lowest",
        "rank": "0 for the strongest, then 1, 2 and so on",
        "stimulus": "number of the stimulus in its set, from 0",
        "response": "response of the unit, before any nonlinearity that follows the layer",
        **{name: f"{about}; missing where the set has none" for name, about in PARAMETERS.items()},
        **{f"{name}_degrees": f"{name} in degrees of visual angle" for name in _PIXELS},
        "frequency_per_degree": "spatial frequency, in cycles per degree",
        "others": "the other columns of the set's table, as JSON",
    },
    later("pipeline.stages.receptive_fields.tables.receptive_field_stimuli"),
)
AGREEMENT = Table(
    "map_agreement",
    "one row per layer, pair of methods, sign and unit: how alike their maps are",
    {
        **shared("model", "layer"),
        "first": "name of a method",
        "second": "name of another method",
        "sign": _SIGN,
        "unit": "number of the unit, its channel",
        "correlation": "Pearson's r of the blurred maps; missing where one is flat",
        "iou": "areas above half height of the blurred maps: intersection over union, 0 to 1",
        "distance": "earth mover's distance of the maps, in pixels",
        "distance_degrees": "distance in degrees of visual angle",
    },
    later("pipeline.stages.receptive_fields.tables.map_agreement"),
)
STAGE = Stage(
    name="receptive_fields",
    about="map the receptive fields of units by drawn stimuli, photographs and gradients",
    plan=later("pipeline.stages.receptive_fields.plan.plan_fields"),
    needs=("top_patches",),
    tables=(FIELDS, STIMULI, AGREEMENT),
    check=later("pipeline.stages.receptive_fields.plan.field_faults"),
    cost=later("pipeline.stages.receptive_fields.cost.field_cost"),
    work=later("pipeline.stages.receptive_fields.work.map_fields"),
    write=later("pipeline.stages.receptive_fields.drawing.draw"),
    sections=later("pipeline.stages.receptive_fields.sections.unit_sections"),
    summary=later("pipeline.stages.receptive_fields.tables.summary"),
)
