"""Training of the decoder learns, repeats itself, and is measured on what was not trained on."""

from dataclasses import replace

import pytest
import torch

from pipeline.miniature import decoder_training
from pipeline.miniature.decoder import Decoder, shipped_network
from pipeline.miniature.decoder_training import (
    DecoderSettings,
    DecoderTraining,
    explained,
    initialize,
    set_statistics,
    train_decoder,
)
from pipeline.miniature.training import Drawings, held_out_drawings, split_photographs

TINY = DecoderSettings(steps=2, batch=4, test_images=10)


@pytest.fixture(scope="module", autouse=True)
def few_statistics():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_training, "STATISTICS_IMAGES", 100)
        yield


@pytest.fixture(scope="module")
def drawings():
    return Drawings(list(split_photographs()[0].values()), batch=8, batches=4, seed=0)


@pytest.fixture
def training(drawings):
    decoder, network = Decoder(), shipped_network()
    initialize(decoder, torch.Generator().manual_seed(0))
    set_statistics(decoder, network, drawings)
    return DecoderTraining(decoder, network, 12, 3e-3, torch.Generator().manual_seed(0))


def test_the_same_settings_repeat_the_run_to_the_bit():
    first, record = train_decoder(TINY)
    torch.rand(5)  # moves the global stream of random numbers, which must not matter
    again, _ = train_decoder(DecoderSettings(**record["settings"]))
    other, _ = train_decoder(replace(TINY, seed=1))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
        assert torch.equal(tensor, tensor.half().float()), name
    assert not torch.equal(first.layers[0].weight, other.layers[0].weight)


def test_training_lowers_the_loss_on_what_it_has_seen_and_leaves_the_network(training, drawings):
    before = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    (batch, *_) = drawings
    optimizer = training.configure_optimizers()["optimizer"]
    for _ in range(12):
        loss = training.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert training.losses[-1] < 0.8 * training.losses[0]
    for name, tensor in training.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_decoder_that_returns_the_images_themselves_has_no_loss(training, drawings, monkeypatch):
    """The loss is that of the prepared images, at whatever shift."""
    (batch, *_) = drawings
    wanted = decoder_training.centered(batch[0])
    monkeypatch.setattr(training.decoder, "forward", lambda _codes: wanted * 0.25 + 0.5)
    assert training.training_step(batch).item() < 1e-8
    # Mid-gray explains nothing of the pixels, which alone give a loss of 1.
    monkeypatch.setattr(training.decoder, "forward", lambda _codes: torch.full_like(wanted, 0.5))
    assert training.training_step(batch).item() > 1


def test_features_that_hardly_vary_are_silent(drawings):
    decoder, network = Decoder(), shipped_network()
    set_statistics(decoder, network, drawings)
    found = torch.cat(
        [
            decoder_training.features(network, decoder_training.centered(images))
            for images, _ in drawings
        ]
    )
    never = (found == 0).all(0)
    assert never.any()
    assert (decoder.code_std[never] == 0).all()
    codes = decoder.standardized(found)
    live = decoder.code_std > 0
    torch.testing.assert_close(codes.mean(0)[live], torch.zeros(int(live.sum())), rtol=0, atol=1e-4)
    torch.testing.assert_close(codes.std(0)[live], torch.ones(int(live.sum())))


def test_explained_shares_by_hand(training):
    """A decoder that draws mid-gray explains nothing of the pixels."""
    gray = Decoder()
    for parameter in gray.parameters():
        parameter.data.zero_()
    gray.load_state_dict(training.decoder.state_dict() | dict(gray.named_parameters()))
    images, _ = held_out_drawings(5, 0)
    assert explained(gray, training.network, images)["pixels"] == pytest.approx(0, abs=1e-3)


def test_held_out_photographs_are_never_trained_on(monkeypatch):
    held_out = list(split_photographs()[1].values())
    asked = []
    kept = decoder_training.Drawings

    def record(photographs, *arguments):
        asked.extend(photographs)
        return kept(photographs, *arguments)

    monkeypatch.setattr(decoder_training, "Drawings", record)
    train_decoder(TINY)
    assert asked
    assert not any(torch.equal(one, other) for one in asked for other in held_out)
