"""Several image sets as one, subsets, and the columns that they carry into tables."""

from __future__ import annotations

from functools import partial

import pandas as pd
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.images.columns import with_image_columns
from pipeline.images.files import Loaded, digest_list
from pipeline.images.image_sets import ImageSet
from pipeline.images.photographs import photographs
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.several import joined, several

SMALL = Preprocessing(None, 4, (0.5,), (0.5,))


def numbered(names: str, size: int = 4, like: str | None = None, **columns) -> ImageSet:
    """Return images whose first pixel is the code of their name."""
    images = [torch.full((1, size, size), float(ord(name))) for name in names]
    settings = {"kind": "own", "images": digest_list([*names], [])}
    return ImageSet(
        [*names],
        (size, size),
        settings,
        lambda index: Loaded(images[index], ord(names[index])),
        lambda index: ord(names[index]),
        like,
        columns=columns,
    )


def test_several_sets_are_one_after_the_other_with_their_columns():
    whole = joined(
        {
            "x": numbered("ab", n=[1, 2], c=["u", None]),
            "y": numbered("c", n=[3], d=[True]),
            "z": numbered("de", c=[1, 2]),
        },
        SMALL,
    )
    assert list(whole.names) == ["x/a", "x/b", "y/c", "z/d", "z/e"]
    assert [chr(int(whole.read(n)[0, 0, 0])) for n in range(5)] == [*"abcde"]
    assert [whole.digest(n) for n in range(5)] == [*map(ord, "abcde")]
    assert whole.columns == {
        "set": ["x", "x", "y", "z", "z"],
        "n": [1, 2, 3, None, None],
        "c": ["u", None, None, "1", "2"],  # a column has one type
        "d": [None, None, True, None, None],
    }


def test_several_sets_are_known_by_all_of_them():
    def identity(**sets: ImageSet) -> object:
        found = joined(sets, SMALL)
        return found.settings["sets"], found.settings["images"], found.like

    first = identity(x=numbered("ab", like="1"), y=numbered("c"))
    assert identity(x=numbered("ab", like="1"), y=numbered("c")) == first
    others = [
        identity(y=numbered("c"), x=numbered("ab", like="1")),
        identity(x=numbered("ab", like="1"), z=numbered("c")),
        identity(x=numbered("ab", like="1"), y=numbered("d")),
        identity(x=numbered("ab", like="2"), y=numbered("c")),
        identity(x=numbered("a", like="1"), y=numbered("bc")),
    ]
    assert first not in others
    assert identity(x=numbered("a"))[2] is None  # contents that cannot change are not compared


@pytest.mark.parametrize("like", [None, "1"])
def test_a_subset_has_the_images_at_its_indices(like: str | None):
    whole = numbered("abcd", like=like, n=[1, 2, 3, 4])
    assert whole.subset(range(4)) is whole
    some = whole.subset([3, 1])
    assert (list(some.names), some.columns) == (["d", "b"], {"n": [4, 2]})
    assert chr(int(some.read(0)[0, 0, 0])) == "d"
    assert some.digest(1) == ord("b")
    known = [(each.settings["images"], each.like) for each in (whole, some, whole.subset([1, 3]))]
    assert len(set(known)) == 3


def test_a_random_choice_is_the_same_for_the_same_seed_and_grows_with_the_limit():
    few, more, other = (
        set(photographs(Preprocessing(None, 96, (0.5,) * 3, (0.5,) * 3), limit=n, seed=seed).names)
        for n, seed in ((5, 0), (9, 0), (9, 1))
    )
    assert few < more != other


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ({}, "images.sets: there is no set; add one, as in +images@images.sets.natural=folder"),
        ({"x": {"root": "/"}}, "images.sets.x: is no image set; choose one, as in"),
        (
            {"x": lambda _: numbered("a"), "y": lambda _: numbered("b", 5)},
            "images.sets: the images of x are 4 x 4 pixels, and those of y 5 x 5; give both one",
        ),
        (
            {"x": lambda _: numbered("a", set=[1])},
            "images.sets.x: has a column 'set' already, which is added to several sets; give it",
        ),
        (
            {"x": partial(photographs, limit=0)},
            "images.sets.x.limit: 0 leaves no image; use null or a positive number",
        ),
    ],
)
def test_sets_that_do_not_go_together_are_refused(sets, sentence: str):
    with pytest.raises(ConfigError) as caught:
        several(Preprocessing(None, 96, (0.5,) * 3, (0.5,) * 3), sets=sets)
    assert str(caught.value).startswith(sentence)


def test_columns_follow_the_image_in_any_table_and_keep_their_types():
    images = numbered("abc", n=[1, None, 3], b=[True, None, False], t=["=u", None, ""], x=[0.5] * 3)
    table = pd.DataFrame({"unit": [0, 1, 1], "image": ["c", "a", "b"], "n": [7, 8, 9]}, [5, 6, 7])
    found = with_image_columns(table, images)
    assert list(found.columns) == ["unit", "image", "n", "image_n", "image_b", "image_t", "image_x"]
    assert found["n"].tolist() == [7, 8, 9]
    assert found["image_n"].tolist() == [3, 1, pd.NA]
    assert found["image_b"].tolist() == [False, True, pd.NA]
    assert found["image_t"].fillna("missing").tolist() == ["", "=u", "missing"]
    assert str(found.dtypes["image_n"]) == "Int64"
    assert list(with_image_columns(table.iloc[:0], images).columns) == list(found.columns)
    assert with_image_columns(table.drop(columns="image"), images) is not None
    assert list(with_image_columns(table[["unit"]], images).columns) == ["unit"]


def test_columns_that_clash_or_do_not_fit_are_refused():
    table = pd.DataFrame({"image": ["a"], "image_n": [0]})
    with pytest.raises(ConfigError) as caught:
        with_image_columns(table, numbered("ab", n=[1, 2]))
    assert str(caught.value) == (
        "images: a column 'n' of the images would be 'image_n' in a table that has such a column;"
        " give it another name"
    )
    with pytest.raises(ConfigError, match=r"^images: two images are named 'a'; give each a name"):
        with_image_columns(table, numbered("aa", m=[1, 2]))
    with pytest.raises(ConfigError, match=r"^images: the column 'n' has 1 values for 2 images; gi"):
        numbered("ab", n=[1])
