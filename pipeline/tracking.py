"""Tracking with W&B, offline by default and without an account, or no tracking."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.store.secrets import without_queries, without_query

log = logging.getLogger(__name__)

MODES = ("offline", "online")


@runtime_checkable
class Tracker(Protocol):
    """Receives the progress and outputs of a run."""

    def log(self, values: Mapping[str, float | int], /) -> None:
        """Record numbers by name, as progress."""
        ...

    def table(self, name: str, table: pd.DataFrame, /) -> None:
        """Record a table."""
        ...

    def figure(self, name: str, path: Path, /) -> None:
        """Record a figure from its PNG file."""
        ...

    def video(self, name: str, path: Path, /) -> None:
        """Record a video from its GIF or MP4 file."""
        ...

    def finish(self, *, failed: bool) -> None:
        """Close the run."""
        ...


# From the run folder, the configuration, the sweep's name, and a name that stays the same when the
# run is repeated.
Start = Callable[[Path, Mapping[str, Any], str | None, str], Tracker]


class _Silent:
    def log(self, values: Mapping[str, float | int], /) -> None: ...

    def table(self, name: str, table: pd.DataFrame, /) -> None: ...

    def figure(self, name: str, path: Path, /) -> None: ...

    def video(self, name: str, path: Path, /) -> None: ...

    def finish(self, *, failed: bool) -> None: ...


def none() -> Start:
    """Track nothing."""
    return lambda _folder, _config, _group, _identity: _Silent()


def wandb(
    project: str = "artiphys",
    mode: str = "offline",
    entity: str | None = None,
    group: str | None = None,
) -> Start:
    """Track with Weights & Biases, with its files in ``wandb/`` of the run folder.

    The variable ``WANDB_MODE=disabled`` turns it off; otherwise ``mode`` decides.

    Args:
        project: W&B project.
        mode: ``offline`` (upload later with ``wandb sync``) or ``online``.
        entity: W&B user or team.
        group: name under which W&B groups runs; a sweep's own name by default.

    Raises:
        ConfigError: the mode is unknown, or W&B cannot start in it.
    """
    if mode not in MODES:
        raise ConfigError(f"tracking.mode: '{mode}' is not one of {', '.join(MODES)}")

    def start(folder: Path, config: Mapping[str, Any], sweep: str | None, identity: str) -> Tracker:
        if os.environ.get("WANDB_MODE") == "disabled":
            log.info("tracking: nothing is tracked, as WANDB_MODE=disabled")
            return _Silent()
        return _Wandb(
            project=project,
            entity=entity,
            group=group or sweep,
            id=identity,
            resume="allow",
            name=f"{folder.parent.name}/{folder.name}",
            dir=folder,
            mode=mode,
            config=without_queries(dict(config)),
        )

    return start


def _asks_by_query() -> bool:
    return any(without_query(argument) != argument for argument in sys.argv)


class _Wandb:
    """A run of W&B, begun with what ``wandb.init`` takes."""

    def __init__(self, *, mode: Any, **given: Any) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb as client
        from wandb.errors import Error

        # W&B would write the command down, and with it what a URL's query may hold.
        settings = client.Settings(
            console="off", disable_git=True, disable_code=True, x_disable_meta=_asks_by_query()
        )
        self.client: Any = client
        try:
            self.run = client.init(mode=mode, settings=settings, **given)
        except (Error, ValueError) as error:  # pydantic's are ValueErrors
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"tracking: W&B cannot start in mode '{mode}' ({reason}); use"
                " tracking.mode=offline or tracking=none"
            ) from error

    def log(self, values: Mapping[str, float | int]) -> None:
        self.run.log(dict(values))

    def table(self, name: str, table: pd.DataFrame) -> None:
        # W&B does not know the missing values of pandas' integers.
        missing = {
            column: table[column].astype("float64")
            for column in table
            if isinstance(table[column].dtype, pd.Int64Dtype)
        }
        self.run.log({name: self.client.Table(dataframe=table.assign(**missing))})

    def figure(self, name: str, path: Path) -> None:
        self.run.log({f"figures/{name}": self.client.Image(str(path))})

    def video(self, name: str, path: Path) -> None:
        kind = path.suffix.removeprefix(".")
        self.run.log({f"videos/{name}": self.client.Video(str(path), format=kind)})

    def finish(self, *, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
