"""Stage: tuning of all units to gratings, contrasts, textures and colors, beside the macaque's."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_AT = "pre: the response of the layer; post: after the nonlinearity that follows it"
_MAP = "identity: responses as they are, negative ones 0; marques2020: spikes per second"
TUNING = Table(
    "tuning",
    "one row per layer, unit, stage, rate map and property: how the unit is tuned",
    {
        **shared("model", "layer"),
        "unit": "number of the unit, its channel",
        "at": _AT,
        "rate_map": _MAP,
        "property": "name of the property; pipeline.analysis.tuning.properties says what each is",
        "value": "its value; missing where it is undefined",
        "value_px": "the value in pixels of the network: of lengths, areas and spatial frequencies",
        "low": "lower end of the 95 % interval: the 2.5th percentile of the value in draws with"
        " noise (bootstrap); missing if tuning.draws is 0. Noise biases some properties, whose"
        " interval may lie above or below the value; the flag then says so",
        "high": "upper end likewise",
        "flag": "why the value is missing, or what to know about it; empty if nothing",
        "unit_of_measure": "deg and deg² of the visual field, ° of an angle, c/deg, octaves, %,"
        " rate (of the rate map), or empty: a pure number",
        "studied": "whether the unit counts in a population: units that do not respond do not",
    },
    later("pipeline.stages.tuning.tables.tuning"),
)
CURVES = Table(
    "tuning_curves",
    "one row per layer, unit, stage, rate map, curve and point, through the unit's best grating",
    {
        **shared("model", "layer"),
        "unit": "number of the unit, its channel",
        "at": _AT,
        "rate_map": _MAP,
        "curve": "orientation, phase, spatial_frequency, size, contrast or hue",
        "x": "what was shown",
        "x_unit_of_measure": "°, c/deg, deg (diameter), empty (contrast) or ° (hue)",
        "rate": "mean over phases less that to the blank, or the first harmonic if that is higher;"
        " of orientation the mean alone, of phase the rate; missing if the unit does not respond",
    },
    later("pipeline.stages.tuning.tables.tuning_curves"),
)
POPULATIONS = Table(
    "tuning_populations",
    "one row per layer, stage, rate map and property: its units beside cells of the macaque",
    {
        **shared("model", "layer"),
        "at": _AT,
        "rate_map": _MAP,
        "property": "name of the property",
        "raw": "similarity of the distributions, 1 if they agree (Marques et al. 2021)",
        "low": "lower end of its 95 % interval, the 2.5th percentile of the draws",
        "high": "upper end",
        "ceiling": "similarity of the cells with themselves, drawn as often",
        "final": "raw / ceiling",
        "units": "units in which the property is defined",
        "studied": "units that count, in which it may be undefined",
        "median": "median over units",
        "macaque_median": "median over cells, which lie evenly within the bins of the histogram",
        "flag": "why there is no similarity; not available: no cells were measured so",
        "source": "whose cells",
    },
    later("pipeline.stages.tuning.tables.tuning_populations"),
    csv=True,
)
STAGE = Stage(
    name="tuning",
    about="measure the tuning of units as of V1 cells, and compare populations with the macaque's",
    plan=later("pipeline.stages.tuning.plan.plan_tuning"),
    tables=(TUNING, CURVES, POPULATIONS),
    check=later("pipeline.stages.tuning.plan.tuning_faults"),
    cost=later("pipeline.stages.tuning.cost.tuning_cost"),
    work=later("pipeline.stages.tuning.work.measure_tuning"),
    write=later("pipeline.stages.tuning.drawing.draw"),
    sections=later("pipeline.stages.tuning.sections.unit_sections"),
    summary=later("pipeline.stages.tuning.tables.summary"),
)
