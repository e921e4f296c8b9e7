"""Pages and names of strangers: whatever they are, a use case is read or refused in a sentence, and quickly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_usecases_older import PAGE
from test_usecases_page import FULL
from usecase_folders import ROW, folder, refusal, written

from pytest_llmbench import usecases
from pytest_llmbench.config import confined
from pytest_llmbench.errors import UsageError
from pytest_llmbench.usecases import by_example, pairing
from pytest_llmbench.usecases.duration_rules import limits_in

LINES = [
    *FULL.splitlines(),
    *PAGE.splitlines(),
    "---",
    "```",
    "# Use Case: x",
    "## Goal",
    "\t- a: [",
    "a: &b",
    "\x85",
    "%",
]
PAGES = st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=30).map("\n".join)
NAMES = st.lists(st.sampled_from(["talk", "01", "02", "notes", "Talk", "é", "a"]), min_size=1, max_size=4).map("-".join)


@given(page=PAGES | PAGES.map("---\n{}\n---\n".format) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
@settings(max_examples=150, deadline=None)
def test_any_page_is_read_or_refused_with_its_file(tmp_path_factory, page):
    """Never another error than one that names the page or the data."""
    where = written(
        tmp_path_factory.mktemp("case"), {"USE-CASE.md": page.encode("utf-8", "replace"), "data/a.jsonl": ROW}
    )
    said = outcome(where)
    assert said == "1 sample" or "USE-CASE.md" in said or "a.jsonl" in said


def outcome(where: Path) -> str:
    """How many samples there are, or why there are none."""
    try:
        return f"{len(list(usecases.load(where).samples()))} sample"
    except UsageError as error:
        return str(error)


@given(names=st.sets(NAMES, min_size=1, max_size=4), truths=st.sets(NAMES, min_size=1, max_size=4))
@example(names={"talk-1"}, truths={"talk-10"})
def test_a_pairing_is_complete_or_an_error(names, truths):
    """Each file has one answer, no answer two files, and an exact name is always taken."""
    folder_ = Path("ground-truth")
    files = {name: Path(f"data/{name}.txt") for name in names}
    answers = {folder_ / f"{name}.csv": name for name in truths}
    try:
        pairs = pairing.by_beginning(files, answers, folder_, "csv")
    except UsageError:
        return
    assert pairs.keys() == names
    assert len(set(pairs.values())) == len(names)
    assert all(answers[pairs[name]] == name for name in names & truths)


@given(st.text(max_size=40))
@example("../x")
@example("a/../../x")
@example("/etc/passwd")
@example("~root/x")
@example("\\\\server\\x")
@example("C:\\x")
@example("a\0b")
def test_no_path_leaves_the_folder(text):
    """Whatever is written, what comes back lies below the folder."""
    home = Path(__file__).parent
    try:
        found = confined.inside(home, text)
    except ValueError:
        return
    assert found.resolve().is_relative_to(home.resolve())


@settings(deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=12)
        | st.sampled_from(["a|b", "high|low|etc", "|"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_an_example_keeps_to_the_schema_that_is_made_of_it(value):
    """Less its words between bars, of which a reply gives one."""
    schema = by_example.schema_of(value)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator.check_schema(by_example.of_truths(schema))
    broken = [error for error in Draft202012Validator(schema).iter_errors(value) if error.validator != "enum"]
    assert [error.message for error in broken if not isinstance(error.instance, dict | list)] == []


@pytest.mark.parametrize(
    "text", ["1" * 10_000 + " minutes minimum", "minimum " * 20_000, "< " * 50_000, "2 m " * 30_000]
)
def test_long_rules_are_read_in_a_moment(text):
    """No pattern of ours runs away."""
    assert limits_in(text) is not None


def test_a_page_of_many_headings_and_a_deep_example_are_read(tmp_path):
    """A megabyte of headings is no problem; an example nested a thousand deep is refused."""
    page = PAGE + "## More\n" * 2
    assert "stands there twice" in refusal(written(tmp_path, {"USE-CASE.md": page, "data/a.txt": "x"}))
    deep = PAGE.replace("```csv", "```json").replace("chapter,start,end", "[" * 100_000)
    assert "nested too deeply" in refusal(written(tmp_path, {"USE-CASE.md": deep}))
    many = "".join(f"### Part {number}\n\ntext\n" for number in range(30_000))
    case = usecases.load(folder(tmp_path / "many", "name: a", prose=f"# T\n{many}"))
    assert case.title == "T"
