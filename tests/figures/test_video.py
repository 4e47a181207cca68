import io
import subprocess

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from pipeline.errors import ConfigError
from pipeline.figures.video import gif, mp4


def smooth(count=6, height=48, width=64):
    """Colors that run on with the frames, and over the picture too slowly for yuv420p to tell."""
    rows, columns = np.mgrid[:height, :width]
    phase = 0.1 * np.arange(count)[:, None, None, None] + np.array([0, 2, 4])
    waves = np.sin(rows[..., None] / 27 + columns[..., None] / 39 + phase)
    return np.rint(127.5 + 100 * waves).astype(np.uint8)


def read_gif(data):
    """Return the frames, and how long each is shown in milliseconds."""
    with Image.open(io.BytesIO(data)) as animation:
        shown = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(animation)
        ]
    frames, times = zip(*shown, strict=True)
    return np.stack(frames), list(times)


def read_mp4(data, path, size):
    """Return the frames as ffmpeg decodes them, and what it says about the file."""
    path.write_bytes(data)
    decode = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    done = subprocess.run([*decode, "-"], capture_output=True, check=True)
    pixels = np.frombuffer(done.stdout, np.uint8)
    return pixels.reshape(-1, *size, 3), done.stderr.decode()


# GIF.


def test_a_gif_holds_every_frame_with_near_colors():
    frames = smooth()
    found, _ = read_gif(gif(frames, 10.0))
    assert found.shape == frames.shape
    apart = found.astype(int) - frames
    assert np.abs(apart).mean() < 5
    assert np.abs(apart.mean((1, 2))).max() < 0.5  # errors are spread: no color shifts
    np.testing.assert_array_equal(iio.imread(gif(frames, 10.0), index=None), found)


@pytest.mark.parametrize("colors", [1, 2, 5, 256])
def test_few_colors_are_exact(colors):
    rng = np.random.default_rng(0)
    chosen = rng.choice(256**3, colors, replace=False)
    table = np.stack([chosen >> 16, chosen >> 8 & 255, chosen & 255], 1).astype(np.uint8)
    frames = table[rng.integers(0, colors, (3, 40, 40))]
    np.testing.assert_array_equal(read_gif(gif(frames, 10.0))[0], frames)


def test_equal_frames_are_not_merged():
    frames = np.repeat(smooth(2), 4, axis=0)
    found, times = read_gif(gif(frames, 10.0))
    assert len(found) == 8
    assert times == [100] * 8
    np.testing.assert_array_equal(found[0], found[3])


def test_frames_of_a_gif_begin_at_the_nearest_centisecond():
    # 1/30 s is 3.33 centiseconds: the frames begin at 0, 3, 7, 10, 13, 17 and 20.
    assert read_gif(gif(smooth(6), 30.0))[1] == [30, 40, 30, 30, 40, 30]
    assert read_gif(gif(smooth(3), 50.0))[1] == [20, 20, 20]
    assert read_gif(gif(smooth(2), 0.1))[1] == [10_000, 10_000]
    assert sum(read_gif(gif(smooth(45), 24.0))[1]) == 1880  # 1.875 s
    assert read_gif(gif(smooth(3), 10.0, rest=1.5))[1] == [100, 100, 1600]


def test_a_gif_is_shown_over_and_over():
    with Image.open(io.BytesIO(gif(smooth(2), 10.0))) as animation:
        assert animation.info["loop"] == 0
        assert animation.n_frames == 2


def test_one_frame_of_one_pixel_is_a_gif():
    frames = np.array([[[[10, 200, 30]]]], np.uint8)
    np.testing.assert_array_equal(read_gif(gif(frames, 10.0))[0], frames)


# MP4.


@pytest.mark.parametrize("size", [(48, 64), (50, 38), (226, 300)])
def test_an_mp4_holds_every_frame_with_near_colors(size, tmp_path):
    frames = smooth(5, *size)
    found, told = read_mp4(mp4(frames, 10.0), tmp_path / "video.mp4", size)
    assert found.shape == frames.shape  # to the pixel: nothing is resized
    assert np.abs(found.astype(int) - frames).mean() < 3
    assert "Video: h264" in told
    assert "yuv420p(tv, bt709, progressive)" in told


def test_flat_colors_are_those_given(tmp_path):
    colors = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)], np.uint8)
    frames = np.broadcast_to(colors[:, None, None], (4, 32, 32, 3)).copy()
    found, _ = read_mp4(mp4(frames, 5.0), tmp_path / "video.mp4", (32, 32))
    assert np.abs(found.astype(int) - frames).max() <= 3


@pytest.mark.parametrize("size", [(33, 40), (40, 33), (35, 35), (1, 1)])
def test_odd_sides_repeat_their_edge(size, tmp_path):
    frames = smooth(3, *size)
    even = tuple(side + side % 2 for side in size)
    found, _ = read_mp4(mp4(frames, 10.0), tmp_path / "video.mp4", even)
    padded = frames[:, [*range(size[0]), size[0] - 1][: even[0]]]
    padded = padded[:, :, [*range(size[1]), size[1] - 1][: even[1]]]
    assert np.abs(found.astype(int) - padded).mean() < 4


@pytest.mark.parametrize("fps", [30.0, 12.5, 2.0])
def test_an_mp4_lasts_as_long_as_its_frames(fps, tmp_path):
    path = tmp_path / "video.mp4"
    frames = np.repeat(smooth(4), 4, axis=0)  # equal ones are kept
    path.write_bytes(mp4(frames, fps))
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert count == 16
    assert seconds == pytest.approx(16 / fps, abs=0.011)


def test_frames_are_unaltered():
    frames = smooth(2, 33, 35)
    before = frames.copy()
    gif(frames, 10.0), mp4(frames, 10.0)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("write", [gif, mp4])
def test_bad_value_is_refused(write):
    with pytest.raises(ConfigError) as caught:
        write(smooth(2), 0.0)
    assert str(caught.value) == "fps: 0.0 is not at least 0.01 frames per second; use 30.0"
    with pytest.raises(ConfigError) as caught:
        write(smooth(0), 10.0)
    assert str(caught.value) == "frames: (0, 48, 64, 3) is not a video; give at least one frame"


def test_a_gif_that_browsers_would_slow_down_is_refused():
    with pytest.raises(ConfigError) as caught:
        gif(smooth(2), 60.0)
    assert str(caught.value) == (
        "fps: 60.0 is not at most 50 frames per second, as a GIF needs; use fewer, or an MP4"
    )
