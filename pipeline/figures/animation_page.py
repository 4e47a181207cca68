"""The page of an animation, around its images and curves."""

from __future__ import annotations

from PIL import Image, ImageDraw

from pipeline.figures import style
from pipeline.figures.lettering import font, width, wrapped

GAP = 10
SMALLEST_TEXT = 14

Size = tuple[int, int]
Place = tuple[float | int, float | int]


class Page:
    """A white page with title, step and caption.

    Args:
        size: width and height of the area between title and caption.
        title: title, wrapped beside the step.
        caption: caption, wrapped.
        text: text height in pixels.
        last: number of the last step.
        counted: what steps are called.

    Attributes:
        top: top of the area between title and caption.
        blank: the page with its static parts only.
    """

    def __init__(
        self, size: Size, title: str, caption: str, text: int, last: int, counted: str = "step"
    ) -> None:
        self.text, self.last, self.counted = text, last, counted
        room = width(self._step(last), text)
        across = max(size[0], 2 * room)
        title_lines = wrapped(title, across - room - 4 * GAP, text)
        small = max(text - 2, SMALLEST_TEXT - 2)
        caption_lines = wrapped(caption, across - 2 * GAP, small)
        line = round(1.4 * text)
        self.top = GAP + line * len(title_lines) + GAP // 2
        height = self.top + size[1] + GAP + round(1.4 * small) * len(caption_lines)
        self.blank = Image.new("RGB", (across, height), "white")
        for number, words in enumerate(title_lines):
            self.write(words, (GAP, GAP + number * line), "lt")
        for number, words in enumerate(caption_lines):
            y = self.top + size[1] + round(1.4 * small) * number
            self.write(words, (GAP, y), "lt", small)

    def write(self, words: str, place: Place, anchor: str, size: int | None = None) -> None:
        """Write a line on every frame."""
        draw = ImageDraw.Draw(self.blank)
        draw.text(place, words, style.INK, font(size or self.text), anchor)

    def begin(self, step: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """Return the page of a step and its drawing context."""
        sheet = self.blank.copy()
        draw = ImageDraw.Draw(sheet)
        place = (sheet.width - GAP, GAP)
        draw.text(place, self._step(step), style.INK, font(self.text), "rt")
        return sheet, draw

    def _step(self, step: int) -> str:
        return f"{self.counted} {step} of {self.last}"
