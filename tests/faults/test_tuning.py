"""Tuning and opponency after kills at random moments: the same bits in every item and table."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from tests.faults.conftest import Bench, shards, tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MEASURES = (
    "stages=[tuning,opponency]",
    "layers=[conv1]",
    "units=0:4",
    "images.limit=4",
    "tuning.properties=[circular_variance,half_contrast,hue_selectivity]",
    "tuning.draws=4",
    "figures.formats=[png]",
)
KILLS = 3


def test_killed_runs_leave_the_same_bits(bench: Bench):
    whole, killed = bench.folder / "whole", bench.folder / "killed"
    bench.run(whole, *MEASURES, timeout=280)
    rng = np.random.default_rng(0)
    bench.write_seconds = 0.1
    before: dict[str, bytes] = {}
    for _ in range(KILLS):
        process = bench.start_until(killed, len(before) + int(rng.integers(1, 3)), *MEASURES)
        time.sleep(rng.uniform(0, 0.15))  # while an item is computed, written, or put in its place
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert before.items() <= shards(killed).items()
        before = shards(killed)
    assert KILLS <= len(before) < len(shards(whole)) == 8
    bench.write_seconds = 0.0
    bench.run(killed, *MEASURES, timeout=280)
    assert before.items() <= shards(killed).items()
    assert shards(killed) == shards(whole)
    assert tables(killed) == tables(whole)
    assert {"tuning.parquet", "tuning_curves.parquet", "opponency.parquet"} <= tables(whole).keys()
