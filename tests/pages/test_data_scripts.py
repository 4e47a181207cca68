"""What the pages read is plain data that cannot end its script."""

import json

import numpy as np
import pytest

from pipeline.pages.data_scripts import data_script, folder_name, plain

UGLY = "</script><!-- & \u2028 \u2029 \"'`${x} ä"


def test_values_come_back_and_no_mark_of_markup_is_written():
    script = data_script(UGLY, {"name": UGLY, "values": [1, None, -0.5, True]})
    assert not set("<>&\u2028\u2029") & set(script)
    key, value = json.loads("[" + script.removeprefix("artiphys.put(").removesuffix(");\n") + "]")
    assert (key, value) == (UGLY, {"name": UGLY, "values": [1, None, -0.5, True]})


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("key", float("nan"))


def test_numbers_become_python_numbers_and_missing_ones_none():
    found = plain({1: np.array([1.0, np.nan]), "b": (np.int64(2), np.bool_(True), np.inf)})
    assert found == {"1": [1.0, None], "b": [2, True, None]}
    assert plain(1 / 3) == 0.333333
    assert json.dumps(found)


@pytest.mark.parametrize("name", ["features.0", "a/b", "../up", "a b%2e", "<b>", "ä'()*"])
def test_a_folder_is_one_folder_whatever_the_layer_is_called(name: str):
    folder = folder_name(name)
    assert not set(folder) & set("/\\<>'()* ")
    assert folder_name(folder) != folder or folder == name  # no two names share one
