"""Image sets in tars: what is listed, what is read, and what is said of damaged tars."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images import shard_downloads
from pipeline.images.image_sets import folder
from pipeline.images.shards import shard_files
from pipeline.images.webdataset import webdataset
from pipeline.run.repeats import known_by_files
from tests.images.tars import PREPROCESSING, picture, write_tar


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "artiphys" / "shards"


def listed(shards: object, **options: object):
    return webdataset(PREPROCESSING, shards=shards, **options)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two tars: of five pictures with labels, one of them damaged, and of two without."""
    files: dict[str, bytes] = {}
    for n in range(5):
        files[f"./train/{n}.JPG"] = picture(n)[: -200 if n == 3 else None]
        files[f"./train/{n}.cls"] = f"{n % 2}\n".encode()
        files[f"./train/{n}.txt"] = f" caption {n}".encode()
    files["train/1.json"] = json.dumps({"width": 2.5, "cls": 7, "boxes": [1]}).encode()
    files["train/._1.jpg"] = b"of macOS"
    write_tar(tmp_path / "set-08.tar", files)
    write_tar(tmp_path / "set-9.tar", {"b.png": picture(9, "PNG"), "a.png": picture(8, "PNG")})
    return tmp_path


def test_samples_are_named_and_carry_what_stands_beside_them(two: Path):
    found = listed(f"{two}/set-*.tar")
    train = [f"set-08/train/{n}" for n in range(5)]
    assert list(found.names) == [*train, "set-9/b", "set-9/a"]
    assert found.columns == {
        "cls": [0, 1, 0, 1, 0, None, None],
        "txt": [*(f"caption {n}" for n in range(5)), None, None],
        "width": [None, 2.5, *[None] * 5],
        "json.cls": [None, 7, *[None] * 5],
    }


def test_pictures_are_those_of_a_folder_by_any_number_of_threads(two: Path):
    found = listed([f"{two}/set-08.tar", f"{two}/set-9.tar"])
    files = two / "files"
    files.mkdir()
    seeds = [0, 1, 2, 4, 9, 8]
    for at, seed in enumerate(seeds):
        content = picture(seed, "PNG" if seed > 5 else "JPEG")
        (files / f"{at}.{'png' if seed > 5 else 'jpg'}").write_bytes(content)
    expected = folder(PREPROCESSING, root=str(files))
    good = [0, 1, 2, 4, 5, 6]
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(found.load, good * 20))
    for at, loaded in enumerate(many):
        image, digest = expected.load(at % 6)
        assert torch.equal(loaded.image, image)
        assert loaded.digest == digest == found.digest(good[at % 6])
    with pytest.raises(ImageError, match=r"^images: 'set-08/train/3' cannot be decoded"):
        found.read(3)


def test_limit_seed_braces_and_kept_indices(two: Path, own_cache: Path):
    pytest.importorskip("braceexpand")
    (two / "set-9.tar").rename(two / "set-09.tar")
    whole = listed(f"{two}/set-{{08..09}}.tar")
    assert len(list((own_cache / "indices").iterdir())) == 2
    kept = next((own_cache / "indices").iterdir())
    kept.write_bytes(kept.read_bytes()[:-1])  # a damaged index is made again
    again = listed(f"{two}/set-*.tar")
    assert (again.names, again.columns, again.settings) == (
        whole.names,
        whole.columns,
        whole.settings,
    )
    some = listed(f"{two}/set-*.tar", limit=3, seed=1)
    indices = [whole.names.index(name) for name in some.names]
    assert indices == sorted(indices)
    assert some.columns["cls"] == [whole.columns["cls"][index] for index in indices]
    assert torch.equal(some.load(2).image, whole.load(indices[2]).image)
    # The first images need no second tar, which may even be empty.
    (two / "set-09.tar").write_bytes(b"")
    assert listed(f"{two}/set-*.tar", limit=5).names == whole.names[:5]


def test_a_changed_picture_misses_and_a_copied_tar_is_compared_by_contents(two: Path):
    path = two / "set-9.tar"
    first = listed(str(path))
    content = bytearray(path.read_bytes())
    content[first.load.__self__.offsets[0] + 60] ^= 1
    (two / "copy").mkdir()
    copied = two / "copy" / "set-9.tar"
    copied.write_bytes(path.read_bytes())
    same = listed(str(copied))
    assert same.like == first.like
    assert same.settings != first.settings  # other stamps, so contents are compared
    assert [same.digest(n) for n in range(2)] == [first.digest(n) for n in range(2)]
    path.write_bytes(content)
    with pytest.raises(TransientError) as caught:
        first.read(0)
    assert str(caught.value) == (
        f"images: 'set-9/b' cannot be read, as '{path}' has changed since its files were listed;"
        " repeat the command, which lists them again"
    )
    changed = listed(str(path))
    assert changed.settings != first.settings
    assert changed.digest(0) != same.digest(0)
    path.unlink()
    with pytest.raises(TransientError, match="cannot be read now"):
        changed.read(0)


def test_one_of_several_pictures_of_a_sample_is_chosen(tmp_path: Path):
    files = {"0.left.jpg": picture(0), "0.right.jpg": picture(1), "1.left.jpg": picture(2)}
    path = write_tar(tmp_path / "a.tar", files)
    with pytest.raises(ConfigError) as caught:
        listed(str(path))
    assert str(caught.value) == (
        f"images.shards: the sample '0' of '{path}' has the pictures left.jpg, right.jpg; choose"
        " one, as in images.picture=left.jpg (a sample is all files with the same name up to the"
        " first dot)"
    )
    assert listed(str(path), picture="left.jpg").names == ["a/0", "a/1"]
    assert listed(str(path), picture="right.jpg").names == ["a/0"]


def test_hard_links_are_files_and_other_members_are_none(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("0.jpg")
        info.size = len(picture(0))
        tar.addfile(info, io.BytesIO(picture(0)))
        for name, kind in (("1.jpg", tarfile.LNKTYPE), ("2.jpg", tarfile.SYMTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "0.jpg"
            tar.addfile(link)
    found = listed(str(tmp_path / "a.tar"))
    assert found.names == ["a/0", "a/1"]
    assert found.digest(1) == found.digest(0)


def damaged(path: Path, kind: str) -> str:
    """Write a damaged tar, and return what is said of it after its path."""
    whole = write_tar(path, {"0.jpg": picture(0), "1.jpg": picture(1)}).read_bytes()
    header = whole.index(b"1.jpg")
    cut = "ends before its end mark, so files may be missing; copy it again"
    more = (
        f"holds more after byte {header}, where its files end: it is damaged, or several tars were"
        " joined as they are; copy it again, or give them one by one"
    )
    contents = {
        "in a picture": (whole[: header + 700], cut),
        "in a header": (whole[: header + 100], cut),
        "between files": (whole[:header], cut),
        "in the first": (whole[:600], cut),
        "header": (whole[:header] + b"x" + whole[header + 1 :], more),
        "joined": (whole + whole, "holds more after byte"),
        "packed": (
            gzip.compress(whole),
            "is compressed (gzip), so its pictures cannot be read one by one; decompress it once"
            " and give the .tar",
        ),
        "twice": (None, "holds '0.jpg' twice; write the tar anew, with each file once"),
        "name": (None, r"holds 'a\nb.jpg', a name that cannot be stored; rename it"),
        "text": (b"no tar at all" * 100, "cannot be read as a tar (invalid header)"),
        "empty": (b"", "cannot be read as a tar (empty file)"),
    }
    content, said = contents[kind]
    if kind == "name":
        write_tar(path, {"a\nb.jpg": picture(0)})
    elif kind == "twice":
        with tarfile.open(path, "w") as tar:
            for _ in range(2):
                tar.addfile(tarfile.TarInfo("0.jpg"))
    else:
        path.write_bytes(content or b"")
    return said


@pytest.mark.parametrize(
    "kind",
    [
        *("in a picture", "in a header", "between files", "in the first", "header", "joined"),
        *("packed", "twice", "name", "text", "empty"),
    ],
)
def test_damaged_tars_are_refused_with_the_reason(tmp_path: Path, kind: str):
    path = tmp_path / "a.tar"
    said = damaged(path, kind)
    with pytest.raises(ConfigError) as caught:
        listed(str(path))
    assert str(caught.value).startswith(f"images.shards: '{path}' {said}")


def test_wrong_names_are_refused(two: Path):
    messages = {
        f"{two}/no.tar": f"there is no file '{two}/no.tar'; give the paths or URLs of tars",
        f"{two}/no-*.tar": f"no file matches '{two}/no-*.tar'; give the paths or URLs of tars",
        str(two): f"'{two}' is a folder; name its tars, as in '{two}/*.tar'",
        f"{two}/set-{{1..2.tar": f"'{two}/set-{{1..2.tar' has a brace that is not closed",
    }
    for shards, message in messages.items():
        with pytest.raises(ConfigError) as caught:
            listed(shards)
        assert str(caught.value) == f"images.shards: {message}"
    with pytest.raises(ConfigError, match=r"set-9\.tar' is given twice; give each tar once"):
        listed([f"{two}/set-9.tar", f"{two}/set-*.tar"])
    with pytest.raises(ConfigError) as caught:
        listed(write_tar(two / "n.tar", {"0.txt": b"x", "1.gif": b"x"}).as_posix(), picture="jpg")
    assert str(caught.value) == f"images.shards: '{two}/n.tar' holds no picture ending in jpg"


def test_values_that_cannot_be_read_are_left_out_and_nothing_is_interpreted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    files = {f"{n}.jpg": picture(n) for n in range(3)}
    files |= {"0.cls": b"dog", "1.cls": b"3", "0.json": b"{'a': 1}", "1.json": b"[" * 100_000}
    files |= {"2.json": b'{"a": "=1+1", "b": {"c": 1}}', "0.txt": b"\xff", "0.pyd": b"cos\nsystem"}
    found = listed(write_tar(tmp_path / "a.tar", files).as_posix())
    assert found.columns == {"cls": ["dog", "3", None], "a": [None, None, "=1+1"]}
    assert "3 files of 'a.tar' (json, txt) hold no value that can be read" in caplog.text


def test_repeats_look_at_the_tars_that_a_name_stands_for(two: Path):
    option = {"_target_": "pipeline.images.webdataset.webdataset", "shards": f"{two}/set-*.tar"}
    assert [path.name for path in shard_files({"sets": {"a": option}})] == [
        "set-08.tar",
        "set-9.tar",
    ]
    assert list(shard_files(option | {"shards": "/none-*.tar"})) == []
    assert known_by_files({"sets": {"a": option}})
    assert not known_by_files({"sets": {"a": {"_target_": "pipeline.images.dataset.dataset"}}})


class Response(io.BytesIO):
    """What a server answers."""

    def __init__(self, content: bytes, announced: int | None = None) -> None:
        super().__init__(content)
        length = len(content) if announced is None else announced
        self.headers = {"Content-Length": str(length)}


def test_shards_of_urls_are_downloaded_once_and_whole(
    two: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    content = (two / "set-9.tar").read_bytes()
    answers: list[object] = [
        Response(content[:-5], len(content)),  # the connection is lost
        TimeoutError("timed out"),
        Response(content),
    ]
    asked: list[str] = []

    def urlopen(request: object, timeout: float) -> Response:
        asked.append(request.full_url)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(shard_downloads, "urlopen", urlopen)
    monkeypatch.setattr(shard_downloads, "_WAITS", (0, 0))
    url = "https://host/data/set-9.tar?token=secret"
    found = listed(url)
    assert found.names == ["set-9/b", "set-9/a"]
    assert len(asked) == 3
    other = listed(url.replace("secret", "another"))  # nothing is left to be asked
    assert other.settings == found.settings
    assert [path.name for path in own_cache.rglob("*.tar")] == ["set-9.tar"]
    answers[:] = [Response(content, len(content))] * 2
    with pytest.raises(ConfigError) as caught:
        listed("https://host/data/set-{10..11}.tar?t=1", cache_gigabytes=1.5 * len(content) / 1e9)
    said = str(caught.value)
    assert re.sub("query-[0-9a-f]{8}", "query", said) == (
        "images.shards: 'https://host/data/set-10.tar?query' would make the downloaded tars larger"
        " than the 15 kB that images.cache_gigabytes allows; raise it, lower images.limit, or"
        " remove files from images.cache"
    )
    answers[:] = [OSError(111, "Connection refused")] * 3
    with pytest.raises(ConfigError) as caught:
        listed("https://host/gone.tar")
    assert str(caught.value) == (
        "images.shards: 'https://host/gone.tar' could not be downloaded (Connection refused); check"
        " the address, or download it and give the path of the file"
    )
