"""Lists in JSON files, item by item, each with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions import json_items

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=4)


@given(rows=ROWS, indent=st.sampled_from([None, 0, 2]), key=st.sampled_from(["", "items"]))
def test_the_items_are_what_json_says(tmp_path_factory, rows, indent, key):
    """Equal to Python's own reader, however the file is laid out; each line is where the item begins."""
    file = tmp_path_factory.mktemp("json") / "a.json"
    held = {"first": {"items": 1}, "items": rows} if key else rows
    text = json.dumps(held, indent=indent)
    file.write_text(text, encoding="utf-8")
    found = list(json_items.items(file, key))
    assert [item for _, item in found] == rows
    lines = text.splitlines()
    assert all("{" in lines[place.line - 1] for place, _ in found)
    assert json_items.value(file) == held


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("", "", ":1: a JSON list is wanted"),
        ("[{}\n{}]", "", ":2: not JSON: a comma or ] is wanted"),
        ("[{},\n]", "", ":2: not JSON: there is a comma before the end"),
        ('[{"a": 1, "a": 2}]', "", ":1: not JSON: the key 'a' stands there twice"),
        ("[\n{}, {,}]", "", ":2: not JSON"),
        ("[{}]\n[]", "", ":2: there is more behind the JSON list"),
        ('{"a": [1]}', "a", ":1: a JSON object is wanted, not int"),
        ('{"a": 1}', "a", ":1: a JSON list is wanted"),
        ('{"b": []}', "a", "there is no key 'a'"),
        ("[]", "a", ":1: a JSON object is wanted"),
        ('[{"a": NaN}]', "", "not JSON"),
        ("[" * 100_000, "", "nested too deeply"),
    ],
)
def test_what_is_no_list_of_objects_is_told_with_its_line(tmp_path, text, key, said):
    """Two items without a comma, a key twice, more behind the end."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError) as error:
        list(json_items.items(tmp_path / "a.json", key))
    assert said in str(error.value)
