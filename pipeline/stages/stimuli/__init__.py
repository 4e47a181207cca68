"""Stage: write stimulus sets as pictures and tables, for a rig."""

from pipeline.stages.stage import Stage, Table, later

SETS = Table(
    "stimulus_sets",
    "one row per layer and stimulus set",
    {
        "model": "name of the network",
        "layer": "name of the layer",
        "set": "name of the stimulus set",
        "folder": "folder of the pictures and of stimuli.csv, within the run folder",
        "stimuli": "number of stimuli in the set",
        "written": "number of pictures that were written",
        "aliased": "number of these whose figure is finer than pixels can show",
        "clipped": "number of these whose figure leaves the field or, if in degrees, the screen",
        "height": "height of the receptive field, in pixels of the network",
        "width": "width of the receptive field, in pixels of the network",
        "picture_height": "height of the pictures, in their own pixels",
        "picture_width": "width of the pictures, in their own pixels",
        "picture_height_degrees": "height at which the pictures are to be shown, in degrees",
        "picture_width_degrees": "width at which the pictures are to be shown, in degrees",
        "gray": "8-bit values of gray, the background of a screen, one per channel",
    },
    later("pipeline.stages.stimuli.results.stimulus_sets"),
    csv=True,
)
STAGE = Stage(
    name="stimuli",
    about="write stimulus sets as pictures and a table of their parameters, for a rig",
    needs=("train",),
    tables=(SETS,),
    repeats=False,  # its many pictures are not in the record
    check=later("pipeline.stages.stimuli.results.set_faults"),
    write=later("pipeline.stages.stimuli.work.write_sets"),
)
