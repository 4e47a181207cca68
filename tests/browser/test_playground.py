from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.pages.contents import Networks
from pipeline.pages.networks import network_scripts
from pipeline.pages.site import build_site
from tests.browser import playground_site as hand

pytestmark = pytest.mark.browser
Serve = Callable[[Path], str]
HEIGHT, WIDTH = hand.SIZE
# Float32Array does not pass between browser and Python; lists do.
ASCEND = """async ([values, unit, how]) => {
  const found = await artiphys.playground.ascend(Float32Array.from(values), unit, how);
  return {...found, values: Array.from(found.values)};
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hand.build(tmp_path_factory.mktemp("site"), ("linear",), "bare")


@pytest.fixture
def opened(page: Page, serve: Serve, folder: Path) -> Page:
    """The playground at unit 3, whose response is known by hand."""
    page.goto(f"{serve(folder)}/playground.html#hand/linear/3")
    return ready(page)


def ready(page: Page) -> Page:
    expect(page.locator("#response")).to_have_text(re.compile(r"\d"))
    return page


def values(page: Page) -> np.ndarray:
    found = page.evaluate("() => Array.from(artiphys.playground.values())")
    return np.array(found, np.float32).reshape(3, HEIGHT, WIDTH)


def written(value: float) -> str:
    """Return a response as the page shows it: two decimals, three near zero."""
    return f"{value:.{3 if abs(value) < 0.0995 else 2}f}".replace("-", "\N{MINUS SIGN}")


def expect_response(page: Page, response: float) -> None:
    expect(page.locator("#response")).to_have_text(written(response))


def click_pixel(page: Page, row: int, column: int) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    x = (column + 0.3) * box["width"] / WIDTH
    page.locator("#canvas").click(position={"x": x, "y": (row + 0.6) * box["height"] / HEIGHT})


def use_brush(page: Page, diameter: int) -> None:
    page.fill("#color", hand.COLOR)
    page.fill("#diameter", str(diameter))


def filled(color: tuple[float, float, float]) -> np.ndarray:
    column = np.array(color, np.float32)[:, None, None]
    return np.broadcast_to(column, (3, HEIGHT, WIDTH)).copy()


def png(pixels: np.ndarray) -> dict[str, object]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"name": "photo.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


@pytest.mark.parametrize(
    ("start", "color"), [("mid", (0, 0, 0)), ("black", (-1, -1, 0)), ("white", (1, 3, 1))]
)
def test_a_cleared_canvas_enters_as_computed_by_hand(
    opened: Page, start: str, color: tuple[float, float, float]
) -> None:
    opened.click(f"[data-clear={start}]")
    np.testing.assert_allclose(values(opened), filled(color), atol=1e-6)
    expect_response(opened, hand.response(filled(color), 3))


def test_one_click_paints_one_pixel_and_adds_its_weights(opened: Page) -> None:
    use_brush(opened, 1)
    click_pixel(opened, 4, 2)
    painted = np.zeros((3, HEIGHT, WIDTH), np.float32)
    painted[:, 4, 2] = hand.COLOR_IN_INPUT
    np.testing.assert_allclose(values(opened), painted, atol=1e-6)
    by_weights = sum(
        w * x for w, x in zip(hand.WEIGHTS[3, :, 4, 2], hand.COLOR_IN_INPUT, strict=True)
    )
    expect_response(opened, hand.BIASES[3] + by_weights)
    opened.click("#undo")
    expect_response(opened, hand.BIASES[3])
    assert not values(opened).any()


def test_keys_move_the_brush_and_paint(opened: Page) -> None:
    use_brush(opened, 1)
    opened.focus("#canvas")
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft", "Space", "Shift+ArrowRight"):
        opened.keyboard.press(key)
    # From the middle, (2.5, 2): two up and one to the left.
    painted = np.argwhere(values(opened)[0] != 0).tolist()
    assert painted == [[0, 1], [0, 2]]
    expect(opened).to_have_url(re.compile("#hand/linear/3$"))  # the arrows meant the canvas
    opened.keyboard.press("Control+z")
    assert np.argwhere(values(opened)[0] != 0).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda x: torch.optim.SGD([x], lr=0.1, maximize=True)),
        ("momentum", lambda x: torch.optim.SGD([x], lr=0.1, momentum=0.9, maximize=True)),
        ("adam", lambda x: torch.optim.Adam([x], lr=0.1, maximize=True)),
    ],
)
def test_optimizers_of_the_page_are_torch_s(
    opened: Page, name: str, make: Callable[[torch.Tensor], torch.optim.Optimizer]
) -> None:
    unit, start = 9, np.random.default_rng(1).normal(size=(3, HEIGHT, WIDTH)).astype(np.float32)
    image = torch.from_numpy(start.copy())
    optimizer = make(image)
    for _ in range(5):
        image.grad = torch.from_numpy(hand.WEIGHTS[unit]) - 2 * float(hand.BENDS[unit]) * image
        optimizer.step()
    how = {"optimizer": name, "lr": 0.1, "steps": 5}
    found = opened.evaluate(ASCEND, [start.ravel().tolist(), unit, how])
    climbed = np.array(found["values"], np.float32).reshape(start.shape)
    np.testing.assert_allclose(climbed, image.numpy(), rtol=0, atol=1e-5)
    assert found["response"] == pytest.approx(hand.response(image.numpy(), unit), rel=1e-5)


def test_gradient_of_the_page_is_the_one_by_hand(opened: Page) -> None:
    image = np.random.default_rng(2).normal(size=(3, HEIGHT, WIDTH)).astype(np.float32)
    found = opened.evaluate(
        """async (values) => {
          const found = await artiphys.playground.gradient(Float32Array.from(values), 9);
          return [found.response, Array.from(found.gradient)];
        }""",
        image.ravel().tolist(),
    )
    assert found[0] == pytest.approx(hand.response(image, 9), rel=1e-5)
    expected = hand.WEIGHTS[9] - 2 * hand.BENDS[9] * image
    np.testing.assert_allclose(found[1], expected.ravel(), atol=1e-5)


def test_steps_climb_a_linear_unit_by_its_squared_weights(opened: Page) -> None:
    opened.fill("#lr", "0.5")
    gained = 0.5 * float((hand.WEIGHTS[3] ** 2).sum())
    for step in (1, 2):
        opened.click("#step")
        expect(opened.locator("#steps")).to_have_text(re.compile(f"^{step} step"))
        expect_response(opened, hand.BIASES[3] + step * gained)
    ends = f"from {written(hand.BIASES[3])} to {written(hand.BIASES[3] + 2 * gained)}"
    expect(opened.get_by_role("img", name=f"Response over 2 steps, {ends}")).to_be_visible()
    opened.click("#reset")
    expect_response(opened, hand.BIASES[3])
    expect(opened.locator("#steps")).to_have_text("0 steps")
    assert not values(opened).any()


def test_a_run_goes_on_until_it_is_paused(opened: Page) -> None:
    opened.click("#run")
    expect(opened.locator("#run")).to_have_text("Pause")
    expect(opened.locator("#steps")).to_have_text(re.compile(r"^([5-9]|\d\d+) steps"))
    opened.click("#run")
    opened.wait_for_timeout(100)  # the step that was under way
    paused = opened.text_content("#steps")
    opened.wait_for_timeout(200)
    assert opened.text_content("#steps") == paused


def test_values_beyond_the_screen_are_kept_and_drawn_upon(opened: Page) -> None:
    expect(opened.locator("#outside")).to_be_hidden()
    opened.fill("#lr", "3")
    opened.click("#step")
    expect(opened.locator("#steps")).to_have_text("1 step")
    climbed = values(opened)
    np.testing.assert_allclose(climbed, 3 * hand.WEIGHTS[3], atol=1e-5)
    low, high = (np.array(ends)[:, None, None] for ends in ((-1, -1, 0), (1, 3, 1)))
    half = 0.5 / 255 / np.array(hand.PREPROCESSING.std)[:, None, None]
    outside = int(((climbed < low - half) | (climbed > high + half)).sum())
    expect(opened.locator("#outside")).to_contain_text(f"{outside} of {3 * HEIGHT * WIDTH} values")
    use_brush(opened, 1)
    click_pixel(opened, 0, 0)
    climbed[:, 0, 0] = hand.COLOR_IN_INPUT
    np.testing.assert_allclose(values(opened), climbed, atol=1e-6)


def test_faults_of_an_ascent_are_told_in_words(opened: Page) -> None:
    opened.fill("#lr", "0")
    opened.click("#step")
    expect(opened.locator("#trouble")).to_contain_text("step size must be a number above zero")
    opened.fill("#lr", "1e39")
    opened.click("#run")
    expect(opened.locator("#trouble")).to_contain_text("not finite any more")
    expect(opened.locator("#run")).to_have_text("Run")


def test_a_photo_covers_the_canvas_and_is_moved(opened: Page) -> None:
    pixels = np.zeros((50, 120, 3), np.uint8)
    pixels[:, :60], pixels[:, 60:] = (51, 102, 153), (255, 255, 255)
    opened.set_input_files("#photo", [png(pixels)])
    opened.fill("#across", "0")
    # The canvas is 4 by 5, so that it shows 40 of 120 columns: here the first.
    np.testing.assert_allclose(values(opened), filled(hand.COLOR_IN_INPUT), atol=1e-6)
    expect_response(opened, hand.response(filled(hand.COLOR_IN_INPUT), 3))
    opened.fill("#across", "1")
    np.testing.assert_allclose(values(opened), filled((1, 3, 1)), atol=1e-6)
    opened.click("#undo")
    assert not values(opened).any()
    expect(opened.locator("#placing")).to_be_hidden()


def test_what_is_no_photo_is_told_in_words(opened: Page) -> None:
    note = {"name": "<b>note</b>.txt", "mimeType": "text/plain", "buffer": b"no image"}
    opened.set_input_files("#photo", [note])  # type: ignore[list-item]
    expect(opened.locator("#trouble")).to_contain_text("<b>note</b>.txt cannot be read as an image")


def test_a_drawing_starts_from_the_top_patch(opened: Page) -> None:
    opened.click("#starts >> text=top patch")
    patch = hand.picture_pixels()[1:6, 2:6].transpose(2, 0, 1) / 255
    mean, std = (
        np.array(x)[:, None, None] for x in (hand.PREPROCESSING.mean, hand.PREPROCESSING.std)
    )
    expect_response(opened, hand.response(((patch - mean) / std).astype(np.float32), 3))


def test_a_drawing_starts_from_what_was_climbed_beyond_the_screen(opened: Page) -> None:
    opened.click("#starts >> text=climbed from black")
    expect(opened.locator("#outside")).to_be_visible()
    climbed = hand.black() + hand.ADDED[3]
    pixels = climbed * np.array(hand.PREPROCESSING.std)[:, None, None]
    byte = (pixels.max() - pixels.min() + 1) / 255  # panels are kept in eight bits
    coarse = byte / np.array(hand.PREPROCESSING.std)[:, None, None]
    assert (np.abs(values(opened) - climbed) <= coarse).all()


def test_results_of_the_run_stand_beside_the_response(opened: Page) -> None:
    rows = opened.locator("#compared li").all_text_contents()
    climbed = hand.response(hand.black() + hand.ADDED[3], 3)
    assert rows[1:] == [
        f"top patch{written(5)}",
        f"climbed from black{written(climbed)}",
        f"bottom patch{written(-5)}",
    ]
    expect(opened.locator("#natural")).to_contain_text(
        f"from {written(-5)} (bottom patch) to {written(5)} (top"
    )


def test_the_ten_most_driven_units_are_shown_and_chosen(opened: Page) -> None:
    opened.click("[data-clear=white]")
    white = filled((1, 3, 1))
    responses = [hand.response(white, unit) for unit in range(hand.UNITS)]
    expect_response(opened, responses[3])
    order = np.argsort(responses)[::-1][:10]
    buttons = opened.locator("#driven button")
    labels = opened.locator("#driven .label").all_text_contents()
    assert labels == [f"unit {unit}" for unit in order]
    buttons.first.click()
    expect(opened).to_have_url(re.compile(f"#hand/linear/{order[0]}$"))
    expect_response(opened, responses[order[0]])  # of the same drawing


def test_a_unit_outside_the_run_can_be_played_with(opened: Page) -> None:
    opened.fill("#unit", "11")
    opened.press("#unit", "Enter")
    expect_response(opened, hand.BIASES[11])
    expect(opened.locator("#natural")).to_contain_text("no top and bottom patch")
    assert opened.locator("#compared li").count() == 1


def test_arrow_keys_choose_the_unit(opened: Page) -> None:
    opened.keyboard.press("ArrowRight")
    expect(opened).to_have_url(re.compile("#hand/linear/4$"))
    expect_response(opened, hand.BIASES[4])
    opened.go_back()
    expect_response(opened, hand.BIASES[3])


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("hand/linear/12", "Layer linear has no such unit; it has 0 to 11."),
        ("hand/linear/<b>", "Layer linear has no such unit"),
        ("hand/deep/1", "This site holds no hand/deep; it has hand/linear, hand/bare."),
        ("vgg/linear/1", "This site holds no vgg/linear"),
    ],
)
def test_links_that_lead_nowhere_are_told(
    page: Page, serve: Serve, folder: Path, link: str, told: str
) -> None:
    page.goto(f"{serve(folder)}/playground.html#{link}")
    expect(page.locator("#trouble")).to_contain_text(told)
    expect_response(ready(page), hand.BIASES[0])


def test_a_layer_without_a_network_says_so(opened: Page) -> None:
    opened.select_option("#layer", "bare")
    expect(opened.locator("#trouble")).to_contain_text("Layer bare has no network in this site")
    expect(opened.locator("#trouble")).to_contain_text("layers that have one: linear")
    expect(opened.locator("#bench")).to_be_hidden()
    told = opened.evaluate("() => artiphys.playground.respond([]).catch((error) => error.message)")
    assert told.startswith("Layer bare has no network")
    opened.select_option("#layer", "linear")
    expect(opened.locator("#trouble")).to_be_hidden()
    expect(opened.locator("#bench")).to_be_visible()


def test_a_site_without_networks_says_so_and_needs_no_runtime(page: Page, tmp_path: Path) -> None:
    hand.build(tmp_path, (), "bare")
    assert not (tmp_path / "assets/ort.js").exists()
    page.goto((tmp_path / "playground.html").as_uri())
    expect(page.locator("#trouble")).to_contain_text("built without networks")


def test_a_network_that_is_too_large_says_so(page: Page, serve: Serve, tmp_path: Path) -> None:
    hand.build(tmp_path, ("linear",))
    found = hand.networks()
    for name, script in network_scripts("linear", found, largest=len(found.forward) - 1).items():
        (tmp_path / "assets/data/linear" / name).write_text(script)
    page.goto(f"{serve(tmp_path)}/playground.html")
    expect(page.locator("#trouble")).to_contain_text("linear is too large for a page (0.0 MB)")


def test_a_damaged_network_says_so(page: Page, serve: Serve, tmp_path: Path) -> None:
    made = hand.networks()
    damaged = Networks(made.forward[:100], made.gradient, made.units, made.size)
    build_site(hand.site("linear"), {"linear": damaged}, tmp_path)
    page.goto(f"{serve(tmp_path)}/playground.html")
    expect(page.locator("#trouble")).to_contain_text("The network of layer linear cannot be opened")


def test_a_browser_without_webassembly_is_told(page: Page, serve: Serve, folder: Path) -> None:
    page.add_init_script("delete globalThis.WebAssembly;")
    page.goto(f"{serve(folder)}/playground.html")
    expect(page.locator("#trouble")).to_have_text(
        "ONNX Runtime cannot start in this browser: it has no WebAssembly."
    )


def test_it_opens_from_a_folder_without_a_server(page: Page, folder: Path) -> None:
    page.goto(f"{(folder / 'playground.html').as_uri()}#hand/linear/5")
    expect_response(ready(page), hand.BIASES[5])
    page.click("#step")
    expect(page.locator("#steps")).to_have_text("1 step")


def test_sound_waits_until_it_is_asked_for(page: Page, serve: Serve, folder: Path) -> None:
    page.add_init_script(
        """globalThis.started = 0;
        globalThis.AudioContext = class extends AudioContext {
          constructor() { super(); globalThis.started += 1; }
        };"""
    )
    page.goto(f"{serve(folder)}/playground.html")
    ready(page).click("[data-clear=white]")
    page.click("#step")
    assert page.evaluate("() => started") == 0
    page.check("#sound")
    assert page.evaluate("() => started") == 1
    page.uncheck("#sound")


def test_names_that_are_markup_are_shown_as_text(page: Page, serve: Serve, tmp_path: Path) -> None:
    markup = "<img src=x onerror=\"document.title='run'\"></script>&'"
    made = hand.titled(hand.site(markup), markup)
    build_site(made, {markup: hand.networks()}, tmp_path)
    page.goto(f"{serve(tmp_path)}/playground.html")
    ready(page)
    expect(page.locator(".lead")).to_contain_text(markup)
    assert page.locator("#layer").input_value() == markup
    expect(page).to_have_title(f"{markup} unit 0 · Playground")
    assert page.locator("main img[src='x']").count() == 0


def test_a_finger_draws_on_a_phone_without_sideways_scrolling(
    page: Page, serve: Serve, folder: Path
) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(f"{serve(folder)}/playground.html#hand/linear/3")
    use_brush(ready(page), 1)
    page.evaluate(
        """() => {
          const canvas = document.getElementById("canvas");
          const box = canvas.getBoundingClientRect();
          const touch = (type, row, column) => canvas.dispatchEvent(new PointerEvent(type, {
            pointerType: "touch", pointerId: 1, isPrimary: true, bubbles: true, button: 0,
            clientX: box.left + (column + 0.5) * box.width / canvas.width,
            clientY: box.top + (row + 0.5) * box.height / canvas.height,
          }));
          canvas.setPointerCapture = () => {};
          touch("pointerdown", 1, 0); touch("pointermove", 1, 3); touch("pointerup", 1, 3);
          touch("pointermove", 4, 3);
        }"""
    )
    assert np.argwhere(values(page)[0] != 0).tolist() == [[1, 0], [1, 1], [1, 2], [1, 3]]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    assert page.evaluate("() => getComputedStyle(canvas).touchAction") == "none"


def test_controls_have_names(opened: Page) -> None:
    nameless = opened.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas")]
          .filter((e) => !e.labels?.length && !e.textContent.trim() && !e.ariaLabel)
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    expect(opened.locator("#spoken")).to_have_text(f"Response {written(hand.BIASES[3])}")
