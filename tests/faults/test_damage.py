"""Damaged items are found, set aside and computed again, and never used."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli.store import main as store
from pipeline.store.layout import Layout
from pipeline.store.results import ResultPaths
from tests.faults.conftest import Bench, assert_same, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

Damage = Callable[[Path, random.Random], None]


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def truncate(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def copied(undisturbed: Path, bench: Bench) -> Path:
    """Return a copy of the out folder of an undisturbed run, which a test may damage."""
    return shutil.copytree(undisturbed, bench.folder / "out")


DAMAGES: list[Damage] = [flip, flip, truncate, empty, delete]


@pytest.mark.parametrize(
    ("rounds", "each"), [pytest.param(1, 24, id="24"), pytest.param(5, 40, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(900)
def test_every_damaged_item_is_found_computed_again_and_never_used(
    bench: Bench, undisturbed: Path, capsys, rounds: int, each: int
):
    out, rng = copied(undisturbed, bench), random.Random(rounds)
    found, gone, again = 0, 0, 0
    for _ in range(rounds):
        chosen = rng.sample(sorted(shards(out)), each)
        before = {name: (out / name).stat().st_ino for name in chosen}
        for name in chosen:
            damage = rng.choice(DAMAGES)
            damage(out / name, rng)
            gone += damage is delete
        assert store(["verify", str(out)]) == 1
        damaged, missing = re.findall(r"(\d+) (?:damaged|missing)", capsys.readouterr().out)[-2:]
        assert int(damaged) + int(missing) == each
        said = bench.run(out)
        found += said.count("and is computed again")
        again += sum((out / name).stat().st_ino != inode for name, inode in before.items())
        assert_same(out, undisturbed)
        assert store(["verify", str(out)]) == 0
    assert found + gone == again == rounds * each
    sys.stdout.write(
        f"{again} items damaged: {found} found by their checksum, {gone} deleted; all made again\n"
    )


def test_a_damaged_item_is_named_where_it_is_read_and_nothing_is_made_of_it(
    bench: Bench, undisturbed: Path
):
    out = copied(undisturbed, bench)
    shutil.rmtree(out / "store" / "correlations")
    (path,) = list(out.glob("store/ascent/*/conv2/*/block-0001.safetensors"))[:1]
    flip(path, random.Random(0))
    said = bench.run(out, "stages=[correlations]", code=1)
    assert f"store: '{path}' was damaged (its checksum does not fit its content)" in said
    assert "add ascent to stages" in said
    assert not list(out.glob("store/correlations/*/conv2/*/*.safetensors"))


def test_verify_lists_what_is_damaged_missing_and_orphaned(bench: Bench, undisturbed: Path, capsys):
    out = copied(undisturbed, bench)
    assert store(["verify", str(out)]) == 0
    whole = int(re.findall(r"(\d+) files intact, 0 damaged, 0 missing", capsys.readouterr().out)[0])
    first, second, third, *_ = sorted(shards(out))
    flip(out / first, random.Random(1))
    (out / second).unlink()
    orphan = (out / third).with_name(".block-0001-abcdef12.safetensors")
    orphan.write_bytes(b"half")
    metadata = ResultPaths((out / sorted(shards(out))[-1]).parent).metadata
    flip(metadata, random.Random(2))
    assert store(["verify", str(out)]) == 1
    said = capsys.readouterr().out
    assert f"  {first}: its checksum does not fit its content" in said
    assert f"  {metadata.relative_to(out)}: " in said
    assert f"or lost; the same commands compute them:\n  {second}\n" in said
    assert f"can be deleted:\n  {orphan.relative_to(out)}\n" in said
    counts = f"{whole - 3} files intact, 2 damaged, 1 missing, 1 orphaned, 0 set aside"
    assert said.endswith(counts + "\n")


def test_status_shows_what_is_done_and_what_is_left(bench: Bench, undisturbed: Path, capsys):
    out = copied(undisturbed, bench)
    lost = [name for name in shards(out) if "/ascent/" in name][:3]
    for name in lost:
        (out / name).unlink()
    assert store(["status", str(out)]) == 0
    said = capsys.readouterr().out
    # Three layers from two inits in blocks of two of eight units.
    row = re.search(r"^ascent +(\d+) +(\d+) +(\d+) +(\d+)$", said, re.MULTILINE)
    assert row is not None
    complete, begun, done, left = map(int, row.groups())
    assert complete + begun == 6
    assert (done, left) == (6 * 4 - 3, 3)
    folder = Path(lost[0]).parent.relative_to("store")
    assert f"  {folder}: " in said


def test_results_of_another_version_are_left_alone(bench: Bench, undisturbed: Path, capsys):
    out = copied(undisturbed, bench)
    old = Layout(out).result("ascent", "net-01234567", "conv1", "0badc0de")
    old.mkdir(parents=True)
    (old / "settings.json").write_text(json.dumps({"weights": "x"}))
    (old / "block-0000.safetensors").write_bytes(b"of the first version")
    assert store(["verify", str(out)]) == 0
    said = capsys.readouterr().out
    assert "they are kept but not used:\n  store/ascent/net-01234567/conv1/0badc0de\n" in said
    assert (old / "block-0000.safetensors").read_bytes() == b"of the first version"
