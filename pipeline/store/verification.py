"""Verifying a store: every file is checked against its checksum, and progress is counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.checksummed import DamagedError, UnplacedError, read_arrays, read_document
from pipeline.store.files import is_temporary
from pipeline.store.layout import CHECKPOINT, ITEM, Layout, ResultPaths
from pipeline.store.metadata import STORE_FORMAT, read_metadata


@dataclass
class Verified:
    """The findings about a store.

    Attributes:
        whole: number of intact files in the right place.
        damaged: damaged or misplaced files, with the reasons.
        unread: files and folders that could not be read or listed, with the reasons.
        set_aside: damaged files that runs have found and replaced.
        missing: items listed in metadata files that do not exist.
        orphaned: files that belong to no result, such as temporary files of killed runs.
        foreign: results of other versions, which are not checked.
    """

    whole: int = 0
    damaged: dict[Path, str] = field(default_factory=dict[Path, str])
    unread: dict[Path, str] = field(default_factory=dict[Path, str])
    set_aside: list[Path] = field(default_factory=list[Path])
    missing: list[Path] = field(default_factory=list[Path])
    orphaned: list[Path] = field(default_factory=list[Path])
    foreign: list[Path] = field(default_factory=list[Path])


@dataclass(frozen=True)
class Progress:
    """The progress of a result.

    Attributes:
        folder: folder of the result, relative to the store.
        done: number of existing items.
        items: total number of items.
        settings: the settings that determine the result.
    """

    folder: Path
    done: int
    items: int
    settings: Mapping[str, Any]


def verify(layout: Layout, versions: Mapping[str, int]) -> Verified:
    """Read every file of a store and check it.

    Args:
        layout: the paths.
        versions: version of every stage's numbers, by its folder in the store; results of other
            versions are foreign.

    Raises:
        StoreError: there is no store.
    """
    found = Verified()
    for folder in _results(layout):
        _verify_result(layout, ResultPaths(folder), versions, found)
    for path in _beside(layout):
        _verify_file(layout, path, found)
    _note_unlisted(layout, found)
    return found


def progress(layout: Layout) -> Iterator[Progress]:
    """Yield the progress of every result; only metadata files are read.

    Raises:
        StoreError: there is no store.
    """
    for folder in _results(layout):
        paths = ResultPaths(folder)
        try:
            metadata = read_metadata(paths)
        except (OSError, DamagedError):
            continue  # of another version, or damaged, which verify reports
        done = sum(paths.item(item).is_file() for item in metadata.items)
        place = folder.relative_to(layout.store)
        yield Progress(place, done, len(metadata.items), metadata.settings)


def count_by_stage(results: Iterator[Progress]) -> dict[str, Counter[str]]:
    """Return by stage the numbers of complete and begun results, and of done and left items."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        stage = counts.setdefault(result.folder.parts[0], Counter())
        stage["complete"] += result.done == result.items
        stage["begun"] += result.done < result.items
        stage["done"] += result.done
        stage["left"] += result.items - result.done
    return counts


def _results(layout: Layout) -> Iterator[Path]:
    if not layout.store.exists():
        raise StoreError(f"out: there is no store in '{layout.out}'; give the out of your runs")
    if not os.access(layout.store, os.R_OK | os.X_OK) or not layout.store.is_dir():
        raise StoreError(f"out: '{layout.store}' cannot be listed; see that you may read it")
    return layout.results()


def _verify_result(
    layout: Layout, paths: ResultPaths, versions: Mapping[str, int], found: Verified
) -> None:
    items, current = (), True
    try:
        metadata = read_metadata(paths)
        stage = paths.folder.parents[2].name
        current = metadata.version == versions.get(stage, metadata.version)
        current = current and metadata.store_format == STORE_FORMAT
        items = metadata.items
        found.whole += 1
    except (FileNotFoundError, UnplacedError):
        current = False  # earlier versions had other files
    except DamagedError as error:
        found.damaged[paths.metadata] = str(error)
    except OSError as error:
        found.unread[paths.metadata] = error.strerror or str(error)
    expected = {paths.item(item) for item in items}
    there = {path for path in paths.folder.rglob("*") if not path.is_dir()} - {paths.metadata}
    if not current:
        found.foreign.append(paths.folder)
        if (paths.folder / "settings.json").is_file():
            return  # the first version wrote no checksums
    found.missing += sorted(path for path in expected - there if not path.exists())
    for path in sorted(there | {path for path in expected if path.exists()}):
        belongs = path in expected if expected else path.suffix == ITEM
        belongs = belongs or (path.suffix == CHECKPOINT and not is_temporary(path))
        if belongs or path.parent == paths.provenances:
            _verify_file(layout, path, found)
        elif ".damaged" in path.name:
            found.set_aside.append(path)
        else:
            found.orphaned.append(path)


def _verify_file(layout: Layout, path: Path, found: Verified) -> None:
    if is_temporary(path):
        found.orphaned.append(path)
        return
    read = read_arrays if path.suffix in (ITEM, CHECKPOINT) else read_document
    try:
        read(path, layout.place(path))
    except FileNotFoundError:
        return  # a run has moved it in the meantime
    except UnplacedError as error:
        if set(path.parents) & set(found.foreign):
            found.whole += 1  # as they were written then
        elif path in _beside(layout):
            found.foreign.append(path)
        else:
            found.damaged[path] = str(error)
    except DamagedError as error:
        found.damaged[path] = str(error)
    except OSError as error:
        found.unread[path] = error.strerror or str(error)
    else:
        found.whole += 1


def _beside(layout: Layout) -> Iterator[Path]:
    """Yield the files of a store that belong to no result."""
    for folder in ("images", "finished"):
        yield from sorted(p for p in (layout.store / folder).glob("*") if not p.is_dir())
    if layout.format.exists():
        yield layout.format


def _note_unlisted(layout: Layout, found: Verified) -> None:
    """Record the folders that cannot be listed, whose files would otherwise be skipped silently."""

    def note(error: OSError) -> None:
        found.unread[Path(error.filename)] = error.strerror or str(error)

    for _ in os.walk(layout.store, onerror=note):
        pass
