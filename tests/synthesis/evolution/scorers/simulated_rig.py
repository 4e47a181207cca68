"""A rig that shows pictures of a folder to a network, slowly, in parts, and dies now and then.

    python -m tests.synthesis.evolution.scorers.simulated_rig FOLDER

It knows the protocol alone, and nothing of the program that writes the pictures.
"""

from __future__ import annotations

import csv
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import pipeline
from tests.library.conftest import plain_module

Respond = Callable[[Tensor, Tensor], Tensor]


class Died(Exception):
    """The rig has died, in the middle of a line."""


def of_network() -> Respond:
    """Return the responses of units to pictures in pixels 0..1, as of a cell."""
    net = pipeline.network(plain_module(), input_size=(1, 20, 30), mean=[0.5], std=[0.25])
    unit_network = net.unit_network("conv2")

    def respond(pictures: Tensor, units: Tensor) -> Tensor:
        with torch.inference_mode():
            return unit_network(net.preprocessing.normalize(pictures), units)

    return respond


@dataclass
class SimulatedRig:
    """A rig and its life.

    Attributes:
        folder: what it watches.
        respond: how the cells respond.
        part: lines that it writes at once.
        pause: seconds between two parts.
        lifetime: lines after which it dies, or 0 if it does not.
        shown: files of pictures shown, one by one.
    """

    folder: Path
    respond: Respond
    part: int = 3
    pause: float = 0.0
    lifetime: int = 0
    shown: list[Path] = field(default_factory=list)

    def work(self, ended: threading.Event) -> None:
        """Answer whatever is to be answered; after a death, begin again."""
        while not ended.is_set():
            try:
                for manifest in sorted(self.folder.glob("*/*/manifest.csv")):
                    self.answer(manifest)
            except Died:
                pass
            time.sleep(0.002)

    def answer(self, manifest: Path) -> None:
        """Show the pictures that have no line yet, and append their lines."""
        with manifest.open(newline="") as file:
            rows = [*csv.DictReader(file)]
        scores = manifest.with_name("scores.csv")
        text = scores.read_text() if scores.exists() else ""
        if not text.endswith("\n"):  # left by a death
            text = text[: text.rfind("\n") + 1]
            scores.write_text(text)
        known = {line.split(",")[0] for line in text.splitlines()[1:]}
        missing = [row for row in rows if row["file"] not in known]
        if not missing:
            return
        responses = self.responses(rows, manifest.parent)
        with scores.open("a") as file:
            if not text:
                file.write("file,when,score\n")
            for start in range(0, len(missing), self.part):
                for row in missing[start : start + self.part]:
                    line = f"{row['file']},now,{responses[row['file']]!r}\n"
                    self.shown.append(manifest.with_name(row["file"]))
                    if self.lifetime and len(self.shown) % self.lifetime == 0:
                        file.write(line[:-4])  # a shorter number, which would be wrong
                        raise Died
                    file.write(line)
                file.flush()
                time.sleep(self.pause)

    def responses(self, rows: list[dict[str, str]], folder: Path) -> dict[str, float]:
        """Return the responses; those of one search in one pass, on which the last bit depends."""
        found: dict[str, float] = {}
        for _, group in groupby(rows, lambda row: (row["unit"], row["restart"], row["repeat"])):
            own = [*group]
            pixels = [np.asarray(Image.open(folder / row["file"])) for row in own]
            for row, picture in zip(own, pixels, strict=True):
                assert hashlib.sha256(picture.tobytes()).hexdigest() == row["sha256"]
            stacked = torch.from_numpy(np.stack(pixels)).float() / 255
            images = stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)
            units = torch.tensor([int(row["unit"]) for row in own])
            responses = self.respond(images.contiguous(), units).double().tolist()
            found |= {row["file"]: score for row, score in zip(own, responses, strict=True)}
        return found


@contextmanager
def at_work(rig: SimulatedRig):
    """Have a rig work in a thread of its own."""
    ended = threading.Event()
    thread = threading.Thread(target=rig.work, args=[ended])
    thread.start()
    try:
        yield rig
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    SimulatedRig(Path(sys.argv[1]), of_network(), pause=0.01).work(threading.Event())
