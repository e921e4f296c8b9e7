"""Rows of every kind of file: they become the same samples, one at a time, and mistakes are told with their place."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import gzip
import json
import tracemalloc
from itertools import islice
from pathlib import Path

import media_files
import pytest

from pytest_llmbench import datasets
from pytest_llmbench.datasets import Columns
from pytest_llmbench.errors import MissingExtraError, UsageError

ROWS = [
    {"id": "a", "input": "What is 2 + 2?", "expected": "4", "level": "easy"},
    {"id": "b", "input": 'Say "no: never".', "expected": "no: never", "level": "hard"},
]


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_csv(path: Path) -> None:
    cells = ['id,input,expected,level\r\na,What is 2 + 2?,4,easy\r\nb,"Say ""no: never"".",no: never,hard\r\n']
    path.write_text("".join(cells), newline="")


def write_yaml(path: Path) -> None:
    path.write_text(
        '- {id: a, input: What is 2 + 2?, expected: "4", level: easy}\n'
        "- id: b\n  input: 'Say \"no: never\".'\n  expected: 'no: never'\n  level: hard\n"
    )


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(ROWS), path)


WRITERS = {".jsonl": write_jsonl, ".csv": write_csv, ".yaml": write_yaml, ".yml": write_yaml, ".parquet": write_parquet}


def told(path: Path | str, columns: Columns | None = None) -> str:
    """The error of a dataset that is refused."""
    with pytest.raises(UsageError) as refused:
        list(datasets.stream(path, columns or Columns()))
    return str(refused.value)


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_rows_are_the_same_samples_whatever_file_holds_them(tmp_path, ending):
    """Ids, texts, answers and the other columns."""
    file = tmp_path / f"rows{ending}"
    WRITERS[ending](file)
    samples = [sample for _, sample in datasets.stream(file, Columns())]
    assert [(s.id, s.input, s.expected, s.metadata) for s in samples] == [
        (row["id"], row["input"], row["expected"], {"level": row["level"]}) for row in ROWS
    ]
    assert ending in datasets.ROW_KINDS


def test_jsonl_and_csv_may_be_packed(tmp_path):
    """With `.gz` behind their ending; nothing else is."""
    write_jsonl(tmp_path / "rows.jsonl")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    assert len(datasets.read(tmp_path / "rows.jsonl.gz", Columns())) == 2
    assert "rows.parquet.gz is none of .csv, .jsonl, .parquet" in told(tmp_path / "rows.parquet.gz")


def test_a_row_tells_where_it_stands(tmp_path):
    """By line; of Parquet, which has none, by row."""
    for ending, places in ((".jsonl", [1, 2]), (".csv", [2, 3]), (".yaml", [1, 2])):
        file = tmp_path / f"rows{ending}"
        WRITERS[ending](file)
        assert [place.line for place, _ in datasets.stream(file, Columns())] == places
    write_parquet(tmp_path / "rows.parquet")
    place = [place for place, _ in datasets.stream(tmp_path / "rows.parquet", Columns())][1]
    assert str(place.error("x")).endswith("rows.parquet, row 2: x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\n", "rows.yaml:1: a list of mappings is wanted"),
        ("- input: a\n- text\n", "rows.yaml:2: a mapping is wanted, not str"),
        ("- input: a\n  input: b\n", "rows.yaml:2: [0].input: the key stands twice, first on line 1"),
        ("- &x {input: a}\n- *x\n", "rows.yaml:1:"),
        ("- input: a\n  id: 1\n-\n  input: b\n  id: 1\n", "rows.yaml:4: the id '1' stands in line 1, too"),
        ("- input: a\n- inptu: b\n", "rows.yaml:2: there is no column 'input'"),
        ("[]\n", "rows.yaml holds no sample"),
        ("- input: !!python/object:os.system a\n", "tags (!) are not allowed"),
        ("- {input: " + "[" * 40 + "]" * 40 + "}", "nested deeper than 20 levels"),
    ],
)
def test_what_is_wrong_in_a_yaml_dataset_is_told_with_its_line(tmp_path, content, said):
    """As strict as configuration is: no bombs, no keys that stand twice, nothing that is run."""
    file = tmp_path / "rows.yaml"
    file.write_text(content)
    assert said in told(file).replace("samples[", "[")


def test_a_yaml_dataset_may_stand_under_a_key(tmp_path):
    """`samples:`, so that a comment or a schema line may stand above."""
    file = tmp_path / "rows.yaml"
    file.write_text("# ours\nsamples:\n- input: a\n")
    [(place, sample)] = datasets.stream(file, Columns())
    assert (place.line, sample.input) == (3, "a")


def test_parquet_cells_become_what_json_has(tmp_path):
    """Dates and decimals as text, what is no number as nothing, structures as they are."""
    import pyarrow as pa
    from pyarrow import parquet

    row = {
        "input": "x",
        "day": dt.date(2026, 11, 21),
        "sum": decimal.Decimal("12.50"),
        "score": float("nan"),
        "tags": ["a", "b"],
        "who": {"name": "N", "age": 3},
        "expected": 7,
    }
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    [sample] = datasets.read(tmp_path / "rows.parquet", Columns())
    assert sample.metadata == {
        "day": "2026-11-21",
        "sum": "12.50",
        "score": None,
        "tags": ["a", "b"],
        "who": {"name": "N", "age": 3},
    }
    assert sample.expected == 7
    json.dumps(sample.as_dict(), allow_nan=False)


def test_a_file_that_is_no_parquet_is_told(tmp_path):
    """Damaged, cut off or missing."""
    file = tmp_path / "rows.parquet"
    assert "rows.parquet cannot be read as Parquet" in told(file)
    write_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    assert "rows.parquet cannot be read as Parquet" in told(file)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    """Nothing is read then."""
    write_parquet(tmp_path / "rows.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[documents\]"):
        list(datasets.stream(tmp_path / "rows.parquet", Columns()))


def test_without_an_input_column_the_other_columns_are_what_a_prompt_is_made_of(tmp_path):
    """`input=None`: where there is one all the same, it is taken."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"subject": "s", "body": "b"}\n{"input": "i", "body": "b"}\n')
    first, second = datasets.read(file, Columns(input=None))
    assert (first.input, first.metadata) == ("", {"subject": "s", "body": "b"})
    assert (second.input, second.metadata) == ("i", {"body": "b"})
    assert "there is no column 'input'" in told(file)


def test_rows_of_ones_own_become_samples_by_the_same_rules(tmp_path):
    """With ids that are made, and twins that are told."""
    from pytest_llmbench.questions.rows import Place

    rows = [(Place(tmp_path / "x.json", at), {"input": "same"}) for at in (3, 9)]
    first, second = (sample for _, sample in datasets.samples(rows, Columns()))
    assert second.id == f"{first.id}-2"


def test_a_media_column_names_a_file_beside_the_dataset(tmp_path):
    """Its parts follow the text; several cells and lists of paths are taken in their order."""
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics/a.png").write_bytes(media_files.png(red=1))
    (tmp_path / "b.wav").write_bytes(media_files.wav())
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "input": "What is it?", "pic": ["pics/a.png"], "sound": "b.wav"}\n')
    [sample] = datasets.read(tmp_path / "rows.jsonl", Columns(media=("pic", "sound")))
    [message] = sample.input
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "input_audio"]
    assert sample.metadata == {}
    assert datasets.media_needs(sample.input) == {"images", "audio"}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("../secret.png", "'pic': '../secret.png' leads out of the folder"),
        ("/etc/passwd", "'/etc/passwd' is not relative"),
        ("link.png", "'link.png' is a link that leads out of the folder"),
        ("none.png", "there is no file 'none.png' in the folder"),
        ("rows.jsonl", "is no picture, sound or PDF"),
        (7, "'pic' is to name a file, and is int"),
    ],
)
def test_a_media_column_never_leads_out_of_the_folder(tmp_path, cell, said):
    """Neither by dots nor by a link; the line is told."""
    (tmp_path / "secret.png").write_bytes(media_files.png())
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link.png").symlink_to("../secret.png")
    (folder / "rows.jsonl").write_text(json.dumps({"input": "x", "pic": cell}))
    message = told(folder / "rows.jsonl", Columns(media=("pic",)))
    assert said in message
    assert "rows.jsonl:1" in message


def test_pictures_within_parquet_are_parts_too(tmp_path):
    """As bytes, or in the form that Hugging Face's datasets have; undeclared bytes are told instead of dropped."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"input": "x", "pic": {"bytes": media_files.png(), "path": "a.png"}, "raw": media_files.png(red=2)}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    [sample] = datasets.read(tmp_path / "rows.parquet", Columns(media=("pic", "raw")))
    urls = [part["image_url"]["url"] for part in sample.input[0]["content"][1:]]
    assert [base64.b64decode(url.partition(",")[2]) for url in urls] == [media_files.png(), media_files.png(red=2)]
    assert "the column 'raw' holds bytes" in told(tmp_path / "rows.parquet", Columns(media=("pic",)))
    prompt = Columns(prompt="{{raw}}", media=("pic",))
    assert "a column of the prompt holds bytes" in told(tmp_path / "rows.parquet", prompt)


def test_a_model_that_does_not_take_pictures_is_told_before_anything_is_asked():
    """With the sample's place; what nobody told of a model is let pass."""
    from pytest_llmbench.datasets.modalities import server_capabilities
    from pytest_llmbench.records import Capabilities

    with pytest.raises(UsageError, match=r"data/cat.png: lab/text does not take images \(says catalogue\)"):
        datasets.refuse_media({"images"}, "lab/text", Capabilities(images=False, source="catalogue"), "data/cat.png")
    datasets.refuse_media({"images", "audio"}, "lab/any", Capabilities())
    told_by_server = server_capabilities({"modalities": {"vision": False, "audio": True}})
    with pytest.raises(UsageError, match=r"smollm2 does not take images \(says its server\)"):
        datasets.refuse_media({"images", "audio"}, "smollm2", told_by_server)
    assert server_capabilities({}) == Capabilities()


def test_a_hugging_face_dataset_is_read_row_by_row(tmp_path, monkeypatch):
    """Split and configuration as named; what is not read is not fetched."""
    pytest.importorskip("datasets", reason="pip install 'pytest-llmbench[hub]'")
    home = tmp_path / "owner" / "quiz"
    home.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [{"question": f"{split} {number}?", "answer": number} for number in range(3)]
        (home / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    columns = Columns(input="question", expected="answer")
    found = list(islice(datasets.stream("hf:owner/quiz", columns), 2))
    assert [(place.line, sample.input, sample.expected) for place, sample in found] == [
        (1, "test 0?", 0),
        (2, "test 1?", 1),
    ]
    assert datasets.read("hf:owner/quiz::train", columns)[2].input == "train 2?"
    assert "has the splits train, test" in told("hf:owner/quiz::dev", columns)


@pytest.mark.parametrize("name", ["hf:", "hf:../x", "hf:a/b/c", "hf:a b", "hf:owner/name:c:s:t", "hf:/etc"])
def test_a_name_that_is_no_dataset_is_refused_before_the_library_sees_it(name):
    """It would be taken for a path."""
    assert "names no Hugging Face dataset" in told(name)


def test_samples_are_streamed_in_flat_memory(tmp_path):
    """Ten times the rows do not take ten times the memory: what is kept of a row is its id."""

    def peak(count: int) -> int:
        file = tmp_path / f"{count}.jsonl"
        with file.open("w") as stream:
            for number in range(count):
                stream.write(json.dumps({"id": number, "input": f"{number} " * 500}) + "\n")
        tracemalloc.start()
        assert sum(1 for _ in datasets.stream(file, Columns())) == count
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(50)
    assert peak(1000) < peak(100) + 200 * 1000
