"""Training learns, repeats itself, and never shows a photograph that testing uses."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.images.bundled import bundled_photographs
from pipeline.miniature import training as miniature
from pipeline.miniature.network import CLASSES, INPUT_SIZE, Miniature, normalized
from pipeline.miniature.training import (
    Drawings,
    TrainingSettings,
    accuracies,
    initialize,
    split_photographs,
    train_miniature,
)
from pipeline.stages.train.work import write_weights

TINY = TrainingSettings(steps=3, batch=8, test_images=20)


@pytest.fixture(scope="module")
def tiny_run():
    return train_miniature(TINY)


def test_photographs_are_split_without_rest_or_overlap():
    training, test = split_photographs()
    assert test
    assert not set(training) & set(test)
    assert set(training) | set(test) == set(bundled_photographs())


def test_held_out_photographs_are_never_trained_on(monkeypatch):
    """Look over the shoulder of a run: which photographs and random numbers it draws with."""
    drawn, asked = miniature.labeled_drawings, []

    def record(photographs, count, size, generator):
        asked.append((list(photographs), generator.initial_seed()))
        return drawn(photographs, count, size, generator)

    monkeypatch.setattr(miniature, "labeled_drawings", record)
    train_miniature(TINY)
    *training, (test_photographs, test_seed) = asked
    assert len(training) >= TINY.steps
    held_out = list(split_photographs()[1].values())
    assert all(any(torch.equal(one, other) for other in held_out) for one in test_photographs)
    for photographs, seed in training:
        assert seed != test_seed
        for one in photographs:
            assert not any(torch.equal(one, other) for other in held_out)


def test_a_run_writes_weights_that_load_and_a_record_of_itself(tiny_run, tmp_path):
    network, record = tiny_run
    out = tmp_path / "deep" / "folder"
    write_weights(out, "miniature", network.state_dict(), record)
    assert {file.name for file in out.iterdir()} == {"miniature.safetensors", "miniature.json"}
    loaded = Miniature()
    loaded.load_state_dict(load_file(out / "miniature.safetensors"), strict=True)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    written = json.loads((out / "miniature.json").read_text())
    assert written["settings"] == {
        "seed": 0, "steps": 3, "batch": 8, "learning_rate": 0.002, "weight_decay": 0.2,
        "test_images": 20, "accelerator": "cpu",
    }  # fmt: skip
    assert written["training_images"] == 24
    assert tuple(written["classes"]) == CLASSES
    assert written["test_accuracy"] == record["test_accuracy"]
    assert written["chance"]["class"] == pytest.approx(1 / 60)


def test_the_recorded_settings_repeat_the_run_to_the_bit(tiny_run):
    network, record = tiny_run
    torch.rand(5)  # moves the global stream of random numbers, which must not matter
    again, _ = train_miniature(TrainingSettings(**record["settings"]))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_another_seed_gives_other_weights(tiny_run):
    network, _ = tiny_run
    other, _ = train_miniature(replace(TINY, seed=1))
    assert not torch.equal(network.features[10].weight, other.features[10].weight)


def test_training_lowers_the_loss_on_what_it_has_seen():
    photographs, _ = split_photographs()
    (batch,) = Drawings(list(photographs.values()), batch=16, batches=1, seed=0)
    network = Miniature()
    initialize(network, torch.Generator().manual_seed(0))
    training = miniature.MiniatureTraining(network, 25, learning_rate=2e-3, weight_decay=0.5)
    optimizer = training.configure_optimizers()["optimizer"]
    for _ in range(25):
        loss = training.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert training.losses[-1] < 0.8 * training.losses[0]


def test_the_learning_rate_rises_then_falls_to_nothing():
    training = miniature.MiniatureTraining(Miniature(), 100, learning_rate=0.5, weight_decay=0.1)
    configured = training.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    highest = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.5)
    assert 0 < highest < 20
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert rates[-1] < 0.001


def test_biases_do_not_decay_and_every_parameter_is_trained():
    network = Miniature()
    training = miniature.MiniatureTraining(network, 10, learning_rate=0.1, weight_decay=0.5)
    groups = training.configure_optimizers()["optimizer"].param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        assert (decays[id(parameter)] == 0) == name.endswith("bias"), name


class Oracle(nn.Module):
    """Answers with the classes given, whatever it is shown."""

    def __init__(self, answers):
        super().__init__()
        self.answers = torch.eye(len(CLASSES))[answers]

    def forward(self, images):
        return self.answers


def test_accuracies_by_factor_by_hand():
    index = CLASSES.index
    labels = torch.tensor([index("bar/45/red")] * 4)
    answers = ["bar/45/red", "arc/45/red", "bar/45/gray", "grating/0/red"]
    images = torch.zeros(4, 3, INPUT_SIZE, INPUT_SIZE)
    scores = accuracies(Oracle([index(answer) for answer in answers]), images, labels)
    assert scores == {"class": 0.25, "kind": 0.5, "orientation": 0.75, "color": 0.75}


def test_normalized_middle_gray_is_zero():
    pixels = torch.full((1, 3, 2, 2), 0.5)
    assert normalized(pixels).abs().max() == 0
    torch.testing.assert_close(normalized(pixels + 0.25), torch.ones(1, 3, 2, 2))
