"""A rig's loop: pictures go out as files, and scores come back from a file."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, StoreError
from pipeline.runner.stopping import check_stopped
from pipeline.store.files import read_regular
from pipeline.synthesis.constraints.constraint import is_finite, is_whole
from pipeline.synthesis.evolution.scorers.score_file import Scores, WrongRow, read_scores
from pipeline.synthesis.evolution.scorers.scorer import Scorer
from pipeline.synthesis.evolution.scorers.showing_folder import (
    DONE,
    MANIFEST,
    SCORES,
    ShowingFolder,
    write,
)

log = logging.getLogger(__name__)

BITS = 8
README = "README.txt"
TOLD_EVERY = 60.0  # seconds from one line of the log to the next


def folder(
    path: str | Path, magnify: int = 1, timeout: float | None = 3600.0, poll: float = 1.0
) -> Scorer:
    r"""Scores of another program, such as that of a rig, which shows pictures of a folder.

    For every generation a folder ``EVOLUTION/generation_00001`` is written: one 8-bit PNG file per
    showing of a picture, gray or in color, and at last ``manifest.csv``, with a row for each. The
    other program answers with ``scores.csv`` in the same folder, at once or line by line
    (``read_scores`` describes it). A file ``done`` beside it says that pictures without a score
    were not measured. Reference images have folders of their own,
    ``EVOLUTION/references_00010`` for those shown after 10 generations. ``README.txt`` in ``path``
    tells this to whoever writes the other program.

    What was written and answered before is not shown again: an experiment that was stopped
    or killed goes on where it was. Pixels are rounded to 8 bits before anything is computed from
    them, so that images of results are those that were shown.

    Args:
        path: folder that both programs see.
        magnify: side of the square of pixels that shows one pixel, 1 or more.
        timeout: seconds without a new score after which waiting ends in an error; ``None`` waits
            without end.
        poll: seconds between two looks at the scores, above 0.

    Raises:
        ConfigError: a setting is out of its range, the path is that of a file, or pictures have
            neither 1 nor 3 channels.
        StoreError: while scoring: a line of the scores is wrong, no score came in time, the folder
            holds pictures of another experiment, or it cannot be written.

    >>> import tempfile, threading
    >>> def rig(manifest: Path) -> None:  # the other program
    ...     while not manifest.exists():
    ...         time.sleep(0.01)
    ...     files = pd.read_csv(manifest)["file"]
    ...     lines = [f"{file},{number + 0.5}" for number, file in enumerate(files)]
    ...     _ = manifest.with_name("scores.csv").write_text("\n".join(["file,score", *lines, ""]))
    >>> import torch
    >>> names = ["evolution", "kind", "generation", "unit", "restart", "candidate", "repeat"]
    >>> shown = pd.DataFrame([["own", "candidate", 1, 5, 0, n, 0] for n in (0, 1)], columns=names)
    >>> with tempfile.TemporaryDirectory() as path:
    ...     manifest = Path(path) / "own" / "generation_00001" / "manifest.csv"
    ...     threading.Thread(target=rig, args=[manifest]).start()
    ...     folder(path, poll=0.01).score(torch.rand(2, 3, 8, 8), shown)
    array([0.5, 1.5])
    """
    if not is_whole(magnify, 1):
        raise ConfigError(f"scorer.folder.magnify: {magnify!r} is not a whole number of at least 1")
    if timeout is not None and not (is_finite(timeout) and timeout > 0):
        raise ConfigError(
            f"scorer.folder.timeout: {timeout!r} is not a positive number of seconds; give null"
            " (None in Python) to wait without end"
        )
    if not (is_finite(poll) and poll > 0):
        raise ConfigError(f"scorer.folder.poll: {poll!r} is not a positive number of seconds")
    place = Path(path).expanduser().absolute()
    _check_place(place)
    return Scorer(Rig(place, int(magnify), timeout, poll), BITS)


def _check_place(place: Path) -> None:
    """Raise an error if there is a file where the folder, or one above it, would be."""
    for each in (place, *place.parents):
        try:
            if each.is_dir():
                return
            there = each.exists()
        except OSError as error:
            raise ConfigError(
                f"scorer.folder.path: '{each}' cannot be opened ({error.strerror or error}); give"
                " another path"
            ) from error
        if there:
            raise ConfigError(
                f"scorer.folder.path: '{each}' is a file, and a folder is needed there; give"
                " another path, or move the file away"
            )


@dataclass(frozen=True)
class Rig:
    """A program that shows the pictures of a folder; see ``folder``."""

    path: Path
    magnify: int
    timeout: float | None
    poll: float

    def __call__(
        self, pictures: Float[Tensor, "pictures c height width"], shown: pd.DataFrame
    ) -> Float[np.ndarray, " pictures"]:
        """Return the scores of pictures, once they are there."""
        if pictures.shape[1] not in (1, 3):
            raise ConfigError(
                f"scorer.folder: pictures of {pictures.shape[1]} channels cannot be written as PNG;"
                " networks of 1 or 3 channels have such as can"
            )
        steps = (pictures * (2**BITS - 1)).round().byte().cpu().numpy()
        showing = ShowingFolder(self._place(shown), steps, shown, self.magnify)
        if showing.is_written() and (known := look_at(showing).complete) is not None:
            return known
        if not (self.path / README).exists():
            write(self.path / README, PROTOCOL.encode())
        showing.write()
        log.info("scorer: %d pictures wait for scores in '%s'", len(steps), showing.path)
        return self._wait(showing)

    def _place(self, shown: pd.DataFrame) -> Path:
        """Return the folder of a showing."""
        first = shown.iloc[0]
        kind = "generation" if first["kind"] == "candidate" else "references"
        # Names are the user's, and must not lead out of the folder.
        name = quote(str(first["evolution"]), safe=" ()+,=").replace("..", "%2E%2E")
        return self.path / name / f"{kind}_{int(first['generation']):05d}"

    def _wait(self, showing: ShowingFolder) -> Float[np.ndarray, " pictures"]:
        """Return the scores once they are complete."""
        file, before = showing.path / SCORES, None
        news = told = time.monotonic()
        while True:
            check_stopped()
            look, now = look_at(showing), time.monotonic()
            if look.complete is not None:
                return look.complete
            if look != before:  # what is wrong may be half written
                before, news = look, now
            elif look.wrong:
                raise StoreError(
                    f"scorer: {look.wrong}; then repeat the command, which goes on from here"
                )
            if self.timeout is not None and now - news > self.timeout:
                raise StoreError(
                    f"scorer: {look.words(file)}, and no new one has come for {self.timeout:g}"
                    " seconds (timeout); see that the other program runs, and repeat the command,"
                    f" which goes on from here; an empty file '{DONE}' beside it says that the"
                    " others were not measured"
                )
            if now - told > TOLD_EVERY:
                told = now
                log.info("scorer: waiting; %s", look.words(file))
            time.sleep(self.poll)


@dataclass(frozen=True)
class Look:
    """What one look has found of the scores of a showing.

    Attributes:
        content: bytes of the file of scores.
        ended: whether nothing more is written.
        wrong: what is wrong, and what to do.
        count: number of pictures.
        found: the scores so far, or ``None`` if something is wrong.
    """

    content: bytes
    ended: bool
    wrong: str
    count: int
    found: Scores | None = field(compare=False)

    @property
    def complete(self) -> Float[np.ndarray, " pictures"] | None:
        """The scores, if no more are to come."""
        if self.found is None or not (self.ended or len(self.found.lines) == self.count):
            return None
        return self.found.scores

    def words(self, file: Path) -> str:
        """Return how far the scores are."""
        known = 0 if self.found is None else len(self.found.lines)
        said = f"'{file}' has the scores of {known} of {self.count} pictures"
        if self.found is not None and self.found.unfinished:
            said += ", and a last line without a line end, which is not read"
        return said


def look_at(showing: ShowingFolder) -> Look:
    """Return what there is of the scores of a showing."""
    file, count = showing.path / SCORES, len(showing.files)
    # Looked for first: whoever has ended has written all scores before.
    ended = (showing.path / DONE).exists()
    try:
        content = read_regular(file) if file.exists() else b""
    except OSError as error:
        wrong = f"'{file}' cannot be read ({error.strerror or error}); make it readable"
        return Look(b"", ended, wrong, count, None)
    try:
        return Look(content, ended, "", count, read_scores(content, showing.files, ended))
    except WrongRow as error:
        return Look(content, ended, f"'{file}', {error}", count, None)


PROTOCOL = f"""\
How to show these pictures, and how to answer
=============================================

Pictures wait in the folders */generation_00001, generation_00002 and so on, and
*/references_00000 and so on. A folder is ready to be shown as soon as it has a
file {MANIFEST}, which is written last. Nothing in it changes after that.

1. Find a folder that has {MANIFEST}, but no {DONE} and no complete {SCORES}.

2. {MANIFEST} has a row for each showing of a picture, in the order of showing:

     picture     number of the row, from 0
     file        PNG file in the same folder, 8 bits, gray or RGB; repeated
                 showings of a picture have files of their own
     generation  number of the generation, from 1; of references, the number of
                 generations before
     kind        candidate or reference
     unit        number of the unit that the picture is meant for
     restart     number of its search, if a unit is searched several times
     candidate   number of the candidate in its search, or of the reference
     repeat      number of showings of the picture before
     sha256      SHA-256 of the pixels in the file, row by row, one byte per color

   Show the pictures exactly as they are: without scaling of gray values, color
   management, or smoothing. A pixel of 0 is black, and one of 255 white.

3. Write {SCORES} into the same folder: a header, and a line for each picture.

     file,score
     00000.png,12.5
     00001.png,

   The column file may be replaced by picture, the number; other columns are
   ignored. A score is a number with a decimal point; larger is better. It is empty
   or NaN where nothing was measured. Lines may come in any order, one by one or
   all at once, and each counts once it has a line end.

4. The next folder is written when all pictures have a line. If some never get one,
   write an empty file named {DONE} after the last line: those without a score were
   not measured.

All can be stopped at any time, and started again: what has a line is not asked for
again. To begin anew, give another folder.
"""
