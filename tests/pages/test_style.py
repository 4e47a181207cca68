"""Colors can be told apart: text 4.5 : 1 and marks 3 : 1 against what is behind (WCAG AA)."""

import re

import pytest

from pipeline.pages.site import HERE

SHEET = (HERE / "style.css").read_text(encoding="utf-8")
THEMES = {
    name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", SHEET.partition(start)[2].split("}")[0]))
    for name, start in (("light", ":root {"), ("dark", ':root:not([data-theme="light"]) {'))
}
SERIES = [f"series-{number}" for number in range(6)]


def luminance(color: str) -> float:
    """Return the relative luminance of a color, as WCAG 2 defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_what_the_standard_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("behind", ["paper", "card", "soft"])
def test_text_can_be_read(theme: str, behind: str):
    colors = THEMES[theme]
    for text in ("ink", "muted", "accent", "warn"):
        assert contrast(colors[text], colors[behind]) >= 4.5, text
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
    assert contrast(colors["warn"], colors["warn-soft"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_borders_can_be_seen(theme: str):
    colors = THEMES[theme]
    for mark in ("strong-line", *SERIES):
        assert contrast(colors[mark], colors["paper"]) >= 3, mark


def test_chosen_dark_colors_are_those_of_a_dark_system():
    block = SHEET.partition(':root[data-theme="dark"] {\n')[2].split("}")[0]
    assert dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) == THEMES["dark"]
    assert set(THEMES["dark"]) <= set(THEMES["light"])
