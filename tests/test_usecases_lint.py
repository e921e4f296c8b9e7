"""The lint of expected answers: each that contradicts itself is found with file and line, before any model is asked."""

from __future__ import annotations

import json

from usecase_folders import folder, problems

from pytest_llmbench import usecases


def jsonl(*rows: dict) -> dict[str, str]:
    """Data of these rows."""
    return {"data/a.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}


def test_sound_answers_have_no_problem(tmp_path):
    """The lint is quiet where all is well."""
    front = "validators: [{one-of: [billing, sales]}]"
    rows = jsonl({"id": 1, "input": "a", "expected": "billing"}, {"id": 2, "input": "b", "expected": "sales"})
    assert problems(folder(tmp_path, front, rows)) == []


def test_labels_are_held_against_the_schema_of_the_output(tmp_path):
    """An expected answer that replies are not allowed to give is found, whichever validator scores them."""
    schema = "{type: object, required: [queue], properties: {queue: {enum: [billing, sales]}, n: {type: integer}}}"
    rows = jsonl(
        {"id": "a", "input": "x", "expected": {"queue": "billing"}},
        {"id": "b", "input": "y", "expected": {"queue": "biling", "n": "3"}},
        {"id": "c", "input": "z", "expected": {}},
    )
    declared = f"output: {{schema: {schema}}}\nvalidators: [is-json]"
    found = problems(folder(tmp_path / "own", declared, rows))
    assert [problem.split(":")[:4] for problem in found] == [
        ["data/a.jsonl", "2", " b", " schema"],
        ["data/a.jsonl", "2", " b", " schema"],
        ["data/a.jsonl", "3", " c", " schema"],
    ]
    by_validator = problems(folder(tmp_path / "by", f"output: {{schema: {schema}}}\nvalidators: [json-schema]", rows))
    assert len(by_validator) == 3
    assert all(": json-schema: " in problem for problem in by_validator)


def test_labels_are_held_against_the_validators(tmp_path):
    """A label that is none, a pattern that is none, an answer that is missing."""
    front = "validators:\n  - one-of: [billing, sales]"
    found = problems(folder(tmp_path / "a", front, jsonl({"id": 1, "input": "x", "expected": "shipping"})))
    assert found[0].startswith("data/a.jsonl:1: 1: one-of: ")
    assert "shipping" in found[0]
    [found] = problems(folder(tmp_path / "b", "validators: [regex]", jsonl({"id": 1, "input": "x", "expected": "("})))
    assert "data/a.jsonl:1: 1: regex: " in found
    [found] = problems(folder(tmp_path / "c", "validators: [exact]", jsonl({"id": 1, "input": "x"})))
    assert "no expected answer" in found


def test_patterns_that_contradict_their_examples_are_each_found(tmp_path):
    """Of five patterns three are wrong about an example of theirs: three problems, at their lines."""
    rows = [
        {"id": "hex", "expected": "^#[0-9a-f]{6}$", "match": ["#00ff00"], "no_match": ["00ff00"]},
        {"id": "date", "expected": r"^\d{4}-\d\d-\d\d$", "match": ["2024-01-31"], "no_match": ["2024-13-01"]},
        {"id": "word", "expected": "^[a-z]+$", "match": ["word", "Word"], "no_match": []},
        {"id": "both", "expected": "^a", "match": ["ab"], "no_match": ["ab"]},
        {"id": "time", "expected": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "match": ["23:59"], "no_match": ["24:00"]},
    ]
    front = "prompt: 'Write a pattern that matches {{match}} and not {{no_match}}.'\nvalidators: [regex-on-examples]"
    found = problems(folder(tmp_path, front, jsonl(*rows)))
    assert [problem.split(":")[1:3] for problem in found] == [["2", " date"], ["3", " word"], ["4", " both"]]


def test_validators_that_no_answer_can_satisfy_are_found(tmp_path):
    """One demands the expected answer, another refuses it: no reply passes both."""
    rows = jsonl({"id": 1, "input": "x", "expected": "billing"})
    found = problems(folder(tmp_path, "validators: [exact, {not-contains: bill}]", rows))
    assert [problem.split(":")[:4] for problem in found] == [["data/a.jsonl", "1", " 1", " not-contains"]]


def test_an_expected_answer_is_held_against_the_guards_as_a_reply_would_be(tmp_path):
    """A label with a number that its own document does not hold is a slip of whoever wrote it."""
    schema = "{type: object, properties: {total: {type: number}}}"
    front = f"output: {{schema: {schema}}}\nvalidators: [json-fields, grounded-numbers]"
    data = {"data/a.txt": "Total: 118.50 EUR", "ground-truth/a.json": '{"total": 119.5}'}
    [found] = problems(folder(tmp_path / "slip", front, data))
    assert found.startswith("ground-truth/a.json:1: a: grounded-numbers: refuses the expected answer itself: ")
    data["ground-truth/a.json"] = '{"total": 118.5}'
    assert problems(folder(tmp_path / "right", front, data)) == []


FIELDS = """validators:
  - json-fields:
      fields:
        total: {number: 0.01}
        totl: text
        lines: {by: sku}
        lines.*.nte: ignore
        remarks: ignore
        lines.0.sku: text
  - all:
      - json-fields: {fields: {curency: text}}
        field: total"""
TRUTHS = jsonl(
    {"id": 1, "input": "x", "expected": {"total": {"currency": "EUR"}, "lines": [{"sku": 1, "note": "y"}]}},
    {"id": 2, "input": "y", "expected": '{"vendor": "z", "total": {"currency": "USD"}}'},
)


def test_a_field_that_no_expected_answer_has_is_found_with_its_line(tmp_path):
    """A typing error would switch its comparison off; one that is ignored may be a field that only replies have."""
    found = [each for each in problems(folder(tmp_path, FIELDS, TRUTHS)) if "no expected answer has" in each]
    assert [each.replace("no expected answer has the field ", "") for each in found] == [
        "USE-CASE.md:6: json-fields: 'totl'; did you mean 'total'?",
        "USE-CASE.md:10: json-fields: 'lines.0.sku'; did you mean 'lines.*.sku'?",
        "USE-CASE.md:8: json-fields: 'lines.*.nte'; did you mean 'lines.*.note'?",
        "USE-CASE.md:12: all: json-fields: 'curency'; did you mean 'currency'?",
    ]


def test_a_field_is_looked_for_in_all_samples_or_not_at_all(tmp_path):
    """Some of the samples cannot tell that no other has it."""
    case = usecases.load(folder(tmp_path, "validators: [{json-fields: {fields: {vendor: text}}}]", TRUTHS))
    first = next(case.placed())
    assert list(usecases.lint(case)) == []
    assert list(usecases.lint(case, [first], complete=False)) == []
    [found] = usecases.lint(case, [first])
    assert "'vendor'" in found.text


def test_answers_in_files_are_named_by_their_own_place(tmp_path):
    """The problem stands in the ground truth, not in the data."""
    data = {"data/a.txt": "x", "ground-truth/a.txt": "shipping"}
    [found, *_] = problems(folder(tmp_path, "validators: [{one-of: [billing, sales]}]", data))
    assert found.startswith("ground-truth/a.txt:1: a: one-of: ")


def test_twins_that_expect_something_else_are_found(tmp_path):
    """The same question with two answers: one of them is wrong; the same answer twice is none."""
    rows = jsonl(
        {"id": "a", "input": "1 + 1", "expected": "2"},
        {"id": "b", "input": "1 + 1", "expected": "2"},
        {"id": "c", "input": "1 + 1", "expected": "3"},
    )
    [found] = problems(folder(tmp_path, "validators: [exact]", rows))
    assert found == "data/a.jsonl:3: c: twins: a (data/a.jsonl:1) asks the same and expects something else"


def test_a_use_case_that_nothing_scores_is_a_problem(tmp_path):
    """A rubric alone judges nobody; with a judge there may be no validator."""
    rows = jsonl({"id": 1, "input": "x"})
    case = usecases.load(folder(tmp_path, "rubric: Be kind.\njudge: demo/perfect", rows))
    assert (case.validators, list(usecases.lint(case))) == ((), [])


def test_two_thousand_samples_are_linted_in_flat_memory(tmp_path):
    """The lint reads sample after sample and keeps a few bytes of each."""
    import tracemalloc

    rows = [{"id": n, "input": f"{n} " + "x" * 2_000, "expected": "billing"} for n in range(2_000)]
    case = usecases.load(folder(tmp_path, "validators: [{one-of: [billing, sales]}]", jsonl(*rows)))
    tracemalloc.start()
    assert list(usecases.lint(case)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
