"""What is in a store: every file checked against its checksum, and what is done or left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.files import is_temporary
from pipeline.store.layout import ITEM, Layout, ResultPaths
from pipeline.store.results import RESULT_VERSION, STORE_FORMAT
from pipeline.store.sealed import DamagedError, read_arrays, read_document


@dataclass
class Verified:
    """What was found in a store.

    Attributes:
        whole: number of files that are as they were written.
        damaged: files that are not, with reasons.
        set_aside: damaged files that runs have found and computed again.
        missing: items that manifests list and that are not there.
        orphaned: files that belong to nothing, such as those that a killed run was writing.
        foreign: results that another version has written; they are left alone.
    """

    whole: int = 0
    damaged: dict[Path, str] = field(default_factory=dict[Path, str])
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


def verify(layout: Layout) -> Verified:
    """Read every file of a store and check it.

    Raises:
        StoreError: there is no store.
    """
    found = Verified()
    for folder in _results(layout):
        _verify_result(ResultPaths(folder), found)
    for path in _beside(layout):
        _verify_file(path, found)
    return found


def progress(layout: Layout) -> Iterator[Progress]:
    """Yield how much of every result is there, by the manifests; nothing is read but these.

    Raises:
        StoreError: there is no store.
    """
    for folder in _results(layout):
        paths = ResultPaths(folder)
        try:
            manifest = read_document(paths.manifest)
        except (OSError, DamagedError):
            continue  # of another version, or damaged, which verifying says
        items = manifest["items"]
        done = sum(paths.item(item).is_file() for item in items)
        yield Progress(folder.relative_to(layout.store), done, len(items), manifest["settings"])


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
    if not layout.store.is_dir():
        raise StoreError(f"out: there is no store in '{layout.out}'; give the out of your runs")
    return layout.results()


def _verify_result(paths: ResultPaths, found: Verified) -> None:
    manifest: dict[str, Any]
    try:
        manifest = read_document(paths.manifest)
    except FileNotFoundError:
        found.foreign.append(paths.folder)  # the first versions had other files
        return
    except (OSError, DamagedError) as error:
        found.damaged[paths.manifest] = str(error)
        manifest = {"items": [], "store_format": STORE_FORMAT, "result_version": RESULT_VERSION}
    else:
        found.whole += 1
    if (manifest["store_format"], manifest["result_version"]) != (STORE_FORMAT, RESULT_VERSION):
        found.foreign.append(paths.folder)
    expected = {paths.item(item) for item in manifest["items"]}
    there = {path for path in paths.folder.rglob("*") if path.is_file()} - {paths.manifest}
    known = expected or {path for path in there if path.suffix == ITEM}
    found.missing += sorted(expected - there)
    for path in sorted(there):
        if path in known or path.parent == paths.provenances:
            _verify_file(path, found)
        elif ".damaged" in path.name:
            found.set_aside.append(path)
        else:
            found.orphaned.append(path)


def _verify_file(path: Path, found: Verified) -> None:
    if is_temporary(path):
        found.orphaned.append(path)
        return
    try:
        read_arrays(path) if path.suffix == ITEM else read_document(path)
    except FileNotFoundError:
        return  # a run has moved it meanwhile
    except (OSError, DamagedError) as error:
        found.damaged[path] = str(error)
    else:
        found.whole += 1


def _beside(layout: Layout) -> Iterator[Path]:
    """Yield the files of a store that belong to no result."""
    for folder in ("images", "finished"):
        yield from sorted(p for p in (layout.store / folder).glob("*") if p.is_file())
    if layout.format.is_file():
        yield layout.format
