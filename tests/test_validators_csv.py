"""The validator `csv`: a table is held against the expected one, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.declared import declared
from pytest_llmbench.validators.material import Material

TRUTH = "name,start,cost\nIntro,00:00,1\nEnd,05:00,2.5\n"


def score(reply: str, argument=None, expected: object = TRUTH):
    """What the validator says."""
    spec = "csv" if argument is None else {"csv": argument}
    return declared(spec, lambda path, message: ConfigError(f"{path}: {message}")).score(
        Material(reply_text=reply, expected=expected)
    )


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (TRUTH, 1.0),
        (f"```csv\n{TRUTH}```", 1.0),
        ("cost,name,start\n1,intro,00:00\n2.50,END,05:00", 1.0),
        (TRUTH.replace("05:00", "06:00"), 5 / 6),
        ("name,start,cost\nIntro,00:00,1\n", 3 / 6),
        (TRUTH + "More,07:00,3\n", 6 / 9),
        ("name,start\nIntro,00:00\n", 0.0),
        ("name,start,cost\nIntro,00:00\n", 0.0),
        ("I cannot make a table.", 0.0),
        ("", 0.0),
    ],
)
def test_the_value_is_the_share_of_cells_that_are_right(reply, value):
    """Heads may stand in any order; rows too many and too few count; what is no such table has none."""
    assert score(reply).value == pytest.approx(value)


def test_rows_are_paired_by_a_key_where_one_is_named():
    """Then their order says nothing; a row that is missing costs its cells only."""
    turned = "name,start,cost\nEnd,05:00,2.5\nIntro,00:00,1\n"
    assert score(turned).value < 0.5
    assert score(turned, {"key": "name"}).value == 1.0
    assert score("name,start,cost\nEnd,05:00,2.5\n", {"key": "name"}).value == 0.5


def test_numbers_may_lie_apart_as_far_as_is_said():
    """And only as far."""
    assert score(TRUTH.replace("2.5", "2.51"), {"tolerance": 0.02}).value == 1.0
    assert score(TRUTH.replace("2.5", "2.6"), {"tolerance": 0.02}).value == pytest.approx(5 / 6)


def test_columns_may_be_chosen():
    """What is not named is not compared."""
    assert score("name,start\nIntro,00:00\nEnd,05:00\n", {"columns": ["name", "start"]}).value == 1.0


def test_a_list_of_objects_is_a_table():
    """An expected answer from JSON."""
    assert score("a,b\n1,x\n", expected=[{"a": 1, "b": "x"}]).value == 1.0


def test_an_expected_answer_that_is_no_such_table_is_a_defect():
    """Found by the lint: no table, a column that is not there, a key that tells nothing apart."""
    scorer = declared(
        {"csv": {"key": "name", "columns": ["day"]}}, lambda path, message: ConfigError(f"{path}: {message}")
    )
    assert scorer.defects(Material(expected=5)) == ["the expected answer is no table: CSV, or a list of objects"]
    assert scorer.defects(Material(expected="name,x\na,1\na,2\n")) == [
        "the expected table has no column 'day'",
        "the column 'name' does not tell the rows of the expected table apart",
    ]
    assert scorer.defects(Material()) == ["the sample has no expected answer"]


@given(st.text(max_size=300))
def test_no_reply_is_an_error(reply):
    """Whatever a model says, it has a score from 0 to 1."""
    found = score(reply)
    assert found.state == "scored"
    assert 0 <= found.value <= 1


def test_a_huge_reply_is_no_table():
    """It is refused by its size, not compared for minutes."""
    assert score("a\n" * 200_000, expected="a\n1\n").reason == "the reply has more than 100,000 cells"
