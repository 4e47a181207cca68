"""Stage: build the pages of a run from its results."""

from pipeline.stages.stage import Stage, later

STAGE = Stage(
    name="pages",
    about="build a gallery of all units and a playground, as pages for any browser",
    needs=("figures", "animate", "dream", "export"),
    shows_name=True,
    shows_sections=True,
    write=later("pipeline.stages.pages.work.build"),
)
