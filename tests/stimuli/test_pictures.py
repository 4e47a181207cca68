"""A folder of pictures as a stimulus set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import ImageError
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.pictures import pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two pictures: a color ramp of 4 x 6 pixels and a gray one of 2 x 2."""
    ramp = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    Image.new("L", (2, 2), 255).save(tmp_path / "small.png")
    (tmp_path / "stimuli.csv").write_text("file,size\nsmall.png,2\nramp.png,4\n")
    return tmp_path


def test_pixels_become_colors_of_the_network_in_the_order_of_the_table(folder: Path):
    mean, std = [0.2, 0.4, 0.6], [0.5, 0.25, 0.2]
    stimuli = pictures(Field(4, 6, colors=Colors.bounds(mean, std)), folder)
    assert stimuli.table["file"].tolist() == ["small.png", "ramp.png"]
    assert stimuli.table["size"].tolist() == [2, 4]
    drawn = stimuli.draw([1, 0])
    ramp = np.arange(72).reshape(4, 6, 3).transpose(2, 0, 1) / 255
    expected = (ramp - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(drawn[0], expected, rtol=0, atol=1e-6)
    white = torch.tensor([1.6, 2.4, 2.0])
    torch.testing.assert_close(drawn[1, :, 1:3, 2:4], white[:, None, None].expand(3, 2, 2))
    assert drawn[1, :, 0].abs().max() < 1e-6  # gray around a small picture


def test_networks_of_one_channel_see_gray_pictures(folder: Path):
    drawn = pictures(Field(4, 6, colors=Colors.published(1)), folder).draw([0, 1])
    assert drawn.shape == (2, 1, 4, 6)
    assert drawn[0, 0, 1, 2] == 1


def test_a_set_drawn_to_files_is_the_same_set(tmp_path: Path):
    bars = bars_4a(Field(21, 21))
    rows = list(range(0, 3000, 500))
    for row, stimulus in zip(rows, bars.draw(rows), strict=True):
        pixels = ((stimulus[0] + 1) * 127.5).round().byte().numpy()
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    table = bars.table.loc[rows].assign(file=[f"{row}.png" for row in rows])
    table.to_csv(tmp_path / "stimuli.csv", index=False)
    again = pictures(Field(21, 21), tmp_path)
    assert again.table["clipped"].tolist() == table["clipped"].tolist()
    torch.testing.assert_close(again.draw(range(6)), bars.draw(rows), rtol=0, atol=0.51 / 127.5)


def rewrite(folder: Path, text: str) -> None:
    (folder / "stimuli.csv").write_text(text)


def test_tables_that_cannot_be_used_are_named(folder: Path):
    field = Field(4, 6)
    rewrite(folder, "file\nsmall.png\ngone.png\n")
    with pytest.raises(ImageError, match=r"stimuli.csv: names pictures .* not in the folder: gone"):
        pictures(field, folder)
    rewrite(folder, "name\nsmall.png\n")
    with pytest.raises(ImageError, match=r"stimuli.csv: needs the column 'file'"):
        pictures(field, folder)
    rewrite(folder, "file\n")
    with pytest.raises(ImageError, match=r"stimuli.csv: needs .* one row per picture"):
        pictures(field, folder)
    rewrite(folder, "file,clipped\nsmall.png,perhaps\n")
    with pytest.raises(ImageError, match=r"the column 'clipped' is a flag; give True or False"):
        pictures(field, folder)
    with pytest.raises(ImageError, match=r"other.csv: there is no such table"):
        pictures(field, folder, table="other.csv")


def test_pictures_that_cannot_be_used_are_named(folder: Path):
    with pytest.raises(ImageError, match=r"ramp.png: has 4 x 6 pixels, more than the field's"):
        pictures(Field(4, 5), folder)
    with pytest.raises(ImageError, match=r"of 1 or 3 channels, and this one has 2"):
        pictures(Field(4, 6, colors=Colors.published(2)), folder)
    Image.new("RGBA", (2, 2)).save(folder / "small.png")
    with pytest.raises(ImageError, match=r"small.png: is of mode RGBA; save it as an 8-bit gray"):
        pictures(Field(4, 6), folder)
    Image.fromarray(np.zeros((2, 2), dtype=np.uint16)).save(folder / "small.png")
    with pytest.raises(ImageError, match=r"small.png: is of mode I;16"):
        pictures(Field(4, 6), folder)
    (folder / "small.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"small.png: is not a picture that can be read"):
        pictures(Field(4, 6), folder)
