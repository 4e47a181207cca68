"""A user's own code, known by what its files hold. No torch, and nothing is imported to find it.

What the package itself computes is covered by the version of its results. A user's own function is
edited without raising that, so the digest of its code belongs to what determines its results: the
file that it is looked up in and, because most of what it does may stand elsewhere, every file of
the user's own that this one imports.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from sysconfig import get_path
from typing import Any

from pipeline.errors import ConfigError

PACKAGE = "pipeline."  # what this package's own targets begin with
_STANDARD = Path(get_path("stdlib")).resolve()


def own_targets(settings: Any) -> list[str]:
    """Return the targets anywhere in a configuration that are not of this package."""
    found: list[str] = []
    if isinstance(settings, Mapping):
        target = settings.get("_target_")
        if isinstance(target, str) and not target.startswith(PACKAGE):
            found.append(target)
        for value in settings.values():
            found += own_targets(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            found += own_targets(value)
    return found


def code_digest(targets: list[str]) -> str:
    """Return the digest of the code behind dotted names, as in ``_target_``.

    Files count by what they hold, installed packages that they import by their versions. The files
    of data that a function reads are not known here: they are to be arguments.

    Raises:
        ConfigError: code cannot be found, so that an edit of it would go unnoticed.
    """
    digest = hashlib.sha256()
    for module in sorted({_module_of(target) for target in targets}):
        files, packages = _reached(module)
        for path in files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        for package in packages:
            digest.update(f"{package} {_version(package)}".encode())
    return digest.hexdigest()


def _module_of(target: str) -> str:
    """Return the module that a dotted name is looked up in."""
    name = target
    while name := name.rpartition(".")[0]:
        if _file(name) is not None:
            return name
    raise ConfigError(
        f"_target_: the code of '{target}' cannot be found, so that its results could not be told"
        " from those of other code; put it into a module that has a file"
    )


def _reached(module: str) -> tuple[list[Path], list[str]]:
    """Return the files of a module and of all of the user's own that it imports.

    And the installed packages that these import. The package of the module itself is the user's
    own even where it is installed.
    """
    home = module.partition(".")[0]
    files: dict[str, Path] = {}
    packages: set[str] = set()
    seen, waiting = {module}, [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        path = _file(top) if top != home and _is_installed(_file(top)) else _file(name)
        if path is None:
            continue
        if top != home and _is_installed(path):
            packages.add(top)
            continue
        files[name] = path
        if path.suffix == ".py":
            near = set(_imports(name, path)) - seen
            seen |= near
            waiting += near
    return [files[name] for name in sorted(files)], sorted(packages)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere in it, and the packages that hold them."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # which importing it will tell
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            written = "." * node.level + (node.module or "")
            base = resolve_name(written, package) if node.level else written
            # What is imported from a package may be a module of its own.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _file(module: str) -> Path | None:
    """Return the file of a module outside the standard library and this package, if it has one."""
    top, *inner = module.split(".")
    if top in sys.stdlib_module_names or f"{top}." == PACKAGE:
        return None
    try:
        spec = find_spec(top)  # of inner modules it would import the packages on the way
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    path = Path(spec.origin) if spec.has_location and spec.origin else None
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    for part in inner:
        path, places = _inner(places, part)
    return path


def _inner(places: list[Path], name: str) -> tuple[Path | None, list[Path]]:
    """Return the file of a module inside a package, and where its own modules lie."""
    for place in places:
        if (path := place / name / "__init__.py").is_file():
            return path, [place / name]
        for suffix in (".py", *EXTENSION_SUFFIXES):
            if (path := place / f"{name}{suffix}").is_file():
                return path, []
    return None, [place / name for place in places if (place / name).is_dir()]


def _is_installed(path: Path | None) -> bool:
    """Say whether a file belongs to an installed package or to the standard library."""
    if path is None:
        return False
    resolved = path.resolve()
    return bool({"site-packages", "dist-packages"} & set(resolved.parts)) or (
        resolved.is_relative_to(_STANDARD)
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # it is distributed under another name
        return ""
