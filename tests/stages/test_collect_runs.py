from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline
from pipeline.errors import StoreError
from pipeline.stages.collect.results import SOURCES, Sweep, collect, find_finished_runs
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.tables import read_table, write_table
from tests.conftest import Compose, table_columns
from tests.stages.sweep_runs import LAYERS, PAIRS, make_run, record_again

SWEEP = [
    f"name=mysweep model={model} optimizer={optimizer} images.root=/here images=arrays"
    for model in ("miniature", "alexnet")
    for optimizer in ("sgd", "adam")
]
JOBS = [
    f"model={model} optimizer={optimizer}"
    for model in ("alexnet", "miniature")
    for optimizer in ("adam", "sgd")
]


@pytest.fixture(scope="session")
def jobs(composed: Compose):
    return [composed(*overrides.split()) for overrides in SWEEP]


@pytest.fixture
def runs(jobs, tmp_path: Path) -> list[RunPaths]:
    return [make_run(tmp_path, job, minute) for minute, job in enumerate(jobs)]


NAMES = {table.name: source.name for table, source in SOURCES}


def in_bytes(sweep: Sweep, folder: Path) -> list[bytes]:
    for name, table in zip(NAMES, (sweep.correlations, sweep.summary), strict=True):
        write_table(folder, name, table_columns()[name], table)
    return [(folder / f"{name}.parquet").read_bytes() for name in NAMES]


def reasons(sweep: Sweep) -> dict[str, str]:
    return {folder.name: reason for folder, reason in sweep.left_out.items()}


def test_values_are_those_of_the_runs(runs, tmp_path: Path):
    sweep = collect(tmp_path / "runs" / "mysweep")
    assert list(sweep.runs) == JOBS
    for name, table in zip(NAMES, (sweep.correlations, sweep.summary), strict=True):
        assert tuple(table.columns) == table_columns()[name]
        assert list(table["job"].unique()) == JOBS
        for job, run in sweep.runs.items():
            source = read_table(run.paths.tables, NAMES[name])
            rows = table[table["job"] == job].reset_index(drop=True)
            pd.testing.assert_frame_equal(rows[source.columns], source)


def test_rows_say_which_model_weights_objective_optimizer_seed_and_precision(
    composed: Compose, tmp_path: Path
):
    own = "model=alexnet model.weights=/w/mine.safetensors optimizer=adam seed=3"
    make_run(tmp_path, composed(*own.split(), "precision=bfloat16"))
    make_run(tmp_path, composed())
    table = collect(tmp_path).summary
    keys = ["model", "weights", "objective", "optimizer", "seed", "precision"]
    assert table[keys].drop_duplicates().to_numpy().tolist() == [
        ["alexnet", "mine.safetensors", "unit_response", "adam", 3, "bfloat16"],
        ["miniature", "default", "unit_response", "sgd", 0, "float32"],
    ]


def test_layers_and_inits_keep_the_order_of_the_run(runs, tmp_path: Path):
    table = collect(runs[0].folder).summary
    pairs = list(zip(table["layer"], table["init_a"], table["init_b"], strict=True))
    assert pairs == [(layer, *pair) for layer in LAYERS for pair in PAIRS]
    assert set(table["job"]) == {""}


@pytest.fixture(scope="session")
def expected(jobs, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The tables of runs that were made one after the other."""
    here = tmp_path_factory.mktemp("here")
    for minute, job in enumerate(jobs):
        make_run(here, job, minute)
    return in_bytes(collect(here), here)


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_tables_are_the_same_to_the_bit_whenever_and_wherever_the_runs_were_made(
    jobs, expected, tmp_path_factory: pytest.TempPathFactory, written, given_in
):
    there = tmp_path_factory.mktemp("there")
    moved = [make_run(there, jobs[number], 60 * minute) for minute, number in enumerate(written)]
    places = [moved[number].folder for number in given_in]
    # On another machine the images lie elsewhere too.
    for paths in moved:
        text = paths.config.read_text()
        assert "root: /here" in text
        paths.config.write_text(text.replace("root: /here", "root: /scratch/there"))
        record_again(paths)
    assert in_bytes(collect(*places), there) == expected


def test_of_the_same_configuration_the_newest_run_is_taken_once(
    runs, composed: Compose, tmp_path: Path
):
    same = f"{SWEEP[0]} runner.accelerator=cpu tracking=none stages=[figures] name=again"
    again = make_run(tmp_path, composed(*same.split()), minute=99)
    sweep = collect(tmp_path)
    assert list(sweep.runs) == JOBS
    assert sweep.runs["model=miniature optimizer=sgd"].paths.folder == again.folder
    assert sweep.left_out == {runs[0].folder: "a newer run has the same configuration"}
    # The newest is told by its record, whatever the folders are called.
    again.folder.rename(again.folder.with_name("0"))
    assert sweep.left_out == collect(tmp_path).left_out


def test_a_failed_run_does_not_hide_an_older_one_that_finished(runs, jobs, tmp_path: Path):
    make_run(tmp_path, jobs[0], minute=99, state="failed")
    sweep = collect(tmp_path)
    assert sweep.runs["model=miniature optimizer=sgd"].paths.folder == runs[0].folder
    assert list(sweep.left_out.values()) == ["failed"]


def test_what_cannot_be_collected_is_left_out_with_the_reason(runs, jobs, tmp_path: Path):
    unlike = (replace(jobs[0], seed=seed) for seed in range(1, 30))
    stopped = make_run(tmp_path, next(unlike), 10, state="stopped")
    bare = make_run(tmp_path, next(unlike), 11)
    shutil.rmtree(bare.tables)
    lonely = make_run(tmp_path, next(unlike), 12)  # of one init
    for name in NAMES.values():
        write_table(
            lonely.tables, name, table_columns()[name], read_table(lonely.tables, name).iloc[:0]
        )
    old = make_run(tmp_path, next(unlike), 13)
    path = old.tables / "correlation_summary.parquet"
    pd.read_parquet(path).drop(columns="noise_ceiling").to_parquet(path)
    older = make_run(tmp_path, next(unlike), 14)
    text = older.config.read_text()
    older.config.write_text(text.replace("precision: float32\n", ""))
    for paths in (lonely, old, older):
        record_again(paths)
    older_numbers = make_run(tmp_path, next(unlike), 16, stage_versions={"correlations": 1})
    begun = make_run(tmp_path, replace(jobs[0], seed=99), 31)
    begun.record.unlink()
    oldest = make_run(tmp_path, next(unlike), 15)
    oldest.record.write_text('{"state": "finished", "results": {}}')
    broken = [make_run(tmp_path, next(unlike), 20 + number) for number in range(6)]
    broken[0].record.write_text("{")
    broken[1].record.write_text("[]")
    text = broken[2].record.read_text()
    broken[2].record.write_text(text.replace('"time": "2030', '"time": "2031'))
    broken[3].config.write_text(f"{broken[3].config.read_text()}\n")
    broken[4].config.unlink()
    content = bytearray((broken[5].tables / "correlations.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (broken[5].tables / "correlations.parquet").write_bytes(content)
    sweep = collect(tmp_path)
    assert list(sweep.runs) == JOBS
    assert reasons(sweep) == {
        stopped.folder.name: "stopped",
        bare.folder.name: "no correlations",
        lonely.folder.name: "no correlations",
        old.folder.name: "made by another version",
        older.folder.name: "made by another version",
        oldest.folder.name: "made by another version",
        broken[0].folder.name: "damaged (JSONDecodeError)",
        broken[1].folder.name: "damaged (it is no record of a run)",
        broken[2].folder.name: "damaged (its checksum does not fit its content)",
        broken[3].folder.name: "config.yaml was changed after the run",
        broken[4].folder.name: "config.yaml is missing",
        broken[5].folder.name: "correlations.parquet was changed after the run",
        older_numbers.folder.name: "made by another version",
        begun.folder.name: "without its record.json",
    }


def test_former_collections_are_passed_over(runs, composed: Compose, tmp_path: Path):
    sweep = collect(tmp_path)
    former = make_run(tmp_path, composed("stages=[collect]"), minute=99)
    shutil.rmtree(former.tables)
    in_bytes(sweep, former.tables)
    again = collect(tmp_path)
    assert (list(again.runs), again.left_out) == (JOBS, {})


@pytest.mark.parametrize(
    ("places", "number"),
    [
        (["."], 4),
        (["runs"], 4),
        (["runs/mysweep"], 4),
        (["runs/my*"], 4),
        (["r*s/**/*_00-0[02]-00"], 2),
        (["runs/mysweep/2030-01-01_00-01-00"], 1),
        (["runs/mysweep/*_00-01-00", "runs/mysweep/*_00-02-00/"], 2),
        (["runs", "runs/mysweep", "."], 4),
    ],
)
def test_a_place_is_a_run_a_folder_of_runs_or_a_pattern(
    runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places, number
):
    for place in (tmp_path, Path()):
        monkeypatch.chdir(tmp_path)
        sweep = collect(*(f"{place}/{name}" for name in places))
        assert len(sweep.runs) == number
        assert len(sweep.summary) == number * len(LAYERS) * len(PAIRS)
        assert sweep.left_out == {}


def test_the_store_of_an_out_folder_is_not_searched(runs, tmp_path: Path):
    shutil.copytree(runs[0].folder, tmp_path / "store" / "ascent" / "net")
    (tmp_path / "store" / "ascent" / "net" / "record.json").write_text("{")
    assert collect(tmp_path).left_out == {}
    assert len(find_finished_runs([tmp_path / "runs"]).runs) == 4


def test_a_folder_with_brackets_is_no_pattern(jobs, tmp_path: Path):
    out = tmp_path / "a[b]"
    make_run(out, jobs[0])
    assert len(collect(out).runs) == 1


def test_a_place_without_runs_is_refused(runs, tmp_path: Path):
    for place in (tmp_path / "mysweeep", tmp_path / "no*", runs[0].tables):
        with pytest.raises(StoreError) as caught:
            collect(tmp_path, place)
        assert str(caught.value) == (
            f"collect: '{place}' neither is nor contains a run; give run folders or folders"
            " that contain runs, as in collect.runs=[outputs/runs/mysweep]"
        )


def test_no_finished_run_is_refused_with_what_there_is(jobs, tmp_path: Path):
    place = Layout(tmp_path).runs("mysweep")
    for minute, job in enumerate(jobs):
        make_run(tmp_path, job, minute, state="failed" if minute else "running")
    with pytest.raises(StoreError) as caught:
        collect(place, tmp_path / "runs" / "m*")
    assert str(caught.value) == (
        f"collect: no run in '{place}', '{tmp_path}/runs/m*' has finished with correlations"
        " (mysweep/2030-01-01_00-00-00: running, mysweep/2030-01-01_00-01-00: failed,"
        " mysweep/2030-01-01_00-02-00: failed, and 1 more); finish one first, or give other folders"
        " in collect.runs"
    )


def test_group_is_that_on_which_all_records_agree(jobs, tmp_path: Path):
    def group(*names: str) -> str | None:
        return find_finished_runs([tmp_path / name for name in names]).group

    for number, groups in enumerate((["a", "a"], ["b"], [None, "a"])):
        for minute, name in enumerate(groups):
            more = {} if name is None else {"group": name}
            make_run(tmp_path / str(number), jobs[minute], minute, **more)
    assert group("0") == "a"
    assert group("1") == "b"
    assert group("0", "1") is None
    assert group("2") is None


def test_a_notebook_has_it_by_one_name(runs, tmp_path: Path):
    sweep = pipeline.collect(tmp_path / "runs" / "mysweep")
    assert isinstance(sweep, Sweep)
    assert repr(sweep) == f"Sweep(4 runs: {', '.join(JOBS)})"
    assert sweep.runs[JOBS[0]].correlations["model"].unique().tolist() == ["alexnet"]
