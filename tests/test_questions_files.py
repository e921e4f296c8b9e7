"""Question files of users, JSONL and CSV: what is read, and what each mistake is told as."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pytest_llmbench import questions
from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode, UsageError
from pytest_llmbench.questions import rows

LINE = '{"prompt": "How many legs has a cat? Reply with the number only.", "answer": 4}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a question file of this test stands."""
    return tmp_path / "mine.jsonl"


def told(source: Path | str) -> str:
    """The error of a source that is refused."""
    with pytest.raises(UsageError) as refused:
        questions.load(source)
    return str(refused.value)


def test_a_line_with_a_prompt_and_an_answer_is_a_question(file):
    """All else has a default that can be relied on."""
    file.write_text(LINE + "\n" + '{"prompt": "Is it? Yes or no.", "answer": "no"}\n', encoding="utf-8")
    legs, is_it = questions.load(file).items
    assert (legs.answer, legs.check, legs.category, legs.difficulty) == ("4", "number", "general", "medium")
    assert (is_it.answer, is_it.check) == ("no", "yes_no")
    assert legs.id.startswith("q-")
    assert legs.id == questions.load(file).items[0].id != is_it.id


@pytest.mark.parametrize(
    ("row", "check", "answer"),
    [
        ({"answer": "B", "options": ["x", "y"]}, "choice", "B"),
        ({"answer": "1/2"}, "number", "1/2"),
        ({"answer": 0.5}, "number", "0.5"),
        ({"answer": "Paris"}, "text", "Paris"),
        ({"answer": {"a": [1]}, "check": "json"}, "json", '{"a": [1]}'),
        ({"answer": ["é", "b"], "check": "list:comma"}, "list:comma", '["é", "b"]'),
        ({"answer": "x", "options": ["x", "y"], "check": "one_of"}, "one_of", "x"),
    ],
)
def test_an_answer_may_be_what_json_has_for_it(file, row, check, answer):
    """A number, a list and an object need no quotes around them."""
    file.write_text(json.dumps({"prompt": "?", **row}), encoding="utf-8")
    item = questions.load(file).items[0]
    assert (item.check, item.answer) == (check, answer)


def test_a_csv_file_has_the_same_fields_and_gives_the_same_set(tmp_path):
    """Down to the hash; a byte order mark, as Excel writes it, is no part of the first head."""
    rows = [
        {"id": "a", "prompt": 'Say "x", then\ny.', "answer": "B", "options": ["x", "y, z"], "wrong": ["A", "C"]},
        {"id": "b", "prompt": "2 + 2?", "answer": "4", "category": "sums", "difficulty": "easy"},
    ]
    jsonl, csv = tmp_path / "q.jsonl", tmp_path / "q.csv"
    jsonl.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8-sig")
    csv.write_text(
        "id,prompt,answer,options,wrong,category,difficulty\r\n"
        'a,"Say ""x"", then\ny.",B,"x | y, z",A | C,,\r\n'
        "\r\n"
        "b,2 + 2?,4,,,sums,easy\r\n",
        encoding="utf-8-sig",
        newline="",
    )
    assert questions.load(csv).sha256 == questions.load(jsonl).sha256
    assert questions.load(csv).items == questions.load(jsonl).items


def test_a_packed_file_is_unpacked(tmp_path):
    """`.gz` behind the name."""
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(LINE.encode()))
    assert len(questions.load(tmp_path / "q.jsonl.gz").items) == 1


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("{", 2, "not JSON"),
        ("[1]", 2, "a JSON object is wanted, not list"),
        ("[" * 100_000, 2, "nested too deeply"),
        ('{"prompt": "a", "prompt": "b", "answer": "c"}', 2, "the key 'prompt' stands there twice"),
        ('{"prompt": "a", "answer": NaN}', 2, "NaN is not JSON"),
        ('{"prompt": "a"}', 2, "there is no answer"),
        ('{"prompt": "a", "answer": "  "}', 2, "there is no answer"),
        ('{"answer": "a"}', 2, "there is no prompt"),
        ('{"prompt": ["a"], "answer": "b"}', 2, "'prompt' is to be a text, not list"),
        ('{"prompt": "a", "answer": true}', 2, "'answer' is to be a text or a number, not bool"),
        ('{"prompt": "a", "answer": ["b"]}', 2, "'answer' is to be a text or a number, not list"),
        ('{"prompt": "a", "answer": "A", "options": "x"}', 2, "'options' is to be a list of texts"),
        ('{"prompt": "a", "answer": "b", "promt": "c"}', 2, "there is no field 'promt'; did you mean 'prompt'?"),
        ('{"prompt": "a", "answer": "b", "difficulty": "very"}', 2, "'very' is not one of easy, medium, hard"),
        ('{"prompt": "a", "answer": "b", "check": "nmber"}', 2, "there is no check 'nmber'; did you mean 'number'?"),
        ('{"prompt": "a", "answer": "b", "check": "number"}', 2, "the answer 'b' is not a number"),
        ('{"prompt": "a", "answer": "C", "options": ["x", "y"]}', 2, "'C' is not one of the letters A, B"),
        (LINE, 2, "stands in line 1 of mine.jsonl, too"),
        ('\n{"id": "x", "prompt": "a", "answer": "b"}\n\n{"id": "x", "prompt": "c", "answer": "d"}', 5, "the id 'x'"),
    ],
)
def test_a_mistake_is_told_with_its_line(file, text, line, part):
    """And with what to write instead."""
    file.write_text(LINE + text, encoding="utf-8")
    message = told(file)
    assert message.startswith(f"{file}:{line}: ")
    assert part in message


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("prompt,reply\na,b\n", 1, "there is no field 'reply'"),
        ("prompt,check\na,b\n", 1, "there is no column 'answer'"),
        ("prompt,answer,answer\na,b,c\n", 1, "a column stands there twice"),
        ("prompt,answer\na,b\nc,d,e\n", 3, "3 cells under 2 heads"),
        ("prompt,answer\na,b\nc\n", 3, "1 cells under 2 heads"),
        ("prompt,answer\na,\n", 2, "there is no answer"),
        ('prompt,answer\n"a" b,c\n', 2, "not CSV"),
        ('prompt,answer\n"a,b\nc,d\n', 3, "not CSV"),
        (f"prompt,answer\n{'a' * 200_000},b\n", 2, "not CSV: field larger than field limit"),
    ],
)
def test_a_mistake_in_a_csv_file_is_told_with_its_line(tmp_path, text, line, part):
    """The last line of its row."""
    file = tmp_path / "q.csv"
    file.write_text(text, encoding="utf-8")
    message = told(file)
    assert message.startswith(f"{file}:{line}: ")
    assert part in message


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b'{"prompt": "\xff", "answer": "b"}', ":1: not UTF-8"),
        ('{"prompt": "a", "answer": "b"}'.encode("utf-16"), ":1: not UTF-8"),
        (b'{"prompt": "\x00"}', ":1: there is a NUL character"),
        (b"", "there are no questions in the file"),
        (b"\n \n", "there are no questions in the file"),
        (b" " * (rows.MAX_LINE_BYTES + 1), ":1: the line is longer than 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_told_as_such(file, data, part):
    """A line without an end is not taken into memory whole."""
    file.write_bytes(data)
    assert part in told(file)


def test_a_small_packed_file_does_not_unfold_to_gigabytes(tmp_path, monkeypatch):
    """The bound is on what comes out."""
    monkeypatch.setattr(rows, "MAX_FILE_BYTES", 10_000)
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(b"\n" * 20_000))
    assert "the file is larger than 10000 bytes" in told(tmp_path / "q.jsonl.gz")


def test_a_packed_file_that_is_damaged_cannot_be_read(tmp_path):
    """Cut off, or never packed."""
    whole = gzip.compress((LINE * 100).encode())
    for data in (whole[:20], b"no gzip"):
        (tmp_path / "q.jsonl.gz").write_bytes(data)
        assert "cannot be read" in told(tmp_path / "q.jsonl.gz")


@pytest.mark.parametrize("name", ["nothing.jsonl", "gsm8k:nothing.jsonl", "gsmk:nothing.jsonl"])
def test_a_file_that_is_not_there_is_told(tmp_path, monkeypatch, name):
    """With the kinds of files there are."""
    monkeypatch.chdir(tmp_path)
    message = told(name)
    assert "there is no question file" in message
    assert "mmlu:PATH" in message


@pytest.mark.parametrize("name", ["q.pkl", "q.parquet", "q.py", "folder.jsonl"])
def test_other_files_are_refused(tmp_path, name):
    """Nothing is unpickled, imported or guessed."""
    path = tmp_path / name
    path.mkdir() if name.startswith("folder") else path.write_text("import os")
    assert "read" in told(path)


def test_a_question_that_is_code_is_loaded_as_text(file):
    """No field is evaluated."""
    text = "__import__('os').abort()"
    file.write_text(json.dumps({"prompt": text, "answer": "4", "expression": text}), encoding="utf-8")
    assert questions.load(file).items[0].expression == text


def test_the_verbs_show_and_lint_a_set(file, capsys):
    """`questions lint` ends with 1 where a question is not scored as it should be."""
    file.write_text(LINE, encoding="utf-8")
    assert main(["questions", "lint", str(file)]) == ExitCode.OK
    assert capsys.readouterr().out == "mine.jsonl: 1 questions, 0 problems\n"
    file.write_text(LINE.replace("How many", "4 legs or how many"), encoding="utf-8")
    assert main(["questions", "lint", str(file)]) == ExitCode.TESTS_FAILED
    shown = capsys.readouterr().out
    assert "the prompt repeated passes" in shown
    assert main(["questions", "lint", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["problems"] == []
    assert main(["questions", "show"]) == ExitCode.OK
    assert "maths-01" in capsys.readouterr().out
    assert main(["questions", "show", "--json", str(file)]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["items"][0]["answer"] == "4"
    assert main(["questions", "lint", "nothing.jsonl"]) == ExitCode.USAGE
