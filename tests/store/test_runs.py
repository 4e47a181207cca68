from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.errors import StoreError
from pipeline.store.layout import Layout
from pipeline.store.results import find_result
from pipeline.store.runs import Images


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A store with the ascents of one layer, in two blocks, and two runs that used them."""
    layout = Layout(tmp_path)
    result = find_result(layout, ("ascent", "net-1", "conv1"), {"x": 1}, ["block-0", "block-1"], 3)
    for number, item in enumerate(result.items):
        starts = np.full((2, 3, 4, 4), number, np.float32)
        arrays = {
            "units": np.array([2 * number, 2 * number + 1]),
            "starts": starts,
            "copies": np.array([0, 0]),
        }
        result.write(item, arrays | {"images": starts + 0.5}, {"status": ["ok", "zero_gradient"]})
    place = {"folder": str(result.folder.relative_to(tmp_path)), "items": list(result.items)}
    for stamp in ("2030-01-01_00-00-00", "2030-01-02_00-00-00"):
        folder = layout.runs("main") / stamp
        folder.mkdir(parents=True)
        record = {"results": {"ascent": {"conv1/zeros": place}}}
        (folder / "record.json").write_text(json.dumps(record))
    return tmp_path


def test_name_opens_the_newest_run(out: Path):
    assert pipeline.open_run(out / "runs" / "main").paths.folder.name == "2030-01-02_00-00-00"


def test_newest_finished_run_comes_before_a_newer_failed_one(out: Path):
    first = out / "runs" / "main" / "2030-01-01_00-00-00" / "record.json"
    first.write_text(json.dumps({"state": "finished", "results": {}}, indent=2))
    run = pipeline.open_run(out / "runs" / "main")
    assert run.paths.folder.name == "2030-01-01_00-00-00"
    assert repr(run).endswith("2030-01-01_00-00-00': no model, no layers, finished)")


def test_the_newest_run_is_told_by_its_record_in_whatever_zone_it_was_made(out: Path):
    # At nine in the morning in Tokyo, and an hour later, soon after midnight, in London.
    for stamp, time in {
        "2030-03-01_09-00-00": "2030-03-01T00:00:00+00:00",
        "2030-03-01_01-00-00": "2030-03-01T01:00:00+00:00",
    }.items():
        folder = out / "runs" / "zones" / stamp
        folder.mkdir(parents=True)
        record = {"state": "finished", "time": time, "results": {}}
        (folder / "record.json").write_text(json.dumps(record))
    assert pipeline.open_run(out / "runs" / "zones").paths.folder.name == "2030-03-01_01-00-00"


@pytest.mark.parametrize("text", ["[]", "{", '"time"'])
def test_a_run_whose_record_is_damaged_is_passed_over_or_told(out: Path, text: str):
    newest = out / "runs" / "main" / "2030-01-02_00-00-00"
    first = out / "runs" / "main" / "2030-01-01_00-00-00" / "record.json"
    first.write_text(json.dumps({"state": "finished", "results": {}}))
    (newest / "record.json").write_text(text)
    assert pipeline.open_run(newest.parent).paths.folder == first.parent
    with pytest.raises(StoreError, match=r"record\.json' cannot be read"):
        pipeline.open_run(newest)


def test_images_are_joined_in_order_with_starts_and_status(out: Path):
    images = pipeline.open_run(out / "runs" / "main").images("conv1", "zeros")
    assert images.units.tolist() == [0, 1, 2, 3]
    assert images.start[:, 0, 0, 0].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(images.added, np.full((4, 3, 4, 4), 0.5))
    assert images.status == ["ok", "zero_gradient"] * 2


def test_images_are_found_by_unit_whichever_units_were_climbed():
    units, copies = np.array([7, 7, 2, 2]), np.array([0, 1, 0, 1])
    pixels = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((3, 2, 2), np.float32)
    images = Images(units, pixels, np.zeros_like(pixels), ["ok"] * 4, copies)
    assert images.added[images.of(7)][:, 0, 0, 0].tolist() == [0, 1]
    assert images.image[images.of(2)][:, 0, 0, 0].tolist() == [2, 3]
    with pytest.raises(StoreError) as caught:
        images.of(3)
    assert str(caught.value) == "images: unit 3 is not among the 2 that the run climbed, 7 to 2"


def test_out_folder_can_be_moved(out: Path, tmp_path_factory: pytest.TempPathFactory):
    moved = tmp_path_factory.mktemp("elsewhere") / "out"
    out.rename(moved)
    assert len(pipeline.open_run(moved / "runs" / "main").images("conv1", "zeros").units) == 4


def test_what_is_not_there_is_named(out: Path):
    run = pipeline.open_run(out / "runs" / "main")
    with pytest.raises(
        StoreError,
        match=r"has no result of the stage 'ascent' for 'conv2/zeros'; it has conv1/zeros",
    ):
        run.images("conv2", "zeros")
    with pytest.raises(AttributeError, match=r"has no table 'ascent'; it has none$"):
        _ = run.ascent
    with pytest.raises(StoreError, match="is not a run and holds none"):
        pipeline.open_run(out / "nothing")


def test_runs_of_one_second_are_ordered_by_number(out: Path):
    folder = out / "runs" / "main"
    for number in (2, 9, 11):
        (folder / f"2031-01-01_00-00-00_{number}").mkdir()
        (folder / f"2031-01-01_00-00-00_{number}" / "record.json").write_text('{"results": {}}')
    assert pipeline.open_run(folder).paths.folder.name == "2031-01-01_00-00-00_11"


def test_images_of_a_run_become_pixels(out: Path):
    run = pipeline.open_run(out / "runs" / "main")
    with pytest.raises(StoreError, match="has not recorded the preprocessing of its images"):
        run.pixels(run.images("conv1", "zeros").image)
    seen = {"resize": None, "crop": 4, "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.5, 1.0]}
    run.record["images"] = {"preprocessing": seen | {"interpolation": "bilinear"}}
    images = run.images("conv1", "zeros").image  # 0.5, 0.5, 1.5, 1.5
    pixels = run.pixels(images)
    assert pixels.shape == (4, 4, 4, 3)
    np.testing.assert_allclose(pixels[0, 0, 0], [0.625, 0.65, 0.8])
    np.testing.assert_allclose(pixels[2, 0, 0], [0.875, 1.0, 1.0])
    np.testing.assert_allclose(run.pixels(images, clip=False)[2, 0, 0], [0.875, 1.15, 1.8])
    assert repr(run.images("conv1", "zeros")).splitlines()[2] == "  image: float32 [4, 3, 4, 4]"


def test_tables_of_a_run_are_among_its_completions(out: Path):
    run = pipeline.open_run(out / "runs" / "main")
    run.paths.tables.mkdir()
    (run.paths.tables / "ascents.parquet").write_bytes(b"")
    assert {"ascents", "images", "pixels", "patches", "responses"} <= {*dir(run)}
