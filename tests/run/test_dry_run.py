"""Trials: what cannot be computed is refused in a sentence, before anything is made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.errors import ArtiphysError
from tests.conftest import RunPipeline

QUICK = ("layers=[conv3]", "units=[0]", "init=[zeros]", "images.limit=3", "optimizer.steps=1")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["transform=[jitter]", "transform.jitter.pixels=60"],
            "transform.jitter.pixels: 60 leaves nothing of images of 53 x 53 pixels; lower it or"
            " pad them first",
        ),
        (
            ["transform=[crop]", "transform.crop.size=54"],
            "transform.crop.size: 54 is larger than images of 53 x 53 pixels; lower it or pad them"
            " first",
        ),
        (
            ["objective.unit_response.position=[40,0]"],
            r"objective: position \[40, 0\] is not on the map of \d+ x \d+",
        ),
        (
            ["objective=[direction]", "objective.direction.vector=[1.0,2.0]"],
            "objective: a direction of 2 numbers does not fit the 48 features of the layer",
        ),
        (
            ["objective=[class_logit]", "objective.class_logit.category=60"],
            "objective: category 60 is beyond the network's classes 0 to 59",
        ),
        (
            ["objective=[class_logit]", "units=[60]", "layers=[output]"],
            r"units: .*60.*",
        ),
    ],
)
def test_what_ascents_cannot_do_is_refused_before_any_work(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: list[str], message: str
):
    with pytest.raises(ArtiphysError) as refused:
        run_pipeline(*QUICK, "stages=[top_patches,ascent]", f"out={tmp_path}", *overrides)
    assert re.match(message, str(refused.value)), str(refused.value)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["transform=[jitter]", "transform.jitter.pixels=60", "dream.size=60"],
            "transform.jitter.pixels: 60 leaves nothing of images of",
        ),
        (
            ["objective=[direction]", "objective.direction.vector={48: 1.0}"],
            "objective: unit 48 of a direction is beyond the 48 of the layer",
        ),
    ],
)
def test_what_dreams_cannot_do_is_refused_before_any_work(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: list[str], message: str
):
    with pytest.raises(ArtiphysError) as refused:
        run_pipeline(*QUICK, "stages=[dream]", "init=[image]", f"out={tmp_path}", *overrides)
    assert str(refused.value).startswith(message), str(refused.value)
    assert not list(tmp_path.rglob("*.safetensors"))
