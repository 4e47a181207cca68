"""Modules become one classic script."""

from pathlib import Path

import pytest

from pipeline.pages.bundle import SCRIPTS, bundle


def written(folder: Path, **modules: str) -> Path:
    for name, source in modules.items():
        (folder / f"{name}.js").write_text(source)
    return folder


def test_each_module_comes_once_and_after_those_it_needs(tmp_path: Path):
    folder = written(
        tmp_path,
        page='import { a } from "./a.js";\nimport { b } from "./b.js";\na(b);\n',
        a='import { b } from "./b.js";\nexport function a() {}\n',
        b="export const b = 1;\n",
    )
    script = bundle("page.js", folder)
    places = [script.index(f'modules["{name}.js"] = ') for name in ("b", "a", "page")]
    assert places == sorted(places)
    assert script.count('modules["b.js"] = ') == 1
    assert 'const { a } = modules["a.js"];' in script
    assert "return { a };" in script


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("export default function () {}", '"export default function () {}" is not understood'),
        ('import * as a from "./a.js";', "is not understood"),
        ('import "./a.js";', "is not understood"),
        ('import {\n  a,\n} from "./a.js";', "is not understood"),
        ('import { page } from "./page.js";', "imports go in a circle: page.js > page.js"),
        ('import { b } from "./b.js";', "page.js wants b.js, which is not there"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, source: str, message: str):
    with pytest.raises(ValueError, match="scripts: ") as caught:
        bundle("page.js", written(tmp_path, page=source + "\n"))
    assert message in str(caught.value)


def test_words_inside_a_module_are_left_alone(tmp_path: Path):
    folder = written(tmp_path, page="// export this\nconst text = `\n  import it`;\n")
    assert "// export this\nconst text = `\n  import it`;" in bundle("page.js", folder)


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.glob("*.js")))
def test_every_module_can_be_bundled(name: str):
    assert f'modules["{name}"] = ' in bundle(name)
