from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.jobs import identity, job_names, job_settings
from tests.conftest import Compose


@pytest.fixture
def names(composed: Compose):
    """The names of the jobs of a sweep, each from its overrides."""

    def jobs(*sweep: str) -> list[str]:
        return job_names([job_settings(asdict(composed(*o.split()))) for o in sweep])

    return jobs


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        (["optimizer=adam"], [""]),
        (["optimizer=sgd", "optimizer=adam"], ["optimizer=sgd", "optimizer=adam"]),
        (["model=miniature", "model=alexnet"], ["model=miniature", "model=alexnet"]),
        # The seed of the model follows that of the run.
        (["seed=0", "seed=1"], ["seed=0", "seed=1"]),
        (["seed=0", "model.seed=3"], ["", "model.seed=3"]),
        (
            ["optimizer=adam optimizer.lr=0.05 seed=1", "optimizer=sgd optimizer.lr=0.1 seed=0"],
            ["optimizer=adam optimizer.lr=0.05 seed=1", "optimizer=sgd optimizer.lr=0.1 seed=0"],
        ),
        # beta1 is there in both Adams alone, and the same.
        (
            ["optimizer=sgd", "optimizer=adam", "optimizer=adam optimizer.beta2=0.9"],
            [
                "optimizer=sgd",
                "optimizer=adam optimizer.beta2=0.999",
                "optimizer=adam optimizer.beta2=0.9",
            ],
        ),
        (
            ["init=[zeros,noise]", "init=[zeros]", "init=[zeros,noise] init.noise.std=0.5"],
            [
                "init=[noise,zeros] init.noise.std=0.3",
                "init=[zeros]",
                "init=[noise,zeros] init.noise.std=0.5",
            ],
        ),
        (
            ["layers=[conv1,conv2]", "units=[2,7]"],
            ["layers=[conv1,conv2] units=all", "layers=all units=[2,7]"],
        ),
        (["images.limit=5", "images.limit=null"], ["images.limit=5", "images.limit=null"]),
    ],
)
def test_jobs_are_named_by_the_settings_in_which_they_differ(names, sweep, expected):
    assert names(*sweep) == expected


def test_of_paths_the_last_part_is_named_where_that_tells_them_apart(names):
    weights = "model=alexnet model.weights={}"
    short = names(weights.format("/here/w/a.pth"), weights.format("/here/b.pth"))
    assert short == ["model.weights=a.pth", "model.weights=b.pth"]
    full = names(weights.format("/here/a.pth"), weights.format("/there/a.pth"))
    assert full == ["model.weights=/here/a.pth", "model.weights=/there/a.pth"]


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "out=/elsewhere",
        "runner.accelerator=cpu",
        "tracking=none",
        "stages=[figures]",
        "figures.formats=[svg]",
        "training.steps=3",
        "collect.runs=[a]",
        "optimizer.lr=1e-1",
        "init=[top_patch,zeros]",
    ],
)
def test_what_cannot_change_a_correlation_makes_no_other_job(composed: Compose, change: str):
    first, second = (job_settings(asdict(composed(*o))) for o in ([], [change]))
    assert identity(first) == identity(second)


@pytest.mark.parametrize(
    "change", ["seed=1", "precision=bfloat16", "search.keep=5", "images.limit=9", "layers=conv1"]
)
def test_what_can_change_a_correlation_makes_another_job(composed: Compose, change: str):
    first, second = (job_settings(asdict(composed(*o))) for o in ([], [change]))
    assert identity(first) != identity(second)


values = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["all", "/a/x", "/b/x", "/b/y"])
)
groups = st.fixed_dictionaries(
    {"_target_": st.sampled_from(["pipeline.sgd", "pipeline.adam", "mine.adam"])},
    optional={"lr": st.floats(0, 2), "beta": values, "steps": values},
)
configs = st.fixed_dictionaries(
    {
        "model": st.fixed_dictionaries(
            {"_target_": st.sampled_from(["a.net", "b.net"])},
            optional={"name": st.sampled_from(["net", "other"]), "weights": values},
        ),
        "optimizer": groups,
        "init": st.dictionaries(st.sampled_from(["zeros", "noise", "mine"]), groups, max_size=2),
    },
    optional={"seed": st.integers(0, 3), "units": values, "search": st.just({"keep": 3})},
)


@given(st.lists(configs, min_size=1, max_size=5), st.randoms())
def test_different_jobs_have_different_names_in_any_order(found, random):
    jobs = list({identity(job): job for job in map(job_settings, found)}.values())
    names = job_names(jobs)
    assert len(set(names)) == len(jobs)
    order = random.sample(range(len(jobs)), len(jobs))
    assert job_names([jobs[at] for at in order]) == [names[at] for at in order]
