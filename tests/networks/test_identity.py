"""Networks are told apart by what they compute, and by nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.networks.graph.graph import Graph

HEAD = """
import torch, torch.nn.functional as F
from torch import nn
from functools import partial
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scale = torch.tensor(2.0)
        self.register_buffer("shift", torch.tensor(1.0), persistent=False)
        self.act = partial(F.leaky_relu, negative_slope=0.1)
        {init}
    def forward(self, x):
        x = self.act(self.conv(x)) * self.scale + self.shift
        {forward}
"""
POOL = "return F.max_pool2d(x, 2)"
# Neither fx nor export can follow this one.
OPAQUE = "return F.max_pool2d(x, 2 if float(x.sum()) > 0 else 3)"


def digest(init: str, forward: str) -> str:
    names: dict = {"__name__": "own_network"}
    exec(HEAD.format(init=init, forward=forward), names)
    module = names["Net"]()
    nn.init.ones_(module.conv.weight)
    return Graph(module.eval(), (8, 8)).digest


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "own_network.py"
    path.write_text(HEAD.format(init="pass", forward=OPAQUE))
    monkeypatch.syspath_prepend(tmp_path)
    return path


@pytest.mark.parametrize("forward", [POOL, OPAQUE])
@pytest.mark.parametrize(
    ("init", "same"),
    [
        ("pass  # a comment", True),
        ("nn.init.zeros_(self.conv.weight)", True),  # weights have a digest of their own
        ("self.scale = torch.tensor(3.0)", False),
        ("self.shift.fill_(2.0)", False),
        ("self.act = partial(F.leaky_relu, negative_slope=0.2)", False),
        ("self.act = F.relu", False),
        ("self.conv.padding = (1, 1)", False),
        ("self.conv.register_forward_hook(lambda m, i, o: 2 * o)", False),
    ],
)
def test_what_a_module_computes_with_is_part_of_it(init: str, same: bool, forward: str):
    assert (digest(init, forward) == digest("pass", forward)) == same


@pytest.mark.parametrize(
    ("forward", "same"),
    [
        ("y = F.max_pool2d(x, 2); return y", True),
        ("return F.avg_pool2d(x, 2)", False),
        ("return F.max_pool2d(x, 3)", False),
        ("return F.max_pool2d(x[:, :, 1:], 2)", False),
    ],
)
def test_operations_and_their_arguments_tell_graphs_apart(forward: str, same: bool):
    assert (digest("pass", forward) == digest("pass", POOL)) == same


@pytest.mark.parametrize("orders", [("ab", "ba"), ("aba", "abb"), ("ab", "aab")])
def test_the_order_in_which_parts_are_called_tells_graphs_apart(orders: tuple[str, str]):
    class Ordered(nn.Module):
        def __init__(self, order: str):
            super().__init__()
            self.order = order
            self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, images):
            for name in self.order:
                images = getattr(self, name)(images)
            return images

    one, other = (Graph(Ordered(order).eval(), (4, 4)).digest for order in orders)
    assert one != other


def test_code_tells_apart_what_cannot_be_traced(own_file: Path):
    before = digest("pass", OPAQUE)
    own_file.write_text(own_file.read_text() + "# edited\n")
    assert digest("pass", OPAQUE) != before


@pytest.mark.commands
def test_the_digest_is_the_same_in_every_process(tmp_path: Path):
    code = HEAD.format(init="pass", forward=OPAQUE) + (
        "net = Net().eval(); nn.init.ones_(net.conv.weight)\n"
        "from pipeline.networks.graph.graph import Graph\n"
        "import sys; sys.path.insert(0, '.')\n"
        "Net.__module__ = 'own_network'\n"
        "print(Graph(net, (8, 8)).digest)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found == digest("pass", OPAQUE)


def test_parametrized_weights_are_known_with_their_code():
    one, other = (nn.Sequential(nn.Conv2d(3, 2, 3)).eval() for _ in range(2))
    torch.nn.utils.parametrizations.weight_norm(other[0])
    assert Graph(one, (8, 8)).digest != Graph(other, (8, 8)).digest
