"""Weights from files, downloads and seeds, and what is said of files that will not do."""

import argparse
import hashlib
import pickle
from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import NetworkError
from pipeline.networks.loading.weights import digest_weights, load_weights, read_weights, seeded


def network(filled=None, seed=0):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    return filled(module, seed) if filled else module


@pytest.fixture
def tensors(filled):
    return {name: tensor.clone() for name, tensor in network(filled).state_dict().items()}


def refused(call, *arguments):
    with pytest.raises(NetworkError) as caught:
        call(*arguments)
    return str(caught.value)


def write(path, tensors):
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return str(path)


PREFIXES = ("", "model.", "module.", "module.model.", "net.")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".ckpt"])
def test_all_kinds_of_files_hold_the_same_weights(tensors, filled, tmp_path, suffix, prefix):
    named = {prefix + name: tensor for name, tensor in tensors.items()}
    if suffix == ".ckpt":
        named = {"state_dict": named, "epoch": 3, "optimizer_states": [{"lr": 0.1}]}
    source = write(tmp_path / f"weights{suffix}", named)
    module = network()
    assert load_weights(module, read_weights(source), source) == frozenset()
    assert digest_weights(module) == digest_weights(network(filled))


def test_a_home_folder_is_found(tensors, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "w.pth", tensors)
    assert read_weights("~/w.pth")[""].keys() == tensors.keys()


def test_digest_by_another_way():
    module = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.fill_(-2.0)
    # Weight and bias by number; 1.0 and -2.0 as little-endian float32.
    content = b"0 (1, 1, 1, 1) torch.float32\x00\x00\x80\x3f" + (
        b"1 (1,) torch.float32\x00\x00\x00\xc0"
    )
    assert digest_weights(module) == hashlib.sha256(content).hexdigest()


def test_any_change_of_any_weight_changes_the_digest(filled):
    digest = digest_weights(network(filled))
    for name in network().state_dict():
        module = network(filled)
        with torch.no_grad():
            module.state_dict()[name].view(-1)[0:1].add_(1)
        # The count of training batches does nothing to a response.
        assert (digest_weights(module) == digest) == name.endswith("num_batches_tracked")


def test_what_a_partial_file_lacks_is_named_and_cannot_be_used(tensors, filled):
    first = {name: tensor for name, tensor in tensors.items() if name.startswith("0.")}
    module = network()
    missing = load_weights(module, {"": first}, "w.pth")
    assert missing == {
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "2.weight",
        "2.bias",
    }
    assert torch.equal(module[0].weight, tensors["0.weight"])
    assert all(module.state_dict()[name].isnan().all() for name in missing)
    assert module(torch.zeros(1, 3, 5, 5)).isnan().all()


def test_digest_of_a_partial_file_is_that_of_its_weights(tensors, filled):
    first = {name: tensor for name, tensor in tensors.items() if name.startswith("0.")}
    module = network()
    missing = load_weights(module, {"": first}, "w.pth")
    alone = nn.Sequential(nn.Conv2d(3, 2, 3))
    alone.load_state_dict(first)
    assert digest_weights(module, missing) == digest_weights(alone)


def test_a_tensor_of_another_shape_is_refused(tensors):
    tensors["2.weight"] = torch.zeros(2, 3, 1, 1)
    assert refused(load_weights, network(), {"": tensors}, "/w/net.pth") == (
        "model.weights: '2.weight' in '/w/net.pth' has shape (2, 3, 1, 1), the network needs"
        " (2, 2, 1, 1); are they the weights of another model?"
    )


def test_unknown_tensors_are_refused(tensors):
    tensors["2.weigth"] = torch.zeros(2)
    assert refused(load_weights, network(), {"": tensors}, "/w/net.pth") == (
        "model.weights: '/w/net.pth' holds '2.weigth', which the network does not have; nearest:"
        " 2.weight; are they the weights of another model?"
    )
    tensors["2.zzzzzz"] = tensors["2.yyyyyy"] = torch.zeros(2)
    assert refused(load_weights, network(), {"": tensors}, "/w/net.pth").startswith(
        "model.weights: '/w/net.pth' holds '2.weigth' and 2 more, which the network does not have;"
    )


def test_a_refused_file_leaves_the_network_as_it_was(tensors, filled):
    module = network(filled, 5)
    digest = digest_weights(module)
    tensors["2.weight"] = torch.zeros(1)
    refused(load_weights, module, {"": tensors}, "w.pth")
    assert digest_weights(module) == digest


def test_another_suffix_is_refused():
    assert refused(read_weights, "weights.onnx") == (
        "model.weights: 'weights.onnx' is neither 'default', 'random', a URL nor a file ending in"
        " .safetensors, .pth, .pt, .ckpt, .pth.tar, .bin"
    )


def test_a_missing_file_is_refused(tmp_path):
    source = str(tmp_path / "w.pth")
    assert refused(read_weights, source) == (
        f"model.weights: there is no file '{source}'; give the path of one"
    )
    (tmp_path / "folder.pth").mkdir()
    assert "there is no file" in refused(read_weights, str(tmp_path / "folder.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}, torch.ones(3)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content, suffix):
    source = write(tmp_path / f"w{suffix}", content)
    expected = f"model.weights: '{source}' holds no tensors by name (no state_dict)"
    assert refused(read_weights, source) == expected


def test_a_safetensors_file_without_tensors_is_refused(tmp_path):
    source = write(tmp_path / "w.safetensors", {})
    expected = f"model.weights: '{source}' holds no tensors by name (no state_dict)"
    assert refused(read_weights, source) == expected


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    path.touch()
    assert refused(read_weights, str(path)) == (
        f"model.weights: '{path}' cannot be read as weights (the file is empty); is the file whole?"
    )
    path = tmp_path / "w.safetensors"
    path.touch()
    assert refused(read_weights, str(path)) == (
        f"model.weights: '{path}' cannot be read as weights (Error while deserializing header:"
        " header too small); is the file whole?"
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.99), kind=st.sampled_from([".safetensors", ".pth", "legacy"]))
def test_a_truncated_file_is_refused(tensors, tmp_path, share, kind):
    path = tmp_path / ("w.safetensors" if kind == ".safetensors" else "w.pth")
    if kind == "legacy":
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    else:
        write(path, tensors)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = refused(read_weights, str(path))
    assert message.startswith(f"model.weights: '{path}' cannot be read as weights (")
    assert message.endswith("); is the file whole?")
    assert "\n" not in message


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40), suffix=st.sampled_from([".safetensors", ".pth"]))
def test_any_other_file_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    assert refused(read_weights, str(path)).startswith(f"model.weights: '{path}' ")


class Dangerous:
    """A pickle that would run a command of its own."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("by_url", [False, True])
def test_a_file_with_code_is_refused_and_not_run(tmp_path, torch_home, by_url):
    path, victim = tmp_path / "w.pth", tmp_path / "victim"
    torch.save({"state_dict": Dangerous(victim)}, path)
    refused(read_weights, path.as_uri() if by_url else str(path))
    assert not victim.exists()
    with path.open("wb") as file:
        pickle.dump(Dangerous(victim), file)
    refused(read_weights, path.as_uri() if by_url else str(path))
    assert not victim.exists()


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    """An empty cache of torch's downloads."""
    home = tmp_path / "torch_home"
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return home


def named_by_hash(folder, tensors):
    path = folder / "w.pth"
    write(path, tensors)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(folder / f"net-{digits}.pth")


def test_a_download_is_checked_and_cached(tensors, tmp_path, torch_home):
    path = named_by_hash(tmp_path, tensors)
    found = read_weights(path.as_uri())[""]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert [file.name for file in torch_home.rglob("*.*")] == [path.name]
    path.unlink()
    assert read_weights(path.as_uri())[""].keys() == tensors.keys()


def test_a_damaged_download_is_refused_and_not_kept(tensors, tmp_path, torch_home):
    path = named_by_hash(tmp_path, tensors)
    digest = hashlib.sha256(path.read_bytes() + b"x").hexdigest()
    path.write_bytes(path.read_bytes() + b"x")
    expected = path.stem.rpartition("-")[2]
    assert refused(read_weights, path.as_uri()) == (
        f"model.weights: '{path.as_uri()}' could not be downloaded (invalid hash value (expected"
        f' "{expected}", got "{digest}")); give model.weights the path of a file, or'
        " model.weights=random"
    )
    assert [file for file in torch_home.rglob("*") if file.is_file()] == []


def test_a_download_that_is_not_there_is_refused(tmp_path, torch_home):
    url = (tmp_path / "none.pth").as_uri()
    message = refused(read_weights, url)
    assert message.startswith(f"model.weights: '{url}' could not be downloaded (")
    assert message.endswith("; give model.weights the path of a file, or model.weights=random")


def test_a_url_of_no_host_is_refused(torch_home):
    message = refused(read_weights, "http:///w.pth")
    assert message.startswith("model.weights: 'http:///w.pth' could not be downloaded (")


def test_a_url_of_no_known_kind_is_taken_for_a_path(torch_home):
    message = refused(read_weights, "nothing://here/w.pth")
    assert message == (
        "model.weights: there is no file 'nothing://here/w.pth'; give the path of one"
    )


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_download_that_is_no_weights_is_refused(tmp_path, torch_home, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    message = refused(read_weights, path.as_uri())
    assert message.startswith(f"model.weights: '{path.as_uri()}' cannot be read as weights (")
    kept = torch_home / "hub" / "checkpoints" / name
    assert message.endswith(f"); remove '{kept}' to download it again")
    assert "\n" not in message
    kept.unlink()
    write(path, {"weight": torch.ones(1)})
    assert read_weights(path.as_uri())[""].keys() == {"weight"}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".ckpt"])
def test_all_kinds_of_files_can_be_downloaded(tensors, tmp_path, torch_home, suffix):
    path = tmp_path / f"w{suffix}"
    write(path, tensors)
    for _ in ("downloaded", "cached"):
        found = read_weights(path.as_uri())[""]
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_a_file_holds_beside_tensors_is_neither_run_nor_imported(tensors, tmp_path, legacy):
    path, victim = tmp_path / "w.pth", tmp_path / "victim"
    beside = [Dangerous(victim), argparse.Namespace(lr=0.1), PurePosixPath("in/2016"), {1, 2}]
    content = {"model": tensors, "args": beside, "best": np.float64(3)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert read_weights(str(path))["model"].keys() == tensors.keys()
    assert not victim.exists()


def test_a_planted_file_of_torchvision_is_not_run(tensors, tmp_path, torch_home):
    kept = torch_home / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    victim = tmp_path / "victim"
    torch.save({"state_dict": tensors, "made": Dangerous(victim)}, kept / "w.pth")
    found = read_weights("https://download.pytorch.org/models/w.pth")
    assert found["state_dict"].keys() == tensors.keys()
    assert not victim.exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_whole_modules_and_torchscript_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "w.pt"
    torch.save(network(), path)
    assert refused(read_weights, str(path)) == (
        f"model.weights: '{path}' cannot be read as weights (it holds a whole"
        " torch.nn.modules.container.Sequential, which only its code could read; save its"
        " state_dict)"
    )
    torch.jit.script(network()).save(path)
    assert refused(read_weights, str(path)) == (
        f"model.weights: '{path}' cannot be read as weights (it is a TorchScript archive; save the"
        " state_dict of the Python module instead)"
    )


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


# As training scripts leave them: where the weights are, and what else there is.
SCRIPTS = {
    "plain": lambda t: {"": t},
    "nested": lambda t: {"state_dict.model": prefixed(t, "model.module.")},
    "compiled, then parallel": lambda t: {"": prefixed(t, "module._orig_mod.")},
    "compiled inside": lambda t: {"": {n.replace(".", "._orig_mod.", 1): t[n] for n in t}},
    "parallel inside": lambda t: {"": {n.replace(".", ".module.", 1): t[n] for n in t}},
    "averaged": lambda t: {"": prefixed(t, "module.") | {"n_averaged": torch.tensor(3)}},
    "a loss": lambda t: {"state_dict": prefixed(t, "net.") | {"criterion.weight": torch.ones(3)}},
    "a loss beside plain names": lambda t: {"": t | {"criterion.weight": torch.ones(3)}},
    "a metric": lambda t: {"": prefixed(t, "backbone.") | {"acc.tp": torch.zeros(9)}},
    "an average beside": lambda t: {"state_dict_ema": {n: t[n] + 1 for n in t}, "state_dict": t},
    "two that are equal": lambda t: {"": prefixed(t, "query.") | prefixed(t, "key.")},
    "momentum": lambda t: {
        "": prefixed(t, "module.encoder_q.")
        | prefixed({n: t[n] + 1 for n in t}, "module.encoder_k.")
    },
    "old, without counters": lambda t: {"": {n: t[n] for n in t if "num_batches" not in n}},
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_checkpoints_of_training_scripts_hold_the_same_weights(tensors, filled, script):
    module = network()
    assert load_weights(module, SCRIPTS[script](tensors), "w.pth") == frozenset()
    assert digest_weights(module) == digest_weights(network(filled))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"2.weight": torch.ones(5, 2, 1, 1), "2.bias": torch.ones(5)}, "number of classes"),
        ({"2.0.weight": torch.ones(5, 2, 1, 1), "2.0.bias": torch.ones(5)}, "2.0.bias' and 1 more"),
    ],
)
def test_another_head_counts_as_missing(tensors, caplog, change, said):
    file = {n: t for n, t in tensors.items() if not n.startswith("2.")} | change
    module = network()
    with caplog.at_level("INFO"):
        assert load_weights(module, {"": file}, "w.pth") == {"2.weight", "2.bias"}
    assert said in caplog.text
    assert torch.equal(module[0].weight, tensors["0.weight"])


def test_several_networks_that_differ_are_told_apart_by_the_user(tensors):
    other = {name: tensor + 1 for name, tensor in tensors.items()}
    found = {"": prefixed(tensors, "student.") | prefixed(other, "teacher.")}
    assert refused(load_weights, network(), found, "w.pth") == (
        "model.weights: 'w.pth' holds several networks that fit ('student' and 'teacher'); choose"
        " one, as in model.weights_key=student"
    )
    module = network()
    load_weights(module, found, "w.pth", "teacher")
    assert torch.equal(module[0].weight, other["0.weight"])
    assert refused(load_weights, module, found, "w.pth", "techer") == (
        "model.weights_key: nothing under 'techer' in 'w.pth' fits the network; what fits is under"
        " 'student', 'teacher'; nearest: teacher"
    )


def test_what_is_done_to_a_file_is_in_the_log(tensors, caplog):
    found = SCRIPTS["an average beside"]({n: t.bfloat16() for n, t in tensors.items()})
    with caplog.at_level("INFO"):
        load_weights(network(), found, "w.pth")
        load_weights(network(), found, "w.pth", "state_dict_ema")
        load_weights(network(), {"": tensors}, "w.pth")
    assert caplog.messages == [
        "model.weights: 'w.pth': the weights are those under 'state_dict'; converted from bfloat16"
        " to float32; left out: 'state_dict_ema.0.bias' and 8 more; other weights that fit:"
        " 'state_dict_ema', taken with model.weights_key=state_dict_ema",
        "model.weights: 'w.pth': the weights are those under 'state_dict_ema'; converted from"
        " bfloat16 to float32; left out: 'state_dict.0.bias' and 8 more; other weights that fit:"
        " 'state_dict', taken with model.weights_key=state_dict",
    ]


def test_a_deeper_network_of_the_same_names_is_refused():
    torchvision = pytest.importorskip("torchvision")
    deeper = torchvision.models.resnet34().state_dict()
    assert refused(load_weights, torchvision.models.resnet18(), {"": deeper}, "w.pth").startswith(
        "model.weights: 'w.pth' holds 'layer1.2.bn1.bias' and "
    )


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda tensor: tensor + 1j, "complex64"),
        (lambda tensor: tensor.to(torch.int8), "int8"),
        (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "qint8"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize")
def test_tensors_of_no_real_numbers_are_refused(tensors, change, kind):
    tensors["0.weight"] = change(tensors["0.weight"])
    assert refused(load_weights, network(), {"": tensors}, "w.pth") == (
        f"model.weights: '0.weight' in 'w.pth' holds {kind}, and the network needs real numbers;"
        " save it as float32"
    )


def test_a_seed_gives_the_same_weights_and_leaves_the_callers_numbers_alone():
    def built(seed):
        with seeded(seed):
            return digest_weights(network())

    before = torch.get_rng_state()
    assert built(3) == built(3)
    assert built(3) != built(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_numbers_come_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="negative dimension"), seeded(1):
        network(), torch.rand(-1)
    assert torch.equal(torch.get_rng_state(), before)
