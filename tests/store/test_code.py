"""A user's own code: every file that takes part is known by its contents, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.store.code import code_digest, own_targets

# A function behind a cache, a decorator from elsewhere, a partial, a package that passes it on.
FILES = {
    "own_values.py": "V = 1\n",
    "own_deco.py": "def log(f):\n    return lambda: f()\n",
    "own_lab/__init__.py": "from .inits import flat\n",
    "own_lab/inits.py": "def flat():\n    from .deep import far\n    return far.W\n",
    "own_lab/deep/far.py": "W = 1\n",
    "own_lab/unused.py": "U = 1\n",
    "own_plain.py": (
        "import math, yaml\nfrom functools import cache, partial\nfrom own_deco import log\n"
        "import own_values as values\n@cache\ndef flat():\n    return values.V\n"
        "@log\ndef logged():\n    return 1\npart = partial(int, 3)\n"
    ),
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "files"),
    [
        ("own_plain.flat", ["own_plain.py", "own_values.py", "own_deco.py"]),
        ("own_plain.logged", ["own_plain.py", "own_values.py", "own_deco.py"]),
        ("own_plain.part", ["own_plain.py", "own_values.py", "own_deco.py"]),
        ("own_lab.flat", ["own_lab/__init__.py", "own_lab/inits.py", "own_lab/deep/far.py"]),
        ("own_lab.inits.flat", ["own_lab/__init__.py", "own_lab/inits.py", "own_lab/deep/far.py"]),
        ("own_values.V.real", ["own_values.py"]),
    ],
)
def test_an_edit_of_any_file_that_takes_part_is_noticed(lab: Path, target: str, files: list[str]):
    before = code_digest([target])
    for name in FILES:
        (lab / name).write_text(FILES[name] + "# edited\n")
        assert (code_digest([target]) != before) == (name in files), name
        (lab / name).write_text(FILES[name])
    assert code_digest([target]) == before


def test_the_digest_is_the_same_elsewhere_and_nothing_is_imported_for_it(lab: Path):
    (lab / "own_values.py").write_text("raise AssertionError\n")
    (lab / "own_plain.py").write_text(FILES["own_plain.py"] + "import torch.nn.functional as F\n")
    asked = "from pipeline.store.code import code_digest as d; import sys;"
    asked += " print(d(['own_plain.flat']), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {asked}"],
        cwd=lab,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [code_digest(["own_plain.flat"]), "False"]


def test_code_that_cannot_be_found_is_refused():
    with pytest.raises(ConfigError) as caught:
        code_digest(["nowhere_at_all.flat"])
    assert str(caught.value) == (
        "_target_: the code of 'nowhere_at_all.flat' cannot be found, so that its results could not"
        " be told from those of other code; put it into a module that has a file"
    )


def test_a_file_that_is_no_python_is_left_to_the_import(lab: Path):
    (lab / "own_values.py").write_text("def (:\n")
    assert code_digest(["own_values.V"])


def test_targets_are_found_wherever_they_stand():
    settings = {
        "_target_": "pipeline.ascent.inits.image",
        "inner": [{"_target_": "a.b"}, {"c": {"_target_": "d.e", "x": 1}}],
    }
    assert own_targets(settings) == ["a.b", "d.e"]
