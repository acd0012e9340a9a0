"""Files are whole, and JSON says what is not finite as null."""

import json
import math

import numpy as np
import pytest

from scalinglaws import files


def test_every_kind_of_value_becomes_json():
    value = {
        "scalars": [np.int64(2), np.float32(0.5), np.bool_(True), True, None, "é", math.nan, np.float64(math.inf)],
        "arrays": {"two": np.array([[1.0, np.nan], [2.0, np.inf]]), "whole": np.arange(2), "none": np.array(3.0)},
        3: (1, [np.str_("a")]),
    }
    scalars = [2, 0.5, True, True, None, "é", None, None]
    arrays = {"two": [[1.0, None], [2.0, None]], "whole": [0, 1], "none": 3.0}
    found = files.dumps(value)
    assert json.loads(found, parse_constant=pytest.fail) == {"scalars": scalars, "arrays": arrays, "3": [1, ["a"]]}
    assert [type(x) for x in files.plain(value)["scalars"][:4]] == [int, float, bool, bool]
    assert json.loads(files.dumps({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2
    assert files.dumps({"b": 1, "a": 2}, sort_keys=True) == '{"a": 2, "b": 1}'


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path))
    assert files.cache_folder("datasets") == tmp_path / "datasets"
    monkeypatch.setenv("SCALINGLAWS_CACHE", "")
    assert files.cache_folder("datasets").parent == files.pooch.os_cache("scalinglaws")


def test_text_is_the_same_bytes_everywhere(tmp_path):
    files.write_text(tmp_path / "new" / "a.txt", "é\nb\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\nb\n".encode()
