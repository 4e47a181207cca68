"""All paths below ``out``, which only this module builds.

<out>/store/<stage>/<network>/<layer>/<key>/   results, by the settings that determine them
<out>/store/images/<list>.safetensors          image lists that were searched, with digests
<out>/store/finished/<fingerprint>.json        which run has done all of a configuration
<out>/runs/<name>/<date_time>/                 one run: config, record, log, tables, figures, site
<out>/sweeps/<name>/                           one sweep: its frozen jobs, and Slurm's logs
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pipeline.errors import StoreError

ITEM = ".safetensors"
CHECKPOINT = ".checkpoint"
NOT_RESULTS = ("images", "finished")
STAMP = "%Y-%m-%d_%H-%M-%S"
UNFIT = '/\\:*?"<>|%'  # some file system cannot hold them; in the names of logs Slurm replaces %


def file_name(text: str) -> str:
    """Return a name without the colon of a layer's readout, which some file systems cannot hold.

    >>> file_name("top_patches_conv4:sae")
    'top_patches_conv4--sae'
    """
    return text.replace(":", "--")


class Layout:
    """The paths below one ``out`` folder."""

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out).expanduser().absolute()
        self.store = self.out / "store"
        self.format = self.store / "format.json"
        self.sweeps = self.out / "sweeps"

    def result(self, stage: str, network: str, layer: str, key: str) -> Path:
        """Return the folder of one result."""
        return self.store / stage / network / file_name(layer) / key

    def place(self, path: Path) -> str:
        """Return the place of a file in the store, which the file also contains."""
        return path.relative_to(self.store).as_posix()

    def results(self) -> Iterator[Path]:
        """Yield the folders of all existing results, in order."""
        for stage in sorted(self.store.glob("*")):
            if stage.is_dir() and stage.name not in NOT_RESULTS:
                yield from sorted(path for path in stage.glob("*/*/*") if path.is_dir())

    def image_list(self, like: str, stamps: str) -> Path:
        """Return the file of an image list, by the digests of its names and of its stamps."""
        return self.store / "images" / f"{like[:16]}-{stamps[:16]}{ITEM}"

    def image_lists(self, like: str) -> list[Path]:
        """Return the files of all known image lists of the same names and sizes."""
        return sorted((self.store / "images").glob(f"{like[:16]}-*{ITEM}"))

    def finished(self, fingerprint: str) -> Path:
        """Return the file about the finished run with a fingerprint."""
        return self.store / "finished" / f"{fingerprint}.json"

    def runs(self, name: str) -> Path:
        """Return the folder of all runs of one name.

        Raises:
            StoreError: the name cannot be that of a folder.
        """
        return self.out / "runs" / _folder("name", name)

    def sweep(self, name: str) -> SweepPaths:
        """Return the files of one sweep.

        Raises:
            StoreError: the name cannot be that of a folder.
        """
        return SweepPaths(self.sweeps / _folder("sweep", name))

    def new_run(self, name: str, now: datetime) -> RunPaths:
        """Create the folder of a new run; a second run in the same second gets a number."""
        stamp = now.strftime(STAMP)
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


class ResultPaths:
    """The files of one result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.provenances = folder / "provenance"

    @property
    def metadata(self) -> Path:
        """The description of the result; earlier versions called it ``manifest.json``."""
        path, before = self.folder / "metadata.json", self.folder / "manifest.json"
        return before if before.is_file() and not path.is_file() else path

    def place(self, path: Path) -> str:
        """Return the place of one of the files in the store, which the file also contains."""
        return path.relative_to(self.folder.parents[3]).as_posix()

    def item(self, name: str) -> Path:
        """Return the file of one work item."""
        return self.folder / f"{name}{ITEM}"

    def checkpoint(self, name: str) -> Path:
        """Return the file that holds how far the work on an item is."""
        return self.folder / f"{name}{CHECKPOINT}"

    def provenance(self, run: str) -> Path:
        """Return the document of one run that worked on the result."""
        return self.provenances / f"{run}.json"


class RunPaths:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.record = folder / "record.json"
        self.log = folder / "log"
        self.tables = folder / "tables"
        self.figures = folder / "figures"
        self.networks = folder / "networks"
        self.site = folder / "site"
        self.stimuli = folder / "stimuli"
        self.weights = folder / "weights"

    @property
    def name(self) -> str:
        """The name and time of the run, which are unique in ``out``."""
        return f"{self.folder.parent.name}_{self.folder.name}"

    @property
    def out(self) -> Path:
        """The ``out`` folder of the run."""
        return self.folder.parents[2]


class SweepPaths:
    """The files of one sweep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "sweep.json"
        self.submitting = folder / "submitting"  # exists while a command submits or cleans
        self.logs = folder / "slurm"
        self.jobs = folder / "jobs"

    @property
    def out(self) -> Path:
        """The ``out`` folder of the sweep."""
        return self.folder.parents[1]

    def job(self, number: int) -> Path:
        """Return the file with the state of one job."""
        return self.jobs / f"{number}.json"

    def config(self, number: int) -> Path:
        """Return the frozen configuration of one job."""
        return self.folder / "configs" / f"{number}.yaml"


def name_fault(key: str, name: str) -> str | None:
    """Return the reason if a name cannot be that of a folder of its own.

    Args:
        key: key of the name, for the message.
        name: as it was given.
    """
    bare = bool(name) and name.strip() == name and not name.startswith(".")
    if bare and name.isprintable() and not set(UNFIT) & set(name):
        return None
    return (
        f"{key}: {name!r} cannot be the name of a folder; use letters, digits, spaces between them"
        f" and signs other than {' '.join(UNFIT)}, and no dot at the beginning"
    )


def _folder(key: str, name: str) -> str:
    fault = name_fault(key, name)
    if fault is not None:
        raise StoreError(fault)
    return name
