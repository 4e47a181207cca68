"""A user's own code: every file that takes part is known by its contents, and no other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.store.code import argument_digests, code_digest, own_targets

# A function behind a cache, a decorator from elsewhere, a partial, a package that passes it on.
FILES = {
    "own_values.py": "V = 1\n",
    "own_deco.py": "def log(f):\n    return lambda: f()\n",
    "own_lab/__init__.py": "from .inits import flat\n",
    "own_lab/inits.py": "def flat():\n    from .deep import far\n    return far.W\n",
    "own_lab/deep/far.py": "W = 1\n",
    "own_lab/unused.py": "U = 1\n",
    "own_lab/data/v.csv": "1\n",
    "own_table.csv": "1\n",
    "own_data.py": (
        "from pathlib import Path\nimport os\nHERE = Path(__file__).parent\n"
        "def near(): return open(HERE / 'own_table.csv')\n"
    ),
    "own_far_data.py": (
        "from pathlib import Path\nHERE = Path(__file__).parent\n"
        "def far(): return (HERE / 'own_lab' / 'data' / 'v.csv').read_text()\n"
    ),
    "own_joined.py": (
        "import os\nHERE = os.path.dirname(__file__)\n"
        "def far(): return open(os.path.join(HERE, 'own_lab', 'data', 'v.csv'))\n"
    ),
    "own_lazy.py": (
        "from importlib import import_module\ndef flat(): return import_module('own_values').V\n"
    ),
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
        ("own_data.near", ["own_data.py", "own_table.csv"]),
        ("own_far_data.far", ["own_far_data.py", "own_lab/data/v.csv"]),
        ("own_joined.far", ["own_joined.py", "own_lab/data/v.csv"]),
        ("own_lazy.flat", ["own_lazy.py", "own_values.py"]),
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


def test_files_that_are_arguments_are_known_by_what_they_hold(lab: Path):
    folder, file = lab / "own_lab", lab / "own_table.csv"
    given = {"_target_": "own_data.near", "table": str(file), "more": [{"inner": str(folder)}]}
    before = argument_digests({**given, "other": "no file", "number": 3})
    assert before[str(file)] == hashlib.sha256(b"1\n").hexdigest()
    assert set(before) == {str(file), str(folder)}
    stamps = file.stat()
    file.write_text("2\n")  # of the same size and time
    os.utime(file, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    changed = argument_digests(given)
    assert (changed[str(file)], changed[str(folder)]) != (before[str(file)], before[str(folder)])
    assert changed[str(folder)] == before[str(folder)]
    (folder / "unused.py").rename(folder / "other.py")
    assert argument_digests(given)[str(folder)] != before[str(folder)]


def test_targets_are_found_wherever_they_stand():
    settings = {
        "_target_": "pipeline.synthesis.inits.image",
        "inner": [{"_target_": "a.b"}, {"c": {"_target_": "d.e", "x": 1}}],
    }
    assert own_targets(settings) == ["a.b", "d.e"]


# Each file leads to other code in another way than by an import that is written out.
INDIRECT = {
    "own_ways/__init__.py": "",
    "own_ways/one.py": "from importlib import import_module\n"
    "def made(kind): return import_module(f'own_ways.{kind}').V\n",
    "own_ways/two.py": "V = 1\n",
    "own_named.py": "def score(): return 1\n",
}


def test_modules_imported_by_a_computed_name_may_be_any_beside(lab: Path):
    for name, text in INDIRECT.items():
        (lab / name).parent.mkdir(exist_ok=True)
        (lab / name).write_text(text)
    before = code_digest(["own_ways.one.made"])
    (lab / "own_ways/two.py").write_text("V = 2\n")
    assert code_digest(["own_ways.one.made"]) != before


def test_text_that_names_own_code_is_a_target(lab: Path):
    (lab / "own_named.py").write_text(INDIRECT["own_named.py"])
    given = {"_target_": "hydra.utils.get_method", "path": "own_named.score", "layer": "features.0"}
    assert own_targets(given) == ["hydra.utils.get_method", "own_named.score"]
    assert own_targets({"_target_": "pipeline.a.b", "module": "own_lab.inits"}) == [
        "own_lab.inits",
        "own_lab.inits.__name__",
    ]
    assert own_targets({"_target_": "pipeline.a.b", "path": "own_named.py"}) == ["own_named.py"]
    assert own_targets({"_target_": "pipeline.a.b", "name": "torch.nn.ReLU"}) == []
    assert own_targets({"_target_": "pipeline.a.b", "target": "torch.nn.ReLU"}) == ["torch.nn.ReLU"]


@pytest.mark.parametrize(
    "read", ["os.environ['OWN_GAIN']", "os.environ.get('OWN_GAIN')", "os.getenv('OWN_GAIN', '1')"]
)
def test_environment_variables_that_code_reads_count(
    lab: Path, monkeypatch: pytest.MonkeyPatch, read: str
):
    text = f"import os\nRANK = os.environ.get('LOCAL_RANK')\ndef gain(): return {read}\n"
    (lab / "own_gain.py").write_text(text)
    before = code_digest(["own_gain.gain"])
    monkeypatch.setenv("LOCAL_RANK", "1")  # of this process alone
    assert code_digest(["own_gain.gain"]) == before
    monkeypatch.setenv("OWN_GAIN", "2")
    assert code_digest(["own_gain.gain"]) != before
