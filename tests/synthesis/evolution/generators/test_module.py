"""Modules of the user's own: what is accepted, what is refused, and in which words."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.miniature.decoder import CODE_SHAPE, trained_decoder
from pipeline.synthesis.evolution.generators import module


class Uniform(nn.Module):
    """Pictures of one color: the first three genes."""

    def __init__(self, side=4):
        super().__init__()
        self.side = side
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("smallest", torch.tensor([-1.0, -2.0, -3.0, -4.0, -5.0]))
        self.dropout = nn.Dropout(0.5)

    def forward(self, codes):
        colors = self.dropout(self.scale * codes[:, :3])
        return colors[:, :, None, None].expand(-1, -1, self.side, self.side)

    def colors(self, pictures):
        return torch.cat([pictures.mean((2, 3)), pictures.new_zeros(len(pictures), 2)], 1)


def test_codes_become_pictures_and_pictures_codes(setting):
    built = module(Uniform(), [5], encode="colors").build(setting((3, 6)))
    codes = torch.tensor([[0.25, 0.5, 2.0, 9.0, 9.0]])
    picture = built.draw(codes)
    assert picture.shape == (1, 3, 3, 6)
    assert picture[0, :, 2, 5].tolist() == [0.25, 0.5, 1.0]
    torch.testing.assert_close(built.encode(picture), torch.tensor([[0.25, 0.5, 1.0, 0.0, 0.0]]))


def test_black_and_white_are_those_of_the_module(setting):
    built = module(Uniform(), [5], black=-1.0, white=1.0).build(setting((2, 2)))
    picture = built.draw(torch.tensor([[-1.0, 0.0, 0.5, 0.0, 0.0]]))
    assert picture[0, :, 0, 0].tolist() == [0.0, 0.5, 0.75]


def test_the_distribution_is_given_by_numbers_tensors_and_files(setting, tmp_path):
    np.save(tmp_path / "std.npy", np.arange(1.0, 6.0))
    given = {"mean": 2.0, "std": str(tmp_path / "std.npy"), "low": "smallest"}
    prior = module(Uniform(), [5], **given).build(setting((2, 2))).prior
    assert prior.mean.tolist() == [2.0] * 5
    assert prior.std.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert prior.low.tolist() == [-1.0, -2.0, -3.0, -4.0, -5.0]
    assert prior.high.tolist() == [np.inf] * 5


def test_a_module_is_named_and_its_weights_come_from_a_file(tmp_path, monkeypatch, setting):
    code = "from torch import nn\n\ndef draws(side):\n"
    code += (
        "    return nn.Sequential(nn.Linear(2, 3), nn.Unflatten(1, (3, 1, 1)), nn.Upsample(side))\n"
    )
    (tmp_path / "lab_drawing.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    weights = {
        "0.weight": torch.eye(3)[:, :2].contiguous(),
        "0.bias": torch.tensor([0.0, 0.0, 0.5]),
    }
    save_file(weights, tmp_path / "weights.safetensors")
    given = {"arguments": {"side": 4}, "weights": str(tmp_path / "weights.safetensors")}
    made = module("lab_drawing.draws", [2], **given)
    picture = made.build(setting((4, 4))).draw(torch.tensor([[0.25, 0.75]]))
    assert picture[0, :, 1, 1].tolist() == [0.25, 0.75, 0.5]
    assert module("lab_drawing.draws", [2], **given).digest == made.digest
    save_file(weights | {"0.bias": torch.zeros(3)}, tmp_path / "weights.safetensors")
    assert module("lab_drawing.draws", [2], **given).digest != made.digest


def test_the_own_module_is_left_as_it_is():
    own = Uniform().train().double()
    module(own, [5])
    assert own.training
    assert own.scale.dtype == torch.float64
    assert own.scale.requires_grad


class Mixed(nn.Module):
    def forward(self, codes):
        return (codes - codes.mean(0)).reshape(-1, 3, 1, 1)


class Random(nn.Module):
    def forward(self, codes):
        return torch.rand(len(codes), 3, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nodots", [3]), "target: 'nodots' is not a dotted name"),
        (("no.such.place", [3]), "target: 'no.such' cannot be imported"),
        (("torch.nn.Lineer", [3]), "target: 'torch.nn' has no class or function 'Lineer'; nearest"),
        (("torch.nn.Linear", [3]), "target: 'torch.nn.Linear' cannot be called"),
        (("torch.zeros", [3], {"size": (1,)}), "target: 'torch.zeros' returns Tensor, no torch.nn"),
        ((nn.Linear(4, 3), [5]), r"Linear cannot draw codes of shape \[2, 5\]"),
        ((nn.Linear(5, 3), [5]), r"Linear returns \(2, 3\) for two codes, and pictures of shape"),
        ((Mixed(), [3]), "a picture of Mixed depends on the other codes"),
        ((Random(), [3]), "a picture of Random depends on the other codes"),
        ((Uniform(), []), r"code_shape: \[\] is not a list of one or more positive whole numbers"),
        ((Uniform(), 5), "code_shape: 5 is not a list"),
        ((Uniform(), [5.0]), r"code_shape: \[5\.0\] is not a list"),
        ((None, [5]), r"target: NoneType is neither a torch\.nn\.Module nor the dotted name"),
    ],
)
def test_what_cannot_draw_is_refused(arguments, message, untyped):
    with pytest.raises(ConfigError, match=rf"^generator\.module(\.|: ){message}"):
        module(*arguments)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": "largest"}, r"\.low: 'largest' is neither the name of a tensor of Uniform nor"),
        ({"mean": "scale"}, r"\.mean: 'scale' holds 1 numbers, and a code of shape \[5\] has 5"),
        ({"std": 0.0}, r"\.std: it must be above 0 for every gene"),
        ({"low": 2.0, "high": 1.0}, r"\.low: it must not be above generator\.module\.high"),
        ({"mean": "none.npy"}, r"\.mean: 'none.npy' cannot be read as an array of numbers"),
        ({"mean": float("nan")}, ": mean and std must be finite"),
        ({"encode": "codes"}, r"\.encode: Uniform has no method 'codes'"),
        ({"white": float("nan")}, r"\.white: nan is not a number"),
        ({"black": 1.0}, r": black and white are both 1\.0; they must differ"),
        ({"fit": "stretch"}, r"\.fit: 'stretch' is neither 'crop' nor 'resize'"),
    ],
)
def test_what_cannot_describe_codes_is_refused(given, message):
    with pytest.raises(ConfigError, match=rf"^generator\.module{message}"):
        module(Uniform(), [5], **given)


def test_weights_of_another_module_are_refused(tmp_path):
    save_file({"0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(NetworkError, match=r"^generator\.module\.weights: .*'0\.weight'"):
        module(Uniform(), [5], weights=str(tmp_path / "other.safetensors"))


def test_pickled_code_in_a_file_of_genes_is_not_run(tmp_path):
    np.save(tmp_path / "mean.npy", np.array([{"a": 1}] * 5, dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match=r"mean: '.*' cannot be read as an array of numbers"):
        module(Uniform(), [5], mean=str(tmp_path / "mean.npy"))


@pytest.mark.parametrize("size", [(9, 9), (29, 20), (70, 85), (120, 96)])
def test_a_module_that_draws_the_middle_alone_draws_the_same_pictures(setting, size):
    whole = trained_decoder()
    whole.draws_middle = False
    given = setting(size)
    codes = torch.randn(2, 432, generator=torch.Generator().manual_seed(0))
    found, wanted = (
        module(network, CODE_SHAPE).build(given).draw(codes)
        for network in (trained_decoder(), whole)
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-6)
