"""Pictures of dreams: last frames, videos, and curves of mean feature responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from PIL import Image

from pipeline.figures import scaling
from pipeline.figures.contact_sheet import png
from pipeline.figures.feature_means import feature_means
from pipeline.figures.video import FASTEST_GIF, gif, mp4
from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream.results import Dream, read_frame
from pipeline.stages.dream.tables import dream_features
from pipeline.store.files import write_bytes
from pipeline.store.layout import file_name


def write_pictures(run: ActiveRun, planned: Sequence[Dream]) -> None:
    """Write images and videos of the dreams, and curves of their mean feature responses."""
    for dream in planned:
        _write_images(run, dream)
    for name, figure in _feature_figures(run, planned):
        run.figure(f"dream_features_{name}", figure)


def _write_images(run: ActiveRun, dream: Dream) -> None:
    """Write the last frame as a picture of its own size and several frames as a video."""
    shown = [
        _displayed(run, read_frame(dream, number).image)
        for number in range(len(dream.result.items))
    ]
    folder, fps = run.paths.figures, run.parts.config.dream.fps
    path = folder / f"dream_{file_name(dream.name)}.png"
    write_bytes(path, png(Image.fromarray(shown[-1])))
    run.tracker.figure(path.stem, path)
    if len(shown) > 1:
        frames = np.stack(shown)
        videos = {"gif": gif(frames, min(fps, FASTEST_GIF)), "mp4": mp4(frames, fps)}
        run.video(path.stem, videos)


def _displayed(
    run: ActiveRun, image: Float[np.ndarray, "c height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Return an image in its own colors, clipped to black and white."""
    preprocessing = run.parts.network.preprocessing
    pixels = scaling.to_pixels(image, preprocessing.mean, preprocessing.std)
    return np.rint(pixels * 255).astype(np.uint8)


def _feature_figures(run: ActiveRun, planned: Sequence[Dream]) -> Iterator[tuple[str, Figure]]:
    """Yield figures of mean feature responses during every dream of one frame."""
    if run.parts.config.dream.frames > 1:
        return
    features = dream_features(run, planned)
    for dream in planned:
        own = (features["layer"] == dream.layer.name) & (features["init"] == dream.init)
        table = features.loc[own & (features["unit"] == dream.unit)]
        yield dream.name, feature_means(table)
