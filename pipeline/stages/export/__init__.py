"""Stage: export the network up to each layer as ONNX, for other programs and the playground."""

from pipeline.stages.stage import Stage, later

STAGE = Stage(
    name="export",
    about="export the network up to each layer as ONNX, for other programs and the playground",
    plan=later("pipeline.stages.export.results.plan_exports"),
    version=3,
    needs=("train",),
    write=later("pipeline.stages.export.work.export"),
)
