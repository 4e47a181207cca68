"""Where everything lies. No other place builds a path below ``out``.

<out>/store/<stage>/<network>/<layer>/<key>/   results, by the configuration that determines them
<out>/store/finished/<fingerprint>.json        which run has done all of a configuration
<out>/runs/<name>/<date_time>/                 one run: config, record, log, tables, figures
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from pipeline.errors import StoreError


class Layout:
    """The paths below one ``out`` folder."""

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out).expanduser().absolute()

    def result(self, stage: str, network: str, layer: str, key: str) -> Path:
        """Return the folder of one result."""
        return self.out / "store" / stage / network / layer / key

    def finished(self, fingerprint: str) -> Path:
        """Return the note on the finished run of a fingerprint."""
        return self.out / "store" / "finished" / f"{fingerprint}.json"

    def runs(self, name: str) -> Path:
        """Return the folder of all runs of one name."""
        return self.out / "runs" / _safe(name)

    def new_run(self, name: str, now: datetime) -> RunPaths:
        """Create the folder of a new run; a second run in the same second gets a number."""
        stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
        for suffix in ("", *(f"_{number}" for number in range(2, 10_000))):
            folder = self.runs(name) / f"{stamp}{suffix}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if folder.is_dir():
                    continue
                raise StoreError(f"out: '{self.out}' is not a folder; choose another out") from None
            except OSError as error:
                message = (
                    f"out: '{folder}' cannot be created ({error.strerror}); choose another out"
                )
                raise StoreError(message) from error
            return RunPaths(folder)
        raise StoreError(f"out: no free name for a run below '{self.runs(name)}'")


class RunPaths:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.record = folder / "record.json"
        self.log = folder / "log"
        self.tables = folder / "tables"
        self.figures = folder / "figures"
        self.weights = folder / "weights"

    @property
    def out(self) -> Path:
        """The ``out`` folder that the run lies in."""
        return self.folder.parents[2]


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name).strip(".") or "run"
