"""Networks of timm and of Hugging Face transformers, from random weights and saved folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import pipeline
from pipeline.errors import ArtiphysError
from pipeline.networks.loading import hub
from pipeline.networks.loading.huggingface import huggingface_network
from pipeline.networks.loading.timm import timm_network

PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_normalize": True,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.2, 0.3],
    "resample": 3,
}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 16, "image_size": 32, "patch_size": 8}


@pytest.fixture(autouse=True)
def unreachable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "_reached", lambda _address: False)


def refused(make: Any, *arguments: object, **named: object) -> str:
    with pytest.raises(ArtiphysError) as caught:
        make(*arguments, **named)
    return str(caught.value)


def saved(folder: Path, model: Any, **changed: Any) -> Path:
    """Save a network of transformers, and its image processor."""
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | changed))
    return folder


@pytest.mark.slow
def test_timm_declares_the_preprocessing_and_the_module_is_the_same():
    timm = pytest.importorskip("timm")
    found = pipeline.network("timm/resnet18.a1_in1k", weights="random", seed=2)
    seen = found.preprocessing
    assert (seen.resize, seen.crop, seen.interpolation) == (235, 224, "bicubic")  # 224 / 0.95
    assert seen.mean == (0.485, 0.456, 0.406)
    module = timm.create_model("resnet18")
    module.load_state_dict(found.module.state_dict())
    own = pipeline.network(module, input_size=224, mean=seen.mean, std=seen.std)
    assert (own.digest, own.graph.digest) == (found.digest, found.graph.digest)
    assert len(found.layers) == 20
    four = {"in_chans": 4}
    said = refused(timm_network, "resnet18", "random", arguments=four)
    assert said.startswith("model.mean: timm declares [0.485, 0.456, 0.406], and the network takes")
    assert timm_network("resnet18", "random", None, four, 0.5, 0.2).preprocessing.channels == 4


@pytest.mark.slow
def test_what_timm_does_not_have_is_refused():
    pytest.importorskip("timm")
    assert "'resnt18' is not one of timm's networks; nearest: resnet18" in refused(
        timm_network, "resnt18"
    )
    assert "nearest: resnet18.a1_in1k" in refused(timm_network, "resnet18.a1_in2k", "random")
    assert "cannot make 'resnet18' with {'depth': 3}" in refused(
        timm_network, "resnet18", "random", None, {"depth": 3}
    )
    said = refused(timm_network, "resnet18.a1_in1k")
    assert said.startswith("model.weights: the weights of timm's 'resnet18.a1_in1k' cannot be had")
    assert said.endswith("and give the file, as in model.weights=/w/model.safetensors")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_saved_folder_is_a_network_with_its_preprocessing(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL)).eval()
    folder = saved(tmp_path / "vit", model)
    found = pipeline.network(f"huggingface/{folder}")
    seen = found.preprocessing
    assert (seen.resize, seen.crop, seen.interpolation) == (40, 32, "bicubic")
    assert (seen.mean, seen.std) == ((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = model(images).last_hidden_state
    assert torch.allclose(found.module(images), expected, 1e-5, 1e-5)
    by_file = huggingface_network(str(folder), str(folder / "model.safetensors"))
    assert (by_file.digest, by_file.graph.digest) == (found.digest, found.graph.digest)
    assert huggingface_network(str(folder), "random").digest != found.digest
    # Traced: the patches are a convolution whose units see 8 x 8 pixels.
    assert found.layers["field"].tolist() == [(8, 8)]
    assert not found.graph.identity.has_own_code


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_vision_tower_of_clip_is_a_network(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    words = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    words |= {"intermediate_size": 16, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = transformers.CLIPConfig(vision_config=SMALL, text_config=words)
    model = transformers.CLIPModel(config).eval()
    found = huggingface_network(str(saved(tmp_path / "clip", model)))
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.module(images), model.vision_model(images).last_hidden_state)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_head_that_was_not_saved_is_refused_and_not_random(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL), add_pooling_layer=False)
    config = saved(tmp_path / "vit", model) / "config.json"
    settings = json.loads(config.read_text()) | {"architectures": ["ViTForImageClassification"]}
    config.write_text(json.dumps(settings))
    found = huggingface_network(str(config.parent))
    assert found.missing == {"model.classifier.weight", "model.classifier.bias"}
    assert found.module.model.classifier.weight.isnan().all()
    assert "cannot be used" in refused(found.find_layers, ["output"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_vision_network_or_has_unknown_preprocessing_is_refused(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(**SMALL)
    folder = saved(tmp_path / "vit", transformers.ViTModel(config), rescale_factor=1 / 127.5)
    assert "scales bytes to 0..2, and pixels here are in 0..1" in refused(
        huggingface_network, str(folder)
    )
    (folder / "preprocessor_config.json").unlink()
    said = refused(huggingface_network, str(folder))
    assert said.startswith(f"model.mean: '{folder}' has no preprocessor_config.json")
    assert huggingface_network(str(folder), mean=0.5, std=0.5).preprocessing.crop == 32
    words = transformers.BertConfig(**{n: SMALL[n] for n in list(SMALL)[:4]}, vocab_size=9)
    words.save_pretrained(tmp_path / "bert")
    assert "(BertConfig) is no vision network" in refused(
        huggingface_network, str(tmp_path / "bert"), "random"
    )
    assert "cannot be read from the Hugging Face hub" in refused(huggingface_network, "a/b")
