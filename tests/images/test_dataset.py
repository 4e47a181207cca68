"""Image sets from torch Datasets: what items may be, and that they must stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images.batches import load_batch
from pipeline.images.dataset import dataset, dataset_images
from tests.images.tars import PREPROCESSING

PIXELS = np.random.default_rng(0).integers(0, 255, (4, 12, 16, 3), np.uint8)
PICTURE = [PREPROCESSING(torch.from_numpy(each).permute(2, 0, 1)) for each in PIXELS]
HERE = __name__


class Items(Dataset):
    """Items given as a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        if isinstance(item := self.items[index], Exception):
            raise item
        return item() if callable(item) else item


def pictures(count: int = 4) -> Items:
    return Items([(Image.fromarray(each), n) for n, each in enumerate(PIXELS[:count])])


def random_pictures() -> Items:
    return Items([lambda: torch.rand(3, 8, 8)] * 2)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([1])


def first(of: Any, **options: Any) -> Tensor:
    return dataset_images(Items([of]), PREPROCESSING, **options).read(0)


def tensor(n: int = 0) -> Tensor:
    return torch.from_numpy(PIXELS[n]).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("item", "options"),
    [
        (Image.fromarray(PIXELS[0]), {}),
        (PIXELS[0], {}),
        (PIXELS[0][:, ::-1][:, ::-1], {}),
        (tensor(), {}),
        (tensor() / 255, {"values": "pixels"}),
        ((tensor() / 255).half().float().mul(255).round().div(255), {"values": "pixels"}),
        ((PIXELS[0] / 255), {"values": "pixels"}),
        (PICTURE[0], {"values": "input"}),
        (PICTURE[0].double().numpy(), {"values": "input"}),
        ((3, tensor(), "a"), {"item": 1}),
        ({"image": tensor(), "kind": "a"}, {}),
        ({"left": tensor()}, {"item": "left"}),
    ],
)
def test_every_form_of_a_picture_gives_the_same_input(item: Any, options: dict[str, Any]):
    torch.testing.assert_close(first(item, **options), PICTURE[0], rtol=0, atol=1e-7)


def test_gray_becomes_colors_and_bytes_do_so_exactly():
    gray = PIXELS[0][..., :1]
    expected = PREPROCESSING(torch.from_numpy(np.repeat(gray, 3, axis=2)).permute(2, 0, 1))
    for item in (gray, gray[..., 0], torch.from_numpy(gray[..., 0])[None]):
        assert torch.equal(first(item), expected)


@pytest.mark.parametrize(
    ("item", "options", "reason"),
    [
        (np.zeros((3, 9, 3), np.uint8), {}, "is 3 x 9 x 3, where channels may be first or last"),
        (np.zeros((5, 9, 4), np.uint8), {}, "is 5 x 9 x 4, which has no axis of 1 or 3 channels"),
        (torch.zeros(3, 9, 9, dtype=torch.int64), {}, "is int64, and neither bytes"),
        ("a.jpg", {}, "is of type str, and no picture, array or tensor"),
        (torch.full((3, 9, 9), 0.3), {"values": "pixels"}, "has pixels that are no bytes divided"),
        (
            PICTURE[0],
            {"values": "pixels"},
            "has values from -0.576 to 1.72, and",
        ),
        (torch.zeros(1, 9, 9), {"values": "input"}, "has 1 channels, and the network takes 3"),
        (ValueError("no file"), {}, "cannot be read (ValueError: no file)"),
        (FileNotFoundError(2, "No such file"), {}, "cannot be read (No such file)"),
    ],
)
def test_other_items_are_set_aside_with_the_reason(item: Any, options: Any, reason: str):
    with pytest.raises(ImageError) as caught:
        first(item, **options)
    assert str(caught.value).startswith(f"images: '0' {reason}")


def test_transient_faults_end_the_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.images.files._WAITS", ())
    for fault in (MemoryError(), OSError(5, "Input/output error")):
        with pytest.raises(TransientError):
            dataset_images(Items([fault]), PREPROCESSING)


def test_floats_are_not_guessed_and_must_have_one_size():
    with pytest.raises(ConfigError) as caught:
        first(torch.zeros(3, 9, 9))
    assert str(caught.value) == (
        "images.values: the items are floats; say whether they are network input, which is taken as"
        " it is (images.values=input), or bytes divided by 255, as ToTensor makes them"
        " (images.values=pixels)"
    )
    items = Items([torch.zeros(3, 9, 8), torch.zeros(3, 9, 9)])
    found = dataset_images(items, PREPROCESSING, values="input")
    assert found.size == (9, 8)
    with pytest.raises(ImageError) as caught:
        found.read(1)
    assert str(caught.value) == (
        "images: '1' is network input of 9 x 9 pixels, not 9 x 8 as the others"
    )


def test_labels_and_scalars_are_columns():
    items = Items([(tensor(n), torch.tensor(n), "x") for n in range(3)])
    assert list(dataset_images(items, PREPROCESSING).columns["label"]) == [0, 1, 2]
    named = [{"image": tensor(n), "dog": bool(n), "boxes": [1]} for n in range(2)]
    found = dataset_images(Items([ValueError("x"), *named]), PREPROCESSING)
    assert {name: list(values) for name, values in found.columns.items()} == {
        "dog": [None, False, True]
    }


def test_a_dataset_by_name_is_known_by_contents():
    whole = dataset(PREPROCESSING, target=f"{HERE}.pictures")
    assert whole.like is None
    again = dataset(PREPROCESSING, target=f"{HERE}.pictures", arguments={"count": 4})
    assert again.settings == whole.settings
    fewer = dataset(PREPROCESSING, target=f"{HERE}.pictures", arguments={"count": 3})
    assert fewer.settings != whole.settings
    assert dataset(PREPROCESSING, target=f"{HERE}.pictures", limit=3).settings == fewer.settings
    some = dataset(PREPROCESSING, target=f"{HERE}.pictures", limit=2, seed=0)
    indices = [int(name) for name in some.names]
    assert list(some.columns["label"]) == indices
    assert torch.equal(some.read(1), PICTURE[indices[1]])


def test_items_that_change_are_an_error_and_not_set_aside():
    said = (
        f"images: item 0 of {HERE}.random_pictures came out otherwise when it was read again; its"
        " items must be the same every time, so leave out random augmentation, or seed it by the"
        " index"
    )
    with pytest.raises(ConfigError) as caught:
        dataset(PREPROCESSING, target=f"{HERE}.random_pictures", values="input")
    assert str(caught.value) == said
    flaky = iter([tensor(), ValueError("now and then")])

    def now_and_then() -> Any:
        if isinstance(item := next(flaky), Exception):
            raise item
        return item

    found = dataset_images(Items([now_and_then]), PREPROCESSING)
    with pytest.raises(ConfigError, match="item 0 of Items came out otherwise"):
        load_batch(found, [0])


def test_datasets_that_cannot_be_used_are_told():
    no_items = (
        "has no items by index and no length, as images are read in any order and more than once;"
        " give a map-style Dataset, or write the pictures to tars (images=webdataset)"
    )
    messages = {
        "Stream": f"images: {HERE}.Stream {no_items}",
        "Dataset": f"images: {HERE}.Dataset {no_items}",
        "picturs": f"images.target: '{HERE}' has no class or function 'picturs'; nearest: pictures",
        "Items": f"images.target: '{HERE}.Items' cannot be called with the given arguments"
        " (Items.__init__() missing 1 required positional argument: 'items')",
    }
    for name, message in messages.items():
        with pytest.raises(ConfigError) as caught:
            dataset(PREPROCESSING, target=f"{HERE}.{name}")
        assert str(caught.value) == message
    with pytest.raises(ConfigError, match=r"^images: Items has no items$"):
        dataset_images(Items([]), PREPROCESSING)
    with pytest.raises(ConfigError) as caught:
        dataset(PREPROCESSING, target=f"{HERE}.pictures", item="image")
    assert str(caught.value) == (
        "images.item: 'image' is no place in the items, which are tuples of 2; use 0 to 1"
    )
    with pytest.raises(ConfigError) as caught:
        dataset_images(Items([{"img": tensor()}]), PREPROCESSING)
    assert str(caught.value) == (
        "images.item: 'image' is not in the items, which hold img; nearest: img; choose where the"
        " picture stands"
    )
    with pytest.raises(ConfigError, match="'no_such_module' cannot be imported"):
        dataset(PREPROCESSING, target="no_such_module.Data")
