"""The older page layout: `# Use Case: T` with sections, data and expected answers paired by how their names begin."""

from __future__ import annotations

import json

import pytest
from usecase_folders import problems, refusal, written

from pytest_llmbench import usecases

PAGE = """\
# Use Case: Chapters of a Talk

## Metadata
- **Name:** Chapters-of-a-Talk
- **Difficulty:** Moderate to Hard
- **Primary Capability:** Reasoning + Structured Extraction
- **Token Range:** 1K-4K tokens per talk

## Goal

Find the chapters of the talk.
Each has a title.

Leave no gap.

## LLM Evaluation Notes

**What this tests:** boundaries

## Naming

Use {{braces}} as they are.

## Expected Output Schema

```csv
chapter,start,end
Opening,00:00:00,00:02:30
...
```

Titles have at most five words.

## Sample Data Files

| File | Description |

## Quality Criteria

All chapters are there.

## Evaluation Script

```python
# Not a heading
raise SystemExit("never run")
```
"""
TALK = "00:00:00 Welcome.\n00:02:30 The first part.\n"
CHAPTERS = "chapter,start,end\nWelcome,00:00:00,00:02:30\nFirst part,00:02:30,00:05:00\n"
TRIAGE = """\
# Use Case: Bug Triage

## Goal

Classify the report.

## Expected Output Schema

```json
{"bug_id": "BUG-XXX", "classification": {"severity": "high|medium|low", "kind": "bug|question|etc"}, "notes": ["x"]}
```
"""


def test_an_older_page_is_a_use_case(tmp_path):
    """Metadata become name and tags; the goal, unknown sections and the form go to the model, criteria to judges."""
    where = written(
        tmp_path, {"USE-CASE.md": PAGE, "data/talk-01-opening.txt": TALK, "ground-truth/talk-01.csv": CHAPTERS}
    )
    case = usecases.load(where)
    assert (case.name, case.title) == ("Chapters-of-a-Talk", "Chapters of a Talk")
    assert case.description == "Find the chapters of the talk. Each has a title."
    assert case.tags == ("difficulty=moderate-to-hard", "capability=reasoning", "capability=structured-extraction")
    assert (case.output.kind, case.output.columns) == ("csv", ("chapter", "start", "end"))
    assert case.facts["Token Range"] == "1K-4K tokens per talk"
    assert case.rubric
    assert [(one.id, one.text, one.kind) for one in case.rubric.criteria] == [
        ("criterion-1", "All chapters are there.", "yes-no")
    ]
    assert case.rubric.text == "**What this tests:** boundaries"
    [sample] = case.samples()
    assert (sample.id, sample.expected) == ("talk-01-opening", CHAPTERS.rstrip())
    asked = case.prompt.messages(sample)[-1]["content"]
    for told in (
        "Leave no gap.",
        "Use {{braces}} as they are.",
        "Titles have at most five words.",
        "nothing else",
        TALK,
    ):
        assert told in asked
    for kept in ("boundaries", "All chapters", "never run", "Sample Data Files", "Difficulty"):
        assert kept not in asked


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        ("- All chapters are there.\n- Titles\n  are short.\n", ["All chapters are there.", "Titles are short."]),
        ("1. One.\n2) Two.\n", ["One.", "Two."]),
        ("Mind:\n\n- One.\n- Two.\n", ["Mind:\n\n- One.\n- Two."]),
        ("", ["**What this tests:** boundaries"]),
    ],
)
def test_each_item_of_the_quality_criteria_is_one_to_judge_by(tmp_path, criteria, wanted):
    """Where there is more than a list, nobody can tell what belongs to which item: then all of it is one."""
    page = PAGE.replace("All chapters are there.\n", criteria)
    where = written(tmp_path, {"USE-CASE.md": page, "data/talk-01.txt": TALK, "ground-truth/talk-01.csv": CHAPTERS})
    rubric = usecases.load(where).rubric
    assert rubric
    assert [one.text for one in rubric.criteria] == wanted
    assert {one.kind for one in rubric.criteria} == {"yes-no"}
    assert rubric.text == ("**What this tests:** boundaries" if criteria else "")


def test_a_reply_is_held_against_the_expected_table(tmp_path):
    """Cells count; the script of the page is never run."""
    where = written(tmp_path, {"USE-CASE.md": PAGE, "data/talk-01.txt": TALK, "ground-truth/talk-01.csv": CHAPTERS})
    case = usecases.load(where)
    [sample] = case.samples()
    [same] = case.scores(sample, f"```csv\n{CHAPTERS}```")
    [other] = case.scores(sample, CHAPTERS.replace("00:05:00", "00:04:00"))
    assert (same.value, round(other.value, 3)) == (1.0, round(5 / 6, 3))


def test_names_need_only_begin_alike(tmp_path):
    """The longest common beginning wins, numbers must be equal, and the page's kind of answer decides among several."""
    files = {
        "USE-CASE.md": PAGE,
        "data/talk-01-basics.txt": "one",
        "data/talk-02-more.txt": "two",
        "data/end.txt": "three",
        "ground-truth/talk-01-chapters.csv": CHAPTERS.replace("Welcome", "One"),
        "ground-truth/talk-01-metadata.json": "{}",
        "ground-truth/talk-02-chapters.csv": CHAPTERS.replace("Welcome", "Two"),
        "ground-truth/end.csv": CHAPTERS.replace("Welcome", "End"),
    }
    case = usecases.load(written(tmp_path, files))
    assert [(each.id, each.expected.split()[1].split(",")[0]) for each in case.samples()] == [
        ("end", "End"),
        ("talk-01-basics", "One"),
        ("talk-02-more", "Two"),
    ]


@pytest.mark.parametrize(
    ("data", "truths", "said"),
    [
        (
            ["talk-01.txt"],
            ["talk-01-a.csv", "talk-01-b.csv"],
            "several expected answers fit: ground-truth/talk-01-a.csv",
        ),
        (["talk-01-a.txt", "talk-01-b.txt"], ["talk-01.csv"], "talk-01.csv fits"),
        (
            ["talk-03.txt"],
            ["talk-01.csv"],
            "there is no expected answer for it in ground-truth/; did you mean 'talk-01'?",
        ),
        (["talk.txt"], ["other.csv"], "there is no expected answer for it"),
        (["talk.txt"], [], "there is no 'ground-truth' in the folder of the use case"),
        ([], ["talk.csv"], "there is no 'data' in the folder of the use case"),
    ],
)
def test_a_pairing_that_is_not_sure_is_refused(tmp_path, data, truths, said):
    """Ambiguity lists its candidates; a number that differs is another sample; nothing is guessed."""
    files = {
        "USE-CASE.md": PAGE,
        **{f"data/{n}": TALK for n in data},
        **{f"ground-truth/{n}": CHAPTERS for n in truths},
    }
    assert said in refusal(written(tmp_path, files))


def test_an_example_of_json_becomes_a_schema(tmp_path):
    """Words between bars are the only ones, `etc` leaves them open; only replies need to have all keys."""
    truth = {"bug_id": "BUG-1", "severity": "unheard of", "notes": ["a"]}
    files = {"USE-CASE.md": TRIAGE, "data/a.txt": "It crashes.", "ground-truth/a.json": json.dumps(truth)}
    where = written(tmp_path, files)
    case = usecases.load(where)
    assert case.output.schema["properties"]["classification"]["properties"]["severity"] == {
        "enum": ["high", "medium", "low"]
    }
    assert case.output.schema["required"] == ["bug_id", "classification", "notes"]
    [found] = [problem for problem in problems(where) if "severity" in problem]
    assert found.startswith("ground-truth/a.json:1: a: json-schema: ")
    [sample] = case.samples()
    by_name = {score.name: score for score in case.scores(sample, '{"bug_id": "BUG-1"}')}
    assert by_name["json-schema"].passed is False


def test_tables_with_the_same_ids_are_joined_row_by_row(tmp_path):
    """One file with many reports and one with their labels are as many samples as there are reports."""
    reports = "bug_id,title\nBUG-1,It crashes\nBUG-2,A typo\n"
    labels = {
        "groups": [{"group_id": "G", "bugs": 2}],
        "classifications": [{"bug_id": "BUG-2", "severity": "low"}, {"bug_id": "BUG-1", "severity": "high"}],
    }
    files = {"USE-CASE.md": TRIAGE, "data/bug-reports.csv": reports}
    where = written(tmp_path, {**files, "ground-truth/bug-reports-labeled.json": json.dumps(labels, indent=1)})
    found = list(usecases.load(where).placed())
    assert [(one.sample.id, one.sample.expected["severity"]) for one in found] == [("BUG-1", "high"), ("BUG-2", "low")]
    assert [(one.place.line, one.truth.line > 5) for one in found] == [(2, True), (3, True)]
    assert '"title": "It crashes"' in found[0].sample.input


def test_a_table_with_faults_is_one_text(tmp_path):
    """A model that is to find what is wrong with a CSV gets it as it is."""
    messy = "customer_id,name\n1,Ada\n1,Ada,extra\n"
    files = {"USE-CASE.md": TRIAGE, "data/customers-messy.csv": messy}
    where = written(tmp_path, {**files, "ground-truth/customers-issues.json": '[{"customer_id": 1}]'})
    [sample] = usecases.load(where).samples()
    assert (sample.id, sample.input) == ("customers-messy", messy)


def test_a_row_without_its_label_is_told_with_its_line(tmp_path):
    """Joined tables are held to the same: each has its answer, and no answer is left over."""
    files = {"USE-CASE.md": TRIAGE, "data/bugs.csv": "bug_id,title\nB1,x\nB2,y\nB3,z\n"}
    rows = [{"bug_id": name, "severity": "low"} for name in ("B1", "B2")]
    where = written(tmp_path, {**files, "ground-truth/bugs.json": json.dumps(rows)})
    assert "data/bugs.csv:4: there is no expected answer for 'B3'" in refusal(where)
    rows += [{"bug_id": name, "severity": "low"} for name in ("B3", "B9")]
    where = written(tmp_path / "more", {**files, "ground-truth/bugs.json": json.dumps(rows, indent=0)})
    assert "there is no sample 'B9' in the data" in refusal(where)


def test_patterns_are_tried_on_the_examples_of_both_tables(tmp_path):
    """A page that wants regular expressions: each expected one that contradicts an example is found, with its line."""
    page = TRIAGE.replace(TRIAGE.splitlines()[9], '{"challenge_id": "X", "regex": "^x$"}')
    challenges = {
        "challenges": [
            {"challenge_id": "R1", "positive_examples": ["a.b"], "negative_examples": ["a..b"]},
            {"challenge_id": "R2", "positive_examples": ["10-05"], "negative_examples": ["10-5"]},
            {"challenge_id": "R3", "positive_examples": ["x1"], "negative_examples": ["1x"]},
            {"challenge_id": "R4", "positive_examples": ["#fff"], "negative_examples": []},
        ]
    }
    solutions = [
        {"challenge_id": "R1", "regex": "^[a-z.]+$"},
        {"challenge_id": "R2", "regex": r"^\d+-\d\d$", "held_out_negative": ["99-99"]},
        {"challenge_id": "R3", "regex": "^[a-z]+[0-9]*$", "held_out_positive": ["x1y"]},
        {"challenge_id": "R4", "regex": "^#[0-9a-f]{3}$", "held_out_positive": ["#abc"], "held_out_negative": ["abc"]},
    ]
    lines = ",\n".join(map(json.dumps, solutions))
    files = {
        "USE-CASE.md": page,
        "data/regex-challenges.json": json.dumps(challenges),
        "ground-truth/regex-solutions.json": f'{{"solutions": [\n{lines}\n]}}',
    }
    where = written(tmp_path, files)
    assert [problem.split(":")[1:4] for problem in problems(where)] == [
        ["2", " R1", " regex-on-examples"],
        ["3", " R2", " regex-on-examples"],
        ["4", " R3", " regex-on-examples"],
    ]
    case = usecases.load(where)
    first = next(case.samples())
    scores = {score.name: score for score in case.scores(first, '{"challenge_id": "R1", "regex": "^a[.]b$"}')}
    assert (scores["regex-on-examples"].passed, scores["regex-on-examples"].executed) == (True, True)
    assert "held_out" not in case.prompt.messages(first)[-1]["content"]


def test_duration_rules_hold_for_replies_and_for_expected_answers(tmp_path):
    """A chapter that is too long is wrong in a reply, and a problem in the ground truth."""
    rules = "## Duration Rules\n\n| < 2 minutes | too short |\n| > 7 minutes | too long |\n\n## Goal"
    truth = "chapter,start,end\nOne,00:00:00,00:03:00\nTwo,00:03:00,00:11:00\n"
    page = PAGE.replace("## Goal", rules)
    where = written(tmp_path, {"USE-CASE.md": page, "data/a.txt": TALK, "ground-truth/a.csv": truth})
    case = usecases.load(where)
    [sample] = case.samples()
    assert "too short" in case.prompt.messages(sample)[-1]["content"]
    good = {score.name: score.passed for score in case.scores(sample, truth.replace("00:11:00", "00:09:00"))}
    assert good["durations"] is True
    [found] = problems(where)
    assert found.startswith("ground-truth/a.csv:1: a: durations: ")


@pytest.mark.parametrize(
    ("rules", "shortest", "longest"),
    [
        ("| < 2 minutes | Too short |\n| 3-6 minutes | Ideal |\n| > 7 minutes | Too long |", 120.0, 420.0),
        ("- Minimum: 30 seconds\n- Maximum: 1.5 hours", 30.0, 5400.0),
        ("2 minute minimum, 7 minute maximum", 120.0, 420.0),
        ("At least 45 s, never longer than 2 min.", 45.0, 120.0),
        ("Short ones are fine.", None, None),
        ("Under 2 minutes is bad, under 1 minute is worse.", None, None),
    ],
)
def test_duration_rules_in_plain_words_are_limits(rules, shortest, longest):
    """Tables and sentences; two different numbers for the same limit are none."""
    from pytest_llmbench.usecases.duration_rules import limits_in

    limits = limits_in(rules)
    assert (limits.shortest_s, limits.longest_s) == (shortest, longest)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("# Use Case: Chapters of a Talk", "# Use Case:", 1, "has no title"),
        ("## Quality Criteria", "## Quality Criterias", 38, "did you mean '## Quality Criteria'?"),
        ("## Goal", "## Gaol", 1, "there is nothing under '## Goal'; did you mean 'Gaol'?"),
        ("## Naming", "## Goal", 20, "'## Goal' stands there twice, first on line 9"),
        ("- **Name:** Chapters", "- Name: Chapters", 4, "is to be '- **Key:** value'"),
        ("- **Difficulty:** Moderate to Hard", "- **Name:** x", 5, "'Name' stands there twice"),
        ("```csv\nchapter", "```xml\nchapter", 26, "is to name csv or json, not 'xml'"),
        ("```csv\nchapter", "```\nchapter", 26, "is to name csv or json, not 'nothing'"),
        ("chapter,start,end\nOpening", "chapter,,end\nOpening", 27, "are to be different names"),
        ("```csv\nchapter,start,end\nOpening,00:00:00,00:02:30", '```json\n{"a":\n b}', 28, "is no JSON"),
    ],
)
def test_a_mistake_on_an_older_page_is_told_with_its_line(tmp_path, old, new, line, said):
    """The reader is sent to the heading, the line of metadata, or the line in the fence."""
    assert old in PAGE
    files = {"USE-CASE.md": PAGE.replace(old, new), "data/a.txt": TALK, "ground-truth/a.csv": CHAPTERS}
    told = refusal(written(tmp_path, files))
    assert f"USE-CASE.md:{line}: " in told
    assert said in told


def test_a_schema_in_the_fence_is_taken_as_it_is(tmp_path):
    """It is no example; what is wrong with it is told with the fence's line."""
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    page = TRIAGE.replace(TRIAGE.splitlines()[9], schema)
    files = {"USE-CASE.md": page, "data/a.txt": "x", "ground-truth/a.json": "{}"}
    where = written(tmp_path, files)
    assert usecases.load(where).output.schema == json.loads(schema)
    assert "'n' is a required property" in " ".join(problems(where))
    broken = written(tmp_path / "b", {**files, "USE-CASE.md": page.replace("integer", "whole")})
    assert "USE-CASE.md:10: properties.n.type: is no JSON Schema" in refusal(broken)


def test_a_page_without_a_form_wants_text(tmp_path):
    """Then a reply is compared as it is."""
    page = TRIAGE.partition("## Expected Output Schema")[0]
    case = usecases.load(written(tmp_path, {"USE-CASE.md": page, "data/a.txt": "x", "ground-truth/a.txt": "y"}))
    assert (case.output.kind, [validator.name for validator in case.validators]) == ("text", ["exact"])
