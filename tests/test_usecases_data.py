"""The data of a use case: rows and files, each with its expected answer, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib

import pytest
from usecase_folders import ROW, folder, refusal

from pytest_llmbench import usecases
from pytest_llmbench.errors import UsageError


def samples(where) -> list[tuple[str, object, object]]:
    """Id, input and expected answer of each sample."""
    return [(each.id, each.input, each.expected) for each in usecases.load(where).samples()]


def test_rows_carry_their_expected_answers(tmp_path):
    """JSONL, CSV and a JSON list are the same samples, packed or not; the file's order stays."""
    rows = [{"id": "a", "input": "1 + 1", "expected": "2"}, {"id": "b", "input": "2 + 2", "expected": "4"}]
    jsonl = "".join(json.dumps(row) + "\n" for row in rows)
    forms = {
        "data/a.jsonl": jsonl,
        "data/a.jsonl.gz": gzip.compress(jsonl.encode()),
        "data/a.csv": "id,input,expected\na,1 + 1,2\nb,2 + 2,4\n",
        "data/a.json": json.dumps(rows, indent=2),
        "data/a.yaml": "- {id: a, input: 1 + 1, expected: '2'}\n- {id: b, input: 2 + 2, expected: '4'}\n",
    }
    found = [samples(folder(tmp_path / name.replace("/", "-"), "", {name: text})) for name, text in forms.items()]
    assert found == [[("a", "1 + 1", "2"), ("b", "2 + 2", "4")]] * len(forms)


def test_columns_are_named_in_the_front_matter(tmp_path):
    """Any column may be the input, the expected answer or the id; the rest are variables of the prompt."""
    front = "prompt: '{{question}} ({{unit}})'\ndata: {input: question, expected: answer, id: key}"
    where = folder(tmp_path, front, {"data/a.csv": "key,question,answer,unit\nk1,How far?,3,km\n"})
    [sample] = usecases.load(where).samples()
    assert (sample.id, sample.input, sample.expected) == ("k1", "How far?", "3")
    assert sample.metadata == {"question": "How far?", "unit": "km"}


def test_rows_without_an_input_are_asked_by_their_columns(tmp_path):
    """A prompt of columns needs no column called input; a variable that no row has is told before any call."""
    where = folder(tmp_path, "prompt: 'Translate: {{text}}'", {"data/a.jsonl": '{"id": 1, "text": "Haus"}'})
    case = usecases.load(where)
    [sample] = case.samples()
    assert case.prompt.messages(sample)[-1]["content"] == "Translate: Haus"
    where = folder(tmp_path / "b", "prompt: 'Translate: {{texts}}'", {"data/a.jsonl": '{"id": 1, "text": "Haus"}'})
    assert "no value for {{texts}}; did you mean 'text'?" in refusal(where)


def test_a_file_is_a_sample_and_its_answer_has_its_name(tmp_path):
    """Texts, Markdown and JSON; answers as JSON or text; names go on below folders; README and backups are no data."""
    data = {
        "data/2024/a.txt": "Invoice A",
        "data/b.md": "Invoice B",
        "data/c.json": '{"total": 3, "input": "Invoice C"}',
        "data/README.md": "What these are.",
        "data/b.md~": "old",
        "ground-truth/2024/a.json": '{"total": 1}',
        "ground-truth/b.json": '{"total": 2}',
        "ground-truth/c.txt": "three\n",
    }
    assert samples(folder(tmp_path, "output: json", data)) == [
        ("2024/a", "Invoice A", {"total": 1}),
        ("b", "Invoice B", {"total": 2}),
        ("c", "Invoice C", "three"),
    ]


def test_a_picture_is_a_part_of_the_message(tmp_path):
    """The prompt's text stands around it."""
    where = folder(tmp_path, "prompt: 'What total? {{input}}'", {"data/a.png": _png(), "ground-truth/a.txt": "12.50"})
    case = usecases.load(where)
    [sample] = case.samples()
    text, picture = case.prompt.messages(sample)[-1]["content"]
    assert (text, picture["type"]) == ({"type": "text", "text": "What total?"}, "image_url")


def test_pictures_beside_rows_are_named_by_a_column(tmp_path):
    """With `media:` the files that rows name are no samples themselves."""
    row = '{"id": 1, "input": "Which colour?", "picture": "red.png", "expected": "red"}'
    where = folder(tmp_path, "data: {media: [picture]}", {"data/a.jsonl": row, "data/red.png": _png()})
    [sample] = usecases.load(where).samples()
    assert [part["type"] for part in sample.input[0]["content"]] == ["text", "image_url"]


def test_answers_of_rows_may_stand_in_rows_or_files_of_their_own(tmp_path):
    """By id: a table with a column `expected`, rows that are the answer themselves, or a file for each."""
    data = {"data/a.csv": "id,input\nx,1 + 1\ny,2 + 2\n"}
    tables = {
        "expected": {"ground-truth/a.csv": "id,expected\ny,4\nx,2\n"},
        "rows": {"ground-truth/a.jsonl": '{"id": "x", "n": 2}\n{"id": "y", "n": 4}\n'},
        "files": {"ground-truth/x.txt": "2", "ground-truth/y.txt": "4"},
    }
    found = {name: samples(folder(tmp_path / name, "", {**data, **truth})) for name, truth in tables.items()}
    assert found["expected"] == found["files"] == [("x", "1 + 1", "2"), ("y", "2 + 2", "4")]
    assert found["rows"] == [("x", "1 + 1", {"n": 2}), ("y", "2 + 2", {"n": 4})]


def test_a_list_inside_a_json_object_is_named(tmp_path):
    """`items` says under which key the samples are; without it the file is one sample."""
    data = {"data/a.json": '{"about": "x",\n "cases": [\n  {"id": 1, "input": "a"},\n  {"id": 1, "input": "b"}]}'}
    assert "data/a.json:4: the id '1' stands in line 3, too" in refusal(folder(tmp_path, "data: {items: cases}", data))
    [(id_, text, _)] = samples(folder(tmp_path / "one", "", data))
    assert id_ == "a"
    assert '"cases"' in text


def test_what_a_sample_is_may_be_said(tmp_path):
    """`each: file` takes a CSV as one text; rows and single files together are refused until it is said."""
    data = {"data/a.csv": "x,y\n1,2\n", "ground-truth/a.json": "[1]"}
    assert samples(folder(tmp_path, "data: {each: file}", data)) == [("a", "x,y\n1,2\n", [1])]
    mixed = {"data/a.jsonl": ROW, "data/b.txt": "x"}
    assert "USE-CASE.md:2: data.files: a.jsonl holds rows, b.txt is one sample" in refusal(
        folder(tmp_path / "mixed", "data: data", mixed)
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"data/.keep": ""}, "data.files: there is no file in data/"),
        ({"data/a.jsonl": "\n"}, "data.files: holds no sample"),
        ({"data/a.jsonl": ROW + ROW}, "data/a.jsonl:2: the id 't1' stands in line 1, too"),
        ({"data/a.jsonl": ROW, "data/b.jsonl": ROW}, "data/b.jsonl:1: the id 't1' stands in line 1"),
        ({"data/a.jsonl": b'{"id": 1, "input": "\xff"}'}, "data/a.jsonl:1: not UTF-8"),
        ({"data/a.txt": b"one\ntwo \xff"}, "data/a.txt:2: not UTF-8"),
        ({"data/a.txt": "  \n"}, "data/a.txt holds no text"),
        ({"data/a.jsonl": '{"id": 1, "id": 2}'}, ":1: not JSON: the key 'id' stands there twice"),
        ({"data/a.json": '[{"id": 1, "input": "x"},\n 3]'}, "data/a.json:2: a JSON object is wanted, not int"),
        ({"data/a.json": '[{"id": 1, "input": "x"}'}, "data/a.json:1: not JSON"),
        ({"data/a.json": '[{"id": 1, "input": "x"}] x'}, "data/a.json:1: there is more behind the JSON list"),
        ({"data/a.csv": "id,input\nx\n"}, "data/a.csv:2: 1 cells under 2 heads"),
        ({"data/a.txt": "x", "data/a.md": "y"}, "has the same name"),
        ({"data/a.png": b"no picture"}, "data/a.png"),
        ({"data/a.txt": "x", "ground-truth/b.txt": "y"}, "data/a.txt:1: there is no expected answer for it"),
        (
            {"data/a.txt": "x", "ground-truth/a.txt": "y", "ground-truth/a.json": "1"},
            "data/a.txt:1: several expected answers fit: ground-truth/a.json, ground-truth/a.txt",
        ),
        (
            {"data/a.txt": "x", "ground-truth/a.txt": "y", "ground-truth/c.txt": "z"},
            "ground-truth/c.txt:1: there is no data for this expected answer",
        ),
        ({"data/a.txt": "x", "ground-truth/a.txt": " \n"}, "ground-truth/a.txt:1: the expected answer is empty"),
        (
            {"data/a.txt": "x", "ground-truth/a.json": "null"},
            "ground-truth/a.json:1: the expected answer is empty",
        ),
        ({"data/a.jsonl": '{"input": "a", "n": ' + "9" * 5000 + "}"}, "… is too long a number"),
        ({"data/a.jsonl": '{"input": "a", "expected": 1e999}'}, "data/a.jsonl:1: not JSON: 1e999 is too large"),
        ({"data/a.yaml": "- input: a\n- {input: b, expected: [.nan]}"}, "data/a.yaml:2: a number is infinite"),
        ({"data/a.txt": "x", "ground-truth/a.json": "{\n1}"}, "ground-truth/a.json:2: not JSON"),
        ({"data/a.txt": "x", "ground-truth/a.json": "{} {}"}, "there is more behind the JSON value"),
        ({"data/a.txt": "x", "ground-truth/a.txt": b"a\nb\xff"}, "ground-truth/a.txt:2: not UTF-8"),
        (
            {"data/a.jsonl": ROW, "ground-truth/a.jsonl": '{"id": "t1", "expected": "x"}'},
            "data/a.jsonl:1: the expected answer of 't1' stands here and in ground-truth/, too",
        ),
        (
            {"data/a.csv": "id,input\nx,1\ny,2\n", "ground-truth/a.csv": "id,expected\nx,2\n"},
            "data/a.csv:3: there is no expected answer for 'y'",
        ),
        (
            {"data/a.csv": "id,input\nx,1\n", "ground-truth/a.csv": "id,expected\nx,2\nz,3\n"},
            "ground-truth/a.csv:3: there is no sample 'z' in the data",
        ),
    ],
)
def test_what_is_wrong_with_data_is_told_with_file_and_line(tmp_path, data, said):
    """Missing and ambiguous answers, duplicate ids, empty data, other encodings: before any model is asked."""
    assert said in refusal(folder(tmp_path, "prompt: '{{input}}'", data))


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_without_the_expected_answer_that_others_have_is_refused(tmp_path, order):
    """What a validator cannot tell of it, another one would call right; with no such validator it is asked."""
    rows = "".join(['{"id": "t2", "input": "x"}\n', ROW][::order])
    data, line = {"data/a.jsonl": rows}, 1 if order == 1 else 2
    said = f"data/a.jsonl:{line}: the sample 't2' has no expected answer, and the validator 'exact' needs one"
    validators = "validators: [exact, {length: {words: 9}}]"
    assert said in refusal(folder(tmp_path / "needed", validators, data))
    table = {"data/a.csv": "id,input,expected\nt1,x,y\nt2,z,\n"}
    assert "data/a.csv:3: the sample 't2' has no expected answer" in refusal(
        folder(tmp_path / "table", validators, table)
    )
    assert len(samples(folder(tmp_path / "not", "validators: [{length: {words: 9}}]", data))) == 2


def test_names_pair_however_their_letters_are_composed(tmp_path):
    """One system writes é as one character, another as two."""
    found = folder(tmp_path, "", {"data/caf\u00e9.txt": "x", "ground-truth/cafe\u0301.txt": "y"})
    assert samples(found) == [("caf\u00e9", "x", "y")]


def test_examples_are_no_source_to_stay_within(tmp_path):
    """Of a sample that is asked by its columns, what it asks itself is."""
    front = "prompt: {template: 'Of {{text}}', examples: {pool: data, count: 1}}"
    rows = ['{"id": "t", "text": "Sold 12", "expected": "12"}', '{"id": "u", "text": "Sold 4711", "expected": "4711"}']
    case = usecases.load(folder(tmp_path, front, {"data/a.jsonl": "\n".join(rows)}))
    sample = next(case.samples())
    assert "4711" in str(case.prompt.messages(sample))
    assert case.material(sample).source == "Of Sold 12"


def test_a_kind_is_known_by_its_ending_in_capitals(tmp_path):
    """Else the whole file would be one sample, its expected answers asked with it."""
    assert samples(folder(tmp_path, "prompt: '{{input}}'", {"data/a.JSONL": ROW})) == [
        ("t1", "My card was charged twice", "billing")
    ]


def test_a_json_file_that_holds_its_answer_is_asked_without_it(tmp_path):
    """All of a file is asked where no key is named, but what is expected."""
    found = folder(tmp_path, "prompt: '{{input}}'", {"data/a.json": '{"text": "2+2", "expected": "4"}'})
    (sample,) = usecases.load(found).samples()
    assert json.loads(sample.input) == {"text": "2+2"}
    assert (sample.expected, sample.metadata) == ("4", {"file": "a.json", "text": "2+2"})


def test_frames_and_named_pictures_are_files_of_the_folder(tmp_path):
    """A link in a folder of frames leads nowhere else, and a pipe is not waited for."""
    (tmp_path / "out.png").write_bytes(_png())
    frames = folder(tmp_path / "frames", "prompt: '{{input}}'", {"data/a.frames/1.png": _png()})
    (frames / "data/a.frames/2.png").symlink_to(tmp_path / "out.png")
    assert "data/a.frames/2.png: '2.png' is a link that leads out of the folder" in refusal(frames)
    row = {"data/a.jsonl": '{"input": "x", "picture": "p.png"}'}
    named = folder(tmp_path / "named", "prompt: '{{input}}'\ndata: {files: data/a.jsonl, media: [picture]}", row)
    os.mkfifo(named / "data" / "p.png")
    assert "a.jsonl:1: 'picture': there is no file 'p.png'" in refusal(named)


def test_a_pipe_among_the_data_is_refused(tmp_path):
    """Reading one would wait for ever."""
    found = folder(tmp_path, "prompt: '{{input}}'", {"data/a.txt": "x"})
    os.mkfifo(found / "data" / "b.txt")
    assert "data/b.txt is no regular file" in refusal(found)


def test_links_out_of_the_folder_are_refused(tmp_path):
    """A file or a folder behind a symbolic link is not of this use case."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("secret")
    where = folder(tmp_path / "case", "", {"data/a.txt": "x"})
    (where / "data" / "b.txt").symlink_to(outside / "b.txt")
    assert "is a link that leads out of the folder" in refusal(where)
    (where / "data" / "b.txt").unlink()
    (where / "data" / "more").symlink_to(outside)
    assert "is a link that leads out of the folder" in refusal(where)
    (where / "data" / "more").unlink()
    (where / "data" / "round").symlink_to(where / "data")
    assert "is a link to a folder" in refusal(where)


def test_samples_are_read_one_at_a_time(tmp_path):
    """The first sample is there before the rest of the file is looked at; a mistake on line 3 is told there."""
    lines = [json.dumps({"id": number, "input": "x"}) for number in range(2)]
    case = usecases.load(folder(tmp_path, "", {"data/a.jsonl": "\n".join([*lines, "no JSON"])}))
    found = case.placed()
    assert [next(found).place.line, next(found).place.line] == [1, 2]
    with pytest.raises(UsageError, match=":3: not JSON"):
        next(found)


def test_few_shot_examples_may_come_from_the_data(tmp_path):
    """The prompt reads the use case's own samples, and never the one that is asked."""
    rows = "".join(json.dumps({"id": n, "input": f"{n} + {n}", "expected": str(2 * n)}) + "\n" for n in range(1, 4))
    front = "prompt: {template: '{{input}}', system: '', examples: {count: 2}}"
    case = usecases.load(folder(tmp_path, front, {"data/a.jsonl": rows}))
    first = next(case.samples())
    asked = [message["content"] for message in case.prompt.messages(first) if message["role"] == "user"]
    assert len(asked) == 3
    assert asked.count("1 + 1") == 1


def _png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")
