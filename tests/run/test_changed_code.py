"""Networks whose code has changed are computed again, wherever the change was made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

NETWORK = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent / "parts"))
from changing_pool import Pool
from torch import nn
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import build_network

def make():
    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3), Pool(), nn.Conv2d(4, 4, 3))
    return build_network("own", build, Preprocessing(24, 24, (0.5,) * 3, (0.25,) * 3), "random", 0)
"""
POOL = """
import torch.nn.functional as F
from torch import nn

class Pool(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)
"""


@pytest.mark.commands
def test_a_class_in_a_folder_that_the_network_adds_to_the_path_may_change(tmp_path: Path):
    """The weights, the command and the file of the network stay the same."""
    for name, text in {
        "changing_network.py": NETWORK,
        "parts/changing_pool.py": POOL,
        "conf/model/changing.yaml": "_target_: changing_network.make\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    places = [str(tmp_path), *filter(None, sys.path)]
    command = [sys.executable, "-m", "pipeline", "--config-dir", "conf", "model=changing"]
    command += ["layers=[conv2]", "units=0:2", "images.limit=2", "search.keep=1", "tracking=none"]
    command += ["stages=[top_patches]", "runner.accelerator=cpu"]

    def run(name: str):
        done = subprocess.run(
            [*command, "out=out", f"name={name}"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
            check=True,
        )
        found = pipeline.open_run(tmp_path / "out" / "runs" / name).top_patches
        return found.response.tolist(), done.stdout + done.stderr

    before, _ = run("max")
    again, said = run("max")
    assert "searching" not in said  # it is in the store
    assert again == before
    pool = tmp_path / "parts" / "changing_pool.py"
    pool.write_text(POOL.replace("max_pool2d", "avg_pool2d"))
    after, said = run("max")
    assert "searching" in said
    assert after != before
    pool.write_text(POOL)
    assert run("max")[0] == before
