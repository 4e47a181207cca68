from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from pipeline.config.build import Parts
from pipeline.config.checks import check_parts, check_values
from pipeline.errors import ConfigError, StoreError
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "stages=[ascent,corelations]",
            "stages: 'corelations' is not a stage; the stages are train, top_patches, ascent,"
            " correlations, figures; nearest: correlations",
        ),
        (
            "stages=[]",
            "stages: the list is empty; choose from train, top_patches, ascent, correlations,"
            " figures",
        ),
        ("search.keep=0", "search.keep: 0 is not positive; use 1 or more"),
        ("search.batch_size=-1", "search.batch_size: -1 is not positive; use 1 or more"),
        ("search.max_unreadable=2", "search.max_unreadable: 2.0 is not a share from 0 to 1"),
        (
            "figures.triptychs=[conv2]",
            "figures.triptychs: 'conv2' is not a layer and a unit, such as conv2/7",
        ),
        ("figures.formats=[gif]", "figures.formats: 'gif' is not one of png, pdf, svg"),
    ],
)
def test_bad_value_is_refused(composed: Compose, override: str, message: str):
    with pytest.raises(ConfigError) as caught:
        check_values(composed(override))
    assert str(caught.value) == message


def test_full_disk_is_found_before_work_starts(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
    parts = Parts(composed(f"out={tmp_path}/not/yet", "layers=conv1", "images.limit=1"))
    with pytest.raises(StoreError) as caught:
        check_parts(parts)
    # 24 units x 9 x 9 x 3 pixels x 4 bytes x start and image x two inits
    assert str(caught.value) == (
        f"out: the ascents need up to 0.0 GB and '{tmp_path}' has 0.0 GB free; choose another out,"
        " fewer layers or fewer units"
    )
