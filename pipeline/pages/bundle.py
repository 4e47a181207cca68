"""Bundling the JavaScript modules of a page into one classic script, which works everywhere.

Browsers do not load modules from ``file://``. So every module becomes a function that returns its
exports, in order of dependency.
"""

from __future__ import annotations

import re
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"

_IMPORT = re.compile(r'^import \{ *([\w$, ]+?),? *\} from "\./([\w-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|const|class) ([\w$]+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def bundle(entry: str, folder: Path = SCRIPTS) -> str:
    """Return a classic script that runs a module after all its imports.

    The supported syntax is ``import { a, b } from "./x.js";`` on one line and ``export`` before a
    function, class or ``const``.

    Args:
        entry: file name of the module, such as ``gallery.js``.
        folder: folder of the modules.

    Raises:
        ValueError: a module is missing, has unsupported syntax, or imports are circular.
    """
    written: dict[str, str] = {}
    _add(entry, folder, written, ())
    return '"use strict";\n(() => {\nconst modules = {};\n' + "".join(written.values()) + "})();\n"


def _add(name: str, folder: Path, written: dict[str, str], importers: tuple[str, ...]) -> None:
    if name in importers:
        raise ValueError(f"scripts: imports go in a circle: {' > '.join((*importers, name))}")
    if name in written:
        return
    if not (folder / name).is_file():
        raise ValueError(
            f"scripts: {importers[-1] if importers else 'a page'} wants {name}, which is not there"
        )
    source = (folder / name).read_text(encoding="utf-8")
    for _, imported in _IMPORT.findall(source):
        _add(imported, folder, written, (*importers, name))
    written[name] = _as_function(name, source)


def _as_function(name: str, source: str) -> str:
    exported = ", ".join(found for _, found in _EXPORT.findall(source))
    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(r'const { \1 } = modules["\2"];', source))
    if other := _OTHER.search(body):
        raise ValueError(
            f'scripts: {name}: "{other.group()}" is not understood; write import {{ a }} from'
            ' "./x.js"; on one line, or export before a function, class or const'
        )
    return f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n'
