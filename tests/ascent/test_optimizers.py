from __future__ import annotations

import pytest

from pipeline.ascent.optimizers import adam, momentum, sgd
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd(steps=0), "optimizer.steps: 0 is not positive; use 1 or more"),
        (
            lambda: sgd(lr=-0.1),
            "optimizer.lr: -0.1 is not a positive number; ascent adds lr * gradient",
        ),
        (
            lambda: adam(lr=float("nan")),
            "optimizer.lr: nan is not a positive number; ascent adds lr * gradient",
        ),
        (lambda: momentum(momentum=1.0), "optimizer.momentum: 1.0 is not from 0 to below 1"),
        (lambda: adam(beta2=1.5), "optimizer.beta2: 1.5 is not from 0 to below 1"),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
