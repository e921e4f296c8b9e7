"""What holds for every validator there is: its example works, and no reply makes it raise or takes for ever."""

from __future__ import annotations

import json

import pytest
from hostile_replies import PIECES, SIZE, repeated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scorers import made

from pytest_llmbench.records import Reply, Score, ToolCall
from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.registry import HOMES, VALIDATORS

CORE = ("plain", "combined", "checked", "regexes", "json_text", "json_fields", "label_set", "tools", "measured", "sql")
NAMES = [name for home in CORE for name in HOMES[home]]
"""Those of the text room have their own hostile texts."""
REPLIES = st.one_of(
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=30).map("".join),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=10,
    ).map(json.dumps),
)
TRUTHS = st.one_of(
    st.none(),
    st.text(max_size=10),
    st.integers(),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=4), max_size=3),
)
NASTY = (
    "<think>",
    "`",
    "```\n",
    "``` a\n",
    "[",
    '{"a":',
    '{"a":[',
    '"',
    "1,",
    "/a",
    "'",
    "select (",
    "-- ",
    "- a\n",
    ",;",
    "\ud800\u0300",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the files that examples name."""
    path = tmp_path_factory.mktemp("usecase")
    (path / "tables.sql").write_text("create table item(id integer primary key, name text)")
    (path / "tests.py").write_text("assert True")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_one(folder, name):
    """What the reference shows can be declared as it stands."""
    validator = VALIDATORS[name]
    found = made({name: validator.example}, folder)
    assert found.kind is validator
    assert validator.about
    assert not validator.opposite or validator.opposite in VALIDATORS


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=REPLIES, expected=TRUTHS)
def test_any_reply_gets_a_score_that_can_be_stored(folder, name, reply, expected):
    """Twice the same, from 0 to 1, as JSON, whatever the reply and the expected answer are."""
    declared = made({name: VALIDATORS[name].example}, folder)
    whole = Reply(reply, "m", tool_calls=(ToolCall("1", reply, reply),), finish_reason=reply)
    material = Material(
        reply_text=reply, reply=whole, expected=expected, metadata={"match": [reply], "options": expected}
    )
    found = declared.score(material)
    assert found == declared.score(material)
    assert Score.from_dict(json.loads(json.dumps(found.as_dict()))) == Score.from_dict(found.as_dict())
    assert found.state != "error" or found.reason
    assert (found.value is not None and 0 <= found.value <= 1) is (found.state == "scored")
    assert all(isinstance(text, str) and text for text in declared.defects(material))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*HOMES["checked"], *HOMES["measured"])])
def test_a_megabyte_of_anything_gets_a_score(folder, name):
    """In time that goes with its length: its square would run into this test's limit. (Checks: their own test.)"""
    declared = made({name: VALIDATORS[name].example}, folder)
    truth = {"total": 1, "lines": [{"sku": "a"}]} if name.startswith("json") else "select 1"
    for piece in NASTY:
        found = declared.score(Material(reply_text=repeated(piece), expected=truth))
        assert found.state in {"scored", "unscored"}, (piece, found.reason)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("plain", "plain"),
        ("```\na\nb\n```", "a\nb\n"),
        ("first\n```python\na\n```\nthen\n  ```py\nb\n  ```\nend", "b\n"),
        ("use `a` here", "a"),
        ("`a` or `b`", "`a` or `b`"),
        ("```\nnever closed", "```\nnever closed"),
        ("```inline``` only", "```inline``` only"),
        ("```\n```", ""),
        ("```\na\n```python\nb\n```", "a\n```python\nb\n"),
        ("", ""),
    ],
)
def test_code_is_found_in_its_fence(answer, code):
    """The last one that was closed."""
    assert code_of(answer) == code
    assert len(code_of("``` a\n" * (SIZE // 6))) > 0
