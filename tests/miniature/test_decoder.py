"""The embedded generator is what its record says, and draws what its codes tell."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import pipeline.miniature.decoder
from pipeline.errors import NetworkError
from pipeline.miniature.decoder import (
    CODE_SHAPE,
    Decoder,
    centered,
    features,
    shipped_network,
    trained_decoder,
)
from pipeline.miniature.decoder_training import explained
from pipeline.miniature.network import normalized
from pipeline.miniature.training import held_out_drawings
from pipeline.networks.loading.weights import digest_weights

FOLDER = Path(pipeline.miniature.decoder.__file__).parent / "weights"


@pytest.fixture(scope="module")
def record():
    return json.loads((FOLDER / "decoder.json").read_text())


@pytest.fixture(scope="module")
def decoder():
    return trained_decoder()


def test_what_is_loaded_is_what_the_record_tells_of(record, decoder):
    assert record["weights"] == digest_weights(decoder)
    assert record["parameters"] == sum(p.numel() for p in decoder.parameters()) == 218675
    assert record["architecture"] == str(decoder).splitlines()
    digest = digest_weights(shipped_network())
    assert record["network"] == f"miniature-{digest[:8]}"


def test_shipped_weights_are_small_finite_and_of_half_precision():
    path = FOLDER / "decoder.safetensors"
    assert path.stat().st_size < 500_000
    for tensor in load_file(path).values():
        assert tensor.dtype == torch.float16
        assert tensor.isfinite().all()


def test_held_out_drawings_are_explained_as_recorded(record, decoder):
    """Of 500 drawings in the record, 60 here: codes of what is drawn are those that it is from."""
    images, _ = held_out_drawings(60, seed=0)
    found = explained(decoder, shipped_network(), images)
    assert found["codes"] == pytest.approx(record["test_r2"]["codes"], abs=0.05)
    assert found["codes"] > 0.8


def test_a_colored_bar_comes_back_with_its_color_and_place(decoder):
    """A blue bar at the lower left: there, the drawn picture is bluest."""
    picture = torch.full((1, 3, 96, 96), 0.5)
    picture[:, :, 60:66, 12:52] = torch.tensor([0.15, 0.25, 0.95])[:, None, None]
    (drawn,) = decoder(decoder.encode(picture))
    blue = drawn[2] - drawn[:2].mean(0)
    inside = blue[58:68, 14:50].mean()
    assert inside > 0.05
    assert inside > 5 * blue.flip(0)[58:68, 14:50].abs().mean()


def test_pictures_are_those_of_its_layers_one_by_one_with_any_number_of_threads(decoder):
    codes = torch.randn(3, *CODE_SHAPE, generator=torch.Generator().manual_seed(1))
    pictures = decoder(codes)
    torch.testing.assert_close(pictures, decoder.layers(codes), rtol=0, atol=1e-6)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(decoder(codes), pictures)


def test_codes_are_standardized_features_within_their_bounds(decoder):
    pictures = held_out_drawings(6, seed=0)[0]
    codes = decoder.encode(pictures)
    found = features(shipped_network(), centered(normalized(pictures)))
    live = decoder.code_std > 0
    again = codes * decoder.code_std + decoder.code_mean
    torch.testing.assert_close(again[:, live], found[:, live], rtol=1e-4, atol=1e-4)
    assert (codes[:, ~live] == 0).all()
    assert (codes >= decoder.code_low).all()
    assert (codes <= decoder.code_high).all()
    assert 0.5 < live.double().mean() < 1  # some units of the network never respond


def test_centered_images_have_mid_gray_as_their_mean():
    images = torch.rand(4, 3, 96, 96) * 0.5 - 0.1
    moved = centered(images)
    torch.testing.assert_close(moved.mean((2, 3)), torch.zeros(4, 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(moved.std((2, 3)), 1.3 * images.std((2, 3)))
    assert centered(torch.linspace(-9, 9, 27648).reshape(1, 3, 96, 96)).abs().max() <= 2


def test_a_file_that_lacks_weights_is_refused(tmp_path):
    tensors = Decoder().state_dict()
    del tensors["code_std"]
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(NetworkError, match="lacks 'code_std', which the decoder needs"):
        trained_decoder(str(tmp_path / "part.safetensors"))


def test_pictures_are_pixels_of_96_by_96(decoder):
    codes = torch.randn(3, *CODE_SHAPE, generator=torch.Generator().manual_seed(0))
    pictures = decoder(codes)
    assert pictures.shape == (3, 3, 96, 96)
    assert 0 <= pictures.min() < pictures.max() <= 1


@pytest.mark.parametrize("side", [1, 9, 20, 29, 54, 69, 85, 95, 96])
def test_the_middle_is_that_of_the_whole_picture(decoder, side):
    codes = torch.randn(3, *CODE_SHAPE, generator=torch.Generator().manual_seed(side))
    with torch.no_grad():
        whole, middle = decoder(codes), decoder(codes, side)
    left_out = (96 - middle.shape[3]) // 2
    kept = slice(left_out, 96 - left_out)
    torch.testing.assert_close(middle, whole[:, :, kept, kept], rtol=0, atol=2e-6)
    assert left_out % 2 == 0
    assert side <= middle.shape[3] <= side + 3
