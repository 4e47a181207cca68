"""Networks are told apart by what they compute, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.weights import digest_weights, seeded

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
@pytest.mark.parametrize("forward", [POOL, OPAQUE])
def test_the_digest_is_the_same_in_every_process(tmp_path: Path, own_file: Path, forward: str):
    own_file.write_text(HEAD.format(init="pass", forward=forward))
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from own_network import Net, nn\n"
        "net = Net().eval(); nn.init.ones_(net.conv.weight)\n"
        "from pipeline.networks.graph.graph import Graph\n"
        "print(Graph(net, (8, 8)).digest)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert found == digest("pass", forward)


def test_parametrized_weights_are_known_with_their_code():
    one, other = (nn.Sequential(nn.Conv2d(3, 2, 3)).eval() for _ in range(2))
    torch.nn.utils.parametrizations.weight_norm(other[0])
    assert Graph(one, (8, 8)).digest != Graph(other, (8, 8)).digest


# A network in one file, with a class and a function that it imports from another.

PARTS = """
import torch.nn.functional as F
from torch import nn

class Halved(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)

def rectified(x):
    return F.leaky_relu(x, 0.1)
"""
NETWORK = """
import torch, torch.nn.functional as F
from torch import nn
from table_parts import Halved, rectified

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=1, padding=1, dilation=1, groups=1)
        self.norm = nn.BatchNorm2d(4, eps=1e-5)
        self.act = nn.ELU(alpha=1.0)
        self.pool = nn.MaxPool2d(3, stride=2, padding=0, ceil_mode=False)
        self.mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=True)
        self.drop = nn.Dropout(0.5)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.second = nn.Conv2d(4, 4, 1)
        self.register_buffer("gain", torch.tensor([1.0, 2.0]), persistent=False)
        self.own = Halved()
        self.layer_scale = 0.5

    def forward(self, x):
        x = (x - 0.25) / 0.5
        x = self.act(self.norm(self.conv(x)))
        x = rectified(x) * self.gain[1]
        x = self.drop(self.mean(self.pool(x)))
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = self.second(self.own(x))
        tokens = x.flatten(2).transpose(1, 2)
        seen = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return tokens + self.layer_scale * seen

def make():
    return Net()
"""
WRAPPER = """
    return Wrapped(Net())

class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)
"""

# What is replaced in which of the two files, by what.
CHANGES = {
    "kind of pooling": ("MaxPool2d(3, stride=2, padding=0", "AvgPool2d(3, stride=2, padding=0"),
    "pooling stride": ("3, stride=2, padding=0", "3, stride=1, padding=0"),
    "pooling window": ("MaxPool2d(3", "MaxPool2d(2"),
    "ceil mode": ("ceil_mode=False", "ceil_mode=True"),
    "averages of padding": ("count_include_pad=True", "count_include_pad=False"),
    "convolution stride": ("stride=1, padding=1, dilation=1", "stride=2, padding=1, dilation=1"),
    "convolution padding": ("padding=1, dilation=1", "padding=2, dilation=1"),
    "padding mode": ("groups=1", "groups=1, padding_mode='reflect'"),
    "dilation": ("padding=1, dilation=1", "padding=2, dilation=2"),
    "groups": ("Conv2d(4, 4, 1)", "Conv2d(4, 4, 1, groups=2)"),
    "slope of the activation": ("alpha=1.0", "alpha=0.5"),
    "kind of activation": ("nn.ELU(alpha=1.0)", "nn.ReLU()"),
    "eps": ("eps=1e-5", "eps=1e-3"),
    "order of operations": ("act(self.norm(self.conv(x)))", "norm(self.act(self.conv(x)))"),
    "operation left out": ("self.mean(self.pool(x))", "self.pool(x)"),
    "residual": ("self.second(self.own(x))", "self.second(self.own(x)) + self.own(x)"),
    "constant": ("rectified(x) *", "rectified(x) * 3 *"),
    "buffer": ("[1.0, 2.0]", "[1.0, 2.5]"),
    "index": ("self.gain[1]", "self.gain[0]"),
    "interpolation": ('"bilinear", align_corners=False', '"bicubic", align_corners=False'),
    "aligned corners": ("align_corners=False", "align_corners=True"),
    "heads of attention": ("(4, 2, batch_first", "(4, 4, batch_first"),
    "layer scale": ("layer_scale = 0.5", "layer_scale = 0.25"),
    "normalization of pixels": ("(x - 0.25)", "(x - 0.5)"),
    "dropout in training mode": (
        "return Net()",
        "net = Net().eval(); net.drop.train(); return net",
    ),
    "double precision": ("return Net()", "return Net().double()"),
    "wrapper that scales": ("    return Net()", WRAPPER.replace("inner(x)", "inner(2 * x)")),
    "wrapper that cuts": ("    return Net()", WRAPPER.replace("inner(x)", "inner(x)[:, :2]")),
    "forward hook": (
        "return Net()",
        "net = Net(); net.act.register_forward_hook(lambda m, i, o: 2 * o); return net",
    ),
    "backward hook": (
        "return Net()",
        "net = Net(); net.act.register_full_backward_hook(lambda m, i, o: (2 * i[0],)); return net",
    ),
    "parametrization": (
        "return Net()",
        "net = Net(); nn.utils.parametrizations.weight_norm(net.second); return net",
    ),
    "method replaced at run time": (
        "return Net()",
        "Net.forward = lambda self, x: self.second(self.conv(x)); return Net()",
    ),
    "imported class": ("F.max_pool2d(x, 2)", "F.avg_pool2d(x, 2)"),
    "argument in an imported class": ("F.max_pool2d(x, 2)", "F.max_pool2d(x, 2, 1)"),
    "imported function": ("F.leaky_relu(x, 0.1)", "F.leaky_relu(x, 0.2)"),
}  # fmt: skip
NO_CHANGES = {
    "comment": ("x = rectified(x)", "# A comment.\n        x = rectified(x)"),
    "docstring": ("class Halved(nn.Module):", "class Halved(nn.Module):\n    'It pools.'"),
    "branch that is never taken": ("x = rectified(x)", "x = x.relu() if False else rectified(x)"),
    "function that is not called": ("def make", "def other(x):\n    return -x\n\ndef make"),
    "name of a class": ("Net", "Renamed"),
    "name of an attribute": ("self.second", "self.readout"),
    "name of an imported class": ("Halved", "Pooled"),
    "name of a file": ("table_parts", "table_other"),
    "names of layers": ("self.conv", "self.alpha"),
    "class in another file": (
        "from table_parts import Halved, rectified",
        "from table_parts import rectified\n" + PARTS.partition("def rectified")[0],
    ),
    "wrapper that does nothing": ("    return Net()", WRAPPER),
    "default that is written out": ("F.max_pool2d(x, 2)", "F.max_pool2d(x, kernel_size=2)"),
    "parts in a function": ("return tokens +", "return (lambda y: y)(tokens) +"),
}


@pytest.fixture
def make_table_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the files with a change, and return what the module makes."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits follow within a second

    def make(old: str = "", new: str = "") -> nn.Module:
        sources = {"table_parts": PARTS, "table_network": NETWORK}
        if old:
            assert any(old in text for text in (*sources, *sources.values()))
            sources = {k.replace(old, new): v.replace(old, new) for k, v in sources.items()}
        for name, text in sources.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.setitem(sys.modules, name, None)  # which is put back after the test
            del sys.modules[name]
        invalidate_caches()
        with seeded(0):
            network = import_module("table_network").make()
        return (network if "train()" in new else network.eval()).requires_grad_(False)

    return make


def identity(network: nn.Module, size: tuple[int, int] = (12, 12)) -> tuple[str, str, int]:
    """Return all of the network and its last convolution that is in the key of a result."""
    graph = Graph(network, size)
    convolutions = find_layers(graph, "all", "own")
    return digest_weights(network), graph.digest, convolutions[-1].identity


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_computation_is_noticed(change: str, make_table_network):
    before, after = (identity(make_table_network(*way)) for way in ((), CHANGES[change]))
    assert before[1] != after[1]


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_computes_the_same_is_the_same_under_any_name(change: str, make_table_network):
    before, after = (identity(make_table_network(*way)) for way in ((), NO_CHANGES[change]))
    assert before == after


def test_the_size_and_channels_of_images_are_part_of_a_network(make_table_network):
    network = make_table_network()
    assert len({identity(network, size)[1] for size in ((12, 12), (12, 14), (14, 12))}) == 3


def test_weights_that_change_places_are_noticed(make_table_network):
    """Under the same names in another order, and in the same order at other places."""
    first, second = (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)).eval() for _ in range(2))
    second.load_state_dict(first.state_dict())
    second[0], second[1] = second[1], second[0]
    assert digest_weights(first) != digest_weights(second)
    assert Graph(first, (4, 4)).digest == Graph(second, (4, 4)).digest


# What cannot be traced is known by its code, and by all that the code uses.

OPAQUE_NETWORK = """
import torch, torch.nn.functional as F
from torch import nn
import table_parts
from table_parts import rectified

SLOPE = 0.1
POOLS = {"kind": F.max_pool2d}

def pooled(x):
    return POOLS["kind"](x, 2)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential()
        self.parts.add_module("one", nn.Conv2d(3, 3, 1))
        self.parts.add_module("two", nn.ReLU())

    def forward(self, x):
        if float(x.sum()) > 1e9:
            x = -x
        return pooled(F.leaky_relu(rectified(self.parts(x)), SLOPE))

def make():
    return Net().eval()
"""


@pytest.fixture
def make_opaque_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return the module of a network that cannot be traced, loaded anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "table_network.py").write_text(OPAQUE_NETWORK)
    (tmp_path / "table_parts.py").write_text(PARTS)

    def load():
        for name in ("table_parts", "table_network"):
            monkeypatch.setitem(sys.modules, name, None)
            del sys.modules[name]
        invalidate_caches()
        return import_module("table_network")

    return load


def halve(x):
    return nn.functional.avg_pool2d(x, 2)


def set_slope(module):
    module.SLOPE = 0.2


def set_pool(module):
    module.POOLS["kind"] = nn.functional.avg_pool2d


def set_function(module):
    module.pooled = halve


def set_imported(module):
    module.rectified = torch.relu


def set_method(module):
    module.Net.forward = lambda self, x: halve(self.parts(x)) if float(x.sum()) < 1e9 else x


@pytest.mark.parametrize("change", [set_slope, set_pool, set_function, set_imported, set_method])
def test_what_code_reads_when_it_runs_tells_apart_what_cannot_be_traced(
    change, make_opaque_network
):
    module = make_opaque_network()
    before = Graph(module.make(), (4, 4)).identity
    assert before.has_own_code
    assert Graph(make_opaque_network().make(), (4, 4)).identity == before
    module = make_opaque_network()
    change(module)
    assert Graph(module.make(), (4, 4)).identity.digest != before.digest


@pytest.mark.parametrize("name", ["table_network", "table_parts"])
def test_an_edit_of_any_file_of_what_cannot_be_traced_is_noticed(
    name: str, make_opaque_network, tmp_path: Path
):
    before = Graph(make_opaque_network().make(), (4, 4)).digest
    path = tmp_path / f"{name}.py"
    path.write_text(path.read_text() + "# edited\n")
    assert Graph(make_opaque_network().make(), (4, 4)).digest != before


def test_the_order_of_parts_tells_apart_what_cannot_be_traced():
    class Ordered(nn.Module):
        def __init__(self, *names):
            super().__init__()
            self.parts = nn.ModuleDict({name: nn.ReLU() for name in names})

        def forward(self, images):
            for name in self.parts if float(images.sum()) < 1e9 else ():
                images = self.parts[name](images) + ord(name)
            return images

    one, other = (Graph(Ordered(*names).eval(), (4, 4)).digest for names in ("ab", "ba"))
    assert one != other


def test_code_without_a_file_that_cannot_be_traced_is_refused():
    names: dict = {"__name__": "of_a_notebook"}
    exec(HEAD.format(init="pass", forward=OPAQUE), names)
    graph = Graph(names["Net"]().eval(), (8, 8))
    with pytest.raises(ConfigError) as caught:
        _ = graph.digest
    assert str(caught.value) == (
        "_target_: the code of 'of_a_notebook.Net' cannot be found, so that its results could not"
        " be told from those of other code; put it into a module that has a file"
    )


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_class_that_pytorch_derives_from_an_own_one_is_not_taken_for_pytorchs():
    class Doubled(nn.Conv2d):
        def forward(self, images):
            return 2 * super().forward(images)

    def graph(kind: type[nn.Conv2d]) -> Graph:
        with seeded(0):
            parts = nn.utils.parametrizations.weight_norm(kind(3, 2, 1)), nn.ReLU()
        return Graph(nn.Sequential(*parts).eval(), (4, 4))

    own, plain = graph(Doubled), graph(nn.Conv2d)
    assert own.digest != plain.digest
    images = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    one, other = (
        each.truncated([find_layers(each, ["0"], "own")[0].node]) for each in (own, plain)
    )
    assert torch.allclose(one(images), 2 * other(images), 1e-5, 1e-6)
