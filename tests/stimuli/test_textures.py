"""Textures and noise: equal spectra, unequal phases, families, crops of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter

from pipeline.errors import ConfigError, ImageError
from pipeline.stimuli.field import Field, Screen
from pipeline.stimuli.texture_families import FAMILIES, drawn_texture, family_names
from pipeline.stimuli.textures import texture_pair, textures

COARSE = Screen(84, 84)  # 10.5 pixels per degree: 42 pixels in 4 degrees
FIELD = Field(42, 42, screen=COARSE)
SIDE = 42


def test_there_are_15_families_of_15_samples_of_noise_and_texture():
    table = textures(FIELD).table
    assert table["kind"].tolist()[:3] == ["noise", "texture", "noise"]
    counts = table.groupby("family", sort=False)["sample"].nunique()
    assert counts.index.tolist() == family_names()
    assert (len(table), len(set(family_names())), set(counts)) == (450, 15, {15})
    assert table[["diameter", "diameter_degrees"]].drop_duplicates().to_numpy().tolist() == [
        [42.0, 4.0]
    ]


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_noise_has_the_spectrum_of_its_texture_and_other_phases(family: int):
    (noise, texture), contrast = texture_pair(family, 3, SIDE, 0)
    spectra = np.abs(np.fft.fft2([noise, texture]))
    np.testing.assert_allclose(spectra[0], spectra[1], atol=1e-3)
    for picture in (noise, texture):
        assert picture.mean() == pytest.approx(0, abs=1e-6)
        assert picture.std() == pytest.approx(contrast, rel=1e-5)
        assert np.abs(picture).max() <= 1 + 1e-6
    assert abs(np.corrcoef(noise.ravel(), texture.ravel())[0, 1]) < 0.5


def test_what_the_spectrum_does_not_hold_tells_them_apart():
    """The power of fine detail is the same, and how it is spread over places is not Gaussian."""
    spread = []
    for family in range(len(FAMILIES)):
        for sample in range(3):
            pair, _ = texture_pair(family, sample, SIDE, 1)
            # Energy of the finest detail, a high-pass, in small patches.
            detail = [np.square(p - uniform_filter(p, 3, mode="wrap")) for p in pair]
            np.testing.assert_allclose(detail[0].sum(), detail[1].sum(), rtol=1e-4)
            spread.append([float((d**2).mean() / d.mean() ** 2) for d in detail])
    noise, texture = np.array(spread).T
    assert 2.5 < np.median(noise) < 3.5  # 3 for any Gaussian noise
    assert np.mean(np.abs(texture - 3) > np.abs(noise - 3)) > 0.9


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_textures_wrap_around(family: int):
    """The steps across the borders are as large as those inside."""
    drawn = [drawn_texture(family, sample, 64, 5) for sample in range(6)]
    inside = np.mean([np.abs(np.diff(each, axis=axis)).mean() for each in drawn for axis in (0, 1)])
    across = np.mean(
        [np.abs(e[0] - e[-1]).mean() + np.abs(e[:, 0] - e[:, -1]).mean() for e in drawn]
    )
    assert across / 2 < 2 * inside


def test_a_sample_depends_on_the_seed_and_its_number_alone():
    few, many = textures(FIELD, samples=2), textures(FIELD, samples=4)
    rows = few.table.query("sample == 1").index[:4]
    same = many.table.query("sample == 1").index[:4]
    assert (few.draw(rows) == many.draw(same)).all()
    other = textures(FIELD, samples=2, seed=1).draw(rows)
    assert not np.allclose(other, few.draw(rows))
    small = textures(Field(20, 24, screen=COARSE), samples=2)
    assert (small.draw(rows) == few.draw(rows)[:, :, 11:31, 9:33]).all()


def test_textures_fade_out_and_move_by_whole_pixels():
    still = textures(FIELD, samples=1).draw([1])[0, 0]
    y, x = np.mgrid[:42, :42] - 20.5
    assert np.abs(still.numpy()[np.hypot(y, x) >= 21]).max() == 0
    moved = textures(Field(42, 42, screen=COARSE, shift=(3.2, -1.9)), samples=1)
    assert moved.table[["x", "y"]].drop_duplicates().to_numpy().tolist() == [[3.0, -2.0]]
    shown = moved.draw([1])[0, 0]
    assert (shown[:-2, 3:] == still[2:, :-3]).all()


def test_pictures_give_crops_in_the_order_of_names(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name in ("b", "a"):
        Image.fromarray(rng.integers(0, 256, (60, 70), dtype=np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    found = textures(FIELD, samples=2, folder=tmp_path)
    assert found.table["family"].tolist() == ["a"] * 4 + ["b"] * 4
    picture = np.asarray(Image.open(tmp_path / "a.png")) / 255
    crop = texture_pair(0, 1, SIDE, 0, tmp_path / "a.png")[0][1]
    found_at = [
        (top, left)
        for top in range(60 - SIDE + 1)
        for left in range(70 - SIDE + 1)
        if np.corrcoef(picture[top : top + SIDE, left : left + SIDE].ravel(), crop.ravel())[0, 1]
        > 0.999
    ]
    assert len(found_at) == 1


def test_a_picture_that_is_exchanged_is_drawn_as_it_is_now(tmp_path: Path):
    middle = np.s_[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    for seed in (0, 1):
        noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "a.png")
        drawn = textures(FIELD, samples=1, folder=tmp_path).draw([1])[0, 0].numpy()
        assert np.corrcoef(drawn[middle].ravel(), noise[middle].ravel())[0, 1] > 0.9


def test_what_cannot_be_drawn_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"textures.size: 0.1 degrees are 2 pixels; give at"):
        textures(FIELD, size=0.1)
    with pytest.raises(ImageError, match="holds no pictures; give a folder with one picture"):
        textures(FIELD, folder=tmp_path)
    Image.new("L", (30, 90)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match=r"has 90 x 30 pixels, and textures have 42 x 42"):
        textures(FIELD, folder=tmp_path)
    (tmp_path / "small.png").write_text("no picture")
    with pytest.raises(ImageError, match="is not a picture that can be read"):
        textures(FIELD, folder=tmp_path)
