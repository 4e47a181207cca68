"""Videos as frames: what is written is read, from GIF and MP4."""

import imageio.v3 as iio
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.images.videos import read_video

# imageio leaves it to the garbage collector to close what it talks to ffmpeg through.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
FRAMES = np.random.default_rng(0).integers(0, 2, (5, 6, 7, 3)).astype(np.uint8) * 255


@pytest.fixture
def animation(tmp_path):
    path = tmp_path / "given.gif"
    iio.imwrite(path, FRAMES)
    return str(path)


@pytest.mark.parametrize("most", [1, 3, 5, 9])
def test_the_first_frames_are_read_in_order(animation, most):
    found = read_video("dream.video", animation, most)
    assert len(found) == min(most, 5)
    for frame, given in zip(found, FRAMES, strict=False):
        np.testing.assert_array_equal(frame.permute(1, 2, 0).numpy(), given)


def test_gray_frames_and_those_with_transparency_become_rgb(tmp_path):
    gray = np.array([[0, 100], [200, 255]], np.uint8)
    iio.imwrite(tmp_path / "gray.png", gray)
    (frame,) = read_video("dream.video", str(tmp_path / "gray.png"), 3)
    np.testing.assert_array_equal(frame.numpy(), np.stack([gray] * 3))
    clear = np.dstack([gray, gray, gray, gray])
    iio.imwrite(tmp_path / "clear.png", clear)
    (frame,) = read_video("dream.video", str(tmp_path / "clear.png"), 3)
    assert frame.shape == (3, 2, 2)


def test_an_mp4_is_read_to_nearly_the_same_colors(tmp_path):
    rows = np.linspace(40, 200, 32)[:, None, None]
    frames = np.broadcast_to(rows, (3, 32, 48, 3)).astype(np.uint8)
    path = tmp_path / "given.mp4"
    iio.imwrite(path, frames, plugin="FFMPEG", fps=10, macro_block_size=1)
    found = read_video("dream.video", str(path), 2)
    assert len(found) == 2
    apart = np.abs(found[1].permute(1, 2, 0).numpy().astype(int) - frames[1])
    assert apart.mean() < 6


def test_what_is_not_there_or_no_video_is_refused(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_video("dream.video", "none.mp4", 1)
    assert str(caught.value) == (
        "dream.video: there is no file 'none.mp4'; give the path of a video"
    )
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ConfigError, match=r"^dream\.video: '.*text\.mp4' cannot be read as a vid"):
        read_video("dream.video", str(tmp_path / "text.mp4"), 1)
