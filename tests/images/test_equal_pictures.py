"""Equal pictures give equal tables, whatever kind of image set they come from."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch.utils.data import Dataset

import pipeline
from pipeline.images.dataset import dataset_images
from pipeline.images.huggingface import huggingface
from pipeline.images.image_sets import ImageSet, folder
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.webdataset import webdataset
from tests.images.tars import write_tar

NETWORK = pipeline.network("miniature")


class Pictures(Dataset):
    """PIL pictures of a folder, decoded as by torchvision, or as arrays."""

    def __init__(self, root: Path, pixels: bool = False) -> None:
        self.paths, self.pixels = sorted(root.iterdir()), pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[object, int]:
        with Image.open(self.paths[index]) as stored:
            picture = stored.convert("RGB")
        return np.array(picture) if self.pixels else picture, index


def of_webdataset(preprocessing: Preprocessing, root: Path, work: Path) -> ImageSet:
    files = sorted(root.iterdir())
    for number, part in enumerate((files[:3], files[3:])):
        write_tar(work / f"{number}.tar", {path.name: path.read_bytes() for path in part})
    return webdataset(preprocessing, shards=str(work / "*.tar"), cache=str(work))


def of_hugging_face(preprocessing: Preprocessing, root: Path, work: Path) -> ImageSet:
    datasets = pytest.importorskip("datasets")
    rows = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(root.iterdir())]
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": rows}, features=features).save_to_disk(str(work / "saved"))
    return huggingface(preprocessing, path=str(work / "saved"))


def of_dataset(preprocessing: Preprocessing, root: Path, _work: Path) -> ImageSet:
    return dataset_images(Pictures(root), preprocessing)


def of_pixels(preprocessing: Preprocessing, root: Path, _work: Path) -> ImageSet:
    return dataset_images(Pictures(root, pixels=True), preprocessing)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of several kinds: colors, gray, a palette, opacity, CMYK."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number, mode in enumerate(("RGB", "RGB", "L", "P", "RGBA", "CMYK")):
        pixels = random.integers(0, 255, (9, 11, 3), np.uint8)
        small = Image.fromarray(pixels).resize((220, 150), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        small.convert(mode).save(file, "JPEG" if mode in ("RGB", "CMYK") else "PNG")
        ending = "jpg" if mode in ("RGB", "CMYK") else "png"
        (root / f"{number}.{ending}").write_bytes(file.getvalue())
    return root


@pytest.fixture(scope="module")
def expected(pictures: Path) -> pd.DataFrame:
    return table(folder(NETWORK.preprocessing, root=str(pictures)))


def table(images: ImageSet) -> pd.DataFrame:
    found = pipeline.top_patches(NETWORK, images, ["conv2"], keep=2, units="0:8").table
    number = [list(images.names).index(name) for name in found["image"]]
    own = [name for name in found if not name.startswith("image")]
    return found[own].assign(number=number)


@pytest.mark.parametrize("made", [of_webdataset, of_hugging_face, of_dataset, of_pixels])
def test_equal_pictures_give_equal_tables(
    pictures: Path, tmp_path: Path, expected: pd.DataFrame, made: Callable[..., ImageSet]
):
    pd.testing.assert_frame_equal(
        table(made(NETWORK.preprocessing, pictures, tmp_path)), expected, check_exact=True
    )


def test_a_search_takes_a_dataset_itself(pictures: Path, expected: pd.DataFrame):
    found = pipeline.top_patches(NETWORK, Pictures(pictures), ["conv2"], keep=2, units="0:8").table
    assert found["response"].tolist() == expected["response"].tolist()
