"""The plan of a dream: a size, steps, a learning rate and a blur for each octave."""

import pytest

from pipeline.errors import ConfigError
from pipeline.synthesis.dream.plan import octave_sizes, plan_octaves
from pipeline.synthesis.optimizers import adam, sgd

TWO = [(10, 12), (20, 24)]


def test_sizes_are_listed_or_a_pyramid():
    assert octave_sizes((20, 30), [10, 20], 1.4, 3) == [(10, 15), (20, 30)]
    assert octave_sizes((20, 30), None, 2.0, 2) == [(10, 15), (20, 30)]


def test_what_is_not_given_is_that_of_the_optimizer():
    own = sgd(7, [0.5, 0.1], "max")
    plan = plan_octaves(TWO, own, None, None, None)
    assert [octave.size for octave in plan] == TWO
    assert all(octave.optimizer == own for octave in plan)
    assert [octave.sigma for octave in plan] == [None, None]


def test_one_number_is_for_all_and_a_list_for_each():
    plan = plan_octaves(TWO, adam(7, 0.5), [3, 5], 0.2, [[2.0, 1.0], 0.5])
    assert [octave.optimizer.steps for octave in plan] == [3, 5]
    assert [octave.optimizer.lr for octave in plan] == [0.2, 0.2]
    assert [octave.sigma for octave in plan] == [[2.0, 1.0], 0.5]
    plan = plan_octaves(TWO, adam(7, 0.5), 4, [[0.5, 0.4], 0.1], None)
    assert [octave.optimizer.steps for octave in plan] == [4, 4]
    assert [octave.optimizer.lr for octave in plan] == [[0.5, 0.4], 0.1]


def test_the_kind_of_optimizer_stays():
    (octave,) = plan_octaves([(5, 5)], sgd(7, 0.5, "mean"), 2, 0.1, None)
    assert octave.optimizer.normalize == "mean"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: octave_sizes((20, 30), [10.5], 1.4, 3),
            "dream.sides: [10.5] is not a list of pixels; use [299,380,460]",
        ),
        (
            lambda: octave_sizes((20, 30), [True], 1.4, 3),
            "dream.sides: [True] is not a list of pixels; use [299,380,460]",
        ),
        (
            lambda: plan_octaves(TWO, sgd(), [3, 0], None, None),
            "dream.steps: [3, 0] is not a number of steps, or one for each octave",
        ),
        (
            lambda: plan_octaves(TWO, sgd(), 2.5, None, None),
            "dream.steps: 2.5 is not a number of steps, or one for each octave",
        ),
        (
            lambda: plan_octaves(TWO, sgd(), [1, 2, 3], None, None),
            "dream.steps: [1, 2, 3] has 3 values for 2 octaves; give one number, or one for each"
            " octave",
        ),
        (
            lambda: plan_octaves(TWO, sgd(), None, [[0.5, 0.4]], None),
            "dream.lr: [[0.5, 0.4]] has 1 values for 2 octaves; give one number, or one for each"
            " octave",
        ),
        (
            lambda: plan_octaves(TWO, sgd(), None, None, [1.0]),
            "dream.sigma: [1.0] has 1 values for 2 octaves; give one number, or one for each"
            " octave",
        ),
    ],
)
def test_bad_value_is_refused(make, message):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("lr", [-0.1, [0.0, 0.1]])
def test_a_learning_rate_is_that_of_an_optimizer(lr):
    with pytest.raises(ConfigError, match=r"lr: .* is not a"):
        plan_octaves([(5, 5)], sgd(), None, [lr], None)
