"""Files of public benchmarks in the form their authors publish them, made small and by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench import questions, validators
from pytest_llmbench.errors import UsageError


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    """A JSONL file of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def passes(item: questions.Item, reply: str) -> bool:
    """Whether a reply is correct."""
    return validators.check(item.check, reply, item.answer, item.options).correct


def test_gsm8k_is_scored_by_the_number_behind_the_hashes(tmp_path):
    """Not by the sums in its worked answers."""
    worked = "She sells 48/2 = <<48/2=24>>24 clips.\nThat makes 48+24 = <<48+24=72>>72.\n#### {}"
    rows = [{"question": f"How many {'x' * len(n)}?", "answer": worked.format(n)} for n in ("72", "1,200", "-5")]
    file = jsonl(tmp_path / "test.jsonl", *rows)
    items = questions.load(f"gsm8k:{file}").items
    assert [item.answer for item in items] == ["72", "1200", "-5"]
    assert [item.id for item in items] == ["gsm8k-1", "gsm8k-2", "gsm8k-3"]
    assert items[0].prompt.startswith("How many xx?\n")
    assert passes(items[0], rows[0]["answer"])
    assert passes(items[0], "48 / 2 = 24, and 48 + 24 = 72.\nFinal answer: 72")
    assert not passes(items[0], "48 clips and 24 clips are 72 clips, of which 3 are red.")
    assert questions.lint(questions.load(f"gsm8k:{file}")) == []


@pytest.mark.parametrize("answer", ["72", "#### many", "", "#### 72 clips and more\nthan that"])
def test_gsm8k_without_its_number_is_refused(tmp_path, answer):
    """With the line."""
    file = jsonl(tmp_path / "x.jsonl", {"question": "a", "answer": "#### 1"}, {"question": "b", "answer": answer})
    with pytest.raises(UsageError, match=":2: "):
        questions.load(f"gsm8k:{file}")


def test_mmlu_is_a_folder_of_subjects(tmp_path):
    """Each file a category; a question may stand in several lines, with commas and quotes."""
    (tmp_path / "abstract_algebra_test.csv").write_text(
        'Find the order,0,4,2,6,B\n"Two\nlines, and ""quotes""",a,b,c,d,D\n', encoding="utf-8"
    )
    (tmp_path / "anatomy_val.csv").write_text("Which bone?,femur,tibia,ulna,radius,A\n", encoding="utf-8")
    found = questions.load(f"mmlu:{tmp_path}")
    assert found.categories == ("abstract algebra", "anatomy")
    order, quotes, bone = found.items
    assert (order.id, order.answer, order.options) == ("mmlu-abstract_algebra-1", "B", ("0", "4", "2", "6"))
    assert "\nB) 4\n" in order.prompt
    assert quotes.prompt.startswith('Two\nlines, and "quotes"\n')
    assert passes(bone, "A")
    assert passes(bone, "The femur.")
    assert not passes(bone, "B")
    assert questions.lint(found) == []
    assert len(questions.load(f"mmlu:{tmp_path / 'anatomy_val.csv'}").items) == 1


@pytest.mark.parametrize("row", ["Which?,a,b,c,d", "Which?,a,b,c,d,E", "Which?,a,b,c,d,", "id,prompt,answer"])
def test_another_csv_file_is_not_mmlu(tmp_path, row):
    """Six cells, and a letter from A to D."""
    (tmp_path / "x.csv").write_text(f"{row}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"x.csv:1: .*A to D"):
        questions.load(f"mmlu:{tmp_path}")


def test_a_folder_without_subjects_is_told(tmp_path):
    """Rather than an empty set."""
    with pytest.raises(UsageError, match="there is no CSV file"):
        questions.load(f"mmlu:{tmp_path}")


@pytest.mark.parametrize("label", [2, "2"])
def test_hellaswag_is_a_choice_among_endings(tmp_path, label):
    """Published with labels as numbers and as texts."""
    endings = ["falls asleep.", "eats the ladder.", "climbs down the ladder.", "sings to the moon."]
    row = {"ind": 24, "activity_label": "Roof", "ctx": "A man is on a roof. he", "endings": endings, "label": label}
    found = questions.load(f"hellaswag:{jsonl(tmp_path / 'val.jsonl', row)}")
    item = found.items[0]
    assert (item.id, item.answer, item.options) == ("hellaswag-24", "C", tuple(endings))
    assert passes(item, "C) climbs down the ladder.")
    assert passes(item, "climbs down the ladder")
    assert not passes(item, "A) climbs down the ladder.")
    assert questions.lint(found) == []


@pytest.mark.parametrize(
    "row",
    [
        {"label": ""},
        {"label": 4},
        {"label": -1},
        {"endings": "x"},
        {"endings": ["x"]},
        {"endings": [1, 2]},
        {"ctx": ""},
    ],
)
def test_hellaswag_without_label_or_endings_is_refused(tmp_path, row):
    """The test part has no labels, and cannot be scored."""
    whole = {"ind": 1, "ctx": "A man", "endings": ["a", "b", "c", "d"], "label": 0, **row}
    with pytest.raises(UsageError, match=":1: "):
        questions.load(f"hellaswag:{jsonl(tmp_path / 'x.jsonl', whole)}")


def test_humaneval_is_loaded_and_not_scored(tmp_path):
    """Packed as it is published; nothing of it is run."""
    row = {
        "task_id": "HumanEval/0",
        "prompt": "def f(x):\n",
        "canonical_solution": "    return x\n",
        "test": "raise SystemExit('it was run')",
        "entry_point": "f",
    }
    file = tmp_path / "HumanEval.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(row).encode()))
    found = questions.load(f"humaneval:{file}")
    item = found.items[0]
    assert (item.id, item.check, item.category) == ("HumanEval/0", "code", "code")
    assert not validators.is_scored(item.check)
    assert not validators.check(item.check, row["canonical_solution"], item.answer).scored
    assert questions.lint(found) == []


def test_a_benchmark_may_ask_the_same_twice_but_has_no_id_twice(tmp_path):
    """What others published is taken as it is; results are compared by id."""
    row = {"ind": 1, "ctx": "A man", "endings": ["a", "b"], "label": 0}
    assert len(questions.load(f"hellaswag:{jsonl(tmp_path / 'a.jsonl', row, {**row, 'ind': 2})}").items) == 2
    with pytest.raises(UsageError, match="the id 'hellaswag-1' stands in line 1"):
        questions.load(f"hellaswag:{jsonl(tmp_path / 'b.jsonl', row, row)}")
