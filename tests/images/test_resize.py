"""Pictures at another size, against torchvision to the last bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from pipeline.images.resize import center_crop, resize, with_short_side

sides = st.integers(2, 90)


def drawn(height, width, dtype, planes):
    """Return a picture whose colors lie side by side, as files have them, or in planes."""
    generator = torch.Generator().manual_seed(height * 100 + width)
    picture = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
    picture = picture.to(dtype).permute(2, 0, 1)
    return picture.contiguous() if planes else picture


@pytest.mark.parametrize("processor", [None, "DEFAULT"], ids=["this", "plain"])
@given(
    size=st.tuples(sides, sides),
    other=st.tuples(sides, sides),
    interpolation=st.sampled_from(["bilinear", "bicubic", "nearest"]),
    dtype=st.sampled_from([torch.uint8, torch.uint8, torch.float32, torch.int16, torch.bfloat16]),
    planes=st.booleans(),
)
def test_every_bit_is_torchvisions(processor, size, other, interpolation, dtype, planes):
    picture = drawn(*size, dtype, planes)
    with pytest.MonkeyPatch.context() as patch:
        if processor:  # as on one whose bytes are resized as numbers
            patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
        found = resize(picture, other, interpolation)
        mode = InterpolationMode(interpolation)
        expected = torchvision.resize(picture, [*other], mode, antialias=True)
    assert found.dtype == expected.dtype
    assert found.stride() == expected.stride()
    assert torch.equal(found, expected)


@pytest.mark.parametrize("size", [(1200, 1600), (480, 640), (333, 500), (40, 2000)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_short_side_of_a_photograph_is_torchvisions(size, interpolation):
    picture, mode = drawn(*size, torch.uint8, False), InterpolationMode(interpolation)
    for length in (32, 256, 701):
        for turned in (picture, picture.transpose(1, 2)):
            wanted = with_short_side((turned.shape[1], turned.shape[2]), length)
            found = resize(turned, wanted, interpolation)
            assert torch.equal(found, torchvision.resize(turned, [length], mode, antialias=True))


def test_a_picture_of_the_size_is_returned_itself():
    picture = drawn(7, 9, torch.uint8, False)
    assert resize(picture, (7, 9)) is picture


@given(sides, sides, st.integers(1, 90), st.integers(1, 90))
def test_the_middle_is_torchvisions(height, width, rows, columns):
    picture = drawn(height, width, torch.uint8, True)
    rows, columns = min(rows, height), min(columns, width)
    expected = torchvision.center_crop(picture, [rows, columns])
    assert torch.equal(center_crop(picture, (rows, columns)), expected)


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="'cubic' is not a valid InterpolationMode"):
        resize(drawn(7, 9, torch.uint8, True), (3, 3), "cubic")
