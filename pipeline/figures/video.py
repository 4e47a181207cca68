"""Videos of frames: GIF by Pillow, and MP4 (H.264) by the ffmpeg of imageio-ffmpeg."""

from __future__ import annotations

import math
import struct
import tempfile
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from jaxtyping import UInt8
from PIL import GifImagePlugin, Image

from pipeline.errors import ConfigError

SLOWEST = 0.01  # frames per second; a GIF shows a frame for at most 655 seconds
FASTEST_GIF = 50  # frames per second; browsers slow down frames shorter than 0.02 seconds
QUALITY = 17  # x264's constant rate factor; below 18, losses are invisible
# Colors are of the HD standard and marked as such, so that players do not guess.
COLORS = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)


def gif(frames: UInt8[np.ndarray, "frames height width 3"], fps: float, rest: float = 0.0) -> bytes:
    """Return an animated GIF that loops forever.

    Every frame is written, even if it equals the last, with its own 256 colors; color errors are
    spread over neighbors (Floyd & Steinberg 1976). Frames begin at the nearest 0.01 seconds, so
    that the total duration is right.

    Args:
        frames: RGB pictures.
        fps: frames per second, from 0.01 to 50.
        rest: additional seconds for which the last frame is shown.

    Raises:
        ConfigError: there are no frames, or a GIF cannot be as slow or fast.
    """
    _check(frames, fps)
    if fps > FASTEST_GIF:
        raise ConfigError(
            f"fps: {fps} is not at most {FASTEST_GIF} frames per second, as a GIF needs;"
            " use fewer, or an MP4"
        )
    height, width = frames.shape[1:3]
    # No global colors, no background; 0 in NETSCAPE2.0 means an endless loop.
    parts = [struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x70, 0, 0)]
    parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    times = _centiseconds(len(frames), fps)
    times[-1] += round(100 * rest)
    for frame, time in zip(frames, times, strict=True):
        # Pillow would merge equal frames of an animation, so frames are written one by one.
        picture = _paletted(frame)
        parts += GifImagePlugin.getdata(picture, duration=10 * time, include_color_table=True)
    return b"".join([*parts, b"\x3b"])


def _centiseconds(count: int, fps: float) -> list[int]:
    """Return the duration of each frame, in 0.01 seconds."""
    starts = [round(100 * index / fps) for index in range(count + 1)]
    return [after - before for before, after in pairwise(starts)]


def _paletted(frame: UInt8[np.ndarray, "height width 3"]) -> Image.Image:
    """Return a picture reduced to 256 colors of its own; unchanged if it has no more."""
    picture = Image.fromarray(frame)
    if picture.getcolors(256):
        return picture.quantize(256, dither=Image.Dither.NONE)
    # The fastest of Pillow's methods, by a factor of at least ten, and on average the closest once
    # errors are spread.
    chosen = picture.quantize(256, Image.Quantize.FASTOCTREE)
    return picture.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)


def mp4(frames: UInt8[np.ndarray, "frames height width 3"], fps: float) -> bytes:
    """Return an MP4 video (H.264, yuv420p), which all players support.

    The last row or column of an odd side is repeated once, as such videos have even sides.

    Args:
        frames: RGB pictures.
        fps: frames per second, at least 0.01.

    Raises:
        ConfigError: there are no frames, or too few per second.
    """
    _check(frames, fps)
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        iio.imwrite(
            path,
            even,
            plugin="FFMPEG",
            fps=float(fps),
            codec="libx264",
            pixelformat="yuv420p",
            quality=None,  # given as crf
            macro_block_size=1,  # otherwise sides that are not multiples of 16 are resized
            output_params=["-crf", str(QUALITY), "-vf", COLORS, "-movflags", "+faststart"],
        )
        return path.read_bytes()


def _check(frames: UInt8[np.ndarray, "frames height width 3"], fps: float) -> None:
    if not frames.size:
        raise ConfigError(f"frames: {frames.shape} is not a video; give at least one frame")
    if not SLOWEST <= fps < math.inf:
        raise ConfigError(f"fps: {fps} is not at least {SLOWEST} frames per second; use 30.0")
