"""Rubrics as people write them: Markdown and YAML mean the same, and each mistake is told with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.judges.choosing import chosen
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.rubric_reading import MAX_BYTES, from_mapping, read, read_file
from pytest_llmbench.judges.shipped import SHIPPED, shipped

MARKDOWN = """\
---
name: counter
pass_at: 0.6
needs: [source]
---
# At the counter

Somebody stands at the counter
and is in a hurry.

## Criteria

- **greeting** (weight 2, must): Greets the customer,
  by name where it is known.
  - 5: warm
    and personal
  - 1: cold
- **answer** (yes-no): The question is answered.

- **slips:** Names what the customer must not hear.

## Scale

- 1: bad
- 3: good
"""
YAML = """\
name: counter
title: At the counter
text: |
  Somebody stands at the counter
  and is in a hurry.
pass_at: 0.6
needs: [source]
scale: {1: bad, 3: good}
criteria:
  - id: greeting
    text: Greets the customer, by name where it is known.
    weight: 2
    must: true
    scale:
      1: cold
      5: warm and personal
  - {id: answer, text: The question is answered., kind: yes-no}
  - {id: slips, text: Names what the customer must not hear.}
"""


def refusal(text: str) -> str:
    """What is said of a rubric that is none."""
    with pytest.raises(ConfigError) as error:
        read(text, "r")
    return str(error.value)


def test_markdown_and_yaml_of_the_same_content_are_the_same_rubric():
    """All parts arrive from both forms, and their hash is one."""
    one, other = read(MARKDOWN, "r.md"), read(YAML, "r.yaml")
    assert one == other
    assert one.hash == other.hash
    greeting, answer, slips = one.criteria
    assert (one.name, one.title, one.pass_at, one.needs) == ("counter", "At the counter", 0.6, {"source"})
    assert one.text == "Somebody stands at the counter\nand is in a hurry."
    assert greeting.text == "Greets the customer, by name where it is known."
    assert (greeting.kind, greeting.weight, greeting.must) == ("grade", 2.0, True)
    assert (greeting.scale, greeting.lowest, greeting.highest) == ({1: "cold", 5: "warm and personal"}, 1, 5)
    assert (answer.kind, dict(answer.scale), answer.weight, answer.must) == ("yes-no", {}, 1.0, False)
    assert (slips.kind, slips.scale) == ("grade", {1: "bad", 3: "good"})


@pytest.mark.parametrize(
    "changed",
    [
        YAML.replace("hurry", "rush"),
        YAML.replace("0.6", "0.7"),
        YAML.replace("[source]", "[expected]"),
        YAML.replace("weight: 2", "weight: 3"),
        YAML.replace("must: true", "must: false"),
        YAML.replace("kind: yes-no", "kind: violations"),
        YAML.replace("5: warm", "4: warm"),
        YAML.replace("id: slips", "id: slip"),
    ],
)
def test_the_hash_follows_what_changes_a_verdict(changed):
    """A calibration of one rubric says nothing of another."""
    assert read(changed, "r").hash != read(YAML, "r").hash


def test_the_hash_is_deaf_to_what_changes_no_verdict():
    """Name, title, line ends, the order of keys and of anchors, and how a line is folded."""
    for same in (
        YAML.replace("name: counter", "name: desk"),
        YAML.replace("At the counter", "Desk"),
        YAML.replace("\n", "\r\n"),
        "\ufeff" + YAML,
        YAML.replace("weight: 2", "weight: 2.0"),
        YAML.replace("      1: cold\n      5: warm and personal\n", "      5: warm and personal\n      1: cold\n"),
        MARKDOWN.replace("customer,\n  by", "customer, by"),
        MARKDOWN.replace("- **", "* **"),
    ):
        assert read(same, "r").hash == read(YAML, "r").hash


def test_a_plain_text_is_one_question():
    """Whoever writes a sentence gets a yes or no on it."""
    rubric = read("Be kind,\nalways.\n", "r", called="kind")
    [only] = rubric.criteria
    assert (rubric.name, only.id, only.text, only.kind) == ("kind", "rubric", "Be kind, always.", "yes-no")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the rubric is empty"),
        ("# A\n\nprose\n", 1, "the rubric has no criteria"),
        ("# A\n\n## Criterias\n\n- **a**: b\n", 1, "the rubric has no criteria; did you mean 'Criteria'?"),
        ("# A\n\n## Criteria\n", 3, "the rubric has no criteria"),
        ("---\nname: a\n---\nprose\n", 2, "the rubric has no criteria"),
        ("name: a\n", 1, "criteria: the rubric has no criteria"),
        ("name: a\ncriteria: []\n", 2, "criteria: the rubric has no criteria"),
        ("name: a\ncriteria: x\n", 2, "criteria: must be a list"),
        ("criteria:\n- {text: a}\n", 2, "criteria[0].id: is missing"),
        ("criteria:\n- {id: a}\n", 2, "criteria[0].text: is missing"),
        ("criteria:\n- {id: a, text: ' '}\n", 2, "criteria[0].text: must not be empty"),
        ("criteria:\n- {id: A b, text: x}\n", 2, "criteria[0].id: 'A b' is no id"),
        ("criteria:\n- {id: a, text: x}\n- {id: a, text: y}\n", 3, "criteria[1].id: 'a' is the id of an earlier"),
        ("criteria:\n- {id: a, txt: x}\n", 2, "criteria[0].txt: unknown key; did you mean 'text'?"),
        ("criteria: []\npas_at: 1\n", 2, "pas_at: unknown key; did you mean 'pass_at'?"),
        ("criteria:\n- {id: a, text: x, kind: grad}\n", 2, "kind: 'grad' is not allowed (allowed: 'grade', 'yes-no'"),
        ("criteria:\n- {id: a, text: x, kind: grade}\n", 2, "'a' is a grade without anchors"),
        ("criteria:\n- {id: a, text: x, scale: 1-5}\n", 2, "needs anchors"),
        ("criteria:\n- {id: a, text: x, scale: [1, 5]}\n", 2, "needs anchors"),
        ("criteria:\n- {id: a, text: x, scale: {5: good}}\n", 2, "has one anchor"),
        ("criteria:\n- {id: a, text: x, scale: {1: bad, 5: }}\n", 2, "the grade 5 has no anchor"),
        ("criteria:\n- {id: a, text: x, scale: {1: bad, 01: worse}}\n", 2, "the grade 1 stands there twice"),
        ("criteria:\n- {id: a, text: x, scale: {low: bad, high: x}}\n", 2, "'low' is no grade"),
        ("criteria:\n- {id: a, text: x, scale: {1: bad, 500: x}}\n", 2, "'500' is no grade"),
        ("criteria:\n- {id: a, text: x, kind: yes-no, scale: {0: n, 1: y}}\n", 2, "a scale is for a grade, not for"),
        ("criteria:\n- {id: a, text: x, weight: 0}\n", 2, "weight: must be a number above 0"),
        ("criteria:\n- {id: a, text: x, weight: -1}\n", 2, "weight: must be a number above 0"),
        ("criteria:\n- {id: a, text: x, weight: .nan}\n", 2, "weight: must be a number above 0"),
        ("criteria:\n- {id: a, text: x, weight: true}\n", 2, "weight: must be a number above 0"),
        ("criteria:\n- {id: a, text: x, weight: much}\n", 2, "weight: 'much' is no weight"),
        ("criteria:\n- {id: a, text: x, weight: 0 %}\n", 2, "weight: must be a number above 0"),
        ("criteria:\n- {id: a, text: x, weight: 60 %}\n- {id: b, text: x, weight: 50%}\n", 1, "sum to 110 %, not to"),
        ("criteria:\n- {id: a, text: x, weight: 60 %}\n- {id: b, text: x}\n", 3, "'b' has no percentage and others"),
        ("criteria:\n- {id: a, text: x, weight: .6}\n- {id: b, text: x, weight: .5}\n", 1, "sum to 1.1, not to 1"),
        ("pass_at: 1.2\ncriteria:\n- {id: a, text: x}\n", 1, "pass_at: "),
        ("pass_at: 60\ncriteria:\n- {id: a, text: x}\n", 1, "pass_at: "),
        ("needs: [sauce]\ncriteria:\n- {id: a, text: x}\n", 1, "needs[0]: 'sauce' is not allowed"),
        ("name: a b\ncriteria:\n- {id: a, text: x}\n", 1, "name: a name is letters"),
        ("criteria: &x [1]\n", 1, "anchors (&)"),
        ("criteria:\n- {id: a, text: x}\ncriteria: []\n", 3, "the key stands twice"),
        ("criteria: [\n", 2, "is not YAML"),
        ("## Criteria\n\ntext\n", 3, "is no item of the list of criteria"),
        ("## Criteria\n\n- plain\n", 3, "a criterion begins with its id in bold"),
        ("## Criteria\n  - 5: x\n", 2, "an anchor stands below its criterion"),
        ("## Criteria\n- **a**: x\n  - detail\n", 3, "an anchor is a grade and what it stands for"),
        ("## Criteria\n- **a**: x\n  - 5: x\n  - 5: y\n", 4, "the grade 5 stands there twice"),
        ("## Criteria\n- **a**: x\n  - 5: x\n", 3, "criteria[0].scale: has one anchor"),
        ("## Criteria\n- **a**\n", 2, "criteria[0].text: must not be empty"),
        ("## Criteria\n- **a**: x\n\n- **a**: y\n", 4, "criteria[1].id: 'a' is the id of"),
        ("## Criteria\n- **a** (yesno): x\n", 2, "'yesno' means nothing here; did you mean 'yes-no'?"),
        ("## Criteria\n- **a** (weight two): x\n", 2, "'weight two' is no weight"),
        ("## Criteria\n- **a** (weight 2, 3 %): x\n", 2, "a: '3 %' stands beside another weight"),
        ("## Criteria\n- **a** (40 %): x\n- **b** (weight 50 %): x\n", 1, "the weights sum to 90 %, not to 100 %"),
        ("## Criteria\n- **a** (grade): x\n", 2, "'a' is a grade without anchors"),
        ("## Criteria\n### More\n- **a**: x\n", 2, "a heading cannot stand in the list of criteria"),
        ("## Criteria\n- **a**: x\n## Criteria\n- **b**: x\n", 3, "there is a criteria already, from line 1"),
        ("---\ntitle: x\ntext: y\n---\nz\n## Criteria\n- **a**: x\n", 5, "there is a text already, from line 3"),
        ("---\nweights: x\n---\n## Criteria\n- **a**: x\n", 2, "weights: unknown key"),
        ("Be\x00kind", 1, "holds the control character '\\x00'"),
        ("Be\n\ud800kind", 2, "holds the control character '\\ud800'"),
    ],
)
def test_a_mistake_is_told_with_its_line_before_anybody_is_asked(text, line, said):
    """Each names file, line, and what is wrong."""
    told = refusal(text)
    assert told.startswith(f"r:{line}: ")
    assert said in told


@pytest.mark.parametrize(
    "weights",
    [
        ("60 %", "40%"),
        ("33.33 %", "33.33 %", "33.34 %"),
        (0.5, 0.5),
        (0.5, 0.3, 0.2),
        (2, 1),
        (0.5, 3),
        (7,),
        ("100 %",),
    ],
)
def test_weights_that_hold_together_are_kept(weights):
    """Percentages and parts of 1 have to sum; other numbers are relative."""
    criteria = [{"id": f"c{n}", "text": "x", "weight": weight} for n, weight in enumerate(weights)]
    wanted = [float(str(weight).rstrip(" %")) for weight in weights]
    assert [one.weight for one in from_mapping({"criteria": criteria}).criteria] == wanted


def test_a_bomb_is_refused_by_its_size():
    """A judge reads a rubric with every reply, so one of a megabyte is a mistake."""
    assert "is longer than 20,000 characters" in refusal("x" * 30_000)
    assert "is longer than 200,000 characters" in refusal("x" * (MAX_BYTES + 1))
    many = "## Criteria\n" + "".join(f"- **c{n}**: x\n" for n in range(51))
    assert "criteria" in refusal(many)
    assert "nested deeper" in refusal("criteria: " + "[" * 50)
    assert "begins with its id in bold" in refusal("## Criteria\n- **" + " " * 100_000 + "x\n")


def test_a_rubric_in_a_file_is_read_by_how_its_name_ends(tmp_path):
    """Markdown may begin like YAML, and its own name is the file's where it says none."""
    (tmp_path / "my rubric.md").write_text(MARKDOWN.replace("name: counter\n", ""))
    (tmp_path / "r.yaml").write_text(YAML)
    (tmp_path / "r.txt").write_text(YAML)
    found = read_file(tmp_path / "my rubric.md")
    assert (found.name, found.origin) == ("my-rubric", str(tmp_path / "my rubric.md"))
    assert found.hash == read_file(tmp_path / "r.yaml").hash == read_file(tmp_path / "r.txt").hash
    (tmp_path / "list.yml").write_text("- a\n")
    with pytest.raises(ConfigError, match=r"list\.yml:1: the file must be a mapping"):
        read_file(tmp_path / "list.yml")


@pytest.mark.parametrize(
    ("content", "said"), [(b"# A\n\xff", r"r\.md:2: is not UTF-8"), (b"x" * (MAX_BYTES + 1), "is larger than 200,000")]
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, said):
    """So is one that is not there, or a folder."""
    file = tmp_path / "r.md"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_file(file)
    for path in (tmp_path, tmp_path / "nothing.md"):
        with pytest.raises(ConfigError, match="there is no such file"):
            read_file(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_rubric_is_whole(name):
    """Each grade has anchors, its text says what the judge is to do, and it survives being stored."""
    rubric = shipped(name)
    assert (rubric.name, rubric.origin) == (name, "shipped")
    assert len(rubric.text) > 100
    assert rubric.title
    assert len(rubric.criteria) >= 3
    assert all(len(one.scale) >= 2 for one in rubric.criteria if one.kind == "grade")
    assert from_mapping(rubric.as_mapping()).hash == rubric.hash


def test_the_shipped_rubrics_use_every_kind_of_criterion():
    """Whoever copies one finds an example of each."""
    kinds = {one.kind for name in SHIPPED for one in shipped(name).criteria}
    assert kinds == {"grade", "yes-no", "violations"}
    assert shipped("factuality").needs == {"source"}


def test_a_rubric_may_be_called_by_name_file_text_or_mapping(tmp_path, monkeypatch):
    """What a test hands over is told apart by its looks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.md").write_text(MARKDOWN)
    counter = chosen("mine.md")
    assert isinstance(counter, Rubric)
    assert chosen(tmp_path / "mine.md") == chosen(counter) == counter
    assert chosen("politeness") == shipped("politeness")
    assert chosen("Be kind.").criteria[0].text == "Be kind."
    assert chosen({"criteria": [{"id": "a", "text": "b"}]}).criteria[0].id == "a"
    with pytest.raises(ConfigError, match="there is no rubric 'safty'; did you mean 'safety'"):
        chosen("safty")
    with pytest.raises(ConfigError, match="there is no such file"):
        chosen("nothing.md")
    with pytest.raises(UsageError, match="there is no rubric 'x'"):
        shipped("x")


IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
WORDS = st.lists(
    st.sampled_from(["warm", "Übergang", "5 %", "a: b", "'quoted'", "**", "#1", "{x}", "- y", "日本"]), min_size=1
)
LINES = WORDS.map(" ".join)
SCALES = st.dictionaries(st.integers(0, 100), LINES, min_size=2, max_size=5)
WEIGHTS = st.integers(1, 99).map(float) | st.sampled_from([1.5, 2.25])
CRITERIA = st.fixed_dictionaries(
    {"id": IDS, "text": LINES, "weight": WEIGHTS, "must": st.booleans()},
    optional={"scale": SCALES},
).map(lambda one: one if "scale" in one else {**one, "kind": "yes-no"})
RUBRICS = st.fixed_dictionaries(
    {"criteria": st.lists(CRITERIA, min_size=1, max_size=5, unique_by=lambda one: one["id"])},
    optional={
        "title": LINES,
        "text": st.lists(LINES, max_size=3).map("\n".join),
        "pass_at": st.floats(0, 1),
        "needs": st.lists(st.sampled_from(["source", "expected"]), unique=True),
    },
)


@given(mapping=RUBRICS)
@settings(max_examples=150, deadline=None)
def test_a_rubric_that_is_written_out_is_read_back(mapping):
    """As YAML (JSON is YAML) and as a mapping, with one hash."""
    rubric = from_mapping(mapping)
    kept = rubric.as_mapping()
    assert from_mapping(kept) == rubric
    assert read(json.dumps(kept), "r").hash == rubric.hash


@given(mapping=RUBRICS)
@settings(max_examples=150, deadline=None)
def test_markdown_of_a_rubric_has_the_hash_of_its_yaml(mapping):
    """Whatever stands in its texts."""
    rubric = from_mapping({**mapping, "text": "Judge this."})
    lines = ["---", f"pass_at: {rubric.pass_at!r}", f"needs: [{', '.join(rubric.needs)}]", "---", "", rubric.text, ""]
    lines.append("## Criteria")
    for one in rubric.criteria:
        must = ", must" if one.must else ""
        lines.append(f"- **{one.id}** (weight {one.weight}, {one.kind}{must}): {one.text}")
        lines += [f"  - {grade}: {text}" for grade, text in one.scale.items()]
    assert read("\n".join(lines), "r").hash == rubric.hash


PIECES = [
    *MARKDOWN.splitlines(),
    *YAML.splitlines(),
    "---",
    "```",
    "\t- 5:",
    "- **a**",
    "(",
    "{",
    "&",
    "%",
    "\x85",
    "- **a** ((x))",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=15), max_size=25).map("\n".join) | st.text()


@given(text=TEXTS)
@example(text="{")
@example(text="? a\n: b")
@example(text="criteria: {1: {2: 3}}")
@example(text="---\n---\n")
@example(text="---")
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_rubric_or_refused_with_its_place(text):
    """Never another error, whatever was written; and what is read has something to judge by."""
    found = outcome(read, text, "r")
    if isinstance(found, str):
        assert found.startswith("r:")
    else:
        assert found.criteria
        assert from_mapping(found.as_mapping()).hash == found.hash


@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_any_word_chooses_a_rubric_or_is_refused(text):
    """As somebody types it behind `--rubric`."""
    found = outcome(chosen, text)
    assert found if isinstance(found, str) else found.criteria


def outcome(reader, *said) -> Rubric | str:
    """The rubric, or why there is none."""
    try:
        return reader(*said)
    except UsageError as error:
        return str(error)


def test_lines_are_counted_through_the_front_matter():
    """A mistake behind it is told with the line of the file, not of the rest."""
    assert refusal(MARKDOWN.replace("(yes-no)", "(yes)")).startswith("r:18: 'yes' means nothing here")
