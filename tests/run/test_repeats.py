"""A run that repeats a finished one is answered from its folder, and only where that is right."""

import errno
import inspect
import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.utils import get_object
from PIL import Image

from pipeline.cli.run import run, run_fingerprint
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError, StoreError
from pipeline.run.repeats import find_finished, fingerprint, known_by_files, remember
from pipeline.store.checksummed import read_document, write_document
from pipeline.store.files import file_stamp
from pipeline.store.identity import PATHS
from pipeline.store.layout import Layout, RunPaths

LITTLE = (
    "layers=[conv1]",
    "units=0:2",
    "optimizer.steps=2",
    "search.keep=2",
    "tracking=none",
    "runner.accelerator=cpu",
    "figures.formats=[png]",
)


@pytest.fixture(scope="module")
def composed_once(composed):
    return composed(*LITTLE, "images=folder", "images.root=unknown", "images.resize=null")


def on_pictures(config, folder: Path):
    """A configuration on a folder of three small pictures, with its results beside them."""
    photos = folder / "photos"
    photos.mkdir()
    rng = np.random.default_rng(3)
    for number in range(3):
        pixels = rng.integers(0, 255, (100, 110, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    images = config.images | {"root": str(photos)}
    return replace(config, images=images, out=str(folder / "out"))


@pytest.fixture
def little(tmp_path: Path, composed_once):
    return on_pictures(composed_once, tmp_path)


@pytest.fixture(scope="module")
def finished_once(composed_once, tmp_path_factory):
    config = on_pictures(composed_once, tmp_path_factory.mktemp("finished"))
    run(config)
    return config


@pytest.fixture
def finished(finished_once, tmp_path: Path):
    """A finished run in a folder of its own: a copy, noted anew, as a copy has other stamps."""
    config = replace(finished_once, out=str(tmp_path / "out"))
    shutil.copytree(finished_once.out, config.out)
    remember(Layout(config.out), run_fingerprint(config), RunPaths(runs(config)[0]))
    return config


@pytest.fixture
def said():
    """What the pipeline says, line by line."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("pipeline").addHandler(handler)
    yield lines
    logging.getLogger("pipeline").removeHandler(handler)


def runs(config):
    return sorted(Path(config.out, "runs", config.name).iterdir())


def known(config):
    return find_finished(Layout(config.out), run_fingerprint(config)) is not None


def test_a_run_is_repeated_with_all_its_files_and_says_so(little, said):
    run(little)
    assert not any("everything was in the store" in line for line in said)
    run(little)
    first, second = runs(little)
    said = "\n".join(said)
    assert "everything was in the store already: repeats " in said
    assert "median r between ascents from zeros and top_patch:" in said
    for part in ("tables", "figures", "site"):
        names, copied = (
            [path.relative_to(run / part) for path in sorted((run / part).rglob("*.*"))]
            for run in (first, second)
        )
        assert names
        assert names == copied
        for name in names:
            assert (first / part / name).read_bytes() == (second / part / name).read_bytes()
    record = json.loads((second / "record.json").read_text())
    assert record["computed"] == 0
    assert record["state"] == "finished"
    assert record["repeats"] == f"runs/main/{first.name}"
    assert (second / "config.yaml").read_text() == (first / "config.yaml").read_text()


def test_neither_torch_nor_pandas_is_loaded_for_it(finished):
    code = (
        "import sys, json; from pipeline.cli.run import run; from pipeline.config.schema import *;"
        "values = json.load(sys.stdin);"
        "nested = ('search', 'figures', 'animate', 'pages', 'training', 'dream');"
        "kinds = (SearchConfig, FiguresConfig, AnimateConfig, PagesConfig, TrainingConfig,"
        " DreamConfig);"
        "parts = {name: kind(**values.pop(name)) for name, kind in zip(nested, kinds)};"
        "run(Config(**values, **parts)); assert not {'torch', 'pandas'} & set(sys.modules)"
    )
    from dataclasses import asdict

    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(asdict(finished)),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert "repeats" in done.stdout


def test_pages_are_built_again_once_networks_have_been_exported(finished):
    # The default run has looked for networks, which its playground would have used.
    assert known(finished)
    export = replace(finished, stages=["export"])
    run(export)
    assert not known(finished)
    run(finished)
    data = (runs(finished)[-1] / "site" / "assets" / "data" / "site.js").read_text()
    assert '"network":null' not in data.replace(" ", "")
    run(export)
    again = runs(finished)[-1]
    assert "repeats" in json.loads((again / "record.json").read_text())
    assert {path.name for path in (again / "networks" / "conv1").iterdir()} == {
        "forward.onnx",
        "gradient.onnx",
        "meaning.json",
    }


def test_the_runner_does_not_matter_and_all_else_does(finished, composed):
    assert known(finished)
    assert known(replace(finished, runner={"threads": 7}))
    assert not known(replace(finished, name="other"))  # which the pages show
    assert not known(replace(finished, seed=1))
    assert not known(replace(finished, tracking={"_target_": "pipeline.tracking.wandb"}))
    assert not known(replace(finished, out=finished.out + "2"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("objective=[channel_mean,layer_mean]", "objective=[layer_mean,channel_mean]"),
        ("transform=[pad,roll]", "transform=[roll,pad]"),
        ("init=[zeros,noise]", "init=[noise,zeros]"),
    ],
)
def test_the_order_of_a_list_is_another_run(composed, first: str, second: str):
    assert fingerprint(composed(first)) != fingerprint(composed(second))


def test_tables_or_results_that_were_edited_are_not_handed_on(finished):
    table = runs(finished)[0] / "tables" / "ascents.csv"
    before = table.read_text()
    table.write_text(before.replace("ok", "OK"))
    assert not known(finished)
    run(finished)
    assert (runs(finished)[1] / "tables" / "ascents.csv").read_text() == before
    assert known(finished)
    result = next(Path(finished.out, "store").rglob("block-*.safetensors"))
    result.write_bytes(bytes(result.stat().st_size))
    assert not known(finished)


def test_a_run_that_found_too_little_in_the_store_is_not_repeated(little, said):
    drawing = replace(little, stages=["figures"])
    run(drawing)
    assert not any("everything was in the store" in line for line in said)
    run(little)
    run(drawing)
    names = {path.name for path in (runs(little)[2] / "figures").iterdir()}
    assert {"ascent_curves.png", "top_patches_conv1.png"} <= names
    assert known(drawing)


@pytest.mark.parametrize(
    "lost",
    ["figures/*.png", "tables/ascents.parquet", "record.json", "site/assets/data/conv1/1.js"],
)
def test_a_run_that_has_lost_a_file_is_done_again(finished, lost):
    next(runs(finished)[0].glob(lost)).unlink()
    assert not known(finished)


def test_a_run_whose_results_have_gone_is_done_again(finished):
    next(Path(finished.out, "store").rglob("block-*.safetensors")).unlink()
    assert not known(finished)


def test_pictures_that_were_changed_added_or_taken_away_are_noticed(little):
    photos = Path(little.images["root"])
    key = fingerprint(little)
    (photos / "new.png").write_bytes(b"a picture to come")
    assert fingerprint(little) != key
    (photos / "new.png").unlink()
    assert fingerprint(little) == key
    time = (photos / "1.png").stat().st_mtime + 5
    os.utime(photos / "1.png", (time, time))
    assert fingerprint(little) != key


def test_other_files_of_the_same_size_and_time_are_noticed(little):
    path = Path(little.images["root"], "1.png")
    key, stat, content = fingerprint(little), path.stat(), bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert fingerprint(little) != key


def test_folders_that_are_called_as_words_of_the_configuration_are_not_looked_into(
    little, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ("out", "weights", "main", "default", "random", "pixel", "conv1", "float32", "..")
    key = fingerprint(replace(little, name=".."))
    plain = fingerprint(little)
    for word in words[:-1]:
        Path(word).mkdir(exist_ok=True)
        Path(word, "x").write_text("1")
    assert fingerprint(little) == plain
    assert fingerprint(replace(little, name="..")) == key


def test_every_argument_that_may_name_a_file_is_looked_at():
    """Of this package's own targets: by name, so that a new one has to be sorted in here."""
    words = {
        *("accelerator", "center", "crop", "devices", "entity", "group", "matrix", "mode"),
        *("name", "normalize", "project", "radius", "relu", "resize", "settings", "value"),
        *("interpolation", "nonlinearity", "weights_key"),
        *("distribution", "cones", "encoding"),  # of stimuli
        # Of generators; files of numbers count by their ending.
        *("arguments", "target", "variant", "encode", "fit", "code_shape"),
        *("mean", "std", "low", "high", "black", "white"),
        # Of image sets: what is in a file.
        *("array", "channels", "column", "columns", "dataset", "names", "sets", "values"),
        *("cache", "item", "picture", "split", "subset"),  # downloads are kept in the cache
    }
    found = set()
    for path in conf_dir().glob("*/*.yaml"):
        option = yaml.safe_load(path.read_text()) or {}
        if str(option.get("_target_", "")).startswith("pipeline."):
            parameters = inspect.signature(get_object(option["_target_"])).parameters
            kinds = {name: str(each.annotation) for name, each in parameters.items()}
            found |= {n for n, k in kinds.items() if any(w in k for w in ("str", "Any", "Dir"))}
    assert found - words == set(PATHS) - {
        "video",
        "elements",
        "references",
        "twins",
        "runs",
    }  # which are of the schema


def test_pictures_behind_a_link_are_watched_too(little, tmp_path):
    real = tmp_path / "elsewhere"
    real.mkdir()
    (real / "9.png").write_bytes((Path(little.images["root"]) / "1.png").read_bytes())
    Path(little.images["root"], "more").symlink_to(real)
    Path(little.images["root"], "round").symlink_to(little.images["root"])
    key = fingerprint(little)
    assert fingerprint(little) == key
    os.utime(real / "9.png", (1, 1))
    assert fingerprint(little) != key


def test_what_own_code_imports_is_watched_too(little, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("from my_package.inner import mine\n")
    (package / "inner.py").write_text("def mine(weight=1.0): ...\n")
    config = replace(little, objective={"mine": {"_target_": "my_package.mine"}})
    key = fingerprint(config)
    (package / "inner.py").write_text("def mine(weight=1.0, strength=2): ...\n")
    assert fingerprint(config) != key


def test_words_that_are_too_long_for_a_path_are_only_words(little):
    assert fingerprint(replace(little, layers=["x" * 5000])) != fingerprint(little)


def test_own_code_that_was_edited_is_noticed(little, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    own = tmp_path / "my_objectives.py"
    own.write_text("def mine(weight=1.0): ...\n")
    config = replace(little, objective={"mine": {"_target_": "my_objectives.mine"}})
    key = fingerprint(config)
    assert fingerprint(config) == key
    own.write_text("def mine(weight=1.0, strength=2): ...\n")
    assert fingerprint(config) != key


@pytest.mark.parametrize(
    ("stage", "lost", "loss"),
    [
        ("ascent", "ascents.csv", Path.unlink),
        ("figures", "top_patches_conv1.png", lambda path: path.write_bytes(b"other")),
        ("pages", "index.html", Path.unlink),
    ],
)
def test_files_that_go_while_the_run_is_at_work_are_missed(
    finished, monkeypatch, stage, lost, loss
):
    config = replace(finished, stages=[stage])

    def findings(active, _stages):
        loss(next(active.paths.folder.rglob(lost)))
        return []

    monkeypatch.setattr("pipeline.cli.run._findings", findings)
    with pytest.raises(StoreError, match=rf"{lost}' disappeared or changed during the run; repea"):
        run(config)
    assert json.loads((runs(config)[1] / "record.json").read_text())["state"] == "failed"
    assert not known(config)


def test_a_table_that_rots_on_the_disk_is_not_handed_on(finished, said):
    """Its stamp stays what it was, as where a disk forgets a bit."""
    layout = Layout(finished.out)
    table = runs(finished)[0] / "tables" / "ascents.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    note = layout.finished(fingerprint(finished))
    noted = read_document(note, layout.place(note))
    noted["files"][table.relative_to(finished.out).as_posix()] = list(file_stamp(table))
    write_document(note, noted, layout.place(note))
    assert known(finished)
    run(finished)
    assert any("tables/ascents.parquet of '" in line for line in said)
    assert "repeats" not in json.loads((runs(finished)[-1] / "record.json").read_text())
    assert len(runs(finished)) == 2


def test_a_finished_command_on_a_full_disk_is_told(finished, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copy2", refuse)
    with pytest.raises(StoreError, match=r"^out: the disk is full: '.* are free; free some space"):
        run(finished)
    assert len(runs(finished)) == 1


def test_the_runner_of_a_repeated_run_is_checked_too(finished):
    with pytest.raises(ConfigError, match=r"^runner\.threads: 0 is not null or a number from 1$"):
        run(replace(finished, runner=finished.runner | {"threads": 0}))


def test_a_damaged_note_is_no_obstacle(finished):
    note = Layout(finished.out).finished(fingerprint(finished))
    note.write_text("{")
    assert not known(finished)
    run(finished)
    assert known(finished)


NETWORKS = "pipeline.networks.loading"


@pytest.mark.parametrize(
    ("settings", "by_files"),
    [
        ({"_target_": f"{NETWORKS}.torchvision.torchvision_network", "weights": "default"}, True),
        ({"_target_": f"{NETWORKS}.module.module_network", "weights": "default"}, False),
        ({"_target_": f"{NETWORKS}.module.module_network", "weights": "net.pth"}, True),
        ({"_target_": f"{NETWORKS}.timm.timm_network", "weights": "default"}, False),
        ({"_target_": f"{NETWORKS}.timm.timm_network", "weights": "random"}, True),
        ({"_target_": f"{NETWORKS}.huggingface.huggingface_network", "name": "a/b"}, False),
        ({"_target_": f"{NETWORKS}.huggingface.huggingface_network", "name": "/"}, True),
        ({"_target_": "my_net.network"}, False),
    ],
)
def test_networks_that_come_from_elsewhere_are_looked_at_each_time(settings, by_files):
    """A user's function may load any file, and the weights of a name on a hub may change."""
    assert known_by_files({"model": settings, "objective": {"_target_": "mine.score"}}) == by_files
    assert known_by_files({"transfer": {"to": {"other": settings}}}) == by_files


def test_other_versions_of_libraries_are_run_again(finished, monkeypatch):
    assert known(finished)
    monkeypatch.setattr("pipeline.run.repeats.version", lambda _package: "0.0")
    assert not known(finished)
