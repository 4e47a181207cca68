"""Stage: dream images, octave by octave and frame by frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from PIL import Image

from pipeline.figures import scaling
from pipeline.figures.contact_sheet import png
from pipeline.figures.feature_means import feature_means
from pipeline.figures.video import FASTEST_GIF, gif, mp4
from pipeline.session.dreaming import Dreaming
from pipeline.session.dreamt import Dream, all_dreams, dream_features, dreams, read_frame
from pipeline.session.session import Session
from pipeline.store.files import write_bytes

log = logging.getLogger(__name__)


def work(session: Session) -> None:
    """Dream, with all processes, what has not been dreamt."""
    plan = all_dreams(session)
    missing = [dream for dream in plan if session.leads and dream.result.missing()]
    named = session.parts.runner.ranks.tell(", ".join(dream.name for dream in missing))
    if not named:
        return
    log.info("dream: dreaming %s", named)
    results = [dream.result for dream in missing]
    session.make(results, plan, Dreaming(session), "dream: frames", tf32=True)


def run(session: Session) -> None:
    """Write the tables, images and videos of the dreams."""
    session.table("dreams", dreams(session))
    features = dream_features(session)
    session.table("dream_features", features)
    for dream in all_dreams(session):
        _write_images(session, dream)
    for name, figure in _feature_figures(session, features):
        session.figure(f"dream_features_{name}", figure)


def _write_images(session: Session, dream: Dream) -> None:
    """Write the last frame as a picture of its own size, and all as videos if there are several."""
    shown = [
        _displayed(session, read_frame(dream, number).image)
        for number in range(len(dream.result.items))
    ]
    folder, fps = session.paths.figures, session.parts.config.dream.fps
    path = folder / f"dream_{dream.name}.png"
    write_bytes(path, png(Image.fromarray(shown[-1])))
    session.tracker.figure(path.stem, path)
    if len(shown) > 1:
        frames = np.stack(shown)
        videos = {"gif": gif(frames, min(fps, FASTEST_GIF)), "mp4": mp4(frames, fps)}
        session.video(path.stem, videos)


def _displayed(
    session: Session, image: Float[np.ndarray, "3 height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Return an image in its own colors; what is beyond black and white is cut off."""
    preprocessing = session.parts.network.preprocessing
    pixels = scaling.to_pixels(image, preprocessing.mean, preprocessing.std)
    return np.rint(pixels * 255).astype(np.uint8)


def _feature_figures(session: Session, features: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the means of the features through every dream of one frame."""
    if session.parts.config.dream.frames > 1:
        return
    for dream in all_dreams(session):
        own = (features["layer"] == dream.layer.name) & (features["init"] == dream.init)
        table = features.loc[own & (features["unit"] == dream.unit)]
        yield dream.name, feature_means(table)
