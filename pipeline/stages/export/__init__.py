"""Stage: write every layer's network as ONNX, for other programs and for the playground."""

from pipeline.stages.stage import Stage, later

STAGE = Stage(
    name="export",
    about="write every layer's network as ONNX, for other programs and for the playground",
    plan=later("pipeline.stages.export.results.plan_exports"),
    version=3,
    needs=("train",),
    write=later("pipeline.stages.export.work.export"),
)
