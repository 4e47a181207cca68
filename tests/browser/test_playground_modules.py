from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from pipeline.pages.bundle import SCRIPTS

pytestmark = pytest.mark.browser
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """Where the modules lie beside an empty page."""
    folder = shutil.copytree(SCRIPTS, tmp_path_factory.mktemp("modules") / "scripts")
    (folder / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    return serve(folder)


@pytest.fixture
def call(page: Page, address: str) -> Call:
    """Call a function of a module: call("sound.js", "(m) => m.clickRate(1, 2)")."""
    page.goto(address)
    return lambda module, body: page.evaluate(
        f"async () => ({body})(await import('{address}/{module}'))"
    )


def test_the_click_rate_is_a_hundred_at_the_top_patch(call: Call) -> None:
    rates = "(m) => [[4, 4], [2, 4], [-1, 4], [0, 4], [40, 4], [1, null], [NaN, 4]]"
    found = call("sound.js", f"{rates}.map(([r, top]) => m.clickRate(r, top))")
    assert found == [100, 50, 0, 0, 200, 100, 0]


def test_spikes_come_as_a_poisson_process(call: Call) -> None:
    times = call("sound.js", "(m) => m.spikeTimes(50, 10, 210)")
    counts = [sum(10 + s <= time < 11 + s for time in times) for s in range(200)]
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    # 10,000 are expected, with a standard deviation of 100; count's variance equals its mean.
    assert 9500 < len(times) < 10500
    assert 0.6 < variance / mean < 1.5
    assert times == sorted(times)
    assert times[0] >= 10
    assert times[-1] < 210
    assert call("sound.js", "(m) => m.spikeTimes(0, 0, 100)") == []


@pytest.mark.parametrize(("diameter", "pixels"), [(1, 1), (2, 4), (3, 9), (4, 12), (5, 21)])
def test_a_dab_of_the_brush_covers_a_disk(call: Call, diameter: int, pixels: int) -> None:
    body = f"""(m) => {{
      const values = new Float32Array(3 * 81);
      const at = m.snapped([4.2, 4.4], {diameter});
      m.paint(values, [9, 9], at, at, {diameter}, [1, 2, 3]);
      return [1, 2, 3].map((color) => values.filter((value) => value === color).length);
    }}"""
    assert call("drawing.js", body) == [pixels] * 3


def test_a_slanted_line_has_no_gaps(call: Call) -> None:
    body = """(m) => {
      const values = new Float32Array(3 * 100);
      m.paint(values, [10, 10], [0.5, 0.5], [6.5, 9.5], 1, [1, 1, 1]);
      return Array.from(values.slice(0, 100));
    }"""
    values = call("drawing.js", body)
    columns = [[row for row in range(10) if values[10 * row + column]] for column in range(10)]
    assert all(columns)
    assert all(abs(a[0] - b[-1]) <= 1 for a, b in zip(columns[1:], columns, strict=False))


def test_a_brush_beyond_the_border_paints_what_is_inside(call: Call) -> None:
    body = """(m) => {
      const values = new Float32Array(12);
      m.paint(values, [2, 2], [-5, -5], [0.5, 0.5], 1, [1, 1, 1]);
      return Array.from(values);
    }"""
    assert call("drawing.js", body) == [1, 0, 0, 0] * 3


@pytest.mark.parametrize(
    ("placing", "part"),
    [
        ("{}", {"width": 50, "height": 100, "left": 75, "top": 0}),
        ("{zoom: 2, x: 1, y: 0}", {"width": 25, "height": 50, "left": 175, "top": 0}),
    ],
)
def test_a_photo_is_cut_to_cover(call: Call, placing: str, part: dict[str, float]) -> None:
    found = call("drawing.js", f"(m) => m.cover({{width: 200, height: 100}}, [20, 10], {placing})")
    assert found == part


def test_bytes_survive_the_way_to_the_network_and_back(call: Call) -> None:
    body = """(m) => {
      const how = {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]};
      const bytes = Uint8ClampedArray.from({length: 1024}, (_, i) => i % 4 === 3 ? 255 : i >> 2);
      const back = m.bytesOfInput(m.inputOfBytes(bytes, how), how);
      return [back.outside, back.bytes.every((byte, i) => byte === bytes[i])];
    }"""
    assert call("preprocessing.js", body) == [0, True]


def test_work_that_is_asked_for_often_is_done_once_a_frame(call: Call) -> None:
    body = """async (m) => {
      const seen = [];
      let asked = 0, running = 0;
      const ask = m.latest(async () => {
        running += 1;
        await new Promise((done) => setTimeout(done, 30));
        seen.push([asked, running]);
        running -= 1;
      });
      for (asked = 1; asked < 50; asked++) ask();
      await new Promise((done) => setTimeout(done, 200));
      return seen;
    }"""
    assert call("frames.js", body) == [[50, 1]]


def test_bars_start_at_zero(call: Call) -> None:
    body = """(m) => [m.rangeOf([1, 4, null, NaN]), m.rangeOf([-2, -1]), m.rangeOf([0]),
      m.span([0, 2], [-2, 4]), m.span([0, -2], [-2, 4]), m.span([-9, 9], [-2, 4])]"""
    found = call("bars.js", body)
    assert found[:3] == [[0, 4], [-2, 0], [0, 1]]
    assert found[3] == pytest.approx([100 / 3, 200 / 3])
    assert found[4] == pytest.approx([0, 100 / 3])
    assert found[5] == [0, 100]
