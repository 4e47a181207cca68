"""What is in a store: every file checked against its checksum, and what is done or left."""

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
from pipeline.store.layout import ITEM, Layout, ResultPaths
from pipeline.store.metadata import STORE_FORMAT, read_metadata


@dataclass
class Verified:
    """What was found in a store.

    Attributes:
        whole: number of files that are as they were written, and where they belong.
        damaged: files that are not, with reasons.
        unread: files and folders that could not be read or listed, with reasons.
        set_aside: damaged files that runs have found and computed again.
        missing: items that metadata files list and that are not there.
        orphaned: files that belong to nothing, such as those that a killed run was writing.
        foreign: what another version has written; it is left alone.
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
    """How much of a result is there.

    Attributes:
        folder: of the result, below the store.
        done: items that are there.
        items: items that there should be.
        settings: what determines the result.
    """

    folder: Path
    done: int
    items: int
    settings: Mapping[str, Any]


def verify(layout: Layout, versions: Mapping[str, int]) -> Verified:
    """Read every file of a store and check it.

    Args:
        layout: the paths.
        versions: of every stage's numbers, by its folder in the store; results of others are
            foreign.

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
    """Yield how much of every result is there, by the metadata files; nothing is read but these.

    Raises:
        StoreError: there is no store.
    """
    for folder in _results(layout):
        paths = ResultPaths(folder)
        try:
            metadata = read_metadata(paths)
        except (OSError, DamagedError):
            continue  # of another version, or damaged, which verifying says
        done = sum(paths.item(item).is_file() for item in metadata.items)
        place = folder.relative_to(layout.store)
        yield Progress(place, done, len(metadata.items), metadata.settings)


def count_by_stage(results: Iterator[Progress]) -> dict[str, Counter[str]]:
    """Return by stage how many results are complete and begun, and items done and to be done."""
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
            return  # of the first version, whose files carried no checksum
    found.missing += sorted(path for path in expected - there if not path.exists())
    for path in sorted(there | {path for path in expected if path.exists()}):
        belongs = path in expected if expected else path.suffix == ITEM
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
    read = read_arrays if path.suffix == ITEM else read_document
    try:
        read(path, layout.place(path))
    except FileNotFoundError:
        return  # a run has moved it meanwhile
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
    """Note the folders that may not be listed, whose files were passed over in silence."""

    def note(error: OSError) -> None:
        found.unread[Path(error.filename)] = error.strerror or str(error)

    for _ in os.walk(layout.store, onerror=note):
        pass
